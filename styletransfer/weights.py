"""A network's weights: found on disk, on the hub or at torchvision, fetched no further than needed, and checked."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

import safetensors
import safetensors.torch
import torch
from huggingface_hub import get_session, hf_hub_url, is_offline_mode, try_to_load_from_cache
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of whichever client the hub's library uses
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]
from torch import Tensor

from .config import StyleTransferError

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
Shapes = Mapping[str, tuple[int, ...]]

MEGABYTE = 2**20
LARGEST_FILE = 2048 * MEGABYTE  # VGG-16 and -19 with their classifiers are below 600
LARGEST_HEADER = MEGABYTE  # that of VGG-19 has about 4,000 bytes
LARGEST_VALUE = 1e4  # trained values stay below 100; about half of all random bytes, read as float32, exceed this
ZERO_RUN = 1024  # trained kernels never hold so many exact zeros in a row; a block that got lost does
TIMEOUT = 10.0  # seconds without a sign from the hub
PAUSES = (0.0, 0.5, 1.0, 2.0)  # seconds before each attempt at a range
TELL_EVERY = 0.5  # seconds between two lines of progress
BUILTIN = Path(__file__).parent / "data" / "builtin.safetensors"


@dataclass(frozen=True)
class Source:
    """Where a network is published: a repository on the hub with a model.safetensors, and torchvision's checkpoint."""

    repo: str
    url: str  # its name ends in the first digits of its SHA-256
    megabytes: int  # of torchvision's file


# Both hold the same tensors: torchvision's IMAGENET1K_V1, which timm keeps on the hub.
SOURCES = {
    "vgg19": Source("timm/vgg19.tv_in1k", "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth", 548),
    "vgg16": Source("timm/vgg16.tv_in1k", "https://download.pytorch.org/models/vgg16-397923af.pth", 528),
    "vgg16_bn": Source("timm/vgg16_bn.tv_in1k", "https://download.pytorch.org/models/vgg16_bn-6c64b313.pth", 528),
}


@dataclass(frozen=True)
class Weights:
    """The tensors asked for (float32, CPU), the SHA-256 over their names, shapes and bytes, and where they came from.

    Equal tensors have equal digests, wherever they came from; `origin` is a phrase without any folder's name.
    """

    tensors: dict[str, Tensor]
    digest: str
    origin: str


def load_weights(
    network: str, shapes: Shapes, path: str | None = None, report: Report = logger.info, download: bool = True
) -> Weights:
    """The weights of a network from `path`, else our cache, torchvision's cache, the hub by ranges, or torchvision.

    `shapes` maps each key needed (`features.0.weight`) to its shape; `report` is told of each step in a line.
    Without `download` the internet is never touched. Raises StyleTransferError where the weights cannot be had.
    """
    if path is not None or network == "builtin":
        origin = "the built-in network" if path is None else f"the file {Path(path).name}"
        report(f"{network}: reading {origin}")
        tensors = _take(_open(BUILTIN if path is None else path), shapes)
    else:
        tensors, origin = _find(network, shapes, report, download)
    return Weights(tensors, _digest(tensors), origin)


def on_disk(network: str, shapes: Shapes) -> bool:
    """Whether this computer holds all of `shapes`, judged by headers and, for torchvision's file, its size alone."""
    try:
        held = available(BUILTIN if network == "builtin" else _cache_file(network))
    except StyleTransferError:
        held = {}
    if all(held.get(name) == shape for name, shape in shapes.items()):
        return True
    needed = sum(4 * math.prod(shape) for shape in shapes.values())
    return network in SOURCES and any(os.path.getsize(file) >= needed for file, _ in _whole_files(network))


