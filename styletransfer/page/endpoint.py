"""The page's one endpoint for programs: a picture and a style in, a PNG with its settings out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import gradio as gr

from .. import studio
from ..recipes import recipe
from . import handlers
from .inputs import Picture
from .paint import HEAVY, Parts

SETTINGS = ("strength", "style_scale", "size", "color", "network", "seed")


def add_endpoint(parts: Parts) -> None:
    """Wire `stylize` to components that are not shown, with the defaults of those that are."""
    with gr.Row(visible=False):
        options: Any = {"type": "filepath", "buttons": []}
        pictures = [Picture(label=label, **options) for label in ("Picture", "Style")]
        answer, button = [gr.File(label="Result"), gr.JSON(label="Metrics")], gr.Button()
    given = [*pictures, *(parts.controls[name] for name in SETTINGS), parts.quality]
    button.click(stylize, given, answer, api_name="stylize", **HEAVY)


def stylize(
    content: str,
    style: str,
    strength: float,
    brush: float,
    size: int,
    color: str,
    network: str,
    seed: int,
    quality: str,
) -> Iterator[tuple[str | None, dict[str, Any]]]:
    """Paint a picture in the style of another: a PNG with its settings inside, and the run's progress and losses."""
    from ..studio.running import fitted

    with handlers.friendly():
        given = dict(zip(SETTINGS, (strength, brush, size, color, network, seed)))
        settings = {**recipe(quality).to_dict(), **given}
        job = studio.checked(content, [style] * bool(style), settings, weights=handlers.WEIGHTS)
        picture = fitted(content, job.settings["size"])
        kept = studio.Kept(job, job.settings, picture, picture, color)
        with closing(studio.paint(job)) as frames:
            for frame in frames:
                yield None, {"status": frame.text, "progress": frame.progress, "losses": frame.losses}
                if frame.raw is not None:
                    kept.take(frame)
        yield kept.file("png"), {"progress": 1.0, "losses": frame.losses, "settings": frame.metadata}
