"""The processor: one object that turns a conversation into tensors, for training (labels) and prediction (open reply).

A picture is one placeholder in the text that the tokenizer sees; its id is then repeated once per visual token. The
special tokens around it make that exact, and thousands of literal placeholders never pass through the tokenizer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from internvl.augment import make_augmented_tiles
from internvl.conversation import Conversation, Picture, StoredPicture, Turn, Video
from internvl.errors import InputError
from internvl.folder import read_config
from internvl.hub import find_folder
from internvl.template import ChatTemplate, find_template
from internvl.tiler import ImageTiler, open_picture, read_size
from internvl.tokenizer import read_tokenizer
from internvl.tokens import IGNORE_INDEX, IMAGE_CONTEXT, IMAGE_END, IMAGE_START

Row = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Encoded:
    """Token ids and labels of one conversation."""

    input_ids: list[int]
    labels: list[int]


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """What a model is asked, ready for it.

    Attributes:
        input_ids: one placeholder per visual token, in its place.
        pictures: the uint8 tiles of each picture; questions about the same picture that are prepared one after the
            other hold the same tensor.
    """

    input_ids: list[int]
    pictures: tuple[Tensor, ...]


class InternVLProcessor:
    """Conversation -> `input_ids`, `labels`, `pixel_values` (uint8 tiles).

    Args:
        tokenizer: a fast transformers tokenizer that knows the special tokens of `internvl.tokens`.
        template: the chat template.
        tiler: how pictures become tiles.
        tokens_per_tile: visual tokens per tile.
        max_length: longest permitted row; None for no limit.
    """

    def __init__(
        self,
        tokenizer: Any,
        template: ChatTemplate,
        tiler: ImageTiler,
        *,
        tokens_per_tile: int,
        max_length: int | None = None,
    ) -> None:
        self.tokenizer = tokenizer
        self.template = template
        self.tiler = tiler
        self.tokens_per_tile = tokens_per_tile
        self.max_length = max_length
        _check_tokenizer(tokenizer, template)
        self.context_id = int(tokenizer.convert_tokens_to_ids(IMAGE_CONTEXT))
        self.stop_id = int(tokenizer.convert_tokens_to_ids(template.stop))
        self.pad_id = int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.stop_id)
        # Limits stored in tokenizer.json would cut rows in silence.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        # Of the prompt before: questions about the same pictures come one after the other.
        self._cut: dict[Any, tuple[Picture, Tensor]] = {}
        self._frames: tuple[Video, list[Picture]] | None = None

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, *, template: str | None = None, max_length: int | None = None, **tiling: Any
    ) -> InternVLProcessor:
        """Read tokenizer, template and tiling from a checkpoint folder.

        Args:
            folder: with `config.json` and the tokenizer files, or hub:owner/name[@revision].
            template: name of a chat template that replaces the checkpoint's; the same name keeps its system text.
            max_length: longest permitted row.
            tiling: fields of `ImageTiler` that replace the checkpoint's.
        """
        folder = find_folder(folder)
        config = read_config(folder)
        tokenizer = read_tokenizer(folder, config.get("llm_config", {}).get("vocab_size"))
        size = config.get("force_image_size") or config["vision_config"].get("image_size", 448)
        ratio = config.get("downsample_ratio", 0.5)
        tiler = ImageTiler(
            image_size=size,
            dynamic=config.get("dynamic_image_size", False),
            min_tiles=config.get("min_dynamic_patch", 1),
            max_tiles=config.get("max_dynamic_patch", 6),
            thumbnail=config.get("use_thumbnail", False),
            pad_to_square=config.get("pad2square", False),
            normalization=config.get("normalize_type", "imagenet"),
        )
        return cls(
            tokenizer,
            _choose_template(config, template),
            replace(tiler, **tiling),
            tokens_per_tile=int((size // config["vision_config"].get("patch_size", 14)) ** 2 * ratio**2),
            max_length=max_length,
        )

    def __call__(
        self,
        chat: Conversation,
        *,
        training: bool = False,
        max_tiles: int | None = None,
        augment: Random | None = None,
    ) -> Row:
        """Tensors of one conversation.

        Args:
            chat: ends with a question (prediction) or, for training, with an answer.
            training: add `labels`, and cut at `max_length` where that is harmless.
            max_tiles: replaces the tiler's limit for this conversation.
            augment: for training only: change the pictures as `internvl.augment` does, with the numbers drawn here.

        Raises:
            ValueError: starts with the conversation's source: pictures that do not fit, nothing to learn, too long.
            FileNotFoundError: a picture is missing.
        """
        assert training or augment is None, "augmentation is for training"
        try:
            return self._process(chat, training, max_tiles, augment)
        except InputError as error:
            raise _name_source(error, chat) from None

    def prompt(self, chat: Conversation) -> Prompt:
        """One question; the tiles of its pictures are kept for the next one.

        Raises:
            InputError: as `__call__`.
        """
        try:
            chat = self._place_frames(chat)
            pictures = self._cut_once(chat)
            row = self._encode_row(chat.turns, [len(tiles) * self.tokens_per_tile for tiles in pictures], False)
            return Prompt(self._fit(row, False)["input_ids"].tolist(), pictures)
        except InputError as error:
            raise _name_source(error, chat) from None

    def count(self, chat: Conversation) -> int:
        """Tokens of the prompt that `prompt` makes, without decoding a picture.

        Raises:
            InputError: as `__call__`.
        """
        try:
            chat = self._place_frames(chat)
            ids = self._tokenize(chat.turns, len(chat.images), training=False).input_ids
            return len(ids) + sum(tiles * self.tokens_per_tile - 1 for tiles in self.count_tiles(chat))
        except InputError as error:
            raise _name_source(error, chat) from None

    def count_tiles(self, chat: Conversation) -> list[int]:
        """How many tiles every picture becomes; only where that depends on its size, the file is looked into."""
        tiler, budget = self._choose_tiler(chat, None)
        if not tiler.dynamic:
            return [1] * len(chat.images)
        return [tiler.count(*read_size(picture), budget) for picture in chat.images]

    def tiles(self, chat: Conversation, max_tiles: int | None = None, augment: Random | None = None) -> list[Tensor]:
        """The tiles of every picture; several pictures share the budget of tiles, video frames have one each."""
        tiler, budget = self._choose_tiler(chat, max_tiles)
        images = (open_picture(picture, refuse_truncated=tiler.refuse_truncated) for picture in chat.images)
        if augment is None:
            return [tiler(image, budget) for image in images]
        return [make_augmented_tiles(image, tiler, budget, augment) for image in images]

    def _choose_tiler(self, chat: Conversation, max_tiles: int | None) -> tuple[ImageTiler, int]:
        """How its pictures are cut, and the most tiles that each of them may become."""
        tiler = replace(self.tiler, dynamic=False) if chat.one_tile_each else self.tiler
        return tiler, max(1, (max_tiles or tiler.max_tiles) // max(1, len(chat.images))) if tiler.dynamic else 1

    def _place_frames(self, chat: Conversation) -> Conversation:
        """The conversation with the frames of its video; those of the one before are kept."""
        if chat.video is None:
            return chat
        if self._frames is None or self._frames[0] != chat.video:
            self._frames = chat.video, _read_frames(chat.video)
        return chat.with_frames(self._frames[1])

    def _cut_once(self, chat: Conversation) -> tuple[Tensor, ...]:
        """The tiles of every picture; those that the prompt before this one had too are not made again."""
        tiler, budget = self._choose_tiler(chat, None)
        # A decoded picture has no name but its number; it is remembered too, so that no other one gets that.
        names = [
            picture if isinstance(picture, Path | bytes | StoredPicture) else id(picture) for picture in chat.images
        ]
        cut: dict[Any, tuple[Picture, Tensor]] = {}
        for name, picture in zip(names, chat.images, strict=True):
            key = name, tiler, budget
            if key in self._cut:
                cut[key] = self._cut[key]
            elif key not in cut:
                cut[key] = picture, tiler(open_picture(picture, refuse_truncated=tiler.refuse_truncated), budget)
        self._cut = cut
        return tuple(cut[name, tiler, budget][1] for name in names)

    def encode(self, turns: Sequence[Turn], tokens_per_image: Sequence[int] = (), *, training: bool = True) -> Encoded:
        """Ids and labels of one dialogue; labels come from the answer spans of the template."""
        row = self._encode_row(turns, tokens_per_image, training)
        return Encoded(row["input_ids"].tolist(), row["labels"].tolist())

    def decode(self, ids: Sequence[int]) -> str:
        """The text of a reply: special tokens dropped, nothing stripped (scorers decide)."""
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the tokenizer; template and tiling are in the model's config.json."""
        self.tokenizer.save_pretrained(folder)

    def list_options(self) -> dict[str, Any]:
        """Template and tiling in the keys of config.json, so that a model is used as it was trained."""
        tiler = self.tiler
        return {
            "template": self.template.name.partition("@")[0],
            "system_message": self.template.system,
            "dynamic_image_size": tiler.dynamic,
            "use_thumbnail": tiler.thumbnail,
            "min_dynamic_patch": tiler.min_tiles,
            "max_dynamic_patch": tiler.max_tiles,
            "pad2square": tiler.pad_to_square,
            "normalize_type": tiler.normalization,
        }

    def _process(self, chat: Conversation, training: bool, max_tiles: int | None, augment: Random | None) -> Row:
        if chat.video is not None:
            chat = chat.with_frames(_read_frames(chat.video))
        tiles = self.tiles(chat, max_tiles, augment)
        counts = [len(tile) * self.tokens_per_tile for tile in tiles]
        size = self.tiler.image_size
        row: Row = {"pixel_values": torch.empty((0, 3, size, size), dtype=torch.uint8)}
        if tiles:
            row["pixel_values"] = torch.cat(tiles) if len(tiles) > 1 else tiles[0]
        if chat.isolated and training:
            row |= self._encode_isolated(chat, counts)
        else:
            row |= self._encode_row(chat.turns, counts, training)
        if not training:
            del row["labels"]
        return self._fit(row, training)

    def _encode_isolated(self, chat: Conversation, counts: Sequence[int]) -> Row:
        """All pairs of an isolated row behind one shared prefix (up to the last picture).

        `branch_ids` is 0 in the prefix and k in pair k; positions restart behind the prefix, so every pair is
        computed exactly as if it were a row of its own.
        """
        pairs = [self._tokenize(pair.turns, len(counts), training=True) for pair in chat.split_pairs()]
        first = pairs[0].input_ids
        shared = len(first) - first[::-1].index(self.context_id) + 1  # with the end token of the last picture
        restart = shared + sum(counts) - len(counts)  # the same place once the pictures are in
        ids, labels, branches = list(first[:shared]), [IGNORE_INDEX] * shared, [0] * shared
        positions = [torch.arange(restart)]
        for number, pair in enumerate(pairs, 1):
            if pair.input_ids[:shared] != first[:shared]:
                raise AssertionError("the pairs of an isolated row must share their prefix")
            own = len(pair.input_ids) - shared
            ids += pair.input_ids[shared:]
            labels += pair.labels[shared:]
            branches += [number] * own
            positions.append(torch.arange(restart, restart + own))
        row = self._insert_pictures({"input_ids": ids, "labels": labels, "branch_ids": branches}, counts)
        return row | {"position_ids": torch.cat(positions)}

    def _encode_row(self, turns: Sequence[Turn], tokens_per_image: Sequence[int], training: bool) -> Row:
        encoded = self._tokenize(turns, len(tokens_per_image), training=training)
        return self._insert_pictures({"input_ids": encoded.input_ids, "labels": encoded.labels}, tokens_per_image)

    def _tokenize(self, turns: Sequence[Turn], num_images: int, *, training: bool) -> Encoded:
        """Ids and labels with one placeholder per picture."""
        rendered = self.template.render(turns, num_images=num_images, training=training)
        encoding = self.tokenizer.backend_tokenizer.encode(rendered.text)
        ids = encoding.ids
        found = ids.count(self.context_id)
        if found != num_images:
            raise InputError(
                f"text: expected {num_images} picture placeholders, got {found}; "
                f"the words {IMAGE_CONTEXT} and {IMAGE_START} are reserved, remove them from the text"
            )
        return Encoded(ids, _label(ids, encoding.offsets, rendered.answers))

    def _insert_pictures(self, columns: Mapping[str, Sequence[int]], tokens_per_image: Sequence[int]) -> Row:
        """Per-token tensors in which every placeholder is repeated once per visual token of its picture."""
        row = {name: torch.tensor(values, dtype=torch.long) for name, values in columns.items()}
        repeats = torch.ones_like(row["input_ids"])
        repeats[row["input_ids"] == self.context_id] = torch.tensor(tokens_per_image, dtype=torch.long)
        return {name: values.repeat_interleave(repeats) for name, values in row.items()}

    def _fit(self, row: Row, training: bool) -> Row:
        """Cut to `max_length` where no picture and not every answer is lost; else say what to do."""
        ids = row["input_ids"]
        if self.max_length is not None and len(ids) > self.max_length:
            last = int((ids == self.context_id).nonzero().max()) + 1 if (ids == self.context_id).any() else 0
            if not training or last >= self.max_length:
                raise InputError(
                    f"length: expected at most {self.max_length} tokens, got {len(ids)} and the cut would go through "
                    f"{'a picture' if training else 'the question'}; raise the maximum length or allow fewer tiles"
                )
            row = {name: value if name == "pixel_values" else value[: self.max_length] for name, value in row.items()}
        if training and bool((row["labels"] == IGNORE_INDEX).all()):
            raise InputError(
                f"labels: expected at least one answer token within {self.max_length} tokens, got none; "
                "raise the maximum length or remove the sample"
            )
        return row


