"""How much other programs on the same cores slow a run down: alone, beside one busy process, and beside two.

    python tests/benchmarks/neighbours.py --content PHOTO --style PAINTING [--size 256] [--quality draft]

Every figure is the median of whole runs of the command line, in seconds; the ratio is to the run alone. Waiting threads
of OpenMP burn the cores that others need (`active`) or sleep (`passive`): the first row is the command line as it is,
the others override its choice.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from plain import machine, write_json

ROOT = Path(__file__).parents[2]


def seconds(options: argparse.Namespace, policy: str | None, busy: int) -> float:
    """Median wall time of the command line beside so many busy processes."""
    environment = dict(os.environ)
    environment.pop("OMP_WAIT_POLICY", None)
    if policy:
        environment["OMP_WAIT_POLICY"] = policy
    neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / "out.png"
            command = [sys.executable, "-m", "styletransfer", options.content, options.style, "-o", str(output)]
            command += ["--recipe", options.quality, "--size", str(options.size)]
            times = []
            for _ in range(options.repeats):
                began = time.perf_counter()
                subprocess.run(command, check=True, capture_output=True, env=environment, cwd=ROOT)
                times.append(time.perf_counter() - began)
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--content", required=True, type=os.path.abspath)
    parser.add_argument("--style", required=True, type=os.path.abspath)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--quality", default="draft", choices=("draft", "balanced", "best"))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(machine())
    print("| waiting threads | alone | beside one | ratio | beside two | ratio |")
    print("|---|---|---|---|---|---|")
    rows = {}
    for policy in (None, "ACTIVE", "PASSIVE"):
        alone, one, two = times = [seconds(options, policy, busy) for busy in range(3)]
        name = policy.lower() if policy else "as it is"
        print(f"| {name} | {alone:.1f} | {one:.1f} | {one / alone:.2f} | {two:.1f} | {two / alone:.2f} |", flush=True)
        rows[name] = times
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
