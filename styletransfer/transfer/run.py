"""The run: its inputs, its steps through the scales, and what it does where memory runs out or a loss is not finite."""

from __future__ import annotations

import copy
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .. import allocator, pixels, solvers
from ..config import VERSION, Config, StyleTransferError
from ..features import Network
from ..objective import Anchor, Evaluation, Objective, StyleMoments
from ..pixels import Size
from ..plan import Plan, is_out_of_memory, make_plan, smaller_tile
from ..start import Masks, checked_image, checked_masks, first_image, resized_mask
from ..tiles import Map
from .records import Losses, Result, RunState, Step
from .scales import Scale, schedule, style_size

SETTLING = 10  # steps in which the loss must fall by `tolerance`
StyleTargets = dict[tuple[Size, ...], list[StyleMoments]]


class Run:
    """One run: its pictures, settings, network and schedule. What changes from step to step is in a RunState."""

    def __init__(
        self,
        content: Tensor | None,
        styles: Sequence[Tensor],
        config: Config,
        init_image: Tensor | None,
        network: Network,
        style_targets: StyleTargets | None = None,
        masks: Masks | None = None,
        on_tight_memory: Callable[[], None] | None = None,
        map_tiles: Map = map,
        anchor: Anchor | None = None,
    ) -> None:
        self.content = None if content is None else checked_image(content, "the content image")
        self.styles = [checked_image(style, f"style image {number}") for number, style in enumerate(styles, 1)]
        self.init_image = None if init_image is None else checked_image(init_image, "the start image")
        self.config, self.network, self.map_tiles, self.anchor = config, network, map_tiles, anchor
        if self.content is None and not self.styles:
            raise StyleTransferError("no content and no style image given: at least one of them is needed")
        if config.init == "image" and self.init_image is None:
            raise StyleTransferError(
                "init is image, but no start image was given: give one, or start from content or noise"
            )
        if config.style_weights and len(config.style_weights) != len(self.styles):
            numbers = f"{len(config.style_weights)} numbers for {len(self.styles)} style images"
            raise StyleTransferError(f"style_weights has {numbers}: one for each, or none")
        self.masks = None if masks is None else checked_masks(masks, len(self.styles))
        self.device, self.dtype = network.mean.device, network.mean.dtype
        self.style_targets: StyleTargets = {} if style_targets is None else style_targets
        if self.content is not None and config.style_color == "match":
            self.style_targets = {}  # they depend on the content
            self.styles = [pixels.match_colors(style, self.content) for style in self.styles]
        self.schedule = schedule(config, self._frame(), network, list(map(pixels.size_of, self.styles)))
        self.notes: list[str] = []
        self._on_tight_memory = on_tight_memory or (lambda: None)
        self._backed_off = False
        self._objective: tuple[int, Objective] | None = None  # and its scale
        options: Any = {"content": self.content is not None, "finished": anchor is not None}
        self._fit_memory(make_plan(network, config, self.schedule[-1].size, **options))

    def _frame(self) -> Size:
        """(H, W) of the content, or of the first style without one: the result has the same aspect."""
        return pixels.size_of(self.content if self.content is not None else self.styles[0])

    # --- memory

    def _fit_memory(self, plan: Plan) -> None:
        """Use the plan's tile and L-BFGS history."""
        self.tile = plan.tile
        if self._tiled_on_cpu():
            self._on_tight_memory()
        if plan.history < self.config.history:
            self.config = replace(self.config, history=plan.history)
            self.notes.append(f"to fit the memory, L-BFGS remembers {plan.history} steps")
        if plan.tile and not self.config.tile:
            self.notes.append(f"to fit the memory, the picture is computed in tiles of {plan.tile} pixels")

    def _tiled_on_cpu(self) -> bool:
        return bool(self.tile) and self.device.type == "cpu"

    def _step(self, state: RunState, scale: Scale) -> solvers.State:
        """One step; where memory runs out, again from the same state in smaller tiles."""
        while True:
            try:
                return solvers.step(state.solver, self._loss_at(state, scale), self.config)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            # Outside the handler: the error's traceback holds the tensors that did not fit.
            tile = smaller_tile(self.tile, scale.size)
            if tile is None:
                raise StyleTransferError("there is not enough memory for this picture: choose a smaller size")
            self.tile, self._objective = tile, None
            self._on_tight_memory()
            self.notes.append(f"memory ran short: going on in tiles of {tile} pixels")
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _back_off(self, solver: solvers.State) -> solvers.State | None:
        """After a non-finite loss: restart from the best picture, in float32 and with smaller steps; None the second
        time.
        """
        if self._backed_off:
            return None
        self._backed_off, self._objective = True, None
        self.notes.append("the loss was not finite: going on from the best picture, in smaller steps")
        if self.network.features[0].weight.dtype in (torch.bfloat16, torch.float16):
            self.network = copy.deepcopy(self.network).to_working(
                self.device, torch.float32
            )  # others use this network, too
            self.style_targets = {}
        self.config = replace(self.config, learning_rate=self.config.learning_rate / 4)
        best = solver.best if solver.best is not None else solver.image
        return replace(solvers.start(best, self.config), iteration=solver.iteration, evaluations=solver.evaluations)

    # --- the loop

    def steps(self, state: RunState) -> Iterator[Step]:
        """The steps from a state to the end of the last scale."""
        for index in range(state.scale, len(self.schedule)):
            scale = self.schedule[index]
            if index > state.scale:
                state = self._next_scale(state, index)
            if self._ended(state, scale):
                continue
            while not self._ended(state, scale):
                solver = self._step(state, scale)
                if solver.outcome == "non-finite" and (restarted := self._back_off(solver)) is not None:
                    state = replace(state, solver=restarted)
                    continue
                assert solver.evaluation is not None
                losses = Losses(index, solver.iteration, solver.evaluation)
                state = replace(state, solver=solver, history=(*state.history, losses))
                yield self._record(state, ". ".join(self.notes))
                self.notes.clear()
                if solver.outcome == "non-finite":
                    return

    def _record(self, state: RunState, note: str) -> Step:
        """The Step of a state; its progress counts iterations times pixels."""
        scale, solver = self.schedule[state.scale], state.solver
        work = [scale.iterations * scale.size[0] * scale.size[1] for scale in self.schedule]
        share = 1.0 if self._ended(state, scale) else solver.iteration / scale.iterations
        return Step(
            scale=state.scale,
            scales=len(self.schedule),
            size=scale.size,
            iteration=solver.iteration,
            iterations=scale.iterations,
            evaluations=state.evaluations + solver.evaluations,
            progress=(sum(work[: state.scale]) + work[state.scale] * share) / sum(work),
            state=state,
            outcome="non-finite" if solver.outcome == "non-finite" else "",
            note=note,
            _run=self,
        )

    def _ended(self, state: RunState, scale: Scale) -> bool:
        """Whether the steps at this scale are done; a finished run continues if the settings now have more."""
        solver, limit = state.solver, self.config.max_evaluations
        spent = bool(limit) and solver.evaluations >= limit
        return solver.iteration >= scale.iterations or spent or bool(solver.outcome) or self._settled(state)

    def _settled(self, state: RunState) -> bool:
        """Whether the last steps at this scale lowered the loss by less than the tolerance."""
        steps = state.solver.iteration
        if not self.config.tolerance or steps <= SETTLING:
            return False
        totals = [losses["total"] for losses in state.history[-steps:]]
        before = min(totals[:-SETTLING])
        return before - min(totals) < self.config.tolerance * before

    def _loss_at(self, state: RunState, scale: Scale) -> solvers.Evaluate:
        """The loss of a picture in 0 .. pixel_range at the state's scale."""
        if self._objective is None or self._objective[0] != state.scale:
            self._objective = state.scale, self._objective_of(state, scale)
        objective, pixel_range = self._objective[1], self.config.pixel_range
        # Without a reference to this run, which holds the function: both are freed at once, not by a later collection.
        on_tight_memory = self._on_tight_memory if self._tiled_on_cpu() else None

        def evaluate(image: Tensor) -> Evaluation:
            loss, gradient, terms = objective(image if pixel_range == 1 else image / pixel_range)
            if on_tight_memory is not None:
                on_tight_memory()  # before the optimiser needs memory for its pictures
            return Evaluation(loss, gradient if pixel_range == 1 else gradient / pixel_range, terms)

        return evaluate

    def _objective_of(self, state: RunState, scale: Scale) -> Objective:
        """The objective of a state's scale: the last scale's with new matches where it repeats that size."""
        last, self._objective = self._objective, None
        if state.start is None or last is None or last[0] != state.scale - 1:
            last = None  # frees the last scale's targets before the new ones are computed
        allocator.release()  # else matches fill the gaps that steps left, and the next steps take memory anew
        if last is None:
            return self._objective_at(scale, state.start)
        assert state.start is not None
        last[1].match(state.start, self._styles_at(scale.size))
        return last[1]

    def _objective_at(self, scale: Scale, start: Tensor | None = None) -> Objective:
        content = None if self.content is None else self._to_device(pixels.resize(self.content, scale.size))
        styles = self._styles_at(scale.size)
        key = tuple(map(pixels.size_of, styles))
        masks = None
        if self.masks is not None:
            masks = [None if mask is None else self._to_device(resized_mask(mask, scale.size)) for mask in self.masks]
        anchor = None
        if self.anchor is not None:
            image, mask = pixels.resize(self.anchor.image, scale.size), resized_mask(self.anchor.mask, scale.size)
            anchor = Anchor(self._to_device(image), self._to_device(mask))
        options: Any = {"masks": masks, "start": start, "anchor": anchor, "tile": self.tile, "mapped": self.map_tiles}
        objective = Objective(self.network, self.config, content, styles, self.style_targets.get(key), **options)
        self.style_targets[key] = objective.style_targets
        return objective

    def measure_styles(self) -> StyleTargets:
        """The styles' statistics at every scale."""
        for scale in self.schedule:
            self._objective_at(scale)
        return self.style_targets

    def _styles_at(self, size: Size) -> list[Tensor]:
        """The style pictures at their brush size for a result of (H, W), in their own aspect or covering it."""
        fit, stride = pixels.cover if self.config.style_fit == "cover" else pixels.resize, self.network.stride
        return [
            self._to_device(fit(style, style_size(self.config, pixels.size_of(style), size, stride)))
            for style in self.styles
        ]

    def _to_device(self, image: Tensor) -> Tensor:
        return image.to(self.device, self.dtype)

    # --- the first picture of each scale

    def first_state(self) -> RunState:
        """The state before the first step of the run."""
        config, size = self.config, self.schedule[0].size
        generator = torch.Generator().manual_seed(config.seed)
        pictures = self.content, self.styles, self.init_image
        first = first_image(config, size, *pictures, self.network.mean.cpu().float(), generator)
        image = self._to_device(first)
        start = image if self.anchor is not None else None  # the last frame, moved along, is a finished picture
        return RunState(0, solvers.start(image * config.pixel_range, config), start=start)

    def _next_scale(self, state: RunState, index: int) -> RunState:
        """The last scale's picture, enlarged to the next scale.

        Where the run started from the content, the content's detail that the last scale was too small for is added:
        without it the scale starts blurred, and on three pairs its loss ended 3 % higher.
        """
        size, before = self.schedule[index].size, self.schedule[index - 1].size
        painted = solvers.result(state.solver, self.config)
        if size == before:
            image = painted
        elif self.config.init == "content" and self.content is not None:
            content = self._to_device(self.content)
            coarse, fine = pixels.resize(content, before), pixels.resize(content, size)
            image = (fine + pixels.resample(painted - coarse, size)).clamp(0, 1)
        else:
            image = pixels.resize(painted, size)
        solver = solvers.start(image * self.config.pixel_range, self.config, state.solver)
        evaluations = state.evaluations + state.solver.evaluations
        return RunState(index, solver, evaluations, state.history, start=painted if size == before else None)

    # --- the picture and its record

    def painted(self, state: RunState) -> Tensor:
        """The picture of a state before it is recoloured, on the CPU; what no mask covers is the content."""
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
            # A path means nothing on another computer, and may reveal too much about this one.
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
                "python": platform.python_version(),
            },
        }
