"""The training mixture: what a meta file may say, which rows an epoch draws, and what stands in for unusable ones."""

from __future__ import annotations

import json
import pickle
from collections import Counter as Tally
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import train.mixture
from internvl.errors import InputError, MissingError
from internvl.tiler import ImageTiler
from tests.tiny import tiny_processor
from tests.tiny_mixture import LIMITS, Rows, Sizes, mix, rows
from tests.tiny_run import make_row, write_meta
from train.bad_samples import BadSample
from train.counter import Counter
from train.index import FileIndex
from train.mixture import Limits, Mixture, Place, Source, read_meta


def located(mixture: Mixture, epoch: int = 0) -> list[tuple[int, int]]:
    """Source and row of every draw of an epoch, refused or not."""
    draws = np.arange(len(mixture))
    places, found, _ = mixture.locate(np.full_like(draws, epoch), draws)
    return list(zip(places.tolist(), found.tolist(), strict=True))


def drawn(mixture: Mixture, epoch: int = 0) -> list[int]:
    """Rows of the first entry in an epoch, as they are used."""
    places = [mixture.find(epoch, draw)[0] for draw in range(len(mixture))]
    return [place.row for place in places if place.source == 0]


# The meta file.


def write_entry(folder: Path, **keys: Any) -> Path:
    return write_meta(folder, [make_row("What?", "That.")] * 3, **keys)


def test_an_entry_has_the_published_keys(tmp_path):
    meta = write_entry(tmp_path, length=12413, data_augment=False, repeat_time=1, max_dynamic_patch=6)
    assert read_meta(meta) == [Source("rows", tmp_path, tmp_path / "rows.jsonl", max_tiles=6)]


def test_an_entry_has_keys_of_our_own(tmp_path):
    keys = {"weight": 2, "subset": "random", "seed": 7, "sha256": "ab", "data_augment": True, "repeat_time": 1.5}
    (source,) = read_meta(write_entry(tmp_path, **keys))
    assert source == Source("rows", tmp_path, tmp_path / "rows.jsonl", 1.5, 2, "random", None, True, 7, "ab")


def test_entries_keep_their_order_and_need_no_root(tmp_path):
    (tmp_path / "rows.jsonl").touch()
    entries = {name: {"annotation": str(tmp_path / "rows.jsonl")} for name in "bac"}
    (tmp_path / "meta.json").write_text(json.dumps(entries))
    found = read_meta(tmp_path / "meta.json")
    assert [(source.name, source.root) for source in found] == [("b", Path()), ("a", Path()), ("c", Path())]


@pytest.mark.parametrize(
    ("key", "rule", "values"),
    [
        ("repeat_time", "a number above 0", [0, -1, "2", True, [1], float("nan"), float("inf")]),
        ("weight", "a number above 0", [0, -0.5, "2", False, float("inf")]),
        ("subset", "first or random", ["last", 1, True, ["first"]]),
        ("max_dynamic_patch", "a whole number of at least 1", [0, -1, "6", 1.5, True]),
        ("data_augment", "true or false", [1, 0, "yes"]),
        ("seed", "a whole number", [1.5, "1", True]),
        ("sha256", "the hash of the annotation file", [3, ["ab"], True]),
    ],
)
def test_a_wrong_value_is_named_with_file_entry_key_and_remedy(key, rule, values, tmp_path):
    for value in values:
        meta = write_entry(tmp_path, **{key: value})
        with pytest.raises(InputError) as caught:
            read_meta(meta)
        assert str(caught.value) == f"{meta}: rows: expected `{key}` to be {rule}, got {value!r}; correct it"


