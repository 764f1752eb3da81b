"""A few pictures as a clip without sound, such as the timelapse of a run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from torch import Tensor

from ..config import StyleTransferError
from ..pixels import resize, size_of
from .clip import Frame, Part, Piece, even, join


def save_film(images: Sequence[Tensor], path: Path, *, seconds: float = 0.1, hold: float = 1.5) -> None:
    """Write pictures (1, 3, H, W) of one size in [0, 1] as a clip, its kind by the name's ending.

    Every picture is shown for `seconds`, the last one for `hold`; both sides become even, as encoders want them. The
    file appears when it is complete. Raises StyleTransferError.
    """
    if not images or len({image.shape for image in images}) > 1:
        raise StyleTransferError("a film needs pictures of one size: at least one")
    size = even(size_of(images[0]))
    frames = [resize(image, size) for image in images]
    frames += frames[-1:] * (round(hold / seconds) - 1)
    with TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        with closing(Piece(file, path.suffix.lower(), size, 1 / seconds)) as piece:
            for number, image in enumerate(frames):
                piece.write(Frame(number * seconds, image))
        join([Part(file, len(frames), 0.0)], path, file, len(frames) * seconds)
