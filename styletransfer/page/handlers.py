"""What happens on the Paint tab when something is clicked; the work itself is the studio's."""

from __future__ import annotations

import html
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import gradio as gr

from .. import studio
from ..config import Config, StyleTransferError
from ..recipes import RECIPES
from ..studio.request import MAX_STYLES
from ..studio.worker import in_worker
from .controls import EXPERT, MAIN
from .crowd import check_turn
from .look import curve_html, sorry, status

if TYPE_CHECKING:
    from ..studio import Job, Kept, Visit

logger = logging.getLogger(__name__)

WEIGHTS: str | None = None  # a file for the VGG networks, given on the command line
STYLES = tuple(f"style{number}" for number in range(1, MAX_STYLES + 1))
SHARES = tuple(f"share{number}" for number in range(1, MAX_STYLES + 1))
GIVEN = ("content", *STYLES, *SHARES, "regions", "rest", "blend", *MAIN, *EXPERT)
HINT = "Choose a picture and a style, then press Paint."
KINDS = ("png", "jpg", "webp")


# --- errors


@contextmanager
def friendly() -> Iterator[None]:
    """Every failure as one sentence; what is not the visitor's doing goes to the log."""
    try:
        yield
    except StyleTransferError as error:
        raise sorry(str(error)) from error
    except gr.Error:
        raise
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which may not be here yet
            raise sorry("there is not enough memory for this: choose a smaller size") from error
        logger.exception("a run failed")
        raise sorry("something went wrong here; the server's log has the details") from error


# --- a run


def run(key: str | None, *values: Any) -> Iterator[tuple[Any, ...]]:
    """Paint what is asked for."""
    asked = dict(zip(GIVEN, values))
    with friendly():
        visit = studio.STORE.get(key)
        job = job_of(asked, visit.current if visit else None)
    yield from live(key, job, job.settings, asked["color"], asked["blend"])


def job_of(asked: Mapping[str, Any], kept: Kept | None = None, **changes: Any) -> Job:
    """The job that the controls ask for; `init="image"` starts from the picture that is shown."""
    chosen = [(asked[style], asked[share]) for style, share in zip(STYLES, SHARES) if asked[style]]
    values = {**{name: asked[name] for name in MAIN + EXPERT}, **changes}
    if len(chosen) > 1:
        values["style_weights"] = tuple(share for _, share in chosen)
    start = kept.raw.numpy() if kept and values["init"] == "image" else None
    regions = asked["regions"] if painted(asked["regions"]) else None
    return studio.checked(
        asked["content"],
        [style for style, _ in chosen],
        values,
        weights=WEIGHTS,
        regions=regions,
        rest=asked["rest"],
        start=start,
    )


@in_worker
def painted(regions: Any) -> bool:
    """Whether there is a stroke on the canvas."""
    if not regions:
        return False
    from ..images import load_alpha

    alpha = load_alpha(regions, max_pixels=studio.LIMITS.pixels)
    return alpha is None or float(alpha.max()) > 0.5


def more(key: str | None) -> Iterator[tuple[Any, ...]]:
    """Go on with the picture that is shown: to the end of a run that was stopped, or a round further."""
    with friendly():
        kept = current(key)
        done = kept.metadata["outcome"] != "stopped"
        goes_on = kept.step is not None and not kept.step.state.solver.outcome
        steps = kept.metadata["steps"]
        further = min(steps[-1], 100) if done or not goes_on else 0
        job = studio.continued(kept.job, steps, further, None if goes_on else kept.raw.numpy())
    note = "" if goes_on else "The optimiser starts anew from the picture · "
    yield from live(key, job, kept.asked, kept.color, kept.blend, resume=kept.step if goes_on else None, note=note)


def finer(key: str | None) -> Iterator[tuple[Any, ...]]:
    """Paint the picture that is shown at the next size."""
    with friendly():
        kept = current(key)
        job = studio.finer(kept.job, kept.raw.numpy(), max(kept.raw.shape[-2:]))
        asked = {**kept.asked, "size": job.settings["size"]}
    yield from live(key, job, asked, kept.color, kept.blend)


