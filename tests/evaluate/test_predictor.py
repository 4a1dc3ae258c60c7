"""Predictors are found by checkpoint folder or by `adapter:argument`."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluate.predictor import PredictorInfo, describe, find_scale, load_predictor
from evaluate.sample import Generation
from internvl.errors import InputError, MissingError
from tests.tiny_hub import Hub


def test_adapter_and_argument_are_split_at_the_first_colon() -> None:
    assert describe("fake:a:b") == PredictorInfo("fake_a:b", "fake:a:b")
    assert load_predictor("fake:a:b", "cpu").generate(["?"], Generation()) == ["a:b"]


@pytest.mark.parametrize("spec", ["fke:yes", "nothing:at all"])
def test_unknown_adapter_lists_the_known_ones(spec: str) -> None:
    message = (
        rf"model: expected a checkpoint folder, hub:owner/name, adapter:argument, path/to/adapter\.py or "
        rf"path/to/models\.yaml:name, got '{spec}'; adapters are .*fake"
    )
    for find in (describe, lambda spec: load_predictor(spec, "cpu")):
        with pytest.raises(InputError, match=message):
            find(spec)


def test_unknown_adapter_far_from_all_lists_all() -> None:
    with pytest.raises(InputError, match=r"adapters are entry, fake, hf, internvl, openai$"):
        describe("zzz:yes")


def test_word_without_a_colon_is_a_checkpoint_folder() -> None:
    with pytest.raises(MissingError, match="checkpoint: expected a folder, got fake, which does not exist"):
        describe("fake")


def test_existing_folder_with_a_colon_in_its_name_is_a_checkpoint(tmp_path: Path) -> None:
    folder = tmp_path / "fake:yes"
    folder.mkdir()
    with pytest.raises(MissingError, match=r"checkpoint: expected config\.json"):
        describe(str(folder))


def test_name_on_the_hub_is_a_checkpoint(hub: Hub) -> None:
    for spec in ("hub:owner/lost", "internvl:hub:owner/lost"):
        with pytest.raises(MissingError, match="checkpoint: expected a repository, got hub:owner/lost, which does not"):
            describe(spec)


def test_internvl_adapter_can_be_named(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match=f"expected a folder, got {tmp_path}/x"):
        describe(f"internvl:{tmp_path}/x")


def test_only_adapters_that_tell_the_weight_of_their_models_spread_them(checkpoint: Path) -> None:
    assert find_scale("fake:yes") is None
    scale = find_scale(str(checkpoint))
    assert scale is not None
    assert 0 < scale() <= (checkpoint / "model.safetensors").stat().st_size
