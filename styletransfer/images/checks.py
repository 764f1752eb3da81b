"""Helpers of reading and writing: errors as StyleTransferError, names in messages, and settings as JSON text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..config import StyleTransferError

SETTINGS_KEY = "styletransfer"
MAX_SETTINGS = 64 * 2**10  # characters
MAX_DEPTH = 8


@contextmanager
def as_one_error(message: str) -> Iterator[None]:
    """Turn any exception into a StyleTransferError: for damaged files, Pillow raises exceptions of any class."""
    try:
        yield
    except StyleTransferError:
        raise
    except Exception as error:
        raise StyleTransferError(message) from error


def quoted(name: str) -> str:
    """The last part of a path, quoted, in printable characters, of bounded length."""
    text = repr(os.path.basename(name) or name)
    return text if len(text) <= 80 else f"{text[:50]}...{text[-20:]}"


def parse_settings(text: str, what: str) -> dict[str, Any]:
    """The JSON object in a text. Raises StyleTransferError if it is none, too long or too deeply nested."""
    if len(text) > MAX_SETTINGS:
        raise StyleTransferError(f"{what} are {len(text)} characters long: at most {MAX_SETTINGS} are allowed")
    with as_one_error(f"{what} are damaged: a JSON object is needed"):
        value = json.loads(text, parse_constant=int)  # int refuses NaN and Infinity, which are not JSON
    if not isinstance(value, dict) or _depth(value) > MAX_DEPTH:
        raise StyleTransferError(f"{what} must be a JSON object of at most {MAX_DEPTH} levels")
    return value


def _depth(value: Any) -> int:
    """Levels of lists and objects in a JSON value."""
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max(map(_depth, children), default=0)
