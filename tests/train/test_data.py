"""The batches of a run: every step its own samples, however they are shared, and where a run goes on."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from internvl.errors import InputError
from tests.tiny_run import (
    BAD_ROWS,
    build_here,
    color_rows,
    make_row,
    mixed_rows,
    split_samples,
    write_arguments,
    write_bad_files,
    write_meta,
)
from train.counts import Counts
from train.data import SFTDataModule, StepLoader

WAYS: dict[str, dict[str, Any]] = {
    "packed": {},
    "packed tightly": {"data.max_packed_tokens": 260},
    "padded": {"data.packing": "false", "per_device_batch_size": 4},
    "padded one by one": {"data.packing": "false", "per_device_batch_size": 1},
    "padded by length": {"data.packing": "false", "per_device_batch_size": 2, "data.group_by_length": "true"},
}
Samples = list[tuple[int, ...]]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rows of every kind, one of them bad."""
    folder = tmp_path_factory.mktemp("mixed")
    write_bad_files(folder)
    rows = mixed_rows(folder)
    rows[7] = BAD_ROWS["a broken picture"].row
    return write_meta(folder, rows, data_augment=True)


@pytest.fixture
def make_data(checkpoint: Path, mixed: Path, tmp_path: Path) -> Any:
    """Makes the data of six steps of eight samples, two and a half times through the rows."""

    def make(*, world: int = 1, rank: int = 0, steps_done: int = 0, meta: Path = mixed, **options: Any) -> Any:
        fixed = {"batch_size": 8, "max_steps": 6, "data.max_seq_length": 200, "data.max_num_frame": 8}
        arguments = write_arguments(checkpoint, meta, tmp_path, **fixed | {"data.max_bad_share": 1} | options)
        return build_here(arguments, world=world, rank=rank, steps_done=steps_done)

    return make


def read_steps(data: SFTDataModule, batches: Iterable[dict[str, Any]]) -> list[Samples]:
    """The samples of every step, sorted."""
    loader = data.train_dataloader()
    steps: list[Samples] = []
    for number, batch in enumerate(batches):
        if number % loader.accumulation == 0:
            steps.append([])
        steps[-1] = sorted(steps[-1] + split_samples(batch))
    return steps


def all_steps(data: SFTDataModule) -> list[Samples]:
    return read_steps(data, data.train_dataloader())


def assert_same_batches(one: Iterable[dict[str, Any]], other: Iterable[dict[str, Any]]) -> None:
    for left, right in zip(one, other, strict=True):
        assert left.keys() == right.keys()
        assert left["found"] == right["found"]
        assert all(torch.equal(left[name], right[name]) for name in left if name != "found")


def test_counts_add_up_field_by_field():
    parts = [Counts(0.5, 1, 2, 3, 4, 5, 6, 7), Counts(0.25, 10, 20, 30, 40, 50, 60, 70)]
    total = Counts.from_tensor(Counts.add([part.to_tensor() for part in parts]))
    assert total == Counts(0.75, 11, 22, 33, 44, 55, 66, 77)
    assert Counts.from_tensor(Counts.add([])) == Counts()


def test_counts_are_exact_beyond_what_a_float_holds():
    big = Counts(tokens=2**40 + 1)
    assert Counts.from_tensor(Counts.add([big.to_tensor(), Counts(tokens=2).to_tensor()])).tokens == 2**40 + 3


def test_every_batch_has_the_counts_of_its_whole_step():
    def make_batch(number: int) -> dict[str, Any]:
        counts = Counts(weight=number / 2, samples=1, tokens=10 * number)
        weights = torch.full((1, 1), number / 2)
        return {"input_ids": torch.tensor([[number]]), "loss_weight": weights, "counts": counts.to_tensor()}

    loader: Any = [make_batch(number) for number in range(6)]
    stepped = list(StepLoader(loader, 3))
    assert len(StepLoader(loader, 3)) == 6
    assert [int(batch["input_ids"]) for batch in stepped] == list(range(6))
    totals = [Counts.from_tensor(batch["counts"]) for batch in stepped]
    assert totals == [Counts(1.5, 3, 30)] * 3 + [Counts(6.0, 3, 120)] * 3
    # As whole numbers, which nobody rounds to the precision of a model.
    assert {batch[name].is_floating_point() for batch in stepped for name in ("counts", "loss_weight")} == {False}
    assert [float(batch["loss_weight"].view(torch.float32)) for batch in stepped] == [0, 0.5, 1, 1.5, 2, 2.5]


def test_no_batch_is_read_before_its_step():
    read = []

    def batches() -> Iterable[dict[str, Tensor]]:
        for number in range(4):
            read.append(number)
            yield {"counts": Counts().to_tensor(), "loss_weight": torch.zeros(1, 1)}

    loader: Any = batches()
    steps = iter(StepLoader(loader, 2))
    next(steps)
    next(steps)
    assert read == [0, 1]
    next(steps)
    assert read == [0, 1, 2, 3]


