"""Clips: every frame painted, with strokes that stay on what they are painted on."""

from ..config import StyleTransferError
from ..extras import missing_for_clips
from .clip import READS, WRITES, Clip, Frame, Piece
from .paint import Past, paint_frames, scene_starts, seconds_of_frames
from .scenes import Glimpse, Order, Painted, paint_scene, painted, scan, scenes_of
from .work import Scene, Work, digest_of

__all__ = [
    "READS",
    "WRITES",
    "Clip",
    "Frame",
    "Glimpse",
    "Order",
    "Painted",
    "Past",
    "Piece",
    "Scene",
    "Work",
    "check_installed",
    "digest_of",
    "paint_frames",
    "paint_scene",
    "painted",
    "scan",
    "scene_starts",
    "scenes_of",
    "seconds_of_frames",
]


def check_installed() -> None:
    """Raises StyleTransferError where one of the extra packages is missing."""
    if missing := missing_for_clips():
        raise StyleTransferError(missing)
