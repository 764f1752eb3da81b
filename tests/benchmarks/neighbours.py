"""How much a run and other programs on the same cores slow each other down: alone, beside one busy process, and beside
two.

    python tests/benchmarks/neighbours.py [--size 256] [--quality draft] [--rounds 3] [--json FILE]

Each row is the command line with another way of waiting for OpenMP's threads: as our programs set it (`ours`), as the
library does without a word (`default`: awake for 300,000 rounds), and always asleep (`asleep`). Every figure is the
median of whole runs, which take turns, so that a change of the machine's speed meets all rows alike. The ratio is to
the same row's run alone; `processor` has the processors' seconds of the run beside two: what the others went without.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median

from plain import machine, write_json

ROOT = Path(__file__).parents[2]
WAYS = {
    "ours": {},
    "default": {"GOMP_SPINCOUNT": "300000"},
    "asleep": {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
}


def one(options: argparse.Namespace, way: dict[str, str], busy: int) -> tuple[float, float]:
    """Seconds and processor seconds of the command line beside so many busy processes."""
    plain = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    neighbours = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(busy)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "styletransfer", options.content, options.style, "-o", f"{folder}/out.png"]
            command += ["--recipe", options.quality, "--size", str(options.size), "--device", "cpu", "--quiet"]
            began, before = time.perf_counter(), processor_time()
            subprocess.run(command, check=True, env={**plain, **way}, cwd=ROOT)
            return time.perf_counter() - began, processor_time() - before
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


def processor_time() -> float:
    """Processor seconds of all children that have ended and been waited for."""
    usage = getrusage(RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--content", default=ROOT / "examples/photos/temple.jpg", type=os.path.abspath)
    parser.add_argument("--style", default=ROOT / "examples/styles/night.jpg", type=os.path.abspath)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--quality", default="draft", choices=("draft", "balanced", "best"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    runs: dict[tuple[str, int], list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        for busy in range(3):
            for name, way in WAYS.items():
                runs.setdefault((name, busy), []).append(one(options, way, busy))
    print(f"{machine()}; {options.size} px, {options.quality}")
    print("| waiting threads | alone | beside one | ratio | beside two | ratio | processor |")
    print("|---|---|---|---|---|---|---|")
    rows = {}
    for name in WAYS:
        alone, first, second = (median(seconds for seconds, _ in runs[name, busy]) for busy in range(3))
        processor = median(spent for _, spent in runs[name, 2])
        beside = "".join(f" {seconds:.1f} | {seconds / alone:.2f} |" for seconds in (first, second))
        print(f"| {name} | {alone:.1f} |{beside} {processor:.1f} |")
        rows[name] = {"seconds": [alone, first, second], "processor": processor}
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
