"""A server of chat completions on loopback that fails where it is told to, and remembers what it was asked."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class ChatServer:
    """Answers every question with words that depend on all of it.

    Attributes:
        faults: what happens to the first requests with a question, by the question: a status code, "slow" (no answer
            within the time that a test waits) or "cut" (the connection ends in the middle of the body).
        headers: sent with every status code of a fault.
        errors: the body of the error with a status code.
        asked: how often each question came.
        served: how often each was answered.
    """

    def __init__(self) -> None:
        self.faults: dict[str, list[int | str]] = {}
        self.headers: dict[str, str] = {}
        self.errors: dict[int, dict[str, Any]] = {}
        self.asked: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.bodies: list[dict[str, Any]] = []
        self.keys: set[str] = set()
        self.busy = self.most_busy = 0
        self.lock = threading.Lock()
        self.url = ""

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers["Content-Length"])))
        question = read_question(body["messages"])
        with self.lock:
            self.busy += 1
            self.most_busy = max(self.busy, self.most_busy)
            self.asked[question] += 1
            self.bodies.append(body)
            self.keys.add(request.headers["Authorization"])
            waiting = self.faults.get(question, [])
            fault = waiting.pop(0) if waiting else None
        time.sleep(0.01)
        with self.lock:
            self.busy -= 1
        if fault == "slow":
            time.sleep(1.0)
        if isinstance(fault, int):
            send(request, fault, {"error": self.errors.get(fault, {"message": f"code {fault}"})}, self.headers)
            return
        content = expect(body["messages"])
        reason = "content_filter" if "forbidden" in question else "length"
        choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": content}}
        reply = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"], "choices": [choice]}
        if fault == "cut":
            send(request, 200, reply, {}, cut=True)
        else:
            if fault is None:
                with self.lock:
                    self.served[question] += 1
            send(request, 200, reply, {})


def read_question(messages: list[dict[str, Any]]) -> str:
    """The words of the last message."""
    content = messages[-1]["content"]
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def expect(messages: list[dict[str, Any]]) -> str:
    """The answer to a dialogue, white space at its ends."""
    return f" {hashlib.sha256(json.dumps(messages).encode()).hexdigest()[:12]}\n"


def send(request: Any, code: int, body: dict[str, Any], headers: dict[str, str], *, cut: bool = False) -> None:
    content = json.dumps(body).encode()
    try:
        request.send_response(code)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(content[: len(content) // 2] if cut else content)
        request.wfile.flush()
        if cut:
            request.connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # whoever asked has gone
    request.close_connection = cut or request.close_connection


@contextmanager
def serve_chats() -> Iterator[ChatServer]:
    """A server while the block runs."""
    chats = ChatServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            if self.path == "/v1/chat/completions":
                chats.handle(self)
            else:
                self.rfile.read(int(self.headers["Content-Length"]))
                send(self, 404, {"error": {"message": "no such page"}}, {})

        def log_message(self, format: str, *values: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    chats.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield chats
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
