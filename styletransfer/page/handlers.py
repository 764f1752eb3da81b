"""What happens on the Paint tab when something is clicked: moments of a run become values of components."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..config import Config, StyleTransferError
from ..studio.job import MAX_STYLES, Job, checked
from ..studio.server import Server
from ..studio.wording import as_text, command, describe, file_name, nearest_recipe
from ..studio.worker import in_worker
from .controls import QUALITIES
from .errors import friendly, sorry
from .look import curve_html, status
from .parts import Parts, Updates, Values
from .visit import at_work, follow, start, task_of, turn, visit_of

if TYPE_CHECKING:
    from ..studio.kept import Kept, Visit

HINT = "Choose a picture and a style, then press Paint."


@dataclass(frozen=True)
class Handlers:
    """The handlers of a tab's components, on a server."""

    server: Server
    parts: Parts

    # --- a run

    def run(self, values: Values) -> Updates:
        """Start to paint what the controls ask for."""
        with friendly():
            return self.begin(values[self.parts.key], self.job_of(values), blend=values[self.parts.blend])

    def job_of(self, values: Values, **changes: Any) -> Job:
        """The job that the controls ask for; `init="image"` starts from the picture that is shown."""
        parts = self.parts
        chosen = [(values[style], values[share]) for style, share in zip(parts.styles, parts.shares) if values[style]]
        settings = {**{name: values[control] for name, control in parts.controls.items()}, **changes}
        if len(chosen) > 1:
            settings["style_weights"] = tuple(share for _, share in chosen)
        start = None
        if settings["init"] == "image" and (visit := visit_of(values[parts.key])) and visit.current:
            start = visit.current.raw.numpy()
        strokes = values[parts.canvas]
        return checked(
            self.server,
            settings,
            content=values[parts.content],
            styles=[style for style, _ in chosen],
            regions=strokes if strokes and has_strokes(strokes, self.server.limits.pixels) else None,
            rest=values[parts.rest],
            start=start,
        )

    def more(self, key: Any) -> Updates:
        """Continue the picture that is shown: to the end of a run that was stopped, or some steps further."""
        with friendly():
            kept = current(key)
            from ..studio.session import continuation

            job, resume = continuation(kept)
            note = "" if resume else "The optimiser starts anew from the picture · "
            options: Any = {"settings": kept.settings, "blend": kept.blend, "resume": resume, "note": note}
            return self.begin(key, job, **options)

    def finer(self, key: Any) -> Updates:
        """Paint the picture that is shown at the next size."""
        with friendly():
            kept = current(key)
            job = kept.job.finer(kept.raw.numpy())
            settings = replace(kept.settings, size=job.config.size)
            return self.begin(key, job, settings=settings, blend=kept.blend)

    def begin(self, key: Any, job: Job, **options: Any) -> Updates:
        """Start a run of the visit: Paint becomes Stop, and buttons that need a finished picture are disabled. Options
        are the studio's.
        """
        from ..studio.session import run

        waiting = self.server.limits.waiting
        key = start(key, "paint", lambda visit: run(job, visit, **options), work=job, waiting=waiting)
        parts = self.parts
        return {**self._buttons(running=True), parts.state: status("waiting for its turn", 0), parts.key: key}

    def follow(self, key: Any) -> Iterator[Updates]:
        """What the page shows of the visit's run, until it has ended."""
        from ..studio.session import network_words

        parts = self.parts
        for task, moment in follow(key, "paint"):
            frame, kept = moment or (None, None)
            if frame is None:
                yield {parts.state: status(turn(task), 0)}
            elif kept is None or not kept.metadata:
                updates: Updates = {parts.state: status(frame.text, 0)}
                if kept is not None and kept.job.start is None:  # the visitor's own picture, until one is painted
                    updates[parts.result] = kept.before, kept.before
                yield updates
            else:
                text = f"{frame.text} · {network_words(kept.metadata)}"
                updates = {parts.result: (kept.before, kept.preview()), parts.state: status(text, frame.progress)}
                if frame.curve:
                    updates[parts.curve] = curve_html(frame.curve)
                yield updates

    # --- around a run

    def finish(self, key: Any) -> Updates:
        """After a run, a stop or a failure: show the last picture and what can be done with it."""
        parts, visit, running = self.parts, visit_of(key), at_work(key, "paint")
        kept = visit.current if visit else None
        buttons = self._buttons(running, kept)
        if visit is None or kept is None or running:
            return {**buttons, parts.state: status("Painting" if running else HINT, 0 if running else None)}
        return {
            **buttons,
            parts.state: status(kept.note),
            parts.result: (kept.before, kept.look()),
            parts.command: command_of(kept),
            parts.visit: history(visit),
        }

    def found(self, key: Any) -> Updates:
        """Of a visit that comes back: its results, and the run at work or the last picture with its settings."""
        visit, task = visit_of(key), task_of(key, "paint")
        kept = visit.current if visit else None
        if task and not task.ended and (kept is None or kept.job is not task.work):  # nothing is painted yet
            settings = {**self.pair(task.work), **self.fill(task.work.config)}
        elif kept is not None:
            settings = {**self.pair(kept.job), **self.fill(kept.settings, kept.blend)}
        else:
            return self.strip(key)
        return {**self.finish(key), **settings, **self.strip(key)}

    def strip(self, key: Any) -> Updates:
        """The results of the visit."""
        visit = visit_of(key)
        return {self.parts.visit: history(visit)} if visit and visit.results else {}

    def pair(self, job: Job) -> Updates:
        """The pictures of a job, those of them that are still here."""
        files = [path if os.path.isfile(path) else None for path in (job.content, *job.styles)]
        return dict(zip((self.parts.content, *self.parts.styles), [*files, *[None] * MAX_STYLES]))

    def _buttons(self, running: bool, kept: Kept | None = None) -> Updates:
        """Paint or Stop; Continue, Finer and the files are disabled where there is nothing to act on."""
        parts = self.parts
        painted = kept is not None and bool(kept.metadata) and not running
        larger = painted and kept is not None and max(kept.raw.shape[-2:]) < self.server.limits.size
        enabled = {parts.more: painted, parts.finer: larger, **dict.fromkeys(parts.keep.values(), painted)}
        return {
            parts.run: gr.update(visible=not running),
            parts.stop: gr.update(visible=running),
            **{button: gr.update(interactive=able) for button, able in enabled.items()},
        }

    def tint(self, key: Any, color: str, blend: float) -> Any:
        """The picture that is shown in other colours, or blended with the photograph."""
        visit = visit_of(key)
        if visit is None or visit.current is None:
            return gr.skip()
        kept = visit.current
        with friendly():
            kept.settings, kept.blend = replace(kept.settings, color=color), min(100.0, max(0.0, float(blend)))
            return kept.before, kept.look()

    def bring_back(self, key: Any, event: gr.SelectData) -> Updates:
        """Show an earlier result, with its pictures and settings."""
        visit = visit_of(key)
        index = -1 if visit is None else len(visit.results) - 1 - int(event.index)
        if visit is None or not 0 <= index < len(visit.results):
            raise sorry("this picture is no longer kept here")
        if at_work(key, "paint"):
            raise sorry("a picture is being painted: wait for it, or stop it")
        visit.current = kept = visit.results[index]
        return {**self.finish(key), **self.pair(kept.job), **self.fill(kept.settings, kept.blend)}

    # --- settings

    def fill(self, config: Config, blend: float = 0.0, recipe: str | None = None) -> Updates:
        """The values of all controls for these settings, and the line that says what computes."""
        parts, recipe = self.parts, recipe or nearest_recipe(config)
        weights = config.style_weights
        shares = [100 * weight / max(weights) for weight in weights]
        return {
            parts.quality: recipe if recipe in QUALITIES else None,
            parts.recipe: recipe,
            **dict(zip(parts.shares, [*shares, *[50.0] * MAX_STYLES])),
            **{control: as_text(getattr(config, name)) for name, control in parts.controls.items()},
            parts.blend: blend,
            parts.network_line: self.network_line(config.network),
        }

    def network_line(self, name: str) -> str:
        """What will compute here, or what to do if nothing can."""
        if self.server.limits.zero:  # there is no GPU before the first run
            return "<p>Computed on a GPU that is lent for each run.</p>"
        try:
            from ..features import choose_device, choose_network
            from ..studio.frames import network_for

            config = Config(network=name)
            chosen, reason = choose_network(config, choose_device(config))
            if chosen != "builtin":
                text = describe(chosen, reason, choose_device(config).type)
                return f"<p>{html.escape(text)}: {self._weights_from(chosen)}.</p>"
            network = network_for(config)
            text = describe(network.name, network.reason, network.mean.device.type)
            return f"<p>Painted by the {html.escape(text)}.</p>"
        except StyleTransferError as error:
            return f"<p>There is no network yet ({html.escape(str(error))}): vgg19 is downloaded at its first use.</p>"

    def _weights_from(self, network: str) -> str:
        """Where the weights of a VGG network come from."""
        if self.server.weights:
            return "from the file this server was started with"
        if network == "vgg19-caffe":
            return "needs --weights FILE"
        return "downloaded at its first use if it is not here yet"