@pytest.mark.parametrize(
    "key",
    ["repeat_time", "weight", "subset", "max_dynamic_patch", "data_augment", "seed", "sha256"],
)
def test_null_is_as_if_the_key_were_not_there(key, tmp_path):
    assert read_meta(write_entry(tmp_path, **{key: None}))[0].name == "rows"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "expected JSON, got .*; correct the file"),
        ("[]", "expected an object of data sets, got none; see docs/data-format.md"),
        ("{}", "expected an object of data sets, got none; see docs/data-format.md"),
        ('{"a": 3}', "a: expected `root` and `annotation`, got 3; name the files"),
        ('{"a": {"root": "r"}}', "a: expected `root` and `annotation`"),
        ('{"a": {"root": 1, "annotation": "a.jsonl"}}', "a: expected `root` and `annotation`"),
        ('{"a": {"annotation": "lost.jsonl"}}', r"a: expected the annotation file lost\.jsonl, which does not exist"),
    ],
)
def test_a_broken_meta_file_is_named(text, message, tmp_path):
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(InputError, match=rf"^{tmp_path}/meta\.json: {message}"):
        read_meta(tmp_path / "meta.json")


def test_a_missing_meta_file_is_named(tmp_path):
    with pytest.raises(MissingError, match=r"^data\.meta_path: expected a JSON file, got .*lost\.json, which does not"):
        read_meta(tmp_path / "lost.json")


def test_weights_in_some_entries_alone_are_refused(tmp_path):
    entries = {}
    for name, keys in (("a", {}), ("b", {"weight": 1}), ("c", {"weight": 2.5}), ("d", {"weight": None})):
        entries |= json.loads(write_meta(tmp_path, [], name, **keys).read_text())
    (tmp_path / "meta.json").write_text(json.dumps(entries))
    with pytest.raises(InputError, match=r"expected `weight` in every entry or in none, got it in b, c; add the"):
        read_meta(tmp_path / "meta.json")


# Which rows an epoch draws.


@pytest.mark.parametrize("subset", ["first", "random"])
@pytest.mark.parametrize(
    ("repeat", "count", "expected"),
    [
        (0.3, 10, {1: 3}),
        (0.35, 10, {1: 3}),
        (1, 10, {1: 10}),
        (2, 10, {2: 10}),
        (1.5, 10, {2: 5, 1: 5}),
        (3.9, 1, {3: 1}),
    ],
)
def test_repeat_time_takes_a_part_of_the_rows_or_copies(repeat, count, expected, subset):
    mixture = mix((rows(count), {"repeat_time": repeat, "subset": subset}), (rows(7), {}), seed=5)
    epochs = [Tally(row for source, row in located(mixture, epoch) if source == 0) for epoch in range(3)]
    assert epochs[0] == epochs[1] == epochs[2]
    assert Tally(epochs[0].values()) == expected
    assert Tally(row for source, row in located(mixture) if source == 1) == Tally(range(7))
    if subset == "first":
        often = [epochs[0][row] for row in range(count)]
        assert often == sorted(often, reverse=True)


def test_entries_lie_one_behind_the_other():
    mixture = mix((rows(4), {"repeat_time": 1.5}), (rows(3), {"repeat_time": 0.1}), (rows(2), {}))
    assert located(mixture) == [(0, 0), (0, 1), (0, 2), (0, 3), (0, 0), (0, 1), (2, 0), (2, 1)]


def test_a_random_part_depends_on_seed_and_entry_alone():
    def part(of_run: int, **keys: Any) -> list[set[int]]:
        entry = (rows(200), {"repeat_time": 0.3, "subset": "random", **keys})
        chosen = located(mix(entry, entry, seed=of_run))
        return [{row for source, row in chosen if source == number} for number in (0, 1)]

    assert part(1) == part(1) == part(9, seed=1)
    assert part(1) != part(2)
    one, two = part(1)
    assert len(one) == len(two) == 60
    assert one != two != set(range(60))
    assert one < part(1, repeat_time=0.5)[0]  # a larger part holds the smaller one
    assert one == {row for _, row in located(mix((rows(200), {"repeat_time": 0.3, "subset": "random"}), seed=1))}


def test_every_row_is_in_a_random_part_equally_often():
    parts = [located(mix((rows(40), {"repeat_time": 0.25, "subset": "random"}), seed=seed)) for seed in range(800)]
    counts = np.bincount([row for part in parts for _, row in part], minlength=40)
    assert abs(counts - 200).max() < 5 * sqrt(800 * 0.25 * 0.75)


