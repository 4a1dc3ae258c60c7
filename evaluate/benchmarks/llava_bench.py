"""LLaVA-Bench (in the wild): 60 questions about 24 pictures, each answer rated by a judge beside one of GPT-4.

Data: docs/data/llava-bench.md. Rule: the model's ratings over the reference's. The judge reads captions and sees no
picture, so numbers of different judges cannot be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.jsonl import is_id, read_rows
from evaluate.judging import Rubric
from evaluate.rubrics.llava_review import LlavaReview
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.llava_bench import CATEGORIES, FAILED, LlavaScorer, LlavaTarget, read_pair
from evaluate.submission import pair, write_rows
from internvl.conversation import Conversation
from internvl.errors import InputError

FOLDER = "data/llava-bench-in-the-wild"
PROMPT = "Please give a detailed answer."


@dataclass(frozen=True)
class LlavaBench(Benchmark):
    """Three files: questions, captions of pictures, and answers of GPT-4; joined by ids and names, not by their order.

    Attributes:
        further: as in `LlavaReview`.
    """

    folder: str = FOLDER
    further: int = 0

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(f"{self.folder}/{name}.jsonl" for name in ("questions", "context", "answers_gpt4"))

    @property
    def metric(self) -> str:
        return "rating over GPT-4's"

    def samples(self, root: Path) -> Sequence[Sample]:
        questions, context, answers = (root / file for file in self.files)
        captions: dict[str, str] = {}
        for where, row in read_rows(context, "image"):
            _check_texts(where, row, "image")
            if row["image"] in captions:
                raise InputError(f"{where}: expected each picture once, got {row['image']} again; get the file again")
            captions[row["image"]] = _read_captions(where, row)
        references: dict[Any, dict[str, Any]] = {}
        for where, row in read_rows(answers, "question_id", "answer_id", "text"):
            _check_texts(where, row, "answer_id", "text")
            if not is_id(row["question_id"]) or row["question_id"] in references:
                raise InputError(
                    f"{where}: expected a question_id of its own, got {row['question_id']!r}; get the file again"
                )
            references[row["question_id"]] = row
        samples = []
        for where, row in read_rows(questions, "question_id", "image", "text", "category"):
            key, image = row["question_id"], row["image"]
            _check_texts(where, row, "image", "text")
            if not is_id(key):
                raise InputError(f"{where}: expected a number or a text as question_id, got {key!r}; get it again")
            for path, known, name in ((context, captions, image), (answers, references, key)):
                if name not in known:
                    raise InputError(f"{path}: expected {name!r} of {where}, got none; get the three files again")
            if row["category"] not in CATEGORIES:
                raise InputError(
                    f"{where}: expected a category of {', '.join(CATEGORIES)}, got {row['category']!r}; "
                    "get the file again"
                )
            reference = references[key]
            target = LlavaTarget(row["text"], captions[image], reference["text"], row["category"])
            info = {"question_id": key, "answer1_id": reference["answer_id"]}
            picture = root / self.folder / "images" / image
            samples.append(
                Sample(str(key), Conversation.ask(f"{row['text']} {PROMPT}", picture, source=where), target, info)
            )
        if left := references.keys() - {sample.info["question_id"] for sample in samples}:
            raise InputError(
                f"{answers}: expected the questions of {questions.name}, got {min(left, key=str)!r} beside them; "
                "get the three files again"
            )
        return samples

    def scorer(self) -> Scorer:
        return LlavaScorer()

    def rubric(self) -> Rubric:
        return LlavaReview(further=self.further)

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        model = folder.resolve().parent.name
        rows = (
            {"question_id": s.info["question_id"], "text": p.text, "model_id": model, "metadata": {}}
            for p, s in pair(predictions, samples)
        )
        write_rows(folder / "llava_bench_results.jsonl", rows)

    def review(
        self,
        predictions: Sequence[Prediction],
        verdicts: Sequence[str],
        samples: Sequence[Sample],
        folder: Path,
        account: Mapping[str, Any] | None = None,
    ) -> None:
        write_rows(folder / "llava_bench_results_review.jsonl", list_reviews(verdicts, samples))


def list_reviews(verdicts: Sequence[str], samples: Sequence[Sample]) -> Iterator[dict[str, Any]]:
    """The published file of reviews, which the published summary reads."""
    for number, (said, sample) in enumerate(zip(verdicts, samples, strict=True), 1):
        yield {
            "id": number,
            "question_id": sample.info["question_id"],
            "answer1_id": sample.info["answer1_id"],
            "answer2_id": sample.info["question_id"],
            "category": f"llava_bench_{sample.target.category}",
            "content": str(said),
            "tuple": list(read_pair(said) or FAILED),
        }


def _check_texts(where: str, row: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if not isinstance(row[key], str):
            raise InputError(f"{where}: expected a text as {key}, got {str(row[key])[:40]}; get the file again")


def _read_captions(where: str, row: dict[str, Any]) -> str:
    """One text; several captions stand in a line each."""
    captions = row.get("caption", row.get("captions"))
    lines = [captions] if isinstance(captions, str) else captions
    if not isinstance(lines, list) or not all(isinstance(line, str) for line in lines):
        raise InputError(f"{where}: expected a text or texts as caption, got {str(captions)[:60]}; get the file again")
    return "\n".join(lines)


_DIFFERENCES = {
    "lmms-eval": "asks without the request for detail, reads the first two numbers of the first line, judge gpt-4o.",
    "VLMEvalKit": "judge gpt-4-turbo, another request after the question.",
}
BENCHMARKS = [
    LlavaBench(
        "llava-bench",
        title="LLaVA-Bench",
        size=60,
        judged=True,
        generation=Generation(max_new_tokens=1000),
        parity=Parity("InternVL v1.2.2 `eval/llava_bench`", ("prompts", "llava_bench"), V1_2, differences=_DIFFERENCES),
        preparation=(f"hf download liuhaotian/llava-bench-in-the-wild --repo-type dataset --local-dir {FOLDER}",),
    ),
]
