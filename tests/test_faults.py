"""What goes wrong around a run: a process killed, a full disk, a folder that may not be written, files that change."""

from __future__ import annotations

import ast
import errno
import hashlib
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hub_server import HubServer
from huggingface_hub import close_session, constants

from styletransfer import files, weights
from styletransfer.config import StyleTransferError
from styletransfer.images import encode_image, load_image, save_image
from styletransfer.weights import available, load_weights

ROOT = Path(__file__).parents[1]
SHAPES = {"features.0.weight": (8, 3, 3, 3), "features.0.bias": (8,), "features.2.weight": (64, 8, 3, 3)}
TENSORS = {name: torch.arange(1, 1 + torch.Size(shape).numel()).reshape(shape) / 999 for name, shape in SHAPES.items()}
OTHERS = {name: -each for name, each in TENSORS.items()}
PICTURE = torch.linspace(0, 1, 3 * 40 * 40).reshape(1, 3, 40, 40)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, whose file for vgg19 this is, and no way to the internet."""
    monkeypatch.setenv("STYLETRANSFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return tmp_path / "cache" / "vgg19-features.safetensors"


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor] = TENSORS) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(each, wanted[name]) for name, each in found.items())


def names(folder: Path) -> list[str]:
    """The files that anyone looks for: what a killed process leaves has a hidden name."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


# --- a process killed in the middle


@pytest.mark.skipif(os.name != "posix", reason="kills by signal")
def test_a_process_killed_while_it_writes_leaves_the_old_files_whole(tmp_path: Path, cache: Path) -> None:
    """It stands still in the middle of one picture, before it puts another in place, and while it stores weights."""
    for name in ("half.png", "whole.png"):
        save_image(PICTURE, tmp_path / name)
    weights.cache.store("vgg19", OTHERS, print)
    old = {path: path.read_bytes() for path in (tmp_path / "half.png", tmp_path / "whole.png", cache)}
    program = f"""
        import io, os, sys, threading, types
        # The package without its front door, which takes seconds.
        sys.modules["styletransfer"] = types.ModuleType("styletransfer")
        sys.modules["styletransfer"].__path__ = ["styletransfer"]
        import torch
        from styletransfer import files, images, weights

        there = threading.Barrier(4)
        def stand_still(*_):
            there.wait()
            threading.Event().wait()

        class Half(io.FileIO):
            def write(self, data):
                super().write(data[: len(data) // 2])
                stand_still()

        def at_work(name):
            return threading.current_thread().name == name

        def opened(path, mode):
            return Half(path, mode) if at_work("half") else open(path, mode)

        def replace(source, target, to=os.replace):
            stand_still() if at_work("whole") else to(source, target)

        files.open, os.replace, os.fsync = opened, replace, stand_still
        tensors = {{name: torch.zeros(shape) for name, shape in {SHAPES!r}.items()}}
        black = torch.zeros(1, 3, 40, 40)
        for name, work in {{
            "half": lambda: images.save_image(black, {str(tmp_path / "half.png")!r}),
            "whole": lambda: images.save_image(black, {str(tmp_path / "whole.png")!r}),
            "cache": lambda: weights.cache.store("vgg19", tensors, print),
        }}.items():
            threading.Thread(target=work, name=name, daemon=True).start()
        there.wait()
        print("in the middle", flush=True)
        threading.Event().wait()
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "in the middle\n"
        process.kill()
    hidden = [path for path in (*tmp_path.iterdir(), *cache.parent.iterdir()) if path.name.startswith(".")]
    assert len(hidden) == 3  # so all three were at work
    assert {path: path.read_bytes() for path in old} == old

    save_image(1 - PICTURE, tmp_path / "half.png")
    weights.cache.store("vgg19", TENSORS, print)
    assert (tmp_path / "half.png").read_bytes() == encode_image(1 - PICTURE, "png")
    assert same(load_weights("vgg19", SHAPES, download=False).tensors)
    assert names(tmp_path) == ["cache", "half.png", "whole.png"] and names(cache.parent) == [cache.name]


# --- disks


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """The system itself lets no file grow beyond `size` bytes, and fails in the middle of the write that would."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tiff"])
def test_a_disk_that_fills_up_while_a_picture_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_image(PICTURE, path)
    old = path.read_bytes()
    with at_most(100), pytest.raises(StyleTransferError, match=r"^cannot save 'a\.\w+': File too large; a folder to"):
        save_image(1 - PICTURE, path)
    assert os.listdir(tmp_path) == [path.name] and path.read_bytes() == old
    save_image(1 - PICTURE, path)
    assert path.read_bytes() != old


def test_a_disk_that_fills_up_while_weights_are_stored(cache: Path) -> None:
    weights.cache.store("vgg19", {"features.0.bias": TENSORS["features.0.bias"]}, print)
    old, lines = cache.read_bytes(), []
    with at_most(1000):
        weights.cache.store("vgg19", TENSORS, lines.append)
    assert lines == ["vgg19: the cache folder cannot be written (File too large), so this download is not kept"]
    assert os.listdir(cache.parent) == [cache.name] and cache.read_bytes() == old
    weights.cache.store("vgg19", TENSORS, lines.append)
    assert same(load_weights("vgg19", SHAPES, download=False).tensors) and len(lines) == 1


