"""Run step by step (`iterate`) or to the end (`stylize`)."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ..config import Config
from ..features import Network, load_network
from ..start import Masks
from ..tiles import Map
from .records import Result, Step
from .run import Run, StyleTargets

Report = Callable[[str], None]
Callback = Callable[[Step], object]


def stylize(
    content: Tensor | None,
    styles: Sequence[Tensor],
    config: Config | None = None,
    *,
    callback: Callback | None = None,
    init_image: Tensor | None = None,
    network: Network | None = None,
    resume: Result | Step | None = None,
    style_targets: StyleTargets | None = None,
    masks: Masks | None = None,
    report: Report | None = None,
    on_tight_memory: Callable[[], None] | None = None,
    map_tiles: Map = map,
) -> Result:
    """Run `iterate` to its end and return the result; a callback that returns False stops the run after that step.

    Arguments and errors as for `iterate`.
    """
    config = config or Config()
    network = network or load_network(config, dtype=_network_dtype(content, styles), report=report)
    step: Step | None = None
    began = previous = time.monotonic()
    seconds: dict[str, float] = {}
    for step in iterate(
        content,
        styles,
        config,
        init_image=init_image,
        network=network,
        resume=resume,
        style_targets=style_targets,
        masks=masks,
        on_tight_memory=on_tight_memory,
        map_tiles=map_tiles,
    ):
        now = time.monotonic()
        size = f"{step.size[1]}x{step.size[0]}"
        seconds[size] = seconds.get(size, 0.0) + now - previous
        previous = now
        if callback is not None and callback(step) is False:
            break
    if step is None:  # the resumed run was complete
        run = Run(content, styles, config, init_image, network, masks=masks)
        state = resume.state if resume is not None else run.first_state()
        return replace(run.result(state, "done"), seconds={"total": 0.0})
    return replace(step.result, seconds={**seconds, "total": time.monotonic() - began})


def iterate(
    content: Tensor | None,
    styles: Sequence[Tensor],
    config: Config | None = None,
    *,
    init_image: Tensor | None = None,
    network: Network | None = None,
    resume: Result | Step | None = None,
    style_targets: StyleTargets | None = None,
    masks: Masks | None = None,
    report: Report | None = None,
    on_tight_memory: Callable[[], None] | None = None,
    map_tiles: Map = map,
) -> Iterator[Step]:
    """Optimise the pixels of a picture, yielding a Step after each iteration; leaving the loop cancels the run.

    content: (1, 3, H, W) in [0, 1], or None for texture synthesis from the styles; styles: any number of (1, 3, h, w),
    none for content reconstruction; init_image: the start for `init="image"`; network: one that is already loaded;
    resume: a step or result of a run with the same pictures, to continue with the optimiser's state; style_targets: a
    dict that keeps the styles' statistics for further runs with other contents; masks: by style, (1, 1, h, w) in
    [0, 1] over the whole frame, the region of the style, or None for the area that no mask covers; an area without a
    style stays the content; on_tight_memory: called before the first and after every evaluation in tiles on the CPU,
    and when memory ran out, so that a program can return freed memory to the system; map_tiles: like Python's `map`,
    for tiles to be computed elsewhere. float64 pictures are computed in float64. Raises StyleTransferError for unusable
    pictures or settings.

    Source: Gatys, Ecker and Bethge, 2016 (Image Style Transfer Using Convolutional Neural Networks).
    """
    config = config or Config()
    network = network or load_network(config, dtype=_network_dtype(content, styles), report=report)
    run = Run(content, styles, config, init_image, network, style_targets, masks, on_tight_memory, map_tiles)
    state = resume.state if resume is not None else run.first_state()
    return run.steps(state)


def _network_dtype(content: Tensor | None, styles: Sequence[Tensor]) -> torch.dtype | None:
    """float64 if any picture is in float64, else None, which leaves the choice to the settings."""
    pictures = [image for image in (content, *styles) if isinstance(image, Tensor)]
    return torch.float64 if any(image.dtype == torch.float64 for image in pictures) else None


def measure_styles(styles: Sequence[Tensor], config: Config, network: Network) -> StyleTargets:
    """The styles' statistics at all sizes of a run, as `style_targets` for runs with any content.

    Empty if the settings make them depend on the content: on its size, shape or colours.
    """
    if config.size == "original" or config.style_fit == "cover" or config.style_color == "match":
        return {}
    square = torch.zeros(1, 3, 64, 64)  # of all shapes, this one has the most scales
    return Run(square, styles, replace(config, content_weight=0.0), None, network).measure_styles()