# --- what a visit has


def current(key: Any) -> Kept:
    """The picture that is shown. Raises StyleTransferError where it is no longer kept."""
    visit = visit_of(key)
    if visit is None or visit.current is None:
        raise StyleTransferError("the picture is no longer kept here: paint it once more")
    return visit.current


def history(visit: Visit) -> Any:
    """The visit's results, newest first."""
    numbered = reversed(list(enumerate(visit.results, 1)))
    return gr.update(value=[(kept.thumbnail(), f"Result {number}") for number, kept in numbered], visible=True)


def command_of(kept: Kept) -> str:
    """The run that was asked for, for the command line."""
    line = command(kept.settings, file_name(kept.job.content), [file_name(style) for style in kept.job.styles])
    return line if kept.job.regions is None else f"{line}\n# without the regions, which are painted on the page"


def save(kind: str) -> Callable[[Any], str]:
    """A handler that makes the file of this kind."""

    def make(key: Any) -> str:
        with friendly():
            return current(key).file(kind)

    return make


@in_worker
def has_strokes(regions: bytes | str, max_pixels: int) -> bool:
    """Whether something was painted on the canvas."""
    from ..images import load_alpha

    alpha = load_alpha(regions, max_pixels=max_pixels)
    return alpha is None or float(alpha.max()) > 0.5
