"""What a run will take, told before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..config import Config
from ..features import Network
from ..pixels import Size
from ..plan import Plan, make_plan, seconds_of_scales
from .scales import Scale, schedule


@dataclass(frozen=True)
class Forecast:
    """The scales of a run, coarse to fine, its plan for the memory, and the seconds that each scale will take."""

    scales: tuple[Scale, ...]
    plan: Plan
    seconds: tuple[float, ...]


def forecast(
    config: Config,
    frame: Size,
    network: Network,
    styles: Sequence[Size] = (),
    *,
    content: bool = True,
    finished: bool = False,
) -> Forecast:
    """What a run in a frame of (H, W) with styles of (H, W) will take; a few steps are timed for it, once for a
    network and its settings. finished: it starts from a finished picture, as a further frame of a clip does, and has
    nearest neighbours from its first step on. Raises StyleTransferError as `schedule` does.
    """
    scales = schedule(config, frame, network, styles)
    plan = make_plan(network, config, scales[-1].size, content=content, finished=finished)
    sizes = [(scale.size, scale.iterations) for scale in scales]
    seconds = seconds_of_scales(network, replace(config, history=plan.history), sizes, plan.tile, finished=finished)
    return Forecast(scales, plan, tuple(seconds))