def test_the_time_spent_waiting_for_batches_is_counted_and_no_other(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("train.data.perf_counter", lambda: now[0])

    def batches() -> Iterable[dict[str, Tensor]]:
        for number in range(4):
            now[0] += 1 + number
            yield {"counts": Counts().to_tensor(), "loss_weight": torch.zeros(1, 1)}

    anything: Any = batches()
    loader = StepLoader(anything, 2)
    waited = []
    for _ in loader:
        waited.append(loader.waited)
        now[0] += 100  # training
    assert waited == [3, 3, 10, 10]
    assert loader.waited == 10


def test_a_step_takes_the_next_samples_of_one_sequence(make_data):
    data = make_data()
    order = [tuple(data.dataset[position].row["input_ids"].tolist()) for position in range(48)]
    assert all_steps(data) == [sorted(order[begin : begin + 8]) for begin in range(0, 48, 8)]


@pytest.mark.parametrize("world", [1, 2, 4])
@pytest.mark.parametrize("way", WAYS)
def test_the_samples_of_a_step_depend_neither_on_batches_nor_on_devices(way, world, make_data):
    options = WAYS[way] | ({"per_device_batch_size": 2} if way == "padded" and world == 4 else {})
    expected = all_steps(make_data())
    shared: list[Samples] = [[] for _ in expected]
    for rank in range(world):
        for step, samples in enumerate(all_steps(make_data(world=world, rank=rank, **options))):
            shared[step] = sorted(shared[step] + samples)
    assert shared == expected


def test_another_seed_puts_the_same_samples_in_another_order(make_data):
    one, other = (all_steps(make_data(seed=seed)) for seed in (1, 2))
    assert all(left != right for left, right in zip(one, other, strict=True))
    # Five steps are two whole epochs.
    assert sorted(chain.from_iterable(one[:5])) == sorted(chain.from_iterable(other[:5]))


@pytest.mark.parametrize("way", ["packed tightly", "padded"])
def test_workers_give_the_batches_that_the_process_itself_would(way, make_data):
    alone, *others = (make_data(**WAYS[way], **{"data.num_workers": count}) for count in (0, 1, 2))
    expected = list(alone.train_dataloader())
    assert any(batch["found"] for batch in expected)
    for other in others:
        assert_same_batches(expected, other.train_dataloader())


@pytest.mark.parametrize("way", ["packed tightly", "padded one by one"])
@pytest.mark.parametrize("steps_done", [0, 3, 6])
def test_the_loader_goes_on_behind_the_finished_steps(steps_done, way, make_data):
    data = make_data(steps_done=steps_done, **WAYS[way])
    batches, accumulation = list(data.train_dataloader()), data.train_dataloader().accumulation
    assert accumulation > 1
    assert len(data.train_dataloader()) == len(batches) == 6 * accumulation
    rest = make_data(**WAYS[way])
    rest.load_state_dict(data.state_dict())
    # Lightning counts the batches before as done.
    assert len(rest.train_dataloader()) == len(batches)
    assert_same_batches(rest.train_dataloader(), batches[steps_done * accumulation :])


def test_a_run_goes_on_with_other_batches_where_its_samples_are_left(make_data):
    state = make_data(steps_done=4).state_dict()
    expected = all_steps(make_data())[4:]
    for way in WAYS.values():
        data = make_data(**way)
        data.load_state_dict(state)
        assert all_steps(data) == expected


def test_what_a_checkpoint_keeps_is_the_same_for_every_way_to_share_a_step(make_data):
    states = [
        make_data(world=2, steps_done=3, **way).state_dict() for way in WAYS.values() if way is not WAYS["packed"]
    ]
    assert states == [make_data(steps_done=3).state_dict()] * len(states)
    assert {name: states[0][name] for name in ("steps_done", "batch_size", "seed")} == {
        "steps_done": 3,
        "batch_size": 8,
        "seed": 42,
    }


def refuse(data: SFTDataModule, state: dict[str, Any], name: str) -> None:
    with pytest.raises(InputError, match=rf"^resume: expected the data of the checkpoint \({name} ") as caught:
        data.load_state_dict(state)
    assert f"({name} {state[name]}), got {data.identity[name]}; restore it or start anew" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert data.steps_done == 0


@pytest.mark.parametrize(("name", "option"), [("batch_size", {"batch_size": 4}), ("seed", {"seed": 7})])
def test_a_checkpoint_of_another_sequence_is_refused(name, option, make_data):
    # A run with another seed would also draw other random parts, so either name says it.
    state = make_data().state_dict()
    data = make_data(**option)
    state["mixture"] = data.identity["mixture"]
    refuse(data, state, name)


def test_a_checkpoint_of_other_data_is_refused(make_data, tmp_path):
    rows = color_rows(tmp_path / "data", 9)
    state = make_data(meta=write_meta(tmp_path / "data", rows)).state_dict()
    same = make_data(meta=write_meta(tmp_path / "data", rows))
    same.load_state_dict(state)
    others = [write_meta(tmp_path / "data", [*rows[:8], make_row("Another", "row")])]
    refuse(make_data(meta=others[0]), state, "mixture")
    for change in ({"repeat_time": 2}, {"data_augment": True}, {"max_dynamic_patch": 2}, {"subset": "random"}):
        refuse(make_data(meta=write_meta(tmp_path / "data", rows, **change)), state, "mixture")


def test_a_checkpoint_without_the_names_of_its_data_is_refused(make_data):
    with pytest.raises(InputError, match=r"^resume: expected the data of the checkpoint \(mixture None\), got "):
        make_data().load_state_dict({"steps_done": 3, "num_samples": 20, "batch_size": 8, "seed": 42})
