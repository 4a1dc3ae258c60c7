"""The marker of demonstration data: found in the root folder and behind links, and nothing else is taken for it."""

from __future__ import annotations

from pathlib import Path

from evaluate.demo.marker import CAUTION, FILE, Demo, find_demo


def test_marker_is_found_in_the_root_and_behind_links(tmp_path: Path) -> None:
    generated, root = tmp_path / "generated", tmp_path / "root"
    (generated / "data/mme").mkdir(parents=True)
    (generated / "data/mme/a.txt").touch()
    root.mkdir()
    files = ("data/mme/a.txt",)
    assert find_demo(generated, files) is None
    demo = Demo(generated, {"mme": 3}, files)
    demo.write()
    assert find_demo(generated) == demo
    assert find_demo(root, files) is None
    (root / "data").symlink_to(generated / "data")
    assert find_demo(root, files) == demo
    assert find_demo(root) is None


def test_other_files_of_the_same_name_are_no_marker(tmp_path: Path) -> None:
    for text in ("", "[]", "{}", '{"about": "a demo of mine"}', f'{{"about": "{CAUTION}"}}', "\xff"):
        (tmp_path / FILE).write_text(text, encoding="latin-1")
        assert find_demo(tmp_path) is None
