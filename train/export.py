"""`python -m train.export <run folder>`: writes the model of a training checkpoint, also while the run is at work."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

from internvl.errors import InputError, MissingError
from train.arguments import parse
from train.config import FinetuneConfig


class _Parser(argparse.ArgumentParser):
    """Mistakes are one line, as everywhere."""

    def error(self, message: str) -> NoReturn:
        raise InputError(f"option: expected valid values, got {message}; see {self.prog} --help")


def build_parser() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = _Parser(
        prog="python -m train.export",
        description="Write the model of a training checkpoint as a folder that evaluate.sh "
        "and further runs take. The base checkpoint of the run must be where it was.",
        allow_abbrev=False,
    )
    parser.add_argument("run", type=Path, help="run folder, with config.yaml and checkpoints/ in it")
    parser.add_argument("--step", type=int, help="of the checkpoint (default the last one)")
    parser.add_argument("--output", type=Path, help="folder (default <run>/export, or <run>/export-step-N with --step)")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], help="of the weights (default the run's)")
    return parser


def choose_state(run: Path, step: int | None) -> Path:
    """The checkpoint of a step, or the last one.

    Raises:
        InputError: there is none.
    """
    from train.state import find_states

    states = dict(find_states(run / "checkpoints"))
    if not states:
        raise MissingError(f"run: expected checkpoints in {run / 'checkpoints'}, got none; wait for the first one")
    if step is None:
        return states[max(states)]
    if step not in states:
        raise InputError(f"--step: expected one of {', '.join(map(str, states))}, got {step}; choose one of these")
    return states[step]


def read_config(run: Path) -> FinetuneConfig:
    """The options of the run of a folder, wherever that has been moved.

    Raises:
        InputError: it is none.
    """
    path = run / "config.yaml"
    if not path.is_file():
        raise MissingError(f"run: expected a run folder with config.yaml, got {run}; check the path")
    return parse(["--config", str(path), "--output_dir", str(run)])


def export(config: FinetuneConfig, state: Path, target: Path) -> Path:
    """Write the model of a checkpoint.

    Raises:
        InputError: the run began with other weights than are there now.
    """
    from train.resume import name_weights
    from train.run import export_state, make_processor
    from train.state import load_loops
    from train.trainer import quiet
    from train.weights import open_weights, prepare_weights

    quiet()
    config = prepare_weights(config, is_first=True)
    recipe, found = load_loops(state)["recipe"], name_weights(Path(config.model.pretrained))
    if recipe["weights"] != found:
        raise InputError(
            f"model.pretrained: expected the weights {recipe['weights']} that the run began with in "
            f"{config.model.pretrained}, got {found}; put them back"
        )
    model_config, base = open_weights(config)
    return export_state(
        state,
        target,
        config=config,
        model_config=model_config,
        base=base,
        processor=make_processor(config),
        precision=recipe["precision"],
    )


def main(arguments: list[str]) -> int:
    """Export one checkpoint; 2 is a mistake that the message explains."""
    try:
        options = build_parser().parse_args(arguments)
        config = read_config(options.run)
        state = choose_state(options.run, options.step)
        if options.dtype:
            config = replace(config, export_dtype=options.dtype)
        name = "export" if options.step is None else f"export-{state.name}"
        print(f"exported: {export(config, state, options.output or options.run / name)}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
