"""Make the small pictures of the page from the bundled ones: `python examples/small.py [-o FOLDER]`.

Thumbnails of all, copies to look at of styles and results, the picture of a shared link, and the icon. Needs pillow;
to be run when a bundled picture changes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

HERE = Path(__file__).parent
SIDE = 160  # of a thumbnail: a tile of 96 pixels is still sharp on most screens
LOOK = {"styles": 400, "results": 640}  # long side of the copies to look at
CARD = (1200, 630)  # the size that sites show shared links in
PAIR = ("photos/temple.jpg", "results/temple-night.jpg")


def thumbnail(file: Path) -> Image.Image:
    """The middle of a picture, 4 to 3."""
    return ImageOps.fit(Image.open(file).convert("RGB"), (SIDE, SIDE * 3 // 4), Image.Resampling.LANCZOS)


def halves(size: tuple[int, int], slant: int = 0) -> Image.Image:
    """The photograph on the left and its painting on the right, with a white line between them."""
    photograph, painting = (
        ImageOps.fit(Image.open(HERE / file).convert("RGB"), size, Image.Resampling.LANCZOS) for file in PAIR
    )
    (width, height), middle = size, 2 * size[0] // 5
    mask = Image.new("L", size, 0)
    edge = [(middle + slant, 0), (middle - slant, height)]
    ImageDraw.Draw(mask).polygon([*edge, (0, height), (0, 0)], fill=255)
    painting.paste(photograph, mask=mask)
    ImageDraw.Draw(painting).line(edge, fill="white", width=max(2, width // 200))
    return painting


def icon(side: int = 64) -> Image.Image:
    """The two halves with round corners."""
    large = halves((4 * side, 4 * side), slant=side // 2)
    corners = Image.new("L", large.size, 0)
    ImageDraw.Draw(corners).rounded_rectangle((0, 0, 4 * side - 1, 4 * side - 1), radius=side, fill=255)
    large.putalpha(corners)
    return large.resize((side, side), Image.Resampling.LANCZOS)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the small pictures of the page.")
    parser.add_argument("-o", "--folder", type=Path, default=HERE / "small", help="where to save them")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    listed = json.loads((HERE / "examples.json").read_text(encoding="utf-8"))
    for kind, entries in listed.items():
        for file in (HERE / entry["file"] for entry in entries):
            thumbnail(file).save(folder / f"{file.stem}.webp", quality=80, method=6)
            if kind in LOOK:
                copy = ImageOps.contain(Image.open(file), (LOOK[kind],) * 2, Image.Resampling.LANCZOS)
                copy.save(folder / f"{file.stem}-look.webp", quality=80, method=6)
    halves(CARD, slant=60).save(folder / "card.jpg", quality=85, optimize=True)
    icon().save(folder / "icon.png", optimize=True)


if __name__ == "__main__":
    main()
