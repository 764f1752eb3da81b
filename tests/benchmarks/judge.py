"""How much of VGG-19 the built-in network keeps: both paint the same pairs by the same settings, and VGG-19 judges.

    python tests/benchmarks/judge.py --weights VGG19.safetensors --contents FOLDER --styles FOLDER [--pictures FOLDER]

Style is the mean of |G-A|^2 / |A|^2 over relu1_1, relu2_1, relu3_1, relu4_1 and relu5_1, content is |F-P|^2 / |P|^2 at
relu4_2, in float32 with max pooling and the style at the picture's long side. The table has VGG's own picture, that of
the built-in network, and the second over the first; the last line has the ratios of each layer, of the means over all
pairs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product
from pathlib import Path

import torch
from plain import NAMES, machine, write_json
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[2]))

from styletransfer import RECIPES, Config, load_image, save_image, stylize
from styletransfer.features import Network, load_network
from styletransfer.objective import Objective
from styletransfer.pixels import fit_size, resize, size_of

JUDGE = Config(
    network="vgg19-caffe",
    style_layers=NAMES,
    style_layer_weights=(1.0,) * len(NAMES),
    content_layers=("relu4_2",),
    content_weight=1.0,
    tv_weight=0.0,
    precision="float32",
)

CONTENT_SHARE = 0.05  # content over style, where a picture is judged by one number

Scores = dict[str, float]  # by layer, `style`, `content`, and `total`: style + 0.05 content


def judged(judge: Network, content: Tensor, style: Tensor, picture: Tensor) -> Scores:
    """What a network makes of a picture, with the style at the picture's size as in a run."""
    size = size_of(picture)
    fitted = resize(style, fit_size(size_of(style), max(size)))
    terms = Objective(judge, JUDGE, resize(content, size), [fitted])(picture).terms
    scores = {layer: float(terms[f"style/{layer}"]) for layer in NAMES}
    mean, content_error = statistics.mean(scores.values()), float(terms["content/relu4_2"])
    return {**scores, "style": mean, "content": content_error, "total": mean + CONTENT_SHARE * content_error}


def some_pairs(contents: Path, styles: Path, count: int = 10**6) -> Iterator[tuple[str, Tensor, Tensor]]:
    """So many of all the pairs of two folders, spread evenly: their name, the photograph and the painting."""
    pairs = list(product(sorted(contents.iterdir()), sorted(styles.iterdir())))
    for content, style in islice(pairs[:: max(1, len(pairs) // count)], count):
        yield f"{content.stem} + {style.stem}", load_image(content), load_image(style)


def painted(
    network: Network, content: Tensor, style: Tensor, config: Config, file: Path | None, *, again: bool
) -> Tensor:
    """The network's picture, taken from the file of an earlier run where there is one."""
    if file is not None and file.exists() and not again:
        kept: Tensor = torch.load(file, weights_only=True)
        return kept
    picture = stylize(content, [style], config, network=network).image
    if file is not None:
        file.parent.mkdir(exist_ok=True, parents=True)
        torch.save(picture, file)
        save_image(picture, file.with_suffix(".png"))
    return picture


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", required=True, help="VGG-19 in the original's convention, to relu5_1 at least")
    parser.add_argument("--student", help="weights of the compact network to judge (default: the built-in ones)")
    parser.add_argument("--contents", type=Path, required=True)
    parser.add_argument("--styles", type=Path, required=True)
    parser.add_argument("--quality", default="balanced", choices=("draft", "balanced", "best"))
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--precision", default="auto", help="of the built-in network; VGG-19's is float32")
    parser.add_argument("--pairs", type=int, default=10**6, help="how many of all pairs")
    parser.add_argument("--pictures", type=Path, help="folder for both pictures of each pair; VGG's are used again")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    config = replace(RECIPES[options.quality], size=options.size)
    config = replace(config, iterations=config.steps())  # the same for both
    judge = load_network(replace(JUDGE, weights=options.weights))
    vgg_config = replace(config, network="vgg19-caffe", weights=options.weights, precision="float32")
    own_config = replace(config, network="builtin", weights=options.student, precision=options.precision)
    vgg, own = load_network(vgg_config), load_network(own_config)
    rows = []
    print(machine())
    print("| pair | style, VGG-19's | built-in's | ratio | content, VGG-19's | built-in's | ratio |")
    print("|---|---|---|---|---|---|---|")
    for pair, content, style in some_pairs(options.contents, options.styles, options.pairs):
        files = [
            options.pictures / f"{pair.replace(' + ', '-')}-{name}.pt" if options.pictures else None
            for name in ("vgg", "own")
        ]
        pictures = {
            "vgg": painted(vgg, content, style, vgg_config, files[0], again=False),
            "own": painted(own, content, style, own_config, files[1], again=True),
        }
        scores = {name: judged(judge, content, style, picture) for name, picture in pictures.items()}
        rows.append(scores)
        cells = [
            f"{scores['vgg'][term]:.4f} | {scores['own'][term]:.4f} | {scores['own'][term] / scores['vgg'][term]:.2f}"
            for term in ("style", "content")
        ]
        print(f"| {pair} | {' | '.join(cells)} |", flush=True)
    ratios = [row["own"]["style"] / row["vgg"]["style"] for row in rows]
    print(f"style ratio of {len(rows)} pairs: mean {statistics.mean(ratios):.2f}, worst {max(ratios):.2f}")
    for name in ("style", "content", *NAMES):
        means = [statistics.mean(row[network][name] for row in rows) for network in ("vgg", "own")]
        print(f"{name}: VGG-19's {means[0]:.4f}, built-in's {means[1]:.4f}, ratio {means[1] / means[0]:.2f}")
    write_json(options.json, rows)


if __name__ == "__main__":
    main()
