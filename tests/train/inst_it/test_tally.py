"""Counts of a conversion: they add up in any order, and the table tells all of them."""

from __future__ import annotations

from train.inst_it.tally import Tally, describe_found, describe_lengths, format_table


def make(generator: str = "vid_qa", lengths: tuple[int, ...] = (25, 26, 4000)) -> Tally:
    tally = Tally()
    for length in lengths:
        tally.count_length(generator, length)
    tally.candidates[generator] = 5
    tally.kept[generator] = 3
    tally.left_out.update({(generator, "empty text"): 1, (generator, "over max_turns"): 1})
    return tally


def test_counts_add_up_in_any_order():
    one, other = make(), make("img_caption", (10,))
    both, again = Tally(), Tally()
    for tally in (one, other):
        both.add(tally)
    for tally in (other, one):
        again.add(tally)
    assert both == again
    assert both.rows == {"vid_qa": 3, "img_caption": 1}
    assert both.total_length["vid_qa"] == 4051


def test_lengths_fall_into_buckets_with_their_bounds():
    assert describe_lengths(make(), "vid_qa") == {"up to 25": 1, "up to 50": 1, "over 3200": 1}


def test_the_most_frequent_reason_comes_first():
    tally = make()
    tally.left_out["vid_qa", "reserved word"] = 7
    assert tally.reasons("vid_qa") == {"reserved word": 7, "empty text": 1, "over max_turns": 1}


def test_the_table_tells_what_is_left_out():
    lines = format_table(make(), {"vid_qa": 1.0, "img_caption": 0.5}, "words").splitlines()
    assert lines[0].split() == ["rows", "of", "texts", "answers", "left", "out", "rows", "weight", "words"]
    assert lines[1].split() == ["img_caption", "0", "0", "0", "0", "0.5", "0.0"]
    assert lines[2].split() == ["vid_qa", "5", "3", "2", "3", "1", "1350.3"]
    assert [line.split(maxsplit=1) for line in lines[3:]] == [["1", "empty text"], ["1", "over max_turns"]]


def test_what_is_found_stands_beside_what_was_published():
    tally = Tally()
    tally.found["images"] = 3
    found = describe_found(tally)
    assert found["images"] == {"found": 3, "published": 51101}
    assert found["videos"] == {"found": 0, "published": 21418}
