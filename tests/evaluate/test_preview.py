"""Prompts for people: nothing but runs of placeholders and the contents of pictures is shortened."""

from __future__ import annotations

from evaluate.preview import Preview, Seen, collapse, tell_messages
from internvl.tokens import IMAGE_CONTEXT
from tests.tiny import tiny_tokenizer


def test_runs_of_placeholders_become_their_number() -> None:
    tokenizer = tiny_tokenizer()
    text = f"<|im_start|>user\n<img>{IMAGE_CONTEXT * 256}</img>\nIs  it <img>{IMAGE_CONTEXT}</img> , or not ?<|im_end|>"
    ids = tokenizer.backend_tokenizer.encode(text, add_special_tokens=False).ids
    expected = "<|im_start|>user\n<img><image: 256 tokens></img>\nIs  it <img><image: 1 token></img> , or not ?"
    assert collapse(tokenizer, ids, IMAGE_CONTEXT) == f"{expected}<|im_end|>"
    assert collapse(tokenizer, ids[:4], "<nowhere>") == tokenizer.decode(ids[:4])


def test_contents_of_pictures_are_told_by_kind_and_size() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "AAAA" * 1000}}
    told = tell_messages([{"role": "user", "content": [picture, {"type": "text", "text": "Größe? data:x"}]}])
    assert '"url": "<image/png, 3,000 bytes>"' in told
    assert '"text": "Größe? data:x"' in told
    assert tell_messages("words\nalone") == "words\nalone"
    assert Preview(len).read("as it is") == Seen("as it is")
