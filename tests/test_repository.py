"""The code base itself: imports run one way only, the linters agree, and the documents say what is there."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "styletransfer"
RANKS = {
    "config": 0,
    "allocator": 0,
    "files": 0,
    "cores": 1,
    "extras": 0,
    "machine": 1,
    "engine": 2,
    "recipes": 1,
    "weights": 1,
    "pixels": 1,
    "winograd": 2,
    "images": 2,
    "losses": 2,
    "features": 3,
    "nearest": 3,
    "tiles": 2,
    "start": 2,
    "parts": 4,
    "objective": 5,
    "spectrum": 5,
    "plan": 7,
    "solvers": 6,
    "transfer": 8,
    "distill": 9,
    "video": 9,
    "cli": 10,
    "__main__": 11,
    "explain": 9,
    "studio": 10,
    "page": 11,
}
INSIDE = {  # a folder's own ranks
    "cli": {"outputs": 0, "parser": 0, "report": 0, "batch": 1, "clip": 2, "run": 3},
    "engine": {"seam": 0, "cluster": 1, "choice": 2},
    "images": {"checks": 0, "chunks": 0, "read": 1, "write": 1},
    "features": {"designs": 0, "network": 1, "choice": 2},
    "plan": {"system": 0, "memory": 1, "timing": 1},
    "weights": {"sources": 0, "local": 0, "cache": 1, "hub": 2},
    "distill": {"losses": 0, "layers": 0, "pictures": 0, "student": 0, "course": 1, "program": 2, "__main__": 3},
    "studio": {
        "surroundings": 0,
        "server": 0,
        "worker": 0,
        "task": 0,
        "wording": 1,
        "job": 2,
        "frames": 3,
        "kept": 4,
        "elsewhere": 5,
        "session": 6,
        "series": 7,
        "clip": 8,
    },
    "video": {"clip": 0, "flow": 0, "film": 1, "paint": 1, "work": 2, "scenes": 3},
    "objective": {"terms": 0, "regions": 0, "variation": 0, "total": 1},
    "transfer": {"records": 0, "scales": 0, "forecast": 1, "run": 1, "loop": 2},
    "page": {
        "words": 0,
        "look": 1,
        "errors": 1,
        "controls": 3,
        "brushes": 4,
        "inputs": 2,
        "parts": 3,
        "crowd": 2,
        "visit": 4,
        "mix": 5,
        "own": 5,
        "shared": 1,
        "handlers": 5,
        "pictures": 6,
        "link": 6,
        "paint": 7,
        "nine": 8,
        "many": 9,
        "video": 9,
        "presets": 7,
        "how": 7,
        "api": 7,
        "health": 3,
        "demo": 11,
    },
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.stem != "__init__")
LIGHT = (
    "config",
    "extras",
    "recipes",
    "studio/server",
    "studio/wording",
    "studio/job",
    "studio/worker",
    "studio/task",
    "page/",
)  # what a page needs to answer, without torch
TEST_COMMAND = (
    "python3 -m venv .venv && .venv/bin/pip install -q -r tests/requirements.txt && .venv/bin/python -m pytest"
)
APP_COMMAND = "python3 -m venv .venv && .venv/bin/pip install -q -r requirements.txt && .venv/bin/python app.py"


def imports(path: Path, *, at_once: bool = False) -> set[str]:
    """Dotted names of all modules that a file imports; those of the package as `styletransfer.x`.

    `at_once` leaves out what is imported inside functions, and for types alone.
    """
    found = set()
    folder = ("styletransfer", *path.relative_to(PACKAGE).parts[:-1]) if path.is_relative_to(PACKAGE) else ()
    for node in nodes(ast.parse(path.read_text()), at_once):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) + 1 - node.level] if node.level else ()
            parts = (*base, *(node.module or "").split(".")) if node.module else base
            name, whole = ".".join(parts), parts and (PACKAGE.parent / Path(*parts)).is_dir()
            found |= {f"{name}.{alias.name}" for alias in node.names} if whole else {name}
    return found


def nodes(tree: ast.AST, at_once: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        later = for_types or isinstance(node, ast.FunctionDef)
        yield node
        if not (at_once and later):
            yield from nodes(node, at_once)


def identity(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix()


@pytest.mark.parametrize("path", MODULES, ids=identity)
def test_a_module_imports_only_lower_ranks(path: Path) -> None:
    room, *rest = identity(path).split("/")
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "styletransfer":
            continue
        if parts[1] != room:
            assert RANKS[parts[1]] < RANKS[room], f"{identity(path)} imports {name}"
        elif rest and parts[2] in INSIDE[room]:
            assert INSIDE[room][parts[2]] < INSIDE[room][rest[0]], f"{identity(path)} imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=identity)
def test_heavy_packages_stay_where_they_belong(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert "gradio" not in roots or identity(path).startswith("page/")
    assert "PIL" not in roots or identity(path).startswith("images/")
    assert "cv2" not in roots or identity(path) == "video/flow"
    assert "av" not in roots or identity(path) == "video/clip"
    assert "torch" not in {name.split(".")[0] for name in imports(path, at_once=True)} or not identity(path).startswith(
        LIGHT
    )


def test_the_page_answers_before_torch_is_here() -> None:
    build = "import app, sys; assert app.page.build_demo(app.Server.here(), app.EXAMPLES)"
    code = f"{build}; assert 'torch' not in sys.modules, 'torch'"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_package_does_without_gradio() -> None:
    code = "import sys, styletransfer.cli; assert not {'gradio', 'styletransfer.page'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_public_names_are_there_and_others_are_not() -> None:
    import styletransfer

    for name in styletransfer.__all__:
        assert getattr(styletransfer, name) is not None and name in dir(styletransfer)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        styletransfer.nothing  # noqa: B018


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)


def test_ruff_has_nothing_to_say() -> None:
    done = run("ruff", "check", ".")
    assert done.returncode == 0, done.stdout


def test_types_are_strict() -> None:
    done = run("mypy")
    assert done.returncode == 0, done.stdout


def test_the_readme_and_ci_have_the_same_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert TEST_COMMAND in readme and TEST_COMMAND in (ROOT / ".ci" / "run").read_text()
    assert APP_COMMAND in readme


def test_the_front_matter_fits_the_requirements() -> None:
    front = re.match(r"---\n(.*?)\n---\n", (ROOT / "README.md").read_text(), re.S)
    assert front
    entries = dict(re.findall(r"^(\w+): *(.+)$", front[1], re.M))
    assert entries["sdk"] == "gradio" and entries["app_file"] == "app.py" and entries["license"] == "mit"
    low, high = re.search(r"^gradio>=([\d.]+),<(\d+)$", (ROOT / "requirements.txt").read_text(), re.M).groups()  # type: ignore[union-attr]
    version = tuple(int(part) for part in entries["sdk_version"].strip('"').split("."))
    assert tuple(map(int, low.split("."))) <= version < (int(high),)


def test_the_examples_are_there_and_small() -> None:
    folder = ROOT / "examples"
    listed = json.loads((folder / "examples.json").read_text())
    assert len(listed["styles"]) >= 8 and len(listed["photos"]) >= 4 and len(listed["results"]) >= 4
    for entries in listed.values():
        for entry in entries:
            assert all((folder / entry[key]).is_file() for key in ("file", "content", "style") if key in entry)
    for entry in listed["results"]:
        assert entry["command"].startswith(
            f"python -m styletransfer examples/{entry['content']} examples/{entry['style']}"
        )
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= 12 * 10**6


def test_every_example_has_a_thumbnail_that_shows_it() -> None:
    folder = ROOT / "examples"
    listed = json.loads((folder / "examples.json").read_text())
    for entry in (entry for entries in listed.values() for entry in entries):
        file = folder / "small" / f"{Path(entry['file']).stem}.webp"
        assert file.stat().st_size < 12_000
        with Image.open(file) as small, Image.open(folder / entry["file"]) as large:
            assert small.size == (160, 120)
            seen = [np.asarray(ImageOps.fit(picture.convert("RGB"), (40, 30)), float) for picture in (small, large)]
        assert np.abs(seen[0] - seen[1]).mean() < 3, entry["file"]


def test_the_built_in_network_is_small() -> None:
    assert (PACKAGE / "data" / "builtin.safetensors").stat().st_size <= 6 * 10**6


def test_the_top_level_is_as_stated() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout")
    top = {name.split("/")[0] for name in listed.stdout.split("\n") if name and not name.startswith(".")}
    assert top <= {"app.py", "styletransfer", "examples", "tests", "requirements.txt", "README.md", "LICENSE"}
