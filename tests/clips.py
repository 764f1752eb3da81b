"""Clips for the tests, made here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from oracles import noise

from styletransfer.pixels import resample

av = pytest.importorskip("av", reason="no PyAV here: pip install av")
pytest.importorskip("cv2", reason="no OpenCV here: pip install opencv-python-headless")

MARK = (230, 40, 40)  # of the upper left corner


def images(count: int, height: int = 48, width: int = 64, seed: int = 0) -> list[np.ndarray]:
    """A pan over soft grey spots, with a red mark in the upper left corner."""
    whole = (
        resample(noise(1, 1, 6, 20, seed=seed).float(), (height, width + 2 * count)).clamp(0, 1).expand(1, 3, -1, -1)
    )
    frames = []
    for number in range(count):
        values = (whole[0, ..., 2 * number : 2 * number + width] * 255).round().byte().permute(1, 2, 0).numpy().copy()
        values[: height // 4, : width // 4] = MARK
        frames.append(values)
    return frames


def make(path: Path, frames: Sequence[np.ndarray], codec: str = "libx264", sound: str = "", fps: int = 10) -> Path:
    """A clip; its sound is a tone."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, fps)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "rgb8" if codec == "gif" else "yuv420p"
        tone = container.add_stream(sound, 48000, layout="stereo") if sound else None
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
        if tone is not None:
            for number in range(len(frames)):
                wave = np.sin(np.arange(4800) * 0.05, dtype=np.float32)[None].repeat(2, 0) / 2
                samples = av.AudioFrame.from_ndarray(wave, format="fltp", layout="stereo")
                samples.sample_rate, samples.pts = 48000, 4800 * number
                container.mux(tone.encode(samples))
            container.mux(tone.encode(None))
    return path


def codecs(path: Path) -> list[str]:
    with av.open(str(path)) as container:
        return [stream.codec_context.codec.canonical_name for stream in container.streams]
