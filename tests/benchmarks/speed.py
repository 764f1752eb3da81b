"""What a step costs, as ratios measured in one run.

    python tests/benchmarks/speed.py [--threads N] [--json FILE]

The baseline is the loop that a tutorial writes (plain.py): VGG-19 up to relu5_1 in float32 and the default layout. `the
convolutions alone` are VGG-19's, forwards and back to their input, in the precision and layout that the package
chooses here: nothing that uses them can be faster.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from plain import NAMES, Plain, machine, random_vgg19, seconds_of, write_json
from torch import Tensor, nn

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from styletransfer import Config, load_image, save_image
from styletransfer.features import DESIGNS, Network, choose_dtype, load_network
from styletransfer.objective import Objective
from styletransfer.pixels import resize

CPU = torch.device("cpu")


def package_vgg19(dtype: torch.dtype) -> Network:
    """The package's VGG-19 up to relu5_1, with random weights."""
    network = Network("vgg19", replace(DESIGNS["vgg19"]), [*NAMES, "relu4_2"])
    network.features.to_empty(device="cpu")
    for module in network.features:
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return network.requires_grad_(False).to_working(CPU, dtype)


def convolutions_alone(dtype: torch.dtype, height: int, width: int, repeats: int) -> float:
    """Seconds of VGG-19's convolutions, forwards and back to their input, each timed by itself."""
    total = 0.0
    for module in random_vgg19():
        if isinstance(module, nn.MaxPool2d):
            height, width = height // 2, width // 2
        if not isinstance(module, nn.Conv2d):
            continue
        weight = module.weight.to(dtype).contiguous(memory_format=torch.channels_last)
        bias = module.bias.to(dtype)  # type: ignore[union-attr]
        maps, back = (
            torch.rand(1, channels, height, width).to(dtype).contiguous(memory_format=torch.channels_last)
            for channels in (weight.shape[1], weight.shape[0])
        )

        def run(x: Tensor = maps, g: Tensor = back, w: Tensor = weight, b: Tensor = bias) -> None:
            pixels = x.requires_grad_(True)
            torch.autograd.grad(F.conv2d(pixels, w, b, padding=1), pixels, g)

        total += seconds_of(run, repeats)
    return total


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    photo = load_image(ROOT / "examples" / "photos" / "temple.jpg")
    painting = load_image(ROOT / "examples" / "styles" / "night.jpg")
    dtype = choose_dtype(Config(), CPU)
    figures: dict[str, float] = {}
    content, style = resize(photo, (288, 384)), resize(painting, (288, 384))
    plain = Plain(random_vgg19(), content, style)
    figures["plain VGG-19 step"] = seconds_of(lambda: plain.step(content), options.repeats)
    figures["VGG-19's convolutions alone"] = convolutions_alone(dtype, 288, 384, options.repeats)
    vgg = Objective(package_vgg19(dtype), Config(), content, [style])
    figures["VGG-19 step"] = seconds_of(lambda: vgg(content), options.repeats)
    config = Config(network="builtin", tv_weight=0.0)
    own = Objective(load_network(config), config, content, [style])
    figures["built-in step"] = seconds_of(lambda: own(content), options.repeats)
    large = Plain(random_vgg19(), *(resize(each, (384, 512)) for each in (photo, painting)))
    figures["plain VGG-19 step, 512x384"] = seconds_of(lambda: large.step(large.content), options.repeats // 2 + 1)
    with tempfile.TemporaryDirectory() as folder:
        save_image(photo, Path(folder) / "content.png")
        save_image(painting, Path(folder) / "style.png")
        command = [sys.executable, "-m", "styletransfer", "content.png", "style.png", "-o", "out.png", "--quiet"]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": str(options.threads)}
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, env=environment, check=True)
        figures["a picture of 512 px, no flags, fresh process"] = time.perf_counter() - began
    print(f"{machine()}, {str(dtype).removeprefix('torch.')}; 384x288 unless said")
    print(f"{'':46} {'seconds':>9}   plain over it")
    for name, value in figures.items():
        base = figures["plain VGG-19 step"]
        if "512" in name:
            base = figures["plain VGG-19 step, 512x384"] * (1000 if "picture" in name else 1)
        note = " (1000 steps)" if "picture" in name else ""
        print(f"{name:46} {value:9.3f}   {base / value:.2f}{note}")
    share = figures["VGG-19's convolutions alone"] / figures["VGG-19 step"]
    print(f"VGG-19 step: {share:.0%} of the speed of its convolutions alone")
    write_json(options.json, {"machine": machine(), "precision": str(dtype), **figures})


if __name__ == "__main__":
    main()
