"""What a run was said to take, and what it took: sizes and qualities in turn, each in a process of its own.

    python tests/benchmarks/estimates.py [--sizes 256,512,1024] [--qualities draft,balanced] [--limit 1.3] [--json FILE]

`told` is what `--dry-run` says, from a few steps at 64 and 192 px; `took` is the run itself, without loading anything.
Both the sum and each scale are compared. Exits with 1 where a sum is off by more than the limit, either way.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from plain import machine, write_json

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from styletransfer import RECIPES, allocator, load_image
from styletransfer.features import load_network
from styletransfer.pixels import size_of
from styletransfer.transfer import forecast, iterate


def one(options: argparse.Namespace, size: int, quality: str) -> None:
    """Estimate and run as our programs do, and print the seconds of each scale as JSON."""
    allocator.keep()
    config = replace(RECIPES[quality], size=size, network=options.network, weights=options.weights, device="cpu")
    content, style = (load_image(ROOT / "examples" / name) for name in ("photos/temple.jpg", "styles/night.jpg"))
    network = load_network(config)
    told = forecast(config, size_of(content), network, [size_of(style)]).seconds
    took, began = [0.0] * len(told), time.perf_counter()
    for step in iterate(content, [style], config, network=network, on_tight_memory=allocator.give_back):
        took[step.scale] += time.perf_counter() - began
        began = time.perf_counter()
    print(json.dumps({"size": size, "quality": quality, "told": told, "took": took}))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", default="256,512,1024")
    parser.add_argument("--qualities", default="draft,balanced")
    parser.add_argument("--network", default="builtin")
    parser.add_argument("--weights")
    parser.add_argument("--limit", type=float, default=1.3)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.one:
        one(options, int(options.one[0]), options.one[1])
        return 0
    rows: list[dict[str, Any]] = []
    print(machine())
    print("| size | quality | told, s | took, s | told / took | the same, scale by scale |")
    print("|---|---|---|---|---|---|")
    for quality in options.qualities.split(","):
        for size in options.sizes.split(","):
            command = [sys.executable, __file__, *sys.argv[1:], "--one", size, quality]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            row = json.loads(done.stdout.splitlines()[-1])
            rows.append(row)
            told, took = sum(row["told"]), sum(row["took"])
            scales = ", ".join(f"{guess / seconds:.2f}" for guess, seconds in zip(row["told"], row["took"]))
            print(f"| {size} | {quality} | {told:.1f} | {took:.1f} | {told / took:.2f} | {scales} |", flush=True)
    write_json(options.json, rows)
    ratios = [sum(row["told"]) / sum(row["took"]) for row in rows]
    return 0 if all(1 / options.limit <= ratio <= options.limit for ratio in ratios) else 1


if __name__ == "__main__":
    sys.exit(main())
