"""Painting the frames of a scene: the first as a picture, each further one from the last result, moved by the flow."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..config import Config
from ..features import Network
from ..objective import Anchor
from ..pixels import size_of
from ..spectrum import Spectrum
from ..transfer import Result, Step, forecast
from ..transfer.run import Run
from .flow import certain, optical_flow, warped

BACK = (1, 2, 4)  # frames before this one that it is compared with (Ruder, Dosovitskiy and Brox 2016, section 4.3)

# Between photographs without a common part the share was below 0.1, after a fast pan 0.45.
UNLIKE, SAME = 0.3, 0.25  # difference of two pixels that show other things; share of pixels that must show the same

# A frame that starts from a painted one has its strokes: with all of the weight the style loss of a zoom was 1.13 times
# that of frames painted alone, with this share of it 1.10, and the difference between frames was smaller, too.
NEAREST_SHARE = 0.7


@dataclass(frozen=True)
class Past:
    """What the next frame needs of those before it, newest first: contents and results, (1, 3, H, W) in [0, 1], not
    recoloured; and the curvature that the optimiser measured last.
    """

    contents: tuple[Tensor, ...] = ()
    results: tuple[Tensor, ...] = ()
    spectrum: Spectrum | None = None

    def after(self, content: Tensor, result: Tensor, spectrum: Spectrum | None) -> Past:
        """The past of the next frame: this one's content and result before it is recoloured."""
        most = max(BACK)
        return Past((content, *self.contents)[:most], (result, *self.results)[:most], spectrum)


def paint_frames(
    frames: Iterable[Tensor], styles: Sequence[Tensor], config: Config, network: Network, past: Past | None = None
) -> Iterator[tuple[Result, Past]]:
    """Yield each frame's result, and the past of the frame after it; arguments as for `paint_steps`."""
    for step, after in paint_steps(frames, styles, config, network, past):
        if after is not None:
            yield step.result, after


def paint_steps(
    frames: Iterable[Tensor],
    styles: Sequence[Tensor],
    config: Config,
    network: Network,
    past: Past | None = None,
    on_tight_memory: Callable[[], None] | None = None,
) -> Iterator[tuple[Step, Past | None]]:
    """Yield each frame's steps, and the last one once more, with the past of the frame after it.

    frames: (1, 3, H, W) in [0, 1], of one size, without a cut; past: of the frame before the first; on_tight_memory:
    as for `iterate`. The styles' statistics are computed once. Raises StyleTransferError.

    Source: Ruder, Dosovitskiy and Brox, 2016 (Artistic style transfer for videos).
    """
    past = past or Past()
    options: Any = {"style_targets": {}, "on_tight_memory": on_tight_memory}
    for content in frames:
        run = run_of_frame(content, styles, config, network, past, **options)
        state = run.first_state()
        if past.spectrum is not None:
            solver = replace(state.solver, spectrum=past.spectrum.near(state.solver.image))
            state = replace(state, solver=solver)
        for step in run.steps(state):
            yield step, None
        past = past.after(content, step.raw, step.state.solver.spectrum)
        yield step, past


def run_of_frame(
    content: Tensor, styles: Sequence[Tensor], config: Config, network: Network, past: Past, **options: Any
) -> Run:
    """The run of a scene's first frame, as of a picture, or of a further one, from the last result moved along."""
    if not past.results:
        return Run(content, styles, config, None, network, **options)
    start, anchor = moved(content, past)
    return Run(content, styles, further_config(config, network), start, network, anchor=anchor, **options)


def further_config(config: Config, network: Network) -> Config:
    """The settings of a frame that has others before it: full size alone, with a share of the steps there.

    Where a picture has nearest neighbours at full size, all of these steps do, with less weight: it starts as finished.
    """
    steps = config.steps(network.design.iterations)
    full = [count for scale, count in zip(config.scales, steps) if scale == 1]
    share = max(1, round(config.frame_share * sum(full)))
    nearest_weight = NEAREST_SHARE * config.nearest_weight if len(full) > 1 else 0.0
    return replace(config, init="image", scales=(1.0,), iterations=(share,), nearest_weight=nearest_weight)


def seconds_of_frames(
    content: Tensor, styles: Sequence[Tensor], config: Config, network: Network
) -> tuple[float, float]:
    """Seconds that a scene's first frame will take, and each further one; content: any frame of it."""
    size, style_sizes = size_of(content), list(map(size_of, styles))
    first = forecast(config, size, network, style_sizes)
    further = forecast(further_config(config, network), size, network, style_sizes, finished=True)
    began = time.perf_counter()
    optical_flow(content, content)
    flow = 2 * len(BACK) * (time.perf_counter() - began)
    return sum(first.seconds), sum(further.seconds) + flow


def scene_starts(frames: Iterable[Tensor]) -> Iterator[bool]:
    """Whether each frame begins a scene: the first, and those on which the flow from the last says nothing.

    frames: small ones do, (1, 3, H, W) in [0, 1].
    """
    last: Tensor | None = None
    for frame in frames:
        yield last is None or _is_cut(last, frame)
        last = frame


def _is_cut(before: Tensor, after: Tensor) -> bool:
    backward, forward = optical_flow(after, before), optical_flow(before, after)
    known = certain(backward, forward, after, before)
    unlike = (warped(before, backward) - after).abs().mean(1, keepdim=True) > UNLIKE
    return float((known * ~unlike).mean()) < SAME


def moved(content: Tensor, past: Past) -> tuple[Tensor, Anchor]:
    """What a frame starts from, and what it stays close to.

    It stays close to the frames before it, each only where the nearer ones say nothing. Their masks are 0 or 1 and do
    not overlap, so that the sum of Ruder et al.'s losses is the loss of one picture put together from all. It starts
    from that picture, and elsewhere from the last result, warped: starting there from the content left pale seams.
    """
    known = torch.zeros_like(content[:, :1])
    wanted = start = content
    for back in BACK:
        if back > len(past.results):
            break
        earlier = past.contents[back - 1]
        backward, forward = optical_flow(content, earlier), optical_flow(earlier, content)
        result = warped(past.results[back - 1], backward).clamp(0, 1)
        mask = (certain(backward, forward, content, earlier) - known).clamp_min(0)
        if back == 1:
            start = result
        wanted = torch.where(mask > 0, result, wanted)
        known = known + mask
    return torch.where(known > 0, wanted, start), Anchor(wanted, known)
