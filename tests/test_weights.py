"""Weights: the order of the places, what travels, what is refused, and a cache that is always whole."""

from __future__ import annotations

import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import textwrap
import threading
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
import torch
from hub_server import RESOLVED, HubServer
from huggingface_hub import close_session, constants, try_to_load_from_cache
from torch import Tensor

from styletransfer import weights
from styletransfer.config import NETWORKS, StyleTransferError
from styletransfer.weights import Weights, available, load_weights, on_disk

SHAPES = {
    "features.0.weight": (4, 3, 3, 3),
    "features.0.bias": (4,),
    "features.2.weight": (8, 4, 3, 3),
    "features.2.bias": (8,),
    "features.10.weight": (8, 8, 3, 3),
    "features.10.bias": (8,),
}
SHALLOW = {name: shape for name, shape in SHAPES.items() if not name.startswith("features.10.")}
SHARED = Path(os.environ.get("STYLETRANSFER_SHARED", Path(__file__).parents[1] / ".." / "shared"))
REPOSITORY = Path(__file__).parents[1]


def numbers(shapes: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


NETWORK = {**numbers(SHAPES), "classifier.0.weight": torch.ones(2**18), "features.3.extra": torch.ones(2**18)}
MODEL = safetensors.torch.save(NETWORK, {"format": "pt"})


def size_of(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(4 * int(np.prod(shape)) for shape in shapes.values())


HEADER = 8 + struct.unpack("<Q", MODEL[:8])[0]


def same(result: Weights, shapes: dict[str, tuple[int, ...]] = SHAPES) -> bool:
    """Bit for bit what the network was made of, and nothing else."""
    return result.tensors.keys() == shapes.keys() and all(
        each.dtype == torch.float32 and torch.equal(each, NETWORK[name]) for name, each in result.tensors.items()
    )


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty caches, and a network that leads nowhere unless the test starts a hub."""
    monkeypatch.setenv("STYLETRANSFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    monkeypatch.setattr(weights.hub, "PAUSES", (0.0, 0.0, 0.0, 0.0))
    lead(monkeypatch, "http://127.0.0.1:9")


def lead(monkeypatch: pytest.MonkeyPatch, url: str, name: str = "vgg19-00000000.pth") -> None:
    """Lets the hub's library and torchvision's download meet the server at `url`."""
    monkeypatch.setattr(constants, "ENDPOINT", url)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", url + "/{repo_id}/resolve/{revision}/{filename}")
    source = weights.Source("timm/vgg19.tv_in1k", f"{url}/models/{name}", 548)
    monkeypatch.setitem(weights.SOURCES, "vgg19", source)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    close_session()
    server = HubServer(MODEL).start()
    lead(monkeypatch, server.url)
    yield server
    close_session()
    server.stop()


def cache_file(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "vgg19-features.safetensors"


def torchvision_file(tmp_path: Path) -> Path:
    file = tmp_path / "torch" / "hub" / "checkpoints" / "vgg19-00000000.pth"
    file.parent.mkdir(parents=True)
    return file


# --- the hub


def test_only_the_header_and_the_tensors_needed_travel(hub: HubServer) -> None:
    result = load_weights("vgg19", SHAPES)
    assert same(result) and result.origin == "Hugging Face hub"
    assert hub.sent == HEADER + size_of(SHAPES) < len(MODEL) / 100
    # By name, features.3.extra lies behind all that is needed and the classifier before: one run of neighbours.
    assert len(hub.ranges) == 3


def test_neighbours_travel_together_and_gaps_do_not(hub: HubServer) -> None:
    names = ["features.0.bias", "features.2.bias", "features.2.weight"]  # features.10 lies between, by name
    shapes = {name: SHAPES[name] for name in names}
    assert same(load_weights("vgg19", shapes), shapes)
    assert hub.sent == HEADER + size_of(shapes)
    assert len(hub.ranges) == 4


def test_the_second_run_is_served_by_the_cache(hub: HubServer) -> None:
    first = load_weights("vgg19", SHAPES)
    hub.sent = 0
    lines: list[str] = []
    second = load_weights("vgg19", SHAPES, report=lines.append, download=False)
    assert same(second) and second.digest == first.digest and second.origin == "the local cache"
    assert hub.sent == 0 and lines == ["vgg19: taken from the local cache"]


def test_deeper_layers_later_fetch_only_what_is_missing(hub: HubServer, tmp_path: Path) -> None:
    load_weights("vgg19", SHALLOW)
    hub.sent = 0
    assert same(load_weights("vgg19", SHAPES))
    assert hub.sent == HEADER + size_of(SHAPES) - size_of(SHALLOW)
    assert available(str(cache_file(tmp_path))) == SHAPES
    assert same(load_weights("vgg19", SHALLOW, download=False), SHALLOW)


def test_a_dropped_connection_is_taken_up_where_it_broke(hub: HubServer) -> None:
    hub.faults = {0: "drop", 2: "503", 4: "drop", 5: "drop"}
    assert same(load_weights("vgg19", SHAPES))
    assert hub.sent == HEADER + size_of(SHAPES) + len(b"trouble")


def test_a_hub_that_falls_silent_is_asked_again_for_the_rest(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.hub, "TIMEOUT", 0.3)
    hub.faults = {2: "stall"}
    assert same(load_weights("vgg19", SHAPES))
    assert hub.ranges[3] == ((hub.ranges[2][0] + hub.ranges[2][1] + 1) // 2, hub.ranges[2][1])
    assert hub.sent == HEADER + size_of(SHAPES)


def test_drops_without_end_are_given_up_after_four_attempts(hub: HubServer) -> None:
    hub.faults = dict.fromkeys(range(2, 100), "drop")
    lines: list[str] = []
    with pytest.raises(StyleTransferError):
        load_weights("vgg19", SHAPES, report=lines.append)
    assert len(hub.ranges) == 2 + 4
    assert any("failed 4 times" in line for line in lines)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({-1: "404"}, "status 404"),
        ({-1: "503"}, "failed 4 times (status 503)"),
        ({2: "ignore"}, "status 200"),
        ({-1: "ignore"}, "status 200"),
        ({2: "shifted"}, "another range"),
        ({2: "total"}, "another range"),
        ({0: "total", 1: "total", 2: "total"}, "damaged header"),
        ({1: "noise"}, "damaged header"),
        ({0: "noise"}, "no safetensors file"),
        ({2: "zeros"}, "zeros in place of values"),
        ({2: "noise"}, "values"),
    ],
)
def test_a_wrong_answer_is_refused_told_and_never_cached(
    hub: HubServer, tmp_path: Path, fault: dict[int, str], told: str
) -> None:
    hub.faults = fault
    lines: list[str] = []
    with pytest.raises(StyleTransferError, match="could not be downloaded .*--weights.*builtin"):
        load_weights("vgg19", SHAPES, report=lines.append)
    assert any(told in line for line in lines), lines
    assert not cache_file(tmp_path).exists()
    # What a server without ranges pushes into the sockets' buffers before the client hangs up, of 548 MB.
    assert hub.sent < 16 * 2**20


def test_bytes_beyond_the_range_are_never_used(hub: HubServer) -> None:
    hub.faults = {2: "longer"}
    with pytest.raises(StyleTransferError, match="could not be downloaded"):
        load_weights("vgg19", SHAPES)


def test_another_type_or_shape_on_the_hub_is_refused(hub: HubServer) -> None:
    lines: list[str] = []
    for shapes in ({"features.0.bias": (5,)}, {"features.99.bias": (4,)}):
        with pytest.raises(StyleTransferError):
            load_weights("vgg19", shapes, report=lines.append)
    hub.model = safetensors.torch.save({name: each.half() for name, each in NETWORK.items()})
    with pytest.raises(StyleTransferError):
        load_weights("vgg19", SHAPES, report=lines.append)
    refusals = [re.findall(r"does not hold (\S+) as float32", line)[0] for line in lines if "does not hold" in line]
    assert refusals == ["features.0.bias", "features.99.bias", "features.0.weight"]


@pytest.mark.parametrize("entry", [{"dtype": "F32", "shape": [4], "data_offsets": [-32, -16]}, [], {}, None, 1e999])
def test_a_hostile_header_is_refused(hub: HubServer, entry: object) -> None:
    text = json.dumps({"features.0.bias": entry, "rest": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}})
    hub.model = struct.pack("<Q", len(text)) + text.encode() + bytes(16)
    lines: list[str] = []
    with pytest.raises(StyleTransferError):
        load_weights("vgg19", {"features.0.bias": (4,)}, report=lines.append)
    assert len(hub.ranges) == 2
    assert any("damaged header" in line or "does not hold" in line for line in lines)


def test_a_block_of_zeros_inside_a_tensor_is_found() -> None:
    kernel = torch.ones(16, 16, 3, 3).flatten()
    kernel[1024:2048] = 0
    with pytest.raises(StyleTransferError, match="zeros"):
        weights.local.check_values("it", "features.0.weight", kernel.reshape(16, 16, 3, 3), weights.hub.ZERO_RUN)
    weights.local.check_values("it", "features.0.weight", kernel.reshape(16, 16, 3, 3))
    weights.local.check_values("it", "features.0.bias", torch.zeros(16), weights.hub.ZERO_RUN)


def test_the_token_goes_to_the_hub_and_to_no_other_host(hub: HubServer) -> None:
    load_weights("vgg19", SHALLOW)
    assert {seen for path, seen in hub.authorizations if path == RESOLVED} == {"Bearer hf_secret"}
    assert {seen for path, seen in hub.authorizations if path != RESOLVED} == {None}


def test_progress_is_told_in_megabytes_a_few_times_a_second(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(0.125 * tick for tick in range(10**6))
    monkeypatch.setattr(weights.hub, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda seconds: None))
    told: list[int] = []
    file = weights.hub.HubFile("timm/vgg19.tv_in1k")
    file.progress = told.append
    for _ in range(32):
        file._report(2**20)
    # The clock moves an eighth of a second at each look, and once more where a line is told.
    assert told == [4 * 2**20 + 4 * 2**20 * line for line in range(8)]

    monkeypatch.setattr(weights.hub, "REPORT_EVERY", 0.0)
    lines: list[str] = []
    large = {"classifier.0.weight": (2**18,)}
    load_weights("vgg19", large, report=lines.append)
    assert lines[0] == "vgg19: fetching 1 of 2 MB from the Hugging Face hub"
    assert lines[-1] == "vgg19: 1 of 1 MB"


# --- torchvision


def test_what_torchvision_has_cached_is_used_in_both_formats(tmp_path: Path) -> None:
    file = torchvision_file(tmp_path)
    for zipped in (True, False):
        torch.save(NETWORK, file, _use_new_zipfile_serialization=zipped)
        result = load_weights("vgg19", SHAPES, download=False)
        assert same(result) and result.origin == "torchvision's cache"


def test_what_a_space_preloaded_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's own cache, as `preload_from_hub` fills it: a commit's snapshot and the name that points to it."""
    root = tmp_path / "hub" / "models--timm--vgg19.tv_in1k"
    monkeypatch.setattr(
        weights.cache, "try_to_load_from_cache", partial(try_to_load_from_cache, cache_dir=tmp_path / "hub")
    )
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("abc")
    (root / "snapshots" / "abc").mkdir(parents=True)
    assert not on_disk("vgg19", SHAPES)
    (root / "snapshots" / "abc" / "model.safetensors").write_bytes(MODEL)
    assert on_disk("vgg19", SHAPES)
    result = load_weights("vgg19", SHAPES, download=False)
    assert same(result) and result.origin == "the hub's cache"


def test_torchvisions_download_is_the_last_resort_checked_by_its_hash(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved = tmp_path / "saved.pth"
    torch.save(NETWORK, saved)
    name = f"vgg19-{hashlib.sha256(saved.read_bytes()).hexdigest()[:8]}.pth"
    lead(monkeypatch, hub.url, name)
    hub.faults = {-1: "404"}
    hub.whole = {f"/models/{name}": saved.read_bytes()}
    damaged = torchvision_file(tmp_path).with_name(name)
    damaged.write_bytes(saved.read_bytes()[:1000])
    lines: list[str] = []
    result = load_weights("vgg19", SHAPES, report=lines.append)
    assert same(result) and result.origin == "torchvision's download"
    assert [line.split(": ")[1][:28] for line in lines] == [
        "reading torchvision's cache",
        "torchvision's cache is of no",
        "the hub answered with status",
    ]
    assert damaged.read_bytes() == saved.read_bytes()
    assert load_weights("vgg19", SHAPES, download=False).origin == "torchvision's cache"
    assert capsys.readouterr().out == ""

    damaged.unlink()
    hub.whole = {f"/models/{name}": saved.read_bytes()[:-1] + b"?"}
    with pytest.raises(StyleTransferError, match="invalid hash"):
        load_weights("vgg19", SHAPES)
    assert not damaged.exists()


def test_the_registry_names_torchvisions_own_checkpoints() -> None:
    from torchvision import models

    for name, enum in (("vgg16", models.VGG16_Weights), ("vgg16_bn", models.VGG16_BN_Weights)):
        published = enum.IMAGENET1K_V1
        assert weights.SOURCES[name].url == published.url
        assert weights.SOURCES[name].megabytes == round(published.meta["_file_size"])
    vgg19 = models.VGG19_Weights.IMAGENET1K_V1
    assert (PUBLISHED_VGG19.url, PUBLISHED_VGG19.megabytes) == (vgg19.url, round(vgg19.meta["_file_size"]))
    assert set(NETWORKS) == {"auto", "builtin", "vgg19-caffe", *weights.SOURCES}


PUBLISHED_VGG19 = weights.SOURCES["vgg19"]  # read before any test puts its own server in its place


# --- without a network


def test_without_download_nothing_is_asked_of_the_network(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StyleTransferError, match="downloads are off.*--weights.*builtin"):
        load_weights("vgg19", SHAPES, download=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(StyleTransferError, match="downloads are off"):
        load_weights("vgg19", SHAPES)
    assert not on_disk("vgg19", SHAPES)
    assert hub.authorizations == []


def test_no_server_is_one_sentence_that_says_what_to_do() -> None:
    with pytest.raises(
        StyleTransferError, match="go online once, give them as a file with --weights, or .* builtin"
    ) as e:
        load_weights("vgg19", SHAPES)
    assert "\n" not in str(e.value) and "refused" in str(e.value)


def test_networks_without_a_download_say_so() -> None:
    with pytest.raises(StyleTransferError, match="--weights: the original Caffe VGG-19"):
        load_weights("vgg19-caffe", SHAPES)
    with pytest.raises(StyleTransferError, match="'auto': choose from builtin, vgg19-caffe, vgg19, vgg16, vgg16_bn"):
        load_weights("auto", SHAPES)
    assert not on_disk("vgg19-caffe", SHAPES) and not on_disk("auto", SHAPES)


def test_on_disk_knows_both_caches_and_the_layers_in_them(hub: HubServer, tmp_path: Path) -> None:
    assert not on_disk("vgg19", SHALLOW)
    load_weights("vgg19", SHALLOW)
    hub.stop()
    assert on_disk("vgg19", SHALLOW) and not on_disk("vgg19", SHAPES)
    file = torchvision_file(tmp_path)
    file.write_bytes(bytes(size_of(SHAPES) - 1))
    assert not on_disk("vgg19", SHAPES)
    torch.save(NETWORK, file)
    assert on_disk("vgg19", SHAPES)


def test_the_builtin_network_is_a_file_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.BUILTIN.relative_to(REPOSITORY).as_posix() == "styletransfer/data/builtin.safetensors"
    file = tmp_path / "builtin.safetensors"
    monkeypatch.setattr(weights, "BUILTIN", file)
    assert not on_disk("builtin", SHAPES)
    file.write_bytes(MODEL)
    result = load_weights("builtin", SHAPES, download=False)
    assert same(result) and result.origin == "the built-in network" and on_disk("builtin", SHAPES)


# --- the cache


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.setenv("HOME", "/h")
    assert weights.cache.cache_file("vgg19").parent == tmp_path / "cache"
    monkeypatch.setenv("STYLETRANSFER_CACHE", "")
    assert weights.cache.cache_file("vgg19").parent == Path("/x/styletransfer")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert weights.cache.cache_file("vgg19").parent == Path("/h/.cache/styletransfer")


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty"])
def test_a_damaged_cache_is_told_and_replaced(hub: HubServer, tmp_path: Path, damage: str) -> None:
    load_weights("vgg19", SHAPES)
    file = cache_file(tmp_path)
    whole = file.read_bytes()
    flipped = whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:]
    file.write_bytes({"cut": whole[:-10], "flipped": flipped, "foreign": MODEL, "empty": b""}[damage])
    lines: list[str] = []
    assert same(load_weights("vgg19", SHAPES, report=lines.append))
    assert "the cached file is damaged" in lines[0] and "\n" not in lines[0]
    assert file.read_bytes() == whole
    assert [each.name for each in file.parent.iterdir()] == [file.name]


def test_a_cache_that_cannot_be_written_does_not_stop_the_run(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    lines: list[str] = []
    assert same(load_weights("vgg19", SHAPES, report=lines.append))
    assert "cannot be written" in lines[-1]

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("STYLETRANSFER_CACHE", str(tmp_path / "full"))
    monkeypatch.setattr(os, "fsync", full)
    assert same(load_weights("vgg19", SHAPES, report=lines.append))
    assert lines[-1].endswith("cannot be written (No space left on device), so this download is not kept")
    assert list((tmp_path / "full").iterdir()) == []


def test_readers_never_see_a_part_of_what_writers_store(tmp_path: Path) -> None:
    tensors = {name: NETWORK[name] for name in SHAPES}
    shallow = {name: NETWORK[name] for name in SHALLOW}
    lines: list[str] = []
    weights.cache.store("vgg19", shallow, lines.append)
    writers = [
        threading.Thread(target=lambda kept=kept: [weights.cache.store("vgg19", kept, lines.append) for _ in range(20)])
        for kept in (tensors, shallow, tensors)
    ]
    for writer in writers:
        writer.start()
    seen = [set(weights.cache.load("vgg19", lines.append)) for _ in range(50)]
    for writer in writers:
        writer.join()
    assert lines == [] and all(each in (set(SHALLOW), set(SHAPES)) for each in seen)
    assert [each.name for each in cache_file(tmp_path).parent.iterdir()] == [cache_file(tmp_path).name]


def test_two_processes_at_once_share_one_cache(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process and one that knows the hub by HF_ENDPOINT alone; neither has a tensor before both ask for them."""
    program = f"""
        import sys, types
        # The package without its front door, which takes seconds.
        sys.modules["styletransfer"] = types.ModuleType("styletransfer")
        sys.modules["styletransfer"].__path__ = ["styletransfer"]
        from styletransfer.weights import load_weights
        print("ready", flush=True)
        sys.stdin.readline()
        print(load_weights("vgg19", {SHAPES!r}).digest)
    """
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    hub.before_tensors = threading.Barrier(2, timeout=20).wait
    command = [sys.executable, "-c", textwrap.dedent(program)]
    with subprocess.Popen(command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin and other.stdout and other.stdout.readline() == "ready\n"
        other.stdin.write("go\n")
        other.stdin.flush()
        ours = load_weights("vgg19", SHAPES)
        theirs = other.stdout.read().strip()
    assert same(ours) and ours.origin == "Hugging Face hub" and theirs == ours.digest
    assert hub.sent == 2 * (HEADER + size_of(SHAPES))
    assert same(load_weights("vgg19", SHAPES, download=False))


# --- local files


def test_the_digest_is_of_names_shapes_and_bytes_wherever_they_came_from(tmp_path: Path) -> None:
    oracle = hashlib.sha256()
    for name in sorted(SHAPES):
        oracle.update(f"{name} {SHAPES[name]} ".encode() + NETWORK[name].numpy().tobytes())
    (tmp_path / "a.safetensors").write_bytes(MODEL)
    torch.save(dict(reversed(NETWORK.items())), tmp_path / "b.pth")
    torch.save(NETWORK, tmp_path / "c.PT", _use_new_zipfile_serialization=False)
    for name in ("a.safetensors", "b.pth", "c.PT"):
        result = load_weights("vgg19-caffe", SHAPES, path=str(tmp_path / name))
        assert same(result) and result.digest == oracle.hexdigest() and result.origin == f"the file {name}"
        assert available(str(tmp_path / name)) == {key: tuple(each.shape) for key, each in NETWORK.items()}
    assert load_weights("vgg19", SHALLOW, path=str(tmp_path / "b.pth")).digest != oracle.hexdigest()


def test_a_file_that_ends_too_early_says_where(tmp_path: Path) -> None:
    file = tmp_path / "vgg19_x.safetensors"
    file.write_bytes(safetensors.torch.save({name: NETWORK[name] for name in SHALLOW}))
    with pytest.raises(
        StyleTransferError,
        match=r"^vgg19_x.safetensors lacks features.10.bias and 1 more \(it holds features.0 to features.2\): choose",
    ):
        load_weights("vgg19", SHAPES, path=str(file))
    torch.save({"conv1_1": torch.ones(3)}, tmp_path / "keys.pth")
    with pytest.raises(StyleTransferError, match=r"lacks features.0.bias and 5 more \(it holds no key like features.0"):
        load_weights("vgg19", SHAPES, path=str(tmp_path / "keys.pth"))


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        (torch.ones(5), r"of shape \(5,\): \(4,\) is needed"),
        (torch.ones(4, dtype=torch.int64), "as torch.int64: a plain tensor of floats"),
        (torch.ones(4, device="meta"), "a plain tensor of floats"),
        (torch.tensor([1.0, float("nan"), 0, 0]), "values that are not finite"),
        (torch.tensor([1.0, 1e30, 0, 0]), "values beyond 10000"),
    ],
)
def test_wrong_tensors_in_a_file_are_refused(tmp_path: Path, tensor: Tensor, told: str) -> None:
    torch.save({"features.0.bias": tensor}, tmp_path / "x.pth")
    with pytest.raises(StyleTransferError, match=told):
        load_weights("vgg19", {"features.0.bias": (4,)}, path=str(tmp_path / "x.pth"))


def test_other_precisions_become_float32(tmp_path: Path) -> None:
    torch.save({"features.0.bias": torch.tensor([0.5, -2.0], dtype=torch.bfloat16)}, tmp_path / "x.pth")
    result = load_weights("vgg19", {"features.0.bias": (2,)}, path=str(tmp_path / "x.pth")).tensors["features.0.bias"]
    assert result.dtype == torch.float32 and result.tolist() == [0.5, -2.0]


class Trap:
    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_never_runs(tmp_path: Path, zipped: bool) -> None:
    file, trace = tmp_path / "evil.pth", tmp_path / "it ran"
    torch.save({"features.0.bias": torch.ones(4), "x": Trap(trace)}, file, _use_new_zipfile_serialization=zipped)
    for attempt in (available, lambda path: load_weights("vgg19", {"features.0.bias": (4,)}, path=path)):
        with pytest.raises(StyleTransferError, match="^evil.pth is damaged or no dictionary of plain tensors"):
            attempt(str(file))
    assert not trace.exists()
    torch.load(file, weights_only=False)  # the trap is a real one
    assert trace.exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("text.safetensors", b"this is no file of weights"),
        ("text.pth", b"this is no file of weights"),
        ("empty.safetensors", b""),
        ("empty.pt", b""),
        ("cut.safetensors", MODEL[:-1]),
        ("absurd.safetensors", struct.pack("<Q", 2**60) + b"{}"),
        ("large.safetensors", (text := b'{"a":{"dtype":"F32","shape":[99999999999],"data_offsets":[0,4]}}') and
         struct.pack("<Q", len(text)) + text + bytes(4)),
        ("picture.png", MODEL),
        ("list.pth", b"\x80\x02]q\x00."),
    ],
)  # fmt: skip
def test_what_is_not_weights_is_one_sentence(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    for attempt in (available, lambda path: load_weights("vgg19", SHAPES, path=path)):
        with pytest.raises(StyleTransferError) as refused:
            attempt(str(tmp_path / name))
        text = str(refused.value)
        assert name in text and str(tmp_path) not in text and "\n" not in text and len(text) < 250


def test_a_cut_checkpoint_a_folder_and_no_file_are_refused(tmp_path: Path) -> None:
    for zipped in (True, False):
        torch.save(NETWORK, tmp_path / "cut.pth", _use_new_zipfile_serialization=zipped)
        content = (tmp_path / "cut.pth").read_bytes()
        (tmp_path / "cut.pth").write_bytes(content[: len(content) // 2])
        with pytest.raises(StyleTransferError, match="cut.pth is damaged"):
            load_weights("vgg19", SHAPES, path=str(tmp_path / "cut.pth"))
    (tmp_path / "folder.pth").mkdir()
    for name in ("folder.pth", "nothing.pth", "null\0.pth", ""):
        with pytest.raises(StyleTransferError, match="not a file of weights: give an existing .safetensors or .pth or"):
            available(str(tmp_path / name) if name else name)


def test_sizes_are_bounded_before_anything_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "huge.safetensors").open("wb") as stream:
        stream.truncate(3 * 2**30)  # a hole, which takes no room
    with pytest.raises(StyleTransferError, match=r"huge.safetensors has 3072 MB: files of weights may have 2048"):
        load_weights("vgg19", SHAPES, path=str(tmp_path / "huge.safetensors"))
    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("archive/data.pkl", bytes(2**20))
    monkeypatch.setattr(weights.local, "LARGEST_FILE", 2**19)
    assert (tmp_path / "bomb.pth").stat().st_size < 2**12
    with pytest.raises(StyleTransferError, match=r"bomb.pth is damaged or no dictionary .*\(ValueError\)"):
        load_weights("vgg19", SHAPES, path=str(tmp_path / "bomb.pth"))


def test_the_original_vgg19_is_read_as_published() -> None:
    file = SHARED / "weights" / "vgg19_caffe_blocks1-3.safetensors"
    if not file.is_file():
        pytest.skip(f"no {file}: set STYLETRANSFER_SHARED to the folder that holds weights/{file.name}")
    shapes = available(str(file))
    channels = {0: (3, 64), 2: (64, 64), 5: (64, 128), 7: (128, 128), 10: (128, 256)} | dict.fromkeys(
        (12, 14, 16), (256, 256)
    )
    weight_shapes = {f"features.{layer}.weight": (out, held, 3, 3) for layer, (held, out) in channels.items()}
    assert shapes == weight_shapes | {f"features.{layer}.bias": (out,) for layer, (_, out) in channels.items()}
    result = load_weights("vgg19-caffe", shapes, path=str(file))
    oracle = safetensors.torch.load_file(file)
    assert all(torch.equal(result.tensors[name], oracle[name]) for name in shapes)
    for name, tensor in result.tensors.items():  # what is asked of the hub's tensors holds for real ones
        weights.local.check_values("it", name, tensor, weights.hub.ZERO_RUN)
    with pytest.raises(StyleTransferError, match=r"lacks features.19.weight \(it holds features.0 to features.16\)"):
        load_weights("vgg19-caffe", {**shapes, "features.19.weight": (512, 256, 3, 3)}, path=str(file))
