"""The Video tab: a short clip painted in a style, frame by frame; the painted clip plays in the page."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..config import StyleTransferError
from ..extras import missing_for_clips
from ..recipes import RECIPES
from ..studio.server import Limits
from .controls import chooser, marker
from .errors import friendly
from .handlers import Handlers
from .inputs import Picture, Slider
from .look import FETCH, says, status
from .parts import AT_ONCE, PRIVATE, Parts, Updates, Values
from .pictures import lay_picture
from .visit import BEGIN, Display, follow, start, stop, task_of, turn
from .words import i18n

if TYPE_CHECKING:
    from ..studio.clip import Reel

HINT = (
    "Drop a short clip (MP4, MOV, WebM, GIF): every frame is painted, and the strokes stay on what they are painted on."
)
ON_ZERO = "clips are not painted here: this Space borrows a GPU for one picture at a time"
SHOW = "() => { if (innerWidth < 1000) document.querySelector('#video').scrollIntoView() }"


def video_tab(handlers: Handlers, page: gr.Blocks) -> None:
    """Lay the tab out with its events, or say which packages are missing."""
    missing = ON_ZERO if handlers.server.limits.zero else missing_for_clips()
    if missing:
        sentence = i18n.markup("clip-missing", f"<p>{html.escape(missing)}</p>")
        gr.HTML(sentence, elem_id="clip-missing", padding=False)
        return
    video, paint = lay_video(handlers), handlers.parts
    inputs = {paint.key, video.clip, video.style, *video.controls.values()}
    buttons = [video.go, video.halt, video.save]
    begun = video.go.click(video.begin, inputs, [*buttons, *video.shown, paint.key], **BEGIN)
    display = Display("video", paint.key, video.follow, video.shown, video.finish, [*buttons, *video.shown])
    display.after(begun.success)
    display.when_opened(page)
    video.go.click(None, js=SHOW)
    video.halt.click(stop("video"), paint.key, None, **AT_ONCE)
    file = gr.File(visible="hidden", elem_id="clip-file")
    made = video.save.click(video.painted, paint.key, file, concurrency_limit=2, **PRIVATE)
    made.success(None, file, None, js=FETCH)


def lay_video(handlers: Handlers) -> Video:
    limits, styles = handlers.server.limits, handlers.bundled["styles"]
    gr.HTML(f"<p>{i18n(HINT)}</p>", elem_classes="hint", padding=False)
    with gr.Row(elem_id="video"):
        with gr.Column(min_width=320):
            options: Any = {"sources": ["upload"], "buttons": [], "include_audio": True}
            clip = gr.Video(label=i18n("Clip"), height=192, elem_id="clip", **options)
            problem = gr.HTML(elem_id="clip-says", elem_classes="says")
            style = lay_style(styles, limits)
            with gr.Row(elem_id="clip-go"):
                go = gr.Button(i18n("Paint the clip"), variant="primary", elem_id="clip-run")
                halt = gr.Button(i18n("Stop"), variant="stop", elem_id="clip-stop", interactive=False)
            controls = lay_controls(limits)
        with gr.Column(min_width=320):
            frame = gr.Image(
                label=i18n("The frame being painted"), type="filepath", interactive=False, buttons=[],
                elem_id="clip-frame",
            )  # fmt: skip
            result = gr.Video(
                label=i18n("The painted clip"), visible=False, interactive=False, autoplay=True, loop=True, buttons=[],
                elem_id="clip-result",
            )  # fmt: skip
            state = gr.HTML(status(""), elem_id="clip-status", elem_classes="status", padding=False)
            save = gr.Button(i18n("Save"), elem_id="clip-save", interactive=False)

    def take(file: str | None) -> Updates:
        """Takes away a clip that cannot be read, and says what is wrong with it."""
        from ..studio.clip import check

        return checked(file, lambda: check(str(file), limits), {clip: None}, problem)

    clip.upload(take, clip, [clip, problem], **PRIVATE)
    return Video(handlers, clip, style, controls, go, halt, save, state, frame, result)


def lay_style(styles: Any, limits: Limits) -> Picture:
    """A place for the style, with the bundled ones beside it; an upload that cannot be read says so and is not kept."""
    parts = Parts()
    parts.good, parts.says, parts.tiles = {}, {}, {}
    first = styles[0]["file"] if styles else None
    slot = lay_picture(parts, "clip-style", "Style", first, ["upload", "clipboard"], styles)
    problem = parts.says[slot]

    def take(file: str | None) -> Updates:
        from ..studio.kept import sheet

        return checked(file, lambda: sheet(str(file), limits.pixels), {slot: first}, problem)

    parts.tiles[slot].select(chooser(styles), None, slot, **AT_ONCE)
    slot.upload(take, slot, [slot, problem], **PRIVATE)
    slot.change(None, slot, parts.tiles[slot], js=marker(styles))
    return slot


def checked(file: str | None, read: Callable[[], Any], otherwise: Updates, problem: gr.HTML) -> Updates:
    """No change for an upload that can be read; else what takes its place, and what is wrong with it."""
    try:
        with friendly():
            if file is not None:
                read()
        return {problem: ""}
    except gr.Error as error:
        return {**otherwise, problem: says(error.message)}


def lay_controls(limits: Limits) -> dict[str, gr.Slider]:
    """The settings of a clip, by name."""
    rows = {  # label, least, most, usual, step
        "strength": ("Strength", 0, 100, 50, 1),
        "size": ("Size", 128, limits.clip_size, 384, 32),
        "seconds": ("Seconds", 1, limits.clip_seconds, 5, 1),
        "fps": ("Frames a second", 1, limits.clip_fps, 12, 1),
    }
    return {
        name: Slider(least, most, min(usual, most), step=step, label=i18n(label), elem_id=f"clip-{name}", buttons=[])
        for name, (label, least, most, usual, step) in rows.items()
    }


@dataclass(frozen=True)
class Video:
    """The components of the tab, and the handlers of their events."""

    handlers: Handlers
    clip: gr.Video
    style: Picture
    controls: dict[str, gr.Slider]
    go: gr.Button
    halt: gr.Button
    save: gr.Button
    state: gr.HTML
    frame: gr.Image
    result: gr.Video

    @property
    def shown(self) -> list[Any]:
        """What changes while a clip is painted."""
        return [self.state, self.frame, self.result]

    def begin(self, values: Values) -> Updates:
        """Start to paint the clip."""
        server, key = self.handlers.server, self.handlers.parts.key
        with friendly():
            from ..studio.clip import ordered, paint

            asked = {name: values[control] for name, control in self.controls.items()}
            wanted = {name: asked.pop(name) for name in ("seconds", "fps")}
            settings = {**RECIPES["balanced"].to_dict(), **asked}
            reel = ordered(server, settings, clip=values[self.clip], style=values[self.style], **wanted)
            make = partial(paint, reel, server.engine)
            visit = start(values[key], "video", lambda _: make(), work=reel, waiting=server.limits.waiting)
        waiting = {self.state: status("Waiting for its turn", 0), key: visit}
        return {**self._buttons(running=True), **self._picture(None), **waiting}

    def follow(self, key: Any) -> Iterator[Updates]:
        """The frame that is being painted, until the clip is."""
        for task, latest in follow(key, "video"):
            reel = task.work
            text = turn(task) if latest is None else reel.progress_text
            yield {self.state: status(text, reel.progress), **self._picture(reel.shown)}

    def finish(self, key: Any) -> Updates:
        """What the visit has of its clip."""
        task = task_of(key, "video")
        if task is None:
            return {**self._buttons(running=False), self.state: status("")}
        reel: Reel = task.work
        if not task.ended:
            return {**self._buttons(running=True), self.state: status(reel.progress_text, reel.progress)}
        buttons = self._buttons(running=False, file=reel.file)
        return {**buttons, self.state: status(reel.ending), **self._picture(reel.shown, reel.file)}

    def painted(self, key: Any) -> str:
        """The file of the painted clip."""
        with friendly():
            task = task_of(key, "video")
            if task is None or task.work.file is None:
                raise StyleTransferError("this clip is no longer kept here: paint it once more")
            return str(task.work.file)

    def _picture(self, frame: str | None, file: str | None = None) -> Updates:
        """The painted clip, or before there is one the frame that is being painted."""
        return {
            self.frame: gr.update(value=frame, visible=file is None),
            self.result: gr.update(value=file, visible=file is not None),
        }

    def _buttons(self, running: bool, file: str | None = None) -> Updates:
        return {
            self.go: gr.update(interactive=not running),
            self.halt: gr.update(interactive=running),
            self.save: gr.update(interactive=file is not None),
        }
