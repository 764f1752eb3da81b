"""Whether half precision is safe: the final loss of a run in bfloat16 over that of the same run in float32.

    python tests/benchmarks/precision.py --contents FOLDER --styles FOLDER [--weights VGG19.safetensors] [--pairs 6]

Both runs are Balanced; both pictures are judged in float32 by the network that made them, by style + 0.05 content. With
--weights VGG-19 runs, else the built-in network. The last line is a run with a style weight of 1e6.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import replace
from pathlib import Path

import torch
from plain import machine, write_json

sys.path.insert(0, str(Path(__file__).parents[2]))

from judge import judged, some_pairs

from styletransfer import RECIPES, stylize
from styletransfer.features import load_network


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", help="VGG-19 in the original's convention, to relu5_1 at least")
    parser.add_argument("--contents", required=True, type=Path)
    parser.add_argument("--styles", required=True, type=Path)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    name = "vgg19-caffe" if options.weights else "builtin"
    config = replace(RECIPES["balanced"], network=name, weights=options.weights, size=options.size)
    networks = {kind: load_network(replace(config, precision=kind)) for kind in ("float32", "bfloat16")}
    ratios = {}
    print(f"{machine()}; {name}, {options.size} px")
    for pair, content, style in some_pairs(options.contents, options.styles, options.pairs):
        losses = {}
        for kind, network in networks.items():
            result = stylize(content, [style], replace(config, precision=kind), network=network)
            losses[kind] = judged(networks["float32"], content, style, result.image)["total"]
        ratios[pair] = losses["bfloat16"] / losses["float32"]
        print(
            f"{pair:32} float32 {losses['float32']:.5f} bfloat16 {losses['bfloat16']:.5f} {ratios[pair]:7.4f}",
            flush=True,
        )
    print(f"median {statistics.median(ratios.values()):.4f}, worst {max(ratios.values()):.4f}")
    loud = replace(config, precision="bfloat16", style_weight=1e6, scales=(1.0,), iterations=(30,))
    result = stylize(content, [style], loud, network=networks["bfloat16"])
    finite = bool(torch.isfinite(result.image).all()) and all(entry["total"] < 1e30 for entry in result.history)
    print(f"style weight 1e6: {result.outcome}, {'all finite' if finite else 'NOT finite'}")
    write_json(options.json, {"machine": machine(), "network": name, "size": options.size, "ratios": ratios})


if __name__ == "__main__":
    main()