@pytest.mark.parametrize("weights", [(1, 1, 2), (0.001, 5, 5), (1, 100, 1), (3.7, 2.1, 0.9)])
def test_weights_are_shares_of_an_epoch_in_which_rows_take_turns(weights):
    sizes = (50, 31, 400)
    mixture = mix(*((rows(size), {"weight": weight}) for size, weight in zip(sizes, weights, strict=True)), seed=2)
    assert len(mixture) == sum(sizes)
    for draws, weight in zip(mixture.draws, weights, strict=True):
        assert abs(draws - sum(sizes) * weight / sum(weights)) < 1
    counts: Tally[tuple[int, int]] = Tally()
    for epoch in range(7):
        chosen = located(mixture, epoch)
        assert [Tally(source for source, _ in chosen)[number] for number in range(3)] == mixture.draws
        counts.update(chosen)
        for number, size in enumerate(sizes):
            often = [counts[number, row] for row in range(size)]
            assert max(often) - min(often) <= 1


def test_weights_that_divide_evenly_are_exact():
    mixture = mix(*((rows(100), {"weight": weight}) for weight in (1, 2, 3, 4)))
    assert mixture.draws == [40, 80, 120, 160]
    assert mix((rows(60), {"weight": 1, "repeat_time": 2}), (rows(30), {"weight": 1})).draws == [75, 75]


def test_resampling_weighs_by_the_square_roots_of_sizes():
    mixture = mix((rows(100), {}), (rows(10_000), {}), (rows(900), {}), resample=True)
    assert mixture.draws == [round(11_000 * part / 140) for part in (10, 100, 30)]
    assert mix((rows(100), {"weight": 1}), (rows(300), {"weight": 3}), resample=True).draws == [100, 300]


def test_draws_never_depend_on_lengths():
    keys = [{"repeat_time": 1.5}, {"repeat_time": 0.4, "subset": "random"}]
    for options in ({}, {"resample": True}):
        plain = mix(*((rows(30), key) for key in keys), **options)
        other = mix(*((rows(30, range(0, 30, 3)), key) for key in keys), **options)
        for epoch in range(3):
            assert located(plain, epoch) == located(other, epoch)


def test_a_mixture_that_draws_nothing_is_refused():
    with pytest.raises(InputError, match="data: expected at least one row, got none; raise `repeat_time` or add data"):
        mix((rows(3), {"repeat_time": 0.1}))
    with pytest.raises(
        InputError, match=r"^rows\.jsonl: expected at least one row, got an empty file; remove its entry$"
    ):
        mix((rows(3), {}), (rows(0), {}))


def test_another_file_than_the_hash_says_is_refused():
    assert len(mix((rows(3), {"sha256": "ab" * 32}))) == 3
    message = (
        r"^rows\.jsonl: expected the file with the SHA-256 ababababab00\.\.\., got abababababab\.\.\.; restore that"
    )
    with pytest.raises(InputError, match=message):
        mix((rows(3), {"sha256": "ababababab00" * 5}))


# What stands in for rows that cannot be used.


@pytest.mark.parametrize(
    ("tokens", "tiles", "max_tiles", "reason"),
    [
        (100, 8, 8, None),
        (5000, 8, 8, None),  # cut behind its pictures
        (10, 9, 8, r"tiles: expected at most 8 (data.max_packed_tiles), got 9; raise"),
        (10, 9, None, None),
        (100, 10, None, None),
        (111, 11, None, "length: expected at most 100 tokens (data.max_seq_length), got 111 in 11 tiles, and the cut"),
        (111, 11, 20, "length: expected at most 100 tokens"),
        (111, 11, 8, "tiles: expected at most 8"),
    ],
)
def test_limits_refuse_what_no_batch_can_take_and_say_why(tokens, tiles, max_tiles, reason):
    limits = Limits(max_tokens=100, max_tiles=max_tiles, tokens_per_tile=10)
    sizes: Any = Sizes(np.array([5, tokens, -1]), np.array([0, tiles, -1]))
    assert limits.refuse(sizes).tolist() == ([2] if reason is None else [1, 2])
    if reason is not None:
        assert limits.explain(tokens, tiles).startswith(reason)


