"""What a run tells: its scales, its state, every step, and how it ended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

from torch import Tensor

from .. import solvers
from ..objective import Evaluation
from ..pixels import Size


@dataclass(frozen=True)
class Scale:
    """One entry of the schedule: the picture's size (H, W) and the steps to take at it."""

    size: Size
    iterations: int


class Losses(Mapping[str, float]):
    """A step's losses by name, and its `scale` and `iteration`.

    They come from the device in one go when the first is read: a run waits for no numbers that nobody looks at.
    """

    def __init__(self, scale: int, iteration: int, evaluation: Evaluation) -> None:
        self._place = {"scale": float(scale), "iteration": float(iteration)}
        self._loss, self._terms = evaluation.loss, evaluation.terms

    @cached_property
    def _values(self) -> dict[str, float]:
        total, *values = solvers.fetched(self._loss, *self._terms.values())
        layers = dict(zip(self._terms, values))
        terms: dict[str, float] = {}
        for name, value in layers.items():
            terms[name.split("/")[0]] = terms.get(name.split("/")[0], 0.0) + value
        return {**self._place, "total": total, **terms, **layers}

    @property
    def named(self) -> dict[str, float]:
        """The losses alone, without where the step was."""
        return {name: value for name, value in self._values.items() if name not in self._place}

    def __getitem__(self, name: str) -> float:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True)
class RunState:
    """All that continuing a run needs: the scale's index, the solver's state there, evaluations and steps before it."""

    scale: int
    solver: solvers.State
    evaluations: int = 0
    history: tuple[Losses, ...] = ()


class Painter(Protocol):
    """What a step asks of its run."""

    def painted(self, state: RunState) -> Tensor: ...

    def finish(self, raw: Tensor) -> Tensor: ...

    def metadata(self, raw: Tensor, outcome: str) -> dict[str, Any]: ...

    def result(self, state: RunState, outcome: str) -> Result: ...


@dataclass(frozen=True)
class Step:
    """One iteration of the optimiser, as `iterate` yields it.

    scale: index from 0, coarse to fine; size: (H, W) of the picture now; iteration: from 1, at this scale; evaluations:
    of loss and gradient in the whole run so far; progress: share of the run's work done, in [0, 1]; note: a sentence
    on what the run had to change, else empty; `image` is made only when read. `state` continues the run.
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
        """`total`, each term (`content`, `style`, `tv`) and each layer (`style/relu1_1`), weighted: the parts add up
        to the total.
        """
        return self.state.history[-1].named

    @cached_property
    def raw(self) -> Tensor:
        """The picture before colours act, (1, 3, H, W) in [0, 1], on the CPU."""
        return self._run.painted(self.state)

    @property
    def image(self) -> Tensor:
        """The picture at this step, (1, 3, H, W) in [0, 1], on the CPU, in the colours asked for."""
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

    image: (1, 3, H, W) in [0, 1]; raw: the same before colours act; history: the losses of every step; outcome: `done`,
    `stopped` or `non-finite` (then the picture is the best of before); metadata: how to make the picture again,
    without any time; seconds: what the run took, in all and by scale; state: what continues it.
    """

    image: Tensor
    raw: Tensor
    history: tuple[Losses, ...]
    outcome: str
    metadata: dict[str, Any]
    state: RunState
    seconds: dict[str, float] = field(default_factory=dict)
