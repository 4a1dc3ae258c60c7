"""Inst-It Bench: questions about numbered objects in pictures and in the frames of videos, with options and in words.

Data: docs/data/inst-it-image-mc.md; the tables of the hub (`image_multi_choice/`, ...), or, where there is none, its
lists (`image_multi_choices.json`, ... with `images_vpt/`). Rules: the right letter among answers with a letter; the
mean of a judge's scores between 0 and 1. The frames of a video are all shown, with their numbers.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from evaluate.answers import Answers, read_answers
from evaluate.benchmark import Benchmark, Parity
from evaluate.even_frames import EvenFrames
from evaluate.inst_it_files import Kind, is_list, match_rows, name_inference, read_inference, write_inference, write_log
from evaluate.inst_it_prompts import LETTERS, Split, word_choice, word_open
from evaluate.inst_it_table import write_table
from evaluate.jsonl import read_json
from evaluate.judging import Rubric
from evaluate.parquet import check_picture, find_shards, read_table
from evaluate.processes import find_place
from evaluate.rubrics.inst_it_score import InstItScore
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.inst_it_choice import InstItChoiceScorer
from evaluate.scorers.inst_it_open import InstItReference, inst_it_open
from evaluate.submission import read_texts
from internvl.conversation import FRAME_LABEL, Conversation, Picture
from internvl.errors import InputError, MissingError
from internvl.tokens import IMAGE_SLOT

FOLDER = "data/inst-it-bench"
VIDEOS = "videos_vpt"
_PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_TABLES: dict[Kind, str] = {"mc": "multi_choice", "oe": "open_ended"}
_LISTS: dict[Kind, str] = {"mc": "multi_choices", "oe": "open_ended"}
_CHOICES = tuple(f"choice_{letter.lower()}" for letter in LETTERS)
_MOMENT = re.compile(r"<(\d{1,4})>")


@dataclass(frozen=True)
class InstItBench(Benchmark):
    """One of the four tasks.

    Attributes:
        about: pictures or videos.
        kind: with options, or in words.
    """

    about: Split = "image"
    kind: Kind = "mc"

    @property
    def files(self) -> tuple[str, ...]:
        return (f"{FOLDER}/{self._table}/test-00000-of-00001.parquet",)

    def choose_files(self, root: Path) -> tuple[str, ...]:
        shards = sorted((root / FOLDER / self._table).glob("test-*.parquet"))
        if shards:
            return tuple(f"{FOLDER}/{self._table}/{path.name}" for path in shards)
        return (self._list,) if (root / self._list).exists() else self.files

    @property
    def _table(self) -> str:
        return f"{self.about}_{_TABLES[self.kind]}"

    @property
    def _list(self) -> str:
        return f"{FOLDER}/{self.about}_{_LISTS[self.kind]}.json"

    @property
    def metric(self) -> str:
        return "accuracy of answers with a letter" if self.kind == "mc" else "mean score of answers"

    def samples(self, root: Path) -> Sequence[Sample]:
        is_table = self.choose_files(root)[0] != self._list
        rows = self._read_table(root) if is_table else self._read_list(root / self._list)
        listed: dict[str, list[Path]] = {}
        samples = []
        for where, row in rows:
            pictures: Sequence[Picture]
            if self.about == "video":
                name = row["media"]
                if name not in listed:
                    listed[name] = list_frames(_find_folder(root / FOLDER, name, where))
                pictures = listed[name]
            else:
                pictures = [row["media"] if is_table else root / FOLDER / row["media"]]
            samples.append(self._make_sample(where, row, pictures))
        return samples

    def _read_table(self, root: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        texts = ("question_id", "question", "answer", *(_CHOICES if self.kind == "mc" else ()))
        media = ("video_path",) if self.about == "video" else ()
        for path in find_shards(root / FOLDER / self._table, "test"):
            for where, row in read_table(path, (*texts, *media), () if media else ("image",)):
                _check_texts(where, row, *texts, *media)
                options = {letter: row.get(name) for letter, name in zip(LETTERS, _CHOICES, strict=True)}
                yield where, {**row, "options": options, "media": _pick_media(row, where)}

    def _read_list(self, path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
        rows = read_json(path)
        if not isinstance(rows, list):
            raise InputError(f"{path}: expected a list of questions, got {type(rows).__name__}; get the file again")
        for number, row in enumerate(rows, 1):
            where = f"{path}: question {number}"
            if not isinstance(row, dict):
                raise InputError(f"{where}: expected an object, got {str(row)[:40]}; get the file again")
            _check_texts(where, row, "question_id", "question", "answer", f"{self.about}_path")
            options = row.get("options")
            whole = isinstance(options, dict) and all(isinstance(options.get(letter), str) for letter in LETTERS)
            if self.kind == "mc" and not whole:
                raise InputError(
                    f"{where}: expected texts as options A, B, C and D, got {str(options)[:60]}; get the file again"
                )
            yield where, {**row, "media": row[f"{self.about}_path"]}

    def _make_sample(self, where: str, row: dict[str, Any], pictures: Sequence[Picture]) -> Sample:
        question, answer = row["question"], row["answer"]
        if not row["question_id"]:
            raise InputError(f"{where}: expected a question_id, got an empty one; get the file again")
        target: Any = InstItReference(question, answer, self.about)
        if self.kind == "oe":
            text = word_open(self.about, question)
        else:
            text, target = word_choice(self.about, question, row["options"]), answer
            if answer not in LETTERS:
                raise InputError(f"{where}: expected A, B, C or D as answer, got {answer[:40]!r}; get the file again")
        info = {"question": question, "ground_truth": answer}
        if self.about == "image":
            return Sample(row["question_id"], Conversation.ask(text, *pictures, source=where), target, info)
        labels = "".join(f"{FRAME_LABEL.format(k)}{IMAGE_SLOT}\n" for k in range(1, len(pictures) + 1))
        chat = replace(Conversation.ask(labels + text, *pictures, source=where), one_tile_each=True)
        return Sample(row["question_id"], chat, target, info, EvenFrames())

    def examine(self, root: Path) -> tuple[list[Sample], list[InputError]]:
        """What can be read, with notes about which form of the data that was, and what is strange about its videos."""
        samples, errors = super().examine(root)
        if samples and find_place().is_first:
            notes = [f"questions of {self.choose_files(root)[0]}"]
            checks = (tell_order, tell_names, tell_moments) if self.about == "video" else ()
            notes += filter(None, (check(samples) for check in checks))
            for note in notes:
                print(f"note: {self.name}: {note}", file=sys.stderr)
        return samples, errors

    def scorer(self) -> Scorer:
        return InstItChoiceScorer() if self.kind == "mc" else inst_it_open()

    def rubric(self) -> Rubric | None:
        return InstItScore(strips=True) if self.kind == "oe" else None

    def match_answers(self, path: Path, samples: Sequence[Sample]) -> Answers:
        """The published file, or lines as of any tool."""
        if not path.is_file() or not is_list(path):
            return read_answers(path, samples)
        return match_rows(path, read_inference(path, self.kind), samples, self.about)

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        read_texts(predictions, samples)
        write_inference(folder / name_inference(self.about, self.kind), predictions, samples, self.about)

    def review(
        self,
        predictions: Sequence[Prediction],
        verdicts: Sequence[str],
        samples: Sequence[Sample],
        folder: Path,
        account: Mapping[str, Any] | None = None,
    ) -> None:
        write_log(folder, (predictions, verdicts, samples), self.about, self.kind, account)

    def tabulate(self, folder: Path) -> list[str]:
        return write_table(folder)


def _pick_media(row: dict[str, Any], where: str) -> str | Picture:
    return str(row["video_path"]) if "video_path" in row else check_picture(row["image"], where)


def list_frames(folder: Path) -> list[Path]:
    """The pictures of a folder by the last number in their names; by name, where one has none.

    Raises:
        InputError: there are none.
    """
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in _PICTURES and path.name[0] != ".")
    if not paths:
        raise InputError(f"{folder}: expected pictures, got none; unzip {VIDEOS}.zip again")
    numbered = [(number, path) for path in paths if (number := read_number(path)) is not None]
    return [path for _, path in sorted(numbered)] if len(numbered) == len(paths) else paths


def read_number(path: Path) -> int | None:
    """The last number in the name of a frame."""
    found = re.findall(r"\d+", path.stem)
    return int(found[-1]) if found else None


def _find_folder(root: Path, name: str, where: str) -> Path:
    """The frames of a video, whether or not its path begins with the folder that the archive makes."""
    folder = next((path for path in (root / name, root / VIDEOS / name) if path.is_dir()), None)
    if folder is None:
        raise MissingError(
            f"{where}: expected the folder of frames {root / name}, which does not exist; run unzip "
            f"{root / VIDEOS}.zip -d {root}"
        )
    return folder


def tell_order(samples: Sequence[Sample]) -> str:
    """What is said where names and numbers order the frames of a video otherwise; empty where they do not."""
    folders: dict[Path, None] = {}
    for sample in samples:
        names = [path.name for path in sample.prompt.images if isinstance(path, Path)]
        path = sample.prompt.images[0]
        if names != sorted(names) and isinstance(path, Path):
            folders[path.parent] = None
    if not folders:
        return ""
    return (
        f"videos whose frames are in another order by name than by number: {len(folders)} "
        f"({next(iter(folders)).name}, ...); the number counts"
    )


def tell_names(samples: Sequence[Sample]) -> str:
    """What is said where names leave open which frame is which: two of one number, or one of all without a number."""
    found: dict[Path, str] = {}
    for sample in samples:
        paths = [path for path in sample.prompt.images if isinstance(path, Path)]
        numbers = list(map(read_number, paths))
        twins = [place for place, (one, next_one) in enumerate(pairwise(numbers)) if one == next_one is not None]
        if twins:
            path, after = paths[twins[0] : twins[0] + 2]
            found.setdefault(path.parent, f"{path.parent.name} with {path.name} and {after.name}")
        elif None in numbers and len(set(numbers)) > 1:
            path = paths[numbers.index(None)]
            found.setdefault(path.parent, f"{path.parent.name} with {path.name}, so that names are the order")
    if not found:
        return ""
    told = "; ".join(list(found.values())[:3])
    return f"videos with frames of one number, or of none: {len(found)} ({told}); all are shown, are copies among them?"


def tell_moments(samples: Sequence[Sample]) -> str:
    """What is said where questions name a moment after the last frame; empty where none does."""
    late = []
    for sample in samples:
        text, count = f"{sample.info['question']} {sample.info['ground_truth']}", len(sample.prompt.images)
        last = max(map(int, _MOMENT.findall(text)), default=0)
        if last > count:
            late.append(f"{sample.id} with <{last}> of {count}")
    if not late:
        return ""
    return f"questions that name a moment after the last frame: {len(late)} ({', '.join(late[:3])}); are frames lost?"


def _check_texts(where: str, row: dict[str, Any], *keys: str) -> None:
    for key in keys:
        if not isinstance(row.get(key), str):
            raise InputError(f"{where}: expected a text as {key}, got {str(row.get(key))[:40]}; get the file again")


_NONE = "has no Inst-It Bench, as far as its code was read."
_PARITY = Parity(
    "inst-it `inst-it-bench/` at 6d7bd50",
    ("instit_prompts", "instit_mc"),
    "not known",
    variant=(
        "a label before every frame; greedy; a sample that failed is wrong in the headline, and out of "
        "`accuracy_official`"
    ),
    differences=dict.fromkeys(("lmms-eval", "VLMEvalKit"), _NONE),
)
_DOWNLOAD = f"hf download Inst-IT/Inst-It-Bench --repo-type dataset --local-dir {FOLDER}"
_UNZIP = f"unzip -q {FOLDER}/{VIDEOS}.zip -d {FOLDER}"
_IMAGE = InstItBench(
    "inst-it-image-mc",
    title="Inst-It Bench",
    split="image MC",
    protocol="inst-it-official",
    groups=("inst-it",),
    packages=("pyarrow",),
    generation=Generation(max_new_tokens=128),
    parity=_PARITY,
    preparation=(
        _DOWNLOAD,
        "# where there are lists and no tables:",
        f"unzip -q {FOLDER}/images_vpt.zip -d {FOLDER}",
    ),
)
_VIDEO = replace(
    _IMAGE, name="inst-it-video-mc", about="video", split="video MC", size=1001, preparation=(_DOWNLOAD, _UNZIP)
)
_OPEN: dict[str, Any] = {
    "kind": "oe",
    "judged": True,
    "parity": replace(_PARITY, families=("instit_prompts", "instit_oe")),
}
BENCHMARKS = [
    _IMAGE,
    replace(_IMAGE, name="inst-it-image-oe", split="image OE", **_OPEN),
    _VIDEO,
    replace(_VIDEO, name="inst-it-video-oe", split="video OE", **_OPEN),
]
