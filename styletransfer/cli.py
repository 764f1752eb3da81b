"""The command line: `python -m styletransfer CONTENT STYLE [STYLE ...] -o OUT.png`.

Exit codes: 0 done (or stopped by Ctrl-C with a picture saved), 2 bad usage or input with one sentence on stderr, 1
failure.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor
from tqdm import tqdm

from . import allocator
from .config import Config, StyleTransferError
from .features import DESIGNS, Network, layer_names, load_network
from .images import SUFFIXES, load_alpha, load_image, read_settings, save_image
from .pixels import luminance, resample, size_of
from .plan import estimate_seconds, make_plan, peak_memory
from .recipes import RECIPES, recipe
from .start import Masks
from .transfer import VERSION, Result, Step, StyleTargets, iterate, schedule

TASKS = ("transfer", "content", "style")
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".gif")


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are our own: one sentence, exit code 2."""

    def error(self, message: str) -> NoReturn:
        raise StyleTransferError(message)


@dataclass(frozen=True)
class Job:
    """One picture to make: where from and where to."""

    content: Path | None
    output: Path


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
    except (RuntimeError, OSError, MemoryError) as error:
        print(f"failed: {str(error).splitlines()[0] if str(error) else type(error).__name__}", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """The parser: what belongs to the command line, then one flag for each field of Config."""
    parser = _Parser(prog="styletransfer", description="Repaint a picture in the style of others.", allow_abbrev=False)
    parser.add_argument("pictures", nargs="*", metavar="CONTENT STYLE", help="the content, then one or more styles")
    parser.add_argument("-o", "--output", type=Path, help="the picture to write: .png, .jpg, .webp or .tiff")
    parser.add_argument("--style", nargs="+", metavar="STYLE", help="the styles; then all pictures before are contents")
    parser.add_argument("--output-dir", type=Path, help="folder for the results of several contents, as NAME.png")
    parser.add_argument(
        "--task", choices=TASKS, default="transfer", help="content and style are reconstructions of one alone"
    )
    parser.add_argument("--recipe", default="balanced", help=f"settings to start from: {', '.join(RECIPES)}")
    parser.add_argument(
        "--settings", type=Path, metavar="PICTURE", help="start from the settings inside a PNG made here"
    )
    parser.add_argument(
        "--masks",
        nargs="+",
        metavar="MASK",
        help="a grey picture for each style, white where it goes, or - for a style that goes where no other does",
    )
    parser.add_argument("--init-image", type=Path, help="picture to start from (sets --init image)")
    parser.add_argument("--background", default="white", help="colour behind transparent pictures")
    parser.add_argument("--keep-alpha", action="store_true", help="give the result the content's transparency")
    parser.add_argument("--frames", type=Path, metavar="FOLDER", help="keep pictures on the way, as NUMBER.png")
    parser.add_argument("--every", type=int, default=10, metavar="N", help="steps from one of them to the next")
    parser.add_argument("--json", type=Path, metavar="REPORT", help="write losses, seconds, memory and metadata")
    parser.add_argument("--dry-run", action="store_true", help="print what the run will take, and do not run it")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no status lines")
    parser.add_argument("--list-layers", action="store_true", help="print the layers of --network")
    parser.add_argument("--list-recipes", action="store_true", help="print the recipes")
    parser.add_argument("--version", action="version", version=f"styletransfer {VERSION}")
    group = parser.add_argument_group("settings of the run (defaults from the recipe)")
    for each in fields(Config):
        rule = each.metadata
        choices = f": {', '.join(rule['choices'])}" if rule["choices"] else ""
        flag = "--" + each.name.replace("_", "-")
        text = f"{rule['help']}{choices} ({_shown(each.default)})".replace("%", "%%")
        if isinstance(each.default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            group.add_argument(flag, metavar=_metavar(each.default), help=text)
    return parser


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)


def _metavar(default: Any) -> str:
    if isinstance(default, tuple):
        return "A,B,..."
    return "N" if isinstance(default, (int, float)) else "NAME"


def configured(options: argparse.Namespace) -> Config:
    """The run's settings: those of a picture or a recipe, then the flags given. Raises StyleTransferError."""
    if options.settings is not None:
        found = _mapping(read_settings(options.settings).get("config"))
        base = Config.from_dict({**found, "weights": None})  # a picture names no files
    else:
        base = recipe(options.recipe)
    given: dict[str, Any] = {}
    for each in fields(Config):
        text = getattr(options, each.name)
        if text is not None:
            given[each.name] = (
                text if isinstance(text, bool) else parse_value(each.name, text, each.default, each.metadata["item"])
            )
    if options.init_image is not None:
        given["init"] = "image"
    return replace(base, **given)


def _mapping(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise StyleTransferError("the picture's settings hold no config: give a PNG that was made here")
    return value


def parse_value(name: str, text: str, default: Any, item: type = str) -> Any:
    """A flag's text in its field's type; the range is for Config to check. Raises StyleTransferError."""
    if default is None or isinstance(default, str) or (name == "size" and text == "original"):
        return text
    if isinstance(default, tuple):
        return tuple(parse_value(name, part.strip(), item()) for part in text.split(",") if part.strip())
    try:
        return int(text) if isinstance(default, int) else float(text)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise StyleTransferError(f"{name} must be {kind}, got {text!r}") from None


# --- the run


def _run(options: argparse.Namespace) -> int:
    config = configured(options)
    if options.list_recipes:
        for name, preset in RECIPES.items():
            print(f"{name:15} {preset.network}, {preset.style_statistic}, {preset.optimizer}, from {preset.init}")
        return 0
    if options.list_layers:
        print("\n".join(_layers(config)))
        return 0
    jobs, style_paths = plan(options)
    if options.every < 1:
        raise StyleTransferError(f"every must be at least 1, got {options.every}")
    say = _silent if options.quiet else _say
    styles = [load_image(path, background=options.background) for path in style_paths]
    init_image = load_image(options.init_image, background=options.background) if options.init_image else None
    for folder in (options.output_dir, options.frames):
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        if job.content is not None:  # an unreadable one is better told before the work than after it
            load_image(job.content, background=options.background)
    network = load_network(config, report=say)
    say(f"network {network.name} ({network.reason}), {network.mean.device.type}")
    if options.dry_run:
        for job in jobs:
            print(foretold(job, styles, config, network))
        return 0
    inputs = Inputs(styles, _masks(options), init_image, network, {})
    reports = [_paint(job, config, inputs, options) for job in jobs]
    if options.json is not None:
        _write_json(options.json, reports[0] if len(reports) == 1 else reports)
    return 0


def plan(options: argparse.Namespace) -> tuple[list[Job], list[Path]]:
    """The pictures to make and the styles' paths, from the positions and flags given. Raises StyleTransferError."""
    pictures = [Path(name) for name in options.pictures]
    styles = [Path(name) for name in options.style or ()]
    if options.task == "style":
        contents, styles = [], styles + pictures
    elif options.task == "content" or styles:
        contents = pictures
    else:
        contents, styles = pictures[:1], pictures[1:]
    if options.task == "content" and styles:
        raise StyleTransferError("a content reconstruction takes no style: give the content alone")
    if options.task != "style" and not contents:
        raise StyleTransferError("no content picture given: python -m styletransfer CONTENT STYLE -o OUT.png")
    if options.task != "content" and not styles:
        raise StyleTransferError("no style picture given: python -m styletransfer CONTENT STYLE -o OUT.png")
    contents = [each for path in contents for each in (_pictures_in(path) if path.is_dir() else [path])]
    if (options.output is None) == (options.output_dir is None):
        raise StyleTransferError("say where to: either -o OUT.png or --output-dir FOLDER")
    if options.output is not None:
        if len(contents) > 1:
            raise StyleTransferError(f"{len(contents)} contents need --output-dir FOLDER instead of -o")
        _check_output(options.output)
        return [Job(contents[0] if contents else None, options.output)], styles
    names = [path.stem for path in contents] or [styles[0].stem]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StyleTransferError(f"two contents are named {twice[0]}: their results would have one name")
    folder: Path = options.output_dir
    return [Job(path, folder / f"{name}.png") for path, name in zip_longest(contents, names)], styles


def _pictures_in(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    if not found:
        raise StyleTransferError(f"the folder {folder.name} holds no pictures")
    return found


def _check_output(path: Path) -> None:
    """Refuse before the work what could not be written after it."""
    if path.suffix.lower() not in SUFFIXES:
        raise StyleTransferError(f"cannot write {path.name!r}: the name must end in {', '.join(SUFFIXES)}")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise StyleTransferError(f"cannot write {path.name!r}: its folder does not exist or is not writable")


def _masks(options: argparse.Namespace) -> list[Tensor | None] | None:
    if not options.masks:
        return None
    return [None if name == "-" else luminance(load_image(name)) for name in options.masks]


def foretold(job: Job, styles: Sequence[Tensor], config: Config, network: Network) -> str:
    """What a run will take, in two lines: sizes, steps and seconds, then memory and tiles."""
    model = styles[0] if job.content is None else load_image(job.content)
    scales = schedule(config, size_of(model), network)
    plan = make_plan(network, config, scales[-1].size, content=job.content is not None)
    seconds = estimate_seconds(network, config, [(scale.size, scale.iterations) for scale in scales], plan.tile)
    steps = ", ".join(f"{scale.size[1]}x{scale.size[0]} {scale.iterations} steps" for scale in scales)
    hand = "" if plan.available is None else f" of {plan.available / 2**20:.0f} MB at hand"
    tiles = f"tiles of {plan.tile} pixels" if plan.tile else "in one piece"
    history = f", L-BFGS remembers {plan.history} steps" if plan.history < config.history else ""
    return f"{job.output.name}: {steps}; about {seconds:.0f} s\n  {plan.memory / 2**20:.0f} MB{hand}, {tiles}{history}"


@dataclass(frozen=True)
class Inputs:
    """What all pictures of one call share; `targets` keeps the styles' statistics from one to the next."""

    styles: Sequence[Tensor]
    masks: Masks | None
    init_image: Tensor | None
    network: Network
    targets: StyleTargets


def _paint(job: Job, config: Config, inputs: Inputs, options: argparse.Namespace) -> dict[str, Any]:
    """Make one picture, save it, and return its report; Ctrl-C saves the picture of the last step."""
    content = None if job.content is None else load_image(job.content, background=options.background)
    began = time.monotonic()
    marks: list[float] = []  # seconds at each step
    last: Step | None = None  # alone, since a step holds the pictures of its state
    steps = iterate(
        content,
        inputs.styles,
        config,
        init_image=inputs.init_image,
        network=inputs.network,
        style_targets=inputs.targets,
        masks=inputs.masks,
    )
    interrupted = False
    with tqdm(total=100, disable=options.quiet, bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}") as bar:
        try:
            for step in steps:
                last = step
                marks.append(time.monotonic() - began)
                if step.note and not options.quiet:
                    _say(step.note)
                bar.update(100 * step.progress - bar.n)
                bar.set_postfix_str(
                    f"{step.size[1]}x{step.size[0]} step {step.iteration}, loss {step.losses['total']:.4g}"
                )
                if options.frames is not None and len(marks) % options.every == 0:
                    save_image(step.image, options.frames / f"{job.output.stem}-{len(marks):05d}.png")
        except KeyboardInterrupt:
            interrupted = True
    if last is None:
        raise KeyboardInterrupt
    result = last.result
    save_image(result.image, job.output, settings=result.metadata, alpha=_alpha(job, result, options))
    if interrupted:
        _say(f"stopped: saved {job.output.name} as it was")
    if result.outcome == "non-finite":
        _say("the loss left the range of numbers: saved the best picture before that")
    return report_of(result, marks, time.monotonic() - began)


def _alpha(job: Job, result: Result, options: argparse.Namespace) -> Tensor | None:
    alpha = load_alpha(job.content) if options.keep_alpha and job.content is not None else None
    if alpha is None:
        return None
    return resample(alpha, size_of(result.image)).clamp(0, 1)


def report_of(result: Result, marks: Sequence[float], total: float) -> dict[str, Any]:
    """What `--json` writes: the loss of every step, seconds by scale and step, peak memory in bytes, and the
    metadata.
    """
    steps = [after - before for before, after in zip((0.0, *marks), marks)]
    scales: dict[str, float] = {}
    for entry, seconds in zip(result.history, steps):
        scales[str(int(entry["scale"]))] = scales.get(str(int(entry["scale"])), 0.0) + seconds
    return {
        "outcome": result.outcome,
        "history": [dict(losses) for losses in result.history],
        "seconds": {"total": total, "scales": scales, "steps": steps},
        "peak_memory": peak_memory(),
        "metadata": result.metadata,
    }


def _write_json(path: Path, report: Any) -> None:
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.write_text(json.dumps(report, indent=1))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _layers(config: Config) -> list[str]:
    if config.network in DESIGNS:
        return list(layer_names(DESIGNS[config.network].widths))
    return list(load_network(config, download=False).heads)


def _say(line: str) -> None:
    tqdm.write(line, file=sys.stderr)


def _silent(line: str) -> None:
    pass
