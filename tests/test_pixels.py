"""Pictures as tensors: sizes, noise and colour against loops, identities and the moments asked for."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from oracles import noise
from torch import Tensor

from styletransfer import pixels
from styletransfer.config import COLORS
from styletransfer.pixels import (
    color_moments,
    cover,
    fit_size,
    halve,
    match_colors,
    matrix_power,
    recolor,
    resample,
    resize,
)

SIDES = st.integers(1, 40)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def mild(seed: int, height: int = 24, width: int = 32) -> Tensor:
    """Grey in the middle with a little colour, so that no map of colours leaves [0, 1]."""
    gain = (
        torch.tensor([[0.10, 0.02, 0.01], [0.03, 0.08, 0.02], [0.01, -0.02, 0.07]], dtype=torch.float64)
        * (1 + seed % 3)
        / 2
    )
    values = gain @ (noise(3, height * width, seed=seed) - 0.5)
    return (0.5 + values + 0.02 * (seed % 2)).view(1, 3, height, width)


def luma(image: Tensor) -> Tensor:
    red, green, blue = image[0]
    return 0.299 * red + 0.587 * green + 0.114 * blue


# --- sizes


@given(height=st.integers(1, 5000), width=st.integers(1, 5000), long_side=st.integers(1, 3000))
def test_fit_size_keeps_the_aspect_to_half_a_pixel(height: int, width: int, long_side: int) -> None:
    result = fit_size((height, width), long_side)
    assert max(result) == long_side
    exact = min(height, width) * long_side / max(height, width)
    assert min(result) == 1 or abs(min(result) - exact) <= 0.5
    assert (result[0] >= result[1]) == (height >= width) or result[0] == result[1]


def test_fit_size_of_known_pictures() -> None:
    assert fit_size((683, 1024), 512) == (342, 512)
    assert fit_size((4000, 3000), 400) == (400, 300)
    assert fit_size((1, 1000), 16) == (1, 16)


@given(height=SIDES, width=SIDES, to=st.tuples(SIDES, SIDES))
def test_resize_keeps_flat_colours_and_the_range(height: int, width: int, to: tuple[int, int]) -> None:
    colour = torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64)[None, :, None, None]
    flat = resize(colour.expand(1, 3, height, width), to)
    assert flat.shape == (1, 3, *to)
    assert torch.allclose(flat, colour.expand_as(flat), atol=1e-12)
    result = resize(noise(1, 3, height, width).round(), to)
    assert float(result.min()) >= 0 and float(result.max()) <= 1


def test_resize_to_its_own_size_is_the_picture_itself() -> None:
    image = noise(1, 3, 5, 7)
    assert resize(image, (5, 7)) is image


def test_resize_leaves_a_ramp_a_ramp_away_from_the_border() -> None:
    """Bicubic interpolation is exact on linear values; pixel centres lie at (i + 1/2) / n."""
    at = (torch.arange(64, dtype=torch.float64) + 0.5) / 64
    ramp = (0.1 + 0.8 * at).expand(1, 3, 4, 64)
    for width in (16, 32, 96, 200):
        wanted = 0.1 + 0.8 * (torch.arange(width, dtype=torch.float64) + 0.5) / width
        inner = slice(width // 8, -width // 8)
        assert torch.allclose(
            resize(ramp, (4, width))[0, 0, 0, inner], wanted[inner], atol=1e-3 if width < 64 else 1e-9
        )


def test_resample_is_linear_and_does_not_clamp() -> None:
    a, b = noise(1, 5, 9, 12, seed=1), noise(1, 5, 9, 12, seed=2)
    both = resample(100 * a - 7 * b, (13, 5))
    assert torch.allclose(both, 100 * resample(a, (13, 5)) - 7 * resample(b, (13, 5)), atol=1e-10)
    assert float(both.max()) > 1
    nonnegative = resample(noise(1, 3, 9, 12).round(), (13, 5), mode="bilinear")
    assert float(nonnegative.min()) >= 0  # what second moments of an optimiser need


@given(height=SIDES, width=SIDES, size=st.tuples(SIDES, SIDES))
def test_cover_is_the_middle_of_the_picture_scaled_to_cover(height: int, width: int, size: tuple[int, int]) -> None:
    """A ramp that counts pixels of the source shows where the crop lies: symmetric, and at the smaller enlargement."""
    image = noise(1, 3, height, width)
    result = cover(image, size)
    assert result.shape == (1, 3, *size)
    scale = max(size[0] / height, size[1] / width)
    whole = resize(image, (max(size[0], round(height * scale)), max(size[1], round(width * scale))))
    spare = whole.shape[-2] - size[0], whole.shape[-1] - size[1]
    assert min(spare) <= 1  # one side fits
    assert torch.equal(result, whole[..., spare[0] // 2 :, spare[1] // 2 :][..., : size[0], : size[1]])


def test_cover_crops_what_is_too_long_and_nothing_else() -> None:
    image = noise(1, 3, 4, 10)
    assert torch.equal(cover(image, (4, 6)), image[..., 2:8])
    assert torch.equal(cover(image, (4, 10)), image)
    assert torch.equal(cover(image.mT, (6, 4)), image.mT[..., 2:8, :])


@given(height=st.integers(2, 9), width=st.integers(2, 9))
def test_halve_is_the_mean_of_four_and_drops_an_odd_rest(height: int, width: int) -> None:
    image = noise(1, 3, height, width)
    result = halve(image)
    assert result.shape == (1, 3, height // 2, width // 2)
    for y in range(height // 2):
        for x in range(width // 2):
            four = [image[0, :, 2 * y + i, 2 * x + j] for i in (0, 1) for j in (0, 1)]
            assert torch.allclose(result[0, :, y, x], sum(four) / 4, atol=1e-15)


# --- noise


@pytest.mark.parametrize(("size", "window"), [((5, 6), 8), ((3, 4), 3), ((67, 2), 2)])
def test_median_noise_is_the_median_of_every_window(size: tuple[int, int], window: int) -> None:
    """The upper one of an even number of values, as SciPy's median filter has it; rows beyond 64 are another strip."""
    height, width = size
    white = torch.rand(1, 3, height + window - 1, width + window - 1, generator=generator(3))[0].tolist()
    result = pixels.median_noise(size, generator(3), window)[0].tolist()
    for c in range(3):
        for y in range(height):
            for x in range(width):
                values = sorted(v for row in white[c][y : y + window] for v in row[x : x + window])
                assert result[c][y][x] == values[len(values) // 2]


def test_white_noise_is_the_generator_s_and_uniform() -> None:
    result = pixels.white_noise((64, 64), generator(1))
    assert torch.equal(result, pixels.white_noise((64, 64), generator(1)))
    assert not torch.equal(result, pixels.white_noise((64, 64), generator(2)))
    counts = torch.histc(result, 4, 0, 1) / result.numel()
    assert torch.allclose(counts, torch.full((4,), 0.25), atol=0.02)


def test_colour_noise_has_the_mean_and_covariance_asked_for() -> None:
    mean, covariance = color_moments(mild(2))
    result = color_moments(pixels.color_noise((200, 200), mean, covariance, generator()))
    deviation = float(covariance.diagonal().max())
    assert torch.allclose(result[0], mean, atol=5 * (deviation / 40000) ** 0.5)
    assert torch.allclose(result[1], covariance, atol=5 * deviation * (2 / 40000) ** 0.5)


# --- colour


def test_colour_moments_are_those_of_a_loop() -> None:
    image = noise(1, 3, 4, 5)
    colours = [image[0, :, y, x] for y in range(4) for x in range(5)]
    mean = sum(colours) / 20
    covariance = sum(torch.outer(colour - mean, colour - mean) for colour in colours) / 20
    result = color_moments(image.float())
    assert result[0].dtype == result[1].dtype == torch.float64
    assert torch.allclose(result[0], mean, atol=1e-7) and torch.allclose(result[1], covariance, atol=1e-7)


@given(st.integers(0, 50))
def test_matrix_powers_are_inverse_to_each_other(seed: int) -> None:
    root = noise(3, 3, seed=seed)
    matrix = root @ root.T + 0.1 * torch.eye(3, dtype=torch.float64)
    half, inverse = matrix_power(matrix, 0.5), matrix_power(matrix, -0.5)
    assert torch.allclose(half @ half, matrix, atol=1e-12)
    assert torch.allclose(half @ inverse, torch.eye(3, dtype=torch.float64), atol=1e-12)


@given(seed=st.integers(0, 30), other=st.integers(0, 30))
def test_matched_colours_have_the_reference_s_mean_and_covariance(seed: int, other: int) -> None:
    image, reference = mild(seed), mild(other, 17, 9)
    matched = match_colors(image, reference)
    result, wanted = color_moments(matched), color_moments(reference)
    assert torch.allclose(result[0], wanted[0], atol=1e-9)
    assert torch.allclose(result[1], wanted[1], atol=1e-9)
    # Of all linear maps with these moments, the one that moves colours least is the symmetric one.
    before, after = (each[0].flatten(1) - each[0].flatten(1).mean(1, keepdim=True) for each in (image, matched))
    transport = after @ torch.linalg.pinv(before)
    assert torch.allclose(transport, transport.T, atol=1e-6)


def test_matching_moves_colours_by_the_closed_form_where_channels_are_independent() -> None:
    """Then the map is (x - mean) * deviation / deviation + mean in every channel."""
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0], dtype=torch.float64)] * 3).T  # covariance 1
    image, reference = (
        (0.5 + torch.diag(torch.tensor(scale, dtype=torch.float64)) @ corners).view(1, 3, 2, 4)
        for scale in ([0.1, 0.2, 0.05], [0.2, 0.1, 0.1])
    )
    assert torch.allclose(match_colors(image, reference), reference, atol=1e-9)


