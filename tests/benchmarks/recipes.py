"""Every published recipe for real: from its start to its end, with how far its loss falls and how long it takes.

    python tests/benchmarks/recipes.py CONTENT STYLE [--weights VGG19.safetensors] [--size 256] [--pictures FOLDER]

With --weights VGG-19 runs in the original's convention, for `crowson`, which takes torchvision's weights, too; without
them the built-in network stands in for it. `reconstructions` are from noise, of the content from each of relu1_1 to
relu5_1 and of the style from the first, the first two ... of them (Gatys, Ecker and Bethge 2015, figure 1).
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

from plain import NAMES, machine
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from styletransfer import Config, allocator, load_image, recipe, save_image, stylize

SYSTEMS = ("gatys", "keras", "tensorflow", "neural-style", "crowson")


def jobs(names: list[str], size: int) -> dict[str, tuple[Config, bool, bool]]:
    """The runs asked for: settings, and whether they have a content and a style."""
    runs = {name: (replace(recipe(name), size=size), True, True) for name in names if name != "reconstructions"}
    if "reconstructions" in names:
        plain = Config(size=size, init="noise", scales=(1.0,), iterations=(200,), content_weight=1.0)
        for number, layer in enumerate(NAMES, 1):
            runs[f"content-{layer}"] = replace(plain, content_layers=(layer,), strength=0.0), True, False
            runs[f"style-{layer}"] = replace(plain, style_layers=NAMES[:number], strength=100.0), False, True
    return runs


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("content", type=Path)
    parser.add_argument("style", type=Path)
    parser.add_argument("--weights", help="VGG-19 in the original's convention, to relu5_2")
    parser.add_argument("--recipes", default=",".join((*SYSTEMS, "reconstructions")))
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--pictures", type=Path, help="folder for the pictures")
    options = parser.parse_args()
    allocator.keep()
    content, style = load_image(options.content), load_image(options.style)
    network = {"network": "vgg19-caffe" if options.weights else "builtin", "weights": options.weights}
    print(f"{machine()}; {network['network']}, {options.size} px, {options.content.stem} + {options.style.stem}")
    print("| run | steps | loss at the start | at the end | over it | seconds |\n|---|---|---|---|---|---|")
    for name, (config, kept, matched) in jobs(options.recipes.split(","), options.size).items():
        pictures: tuple[Tensor | None, list[Tensor]] = (content if kept else None, [style] if matched else [])
        began = time.perf_counter()
        result = stylize(*pictures, replace(config, **network))
        seconds = time.perf_counter() - began
        last = [entry["total"] for entry in result.history if entry["scale"] == result.history[-1]["scale"]]
        first, final = result.history[0]["total"], min(last)
        cells = f"{len(result.history)} | {first:.4g} | {final:.4g} | {final / first:.4f} | {seconds:.0f}"
        print(f"| {name} | {cells} |", flush=True)
        if options.pictures:
            options.pictures.mkdir(exist_ok=True, parents=True)
            save_image(result.image, options.pictures / f"{options.content.stem}-{options.style.stem}-{name}.png")


if __name__ == "__main__":
    main()
