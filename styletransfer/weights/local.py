"""Local files of weights: opened without running code from them, read tensor by tensor, and checked."""

from __future__ import annotations

import hashlib
import json
import os
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from ..config import StyleTransferError

Shapes = Mapping[str, tuple[int, ...]]

LARGEST_FILE = 2048 * 2**20  # bytes; VGG-16 and VGG-19 with their classifiers take less than 600 MB
LARGEST_VALUE = 1e4  # trained values stay below 100; about half of all random bytes, read as float32, exceed this


@dataclass(frozen=True)
class WeightsFile:
    """An open file of weights: its name, the shapes of its tensors, and a function that reads one tensor."""

    name: str
    shapes: dict[str, tuple[int, ...]]
    read: Callable[[str], Tensor]

    def tensor(self, key: str) -> Tensor:
        """Read one tensor. Raises StyleTransferError if the file has changed since it was opened."""
        try:
            return self.read(key)
        except (OSError, ValueError, LookupError, safetensors.SafetensorError) as error:
            raise StyleTransferError(f"{self.name} changed while it was read: try again when it is whole") from error


def open_weights(path: str | Path) -> WeightsFile:
    """Open a .safetensors, .pth or .pt file. Raises StyleTransferError for any other or a damaged file."""
    file = Path(os.path.expanduser(path))
    openers = {".safetensors": _open_safetensors, ".pth": _open_pickle, ".pt": _open_pickle}
    if not os.path.isfile(file) or file.suffix.lower() not in openers:
        raise StyleTransferError(
            f"{file.name!r} is not a file of weights: give an existing {' or '.join(openers)} file"
        )
    try:
        if (size := os.path.getsize(file)) > LARGEST_FILE:
            raise StyleTransferError(f"{file.name} has {size >> 20} MB: files of weights may have {LARGEST_FILE >> 20}")
        return openers[file.suffix.lower()](file)
    except OSError as error:
        raise StyleTransferError(f"{file.name} cannot be read: {brief(error)}") from error


def _open_safetensors(file: Path) -> WeightsFile:
    """The library checks the header, but the tensors are read here: it would map the file into memory, and if the file
    were truncated meanwhile, the system would kill the process.
    """

    def stamp(stream: BinaryIO) -> tuple[int, ...]:
        status = os.fstat(stream.fileno())
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns

    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            shapes = {key: tuple(opened.get_slice(key).get_shape()) for key in opened.keys()}  # noqa: SIM118
        with open(file, "rb") as stream:
            start = 8 + int.from_bytes(stream.read(8), "little")
            header, opened_stamp = json.loads(stream.read(start - 8)), stamp(stream)
    except (ValueError, safetensors.SafetensorError) as error:
        raise StyleTransferError(f"{file.name} is damaged or no safetensors file: {brief(error)}") from error

    def read(key: str) -> Tensor:
        begin, end = header[key]["data_offsets"]
        # A file with this tensor alone, which the library parses.
        head = json.dumps({key: {**header[key], "data_offsets": [0, end - begin]}}).encode()
        with open(file, "rb") as stream:
            stream.seek(start + begin)
            data = stream.read(end - begin)
            if stamp(stream) != opened_stamp:
                raise ValueError("another file than the one opened")
        return safetensors.torch.load(len(head).to_bytes(8, "little") + head + data)[key]

    return WeightsFile(file.name, shapes, read)


def _open_pickle(file: Path) -> WeightsFile:
    """A file of torch.save; only plain tensors are unpickled, so that no code in it runs."""
    try:
        zipped = zipfile.is_zipfile(file)  # else torch's older format, which cannot be mapped
        if zipped:
            with zipfile.ZipFile(file) as archive:
                if sum(entry.file_size for entry in archive.infolist()) > LARGEST_FILE:
                    raise ValueError("unpacks to more than a file may have")
        state = torch.load(file, map_location="cpu", weights_only=True, mmap=zipped)
        tensors = {key: value for key, value in state.items() if isinstance(key, str) and isinstance(value, Tensor)}
    except Exception as error:  # an unpickler raises almost any class on arbitrary bytes
        raise StyleTransferError(
            f"{file.name} is damaged or no dictionary of plain tensors, and nothing else is ever unpickled"
            f" ({type(error).__name__})"
        ) from error
    return WeightsFile(file.name, {key: tuple(tensor.shape) for key, tensor in tensors.items()}, tensors.__getitem__)


