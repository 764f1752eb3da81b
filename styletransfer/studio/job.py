"""A job: one run, checked, with everything that it needs, picklable."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import Config, StyleTransferError
from .server import Limits, Server
from .wording import from_text

MAX_STYLES = 4
FINER = math.sqrt(2)
FINER_STEPS = 30
COLORS = ("#e8336d", "#1d8fe1", "#f2a900", "#2ea36b")  # of the brushes for the styles' regions


@dataclass(frozen=True, eq=False)
class Job:
    """A run to do.

    content, styles: paths; regions: a picture painted over the photograph, in the styles' `COLORS`; rest: of unpainted
    parts, the `photograph` or the `first` style; start: the picture (1, 3, H, W) for `init="image"`.
    """

    content: str
    styles: tuple[str, ...]
    config: Config
    limits: Limits
    regions: bytes | str | None = None
    rest: str = "photograph"
    start: Any = None

    @property
    def seconds(self) -> float:
        """The most time that the run may take."""
        return self.limits.seconds_for(self.config)

    def continued(self, steps: Sequence[int], more: int) -> Job:
        """The job with `more` steps at its last scale; steps: of the run so far, by scale."""
        if not more:
            return self
        return replace(self, config=replace(self.config, iterations=(*steps[:-1], steps[-1] + more)))

    def restarted(self, start: Any, steps: int, **changes: Any) -> Job:
        """The job that takes `steps` from a picture at full size, and then the steps with nearest neighbours."""
        config = replace(self.config, **changes)
        repeats = config.scales.count(1.0) - 1
        iterations = (steps, *[min(steps, config.steps()[-1])] * repeats)
        config = replace(config, init="image", scales=(1.0,) * (1 + repeats), iterations=iterations)
        return replace(self, config=config, start=start)

    def title(self, size: int) -> str:
        """A name for the result's file: photograph, styles and long side, like temple-night-512."""
        names = (re.sub(r"\W+", "-", Path(path).stem)[:40].strip("-") for path in (self.content, *self.styles))
        return "-".join([*filter(None, names), str(size)])

    def finer(self, start: Any) -> Job:
        """The job that paints a result at the next size. Raises StyleTransferError at the largest."""
        size = max(start.shape[-2:])
        larger = next_size(size, self.limits.size)
        if larger <= size:
            raise StyleTransferError(f"the picture is {size} pixels long: at most {self.limits.size} are allowed here")
        return self.restarted(start, FINER_STEPS, size=larger)


def next_size(size: int, most: int) -> int:
    """The long side of a picture's next larger version."""
    return min(round(size * FINER / 32) * 32, most)


def checked(
    server: Server,
    settings: Mapping[str, Any],
    *,
    content: str | None,
    styles: Sequence[str],
    regions: bytes | str | None = None,
    rest: str = "photograph",
    start: Any = None,
) -> Job:
    """The job of a visitor's request, checked; settings: values of Config's fields, tuples also as text. Raises
    StyleTransferError.
    """
    for name, value in (("picture", content), ("style", styles)):
        if not value:
            raise StyleTransferError(f"there is no {name} yet: upload one, or choose one of those shown")
    if len(styles) > MAX_STYLES:
        raise StyleTransferError(f"there are {len(styles)} styles: at most {MAX_STYLES} are allowed here")
    if rest not in ("photograph", "first"):
        raise StyleTransferError(f"unknown rest {rest!r:.40}: choose photograph or first")
    config = Config(**{name: from_text(name, value) for name, value in settings.items()})
    if config.init == "image" and start is None:
        raise StyleTransferError("init is image, and there is no painted picture yet to start from")
    for name, limit in server.limits.exceeded(config).items():
        raise StyleTransferError(f"{name} is {getattr(config, name)}: at most {limit:g} is allowed here")
    steps, most = sum(config.steps()), server.limits.steps
    if steps > most:
        raise StyleTransferError(f"there are {steps} iterations in all: at most {most} are allowed here")
    config = replace(config, weights=server.weights if config.network.startswith("vgg") else None)
    return Job(str(content), tuple(styles), config, server.limits, regions, rest, start)
