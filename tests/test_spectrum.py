"""The spectrum of curvature: known curvatures found again, and a map that is symmetric, positive and exact on waves."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from styletransfer import solvers
from styletransfer.config import Config
from styletransfer.objective import Evaluation
from styletransfer.spectrum import AXES, BANDS, CONTRAST, FLOOR, Spectrum, updated

SIZE = (24, 32)
EVEN = torch.ones(1, 1, 2, 2)  # no square curves more than another


def draw(seed: int, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def wave(down: int, across: int, axis: int) -> Tensor:
    """So many waves along either side, in one colour of the axes."""
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    phase = 2 * math.pi * (down * y.double() / SIZE[0] + across * x.double() / SIZE[1])
    return (torch.tensor(AXES[axis], dtype=torch.float64).view(3, 1, 1) * phase.cos())[None]


def band(down: int, across: int) -> float:
    """Half octaves below the highest frequency, sqrt(1/2) waves a pixel, counted from the lowest band."""
    return BANDS - 1 + 2 * math.log2(math.hypot(down / SIZE[0], across / SIZE[1]) / math.sqrt(0.5))


def divided(spectrum: Spectrum, values: Tensor) -> Tensor:
    return spectrum.divider(values)(values)


def test_the_curvature_of_every_band_and_colour_is_found_again() -> None:
    """Steps of two waves at a time, whose curvatures are known; bands that no step touched are as the strongest."""
    known = {(1, 0, 0): 2.0, (6, 8, 0): 8.0, (0, 3, 1): 4.0, (12, 0, 2): 1.0}
    spectrum = None
    for one, other in (((1, 0, 0), (6, 8, 0)), ((0, 3, 1), (12, 0, 2)), ((1, 0, 0), (0, 3, 1))):
        parts = [(wave(*one), known[one]), (0.5 * wave(*other), known[other])]
        move = torch.stack([part for part, _ in parts]).sum(0)
        spectrum = updated(spectrum, move, torch.stack([value * part for part, value in parts]).sum(0))
    assert spectrum is not None
    wanted = torch.full((3, BANDS), 1.0, dtype=torch.float64)
    for (down, across, axis), value in known.items():
        wanted[axis, max(0, round(band(down, across)))] = value / 8
    assert torch.allclose(spectrum.curvature, wanted + FLOOR, atol=1e-9)


def test_squares_that_curve_more_are_told_apart_and_divided_by_it() -> None:
    """One half of the picture curves four times as much as the other, the same at every frequency."""
    curved = torch.ones(1, 1, 64, 96, dtype=torch.float64)
    curved[..., 48:] = 4
    spectrum = None
    for seed in range(30):
        move = draw(seed, (64, 96))
        spectrum = updated(spectrum, move, curved * move)
    assert spectrum is not None
    left, right = spectrum.contrast.split(3, -1)
    assert float(right.mean() / left.mean()) == pytest.approx(4, rel=0.05)
    assert left.shape == (1, 1, 4, 3)
    gains = (divided(spectrum, move) / move).abs().flatten(0, 2).median(0).values
    assert float(gains[:32].mean() / gains[-32:].mean()) == pytest.approx(4, rel=0.1)


def test_no_square_is_told_apart_by_more_than_the_contrast() -> None:
    move = draw(1, (64, 64))
    change = move.clone()
    change[..., :16, :16] *= 1e6
    result = updated(None, move, change).contrast
    assert result.max() <= CONTRAST and result.min() >= 1 / CONTRAST


def test_a_direction_that_bends_down_counts_as_flat() -> None:
    spectrum = updated(None, wave(1, 0, 0) + wave(6, 8, 0), 3 * wave(6, 8, 0) - wave(1, 0, 0))
    assert float(spectrum.curvature[0, round(band(1, 0))]) == FLOOR


@pytest.mark.parametrize("place", [(3, 4, 0), (12, 0, 1), (12, 16, 2), (0, 2, 0)])
def test_a_wave_is_divided_by_the_curvature_around_it(place: tuple[int, int, int]) -> None:
    """Between two bands the inverse is interpolated; at the highest frequency it is the last band's own."""
    down, across, axis = place
    bends = torch.rand(3, BANDS, generator=torch.Generator().manual_seed(1)).double() + 0.1
    spectrum = Spectrum(bends, torch.ones(3, BANDS, dtype=torch.float64), EVEN, EVEN)
    inverse = 1 / spectrum.curvature[axis]
    at = band(down, across)
    lower = min(int(at), BANDS - 2)
    gain = inverse[lower] + (at - lower) * (inverse[lower + 1] - inverse[lower])
    assert torch.allclose(divided(spectrum, wave(*place)), gain * wave(*place), atol=1e-12)


@settings(max_examples=20)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10**6))
def test_dividing_is_symmetric_and_positive_at_every_size(height: int, width: int, seed: int) -> None:
    one, other = draw(seed, (height, width)), draw(seed + 1, (height, width))
    spectrum = updated(None, draw(seed + 2), draw(seed + 3))
    assert torch.allclose((one * divided(spectrum, other)).sum(), (other * divided(spectrum, one)).sum(), rtol=1e-9)
    assert (one * divided(spectrum, one)).sum() >= one.square().sum() / (1 + FLOOR) * (1 - 1e-9)


def test_one_curvature_everywhere_changes_nothing_but_the_scale() -> None:
    flat = Spectrum(torch.full((3, BANDS), 7.0), torch.ones(3, BANDS), EVEN, EVEN)
    picture = draw(5).float()
    assert torch.allclose(divided(flat, picture), picture / (1 + FLOOR), atol=1e-6)
    assert divided(flat, picture).dtype == torch.float32


def test_it_is_carried_to_the_next_scale_and_not_past_a_stale_memory() -> None:
    config = Config()
    spectrum = updated(None, draw(1), draw(1))
    before = solvers.State(draw(2), spectrum=spectrum)
    assert solvers.start(draw(3, (48, 64)), config, before).spectrum is spectrum
    assert solvers.start(draw(3), config).spectrum is None


def test_a_loss_that_curves_by_frequency_is_lowered_in_a_third_of_the_steps() -> None:
    """A quadratic of condition 1000 along frequency, as that of a smoothing network."""
    down = torch.fft.fftfreq(SIZE[0], dtype=torch.float64)[:, None]
    across = torch.fft.rfftfreq(SIZE[1], dtype=torch.float64)
    curvature = 1e-3 + torch.exp(-60 * (down.square() + across.square()))
    goal = draw(7)

    def evaluate(image: Tensor) -> Evaluation:
        gradient = torch.fft.irfft2(torch.fft.rfft2(image - goal) * curvature, s=SIZE)
        loss = (gradient * (image - goal)).sum() / 2
        return Evaluation(loss, gradient, {"total": loss})

    def left(preconditioner: str, steps: int) -> float:
        config = Config(box=False, preconditioner=preconditioner)
        state = solvers.start(torch.zeros_like(goal), config)
        for _ in range(steps):
            state = solvers.step(state, evaluate, config)
        assert state.evaluation is not None
        return float(state.evaluation.loss)

    assert left("spectrum", 15) < left("none", 45)
