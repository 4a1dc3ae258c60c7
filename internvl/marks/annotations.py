"""The mask files of the Inst-It Dataset: the pictures that their entries are about, and the numbered regions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from internvl.errors import InputError, MissingError
from internvl.marks.region import EmptyRegionError, Region, read_region

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
_MARKED, _RAW = "_vpt", "_raw"
_MOST_DIGITS = 9  # as texts are read


@dataclass(frozen=True, slots=True)
class Page:
    """A picture or frame to draw marks on.

    Attributes:
        where: what names it in messages.
        source: the picture without marks.
        target: where the one with marks goes.
        masks: of its instances as the file has them, by the names of the instances.
    """

    where: str
    source: Path
    target: Path
    masks: Mapping[str, Any]


def plan_pages(where: str, record: Any, root: Path, output: Path) -> tuple[list[Page], list[str]]:
    """The pictures of an entry and what is wrong with single ones; a video has every frame of its folder.

    Args:
        where: the entry's name.
        record: the entry, of a picture or of a video.
        root: where the pictures without marks are, with or without the folder that names this variant.
        output: where those with marks go, in the folder of their variant.

    Raises:
        InputError: the entry is not as it should be, or what it is about is not there.
    """
    key = next((key for key in ("video_path", "image_path") if isinstance(record, dict) and key in record), None)
    if key is None:
        raise InputError(f"{where}: expected an image_path or a video_path, got none; get the file again")
    masks = record.get("segmentations")
    if not isinstance(masks, dict):
        raise InputError(
            f"{where}: expected segmentations, got {repr(masks)[:40]}; take the file whose name ends in _w_mask.json"
        )
    source, target = _find_paths(where, record[key], root, output)
    if key == "image_path":
        if not source.is_file():
            raise MissingError(f"{where}: expected the picture {source}, got none; check --root")
        return [Page(where, source, target, masks)], []
    if not source.is_dir():
        raise MissingError(f"{where}: expected the folder of frames {source}, got none; check --root")
    return _plan_frames(where, source, target, masks)


def read_regions(page: Page, width: int, height: int, *, resize: bool = False) -> tuple[dict[int, Region], int]:
    """The regions of a picture by their numbers, and how many masks are empty.

    Args:
        width, height: of the picture.
        resize: bring masks of other sizes to that of the picture.

    Raises:
        InputError: a mask is damaged or made for another picture, or a number is none.
    """
    regions: dict[int, Region] = {}
    num_empty = 0
    for name, value in page.masks.items():
        if not name.isdecimal() or not name.isascii() or len(name) > _MOST_DIGITS:
            got = f"{name[:40]!r}"
            raise InputError(f"{page.where}: expected a number as the name of an instance, got {got}; correct it")
        if int(name) in regions:
            raise InputError(f"{page.where}: expected instance {int(name)} once, got it again as {name!r}; remove one")
        if not isinstance(value, dict) or "mask" not in value:
            raise InputError(f"{page.where}: instance {name}: expected a mask, got none; get the file again")
        if value["mask"] is None:
            num_empty += 1
            continue
        try:
            region = read_region(value["mask"], width, height)
            if (region.width, region.height) != (width, height) and not resize:
                raise InputError(
                    f"expected a mask for a picture of {width}x{height}, got one for {region.width}x{region.height}; "
                    "add --resize, or check --root"
                )
            regions[int(name)] = region.resize(width, height)
        except EmptyRegionError:
            num_empty += 1
        except InputError as error:
            raise InputError(f"{page.where}: instance {name}: {error}") from None
    return regions, num_empty


def _find_paths(where: str, path: object, root: Path, output: Path) -> tuple[Path, Path]:
    parts = PurePosixPath(path).parts if isinstance(path, str) else ()
    if not parts or parts[0] == "/" or ".." in parts:
        raise InputError(f"{where}: expected a path below the folder of pictures, got {path!r}; correct it")
    first, rest = parts[0], parts[1:]
    for suffix in (_MARKED, _RAW):
        if rest and first.endswith(suffix):
            name = first.removesuffix(suffix)
            raw = root / f"{name}{_RAW}"
            source = raw.joinpath(*rest) if raw.is_dir() else root.joinpath(*rest)
            target = output.joinpath(f"{name}{_MARKED}", *rest)
            break
    else:
        source, target = root.joinpath(*parts), output.joinpath(*parts)
    if source.resolve() == target.resolve():
        raise InputError(f"{where}: expected another folder for pictures with marks, got {source}; change --output")
    return source, target


def _plan_frames(where: str, source: Path, target: Path, masks: Mapping[str, Any]) -> tuple[list[Page], list[str]]:
    found = (path.name for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
    names = sorted(name for name in found if not name.startswith("."))  # macOS leaves ._1.jpg beside 1.jpg
    by_stem = {Path(name).stem: name for name in names}
    frames: dict[str, Mapping[str, Any]] = {name: {} for name in names}
    problems = []
    for frame, instances in masks.items():
        name = frame if frame in frames else by_stem.get(frame)
        if name is None:
            problems.append(f"{where}: expected the frame {source / frame}, got none; check --root")
        elif instances is not None and not isinstance(instances, dict):
            del frames[name]
            problems.append(f"{where}: frame {frame}: expected instances, got {repr(instances)[:40]}; correct it")
        else:
            frames[name] = instances or {}
    pages = [Page(f"{where}: frame {name}", source / name, target / name, frames[name]) for name in frames]
    if not names:
        problems.append(f"{where}: expected frames in {source}, got none; extract the archive again")
    return pages, problems
