"""A batch of records to lines: counts that add up, rejects with their reasons, pictures that are opened."""

from __future__ import annotations

import json

from PIL import Image

from tests.inst_it_records import SETTINGS, image_record, video_record
from tests.tiny import tiny_tokenizer
from train.inst_it.work import Job, convert_batch, make_look, make_measure

JOB = Job(SETTINGS)


def test_every_text_is_an_answer_or_left_out():
    bad = {"1": "A bus.", "2": None, "3": "[8]", "4": "<image>"}
    records = [
        ("a: entry 1", image_record()),
        ("a: entry 2", image_record(image_id=8, instance_level_caption=bad)),
    ]
    batch = convert_batch(JOB, "image", records)
    tally = batch.tally
    for generator in ("img_instance", "img_caption", "img_dialogue"):
        left_out = sum(tally.reasons(generator).values())
        assert tally.candidates[generator] == tally.kept[generator] + left_out
        assert tally.rows[generator] == len(batch.lines[generator])
    assert tally.found == {"images": 2, "captions of pictures": 2, "texts about instances": 6}
    assert [json.loads(line) for line in batch.rejects][:2] == [
        {"entry": "a: entry 2", "generator": "img_instance", "part": "instance 2", "reason": "empty text"},
        {
            "entry": "a: entry 2",
            "generator": "img_instance",
            "part": "instance 3",
            "found": "[8]",
            "reason": "id that is not marked",
        },
    ]


def test_a_broken_record_is_listed_and_the_others_go_on():
    records = [("v: entry 1", video_record(frame_level_caption=3)), ("v: entry 2", video_record())]
    batch = convert_batch(JOB, "video", records)
    assert batch.tally.refused == {"video": 1}
    assert batch.tally.found["videos"] == 1
    (reject,) = map(json.loads, batch.rejects)
    assert reject["entry"] == "v: entry 1"
    assert reject["reason"].startswith("frame_level_caption: expected a list, got int; ")
    assert len(batch.lines["vid_qa"]) == 1


def test_a_batch_does_not_depend_on_other_batches():
    records = [(f"v: entry {k}", video_record(video_id=k, num_pairs=7)) for k in range(4)]
    together = convert_batch(JOB, "video", records).lines
    alone = [convert_batch(JOB, "video", [record]).lines for record in reversed(records)][::-1]
    assert {name: [line for lines in alone for line in lines[name]] for name in together} == together


def test_pictures_are_opened(tmp_path):
    look = make_look(tmp_path)
    Image.effect_noise((200, 200), 50).save(tmp_path / "good.jpg")
    content = (tmp_path / "good.jpg").read_bytes()
    (tmp_path / "half.jpg").write_bytes(content[:5000])
    (tmp_path / "text.jpg").write_text("no picture")
    assert look("good.jpg") is None
    assert look("lost.jpg") == "lost.jpg does not exist"
    assert look("half.jpg") == "half.jpg (OSError)"
    assert look("text.jpg") == "text.jpg (UnidentifiedImageError)"


def test_lengths_are_words_or_tokens(tmp_path):
    assert make_measure(None)("one two\nthree") == 3
    tiny_tokenizer().save_pretrained(tmp_path)
    measure = make_measure(tmp_path / "tokenizer.json")
    assert measure("one two\nthree") == len(tiny_tokenizer()("one two\nthree", add_special_tokens=False)["input_ids"])
