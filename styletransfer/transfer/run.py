"""The run itself: its fixed part, the steps through the scales, and what it does where memory or numbers fail."""

from __future__ import annotations

import copy
import platform
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
import torchvision
from torch import Tensor

from .. import allocator, pixels, solvers
from ..config import Config, StyleTransferError
from ..features import Network
from ..objective import Evaluation, Objective, StyleMoments
from ..pixels import Size
from ..plan import Plan, is_out_of_memory, make_plan, smaller_tile
from ..start import Masks, checked_image, checked_masks, first_image, resized_mask
from .records import Losses, Result, RunState, Scale, Step

VERSION = "0.1.0"
SETTLING = 10  # steps over which `tolerance` asks for a gain
StyleTargets = dict[tuple[Size, ...], list[StyleMoments]]


class Run:
    """The fixed part of one run: its pictures, settings, network and schedule."""

    def __init__(
        self,
        content: Tensor | None,
        styles: Sequence[Tensor],
        config: Config,
        init_image: Tensor | None,
        network: Network,
        style_targets: StyleTargets | None = None,
        masks: Masks | None = None,
    ) -> None:
        self.content = None if content is None else checked_image(content, "the content image")
        self.styles = [checked_image(style, f"style image {number}") for number, style in enumerate(styles, 1)]
        self.init_image = None if init_image is None else checked_image(init_image, "the start image")
        self.config, self.network = config, network
        if self.content is None and not self.styles:
            raise StyleTransferError("no content and no style image given: at least one of them is needed")
        if config.init == "image" and self.init_image is None:
            raise StyleTransferError(
                "init is image, but no start image was given: give one, or start from content or noise"
            )
        if config.style_weights and len(config.style_weights) != len(self.styles):
            given = f"{len(config.style_weights)} numbers for {len(self.styles)} style images"
            raise StyleTransferError(f"style_weights has {given}: one for each, or none")
        self.masks = None if masks is None else checked_masks(masks, len(self.styles))
        self.device, self.dtype = network.mean.device, network.mean.dtype
        self.style_targets: StyleTargets = {} if style_targets is None else style_targets
        if self.content is not None and config.style_color == "match":
            self.style_targets = {}  # they depend on the content
            self.styles = [pixels.match_colors(style, self.content) for style in self.styles]
        self.schedule = schedule(config, self._frame(), network)
        self.notes: list[str] = []
        self._careful = False
        self._built: tuple[Scale, solvers.Evaluate] | None = None
        self._fit_memory(make_plan(network, config, self.schedule[-1].size, content=self.content is not None))

    def _frame(self) -> Size:
        """(H, W) of the picture whose frame the result has."""
        model = self.content if self.content is not None else self.styles[0]
        return pixels.size_of(model)

    # --- memory

    def _fit_memory(self, plan: Plan) -> None:
        """Take the tiles of the plan, and no more pairs of curvature than it has room for."""
        self.tile = plan.tile
        allocator.keep_large(not plan.tile)
        if plan.history < self.config.history:
            self.config = replace(self.config, history=plan.history)
            self.notes.append(f"to fit the memory, L-BFGS remembers {plan.history} steps")
        if plan.tile and not self.config.tile:
            self.notes.append(f"to fit the memory, the picture is computed in tiles of {plan.tile} pixels")

    def _step(self, state: RunState, scale: Scale) -> solvers.State:
        """One step, in smaller tiles where memory runs short; the state before it is as good as new."""
        while True:
            try:
                if self._built is None or self._built[0] != scale:
                    self._built = None  # the last scale's targets go before the new ones come
                    self._built = scale, self._objective(scale)
                return solvers.step(state.solver, self._built[1], self.config)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler, since the error's traceback holds on to what did not fit.
            tile = smaller_tile(self.tile, scale.size)
            if tile is None:
                raise StyleTransferError("there is not enough memory for this picture: choose a smaller size")
            self.tile, self._built = tile, None
            allocator.keep_large(False)
            allocator.release()
            self.notes.append(f"memory ran short: going on in tiles of {tile} pixels")
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _backed_off(self, solver: solvers.State) -> solvers.State | None:
        """After a loss that is no number: once more from the best picture, in float32 and smaller steps; None the
        second time.
        """
        if self._careful:
            return None
        self._careful, self._built = True, None
        self.notes.append("the loss left the range of numbers: going on from the best picture, in smaller steps")
        if self.network.features[0].weight.dtype in (torch.bfloat16, torch.float16):
            self.network = copy.deepcopy(self.network).to_working(self.device, torch.float32)  # others use it, too
            self.style_targets = {}
        self.config = replace(self.config, learning_rate=self.config.learning_rate / 4)
        good = solver.best if solver.best is not None else solver.image
        return replace(solvers.start(good, self.config), iteration=solver.iteration, evaluations=solver.evaluations)

    # --- the loop

    def steps(self, state: RunState) -> Iterator[Step]:
        work = [scale.iterations * scale.size[0] * scale.size[1] for scale in self.schedule]
        for index in range(state.scale, len(self.schedule)):
            scale = self.schedule[index]
            if index > state.scale:
                state = self._next_scale(state, index)
            if self._ended(state, scale):
                continue
            while not self._ended(state, scale):
                solver = self._step(state, scale)
                if solver.outcome == "non-finite" and (again := self._backed_off(solver)) is not None:
                    state = replace(state, solver=again)
                    continue
                assert solver.evaluation is not None
                losses = Losses(index, solver.iteration, solver.evaluation)
                state = replace(state, solver=solver, history=(*state.history, losses))
                share = 1.0 if self._ended(state, scale) else solver.iteration / scale.iterations
                outcome = "non-finite" if solver.outcome == "non-finite" else ""
                yield Step(
                    scale=index,
                    scales=len(self.schedule),
                    size=scale.size,
                    iteration=solver.iteration,
                    iterations=scale.iterations,
                    evaluations=state.evaluations + solver.evaluations,
                    progress=(sum(work[:index]) + work[index] * share) / sum(work),
                    state=state,
                    outcome=outcome,
                    note=". ".join(self.notes),
                    _run=self,
                )
                self.notes.clear()
                if outcome:
                    return

    def _ended(self, state: RunState, scale: Scale) -> bool:
        """Whether the steps at this scale are done; more iterations than before continue a finished run."""
        solver, limit = state.solver, self.config.max_evaluations
        spent = bool(limit) and solver.evaluations >= limit
        return solver.iteration >= scale.iterations or spent or bool(solver.outcome) or self._settled(state)

    def _settled(self, state: RunState) -> bool:
        """Whether the last steps at this scale have gained less than the tolerance asks for."""
        taken = state.solver.iteration
        if not self.config.tolerance or taken <= SETTLING:
            return False
        losses = [entry["total"] for entry in state.history[-taken:]]
        before = min(losses[:-SETTLING])
        return before - min(losses) < self.config.tolerance * before

    def _objective(self, scale: Scale) -> solvers.Evaluate:
        """The scale's loss in the units that the optimiser works in."""
        config = self.config
        content = None if self.content is None else self._to_work(pixels.resize(self.content, scale.size))
        styles = [self._to_work(self._style_at(style, scale.size)) for style in self.styles]
        key = tuple(map(pixels.size_of, styles))
        masks = None
        if self.masks is not None:
            masks = [None if mask is None else self._to_work(resized_mask(mask, scale.size)) for mask in self.masks]
        objective = Objective(
            self.network, config, content, styles, self.style_targets.get(key), masks=masks, tile=self.tile
        )
        self.style_targets[key] = objective.style_targets

        def evaluate(image: Tensor) -> Evaluation:
            loss, gradient, terms = objective(image if config.pixel_range == 1 else image / config.pixel_range)
            if self.tile and self.device.type == "cpu":
                allocator.release()  # what the tiles took is room for the optimiser now
            return Evaluation(loss, gradient if config.pixel_range == 1 else gradient / config.pixel_range, terms)

        return evaluate

    def _style_at(self, style: Tensor, size: Size) -> Tensor:
        """A style picture at the brush size asked for: its aspect is kept."""
        factor = self.config.style_scale
        if self.config.style_fit == "cover":
            height, width = round(size[0] * factor), round(size[1] * factor)
            fitted = pixels.cover(style, (max(1, height), max(1, width)))
        else:
            long_side = max(1, round(max(size) * factor))
            fitted = pixels.resize(style, pixels.fit_size(pixels.size_of(style), long_side))
        if min(fitted.shape[-2:]) < self.network.stride:
            raise StyleTransferError(
                f"a style image is only {fitted.shape[-1]}x{fitted.shape[-2]} pixels at this brush size: "
                f"the network needs {self.network.stride} on the short side"
            )
        return fitted

    def _to_work(self, image: Tensor) -> Tensor:
        return image.to(self.device, self.dtype)

    # --- where it starts

    def first_state(self) -> RunState:
        config, size = self.config, self.schedule[0].size
        generator = torch.Generator().manual_seed(config.seed)
        pictures = self.content, self.styles, self.init_image
        first = first_image(config, size, *pictures, self.network.mean.cpu().float(), generator)
        image = self._to_work(first) * config.pixel_range
        return RunState(0, solvers.start(image, config))

    def _next_scale(self, state: RunState, index: int) -> RunState:
        """The scale before, enlarged; where it began as the content, with the detail of the content that it was too
        small to hold. Without that the next scale starts blurred: on three pairs it ended 3 % higher.
        """
        size = self.schedule[index].size
        painted = solvers.result(state.solver, self.config)
        if self.config.init == "content" and self.content is not None:
            content = self._to_work(self.content)
            before, after = (pixels.resize(content, each) for each in (pixels.size_of(painted), size))
            image = (after + pixels.resample(painted - before, size)).clamp(0, 1)
        else:
            image = pixels.resize(painted, size)
        solver = solvers.start(image * self.config.pixel_range, self.config, state.solver)
        return RunState(index, solver, state.evaluations + state.solver.evaluations, state.history)

    # --- how it ends

    def painted(self, state: RunState) -> Tensor:
        """The picture of a state, on the CPU, before colours act; what no mask covers is the content's."""
        raw = solvers.result(state.solver, self.config).cpu()
        if self.masks is None or self.content is None or any(mask is None for mask in self.masks):
            return raw
        size = pixels.size_of(raw)
        covered = torch.stack([resized_mask(mask, size) for mask in self.masks if mask is not None]).sum(0)
        return torch.lerp(pixels.resize(self.content, size), raw, covered.clamp(0, 1).to(raw))

    def finish(self, raw: Tensor) -> Tensor:
        return pixels.recolor(raw, self.content, self.config.color)

    def result(self, state: RunState, outcome: str) -> Result:
        raw = self.painted(state)
        return Result(self.finish(raw), raw, state.history, outcome, self.metadata(raw, outcome), state)

    def metadata(self, raw: Tensor, outcome: str) -> dict[str, Any]:
        sizes: dict[str, Any] = {"result": list(raw.shape[-2:]), "styles": [list(s.shape[-2:]) for s in self.styles]}
        if self.content is not None:
            sizes["content"] = list(self.content.shape[-2:])
        return {
            # A path to weights says nothing elsewhere, and may tell too much.
            "config": {**self.config.to_dict(), "weights": None},
            "network": {"name": self.network.name, "reason": self.network.reason, "digest": self.network.digest},
            "device": self.device.type,
            "precision": str(self.network.features[0].weight.dtype).removeprefix("torch."),
            "seed": self.config.seed,
            "steps": list(self.config.steps(self.network.design.iterations)),
            "sizes": sizes,
            "masked": self.masks is not None,
            "outcome": outcome,
            "versions": {
                "styletransfer": VERSION,
                "torch": torch.__version__,
                "torchvision": torchvision.__version__,
                "python": platform.python_version(),
            },
        }


def schedule(config: Config, frame: Size, network: Network) -> tuple[Scale, ...]:
    """The sizes (H, W) and steps of a run, coarse to fine, for a picture of the given frame.

    Scales whose short side is under twice the network's stride are left out, but for the last. Raises
    StyleTransferError where even the last is smaller than the network's stride.
    """
    long_side = max(frame) if config.size == "original" else int(config.size)
    stride, found = network.stride, []
    for fraction, iterations in zip(config.scales, config.steps(network.design.iterations)):
        size = pixels.fit_size(frame, max(1, round(long_side * fraction)))
        if fraction == 1 or min(size) >= 2 * stride:
            found.append(Scale(size, iterations))
    if min(found[-1].size) < stride:
        height, width = found[-1].size
        raise StyleTransferError(
            f"the picture would be {width}x{height} pixels, and the network needs {stride} on the short side: "
            "choose a larger size"
        )
    return tuple(found)
