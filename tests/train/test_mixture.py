"""The training mixture: what a meta file may say, which rows it stands for, and what is said about a wrong one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from internvl.conversation import Turn
from internvl.errors import InputError
from tests.tiny_run import make_row, write_meta
from train.mixture import JsonlFile, Mixture, Source, read_meta


def number_rows(count: int, begin: int = 0) -> list[dict[str, Any]]:
    return [make_row(f"What number?{k}", str(k)) for k in range(begin, begin + count)]


def answers(mixture: Mixture) -> list[int]:
    return [int(mixture[index][1].turns[-1].text) for index in range(len(mixture))]


def write_metas(folder: Path, entries: dict[str, Any]) -> Path:
    (folder / "meta.json").write_text(json.dumps(entries))
    return folder / "meta.json"


def refuse_meta(meta: Path, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        read_meta(meta)
    assert str(caught.value).startswith((str(meta), "data.meta_path"))


def test_an_entry_has_the_published_keys(tmp_path):
    meta = write_meta(tmp_path, number_rows(2), "numbers", length=12413, data_augment=False, repeat_time=1)
    assert read_meta(meta) == [Source("numbers", tmp_path, tmp_path / "numbers.jsonl", 1.0, None)]


def test_entries_keep_their_order(tmp_path):
    for name in "bac":
        write_meta(tmp_path, number_rows(1), name)
    entries = {name: json.loads((tmp_path / f"{name}.json").read_text())[name] for name in "bac"}
    assert [source.name for source in read_meta(write_metas(tmp_path, entries))] == ["b", "a", "c"]


def test_pictures_are_below_the_root_of_their_own_entry(tmp_path):
    rows = [make_row("<image>\nWhat?", "A.", image="a/b.png")]
    metas = [write_meta(tmp_path, rows, name, root=f"roots/{name}") for name in ("one", "two")]
    mixture = Mixture([source for meta in metas for source in read_meta(meta)])
    assert [mixture[index][1].images for index in range(2)] == [
        (Path("roots/one/a/b.png"),),
        (Path("roots/two/a/b.png"),),
    ]


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        (1, [0, 1, 2, 3, 4]),
        (1.0, [0, 1, 2, 3, 4]),
        (0.5, [0, 1]),
        (0.2, [0]),
        (2, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]),
        (2.0, [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]),
    ],
)
def test_repeat_time_takes_the_first_lines_or_whole_copies(repeat, expected, tmp_path):
    mixture = Mixture(read_meta(write_meta(tmp_path, number_rows(5), repeat_time=repeat)))
    assert answers(mixture) == expected


@pytest.mark.parametrize("repeat", [1.5, 0, -1, "2", None])
def test_another_repeat_time_is_refused(repeat, tmp_path):
    meta = write_meta(tmp_path, number_rows(5), repeat_time=repeat)
    refuse_meta(meta, InputError, r"rows: expected `repeat_time` below 1 or a whole number, got .*; correct it$")


def test_a_share_that_leaves_no_line_of_one_file_leaves_the_others(tmp_path):
    entries = {}
    for name, begin, repeat in (("a", 0, 0.1), ("b", 10, 1), ("c", 20, 0.1), ("d", 30, 2)):
        meta = write_meta(tmp_path, number_rows(2, begin), name, repeat_time=repeat)
        entries |= json.loads(meta.read_text())
    mixture = Mixture(read_meta(write_metas(tmp_path, entries)))
    assert answers(mixture) == [10, 11, 30, 31, 30, 31]
    mixture.check()


def test_a_share_that_leaves_no_line_at_all_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^data: expected at least one row, got none; raise `repeat_time`"):
        Mixture(read_meta(write_meta(tmp_path, number_rows(2), repeat_time=0.1)))


def test_random_access_equals_reading_in_order(tmp_path):
    texts = ["plain", "Gr\u00fc\u00dfe \u4f60\u597d", "\U0001f600 " * 40, "a\\nb", "a\u2028b"]
    rows = [make_row(f"{k} {texts[k % 5]}", f"{k}") for k in range(40)]
    path = tmp_path / "rows.jsonl"
    # Lines of all lengths and endings, blank ones between them, none at the end.
    endings = ["\n", "\r\n", "\n\n", "\n  \n"]
    lines = [json.dumps(row, ensure_ascii=k % 2 == 0) + endings[k % 4] for k, row in enumerate(rows)]
    path.write_bytes("".join(lines).rstrip().encode())
    file = JsonlFile(path)
    assert len(file) == 40
    assert [file.row(k)[1] for k in range(40)] == rows
    assert [file.row(k)[1] for k in reversed(range(40))] == rows[::-1]


def test_blank_lines_are_skipped_but_counted(tmp_path):
    text = "\n".join(["", json.dumps(number_rows(1)[0]), "   ", "", json.dumps(number_rows(2)[1]), ""])
    meta = write_meta(tmp_path, text)
    mixture = Mixture(read_meta(meta))
    assert answers(mixture) == [0, 1]
    assert [mixture[k][1].source for k in range(2)] == [f"{tmp_path}/rows.jsonl:2", f"{tmp_path}/rows.jsonl:5"]


@pytest.mark.parametrize("line", ['{"conversations": [', "not json", '{"a": 1} {"b": 2}'])
def test_a_line_that_is_no_json_is_named_with_file_and_line(line, tmp_path):
    meta = write_meta(tmp_path, json.dumps(number_rows(1)[0]) + f"\n\n{line}\n")
    mixture = Mixture(read_meta(meta))
    assert mixture[0][1].turns == (Turn("user", "What number?0"), Turn("assistant", "0"))
    for read in (lambda: mixture[1], mixture.check):
        with pytest.raises(InputError, match=rf"^{tmp_path}/rows\.jsonl:3: expected JSON, got .*; correct or remove"):
            read()


def test_a_line_that_is_no_text_is_named_with_file_and_line(tmp_path):
    meta = write_meta(tmp_path, "")
    (tmp_path / "rows.jsonl").write_bytes(b'{"conversations": "\xff\xfe"}\n')
    with pytest.raises(InputError, match=r"rows\.jsonl:1: expected JSON"):
        Mixture(read_meta(meta)).check()


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_annotation_file_is_named(text, tmp_path):
    with pytest.raises(InputError, match=rf"^{tmp_path}/rows\.jsonl: expected at least one row, got an empty file"):
        Mixture(read_meta(write_meta(tmp_path, text)))


def test_a_missing_annotation_file_is_named_with_its_entry(tmp_path):
    meta = write_meta(tmp_path, number_rows(1), annotation="lost.jsonl")
    refuse_meta(meta, FileNotFoundError, r"rows\.json: rows: expected the annotation file lost\.jsonl, which does not")


def test_a_missing_meta_file_is_named(tmp_path):
    refuse_meta(tmp_path / "lost.json", FileNotFoundError, r"^data\.meta_path: expected a JSON file, got .*lost\.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON, got "),
        ("[]", "expected an object of data sets, got none"),
        ("{}", "expected an object of data sets, got none"),
        ('{"a": 3}', "a: expected `root` and `annotation`, got 3"),
        ('{"a": {"root": "r"}}', "a: expected `root` and `annotation`"),
        ('{"a": {"root": 1, "annotation": "a.jsonl"}}', "a: expected `root` and `annotation`"),
    ],
)
def test_a_broken_meta_file_is_named(text, message, tmp_path):
    (tmp_path / "meta.json").write_text(text)
    refuse_meta(tmp_path / "meta.json", InputError, rf"meta\.json: {message}")


def test_augmentation_is_refused(tmp_path):
    meta = write_meta(tmp_path, number_rows(1), data_augment=True)
    refuse_meta(meta, InputError, "rows: expected `data_augment` false, got true; augmentation is not supported")


def test_every_entry_may_limit_its_tiles(tmp_path):
    mixture = Mixture(read_meta(write_meta(tmp_path, number_rows(1), max_dynamic_patch=3)))
    assert mixture[0][0].max_tiles == 3


@pytest.mark.parametrize("limit", [0, -1, "6", 1.5])
def test_another_limit_of_tiles_is_refused(limit, tmp_path):
    meta = write_meta(tmp_path, number_rows(1), max_dynamic_patch=limit)
    refuse_meta(meta, InputError, "rows: expected `max_dynamic_patch` of at least 1, got ")


@pytest.mark.parametrize("line", [1, 2, 7, 8])
def test_a_missing_picture_is_found_in_the_first_and_last_rows(line, tmp_path):
    rows = number_rows(8)
    rows[line - 1] = make_row("<image>\nWhat?", "A.", image="lost.png")
    mixture = Mixture(read_meta(write_meta(tmp_path, rows)))
    with pytest.raises(FileNotFoundError, match=rf"rows\.jsonl:{line}: expected the picture {tmp_path}/lost\.png"):
        mixture.check(limit=2)


def test_rows_in_between_and_rows_that_are_not_trained_on_are_not_looked_at(tmp_path):
    rows = number_rows(8)
    rows[3] = rows[7] = make_row("<image>\nWhat?", "A.", image="lost.png")
    Mixture(read_meta(write_meta(tmp_path, rows, repeat_time=0.9))).check(limit=2)


def test_every_file_is_looked_at(tmp_path):
    entries = json.loads(write_meta(tmp_path, number_rows(3), "a", repeat_time=3).read_text())
    bad = [*number_rows(3), make_row("<image>\nWhat?", "A.", image="lost.png")]
    entries |= json.loads(write_meta(tmp_path, bad, "b").read_text())
    with pytest.raises(FileNotFoundError, match=r"b\.jsonl:4: expected the picture"):
        Mixture(read_meta(write_metas(tmp_path, entries))).check()