def current(key: str | None) -> Kept:
    """The picture that is shown. Raises StyleTransferError where it is no longer kept."""
    visit = studio.STORE.get(key)
    if visit is None or visit.current is None:
        raise StyleTransferError("the picture is no longer kept here: paint it once more")
    return visit.current


def live(
    key: str | None,
    job: Job,
    asked: Mapping[str, Any],
    color: str,
    blend: float,
    resume: Any = None,
    note: str = "",
) -> Iterator[tuple[Any, ...]]:
    """Yield the visit's key, the pictures before and after, the status and the loss curve, as a job is painted."""
    from ..studio.running import STARTING, fitted

    began, skip, frame_seen = time.monotonic(), gr.skip(), False
    visit = studio.STORE.get(key) or studio.Visit()
    with friendly():
        picture = fitted(job.content, job.settings["size"])
    kept = studio.Kept(job, asked, picture, picture, color, blend)
    outcome, visit.running = "failed", True
    try:
        yield skip, skip, status(note + "loading the network", 0), skip
        with friendly(), closing(studio.paint(job, resume)) as frames:
            for frame in frames:
                if frame.raw is None:  # the visitor's own picture, as soon as nothing more can be wrong
                    first = resume is None and job.start is None and frame.text == STARTING
                    yield skip, (kept.before(), kept.before()) if first else skip, status(note + frame.text, 0), skip
                    continue
                kept.take(frame)
                if not frame_seen:  # only now is there something to show in place of the last picture
                    visit.add(kept)
                    key, frame_seen = studio.STORE.keep(key, visit), True
                outcome, visit.touched = "stopped", time.monotonic()
                curve = curve_html(frame.curve) if frame.curve else skip
                line = status(f"{note}{frame.text} · {network_words(frame.metadata)}", frame.progress)
                yield key, (kept.before(), kept.preview()), line, curve
        outcome = kept.metadata["outcome"] if kept.metadata else "nothing to do"
        kept.note = note + ended(kept, time.monotonic() - began)
    finally:
        visit.running = False
        if not frame_seen:
            kept.folder.cleanup()
        log_run(job, kept, outcome, time.monotonic() - began)


def log_run(job: Job, kept: Kept, outcome: str, seconds: float) -> None:
    """One line for the operator: nothing of the pictures, no names."""
    entry = {
        "event": "run",
        "seconds": round(seconds, 2),
        "size": job.settings["size"],
        "steps": kept.metadata["steps"] if kept.metadata else job.settings["iterations"],
        "network": kept.metadata["network"]["name"] if kept.metadata else job.settings["network"],
        "outcome": outcome,
    }
    logger.info(json.dumps(entry))


def ended(kept: Kept, seconds: float) -> str:
    """How a run ended, in a line."""
    from ..studio.running import duration

    if not kept.metadata:
        return "There was nothing left to do"
    how = {"done": f"Done in {duration(seconds)}", "non-finite": "Stopped where the losses left all bounds"}
    text = how.get(kept.metadata["outcome"], f"Stopped after {duration(seconds)}, the most that is allowed here")
    return f"{text} · {kept.raw.shape[-1]} × {kept.raw.shape[-2]} · {network_words(kept.metadata)}"


def network_words(metadata: Mapping[str, Any]) -> str:
    used = metadata["network"]
    return studio.describe(used["name"], used["reason"], metadata["device"])


def network_line(name: str) -> str:
    """What will compute here, or what there is to do about it."""
    if studio.LIMITS.zero:  # which has no GPU before the first run
        return "<p>Computed on a GPU that is lent for each run.</p>"
    try:
        from ..features import choose_device, choose_network

        config = Config(network=name)
        used, reason = choose_network(config, choose_device(config))
        if used != "builtin":
            return f"<p>{html.escape(studio.describe(used, reason, choose_device(config).type))}: {where(used)}.</p>"
        network = studio.network_for(config)
        words = studio.describe(network.name, network.reason, network.mean.device.type)
        return f"<p>Painted by the {html.escape(words)}.</p>"
    except StyleTransferError as error:
        return f"<p>There is no network yet ({html.escape(str(error))}): vgg19 is downloaded at its first use.</p>"


def where(network: str) -> str:
    """Where the weights of a VGG network come from."""
    if WEIGHTS:
        return "from the file this server was started with"
    return "needs --weights FILE" if network == "vgg19-caffe" else "downloaded at its first use if it is not here yet"