def _read_frames(video: Video) -> list[Picture]:
    from internvl.video import read_video

    return read_video(video)


def _name_source(error: InputError, chat: Conversation) -> InputError:
    prefix = "" if str(error).startswith(chat.source) else f"{chat.source}: "
    return type(error)(f"{prefix}{error}")


def template_of(config: Mapping[str, Any]) -> ChatTemplate:
    """The template a checkpoint was trained with, from its config.json.

    Checkpoints of February 2024 have no `ps_version` and saw the system texts of that time; `"system_message": null`
    (InternVL3) means the template's own text, not the word None.
    """
    name = config.get("template")
    if not name:
        raise InputError("config.json: expected the key `template`, got none; add the name of the chat template")
    return find_template(name, _find_protocol(config)).with_system(config.get("system_message"))


def _choose_template(config: Mapping[str, Any], name: str | None) -> ChatTemplate:
    if not name or name == config.get("template"):
        return template_of(config)
    return find_template(name, _find_protocol(config))


def _find_protocol(config: Mapping[str, Any]) -> str:
    return "internvl-later" if "ps_version" in config else "internvl-v1.2"


def _label(ids: Sequence[int], offsets: Sequence[tuple[int, int]], answers: Sequence[tuple[int, int]]) -> list[int]:
    """The ids that begin inside an answer, all others ignored.

    A token begins where the one before it ends: some tokenizers trim white space from the offsets they report.
    """
    begins = [0, *accumulate((end for _, end in offsets), max)][: len(ids)]
    labels = [IGNORE_INDEX] * len(ids)
    for start, end in answers:
        first, last = bisect_left(begins, start), bisect_left(begins, end)
        labels[first:last] = ids[first:last]
    return labels


def _check_tokenizer(tokenizer: Any, template: ChatTemplate) -> None:
    """The template's end and the picture tokens must be single known tokens, else labels and stops are wrong."""
    if not getattr(tokenizer, "is_fast", False):
        raise InputError(
            f"tokenizer: expected a fast tokenizer (tokenizer.json), got {type(tokenizer).__name__}; convert it first"
        )
    vocabulary = tokenizer.get_vocab()
    for token in (template.stop, IMAGE_START, IMAGE_END, IMAGE_CONTEXT):
        if token not in vocabulary:
            raise InputError(
                f"tokenizer: expected the token {token} that chat template {template.name} needs, got none; "
                "use the template the checkpoint was trained with, or add the token"
            )
