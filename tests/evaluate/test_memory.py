"""Batches that do not fit: answered in halves, in order, each prompt once, and no other error is taken for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from evaluate.memory import Halver, is_memory
from evaluate.predictor import StoppedError
from internvl.errors import InputError


class Device:
    """Has room for so many prompts, of which some are too large by themselves."""

    def __init__(self, room: int, too_large: Sequence[int] = (), error: type[Exception] = RuntimeError) -> None:
        self.room = room
        self.too_large = too_large
        self.error = error
        self.batches: list[list[int]] = []

    def generate(self, prompts: Sequence[int]) -> list[str]:
        if len(prompts) > self.room or set(prompts) & set(self.too_large):
            raise self.error("CUDA out of memory. Tried to allocate 20.00 GiB")
        self.batches.append(list(prompts))
        return [f"answer {prompt}" for prompt in prompts]


def test_what_fits_is_one_batch():
    device = Device(8)
    assert Halver(device.generate)(range(8)) == [f"answer {number}" for number in range(8)]
    assert device.batches == [list(range(8))]
    assert Halver(device.generate)([]) == []


def test_the_limit_is_halved_until_it_fits_and_stays(capsys):
    device = Device(3)
    answer = Halver(device.generate)
    assert answer(range(10)) == [f"answer {number}" for number in range(10)]
    assert [len(batch) for batch in device.batches] == [2, 2, 2, 2, 2]
    assert answer.limit == 2
    device.batches.clear()
    assert answer(range(3)) == ["answer 0", "answer 1", "answer 2"]
    assert [len(batch) for batch in device.batches] == [2, 1]
    assert capsys.readouterr().err == (
        "memory: 10 prompts at once are too many, going on with 5\n"
        "memory: 5 prompts at once are too many, going on with 2\n"
    )


def test_a_prompt_that_does_not_fit_by_itself_is_an_error_of_its_own():
    device = Device(8, too_large=[2])
    answers = Halver(device.generate)(range(4))
    assert [answers[number] for number in (0, 1, 3)] == ["answer 0", "answer 1", "answer 3"]
    assert isinstance(answers[2], InputError)
    assert str(answers[2]).startswith("memory: expected room for one prompt on the device, got none; ")


def test_other_errors_are_not_taken_for_it():
    with pytest.raises(ValueError, match="out of memory"):
        Halver(Device(0, error=ValueError).generate)([1, 2])
    assert is_memory(MemoryError())
    assert is_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_memory(
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory: 9 bytes")
    )
    assert not is_memory(RuntimeError("shape mismatch"))


def test_a_predictor_that_stops_keeps_what_was_answered_in_all_parts():
    def generate(prompts: Sequence[int]) -> list[str]:
        if 3 in prompts:
            raise StoppedError("server: gone", ["answer 2", None])
        return [f"answer {prompt}" for prompt in prompts]

    with pytest.raises(StoppedError, match="server: gone") as caught:
        Halver(generate, limit=2)(range(7))
    assert caught.value.answers == ["answer 0", "answer 1", "answer 2", None, None, None, None]


@pytest.mark.parametrize(
    ("answers", "got"),
    [(["a"], "2 texts from generate, got 1"), (["a"] * 3, "got 3"), ("ab", "got str"), (None, "got NoneType")],
)
def test_another_number_of_answers_is_refused_because_nobody_knows_whose_they_are(answers, got):
    with pytest.raises(InputError, match=got):
        Halver(lambda prompts: answers)([1, 2])


def test_answers_that_are_no_texts_are_refused():
    with pytest.raises(InputError, match="expected texts from generate, got int for one; correct the adapter"):
        Halver(lambda prompts: ["a", 1])([1, 2])
