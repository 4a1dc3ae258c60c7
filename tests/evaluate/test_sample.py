"""Samples and generation settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PIL import Image

from evaluate.sample import Generation, Sample
from internvl.conversation import Conversation, Turn, Video


def test_samples_about_the_same_pictures_are_one_cluster() -> None:
    first = Sample("1", Conversation.ask("What is it?", Path("a.png"), Path("b.png")))
    second = Sample("2", Conversation.ask("How many?", Path("a.png"), Path("b.png")))
    other = Sample("3", Conversation.ask("What is it?", Path("a.png")))
    assert first.cluster == second.cluster != other.cluster


def test_sample_without_a_picture_is_a_cluster_of_its_own() -> None:
    samples = [Sample(name, Conversation.ask("Why?")) for name in ("1", "2")]
    assert [sample.cluster for sample in samples] == ["1", "2"]


def test_pictures_in_memory_are_one_cluster_where_they_hold_the_same() -> None:
    contents = (b"a", b"a", b"b", *(Image.new("RGB", (2, 2), color) for color in ("red", "red", "blue")))
    names = [Sample(str(n), Conversation.ask("Why?", content)).cluster for n, content in enumerate(contents)]
    assert names[0] == names[1] != names[2]
    assert names[3] == names[4] != names[5]
    assert max(map(len, names)) == 64


def test_clips_of_a_video_are_told_apart() -> None:
    def ask(clip: tuple[float, float] | None) -> str:
        return Sample("1", Conversation((Turn("user", "<video>\nWhy?"),), video=Video(Path("a.mp4"), clip))).cluster

    assert ask(None) == ask(None) != ask((0, 1)) != ask((1, 2))


def test_sample_cannot_be_changed() -> None:
    sample = Sample("1", Conversation.ask("Why?"))
    with pytest.raises(dataclasses.FrozenInstanceError):
        sample.id = "2"  # type: ignore[misc]


def test_greedy_search_names_no_option_that_has_no_effect() -> None:
    assert Generation().options() == {
        "max_new_tokens": 10,
        "min_new_tokens": 1,
        "num_beams": 1,
        "do_sample": False,
    }


def test_beams_bring_the_length_penalty() -> None:
    options = Generation(num_beams=3, length_penalty=0.0).options()
    assert (options["num_beams"], options["length_penalty"], options["do_sample"]) == (3, 0.0, False)


def test_temperature_above_zero_means_sampling() -> None:
    options = Generation(temperature=0.7).options()
    assert (options["do_sample"], options["temperature"]) == (True, 0.7)
