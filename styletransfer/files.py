"""Files that are replaced as a whole: every reader sees the old content or the new one, never a part."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomically(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write through a hidden temporary file in the same folder, which then takes the target's name.

    A link's target is written, and the link stays; a pipe or a device, which nothing can replace, is written to. `sync`
    waits until the disk has the data. Raises OSError; the old file is then unchanged, and nothing else is left.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        path.write_bytes(data)
        return
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
