"""A worker class as a predictor: questions with placeholders, pictures as files, equally many in a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from evaluate.memory import is_memory
from evaluate.messages import read_picture
from evaluate.milebench.buckets import plan_buckets
from evaluate.predictor_file import explain_errors
from evaluate.sample import Generation
from evaluate.token_gauge import TokenGauge
from evaluate.worker import PLACEHOLDER, Config
from internvl.conversation import Conversation, Picture
from internvl.errors import InputError, MissingError
from internvl.tokens import IMAGE_SLOT

_KINDS = {"image/jpeg": ".jpg", "image/png": ".png"}


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt as a worker takes it.

    Attributes:
        name: of the sample, or where it came from.
        text: with a placeholder for every picture.
        tokens: about as many as it has.
    """

    name: str
    text: str
    pictures: tuple[Picture, ...]
    tokens: int


class QuestionWriter:
    """Makes questions of conversations.

    Args:
        per_picture: tokens of a picture.
    """

    def __init__(self, per_picture: int) -> None:
        self.per_picture = per_picture

    def __call__(self, chat: Conversation) -> Question:
        """One question; its pictures stay where they are.

        Raises:
            InputError: a picture is not there, or a worker cannot be asked this.
        """
        if len(chat.dialogue) != 1:
            raise InputError(
                f"{chat.source}: expected one question, because workers take no dialogue, got {len(chat.dialogue)} "
                "turns; evaluate this model through an adapter file"
            )
        if chat.video is not None:
            from internvl.video import read_video

            chat = chat.with_frames(read_video(chat.video))
        text = "\n".join(turn.text for turn in chat.turns)  # there is no other place for a system turn
        if PLACEHOLDER in text:
            raise InputError(
                f"{chat.source}: expected a question without {PLACEHOLDER}, which stands for a picture, got one with "
                "it; evaluate this model through an adapter file"
            )
        for picture in chat.images:
            if isinstance(picture, Path) and not picture.is_file():
                raise MissingError(
                    f"{chat.source}: picture: expected a file, got {picture}, which does not exist; check the root "
                    "folder of its annotation file"
                )
        # About as many as there are is enough to put batches into order, and needs no tokenizer.
        tokens = len(text) // 4 + self.per_picture * len(chat.images)
        return Question(chat.source, text.replace(IMAGE_SLOT, PLACEHOLDER), chat.images, tokens)


class QuestionGauge(QuestionWriter, TokenGauge):
    """Makes questions, and measures them with the worker's tokenizer: what a protocol counts, without a template."""

    def __init__(self, per_picture: int, tokenizer: Any) -> None:
        QuestionWriter.__init__(self, per_picture)
        TokenGauge.__init__(self, tokenizer)

    def count(self, chat: Conversation) -> int:
        """Tokens of words and pictures."""
        words = "\n".join(turn.text for turn in chat.turns).replace(IMAGE_SLOT, "")
        return self.count_text(words) + self.per_picture * len(chat.images)