def available(path: str | Path) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the tensors in a local file; only the header is read, if the format has one.

    Raises StyleTransferError for a file that is missing, damaged, too large, or not weights.
    """
    return open_weights(path).shapes


def take(file: WeightsFile, shapes: Shapes) -> dict[str, Tensor]:
    """Read the tensors of these names and shapes as float32. Raises StyleTransferError if the file lacks any."""
    if missing := sorted(set(shapes) - set(file.shapes), key=lambda key: (_layer_index(key), key)):
        layers = sorted({_layer_index(key) for key in file.shapes} - {-1})
        holds = f"features.{layers[0]} to features.{layers[-1]}" if layers else "no key like features.0.weight"
        more = f" and {len(missing) - 1} more" if missing[1:] else ""
        raise StyleTransferError(
            f"{file.name} lacks {missing[0]}{more} (it holds {holds}): choose layers that it reaches, or another file"
        )
    tensors = {}
    for key, shape in shapes.items():
        if file.shapes[key] != shape:
            raise StyleTransferError(f"{file.name} has {key} of shape {file.shapes[key]}: {shape} is needed")
        tensors[key] = _floats(file, key)
        check_values(file.name, key, tensors[key])
    return tensors


def _floats(file: WeightsFile, key: str) -> Tensor:
    """A copy of one tensor as float32: a mapped file could change during a long run.

    A kernel (K, C, h, w) of 8-bit integers is multiplied by the tensor `KEY.scale` (K,), its quantisation steps by
    output channel.
    """
    tensor, scale = file.tensor(key), None
    if tensor.dtype == torch.int8 and file.shapes.get(f"{key}.scale") == tuple(tensor.shape[:1]):
        scale = file.tensor(f"{key}.scale")
    plain = tensor.device.type == "cpu" and tensor.layout == torch.strided
    if not plain or not (tensor if scale is None else scale).is_floating_point():
        raise StyleTransferError(f"{file.name} has {key} as {tensor.dtype}: a plain tensor of floats is needed")
    values = tensor.detach().to(torch.float32, copy=True).contiguous()
    return values if scale is None else values * scale.float().view(-1, *[1] * (values.dim() - 1))


def check_values(where: str, key: str, tensor: Tensor, zero_run: int = 2**40) -> None:
    """Raise StyleTransferError for values that no trained network has.

    zero_run: a kernel may not hold this many zeros in a row; by default only a kernel of nothing but zeros is refused.
    Biases may be all zeros.
    """
    fault = ""
    if not bool(torch.isfinite(tensor).all()):
        fault = "values that are not finite"
    elif bool((tensor.abs() > LARGEST_VALUE).any()):
        fault = f"values beyond {LARGEST_VALUE:g}"
    elif tensor.dim() > 1 and not all(bool(run.any()) for run in torch.split(tensor.flatten(), zero_run)):
        fault = "zeros in place of values"
    if fault:
        raise StyleTransferError(f"{where} is damaged: {key} has {fault}")


def _layer_index(key: str) -> int:
    match = re.match(r"features\.(\d+)\.", key)
    return int(match[1]) if match else -1


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over the tensors' names, shapes and bytes, in the order of the names."""
    sha256 = hashlib.sha256()
    for key in sorted(tensors):
        sha256.update(f"{key} {tuple(tensors[key].shape)} ".encode())
        sha256.update(tensors[key].flatten().view(torch.uint8).numpy().data)
    return sha256.hexdigest()


def brief(error: Exception) -> str:
    """An error in one line, without the path that the system's message may contain."""
    text = str(getattr(error, "strerror", None) or getattr(error, "reason", None) or error).strip()
    return text.splitlines()[0] if text else type(error).__name__