# --- around a run


def begin(request: gr.Request) -> tuple[Any, ...]:
    """Run becomes Stop, and what needs a finished picture waits; outputs as `finish`'s buttons, then the status."""
    check_turn(request)
    off = [gr.update(interactive=False)] * (2 + len(KINDS))
    return gr.update(visible=False), gr.update(visible=True), *off, status("waiting for its turn", 0)


def finish(key: str | None) -> tuple[Any, ...]:
    """After a run, a stop or a failure: the picture that is shown, its command and history, and the buttons."""
    visit = studio.STORE.get(key)
    kept = visit.current if visit else None
    buttons = gr.update(visible=True), gr.update(visible=False), *offers(kept)
    if visit is None or kept is None:
        return *buttons, status(HINT), gr.skip(), gr.skip(), gr.skip()
    return *buttons, status(kept.note), (kept.before(), kept.look()), command_of(kept), history(visit)


def offers(kept: Kept | None) -> list[Any]:
    """Continue, Finer and the three files: disabled where there is nothing to act on."""
    can = kept is not None and bool(kept.metadata)
    larger = can and kept is not None and max(kept.raw.shape[-2:]) < studio.LIMITS.size
    return [gr.update(interactive=able) for able in (can, larger, can, can, can)]


def command_of(kept: Kept) -> str:
    """The run that was asked for, for the command line."""
    config = Config.from_dict({**kept.asked, "weights": None, "device": "auto", "color": kept.color})
    line = studio.command(config, shown_name(kept.job.content), [shown_name(style) for style in kept.job.styles])
    return line if kept.job.regions is None else f"{line}\n# without the regions, which are painted on the page"


def shown_name(path: str) -> str:
    """A bundled picture by its place in the repository, an upload by its name."""
    parts = path.replace("\\", "/").split("/")
    return "/".join(parts[-3:]) if "examples" in parts[-3:-2] else parts[-1]


def history(visit: Visit) -> Any:
    """The visit's results, newest first."""
    numbered = reversed(list(enumerate(visit.results, 1)))
    return gr.update(value=[(kept.thumbnail(), f"Result {number}") for number, kept in numbered], visible=True)


def tint(key: str | None, color: str, blend: float) -> Any:
    """The picture that is shown in other colours, or mixed with the photograph."""
    visit = studio.STORE.get(key)
    if visit is None or visit.current is None:
        return gr.skip()
    kept = visit.current
    kept.color, kept.blend = color, min(100.0, max(0.0, float(blend)))
    return kept.before(), kept.look()


def keep(kind: str) -> Any:
    """A handler that makes the file of this kind."""

    def make(key: str | None) -> str:
        with friendly():
            return current(key).file(kind)

    return make


def bring_back(key: str | None, event: gr.SelectData) -> tuple[Any, ...]:
    """A result of before, with its pictures and settings: outputs as `finish`'s, then as `fill`'s."""
    visit = studio.STORE.get(key)
    index = -1 if visit is None else len(visit.results) - 1 - int(event.index)
    if visit is None or not 0 <= index < len(visit.results):
        raise sorry("this picture is no longer kept here")
    if visit.running:
        raise sorry("a picture is being painted: wait for it, or stop it")
    visit.current = kept = visit.results[index]
    job = kept.job
    styles = [*job.styles, *[None] * (MAX_STYLES - len(job.styles))]
    return *finish(key), job.content, *styles, *fill({**kept.asked, "color": kept.color}), kept.blend


def fill(settings: Mapping[str, Any], recipe: str | None = None) -> list[Any]:
    """Values for all controls: quality, recipe, the shares of the styles, then Config's fields."""
    config = Config.from_dict({**settings, "weights": None, "device": "auto"})
    recipe = recipe or studio.nearest_recipe(config)
    weights: Sequence[float] = config.style_weights
    shares = [100 * weight / max(weights) for weight in weights] if weights else []
    shares = [*shares, *[50.0] * (MAX_STYLES - len(shares))][:MAX_STYLES]
    quality = recipe if recipe in ("draft", "balanced", "best") else None
    assert recipe in RECIPES
    return [quality, recipe, *shares, *studio.field_values(config.to_dict(), MAIN + EXPERT)]
