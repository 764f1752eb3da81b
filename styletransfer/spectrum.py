"""How strongly a loss curves at each frequency and in each colour of a picture, learnt from the steps of an optimiser.

L-BFGS starts from a guess of the Hessian that is one number, s.y / s.s of a step s and the gradient's change y (Nocedal
and Wright 2006, section 7.2). Seen through VGG-19, though, lightness at five pixels a wave was measured to curve a
thousand times more than colour at two and a half, and pictures are known to be better conditioned in Fourier space and
decorrelated colours (Olah, Mordvintsev and Schubert 2017, Feature Visualization). Here that number is taken for each
band of frequencies on each of three axes of colour: 60 steps did what 100 had done, on three pairs at 256 px.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from .losses import widest
from .pixels import Size, size_of

AXES = ((1.0, 1.0, 1.0), (1.0, 0.0, -1.0), (1.0, -2.0, 1.0))  # lightness and two opponent colours, orthogonal
BANDS = 13  # half octaves, up to a picture's highest frequency, half a wave a pixel along both sides
FADING = 0.9  # what a step further back counts
DUST = 1e-9  # share of the steps below which a band holds rounding alone
FLOOR = 0.04  # least curvature beside the strongest: the flattest directions are no loss's to decide


@dataclass(frozen=True)
class Spectrum:
    """Sums over an optimiser's steps by axis of colour and band, (3, BANDS): `bends` of s.y and `moves` of s.s, each
    step's over its own whole s.s. Bands are in waves a pixel, and so serve pictures of any size.
    """

    bends: Tensor
    moves: Tensor

    @cached_property
    def curvature(self) -> Tensor:
        """In each band, relative to the strongest and at least FLOOR (3, BANDS); the strongest where no step went."""
        found = torch.where(self.moves > DUST, (self.bends / self.moves).clamp_min(0), torch.nan)
        strongest = found.nan_to_num(0).max().clamp_min(torch.finfo(found.dtype).tiny)
        relative: Tensor = (found / strongest).nan_to_num(1) + FLOOR
        return relative

    def divider(self, size: Size, like: Tensor) -> Callable[[Tensor], Tensor]:
        """A map of values (1, 3, H, W) that divides each wave by its band's curvature: symmetric, positive definite."""
        like = _near(like)
        inverse = (1 / self.curvature).to(like.dtype)
        places = _places(size, like)
        lower = places.long().clamp_max(BANDS - 2)
        gains = torch.stack([torch.lerp(each[lower], each[lower + 1], places - lower) for each in inverse])
        axes = _axes(like)

        def divide(values: Tensor) -> Tensor:
            colours = (axes @ _near(values)[0].flatten(1)).view(3, *size)
            waves = torch.fft.rfft2(colours).mul_(gains)  # half of the plane: the other half mirrors it
            divided: Tensor = axes.T @ torch.fft.irfft2(waves, s=size).flatten(1)
            return divided.view(values.shape).to(values.device)

        return divide


def learnt(spectrum: Spectrum | None, move: Tensor, change: Tensor) -> Spectrum:
    """What was known, and one more step (1, 3, H, W) with the change of the gradient along it."""
    move, change = _near(move), _near(change)
    bands = _places(size_of(move), move).round().long().flatten()
    exact = widest(move.device)

    def by_band(values: Tensor) -> Tensor:
        sums = torch.zeros(BANDS, dtype=exact, device=values.device)
        return sums.index_add_(0, bands, values.flatten().to(exact))

    found = []
    for axis in _axes(move):  # one at a time: of a large picture each takes a third of its memory, several times
        one, other = (torch.fft.rfft2(torch.tensordot(axis, each[0], 1)) for each in (move, change))
        found.append((by_band((one.conj() * other).real), by_band(one.real.square() + one.imag.square())))
    bends, moves = (torch.stack(each) for each in zip(*found))
    whole = moves.sum()
    if spectrum is None:
        return Spectrum(bends / whole, moves / whole)
    return Spectrum(FADING * spectrum.bends + bends / whole, FADING * spectrum.moves + moves / whole)


def _axes(picture: Tensor) -> Tensor:
    axes = picture.new_tensor(AXES)
    return axes / axes.square().sum(1, keepdim=True).sqrt()


def _places(size: Size, like: Tensor) -> Tensor:
    """Where each frequency lies among the bands, from 0 to BANDS - 1 (H, W // 2 + 1)."""
    down = torch.fft.fftfreq(size[0], dtype=like.dtype, device=like.device)
    across = torch.fft.rfftfreq(size[1], dtype=like.dtype, device=like.device)
    squared = down[:, None].square() + across.square()
    places: Tensor = BANDS - 1 + (2 * squared).log2()  # the corner has 1/2, and an octave of the square is half of one
    return places.clamp(0, BANDS - 1)


def _near(values: Tensor) -> Tensor:
    """On the CPU where the device may lack Fourier transforms: not every version of torch has them on MPS."""
    return values.cpu() if values.device.type == "mps" else values
