"""The probes: the same for everybody, unlike each other, and of few tiles."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import torch

from internvl.certificate.probe import (
    NUM_NEW,
    PROBES,
    Responder,
    ask_all,
    choose_positions,
    forget_generation,
    full_precision,
    greedy_arguments,
    read_steps,
)
from internvl.tiler import ImageTiler


def test_half_of_the_probes_are_about_pictures():
    assert len({probe.name for probe in PROBES}) == len(PROBES) == 8
    assert len({probe.question for probe in PROBES}) == 8
    assert [len(probe.sizes) for probe in PROBES] == [1, 1, 2, 1, 0, 0, 0, 0]
    assert sum(not probe.question.isascii() for probe in PROBES) == 2


def test_dynamic_tiling_shows_and_stays_cheap():
    dynamic = ImageTiler(image_size=56, dynamic=True, max_tiles=12, thumbnail=True)
    tiles = [[len(dynamic(picture)) for picture in probe.draw(56)] for probe in PROBES if probe.sizes]
    assert tiles == [[1], [3], [1, 1], [3]]


def test_pictures_are_drawn_alike_every_time_and_differ():
    first, second = ([np.array(picture) for probe in PROBES for picture in probe.draw(28)] for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))
    assert len({picture.tobytes() for picture in first}) == 5
    # A picture that somebody else draws with the same numbers.
    assert first[0].shape == (28, 28, 3)
    assert first[1].shape == (28, 56, 3)
    assert first[0].std() > 20


def test_a_picture_stands_in_front_of_its_question():
    chat = PROBES[2].ask(56)
    assert chat.turns[0].text == "<image>\n<image>\n这两张图片有什么不同？"
    assert [picture.size for picture in chat.images] == [(42, 42), (34, 34)]


def test_positions_are_all_over_a_prompt_and_at_its_end():
    assert choose_positions(20).tolist() == list(range(20))
    positions = choose_positions(1000).tolist()
    assert positions[0] == 0
    assert positions[-16:] == list(range(984, 1000))
    assert max(later - before for before, later in itertools.pairwise(positions)) == 67


def make_responder(length: int, color: float, seen: list[tuple[list[int], float]]) -> Responder:
    """One that computes nothing: it notes what it gets."""

    def compute(row: torch.Tensor, tiles: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        seen.append((row[0].tolist(), float(tiles.mean())))
        return torch.ones(len(positions), 3)

    steps = tuple(torch.tensor([[0.0, 3.0, 1.0]]) for _ in range(NUM_NEW))
    output = SimpleNamespace(logits=steps, sequences=torch.ones(1, 4 + NUM_NEW, dtype=torch.long))
    return Responder(
        "nobody",
        lambda probe: (torch.arange(length), torch.full((len(probe.sizes), 3, 4, 4), color)),
        compute,
        lambda row, tiles, arguments: output,
        lambda ids: f"{len(ids)} tokens",
    )


def test_the_second_side_computes_from_the_prompts_of_the_first():
    device, seen = torch.device("cpu"), list[tuple[list[int], float]]()
    first = ask_all(make_responder(4, 7.0, seen), torch.float32, device)
    assert seen[0] == ([0, 1, 2, 3], 7.0)
    second = ask_all(make_responder(5, 0.5, seen), torch.float32, device, first)
    assert seen[len(PROBES)] == ([0, 1, 2, 3], 7.0)
    # What it makes of the question itself is there to be compared.
    assert second.answers[0].input_ids == (0, 1, 2, 3, 4)
    assert second.answers[0].pixel_values.unique().tolist() == [0.5]
    assert [answer.name for answer in second.answers] == [probe.name for probe in PROBES]
    assert second.answers[0].values.shape == (4, 3)
    assert second.answers[0].text == f"{NUM_NEW} tokens"
    assert second.answers[0].margins == (2.0,) * NUM_NEW


def test_new_tokens_are_the_last_ones():
    logits = tuple(torch.tensor([row]) for row in ([0.0, 1.0, 5.0], [2.0, 1.5, 0.0]))
    output = SimpleNamespace(logits=logits, sequences=torch.tensor([[9, 9, 2, 0]]))
    assert read_steps(output) == ((2, 0), (4.0, 0.5))


def test_a_folder_has_no_say_in_how_is_generated():
    model = torch.nn.Linear(1, 1)
    model.generation_config = SimpleNamespace(repetition_penalty=2.0, eos_token_id=1)
    forget_generation(model)
    assert model.generation_config.repetition_penalty in (None, 1.0)
    assert model.generation_config.eos_token_id is None
    arguments = greedy_arguments(suppress_tokens=[3])["generation_config"]
    assert (arguments.do_sample, arguments.max_new_tokens, arguments.suppress_tokens) == (False, NUM_NEW, [3])


def test_precision_is_put_back():
    before = torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()
    with full_precision():
        assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == (False, "highest")
    assert (torch.backends.cudnn.allow_tf32, torch.get_float32_matmul_precision()) == before
