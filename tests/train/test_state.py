"""Training checkpoints: any split is read back in any range, a stop leaves a whole one, and damage is named."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import sys
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import train.state
from internvl.errors import InputError
from train.shard import MOMENTS, Shard
from train.state import SavedState, find_states, load_loops, load_shards, read_step, remove_state, save_state

Tensors = dict[str, dict[str, Tensor]]
KINDS = ("weight", *MOMENTS)


def make_tensors(draw: random.Random) -> Tensors:
    """Parameters of every kind of shape, with their moments: name -> kind -> values."""
    shapes = [tuple(draw.randint(1, 7) for _ in range(draw.randint(1, 3))) for _ in range(draw.randint(1, 5))]
    return {
        f"part.{number}.weight": {kind: torch.randn(shape) for kind in KINDS} for number, shape in enumerate(shapes)
    }


def shapes_of(tensors: Tensors) -> dict[str, tuple[int, ...]]:
    return {name: tuple(kinds["weight"].shape) for name, kinds in tensors.items()}


def split(tensors: Tensors, world: int, draw: random.Random) -> list[list[Shard]]:
    """Every parameter cut at random places into one part per process, some of them empty or with a part not saved."""
    shards: list[list[Shard]] = [[] for _ in range(world)]
    for name, kinds in tensors.items():
        flat = {kind: values.flatten() for kind, values in kinds.items()}
        size = len(flat["weight"])
        cuts = [0, *sorted(draw.randint(0, size) for _ in range(world - 1)), size]
        for rank, (first, last) in enumerate(pairwise(cuts)):
            # A process may keep more than it saves.
            start, stop = draw.randint(0, first), draw.randint(last, size)
            values, *moments = (flat[kind][start:stop].clone() for kind in KINDS)
            kept = first - start, last - start
            shards[rank].append(Shard(name, start, values, dict(zip(MOMENTS, moments, strict=True)), kept))
    draw.shuffle(shards)
    return shards


def save(folder: Path, shards: Sequence[Sequence[Shard]], shapes: dict[str, tuple[int, ...]], step: int = 1) -> None:
    """As one thread per process."""
    barrier, errors = Barrier(len(shards), timeout=30), []

    def work(rank: int) -> None:
        try:
            save_state(folder, shards[rank], {"global_step": step}, shapes, rank=rank, barrier=barrier.wait)
        except Exception as error:
            errors.append(error)
            barrier.abort()

    threads = [Thread(target=work, args=(rank,)) for rank in range(len(shards))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def save_alone(folder: Path, tensors: Tensors, step: int = 1) -> None:
    """As one process would."""
    whole = [
        Shard(name, 0, kinds["weight"].flatten(), {kind: kinds[kind].flatten() for kind in MOMENTS}, (0, size))
        for name, kinds in tensors.items()
        for size in [kinds["weight"].numel()]
    ]
    loops = {"global_step": step}
    save_state(folder, whole, loops, shapes_of(tensors), rank=0, barrier=lambda: None)


@pytest.fixture
def tensors() -> Tensors:
    draw = random.Random(0)
    torch.manual_seed(0)
    return make_tensors(draw)


@pytest.mark.parametrize("seed", range(24))
def test_any_split_is_read_back_in_any_range(seed, tmp_path, monkeypatch):
    draw = random.Random(seed)
    torch.manual_seed(seed)
    tensors, world = make_tensors(draw), seed % 4 + 1
    if seed % 3 == 0:
        monkeypatch.setattr(train.state, "_MAX_BYTES", draw.choice([1, 100, 1000]))
    save(tmp_path / "step-7", split(tensors, world, draw), shapes_of(tensors), step=7)
    state = SavedState(tmp_path / "step-7")
    assert state.shapes == shapes_of(tensors)
    assert load_loops(tmp_path / "step-7") == {"global_step": 7}
    assert read_step(tmp_path / "step-7") == 7
    for name, kinds in tensors.items():
        assert torch.equal(state.read(name), kinds["weight"].flatten())
        for kind, values in kinds.items():
            start, stop = sorted(draw.randint(0, values.numel()) for _ in range(2))
            assert torch.equal(state.read(name, start, stop, kind), values.flatten()[start:stop])


@pytest.mark.parametrize("seed", range(12))
def test_shards_of_other_processes_are_filled(seed, tmp_path):
    draw = random.Random(seed)
    torch.manual_seed(seed)
    tensors = make_tensors(draw)
    save(tmp_path / "step-1", split(tensors, seed % 3 + 1, draw), shapes_of(tensors))
    for shards in split(tensors, seed % 4 + 1, draw):
        expected = [[shard.values.clone(), *(part.clone() for part in shard.moments.values())] for shard in shards]
        for shard in shards:
            for values in (shard.values, *shard.moments.values()):
                values.fill_(torch.nan)
        load_shards(shards, SavedState(tmp_path / "step-1"))
        for shard, values in zip(shards, expected, strict=True):
            assert all(torch.equal(*both) for both in zip((shard.values, *shard.moments.values()), values, strict=True))


def test_adapted_weights_have_their_plain_names(tmp_path):
    shard = Shard("a.q_proj.base_layer.weight", 0, torch.ones(4), {}, (0, 4))
    shapes = {"a.q_proj.weight": (4,)}
    save_state(tmp_path / "step-1", [shard], {"global_step": 1}, shapes, rank=0, barrier=lambda: None)
    assert SavedState(tmp_path / "step-1").read("a.q_proj.weight").tolist() == [1.0] * 4
    empty = Shard("a.q_proj.base_layer.weight", 1, torch.zeros(2), {}, (0, 2))
    load_shards([empty], SavedState(tmp_path / "step-1"))
    assert empty.values.tolist() == [1.0, 1.0]


def test_a_large_state_is_several_files_of_bounded_size(tensors, tmp_path, monkeypatch):
    monkeypatch.setattr(train.state, "_MAX_BYTES", 400)
    save_alone(tmp_path / "step-1", tensors)
    files = sorted((tmp_path / "step-1").glob("part-*.safetensors"))
    assert len(files) > 1
    names = [name for file in files for name in load_file(file)]
    assert len(names) == len(set(names)) == 3 * len(tensors)


def test_numbers_keep_their_type(tmp_path):
    for dtype in (torch.float32, torch.bfloat16):
        values = torch.tensor([1.0, 2.0, 3.0], dtype=dtype)
        shard = Shard("w", 0, values, {}, (0, 3))
        folder = tmp_path / "step-1"
        save_state(folder, [shard], {"global_step": 1}, {"w": (3,)}, rank=0, barrier=lambda: None)
        assert SavedState(folder).read("w").dtype == dtype


def run_killed(work: Callable[[], None], at: int) -> bool:
    """Do the work in a copy of this process that ends without a word before its `at`-th look at the disk.

    Whether it came so far.
    """
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        left = at

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            # Torch and safetensors write without a word, but every file is opened once more when it is synced.
            if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir"):
                left -= 1
                if left < 0:
                    os._exit(9)

        sys.addaudithook(watch)
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9)
    return code == 9


# The same name again: a run that went on from a step before, with checkpoints that were not whole to find_states.
@pytest.mark.parametrize("name", ["step-2", "step-1"])
def test_a_kill_at_any_point_leaves_a_whole_checkpoint(name, tmp_path):
    torch.manual_seed(0)
    before, after = ({"w": {kind: torch.randn(4, 3) for kind in KINDS}} for _ in range(2))
    at, was_killed, seen = 0, True, set()
    while was_killed:
        folder = tmp_path / str(at)
        save_alone(folder / "step-0", before)
        save_alone(folder / "step-1", before)
        was_killed = run_killed(lambda: save_alone(folder / name, after, step=2), at)  # noqa: B023
        for _, path in find_states(folder):
            values = [SavedState(path).read("w", kind=kind) for kind in KINDS]
            whole = [each for each in (before, after) if torch.equal(values[0], each["w"]["weight"].flatten())]
            assert len(whole) == 1
            assert all(
                torch.equal(*both)
                for both in zip(values, (whole[0]["w"][kind].flatten() for kind in KINDS), strict=True)
            )
            load_loops(path)
        seen.add(tuple(step for step, _ in find_states(folder)))
        # What was left does not stay, and does not disturb.
        save_alone(folder / "step-3", after, step=3)
        assert not list(folder.glob(".*"))
        assert find_states(folder)[-1][0] == 3
        at += 1
    assert at > 6
    assert seen == ({(0, 1), (0, 1, 2)} if name == "step-2" else {(0, 1), (0,)})


def test_a_kill_while_an_old_checkpoint_goes_leaves_it_whole_or_gone(tensors, tmp_path):
    at, was_killed = 0, True
    while was_killed:
        folder = tmp_path / str(at)
        save_alone(folder / "step-1", tensors)
        was_killed = run_killed(lambda: remove_state(folder / "step-1"), at)  # noqa: B023
        for _, path in find_states(folder):
            assert torch.equal(SavedState(path).read("part.0.weight"), tensors["part.0.weight"]["weight"].flatten())
            load_loops(path)
        at += 1
    assert at > 2
    assert not list(folder.iterdir())


def fail_on(number: int, function: Any) -> Any:
    """The function, for whose calls from this one on the disk is full."""
    calls = 0

    def call(*arguments: Any, **keys: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls >= number:
            raise OSError(errno.ENOSPC, "No space left on device")
        return function(*arguments, **keys)

    return call


@pytest.mark.parametrize(
    ("where", "number"),
    [("save_file", 1), ("save_file", 2), ("torch.save", 1), ("Path.write_text", 1), ("Path.mkdir", 1), ("os.fsync", 2)],
)
def test_a_full_disk_is_one_line_and_leaves_the_checkpoint_before(where, number, tensors, tmp_path, monkeypatch):
    save_alone(tmp_path / "step-1", tensors)
    monkeypatch.setattr(train.state, "_MAX_BYTES", 400)
    owner, _, name = f"state.{where}".rpartition(".")
    target = {"state": train.state, "state.torch": torch, "state.Path": Path, "state.os": os}[owner]
    monkeypatch.setattr(target, name, fail_on(number, getattr(target, name)))
    with pytest.raises(InputError) as caught:
        save_alone(tmp_path / "step-2", tensors, step=2)
    message = str(caught.value)
    assert re.match(r"checkpoint: expected room and permission to write .*No space left on device; mend that", message)
    assert "\n" not in message
    assert [step for step, _ in find_states(tmp_path)] == [1]


def test_a_full_disk_while_torch_writes_is_one_line(tensors, tmp_path, monkeypatch):
    def fail(*_: object) -> None:
        raise RuntimeError("[enforce fail at inline_container.cc:783] . PytorchStreamWriter failed\nframe #0")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(InputError, match=r"^checkpoint: expected room .* PytorchStreamWriter failed; mend that[^\n]*$"):
        save_alone(tmp_path / "step-1", tensors)


def test_an_error_of_another_process_is_no_full_disk(tensors, tmp_path):
    def fail() -> None:
        raise RuntimeError("Connection closed by peer")

    with pytest.raises(RuntimeError, match="Connection closed"):
        save_state(tmp_path / "step-1", [], {"global_step": 1}, {}, rank=0, barrier=fail)


def rewrite(folder: Path, change: Callable[[dict[str, Tensor]], None]) -> None:
    """Change the tensors of the only file of a checkpoint."""
    (path,) = folder.glob("part-*.safetensors")
    parts = load_file(path)
    change(parts)
    save_file(parts, path)


def test_missing_and_doubled_parts_are_named(tmp_path):
    tensors = {"w": {kind: torch.arange(8.0) for kind in KINDS}}
    layouts = {
        "a gap": [(0, 4), (5, 8)],
        "no begin": [(2, 8)],
        "no end": [(0, 6)],
        "an overlap": [(0, 5), (4, 8)],
        "an overlap as long as a gap": [(0, 4), (2, 6)],
        "twice": [(0, 8), (0, 8)],
        "nothing": [],
    }
    for name, ranges in layouts.items():
        folder = tmp_path / name / "step-1"
        save_alone(folder, tensors)
        (folder / "part-00000-000.safetensors").unlink()
        for number, (first, last) in enumerate(ranges):
            part = {f"{kind}:{first}:w": torch.arange(8.0)[first:last] for kind in KINDS}
            save_file(part, folder / f"part-{number:05d}-000.safetensors")
        for kind in KINDS:
            with pytest.raises(
                InputError, match=r"^checkpoint: expected each element of 0 to 8 of \w+ w once in .*; d"
            ):
                SavedState(folder).read("w", kind=kind)
        # A range that is whole is read all the same.
        if name == "a gap":
            assert SavedState(folder).read("w", 5, 7).tolist() == [5.0, 6.0]


def test_a_parameter_without_moments_is_named_where_they_are_wanted(tmp_path):
    save_alone(tmp_path / "step-1", {"w": {kind: torch.ones(3) for kind in KINDS}})

    def drop(parts: dict[str, Tensor]) -> None:
        del parts["exp_avg_sq:0:w"]

    rewrite(tmp_path / "step-1", drop)
    shard = Shard("w", 0, torch.zeros(3), {kind: torch.zeros(3) for kind in MOMENTS}, (0, 3))
    with pytest.raises(InputError, match="expected each element of 0 to 3 of exp_avg_sq w once"):
        load_shards([shard], SavedState(tmp_path / "step-1"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "no head": lambda folder: (folder / "checkpoint.json").unlink(),
    "no JSON": lambda folder: (folder / "checkpoint.json").write_text("{"),
    "no object": lambda folder: (folder / "checkpoint.json").write_text("[]"),
    "no shapes": lambda folder: (folder / "checkpoint.json").write_text('{"version": 1}'),
    "another version": lambda folder: (folder / "checkpoint.json").write_text('{"version": 2, "shapes": {}}'),
    "a file that is cut off": lambda folder: os.truncate(folder / "part-00000-000.safetensors", 40),
    "an empty file": lambda folder: os.truncate(folder / "part-00000-000.safetensors", 0),
    "another file": lambda folder: save_file({"w": torch.ones(1)}, folder / "part-00009-000.safetensors"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_checkpoint_is_named_in_one_line(name, tensors, tmp_path):
    save_alone(tmp_path / "step-1", tensors)
    DAMAGES[name](tmp_path / "step-1")
    with pytest.raises(InputError) as caught:
        SavedState(tmp_path / "step-1")
    message = str(caught.value)
    assert message.startswith(f"checkpoint: expected a whole training checkpoint in {tmp_path}/step-1, got ")
    assert "\n" not in message


@pytest.mark.parametrize("size", [None, 0, 50, -20])
def test_damaged_loops_are_named_in_one_line(size, tensors, tmp_path):
    save_alone(tmp_path / "step-1", tensors)
    path = tmp_path / "step-1" / "loops.pt"
    content = path.read_bytes()
    path.unlink()
    if size is not None:
        path.write_bytes(content[:size])
    with pytest.raises(InputError, match=r"^checkpoint: expected a whole training checkpoint in [^\n]*$"):
        load_loops(tmp_path / "step-1")


def test_a_damaged_step_is_named(tensors, tmp_path):
    save_alone(tmp_path / "step-1", tensors)
    (tmp_path / "step-1" / "checkpoint.json").write_text(json.dumps({"version": 1}))
    with pytest.raises(InputError, match="expected a whole training checkpoint"):
        read_step(tmp_path / "step-1")


def test_checkpoints_are_found_by_their_step_and_nothing_else_is(tensors, tmp_path):
    assert find_states(tmp_path / "none") == []
    for name in ("step-9", "step-100", "step-20", "step-30-copy", "step-40.bak", "step-", "other", ".step-50.partial"):
        save_alone(tmp_path / name, tensors)
    (tmp_path / "step-200").mkdir()
    assert [path.name for _, path in find_states(tmp_path)] == ["step-9", "step-20", "step-100"]
