"""The index of an annotation file: what it knows about the rows, and what it says is wrong."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from internvl.conversation import Conversation
from internvl.errors import InputError
from internvl.frames import FrameSampling
from internvl.processor import InternVLProcessor
from internvl.template import find_template
from internvl.video import read_video
from tests.tiny import tiny_picture, tiny_processor, tiny_tokenizer
from tests.tiny_index import TILER, list_lengths, number_rows, open_index, write_rows
from tests.tiny_run import make_row
from tests.tiny_video import write_gif, write_video
from train.counter import Counter
from train.index import FileIndex, RowError


def read_chat(index: FileIndex, number: int) -> Conversation:
    """A row as the training reads it: with the frames of its video."""
    source, row = index.row(number)
    chat = Conversation.from_row(row, index.path.parent, source)
    if chat.video is None:
        return chat
    count = index.sampling.count(index.video_info(number), number)
    return chat.with_frames(read_video(chat.video, count, sampling=index.sampling, seed=7))


def mixed_rows(folder: Path) -> list[dict[str, Any]]:
    """Every kind of row, and their pictures."""
    for name, size in (("wide.png", (300, 60)), ("tall.png", (60, 200)), ("square.png", (80, 80))):
        tiny_picture(folder, name, size=size)
    (folder / "clip").mkdir()
    for frame in range(3):
        tiny_picture(folder / "clip", f"frame_{frame}.png", size=(300, 60))
    dialogue = make_row("<image>\nWhat?", "A bus.", image="tall.png")
    dialogue["conversations"] += make_row("And now?", "Gone.")["conversations"]
    ruled = make_row("<image>\nWhat?", "Un bus.", image="wide.png")
    ruled["conversations"].insert(0, {"from": "system", "value": "Answer in French."})
    isolated = make_row("<image>\n<image>\nFirst?", "One.", image=["wide.png", "square.png"], isolated=True)
    isolated["conversations"] += make_row("Second, a longer one?", "Two and a half.")["conversations"]
    isolated["conversations"] += make_row("Third?", "3")["conversations"]
    opened = make_row("  Who are you? ", " Nobody. \n")
    opened["conversations"].insert(0, {"from": "gpt", "value": "Hello!"})
    return [
        make_row("Gr\u00fc\u00dfe \u4f60\u597d", "Hi."),
        make_row("<image>\nWhat?", "A bus.", image="wide.png"),
        make_row("No slot", "Still a picture.", image="square.png"),
        make_row("<image> or <image> or\n<image>", "All.", image=["wide.png", "tall.png", "square.png"]),
        dialogue,
        ruled,
        isolated,
        opened,
        make_row("Words <image> stay", "Words.", image=["square.png"]),
        make_row("<video>\nWhat happens?", "Nothing.", video="clip"),
    ]


@pytest.mark.parametrize("template", ["internvl2_5", "internlm2-chat", "phi3-chat"])
@pytest.mark.parametrize("max_tiles", [None, 2])
@pytest.mark.parametrize(
    "tiler", [TILER, replace(TILER, dynamic=False), replace(TILER, min_tiles=3, max_tiles=12, thumbnail=False)]
)
def test_lengths_are_those_of_the_processor(tiler, max_tiles, template, tmp_path):
    path = write_rows(tmp_path, mixed_rows(tmp_path))
    processor = InternVLProcessor(tiny_tokenizer(), find_template(template), tiler, tokens_per_tile=4)
    index = open_index(path, Counter.of(processor))
    assert list(index.errors()) == []
    rows = [processor(read_chat(index, k), training=True, max_tiles=max_tiles) for k in range(len(index))]
    assert list_lengths(index, tiler, max_tiles=max_tiles) == [
        [len(row[name]) for row in rows] for name in ("input_ids", "pixel_values")
    ]
    text = [int((row["input_ids"] != processor.context_id).sum()) for row in rows]
    assert index.text_tokens.tolist() == text


def test_lengths_of_pictures_of_any_size_are_those_of_the_processor(tmp_path):
    random = Random(3)
    for number in range(40):
        tiny_picture(tmp_path, f"{number}.png", size=(random.randint(1, 600), random.randint(1, 600)))
    names = [[f"{random.randrange(40)}.png" for _ in range(random.randint(1, 5))] for _ in range(60)]
    path = write_rows(tmp_path, [make_row("<image>" * len(images), "A.", image=images) for images in names])
    for max_tiles in (None, 3):
        processor = tiny_processor(dynamic=True, max_tiles=6, thumbnail=True)
        index = open_index(path)
        rows = [processor(read_chat(index, k), training=True, max_tiles=max_tiles) for k in range(60)]
        expected = [[len(row[name]) for row in rows] for name in ("input_ids", "pixel_values")]
        assert list_lengths(index, processor.tiler, max_tiles=max_tiles) == expected
        assert len(set(expected[1])) > 4


@pytest.mark.parametrize(
    "sampling", [FrameSampling(8, 32, "rand"), FrameSampling(4, 4), FrameSampling(1, 12, "fps2"), FrameSampling()]
)
def test_lengths_of_videos_are_those_of_the_frames_that_are_taken(sampling, tmp_path):
    lengths = (1, 5, 20, 40, 60)
    for length in lengths:
        (tmp_path / f"clip{length}").mkdir()
        for frame in range(length):
            tiny_picture(tmp_path / f"clip{length}", f"frame_{frame}.png", size=(300, 60))
    write_video(tmp_path / "movie.mp4", 90)
    write_gif(tmp_path / "loop.gif", [100] * 12)
    names = [*(f"clip{length}" for length in lengths * 2), "movie.mp4", "loop.gif"]
    rows = [make_row("<video>\nWhat?", "A.", video=name) for name in names]
    rows.append(make_row("<video>\nWhat?", "A.", video="movie.mp4", clip=[0.5, 1.7]))
    index = open_index(write_rows(tmp_path, rows), sampling=sampling)
    processor = tiny_processor(dynamic=True, max_tiles=6, thumbnail=True)
    made = [processor(read_chat(index, k), training=True) for k in range(len(index))]
    expected = [[len(row[name]) for row in made] for name in ("input_ids", "pixel_values")]
    assert list_lengths(index, processor.tiler) == expected
    assert expected[1][0] == 1 < max(expected[1]) <= sampling.max_frames
    assert [index.video_info(k).num_frames for k in range(11)] == [*lengths * 2, 90]


def test_rows_have_their_kind_and_the_sizes_of_their_pictures(tmp_path):
    index = open_index(write_rows(tmp_path, mixed_rows(tmp_path)))
    assert np.flatnonzero(index.isolated).tolist() == [6]
    assert np.flatnonzero(index.video).tolist() == [9]
    assert np.diff(index.rows["picture_ends"], prepend=0).tolist() == [0, 1, 1, 3, 1, 1, 2, 0, 1, 1]
    assert index.rows["sizes"][2:5].tolist() == [[300, 60], [60, 200], [80, 80]]
    assert index.rows["sizes"][-1].tolist() == [3, 1000]  # frames, and frames per 1,000 seconds


def test_only_the_headers_of_pictures_are_read(tmp_path):
    picture = tiny_picture(tmp_path, "cut.png", size=(500, 400))
    picture.write_bytes(picture.read_bytes()[:100])
    index = open_index(write_rows(tmp_path, [make_row("<image>", "A.", image="cut.png")]))
    assert index.rows["sizes"].tolist() == [[500, 400]]


def test_rows_that_cannot_be_used_are_recorded_with_line_and_reason(tmp_path):
    for name in ("torn.png", "torn.mp4"):
        (tmp_path / name).write_bytes(b"no picture")
    good = make_row("<image>\nWhat?", "A.", image=tiny_picture(tmp_path).name)
    bad = [
        ("{", "expected JSON, got "),
        ({"image": "picture.png"}, "expected `conversations`"),
        (make_row("<image>", "A.", image="lost.png"), f"picture: expected a file, got {tmp_path}/lost.png, which does"),
        (make_row("<image>", "A.", image="torn.png"), "picture: expected a readable picture"),
        (make_row("<image><image>", "A.", image=["picture.png"]), "expected one picture per <image> slot, got 1"),
        (make_row("<video>", "A.", video="lost"), "video: expected a folder of frames, got"),
        (make_row("<video>", "A.", video="torn.mp4"), "video: expected"),
        (make_row("What is <IMG_CONTEXT>?", "A."), "text: expected 0 picture placeholders, got 1; the words"),
        (make_row("Half \ud800", "A."), "text: expected Unicode text, got half"),
        ("[" * 100_000, "expected JSON, got "),
    ]
    path = write_rows(tmp_path, ["", *(part for row, _ in bad for part in (good, row)), good])
    index = open_index(path)
    errors = sorted(index.errors(), key=lambda error: error.row)
    assert [(error.row, error.line) for error in errors] == [(2 * k + 1, 2 * k + 3) for k in range(len(bad))]
    for error, (_, reason) in zip(errors, bad, strict=True):
        assert error.reason.startswith(reason), error
    assert index.num_errors() == len(bad)
    tokens, tiles = list_lengths(index)
    assert [row for row, count in enumerate(tokens) if count < 0] == [error.row for error in errors]
    assert tiles == [-1 if k % 2 else 7 for k in range(2 * len(bad) + 1)]


def test_a_path_that_no_file_can_have_is_the_error_of_its_row(tmp_path):
    index = open_index(write_rows(tmp_path, [make_row("<video>", "A.", video="a" * 5000), *number_rows(1)]))
    assert [error.row for error in index.errors()] == [0]


def test_rows_are_read_alone_in_any_order(tmp_path):
    texts = ["plain", "Gr\u00fc\u00dfe \u4f60\u597d", "\U0001f600 " * 40, "a\\nb", "a\u2028b"]
    rows = [make_row(f"{k} {texts[k % 5]}", f"{k}") for k in range(40)]
    endings = ["\n", "\r\n", "\n\n", "\n  \n"]
    path = tmp_path / "rows.jsonl"
    lines = [json.dumps(row, ensure_ascii=k % 2 == 0) + endings[k % 4] for k, row in enumerate(rows)]
    path.write_bytes("".join(lines).rstrip().encode())
    index = open_index(path)
    assert [index.row(k)[1] for k in reversed(range(40))] == rows[::-1]
    assert [index.row(k)[0] for k in (0, 2, 3, 4, 39)] == [f"{path}:{line}" for line in (1, 3, 5, 7, 59)]


@pytest.mark.parametrize("line", [b'{"conversations": [', b"not json", b'{"a": 1} {"b": 2}', b'{"a": "\xff\xfe"}'])
def test_reading_a_line_that_is_no_json_names_file_and_line(line, tmp_path):
    (tmp_path / "rows.jsonl").write_bytes(json.dumps(number_rows(1)[0]).encode() + b"\n\n" + line + b"\n")
    index = open_index(tmp_path / "rows.jsonl")
    assert index.row(0)[1] == number_rows(1)[0]
    with pytest.raises(
        InputError, match=rf"^{tmp_path}/rows\.jsonl:3: expected JSON, got .*; correct or remove the line"
    ):
        index.row(1)


def test_an_index_and_its_lengths_are_sent_to_other_processes_by_name(tmp_path):
    path = write_rows(tmp_path, number_rows(500))
    index = open_index(path, sampling=FrameSampling(2, 3))
    lengths = index.lengths(TILER, 4)
    assert len(pickle.dumps(index)) < 1500
    assert len(pickle.dumps(lengths)) < 500
    copy, same = pickle.loads(pickle.dumps((index, lengths)))
    assert copy.row(499) == index.row(499)
    assert copy.sampling == index.sampling
    assert list_lengths(copy) == list_lengths(index) == [same.tokens.tolist(), same.tiles.tolist()]
    assert isinstance(same.tokens, np.memmap)


def test_arrays_are_maps_of_files(tmp_path):
    index = open_index(write_rows(tmp_path, number_rows(5)))
    assert isinstance(index.offsets, np.memmap)
    assert isinstance(index.text_tokens, np.memmap)
    assert isinstance(index.lengths(TILER, 4).tiles, np.memmap)


def test_the_whole_file_is_hashed(tmp_path):
    path = write_rows(tmp_path, number_rows(5))
    assert open_index(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    with path.open("ab") as file:
        file.write(b"\n")
    assert open_index(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_error_names_row_line_and_reason_alone(tmp_path):
    index = open_index(write_rows(tmp_path, ["", "3"]))
    assert list(index.errors()) == [RowError(0, 2, "expected a JSON object, got int; one object per line")]