def test_files_of_any_length_are_looked_through(monkeypatch):
    monkeypatch.setattr(train.mixture, "_CHUNK_ROWS", 7)
    sizes: Any = Sizes(np.array([-1, *[5] * 19, -1, 5]), np.zeros(22, int))
    assert LIMITS.refuse(sizes).tolist() == [0, 20]


def test_a_refused_row_is_replaced_by_the_next_in_turn():
    mixture = mix((Rows([10, -1, 5000, 30, 10, -1], [0, 0, 11, 0, 9, 0]), {"repeat_time": 2}))
    assert drawn(mixture) == [0, 3, 3, 3, 0, 0] * 2
    assert [mixture.find(0, draw)[1] for draw in range(6)] == [False, True, True, False, True, True]
    assert mixture.find(0, 2)[0] == Place(0, 3, 3)
    # The first of a part comes behind its last.
    assert drawn(mix((Rows([10, 30, -1, 5], [0] * 4), {"repeat_time": 0.75}))) == [0, 1, 0]


CASES: dict[str, list[dict[str, Any]]] = {
    "as published": [{"repeat_time": 1.5}, {"repeat_time": 0.4}],
    "random": [{"repeat_time": 0.5, "subset": "random"}, {"repeat_time": 2, "subset": "random"}],
    "weights": [{"weight": 1}, {"weight": 5}],
}


def odd_mixture(name: str, seed: int = 0) -> Mixture:
    """Rows of all lengths, a third of them refused for all reasons."""
    random = np.random.default_rng(seed)
    entries = []
    for number, keys in enumerate(CASES[name]):
        tokens, tiles = random.integers(1, 150, 60), random.integers(0, 7, 60)
        tokens[random.integers(0, 60, 10)] = -1
        tiles[random.integers(0, 60, 10)] = 9
        tokens[random.integers(0, 60, 10)] = 3000
        entries.append((Rows(tokens.tolist(), tiles.tolist(), name=f"file{number}"), keys))
    return mix(*entries, seed=seed)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_measure_agrees_with_find_and_size_and_no_refused_row_is_used(name, seed):
    mixture = odd_mixture(name, seed)
    count = len(mixture)
    epochs, draws = np.repeat(np.arange(3), count), np.tile(np.arange(count), 3)
    tokens, tiles = mixture.measure(epochs, draws)
    found = [mixture.find(*pair) for pair in zip(epochs.tolist(), draws.tolist(), strict=True)]
    assert [mixture.size(place) for place, _ in found] == list(zip(tokens.tolist(), tiles.tolist(), strict=True))
    wanted = [pair for epoch in range(3) for pair in located(mixture, epoch)]
    for (place, is_substitute), pair in zip(found, wanted, strict=True):
        assert place.row not in mixture.refused[place.source]
        assert is_substitute == (pair[1] in mixture.refused[place.source])
        assert pair[0] == place.source
        assert is_substitute or pair[1] == place.row
        raw = int(mixture.lengths[place.source].tokens[place.row])
        assert mixture.is_cut(place) == (raw > 100)
        assert mixture.size(place)[0] == min(raw, 100)
    assert {True, False} == {is_substitute for _, is_substitute in found}
    order = np.random.default_rng(0).permutation(len(draws))[:50]
    assert mixture.measure(epochs[order], draws[order])[0].tolist() == tokens[order].tolist()


