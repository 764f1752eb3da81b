"""Odd computers: folders of others, proxies that lead nowhere, a port in use, packages that do not load."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import urllib.request
from pathlib import Path

import httpx
import pytest

from styletransfer.config import StyleTransferError
from styletransfer.studio import surroundings
from styletransfer.studio.surroundings import mend_proxies, upload_folder

ROOT = Path(__file__).parents[1]
DEAD = "http://127.0.0.1:9"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def app(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "app.py"), *arguments]
    plain = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env={**plain, **environment})


# --- the folder for uploads


def test_each_user_has_a_folder_of_their_own(temporary: Path) -> None:
    folder = Path(upload_folder())
    assert folder.parent == temporary and stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert upload_folder() == str(folder)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="Windows has a temporary folder for each user")
def test_a_folder_of_somebody_else_is_not_used(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    us = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: us)
    theirs = temporary / f"styletransfer-{us}"
    theirs.mkdir()
    folder = Path(upload_folder())
    assert folder != theirs and folder.parent == temporary and stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="links need POSIX")
def test_a_link_in_place_of_the_folder_is_not_followed(temporary: Path) -> None:
    (temporary / "elsewhere").mkdir()
    (temporary / f"styletransfer-{os.getuid()}").symlink_to("elsewhere")
    assert Path(upload_folder()).name.startswith("styletransfer-") and not Path(upload_folder()).is_symlink()


def test_a_chosen_folder_is_made_or_refused(temporary: Path) -> None:
    assert upload_folder(str(temporary / "a" / "b")) == str(temporary / "a" / "b")
    (temporary / "file").touch()
    with pytest.raises(StyleTransferError, match="no folder for uploads .*GRADIO_TEMP_DIR"):
        upload_folder(str(temporary / "file" / "b"))


def test_a_computer_without_any_temporary_folder_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    with pytest.raises(StyleTransferError, match="no folder for uploads .No usable.*TMPDIR"):
        upload_folder()


def test_the_app_says_so_before_it_starts(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = app("--port", "1", GRADIO_TEMP_DIR=str(tmp_path / "file" / "x"))
    assert done.returncode == 1 and done.stderr.startswith("error: there is no folder for uploads")
    assert done.stderr.count("\n") == 1


# --- proxies and ports


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Without proxies; what is changed is put back afterwards."""
    for name in (*surroundings.PROXIES, "no_proxy"):
        for spelt in (name, name.upper()):
            monkeypatch.setenv(spelt, "")
            monkeypatch.delenv(spelt)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    return monkeypatch


@pytest.mark.parametrize("name", ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"])
def test_this_computer_is_exempt_from_proxies(name: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv(name, DEAD)
    environment.setenv("NO_PROXY", "example.org")
    assert mend_proxies() == "" and os.environ[name] == DEAD
    assert urllib.request.proxy_bypass("example.org") and not urllib.request.proxy_bypass("example.com")
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        with pytest.raises(httpx.ConnectError):  # of the server, which does not listen
            httpx.get(f"http://127.0.0.1:{server.getsockname()[1]}")
        server.listen()
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.1)


@pytest.mark.parametrize("proxy", ["socks9://127.0.0.1:9", "nonsense://x"])
def test_a_proxy_that_cannot_be_used_turns_downloads_off(proxy: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", proxy)
    assert "downloads are off" in mend_proxies()
    assert "ALL_PROXY" not in os.environ and os.environ["HF_HUB_OFFLINE"] == "1"
    httpx.Client().close()


@pytest.mark.parametrize("proxy", [{"http_proxy": DEAD}, {"ALL_PROXY": "nonsense://x"}])
def test_a_port_in_use_is_a_sentence_whatever_the_proxy(proxy: dict[str, str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = app("--port", str(port), **proxy)
    assert done.returncode == 2 and f"127.0.0.1:{port}: the port is in use" in done.stderr
    assert "Traceback" not in done.stderr and ("downloads are off" in done.stdout) == ("ALL_PROXY" in proxy)


# --- packages


def test_a_torchvision_that_does_not_load_is_not_missed(tmp_path: Path) -> None:
    """It is of other versions than torch on many a computer; only the tests compare with it."""
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text(
        "raise RuntimeError('operator torchvision::nms does not exist')"
    )
    code = """
        from styletransfer import Config, load_network, stylize
        import torch
        picture = torch.rand(1, 3, 32, 32)
        print(stylize(picture, [picture], Config(size=32, iterations=(1,), device="cpu")).outcome)
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=300)
    assert done.stdout == "done\n", done.stderr
