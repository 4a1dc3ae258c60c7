"""`python -m train --config recipe.yaml [--option value]`: checks what it was told, then trains.

`python -m train convert-inst-it` makes training data instead.
"""

from __future__ import annotations

import sys
import time

from internvl.errors import InputError
from internvl.folder import check_folder
from internvl.hub import split_name
from train.arguments import parse
from train.mixture import read_meta
from train.processes import is_first

_PATIENCE = 10.0  # seconds


def main(arguments: list[str]) -> int:
    """Run one training; 2 is a mistake that the message explains, 75 a run that was stopped and can go on."""
    if arguments[:1] == ["convert-inst-it"]:
        from train.inst_it.command import main as convert

        return convert(arguments[1:])
    try:
        config = parse(arguments)
        if config.model.pretrained and split_name(config.model.pretrained) is None:
            check_folder(config.model.pretrained)
        read_meta(config.data.meta_path)
        from train.run import fit

        return fit(config)
    except InputError as error:
        if not is_first():
            # The first process says what all of them meet, and its end ends this one; else it is of this one alone.
            time.sleep(_PATIENCE)
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
