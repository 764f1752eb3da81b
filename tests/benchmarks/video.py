"""Clips of photographs with known motion: do strokes stay on things, does the style last, what does a frame cost?

    python tests/benchmarks/video.py [--size 128] [--frames 6] [--clip FILE] [--still 120] [--long 500] [--show FOLDER]

The clips are a pan, a zoom, a turn, and a round cut-out of one photograph that moves over another. For each: the
difference of successive frames where both show the same, as RMS, of the contents (what resampling alone makes of it),
of the clip, and of frames painted each alone; the largest style loss of a frame over that of its picture painted alone;
and the processor time of a further frame over that of a first. `--clip` measures a file, ten frames a second of it,
where optical flow says that two frames show the same. `--still` paints a photograph that does not move so many
times at half the size, and tells what that does to its lightness, and how much memory grows. `--long` has the command
line paint so many frames of a pan, and a fifth of them, at half the size in few steps, and tells the most memory that
each took. `--show` writes each clip beside its contents, as clip-NAME.webp.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from plain import machine, write_json

from styletransfer import Config, Network, fit_size, load_image, load_network, resize, save_image, stylize
from styletransfer.objective import Objective
from styletransfer.pixels import luminance, size_of
from styletransfer.plan import resident_memory
from styletransfer.video import Clip, Frame, Piece, paint_frames
from styletransfer.video.flow import certain, optical_flow

Motion = Callable[[int], Tensor]  # a frame's number -> (2, 3), from the frame's coordinates to the photograph's
Places = tuple[Tensor, Tensor]  # where each pixel was one frame earlier, a grid (1, H, W, 2); was it seen, (1, 1, H, W)
EXAMPLES = ROOT / "examples"


def motion(
    turn: float = 0.0, zoom: float = 0.0, x: float = 0.0, y: float = 0.0, at: Sequence[float] = (0, 0)
) -> Motion:
    """So much a frame: degrees, share of the size, and shares of the frame's half width and height; `at` the first."""

    def place(number: int) -> Tensor:
        angle, scale = torch.tensor(number * turn).deg2rad(), 0.6 * (1 + zoom) ** number
        cosine, sine = scale * angle.cos(), scale * angle.sin()
        shift = torch.tensor([at[0] + number * x, at[1] + number * y])
        return torch.cat([torch.stack([cosine, -sine, sine, cosine]).view(2, 2), shift.view(2, 1)], dim=1)

    return place


class Layer(NamedTuple):
    """A photograph that moves; round: only a disc in its middle is seen."""

    photograph: Tensor
    motion: Motion
    round: bool = False


@dataclass(frozen=True)
class Shown:
    """A frame: its picture (1, 3, H, W), and the number of the layer that each pixel shows (1, 1, H, W)."""

    image: Tensor
    layer: Tensor


def shown(layers: Sequence[Layer], number: int, height: int, width: int) -> Shown:
    image, layer = torch.zeros(1, 3, height, width), torch.zeros(1, 1, height, width)
    for place, (photograph, move, disc) in enumerate(layers):
        fine = F.affine_grid(move(number)[None], [1, 3, 3 * height, 3 * width], align_corners=False)
        picture = F.avg_pool2d(F.grid_sample(photograph, fine, "bicubic", align_corners=False), 3).clamp(0, 1)
        grid = F.affine_grid(move(number)[None], [1, 3, height, width], align_corners=False)
        seen = (grid.square().sum(-1)[None] < 0.12) if disc else torch.ones(1, 1, height, width, dtype=torch.bool)
        image, layer = torch.where(seen, picture, image), torch.where(seen, float(place), layer)
    return Shown(image, layer)


def same_places(layers: Sequence[Layer], before: Shown, after: Shown, number: int) -> Places:
    """Where each pixel of frame `number` was one frame earlier, as a grid, and whether it was seen there."""
    height, width = size_of(after.image)
    square = torch.tensor([[0.0, 0.0, 1.0]])
    grid = torch.zeros(1, height, width, 2)
    for place, (_, move, _) in enumerate(layers):
        back = torch.linalg.inv(torch.cat([move(number - 1), square])) @ torch.cat([move(number), square])
        here = F.affine_grid(back[None, :2], [1, 3, height, width], align_corners=False)
        grid = torch.where((after.layer[0] == place)[..., None], here, grid)
    was = F.grid_sample(before.layer, grid, "bilinear", "border", align_corners=False)
    inside = (grid.abs() < 1 - 2 / min(height, width)).all(-1)[None]
    return grid, (was == after.layer) & inside


