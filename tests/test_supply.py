"""What is installed for a run: all of it used, none of it unbounded, nothing used that is not asked for."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = {"pillow": "PIL"}  # where the name of the import is another one
# Of clips, of many workers, of ZeroGPU, and not on Windows: each is done without where it is missing.
OPTIONAL = {"av", "cv2", "ray", "spaces", "resource"}
BROUGHT = {"starlette", "httpx"}  # by Gradio, whose page is an app of the one and which fetches with the other
RULE = re.compile(r"([a-z_-]+)>=(\d+(?:\.\d+)*),<(\d+)")


def required(file: str) -> dict[str, tuple[str, str]]:
    """Lower and upper bound of each package in a file of requirements."""
    found = {}
    for line in (ROOT / file).read_text().split("\n"):
        if line and not line.startswith("-r "):
            rule = RULE.fullmatch(line)
            assert rule, f"{line!r} has not the form name>=lower,<upper"
            found[rule[1]] = rule[2], rule[3]
    return found


@pytest.mark.parametrize("file", ["requirements.txt", "tests/requirements.txt"])
def test_every_requirement_has_both_bounds_in_order(file: str) -> None:
    for name, (lower, upper) in required(file).items():
        assert int(lower.split(".")[0]) < int(upper), name


def test_what_is_imported_is_what_is_required() -> None:
    imported = set()
    for path in (*(ROOT / "styletransfer").rglob("*.py"), ROOT / "app.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                imported.add(node.module.split(".")[0])
    foreign = imported - set(sys.stdlib_module_names) - OPTIONAL - BROUGHT - {"styletransfer"}
    assert foreign == {MODULES.get(name, name) for name in required("requirements.txt")}
