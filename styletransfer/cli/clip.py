"""A clip: its scenes by the workers of an engine, frame after frame, each kept as soon as it is painted."""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from tqdm import tqdm

from .. import video
from ..config import Config, StyleTransferError
from ..engine import Engine, chosen
from ..features import Network, load_network
from ..images import load_image
from ..images.checks import quoted
from ..pixels import size_of
from ..plan import peak_memory
from ..transfer.run import Run
from ..video import (
    READS,
    WRITES,
    Clip,
    Glimpse,
    Order,
    Painted,
    Past,
    Scene,
    Work,
    check_installed,
    digest_of,
    paint_scene,
    scan,
    scenes_of,
    seconds_of_frames,
)
from .batch import network_for, tried
from .outputs import check_names, prepare
from .parser import Job
from .report import machine_line, machine_of, say, write_report

CLIP_FLAGS = ("seconds", "fps", "keep_every")
NOT_FOR_CLIPS = ("masks", "init_image", "keep_alpha", "frames", "each", "output_dir")


def is_clip(job: Job, options: argparse.Namespace) -> bool:
    """Whether a command is about a clip. Raises StyleTransferError where its flags or names do not fit together."""
    moving = job.content is not None and job.content.suffix.lower() in set(READS) - {".gif"}
    if job.output.suffix.lower() in WRITES:
        for name in NOT_FOR_CLIPS:
            if getattr(options, name):
                raise StyleTransferError(f"a clip takes no --{name.replace('_', '-')}")
        if job.content is None or options.task != "transfer":
            raise StyleTransferError("a clip needs a clip and a style: CLIP STYLE -o OUT.mp4")
        return True
    if moving:
        kinds = " or ".join(WRITES)
        raise StyleTransferError(f"a clip cannot be written as {quoted(job.output.name)}: the name must end in {kinds}")
    for name in CLIP_FLAGS:
        if getattr(options, name) is not None:
            raise StyleTransferError(f"--{name.replace('_', '-')} is for clips, like CLIP.mp4 STYLE -o OUT.mp4")
    return False


def painted(order: Order, past: Past) -> Iterator[Painted | Glimpse]:
    """Yield the frames of a scene: what a worker runs."""
    return video.painted(order, network_for(order.config), past)


# --- what the command does


@dataclass
class Command:
    """A clip that is being painted: who paints, what, the folder of what is done, and the bar that shows it."""

    engine: Engine
    order: Order  # of the whole clip
    work: Work
    bar: Any
    stopping: threading.Event = field(default_factory=threading.Event)
    reports: list[dict[str, Any]] = field(default_factory=list)

    def paint(self, scene: Scene) -> None:
        """Paint what is left of a scene. A scene whose worker died goes on with another."""
        tried(self.engine, partial(self._paint, scene))

    def _paint(self, scene: Scene, worker: Any) -> None:
        if self.stopping.is_set():
            return
        with closing(paint_scene(worker, painted, self.order, self.work, scene)) as frames:
            for number, frame in frames:
                assert isinstance(frame, Painted)
                self.reports.append({"frame": number, **frame.report})
                self.bar.update()
                self.bar.set_postfix_str(f"loss {frame.report['losses']['total']:.4g}")
                if self.stopping.is_set():
                    break

    def paint_all(self) -> bool:
        """Paint all scenes, and return whether Ctrl-C ended it."""
        scenes = self.work.scenes
        try:
            if self.engine.workers == 1:
                for scene in scenes:
                    self.paint(scene)
                return False
            with ThreadPoolExecutor(self.engine.workers, "clip") as pool:
                try:
                    for _ in pool.map(self.paint, scenes):
                        pass
                except BaseException:
                    self.stopping.set()  # the frames under way are finished
                    pool.shutdown(cancel_futures=True)
                    raise
            return False
        except KeyboardInterrupt:
            return True


class Ending(NamedTuple):
    """How the painting ended: the entries of its frames in the report, its seconds, and whether Ctrl-C ended it."""

    frames: list[dict[str, Any]]
    seconds: float
    interrupted: bool


