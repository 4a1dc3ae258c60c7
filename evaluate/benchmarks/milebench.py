"""MileBench: questions about up to a hundred pictures at a time, in 29 datasets.

Data: docs/data/milebench.md. Rule: by dataset, the letter or the text of a choice, Rouge-L, or a needle that is found.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evaluate.answers import Answers, Outputs
from evaluate.benchmark import Benchmark, Parity
from evaluate.milebench.annotations import Question, read_questions
from evaluate.milebench.datasets import DATASETS, Dataset
from evaluate.milebench.files import write_files
from evaluate.milebench.fitting import KeepEnd
from evaluate.milebench.original import find_outputs, keep_answers, match_answers
from evaluate.milebench.prompt import PLACEHOLDER, Variant, hide, join, match_pictures, show_slots, word_context
from evaluate.milebench.screen import tabulate
from evaluate.processes import find_place
from evaluate.sample import Generation, Prediction, Sample
from evaluate.scorer import Scorer
from evaluate.scorers.milebench import SCORERS, Rule, check_target, choose_rule
from evaluate.scorers.milebench_target import MilebenchTarget, name_level
from internvl.conversation import Conversation, Turn
from internvl.errors import InputError
from internvl.tokens import IMAGE_SLOT

FOLDER = "data/MileBench"
_METRICS: dict[Rule, str] = {"choice": "accuracy", "needle": "accuracy", "rouge": "Rouge-L of distinct words"}
_NUM_NAMED = 8


@dataclass(frozen=True)
class MileBench(Benchmark):
    """One dataset: a file of annotations beside a folder of pictures.

    Attributes:
        dataset: its name as published.
        variant: whose prompts.
        is_combined: show one picture with all others in it.
        suffix: of the file of annotations; the adversarial ones have another.
        one_tile_each: pictures are not cut into tiles, as there are many of them.
        folder: of all datasets.
    """

    dataset: str = ""
    variant: Variant = "published"
    is_combined: bool = False
    suffix: str = ""
    one_tile_each: bool = True
    folder: str = FOLDER
    protocol: str = "milebench"
    generation: Generation = field(default_factory=lambda: Generation(max_new_tokens=512))
    page: str = "milebench"

    @property
    def files(self) -> tuple[str, ...]:
        return (f"{self.folder}/{self.dataset}/{self.dataset}{self.suffix}.json",)

    @property
    def rule(self) -> Rule:
        """How answers are scored."""
        return choose_rule(self.dataset, DATASETS[self.dataset].kind)

    @property
    def metric(self) -> str:
        return _METRICS[self.rule]

    def samples(self, root: Path) -> Sequence[Sample]:
        path = root / self.files[0]
        kind, questions = read_questions(path)
        self._check_kind(path, kind)
        samples, odd = [], []
        for question in questions:
            if self.rule == "choice" and question.choices is None:
                raise InputError(
                    f"{question.where}: expected a `choice_list`, as the questions are {kind}, got none; get the file "
                    "again"
                )
            target = MilebenchTarget(question.answer, question.choices or (), len(question.pictures), self.dataset)
            check_target(target, self.rule, question.where)
            context = word_context(
                self.dataset,
                hide(question.context, PLACEHOLDER),
                question.choices and tuple(hide(choice, PLACEHOLDER) for choice in question.choices),
                len(question.pictures),
                self.variant,
                is_combined=self.is_combined,
            )
            if not self.is_combined and context.count(PLACEHOLDER) != len(question.pictures):
                odd.append(str(question.number))
            samples.append(self._make_sample(root, question, context, target, kind))
        if odd and find_place().is_first:
            shown = ", ".join(odd[:_NUM_NAMED]) + (", ..." if len(odd) > _NUM_NAMED else "")
            print(
                f"note: {self.name}: {len(odd)} of {len(samples)} samples have another number of pictures than of "
                f"places for them ({shown}); the first ones that are too many are left out",
                file=sys.stderr,
            )
        return samples

    def scorer(self) -> Scorer:
        return SCORERS[self.rule]()

    def match_answers(self, path: Path, samples: Sequence[Sample]) -> Answers:
        return match_answers(path, samples)

    def find_outputs(self, folder: Path) -> Outputs:
        return find_outputs(folder, self.dataset)

    def keep_answers(self, source: Path, folder: Path) -> None:
        keep_answers(source, folder)

    def submission(self, predictions: Sequence[Prediction], samples: Sequence[Sample], folder: Path) -> None:
        write_files(predictions, samples, folder)

    def tabulate(self, folder: Path) -> list[str]:
        return tabulate(folder)

    def _check_kind(self, path: Path, kind: str) -> None:
        """Refuse questions that the rule of this dataset does not score."""
        try:
            fits = choose_rule(self.dataset, kind) == self.rule
        except InputError:
            fits = False
        if not fits:
            wanted = DATASETS[self.dataset].kind
            raise InputError(f"{path}: expected {wanted} as `question_type`, got {kind!r}; get the file again")

    def _make_sample(self, root: Path, question: Question, context: str, target: MilebenchTarget, kind: str) -> Sample:
        published = hide(question.instruction, PLACEHOLDER)
        instruction = hide(published, IMAGE_SLOT)
        if self.is_combined:
            pictures = [self._find_combined(question)]
            text = f"{IMAGE_SLOT}\n{instruction}\n{hide(context, IMAGE_SLOT)}"
        else:
            context, count = match_pictures(context, len(question.pictures))
            pictures = [f"images/{name}" for name in question.pictures[len(question.pictures) - count :]]
            text = f"{instruction}\n{show_slots(context)}"
        paths = [f"{self.folder}/{self.dataset}/{name}" for name in pictures]
        placeholder = IMAGE_SLOT if self.variant == "internvl" else PLACEHOLDER
        asked = join(published, context, is_combined=self.is_combined)
        return Sample(
            str(question.number),
            Conversation(
                (Turn("user", text),),
                tuple(root / path for path in paths),
                one_tile_each=self.one_tile_each,
                source=question.where,
            ),
            target,
            {
                "sample_id": question.number,
                "dataset": self.dataset,
                "question": asked.replace(PLACEHOLDER, placeholder),
                "all_images": [f"{self.folder}/{self.dataset}/images/{name}" for name in question.pictures],
                "gt_response": question.answer,
                "level": name_level(len(question.pictures)),
                "question_type": kind,
            },
            KeepEnd(instruction, self.is_combined, placeholder),
        )

    def _find_combined(self, question: Question) -> str:
        """The one picture with all others in it; a file that names none leaves it at the published name."""
        names = question.combined or (f"{question.number}-0.jpg",)
        if len(names) > 1:
            raise InputError(
                f"{question.where}: expected one picture in `combined_1_images`, got {len(names)}; get the file again"
            )
        return f"combined_1_images/{names[0]}"


_ARCHIVES = (
    "ActionLocalization ActionPrediction ActionSequence CharacterOrder ALFRED",
    "CounterfactualInference EgocentricNavigation CLEVR-Change DocVQA GPR1200",
    "MovingAttribute MovingDirection IEdit MMCoQA MultiModalQA ImageNeedleInAHaystack",
    "ObjectExistence ObjectInteraction ObjectShuffle SceneTransition StateChange nuscenes",
    "OCR-VQA SlideVQA Spot-the-Diff",
    "TQA WebQA WikiVQA TextNeedleInAHaystack",
)
_PARTS = {name: number for number, names in enumerate(_ARCHIVES) for name in names.split()}
"""Which of the published archives a dataset is in."""
_DIFFERENCES = dict.fromkeys(("lmms-eval", "VLMEvalKit"), "does not have it.")
_FAMILIES = {"choice": "milebench_multichoice", "needle": "milebench_needle", "rouge": "milebench_rouge"}
_OTHER = (
    "where nobody says how long a prompt may be, it is cut to what the model has room for; batches are of like length, "
    "not of so many pictures as `--batch-image` says; the ablations are `milebench-combined`, `milebench-internvl` and "
    "`milebench-adv`"
)
_AREAS = {"T": "temporal", "S": "semantic"}


def _make(dataset: Dataset) -> MileBench:
    """The published one."""
    archive = f"MileBench_part{_PARTS[dataset.name]}.tar.gz"
    kinds = ("milebench-realistic", f"milebench-{_AREAS[dataset.code[0]]}") if dataset.is_realistic else ()
    return MileBench(
        f"milebench-{dataset.name.lower()}",
        title="MileBench",
        split=dataset.name,
        size=dataset.size,
        groups=("milebench", *(kinds or ("milebench-diagnostic",)), f"milebench-{dataset.code}"),
        dataset=dataset.name,
        parity=Parity(
            "MileBench `utils.py` and `evaluate.py` at 9583e1f",
            ("milebench_prompt", "milebench_process", _FAMILIES[choose_rule(dataset.name, dataset.kind)]),
            "not known",
            variant=_OTHER,
            differences=_DIFFERENCES,
        ),
        preparation=(
            f"hf download FreedomIntelligence/MileBench {archive} --repo-type dataset --local-dir data",
            f"mkdir -p {FOLDER} && tar -xzf data/{archive} -C {FOLDER}",
            f"# every dataset is a folder right below {FOLDER}",
        ),
    )


def _vary(benchmark: MileBench, ending: str, title: str, **changes: Any) -> MileBench:
    """The same questions asked otherwise; it is found by name and by its group alone."""
    return replace(
        benchmark,
        name=f"{benchmark.name}-{ending}",
        title=f"MileBench, {title}",
        groups=(f"milebench-{ending}",),
        unlisted=True,
        **changes,
    )


def _vary_all(benchmarks: Sequence[MileBench]) -> Iterator[MileBench]:
    for benchmark in benchmarks:
        assert benchmark.parity is not None
        yield _vary(benchmark, "combined", "one combined picture", is_combined=True)
        yield _vary(
            benchmark,
            "internvl",
            "InternVL's prompts",
            variant="internvl",
            protocol="v2pe",
            generation=Generation(max_new_tokens=32),
            parity=replace(
                benchmark.parity,
                official="V2PE's copy of MileBench",
                variant="asks for the letter as InternVL's benchmarks do, and answers end after 32 tokens",
            ),
        )
        if DATASETS[benchmark.dataset].is_realistic:  # how many questions the others have is not known
            yield _vary(benchmark, "adv", "adversarial", suffix="-adv", size=None)


_PUBLISHED = [_make(dataset) for dataset in DATASETS.values()]
BENCHMARKS = [*_PUBLISHED, *_vary_all(_PUBLISHED)]