def test_matching_to_itself_changes_nothing_and_to_a_flat_picture_gives_its_colour() -> None:
    image = mild(1)
    assert torch.allclose(match_colors(image, image), image, atol=1e-6)
    flat = torch.tensor([0.2, 0.4, 0.6], dtype=torch.float64)[None, :, None, None].expand(1, 3, 4, 4)
    assert torch.allclose(match_colors(image, flat), flat[..., :1, :1].expand_as(image), atol=1e-4)
    assert torch.allclose(color_moments(match_colors(flat, image))[0], color_moments(image)[0], atol=1e-9)
    assert match_colors(image.float(), flat).dtype == torch.float32


@given(seed=st.integers(0, 30), other=st.integers(0, 30))
def test_recolor_content_keeps_the_result_s_luma_and_the_content_s_chroma(seed: int, other: int) -> None:
    image, content = mild(seed), mild(other)
    result = recolor(image, content, "content")
    assert torch.allclose(luma(result), luma(image), atol=1e-12)
    for channel in range(3):  # the differences of colour, which a grey shift leaves
        chroma, wanted = (each[0, channel] - luma(each) for each in (result, content))
        assert torch.allclose(chroma, wanted, atol=1e-12)


def test_recolor_match_has_the_content_s_moments_at_the_picture_s_size() -> None:
    image, content = mild(1), mild(3, 48, 64)
    wanted = color_moments(resize(content, (24, 32)))
    result = color_moments(recolor(image, content, "match"))
    assert torch.allclose(result[0], wanted[0], atol=1e-9) and torch.allclose(result[1], wanted[1], atol=1e-9)


def test_recolor_leaves_the_picture_where_there_is_nothing_to_do() -> None:
    image = mild(1)
    assert recolor(image, mild(2), "style") is image
    assert all(recolor(image, None, color) is image for color in COLORS)
    assert torch.allclose(recolor(image, image, "content"), image, atol=1e-12)


def test_recolor_stays_in_range_on_loud_colours() -> None:
    image, content = noise(1, 3, 8, 8, seed=1).round(), noise(1, 3, 8, 8, seed=2).round()
    for color in COLORS:
        result = recolor(image, content, color)
        assert float(result.min()) >= 0 and float(result.max()) <= 1