def available(path: str | Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the tensors in a local file, of which only the header is read where the format has one.

    Raises StyleTransferError for a file that is missing, damaged, too large, or not weights.
    """
    return _open(path).shapes


def _find(network: str, shapes: Shapes, report: Report, download: bool) -> tuple[dict[str, Tensor], str]:
    """The tensors asked for and their origin, from the first of our places that has them."""
    source = _source(network)
    cached = {name: each for name, each in _cached(network, report).items() if each.shape == shapes.get(name)}
    missing = {name: shape for name, shape in shapes.items() if name not in cached}
    if not missing:
        report(f"{network}: taken from the local cache")
        return cached, "the local cache"
    for file, place in _whole_files(network):
        report(f"{network}: reading {place}")
        try:
            return _take(_open(file), shapes), place
        except StyleTransferError as error:
            report(f"{network}: {place} is of no use: {error}")

    remedy = "give them as a file with --weights, or choose the network builtin"
    if not download or is_offline_mode():
        raise StyleTransferError(f"the weights of {network} are not here, and downloads are off: allow one, {remedy}")
    if not _is_private_way(hf_hub_url(source.repo, "model.safetensors")):
        raise StyleTransferError(
            f"the weights of {network} would come over a connection that others can change: HF_ENDPOINT must begin"
            " with https://, or be this computer"
        )
    try:
        fetched = _fetch(network, missing, report)
        _store(network, fetched, report)
        return {**cached, **fetched}, "Hugging Face hub"
    except StyleTransferError as error:
        report(f"{network}: {error}; fetching torchvision's whole file instead, {source.megabytes} MB")
    try:
        return _take(_open(_torchvision_download(network)), shapes), "torchvision's download"
    except (OSError, HTTPException, RuntimeError) as error:
        raise StyleTransferError(
            f"the weights of {network} could not be downloaded ({_brief(error)}): go online once, {remedy}"
        ) from error


def _source(network: str) -> Source:
    if network == "vgg19-caffe":
        raise StyleTransferError(
            "vgg19-caffe is loaded from a local file given with --weights: the original Caffe VGG-19 of Simonyan and"
            " Zisserman, converted to .safetensors or .pth with keys like features.0.weight"
        )
    if network not in SOURCES:
        raise StyleTransferError(f"no weights for {network!r}: choose from builtin, vgg19-caffe, {', '.join(SOURCES)}")
    return SOURCES[network]


# --- local files


@dataclass(frozen=True)
class _Opened:
    """A file of weights whose tensors are read one by one."""

    name: str
    shapes: dict[str, tuple[int, ...]]
    read: Callable[[str], Tensor]

    def tensor(self, name: str) -> Tensor:
        """One of them; StyleTransferError where the file is no longer the one that was opened."""
        try:
            return self.read(name)
        except (OSError, ValueError, LookupError, safetensors.SafetensorError) as error:
            raise StyleTransferError(f"{self.name} changed while it was read: try again when it is whole") from error


def _open(path: str | Path) -> _Opened:
    file = Path(os.path.expanduser(path))
    kinds = {".safetensors": _open_safetensors, ".pth": _open_pickle, ".pt": _open_pickle}
    if not os.path.isfile(file) or file.suffix.lower() not in kinds:
        raise StyleTransferError(f"{file.name!r} is not a file of weights: give an existing {' or '.join(kinds)} file")
    try:
        if (size := os.path.getsize(file)) > LARGEST_FILE:
            raise StyleTransferError(f"{file.name} has {size >> 20} MB: files of weights may have {LARGEST_FILE >> 20}")
        return kinds[file.suffix.lower()](file)
    except OSError as error:
        raise StyleTransferError(f"{file.name} cannot be read: {_brief(error)}") from error


def _open_safetensors(file: Path) -> _Opened:
    """Checked by the library, read by hand: it maps a file, and one that is cut meanwhile would kill the process."""

    def stamp(stream: BinaryIO) -> tuple[int, ...]:
        state = os.fstat(stream.fileno())
        return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns

    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            shapes = {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
        with open(file, "rb") as stream:
            start = 8 + int.from_bytes(stream.read(8), "little")
            header, first = json.loads(stream.read(start - 8)), stamp(stream)
    except (ValueError, safetensors.SafetensorError) as error:
        raise StyleTransferError(f"{file.name} is damaged or no safetensors file: {_brief(error)}") from error

    def read(name: str) -> Tensor:
        begin, end = header[name]["data_offsets"]
        head = json.dumps({name: {**header[name], "data_offsets": [0, end - begin]}}).encode()
        with open(file, "rb") as stream:
            stream.seek(start + begin)
            data = stream.read(end - begin)
            if stamp(stream) != first:
                raise ValueError("another file than the one opened")
        return safetensors.torch.load(len(head).to_bytes(8, "little") + head + data)[name]

    return _Opened(file.name, shapes, read)


def _open_pickle(file: Path) -> _Opened:
    """A file of torch.save, of which only plain tensors are unpickled, so that no code in it ever runs."""
    try:
        archive = zipfile.is_zipfile(file)  # else torch's older format, which cannot be mapped
        if archive:
            with zipfile.ZipFile(file) as packed:
                if sum(each.file_size for each in packed.infolist()) > LARGEST_FILE:
                    raise ValueError("unpacks to more than a file may have")
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=archive)
        tensors = {name: each for name, each in state.items() if isinstance(name, str) and isinstance(each, Tensor)}
    except Exception as error:  # an unpickler raises almost any class on arbitrary bytes
        raise StyleTransferError(
            f"{file.name} is damaged or no dictionary of plain tensors, and nothing else is ever unpickled"
            f" ({type(error).__name__})"
        ) from error
    return _Opened(file.name, {name: tuple(each.shape) for name, each in tensors.items()}, tensors.__getitem__)


def _take(file: _Opened, shapes: Shapes) -> dict[str, Tensor]:
    """The tensors asked for as float32 in memory of their own; StyleTransferError says what the file lacks."""
    if lacking := sorted(set(shapes) - set(file.shapes), key=lambda name: (_position(name), name)):
        layers = sorted({_position(name) for name in file.shapes} - {-1})
        holds = f"features.{layers[0]} to features.{layers[-1]}" if layers else "no key like features.0.weight"
        more = f" and {len(lacking) - 1} more" if lacking[1:] else ""
        raise StyleTransferError(
            f"{file.name} lacks {lacking[0]}{more} (it holds {holds}): choose layers that it reaches, or another file"
        )
    tensors = {}
    for name, shape in shapes.items():
        if file.shapes[name] != shape:
            raise StyleTransferError(f"{file.name} has {name} of shape {file.shapes[name]}: {shape} is needed")
        tensors[name] = _floats(file, name)
        _check_values(file.name, name, tensors[name])
    return tensors


def _floats(file: _Opened, name: str) -> Tensor:
    """A tensor as float32 in memory of its own, since a mapped file could change under a long run.

    Where the file has whole numbers of 8 bits, `NAME.scale` (K,) beside it is what one of them is worth in each of the
    K output channels.
    """
    tensor, scale = file.tensor(name), None
    if tensor.dtype == torch.int8 and file.shapes.get(f"{name}.scale") == tensor.shape[:1]:
        scale = file.tensor(f"{name}.scale")
    plain = tensor.device.type == "cpu" and tensor.layout == torch.strided
    if not plain or not (scale if scale is not None else tensor).is_floating_point():
        raise StyleTransferError(f"{file.name} has {name} as {tensor.dtype}: a plain tensor of floats is needed")
    values = tensor.detach().to(torch.float32, copy=True).contiguous()
    return values if scale is None else values * scale.float().view(-1, *[1] * (values.dim() - 1))


def _check_values(where: str, name: str, tensor: Tensor, zero_run: int = 2**40) -> None:
    """Raises StyleTransferError for values that no trained network has; biases alone may be nothing but zeros."""
    fault = ""
    if not bool(torch.isfinite(tensor).all()):
        fault = "values that are not finite"
    elif bool((tensor.abs() > LARGEST_VALUE).any()):
        fault = f"values beyond {LARGEST_VALUE:g}"
    elif tensor.dim() > 1 and not all(bool(run.any()) for run in torch.split(tensor.flatten(), zero_run)):
        fault = "zeros in place of values"
    if fault:
        raise StyleTransferError(f"{where} is damaged: {name} has {fault}")


def _position(name: str) -> int:
    found = re.match(r"features\.(\d+)\.", name)
    return int(found[1]) if found else -1


def _digest(tensors: Mapping[str, Tensor]) -> str:
    total = hashlib.sha256()
    for name in sorted(tensors):
        total.update(f"{name} {tuple(tensors[name].shape)} ".encode())
        total.update(tensors[name].flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()


def _brief(error: Exception) -> str:
    """An error in one line, without the path that the system's may name."""
    text = str(getattr(error, "strerror", None) or getattr(error, "reason", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__


# --- caches


def _cache_file(network: str) -> Path:
    root = os.environ.get("STYLETRANSFER_CACHE")
    if not root:
        root = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "styletransfer")
    return Path(root) / f"{network}-features.safetensors"


def _cached(network: str, report: Report) -> dict[str, Tensor]:
    """All of our cached file, if it is what the digest recorded in it says; a damaged file counts as none."""
    file = _cache_file(network)
    if not os.path.isfile(file):
        return {}
    try:
        content = file.read_bytes()  # at once: the library opens a file twice, and it may be replaced in between
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        if _digest(tensors) != header.get("__metadata__", {}).get("digest"):
            raise ValueError("its digest is not the one recorded")
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        report(f"{network}: the cached file is damaged and the next download replaces it ({_brief(error)})")
        return {}
    return tensors


def _store(network: str, tensors: Mapping[str, Tensor], report: Report) -> None:
    """Adds tensors to our cache in one stroke: another process sees the old file or the new one, never a part.

    A folder that cannot be written is reported and nothing more, since the tensors are in memory.
    """
    file = _cache_file(network)
    union = {**_cached(network, lambda line: None), **tensors}  # read anew: another process may have added to it
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(dir=file.parent, prefix=f".{network}-", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(safetensors.torch.save(union, {"digest": _digest(union)}))
                stream.flush()
                os.fsync(stream.fileno())
            os.chmod(part, 0o644)  # mkstemp's files are for one user alone
            os.replace(part, file)
        finally:
            Path(part).unlink(missing_ok=True)
    except OSError as error:
        report(f"{network}: the cache folder cannot be written ({_brief(error)}), so this download is not kept")


def _whole_files(network: str) -> Iterator[tuple[Path, str]]:
    """Files that other programs keep the whole network in: torchvision's, and the hub's, which a Space may preload."""
    if os.path.isfile(_torchvision_file(network)):
        yield _torchvision_file(network), "torchvision's cache"
    kept = try_to_load_from_cache(SOURCES[network].repo, "model.safetensors")
    if isinstance(kept, str):
        yield Path(kept), "the hub's cache"


def _torchvision_file(network: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / SOURCES[network].url.rsplit("/", 1)[1]


def _torchvision_download(network: str) -> Path:
    """Torchvision's own download, checked by the hash in the file's name.

    Not load_state_dict_from_url, which keeps a damaged file that it finds and writes to stdout.
    """
    file = _torchvision_file(network)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.hub.download_url_to_file(SOURCES[network].url, str(file), file.stem.rsplit("-", 1)[1], progress=False)
    return file


# --- the hub, by ranges


def _is_private_way(url: str) -> bool:
    """Whether nobody on the way can change what comes from there: encrypted, or from this computer itself."""
    return bool(re.match(r"https://[^/]|http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?/", url, re.IGNORECASE))


def _fetch(network: str, shapes: Shapes, report: Report) -> dict[str, Tensor]:
    """The tensors asked for, and no other byte but the header; StyleTransferError for any answer but the right one."""
    hub = _HubFile(SOURCES[network].repo)
    spans: list[list[tuple[int, int, str]]] = []  # neighbours in the file, each (begin, end, name)
    for place in sorted(_places(hub, shapes)):
        if spans and spans[-1][-1][1] == place[0]:
            spans[-1].append(place)
        else:
            spans.append([place])
    total = sum(span[-1][1] - span[0][0] for span in spans)
    report(f"{network}: fetching {total >> 20} of {hub.size >> 20} MB from the Hugging Face hub")
    hub.done, hub.progress = 0, lambda done: report(f"{network}: {done >> 20} of {total >> 20} MB")

    tensors = {}
    for span in spans:
        start = span[0][0]
        data = hub.read(start, span[-1][1])
        for begin, end, name in span:
            values = torch.frombuffer(data[begin - start : end - start], dtype=torch.float32)
            tensors[name] = values.reshape(shapes[name])
            _check_values("the hub's file", name, tensors[name], ZERO_RUN)
    return tensors


def _places(hub: _HubFile, shapes: Shapes) -> Iterator[tuple[int, int, str]]:
    """Begin and end of each tensor asked for, by the file's header: 8 bytes that hold its length, then JSON."""
    start = 8 + int.from_bytes(hub.read(0, 8), "little")
    if start > LARGEST_HEADER:
        raise StyleTransferError("the hub's file is no safetensors file")
    try:
        header = json.loads(hub.read(8, start))
        header.pop("__metadata__", None)
        places = {name: [start + int(each) for each in entry["data_offsets"]] for name, entry in header.items()}
        if max(end for _, end in places.values()) != hub.size:
            raise ValueError("its size is not the sum of its tensors'")
        kinds = {name: (entry["dtype"], entry["shape"]) for name, entry in header.items()}
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise StyleTransferError("the hub's file has a damaged header") from error
    for name, shape in shapes.items():
        begin, end = places.get(name, (0, 0))
        if kinds.get(name) != ("F32", list(shape)) or begin < start or end - begin != 4 * math.prod(shape):
            raise StyleTransferError(f"the hub's file does not hold {name} as float32 of shape {shape}")
        yield begin, end, name


class _HubFile:
    """One file on the hub, read by ranges of bytes; the hub's library supplies endpoint, token, proxies and client."""

    def __init__(self, repo: str) -> None:
        self.url = hf_hub_url(repo, "model.safetensors")
        self.size = 0  # of the whole file, known from the first answer on
        self.done, self.told = 0, time.monotonic()
        self.progress: Callable[[int], None] = lambda done: None

    def read(self, begin: int, end: int) -> bytearray:
        """The bytes from begin up to end; a connection that breaks is taken up where it broke, a few times."""
        data = bytearray()
        reason = "closed early"
        for pause in PAUSES:
            time.sleep(pause)
            try:
                for chunk in self._stream(begin + len(data), end):
                    data += chunk
                    self._tell(len(chunk))
                    if len(data) > end - begin:
                        raise StyleTransferError("the hub sent more than the range asked for")
            except (HTTPError, OSError) as error:
                reason = _brief(error)
            if len(data) == end - begin:
                return data
        raise StyleTransferError(f"the connection to the hub failed {len(PAUSES)} times ({reason})")

    def _stream(self, begin: int, end: int) -> Iterator[bytes]:
        # The library's own reader of headers would swallow the whole file from a server that ignores ranges.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={begin}-{end - 1}"}
        with get_session().stream("GET", self.url, headers=headers, timeout=TIMEOUT) as answer:
            if not all(_is_private_way(str(each.url)) for each in (*answer.history, answer)):
                raise StyleTransferError("the hub sent us on to a connection that others can change")
            if answer.status_code == 429 or answer.status_code >= 500:
                raise ConnectionError(f"status {answer.status_code}")  # worth another attempt
            if answer.status_code != 206:
                raise StyleTransferError(f"the hub answered with status {answer.status_code} to a request for a range")
            told = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
            if not told or (int(told[1]), int(told[2])) != (begin, end - 1) or self.size not in (0, int(told[3])):
                raise StyleTransferError("the hub answered with another range than the one asked for")
            self.size = int(told[3])
            yield from answer.iter_raw()

    def _tell(self, count: int) -> None:
        self.done += count
        if time.monotonic() - self.told >= TELL_EVERY:
            self.told = time.monotonic()
            self.progress(self.done)
