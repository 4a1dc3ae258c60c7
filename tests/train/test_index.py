"""The index of an annotation file: what it knows about the rows, when it is built anew, and what it says is wrong."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train.index
from internvl.errors import InputError, MissingError
from internvl.processor import InternVLProcessor
from internvl.template import find_template
from internvl.tiler import ImageTiler
from tests.tiny import tiny_picture, tiny_processor, tiny_tokenizer
from tests.tiny_run import make_row
from train.index import FileIndex, RowError
from train.measure import Counter
from train.mixture import JsonlFile, Mixture, Source

TILER = ImageTiler(image_size=56, dynamic=True, max_tiles=6, thumbnail=True)
COUNTER = Counter.of(tiny_processor())


def write_rows(folder: Path, rows: list[Any], name: str = "rows.jsonl") -> Path:
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return folder / name


def number_rows(count: int) -> list[dict[str, Any]]:
    return [make_row(f"What number? {k}" + " more" * (k % 7), str(k)) for k in range(count)]


def open_index(path: Path, counter: Counter = COUNTER, **options: Any) -> FileIndex:
    return FileIndex.open(path, path.parent, counter, **options)


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


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Tally[str]:
    """How often each layer was built."""
    tally: Tally[str] = Tally()

    def count(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def spy(*given: Any) -> Any:
            tally[name] += 1
            return original(*given)

        return spy

    for name in ("measure_pictures", "measure_text"):
        monkeypatch.setattr(train.index, name, count(name, getattr(train.index, name)))
    return tally


@pytest.mark.parametrize("template", ["internvl2_5", "internlm2-chat", "phi3-chat"])
@pytest.mark.parametrize("max_tiles", [None, 2])
@pytest.mark.parametrize(
    "tiler", [TILER, replace(TILER, dynamic=False), replace(TILER, min_tiles=3, max_tiles=12, thumbnail=False)]
)
def test_tiles_and_tokens_are_those_of_the_processor(tiler, max_tiles, template, tmp_path):
    path = write_rows(tmp_path, mixed_rows(tmp_path))
    processor = InternVLProcessor(tiny_tokenizer(), find_template(template), tiler, tokens_per_tile=4)
    index = open_index(path, Counter.of(processor))
    assert list(index.errors()) == []
    mixture = Mixture([Source("rows", tmp_path, path)])
    rows = [processor(mixture[k][1], training=True, max_tiles=max_tiles) for k in range(len(mixture))]
    assert index.tiles(tiler, max_tiles).tolist() == [len(row["pixel_values"]) for row in rows]
    assert index.tokens(tiler, 4, max_tiles).tolist() == [len(row["input_ids"]) for row in rows]
    text = [int((row["input_ids"] != processor.context_id).sum()) for row in rows]
    assert index.text_tokens.tolist() == text
    assert index.usable.all()


def test_text_tokens_are_those_that_encode_gives_without_the_visual_ones(tmp_path):
    processor = tiny_processor()
    rows = [row for row in mixed_rows(tmp_path) if not row.get("isolated") and "video" not in row]
    path = write_rows(tmp_path, rows)
    mixture = Mixture([Source("rows", tmp_path, path)])
    chats = [mixture[k][1] for k in range(len(rows))]
    expected = [len(processor.encode(chat.turns, [7] * len(chat.images)).input_ids) for chat in chats]
    visual = [7 * len(chat.images) for chat in chats]
    assert (open_index(path).text_tokens + visual).tolist() == expected


def test_rows_have_their_kind_and_the_sizes_of_their_pictures(tmp_path):
    index = open_index(write_rows(tmp_path, mixed_rows(tmp_path)))
    assert np.flatnonzero(index.isolated).tolist() == [6]
    assert np.flatnonzero(index.video).tolist() == [9]
    assert index.num_pictures().tolist() == [0, 1, 1, 3, 1, 1, 2, 0, 1, 3]
    assert index.rows["sizes"][2:5].tolist() == [[300, 60], [60, 200], [80, 80]]


def test_only_the_headers_of_pictures_are_read(tmp_path):
    picture = tiny_picture(tmp_path, "cut.png", size=(500, 400))
    picture.write_bytes(picture.read_bytes()[:100])
    index = open_index(write_rows(tmp_path, [make_row("<image>", "A.", image="cut.png")]))
    assert index.rows["sizes"].tolist() == [[500, 400]]


def test_the_length_of_a_video_file_is_unknown(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"frames")
    path = write_rows(tmp_path, [make_row("<video>\nWhat?", "A.", video="clip.mp4"), make_row("Text?", "B.")])
    index = open_index(path)
    assert index.unknown.tolist() == [True, False]
    assert index.usable.tolist() == [True, True]
    assert index.tiles(TILER).tolist() == [-1, 0]
    assert index.tokens(TILER, 4).tolist() == [-1, index.text_tokens[1]]


def test_rows_that_cannot_be_used_are_recorded_with_line_and_reason(tmp_path):
    (tmp_path / "torn.png").write_bytes(b"no picture")
    good = make_row("<image>\nWhat?", "A.", image=tiny_picture(tmp_path).name)
    bad = [
        ("{", "expected JSON, got "),
        ({"image": "picture.png"}, "expected `conversations`"),
        (make_row("<image>", "A.", image="lost.png"), f"picture: expected a file, got {tmp_path}/lost.png, which does"),
        (make_row("<image>", "A.", image="torn.png"), "picture: expected a readable picture"),
        (make_row("<image><image>", "A.", image=["picture.png"]), "expected one picture per <image> slot, got 1"),
        (make_row("<video>", "A.", video="lost"), "video: expected a folder of frames, got"),
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
    assert np.flatnonzero(~index.usable).tolist() == [error.row for error in errors]
    assert index.tiles(TILER).tolist() == [-1 if k % 2 else 7 for k in range(19)]


def test_random_access_equals_reading_in_order(tmp_path):
    rows = number_rows(40)
    endings = ["\n", "\r\n", "\n\n", "\n  \n"]
    path = tmp_path / "rows.jsonl"
    path.write_bytes("".join(json.dumps(row) + endings[k % 4] for k, row in enumerate(rows)).rstrip().encode())
    index, plain = open_index(path), JsonlFile(path)
    assert [index.row(k) for k in range(40)] == [plain.row(k) for k in range(40)]
    assert [index.row(k)[1] for k in reversed(range(40))] == rows[::-1]


def test_a_mixture_reads_the_same_rows_through_an_index(tmp_path):
    path = write_rows(tmp_path, number_rows(9))
    sources = [Source("a", tmp_path, path, 2.0), Source("b", tmp_path, path, 0.5)]
    plain, indexed = Mixture(sources), Mixture(sources, [open_index(path)] * 2)
    assert len(indexed) == 22
    assert [indexed[k] for k in range(22)] == [plain[k] for k in range(22)]


def test_an_index_is_sent_to_other_processes_by_name(tmp_path):
    path = write_rows(tmp_path, number_rows(500))
    index = open_index(path)
    data = pickle.dumps(Mixture([Source("rows", tmp_path, path)], [index]))
    assert len(data) < 2000
    assert pickle.loads(data)[499] == Mixture([Source("rows", tmp_path, path)])[499]
    copy = pickle.loads(pickle.dumps(index))
    assert copy.tokens(TILER, 4).tolist() == index.tokens(TILER, 4).tolist()


def test_arrays_are_maps_of_files(tmp_path):
    index = open_index(write_rows(tmp_path, number_rows(5)))
    assert isinstance(index.offsets, np.memmap)
    assert isinstance(index.text_tokens, np.memmap)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_rows_has_an_empty_index(text, tmp_path, calls):
    (tmp_path / "rows.jsonl").write_text(text)
    for _ in range(2):
        index = open_index(tmp_path / "rows.jsonl")
        assert len(index) == len(index.tokens(TILER, 4)) == index.num_errors() == 0
    assert calls == {"measure_pictures": 1, "measure_text": 1}


def test_an_index_is_built_once(tmp_path, calls):
    path = write_rows(tmp_path, number_rows(5))
    first, again = open_index(path), open_index(path)
    assert calls == {"measure_pictures": 1, "measure_text": 1}
    assert again.text_tokens.tolist() == first.text_tokens.tolist()
    assert sorted(part.name[:5] for part in (tmp_path / "rows.jsonl.index").iterdir()) == ["rows-", "token"]


def test_another_tokenizer_or_template_counts_tokens_alone(tmp_path, calls):
    path = write_rows(tmp_path, number_rows(5))
    first = open_index(path)
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["What number?"])
    named = replace(COUNTER, tokenizer=tokenizer.backend_tokenizer.to_str())
    short = replace(COUNTER, template=COUNTER.template.with_system("Short."))
    assert (open_index(path, named).text_tokens < first.text_tokens).all()
    assert (open_index(path, short).text_tokens < first.text_tokens).all()
    assert calls == {"measure_pictures": 1, "measure_text": 3}
    assert open_index(path).text_tokens.tolist() == first.text_tokens.tolist()  # the first counts were kept
    assert calls == {"measure_pictures": 1, "measure_text": 3}


def test_another_root_is_measured_anew_and_both_are_kept(tmp_path, calls):
    tiny_picture(tmp_path)
    path = write_rows(tmp_path, [make_row("<image>", "A.", image="picture.png")])
    for _ in range(2):
        assert FileIndex.open(path, tmp_path, COUNTER).num_errors() == 0
        assert FileIndex.open(path, tmp_path / "other", COUNTER).num_errors() == 1
    assert calls == {"measure_pictures": 2, "measure_text": 2}


def test_appended_and_changed_rows_are_noticed(tmp_path):
    path = write_rows(tmp_path, number_rows(5))
    first = open_index(path)
    write_rows(tmp_path, number_rows(6))
    assert len(open_index(path)) == 6
    stamp = path.stat().st_mtime_ns
    rows = number_rows(6)
    rows[0] = make_row("Wxyz number? 0", "0")
    write_rows(tmp_path, rows)
    os.utime(path, ns=(stamp, stamp))  # same size and time: the words alone differ
    changed = open_index(path)
    assert changed.text_tokens[0] != first.text_tokens[0]
    assert changed.row(0)[1] == rows[0]


@pytest.mark.parametrize("damage", ["cut", "overwritten", "lost", "no meta", "half a meta"])
@pytest.mark.parametrize(("layer", "name"), [("rows", "offsets"), ("tokens", "tokens")])
def test_a_damaged_index_is_built_anew_where_it_is_damaged(layer, name, damage, tmp_path, calls):
    path = write_rows(tmp_path, number_rows(50))
    expected = open_index(path).offsets.tolist(), open_index(path).text_tokens.tolist()
    (folder,) = (tmp_path / "rows.jsonl.index").glob(f"{layer}-*")
    array, meta = folder / f"{name}.npy", folder / "meta.json"
    data = array.read_bytes()
    if damage == "cut":
        array.write_bytes(data[:-8])
    elif damage == "overwritten":
        array.write_bytes(data[:-8] + b"\xff" * 8)
    elif damage == "lost":
        array.unlink()
    elif damage == "no meta":
        meta.unlink()
    else:
        meta.write_text(meta.read_text()[:40])
    index = open_index(path)
    assert (index.offsets.tolist(), index.text_tokens.tolist()) == expected
    built = {"measure_pictures": 1, "measure_text": 1}
    built["measure_pictures" if layer == "rows" else "measure_text"] += 1
    assert calls == built


def test_a_deleted_folder_is_built_anew(tmp_path, calls):
    path = write_rows(tmp_path, number_rows(5))
    expected = open_index(path).text_tokens.tolist()
    shutil.rmtree(tmp_path / "rows.jsonl.index")
    assert open_index(path).text_tokens.tolist() == expected
    assert calls == {"measure_pictures": 2, "measure_text": 2}


def test_a_picture_that_came_back_is_counted_once_its_rows_are_measured_anew(tmp_path):
    path = write_rows(tmp_path, [make_row("<image>", "A.", image="picture.png")])
    assert open_index(path).num_errors() == 1
    tiny_picture(tmp_path)
    os.utime(path)
    index = open_index(path)
    assert index.num_errors() == 0
    assert index.text_tokens[0] > 0


def test_an_interrupted_build_leaves_nothing_that_counts_as_built(tmp_path, monkeypatch):
    path = write_rows(tmp_path, number_rows(5))
    with monkeypatch.context() as patch:
        patch.setattr(train.index.np, "save", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            open_index(path)
    assert list((tmp_path / "rows.jsonl.index").iterdir()) == []
    assert len(open_index(path)) == 5


def test_the_index_of_a_faster_process_stays(tmp_path, monkeypatch):
    path = write_rows(tmp_path, number_rows(5))
    original = train.index.measure_text

    def be_slow(*given: Any) -> Any:
        with monkeypatch.context() as patch:
            patch.setattr(train.index, "measure_text", original)
            inner.append(open_index(path))
            stamps.append((inner[0].folders[1] / "meta.json").stat().st_ino)
        return original(*given)

    inner: list[FileIndex] = []
    stamps: list[int] = []
    monkeypatch.setattr(train.index, "measure_text", be_slow)
    index = open_index(path)
    assert (index.folders[1] / "meta.json").stat().st_ino == stamps[0]
    assert index.text_tokens.tolist() == inner[0].text_tokens.tolist()


def test_files_of_one_name_may_share_a_cache(tmp_path):
    counts = []
    for name, count in (("a", 3), ("b", 4)):
        (tmp_path / name).mkdir()
        path = write_rows(tmp_path / name, number_rows(count))
        counts += [len(open_index(path, cache=tmp_path / "cache")) for _ in range(2)]
        assert [part.name for part in path.parent.iterdir()] == ["rows.jsonl"]
    assert counts == [3, 3, 4, 4]


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    path = write_rows(tmp_path, number_rows(2))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"^index: expected a folder that can be written, got .*; name another cache"):
        open_index(path, cache=tmp_path / "file")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"^index: expected an annotation file, got .*lost\.jsonl, which does not"):
        open_index(tmp_path / "lost.jsonl")


def test_an_error_names_row_line_and_reason_alone(tmp_path):
    index = open_index(write_rows(tmp_path, ["", "3"]))
    assert list(index.errors()) == [RowError(0, 2, "expected a JSON object, got int; one object per line")]
