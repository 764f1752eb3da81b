"""The command itself: paint, report, list or estimate.

Exit codes: 0 done (or stopped by Ctrl-C with all pictures saved), 2 wrong usage or input with one sentence on stderr,
1 failure.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from .. import allocator
from ..config import Config, StyleTransferError
from ..engine import Engine, chosen
from ..features import DESIGNS, Network, layer_names, load_network
from ..images import SUFFIXES, check_encodable, load_alpha, load_image, save_image
from ..images.checks import quoted
from ..pixels import Size, luminance, size_of
from ..recipes import RECIPES
from ..start import Masks
from ..transfer import Step, StyleTargets, forecast, iterate, schedule
from .batch import alpha_at, paint_each
from .clip import is_clip, paint_clip
from .outputs import check_names, frame_file, prepare
from .parser import FAILURES, Job, build_parser, configured, jobs_and_styles
from .report import machine_line, report_of, say, write_report

SHARED_TILE = 512  # side of the tiles in which a picture is distributed to workers


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    allocator.keep()
    try:
        return _run(build_parser().parse_args(arguments))
    except StyleTransferError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped before there was a picture", file=sys.stderr)
        return 1
    except FAILURES as error:
        print(f"failed: {str(error).splitlines()[0] if str(error) else type(error).__name__}", file=sys.stderr)
        return 1


@dataclass(frozen=True)
class Inputs:
    """The inputs that all pictures of a command share; targets: the styles' statistics, kept between pictures."""

    styles: Sequence[Tensor]
    masks: Masks | None
    init_image: Tensor | None
    network: Network
    targets: StyleTargets
    engine: Engine


def _run(options: argparse.Namespace) -> int:
    config = configured(options)
    if options.list_recipes:
        for name, preset in RECIPES.items():
            print(f"{name:15} {preset.network}, {preset.style_statistic}, {preset.optimizer}, from {preset.init}")
        return 0
    if options.list_layers:
        print("\n".join(_layers(config)))
        return 0
    jobs, style_paths = jobs_and_styles(options)
    if options.every < 1:
        raise StyleTransferError(f"every must be at least 1, got {options.every}")
    if any([is_clip(job, options) for job in jobs]):
        return paint_clip(jobs[0], style_paths, config, options)
    report = _ignore if options.quiet else say
    styles = [load_image(path, background=options.background) for path in style_paths]
    init_image = load_image(options.init_image, background=options.background) if options.init_image else None
    masks = _masks(options)
    # Files that cannot be read or written end the command before the first run. Only with --each, a content that cannot
    # be read is reported at the end, after the other pictures have been painted.
    late = options.each and not options.dry_run
    sizes = [] if late else [_size_of(job, styles, options) for job in jobs]
    outputs = [job.output for job in jobs]
    check_names(outputs, options.json, options.frames, _inputs(options, jobs, style_paths))
    if not options.dry_run:
        prepare(outputs, options.json, options.frames, options.output_dir)
    network = load_network(config, report=report)
    report(f"network {network.name} ({network.reason}), {network.mean.device.type}")
    if options.verbose:
        say(machine_line(network))
    for job, (size, transparent) in zip(jobs, sizes):
        final = schedule(config, size, network, _style_sizes(job, styles, style_paths))[-1].size
        check_encodable(SUFFIXES[job.output.suffix.lower()], final, transparent)
    if options.dry_run:
        for job, (size, _) in zip(jobs, sizes):
            print(estimate(job, size, _style_sizes(job, styles, style_paths), config, network))
        return 0
    with closing(chosen(options)) as engine:
        if options.each:
            return paint_each(jobs, config, options, engine)
        if engine.workers > 1 and not config.tile:
            config = replace(config, tile=SHARED_TILE)
        return _paint_all(jobs, config, Inputs(styles, masks, init_image, network, {}, engine), options)


def _size_of(job: Job, styles: Sequence[Tensor], options: argparse.Namespace) -> tuple[Size, bool]:
    """(H, W) of a job's content, or of the first style without one, and whether its transparency will be kept."""
    frame = styles[0] if job.content is None else load_image(job.content, background=options.background)
    return size_of(frame), options.keep_alpha and job.content is not None and load_alpha(job.content) is not None


def _style_sizes(job: Job, styles: Sequence[Tensor], paths: Sequence[Path]) -> list[Size]:
    """(H, W) of the styles of a job."""
    return [size_of(style) for style, path in zip(styles, paths) if job.style in (None, path)]


def _inputs(options: argparse.Namespace, jobs: Sequence[Job], styles: Sequence[Path]) -> list[Path]:
    """The files that a command reads."""
    others = [*(options.masks or ()), options.init_image, options.settings, options.weights]
    contents = [job.content for job in jobs if job.content is not None]
    return [*contents, *styles, *(Path(name) for name in others if name is not None)]


