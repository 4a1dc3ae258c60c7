"""MME: two yes-or-no questions about each picture, in ten categories of perception and four of cognition.

Data: docs/data/mme.md. Rule: accuracy plus accuracy of pairs, summed over categories. Published numbers come from one
unseeded draw with beams; answers are greedy here, as in the later code. `mme-v1.2-sampling` draws as published (five
beams, `top_k` 50, `top_p` 0.9), a sample at a time with a seed of its own, so that any number of devices gives the same
texts; transformers of today starts with one beam and not with five equal ones, so that the first draws are not quite as
published. `python -m evaluate.benchmarks.mme` writes the tables of questions from the folders that the authors publish.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evaluate.benchmark import V1_2, Benchmark, Parity
from evaluate.data_file import read_text
from evaluate.questions import show_question
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.mme import CATEGORIES, MmeScorer, MmeTarget, clean_answer
from evaluate.submission import Layout, check_rows, read_texts, write_text
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError

PROMPT = "Answer the question using a single word or phrase."
TABLE = Layout({"picture": str, "question": str, "right": str, "answer": str})
"""What the authors' script reads, between tabs."""
RELEASES = ("MME_Benchmark_release_version", "MME_Benchmark_release")
"""Names of the folder that the authors publish."""
_SUFFIXES = (".jpg", ".png", ".jpeg")
_ANSWERS = ("Yes", "No")


@dataclass(frozen=True)
class Mme(Benchmark):
    """A table of questions per category, and pictures in folders of our own or of the authors."""

    folder: str = "data/mme"

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(f"{self.folder}/Your_Results/{category}.txt" for category in CATEGORIES)

    @property
    def metric(self) -> str:
        return "points of perception"

    def samples(self, root: Path) -> Sequence[Sample]:
        samples = []
        for category, file in zip(CATEGORIES, self.files, strict=True):
            pictures = _find_pictures(root / self.folder, category)
            counts: Counter[str] = Counter()
            answers: dict[str, set[str]] = {}
            places: dict[str, str] = {}
            for where, name, question, answer in _read_table(root / file):
                counts[name] += 1
                places.setdefault(name, where)
                answers.setdefault(name, set()).add(answer)
                prompt = Conversation.ask(f"{question} {PROMPT}", pictures / name, source=where)
                target = MmeTarget(answer == "Yes", category, name)
                samples.append(Sample(f"{category}/{name}/{counts[name]}", prompt, target))
            for name, count in counts.items():
                if count != 2:
                    raise InputError(
                        f"{places[name]}: expected two questions about {name}, got {count}; get the data again"
                    )
                if self.size is not None and len(answers[name]) != 2:
                    raise InputError(
                        f"{places[name]}: expected a Yes and a No about {name}, got {answers[name].pop()} twice; "
                        "get the data again"
                    )
        return samples

    def scorer(self) -> Scorer:
        return MmeScorer()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        """A table per category, which the authors' script reads."""
        tables: dict[str, list[dict[str, str]]] = {category: [] for category in CATEGORIES}
        texts = read_texts(predictions, samples)
        for sample in samples:
            row = {
                "picture": sample.target.picture,
                "question": show_question(sample),
                "right": "Yes" if sample.target.positive else "No",
                # A carriage return ends a line for the script, too; the published code takes line feeds alone out.
                "answer": clean_answer(texts[sample.id]).replace("\r", " "),
            }
            tables[sample.target.category].append(row)
        for category, rows in tables.items():
            check_rows(rows, TABLE, name=f"submission/{category}.txt")
        (folder / "submission").mkdir(exist_ok=True)
        for category, rows in tables.items():
            text = "".join("\t".join(row.values()) + "\n" for row in rows)
            write_text(folder / "submission" / f"{category}.txt", text)


