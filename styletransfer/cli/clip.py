"""A clip: its scenes by the workers of an engine, frame after frame, each kept as soon as it is painted."""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from .. import video
from ..config import Config, StyleTransferError
from ..engine import Engine, chosen
from ..features import Network, load_network
from ..images import load_image
from ..images.checks import quoted
from ..pixels import Size, size_of
from ..plan import peak_memory
from ..transfer import forecast
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
    further_config,
    paint_scene,
    scan,
    scenes_of,
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
    """What a worker does: yield the frames of a scene."""
    return video.painted(order, network_for(order.config), past)


# --- what the command does


@dataclass
class Command:
    """A clip under way: its scenes, the folder of what is done, and how it is told."""

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


def paint_clip(job: Job, style_paths: Sequence[Path], config: Config, options: argparse.Namespace) -> int:
    """Paint a clip and return the exit code. Raises StyleTransferError."""
    check_installed()
    assert job.content is not None
    source = job.content
    clip = _clip(source, options)
    check_names([job.output], options.json, None, [source, *style_paths], WRITES)
    pictures = [load_image(path, background=options.background) for path in style_paths]
    tell = (lambda line: None) if options.quiet else say
    network = load_network(config, report=tell)
    tell(f"network {network.name} ({network.reason}), {network.mean.device.type}")
    if options.verbose:
        say(machine_line(network))
    long_side = None if config.size == "original" else int(config.size)
    first = next(clip.frames(long_side)).image
    size = size_of(first)
    config = replace(config, size=max(size))
    Run(first, pictures, config, None, network)  # what does not fit together is told now
    if not options.dry_run:
        prepare([job.output], options.json, None, None)
    scenes = scenes_of(scan(clip))
    estimate = _estimate(job, scenes, size, config, network)
    if options.dry_run:
        print(estimate)
        return 0
    tell(estimate)
    inputs = {
        "clip": [digest_of(source), options.seconds, options.fps, options.keep_every],
        "styles": [digest_of(path) for path in style_paths],
        "config": config.to_dict(),
        "network": network.digest,
        "background": options.background,
        "kind": job.output.suffix.lower(),
    }
    work = Work(job.output, scenes, inputs)
    ready, times = sum(work.load(scene)[0] for scene in scenes), work.times
    if ready:
        tell(f"{ready} of {len(times)} frames are there already")
    sent = replace(clip, source=source.read_bytes()) if options.ray else clip  # another computer has no such file
    order = Order(
        sent, 0, len(times), max(size), tuple(path.read_bytes() for path in style_paths), config, options.background
    )
    began = time.monotonic()
    with (
        closing(chosen(options)) as engine,
        tqdm(total=len(times), initial=ready, unit="frame", disable=options.quiet) as bar,
    ):
        command = Command(engine, order, work, bar)
        interrupted = command.paint_all()
    frames, told = work.finish(source), True
    if options.json is not None:
        entries = sorted(command.reports, key=lambda entry: entry["frame"])
        seconds = time.monotonic() - began
        report = {
            "outcome": "stopped" if interrupted else "done",
            "size": list(size),
            "scenes": [scene.start for scene in scenes],
            "seconds": seconds,
            "peak_memory": peak_memory(),
            "metadata": entries[-1]["metadata"] if entries else {},
            "machine": machine_of(network),
            "frames": [{name: entry[name] for name in entry if name != "metadata"} for entry in entries],
        }
        told = write_report(options.json, json.dumps(report, indent=1))
    if not interrupted:
        return 0 if told else 1
    if not frames:
        raise KeyboardInterrupt
    say(f"stopped: saved {frames} of {len(times)} frames; the same command goes on from here")
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


def _estimate(job: Job, scenes: Sequence[Scene], size: Size, config: Config, network: Network) -> str:
    """What a clip will take, in a line."""
    frames = sum(len(scene.times) for scene in scenes)
    seconds = [sum(forecast(settings, size, network).seconds) for settings in (config, further_config(config, network))]
    total = len(scenes) * seconds[0] + (frames - len(scenes)) * seconds[1]
    counts = f"{frames} frames of {size[1]}x{size[0]}, {len(scenes)} scene{'s' if len(scenes) > 1 else ''}"
    each = f"{seconds[0]:.1f} s for a scene's first frame, {seconds[1]:.1f} s for a further one"
    return f"{job.output.name}: {counts}; about {total:.0f} s: {each}"
