"""A clip that is being painted: a folder beside the output, with its pieces and what each scene needs to go on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ..config import StyleTransferError
from ..files import write_atomically
from ..images.checks import quoted
from ..spectrum import Spectrum
from .clip import Part, join
from .paint import Past

SPECTRUM = [part.name for part in fields(Spectrum)]


@dataclass(frozen=True)
class Scene:
    """A part of a clip without a cut: its first frame's number, and the time of each of its frames."""

    start: int
    times: tuple[float, ...]


class Work:
    """The folder of a clip that is being painted.

    inputs: everything that the frames depend on; a folder with frames of other inputs, or with other files, is refused.
    Raises StyleTransferError.
    """

    def __init__(self, output: Path, scenes: Sequence[Scene], inputs: Mapping[str, Any]) -> None:
        self.output, self.scenes = output, scenes
        self.folder = output.with_name(f"{output.name}.parts")
        note, digest = self.folder / "inputs", hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()
        if self.folder.exists():
            other = not note.is_file() or note.read_text() != digest
            if other and (not note.is_file() or any(self.folder.glob("*.safetensors"))):
                raise StyleTransferError(
                    f"{quoted(self.folder.name)} holds a clip that was begun with other pictures or settings: "
                    "go on with those, remove the folder, or choose another output"
                )
        self.folder.mkdir(exist_ok=True)
        write_atomically(note, digest.encode())

    @property
    def kind(self) -> str:
        """What is written: `.mp4` or `.webm`."""
        return self.output.suffix.lower()

    @cached_property
    def times(self) -> list[float]:
        """Seconds from the beginning of the clip, for every frame."""
        return [time for scene in self.scenes for time in scene.times]

    @cached_property
    def fps(self) -> float:
        """Frames a second, on average."""
        span = self.times[-1] - self.times[0]
        return (len(self.times) - 1) / span if span > 0 else 25.0

    def piece(self, scene: Scene, frame: int) -> Path:
        """The file of a scene's frames from number `frame` on."""
        return self.folder / f"{scene.start:06d}-{frame:06d}.mp4"

    def state(self, scene: Scene) -> Path:
        """The file with what a scene needs to go on."""
        return self.folder / f"{scene.start:06d}.safetensors"

    def save(self, scene: Scene, done: int, past: Past) -> None:
        """Keep what the scene needs to go on after its first `done` frames."""
        tensors = {f"content/{place}": image for place, image in enumerate(past.contents)}
        tensors |= {f"result/{place}": image for place, image in enumerate(past.results)}
        if past.spectrum is not None:
            tensors |= {f"spectrum/{name}": getattr(past.spectrum, name) for name in SPECTRUM}
        whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        write_atomically(self.state(scene), save(whole, {"done": str(done)}))

    def load(self, scene: Scene) -> tuple[int, Past]:
        """How many of a scene's frames are done, and what the next one needs."""
        path = self.state(scene)
        if not path.exists():
            return 0, Past()
        try:
            with safe_open(path, "pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                done = int(file.metadata()["done"])
        except (SafetensorError, OSError, ValueError, KeyError, TypeError):
            return 0, Past()  # damaged: the scene is painted again
        spectrum = None
        if "spectrum/sy" in tensors:
            spectrum = Spectrum(*(tensors[f"spectrum/{name}"] for name in SPECTRUM))
        return done, Past(_numbered(tensors, "content"), _numbered(tensors, "result"), spectrum)

    def finish(self, source: Path) -> int:
        """Write the clip up to the first missing frame, and return its number of frames; remove the folder where none
        is missing.
        """
        parts, frames, begin = list[Part](), 0, self.scenes[0].times[0]
        for scene in self.scenes:
            done, _ = self.load(scene)
            starts = [int(path.stem.split("-")[1]) for path in sorted(self.folder.glob(f"{scene.start:06d}-*.mp4"))]
            starts = [start for start in starts if start < done]
            for start, end in zip(starts, [*starts[1:], done]):
                parts.append(Part(self.piece(scene, start), end - start, scene.times[start] - begin))
            frames += done
            if done < len(scene.times):
                break
        whole = frames == len(self.times)
        if frames:
            join(parts, self.output, source, self.times[-1] - begin + 1 / self.fps if whole else self.times[frames])
        if whole:
            shutil.rmtree(self.folder)
        return frames


def _numbered(tensors: Mapping[str, Tensor], kind: str) -> tuple[Tensor, ...]:
    count = sum(name.startswith(f"{kind}/") for name in tensors)
    return tuple(tensors[f"{kind}/{place}"] for place in range(count))


def digest_of(file: Path) -> str:
    """A digest of a file's content."""
    digest = hashlib.sha256()
    with open(file, "rb") as data:
        while block := data.read(2**20):
            digest.update(block)
    return digest.hexdigest()
