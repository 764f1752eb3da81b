"""What the app needs of the computer it runs on, seen to before Gradio is imported: a folder, and a way to itself."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

import httpx

from ..config import StyleTransferError

HERE = "localhost,127.0.0.1,::1"
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def upload_folder(chosen: str | None = None) -> str:
    """The chosen folder for uploads, made if it is missing, or one of this user's own among the temporary files.

    Gradio's own choice is one for all users of a computer, whose first user alone may write to it. Raises
    StyleTransferError where there is none to write to.
    """
    try:
        temporary = tempfile.gettempdir()
        folder = chosen or _own_folder(Path(temporary))
        os.makedirs(folder, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StyleTransferError(
            f"there is no folder for uploads ({error.strerror}): name one that can be written to in TMPDIR"
            + (", and another in GRADIO_TEMP_DIR" if chosen else "")
        ) from error


def _own_folder(temporary: Path) -> str:
    user = os.getuid() if hasattr(os, "getuid") else ""  # Windows has a temporary folder for each user
    folder = temporary / f"styletransfer-{user}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if stat.S_ISDIR(status.st_mode) and user in ("", status.st_uid):
        return str(folder)
    return tempfile.mkdtemp(prefix="styletransfer-")  # somebody else has taken the name


def mend_proxies() -> str:
    """Exempt this computer from the environment's proxies, and turn off downloads where those cannot be used.

    Returns what was turned off, as a sentence; empty: nothing.
    """
    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = f"{exempt},{HERE}" if exempt else HERE
    try:
        httpx.Client().close()
    except Exception as error:  # whatever it has against a proxy's address, Gradio could not be imported
        for name in PROXIES:
            os.environ.pop(name, None)
            os.environ.pop(name.upper(), None)
        os.environ["HF_HUB_OFFLINE"] = "1"  # nothing goes past a proxy that was asked for
        return f"The proxy in this environment cannot be used, and downloads are off: {error}"
    return ""
