"""Demonstration data of the VQA family: ids and right answers, whatever the layout; moving pictures of covers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from evaluate.benchmark import find
from evaluate.demo.vqa import MORE, QUESTIONS, TEXTS, WRITERS


def test_every_writer_knows_the_answer_to_every_question(tmp_path: Path) -> None:
    for name, write in WRITERS.items():
        for texts in (QUESTIONS, TEXTS.get(name, MORE)):
            root = tmp_path / name / str(len(texts))
            answers = write(root, texts)
            [benchmark] = find(name)
            samples = replace(benchmark, size=None).load(root)
            assert sorted(answers) == sorted(sample.id for sample in samples)
            assert all(text in sample.prompt.turns[0].text for text, sample in zip(texts, samples, strict=True))


def test_covers_are_pictures_of_three_formats_and_options_hold_the_answer(tmp_path: Path) -> None:
    WRITERS["vqa-ocrvqa-val"](tmp_path, MORE)
    paths = sorted((tmp_path / "data/ocrvqa/images").iterdir())
    assert {path.read_bytes()[:3] for path in paths if path.suffix == ".gif"} == {b"GIF"}
    assert {path.suffix for path in paths} == {".gif", ".jpg", ".png"}
    WRITERS["vqa-ai2d-test"](tmp_path, TEXTS["vqa-ai2d-test"])
    [benchmark] = find("vqa-ai2d-test")
    for sample in replace(benchmark, size=None).load(tmp_path):
        assert f", {sample.target[0]}, " in sample.prompt.turns[0].text
