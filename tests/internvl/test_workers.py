"""Worker processes after a kill -9 of the process that they work for: gone, with a loader and with a pool."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from internvl.workers import end_with_parent, tell_of_thread

ROOT = Path(__file__).resolve().parents[2]
IMPORTS = "import os, signal, sys, time\nIS_SHIELDED = {}\nfrom internvl.workers import *\n"
SCRIPTS = {
    "loader": """
from torch.utils.data import DataLoader, Dataset
class Numbers(Dataset):
    def __len__(self): return 10**6
    def __getitem__(self, index): return os.getpid()
if __name__ == "__main__":
    loader = DataLoader(Numbers(), num_workers=2, multiprocessing_context=START_METHOD, worker_init_fn=end_with_parent)
    batches = iter(loader)
    print(*{int(next(batches)) for _ in range(8)}, flush=True)
    time.sleep(60)
""",
    "pool": """
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
def number(_):
    time.sleep(0.2)
    # What the server has imported no worker needs to import.
    assert ("torch" in sys.modules) == IS_SHIELDED
    return os.getpid()
if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, mp_context=get_context(START_METHOD), initializer=end_with_parent)
    print(*set(pool.map(number, range(8))), flush=True)
    time.sleep(60)
""",
}


def is_running(process: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="no /proc to look for processes in")
@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_kill_takes_the_workers_along(kind: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"{IMPORTS.format(False)}{SCRIPTS[kind]}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        workers = [int(word) for word in process.stdout.readline().split()]
        assert workers
        assert all(is_running(worker) for worker in workers)
        process.send_signal(signal.SIGKILL)
        # Their end closes the pipe: nothing that holds it is left.
        process.communicate(timeout=20)
    for _ in range(100):
        if not any(is_running(worker) for worker in workers):
            return
        time.sleep(0.1)
    raise AssertionError(f"still running: {[worker for worker in workers if is_running(worker)]}")


def test_a_process_without_a_parent_stays() -> None:
    hook = sys.excepthook
    end_with_parent()
    time.sleep(0.1)
    assert sys.excepthook is hook


def test_a_worker_says_nothing_about_tensors_that_nobody_takes(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (EOFError(), ConnectionResetError()):
        tell_of_thread(type(error), error, None)
    assert capsys.readouterr().err == ""
    tell_of_thread(ValueError, ValueError("a bug"), None)
    assert capsys.readouterr().err == "ValueError: a bug\n"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT], ids=lambda number: number.name)
@pytest.mark.parametrize("kind", SCRIPTS)
def test_shielded_workers_outlive_signals_to_all_and_obey_their_parent(
    kind: str, number: signal.Signals, tmp_path: Path
) -> None:
    script = tmp_path / "script.py"
    begin = f"if __name__ == '__main__':\n    shield_workers()\n    signal.signal({int(number)}, lambda *_: None)\n"
    script.write_text(f"{IMPORTS.format(True)}{begin}{SCRIPTS[kind].replace('time.sleep(60)', 'input()')}")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    with subprocess.Popen(
        [sys.executable, script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            workers = [int(word) for word in process.stdout.readline().split()]
            assert workers
            os.killpg(process.pid, number)
            time.sleep(1)
            assert is_running(process.pid)
            assert all(is_running(worker) for worker in workers)
            # At its end it ends those that wait for work.
            process.communicate("\n", timeout=30)
            assert process.returncode == 0
            assert not any(is_running(worker) for worker in workers)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
