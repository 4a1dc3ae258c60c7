"""A server of pictures on loopback that does to a request what its path says."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from evaluate.demo.pictures import draw

PAGE = b"<!DOCTYPE html><html><body>This picture is no longer here</body></html>"


class PictureServer:
    """Paths are `/<what happens>/<number>`: `ok`, `gone`, `page`, `slow`, `moved`, `mislabelled`, `cut`, `busy`, `png`.

    Attributes:
        asked: how often each path was asked for.
        agents: what asked.
        busy, most: connections now, and the most at one time.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.busy = self.most = 0
        self.lock = threading.Lock()
        self.url = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        counted = "/slow/" not in request.path  # the client is gone before the server is done
        with self.lock:
            self.asked[request.path] += 1
            self.agents.add(request.headers["User-Agent"])
            self.busy += counted
            self.most = max(self.most, self.busy)
            times = self.asked[request.path]
        try:
            time.sleep(0.02)
            self._answer(request, times)
        finally:
            with self.lock:
                self.busy -= counted

    def _answer(self, request: BaseHTTPRequestHandler, times: int) -> None:
        what, number = request.path.split("?")[0].strip("/").split("/")[:2]
        content, kind = draw(int(number)), "image/jpeg"
        if what == "gone":
            return send(request, 404, PAGE, "text/html")
        if what == "busy" and times < 3:
            return send(request, 503, b"", "text/plain")
        if what == "page":
            content, kind = PAGE, "text/html"
        elif what == "png":
            content, kind = draw(int(number), "PNG"), "image/png"
        elif what == "mislabelled":
            kind = "text/html; charset=utf-8"
        elif what == "moved":
            request.send_response(302)
            request.send_header("Location", f"{self.url}/ok/{number}")
            request.send_header("Content-Length", "0")
            request.end_headers()
            return None
        elif what == "slow":
            time.sleep(1.2)
        elif what == "cut" or (what == "once" and times == 1):
            return send(request, 200, content[: len(content) // 2], kind, len(content))
        return send(request, 200, content, kind)


def send(request: BaseHTTPRequestHandler, code: int, body: bytes, kind: str, length: int | None = None) -> None:
    request.send_response(code)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.end_headers()
    request.wfile.write(body)


@contextmanager
def serve_pictures() -> Iterator[PictureServer]:
    """A running server."""
    server = PictureServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(BrokenPipeError, ConnectionResetError):
                server.answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, args=(0.01,))
    thread.start()
    server.url = f"http://127.0.0.1:{listener.server_port}"
    try:
        yield server
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()
