"""Sentencepiece models as fast tokenizers: the same ids as the sentencepiece library, without it once saved.

Only what published decoders use is read: byte-pair models. Their merges are not stored and follow from the scores.

Three things differ. A text, or a part between added tokens, that is a symbol of the model and nothing else has no space
in front. With `Prefix.once` that also holds for an added token without a role, and a symbol of spaces does not take in
the space in front. Where a model normalizes text, a character that was composed may be read otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from internvl.errors import InputError

SPACE = "▁"
"""How a piece spells a space."""
_MARK = "\ufdd0"
"""No character: in front of a text that begins with an added token, until it is known to be the whole text's front."""
_BYTE_PAIRS = 2
_NORMAL, _CONTROL, _SYMBOL, _BYTE = 1, 3, 4, 6


@dataclass(frozen=True, slots=True)
class Prefix:
    """The space that is put in front of text.

    Attributes:
        added: whether there is one; None for what the sentencepiece model says.
        once: only in front of the whole text; else in front of every text between added tokens.
        removed: how many of them decoding removes.
    """

    added: bool | None = None
    once: bool = False
    removed: int = 0


class PieceModel:
    """The pieces of a `tokenizer.model` and how text becomes them."""

    def __init__(self, file: Path) -> None:
        from sentencepiece import sentencepiece_model_pb2

        proto: Any = sentencepiece_model_pb2.ModelProto()  # type: ignore[attr-defined]
        try:
            proto.ParseFromString(file.read_bytes())
        except Exception as error:  # protobuf has several of its own
            raise InputError(
                f"tokenizer: expected a sentencepiece model in {file}, got {type(error).__name__}; copy it again"
            ) from None
        if not proto.pieces or proto.trainer_spec.model_type != _BYTE_PAIRS:
            kind = f"model type {proto.trainer_spec.model_type}" if proto.pieces else "no pieces"
            raise InputError(
                f"tokenizer: expected a byte-pair sentencepiece model in {file}, got {kind}; "
                "convert it to tokenizer.json with the library it comes from"
            )
        self.pieces = [piece.piece for piece in proto.pieces]
        self.ids = {piece: number for number, piece in enumerate(self.pieces)}
        self.kinds = [piece.type for piece in proto.pieces]
        self.scores = [piece.score for piece in proto.pieces]
        self.rules = proto.normalizer_spec
        self.byte_fallback = proto.trainer_spec.byte_fallback
        self.merges = self._find_merges()
        self._words = {left + right for left, right in self.merges}

    def is_free(self, number: int) -> bool:
        """Whether a piece can be renamed: no text becomes it, or only its own spelling as a whole."""
        piece = self.pieces[number]
        return self.kinds[number] != _BYTE and piece not in self._words and (len(piece) > 1 or not self._is_word(piece))

    def build(self, added: Mapping[int, AddedToken], named: Collection[str], prefix: Prefix, unknown: str) -> Tokenizer:
        """The tokenizer.

        Args:
            added: the tokens that cut the text, by their ids; those behind the pieces follow without a gap.
            named: those of them that have a role, such as the beginning and end of a text.
            prefix: the space in front of text.
            unknown: name of the unknown token.
        """
        pieces = [added[number].content if number in added else piece for number, piece in enumerate(self.pieces)]
        tokenizer = Tokenizer(
            models.BPE(
                vocab={piece: number for number, piece in enumerate(pieces)},
                merges=self.merges,
                unk_token=unknown,
                fuse_unk=True,
                byte_fallback=self.byte_fallback,
            )
        )
        contents = {token.content for token in added.values()}
        # Text never cuts through such a piece, but unlike an added token it is no end of a text.
        symbols = [
            piece
            for number, piece in enumerate(pieces)
            if self.kinds[number] == _SYMBOL and piece not in contents and len(piece) > 1
        ]
        self._check_symbols(symbols, once=prefix.once)
        dummy = self.rules.add_dummy_prefix if prefix.added is None else prefix.added
        inner = [token for token in added.values() if prefix.once and token.content not in named]
        if prefix.once:
            openers = [token.content for token in inner] + symbols
            steps = [*_strip_around(inner), *(_insert(_MARK, openers, only_before=True) if dummy else [])]
            tokenizer.pre_tokenizer = _prepend_once() if dummy else None
        else:
            steps = self._normalize() + (_insert(SPACE, symbols) if dummy else [])
        tokenizer.normalizer = normalizers.Sequence([*steps, normalizers.Replace(" ", SPACE)])
        tokenizer.decoder = self._decode(prefix.removed)
        late = {token.content for token in inner}
        tokenizer.add_tokens(
            [_copy(token, normalized=token.content in late) for _, token in sorted(added.items())]
            + [AddedToken(symbol, normalized=True, special=False) for symbol in symbols]
        )
        return tokenizer

    def _is_word(self, piece: str) -> bool:
        number = self.ids.get(piece)
        return number is not None and self.kinds[number] == _NORMAL

    def _find_merges(self) -> list[tuple[str, str]]:
        """Every way to join two pieces to a third, best first."""
        merges = []
        words = [number for number in range(len(self.pieces)) if self.kinds[number] == _NORMAL]
        for number in sorted(words, key=lambda number: -self.scores[number]):
            piece = self.pieces[number]
            halves = [(piece[:at], piece[at:]) for at in range(len(piece) - 1, 0, -1)]
            merges += [half for half in halves if all(map(self._is_word, half))]
        return merges

    def _normalize(self) -> list[Any]:
        """What the model does to text before it looks for pieces."""
        steps: list[Any] = []
        if self.rules.precompiled_charsmap:
            one = normalizers.Precompiled(self.rules.precompiled_charsmap)
            # The library takes the two for one character and loses the second.
            steps += [normalizers.Replace(Regex(r"\r(?=\n)"), one.normalize_str("\r")), one]
        if self.rules.remove_extra_whitespaces:
            steps += [
                normalizers.Replace(Regex(r"\A +| *[ ▁]+\z"), ""),
                normalizers.Replace(Regex(" {2,}"), " "),
            ]
        return steps

    def _check_symbols(self, symbols: Collection[str], *, once: bool) -> None:
        """Refuse what would give other ids than the sentencepiece library."""
        changes = bool(self.rules.precompiled_charsmap or self.rules.remove_extra_whitespaces)
        if once and changes:
            raise InputError(
                "tokenizer: expected a sentencepiece model that keeps text as it is for `legacy: false`, got one that "
                "normalizes it; save a tokenizer.json with the library it comes from"
            )
        keep = normalizers.Sequence(self._normalize())
        single = [piece for piece, kind in zip(self.pieces, self.kinds, strict=True) if kind == _SYMBOL]
        for symbol in {*symbols, *single} if changes else ():
            if keep.normalize_str(symbol) != symbol:
                raise InputError(
                    f"tokenizer: expected a sentencepiece model that keeps its symbol {symbol!r}, got one that "
                    "normalizes it; save a tokenizer.json with the library it comes from"
                )

    def _decode(self, removed: int) -> Any:
        steps: list[Any] = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
        if self.rules.remove_extra_whitespaces:
            steps.append(decoders.Replace(Regex(r"\A +"), ""))
        elif removed:
            steps.append(decoders.Strip(content=" ", left=removed))
        return decoders.Sequence(steps)


