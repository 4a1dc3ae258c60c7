"""A real server with a native folder answers what our model does."""

from __future__ import annotations

import base64
import io
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from internvl.conversation import Conversation, Turn
from tests.tiny import tiny_config, tiny_model, tiny_processor
from tests.tiny_native import write_native

pytestmark = pytest.mark.slow
TILES, TOKENS = 6, 16


def scene(width: int, height: int) -> Image.Image:
    """Soft colours with a dark bar, as a photo has them."""
    down, right = np.mgrid[0:height, 0:width]
    pixels = np.stack([right * 255 // width, down * 255 // height, (right + down) % 256], axis=-1).astype(np.uint8)
    pixels[height // 3 : height // 2, width // 4 :] //= 4
    return Image.fromarray(pixels)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Any]:
    """A client of transformers' own server, and the folder that it serves."""
    pytest.importorskip("fastapi", reason="transformers[serving] is not installed")
    openai = pytest.importorskip("openai")
    serve = pytest.importorskip("transformers.cli.serve")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = serve.Serve(device="cpu", dtype="float32", host="127.0.0.1", port=port, non_blocking=True)
    try:
        end = time.monotonic() + 30
        while not running.server.started:
            assert time.monotonic() < end, "the server did not start"
            time.sleep(0.05)
        yield openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=0)
    finally:
        running.kill_server()


def test_a_server_answers_what_the_model_does(server, tmp_path):
    options = {"dynamic_image_size": True, "use_thumbnail": True, "max_dynamic_patch": TILES}
    model = tiny_model(**options)
    processor = tiny_processor(tiny_config(**options), dynamic=True, thumbnail=True, max_tiles=TILES)
    write_native(tmp_path, model, processor)
    processor.tiler = replace(processor.tiler, resize="torch")  # as the server resizes
    answers = set()
    for system, images in (
        (None, []),
        (None, [scene(200, 150)]),
        (None, [scene(70, 60), scene(60, 90)]),
        (None, [scene(90, 400)]),
        ("Be brief.", [scene(120, 120)]),
    ):
        parts: list[dict] = [{"type": "image_url", "image_url": {"url": encode(image)}} for image in images]
        messages: list[dict] = [{"role": "system", "content": system}] if system else []
        messages.append({"role": "user", "content": [*parts, {"type": "text", "text": "What is this?"}]})
        reply = server.chat.completions.create(model=str(tmp_path), messages=messages, temperature=0, max_tokens=TOKENS)
        turns = (*Conversation.ask("What is this?", *images).turns,)
        turns = (Turn("system", system), *turns) if system else turns
        row = processor(Conversation(turns, tuple(images)), max_tiles=TILES * max(1, len(images)))
        ids = model.generate(
            row["input_ids"][None],
            row["pixel_values"],
            max_new_tokens=TOKENS,
            do_sample=False,
            eos_token_id=processor.stop_id,
            pad_token_id=processor.pad_id,
        )
        assert reply.usage.prompt_tokens == len(row["input_ids"])
        assert reply.choices[0].message.content == processor.decode(ids[0].tolist())
        answers.add(reply.choices[0].message.content)
    assert len(answers) == 5, "what does not depend on the question proves nothing"


def encode(image: Image.Image) -> str:
    stream = io.BytesIO()
    image.save(stream, "png")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