def flow_places(before: Tensor, after: Tensor) -> Places:
    """As `same_places`, by optical flow."""
    height, width = size_of(after)
    backward = optical_flow(after, before)
    here = F.affine_grid(torch.eye(2, 3)[None], [1, 3, height, width], align_corners=False)
    moved = backward.permute(0, 2, 3, 1) * torch.tensor([2 / width, 2 / height])
    return here + moved, certain(backward, optical_flow(before, after), after, before) > 0


def difference(places: Sequence[Places], images: Sequence[Tensor]) -> float:
    """RMS difference of successive pictures where both show the same."""
    squares = []
    for (grid, seen), before, after in zip(places, images, images[1:]):
        moved = F.grid_sample(before, grid, "bicubic", "border", align_corners=False)
        squares.append((moved - after).square()[seen.expand_as(moved)])
    return float(torch.cat(squares).mean().sqrt())


def clips(photographs: Sequence[Tensor]) -> dict[str, list[Layer]]:
    first, second = photographs
    return {
        "pan": [Layer(first, motion(x=0.03, y=0.01, at=(-0.3, -0.1)))],
        "zoom": [Layer(first, motion(zoom=-0.03))],
        "turn": [Layer(first, motion(turn=1.5))],
        "occlusion": [Layer(first, motion(x=0.01)), Layer(second, motion(x=-0.05, at=(0.2, 0.0)), round=True)],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument(
        "--photographs", type=Path, nargs=2, default=[EXAMPLES / "photos" / f"{n}.jpg" for n in ("temple", "cat")]
    )
    parser.add_argument("--style", type=Path, default=EXAMPLES / "styles" / "wave.jpg")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--frames", type=int, default=6)
    parser.add_argument("--alone", type=int, default=2, help="frames that are painted alone, too: the last ones")
    parser.add_argument("--temporal-weight", type=float, default=Config().temporal_weight)
    parser.add_argument("--frame-share", type=float, default=Config().frame_share)
    parser.add_argument("--clips", nargs="*", default=["pan", "zoom", "turn", "occlusion"])
    parser.add_argument("--clip", type=Path, metavar="FILE", help="a file to measure instead")
    parser.add_argument("--still", type=int, default=0)
    parser.add_argument("--long", type=int, default=0)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--show", type=Path, metavar="FOLDER")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    config = Config(
        network="builtin",
        size=options.size,
        temporal_weight=options.temporal_weight,
        frame_share=options.frame_share,
    )
    network, style = load_network(config), load_image(options.style)
    photographs = [load_image(path) for path in options.photographs]
    print(machine())
    print(
        "| clip | difference: contents | clip | each alone | clip over alone | worst style over alone | further frame |"
    )
    print("|---|---|---|---|---|---|---|")
    rows, strips = {}, list[Tensor]()
    for name in [options.clip.stem] if options.clip else options.clips:
        contents, places = filmed(options) if options.clip else made(clips(photographs)[name], options)
        row, strip, pairs = measured(contents, places, style, config, network, options.alone)
        if options.show:
            show(pairs, options.show / f"clip-{name}.webp")
        content, clip, alone, ratio, loss, share = rows[name] = row
        print(
            f"| {name} | {content:.4f} | {clip:.4f} | {alone:.4f} | {ratio:.2f} | {loss:.2f} | {share:.2f} |",
            flush=True,
        )
        strips += strip
    if options.sheet and strips:
        save_image(torch.cat(strips, dim=2), options.sheet)
    if options.still:
        rows["still"] = still(photographs[0], style, replace(config, size=options.size // 2), network, options.still)
    if options.long:
        rows["long"] = long(photographs[0], options.style, options.size // 2, options.long)
    write_json(options.json, rows)


def made(layers: list[Layer], options: argparse.Namespace) -> tuple[list[Tensor], list[Places]]:
    """The frames of a clip with known motion, and where each one's pixels were before."""
    width, numbers = options.size, range(options.frames)
    frames = [shown(layers, number, width * 3 // 4, width) for number in numbers]
    places = [same_places(layers, frames[number - 1], frames[number], number) for number in numbers[1:]]
    return [frame.image for frame in frames], places


def filmed(options: argparse.Namespace) -> tuple[list[Tensor], list[Places]]:
    """As `made`, for a file."""
    frames = Clip(options.clip, fps=10).frames(options.size)
    contents = [frame.image for frame in islice(frames, options.frames)]
    return contents, [flow_places(before, after) for before, after in pairwise(contents)]


def measured(
    contents: list[Tensor], places: list[Places], style: Tensor, config: Config, network: Network, alone: int
) -> tuple[tuple[float, ...], list[Tensor], list[Tensor]]:
    """The figures of one clip, of which so many frames, the last ones, are painted alone, too; these frames side by
    side, as they are, painted, and painted alone; and each frame beside its content.
    """
    images, seconds, began = [], [], time.process_time()
    for result, _ in paint_frames(contents, [style], config, network):
        images.append(result.image)
        seconds.append(time.process_time() - began)
        began = time.process_time()
    start = max(0, len(contents) - alone)
    lone = [stylize(content, [style], config, network=network).image for content in contents[start:]]
    differences = [difference(places, contents), difference(places, images), difference(places[start:], lone)]
    losses = [
        style_loss(image, style, config, network) / style_loss(other, style, config, network)
        for image, other in zip(images[start:], lone)
    ]
    row = (*differences, differences[1] / differences[2], max(losses), statistics.median(seconds[1:]) / seconds[0])
    strips = [torch.cat(pictures, dim=3) for pictures in (contents[start:], images[start:], lone)]
    return row, strips, [torch.cat(pair, dim=3) for pair in zip(contents, images)]


def show(frames: Sequence[Tensor], path: Path) -> None:
    """Write an animated picture that runs forth and back."""
    pictures = [Image.fromarray((frame[0] * 255).round().byte().permute(1, 2, 0).numpy()) for frame in frames]
    pictures += pictures[-2:0:-1]
    pictures[0].save(path, save_all=True, append_images=pictures[1:], duration=100, loop=0, quality=60, method=6)


def style_loss(image: Tensor, style: Tensor, config: Config, network: Network) -> float:
    """The style's part of the loss of a picture."""
    fitted = resize(style, fit_size(size_of(style), max(size_of(image))))
    bare = replace(config, content_weight=0.0, tv_weight=0.0)
    return float(Objective(network, bare, None, [fitted])(image).loss)


def still(photograph: Tensor, style: Tensor, config: Config, network: Network, count: int) -> list[float]:
    """A photograph that does not move: lightness and style loss on the way, and how much memory grows."""
    content = resize(photograph, fit_size(size_of(photograph), int(config.size)))

    def repeated() -> Iterator[Tensor]:
        for _ in range(count):
            yield content

    lightness, memory, losses = [], [], []
    for result, _ in paint_frames(repeated(), [style], config, network):
        lightness.append(float(luminance(result.image).mean()))
        losses.append(style_loss(result.image, style, config, network))
        memory.append(resident_memory() / 2**20)
    early = min(10, count - 1)
    print(
        f"still, {count} frames of {config.size} px: lightness {lightness[0]:.4f}, then {min(lightness[1:]):.4f} to "
        f"{max(lightness[1:]):.4f}, at the end {lightness[-1]:.4f}; style loss {losses[0]:.4f}, at the end "
        f"{losses[-1]:.4f}; memory {memory[early]:.0f} MB after {early + 1} frames, {memory[-1]:.0f} MB at the end"
    )
    return [lightness[0], lightness[-1], losses[0], losses[-1], memory[early], memory[-1]]


def long(photograph: Tensor, style: Path, size: int, count: int) -> list[float]:
    """The peak memory in MB of a command that paints a fifth of a clip's frames, and of one that paints all."""
    layers, peaks = [Layer(photograph, motion(x=0.8 / count, at=(-0.4, 0)))], []
    with tempfile.TemporaryDirectory() as name:
        source, report = Path(name) / "pan.mp4", Path(name) / "report.json"
        piece = Piece(source, ".mp4", (size * 3 // 8 * 2, size), 25)
        for number in range(count):
            piece.write(Frame(number / 25, shown(layers, number, size * 3 // 8 * 2, size).image))
        piece.close()
        for frames in (count // 5, count):
            command = [sys.executable, "-m", "styletransfer", source, style, "-o", source.with_name("out.mp4")]
            settings = ["--size", size, "--scales", 1, "--iterations", 8, "--fps", 25, "--seconds", frames / 25 - 0.01]
            words = map(str, [*command, *settings, "--json", report, "--quiet"])
            subprocess.run(list(words), check=True, cwd=ROOT)
            entries = json.loads(report.read_text())
            peaks.append(entries["peak_memory"]["process"] / 2**20)
            print(f"{len(entries['frames'])} frames of {size} px: at most {peaks[-1]:.0f} MB", flush=True)
    return peaks


if __name__ == "__main__":
    main()