def write_tables(folder: Path) -> list[Path]:
    """Write the tables from the release that lies in a folder.

    Raises:
        InputError: the release is not complete.
    """
    release = _find_release(folder)
    if release is None:
        raise MissingError(f"{folder / RELEASES[0]}: expected a folder, which does not exist; docs/data/mme.md helps")
    tables = {category: list(read_release(release / category)) for category in CATEGORIES}
    for category, rows in tables.items():
        if not rows:
            raise MissingError(f"{release / category}: expected questions, which do not exist; get the data again")
    written = []
    for category, rows in tables.items():
        path = folder / "Your_Results" / f"{category}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
        written.append(path)
    return written


def _find_release(folder: Path) -> Path | None:
    return next((folder / name for name in RELEASES if (folder / name).is_dir()), None)


def _find_pictures(folder: Path, category: str) -> Path:
    """The folder that the pictures of a category lie in."""
    places = [folder / "images" / category]
    release = _find_release(folder)
    if release is not None:
        places += [release / category / "images", release / category]
    return next((place for place in places if place.is_dir()), places[0])


def _read_table(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """`file:line`, picture, question and answer of every line."""
    for where, line in _read_lines(path):
        cells = line.split("\t")
        if len(cells) != 3 or cells[2] not in _ANSWERS or not cells[0].strip():
            raise InputError(
                f"{where}: expected picture, question and Yes or No between tabs, got {line[-60:]!r}; get it again"
            )
        yield where, cells[0], cells[1], cells[2]


def read_release(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Questions in a text file per picture: beside it, or in a folder beside that of the pictures."""
    texts = folder / "questions_answers_YN" if (folder / "questions_answers_YN").is_dir() else folder
    pictures = folder / "images" if (folder / "images").is_dir() else folder
    found = {path.stem: path.name for path in sorted(pictures.glob("*")) if path.suffix.lower() in _SUFFIXES}
    for path in sorted(texts.glob("*.txt")):
        if path.stem not in found:
            raise MissingError(f"{path}: expected its picture in {pictures}, which does not exist; get the data again")
        for where, line in _read_lines(path):
            question, _, answer = line.rstrip().rpartition("\t")
            if answer not in _ANSWERS:
                raise InputError(
                    f"{where}: expected a question, a tab, and Yes or No, got {line[-60:]!r}; get the file again"
                )
            yield found[path.stem], question.replace("\t", " "), answer


def _read_lines(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if line.strip():
            yield f"{path}:{number}", line


_SAMPLING = Generation(max_new_tokens=20, num_beams=5, temperature=1.0, top_k=50, top_p=0.9)
_AUTHORS = "https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models/tree/Evaluation"
_DIFFERENCES = {
    "lmms-eval": "leaves the request for yes or no out of the question, pairs questions by id, and takes `y` and `n`.",
    "VLMEvalKit": "reads answers alike, pairs questions by picture, and calls the two sums perception and reasoning.",
}
_PARITY = Parity(
    "InternVL v1.2.2 `calculation.py`",
    ("prompts", "mme"),
    V1_2,
    variant="prompts and rule of v1.2.2, answered greedily as in 2025",
    differences=_DIFFERENCES,
)
_MME = Mme(
    "mme",
    title="MME",
    size=2374,
    protocol="internvl-later",
    generation=Generation(max_new_tokens=20),
    parity=_PARITY,
    preparation=(
        "mkdir -p data/mme && cd data/mme",
        f"# the authors: {_AUTHORS}",
        "wget https://huggingface.co/OpenGVLab/InternVL/resolve/main/MME_Benchmark_release_version.zip",
        "unzip MME_Benchmark_release_version.zip",
        "cd ../.. && python -m evaluate.benchmarks.mme  # writes data/mme/Your_Results/",
    ),
)
BENCHMARKS = [
    _MME,
    replace(
        _MME,
        name="mme-v1.2-sampling",
        title="MME, drawn",
        protocol="near-internvl-v1.2",
        generation=_SAMPLING,
        parity=replace(
            _PARITY,
            variant="as published but for a seed, and for one beam at the start where there were five equal ones",
        ),
    ),
]


def main() -> int:
    """Write the tables below the current folder."""
    try:
        for path in write_tables(Path("data/mme")):
            print(path)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
