"""Checkpoints by their names on a model hub: fetched into the user's cache for `hub:owner/name`, and only then."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from internvl.errors import InputError, MissingError

_PREFIX = "hub:"
_NAME = re.compile(r"(?P<repository>\w[\w.-]*/\w[\w.-]*)(@(?P<revision>[\w./-]+))?", re.ASCII)
_FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja"]  # never code
_PICKLED = ["*.bin", "*.pth"]
_NOT_FILES = ["*/*"]  # folders hold the same weights for other programs


def split_name(name: str | Path) -> tuple[str, str | None] | None:
    """Repository and revision of `hub:owner/name[@revision]`; None for a path.

    Raises:
        InputError: it begins like a name and is none.
    """
    text = str(name)
    if not text.startswith(_PREFIX):
        return None
    match = _NAME.fullmatch(text.removeprefix(_PREFIX))
    if match is None:
        raise InputError(
            f"checkpoint: expected hub:owner/name or hub:owner/name@revision, got {text}; correct the name"
        )
    return match["repository"], match["revision"]


def find_folder(name: str | Path, *, refresh: bool = True) -> Path:
    """The folder of a checkpoint; a path comes back as it is, and what `hub:owner/name` names is fetched.

    Args:
        name: a path or a name.
        refresh: ask the hub for the newest of a branch; without it, a cached one will do, and nothing is asked.

    Raises:
        InputError: there is no such checkpoint, or it cannot be fetched.
    """
    parts = split_name(name)
    if parts is None:
        return Path(name)
    if not refresh:
        try:
            return _download(*parts, cached=True)
        except MissingError:
            pass
    return _download(*parts, cached=False)


def pin_name(name: str, folder: Path) -> str:
    """The name of the very commit that a folder holds."""
    parts = split_name(name)
    assert parts is not None, "a path has no commit"
    return f"{_PREFIX}{parts[0]}@{folder.name}"


def _download(repository: str, revision: str | None, *, cached: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()

    def fetch(patterns: list[str]) -> Path:
        folder = snapshot_download(
            repository,
            revision=revision,
            allow_patterns=patterns,
            ignore_patterns=_NOT_FILES,
            local_files_only=cached,
        )
        return Path(folder)

    try:
        folder = fetch(_FILES)
        return folder if any(folder.glob("*.safetensors")) else fetch([*_FILES, *_PICKLED])
    except Exception as error:  # what the library raises about a connection differs from version to version
        name = f"{_PREFIX}{repository}" + (f"@{revision}" if revision else "")
        raise _explain(error, name) from None


def _explain(error: Exception, name: str) -> InputError:
    from huggingface_hub import errors

    repository, _, revision = name.removeprefix(_PREFIX).partition("@")
    answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    status = None if answer is None else answer.status_code
    if isinstance(error, errors.HFValidationError):
        return InputError(f"checkpoint: expected the name of a repository after hub:, got {name}; correct the name")
    if isinstance(error, errors.GatedRepoError) or status == 403:
        return InputError(
            f"checkpoint: expected access to {name}, got a refusal; ask for access on its page, then: hf auth login"
        )
    if isinstance(error, errors.RepositoryNotFoundError) or status == 401:
        return MissingError(
            f"checkpoint: expected a repository, got {name}, which does not exist or is private; check the name, or "
            "sign in: hf auth login"
        )
    if isinstance(error, errors.RevisionNotFoundError):
        return MissingError(
            f"checkpoint: expected a branch, tag or commit of {repository}, got {revision}; check the name after @"
        )
    if isinstance(error, errors.LocalEntryNotFoundError):
        chosen = f" --revision {revision}" if revision else ""
        return MissingError(
            f"checkpoint: expected {name} whole in the cache or a connection to the hub, got neither; give a local "
            f"folder, or fetch it where there is a connection: hf download {repository}{chosen}"
        )
    reason = " ".join(str(error).split())[:160]
    return InputError(
        f"checkpoint: expected all files of {name}, got {type(error).__name__}: {reason}; the same command goes on "
        "with what is missing"
    )
