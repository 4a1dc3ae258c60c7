"""A YAML file of named entries, read strictly: a name that is there twice is told, and every mistake with its line."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from internvl.errors import InputError, MissingError


class _Loader(yaml.SafeLoader):
    """Refuses a key that is there twice: which of the two counts would be a guess."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.MarkedYAMLError(problem=f"a second {key.value}", problem_mark=key.start_mark)
            seen.add(key.value if isinstance(key, yaml.ScalarNode) else id(key))
        return super().construct_mapping(node, deep)


def read_entries(file: Path) -> dict[str, dict[str, Any]]:
    """All entries by name, each with its keys.

    Raises:
        MissingError: no such file.
        InputError: it is no YAML, or has other things in it than entries.
    """
    if not file.is_file():
        raise MissingError(
            f"model: expected a YAML file of models, got {file.absolute()}, which is none; check the path"
        )
    try:
        content = yaml.load(file.read_bytes(), _Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{file}:{mark.line + 1}" if mark is not None else str(file)
        told = " ".join(str(getattr(error, "problem", None) or error).split())
        raise InputError(f"{where}: expected YAML, got {told}; correct the line") from None
    if not isinstance(content, Mapping) or not content:
        raise InputError(
            f"{file}: expected entries such as `my_model:` with indented keys below, got {type(content).__name__}; "
            "see docs/models.md"
        )
    for name, values in content.items():
        if not isinstance(values, Mapping):
            raise InputError(
                f"{file}: expected indented keys below {name}, got {values!r}; write `{name}:` and a line for each "
                "key, with spaces in front"
            )
    return {str(name): {str(key): value for key, value in values.items()} for name, values in content.items()}
