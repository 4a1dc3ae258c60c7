"""Checkpoints with adapters answer through peft: as trained and merged, and not without an adapter."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from internvl.certificate import probe
from internvl.certificate.adapters import answer_wrapped
from internvl.certificate.comparison import compare
from internvl.certificate.models import Precision, answer_ours
from internvl.errors import InputError
from tests.tiny import tiny_checkpoint
from tests.tiny_wrapped import WEIGHTS, wrap_checkpoint, write_wrapped_internlm2

# A call of peft's own.
pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")

HERE = Precision(torch.float32, torch.device("cpu"))


@pytest.fixture(autouse=True)
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "PROBES", probe.PROBES[2:5:2])


def test_peft_gives_the_model_that_is_merged_when_it_is_read(tmp_path):
    plain = answer_ours(tiny_checkpoint(tmp_path), HERE)
    wrap_checkpoint(tmp_path, "vision_model", "language_model")
    read = answer_ours(tmp_path, HERE)
    held, merged = answer_wrapped(tmp_path, HERE), answer_wrapped(tmp_path, HERE, merge=True)
    assert compare(held, read).reasons == compare(merged, read).reasons == ()
    assert (held.implementation, merged.implementation) != (read.implementation,) * 2
    assert held.implementation != merged.implementation
    # The adapters count.
    assert len(compare(plain, read).reasons) == 2


def test_one_part_alone_and_rounded(tmp_path):
    wrap_checkpoint(tiny_checkpoint(tmp_path, "qwen2"), "language_model", dtype=torch.bfloat16)
    types = dict.fromkeys(load_plain_names(tmp_path), torch.bfloat16)
    read = answer_ours(tmp_path, HERE)
    assert compare(answer_wrapped(tmp_path, HERE, merge=True, rounded=[types]), read).max_difference < 1e-5
    # Merged in float32 it is another model.
    assert compare(answer_wrapped(tmp_path, HERE, merge=True), read).max_difference > 1e-3


def load_plain_names(folder):
    names = load_file(folder / WEIGHTS)
    return [name.replace("base_model.model.", "").replace(".base_layer.", ".") for name in names if "lora" not in name]


def test_fused_projections_of_an_internlm2(tmp_path):
    plain, wrapped = write_wrapped_internlm2(tmp_path)
    expected = answer_ours(plain, HERE)
    for merge in (False, True):
        assert compare(answer_wrapped(wrapped, HERE, merge=merge), expected).reasons == ()


def test_a_lost_tensor_is_no_model(tmp_path):
    folder = wrap_checkpoint(tiny_checkpoint(tmp_path), "language_model")
    state = load_file(folder / WEIGHTS)
    del state["mlp1.0.weight"]
    save_file(state, folder / WEIGHTS, metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"difference in 1 \(mlp1.0.weight\)"):
        answer_wrapped(folder, HERE)
