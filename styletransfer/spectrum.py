"""The curvature of a loss by frequency, colour and place, estimated from an optimiser's steps.

L-BFGS starts from a single number as its estimate of the Hessian, s.y / s.s, with a step s and the gradient's change y
(Nocedal and Wright 2006, section 7.2). The losses of VGG-19 are far from that: at five pixels per wave the curvature
along lightness was a thousand times that along colour at two and a half pixels. Pictures are better conditioned in
Fourier space and decorrelated colours (Olah, Mordvintsev and Schubert 2017, Feature Visualization). So this number is
estimated by band of frequencies and colour axis: 60 steps then reached the loss of 100, on three pairs at 256 px. A
factor by square of the picture, for curvature that the frequencies do not explain, lowered the loss after 76 steps by
another 1.5 to 3 %, on three pairs at 384 px.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .losses import widest
from .pixels import resample, size_of

AXES = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))  # lightness and two opponent colours, orthogonal
BANDS = 13  # half octaves, up to the highest frequency of a picture: half a wave per pixel in both directions
DECAY = 0.9  # factor on the sums over earlier steps when a new one is added
MIN_ENERGY = 1e-9  # share of the steps below which a band holds only rounding errors
FLOOR = 0.04  # added to the relative curvature, so that the flattest directions are not overweighted
SQUARE = 16  # side in pixels of a square that has a factor
CONTRAST = 4.0  # limit of that factor and of its inverse
CHUNK = 2**17  # frequencies that are processed at a time


@dataclass(frozen=True)
class Spectrum:
    """Decaying sums over an optimiser's steps, s, and the gradient's changes, y.

    sy, ss: s.y and s.s by colour axis and band (3, BANDS), each step normalised by its squared norm; local_sy,
    predicted_sy: s.y by square of the picture (1, 1, h, w), measured and as predicted by the bands, both normalised by
    their means. Bands are in waves per pixel, so they are the same for pictures of any size.
    """

    sy: Tensor
    ss: Tensor
    local_sy: Tensor
    predicted_sy: Tensor

    @cached_property
    def curvature(self) -> Tensor:
        """By band (3, BANDS), relative to the strongest, plus FLOOR; bands without data count as the strongest."""
        return _curvature(self.sy, self.ss)

    @cached_property
    def contrast(self) -> Tensor:
        """Measured over predicted curvature by square (1, 1, h, w), limited to a factor of CONTRAST around 1."""
        return (self.local_sy / self.predicted_sy).nan_to_num(1).clamp(1 / CONTRAST, CONTRAST)

    def near(self, image: Tensor) -> Spectrum:
        """The spectrum on the device that computes with this picture, for one that was read from a file."""
        device = _on_fft_device(image).device
        return Spectrum(*(getattr(self, part.name).to(device) for part in fields(self)))

    def divider(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        """A symmetric, positive definite operator on values (1, 3, H, W) of the size of `like`: it divides frequencies
        by the curvature of their band, and pixels by the contrast of their square.
        """
        like = _on_fft_device(like)
        gains = _at_frequencies(1 / self.curvature, like)  # (3, H, W // 2 + 1)
        scale = resample(self.contrast.to(like), size_of(like), "bilinear").rsqrt_()  # (1, 1, H, W)

        def divide(values: Tensor) -> Tensor:
            divided = _on_fft_device(values) * scale
            # In place while the planes are read: the axes are orthogonal, so an update does not change later planes.
            for axis, plane, gain in zip(_axes(like), _planes(divided), gains):
                divided[0].addcmul_(axis.view(3, 1, 1), _filter(plane, gain).sub_(plane))
            return divided.mul_(scale).to(values.device)

        return divide


def updated(spectrum: Spectrum | None, s: Tensor, y: Tensor) -> Spectrum:
    """The spectrum with one more step s (1, 3, H, W) and the change y of the gradient along it."""
    s, y = _on_fft_device(s), _on_fft_device(y)
    sy, ss = _by_band(s, y)  # (3, BANDS) each
    sy, ss = sy / ss.sum(), ss / ss.sum()
    if spectrum is not None:
        sy, ss = DECAY * spectrum.sy + sy, DECAY * spectrum.ss + ss
    curvature = _at_frequencies(_curvature(sy, ss), s)  # (3, H, W // 2 + 1)
    local_sy = _by_square(s_channel * y_channel for s_channel, y_channel in zip(s[0], y[0]))  # (1, 1, h, w)
    predicted_sy = _by_square(plane * _filter(plane, gain) for plane, gain in zip(_planes(s), curvature))
    if spectrum is not None:
        squares = size_of(local_sy)
        local_sy = DECAY * resample(spectrum.local_sy, squares, "bilinear") + local_sy
        predicted_sy = DECAY * resample(spectrum.predicted_sy, squares, "bilinear") + predicted_sy
    return Spectrum(sy, ss, local_sy, predicted_sy)


def _curvature(sy: Tensor, ss: Tensor) -> Tensor:
    ratio = torch.where(ss > MIN_ENERGY, (sy / ss).clamp_min(0), torch.nan)
    strongest = ratio.nan_to_num(0).max().clamp_min(torch.finfo(ratio.dtype).tiny)
    return (ratio / strongest).nan_to_num(1) + FLOOR


def _by_band(s: Tensor, y: Tensor) -> Tensor:
    """s.y and s.s, summed over the frequencies of each colour axis and band: (2, 3, BANDS)."""
    sums = torch.zeros(len(AXES), 2, BANDS, dtype=widest(s.device), device=s.device)
    for by_band, *planes in zip(sums, _planes(s), _planes(y)):
        s_waves, y_waves = map(torch.fft.rfft2, planes)  # (H, W // 2 + 1)
        for first, last in _rows(s):
            rows = slice(first, last)
            waves = s_waves[rows].conj()
            products = torch.stack([(waves * y_waves[rows]).real, (waves * s_waves[rows]).real]).to(sums.dtype)
            # A product of matrices adds in the same order each time, which a scatter does not on a GPU.
            by_band += products.flatten(1) @ _membership(*size_of(s), first, last, sums.dtype, s.device)
    return sums.transpose(0, 1)


def _by_square(planes: Iterable[Tensor]) -> Tensor:
    """The sum of planes (H, W), averaged over the squares of the picture and divided by its mean: (1, 1, h, w)."""
    total = functools.reduce(Tensor.add_, planes)[None, None]  # (1, 1, H, W)
    height, width = (max(1, round(length / SQUARE)) for length in size_of(total))
    squares = F.adaptive_avg_pool2d(total, (height, width))
    return squares / squares.mean()


def _at_frequencies(by_band: Tensor, like: Tensor) -> Tensor:
    """Values by band (3, BANDS), interpolated at the frequencies of a picture: (3, H, W // 2 + 1)."""
    height, width = size_of(like)
    by_band = by_band.to(like.dtype)
    by_frequency = like.new_empty((len(AXES), height, width // 2 + 1))
    for first, last in _rows(like):
        positions = _band_positions(height, width, first, last, like.dtype, like.device)
        lower = positions.long().clamp_max(BANDS - 2)
        for out, values in zip(by_frequency, by_band):
            torch.lerp(values[lower], values[lower + 1], positions - lower, out=out[first:last])
    return by_frequency


def _filter(plane: Tensor, gains: Tensor) -> Tensor:
    """A plane (H, W) with its frequencies multiplied by gains (H, W // 2 + 1)."""
    waves = torch.fft.rfft2(plane).mul_(gains)  # the other half is their mirror image
    filtered: Tensor = torch.fft.irfft2(waves, s=plane.shape)
    return filtered


def _planes(picture: Tensor) -> Iterator[Tensor]:
    """A picture (1, 3, H, W) along the colour axes: planes (H, W), one at a time to save memory."""
    return (torch.tensordot(axis, picture[0], 1) for axis in _axes(picture))


def _axes(picture: Tensor) -> Tensor:
    axes = picture.new_tensor(AXES)
    return axes / axes.square().sum(1, keepdim=True).sqrt()


def _rows(like: Tensor) -> Iterator[tuple[int, int]]:
    """(first, end) of the rows of a picture's frequencies (H, W // 2 + 1), CHUNK frequencies at a time."""
    height, width = size_of(like)
    step = max(1, CHUNK // (width // 2 + 1))
    return ((first, min(first + step, height)) for first in range(0, height, step))


@lru_cache(maxsize=2)  # a picture of one chunk needs the same at every step
def _band_positions(height: int, width: int, first: int, last: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Where the frequencies of some rows lie on the scale of bands, 0 to BANDS - 1: (rows, W // 2 + 1)."""
    vertical = torch.fft.fftfreq(height, dtype=dtype, device=device)[first:last].square()
    horizontal = torch.fft.rfftfreq(width, dtype=dtype, device=device).square()
    squared = vertical[:, None] + horizontal  # 1/2 at the highest frequency; half an octave lower halves it
    positions: Tensor = (BANDS - 1 + (2 * squared).log2()).clamp_(0, BANDS - 1)
    return positions


@lru_cache(maxsize=1)
def _membership(height: int, width: int, first: int, last: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """1 where a frequency of some rows is in a band, else 0: (rows * (W // 2 + 1), BANDS)."""
    bands = _band_positions(height, width, first, last, dtype, device).round().flatten()
    members: Tensor = bands[:, None] == torch.arange(BANDS, device=device)
    return members.to(dtype)


def _on_fft_device(values: Tensor) -> Tensor:
    """Moves from MPS, which does not have Fourier transforms in every version of torch, to the CPU."""
    return values.cpu() if values.device.type == "mps" else values
