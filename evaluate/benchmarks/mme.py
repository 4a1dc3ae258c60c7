"""MME: two yes-or-no questions about each picture, in ten categories of perception and four of cognition.

Data: docs/data/mme.md. Rule: accuracy plus accuracy of pairs, summed over categories. Published numbers come from one
unseeded draw with beams; answers are greedy here, as in the later code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluate.benchmark import Benchmark, Parity
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.mme import CATEGORIES, MmeScorer, MmeTarget, clean_answer
from internvl.conversation import Conversation
from internvl.errors import InputError, MissingError

PROMPT = "Answer the question using a single word or phrase."
_RELEASES = ("MME_Benchmark_release_version", "MME_Benchmark_release")
_SUFFIXES = (".jpg", ".png", ".jpeg")
_Question = tuple[str, Path, str, str]


@dataclass(frozen=True)
class Mme(Benchmark):
    """Questions in a table per category (`Your_Results/`), or beside each picture as the authors publish them."""

    folder: str = "data/mme"

    @property
    def files(self) -> tuple[str, ...]:
        return ()  # one of three layouts, and none of them is a must

    @property
    def metric(self) -> str:
        return "points of perception"

    def samples(self, root: Path) -> Sequence[Sample]:
        folder = root / self.folder
        tables = folder / "Your_Results"
        release = next((folder / name for name in _RELEASES if (folder / name).is_dir()), None)
        if release is None and not tables.is_dir():
            raise MissingError(
                f"{self.name}: expected {folder / _RELEASES[0]} or {tables}, which do not exist; "
                f"docs/data/{self.name}.md says how to get them"
            )
        samples = []
        for category in CATEGORIES:
            if tables.is_dir():
                pictures = _find_pictures(folder, release, category)
                questions = list(_read_table(tables / f"{category}.txt", pictures))
            else:
                questions = list(_read_release(release / category)) if release else []
            counts: Counter[str] = Counter()
            for where, picture, question, answer in questions:
                if answer not in ("Yes", "No"):
                    raise InputError(f"{where}: expected Yes or No as answer, got {answer!r}; get the file again")
                counts[picture.name] += 1
                prompt = Conversation.ask(f"{question} {PROMPT}", picture, source=where)
                target = MmeTarget(answer == "Yes", category, picture.name)
                samples.append(Sample(f"{category}/{picture.name}/{counts[picture.name]}", prompt, target))
            for name, count in counts.items():
                if count != 2:
                    raise InputError(
                        f"{self.name}: expected two questions about {category}/{name}, got {count}; get the data again"
                    )
        return samples

    def scorer(self) -> Scorer:
        return MmeScorer()

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        """A table per category, which the authors' script reads."""
        texts = {prediction.id: prediction.text for prediction in predictions}
        (folder / "submission").mkdir(exist_ok=True)
        for category in CATEGORIES:
            lines = [
                "\t".join(
                    (
                        sample.target.picture,
                        sample.prompt.turns[-1].text.removeprefix("<image>\n"),
                        "Yes" if sample.target.positive else "No",
                        clean_answer(texts[sample.id]),
                    )
                )
                for sample in samples
                if sample.target.category == category
            ]
            text = "".join(f"{line}\n" for line in lines)
            (folder / "submission" / f"{category}.txt").write_text(text, encoding="utf-8")


def _find_pictures(folder: Path, release: Path | None, category: str) -> Path:
    """The folder that the pictures of a category lie in."""
    places = [folder / "images" / category]
    if release is not None:
        places += [release / category / "images", release / category]
    return next((place for place in places if place.is_dir()), places[0])


def _read_table(path: Path, pictures: Path) -> Iterator[_Question]:
    for where, line in _read_lines(path):
        cells = line.split("\t")
        if len(cells) != 3:
            raise InputError(
                f"{where}: expected picture, question and answer between tabs, got {len(cells)} cells; "
                "get the file again"
            )
        yield where, pictures / cells[0], cells[1], cells[2]


def _read_release(folder: Path) -> Iterator[_Question]:
    """Questions in a text file per picture: beside it, or in a folder beside that of the pictures."""
    texts = folder / "questions_answers_YN" if (folder / "questions_answers_YN").is_dir() else folder
    pictures = folder / "images" if (folder / "images").is_dir() else folder
    found = {path.stem: path for path in sorted(pictures.glob("*")) if path.suffix.lower() in _SUFFIXES}
    for path in sorted(texts.glob("*.txt")):
        if path.stem not in found:
            raise MissingError(f"{path}: expected its picture in {pictures}, which does not exist; get the data again")
        for where, line in _read_lines(path):
            question, tab, answer = line.rpartition("\t")
            if not tab:
                raise InputError(f"{where}: expected question, tab and answer, got no tab; get the file again")
            yield where, found[path.stem], question, answer.strip()


def _read_lines(path: Path) -> Iterator[tuple[str, str]]:
    if not path.is_file():
        raise MissingError(f"{path}: expected questions, which do not exist; docs/data/mme.md says how to get them")
    try:
        text = path.read_text(encoding="utf-8")
    except ValueError as error:
        raise InputError(f"{path}: expected text in UTF-8, got {error}; get the file again") from None
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield f"{path}:{number}", line


_AUTHORS = "https://github.com/BradyFU/Awesome-Multimodal-Large-Language-Models/tree/Evaluation"
BENCHMARKS = [
    Mme(
        "mme",
        size=2374,
        protocol="internvl-later",
        generation=Generation(max_new_tokens=20),
        parity=Parity("InternVL v1.2.2 `calculation.py`", ("prompts", "mme")),
        preparation=(
            "mkdir -p data/mme && cd data/mme",
            f"# the authors: {_AUTHORS}",
            "wget https://huggingface.co/OpenGVLab/InternVL/resolve/main/MME_Benchmark_release_version.zip",
            "unzip MME_Benchmark_release_version.zip",
        ),
    ),
]
