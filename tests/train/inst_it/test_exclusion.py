"""Records that stay out of training: by id, by name, by path; and names that nothing has are told."""

from __future__ import annotations

import pytest

from internvl.errors import InputError, MissingError
from train.inst_it.exclusion import Exclusion


@pytest.mark.parametrize(
    ("listed", "name", "path", "is_out"),
    [
        ("video-3", "video-3", "videos_vpt/x", True),
        ("video-3", "image-3", "images_vpt/x.jpg", False),
        ("3", "image-3", "images_vpt/x.jpg", True),
        ("3", "image-33", "images_vpt/3.jpg", False),
        ("./videos_vpt/x/", "video-3", "videos_vpt/x", True),
        ("x", "video-3", "./videos_vpt/x", True),
        ("videos_vpt/x", "video-3", "videos_vpt/x1", False),
    ],
)
def test_a_record_is_left_out_by_its_name_or_path(listed, name, path, is_out, tmp_path):
    (tmp_path / "ids.txt").write_text(f"\n{listed}\n")
    exclusion = Exclusion.read(tmp_path / "ids.txt")
    assert exclusion.has(name, path) == is_out
    assert bool(exclusion.unmet()) != is_out


def test_without_a_list_nothing_is_left_out():
    assert not Exclusion().has("video-3", "x")
    assert Exclusion().unmet() == []


def test_a_list_that_is_none_is_named(tmp_path):
    with pytest.raises(MissingError, match="--exclude: expected a file with one id per line, got "):
        Exclusion.read(tmp_path / "lost.txt")
    (tmp_path / "empty.txt").write_text("\n")
    with pytest.raises(InputError, match="expected one id per line, got an empty file"):
        Exclusion.read(tmp_path / "empty.txt")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe1")
    with pytest.raises(InputError, match="expected text in UTF-8"):
        Exclusion.read(tmp_path / "bytes.txt")
