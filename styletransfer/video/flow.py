"""Optical flow between two frames, what it moves, and where it can be trusted. The only user of OpenCV."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..pixels import Size, luminance, resample, size_of

SMALLEST = 64  # least short side that flow is computed at: very small pictures once crashed OpenCV


def optical_flow(first: Tensor, second: Tensor) -> Tensor:
    """Where each pixel of the first frame is in the second: (1, 2, H, W), pixels to the right and down.

    first, second: (1, 3, H, W) in [0, 1]. Dense inverse search (Kroeger et al. 2016), which needs no weights.
    """
    import cv2

    height, width = size_of(first)
    factor = max(1.0, SMALLEST / min(height, width))
    size = round(height * factor), round(width * factor)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)  # every pixel: the preset's half size doubled the error on clips with known motion
    flow = torch.from_numpy(search.calc(_grey(first, size), _grey(second, size), None))  # (h, w, 2)
    scale = torch.tensor([width / size[1], height / size[0]])
    flow = (flow * scale).permute(2, 0, 1)[None].to(first)
    return flow if factor == 1 else resample(flow, (height, width), "bilinear")


def _grey(frame: Tensor, size: Size) -> np.ndarray:
    """Lightness in 0 .. 255 as OpenCV takes it, (H, W)."""
    grey = luminance(frame.float())
    grey = grey if size_of(grey) == size else resample(grey, size)
    return (grey[0, 0] * 255).round().clamp(0, 255).to(torch.uint8).contiguous().numpy()


def warped(values: Tensor, flow: Tensor, mode: str = "bicubic") -> Tensor:
    """The values (1, C, H, W) that the flow points at from each pixel; outside the picture, those at its border.

    Bicubic, because frame after frame bilinear would blur.
    """
    height, width = size_of(values)
    points = _points_in(flow)  # (1, 2, H, W)
    scale = points.new_tensor([2 / width, 2 / height]).view(1, 2, 1, 1)
    grid = ((points + 0.5) * scale - 1).permute(0, 2, 3, 1)  # (1, H, W, 2), the picture's edges at -1 and 1
    return F.grid_sample(values, grid.to(values), mode, "border", align_corners=False)


def _points_in(flow: Tensor) -> Tensor:
    """The points (x, y) that the flow leads to from each pixel, (1, 2, H, W)."""
    height, width = size_of(flow)
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return flow + torch.stack([columns, rows])[None].to(flow)


def certain(backward: Tensor, forward: Tensor) -> Tensor:
    """Where the earlier frame shows what the later one shows: (1, 1, H, W), 1 or 0.

    backward: the flow from the later frame to the earlier; forward: the opposite. 0 where the two disagree, as where
    something was hidden, at the borders of what moves (Ruder, Dosovitskiy and Brox 2016, section 4.2, with the
    constants of Sundaram et al. 2010), and where the flow leaves the frame.
    """
    height, width = size_of(backward)
    there = warped(forward, backward, "bilinear")
    length = _squared(backward)
    hidden = _squared(there + backward) > 0.01 * (_squared(there) + length) + 0.5
    across, down = torch.gradient(backward, dim=(3, 2))
    boundary = _squared(across) + _squared(down) > 0.01 * length + 0.002
    x, y = _points_in(backward).split(1, dim=1)
    outside = (x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)
    known: Tensor = ~(hidden | boundary | outside)
    return known.to(backward)


def _squared(vectors: Tensor) -> Tensor:
    """Squared lengths (1, 1, H, W) of vectors (1, 2, H, W)."""
    return vectors.square().sum(1, keepdim=True)
