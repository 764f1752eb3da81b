"""The run: its steps, stopping and continuing, the three jobs, and pictures that are refused."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from styletransfer import (
    Config,
    Result,
    Step,
    StyleTransferError,
    iterate,
    load_image,
    save_image,
    solvers,
    stylize,
)
from styletransfer.config import STEPS
from styletransfer.features import DESIGNS, Network, load_network
from styletransfer.objective import Evaluation, Objective
from styletransfer.pixels import color_moments, luminance, resize
from styletransfer.transfer import StyleTargets, schedule
from styletransfer.transfer.run import Run

LBFGS = Config(tv_weight=0.0, size=96, scales=(0.5, 1.0), iterations=(3, 2))
ADAM = replace(LBFGS, optimizer="adam", averaging=0.9)


def picture(seed: int, height: int = 80, width: int = 96) -> Tensor:
    """A smooth random picture in float64."""
    coarse = torch.rand(1, 3, 6, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return resize(coarse, (height, width))


def steps_of(network: Network, config: Config, **options: object) -> list[Step]:
    return list(iterate(picture(1), [picture(2)], config, network=network, **options))  # type: ignore[arg-type]


# --- the steps


def test_steps_tell_where_the_run_is(network: Network) -> None:
    steps = steps_of(network, LBFGS)
    assert [(s.scale, s.iteration, s.size) for s in steps] == [
        *((0, k, (40, 48)) for k in (1, 2, 3)),
        *((1, k, (80, 96)) for k in (1, 2)),
    ]
    progress = [step.progress for step in steps]
    assert progress == sorted(progress) and progress[-1] == 1 and progress[0] == pytest.approx(1 / (3 + 2 * 4))
    evaluations = [step.evaluations for step in steps]
    assert evaluations == sorted(evaluations) and len(set(evaluations)) == len(evaluations)
    assert all(tuple(step.image.shape) == (1, 3, *step.size) for step in steps)
    for step in steps:
        layers = [value for name, value in step.losses.items() if "/" in name]
        assert sum(layers) == pytest.approx(step.losses["total"], rel=1e-9)
        assert step.losses["content"] + step.losses["style"] == pytest.approx(step.losses["total"], rel=1e-9)


def test_stylize_is_the_loop_and_its_callback_sees_every_step(network: Network) -> None:
    seen: list[Step] = []
    result = stylize(picture(1), [picture(2)], LBFGS, network=network, callback=seen.append)
    steps = steps_of(network, LBFGS)
    assert [s.losses for s in seen] == [s.losses for s in steps]
    assert torch.equal(result.image, steps[-1].image) and result.outcome == "done"
    assert [entry["total"] for entry in result.history] == [s.losses["total"] for s in steps]
    assert set(result.seconds) == {"48x40", "96x80", "total"}


def test_losses_come_from_the_device_when_they_are_read(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Adam's own wait for a step's loss is the only one until somebody looks."""
    waits: list[int] = []
    read = solvers.read_scalars
    monkeypatch.setattr(solvers, "read_scalars", lambda *values: (waits.append(len(values)), read(*values))[1])
    result = stylize(picture(1), [picture(2)], ADAM, network=network)
    assert len(waits) == len(result.history)
    for _ in range(2):
        assert result.history[-1]["total"] > result.history[-1]["style"] > 0
    assert len(waits) == len(result.history) + 1


@pytest.mark.parametrize(
    "config", [LBFGS, ADAM, replace(ADAM, init="noise", averaging=0.0)], ids=["lbfgs", "adam", "noise"]
)
@pytest.mark.parametrize("stop", [1, 3, 4])
def test_a_stopped_run_goes_on_to_the_same_bits(network: Network, config: Config, stop: int) -> None:
    whole = stylize(picture(1), [picture(2)], config, network=network)
    count = 0

    def until(step: Step) -> bool:
        nonlocal count
        count += 1
        return count < stop

    stopped = stylize(picture(1), [picture(2)], config, network=network, callback=until)
    assert stopped.outcome == "stopped" and len(stopped.history) == stop
    goes_on = stylize(picture(1), [picture(2)], config, network=network, resume=stopped)
    assert torch.equal(goes_on.image, whole.image)
    assert goes_on.history == whole.history and goes_on.outcome == "done"


