"""Batches leave every row as it is alone: padding, isolated pairs, blank tiles, and generation padded on the left."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from internvl.collate import collate, pack, weigh
from internvl.conversation import Conversation
from internvl.model import InternVLChatModel
from internvl.model.chat import branch_mask
from internvl.tokens import IGNORE_INDEX
from tests.tiny import ask_and_answer, tiny_model, tiny_picture, tiny_processor

COLORS = ("red", "green", "blue", "orange")
PAIRS = ("<image>\nWhat is this?", "A red bus.", "Why is it so?", "Because it is late.", "How many?", "Two.")


@pytest.fixture(params=["llama", "qwen2"])
def model(request: pytest.FixtureRequest) -> InternVLChatModel:
    return tiny_model(request.param)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    return [tiny_picture(tmp_path, f"{color}.png", color=color) for color in COLORS]


def isolated_chat(picture: Path, *texts: str) -> Conversation:
    speakers = ("human", "gpt")
    turns = [{"from": speakers[place % 2], "value": text} for place, text in enumerate(texts)]
    return Conversation.from_row({"conversations": turns, "image": str(picture), "isolated": True}, Path(), "row 1")


def encode(*chats: Conversation) -> list[dict[str, Tensor]]:
    processor = tiny_processor()
    return [processor(chat, training=True) for chat in chats]


def join(rows: list[dict[str, Tensor]], **options: Any) -> dict[str, Tensor]:
    return collate(rows, pad_id=tiny_processor().pad_id, **options)


def sum_loss(model: InternVLChatModel, rows: list[dict[str, Tensor]], **options: Any) -> Tensor:
    """The loss of a batch as a sum over its answer tokens."""
    batch = join(rows)
    return model(**batch, **options).loss * int((batch["labels"] != IGNORE_INDEX).sum())


def collect_gradients(model: InternVLChatModel, loss: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters() if parameter.grad is not None}


def check_close(ours: dict[str, Tensor], theirs: dict[str, Tensor], relative: float) -> None:
    assert ours.keys() == theirs.keys()
    for name, gradient in theirs.items():
        assert float((ours[name] - gradient).norm()) <= relative * float(gradient.norm()), name


def test_pairs_of_an_isolated_row_have_the_logits_of_rows_of_their_own(model, pictures):
    chat = isolated_chat(pictures[0], *PAIRS)
    (row,) = encode(chat)
    with torch.no_grad():
        logits = model(**join([row])).logits[0]
        for number, pair in enumerate(encode(*chat.split_pairs()), 1):
            seen = (row["branch_ids"] == 0) | (row["branch_ids"] == number)
            torch.testing.assert_close(logits[seen], model(**join([pair])).logits[0], rtol=0, atol=1e-5)


def test_pairs_of_an_isolated_row_do_not_see_each_other(model, pictures):
    changed = (*PAIRS[:3], "It is not.", *PAIRS[4:])
    rows = encode(isolated_chat(pictures[0], *PAIRS), isolated_chat(pictures[0], *changed))
    with torch.no_grad():
        logits = [model(**join([row])).logits[0] for row in rows]
    for number in (0, 1, 3):
        ours, theirs = (values[row["branch_ids"] == number] for values, row in zip(logits, rows, strict=True))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("all_logits", [True, False])
def test_an_isolated_row_learns_what_its_pairs_learn(model, pictures, all_logits):
    chat = isolated_chat(pictures[0], *PAIRS)
    together = sum_loss(model, encode(chat), all_logits=all_logits)
    apart = torch.stack([sum_loss(model, [pair]) for pair in encode(*chat.split_pairs())]).sum()
    assert together.item() == pytest.approx(apart.item(), rel=1e-5)
    check_close(collect_gradients(model, together), collect_gradients(model, apart), 1e-5)


def test_isolated_and_ordinary_rows_share_a_batch(model, pictures):
    isolated, other = isolated_chat(pictures[0], *PAIRS), isolated_chat(pictures[1], *PAIRS[:4])
    ordinary = ask_and_answer("What color is the cat?", "There are two pizza in the kitchen.", pictures[2], pictures[3])
    together = sum_loss(model, encode(isolated, ordinary, other))
    singles = encode(*isolated.split_pairs(), ordinary, *other.split_pairs())
    apart = torch.stack([sum_loss(model, [row]) for row in singles]).sum()
    assert together.item() == pytest.approx(apart.item(), rel=1e-5)
    check_close(collect_gradients(model, together), collect_gradients(model, apart), 1e-5)


def test_branches_see_the_shared_part_and_themselves():
    mask = branch_mask(torch.tensor([[0, 0, 1, 1, 2, 0]]), torch.tensor([[True, True, True, True, True, False]]))
    assert mask.shape == (1, 1, 6, 6)
    assert mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        # Padding sees at least itself: a row of the mask without any key would give NaN.
        [1, 1, 0, 0, 0, 1],
    ]


@pytest.mark.parametrize("all_logits", [True, False])
def test_padding_does_not_change_the_loss(model, pictures, all_logits):
    chats = [
        ask_and_answer("What?", "A bus.", pictures[0]),
        ask_and_answer("Why is it so, then?", "It is late.", pictures[1]),
    ]
    rows = encode(*chats)
    with torch.no_grad():
        short, long = (model(**join(rows, length=length), all_logits=all_logits).loss for length in (None, 160))
        alone = torch.stack([sum_loss(model, [row], all_logits=all_logits) for row in rows]).sum()
    assert float(long) == pytest.approx(float(short), rel=1e-6)
    count = sum(int((row["labels"] != IGNORE_INDEX).sum()) for row in rows)
    assert float(short) * count == pytest.approx(float(alone), rel=1e-6)


def test_padding_does_not_change_the_logits_of_real_tokens(model, pictures):
    rows = encode(ask_and_answer("What?", "A bus.", pictures[0]), ask_and_answer("Why is it so, then?", "It is late."))
    with torch.no_grad():
        for side in ("right", "left"):
            batch = join(rows, side=side, length=120)
            counted = {name: tensor for name, tensor in batch.items() if name != "position_ids"}
            for logits in (model(**batch).logits, model(**counted).logits):
                for line, row in enumerate(rows):
                    alone = model(**join([row])).logits[0]
                    torch.testing.assert_close(logits[line][batch["attention_mask"][line]], alone, rtol=0, atol=1e-5)


def test_single_positions_and_all_logits_give_the_same_loss_and_gradients(model, pictures):
    rows = encode(ask_and_answer("What?", "A bus.", pictures[0]), ask_and_answer("Why?", "It is late.", pictures[1]))
    weight = join([row | {"loss_weight": torch.rand(len(row["labels"]))} for row in rows])["loss_weight"]
    for loss_weight in (None, weight):
        losses = [model(**join(rows), loss_weight=loss_weight, all_logits=value).loss for value in (True, False)]
        assert losses[0].item() == pytest.approx(losses[1].item(), rel=1e-6)
        check_close(*(collect_gradients(model, loss) for loss in losses), relative=1e-5)


@pytest.mark.parametrize("all_logits", [True, False])
@pytest.mark.parametrize("packed", [True, False])
def test_the_losses_of_tokens_are_those_of_their_samples_alone(packed, all_logits, model, pictures):
    rows = encode(
        ask_and_answer("What?", "A bus.", pictures[0]),
        isolated_chat(pictures[1], *PAIRS),
        ask_and_answer("Why?", "It is late, and it rains."),
    )
    batch = pack(rows) if packed else join([weigh(row, "sample") for row in rows])
    with torch.no_grad():
        output = model(**batch, total_weight=torch.tensor(3.0), all_logits=all_logits, with_token_losses=True)
        alone = [model(**join([row]), all_logits=False).loss for row in rows]
    learned = [int((row["labels"][1:] != IGNORE_INDEX).sum()) for row in rows]
    assert output.token_samples.tolist() == [number for number, count in enumerate(learned) for _ in range(count)]
    for number, expected in enumerate(alone):
        own = output.token_losses[output.token_samples == number]
        assert float(own.mean()) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("all_logits", [True, False])
def test_losses_of_tokens_cost_nothing_where_nobody_asks(all_logits, model):
    batch = join(encode(ask_and_answer("What?", "A bus.")))
    plain = model(**batch, all_logits=all_logits)
    asked = model(**batch, all_logits=all_logits, with_token_losses=True)
    assert plain.token_losses is plain.token_samples is None
    assert not asked.token_losses.requires_grad
    assert torch.equal(asked.loss, plain.loss)
    check_close(*(collect_gradients(model, output.loss) for output in (asked, plain)), relative=0)


def test_weights_move_the_loss_towards_their_tokens():
    model = tiny_model()
    rows = encode(ask_and_answer("What?", "A bus."), ask_and_answer("Why?", "It is late."))
    batch = join(rows)
    weight = torch.tensor([[1.0], [0.0]]).expand(batch["labels"].shape)
    with torch.no_grad():
        assert float(model(**batch, loss_weight=weight).loss) == pytest.approx(
            float(model(**join(rows[:1])).loss), rel=1e-6
        )


@pytest.mark.parametrize("all_logits", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
def test_parts_with_the_weight_of_the_whole_add_up_to_its_loss_and_gradients(weighted, all_logits, model, pictures):
    rows = encode(
        ask_and_answer("What?", "A bus.", pictures[0]),
        ask_and_answer("Why is it so, then?", "It is late."),
        ask_and_answer("Which of them?", "That one.", *pictures[:2]),
    )
    if weighted:
        rows = [row | {"loss_weight": torch.rand(len(row["labels"]))} for row in rows]
    learned = [row["labels"][1:] != IGNORE_INDEX for row in rows]
    weights = [row["loss_weight"][1:][own] if weighted else own.float() for row, own in zip(rows, learned, strict=True)]
    total = torch.stack([weight.sum() for weight in weights]).sum()
    whole = model(**join(rows), all_logits=all_logits).loss
    parts = [model(**join(part), all_logits=all_logits, total_weight=total).loss for part in (rows[:1], rows[1:])]
    assert sum(part.item() for part in parts) == pytest.approx(whole.item(), rel=1e-6)
    assert min(part.item() for part in parts) > 0
    expected = collect_gradients(model, whole)
    check_close(collect_gradients(model, torch.stack(parts).sum()), expected, relative=1e-5)


def test_a_part_without_labels_adds_nothing_and_is_a_number(model):
    batch = join(encode(ask_and_answer("Why?", "It is late.")))
    batch["labels"] = torch.full_like(batch["labels"], IGNORE_INDEX)
    for all_logits in (True, False):
        loss = model(**batch, all_logits=all_logits, total_weight=torch.tensor(7.0)).loss
        assert loss.item() == 0.0
        assert all(float(value.abs().max()) == 0.0 for value in collect_gradients(model, loss).values())


def test_a_batch_without_pictures_gives_the_vision_tower_a_gradient_of_zero(model):
    processor = tiny_processor()
    batch = join(encode(ask_and_answer("Why?", "It is late.")), blank=processor.tiler.blank())
    assert batch["image_flags"].tolist() == [0]
    loss = model(**batch, all_logits=False).loss
    with torch.no_grad():
        plain = model(**join(encode(ask_and_answer("Why?", "It is late.")))).loss
    assert loss.item() == pytest.approx(plain.item(), rel=1e-6)
    loss.backward()
    for name, parameter in model.named_parameters():
        # None would leave a rank out of a collective that the others wait in.
        assert parameter.grad is not None, name
        if not name.startswith("language_model."):
            assert bool((parameter.grad == 0).all()), name
    assert float(model.get_input_embeddings().weight.grad.abs().sum()) > 0


def test_pictures_stay_with_their_rows(model, pictures):
    chats = [
        ask_and_answer("What?", "A bus.", pictures[0], pictures[1]),
        ask_and_answer("Why?", "So."),
        ask_and_answer("What?", "A bus.", pictures[2], pictures[3]),
    ]
    rows = encode(*chats)
    with torch.no_grad():
        batch = join(rows)
        logits = model(**batch).logits
        alone = [model(**join([row])).logits[0] for row in rows]
        swapped = model(**batch | {"pixel_values": batch["pixel_values"].flip(0)}).logits
    for line, values in enumerate(alone):
        torch.testing.assert_close(logits[line, : len(values)], values, rtol=0, atol=1e-5)
    assert float((swapped[0] - logits[0]).abs().max()) > 0.1
    assert float((swapped[2] - logits[2]).abs().max()) > 0.1


def test_a_batch_padded_on_the_left_writes_what_its_rows_write_alone(model, pictures):
    processor = tiny_processor()
    chats = [
        Conversation.ask("What is this?", pictures[0]),
        Conversation.ask("What is this?", pictures[1]),
        Conversation.ask("What color is the cat in the kitchen, and how many pizza slices are there?"),
        Conversation.ask("Why?", pictures[2], pictures[3]),
    ]
    rows = [processor(chat) for chat in chats]

    def write(chosen: list[dict[str, Tensor]]) -> list[list[int]]:
        batch = collate(chosen, pad_id=processor.pad_id, side="left")
        tokens = model.generate(
            batch["input_ids"],
            batch["pixel_values"],
            batch["attention_mask"],
            image_flags=batch["image_flags"],
            do_sample=False,
            min_new_tokens=12,
            max_new_tokens=12,
            pad_token_id=processor.pad_id,
            eos_token_id=processor.stop_id,
        )
        return tokens.tolist()

    together, alone = write(rows), [write([row])[0] for row in rows]
    assert together == alone
    # Texts that do not depend on picture and question would make this test blind.
    assert len({tuple(tokens) for tokens in alone}) == len(rows)


def test_generation_without_a_mask_reads_every_token(pictures):
    model, row = tiny_model(), tiny_processor()(Conversation.ask("What is this?", pictures[0]))
    ids = row["input_ids"][None]
    options = {"do_sample": False, "max_new_tokens": 6, "pad_token_id": 5, "eos_token_id": 7}
    whole = model.generate(ids, row["pixel_values"], torch.ones_like(ids), **options)
    assert model.generate(ids, row["pixel_values"], **options).tolist() == whole.tolist()
    assert whole.shape[1] <= 6
