"""What is measured once on a machine, kept, and read again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from styletransfer import machine
from styletransfer.machine import decided


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STYLETRANSFER_CACHE", str(tmp_path))
    return tmp_path / "machine.json"


def again() -> None:
    """As another process would ask."""
    machine._known.clear()


def no() -> bool:
    raise AssertionError("it was measured already")


@pytest.mark.parametrize("answer", [True, False])
def test_an_answer_is_measured_once(answer: bool) -> None:
    assert decided("this pays", lambda: answer) is answer
    again()
    assert decided("this pays", no) is answer
    assert decided("that pays", lambda: not answer) is not answer
    again()
    assert decided("this pays", no) is answer


def test_another_processor_and_another_torch_are_measured_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    decided("this pays", lambda: True)
    monkeypatch.setattr(machine, "_processor", lambda: "another")
    again()
    assert decided("this pays", lambda: False) is False
    monkeypatch.setattr(machine.torch, "__version__", "77")
    again()
    assert decided("this pays", lambda: True) is True


@pytest.mark.parametrize(
    "content", [b"", b"no json", b"[]", b"[" * 100_000, b"\xff\xfe", b'{"%s": 3}', b'{"%s": {"this pays": 1}}']
)
def test_a_damaged_file_is_measured_anew_and_replaced(content: bytes, kept: Path) -> None:
    decided("this pays", lambda: True)
    here = next(iter(json.loads(kept.read_bytes())))
    kept.write_bytes(content.replace(b"%s", here.encode()))
    again()
    assert decided("this pays", lambda: False) is False
    again()
    assert decided("this pays", no) is False


def test_a_folder_that_cannot_be_written_is_no_error(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (kept.parent / "file").write_bytes(b"")
    monkeypatch.setenv("STYLETRANSFER_CACHE", str(kept.parent / "file"))
    assert decided("this pays", lambda: True) is True
    assert decided("this pays", no) is True


def test_the_fastest_call_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 5.0, 10.0, 12.0, 20.0, 29.0, 30.0, 34.0, 40.0, 43.0])
    monkeypatch.setattr(machine.time, "perf_counter", lambda: next(clock))
    assert machine.fastest(lambda: None) == 2.0