def test_a_disk_that_fills_up_during_torchvisions_download(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(TENSORS, tmp_path / "saved.pth")
    content = (tmp_path / "saved.pth").read_bytes()
    name = f"vgg19-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    server = HubServer(b"").start()
    try:
        close_session()
        server.whole = {f"/{name}": content}
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("NO_PROXY", "*")
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setitem(weights.SOURCES, "vgg19", weights.Source("timm/none", f"{server.url}/{name}", 1))
        with at_most(1000), pytest.raises(StyleTransferError, match=r"could not be downloaded \(File too large\)"):
            load_weights("vgg19", SHAPES)
        assert os.listdir(tmp_path / "torch" / "hub" / "checkpoints") == []
        assert same(load_weights("vgg19", SHAPES).tensors)
    finally:
        close_session()
        server.stop()


@pytest.mark.parametrize(("module", "call"), [(Path, "mkdir"), (files, "open"), (os, "fsync"), (os, "replace")])
@pytest.mark.parametrize("reason", [errno.EROFS, errno.EACCES, errno.ENOSPC, errno.EIO])
def test_a_cache_that_may_not_be_written_costs_the_cache_alone(
    cache: Path, monkeypatch: pytest.MonkeyPatch, module: Any, call: str, reason: int
) -> None:
    weights.cache.store("vgg19", OTHERS, print)
    old, lines = cache.read_bytes(), []

    def refuse(*arguments: Any, **_: Any) -> None:
        raise OSError(reason, os.strerror(reason))

    with monkeypatch.context() as patched:
        patched.setattr(module, call, refuse, raising=module is not files)
        weights.cache.store("vgg19", TENSORS, lines.append)
    assert len(lines) == 1 and os.strerror(reason) in lines[0]
    assert os.listdir(cache.parent) == [cache.name] and cache.read_bytes() == old


# --- files that change while they are in use


def test_weights_keep_their_values_when_their_file_is_overwritten_cut_or_removed(tmp_path: Path) -> None:
    for name, write in {"a.safetensors": safetensors.torch.save_file, "a.pth": torch.save}.items():
        file = tmp_path / name
        write(TENSORS, file)
        loaded = load_weights("vgg19", SHAPES, path=str(file))
        with open(file, "r+b") as stream:  # the same file, not another one in its place
            stream.write(b"\xff" * file.stat().st_size)
        assert same(loaded.tensors)
        os.truncate(file, 0)
        assert same(loaded.tensors)
        with pytest.raises(StyleTransferError, match=f"{name} is damaged"):
            load_weights("vgg19", SHAPES, path=str(file))
        file.unlink()
        write(OTHERS, file)
        assert same(loaded.tensors) and same(load_weights("vgg19", SHAPES, path=str(file)).tensors, OTHERS)


@pytest.mark.parametrize("change", ["cut", "emptied", "replaced", "removed"])
def test_weights_whose_file_changes_while_it_is_read_are_refused_whole(tmp_path: Path, change: str) -> None:
    """Between the header and the tensors: nothing of two files is mixed, and the process lives on."""
    file, other = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    safetensors.torch.save_file(TENSORS, file)
    safetensors.torch.save_file(OTHERS, other)
    opened = weights.local.open_weights(file)
    assert torch.equal(opened.tensor("features.0.bias"), TENSORS["features.0.bias"])
    if change == "replaced":
        os.replace(other, file)
    elif change == "removed":
        file.unlink()
    else:
        os.truncate(file, {"cut": file.stat().st_size - 1, "emptied": 0}[change])
    with pytest.raises(
        StyleTransferError, match=r"^a.safetensors changed while it was read: try again when it is whole$"
    ):
        weights.local.take(opened, SHAPES)
    safetensors.torch.save_file(OTHERS, file)
    assert same(weights.local.take(weights.local.open_weights(file), SHAPES), OTHERS)


def test_every_type_of_number_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    kinds = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)
    tensors = {f"t{number}": torch.tensor([[1, 0, 3], [0, 5, 6]]).to(kind) for number, kind in enumerate(kinds)}
    tensors |= {"scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3)}
    file = tmp_path / "a.safetensors"
    safetensors.torch.save_file(tensors, file, {"note": "ü"})
    opened, oracle = weights.local.open_weights(file), safetensors.torch.load_file(file)
    assert available(file) == {name: tuple(each.shape) for name, each in oracle.items()}
    for name, each in oracle.items():
        found = opened.tensor(name)
        assert found.dtype == each.dtype and torch.equal(found, each), name


def test_a_picture_is_read_in_one_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happens to its file after that changes nothing."""
    from styletransfer import images

    path = tmp_path / "a.png"
    save_image(PICTURE, path)
    wanted, decode = load_image(path), images.read._open_image

    def overwriting(*arguments: Any) -> Any:
        path.write_bytes(b"something else")
        return decode(*arguments)

    monkeypatch.setattr(images.read, "_open_image", overwriting)
    assert torch.equal(load_image(path), wanted) and path.read_bytes() == b"something else"


# --- clocks


def test_times_are_taken_from_a_clock_that_is_never_set() -> None:
    """A change of the system's time would end a run at once, or never, where limits were taken from it."""
    sources = [*(ROOT / "styletransfer").rglob("*.py"), ROOT / "app.py"]
    for path in sources:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in {("time", "time"), ("datetime", "now"), ("time", "time_ns")}, (
                    path
                )
            if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
                assert not {each.name for each in node.names} & {"time", "time_ns", "datetime"}, path