def test_a_finished_run_can_have_more_iterations(network: Network) -> None:
    short, long = replace(LBFGS, iterations=(3, 2)), replace(LBFGS, iterations=(3, 5))
    first = stylize(picture(1), [picture(2)], short, network=network)
    more = stylize(picture(1), [picture(2)], long, network=network, resume=first)
    assert torch.equal(more.image, stylize(picture(1), [picture(2)], long, network=network).image)
    same = stylize(picture(1), [picture(2)], short, network=network, resume=first)
    assert torch.equal(same.image, first.image) and same.outcome == "done"


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
def test_a_scale_ends_when_ten_steps_have_gained_too_little(network: Network, optimizer: str) -> None:
    config = replace(LBFGS, optimizer=optimizer, scales=(1.0,), iterations=(40,))
    losses = [step.losses["total"] for step in steps_of(network, config)]
    gains = [1 - min(losses[: n + 10]) / min(losses[:n]) for n in range(1, 31)]  # of the ten steps after the nth
    tolerance = (gains[4] + min(gains[:4])) / 2 if gains[4] < min(gains[:4]) else gains[0] * 1.001
    expected = 10 + next(n for n, gain in enumerate(gains, 1) if gain < tolerance)
    steps = steps_of(network, replace(config, tolerance=tolerance))
    assert [step.losses["total"] for step in steps] == losses[:expected] and expected < 40
    assert steps[-1].progress == 1 and steps[-1].result.outcome == "done"


def test_each_scale_is_asked_for_its_own_gain(network: Network) -> None:
    steps = steps_of(network, replace(LBFGS, iterations=(14, 13), tolerance=1.0))
    assert [(step.scale, step.iteration) for step in steps][-1] == (1, 11) and len(steps) == 22


def test_leaving_the_loop_leaves_a_valid_step(network: Network) -> None:
    run = iterate(picture(1), [picture(2)], LBFGS, network=network)
    first = next(run)
    image = first.image.clone()
    next(run)
    run.close()
    assert torch.equal(first.image, image) and first.result.outcome == "stopped"


def test_same_seed_same_pixels(network: Network) -> None:
    noisy = replace(LBFGS, init="noise", seed=5)
    one, two = (stylize(picture(1), [picture(2)], noisy, network=network) for _ in range(2))
    other = stylize(picture(1), [picture(2)], replace(noisy, seed=6), network=network)
    assert torch.equal(one.image, two.image) and not torch.equal(one.image, other.image)


def test_the_metadata_make_the_picture_again_and_hold_no_time(network: Network) -> None:
    config = replace(LBFGS, init="noise", seed=7, strength=60)
    result = stylize(picture(1), [picture(2)], config, network=network)
    metadata = json.loads(json.dumps(result.metadata))
    assert not [key for key in metadata if "second" in key or "time" in key]
    again = stylize(picture(1), [picture(2)], Config.from_dict(metadata["config"]), network=network)
    assert torch.equal(again.image, result.image) and again.metadata == result.metadata
    assert metadata["sizes"] == {"content": [80, 96], "styles": [[80, 96]], "result": [80, 96]}


def test_double_precision_stays_double(network: Network) -> None:
    assert stylize(picture(1), [picture(2)], LBFGS, network=network).image.dtype == torch.float64


def test_the_callers_grad_mode_is_left_alone(network: Network) -> None:
    with torch.no_grad():
        run = iterate(picture(1), [picture(2)], LBFGS, network=network)
        next(run)
        assert not torch.is_grad_enabled()
    next(run)
    assert torch.is_grad_enabled()
    with torch.inference_mode():
        inside = stylize(picture(1), [picture(2)], LBFGS, network=network).image
    assert torch.equal(inside, stylize(picture(1), [picture(2)], LBFGS, network=network).image)