def paint_clip(job: Job, style_paths: Sequence[Path], config: Config, options: argparse.Namespace) -> int:
    """Paint a clip and return the exit code. Raises StyleTransferError."""
    check_installed()
    assert job.content is not None
    clip = _clip(job.content, options)
    check_names([job.output], options.json, None, [job.content, *style_paths], WRITES)
    styles = [load_image(path, background=options.background) for path in style_paths]
    tell = (lambda line: None) if options.quiet else say
    network = load_network(config, report=tell)
    tell(f"network {network.name} ({network.reason}), {network.mean.device.type}")
    if options.verbose:
        say(machine_line(network))
    first = next(clip.frames(None if config.size == "original" else int(config.size))).image
    config = replace(config, size=max(size_of(first)))
    Run(first, styles, config, None, network)  # refuses what does not fit together, before the clip is read
    if not options.dry_run:
        prepare([job.output], options.json, None, None)
    scenes = scenes_of(scan(clip))
    estimate = _estimate(job, scenes, first, styles, config, network)
    if options.dry_run:
        print(estimate)
        return 0
    tell(estimate)
    work = Work(job.output, scenes, _inputs(job, style_paths, config, network, options))
    sent = replace(clip, source=job.content.read_bytes()) if options.ray else clip  # another computer has no such file
    pictures = tuple(path.read_bytes() for path in style_paths)
    order = Order(sent, 0, len(work.times), int(config.size), pictures, config, options.background)
    ending = _paint(order, work, options, tell)
    frames, written = work.finish(job.content), True
    if options.json is not None:
        written = write_report(options.json, json.dumps(_report(ending, work, first, network), indent=1))
    if not ending.interrupted:
        return 0 if written else 1
    if not frames:
        raise KeyboardInterrupt
    say(f"stopped: saved {frames} of {len(work.times)} frames; the same command goes on from here")
    return 1


def _clip(source: Path, options: argparse.Namespace) -> Clip:
    """What is wanted of the clip. Raises StyleTransferError."""
    for name in ("seconds", "fps"):
        value = getattr(options, name)
        if value is not None and not (math.isfinite(value) and value > 0):
            raise StyleTransferError(f"{name} must be a positive number, got {value:g}")
    if options.keep_every is not None and options.keep_every < 1:
        raise StyleTransferError(f"keep-every must be at least 1, got {options.keep_every}")
    return Clip(source, options.seconds, options.fps, options.keep_every or 1)


def _estimate(
    job: Job, scenes: Sequence[Scene], first: Tensor, styles: Sequence[Tensor], config: Config, network: Network
) -> str:
    """What a clip will take, in a line; first: a frame of it."""
    frames, (height, width) = sum(len(scene.times) for scene in scenes), size_of(first)
    first_seconds, further_seconds = seconds_of_frames(first, styles, config, network)
    total = len(scenes) * first_seconds + (frames - len(scenes)) * further_seconds
    counts = f"{frames} frames of {width}x{height}, {len(scenes)} scene{'s' if len(scenes) > 1 else ''}"
    by_frame = f"{first_seconds:.1f} s for a scene's first frame, {further_seconds:.1f} s for a further one"
    return f"{job.output.name}: {counts}; about {total:.0f} s: {by_frame}"


def _inputs(
    job: Job, style_paths: Sequence[Path], config: Config, network: Network, options: argparse.Namespace
) -> dict[str, Any]:
    """Everything that the frames depend on."""
    assert job.content is not None
    return {
        "clip": [digest_of(job.content), options.seconds, options.fps, options.keep_every],
        "styles": [digest_of(path) for path in style_paths],
        "config": config.to_dict(),
        "network": network.digest,
        "background": options.background,
        "kind": job.output.suffix.lower(),
    }


def _paint(order: Order, work: Work, options: argparse.Namespace, tell: Callable[[str], None]) -> Ending:
    """Paint the frames that are not there yet."""
    ready, total, began = sum(work.load(scene)[0] for scene in work.scenes), len(work.times), time.monotonic()
    if ready:
        tell(f"{ready} of {total} frames are there already")
    with (
        closing(chosen(options)) as engine,
        tqdm(total=total, initial=ready, unit="frame", disable=options.quiet) as bar,
    ):
        command = Command(engine, order, work, bar)
        interrupted = command.paint_all()
    frames = sorted(command.reports, key=lambda entry: entry["frame"])
    return Ending(frames, time.monotonic() - began, interrupted)


def _report(ending: Ending, work: Work, first: Tensor, network: Network) -> dict[str, Any]:
    """What `--json` writes."""
    return {
        "outcome": "stopped" if ending.interrupted else "done",
        "size": list(size_of(first)),
        "scenes": [scene.start for scene in work.scenes],
        "seconds": ending.seconds,
        "peak_memory": peak_memory(),
        "metadata": ending.frames[-1]["metadata"] if ending.frames else {},
        "machine": machine_of(network),
        "frames": [{name: entry[name] for name in entry if name != "metadata"} for entry in ending.frames],
    }
