"""Engines: this process, and a real Ray cluster of two workers on this computer, one of which dies now and then."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import torch
from oracles import noise

from styletransfer import Config, StyleTransferError
from styletransfer.engine import Engine, Lost, add_flags, chosen
from styletransfer.features import Network
from styletransfer.objective import Objective

ROOT = Path(__file__).parents[1]


def options(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return parser.parse_args(flags)


# --- what workers run in these tests


def numbers(count: int) -> Iterator[int]:
    yield from range(count)


def counted(start: int, log: str | None = None) -> Iterator[int]:
    try:
        yield from range(start, start + 1000)
    finally:
        if log:
            Path(log).write_text("closed")


def failing() -> Iterator[int]:
    yield 1
    raise StyleTransferError("the picture is no picture")


def dying(marker: str) -> int:
    """Kill the process that comes here first."""
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return os.getpid()
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def dying_stream(marker: str) -> Iterator[int]:
    yield 1
    yield dying(marker)


def measured_and_dying(marker: str, function: Any, *arguments: Any) -> Any:
    dying(marker)
    return function(*arguments)


# --- both engines


def test_a_stream_yields_what_its_function_yields(engine: Engine) -> None:
    with engine.worker() as worker:
        assert list(worker.stream(numbers, 4)) == [0, 1, 2, 3]


def test_a_closed_stream_closes_its_function(engine: Engine, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with engine.worker() as worker:
        items = worker.stream(counted, 7, str(log))
        assert [next(items), next(items)] == [7, 8]
        items.close()
        assert list(worker.stream(numbers, 1)) == [0]  # after the end of the other
    assert log.read_text() == "closed"


def test_errors_come_back_as_they_were_raised(engine: Engine) -> None:
    with engine.worker() as worker, pytest.raises(StyleTransferError, match="^the picture is no picture$"):
        list(worker.stream(failing))
    with pytest.raises(ZeroDivisionError):
        list(engine.map(divmod, [1], [0]))


def test_what_is_kept_can_be_given_to_a_stream(engine: Engine) -> None:
    with engine.worker() as worker:
        four = worker.keep(pow, 2, 2)
    for _ in range(engine.workers):
        with engine.worker() as worker:
            assert list(worker.stream(numbers, four)) == [0, 1, 2, 3]


def test_a_map_is_in_order(engine: Engine) -> None:
    assert list(engine.map(pow, range(9), repeat(2))) == [number**2 for number in range(9)]


# --- a lost worker


def test_a_worker_that_dies_is_replaced(cluster: Engine, tmp_path: Path) -> None:
    with pytest.raises(Lost), cluster.worker() as worker:
        list(worker.stream(dying_stream, str(tmp_path / "marker")))
    processes = set()
    for _ in range(2):
        with cluster.worker() as worker:
            processes.add(worker.look(os.getpid))
    assert len(processes) == 2 and os.getpid() not in processes


def test_a_map_does_not_miss_a_worker_that_dies(cluster: Engine, tmp_path: Path) -> None:
    found = cluster.map(measured_and_dying, repeat(str(tmp_path / "marker")), repeat(pow), range(4), repeat(3))
    assert list(found) == [0, 1, 8, 27]
    assert (tmp_path / "marker").exists()


def test_a_worker_can_be_asked_while_it_is_at_work(cluster: Engine) -> None:
    with cluster.worker() as worker:
        items = worker.stream(counted, 0)
        assert next(items) == 0 and worker.look(os.getpid) != os.getpid()
        items.close()


# --- walls


@pytest.mark.parametrize("masked", [False, True])
def test_tiles_on_workers_add_up_to_the_local_loss_and_gradient(
    cluster: Engine, network: Network, masked: bool, tmp_path: Path
) -> None:
    config = Config(tv_weight=1.0, content_layers=("relu4_2",))
    content, style, image = (noise(1, 3, 80, 112, seed=seed) for seed in range(3))
    masks = [noise(1, 1, 40, 56, seed=3)] if masked else None

    def dies_once(function: Any, *iterables: Any) -> Any:
        return cluster.map(measured_and_dying, repeat(str(tmp_path / "marker")), repeat(function), *iterables)

    wanted, found, lost = (
        Objective(network, config, content, [style], masks=masks, tile=32, mapped=mapped)(image)
        for mapped in (map, cluster.map, dies_once)
    )
    whole = Objective(network, config, content, [style], masks=masks)(image)
    for evaluation in (found, lost, whole):
        assert float(evaluation.loss) == pytest.approx(float(wanted.loss), rel=1e-9)
        assert torch.allclose(evaluation.gradient, wanted.gradient, rtol=1e-9, atol=1e-9 * float(wanted.gradient.max()))
        assert list(evaluation.terms) == list(wanted.terms)
    assert (tmp_path / "marker").exists()


# --- what is asked for, and what is not there


@pytest.mark.parametrize(
    ("flags", "words"),
    [(["--workers", "2"], "add --engine ray"), (["--engine", "ray", "--workers", "0"], "at least 1, got 0")],
)
def test_flags_that_do_not_go_together_are_told(flags: list[str], words: str) -> None:
    with pytest.raises(StyleTransferError, match=words):
        chosen(options(*flags))


@pytest.mark.parametrize(
    ("address", "words"),
    [("ray://127.0.0.1:1", "is HOST:PORT, got 'ray://"), ("127.0.0.1:1", "no Ray cluster at 127.0.0.1:1: .*refused")],
)
def test_an_address_where_no_cluster_is_is_told_at_once(address: str, words: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(StyleTransferError, match=words):
        chosen(options("--ray", address))


def test_without_ray_the_message_and_the_help_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("styletransfer.engine.choice.find_spec", lambda name: None)
    with pytest.raises(StyleTransferError, match=r"pip install 'ray>=2\.50,<3'"):
        chosen(options("--ray", "127.0.0.1:1"))
    parser = argparse.ArgumentParser()
    add_flags(parser)
    assert "pip install 'ray>=2.50,<3'" in " ".join(parser.format_help().split())


def test_a_program_that_does_not_ask_for_ray_does_not_import_it() -> None:
    code = "import sys, app, styletransfer.cli, styletransfer.studio.session; assert 'ray' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_cluster_of_this_computer_listens_at_loopback_only(cluster: Any) -> None:
    """Every address at which this process's children and theirs listen."""
    addresses = set()
    for process in descendants(os.getpid()):
        sockets = {link.removeprefix("socket:[").removesuffix("]") for link in links(process)}
        for table in ("tcp", "tcp6"):
            for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state, *_, inode = line.split()[:10]
                if state == "0A" and inode in sockets:
                    addresses.add(readable(local.split(":")[0]))
    assert addresses and addresses <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}
    commands = [Path(f"/proc/{process}/cmdline").read_text() for process in descendants(os.getpid())]
    assert any("gcs_server" in command for command in commands)
    assert all("--disable-frontend" in command for command in commands if "dashboard/dashboard.py" in command)


def descendants(process: int) -> list[int]:
    children = [int(child) for task in Path(f"/proc/{process}/task").iterdir() for child in kin(task)]
    return [process, *(each for child in children for each in descendants(child))]


def kin(task: Path) -> list[str]:
    try:
        return (task / "children").read_text().split()
    except OSError:
        return []


def links(process: int) -> list[str]:
    found = []
    for link in Path(f"/proc/{process}/fd").iterdir():
        try:
            found.append(os.readlink(link))
        except OSError:  # closed meanwhile
            continue
    return found


def readable(address: str) -> str:
    """An address of /proc/net, whose words are in the machine's order of bytes."""
    words = [bytes.fromhex(address[at : at + 8])[::-1] for at in range(0, len(address), 8)]
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))
