"""Clips: the temporal loss and the masks against plain formulas, frames that follow what moves, files in and out."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from oracles import noise
from torch import Tensor

from styletransfer.config import Config
from styletransfer.features import Network
from styletransfer.objective import Anchor, Objective
from styletransfer.pixels import Size, resample
from styletransfer.transfer import iterate
from styletransfer.video import flow, paint

CONFIG = Config(
    size=64, scales=(1.0,), iterations=(8,), frame_share=0.5, content_layers=("relu2_1",), style_layers=("relu1_1",)
)


def smooth(height: int, width: int, seed: int = 0) -> Tensor:
    """A picture of soft spots, in which flow can be measured."""
    return resample(noise(1, 3, height // 8, width // 8, seed=seed), (height, width)).clamp(0, 1)


# --- the temporal loss


def ruder_masks(
    backward: list[list[tuple[float, float]]], forward: list[list[tuple[float, float]]], borders: bool = True
) -> Tensor:
    """c of Ruder et al. 2016 pixel by pixel, without their treatment of the frame's edges; borders: of what moves."""
    height, width = len(backward), len(backward[0])
    mask = torch.ones(height, width, dtype=torch.float64)

    def at(field: list[list[tuple[float, float]]], x: float, y: float) -> tuple[float, float]:
        left, top = math.floor(x), math.floor(y)
        total = [0.0, 0.0]
        for row, column in ((top, left), (top, left + 1), (top + 1, left), (top + 1, left + 1)):
            share = (1 - abs(y - row)) * (1 - abs(x - column))
            value = field[min(max(row, 0), height - 1)][min(max(column, 0), width - 1)]
            total = [total[0] + share * value[0], total[1] + share * value[1]]
        return total[0], total[1]

    for y in range(height):
        for x in range(width):
            u, v = backward[y][x]
            u_there, v_there = at(forward, x + u, y + v)
            length, length_there = u * u + v * v, u_there**2 + v_there**2
            if (u + u_there) ** 2 + (v + v_there) ** 2 > 0.01 * (length + length_there) + 0.5:
                mask[y, x] = 0
            slopes = 0.0
            for part in (0, 1):
                for a, b in (((y, x - 1), (y, x + 1)), ((y - 1, x), (y + 1, x))):
                    (y0, x0), (y1, x1) = (
                        (min(max(point[0], 0), height - 1), min(max(point[1], 0), width - 1)) for point in (a, b)
                    )
                    slopes += ((backward[y1][x1][part] - backward[y0][x0][part]) / max(1, y1 - y0 + x1 - x0)) ** 2
            if borders and slopes > 0.01 * length + 0.002:
                mask[y, x] = 0
            if not (-0.5 <= x + u <= width - 0.5 and -0.5 <= y + v <= height - 0.5):
                mask[y, x] = 0
    return mask


def nested(field: Tensor) -> list[list[tuple[float, float]]]:
    return [[(u, v) for u, v in zip(*rows)] for rows in zip(*field[0].tolist())]


def test_masks_are_those_of_the_published_formula() -> None:
    backward = 2 + 0.6 * (resample(noise(1, 2, 4, 5, seed=1), (20, 24)) - 0.5)
    forward = -backward + 3 * (resample(noise(1, 2, 5, 6, seed=2), (20, 24)) - 0.5)
    black, white = torch.zeros(1, 3, 20, 24), torch.ones(1, 3, 20, 24)
    for earlier, borders in ((white, True), (black, False)):  # a border that looks the same on both sides is none
        mask = flow.certain(backward, forward, black, earlier)
        wanted = ruder_masks(nested(backward), nested(forward), borders)
        assert torch.equal(mask[0, 0], wanted) and 0.2 < float(wanted.mean()) < 0.9


