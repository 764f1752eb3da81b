"""The scenes of a clip: finding them, and painting one by a worker, with each frame kept as soon as it is painted."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from typing import Any, NamedTuple

from torch import Tensor

from .. import allocator
from ..config import Config
from ..engine import Worker
from ..features import Network
from ..images import MAX_PIXELS, load_image
from ..pixels import match_colors, size_of
from ..spectrum import Spectrum
from .clip import Clip, Frame, Piece
from .paint import Past, paint_steps, scene_starts
from .work import Scene, Work

KEEP_EVERY = 20.0  # seconds of painting that a crash may cost
GLIMPSE_EVERY = 0.33  # seconds between two looks at a frame that is being painted
SCAN_SIZE = 128  # long side of the frames in which cuts are looked for


# --- finding


def scan(clip: Clip) -> Iterator[tuple[float, bool]]:
    """The time of each frame, and whether a scene begins with it, judged by small frames read one at a time."""
    times: list[float] = []

    def images() -> Iterator[Tensor]:
        for frame in clip.frames(SCAN_SIZE):
            times.append(frame.time)
            yield frame.image

    for begins in scene_starts(images()):
        yield times[-1], begins


def scenes_of(frames: Iterable[tuple[float, bool]]) -> list[Scene]:
    """The scenes of a clip; frames: as `scan` yields them."""
    times, begins = zip(*frames)
    starts = [number for number, begin in enumerate(begins) if begin]
    return [Scene(start, times[start:end]) for start, end in pairwise([*starts, len(times)])]


# --- what a worker does


@dataclass(frozen=True)
class Order:
    """A scene to paint, in a form that can be pickled.

    styles: the bytes of their files; glimpses: whether frames are also wanted while they are being painted.
    """

    clip: Clip
    start: int
    frames: int
    long_side: int
    styles: tuple[bytes, ...]
    config: Config
    background: str = "white"
    glimpses: bool = False


class Painted(NamedTuple):
    """A painted frame: the picture to show, what the next frame needs, and an entry for the report."""

    image: Tensor
    content: Tensor
    raw: Tensor
    spectrum: Spectrum | None
    report: dict[str, Any]


class Glimpse(NamedTuple):
    """A frame that is being painted: its picture so far, (1, 3, H, W), and how far it is, 0 to 1."""

    image: Tensor
    progress: float


def painted(order: Order, network: Network, past: Past) -> Iterator[Painted | Glimpse]:
    """Yield the frames of a scene, or the rest of them after `past`."""
    options: Any = {"background": order.background, "max_pixels": order.clip.max_pixels or MAX_PIXELS}
    styles = [load_image(file, **options) for file in order.styles]
    config = order.config
    if config.style_color == "match":  # to the clip's first frame: colours that follow each frame would flicker
        first = next(order.clip.frames(order.long_side)).image
        styles, config = [match_colors(style, first) for style in styles], replace(config, style_color="keep")
    allocator.keep()
    frames = (frame.image for frame in islice(order.clip.frames(order.long_side, order.start), order.frames))
    began = shown = time.monotonic()
    for step, after in paint_steps(frames, styles, config, network, past, on_tight_memory=allocator.give_back):
        if after is not None:
            result = step.result
            report: dict[str, Any] = {"seconds": time.monotonic() - began, "steps": len(result.history)}
            report |= {"losses": dict(result.history[-1]), "outcome": result.outcome, "metadata": result.metadata}
            yield Painted(result.image, after.contents[0], after.results[0], after.spectrum, report)
            began = shown = time.monotonic()
        elif order.glimpses and time.monotonic() - shown > GLIMPSE_EVERY:
            yield Glimpse(step.image, step.progress)
            shown = time.monotonic()


# --- what the program does with a worker


def paint_scene(
    worker: Worker, paint: Callable[[Order, Past], Any], order: Order, work: Work, scene: Scene
) -> Generator[tuple[int, Painted | Glimpse], None, None]:
    """Have a worker paint what is left of a scene, and keep it: yields each frame with its number in the clip.

    paint: what the worker runs, `painted` with its network; order: of the whole clip. However this ends, the frames
    painted so far are kept. Raises Lost.
    """
    done, past = work.load(scene)
    if done == len(scene.times):
        return
    order = replace(order, start=scene.start + done, frames=len(scene.times) - done)
    piece: Piece | None = None
    kept, written = time.monotonic(), done
    try:
        with closing(worker.stream(paint, order, past)) as frames:
            for frame in frames:
                if isinstance(frame, Glimpse):
                    yield scene.start + written, frame
                    continue
                if piece is None:
                    piece = Piece(work.piece(scene, done), work.kind, size_of(frame.image), work.fps)
                piece.write(Frame(scene.times[written], frame.image))
                # The last frame written is in the file only when the next one is.
                if time.monotonic() - kept > KEEP_EVERY and written > done:
                    work.save(scene, written, past)
                    kept = time.monotonic()
                past = past.after(frame.content, frame.raw, frame.spectrum)
                written += 1
                yield scene.start + written - 1, frame
    finally:
        if piece is not None:
            piece.close()
            work.save(scene, written, past)
