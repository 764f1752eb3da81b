"""The server's limits for its visitors, its file of weights for the VGG networks, and its engine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from ..config import Config
from ..engine import Engine, Here


@dataclass(frozen=True)
class Limits:
    """The limits of a visitor's run; one that takes longer ends with its best picture so far."""

    size: int = 2048
    style_scale: float = 2.0
    history: int = 100
    steps: int = 5000
    seconds: float = 3600
    pixels: int = 32_000_000  # of an uploaded picture
    zero: bool = False  # ZeroGPU: each run borrows a GPU, in another process
    waiting: int = 2  # unfinished runs of one visitor, in the queue or computing
    clip_size: int = 1024
    clip_seconds: float = 30
    clip_fps: float = 30
    clip_frames: int = 600

    def clipped(self, config: Config) -> dict[str, float]:
        """The settings outside the range of the page's controls, with the nearest values inside.

        Whole numbers above 2^53 are rounded by JavaScript.
        """
        bounds = {
            "size": (128, self.size),
            "style_scale": (0.25, self.style_scale),
            "history": (1, self.history),
            "seed": (0, 2**53),
        }
        values = {name: getattr(config, name) for name in bounds}
        nearest = {
            name: high if isinstance(values[name], str) else min(max(values[name], low), high)
            for name, (low, high) in bounds.items()
        }
        return {name: value for name, value in nearest.items() if value != values[name]}

    def exceeded(self, config: Config) -> dict[str, float]:
        """The settings that are above their limit (or no number), with the limit."""
        limits = {name: getattr(self, name) for name in ("size", "style_scale", "history")}
        return {
            name: limit
            for name, limit in limits.items()
            if isinstance(value := getattr(config, name), str) or value > limit
        }

    def seconds_for(self, config: Config) -> float:
        """The most seconds of a run; on a borrowed GPU about twice its need, since the time asked for is billed."""
        if not self.zero:
            return self.seconds
        work = sum(steps * (float(config.size) * scale) ** 2 for steps, scale in zip(config.steps(), config.scales))
        return min(self.seconds, 15 + 4e-7 * work)


def limits(environment: Mapping[str, str], gpu: bool) -> Limits:
    """The limits on a private computer, or on a Space, which many people share."""
    zero = bool(environment.get("SPACES_ZERO_GPU"))
    if not environment.get("SPACE_ID"):
        return Limits(zero=zero)
    clips = {"clip_size": 768 if gpu else 384, "clip_seconds": 10, "clip_frames": 120 if gpu else 60}
    return Limits(size=2048 if gpu or zero else 1024, seconds=100 if zero else 600, zero=zero, **clips)


@dataclass(frozen=True)
class Server:
    """The settings of this server; weights: the file given on its command line; engine: paints the pictures."""

    limits: Limits = Limits()
    weights: str | None = None
    engine: Engine = Here()  # noqa: RUF009

    @classmethod
    def here(cls, weights: str | None = None, engine: Engine | None = None) -> Server:
        """A server with the limits of this computer."""
        return cls(limits(os.environ, os.path.exists("/dev/nvidiactl")), weights, engine or Here())
