"""A judge on loopback: chat completions over real connections, which fail where they are told to."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

Body = dict[str, Any]


@dataclass
class Answer:
    """What the server does with a request.

    Attributes:
        text: of the reply.
        status: another than 200 is an error with `error` as its body.
        part: share of the bytes that is sent before the connection is cut.
        seconds: of silence before.
    """

    text: str = "5"
    status: int = 200
    error: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    finish_reason: str = "stop"
    refusal: str | None = None
    part: float = 1.0
    content: bytes | None = None
    seconds: float = 0.0
    usage: tuple[int, int] | None = (100, 2)


@dataclass
class JudgeServer:
    """Remembers what it was asked.

    Attributes:
        decide: the last words of a request, and how often they came before, to an answer.
        asked: how often the words came.
        served: how often they got a whole reply.
    """

    decide: Callable[[str, int], Answer] = lambda words, times: Answer()
    model: str = "judge-2024-01-01"
    asked: Counter[str] = field(default_factory=Counter)
    served: Counter[str] = field(default_factory=Counter)
    bodies: list[Body] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    busy: int = 0
    most_busy: int = 0
    url: str = ""

    def reply(self, answer: Answer, body: Body) -> Body:
        message = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
        reply: Body = {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": self.model,
            "system_fingerprint": "fp",
            "choices": [{"index": 0, "finish_reason": answer.finish_reason, "message": message}],
        }
        if answer.usage:
            reply["usage"] = {
                "prompt_tokens": answer.usage[0],
                "completion_tokens": answer.usage[1],
                "prompt_tokens_details": {"cached_tokens": 10},
            }
        return reply

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._handle_one(reader, writer):
                pass
        writer.close()

    async def _handle_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin1").split("\r\n")
        given = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
        body = json.loads(await reader.readexactly(int(given.get("content-length", 0))))
        words = read_words(body)
        answer = self.decide(words, self.asked[words])
        self.asked[words] += 1
        self.bodies.append(body)
        self.keys.add(given["authorization"])
        self.busy += 1
        self.most_busy = max(self.busy, self.most_busy)
        await asyncio.sleep(answer.seconds)
        self.busy -= 1
        content = answer.content
        if content is None:
            content = json.dumps(self.reply(answer, body) if answer.status == 200 else answer.error).encode()
        headers = {"content-type": "application/json", "content-length": str(len(content)), **answer.headers}
        lines = [f"HTTP/1.1 {answer.status} Code", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode() + content[: int(answer.part * len(content))])
        await writer.drain()
        if answer.status == 200 and answer.part == 1 and answer.content is None:
            self.served[words] += 1
        return answer.part == 1


def read_words(body: Body) -> str:
    """The words of the last message."""
    content = body["messages"][-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


@contextmanager
def serve_judge(server: JudgeServer | None = None) -> Iterator[JudgeServer]:
    """A server in a thread of its own while the block runs."""
    server = server or JudgeServer()
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def run() -> None:
        listening = await asyncio.start_server(server.handle, "127.0.0.1", 0, backlog=512)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
        ready.set()
        async with listening:
            await listening.serve_forever()

    def work() -> None:
        asyncio.set_event_loop(loop)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    task = loop.create_task(run())
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:

        def stop() -> None:
            for one in asyncio.all_tasks(loop):
                one.cancel()

        loop.call_soon_threadsafe(stop)
        thread.join(5)
        loop.close()