@pytest.mark.parametrize("name", CASES)
def test_substitutes_are_the_next_in_turn_that_are_no_larger(name, monkeypatch):
    mixture = odd_mixture(name)
    for draw in range(0, len(mixture), 7):
        place, _ = mixture.find(1, draw)
        found = list(mixture.substitutes(place))
        assert len({other.row for other in found} | {place.row}) == len(found) + 1
        distinct = mixture.distinct[place.source]
        distances = [(other.turn - place.turn) % distinct for other in found]
        assert distances == sorted(distances)
        largest = mixture.size(place)
        used = {row for source, row in located(mixture) if source == place.source} if name != "weights" else range(60)
        fits = [row for row in used if row not in mixture.refused[place.source] and row != place.row]
        fits = [row for row in fits if all(np.array(mixture.size(Place(place.source, row, 0))) <= largest)]
        assert sorted(other.row for other in found) == sorted(fits)
        with monkeypatch.context() as patch:
            patch.setattr(train.mixture, "_LOOK_AHEAD", 3)
            assert list(mixture.substitutes(place)) == found


@pytest.mark.parametrize("keys", [{}, {"subset": "random", "repeat_time": 0.5}, {"weight": 1}])
def test_a_file_without_a_usable_row_is_refused(keys):
    mixture = mix((rows(5, range(5)), {"annotation": Path("bad.jsonl"), **keys}))
    message = r"^bad\.jsonl: expected at least one row that can be used, got none; line \d, for one: .*\S$"
    for use in (lambda: mixture.find(0, 0), lambda: list(mixture.bad_samples())):
        with pytest.raises(InputError, match=message):
            use()


def test_bad_samples_are_the_refused_rows_that_are_drawn():
    first = Rows([10, -1, 5000, 30, -1, 8], [0, 0, 11, 0, 0, 0], name="a"), {"repeat_time": 0.7}
    unused = rows(4, range(4)), {"repeat_time": 0.1}
    second = Rows([10, 10, 10], [9, 0, 0], name="b"), {"subset": "random"}
    mixture = mix(first, unused, second)
    order = [row for source, row in located(mixture) if source == 2]
    length = LIMITS.explain(5000, 11)
    assert list(mixture.bad_samples()) == [
        BadSample("a.jsonl", 3, "broken 1", 7),
        BadSample("a.jsonl", 5, length, 7),
        BadSample("b.jsonl", 1, LIMITS.explain(10, 9), 2 * order[(order.index(0) + 1) % 3] + 1),
    ]


@pytest.mark.parametrize("name", CASES)
def test_bad_samples_name_what_find_takes(name):
    mixture = odd_mixture(name)
    expected = set()
    for epoch in range(3):
        for draw, (source, row) in enumerate(located(mixture, epoch)):
            place, is_substitute = mixture.find(epoch, draw)
            if is_substitute:
                expected.add((f"file{source}.jsonl", 2 * row + 1, 2 * place.row + 1))
    found = [(bad.file, bad.line, bad.replaced_by) for bad in mixture.bad_samples()]
    assert expected <= set(found) if name == "weights" else expected == set(found)
    assert len(found) == len(set(found))


def test_refused_draws_are_counted_with_their_copies():
    assert mix((rows(10), {})).count_refused() == 0
    assert mix((rows(10, [1, 2]), {"repeat_time": 3}), (rows(10, [5]), {})).count_refused() == 7
    assert mix((rows(10, [1, 2]), {"weight": 1}), (rows(30), {"weight": 3})).count_refused() == 2


def test_rows_are_read_by_their_places(tmp_path):
    pictured = make_row("<image>\nWhat?", "A.", image="a/b.png")
    metas = [write_meta(tmp_path, [pictured] * 3, name, root=f"roots/{name}") for name in ("one", "two")]
    sources = [source for meta in metas for source in read_meta(meta)]
    counter, tiler = Counter.of(tiny_processor()), ImageTiler(image_size=56)
    files = [FileIndex.open(source.annotation, source.root, counter) for source in sources]
    mixture = Mixture(sources, files, [file.lengths(tiler, 4) for file in files], LIMITS)
    chat = mixture.read(Place(1, 2, 0))
    assert chat.images == (Path("roots/two/a/b.png"),)
    assert chat.source == f"{tmp_path}/two.jsonl:3"
    data = pickle.dumps(mixture)
    assert len(data) < 4000
    assert pickle.loads(data).read(Place(1, 2, 0)) == chat
