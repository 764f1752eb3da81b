"""One picture shared out in tiles: loss and gradient by two of Ray's workers of one thread against one of them.

    python tests/benchmarks/wall.py [--size 2048] [--tile 512] [--workers 1,2] [--repeats 3] [--json FILE]

Each number of workers has a cluster of its own, in a process of its own; every worker computes with one thread, and
the process that shares out computes none of the tiles. `mapped` is a tile's share of bytes that travel: its pixels
there twice, and its gradient back; `packed` is what one core needs to copy and to pickle as much.
"""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from plain import machine, seconds_of, write_json

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from styletransfer import Config, cores, load_image
from styletransfer.engine import chosen
from styletransfer.features import load_network
from styletransfer.objective import Objective
from styletransfer.pixels import fit_size, resize, white_noise
from styletransfer.tiles import tiles_of


def one(options: argparse.Namespace, workers: int) -> None:
    """Evaluate with so many workers, and print the figures as JSON."""
    usable = cores.usable
    cores.usable = lambda: workers  # one thread each
    engine = chosen(argparse.Namespace(engine="ray", workers=workers, ray=None))
    cores.usable = usable
    size = fit_size((3, 4), options.size)
    config = Config(network="builtin", device="cpu", size=options.size)
    network = load_network(config)
    content, style = (
        resize(load_image(ROOT / "examples" / name), size) for name in ("photos/temple.jpg", "styles/night.jpg")
    )
    began = time.perf_counter()
    objective = Objective(network, config, content, [style], tile=options.tile, mapped=engine.map)
    targets = time.perf_counter() - began
    image = white_noise(size, torch.Generator().manual_seed(0))
    evaluation = objective(image)  # sends what the tiles need
    seconds = seconds_of(lambda: objective(image), options.repeats)
    stride, halo = max(network.reach(layer) for layer in objective.style_weights)
    tiles = tiles_of(size, options.tile, stride, halo)
    piece = tiles[len(tiles) // 2].outside(image).clone()
    packing = seconds_of(lambda: pickle.loads(pickle.dumps(piece.clone())), options.repeats)
    figures = {
        "workers": workers,
        "size": f"{size[1]}x{size[0]}",
        "tiles": len(tiles),
        "targets": targets,
        "seconds": seconds,
        "loss": float(evaluation.loss),
        "mapped": 3 * piece.nbytes,
        "packed": 3 * packing,
    }
    print(json.dumps(figures))
    engine.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--tile", type=int, default=512)
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.one:
        one(options, options.one)
        return
    print(machine())
    titles = {
        "workers": 7,
        "size": 10,
        "tiles": 5,
        "targets s": 9,
        "seconds": 8,
        "times": 6,
        "MB/tile": 8,
        "packed s": 8,
    }
    print(*(f"{title:>{width}}" for title, width in titles.items()))
    rows: list[dict[str, Any]] = []
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    for workers in options.workers.split(","):
        command = [sys.executable, __file__, *sys.argv[1:], "--one", workers]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
        row = json.loads(done.stdout.splitlines()[-1])
        rows.append(row)
        print(
            f"{row['workers']:>7} {row['size']:>10} {row['tiles']:>5} {row['targets']:9.2f} {row['seconds']:8.2f} "
            f"{rows[0]['seconds'] / row['seconds']:6.2f} {row['mapped'] / 1e6:8.2f} {row['packed']:8.4f}",
            flush=True,
        )
    assert len({row["loss"] for row in rows}) == 1, "the losses differ"
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
