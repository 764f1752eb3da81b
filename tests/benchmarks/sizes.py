"""What loss and gradient cost at every size: seconds and peak memory from 256 px on, each in its own process.

    python tests/benchmarks/sizes.py [--sizes 256,512,1024] [--network builtin] [--plot FILE.png] [--json FILE]

Memory is the process's whole, interpreter and libraries included; `planned` is what the plan said beforehand.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from plain import machine, write_json

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from styletransfer import Config, allocator, load_image
from styletransfer.features import load_network
from styletransfer.pixels import fit_size, resize
from styletransfer.plan import make_plan, peak_memory, seconds_of_scales
from styletransfer.transfer import iterate


def one(options: argparse.Namespace, size: int) -> None:
    """Run a few steps at one size, as our programs do, and print the figures as JSON."""
    allocator.keep()
    config = Config(
        network=options.network,
        weights=options.weights,
        size=size,
        scales=(1.0,),
        iterations=(options.steps,),
        tile=options.tile,
        history=options.history,
        device="cpu",
    )
    photo = load_image(ROOT / "examples" / "photos" / "temple.jpg")
    frame = fit_size((3, 4), size)
    content, style = resize(photo, frame), load_image(ROOT / "examples" / "styles" / "night.jpg")
    network = load_network(config)
    plan = make_plan(network, config, frame)
    (told,) = seconds_of_scales(network, config, [(frame, options.steps)], plan.tile)
    began = time.perf_counter()
    for step in iterate(content, [style], config, network=network, on_tight_memory=allocator.give_back):
        evaluations = step.evaluations  # the first steps spend several
    seconds = time.perf_counter() - began
    figures = {
        "size": f"{frame[1]}x{frame[0]}",
        "pixels": frame[0] * frame[1],
        "tile": plan.tile,
        "step": seconds / (evaluations + 1),  # the targets cost about one
        "total": seconds,
        "told": told,
        "memory": peak_memory()["process"],
        "planned": plan.memory,
    }
    print(json.dumps(figures))


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds an evaluation and memory over the picture's side, both axes logarithmic, drawn with Pillow alone."""
    image = Image.new("RGB", (900, 420), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(15)
    panel(draw, font, 70, rows, [row["step"] for row in rows], "seconds an evaluation", "#0f766e")
    panel(draw, font, 520, rows, [row["memory"] / 2**20 for row in rows], "peak memory in MB", "#b45309")
    image.save(path)


def panel(
    draw: Any, font: Any, left: int, rows: list[dict[str, Any]], values: list[float], label: str, color: str
) -> None:
    right, top, bottom = left + 350, 60, 350
    logs = [math.log10(row["pixels"]) for row in rows]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    xs = [left + (right - left) * (x - logs[0]) / max(1e-9, logs[-1] - logs[0]) for x in logs]
    ys = [bottom - (bottom - top) * (math.log10(value) - low) / max(1, high - low) for value in values]
    for decade in range(low, high + 1):
        y = bottom - (bottom - top) * (decade - low) / max(1, high - low)
        draw.line([(left, y), (right, y)], fill="#dddddd")
        draw.text((left - 8, y), f"{10**decade:g}", fill="#444444", font=font, anchor="rm")
    draw.line(list(zip(xs, ys)), fill=color, width=3)
    for x, y, row in zip(xs, ys, rows):
        draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=color)
        draw.text((x, bottom + 12), row["size"].split("x")[0], fill="#444444", font=font, anchor="mt")
    draw.text(((left + right) / 2, 30), label, fill="#222222", font=font, anchor="mm")
    draw.text(((left + right) / 2, 400), "long side in pixels", fill="#444444", font=font, anchor="mm")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="256,512,1024,2048,4096")
    parser.add_argument("--network", default="builtin")
    parser.add_argument("--weights")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--tile", type=int, default=0)
    parser.add_argument("--history", type=int, default=Config.history)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.one:
        one(options, options.one)
        return
    rows = []
    print(machine())
    print(
        f"{'size':>11} {'tile':>5} {'seconds':>9} {'us/pixel':>9} {'peak MB':>8} {'planned':>8} "
        f"{'told s':>7} {'took s':>7}"
    )
    for size in options.sizes.split(","):
        done = subprocess.run(
            [sys.executable, __file__, *sys.argv[1:], "--one", size], capture_output=True, text=True, check=True
        )
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        print(
            f"{row['size']:>11} {row['tile']:>5} {row['step']:9.3f} {1e6 * row['step'] / row['pixels']:9.2f} "
            f"{row['memory'] >> 20:8} {row['planned'] >> 20:8} {row['told']:7.1f} {row['total']:7.1f}",
            flush=True,
        )
    if options.plot:
        plot(rows, options.plot)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