def _paint_all(jobs: Sequence[Job], config: Config, inputs: Inputs, options: argparse.Namespace) -> int:
    """Paint the pictures one after the other and return the exit code; after Ctrl-C, the picture so far is saved."""
    reports, interrupted, reported = list[dict[str, Any]](), False, True
    try:
        for job in jobs:
            report, interrupted = _paint(job, config, inputs, options)
            reports.append(report)
            if interrupted:
                break
    finally:
        if reports:
            reported = write_report(options.json, json.dumps(reports[0] if len(jobs) == 1 else reports, indent=1))
    if left := len(jobs) - len(reports):
        say(f"{left} of {len(jobs)} pictures are not painted")
    return 1 if left or not reported else 0


def _masks(options: argparse.Namespace) -> list[Tensor | None] | None:
    if not options.masks:
        return None
    masks = [None if name == "-" else luminance(load_image(name)) for name in options.masks]
    for name, mask in zip(options.masks, masks):
        if mask is not None and not mask.any():
            raise StyleTransferError(
                f"the mask {quoted(name)} is black throughout: a mask is white where its style goes"
            )
    return masks


def _layers(config: Config) -> list[str]:
    if config.network in DESIGNS:
        return list(layer_names(DESIGNS[config.network].widths))
    return list(load_network(config, download=False).layers)


def estimate(job: Job, size: Size, styles: Sequence[Size], config: Config, network: Network) -> str:
    """The forecast of a run in a frame of (H, W) with styles of (H, W), in two lines: sizes, steps and seconds; memory
    and tiles.
    """
    expected = forecast(config, size, network, styles, content=job.content is not None)
    plan, seconds = expected.plan, sum(expected.seconds)
    steps = ", ".join(f"{scale.size[1]}x{scale.size[0]} {scale.iterations} steps" for scale in expected.scales)
    available = "" if plan.available is None else f" of {plan.available / 2**20:.0f} MB available"
    tiles = f"tiles of {plan.tile} pixels" if plan.tile else "in one piece"
    history = f", L-BFGS remembers {plan.history} steps" if plan.history < config.history else ""
    memory = f"{plan.memory / 2**20:.0f} MB{available}, {tiles}{history}"
    return f"{job.output.name}: {steps}; about {seconds:.0f} s\n  {memory}"


def _paint(job: Job, config: Config, inputs: Inputs, options: argparse.Namespace) -> tuple[dict[str, Any], bool]:
    """Paint and save one picture, after Ctrl-C as it is then; return its report, and whether Ctrl-C was pressed."""
    content = None if job.content is None else load_image(job.content, background=options.background)
    began = time.monotonic()
    times: list[float] = []  # seconds from the beginning to the end of each step
    last: Step | None = None  # no earlier steps, since they hold the pictures of their states
    frames, interrupted = options.frames, False
    allocator.keep()
    steps = iterate(
        content,
        inputs.styles,
        config,
        init_image=inputs.init_image,
        network=inputs.network,
        style_targets=inputs.targets,
        masks=inputs.masks,
        on_tight_memory=allocator.give_back,
        map_tiles=inputs.engine.map,
    )
    with tqdm(total=100, disable=options.quiet, bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}") as bar:
        try:
            for step in steps:
                last = step
                times.append(time.monotonic() - began)
                _show(step, bar, options.quiet)
                if frames is not None and len(times) % options.every == 0:
                    frames = _keep_frame(step.image, frames, job.output, len(times))
        except KeyboardInterrupt:
            interrupted = True
    if last is None:
        raise KeyboardInterrupt
    result = last.result
    alpha = alpha_at(job.content, size_of(result.image)) if options.keep_alpha and job.content is not None else None
    save_image(result.image, job.output, settings=result.metadata, alpha=alpha)
    if interrupted:
        say(f"stopped: saved {job.output.name} as it was")
    if result.outcome == "non-finite":
        say("the loss became infinite or NaN: saved the best picture before that")
    return report_of(result, inputs.network, times, time.monotonic() - began), interrupted


def _keep_frame(image: Tensor, folder: Path, output: Path, step: int) -> Path | None:
    """Save a picture of `--frames`, and return its folder, or None after a failure, which must not end the run."""
    try:
        save_image(image, frame_file(folder, output, step))
    except StyleTransferError as error:
        say(f"no more frames are kept: {error}")
        return None
    return folder


def _show(step: Step, bar: Any, quiet: bool) -> None:
    """Move the progress bar to a step, and print the step's note."""
    if step.note and not quiet:
        say(step.note)
    bar.update(100 * step.progress - bar.n)
    bar.set_postfix_str(f"{step.size[1]}x{step.size[0]} step {step.iteration}, loss {step.losses['total']:.4g}")


def _ignore(line: str) -> None:
    pass
