"""The records of a run: its losses, its state, its steps and its result."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor

from .. import solvers
from ..objective import Evaluation
from ..pixels import Size


class Losses(Mapping[str, float]):
    """A step's losses by name, and its `scale` and `iteration`.

    All are copied from the device at once when the first is read, so that a run never waits for unread values.
    """

    def __init__(self, scale: int, iteration: int, evaluation: Evaluation) -> None:
        self._position = {"scale": float(scale), "iteration": float(iteration)}
        self._loss, self._terms = evaluation.loss, evaluation.terms

    @cached_property
    def _values(self) -> dict[str, float]:
        total, *values = solvers.read_scalars(self._loss, *self._terms.values())
        layers = dict(zip(self._terms, values))  # such as style/relu1_1
        terms: dict[str, float] = {}
        for name, value in layers.items():
            term = name.split("/")[0]
            terms[term] = terms.get(term, 0.0) + value
        return {**self._position, "total": total, **terms, **layers}

    @property
    def named(self) -> dict[str, float]:
        """The losses without `scale` and `iteration`."""
        return {name: value for name, value in self._values.items() if name not in self._position}

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class RunState:
    """All that continuing a run needs: the scale's index, the solver's state, evaluations and losses so far, and the
    finished picture (1, 3, H, W) in [0, 1] that a scale started from, whose nearest neighbours it has: that of the
    scale before it, of the same size, or the last frame of a clip, moved along.
    """

    scale: int
    solver: solvers.State
    evaluations: int = 0
    history: tuple[Losses, ...] = ()
    start: Tensor | None = None


class Painter(Protocol):
    """What a step needs of its run."""

    def painted(self, state: RunState) -> Tensor: ...

    def finish(self, raw: Tensor) -> Tensor: ...

    def metadata(self, raw: Tensor, outcome: str) -> dict[str, Any]: ...

    def result(self, state: RunState, outcome: str) -> Result: ...


@dataclass(frozen=True)
class Step:
    """One iteration of the optimiser, as `iterate` yields it.

    scale: index from 0, coarse to fine; size: (H, W) at this scale; iteration: from 1, at this scale; evaluations: of
    loss and gradient in the whole run so far; progress: share of the run's work done, in [0, 1]; note: what the run
    had to change, else empty; state: continues the run. `image` is computed when it is read.
    """

    scale: int
    scales: int
    size: Size
    iteration: int
    iterations: int
    evaluations: int
    progress: float
    state: RunState
    outcome: str
    note: str
    _run: Painter = field(repr=False)

    @cached_property
    def losses(self) -> dict[str, float]:
        """Weighted losses that add up: `total`, its terms (`content`, `style`, `tv`) and layers (`style/relu1_1`)."""
        return self.state.history[-1].named

    @cached_property
    def raw(self) -> Tensor:
        """The picture before it is recoloured, (1, 3, H, W) in [0, 1], on the CPU."""
        return self._run.painted(self.state)

    @property
    def image(self) -> Tensor:
        """The picture at this step, (1, 3, H, W) in [0, 1], on the CPU, recoloured as the settings say."""
        return self._run.finish(self.raw)

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of `result`, without making its image."""
        return self._run.metadata(self.raw, self._outcome_here)

    @property
    def result(self) -> Result:
        """The result of the run if it ends at this step."""
        return self._run.result(self.state, self._outcome_here)

    @property
    def _outcome_here(self) -> str:
        return self.outcome or ("done" if self.progress >= 1 else "stopped")


@dataclass(frozen=True)
class Result:
    """How a run ended.

    image: (1, 3, H, W) in [0, 1]; raw: the same before it is recoloured; history: the losses of every step; outcome:
    `done`, `stopped`, or `non-finite` (then the picture is the best one before that); metadata: settings and versions
    that reproduce the picture, without times; seconds: what the run took, in total and by scale; state: continues it.
    """

    image: Tensor
    raw: Tensor
    history: tuple[Losses, ...]
    outcome: str
    metadata: dict[str, Any]
    state: RunState
    seconds: dict[str, float] = field(default_factory=dict)
