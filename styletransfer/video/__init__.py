"""Clips: every frame painted, with strokes that stay on what they are painted on."""

from .clip import READS, WRITES, Clip, Frame, Piece
from .paint import Past, further_steps, paint_frames, scene_starts
from .work import Scene, Work, digest_of

__all__ = [
    "READS",
    "WRITES",
    "Clip",
    "Frame",
    "Past",
    "Piece",
    "Scene",
    "Work",
    "check_installed",
    "digest_of",
    "further_steps",
    "paint_frames",
    "scene_starts",
]


def check_installed() -> None:
    """Raises StyleTransferError where one of the extra packages is missing."""
    from . import clip, flow

    clip.check_installed()
    flow.check_installed()
