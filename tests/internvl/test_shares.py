"""Even shares: those of the published evaluation, and the whole of everything for any numbers."""

from __future__ import annotations

from itertools import chain

import pytest

from internvl.shares import split_evenly


@pytest.mark.golden("sharding")
def test_shares_are_those_of_the_published_devices(case):
    shares = split_evenly(case["input"]["total"], case["input"]["world_size"])
    assert [[share.start, share.stop] for share in shares] == case["expected"]["ranges"]


@pytest.mark.golden("sharding")
def test_the_published_shares_together_have_every_item_once(family):
    cases = {case["id"]: case["input"] for case in family["cases"]}
    used = (cases[name] for name in family["aggregate"]["input_ids"])
    shares = chain.from_iterable(split_evenly(given["total"], given["world_size"]) for given in used)
    assert sum(map(len, shares)) == family["aggregate"]["expected"]["items"]


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 16, 64])
def test_shares_are_contiguous_whole_and_even_with_the_longer_ones_first(parts):
    for total in range(200):
        shares = split_evenly(total, parts)
        lengths = [len(share) for share in shares]
        assert len(shares) == parts
        assert list(chain.from_iterable(shares)) == list(range(total))
        assert lengths == sorted(lengths, reverse=True)
        assert max(lengths) - min(lengths) <= 1
        assert lengths.count(total // parts + 1) == total % parts


def test_large_numbers_cost_nothing():
    assert split_evenly(10**15 + 1, 2) == [range(5 * 10**14 + 1), range(5 * 10**14 + 1, 10**15 + 1)]


@pytest.mark.parametrize("parts", [0, -1])
def test_there_must_be_a_share(parts):
    with pytest.raises(ValueError, match=rf"^parts: expected at least 1, got {parts}; ask for one share or more"):
        split_evenly(3, parts)


def test_there_cannot_be_fewer_than_no_things():
    with pytest.raises(ValueError, match=r"^total: expected at least 0, got -1; give the number of things to share"):
        split_evenly(-1, 2)
