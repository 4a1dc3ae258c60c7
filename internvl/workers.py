"""Worker processes: how they start, and that they end with the process that started them and not before."""

from __future__ import annotations

import multiprocessing
import os
import resource
import signal
import sys
from contextlib import suppress
from multiprocessing import forkserver, resource_tracker
from threading import Thread
from types import TracebackType

START_METHOD = "forkserver"
"""A plain fork copies the locks of threads that are not copied (gloo's, the weight loader's) and may hang."""
_PRELOADED = ["__main__", "torch.utils.data", "transformers.tokenization_utils_fast"]
_QUIET = "ignore:resource_tracker:UserWarning"
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


def shield_workers(*, preload: bool = True) -> None:
    """Let signals to all processes of a run pass its workers by: it still needs them for the step that it saves.

    Call it before the first worker starts: they have from the server that starts them what is blocked. A worker that
    runs `end_with_parent` still obeys its parent.

    Args:
        preload: let the server import once, and hold in memory once, what every worker needs.
    """
    if preload:
        forkserver.set_forkserver_preload(_PRELOADED)
    if not hasattr(signal, "sigtimedwait"):
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    if _QUIET not in sys.warnoptions:
        # The tracker tidies up after a killed process, and need not tell.
        sys.warnoptions.append(_QUIET)
    try:
        resource_tracker.ensure_running()
        # The tracker's own start unblocks some of them.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def allow_many_files() -> None:
    """Raise the limit of open files as far as the system lets: every tensor that a worker hands over is one."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def end_with_parent(_: int = 0) -> None:
    """Make this worker end when its parent is gone; give it to a pool or a loader as what a worker runs first.

    A worker from a fork server is no child of the process that works with it. After a kill it would wait for work for
    ever, and the server for the worker.
    """
    Thread(target=_wait_and_leave, daemon=True).start()


def tell_of_thread(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an error of a thread of a worker, unless it is that nobody takes the tensors any more."""
    if not issubclass(kind, EOFError | OSError):
        sys.__excepthook__(kind, error, trace)


def _wait_and_leave() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    sys.excepthook = tell_of_thread
    if signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        told = None
        while parent.is_alive() and (told is None or told.si_pid != parent.pid):
            told = signal.sigtimedwait((signal.SIGTERM,), 0.5)
    else:
        parent.join()
    os._exit(1)
