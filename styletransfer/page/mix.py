"""Mix: up to three more styles, each a row with its picture, its share and a way to take it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from ..config import StyleTransferError
from ..studio.job import MAX_STYLES
from ..studio.server import Limits
from .controls import name_of, thumbnails
from .errors import friendly
from .inputs import Picture, Slider
from .parts import AT_ONCE, PRIVATE, Parts, Updates, Values
from .words import i18n, said

HINT = "Add up to three styles, then say how much of each."


def lay_mix(parts: Parts, styles: Sequence[Mapping[str, str]], limits: Limits) -> None:
    """Lay the rows out, with pictures to add below them; a row is there when its style is."""
    rows, parts.shares = [], []
    with gr.Accordion(i18n("Mix with other styles"), open=False, elem_id="mix"):
        for number in range(1, MAX_STYLES + 1):
            with gr.Row(visible=False, elem_classes="mixed", elem_id=f"mixed{number}") as row:
                options: Any = {"type": "filepath", "height": 64, "buttons": [], "interactive": False}
                slot = Picture(label=i18n(f"Style {number}"), elem_id=f"style{number}", **options)
                if number > 1:
                    parts.styles.append(slot)
                else:
                    first = slot  # the one of the Paint tab, in small
                share = Slider(0, 100, 50, step=1, label=i18n("Style"), min_width=140, buttons=[])
                share.elem_id = f"share{number}"
                parts.shares.append(share)
                if number > 1:
                    remove = gr.Button(i18n("Remove"), size="sm", min_width=80, scale=0)
                    remove.click(lambda: None, None, slot, **AT_ONCE)
            rows.append(row)
        gr.HTML(f"<p>{i18n(HINT)}</p>", elem_classes="hint")
        tiles = thumbnails(styles, "more-styles", "Styles to add")
        upload = gr.UploadButton(i18n("Add your own"), file_types=["image"], size="sm", elem_id="own-style")

    def add(values: Values, event: gr.SelectData) -> Updates:
        with friendly():
            return added(parts, values, styles[int(event.index)]["file"], styles)

    def add_own(values: Values) -> Updates:
        from ..studio.kept import sheet

        with friendly():
            sheet(values[upload], limits.pixels)  # raises what is wrong with it
            return added(parts, values, values[upload], styles)

    def show(values: Values) -> Updates:
        chosen = [values[slot] for slot in parts.styles]
        several = sum(map(bool, chosen)) > 1
        shown: Updates = {row: gr.update(visible=several and bool(file)) for row, file in zip(rows, chosen)}
        shown[first] = chosen[0] if several else None
        labels = {
            share: gr.update(label=said(name_of(file, styles))) for share, file in zip(parts.shares, chosen) if file
        }
        return {**shown, **labels}

    tiles.select(add, set(parts.styles), parts.styles[1:], **PRIVATE)
    upload.upload(add_own, {*parts.styles, upload}, parts.styles[1:], **PRIVATE)
    changed = [slot.change for slot in parts.styles]
    gr.on(changed, show, set(parts.styles), [first, *rows, *parts.shares], **AT_ONCE)


def added(parts: Parts, values: Values, file: str, styles: Sequence[Mapping[str, str]]) -> Updates:
    """The first row that is free, with this style. Raises StyleTransferError."""
    if file in [values[slot] for slot in parts.styles]:
        raise StyleTransferError(f"{name_of(file, styles)} is in the mix already: choose another style")
    free = [slot for slot in parts.styles[1:] if not values[slot]]
    if not free:
        raise StyleTransferError(f"there are {MAX_STYLES} styles in the mix already: remove one of them first")
    return {free[0]: file}
