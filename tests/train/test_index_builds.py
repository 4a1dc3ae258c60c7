"""The index of an annotation file: when it is built anew, by whom, and where it lies."""

from __future__ import annotations

import os
import shutil
import threading
from collections import Counter as Tally
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import train.index
from internvl.errors import InputError, MissingError
from internvl.frames import FrameSampling
from tests.tiny import tiny_picture, tiny_tokenizer
from tests.tiny_index import COUNTER, TILER, list_lengths, number_rows, open_index, write_rows
from tests.tiny_run import make_row
from train.index import FileIndex, Lengths


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
    monkeypatch.setattr(FileIndex, "_count_tiles", count("lengths", FileIndex._count_tiles))
    return tally


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_rows_has_an_empty_index(text, tmp_path, calls):
    (tmp_path / "rows.jsonl").write_text(text)
    for _ in range(2):
        index = open_index(tmp_path / "rows.jsonl")
        assert len(index) == index.num_errors() == 0
        assert list_lengths(index) == [[], []]
    assert calls == {"measure_pictures": 1, "measure_text": 1, "lengths": 1}


def test_an_index_is_built_once(tmp_path, calls):
    path = write_rows(tmp_path, number_rows(5))
    first, again = open_index(path), open_index(path)
    assert calls == {"measure_pictures": 1, "measure_text": 1}
    assert again.text_tokens.tolist() == first.text_tokens.tolist()
    assert sorted(part.name[:5] for part in (tmp_path / "rows.jsonl.index").iterdir()) == ["rows-", "token"]


def test_lengths_are_counted_once_for_each_tiling(tmp_path, calls):
    tiny_picture(tmp_path, size=(500, 100))
    path = write_rows(tmp_path, [make_row("<image>", "A.", image="picture.png"), "{", *number_rows(3)])
    ways = [(TILER, 4, None), (replace(TILER, max_tiles=3), 4, None), (TILER, 4, 2), (TILER, 16, None)]

    def open_all() -> list[Lengths]:
        return [open_index(path).lengths(tiler, tokens, limit) for tiler, tokens, limit in ways]

    first = open_all()
    assert [lengths.tiles.tolist() for lengths in first] == [[count, -1, 0, 0, 0] for count in (6, 4, 3, 6)]
    assert (first[3].tokens - first[0].tokens).tolist() == [6 * 12, 0, 0, 0, 0]
    assert len({lengths.folder for lengths in first}) == 4
    for _ in range(2):
        assert [lengths.tokens.tolist() for lengths in open_all()] == [lengths.tokens.tolist() for lengths in first]
    assert calls == {"measure_pictures": 1, "measure_text": 1, "lengths": 4}
    write_rows(tmp_path, number_rows(2))
    assert len(open_index(path).lengths(TILER, 4).tokens) == 2
    assert calls == {"measure_pictures": 2, "measure_text": 2, "lengths": 5}


def test_another_choice_of_frames_counts_videos_alone(tmp_path, calls):
    (tmp_path / "clip").mkdir()
    for frame in range(9):
        tiny_picture(tmp_path / "clip", f"{frame}.png")
    videos = write_rows(tmp_path, [make_row("<video>", "A.", video="clip")], "videos.jsonl")
    text = write_rows(tmp_path, number_rows(3), "text.jsonl")
    for sampling in (FrameSampling(2, 2), FrameSampling(5, 5), FrameSampling(2, 2)):
        assert list_lengths(open_index(videos, sampling=sampling))[1] == [sampling.max_frames]
        list_lengths(open_index(text, sampling=sampling))
    assert calls == {"measure_pictures": 2, "measure_text": 3, "lengths": 3}


def test_a_process_that_does_not_build_waits_for_the_one_that_does(tmp_path, monkeypatch, calls):
    path = write_rows(tmp_path, number_rows(5))
    waits = threading.Semaphore(0)
    monkeypatch.setattr(train.index.time, "sleep", lambda _: waits.release() or threading.Event().wait(0.01))
    found: list[list[list[int]]] = []

    def wait() -> None:
        index = open_index(path, builds=False)
        found.append(list_lengths(index, builds=False))

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    for build in (lambda: open_index(path), lambda: list_lengths(open_index(path))):
        for _ in range(3):  # it waits, and for the lengths as for the index
            assert waits.acquire(timeout=20)
        assert found == []
        build()
        while waits.acquire(blocking=False):
            pass
    thread.join(20)
    assert found == [list_lengths(open_index(path))]
    assert calls == {"measure_pictures": 1, "measure_text": 1, "lengths": 1}


def test_who_waits_long_says_so(tmp_path, monkeypatch, capsys):
    path = write_rows(tmp_path, number_rows(5))
    open_index(path)
    naps = iter(range(130))

    def sleep(_: float) -> None:
        if next(naps, None) is None:
            raise KeyboardInterrupt

    monkeypatch.setattr(train.index.time, "sleep", sleep)
    with pytest.raises(KeyboardInterrupt):
        open_index(write_rows(tmp_path, number_rows(6)), builds=False)  # the old index is none of this file
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(", which ")[2] for line in lines] == [
        f"the first process builds ({waited} s)" for waited in (60, 120)
    ]


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


@pytest.mark.parametrize("torn", [False, True])
def test_a_picture_that_can_be_read_by_now_is_noticed(torn, tmp_path, calls):
    rows = [make_row("<image>", "A.", image="picture.png"), "{", make_row("<image>", "A.", image="lost.png")]
    path = write_rows(tmp_path, rows)
    if torn:
        (tmp_path / "picture.png").write_bytes(b"half")
    for _ in range(2):
        index = open_index(path)
        assert index.num_errors() == 3
        assert list_lengths(index) == [[-1] * 3, [-1] * 3]
    assert calls == {"measure_pictures": 1, "measure_text": 1, "lengths": 1}
    tiny_picture(tmp_path)
    for _ in range(2):
        index = open_index(path)
        assert [error.row for error in index.errors()] == [1, 2]
        assert index.text_tokens[0] > 0
        assert list_lengths(index)[1][1:] == [-1, -1]
    assert calls == {"measure_pictures": 2, "measure_text": 2, "lengths": 2}


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
    with pytest.raises(InputError, match=r"^index: expected a folder with room that can be written, got .*; name"):
        open_index(path, cache=tmp_path / "file")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"^index: expected an annotation file, got .*lost\.jsonl, which does not"):
        open_index(tmp_path / "lost.jsonl")
