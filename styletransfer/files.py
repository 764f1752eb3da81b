"""Files: replaced atomically, so that readers see the old or the new content; the cache folder; the system's files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """The folder of files kept between runs: STYLETRANSFER_CACHE, else the user's cache folder; it may not exist."""
    root = os.environ.get("STYLETRANSFER_CACHE")
    return Path(
        root or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "styletransfer")
    )


def text_of(path: str) -> str:
    """The text of one of the system's files; empty if it cannot be read."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def write_atomically(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write a hidden temporary file in the same folder, then rename it to the target.

    A link stays, and its target is replaced; pipes and devices are written to directly. sync: wait until the data is on
    the disk. Raises OSError; the old file is then unchanged, and no temporary file is left.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    with replacement(path) as temporary, open(temporary, "xb") as file:
        file.write(data)
        if sync:
            file.flush()
            os.fsync(file.fileno())


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """The name of a hidden temporary file in the same folder: it replaces `path`, or a link's target, after the block,
    and is removed after an error.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