def _insert(text: str, contents: Collection[str], *, only_before: bool = False) -> list[Any]:
    """Put text in front, but never in front of an added token by itself: that is how they are looked up."""
    words = "|".join(re.escape(content) for content in contents)
    if only_before:
        return [normalizers.Replace(Regex(rf"\A(?={words})(?!(?:{words})\z)"), text)] if words else []
    return [normalizers.Replace(Regex(rf"\A(?!(?:{words})\z)(?!\z)"), text)]


def _prepend_once() -> Any:
    """A space in front of the whole text; the normalizer has left no other."""
    return pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(" ", "first", split=False),
            pre_tokenizers.Split(_MARK, "removed"),
            pre_tokenizers.Metaspace(SPACE, "never", split=False),
        ]
    )


def _strip_around(tokens: Collection[AddedToken]) -> list[Any]:
    """White space that tokens take away; they are looked up where it is spelled differently."""
    left = "|".join(re.escape(token.content) for token in tokens if token.lstrip)
    right = "|".join(re.escape(token.content) for token in tokens if token.rstrip)
    steps = []
    if right:
        steps.append(normalizers.Replace(Regex(rf"(?<={right})[\s▁]+"), ""))
    if left:
        steps.append(normalizers.Replace(Regex(rf"[\s▁]+(?={left})"), ""))
    return steps


def _copy(token: AddedToken, *, normalized: bool) -> AddedToken:
    return AddedToken(
        token.content,
        single_word=token.single_word,
        lstrip=token.lstrip,
        rstrip=token.rstrip,
        normalized=normalized,
        special=token.special,
    )
