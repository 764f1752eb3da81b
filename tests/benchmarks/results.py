"""Make the finished pictures that the app and the README show, with the command line as a user would.

    python tests/benchmarks/results.py [--size 640] [--again] [--vgg WEIGHTS]

Every pair of examples/examples.json goes to examples/results/, and its command into that file. The first pair's run is
also an animation, and its photograph is painted in every style for the grid of the README. With VGG-19's weights, the
first pair is painted at 384 px with both networks, for the built-in network's card.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from styletransfer import Config, iterate, load_image, resize, save_image, stylize
from styletransfer.images import save_animation
from styletransfer.pixels import size_of

EXAMPLES = ROOT / "examples"
TILE, COLUMNS, GAP = 360, 4, 6  # the grid: long side of a tile in pixels, tiles a row, pixels between them


def command_of(words: list[str]) -> str:
    """A command line as one would type it."""
    return " ".join(["python -m styletransfer", *words])


def paint(words: list[str], output: Path, again: bool) -> None:
    """Run a command line from the repository's root, unless its picture is there."""
    if again or not output.exists():
        subprocess.run([sys.executable, "-m", "styletransfer", *words, "--quiet"], cwd=ROOT, check=True)


def animate(content: Path, style: Path, output: Path, again: bool) -> None:
    """A short animation of a run, coarse to fine, for the README."""
    if output.exists() and not again:
        return
    config, frames = Config(size=320), []
    for number, step in enumerate(iterate(load_image(content), [load_image(style)], config)):
        if number < 12 or number % 6 == 0:
            frames.append(step.image)
    frames.append(step.image)
    save_animation([resize(frame, (step.size[0], step.size[1])) for frame in frames], output, quality=70)


def grid(photo: Path, styles: list[Path], output: Path, again: bool) -> None:
    """The photograph, and the photograph in every style, four tiles a row."""
    if output.exists() and not again:
        return
    content = load_image(photo)
    config = Config(size=TILE)
    painted = [stylize(content, [load_image(style)], config).image for style in styles]
    tiles = [resize(content, size_of(painted[0])), *painted]
    height, width = size_of(tiles[0])
    rows = -(-len(tiles) // COLUMNS)
    sheet = torch.ones(1, 3, rows * (height + GAP) - GAP, COLUMNS * (width + GAP) - GAP)
    for number, tile in enumerate(tiles):
        top, left = number // COLUMNS * (height + GAP), number % COLUMNS * (width + GAP)
        sheet[..., top : top + height, left : left + width] = tile
    save_image(sheet, output)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--again", action="store_true", help="paint those that are there already, too")
    parser.add_argument("--vgg", help="VGG-19 in the original's convention, to relu5_1 at least")
    options = parser.parse_args()
    results = EXAMPLES / "results"
    results.mkdir(exist_ok=True)
    listed = json.loads((EXAMPLES / "examples.json").read_text())
    titles = {entry["file"]: entry["title"] for kind in ("styles", "photos") for entry in listed[kind]}
    pairs, listed["results"] = listed["results"], []
    size = ["--size", str(options.size)]
    for pair in pairs:
        content, style = pair["content"], pair["style"]
        file = f"results/{Path(content).stem}-{Path(style).stem}.jpg"
        words = [f"examples/{content}", f"examples/{style}", "-o", f"examples/{file}", *size]
        paint(words, EXAMPLES / file, options.again)
        alt = f"{titles[content]}, repainted in the manner of {titles[style]}"
        entry = {"file": file, "content": content, "style": style, "command": command_of(words), "alt": alt}
        listed["results"].append(entry)
    lines = [
        f"  {json.dumps(kind)}: [\n"
        + ",\n".join("    " + json.dumps(each, ensure_ascii=False) for each in entries)
        + "\n  ]"
        for kind, entries in listed.items()
    ]
    (EXAMPLES / "examples.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    first = pairs[0]
    animate(EXAMPLES / first["content"], EXAMPLES / first["style"], results / "painting.webp", options.again)
    styles = [EXAMPLES / entry["file"] for entry in listed["styles"]]
    grid(EXAMPLES / first["content"], styles, results / "grid.jpg", options.again)
    if options.vgg:
        vgg = ["--network", "vgg19-caffe", "--weights", options.vgg]
        for name, network in (("builtin", ["--network", "builtin"]), ("vgg", vgg)):
            output = f"results/compare-{name}.jpg"
            words = [f"examples/{first['content']}", f"examples/{first['style']}", "-o", f"examples/{output}"]
            paint([*words, "--size", "384", *network], EXAMPLES / output, options.again)


if __name__ == "__main__":
    main()
