"""Paint the bundled style pictures: `python examples/paint.py [--only NAME] [--seed N] [-o FOLDER]`.

Every picture is computed from nothing but the code in `painting/` and a seed made of its name, so that a run repaints
them all alike; another seed paints other pictures in the same manner. Needs numpy and pillow; takes two to three
minutes on one core.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from painting.autumn import autumn
from painting.cubist import cubist
from painting.dots import dots
from painting.glass import glass
from painting.ink import ink
from painting.linocut import linocut
from painting.marble import marble
from painting.mosaic import mosaic
from painting.night import night
from painting.tools import Array, Rng, finished
from painting.watercolour import watercolour
from painting.wave import wave

PAINTERS: tuple[Callable[[Rng], Array], ...] = (
    night,
    wave,
    glass,
    autumn,
    dots,
    mosaic,
    cubist,
    marble,
    ink,
    watercolour,
    linocut,
)
QUALITY = 90


def paint(painter: Callable[[Rng], Array], folder: Path, seed: int | None = None) -> Path:
    """Paint one picture and save it as NAME.jpg in the folder; by default with the seed made of its name."""
    name = painter.__name__
    picture = finished(painter(np.random.default_rng(zlib.crc32(name.encode()) if seed is None else seed)))
    path = folder / f"{name}.jpg"
    picture.save(path, quality=QUALITY, optimize=True)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description="Paint the bundled style pictures.")
    parser.add_argument("--only", choices=[painter.__name__ for painter in PAINTERS], help="paint this one alone")
    parser.add_argument("--seed", type=int, help="paint other pictures in the same manner (default: the bundled ones)")
    parser.add_argument(
        "-o", "--folder", type=Path, default=Path(__file__).parent / "styles", help="where to save them"
    )
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for painter in PAINTERS:
        if options.only in (None, painter.__name__):
            print(paint(painter, options.folder, options.seed))


if __name__ == "__main__":
    main()
