"""Batches that are too large for the memory of a device are answered in halves, and so are all of that size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from evaluate.predictor import StoppedError
from internvl.errors import InputError

_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory")


class Halver:
    """Answers prompts in parts that fit.

    Args:
        generate: answers a batch, or fails for want of memory.
        measure: the length of a prompt.
        limit: prompts times the longest of them, at once; None for as many as come.
    """

    def __init__(
        self,
        generate: Callable[[Sequence[Any]], Sequence[Any]],
        measure: Callable[[Any], int] = lambda prompt: 1,
        limit: int | None = None,
    ) -> None:
        self.generate = generate
        self.measure = measure
        self.limit = limit

    def __call__(self, prompts: Sequence[Any]) -> list[Any]:
        """One answer per prompt; a prompt that does not fit by itself gets an InputError.

        Raises:
            StoppedError: of `generate`, with the answers to all prompts that were given.
        """
        answers: list[Any] = []
        while len(answers) < len(prompts):
            part = self._take(prompts[len(answers) :])
            try:
                answers += _check(self.generate(part), len(part))
                continue
            except StoppedError as stop:
                given = stop.answers or [None] * len(part)
                rest = [None] * (len(prompts) - len(answers) - len(part))
                raise StoppedError(str(stop), [*answers, *given, *rest]) from None
            except Exception as error:
                if not is_memory(error):
                    raise
            # Outside of the handler: the error holds on to the tensors of the call that failed.
            _free()
            if len(part) == 1:
                answers.append(
                    InputError(
                        "memory: expected room for one prompt on the device, got none; allow fewer tiles, or take a "
                        "larger device or several"
                    )
                )
            else:
                longest = max(map(self.measure, part))
                self.limit = len(part) // 2 * longest
                print(
                    f"memory: {len(part)} prompts at once are too many, going on with {len(part) // 2}"
                    + (f" of {longest} tokens" if longest > 1 else ""),
                    file=sys.stderr,
                )
        return answers

    def _take(self, prompts: Sequence[Any]) -> Sequence[Any]:
        """As many of the first prompts as the limit allows, and one at least."""
        if self.limit is None:
            return prompts
        longest = 0
        for count, prompt in enumerate(prompts, 1):
            longest = max(longest, self.measure(prompt))
            if count > 1 and count * longest > self.limit:
                return prompts[: count - 1]
        return prompts


def _check(answers: Any, count: int) -> list[Any]:
    """The answers, one per prompt: with fewer or more, nobody knows which belongs to which.

    Raises:
        InputError: there are fewer, more, or other things than texts.
    """
    found = list(answers) if isinstance(answers, Iterable) and not isinstance(answers, str | bytes) else None
    if found is None or len(found) != count:
        got = type(answers).__name__ if found is None else str(len(found))
        raise InputError(f"model: expected a list of {count} texts from generate, got {got}; correct the adapter")
    for answer in found:
        if not isinstance(answer, str | InputError):
            raise InputError(
                f"model: expected texts from generate, got {type(answer).__name__} for one; correct the adapter"
            )
    return found


def is_memory(error: Exception) -> bool:
    """Whether this says that there is no memory; torch has a class for it on GPUs only."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and any(word in text for word in _WORDS))


def _free() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
