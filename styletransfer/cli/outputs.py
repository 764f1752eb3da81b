"""The files that a command writes, checked before its first step, so that no long run ends with a name that fails."""

from __future__ import annotations

import os
import re
import stat
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

from ..config import StyleTransferError
from ..images import SUFFIXES
from ..images.checks import quoted


def frame_file(folder: Path, output: Path, step: int) -> Path:
    """The file of the picture after a step."""
    return folder / f"{output.stem}-{step:05d}.png"


def check_names(
    outputs: Sequence[Path],
    report: Path | None,
    frames: Path | None,
    inputs: Sequence[Path],
    kinds: Collection[str] = SUFFIXES,
) -> None:
    """Raise StyleTransferError for outputs of an unknown kind, or that would replace an input or one another."""
    for path in outputs:
        if path.suffix.lower() not in kinds:
            raise StyleTransferError(f"cannot write {quoted(str(path))}: the name must end in {', '.join(kinds)}")
    taken = dict.fromkeys(map(_identity, inputs), "an input")
    for path in (*outputs, *([report] if report else ())):
        if (what := taken.get(_identity(path))) is not None:
            raise StyleTransferError(f"cannot write {quoted(str(path))}: it would replace {what}; choose another name")
        taken[_identity(path)] = "another output"
    stems = "|".join(re.escape(path.stem) for path in outputs)
    for path in (*inputs, *outputs):
        if (
            frames
            and _identity(path.parent) == _identity(frames)
            and re.fullmatch(rf"({stems})-\d{{5,}}.png", path.name)
        ):
            raise StyleTransferError(f"cannot keep frames beside {quoted(str(path))}: one of them would replace it")


def prepare(outputs: Sequence[Path], report: Path | None, frames: Path | None, folder: Path | None) -> None:
    """Make the folders. Raises StyleTransferError if those or any of the files cannot be written."""
    for new in (folder, frames):
        if new is not None:
            try:
                new.mkdir(parents=True, exist_ok=True)
            except (OSError, ValueError) as error:
                raise StyleTransferError(f"cannot make the folder {quoted(str(new))}: {_reason(error)}") from error
    kept = [frame_file(frames, path, 10**5) for path in outputs] if frames else []
    for path in (*outputs, *([report] if report else ()), *kept):
        if reason := _obstacle(path):
            raise StyleTransferError(f"cannot write {quoted(str(path))}: {reason}")


def _identity(path: Path) -> object:
    """Equal for two names of one file, also by links, and to files that do not exist yet."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return os.path.realpath(path) if "\0" not in str(path) else str(path)
    return status.st_dev, status.st_ino


def _obstacle(path: Path) -> str:
    """Why a file cannot be written; empty if it can."""
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            return "it is a folder"
        if not stat.S_ISREG(mode):  # a pipe or a device, which is written to
            return "" if os.access(path, os.W_OK) else "it is not writable"
    except FileNotFoundError:
        pass
    except (OSError, ValueError) as error:
        return _reason(error)
    try:
        with tempfile.TemporaryFile(dir=Path(os.path.realpath(path)).parent):
            return ""
    except OSError:
        return "its folder does not exist or is not writable"


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or "the name is not allowed"
