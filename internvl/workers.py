"""Worker processes: how they start, and that they end with the process that started them."""

from __future__ import annotations

import multiprocessing
import os
from threading import Thread

START_METHOD = "forkserver"
"""A plain fork copies the locks of threads that are not copied (gloo's, the weight loader's) and may hang."""


def end_with_parent(_: int = 0) -> None:
    """Make this worker end when its parent is gone; give it to a pool or a loader as what a worker runs first.

    A worker from a fork server is no child of the process that works with it. After a kill it would wait for work for
    ever, and the server for the worker.
    """
    Thread(target=_wait_and_leave, daemon=True).start()


def _wait_and_leave() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
