"""GPUs per model, and per process: arithmetic with made-up memory, and the sizes of real folders."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from evaluate.placement import Placement, choose_dtype, choose_each, list_owned, place_model, weigh_folder
from internvl.errors import InputError
from internvl.model import load_model
from tests.tiny_wrapped import wrap_checkpoint

GB = 10**9


def place_gpus(devices: int, asked: str, weights: int, free: int = 84 * GB) -> Placement:
    return place_model(devices, asked, lambda: weights, on_gpu=True, measure=lambda count: [free] * count)


def test_a_model_gets_the_fewest_gpus_that_leave_a_fifth_of_their_memory() -> None:
    free = 84 * GB
    sizes = {1: 51, 2: 80, 3: 157}
    assert [choose_each(size * GB, [free] * 8) for size in sizes.values()] == list(sizes)
    assert choose_each(80 * GB, [100 * GB] * 2) == 1
    assert choose_each(80 * GB + 1, [100 * GB] * 2) == 2
    assert choose_each(80 * GB, [100 * GB, 90 * GB]) == 2, "the fullest GPU counts"
    assert choose_each(0, [0]) == 1


def test_a_model_that_fits_nowhere_is_told_how_many_gpus_it_needs() -> None:
    with pytest.raises(
        InputError, match=r"^--devices: expected 3 GPUs or more for 157\.0 GB of weights, 67\.2 GB of t"
    ):
        place_gpus(2, "auto", 157 * GB)


def test_forty_billion_on_eight_gpus_are_four_processes_with_two_each() -> None:
    chosen = place_gpus(8, "auto", int(80.1 * GB))
    assert (chosen.each, chosen.processes) == (2, 4)
    assert chosen.line() == "model: 80.1 GB on 2 GPUs each, 4 processes"
    owned = [list_owned(torch.device("cuda", first), chosen.each) for first in (0, 2, 4, 6)]
    assert [[device.index for device in each] for each in owned] == [[0, 1], [2, 3], [4, 5], [6, 7]]
    assert list_owned("cpu", 1) == (torch.device("cpu"),)


def test_gpus_that_are_left_over_are_named() -> None:
    assert place_gpus(8, "auto", 157 * GB).line() == (
        "model: 157.0 GB on 3 GPUs each, 2 processes; GPUs 6, 7 left idle"
    )
    assert place_gpus(3, "2", 1 * GB).line() == "model: 1.0 GB on 2 GPUs each, 1 process; GPU 2 left idle"
    assert place_gpus(8, "auto", 17 * GB).line() is None


def test_what_cannot_be_spread_has_one_device_and_is_not_measured() -> None:
    def fail(*_: int) -> list[int]:
        raise AssertionError

    assert place_model(4, "auto", None, on_gpu=True, measure=fail) == Placement(4)
    assert place_model(3, "auto", lambda: 80 * GB, on_gpu=False, measure=fail) == Placement(3)
    assert place_model(4, "1", lambda: 80 * GB, on_gpu=True, measure=fail) == Placement(4)
    with pytest.raises(InputError, match=r"^--gpus-per-model: expected 1 for a model that cannot be spread, got 2"):
        place_model(4, "2", None, on_gpu=True, measure=fail)
    with pytest.raises(InputError, match=r"^--gpus-per-model: expected 1 without GPUs, got 2"):
        place_model(4, "2", lambda: 1, on_gpu=False, measure=fail)
    with pytest.raises(InputError, match=r"^--gpus-per-model: expected at most the 4 GPUs of --devices, got 5"):
        place_model(4, "5", lambda: 1, on_gpu=True, measure=fail)


def test_a_folder_weighs_what_its_parameters_do(checkpoint: Path, tmp_path: Path) -> None:
    parameters = sum(parameter.numel() for parameter in load_model(checkpoint).parameters())
    assert weigh_folder(checkpoint, torch.bfloat16) == 2 * parameters
    assert weigh_folder(checkpoint, torch.float32) == 4 * parameters
    wrapped = wrap_checkpoint(Path(shutil.copytree(checkpoint, tmp_path / "wrapped")), "vision_model", "language_model")
    assert weigh_folder(wrapped, torch.bfloat16) == 2 * parameters, "adapters are merged"
    torch.save(load_file(checkpoint / "model.safetensors"), tmp_path / "pytorch_model.bin")
    assert weigh_folder(tmp_path, torch.bfloat16) == 2 * parameters
    assert choose_dtype(torch.device("cpu")) == torch.float32
