"""Fitting a compact network: its start, its score, its file, and going on after an interruption."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import FIVE, noise, random_tensors, relative_error
from safetensors.torch import save_file
from torch import Tensor

from styletransfer import Config, StyleTransferError, save_image
from styletransfer.distill import course, layers, losses, program
from styletransfer.distill.student import Fit, new_student, packed, take_over
from styletransfer.features import (
    DESIGNS,
    Factored,
    FactoredConv2d,
    Network,
    compact_design,
    compact_heads,
    load_network,
)
from styletransfer.losses import moments
from styletransfer.pixels import resize
from styletransfer.weights import Weights

FULL = (4, 4, "M", 6, 6, "M", 8, 8, 8, 8)  # as wide as the teacher of these tests
NARROW = (3, 3, "M", 4, 4, "M", 6, 6, 6, 6)
STYLE_LAYERS, CONTENT_LAYERS = ("relu1_1", "relu2_1", "relu3_1"), ("relu3_4",)
SHORT = Fit(6, 2, 48, 4, 1, NARROW, STYLE_LAYERS, CONTENT_LAYERS)


@pytest.fixture(scope="module")
def images() -> list[Tensor]:
    seeds = [torch.Generator().manual_seed(seed) for seed in range(6)]
    return [resize(torch.rand(1, 3, 9, 8, generator=seed), (72, 64)) for seed in seeds]


@pytest.fixture(autouse=True)
def _a_short_first_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styletransfer.distill.layers.FIRST_STEPS", 40)


def start(teacher: Network, images: list[Tensor], widths: tuple[int | str, ...]) -> dict[str, float]:
    """The held-out score of a student whose layers have been solved, and nothing more."""
    student = new_student(teacher, replace(SHORT, widths=widths))
    scale = course.teacher_scale(teacher, images, SHORT.layers)
    layers.fit_layers(student, teacher, images, scale)
    return course.held_out_score(student, teacher, scale, images)


def test_a_student_as_wide_as_its_teacher_starts_as_its_teacher(network: Network, images: list[Tensor]) -> None:
    assert max(start(network, images, FULL).values()) < 1e-3


def test_a_narrow_student_starts_near_its_teacher(network: Network, images: list[Tensor]) -> None:
    score = start(network, images, NARROW)
    assert score["relu1_1"] < 0.2 and max(score.values()) < 0.5


def test_a_layer_that_is_left_out_costs_less_than_all_it_did(network: Network, images: list[Tensor]) -> None:
    """The next layer makes up for it: with three of block 3's layers the fourth is still predicted."""
    whole, short = (start(network, images, widths) for widths in (FULL, (*FULL[:-2], 0, 8)))
    assert {name: short[name] for name in ("relu2_1", "relu3_1")} == {
        name: whole[name] for name in ("relu2_1", "relu3_1")
    }
    assert whole["relu3_4"] < short["relu3_4"] < 0.7


def test_a_layer_is_solved_by_least_squares(network: Network, images: list[Tensor]) -> None:
    """Against numpy's own solver, on the patches of torch's own unfold."""
    maps, goal = noise(1, 3, 9, 7, seed=1).float(), noise(1, 2, 9, 7, seed=2).float()
    at = torch.arange(63)
    patches = layers._patches(maps, at)
    unfolded = torch.nn.functional.unfold(maps, 3, padding=1)[0].T.view(63, 3, 9).transpose(1, 2).flatten(1)
    assert torch.equal(patches, unfolded)
    rows = np.concatenate([unfolded.numpy(), np.ones((63, 1))], 1)
    wanted = np.linalg.lstsq(rows, layers._rows(goal, at).numpy(), rcond=None)[0]
    solution, square = layers._least_squares(
        [(patches[:30], layers._rows(goal, at[:30])), (patches[30:], layers._rows(goal, at[30:]))]
    )
    assert np.abs(solution.numpy() - wanted).max() < 1e-2 * np.abs(wanted).max()
    assert np.abs(square.numpy() - rows.T @ rows).max() < 1e-5 * np.abs(square.numpy()).max()


