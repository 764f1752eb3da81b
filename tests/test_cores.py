"""Cores that are shared with other programs: how many threads compute, how they wait, and who says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from styletransfer import cores

ROOT = Path(__file__).parents[1]
NAMES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "OMP_NUM_THREADS")
NEWER, OLDER = "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_{}_us"


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The system's files; eight cores, and no limit yet."""
    files: dict[str, str] = {}
    monkeypatch.setattr(cores, "text_of", lambda path: files.get(path, ""))
    monkeypatch.setattr(cores, "_allowed", lambda: 8)
    return files


def limit(texts: dict[str, str], quota: str, period: str, *, newer: bool) -> None:
    if newer:
        texts[NEWER] = f"{quota} {period}\n"
    else:
        texts[OLDER.format("quota")], texts[OLDER.format("period")] = f"{quota}\n", f"{period}\n"


@pytest.mark.parametrize("newer", [True, False])
@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [("200000", "100000", 2), ("150000", "100000", 2), ("5000", "100000", 1), ("50000", "10000", 5)],
)
def test_a_containers_share_of_time_limits_the_threads(
    texts: dict[str, str], quota: str, period: str, expected: int, newer: bool
) -> None:
    limit(texts, quota, period, newer=newer)
    assert cores.usable() == expected and cores.settings({})["OMP_NUM_THREADS"] == str(expected)


@pytest.mark.parametrize(
    ("quota", "period", "newer"),
    [
        ("max", "100000", True),
        ("-1", "100000", False),
        ("1600000", "100000", True),
        ("", "", True),
        ("many", "?", False),
    ],
)
def test_without_a_smaller_share_torch_chooses_the_threads(
    texts: dict[str, str], quota: str, period: str, newer: bool
) -> None:
    limit(texts, quota, period, newer=newer)
    assert cores.usable() == 8 and "OMP_NUM_THREADS" not in cores.settings({})


def test_threads_sleep_while_they_wait(texts: dict[str, str]) -> None:
    added = cores.settings({"PATH": "/bin"})
    assert added == {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": str(cores.ROUNDS)}


@pytest.mark.parametrize(
    ("name", "added"),
    [
        ("OMP_WAIT_POLICY", {"OMP_NUM_THREADS"}),
        ("GOMP_SPINCOUNT", {"OMP_NUM_THREADS"}),
        ("OMP_NUM_THREADS", {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}),
    ],
)
def test_what_the_user_has_set_stays(texts: dict[str, str], name: str, added: set[str]) -> None:
    limit(texts, "200000", "100000", newer=True)
    assert set(cores.settings({name: "7"})) == added


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux says which cores a process may run on")
def test_only_cores_that_the_process_may_run_on_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3})
    assert cores.usable() == 1


@pytest.mark.parametrize("program", ["app.py", "styletransfer", "styletransfer.distill"])
def test_a_program_says_how_its_threads_wait_before_torch_is_here(program: str) -> None:
    run = f"runpy.run_{'path' if program.endswith('.py') else 'module'}({program!r}, run_name='__main__')"
    code = f"""
import atexit, os, runpy, sys
class Watch:
    def find_spec(self, name, path, target=None):
        if name == "torch":
            tell()
def tell():
    print("waits", os.environ.get("OMP_WAIT_POLICY"), os.environ.get("GOMP_SPINCOUNT"))
sys.meta_path.insert(0, Watch())
atexit.register(tell)
sys.argv[1:] = ["--help"]
{run}
"""
    plain = {name: value for name, value in os.environ.items() if name not in NAMES}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, env=plain)
    told = {line for line in done.stdout.splitlines() if line.startswith("waits")}
    assert told == {f"waits {' '.join(cores.WAITING.values())}"}, done.stderr


def test_the_library_leaves_the_environment_alone() -> None:
    files = [*(ROOT / "styletransfer").rglob("*.py"), ROOT / "app.py"]
    programs = {path.relative_to(ROOT).as_posix() for path in files if "cores.settings(" in path.read_text()}
    assert programs == {"app.py", "styletransfer/__main__.py", "styletransfer/distill/__main__.py"}
