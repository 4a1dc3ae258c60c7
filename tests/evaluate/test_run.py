"""Runs: what belongs together is told by the fingerprint, and no number is made from a part of a benchmark."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from evaluate.baselines import withhold_pictures
from evaluate.benchmark import Benchmark
from evaluate.fitting import Limits
from evaluate.predictor import PredictorInfo
from evaluate.records import PartWriter
from evaluate.report import Report
from evaluate.run import Run, find_version, gather, score
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import MeanScorer, Scorer, Scores
from evaluate.scorers.exact_match import exact_match
from evaluate.scorers.vqa_accuracy import VQATarget, vqa_accuracy
from internvl.conversation import Conversation, Turn, Video
from internvl.errors import InputError

QUESTION = Conversation.ask("What is it?", Path("a.png"))
FILM = Conversation((Turn("user", "<video>\nWhat is it?"),), video=Video(Path("a.mp4"), (1.0, 2.0)))
SAMPLES = (
    Sample("1", QUESTION, "cat", {"kind": "animal"}),
    Sample("2", Conversation.ask("And this?", b"a picture in a table"), "dog"),
    Sample("3", Conversation.ask("Why?"), ["because", "so"]),
)
ANSWERS = (Prediction("1", "Cat "), Prediction("2", "cow"), Prediction("3", "", "shelf:3: gone"))


@dataclass(frozen=True)
class Shelf(Benchmark):
    rule: Scorer | None = None

    @property
    def files(self) -> tuple[str, ...]:
        return ()

    @property
    def metric(self) -> str:
        return "anything"

    def samples(self, root: Path) -> Sequence[Sample]:
        return SAMPLES

    def scorer(self) -> Scorer | None:
        return self.rule

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        rows = [f"{sample.id} {prediction.text}" for sample, prediction in zip(samples, predictions, strict=True)]
        (folder / "submission.txt").write_text("\n".join(rows))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(
        benchmark=Shelf("shelf", protocol="official", rule=exact_match()),
        spec="fake:cat",
        info=PredictorInfo("fake_cat", "fake:cat"),
        samples=SAMPLES,
        generation=Generation(),
        folder=tmp_path / "fake_cat" / "shelf",
    )


def store(run: Run, *predictions: Prediction) -> None:
    writer = PartWriter(run.folder, 0)
    writer.write(predictions)
    writer.close()


def clusters(run: Run) -> list[str]:
    return [sample.cluster for sample in run.samples]


def with_first(sample: Sample) -> Callable[[Run], Run]:
    return lambda run: replace(run, samples=(sample, *run.samples[1:]))


CHANGES: dict[str, tuple[Callable[[Run], Run], str]] = {
    "question": (with_first(replace(SAMPLES[0], prompt=Conversation.ask("What?", Path("a.png")))), "prompts"),
    "picture file": (with_first(replace(SAMPLES[0], prompt=Conversation.ask("What is it?", Path("b")))), "prompts"),
    "picture bytes": (with_first(replace(SAMPLES[0], prompt=Conversation.ask("What is it?", b"b"))), "prompts"),
    "clip of a video": (with_first(replace(SAMPLES[0], prompt=FILM)), "prompts"),
    "sample id": (with_first(replace(SAMPLES[0], id="one")), "prompts"),
    "order": (lambda run: replace(run, samples=run.samples[::-1]), "prompts"),
    "fewer samples": (lambda run: replace(run, samples=run.samples[:2]), "prompts"),
    "pictures withheld": (lambda run: replace(run, samples=withhold_pictures(run.samples)), "prompts"),
    "checkpoint": (lambda run: replace(run, info=PredictorInfo("fake_cat", "fake:dog")), "model"),
    "generation": (lambda run: replace(run, generation=Generation(num_beams=3)), "generation"),
    "protocol": (lambda run: replace(run, benchmark=replace(run.benchmark, protocol="other")), "protocol"),
}


@pytest.mark.parametrize("name", list(CHANGES))
def test_other_run_in_the_same_folder_is_refused_until_started_anew(run: Run, name: str) -> None:
    change, part = CHANGES[name]
    run.open(fresh=False)
    store(run, *ANSWERS)
    changed = change(run)
    with pytest.raises(InputError, match=f"expected the {part} of the run that lies there, got others; .* --fresh or"):
        changed.open(fresh=False)
    assert run.todo() == [], "a refusal deletes nothing"
    changed.open(fresh=True)
    assert changed.todo() == list(changed.samples)
    changed.open(fresh=False)


def test_settings_that_led_to_no_answer_bind_nobody(run: Run) -> None:
    run.forget()
    other = replace(run, limits=Limits(4096, 256))
    for text, binds in (("", False), ('{"id": "1", "te', True)):
        other.open(fresh=True)
        (run.folder / "part-0.jsonl").write_text(text)
        run.forget()
        assert any(run.folder.iterdir()) == binds


def test_two_differences_are_both_named(run: Run) -> None:
    run.open(fresh=False)
    other = replace(run, generation=Generation(max_new_tokens=1), info=PredictorInfo("fake_cat", "x"))
    with pytest.raises(InputError, match=r"expected the model and generation of the run"):
        other.open(fresh=False)


def test_other_targets_are_refused_and_can_be_scored(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.open(fresh=False)
    other = replace(run, samples=tuple(replace(sample, target="fish") for sample in SAMPLES))
    with pytest.raises(
        InputError, match="expected the targets of the run that lies there, got others; score the stored"
    ):
        other.open(fresh=False)
    older = json.loads((run.folder / "run.json").read_text())
    del older["targets"]
    (run.folder / "run.json").write_text(json.dumps(older))
    other.open(fresh=False)  # that folder does not tell


def test_what_is_known_once_the_model_is_loaded_must_stay_as_it_was(run: Run) -> None:
    run.open(fresh=False)
    assert run.settled() == {}
    run.settle("precision", "bfloat16")
    run.settle("precision", "bfloat16")
    assert run.settled() == {"precision": "bfloat16"}
    run.open(fresh=False)
    with pytest.raises(
        InputError, match="expected the precision of the run that lies there, bfloat16, got float32; go on"
    ):
        run.settle("precision", "float32")


class Credulous:
    """A rule of its own that takes an empty answer for the right one, and does not ask whether there is an answer."""

    name, primary, higher_is_better = "credulous", "accuracy", True

    def __call__(self, predictions: Sequence[str], targets: Sequence[Any]) -> Scores:
        values = tuple(float(text in ("", target)) for text, target in zip(predictions, targets, strict=True))
        return Scores({"accuracy": sum(values)}, values)


def test_a_sample_that_failed_is_never_credited(run: Run) -> None:
    run.open(fresh=False)
    store(run, Prediction("1", ""), Prediction("2", "", "too long"), Prediction("3", "no"))
    generous = MeanScorer("generous", lambda prediction, target: float(prediction in ("", target)))
    report = score(replace(run, benchmark=Shelf("shelf", rule=generous)), clusters(run))
    assert report is not None
    assert report.score == pytest.approx(100 / 3), "the empty answer, and not the failure"
    with pytest.raises(
        InputError, match="expected rule credulous to give nothing for a sample that failed, got points"
    ):
        score(replace(run, benchmark=Shelf("shelf", rule=Credulous())), clusters(run))


def test_fresh_start_keeps_the_results_beside_it(run: Run) -> None:
    beside = replace(run, folder=run.folder.with_name("table"))
    for one in (run, beside):
        one.open(fresh=False)
        store(one, *ANSWERS)
    run.open(fresh=True)
    assert len(run.todo()) == 3
    assert beside.todo() == []


def test_what_is_left_keeps_the_published_order(run: Run) -> None:
    run.open(fresh=False)
    store(run, ANSWERS[1])
    assert [sample.id for sample in run.todo()] == ["1", "3"]


def test_missing_predictions_make_no_number(run: Run) -> None:
    run.open(fresh=False)
    store(run, ANSWERS[1])
    with pytest.raises(
        InputError, match=r"shelf: expected 3 predictions in .*, got 1 \(missing: 1, 3\); run the command that"
    ):
        score(run, clusters(run))
    assert sorted(path.name for path in run.folder.iterdir()) == ["part-0.jsonl", "run.json"]


def test_long_list_of_missing_predictions_is_cut(run: Run) -> None:
    many = replace(run, samples=[Sample(f"{number}", QUESTION) for number in range(5)])
    many.open(fresh=False)
    with pytest.raises(InputError, match=r"got 0 \(missing: 0, 1, 2, \.\.\.\)"):
        score(many, clusters(many))


def test_report_counts_errors_as_wrong_and_shows_their_number(run: Run) -> None:
    run.open(fresh=False)
    store(run, *ANSWERS[::-1])
    report = score(run, clusters(run))
    assert report is not None
    assert report.score == pytest.approx(100 / 3)
    assert (report.num_samples, report.num_errors, report.num_unparsed) == (3, 1, 0)
    assert (report.benchmark, report.model, report.protocol) == ("shelf", "fake_cat", "official")
    assert report.interval is not None
    assert report.interval[0] < report.score < report.interval[1]
    assert report.settings["scorer"] == "exact_match"
    assert report.settings.keys() == {*("prompts", "targets", "model", "generation", "protocol", "scorer", "versions")}


def test_one_record_per_sample_says_what_happened(run: Run) -> None:
    run.open(fresh=False)
    store(run, *ANSWERS)
    score(run, clusters(run))
    lines = (run.folder / "samples.jsonl").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    first, second, third = map(json.loads, lines)
    assert first == {
        "id": "1",
        "prompt": "<image>\nWhat is it?",
        "images": ["a.png"],
        "prediction": "Cat ",
        "error": None,
        "target": "cat",
        "score": 1.0,
        "cluster": 0,
        "kind": "animal",
    }
    assert (second["images"], second["score"]) == (["<20 bytes>"], 0.0)
    assert (third["error"], third["target"], third["score"]) == ("shelf:3: gone", ["because", "so"], 0.0)


def test_decoded_pictures_are_told_apart_and_named_by_their_size(run: Run) -> None:
    red, blue = (
        replace(run, samples=[Sample("1", Conversation.ask("What?", Image.new("RGB", (4, 3), color)), "cat")])
        for color in ("red", "blue")
    )
    assert red.fingerprint()["prompts"] != blue.fingerprint()["prompts"]
    red.open(fresh=True)
    store(red, Prediction("1", "cat"))
    score(red, clusters(red))
    line = json.loads((red.folder / "samples.jsonl").read_text(encoding="utf-8"))
    assert line["images"] == ["<4 x 3 pixels>"]


def test_dataclass_targets_are_written_too(run: Run) -> None:
    target = VQATarget(("cat",) * 10, "what")
    vqa = replace(run, benchmark=Shelf("shelf", rule=vqa_accuracy()), samples=[Sample("1", QUESTION, target)])
    vqa.open(fresh=False)
    store(vqa, ANSWERS[0])
    report = score(vqa, clusters(vqa))
    assert report is not None
    assert report.metrics["accuracy"] == report.metrics["accuracy/question_type=what"] == 100
    assert report.interval is None, "a single picture has no interval"
    assert json.loads((vqa.folder / "samples.jsonl").read_text())["target"]["answers"] == ["cat"] * 10


def test_scoring_twice_writes_the_same_bytes(run: Run) -> None:
    run.open(fresh=False)
    store(run, *ANSWERS)
    written: list[dict[str, bytes]] = []
    reports: list[Report | None] = []
    for _ in range(2):
        reports.append(score(run, clusters(run)))
        written.append({path.name: path.read_bytes() for path in run.folder.iterdir()})
    assert written[0] == written[1]
    assert reports[0] == reports[1]
    assert written[0].keys() == {
        *("part-0.jsonl", "predictions.jsonl", "run.json", "report.json", "samples.jsonl", "submission.txt")
    }


def test_answers_of_all_parts_become_one_file_in_the_order_of_the_samples(run: Run) -> None:
    run.open(fresh=False)
    store(run, ANSWERS[2])
    gather(run)
    assert not (run.folder / "predictions.jsonl").exists(), "a part of the answers is no result"
    writer = PartWriter(run.folder, 1)
    writer.write([Prediction("stray", "?"), ANSWERS[1], ANSWERS[0]])
    writer.close()
    gather(run)
    written = (run.folder / "predictions.jsonl").read_bytes()
    assert [Prediction(**json.loads(line)) for line in written.splitlines()] == list(ANSWERS)
    (run.folder / "predictions.jsonl").unlink()
    score(run, clusters(run))
    assert (run.folder / "predictions.jsonl").read_bytes() == written


def test_stored_answers_for_other_samples_are_left_out(run: Run) -> None:
    run.open(fresh=False)
    store(run, *ANSWERS, Prediction("stray", "cat", "gone"))
    report = score(run, clusters(run))
    assert report is not None
    assert (report.num_samples, report.num_errors) == (3, 1)


def test_unscored_sample_is_out_of_score_and_interval(run: Run) -> None:
    rule = MeanScorer("picky", lambda prediction, target: 1.0 if prediction else None)
    picky = replace(run, benchmark=Shelf("shelf", rule=rule))
    picky.open(fresh=False)
    store(picky, *ANSWERS)
    report = score(picky, clusters(picky))
    assert report is not None
    assert (report.score, report.interval) == (100.0, (100.0, 100.0))
    assert json.loads((run.folder / "samples.jsonl").read_text().splitlines()[2])["score"] is None


def test_benchmark_without_a_rule_writes_its_submission_and_no_number(run: Run) -> None:
    hidden = replace(run, benchmark=Shelf("shelf"))
    hidden.open(fresh=False)
    store(hidden, *ANSWERS)
    assert score(hidden, clusters(hidden)) is None
    assert (hidden.folder / "submission.txt").read_text() == "1 Cat \n2 cow\n3 "
    assert not (hidden.folder / "report.json").exists()


def test_blind_run_has_a_name_of_its_own_and_keeps_ids_targets_and_words(run: Run) -> None:
    blind = replace(run, baseline="blind", samples=withhold_pictures(run.samples))
    assert (run.name, blind.name) == ("shelf", "shelf-blind")
    assert [(s.id, s.target, s.info) for s in blind.samples] == [(s.id, s.target, s.info) for s in SAMPLES]
    assert [s.prompt.turns[-1].text for s in blind.samples] == ["What is it?", "And this?", "Why?"]
    assert all(sample.prompt.images == () for sample in blind.samples)


def test_answers_of_unknown_origin_are_not_taken(run: Run) -> None:
    run.open(fresh=False)
    store(run, *ANSWERS)
    (run.folder / "run.json").unlink()
    with pytest.raises(InputError, match=r"expected run\.json beside the stored answers, got none, .*; start anew"):
        run.open(fresh=False)
    run.open(fresh=True)
    assert len(run.todo()) == 3


@pytest.mark.parametrize("content", ["{", "[]"])
def test_broken_description_of_a_run_is_named(run: Run, content: str) -> None:
    run.open(fresh=False)
    (run.folder / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"run\.json: expected .*; start anew with --fresh"):
        run.open(fresh=False)


def test_folder_that_cannot_be_deleted_does_not_pass_for_a_fresh_one(run: Run, tmp_path: Path) -> None:
    beside = replace(run, folder=tmp_path / "elsewhere")
    beside.open(fresh=False)
    store(beside, *ANSWERS)
    run.folder.parent.mkdir()
    run.folder.symlink_to(beside.folder)
    with pytest.raises(InputError, match=r"expected a folder that --fresh can delete, got .*; delete it, or choose"):
        run.open(fresh=True)


def test_rule_that_fails_is_told_with_its_line(run: Run) -> None:
    run.folder.mkdir(parents=True)
    store(run, *ANSWERS)
    broken = replace(run, benchmark=Shelf("shelf", rule=MeanScorer("broken", lambda text, target: 1 / 0)))
    with pytest.raises(InputError, match=r"got ZeroDivisionError in .*test_run\.py:\d+: division by zero; correct"):
        score(broken, clusters(run))


def test_half_of_a_character_is_stored(run: Run) -> None:
    run.folder.mkdir(parents=True)
    store(run, Prediction("1", "cat\ud83d"), *ANSWERS[1:])
    score(run, clusters(run))
    assert json.loads((run.folder / "samples.jsonl").read_bytes().splitlines()[0])["prediction"] == "cat?"


def test_run_without_a_single_answer_says_why(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run.folder.mkdir(parents=True)
    store(run, *(Prediction(sample.id, "", f"{sample.id}: too long") for sample in SAMPLES))
    assert score(run, clusters(run)).num_errors == 3
    assert capsys.readouterr().err == "warning: shelf: no sample has an answer; the first error: 1: too long\n"


def test_version_of_a_package_is_the_installed_one() -> None:
    for package in ("torch", "pytest"):
        assert find_version(package) == importlib.metadata.version(package)
    assert find_version("no_such_package") == "not installed"
