"""Commands in processes that need not import anything: forks of a server that has imported it and done nothing else.

A fresh process spends ten times as long on the imports of a training run as on one that is as small as those of the
tests. Tests to which the start itself, or a kill of single processes, is the point start real ones.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODULES = (
    *("train.run", "evaluate.launch", "evaluate.predictors.internvl"),
    *("jsonargparse", "docstring_parser", "peft.tuners", "torch._inductor.compile_fx"),
    *("tensorboard.plugins.hparams.summary_v2", "deepspeed", "deepspeed.runtime.zero.muon.muon_optimizer"),
)
STARTERS = ("lightning.pytorch.strategies.launchers.subprocess_script", "evaluate.processes")
QUIET = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


class WarmProcess:
    """A command of the project that runs, as far as `subprocess.Popen` is asked about it here.

    Args:
        module: that is run as the main one.
        arguments: of the command.
        environment: of the command; that of this process if None.
        start_new_session: and a process group, so that a kill of it takes all processes of the run along.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        start_new_session: bool = False,
    ) -> None:
        asked = {
            "module": module,
            "arguments": arguments,
            "environment": {**(os.environ if environment is None else environment), **QUIET},
            "start_new_session": start_new_session,
        }
        pipes = [os.pipe() for _ in range(3)]
        socket.send_fds(start_server(), [json.dumps(asked).encode()], [end for _, end in pipes])
        for _, end in pipes:
            os.close(end)
        self.stdout, self.stderr, self.status = (os.fdopen(end, encoding="utf-8") for end, _ in pipes)
        self.pid = int(self.status.readline())
        self.returncode: int | None = None

    def communicate(self, timeout: float) -> tuple[str, str]:
        """What it still says, when it has ended; it is killed where that takes longer than these seconds."""
        with ThreadPoolExecutor(2) as readers:
            texts = [readers.submit(file.read) for file in (self.stdout, self.stderr)]
            try:
                output, errors = (text.result(timeout) for text in texts)
            except TimeoutError:
                os.kill(self.pid, signal.SIGKILL)
                raise
        self.wait()
        return output, errors

    def wait(self) -> int:
        """Its exit code, once it has ended."""
        if self.returncode is None:
            self.returncode = int(self.status.readline())
        return self.returncode

    def __enter__(self) -> WarmProcess:
        return self

    def __exit__(self, *_: object) -> None:
        for file in (self.stdout, self.stderr, self.status):
            file.close()


@cache
def start_server() -> socket.socket:
    """The end of the server that takes requests; it leaves when this process does."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", "tests.warm", str(theirs.fileno())],
            cwd=ROOT,
            env={**os.environ, **QUIET, "DS_ACCELERATOR": "cpu"},
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
    return ours


def serve(requests: socket.socket) -> dict[str, Any]:
    """Fork a process per request, which alone returns, with what it is to do."""
    for name in MODULES:
        importlib.import_module(name)
    gc.freeze()  # a collection would copy what is shared with every fork
    assert len(os.listdir("/proc/self/task")) == 1, "a fork would lack the threads that an import has started"
    while True:
        message, files, _, _ = socket.recv_fds(requests, 1 << 20, 3)
        if not message:
            os._exit(0)
        if os.fork() == 0:
            requests.close()
            return keep(json.loads(message), *files)
        for file in files:
            os.close(file)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def keep(asked: dict[str, Any], output: int, errors: int, status: int) -> dict[str, Any]:
    """Fork the process that was asked for, which alone returns; tell its number, and at its end its exit code."""
    process = os.fork()
    if process:
        os.close(output)
        os.close(errors)
        os.write(status, f"{process}\n".encode())
        os.write(status, f"{os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])}\n".encode())
        os._exit(0)
    os.close(status)
    if asked["start_new_session"]:
        os.setsid()
    for number, file in enumerate((output, errors), start=1):
        os.dup2(file, number)
        os.close(file)
    # Those of the server are for what lay at these numbers before.
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
    replace_environment(asked["environment"])
    return asked


def replace_environment(variables: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(variables)


class Twin:
    """The second process of a run, forked before the first one has done anything, and started when it starts others.

    It has what Lightning and the evaluation ask of a `subprocess.Popen`.
    """

    def __init__(self) -> None:
        self.returncode: int | None = None
        told, self.tell = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(told)
            return
        os.close(self.tell)
        with os.fdopen(told, encoding="utf-8") as file:
            environment = file.read()
        if not environment:
            os._exit(0)
        replace_environment(json.loads(environment))

    def start(self, command: list[str], env: Mapping[str, str], cwd: None = None, stdin: int | None = None) -> Twin:
        # Lightning names the module in another way.
        assert command[3:] == sys.orig_argv[3:], command
        with os.fdopen(self.tell, "w", encoding="utf-8") as file:
            json.dump(dict(env), file)
        return self

    def poll(self) -> int | None:
        if self.returncode is None:
            process, status = os.waitpid(self.pid, os.WNOHANG)
            if process:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        end = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired(sys.orig_argv, timeout)
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_forked(asked: dict[str, Any]) -> None:
    """What `python -m` does in a fresh process."""
    sys.orig_argv = [sys.executable, "-m", asked["module"], *asked["arguments"]]
    sys.argv = sys.orig_argv[2:]
    starter = SimpleNamespace(**{**vars(subprocess), "Popen": Twin().start})
    for name in STARTERS:
        vars(importlib.import_module(name))["subprocess"] = starter
    try:
        runpy.run_module(asked["module"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    # To take everything apart would copy it first, and take longer than the run.
    os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    run_forked(serve(socket.socket(fileno=int(sys.argv[1]))))
