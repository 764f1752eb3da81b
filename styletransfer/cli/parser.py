"""The flags of the command line, the settings that they make, and the pictures to paint."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, NoReturn

from ..config import VERSION, Config, StyleTransferError, changes_since
from ..engine import add_flags
from ..images import read_settings
from ..recipes import RECIPES, recipe

NOT_EACH = ("masks", "init_image", "frames")  # flags that --each does not take
TASKS = ("transfer", "content", "style")
PICTURES = (".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".avif")
FAILURES = (RuntimeError, OSError, MemoryError)  # of the machine, not of the input, which is a StyleTransferError
USAGE = "python -m styletransfer CONTENT STYLE -o OUT.png"


class Parser(argparse.ArgumentParser):
    """A parser that raises StyleTransferError instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise StyleTransferError(message)


@dataclass(frozen=True)
class Job:
    """One picture to paint: its content, if any, the file to write, and with `--each` its style."""

    content: Path | None
    output: Path
    style: Path | None = None


def build_parser() -> argparse.ArgumentParser:
    """The parser: flags of the command line, then one for every field of Config."""
    parser = Parser(prog="styletransfer", description="Repaint a picture in the style of others.", allow_abbrev=False)
    add = parser.add_argument
    add("pictures", nargs="*", type=_name, metavar="CONTENT STYLE", help="the content, then one or more styles")
    add("-o", "--output", type=_path, help="file to write: .png, .jpg, .webp or .tiff; for a clip .mp4 or .webm")
    add(
        "--style",
        nargs="+",
        action="extend",
        type=_name,
        metavar="STYLE",
        help="the styles; all pictures before this flag are then contents",
    )
    add("--output-dir", type=_path, help="folder for the results of several contents, as NAME.png")
    add("--each", action="store_true", help="every content in every style, as CONTENT-STYLE.png, if not there already")
    add("--task", choices=TASKS, default="transfer", help="content or style: reconstruct that alone")
    add("--recipe", default="balanced", help=f"settings to start from: {', '.join(RECIPES)}")
    add("--settings", type=_path, metavar="PICTURE", help="start from the settings inside a PNG made here")
    add(
        "--masks",
        nargs="+",
        type=_name,
        metavar="MASK",
        help="by style, a grey picture that is white where the style goes, or - for the area that no mask covers",
    )
    add("--init-image", type=_path, help="picture to start from (sets --init image)")
    add("--background", default="white", help="colour behind transparent pictures")
    add("--keep-alpha", action="store_true", help="give the result the content's transparency")
    add("--frames", type=_path, metavar="FOLDER", help="save pictures during the run, as NAME-NUMBER.png")
    add("--every", type=int, default=10, metavar="N", help="steps between two pictures of --frames")
    add("--json", type=_path, metavar="REPORT", help="write losses, seconds, memory, metadata and how it was computed")
    add("--dry-run", action="store_true", help="print the steps, time and memory of the run, and do not run it")
    add("--quiet", action="store_true", help="no progress bar and no status lines")
    add("--verbose", action="store_true", help="also print how this machine computes, and why")
    add("--list-layers", action="store_true", help="print the layers of --network")
    add("--list-recipes", action="store_true", help="print the recipes")
    add("--version", action="version", version=f"styletransfer {VERSION}")
    add_flags(parser)
    _add_clip_flags(parser.add_argument_group("clips"))
    _add_settings(parser.add_argument_group("settings of the run (defaults from the recipe)"))
    return parser


