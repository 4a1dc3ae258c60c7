"""The benchmark of long prompts: it runs, its batches give the texts of single rows, and memory is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.long_prompts import MB, Peaks, measure, write_frames, write_models


@pytest.mark.parametrize("name", ["internvl", "hf"])
def test_every_row_is_answered_alone_and_in_a_batch(name: str, tmp_path: Path) -> None:
    frames = write_frames(tmp_path / "frames", 2)
    rows = measure(name, write_models(tmp_path)[name], frames, [1200, 1100])
    assert [row.rows for row in rows] == [1, 1, 2]
    assert rows[0].tokens == rows[2].tokens
    assert 1150 < rows[0].tokens < 1250
    assert all(row.pictures == 2 and row.foreseen > 0 and {"prefill", "decode"} <= row.peaks.keys() for row in rows)
    assert rows[0].prepared > 1


def test_peaks_belong_to_their_phase() -> None:
    peaks = Peaks()
    with peaks.phase("large"):
        held = np.ones(40 * MB, dtype=np.uint8)
        del held
    with peaks.phase("small"):
        pass
    found = peaks.take()
    assert found["large"] > 35
    assert found["small"] < found["large"] - 30
