"""Gradio's picture inputs, which leave reading the files to our own loader, with its limits and its error messages.

Gradio writes a stub beside the file of every component class, this one's `inputs.pyi` too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.base import server
from gradio.components.image_editor import AcceptBlobs

from .errors import sorry

MAX_BLOB, MAX_BLOBS = 8 * 2**20, 64  # of painted regions on their way from the browser


class Picture(gr.Image):
    """An image whose value is the path of its file: Gradio would open it, and give no message for a broken one."""

    is_template = True
    # Unlike the model of gr.Image, this one refuses a path without the mark that makes Gradio check it.
    data_model = gr.FileData  # type: ignore[assignment]

    def preprocess(self, payload: Any) -> Any:
        return payload and original_of(payload.path)

    def postprocess(self, value: Any) -> Any:
        return super().postprocess(value and copy_of(value))


def copy_of(file: str) -> str:
    """The copy to look at of a bundled picture, a tenth of its size; of any other, the file itself."""
    copy = Path(file).parent.parent / "small" / f"{Path(file).stem}-look.webp"
    return str(copy) if copy.is_file() else file


def original_of(file: str) -> str:
    """The inverse of `copy_of`."""
    name = Path(file).stem.removesuffix("-look")
    originals = Path(file).parent.parent.glob(f"styles/{name}.*") if Path(file).parent.name == "small" else ()
    return str(next(iter(originals), file))


class Slider(gr.Slider):
    """A slider beside which a number is typed: an empty one is its first value, one out of range the nearest in it."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        value = self.value if payload is None else payload
        return super().preprocess(min(self.maximum, max(self.minimum, value)))


class Number(gr.Number):
    """A number that is typed: an empty one is its first value."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        return super().preprocess(self.value if payload is None else payload)


class Canvas(gr.ImageEditor):
    """An editor whose value is the file of its only layer, as bytes or a path."""

    is_template = True

    def preprocess(self, payload: Any) -> Any:
        if payload is None:
            return None
        held = self.blob_storage.pop(payload.id, None) if payload.id is not None else payload
        layers = [layer for layer in (held.layers if held else ()) if layer is not None]
        return None if not layers else getattr(layers[0], "path", layers[0])

    @server  # type: ignore[untyped-decorator]
    def accept_blobs(self, data: AcceptBlobs) -> None:
        """As Gradio's, with a limit on their number and size."""
        if any(len(file) > MAX_BLOB for _, file in data.files):
            raise sorry("what was painted is too large")
        super().accept_blobs(data)
        while len(self.blob_storage) > MAX_BLOBS:
            self.blob_storage.pop(next(iter(self.blob_storage)))