def _name(text: str) -> str:
    """The name of a file or a folder; an empty one, which would mean the current folder, is refused."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty: a file's or a folder's is needed")
    return text


def _path(text: str) -> Path:
    return Path(_name(text))


def _add_clip_flags(group: Any) -> None:
    """The flags for clips alone."""
    group.add_argument("--seconds", type=float, metavar="N", help="paint the first seconds only")
    group.add_argument("--fps", type=float, metavar="N", help="paint at most so many frames a second")
    group.add_argument("--keep-every", type=int, metavar="N", help="paint every Nth frame only")


def _add_settings(group: Any) -> None:
    """A flag for every field of Config, with its help, choices and default."""
    for setting in fields(Config):
        default, rule = setting.default, setting.metadata
        choices = f": {', '.join(rule['choices'])}" if rule["choices"] else ""
        flag = "--" + setting.name.replace("_", "-")
        text = f"{rule['help']}{choices} ({_default_text(default)})".replace("%", "%%")
        if isinstance(default, bool):
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            group.add_argument(flag, metavar=_metavar(default), help=text)


def _default_text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)


def _metavar(default: Any) -> str:
    if isinstance(default, tuple):
        return "A,B,..."
    return "N" if isinstance(default, (int, float)) else "NAME"


def configured(options: argparse.Namespace) -> Config:
    """The settings of a run: those of a recipe or a picture, changed by the flags. Raises StyleTransferError."""
    base = recipe(options.recipe) if options.settings is None else _settings_of(options.settings)
    changes: dict[str, Any] = {}
    for setting in fields(Config):
        value = getattr(options, setting.name)
        if isinstance(value, str):
            value = parse_value(setting.name, value, setting.default, setting.metadata["item"])
        if value is not None:
            changes[setting.name] = value
    if options.init_image is not None:
        changes["init"] = "image"
    return replace(base, **changes)


def _settings_of(picture: Path) -> Config:
    metadata = read_settings(picture)
    settings = metadata.get("config")
    if not isinstance(settings, dict):
        raise StyleTransferError("the picture's settings hold no config: give a PNG that was made here")
    if changes := changes_since(metadata):
        print(f"{picture.name}: {changes}", file=sys.stderr)
    return Config.from_dict({**settings, "weights": None})  # a picture must not name a file of this computer


def parse_value(name: str, text: str, default: Any, item: type = str) -> Any:
    """A flag's text in the type of its field; Config checks the range. Raises StyleTransferError."""
    if default is None or isinstance(default, str) or (name == "size" and text == "original"):
        return text
    if isinstance(default, tuple):
        return tuple(parse_value(name, part.strip(), item()) for part in text.split(",") if part.strip())
    try:
        return int(text) if isinstance(default, int) else float(text)
    except ValueError:
        kind = "a whole number" if isinstance(default, int) else "a number"
        raise StyleTransferError(f"{name} must be {kind}, got {text!r}") from None


def jobs_and_styles(options: argparse.Namespace) -> tuple[list[Job], list[Path]]:
    """The pictures to paint, and the paths of the styles. Raises StyleTransferError."""
    contents, styles = _contents_and_styles(options)
    contents = [picture for path in contents for picture in (_pictures_in(path) if os.path.isdir(path) else [path])]
    if options.each and options.output_dir is None:
        raise StyleTransferError("--each makes several pictures: it needs --output-dir FOLDER")
    if (options.output is None) == (options.output_dir is None):
        raise StyleTransferError("say where to: either -o OUT.png or --output-dir FOLDER")
    if options.output is not None:
        if len(contents) > 1:
            raise StyleTransferError(f"{len(contents)} contents need --output-dir FOLDER instead of -o")
        return [Job(contents[0] if contents else None, options.output)], styles
    if options.each:
        return _each(contents, styles, options), styles
    names = [path.stem for path in contents] or [styles[0].stem]
    if repeated := _repeated(names):
        raise StyleTransferError(f"two contents are named {repeated}: their results would have one name")
    folder: Path = options.output_dir
    return [Job(path, folder / f"{name}.png") for path, name in zip_longest(contents, names)], styles


def _each(contents: Sequence[Path], styles: Sequence[Path], options: argparse.Namespace) -> list[Job]:
    """Every content with every style, style by style."""
    for name, value in (("task", options.task != "transfer"), *((name, getattr(options, name)) for name in NOT_EACH)):
        if value:
            flag = name.replace("_", "-")
            raise StyleTransferError(f"--each paints pictures of one content and one style: it takes no --{flag}")
    jobs = [
        Job(content, options.output_dir / f"{content.stem}-{style.stem}.png", style)
        for style in styles
        for content in contents
    ]
    if repeated := _repeated([job.output.name for job in jobs]):
        raise StyleTransferError(f"two pictures would be named {repeated}: give contents and styles other names")
    return jobs


def _repeated(names: Sequence[str]) -> str | None:
    """The alphabetically first name that occurs more than once, or None."""
    return min((name for name in names if names.count(name) > 1), default=None)


def _contents_and_styles(options: argparse.Namespace) -> tuple[list[Path], list[Path]]:
    """Which of the pictures are contents and which are styles, by the task and --style."""
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
        raise StyleTransferError(f"no content picture given: {USAGE}")
    if options.task != "content" and not styles:
        raise StyleTransferError(f"no style picture given: {USAGE}")
    return contents, styles


def _pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder, without hidden files, such as those that macOS adds."""
    pictures = [path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith(".")]
    if not pictures:
        raise StyleTransferError(f"the folder {folder.name} holds no pictures")
    return sorted(pictures)
