"""The components of the Paint tab by name, and the settings that its events share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from .inputs import Canvas, Picture

PRIVATE: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {"queue": False, **PRIVATE}  # for what cannot fail: outside the queue Gradio shows no message
HEAVY: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "paint"}

Values = Mapping[Any, Any]  # what a handler takes: the values of its input components
Updates = dict[Any, Any]  # what a handler returns: new values of components; the others stay as they are


class Parts:
    """The components of the Paint tab: set by the layout, and used by handlers as keys of what they read and change."""

    key: Any  # of the visit, which the browser stores
    example: gr.State  # number of the finished example that is shown and not kept yet
    content: Picture
    styles: list[Picture]
    tiles: dict[Any, gr.HTML]  # bundled pictures beside a place for one
    good: dict[Any, gr.State]  # the last picture in such a place that could be read
    says: dict[Any, gr.HTML]  # what was wrong with the last upload
    shares: list[gr.Slider]  # of each style
    canvas: Canvas  # regions painted over the photograph
    rest: gr.Radio
    blend: gr.Slider
    controls: dict[str, Any]  # by field of Config
    quality: gr.Radio
    recipe: gr.Dropdown
    chime: gr.Checkbox  # whether the end of a run is heard
    run: gr.Button
    stop: gr.Button
    more: gr.Button
    finer: gr.Button
    keep: dict[str, gr.Button]  # by kind of file
    copy: gr.Button
    send: gr.Button  # to the system's share sheet
    link: gr.Button
    said: gr.Textbox  # what the browser answers to them
    own: Sequence[Any]  # settings that the visitor keeps under a name
    network_line: gr.HTML
    result: gr.ImageSlider
    state: gr.HTML
    details: gr.HTML
    curve: gr.HTML
    visit: gr.Gallery
    command: gr.Textbox
    restore: gr.File

    @property
    def inputs(self) -> set[Any]:
        """All that a run depends on."""
        pictures = self.content, *self.styles, *self.shares, self.canvas, self.rest, self.blend
        return {self.key, *pictures, *self.controls.values()}

    @property
    def buttons(self) -> list[gr.Button]:
        """The buttons that a run changes."""
        return [self.run, self.stop, *self.actions]

    @property
    def actions(self) -> list[gr.Button]:
        """The buttons that need a picture."""
        return [self.more, self.finer, *self.keep.values(), self.copy, self.send]

    @property
    def pictures(self) -> list[Any]:
        """The places for pictures, the last readable ones there, and what was wrong with others."""
        return [self.content, *self.styles, *self.good.values(), *self.says.values()]

    @property
    def after(self) -> list[Any]:
        """What changes when a picture is chosen."""
        return [self.result, self.state, self.example, *self.actions]

    @property
    def seen(self) -> list[Any]:
        """What changes while a run is followed."""
        return [self.example, self.result, self.state, self.details, self.curve]

    @property
    def shown(self) -> list[Any]:
        """What changes when another result is shown."""
        return [*self.buttons, self.state, self.example, self.result, self.command, self.visit]

    @property
    def settings(self) -> list[Any]:
        """All that changes with the settings."""
        return [self.quality, self.recipe, *self.shares, *self.controls.values(), self.blend, self.network_line]