def test_a_factored_layer_of_full_ranks_is_the_whole_one(network: Network, images: list[Tensor]) -> None:
    narrow = (*NARROW[:-1], Factored(6, 6, 6))
    whole, factored = (start(network, images, widths) for widths in (NARROW, narrow))
    assert factored["relu3_4"] == pytest.approx(whole["relu3_4"], rel=2e-2)


def test_a_factored_layer_is_the_best_of_its_rank() -> None:
    """Reduced-rank regression: the unexplained rest is the least-squares rest and the smallest principal values of
    the predictions, all about their mean.
    """
    maps, goals = [noise(1, 3, 40, 40, seed=1).float()], [noise(1, 5, 40, 40, seed=2).float()]
    goals[0] += torch.nn.functional.conv2d(maps[0], noise(5, 3, 3, 3, seed=3).float() - 0.5, padding=1)
    own = FactoredConv2d(3, Factored(5, 0, 2)).requires_grad_(False)
    layers._fit_factored(own, own.mix.weight, maps, goals)
    at = torch.arange(1600)
    rows, wanted = (layers._patches(maps[0], at).double().numpy(), layers._rows(goals[0], at).double().numpy())
    rows, wanted = rows - rows.mean(0), wanted - wanted.mean(0)
    predicted = rows @ np.linalg.lstsq(rows, wanted, rcond=None)[0]
    dropped = np.linalg.svd(predicted, compute_uv=False)[2:]
    rest = float((own(maps[0]) - goals[0]).square().sum())
    assert rest == pytest.approx(np.square(wanted - predicted).sum() + np.square(dropped).sum(), rel=1e-3)


def test_the_inputs_that_are_kept_are_those_that_the_teacher_responds_to() -> None:
    """Of four channels the teacher's kernel reads two, one of them faint and one not: two directions lose nothing."""
    maps = [noise(1, 4, 40, 40, seed=1).float() * torch.tensor([9.0, 0.1, 1.0, 5.0]).view(1, 4, 1, 1)]
    kernel = torch.zeros(6, 4, 3, 3)
    kernel[:, 1:3] = noise(6, 2, 3, 3, seed=2).float() - 0.5
    own = FactoredConv2d(4, Factored(6, 2, 6)).requires_grad_(False)
    goals = [torch.nn.functional.conv2d(maps[0], kernel, padding=1)]
    layers._fit_factored(own, kernel, maps, goals)
    assert float((own(maps[0]) - goals[0]).square().mean() / goals[0].square().mean()) < 1e-5


def test_a_layer_with_all_channels_needs_no_head() -> None:
    """In the file it is in the teacher's units, whatever units the fit has it in, and the next layer takes it so."""
    widths = (4, 64, "M", Factored(128, 6, 8), 5)
    fit = replace(SHORT, widths=widths, style_layers=("relu1_1", "relu2_1"), content_layers=("relu2_2",))
    assert fit.layers == ("relu1_1", "relu2_1", "relu2_2", "relu1_2")
    student = new_student(Network("vgg19", DESIGNS["vgg19"], fit.layers), fit)
    student.load(Weights(random_tensors(student.shapes()), "", ""))
    scale = {layer: torch.tensor(value) for layer, value in zip(fit.layers, (2.0, 300.0, 5.0, 70.0))}
    shapes = {key: tuple(value.shape) for key, value in packed(student, scale).items()}
    design = compact_design(shapes)
    assert design.widths == widths
    shipped = Network("builtin", design, fit.layers, heads=compact_heads(shapes))
    assert sorted(shipped.layers) == sorted(fit.layers) and set(shipped.heads) == {"relu1_1", "relu2_2"}
    tensors = {key: value.float() for key, value in packed(student, scale).items()}
    shipped.load(Weights({key: tensors[key] for key in shipped.shapes()}, "", ""))
    picture = noise(1, 3, 24, 24).float()
    fitted, stored = student(picture, fit.layers), shipped(picture, fit.layers)
    for layer in ("relu1_2", "relu2_1"):
        assert relative_error(stored[layer], scale[layer] * fitted[layer]) < 1e-2
    grams = [float(moments(maps["relu2_2"]).second.norm()) for maps in (fitted, stored)]
    assert grams[1] == pytest.approx(25 * grams[0], rel=1e-2)


