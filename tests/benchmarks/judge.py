"""How good the built-in network is, judged by VGG-19: a table over all pairs of two folders of pictures.

    python tests/benchmarks/judge.py --weights VGG19.safetensors --contents FOLDER --styles FOLDER

Both networks optimise the same objective (relative, one octave, no total variation) from the content. The judge is
VGG-19's blocks 1-3 with max pooling in float32: style = mean over relu1_1, relu2_1, relu3_1 of |G-A|^2 / |A|^2,
content = |F-P|^2 / |P|^2 at relu3_4, total = style + 0.05 content. `kept` is the share of the style loss that the
built-in network's picture takes off, over what VGG's own picture does; `ratio` is its total over VGG's.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice, product
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from styletransfer import Config, load_image, save_image, stylize
from styletransfer.features import Network, load_network
from styletransfer.objective import Objective
from styletransfer.pixels import fit_size, resize, size_of

BASE = Config(
    content_weight=0.05,
    style_layers=("relu1_1", "relu2_1", "relu3_1"),
    content_layers=("relu3_4",),
    octaves=1,
    tv_weight=0.0,
    scales=(1.0,),
    precision="float32",
)


@dataclass(frozen=True)
class Row:
    """The judge's losses for one pair: at the content, of VGG's picture and of the built-in network's."""

    pair: str
    start: float
    vgg_style: float
    vgg_total: float
    own_style: float
    own_total: float

    @property
    def kept(self) -> float:
        return (self.start - self.own_style) / (self.start - self.vgg_style)

    @property
    def ratio(self) -> float:
        return self.own_total / self.vgg_total


def judged(judge: Network, content: Tensor, style: Tensor, picture: Tensor, config: Config) -> tuple[float, float]:
    """Style loss and total of a picture, with the style at the picture's size as in a run."""
    size = size_of(picture)
    fitted = resize(style, fit_size(size_of(style), max(size)))
    evaluation = Objective(judge, config, resize(content, size), [fitted])(picture)
    style_loss = sum(float(value) for name, value in evaluation.terms.items() if name.startswith("style"))
    return style_loss, float(evaluation.loss)


def some_pairs(contents: Path, styles: Path, count: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """So many of all the pairs of two folders, spread evenly: their name, the photograph and the painting."""
    pairs = list(product(sorted(contents.iterdir()), sorted(styles.iterdir())))
    for content, style in islice(pairs[:: max(1, len(pairs) // count)], count):
        yield f"{content.stem} + {style.stem}", load_image(content), load_image(style)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", required=True, help="VGG-19 in the original's convention, to relu3_4 at least")
    parser.add_argument("--student", help="weights of the compact network to judge (default: the built-in ones)")
    parser.add_argument("--contents", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--pictures", type=Path, help="folder for both pictures of each pair")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    course = replace(BASE, size=options.size, iterations=(options.steps,))
    vgg_config = replace(course, network="vgg19-caffe", weights=options.weights)
    own_config = replace(course, network="builtin", weights=options.student)
    vgg, own = load_network(vgg_config), load_network(own_config)
    rows = []
    print(
        f"{'pair':32} {'start':>7} {'VGG style':>9} {'total':>7} {'own style':>9} {'total':>7} {'kept':>7} {'ratio':>6}"
    )
    for content_path in sorted(options.contents.iterdir()):
        for style_path in sorted(options.styles.iterdir()):
            content, style = load_image(content_path), load_image(style_path)
            ours = stylize(content, [style], own_config, network=own).image
            theirs = cached(options, content_path, style_path)
            if theirs is None:
                theirs = stylize(content, [style], vgg_config, network=vgg).image
            pair = f"{content_path.stem} + {style_path.stem}"
            if options.pictures:
                options.pictures.mkdir(exist_ok=True, parents=True)
                save_image(ours, options.pictures / f"{content_path.stem}-{style_path.stem}-builtin.png")
                torch.save(theirs, options.pictures / f"{content_path.stem}-{style_path.stem}-vgg.pt")
                save_image(theirs, options.pictures / f"{content_path.stem}-{style_path.stem}-vgg.png")
            start = judged(vgg, content, style, resize(content, theirs.shape[-2:]), vgg_config)[0]
            row = Row(
                pair,
                start,
                *judged(vgg, content, style, theirs, vgg_config),
                *judged(vgg, content, style, ours, vgg_config),
            )
            rows.append(row)
            print(
                f"{pair:32} {start:7.4f} {row.vgg_style:9.5f} {row.vgg_total:7.4f} {row.own_style:9.5f} "
                f"{row.own_total:7.4f} {row.kept:7.2%} {row.ratio:6.2f}",
                flush=True,
            )
    kept, ratio = [row.kept for row in rows], [row.ratio for row in rows]
    print(f"mean of {len(rows)} pairs: kept {statistics.mean(kept):.2%}, ratio {statistics.mean(ratio):.2f}")
    print(f"worst pair: kept {min(kept):.2%}, ratio {max(ratio):.2f}")
    if options.json:
        options.json.write_text(
            json.dumps([{**vars(row), "kept": row.kept, "ratio": row.ratio} for row in rows], indent=1)
        )


def cached(options: argparse.Namespace, content: Path, style: Path) -> Tensor | None:
    """VGG's picture of an earlier run into the same folder, which costs most of the time."""
    path = options.pictures / f"{content.stem}-{style.stem}-vgg.pt" if options.pictures else None
    found: Tensor | None = torch.load(path, weights_only=True) if path and path.exists() else None
    return found


if __name__ == "__main__":
    main()
