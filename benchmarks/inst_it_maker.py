"""Made-up annotation files of the Inst-It Dataset in the published layout, of any size, with pictures where wanted.

They hold what public users of the files met: keys of several instances, `<0>` for the first frame, ids with a zero in
front, doubled spaces, frames in no order. Every instance that a text names is among those of its pictures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from benchmarks.set_maker import Words

IMAGES, VIDEOS = "inst_it_dataset_image_51k", "inst_it_dataset_video_21k"
MASKS = "_w_mask"
_NUM_SENTENCES = 4_000
_SIZE = (48, 64)


class InstItMaker:
    """Makes records; the same seed makes the same ones.

    Args:
        seed: of all that is drawn.
        scale: of the lengths of texts; 1 for realistic ones.
        masks: give the records their `segmentations`.
    """

    def __init__(self, seed: int = 0, *, scale: float = 1.0, masks: bool = False) -> None:
        self.random, self.scale, self.masks = Random(seed), scale, masks
        words = Words(Random(seed))
        lengths = [self.random.randint(6, 22) for _ in range(_NUM_SENTENCES if scale >= 1 else 50)]
        self.sentences = [words.draw(length).capitalize() + "." for length in lengths]

    def image(self, number: int) -> dict[str, Any]:
        """An image record."""
        ids = self._draw_ids(6)
        record = {
            "image_id": number,
            "image_path": f"images_vpt/{number:06d}.jpg",
            "instance_level_caption": self._describe(ids),
            "image_level_caption": self._write(7, ids),
        }
        return record | ({"segmentations": {str(key): _mask(key) for key in ids}} if self.masks else {})

    def video(self, number: int, num_frames: int | None = None, num_pairs: int | None = None) -> dict[str, Any]:
        """A video record, of about 7.3 frames and 15.6 questions."""
        total = num_frames or min(20, max(2, round(self.random.gauss(7.3, 2.5))))
        ids = self._draw_ids(6)
        present = [sorted(self.random.sample(ids, self.random.randint(1, len(ids)))) for _ in range(total)]
        names = [f"frame_{(place - 1) * 5 + 1}.jpg" for place in range(1, total + 1)]
        frames = [
            {
                "timestamp": place + 1,
                "frame_name": names[place],
                "instance_level": self._describe(present[place]),
                "image_level": self._write(5, present[place]),
                "temporal_change": self._write(4, present[place], (place, place + 1)) if place else None,
            }
            for place in range(total)
        ]
        if self.random.random() < 0.1:
            self.random.shuffle(frames)
        shown = sorted({key for part in present for key in part})
        count = num_pairs if num_pairs is not None else max(1, round(self.random.gauss(15.6, 4)))
        pairs = [
            {"question": self._ask(shown, total), "answer": self._write(2, shown, range(1, total + 1))}
            for _ in range(count)
        ]
        record = {
            "video_id": number,
            "video_path": f"videos_vpt/{number:06d}",
            "frame_level_caption": frames,
            "question_answer_pairs": pairs,
            "video_level_caption": self._write(12, shown, range(1, total + 1)),
        }
        if self.masks:
            drawn = zip(names, present, strict=True)
            record["segmentations"] = {name: {str(key): _mask(key) for key in part} for name, part in drawn}
        return record

    def _draw_ids(self, most: int) -> list[int]:
        return sorted(self.random.sample(range(1, 11), self.random.randint(1, most)))

    def _describe(self, ids: Sequence[int]) -> dict[str, str]:
        texts = {str(key): self._write(3, [key]) for key in ids}
        if len(ids) > 2 and self.random.random() < 0.05:
            texts[f"{ids[0]},{ids[1]}"] = self._write(2, ids[:2])
        return texts

    def _write(self, num_sentences: int, ids: Sequence[int], moments: Sequence[int] = ()) -> str:
        """Sentences; the first one names instances and, where there are any, moments."""
        random = self.random
        count = max(1, round(num_sentences * self.scale))
        named = f"[{random.choice(ids)}]" if random.random() > 0.02 else f"[0{random.choice(ids)}]"
        when = ""
        if moments:
            first, last = sorted(random.choices(moments, k=2))
            first = 0 if first == 1 and random.random() < 0.02 else first
            when = f" at <{last}>" if first == last else f" during <{first}>-<{last}>"
        space = "  " if random.random() < 0.02 else " "
        return f"{named}{when}:{space}" + " ".join(random.choices(self.sentences, k=count))

    def _ask(self, ids: Sequence[int], total: int) -> str:
        return f"{self.random.choice(self.sentences)[:-1]} by [{self.random.choice(ids)}] at <{self._pick(total)}>?"

    def _pick(self, total: int) -> int:
        return self.random.randint(1, total)


def write_dataset(
    folder: Path, num_images: int, num_videos: int, *, maker: InstItMaker | None = None, pictures: bool = False
) -> tuple[Path, Path]:
    """Both annotation files, one record at a time, and the pictures that they name."""
    maker = maker or InstItMaker()
    ending = f"{MASKS if maker.masks else ''}.json"
    makes: list[tuple[str, int, Callable[[int], dict[str, Any]]]] = [
        (IMAGES, num_images, maker.image),
        (VIDEOS, num_videos, maker.video),
    ]
    paths = []
    for name, count, make in makes:
        path = folder / f"{name}{ending}"
        records = (make(number) for number in range(1, count + 1))
        write_list(path, _with_pictures(folder, records) if pictures else records)
        paths.append(path)
    return paths[0], paths[1]


def write_list(path: Path, records: Iterator[Any] | Sequence[Any]) -> Path:
    """A JSON file that is one list, an entry per line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        file.write("[")
        for number, record in enumerate(records):
            file.write(",\n" if number else "\n")
            file.write(json.dumps(record, ensure_ascii=False))
        file.write("\n]\n")
    return path


def list_pictures(record: Mapping[str, Any]) -> list[str]:
    """The pictures that a record names."""
    if "image_path" in record:
        return [record["image_path"]]
    return [f"{record['video_path']}/{frame['frame_name']}" for frame in record["frame_level_caption"]]


def _with_pictures(folder: Path, records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    from PIL import Image

    for record in records:
        for name in list_pictures(record):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            shade = sum(name.encode()) * 7
            Image.new("RGB", _SIZE[::-1], (shade % 256, shade // 2 % 256, shade // 3 % 256)).save(path)
        yield record


def _mask(key: int) -> dict[str, Any]:
    """A bar, as uncompressed run lengths down the columns."""
    height, width = _SIZE
    before = (key * 5) % (width - 4) * height
    return {"mask": {"size": [height, width], "counts": [before, 3 * height, height * width - before - 3 * height]}}