def test_the_leading_channels_span_the_rest() -> None:
    """Of five channels two are combinations of the other three: any three chosen predict all."""
    basis = torch.randn(3, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = torch.cat([basis, basis[:1] - 2 * basis[1:2], basis[2:] + basis[:1]])
    gram = rows @ rows.T
    kept = layers.leading_channels(gram, 3)
    rest = gram - gram[:, kept] @ torch.linalg.solve(gram[kept][:, kept], gram[kept])
    assert float(rest.abs().max()) < 1e-8 * float(gram.abs().max())


def test_an_interrupted_fit_goes_on_and_the_file_is_a_network(
    network: Network, images: list[Tensor], tmp_path: Path
) -> None:
    output = tmp_path / "own.safetensors"
    course.distill(network, images, images[:2], replace(SHORT, steps=3), output)
    assert torch.load(tmp_path / "own.safetensors.fit", weights_only=True)["step"] == 3
    course.distill(network, images, images[:2], SHORT, output)
    saved = torch.load(tmp_path / "own.safetensors.fit", weights_only=True)
    assert saved["step"] == 6
    student = new_student(network, SHORT)
    student.load_state_dict(saved["student"])
    config = Config(
        network="builtin",
        weights=str(output),
        style_layers=STYLE_LAYERS,
        content_layers=CONTENT_LAYERS,
        precision="float32",
        device="cpu",
    )
    shipped = load_network(config)(images[0], SHORT.layers)
    fitted = student.requires_grad_(False)(images[0], SHORT.layers)
    scale = course.teacher_scale(network, images, SHORT.layers)
    for layer in SHORT.layers:  # in another basis and the teacher's units, so only inner products can be compared
        a, b = shipped[layer].flatten(2)[0], (scale[layer] * fitted[layer]).flatten(2)[0]
        assert float((a.T @ a - b.T @ b).norm() / (b.T @ b).norm()) < 5e-3


def test_the_same_seed_fits_the_same_student(network: Network, images: list[Tensor], tmp_path: Path) -> None:
    for name in ("one", "two"):
        course.distill(network, images, images[:1], SHORT, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_program_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_image(torch.rand(1, 3, 120, 120), tmp_path / "only.png")
    bad = ["--teacher", str(tmp_path / "only.png"), "--images", str(tmp_path), "-o", str(tmp_path / "x")]
    assert program.main(bad) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_student_can_go_as_deep_as_its_teacher(network: Network, images: list[Tensor], tmp_path: Path) -> None:
    """Five blocks, heads at the layers of Gatys et al.; in use it knows which of them are for style."""
    widths = (*NARROW, "M", 6, 6, 0, 0, "M", 6)
    deep = replace(SHORT, steps=2, widths=widths, style_layers=FIVE, content_layers=("relu4_2",))
    course.distill(network, images, images[:1], deep, tmp_path / "deep.safetensors")
    shipped = load_network(Config(network="builtin", weights=str(tmp_path / "deep.safetensors"), device="cpu"))
    assert shipped.design.style_layers == FIVE and shipped.design.content_layers == ("relu4_2",)
    assert shipped.design.widths == widths


def test_large_kernels_are_kept_in_eight_bits(
    network: Network, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each value comes back within half a step of its channel, of which there are 127 to the largest."""
    monkeypatch.setattr("styletransfer.distill.student.EIGHT_BITS", 200)
    student = new_student(network, SHORT)
    student.load(Weights(random_tensors(student.shapes()), "", ""))
    tensors = packed(student, {layer: torch.tensor(1.0) for layer in SHORT.layers})
    save_file(tensors, tmp_path / "packed.safetensors")
    config = Config(network="builtin", weights=str(tmp_path / "packed.safetensors"), device="cpu", precision="float32")
    loaded, kernels = load_network(config).features.state_dict(), student.features.state_dict()
    small = [key for key in kernels if tensors[f"features.{key}"].dtype == torch.float16]
    large = sorted(set(kernels) - set(small))
    assert small and large and all(tensors[f"features.{key}"].dtype == torch.int8 for key in large)
    for key in large:
        peak = kernels[key].abs().amax((1, 2, 3), keepdim=True)
        assert bool(((loaded[key] - kernels[key]).abs() <= peak * (0.5 / 127 + 1e-3)).all())


def test_a_fit_without_the_first_layer_learns_it_with_the_rest(
    network: Network, images: list[Tensor], tmp_path: Path
) -> None:
    fit = replace(SHORT, steps=2, style_layers=STYLE_LAYERS[1:])
    score = course.distill(network, images, images[:1], fit, tmp_path / "deep.safetensors")
    assert set(score) == {"relu2_1", "gram/relu2_1", "relu3_1", "gram/relu3_1", "relu3_4"}


def test_errors_that_both_sides_share_do_no_harm() -> None:
    """Differences are all that counts: a head that is off by a constant has them right, one that doubles has not."""
    wanted = noise(3, 4, 5, 6)
    assert float(losses.content_difference_error(wanted + 1, wanted)) == pytest.approx(0, abs=1e-12)
    gap = float((wanted[0] - wanted[1]).square().sum() / wanted[1].square().sum())
    assert float(losses.content_difference_error(2 * wanted, wanted)) == pytest.approx(gap)
    grams = losses.grams(wanted)
    rows = wanted[1].flatten(1)
    assert torch.allclose(grams[1], rows @ rows.T / 30)
    assert float(losses.gram_difference_error(grams + 1, grams)) == pytest.approx(0, abs=1e-12)
    off = grams + torch.tensor([0.1, 0.0, 0.0]).view(3, 1, 1)
    expected = 16 * 0.1**2 / float(grams[2].square().sum())
    assert float(losses.gram_difference_error(off, grams)) == pytest.approx(expected, rel=1e-5)


def test_widths_are_read_or_refused() -> None:
    assert program.parse_widths("32, 24,M,0,64:8:9") == (32, 24, "M", 0, Factored(64, 8, 9))
    for text in ("", "32,x", "0", "M,32", "-1", "1.5", "64:1:1,3", "3,64:1", "3,0:1:1", "3,8:1:0"):
        with pytest.raises(StyleTransferError, match="widths must be"):
            program.parse_widths(text)


def test_an_earlier_fit_gives_what_still_fits(network: Network, images: list[Tensor], tmp_path: Path) -> None:
    """All but block 3, whose first layer is wider now, so that the next are told otherwise."""
    course.distill(network, images, images[:1], SHORT, tmp_path / "one")
    earlier = torch.load(tmp_path / "one.fit", weights_only=True)["student"]
    wide = replace(SHORT, steps=0, widths=(*NARROW[:6], 7, *NARROW[7:]))
    student = new_student(network, wide)
    assert take_over(student, earlier) == {"relu1_1", "relu1_2", "relu2_1", "relu2_2"}
    course.distill(network, images, images[:1], wide, tmp_path / "two", tmp_path / "one.fit")
    again = torch.load(tmp_path / "two.fit", weights_only=True)["student"]
    same = {
        name for name, value in earlier.items() if value.shape == again[name].shape and torch.equal(value, again[name])
    }
    assert same == {name for name, value in student.named_parameters() if value.any()}


def test_a_layer_with_all_channels_is_told_the_same_by_any_fit() -> None:
    teacher = Network("vgg19", DESIGNS["vgg19"], ["relu4_3"])
    narrow = (2, 2, "M", 2, 2, "M", 2, 0, 0, 0, "M")
    deep = [(Factored(512, 0, 2), Factored(512, 2, mixed), Factored(512, 2, 2)) for mixed in (2, 3)]
    fits = [replace(SHORT, widths=(*narrow, *layers), content_layers=("relu4_2",)) for layers in deep]
    one, two = (new_student(teacher, fit) for fit in fits)
    everything = {"relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1", "relu4_1", "relu4_2", "relu4_3"}
    assert take_over(two, one.state_dict()) == everything - {"relu4_2"}
