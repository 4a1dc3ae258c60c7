"""The command that makes converted files: what it writes, keeps, compares and refuses, and its exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluate import prepare_command
from evaluate.__main__ import main
from tests.evaluate.originals import prepare, write

GQA, OUTPUT = "data/gqa/testdev_balanced_questions.json", "data/gqa/llava_gqa_testdev_balanced_qwen_format.jsonl"
ROWS = {f"{number}": {"question": f"Is it {number}?", "answer": "yes", "imageId": "n1"} for number in range(3)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path, GQA, ROWS)
    return tmp_path


def list_files(root: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(root).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in root.rglob("*")
        if path.is_file()
    }


def test_a_file_is_made_once_with_its_sources_beside_it(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(root, "vqa-gqa-testdev") == 0
    output, errors = capsys.readouterr()
    assert output == f"{root / OUTPUT}: made, 3 rows, 291 B\n"
    assert errors.splitlines()[0].startswith(f"note: {root / OUTPUT}: whether the published questions end with")
    assert errors.splitlines()[1] == (
        f"note: {root / OUTPUT}: expected 12,578 rows as published, got 3; the originals may be incomplete"
    )
    files = list_files(root)
    assert set(files) == {GQA, OUTPUT, f"{OUTPUT}.source.json"}
    assert json.loads(files[f"{OUTPUT}.source.json"][1])["sources"][0]["path"] == GQA
    assert prepare(root, "vqa-gqa-testdev", "--force") == 0
    assert capsys.readouterr().out == f"{root / OUTPUT}: there already, the same, 3 rows, 291 B\n"
    assert list_files(root) == files
    (root / f"{OUTPUT}.source.json").unlink()
    assert prepare(root, "vqa-gqa-testdev") == 0
    assert list_files(root).keys() == files.keys()


def test_a_file_that_differs_is_kept_unless_it_is_forced(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(root, "vqa-gqa-testdev")
    path = root / OUTPUT
    made = path.read_bytes()
    path.write_bytes(made.replace(b'"yes"', b'"no"', 1))
    files = list_files(root)
    capsys.readouterr()
    assert prepare(root, "vqa-gqa-testdev") == 2
    assert list_files(root) == files
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {path}: expected no file, or one with the rows that the originals give, got another (`answer` differs "
        'in 1 of 3 rows, first in question_id \'0\': "no" is there, "yes" is made); keep it, or replace it with --force'
    )
    assert prepare(root, "vqa-gqa-testdev", "--force") == 0
    assert path.read_bytes() == made
    path.write_bytes(b'{"image": ')
    assert prepare(root, "vqa-gqa-testdev") == 2
    assert path.read_bytes() == b'{"image": '
    assert "expected the layout of a converted file" in capsys.readouterr().err
    assert prepare(root, "vqa-gqa-testdev", "--force") == 0
    assert path.read_bytes() == made


def test_the_same_rows_written_another_way_are_kept(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prepare(root, "vqa-gqa-testdev")
    rows = [json.loads(line) for line in (root / OUTPUT).read_text().splitlines()]
    write(root, OUTPUT, "".join(json.dumps(dict(reversed(row.items()))) + "\n" for row in rows))
    (root / f"{OUTPUT}.source.json").unlink()
    files = list_files(root)
    capsys.readouterr()
    assert prepare(root, "vqa-gqa-testdev") == 0
    assert "the same rows written another way, 3 rows" in capsys.readouterr().out
    assert list_files(root) == files


def test_comparing_writes_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = list_files(root)
    assert prepare(root, "vqa-gqa-testdev", "--compare") == 1
    assert capsys.readouterr().out == f"{root / OUTPUT}: is not there; nothing to compare with\n"
    assert list_files(root) == files
    prepare(root, "vqa-gqa-testdev")
    files = list_files(root)
    capsys.readouterr()
    assert prepare(root, "vqa-gqa-testdev", "--compare") == 0
    assert capsys.readouterr().out == f"{root / OUTPUT}: equal, 3 rows from the originals\n"
    write(root, GQA, ROWS | {"3": ROWS["0"]})
    assert prepare(root, "vqa-gqa-testdev", "--compare") == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{root / OUTPUT}: differs, 4 rows from the originals",
        "  3 rows there, 4 made",
        "  only made: 1 row, the first is question_id '3'",
    ]
    assert {name: file for name, file in list_files(root).items() if name != GQA} == {
        name: file for name, file in files.items() if name != GQA
    }


def test_missing_originals_are_named_once_with_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(tmp_path, "refcoco-val,refcoco-testA,caption-nocaps,vqa-ai2d-test-later") == 1
    output, errors = capsys.readouterr()
    lines = output.splitlines()
    assert lines[0] == "caption-nocaps: needs no conversion, its files are read as they are published"
    assert lines[1].startswith("vqa-ai2d-test-later: no rule makes data/ai2diagram/test_vlmevalkit.jsonl; docs/data/")
    folder = tmp_path / "data/refcoco/refcoco"
    start = f"missing: {folder}/refs(unc).p, for refcoco_val.jsonl, refcoco_testA.jsonl; get it: (mkdir -p data/refcoco"
    assert lines[2].startswith(start)
    assert lines[3].startswith(f"missing: {folder}/instances.json, for ")
    assert len(lines) == 4
    assert errors == ""
    for split in ("val", "testA"):
        write(tmp_path, f"data/refcoco/refcoco_{split}.jsonl", "{}\n")
    assert prepare(tmp_path, "refcoco-val,refcoco-testA") == 0
    assert capsys.readouterr().out.count("there already; not all of its originals are") == 2
    assert prepare(tmp_path, "refcoco-val", "--compare") == 1
    assert "missing: " in capsys.readouterr().out


def test_all_makes_what_can_be_made_and_a_mistake_stops_nothing(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, "data/ocrvqa/dataset.json", {})
    assert prepare(root, "all") == 2
    output, errors = capsys.readouterr()
    assert f"{root / OUTPUT}: made, 3 rows" in output
    assert "needs no conversion" not in output
    assert errors.count("error: ") == 2
    assert not list(root.rglob("*ocrvqa_*"))


def test_mistakes_in_the_command_are_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(root, "vqa-gqa-tesdev") == 2
    assert "error: benchmark: expected a known name, got 'vqa-gqa-tesdev'; did you mean" in capsys.readouterr().err
    assert prepare(root, "vqa-gqa-testdev", "--compare", "--force") == 2
    assert "error: --compare: expected no --force beside it" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["prepare"])


def test_originals_that_are_no_data_are_named_and_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / GQA
    for content, told in (
        (b"", "expected data in {path}, got an empty file"),
        (b"<!DOCTYPE html><html>", "expected data in {path}, got a web page"),
        (json.dumps(ROWS).encode()[:-9], "{path}: expected JSON in UTF-8, got"),
        ('{"0": {"question": "中文"}}'.encode("gbk"), "{path}: expected JSON in UTF-8, got"),
        (b"[]", "{path}: expected an object with entries by id, got another layout"),
        (b"{}", "{path}: expected rows for " + OUTPUT + ", got none"),
        (b'{"0": {"question": null}}', "{path}: entry '0': expected a text as `imageId`, got no `imageId`"),
    ):
        write(tmp_path, GQA, content)
        assert prepare(tmp_path, "vqa-gqa-testdev") == 2
        output, errors = capsys.readouterr()
        assert output == ""
        assert errors.startswith("error: ")
        assert errors.count("\n") == 1
        assert told.format(path=path) in errors
        assert set(list_files(tmp_path)) == {GQA}


def test_a_kill_in_the_middle_leaves_no_file(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*given: object) -> None:
        raise KeyboardInterrupt

    before = list_files(root)
    monkeypatch.setattr(prepare_command, "write", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(root, "vqa-gqa-testdev")
    assert list_files(root) == before
