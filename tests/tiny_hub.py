"""A model hub on this machine: a real server with the few routes that fetching a checkpoint takes."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest


class Hub:
    """Repositories in memory.

    Attributes:
        commits: by repository and revision, the commit.
        files: by commit, the content of every file.
        refused: by repository, the status and the code that every request is answered with.
        cut: files whose first answer breaks off in the middle.
        broken: files that are not answered, after an answer that broke off.
        requests: what was asked for, as "GET /path", with the range where one was asked for.
    """

    def __init__(self) -> None:
        self.commits: dict[tuple[str, str], str] = {}
        self.files: dict[str, dict[str, bytes]] = {}
        self.refused: dict[str, tuple[int, str]] = {}
        self.cut: set[str] = set()
        self.broken: set[str] = set()
        self.requests: list[str] = []

    def add(self, repository: str, files: Path | dict[str, bytes], *, revision: str = "main") -> str:
        """Publish the files of a folder, and return the commit."""
        if isinstance(files, Path):
            files = {str(path.relative_to(files)): path.read_bytes() for path in files.rglob("*") if path.is_file()}
        commit = hashlib.sha1(repr((repository, sorted(files.items()))).encode()).hexdigest()
        self.commits[repository, revision] = self.commits[repository, commit] = commit
        self.files[commit] = files
        return commit

    def list_fetched(self) -> list[str]:
        """The files whose content was asked for."""
        return sorted(
            line.rpartition("/")[2] for line in self.requests if line.startswith("GET") and "/resolve/" in line
        )


class _Answer(BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *words: Any) -> None:
        """Nothing: the tests have the list."""

    def _answer(self) -> None:
        asked = self.headers.get("Range", "")
        self.hub.requests.append(" ".join([self.command, self.path, *([asked] if asked else [])]))
        path = self.path.partition("?")[0]
        match = re.fullmatch(r"/api/models/(\w+/[\w-]+)/(revision|tree)/(\w+)", path)
        file = re.fullmatch(r"/(\w+/[\w-]+)/resolve/(\w+)/(.+)", path)
        found = match or file
        assert found is not None, f"expected a route of a hub, got {path}"
        repository, revision = found[1], found[3] if match else found[2]
        commit = self.hub.commits.get((repository, revision))
        if repository in self.hub.refused:
            self._refuse(*self.hub.refused[repository])
        elif not any(known == repository for known, _ in self.hub.commits):
            self._refuse(404, "RepoNotFound")
        elif commit is None:
            self._refuse(404, "RevisionNotFound")
        elif file is not None:
            self._send_file(file[3], commit, asked)
        else:
            self._describe(repository, commit, found[2])

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _describe(self, repository: str, commit: str, what: str) -> None:
        files = self.hub.files[commit]
        tree = [{"type": "file", "path": path, "size": len(data), "oid": _hash(data)} for path, data in files.items()]
        siblings = [{"rfilename": path} for path in files]
        answer = tree if what == "tree" else {"id": repository, "sha": commit, "siblings": siblings}
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self, name: str, commit: str, asked: str) -> None:
        whole = self.hub.files[commit][name]
        is_cut = name in self.hub.cut and self.command == "GET"
        if name in self.hub.broken and self.command == "GET" and not is_cut:
            return self._refuse(500, "InternalError")
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        body = whole[start:]
        self.send_response(206 if asked else 200)
        if asked:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        self.send_header("ETag", f'"{_hash(whole)}"')
        self.send_header("X-Repo-Commit", commit)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if is_cut:
            self.hub.cut.remove(name)
            body = body[: len(body) // 2]
        if self.command == "GET":
            self.wfile.write(body)
        return None


def _hash(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


@contextmanager
def start_hub(cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that this process takes for the only one, with an empty cache."""
    from huggingface_hub import constants

    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answer", (_Answer,), {"hub": hub}))
    address = f"http://127.0.0.1:{server.server_port}"
    # The library has read its environment when it was imported.
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", "")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
