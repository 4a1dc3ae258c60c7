"""Entries of mask files: which pictures and masks they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from internvl.errors import InputError
from internvl.marks.annotations import Page, plan_pages, read_regions

MASK = {"mask": {"size": [4, 6], "counts": [4, 4, 16]}}


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def plan(root: Path, record: object, output: Path = Path("out")) -> tuple[list[Page], list[str]]:
    return plan_pages("file: entry 1", record, root, output)


@pytest.mark.parametrize("path", ["images_vpt/a/1.jpg", "images_raw/a/1.jpg"])
@pytest.mark.parametrize("folder", ["images_raw", "."], ids=["the variant's folder", "what is in it"])
def test_the_folder_of_the_variant_is_changed(path, folder, tmp_path):
    touch(tmp_path, f"{folder}/a/1.jpg")
    pages, problems = plan(tmp_path, {"image_path": path, "segmentations": {"1": MASK}})
    assert problems == []
    assert pages == [Page("file: entry 1", tmp_path / folder / "a/1.jpg", Path("out/images_vpt/a/1.jpg"), {"1": MASK})]


def test_other_paths_are_taken_as_they_are(tmp_path):
    touch(tmp_path, "some_vpt", "more/1.jpg")
    for path in ("some_vpt", "more/1.jpg"):
        (page,), _ = plan(tmp_path, {"image_path": path, "segmentations": {}})
        assert (page.source, page.target) == (tmp_path / path, Path("out") / path)


def test_pictures_without_marks_are_never_written_over(tmp_path):
    touch(tmp_path, "more/1.jpg")
    with pytest.raises(InputError, match=r"^file: entry 1: expected another folder .*; change --output$"):
        plan(tmp_path, {"image_path": "more/1.jpg", "segmentations": {}}, tmp_path)


def test_a_video_has_all_frames_of_its_folder(tmp_path):
    touch(tmp_path, *(f"videos_raw/7/{name}" for name in ("1.jpg", "2.jpg", "10.png", "3.jpg", "about.txt")))
    masks = {"1.jpg": {"1": MASK}, "2": {"2": MASK}, "3.jpg": None}
    pages, problems = plan(tmp_path, {"video_path": "videos_vpt/7", "segmentations": masks})
    assert problems == []
    assert {page.target.as_posix(): dict(page.masks) for page in pages} == {
        "out/videos_vpt/7/1.jpg": {"1": MASK},
        "out/videos_vpt/7/2.jpg": {"2": MASK},
        "out/videos_vpt/7/3.jpg": {},
        "out/videos_vpt/7/10.png": {},
    }
    assert pages[0].where == "file: entry 1: frame 1.jpg"


def test_frames_with_something_wrong_are_left_out_and_told(tmp_path):
    touch(tmp_path, "videos_raw/7/1.jpg", "videos_raw/7/2.jpg")
    masks = {"9.jpg": {"1": MASK}, "2.jpg": [MASK]}
    pages, problems = plan(tmp_path, {"video_path": "videos_vpt/7", "segmentations": masks})
    assert [page.target.name for page in pages] == ["1.jpg"]
    assert problems == [
        f"file: entry 1: expected the frame {tmp_path}/videos_raw/7/9.jpg, got none; check --root",
        f"file: entry 1: frame 2.jpg: expected instances, got {repr([MASK])[:40]}; correct it",
    ]


def test_a_folder_without_frames_is_told(tmp_path):
    (tmp_path / "videos_raw/7").mkdir(parents=True)
    assert plan(tmp_path, {"video_path": "videos_vpt/7", "segmentations": {}})[1] == [
        f"file: entry 1: expected frames in {tmp_path}/videos_raw/7, got none; extract the archive again"
    ]


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (None, "expected an image_path or a video_path, got none; "),
        ([], "expected an image_path or a video_path, got none; "),
        ({"segmentations": {}}, "expected an image_path or a video_path, got none; "),
        ({"image_path": "1.jpg"}, "expected segmentations, got None; take the file whose name ends in _w_mask.json"),
        ({"image_path": "1.jpg", "segmentations": []}, r"expected segmentations, got \[\]; "),
        ({"image_path": "1.jpg", "segmentations": {}}, "expected the picture .*1.jpg, got none; check --root"),
        ({"video_path": "1", "segmentations": {}}, "expected the folder of frames .*1, got none; check --root"),
        ({"image_path": "", "segmentations": {}}, "expected a path below the folder of pictures, got ''; "),
        ({"image_path": 3, "segmentations": {}}, "expected a path below the folder of pictures, got 3; "),
        ({"image_path": "/etc/1.jpg", "segmentations": {}}, "expected a path below the folder of pictures, got '/etc"),
        ({"image_path": "a_vpt/../../1.jpg", "segmentations": {}}, "expected a path below the folder of pictures, got"),
    ],
)
def test_wrong_entries_are_refused(record, problem, tmp_path):
    with pytest.raises(InputError, match=f"^file: entry 1: {problem}"):
        plan(tmp_path, record)


def page(**masks: object) -> Page:
    return Page("here", Path("a"), Path("b"), {name.removeprefix("n"): mask for name, mask in masks.items()})


def test_regions_have_numbers_and_empty_masks_are_counted():
    empty = {"mask": {"size": [4, 6], "counts": [24]}}
    regions, num_empty = read_regions(page(n7=MASK, n03=MASK, n4=empty, n5={"mask": None}), 6, 4)
    assert list(regions) == [7, 3]
    assert num_empty == 2


def test_masks_of_another_size_are_refused_or_resized():
    with pytest.raises(
        InputError, match=r"^here: instance 7: expected a mask .* of 12x8, got one for 6x4; add --resize"
    ):
        read_regions(page(n7=MASK), 12, 8)
    (region,) = read_regions(page(n7=MASK), 12, 8, resize=True)[0].values()
    assert (region.width, region.height, int(region.mask.sum())) == (12, 8, 16)
    with pytest.raises(InputError, match=r"^here: instance 7: region: expected a mask in the proportions"):
        read_regions(page(n7=MASK), 12, 4, resize=True)


@pytest.mark.parametrize(
    ("masks", "problem"),
    [
        ({"n1,2": MASK}, "expected a number as the name of an instance, got '1,2'; "),
        ({"n": MASK}, "expected a number as the name of an instance, got ''; "),
        ({"n3": MASK, "n03": MASK}, "expected instance 3 once, got it again as '03'; "),
        ({"n3": None}, "instance 3: expected a mask, got none; "),
        ({"n3": {"box": [1, 2, 3, 4]}}, "instance 3: expected a mask, got none; "),
        ({"n3": {"mask": {"size": [4, 6], "counts": "?"}}}, "instance 3: mask: expected runs that fill 6x4 pixels"),
    ],
)
def test_wrong_masks_are_refused_with_their_place(masks, problem):
    with pytest.raises(InputError, match=f"^here: {problem}"):
        read_regions(page(**masks), 6, 4)
