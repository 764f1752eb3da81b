"""How soon a picture is good: our three qualities against a plain loop, on the same network.

    python tests/benchmarks/schedule.py --weights VGG19.safetensors --contents FOLDER --styles FOLDER [--pairs 6]

The mark is style + 0.05 content (relative, VGG-19's relu1_1 to relu5_1 and relu4_2, float32) of what the
plain loop has after 300 steps of torch's L-BFGS from the content at 384 px, with its values free: no file can hold
them. `clamped` is that picture as it is saved; `--boxed` adds the loop that clamps its values at every evaluation, as
PyTorch's tutorial does.
Each quality then runs its own scales and steps on the same losses, within [0, 1], and is judged in the same way: its
loss over the mark, and the plain loop's seconds over its own. The last column is Draft with the built-in network at
256 px: the share of the style loss it takes off, its seconds, and those after which the first 80 % were off.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from plain import Plain, machine, write_json
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))

from judge import CONTENT_SHARE, JUDGE, judged, some_pairs

from styletransfer import RECIPES, Config, stylize
from styletransfer.features import Network, load_network
from styletransfer.pixels import fit_size, resize, size_of

SIZE, STEPS = 384, 300
BASE = replace(JUDGE, content_weight=CONTENT_SHARE, style_layer_weights=())


class Normalised(nn.Module):
    """The input convention of the weights, as the first module of a plain network."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.mean, self.std = network.mean, network.std

    def forward(self, image: Tensor) -> Tensor:
        return ((image - self.mean) / self.std).flip(1)


def plain_vgg(config: Config) -> nn.Sequential:
    """The weights in plain modules: the default layout, torch's own convolutions, nothing in place."""
    network = load_network(config)
    modules: list[nn.Module] = []
    for module in network.features.to(memory_format=torch.contiguous_format):
        if isinstance(module, nn.Conv2d):
            plain = nn.Conv2d(module.in_channels, module.out_channels, 3, padding=1)
            plain.weight, plain.bias = module.weight, module.bias
            module = plain
        modules.append(nn.ReLU() if isinstance(module, nn.ReLU) else module)
    modules[0] = nn.Sequential(Normalised(network), modules[0])
    return nn.Sequential(*modules)


def plain_run(network: nn.Sequential, content: Tensor, style: Tensor, *, boxed: bool) -> tuple[Tensor, float]:
    """The picture after 300 steps of torch's L-BFGS, and the seconds: free with its line search, or clamped to [0, 1]
    at every evaluation, which leaves a line search no ground.
    """
    began = time.perf_counter()
    plain = Plain(network, content, style)
    image = content.clone().requires_grad_(True)
    search = None if boxed else "strong_wolfe"
    optimizer = torch.optim.LBFGS([image], max_iter=STEPS, max_eval=2 * STEPS, line_search_fn=search)

    def closure() -> Tensor:
        optimizer.zero_grad()
        if boxed:
            image.data.clamp_(0, 1)
        loss = plain.loss(image)
        loss.backward()
        return loss

    optimizer.step(closure)
    return image.detach(), time.perf_counter() - began


def quick_draft(network: Network, judge: Network, content: Tensor, style: Tensor) -> tuple[float, float, float]:
    """Draft at 256 px: the share of the style loss that it takes off, its seconds, and those to the first 80 %."""
    way: list[tuple[float, Tensor]] = []
    small = resize(content, fit_size(size_of(content), 256))
    began = time.perf_counter()
    stylize(
        content,
        [style],
        replace(RECIPES["draft"], size=256),
        network=network,
        callback=lambda step: way.append((time.perf_counter() - began, step.image)),
    )

    def off(picture: Tensor) -> float:
        seen = resize(picture, size_of(small))
        return 1 - judged(judge, content, style, seen)["style"] / start

    start = judged(judge, content, style, small)["style"]
    soon = next((seconds for seconds, picture in way if off(picture) >= 0.8), float("inf"))
    return off(way[-1][1]), way[-1][0], soon


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", required=True, help="VGG-19 in the original's convention, to relu5_1 at least")
    parser.add_argument("--contents", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--boxed", action="store_true", help="run the loop that clamps, too")
    parser.add_argument("--qualities", default="draft,balanced,best")
    parser.add_argument("--try", dest="tries", action="append", default=[], help="scales:iterations, like .5,1:80,40")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    judge_config = replace(BASE, network="vgg19-caffe", weights=options.weights)
    judge, network = load_network(judge_config), load_network(replace(judge_config, precision="auto"))
    plain, own = plain_vgg(judge_config), load_network(Config(network="builtin"))
    names = options.qualities.split(",")
    courses = {name: (RECIPES[name].scales, RECIPES[name].steps()) for name in names}
    for text in options.tries:
        scales, iterations = text.split(":")
        courses[text] = tuple(map(float, scales.split(","))), tuple(map(int, iterations.split(",")))
    loop_names = ["clamped", "boxed"] if options.boxed else ["clamped"]
    actual: dict[str, list[tuple[float, float]]] = {name: [] for name in [*loop_names, *courses]}
    drafts: list[tuple[float, float, float]] = []
    print(machine())
    for pair, content, style in some_pairs(options.contents, options.styles, options.pairs):
        photo = resize(content, fit_size(size_of(content), SIZE))
        painting = resize(style, fit_size(size_of(style), SIZE))
        picture, seconds = plain_run(plain, photo, painting, boxed=False)
        mark = judged(judge, content, style, picture)["total"]
        line = f"{pair}: plain {mark:.4f} in {seconds:.0f} s"
        loops = [("clamped", picture, seconds)]
        if options.boxed:
            loops.append(("boxed", *plain_run(plain, photo, painting, boxed=True)))
        for name, each, spent in loops:
            total = judged(judge, content, style, each.clamp(0, 1))["total"]
            actual[name].append((total / mark, seconds / spent))
            line += f"; {name} {total / mark:.2f}x in 1/{seconds / spent:.1f}"
        for name, (scales, iterations) in courses.items():
            config = replace(judge_config, size=SIZE, scales=scales, iterations=iterations, precision="auto")
            result = stylize(content, [style], config, network=network)
            total = judged(judge, content, style, result.image)["total"]
            actual[name].append((total / mark, seconds / result.seconds["total"]))
            line += f"; {name} {total / mark:.2f}x in 1/{seconds / result.seconds['total']:.1f}"
        drafts.append(quick_draft(own, judge, content, style))
        off, took, soon = drafts[-1]
        print(f"{line}; built-in draft -{off:.1%} in {took:.1f} s, -80% after {soon:.1f} s", flush=True)
    medians: dict[str, Any] = {name: [statistics.median(each) for each in zip(*rows)] for name, rows in actual.items()}
    for name, (loss, pace) in medians.items():
        print(f"{name:30} median: {loss:.2f} times the mark in 1/{pace:.1f} of the time")
    off, took, soon = (statistics.median(each) for each in zip(*drafts))
    print(f"{'built-in draft':30} median: takes {off:.1%} off the style loss in {took:.1f} s, 80% after {soon:.1f} s")
    write_json(options.json, {"machine": machine(), "pairs": actual, "drafts": drafts, "median": medians})


if __name__ == "__main__":
    main()
