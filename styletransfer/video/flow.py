"""Optical flow between two frames, what it moves, and where it can be trusted. The only user of OpenCV."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..pixels import Size, luminance, resample, size_of

SMALLEST = 64  # least short side that flow is computed at: very small pictures once crashed OpenCV
# More than the preset's 5: a tenth less error at the edges of what moves.
REFINEMENTS = 15
NEIGHBOURS = (4, 8)  # pixels; half a patch of the search, and a whole one
ALIKE = 0.05  # mean difference of two pixels' values up to which they show the same


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
    search.setVariationalRefinementIterations(REFINEMENTS)
    flow = torch.from_numpy(search.calc(_grey(first, size), _grey(second, size), None))  # (h, w, 2)
    scale = torch.tensor([width / size[1], height / size[0]])
    flow = (flow * scale).permute(2, 0, 1)[None].to(first)
    flow = flow if factor == 1 else resample(flow, (height, width), "bilinear")
    return _with_sharp_edges(flow, first, second)


def _with_sharp_edges(flow: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """The flow, with that of a pixel NEIGHBOURS away where the two frames are more alike with it.

    The search compares patches, so that at the edge of something that moves its flow is a mixture.
    """
    height, width = size_of(flow)
    candidates = [flow]
    for away in NEIGHBOURS:
        padded = F.pad(flow, (away,) * 4, "replicate")
        for top, left in ((0, away), (2 * away, away), (away, 0), (away, 2 * away)):
            candidates.append(padded[..., top : top + height, left : left + width])
    errors = torch.cat([_unlike(first, second, candidate) for candidate in candidates], dim=1)
    errors = F.avg_pool2d(errors, 3, 1, 1, count_include_pad=False)  # (1, 9, H, W), of each pixel with those around it
    errors[:, :1] = 0.8 * errors[:, :1] - 0.005  # where it makes no difference, the flow stays
    best = errors.argmin(1).expand(1, 2, -1, -1)  # (1, 2, H, W)
    chosen: Tensor = torch.cat(candidates).gather(0, best)
    return chosen


def _unlike(first: Tensor, second: Tensor, flow: Tensor) -> Tensor:
    """The mean difference (1, 1, H, W) of the values of the first frame and of the second, warped."""
    return (warped(second, flow, "bilinear") - first).abs().mean(1, keepdim=True)


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


def certain(backward: Tensor, forward: Tensor, later: Tensor, earlier: Tensor) -> Tensor:
    """Where the earlier frame (1, 3, H, W) shows what the later one shows: (1, 1, H, W), 1 or 0.

    backward: the flow from the later frame to the earlier; forward: the opposite. 0 where the two disagree, as where
    something was hidden, at the borders of what moves (Ruder, Dosovitskiy and Brox 2016, section 4.2, with the
    constants of Sundaram et al. 2010), and where the flow leaves the frame. Unlike there, a border counts only where
    the frames look different: the smooth flow of a zoom or a turn has the slopes of a border, too.
    """
    height, width = size_of(backward)
    there = warped(forward, backward, "bilinear")
    length = _squared(backward)
    hidden = _squared(there + backward) > 0.01 * (_squared(there) + length) + 0.5
    across, down = torch.gradient(backward, dim=(3, 2))
    boundary = _squared(across) + _squared(down) > 0.01 * length + 0.002
    boundary &= _unlike(later, earlier, backward) > ALIKE
    x, y = _points_in(backward).split(1, dim=1)
    outside = (x < -0.5) | (x > width - 0.5) | (y < -0.5) | (y > height - 0.5)
    known: Tensor = ~(hidden | boundary | outside)
    return known.to(backward)


def _squared(vectors: Tensor) -> Tensor:
    """Squared lengths (1, 1, H, W) of vectors (1, 2, H, W)."""
    return vectors.square().sum(1, keepdim=True)