def test_a_loss_that_is_not_finite_ends_the_run_and_says_so(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = 0
    original = Objective.__call__

    def breaking(self: Objective, image: Tensor) -> object:
        nonlocal calls
        calls += 1
        evaluation = original(self, image)
        return evaluation._replace(loss=evaluation.loss * torch.nan) if calls > 4 else evaluation

    monkeypatch.setattr(Objective, "__call__", breaking)
    result = stylize(picture(1), [picture(2)], replace(ADAM, iterations=(9,)), network=network)
    assert result.outcome == "non-finite" and bool(torch.isfinite(result.image).all())


# --- the jobs


def test_strength_0_is_the_content_and_100_has_no_content_term(network: Network) -> None:
    content = picture(1)
    result = stylize(content, [picture(2)], replace(LBFGS, strength=0, scales=(1.0,)), network=network)
    assert torch.allclose(result.image, content, atol=1e-12)
    assert "content" not in stylize(content, [picture(2)], replace(LBFGS, strength=100), network=network).history[-1]


def test_the_next_scale_has_the_detail_that_the_last_was_too_small_for(network: Network) -> None:
    """Where nothing is changed at the small scale, the large one begins as the content, down to the single pixel."""
    content = torch.rand(1, 3, 80, 96, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    first = next(iterate(content, [picture(2)], replace(LBFGS, strength=0.0), network=network))
    *_, last = iterate(content, [picture(2)], replace(LBFGS, strength=0.0), network=network)
    assert torch.allclose(first.image, resize(content, (40, 48)), atol=1e-12)
    assert torch.allclose(last.image, content, atol=1e-12)


def test_an_absent_term_is_a_job_of_its_own(network: Network) -> None:
    content = stylize(picture(1), [], replace(LBFGS, init="noise", iterations=(20,)), network=network)
    assert "style" not in content.history[0] and content.history[-1]["total"] < 0.2 * content.history[0]["total"]
    style = stylize(None, [picture(2, 64, 96)], replace(LBFGS, init="noise", iterations=(20,)), network=network)
    assert "content" not in style.history[0] and tuple(style.image.shape) == (1, 3, 64, 96)
    at_scale = [entry["total"] for entry in style.history if entry["scale"] == 0]
    assert at_scale[-1] < 0.2 * at_scale[0]


@pytest.mark.parametrize("init", ["content", "noise", "median", "gray", "mean", "style", "image"])
def test_every_start(network: Network, init: str) -> None:
    config = replace(LBFGS, init=init, scales=(1.0,))
    run = Run(picture(1), [picture(2)], config, picture(3), network)
    image = run.first_state().solver.image
    assert tuple(image.shape) == (1, 3, 80, 96) and float(image.min()) >= 0 and float(image.max()) <= 1
    if init == "content":
        assert torch.equal(image, picture(1))
    if init == "image":
        assert torch.equal(image, picture(3))
    if init in ("gray", "mean"):
        assert float(image.std(dim=(2, 3)).max()) < 2 / 255
    if init == "style":
        result, wanted = color_moments(image)[0], color_moments(picture(2))[0]
        assert torch.allclose(result, wanted, atol=0.03)
    if init in ("noise", "median"):
        neighbours = (image[..., 1:] - image[..., :-1]).abs().mean() / image.std()
        assert (neighbours > 0.9) == (init == "noise")


def test_pixel_range_changes_the_units_and_not_the_picture(network: Network) -> None:
    """L-BFGS with its first move relative to the range takes the same course in 0-1 and in 0-255."""
    one = stylize(picture(1), [picture(2)], LBFGS, network=network)
    wide = stylize(picture(1), [picture(2)], replace(LBFGS, pixel_range=255), network=network)
    assert torch.allclose(one.image, wide.image, atol=1e-6)


# --- sizes, styles, colours


def test_the_schedule_is_data() -> None:
    network = Network("vgg19", DESIGNS["vgg19"], ("relu5_1",))
    config = Config(size=512, scales=(0.25, 0.5, 1.0), iterations=(9, 4))
    result = [(scale.size, scale.iterations) for scale in schedule(config, (300, 400), network)]
    assert result == [((96, 128), 9), ((192, 256), 4), ((384, 512), 4)]
    assert [s.size for s in schedule(replace(config, size="original"), (300, 400), network)][-1] == (300, 400)
    small = schedule(replace(config, size=64), (300, 400), network)
    assert [scale.size for scale in small] == [(48, 64)]  # too small ones left out
    by_network = schedule(replace(config, iterations=()), (300, 400), network)
    assert tuple(scale.iterations for scale in by_network) == STEPS


def test_a_scale_that_a_style_cannot_fill_is_left_out(network: Network) -> None:
    """At brush size 2 it is 64, 128 and 256 long, and a tenth as high; the network needs its stride."""
    config = Config(size=128, scales=(0.25, 0.5, 1.0), iterations=(1,), style_scale=2.0)
    every, fewer = (schedule(config, (128, 128), network, styles) for styles in ((), [(40, 400), (128, 128)]))
    assert fewer == tuple(scale for scale in every if round(0.2 * scale.size[0]) >= network.stride)
    assert 1 <= len(fewer) < len(every)
    assert stylize(picture(1), [torch.rand(1, 3, 40, 400)], replace(config, size=96), network=network).outcome == "done"


def test_a_narrow_style_is_as_large_as_the_network_needs(network: Network) -> None:
    """At brush size 2 it would be 5 pixels high."""
    config, narrow = Config(size=128, scales=(1.0,), iterations=(1,), style_scale=2.0), torch.rand(1, 3, 40, 2000)
    (style,) = Run(picture(1), [narrow], config, None, network)._styles_at((128, 128))
    height, width = style.shape[-2:]
    assert height == max(5, network.stride) and width == pytest.approx(50 * height, rel=0.02)
    assert stylize(picture(1), [narrow], config, network=network).outcome == "done"


def test_style_keeps_its_aspect_or_covers_the_frame(network: Network) -> None:
    def sizes(**changes: object) -> list[tuple[int, ...]]:
        run = Run(picture(1), [picture(2, 100, 30)], replace(LBFGS, **changes), None, network)
        return [tuple(style.shape[-2:]) for style in run._styles_at((80, 96))]

    assert sizes() == [(96, 29)]
    assert sizes(style_scale=2.0) == [(192, 58)]
    assert sizes(style_fit="cover") == [(80, 96)]


def test_colours_act_on_the_finished_picture(network: Network) -> None:
    plain = stylize(picture(1), [picture(2)], LBFGS, network=network)
    own = stylize(picture(1), [picture(2)], replace(LBFGS, color="content"), network=network)
    assert torch.equal(own.raw, plain.raw)
    inside = ((own.image > 0) & (own.image < 1)).all(1, keepdim=True)
    assert torch.allclose(luminance(own.image)[inside], luminance(plain.raw)[inside], atol=1e-9)


def test_style_targets_are_computed_once_for_several_contents(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed = []
    original = Objective._style_moments
    monkeypatch.setattr(Objective, "_style_moments", lambda self, styles: computed.append(1) or original(self, styles))
    targets: StyleTargets = {}
    first = stylize(picture(1), [picture(2)], LBFGS, network=network, style_targets=targets)
    stylize(picture(3), [picture(2)], LBFGS, network=network, style_targets=targets)
    assert len(computed) == 2  # one a scale
    assert torch.equal(first.image, stylize(picture(1), [picture(2)], LBFGS, network=network).image)


# --- what is refused


@pytest.mark.parametrize(
    ("content", "styles", "config", "word"),
    [
        (None, [], LBFGS, "at least one"),
        (torch.rand(3, 40, 48), [], LBFGS, "(1, 3, H, W)"),
        (torch.rand(1, 3, 40, 48) * 255, [], LBFGS, "[0, 1]"),
        (torch.full((1, 3, 40, 48), torch.nan), [], LBFGS, "finite"),
        (torch.zeros(1, 3, 0, 4), [], LBFGS, "empty"),
        (torch.rand(1, 3, 1, 400), [], LBFGS, "short side"),
        (torch.rand(1, 3, 40, 48), [torch.rand(1, 3, 900, 3)], LBFGS, "brush size"),
        (torch.rand(1, 3, 40, 48), [torch.rand(1, 3, 40, 48)], replace(LBFGS, style_weights=(1, 2)), "one for each"),
        (torch.rand(1, 3, 40, 48), [], replace(LBFGS, init="image"), "start image"),
    ],
)
def test_a_picture_that_cannot_be_used_is_one_sentence(
    network: Network, content: Tensor | None, styles: list[Tensor], config: Config, word: str
) -> None:
    with pytest.raises(StyleTransferError) as caught:
        list(iterate(content, styles, config, network=network))
    assert word in str(caught.value) and "\n" not in str(caught.value)


def test_flat_pictures_are_pictures(network: Network) -> None:
    flat = torch.zeros(1, 3, 40, 48, dtype=torch.float64)
    result = stylize(flat, [flat + 0.5], replace(LBFGS, tv_weight=0.1), network=network)
    assert bool(torch.isfinite(result.image).all()) and result.outcome == "done"


@pytest.mark.parametrize("strength", [1, 50, 100])
@pytest.mark.parametrize("shade", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("style", ["wave", "flat"])
def test_a_flat_content_is_painted(strength: float, shade: float, style: str) -> None:
    """Its own variation, next to none, would forbid every stroke, and few activations every other colour."""
    examples = Path(__file__).parents[1] / "examples"
    flat = torch.full((1, 3, 64, 64), shade)
    red = torch.tensor([0.8, 0.2, 0.3]).view(1, 3, 1, 1).expand(1, 3, 64, 64).clone()
    painting = red if style == "flat" else load_image(examples / "styles" / f"{style}.jpg")
    config = Config(size=64, strength=strength, network="builtin", device="cpu", iterations=(12,))
    painted = stylize(flat, [painting], config).image
    change, variation = (painted - flat).abs().mean(), painted.diff(dim=-1).abs().mean()
    assert change > (0.03 if style == "wave" else 0.003)
    assert strength < 50 or style == "flat" or variation > 0.03


# --- the real thing


@pytest.fixture(scope="module")
def vgg(shared: Path) -> tuple[Config, Network, Path]:
    config = Config(
        network="vgg19-caffe",
        weights=str(shared / "weights" / "vgg19_caffe_blocks1-3.safetensors"),
        style_layers=("relu1_1", "relu2_1", "relu3_1"),
        content_layers=("relu3_4",),
        precision="float32",
        size=96,
        scales=(1.0,),
        iterations=(25,),
    )
    return config, load_network(config), shared / "images"


def drop(result: Result, term: str) -> float:
    return result.history[-1][term] / result.history[0][term]


def test_real_weights_transfer_and_reconstruct(vgg: tuple[Config, Network, Path]) -> None:
    """Twenty-five steps take most off each loss: the factors are about twice what was measured."""
    config, network, images = vgg
    content, style = load_image(images / "content/golden_gate.jpg"), load_image(images / "style/starry_night.jpg")
    painted = stylize(content, [style], config, network=network)
    assert drop(painted, "style") < 0.1 and painted.history[-1]["content"] < 0.03
    rebuilt = stylize(content, [], replace(config, init="noise"), network=network)
    assert drop(rebuilt, "content") < 0.15
    texture = stylize(None, [style], replace(config, init="noise"), network=network)
    assert drop(texture, "style") < 0.1


def test_the_line_search_saves_a_grey_photograph_with_a_loud_painting(vgg: tuple[Config, Network, Path]) -> None:
    config, network, images = vgg
    gray = luminance(load_image(images / "content/figures.jpg")).expand(-1, 3, -1, -1).clone()
    style = load_image(images / "style/night_cafe.jpg")
    safe = stylize(gray, [style], config, network=network)
    bare = stylize(gray, [style], replace(config, line_search="none", learning_rate=1.0), network=network)
    assert safe.history[-1]["total"] < 0.1
    assert bare.history[-1]["total"] > 3 * safe.history[-1]["total"]


# --- regions


def test_what_no_mask_covers_stays_the_photograph(network: Network) -> None:
    mask = torch.zeros(1, 1, 80, 96)
    mask[..., :48] = 1
    result = stylize(picture(1), [picture(2)], LBFGS, network=network, masks=[mask])
    assert torch.equal(result.image[..., 52:], picture(1)[..., 52:])
    assert not torch.allclose(result.image[..., :44], picture(1)[..., :44], atol=0.01)
    assert result.metadata["masked"] is True


def test_masks_that_are_black_throughout_are_refused(network: Network) -> None:
    """Nothing would be painted, and nothing be said."""
    black = torch.zeros(1, 1, 8, 8)
    for masks in ([black], [black, black]):
        with pytest.raises(StyleTransferError, match="black throughout"):
            stylize(picture(1), [picture(2)] * len(masks), LBFGS, network=network, masks=masks)
    assert stylize(picture(1), [picture(2)] * 2, LBFGS, network=network, masks=[black, None]).outcome == "done"


def test_masks_are_checked_and_never_add_up_to_more_than_all(network: Network) -> None:
    ones, styles = torch.ones(1, 1, 8, 8), [picture(2), picture(3)]
    both = stylize(picture(1), styles, LBFGS, network=network, masks=[ones, ones])
    halves = stylize(picture(1), styles, LBFGS, network=network, masks=[ones / 2, ones / 2])
    assert torch.allclose(both.image, halves.image, atol=1e-6)
    bad: list[tuple[list[object], str]] = [
        ([ones], "1 masks for 2 style images"),
        ([ones, torch.ones(8, 8)], "mask 2 must be a float tensor"),
        ([ones, 2 * ones], "mask 2 must have values"),
        ([ones, ones * torch.nan], "mask 2 must have values"),
    ]
    for masks, words in bad:
        with pytest.raises(StyleTransferError, match=words):
            stylize(picture(1), styles, LBFGS, network=network, masks=masks)  # type: ignore[arg-type]


# --- memory


def failing(times: int, error: Exception) -> Callable[..., solvers.State]:
    """A solver's step that fails so often before it works."""
    left, step = [times], solvers.step

    def run(*arguments: object) -> solvers.State:
        if left[0]:
            left[0] -= 1
            raise error
        return step(*arguments)  # type: ignore[arg-type]

    return run


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        torch.OutOfMemoryError("CUDA out of memory."),
        RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
        MemoryError(),
    ],
)
def test_out_of_memory_goes_on_in_tiles_from_where_it_was(
    network: Network, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    config = replace(LBFGS, size=160, scales=(1.0,), iterations=(3,))
    whole = list(iterate(picture(1), [picture(2)], config, network=network))
    monkeypatch.setattr(solvers, "step", failing(1, error))
    steps = list(iterate(picture(1), [picture(2)], config, network=network))
    assert [step.note for step in steps] == ["memory ran short: going on in tiles of 128 pixels", "", ""]
    assert torch.allclose(steps[-1].raw, whole[-1].raw, atol=1e-9)


def test_a_program_hears_when_memory_is_short_and_not_otherwise(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first evaluation in tiles and after each; after an allocation that failed; never with room."""
    config = replace(ADAM, averaging=0.0, size=160, scales=(1.0,), iterations=(3,))
    calls: list[int] = []

    def steps(**changes: Any) -> None:
        calls.clear()
        options = {"network": network, "on_tight_memory": lambda: calls.append(1)}
        for _ in iterate(picture(1), [picture(2)], replace(config, **changes), **options):
            pass

    steps()
    assert calls == []
    steps(tile=64)
    assert len(calls) == 1 + 3
    monkeypatch.setattr(solvers, "step", failing(1, MemoryError()))
    steps()
    assert len(calls) == 1 + 3


def test_what_does_not_fit_in_the_smallest_tiles_is_told(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solvers, "step", failing(99, MemoryError()))
    with pytest.raises(StyleTransferError, match="not enough memory for this picture: choose a smaller size"):
        steps_of(network, LBFGS)


def test_another_error_is_not_taken_for_a_lack_of_memory(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(solvers, "step", failing(1, RuntimeError("a defect")))
    with pytest.raises(RuntimeError, match="a defect"):
        steps_of(network, LBFGS)


LIMITED = """
import resource, sys
from styletransfer import Config, load_image, plan, stylize
from styletransfer.transfer import run

exact = {"device": "cpu", "precision": "float32"}
config = Config(size=1024, scales=(1.0,), iterations=(1,), history=2, optimizer="adam", **exact)
picture = load_image(sys.argv[1])
stylize(picture, [picture], Config(size=64, iterations=(1,), scales=(1.0,), **exact))  # threads and their stacks
size = plan.system._fields("/proc/self/status")["VmSize"]
resource.setrlimit(resource.RLIMIT_AS, (size + 550 * 2**20,) * 2)
if sys.argv[2] == "blind":  # a plan that knows nothing of the limit
    run.make_plan = lambda *a, **k: plan.Plan(0, 2, 0, None)
notes = []
stylize(picture, [picture], config, callback=lambda step: notes.append(step.note))
print(notes[0])
"""
# Freed blocks leave the address space, which is what is limited: in a heap they would stay there.
MAPPED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_ARENA_MAX": "1"}


@pytest.mark.skipif(sys.platform != "linux", reason="the limit of the address space is Linux's")
@pytest.mark.parametrize(
    ("way", "words"),
    [("planned", "to fit the memory, the picture is computed in tiles"), ("blind", "memory ran short")],
)
def test_a_limited_address_space_is_kept_within(tmp_path: Path, way: str, words: str) -> None:
    save_image(picture(1, 90, 120).float(), tmp_path / "picture.png")
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "picture.png"), way]
    environment = {**os.environ, **MAPPED}
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, env=environment)
    assert words in done.stdout, done.stderr


# --- losses that are no numbers


def test_a_run_backs_off_from_a_loss_that_is_no_number(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = [4]
    evaluate = Objective.__call__

    def sometimes(self: Objective, image: Tensor) -> Evaluation:
        broken[0] -= 1
        result = evaluate(self, image)
        return result if broken[0] else result._replace(loss=result.loss * torch.nan)

    monkeypatch.setattr(Objective, "__call__", sometimes)
    steps = steps_of(network, replace(ADAM, averaging=0.0, scales=(1.0,), iterations=(6,)))
    assert steps[-1].result.outcome == "done" and len(steps) == 5  # the step that broke was taken and is lost
    assert [step.note for step in steps if step.note] == [
        "the loss was not finite: going on from the best picture, in smaller steps"
    ]
    assert steps[-1].losses["total"] < steps[0].losses["total"]
