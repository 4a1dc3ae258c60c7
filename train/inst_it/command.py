"""`python -m train convert-inst-it`: the Inst-It Dataset as training conversations, and what was left out."""

from __future__ import annotations

import argparse
import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from internvl.errors import InputError, MissingError
from train.inst_it.conversion import Reading, convert_file
from train.inst_it.exclusion import Exclusion
from train.inst_it.mix import PREFIX, Mix, make_mix
from train.inst_it.output import REJECTS, RowFiles, write_whole
from train.inst_it.record import IMAGE, VIDEO
from train.inst_it.settings import DEFAULT, Settings, read_settings
from train.inst_it.tally import Tally, describe_found, describe_lengths, format_table
from train.inst_it.work import Job

NAME = "convert-inst-it"
META, REPORT = "inst_it_meta.json", "inst_it_report.json"
DONE, INCOMPLETE, MISTAKE, STOPPED = 0, 1, 2, 130
_MOST_SHOWN = 20
_UNTOUCHED = "the files of an earlier conversion are as they were"


class _Parser(argparse.ArgumentParser):
    """A mistake is an error like any other, with the closest option."""

    def error(self, message: str) -> NoReturn:
        unknown = message.removeprefix("unrecognized arguments: ").split()[0]
        hint = f"see {self.prog} --help"
        if message.startswith("unrecognized"):
            close = difflib.get_close_matches(unknown, self._option_string_actions, n=1)
            hint = f"did you mean {close[0]}?" if close else hint
            message = f"expected a known option, got {unknown}"
        raise InputError(f"option: {message}; {hint}")


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = _Parser(
        prog=f"python -m train {NAME}",
        description="Make training conversations of the Inst-It Dataset: rows by kind, inst_it_meta.json to train on, "
        "a report of all counts, and a list of what cannot be used. docs/inst-it.md goes through it.",
        epilog="Exit code: 0 if all is well, 1 if an annotation file breaks off or --verify found a problem, 2 for a "
        "mistake in the command.",
        allow_abbrev=False,
    )
    parser.add_argument("--images", type=Path, metavar="FILE", help="inst_it_dataset_image_51k.json, or with masks")
    parser.add_argument("--videos", type=Path, metavar="FILE", help="inst_it_dataset_video_21k.json, or with masks")
    parser.add_argument(
        "--root",
        type=Path,
        default=Path("playground/data/inst_it"),
        metavar="DIR",
        help="folder that the paths of the pictures are relative to (default playground/data/inst_it)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("playground/inst_it"),
        metavar="DIR",
        help="folder of the rows (default playground/inst_it)",
    )
    parser.add_argument("--config", type=Path, default=DEFAULT, metavar="YAML", help="kinds, weights and wordings")
    parser.add_argument("--seed", type=int, default=0, help="of wordings, orders and choices (default 0)")
    parser.add_argument("--limit", type=_count, metavar="N", help="the first N entries of each file")
    parser.add_argument("--check", action="store_true", help="open every picture, and leave out what cannot be read")
    parser.add_argument("--exclude", type=Path, metavar="IDS", help="file with ids or paths to leave out, one per line")
    parser.add_argument(
        "--variant", metavar="NAME", help="of the pictures: raw reads images_raw/... where images_vpt/... is named"
    )
    parser.add_argument("--tokenizer", type=Path, metavar="DIR", help="report lengths in its tokens instead of words")
    parser.add_argument("--workers", type=int, default=0, metavar="N", help="processes besides this one (default 0)")
    parser.add_argument("--verify", type=Path, metavar="DIR", help="look through rows that were made, and make none")
    return parser


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    try:
        options = build_parser().parse_args(arguments)
        return verify(options.verify, options.check) if options.verify is not None else convert(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISTAKE
    except OSError as error:
        print(f"error: files: expected room, and rights to read and write, got {error}; {_UNTOUCHED}", file=sys.stderr)
        return MISTAKE
    except KeyboardInterrupt:
        print(f"stopped; {_UNTOUCHED}", file=sys.stderr)
        return STOPPED


def convert(options: argparse.Namespace) -> int:
    """Make the rows; everything is checked first that can be.

    Raises:
        InputError: there is nothing to convert, or something given is wrong.
    """
    readings = [
        Reading(path, kind) for kind, path in ((IMAGE, options.images), (VIDEO, options.videos)) if path is not None
    ]
    if not readings:
        raise InputError("--images, --videos: expected at least one annotation file, got none; give one or both")
    for reading in readings:
        if not reading.path.is_file():
            raise MissingError(f"--{reading.kind}s: expected a file, got {reading.path}, which does not exist; get it")
    if options.check and not options.root.is_dir():
        raise MissingError(
            f"--root: expected the folder of the pictures, got {options.root}; unpack them, or leave --check out"
        )
    settings = read_settings(options.config)
    exclusion = Exclusion.read(options.exclude) if options.exclude is not None else Exclusion()
    job = Job(
        settings,
        options.seed,
        options.root if options.check else None,
        options.variant,
        _find_tokenizer(options.tokenizer),
    )
    tally = Tally()
    with RowFiles(options.output, settings.generators) as files:
        for reading in readings:
            tally.add(convert_file(job, reading, files, exclusion, limit=options.limit, workers=options.workers))
        if not tally.rows.total() and (options.output / META).is_file():
            # A wrong --root, or videos in place of images: no reason to take the rows of a training away.
            _print_table(options, settings, tally)
            got = f"no row; the first reject is {files.first_reject}" if files.first_reject else "no entry"
            raise InputError(f"--output: expected rows to write, got {got}; correct the command, {_UNTOUCHED}")
        mix = make_mix(settings, options.output, options.root, tally.rows)
        # Between here and the last line another folder than this one would be half of each conversion.
        for name in (META, REPORT):
            (options.output / name).unlink(missing_ok=True)
        files.keep()
        # The length of general data is counted; those of this folder have their names by now.
        report = make_report(options, settings, tally, mix, files, readings)
        write_whole(options.output / REPORT, json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        if mix.entries:
            write_whole(options.output / META, json.dumps(mix.entries, indent=2) + "\n")
    _tell(options, settings, tally, mix, readings, exclusion)
    return DONE if all(reading.is_whole for reading in readings) and mix.entries else INCOMPLETE


def make_report(
    options: argparse.Namespace, settings: Settings, tally: Tally, mix: Mix, files: RowFiles, readings: list[Reading]
) -> dict[str, Any]:
    """All counts of a conversion."""
    kinds = {
        generator: {
            "texts": tally.candidates[generator],
            "answers": tally.kept[generator],
            "left_out": tally.reasons(generator),
            "rows": tally.rows[generator],
            "weight": part.weight,
            "samples_per_epoch": mix.samples.get(PREFIX + generator, 0),
            "lengths": describe_lengths(tally, generator),
            "mean_length": round(tally.total_length[generator] / max(1, tally.rows[generator]), 1),
            "bytes": files.num_bytes[generator],
            "sha256": files.hashes[generator].hexdigest(),
        }
        for generator, part in settings.generators.items()
    }
    return {
        "files": [
            {"path": str(reading.path), "kind": reading.kind, "read_to_the_end": reading.is_whole}
            for reading in readings
        ],
        "config": options.config.name,
        "seed": options.seed,
        "limit": options.limit,
        "pictures_opened": options.check,
        "variant": options.variant,
        "length_unit": "words" if options.tokenizer is None else "tokens of text",
        "found": describe_found(tally),
        "records_refused": dict(sorted(tally.refused.items())),
        "records_excluded": dict(sorted(tally.excluded.items())),
        "kinds": kinds,
        "samples_per_epoch": dict(mix.samples),
        "rejects": {"file": f"{REJECTS}.jsonl", "sha256": files.hashes[REJECTS].hexdigest()},
    }


def verify(folder: Path, opens: bool) -> int:
    """Look through the rows of a folder, and say what is wrong with them.

    Raises:
        MissingError: there are none.
    """
    from train.inst_it.verification import Verifier
    from train.mixture import read_meta

    if not (folder / META).is_file():
        raise MissingError(f"--verify: expected {META} in {folder}, got none; convert first")
    verifier, count = Verifier(opens), 0
    for source in read_meta(folder / META):
        for problem in verifier.verify(source) if source.name.startswith(PREFIX) else ():
            count += 1
            if count <= _MOST_SHOWN:
                print(problem)
    if count > _MOST_SHOWN:
        print(f"... and {count - _MOST_SHOWN:,} more")
    print(f"{folder}: {verifier.num_rows:,} rows, {len(verifier.pictures):,} pictures, {count:,} problems")
    return INCOMPLETE if count else DONE


def _tell(
    options: argparse.Namespace,
    settings: Settings,
    tally: Tally,
    mix: Mix,
    readings: list[Reading],
    exclusion: Exclusion,
) -> None:
    """What became of everything, for people."""
    _print_table(options, settings, tally)
    for name, counts in describe_found(tally).items():
        print(f"{name}: {counts['found']:,} (the published files: {counts['published']:,})")
    for kind in (IMAGE, VIDEO):
        if tally.refused[kind]:
            print(f"{kind}s that cannot be used: {tally.refused[kind]:,}, listed in {options.output / REJECTS}.jsonl")
        if tally.excluded[kind]:
            print(f"{kind}s excluded: {tally.excluded[kind]:,}")
    notes = list(mix.notes)
    if unmet := exclusion.unmet():
        notes.append(f"--exclude: {len(unmet):,} names that no record has, {unmet[0]} for one")
    notes += [
        f"{reading.path}: breaks off; what was before is converted, the rest is missing: get the file again"
        for reading in readings
        if not reading.is_whole
    ]
    if not options.check:
        notes.append("no picture was opened; --check does so, and --verify sees whether all are there")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if mix.entries:
        samples = sum(mix.samples.values())
        print(f"{options.output / META}: {samples:,} samples per epoch in {len(mix.entries)} entries")


def _print_table(options: argparse.Namespace, settings: Settings, tally: Tally) -> None:
    weights = {generator: part.weight for generator, part in settings.generators.items()}
    print(format_table(tally, weights, "words" if options.tokenizer is None else "tokens"))


def _find_tokenizer(folder: Path | None) -> Path | None:
    if folder is None:
        return None
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise MissingError(f"--tokenizer: expected a folder with tokenizer.json, got {folder}; give a checkpoint's")
    return path


def _count(word: str) -> int:
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number of at least 1, got {word}")
    return int(word)
