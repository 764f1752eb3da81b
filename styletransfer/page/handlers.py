"""What happens on the Paint tab when something is clicked: moments of a run become values of components."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import gradio as gr

from ..config import Config, StyleTransferError
from ..studio.job import MAX_STYLES, Job, checked, next_size
from ..studio.server import Server
from ..studio.wording import as_text, command, describe, file_name, nearest_recipe
from ..studio.worker import in_worker
from .controls import QUALITIES, Bundled, described
from .errors import friendly, sorry
from .look import curve_html, details, status
from .parts import Parts, Updates, Values
from .visit import Display, at_work, follow, start, task_of, turn, visit_of
from .words import said

if TYPE_CHECKING:
    from ..studio.frames import Frame
    from ..studio.kept import Kept, Visit

EXAMPLE = "A finished example. Press Paint, or drop in your photo."
BUSY = "a picture is being painted: wait for it, or stop it"
UNPAINTED = "Not painted yet. Press Paint."
BETWEEN = " · "  # the names of the two pictures of the result, which page.js takes apart
FILMS = ("webp", "mp4") if find_spec("av") else ("webp",)  # kinds of timelapse: an MP4 needs PyAV


@dataclass(frozen=True)
class Handlers:
    """The handlers of a tab's components, on a server, with its bundled pictures."""

    server: Server
    parts: Parts
    bundled: Bundled

    # --- before anything is painted

    def filled(self, pictures: Mapping[Any, str | None]) -> Updates:
        """Slots with pictures that can be read."""
        parts, slots = self.parts, [slot for slot in pictures if slot in self.parts.good]
        goods = {parts.good[slot]: pictures[slot] for slot in slots}
        return {**pictures, **goods, **dict.fromkeys((parts.says[slot] for slot in slots), "")}

    def pair(self, key: Any, content: str | None, style: str | None) -> Updates:
        """Both slots with bundled pictures, and what there is to see of the two."""
        pictures = self.filled({self.parts.content: content, self.parts.styles[0]: style})
        return {**pictures, **self.unpainted(key, content, style)}

    def unpainted(self, key: Any, content: str | None, style: str | None, picture: Any = None) -> Updates:
        """The photograph in place of the result, or the finished example of the two; `picture`: it in small."""
        if visit := visit_of(key):
            visit.current = None
        pairs = [(entry["content"], entry["style"]) for entry in self.bundled["results"]]
        number = pairs.index((content or "", style or "")) if (content, style) in pairs else None
        return self.pane(number, content, picture)

    def pane(self, example: int | None, content: str | None, picture: Any = None) -> Updates:
        """The result as long as nothing is painted: a finished example, or the photograph alone."""
        parts = self.parts
        photograph = content if picture is None else picture
        shown = self.slider(photograph, photograph, content)
        if example is not None:
            entry = self.bundled["results"][example]
            shown = self.slider(entry["content"], entry["look"], entry["content"], [entry["style"]])
        return {
            parts.example: example,
            parts.result: shown,
            parts.state: status(UNPAINTED if example is None else EXAMPLE),
            **self._actions(example=example),
        }

    def slider(self, before: Any, after: Any, content: str | None, styles: Sequence[str] = ()) -> Any:
        """The two pictures of the result, and their names."""
        return gr.update(value=(before, after), label=said(self.names(content, styles)))

    def names(self, content: str | None, styles: Sequence[str] = ()) -> str:
        """What the two pictures are, for those who do not see them: the browser gives each its name."""
        return BETWEEN.join((described(self.bundled, content), described(self.bundled, content, styles)))

    def result_of(self, kept: Kept, after: str) -> Any:
        """The same for what is kept of a run."""
        return self.slider(kept.before, after, kept.job.content, kept.job.styles if kept.metadata else ())

    # --- a run

    def run(self, values: Values) -> Updates:
        """Start to paint what the controls ask for."""
        with friendly():
            return self.begin(values[self.parts.key], self.job_of(values), blend=values[self.parts.blend])

    def job_of(self, values: Values, **changes: Any) -> Job:
        """The job that the controls ask for; `init="image"` starts from the picture that is shown."""
        parts = self.parts
        chosen = [(values[style], values[share]) for style, share in zip(parts.styles, parts.shares) if values[style]]
        if len({style for style, _ in chosen}) < len(chosen):
            raise StyleTransferError("the same style is in the mix twice: remove one of them")
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

    def more(self, key: Any, example: int | None = None) -> Updates:
        """Continue the picture that is shown: to the end of a run that was stopped, or some steps further."""
        with friendly():
            key, kept = self.showing(key, example)
            from ..studio.session import continuation

            job, resume = continuation(kept)
            note = "" if resume else "The optimiser starts anew from the picture · "
            options: Any = {"settings": kept.settings, "blend": kept.blend, "resume": resume, "note": note}
            return {**self.begin(key, job, **options), self.parts.example: None}

    def finer(self, key: Any, example: int | None = None) -> Updates:
        """Paint the picture that is shown at the next size."""
        with friendly():
            key, kept = self.showing(key, example)
            job = kept.job.finer(kept.raw.numpy())
            settings = replace(kept.settings, size=job.config.size)
            return {**self.begin(key, job, settings=settings, blend=kept.blend), self.parts.example: None}

    def begin(self, key: Any, job: Job, **options: Any) -> Updates:
        """Start a run of the visit: Paint becomes Stop, and buttons that need a finished picture are disabled. Options
        are the studio's.
        """
        from ..studio.session import run

        parts, waiting, engine = self.parts, self.server.limits.waiting, self.server.engine
        key = start(key, "paint", lambda visit: run(job, visit, engine=engine, **options), work=job, waiting=waiting)
        return {**self._buttons(running=True), parts.state: status("Waiting for its turn", 0), parts.key: key}

    def follow(self, key: Any) -> Iterator[Updates]:
        """What the page shows of the visit's run, until it has ended."""
        for task, moment in follow(key, "paint"):
            yield {self.parts.state: status(turn(task), 0)} if moment is None else self.moment(*moment)

    def moment(self, frame: Frame, kept: Kept | None) -> Updates:
        """What the page shows of a frame: the photograph, until there is a painted picture."""
        from ..studio.session import network_words

        parts = self.parts
        updates: Updates = {parts.state: status(frame.told, frame.progress)}
        if kept is not None:
            picture = kept.preview() if kept.metadata else kept.before
            updates |= {parts.result: self.result_of(kept, picture), parts.example: None}
        if frame.metadata:
            updates[parts.details] = details(f"{frame.text} · {network_words(frame.metadata)}")
        if frame.curve:
            updates[parts.curve] = curve_html(frame.curve)
        return updates

    # --- around a run

    @property
    def display(self) -> Display:
        """How the tab shows its run."""
        parts = self.parts
        return Display("paint", parts.key, self.follow, parts.seen, self.finish, parts.shown, also=parts.example)

    def finish(self, key: Any, example: int | None = None) -> Updates:
        """After a run, a stop or a failure: show the last picture and what can be done with it."""
        parts, visit = self.parts, visit_of(key)
        if at_work(key, "paint"):  # another one, started meanwhile
            return {**self._buttons(running=True), parts.state: status("Painting · 0 %", 0)}
        kept = visit.current if visit else None
        buttons = self._buttons(running=False, kept=kept, example=example)
        if visit is None or kept is None or example is not None:
            return {**buttons, parts.state: status(UNPAINTED if example is None else EXAMPLE)}
        return {
            **buttons,
            parts.state: status(kept.note),
            parts.result: self.result_of(kept, kept.look()),
            parts.command: command_of(kept),
            parts.visit: self.history(visit),
        }

    # --- a visit that comes back

    def found(self, key: Any) -> Updates:
        """What the visit has: its results, and the run at work or the last picture, with pictures and settings."""
        visit, task = visit_of(key), task_of(key, "paint")
        kept = visit.current if visit else None
        if task is not None and not task.ended and (kept is None or kept.job is not task.work):
            pictures = self.pictures_of(task.work)
            unpainted = self.pane(None, pictures[self.parts.content])
            found = {**unpainted, **pictures, **self.fill(task.work.config)}
        elif kept is not None:
            found = {**self.pictures_of(kept.job), **self.fill(kept.settings, kept.blend)}
            found[self.parts.result] = self.result_of(kept, kept.preview())
        else:
            return self.strip(key)
        return {**found, **self.finish(key), self.parts.example: None, **self.strip(key)}

    def strip(self, key: Any) -> Updates:
        """The results of the visit."""
        visit = visit_of(key)
        return {self.parts.visit: self.history(visit)} if visit and visit.results else {}

    def history(self, visit: Visit) -> Any:
        """The visit's results, newest first, each with its name."""
        named = [
            (kept.thumbnail(), said(f"Result {number}: {described(self.bundled, kept.job.content, kept.job.styles)}"))
            for number, kept in enumerate(visit.results, 1)
        ]
        return gr.update(value=named[::-1], visible=True)

    def pictures_of(self, job: Job) -> Updates:
        """The pictures of a job in their places, those of them that are still here."""
        files = [path if os.path.isfile(path) else None for path in (job.content, *job.styles)]
        return self.filled(dict(zip((self.parts.content, *self.parts.styles), [*files, *[None] * MAX_STYLES])))

    def bring_back(self, key: Any, event: gr.SelectData) -> Updates:
        """Show an earlier result, with its pictures and settings."""
        visit = visit_of(key)
        index = -1 if visit is None else len(visit.results) - 1 - int(event.index)
        if visit is None or not 0 <= index < len(visit.results):
            raise sorry("this picture is no longer kept here")
        if at_work(key, "paint"):
            raise sorry(BUSY)
        visit.current = visit.results[index]
        return self.found(key)

    # --- the picture that is shown

    def _buttons(self, running: bool, **shown: Any) -> Updates:
        """Paint or Stop, and what can be done with the picture that is shown."""
        parts = self.parts
        go = {parts.run: gr.update(visible=not running), parts.stop: gr.update(visible=running)}
        return {**go, **self._actions(**shown)}

    def _actions(self, kept: Kept | None = None, example: int | None = None) -> Updates:
        """The buttons that need a picture: one that was painted, or an example that is not kept yet."""
        parts, most = self.parts, self.server.limits.size
        painted = kept if kept is not None and kept.metadata else None
        able = painted is not None or example is not None
        size = max(painted.raw.shape[-2:]) if painted else 0
        label = said(f"Enlarge to {next_size(size, most)}" if 0 < size < most else "Enlarge")
        enabled = dict.fromkeys([parts.more, *parts.keep.values(), parts.copy, parts.send], able)
        enabled |= dict.fromkeys(
            (parts.keep[kind] for kind in FILMS), painted is not None and bool(painted.film.frames)
        )
        return {
            **{button: gr.update(interactive=able) for button, able in enabled.items()},
            parts.finer: gr.update(value=label, interactive=able and size < most),
        }

    def showing(self, key: Any, example: int | None) -> tuple[Any, Kept]:
        """The visit's key and the picture that is shown; a finished example becomes a picture of the visit.

        Raises StyleTransferError where the picture is no longer kept.
        """
        if example is None:
            return key, current(key)
        from ..studio.kept import STORE, Visit, finished_example

        entry, visit = self.bundled["results"][example], visit_of(key) or Visit()
        visit.current = finished_example(self.server, entry["content"], entry["style"], entry["file"])
        return STORE.keep(key, visit), visit.current

    def tint(self, key: Any, example: int | None, color: str, blend: float) -> Any:
        """The picture that is shown in other colours, or blended with the photograph."""
        visit = visit_of(key)
        if example is None and (visit is None or visit.current is None):
            return gr.skip()
        with friendly():
            key, kept = self.showing(key, example)
            kept.settings, kept.blend = replace(kept.settings, color=color), min(100.0, max(0.0, float(blend)))
            return {
                self.parts.key: key,
                self.parts.example: None,
                self.parts.result: self.result_of(kept, kept.look()),
            }

    def save(self, kind: str) -> Callable[..., tuple[Any, None, str]]:
        """A handler that makes the file of this kind."""

        def make(key: Any, example: int | None = None) -> tuple[Any, None, str]:
            with friendly():
                key, kept = self.showing(key, example)
                return key, None, kept.file(kind)

        return make

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
            return details("Computed on a GPU that is lent for each run.")
        try:
            from ..features import choose_device, choose_network
            from ..studio.frames import network_for

            config = Config(network=name)
            chosen, reason = choose_network(config, choose_device(config))
            if chosen != "builtin":
                text = describe(chosen, reason, choose_device(config).type)
                return details(f"{text} · {self._weights_from(chosen)}")
            network = network_for(config)
            text = describe(network.name, network.reason, network.mean.device.type)
            return details(f"Painted by the {text}.")
        except StyleTransferError as error:
            return details(f"There is no network yet ({error}): vgg19 is downloaded at its first use.")

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


def command_of(kept: Kept) -> str:
    """The run that was asked for, for the command line."""
    line = command(kept.settings, file_name(kept.job.content), [file_name(style) for style in kept.job.styles])
    return (
        line if kept.job.regions is None else f"{line}\n# {said('without the regions, which are painted on the page')}"
    )


@in_worker
def has_strokes(regions: bytes | str, max_pixels: int) -> bool:
    """Whether something was painted on the canvas."""
    from ..images import load_alpha
    from ..studio.frames import PAINTED

    alpha = load_alpha(regions, max_pixels=max_pixels)
    return alpha is None or float(alpha.max()) > PAINTED