class WorkerPredictor:
    """Asks a worker.

    Args:
        worker: an object of its class, loaded.
        gen_kwargs: of its entry.
        per_picture: tokens of a picture.
        device: where the model is.
        batch_image: most pictures of a call; None for any number.
    """

    prepares_here = True

    def __init__(
        self,
        worker: Any,
        gen_kwargs: Mapping[str, Any],
        per_picture: int,
        device: Any,
        batch_image: int | None = None,
    ) -> None:
        tokenizer = getattr(worker, "tokenizer", None)
        counts = can_count(tokenizer)
        self.processor = QuestionGauge(per_picture, tokenizer) if counts else QuestionWriter(per_picture)
        self.worker = worker
        self.gen_kwargs = {key: value for key, value in gen_kwargs.items() if key != "seed"}  # set before each call
        self.device = device
        self.batch_image = batch_image
        self.context = find_context(getattr(worker, "model", None))

    def measure(self, prompt: Question) -> int:
        """Tokens of a question."""
        return prompt.tokens

    def generate(self, batch: Sequence[Question], generation: Generation) -> list[str | InputError]:
        """One text per question; the questions of one call have equally many pictures, as such classes may expect."""
        answers: list[str | InputError] = [""] * len(batch)
        buckets = plan_buckets([len(question.pictures) for question in batch], self.batch_image)
        for places in (places for bucket in buckets for places in bucket.batches()):
            for place, answer in zip(places, self._ask([batch[place] for place in places], generation), strict=True):
                answers[place] = answer
        return answers

    def _ask(self, questions: Sequence[Question], generation: Generation) -> Sequence[str | InputError]:
        """Texts of questions with equally many pictures; what has no readable pictures is an error of its own."""
        with TemporaryDirectory(prefix="pictures-") as folder:
            written = [write_pictures(question, Path(folder, str(row))) for row, question in enumerate(questions)]
            readable = [row for row, paths in enumerate(written) if not isinstance(paths, InputError)]
            try:
                texts = self._call([questions[row] for row in readable], [written[row] for row in readable], generation)
            except Exception as error:
                # Only now: a picture that nobody can read is rare, and looking at every one takes time.
                if is_memory(error):
                    raise
                written = [paths if isinstance(paths, InputError) else read_all(paths) for paths in written]
                left = [row for row, paths in enumerate(written) if not isinstance(paths, InputError)]
                if len(left) == len(readable):
                    raise
                readable = left
                texts = self._call([questions[row] for row in readable], [written[row] for row in readable], generation)
        if len(readable) == len(questions):
            return texts
        told = dict(zip(readable, texts, strict=True))
        return [_name(paths, questions[row]) if row not in told else told[row] for row, paths in enumerate(written)]

    def _call(self, questions: Sequence[Question], paths: Sequence[Any], generation: Generation) -> list[Any]:
        if not questions:
            return []
        if generation.draws:
            import torch

            torch.manual_seed(generation.seed)
        self.worker.gen_kwargs = Config({**self.gen_kwargs, **generation.options()})
        kind = type(self.worker).__name__
        with explain_errors(f"forward of {kind}"):
            rows = self.worker(
                device=self.device,
                id=[question.name for question in questions],
                question=[question.text for question in questions],
                image_path=[*paths],
                gt_response=[""] * len(questions),  # no model is told the answer
            )
            texts = [row["pred_response"] for row in rows]
        if len(texts) != len(questions):
            raise InputError(f"model: expected {len(questions)} rows of {kind}, got {len(texts)}; correct the class")
        return texts


def can_count(tokenizer: Any) -> bool:
    """Whether a tokenizer is called as those of transformers are; other kinds are of no use to protocols."""
    try:
        return TokenGauge(tokenizer).count_text("one word") > 0
    except Exception:  # of whatever the class has put there
        return False


def find_context(model: Any) -> int | None:
    """Tokens of prompt and answer that a model of transformers has positions for; None where it does not tell."""
    config = getattr(model, "config", None)
    for part in ("text_config", "llm_config", "language_config", None):
        found: Any = config if part is None else getattr(config, part, None)
        if hasattr(found, "to_dict"):
            from internvl.model.decode import measure_context

            longest, _ = measure_context(found.to_dict())
            if longest is not None:
                return longest
    return None


def write_pictures(question: Question, folder: Path) -> list[str] | InputError:
    """Files of all pictures; those that are none are written to the folder."""
    paths = []
    try:
        for number, picture in enumerate(question.pictures):
            if isinstance(picture, Path):
                paths.append(str(picture.absolute()))
                continue
            kind, content = read_picture(picture)
            folder.mkdir(exist_ok=True)
            path = folder / f"{number}{_KINDS[kind]}"
            path.write_bytes(content)
            paths.append(str(path))
    except InputError as error:
        return error
    return paths


def read_all(paths: Sequence[str]) -> list[str] | InputError:
    """The paths, if pictures can be read from all of them."""
    from internvl.tiler import open_picture

    try:
        for path in paths:
            open_picture(Path(path))
    except InputError as error:
        return error
    return [*paths]


def _name(error: Any, question: Question) -> InputError:
    return type(error)(f"{question.name}: {error}")
