"""Files that are replaced as a whole: every reader sees the old content or the new one, never a part. And the files
in which the system tells about itself.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder() -> Path:
    """The folder of what is kept between runs: STYLETRANSFER_CACHE, else the user's cache folder; it may not exist."""
    root = os.environ.get("STYLETRANSFER_CACHE")
    return Path(
        root or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "styletransfer")
    )


def text_of(path: str) -> str:
    """The text of one of the system's files; empty where it cannot be read."""
    try:
        return Path(path).read_text(errors="replace")
    except OSError:
        return ""


def write_atomically(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write through a hidden temporary file in the same folder, which then takes the target's name.

    A link's target is written, and the link stays; a pipe or a device, which nothing can replace, is written to. `sync`
    waits until the disk has the data. Raises OSError; the old file is then unchanged, and nothing else is left.
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
    """The name of a hidden temporary file in the same folder, which takes the place of `path`, or of a link's target,
    once it is written; after an error it is removed.
    """
    path = Path(os.path.realpath(path))
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
