"""How strongly a loss curves at each frequency, in each colour and at each place of a picture, learnt from an
optimiser's steps.

L-BFGS starts from a guess of the Hessian that is one number, s.y / s.s of a step s and the gradient's change y (Nocedal
and Wright 2006, section 7.2). Seen through VGG-19, though, lightness at five pixels a wave was measured to curve a
thousand times more than colour at two and a half, and pictures are known to be better conditioned in Fourier space and
decorrelated colours (Olah, Mordvintsev and Schubert 2017, Feature Visualization). Here that number is taken for each
band of frequencies on each of three axes of colour: 60 steps did what 100 had done, on three pairs at 256 px. What
squares of the picture curve beyond that multiplies it: 76 steps ended 1.5 to 3 % lower, on three pairs at 384 px.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from .losses import widest
from .pixels import resample, size_of

AXES = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))  # lightness and two opponent colours, orthogonal
BANDS = 13  # half octaves, up to a picture's highest frequency, half a wave a pixel along both sides
FADING = 0.9  # what a step further back counts
DUST = 1e-9  # share of the steps below which a band holds rounding alone
FLOOR = 0.04  # least curvature beside the strongest: the flattest directions are no loss's to decide
SQUARE = 16  # pixels along the sides of the squares that are told apart
CONTRAST = 4.0  # most that a square may curve above or below what its frequencies say
CHUNK = 2**20  # frequencies that are weighed at a time


@dataclass(frozen=True)
class Spectrum:
    """Sums over an optimiser's steps. By axis of colour and band, (3, BANDS): `bends` of s.y and `moves` of s.s, each
    step's over its own whole s.s. By square of the picture, (1, 1, h, w): `bent` of s.y and `expected` of what the
    bands say s.y would be, each over its own mean. Bands are in waves a pixel, and so serve pictures of any size.
    """

    bends: Tensor
    moves: Tensor
    bent: Tensor
    expected: Tensor

    @cached_property
    def curvature(self) -> Tensor:
        """In each band, relative to the strongest and at least FLOOR (3, BANDS); the strongest where no step went."""
        return _curvature(self.bends, self.moves)

    @cached_property
    def contrast(self) -> Tensor:
        """Curvature of each square over what the bands say (1, 1, h, w), within CONTRAST of 1."""
        return (self.bent / self.expected).nan_to_num(1).clamp(1 / CONTRAST, CONTRAST)

    def divider(self, like: Tensor) -> Callable[[Tensor], Tensor]:
        """A map of values (1, 3, H, W) that divides each wave by its band's curvature and each place by its square's:
        symmetric, positive definite.
        """
        like = _near(like)
        gains = _by_frequency(1 / self.curvature, like)
        spread = resample(self.contrast.to(like), size_of(like), "bilinear").rsqrt_()

        def divide(values: Tensor) -> Tensor:
            divided = _near(values) * spread
            # In place, while its planes are taken: the axes are orthogonal, so that one leaves the others as they are.
            for axis, plane, each in zip(_axes(like), _planes(divided), gains):
                divided[0].addcmul_(axis.view(3, 1, 1), _filtered(plane, each).sub_(plane))
            return divided.mul_(spread).to(values.device)

        return divide


def learnt(spectrum: Spectrum | None, move: Tensor, change: Tensor) -> Spectrum:
    """What was known, and one more step (1, 3, H, W) with the change of the gradient along it."""
    move, change = _near(move), _near(change)
    bends, moves = _by_band(move, change)
    bends, moves = bends / moves.sum(), moves / moves.sum()
    if spectrum is not None:
        bends, moves = FADING * spectrum.bends + bends, FADING * spectrum.moves + moves
    gains = _by_frequency(_curvature(bends, moves), move)
    bent = _by_square(one * other for one, other in zip(move[0], change[0]))
    expected = _by_square(plane * _filtered(plane, each) for plane, each in zip(_planes(move), gains))
    if spectrum is not None:
        squares = size_of(bent)
        bent = FADING * resample(spectrum.bent, squares, "bilinear") + bent
        expected = FADING * resample(spectrum.expected, squares, "bilinear") + expected
    return Spectrum(bends, moves, bent, expected)


def _curvature(bends: Tensor, moves: Tensor) -> Tensor:
    found = torch.where(moves > DUST, (bends / moves).clamp_min(0), torch.nan)
    strongest = found.nan_to_num(0).max().clamp_min(torch.finfo(found.dtype).tiny)
    return (found / strongest).nan_to_num(1) + FLOOR


def _by_band(move: Tensor, change: Tensor) -> Tensor:
    """Products of a step's waves with the change's and with themselves, summed by axis and band (2, 3, BANDS)."""
    found = torch.zeros(2, len(AXES), BANDS, dtype=widest(move.device), device=move.device)
    for number, planes in enumerate(zip(_planes(move), _planes(change))):
        one, other = map(torch.fft.rfft2, planes)
        for rows, places in _places(move):
            bands = places.round().long().flatten()
            for sums, factor in zip(found[:, number], (other[rows], one[rows])):
                sums.scatter_add_(0, bands, (one[rows].conj() * factor).real.flatten().to(sums.dtype))
    return found


def _by_square(planes: Iterable[Tensor]) -> Tensor:
    """The sum of planes (H, W), by square of the picture, over its mean (1, 1, h, w)."""
    whole = functools.reduce(Tensor.add_, planes)[None, None]
    height, width = (max(1, round(length / SQUARE)) for length in size_of(whole))
    found = F.adaptive_avg_pool2d(whole, (height, width))
    return found / found.mean()


def _by_frequency(by_band: Tensor, like: Tensor) -> Tensor:
    """Values by band (3, BANDS) at each frequency of a picture (3, H, W // 2 + 1), interpolated."""
    height, width = size_of(like)
    by_band = by_band.to(like.dtype)
    found = like.new_empty((len(AXES), height, width // 2 + 1))
    for rows, places in _places(like):
        lower = places.long().clamp_max(BANDS - 2)
        for each, values in zip(found, by_band):
            torch.lerp(values[lower], values[lower + 1], places - lower, out=each[rows])
    return found


def _filtered(plane: Tensor, gains: Tensor) -> Tensor:
    """Every wave of a plane (H, W) times its gain."""
    waves = torch.fft.rfft2(plane).mul_(gains)  # the other half mirrors these
    filtered: Tensor = torch.fft.irfft2(waves, s=plane.shape)
    return filtered


def _planes(picture: Tensor) -> Iterator[Tensor]:
    """A picture along each axis of colour (H, W), one at a time: those of a large one take much memory."""
    return (torch.tensordot(axis, picture[0], 1) for axis in _axes(picture))


def _axes(picture: Tensor) -> Tensor:
    axes = picture.new_tensor(AXES)
    return axes / axes.square().sum(1, keepdim=True).sqrt()


def _places(like: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Where each frequency lies among the bands, from 0 to BANDS - 1: some rows of H at a time, (rows, W // 2 + 1)."""
    height, width = size_of(like)
    down = torch.fft.fftfreq(height, dtype=like.dtype, device=like.device).square()
    across = torch.fft.rfftfreq(width, dtype=like.dtype, device=like.device).square()
    step = max(1, CHUNK // len(across))
    for start in range(0, height, step):
        rows = slice(start, start + step)
        squares = down[rows, None] + across  # 1/2 at the corner, and twice as much each half octave further
        yield rows, (BANDS - 1 + (2 * squares).log2()).clamp_(0, BANDS - 1)


def _near(values: Tensor) -> Tensor:
    """On the CPU where the device may lack Fourier transforms: not every version of torch has them on MPS."""
    return values.cpu() if values.device.type == "mps" else values
