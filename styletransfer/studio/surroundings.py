"""Prepares the computer for the app before Gradio is imported: a folder for uploads, and access past proxies."""

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
    """The chosen folder for uploads, created if it is missing, or this user's folder among the temporary files.

    Gradio's default is one folder for all users of a computer, to which only the first user can write. Raises
    StyleTransferError if the folder cannot be written to.
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
    """Exempt this computer from the environment's proxies, and turn off downloads if the proxies are unusable.

    Returns a sentence about what was turned off, or an empty string.
    """
    exempt = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = f"{exempt},{HERE}" if exempt else HERE
    try:
        httpx.Client().close()
    except Exception as error:  # any error about a proxy's address would also stop Gradio's import
        for name in PROXIES:
            os.environ.pop(name, None)
            os.environ.pop(name.upper(), None)
        os.environ["HF_HUB_OFFLINE"] = "1"  # a configured proxy is never bypassed
        return f"The proxy in this environment cannot be used, and downloads are off: {error}"
    return ""
