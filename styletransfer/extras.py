"""The optional packages of clips, and how to install those that are missing."""

from __future__ import annotations

from importlib.util import find_spec

CLIPS = {"av": "av>=15,<19", "cv2": "opencv-python-headless>=4.9,<6"}  # module, what to install


def missing_for_clips() -> str:
    """The packages to install before clips can be painted, as a sentence; empty if there are none."""
    missing = [f"'{package}'" for module, package in CLIPS.items() if find_spec(module) is None]
    return f"clips need extra packages: pip install {' '.join(missing)}" if missing else ""
