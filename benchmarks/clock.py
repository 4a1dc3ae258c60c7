"""Where the time of a model goes, whoever calls it: a clock that its parts are charged to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from torch import nn

from internvl.model import InternVLChatModel


class Clock:
    """Seconds per part of a program; parts nest, and what an inner one takes is not the outer one's."""

    def __init__(self, read: Callable[[], float]) -> None:
        self.read = read
        self.seconds: dict[str, float] = defaultdict(float)
        self.parts = ["rest"]
        self.since = read()

    def _charge(self) -> None:
        now = self.read()
        self.seconds[self.parts[-1]] += now - self.since
        self.since = now

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Everything in it is charged to one name."""
        self._charge()
        self.parts.append(name)
        yield
        self._charge()
        self.parts.pop()

    def watch(self, owner: object, method: str, name: str | Callable[[Mapping[str, Any]], str]) -> None:
        """Charge all calls of a method to a name, or to the one that its keyword arguments give."""
        original = getattr(owner, method)

        def timed(*values: Any, **named: Any) -> Any:
            with self.part(name if isinstance(name, str) else name(named)):
                return original(*values, **named)

        setattr(owner, method, timed)

    def watch_iterator(self, items: Iterable[Any], name: str) -> Iterator[Any]:
        """Charge what an iterator does to a name."""
        iterator = iter(items)
        while True:
            with self.part(name):
                some = list(islice(iterator, 1))
            if not some:
                return
            yield some[0]

    def take(self) -> dict[str, float]:
        """The seconds so far; begin again."""
        self._charge()
        taken, self.seconds = dict(self.seconds), defaultdict(float)
        return taken


PARTS = (
    *("load and tile", "tokenise and batch", "vision tower", "projector and embedding"),
    *("prefill", "prompt's logits", "decode", "rest"),
)


def watch_model(clock: Clock, model: InternVLChatModel) -> None:
    """Charge the parts of a model, whoever calls them: a decoder that gets several tokens per row is at the prompt."""
    decoding = [False]

    def choose(named: Mapping[str, Any]) -> str:
        tokens = named["input_ids"] if named.get("input_ids") is not None else named["inputs_embeds"]
        decoding[0] = tokens.shape[1] == 1
        return "decode" if decoding[0] else "prefill"

    clock.watch(model.vision_model, "features", "vision tower")
    clock.watch(model, "encode_images", "projector and embedding")
    clock.watch(model, "embed", "projector and embedding")
    body: nn.Module = model.language_model.base_model
    clock.watch(body, "forward", choose)
    head: nn.Module = model.language_model.get_output_embeddings()
    clock.watch(head, "forward", lambda _: "decode" if decoding[0] else "prompt's logits")