def test_value_and_gradient_are_those_of_the_published_sum(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """One picture put together from all earlier frames has Ruder et al.'s sum over the frames -1, -2, -4."""
    size = 24, 32
    past = paint.Past(
        tuple(noise(1, 3, *size, seed=seed) / 4 for seed in range(4)),
        tuple(noise(1, 3, *size, seed=seed) for seed in range(4, 8)),
    )
    content, image = 0.75 + noise(1, 3, *size, seed=9) / 4, noise(1, 3, *size, seed=10)  # unlike all before it
    fields = {back: 2 + 0.3 * resample(noise(1, 2, 3, 4, seed=20 + back), size, "bilinear") for back in paint.BACK}
    errors = {back: resample(noise(1, 2, 3, 4, seed=30 + back), size, "bilinear") for back in paint.BACK}

    def measured(first: Tensor, second: Tensor) -> Tensor:
        other = second if first is content else first
        back = 1 + next(index for index, earlier in enumerate(past.contents) if earlier is other)
        return fields[back] if first is content else errors[back] - fields[back]

    monkeypatch.setattr(paint, "optical_flow", measured)
    config = replace(CONFIG, content_weight=0.0, style_weight=0.0, tv_weight=0.0, temporal_weight=7.0)
    _, anchor = paint.moved(content, past)
    evaluation = Objective(network, config, content, [], anchor=anchor)(image)

    variable = image.clone().requires_grad_(True)
    loss, nearer = torch.zeros((), dtype=torch.float64), torch.zeros(size, dtype=torch.float64)
    for back in (1, 2, 4):
        c = ruder_masks(nested(fields[back]), nested(errors[back] - fields[back]))
        c_long = (c - nearer).clamp_min(0)
        nearer = nearer + c_long
        y, x = torch.meshgrid(*(torch.arange(length, dtype=torch.float64) for length in size), indexing="ij")
        u, v = fields[back][0]
        grid = torch.stack([2 * (x + u + 0.5) / size[1] - 1, 2 * (y + v + 0.5) / size[0] - 1], -1)[None]
        w = F.grid_sample(past.results[back - 1], grid, "bicubic", "border", align_corners=False).clamp(0, 1)
        loss = loss + 7 * (c_long * (variable - w).square()).sum() / (3 * size[0] * size[1])
    loss.backward()
    assert set(evaluation.terms) == {"temporal/pixels"}
    assert float(evaluation.loss) == pytest.approx(float(loss.detach()), rel=1e-12)
    assert variable.grad is not None
    assert torch.allclose(evaluation.gradient, variable.grad, rtol=1e-12, atol=1e-15)
    assert 0.3 < float(nearer.mean()) < 1


def test_the_term_is_not_built_without_weight_or_earlier_frame(network: Network) -> None:
    anchor = Anchor(noise(1, 3, 32, 40), torch.ones(1, 1, 32, 40, dtype=torch.float64))
    for config, given, built in (
        (CONFIG, anchor, True),
        (CONFIG, None, False),
        (replace(CONFIG, temporal_weight=0.0), anchor, False),
        (replace(CONFIG, strength=0), anchor, False),
    ):
        objective = Objective(network, config, noise(1, 3, 32, 40), [noise(1, 3, 32, 40)], anchor=given)
        assert ("temporal/pixels" in objective(noise(1, 3, 32, 40, seed=3)).terms) is built


# --- flow


def test_warping_by_whole_pixels_shifts() -> None:
    image = noise(1, 3, 20, 30)
    field = torch.zeros(1, 2, 20, 30, dtype=torch.float64)
    field[:, 0], field[:, 1] = 3, -2
    assert torch.allclose(flow.warped(image, field)[..., 2:, :-3], image[..., :-2, 3:], atol=1e-12)


@pytest.mark.parametrize("size", [(96, 128), (24, 40)])
def test_flow_finds_a_known_motion(size: tuple[int, int]) -> None:
    pytest.importorskip("cv2")
    height, width = size
    whole = smooth(height + 16, width + 16)
    first, second = whole[..., 8 : 8 + height, 8 : 8 + width], whole[..., 6 : 6 + height, 11 : 11 + width]
    field = flow.optical_flow(first, second)  # what is at x in the first is at x - 3, y + 2 in the second
    middle = field[..., 8:-8, 8:-8].mean((0, 2, 3))
    assert middle.tolist() == pytest.approx([-3, 2], abs=0.2)
    known = flow.certain(field, flow.optical_flow(second, first), first, second)
    assert float(known[..., 8:-8, 8:-8].mean()) > 0.95
    assert float(known[..., :, :2].mean()) < 0.2  # comes from outside the frame


def test_the_flow_at_an_edge_is_that_of_one_side() -> None:
    second = smooth(48, 64, seed=7)
    second = second + 0.2 * (noise(1, 3, 48, 64, seed=8) - 0.5)
    true = torch.zeros(1, 2, 48, 64, dtype=second.dtype)
    true[:, 0, :, 32:] = 5.0  # the right half comes from the right
    mixed = F.avg_pool2d(F.pad(true, (4, 4, 4, 4), "replicate"), 9, 1)
    sharp = flow._with_sharp_edges(mixed, flow.warped(second, true, "bilinear"), second)
    before, after = ((field - true).square().mean() for field in (mixed, sharp))
    assert float(after) < float(before) / 3


# --- frames


@pytest.fixture
def pan() -> Iterator[list[Tensor]]:
    pytest.importorskip("cv2")
    whole = smooth(48, 112, seed=3)
    yield [whole[..., 2 * number : 2 * number + 64] for number in range(6)]


def test_strokes_move_with_what_they_are_on(network: Network, pan: list[Tensor]) -> None:
    styles = [smooth(64, 64, seed=4)]

    def flicker(results: list[Tensor]) -> float:
        pairs = pairwise(results)
        return sum(float((after[..., :-2] - before[..., 2:]).square().mean()) for before, after in pairs)

    painted = [
        result.image for result, _ in paint.paint_frames(pan, styles, replace(CONFIG, temporal_weight=30.0), network)
    ]
    alone = [list(iterate(content, styles, CONFIG, network=network))[-1].image for content in pan]
    assert torch.equal(painted[0], alone[0])
    assert flicker(painted) < flicker(alone) / 16


def test_a_further_frame_takes_its_share_of_the_steps(network: Network, pan: list[Tensor]) -> None:
    results = [result for result, _ in paint.paint_frames(pan[:2], [pan[0]], CONFIG, network)]
    assert [len(result.history) for result in results] == [8, 4]
    assert "temporal" not in results[0].history[-1] and results[1].history[-1]["temporal"] > 0


def test_every_step_of_a_further_frame_has_nearest_neighbours_where_a_picture_has_them(
    network: Network, pan: list[Tensor]
) -> None:
    config = replace(CONFIG, scales=(1.0, 1.0), iterations=(4, 4), style_layers=("relu1_1", "relu2_1"))
    for changed, wanted in ((config, True), (CONFIG, False), (replace(config, nearest_weight=0.0), False)):
        (_, _), (result, _) = paint.paint_frames(pan[:2], [pan[0]], changed, network)
        assert len(result.history) == 4 and {"nearest" in losses for losses in result.history} == {wanted}


def test_the_styles_are_measured_once(network: Network, pan: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Tensor] = []
    measure = Objective._style_moments
    monkeypatch.setattr(Objective, "_style_moments", lambda self, style: calls.append(style) or measure(self, style))
    assert len(list(paint.paint_frames(pan[:3], [pan[0]], CONFIG, network))) == 3 and len(calls) == 1


def test_a_frame_leaves_nothing_in_memory(network: Network, pan: list[Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[weakref.ref[Objective]] = []
    build = Objective.__init__

    def remembered(self: Objective, *arguments: Any, **options: Any) -> None:
        made.append(weakref.ref(self))
        build(self, *arguments, **options)

    monkeypatch.setattr(Objective, "__init__", remembered)
    gc.disable()
    try:
        for _ in paint.paint_frames(pan, [pan[0]], CONFIG, network):
            assert sum(objective() is not None for objective in made) <= 2
    finally:
        gc.enable()
    assert len(made) == len(pan)


def test_going_on_from_a_past_gives_the_same_frames(network: Network, pan: list[Tensor]) -> None:
    whole = list(paint.paint_frames(pan, [pan[0]], CONFIG, network))
    rest = list(paint.paint_frames(pan[3:], [pan[0]], CONFIG, network, past=whole[2][1]))
    assert all(torch.equal(a.image, b.image) for (a, _), (b, _) in zip(whole[3:], rest))


def test_the_estimate_counts_nearest_neighbours_and_flow(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """At full size alone, from a finished picture; and the flow to and from three earlier frames."""

    def forecast_by_steps(
        config: Config, size: Size, network: Network, styles: list[Size], finished: bool = False
    ) -> Any:
        assert (size, styles) == ((48, 64), [(32, 40)])
        return SimpleNamespace(seconds=(100.0 * finished, *map(float, config.iterations)))

    flows: list[Tensor] = []
    monkeypatch.setattr(paint, "forecast", forecast_by_steps)
    monkeypatch.setattr(paint, "time", SimpleNamespace(perf_counter=iter([3.0, 5.0]).__next__))
    monkeypatch.setattr(paint, "optical_flow", lambda *frames: flows.extend(frames))
    config = replace(CONFIG, scales=(0.5, 1.0, 1.0), iterations=(3, 6, 4), frame_share=0.5)
    content, style = noise(1, 3, 48, 64), noise(1, 3, 32, 40)
    assert paint.seconds_of_frames(content, [style], config, network) == (13.0, 100 + 5 + 6 * 2)
    assert len(flows) == 2
