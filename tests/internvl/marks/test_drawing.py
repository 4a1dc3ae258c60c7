"""Marks on pictures: which pixels change, and that the numbers can be read."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from PIL import Image

from internvl.errors import InputError
from internvl.marks.color import choose_color
from internvl.marks.drawing import Marks, choose_font_size, draw_marks
from internvl.marks.region import Region, from_box, from_mask

GREY = (90, 90, 90)


def picture(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def disc(width: int, height: int, x: float, y: float, radius: float) -> Region:
    rows, columns = np.ogrid[:height, :width]
    return from_mask((columns - x) ** 2 + (rows - y) ** 2 < radius**2)


def crowd(width: int, height: int, number: int, reach: float) -> dict[int, Region]:
    random = np.random.default_rng(number)
    return {
        index: disc(
            width, height, random.uniform(0, width), random.uniform(0, height), random.uniform(reach / 4, reach)
        )
        for index in range(1, number + 1)
    }


def cut(marks: Marks, number: int) -> np.ndarray:
    return np.asarray(marks.image.crop(marks.boxes[number]))


def count_overlaps(marks: Marks) -> int:
    return sum(
        one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
        for one, other in combinations(marks.boxes.values(), 2)
    )


def test_the_picture_given_stays_as_it_is_and_other_modes_become_rgb():
    for mode in ("RGB", "L", "RGBA", "P", "CMYK"):
        image = picture(60, 40).convert(mode)
        before = image.tobytes()
        marks = draw_marks(image, {1: from_box((10, 10, 40, 25), 60, 40)})
        assert (marks.image.mode, marks.image.size) == ("RGB", (60, 40))
        assert image.tobytes() == before
        assert marks.image.tobytes() != before


def test_a_frame_without_instances_is_as_it_was():
    marks = draw_marks(picture(60, 40), {})
    assert marks.ids == ()
    assert marks.image.tobytes() == picture(60, 40).tobytes()


def test_a_contour_is_inside_of_its_region_along_the_edge():
    mask = np.zeros((50, 80), bool)
    mask[10:40, 5:70] = True
    mask[15:20, 10:20] = False
    marks = draw_marks(picture(80, 50), {4: from_mask(mask)}, font_size=12)
    pixels = np.asarray(marks.image)
    left, top, right, bottom = marks.boxes[4]
    padded = np.pad(mask, 1)
    for row in range(50):
        for column in range(80):
            if top <= row < bottom and left <= column < right:
                continue
            around = padded[[row, row + 2, row + 1, row + 1], [column + 1, column + 1, column, column + 2]]
            is_edge = mask[row, column] and not around.all()
            assert tuple(pixels[row, column]) == (choose_color(4) if is_edge else GREY), (row, column)


def test_lines_are_thicker_in_larger_pictures():
    marks = draw_marks(picture(1000, 800), {1: from_box((100, 100, 600, 400), 1000, 800)})
    row = np.asarray(marks.image)[200] == choose_color(1)
    thickness = row.all(axis=1)[:400].sum()
    assert 2 <= thickness <= 4
    assert (row.all(axis=1).nonzero()[0][:thickness] == np.arange(100, 100 + thickness)).all()


def test_a_box_is_drawn_around_what_a_region_has():
    marks = draw_marks(picture(80, 60), {2: disc(80, 60, 40, 30, 20)}, style="box")
    is_line = (np.asarray(marks.image) == choose_color(2)).all(axis=2)
    rows, columns = np.nonzero(is_line)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (11, 49, 21, 59)
    assert is_line[11, 21:60].all()
    assert not is_line[12:49, 22:59].any()


def test_a_label_alone_changes_nothing_but_its_box():
    marks = draw_marks(picture(80, 60), {2: disc(80, 60, 40, 30, 20)}, style="label")
    pixels = np.array(marks.image)
    left, top, right, bottom = marks.boxes[2]
    pixels[top:bottom, left:right] = GREY
    assert (pixels == GREY).all()


@pytest.mark.parametrize(("paint", "ground"), [("white-on-black", 0), ("black-on-white", 255)])
def test_numbers_stand_in_the_middle_of_a_box(paint, ground):
    regions = {number: from_box((10, 10, 180, 130), 200, 150) for number in (1, 7, 10, 264)}
    marks = draw_marks(picture(200, 150), regions, paint=paint, style="label", font_size=20)
    for number in regions:
        box = cut(marks, number)
        rim = np.concatenate((box[0], box[-1], box[:, 0], box[:, -1]))
        assert (rim == ground).all()
        rows, columns = np.nonzero((np.abs(box.astype(int) - ground) > 120).all(axis=2))
        assert len(rows) > 15
        assert abs((columns.min() + columns.max()) - (box.shape[1] - 1)) <= 2
        assert abs((rows.min() + rows.max()) - (box.shape[0] - 1)) <= 2


def test_numbers_look_different_from_each_other_and_alike_in_all_frames():
    looks = {}
    for frame in range(2):
        regions = {number: from_box((20 + 9 * frame, 15, 60, 50), 120, 90) for number in (0, 1, 6, 8, 9, 19, 66)}
        looks[frame] = {
            number: cut(draw_marks(picture(120, 90), {number: region}), number).tobytes()
            for number, region in regions.items()
        }
    assert looks[0] == looks[1]
    assert len(set(looks[0].values())) == len(looks[0])


def test_an_instance_keeps_its_colour_when_others_come_and_go():
    frames = [{3: disc(160, 120, 40, 60, 30)}, {3: disc(160, 120, 50, 60, 30), 1: disc(160, 120, 120, 60, 30)}]
    for regions in frames:
        marks = draw_marks(picture(160, 120), regions)
        assert marks.ids == tuple(sorted(regions))
        colors = {tuple(color) for color in np.asarray(marks.image).reshape(-1, 3).tolist()}
        assert {number for number in range(10) if choose_color(number) in colors} == set(regions)


@pytest.mark.parametrize("style", ["contour", "box", "label"])
def test_the_order_changes_no_pixel_and_neither_does_a_second_time(style):
    regions = crowd(320, 240, 40, 50)
    marks = draw_marks(picture(320, 240), regions, style=style)
    for order in (list(reversed(regions)), list(regions)):
        again = draw_marks(picture(320, 240), {number: regions[number] for number in order}, style=style)
        assert again.image.tobytes() == marks.image.tobytes()
        assert list(again.boxes.items()) == list(marks.boxes.items())
    assert marks.ids == tuple(range(1, 41))


@pytest.mark.parametrize(("width", "height", "number", "reach"), [(160, 120, 12, 25), (640, 480, 40, 60)])
def test_numbers_in_a_crowd_do_not_overlap_and_are_inside(width, height, number, reach):
    marks = draw_marks(picture(width, height), crowd(width, height, number, reach))
    assert len(marks.ids) == number
    assert count_overlaps(marks) == 0
    for left, top, right, bottom in marks.boxes.values():
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height


@pytest.mark.parametrize("size", [(1, 1), (8, 5), (30, 200), (200, 11)])
def test_tiny_pictures_have_their_numbers_as_far_as_there_is_room(size):
    marks = draw_marks(picture(*size), {12: from_box((0, 0, *size), *size)})
    assert marks.ids == (12,)
    assert marks.image.size == size


def test_type_grows_with_the_picture():
    regions = {12: from_box((0, 0, 5, 5), 4000, 3000)}
    sizes = [choose_font_size(*size, regions) for size in ((160, 120), (640, 480), (1280, 720), (4000, 3000))]
    assert sizes == [12, 18, 31, 111]


def test_type_is_smaller_in_a_crowd_and_still_readable():
    assert choose_font_size(160, 120, dict.fromkeys(range(10, 60), from_box((0, 0, 5, 5), 160, 120))) == 9
    marks = draw_marks(picture(160, 120), dict.fromkeys(range(10, 15), from_box((0, 0, 160, 120), 160, 120)))
    assert all(10 <= box[3] - box[1] <= 18 for box in marks.boxes.values())


def test_a_huge_picture_is_drawn():
    regions = {1: from_box((500, 500, 2000, 1500), 4000, 3000), 2: from_box((3000, 100, 20, 20), 4000, 3000)}
    marks = draw_marks(picture(4000, 3000), regions)
    left, top, right, bottom = marks.boxes[1]
    assert bottom - top > 80
    assert (left + right, top + bottom) == pytest.approx((3000, 2500), abs=80)
    # The small one has its number beside it, in a rim of its colour.
    left, top, right, bottom = marks.boxes[2]
    assert marks.image.getpixel((left, top)) == choose_color(2)
    assert top >= 120 or right <= 3000 or left >= 3020


def test_a_line_leads_from_an_instance_to_the_number_beside_it():
    marks = draw_marks(picture(200, 150), {5: disc(200, 150, 100, 70, 4)}, style="label")
    left, top, right, bottom = marks.boxes[5]
    pixels = np.array(marks.image)
    pixels[top:bottom, left:right] = GREY
    rows, columns = np.nonzero((pixels == choose_color(5)).all(axis=2))
    assert (70, 100) in set(zip(rows.tolist(), columns.tolist(), strict=True))
    assert len(rows) < 20


@pytest.mark.parametrize(
    ("regions", "options", "problem"),
    [
        (
            {1: from_box((0, 0, 5, 5), 61, 40)},
            {},
            "mark 1: expected a region in a picture of 60x40, got one of 61x40; ",
        ),
        ({"1": from_box((0, 0, 5, 5), 60, 40)}, {}, "mark: expected a whole number from 0 on, got '1'; "),
        ({-1: from_box((0, 0, 5, 5), 60, 40)}, {}, "mark: expected a whole number from 0 on, got -1; "),
        ({True: from_box((0, 0, 5, 5), 60, 40)}, {}, "mark: expected a whole number from 0 on, got True; "),
        ({}, {"style": "dots"}, "style: expected contour or box or label, got 'dots'; "),
        ({}, {"paint": "red"}, "paint: expected white-on-black or black-on-white, got 'red'; "),
        ({}, {"font_size": 0}, "font_size: expected at least 1, got 0; "),
    ],
)
def test_what_cannot_be_drawn_is_refused(regions, options, problem):
    with pytest.raises(InputError, match=f"^{problem}"):
        draw_marks(picture(60, 40), regions, **options)
