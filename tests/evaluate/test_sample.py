"""Samples and generation settings."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from PIL import Image

from evaluate.sample import Generation, Sample, identify_video, list_missing
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


def test_video_is_told_by_its_path_and_seconds_and_is_one_cluster() -> None:
    chats = [Conversation((Turn("user", "<video>?"),), video=Video(Path("v.mp4"), clip)) for clip in (None, (1, 2.5))]
    assert [identify_video(chat.video) for chat in chats if chat.video] == ["v.mp4", "v.mp4 1 2.5"]
    assert {Sample(str(n), chat).cluster for n, chat in enumerate(chats)} == {"v.mp4"}


def test_missing_pictures_and_videos_are_listed(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    (tmp_path / "frames").mkdir()
    here, gone = tmp_path / "a.png", tmp_path / "b.png"
    assert list_missing(Sample("1", Conversation.ask("?", here, gone, tmp_path / "frames", b"bytes"))) == [
        gone,
        tmp_path / "frames",
    ]
    for name, missing in (("frames", []), ("none.mp4", [tmp_path / "none.mp4"])):
        chat = Conversation((Turn("user", "<video>?"),), video=Video(tmp_path / name))
        assert list_missing(Sample("1", chat)) == missing


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


def test_drawing_is_described_only_where_there_is_any() -> None:
    greedy, drawn = Generation(), Generation(temperature=1.0, top_k=50, top_p=0.9, seed=3)
    assert list(greedy.describe()) == ["max_new_tokens", "min_new_tokens", "num_beams", "length_penalty", "temperature"]
    assert drawn.describe() == dataclasses.asdict(drawn)
    assert (drawn.options()["top_k"], drawn.options()["top_p"]) == (50, 0.9)


def test_every_sample_has_a_seed_of_its_own_that_follows_from_the_runs() -> None:
    drawn = Generation(temperature=1.0)
    seeds = [drawn.seed_for("a").seed, drawn.seed_for("b").seed, dataclasses.replace(drawn, seed=1).seed_for("a").seed]
    assert len({*seeds, 0}) == 4
    assert drawn.seed_for("a") == dataclasses.replace(drawn, seed=seeds[0])
    assert Generation().seed_for("a") == Generation()
