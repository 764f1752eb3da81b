"""A network's weights, from disk, the hub or torchvision, checked; only the layers needed are downloaded."""

from __future__ import annotations

import logging
import math
import os
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from huggingface_hub import hf_hub_url, is_offline_mode
from torch import Tensor

from ..config import StyleTransferError
from . import cache, hub, local
from .cache import Report
from .local import Shapes, available
from .sources import SOURCES, Source, source_of

__all__ = ["BUILTIN", "SOURCES", "Report", "Shapes", "Source", "Weights", "available", "load_weights", "on_disk"]

BUILTIN = Path(__file__).parents[1] / "data" / "builtin.safetensors"

REMEDY = "give them as a file with --weights, or choose the network builtin"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Weights:
    """Tensors (float32, CPU), the SHA-256 over their names, shapes and bytes, and their origin.

    Equal tensors have equal digests, whatever their source; `origin` is a phrase that names no folder.
    """

    tensors: dict[str, Tensor]
    digest: str
    origin: str


def load_weights(
    network: str, shapes: Shapes, path: str | None = None, report: Report = logger.info, download: bool = True
) -> Weights:
    """The weights of a network from `path`, else our cache, torchvision's cache, the hub by ranges, or torchvision.

    shapes: by key, like `features.0.weight`, of the tensors needed; report: called with lines of progress; download:
    without it the internet is never used. Raises StyleTransferError if the weights are not available.
    """
    if path is not None or network == "builtin":
        origin = "the built-in network" if path is None else f"the file {Path(path).name}"
        report(f"{network}: reading {origin}")
        tensors = local.take(local.open_weights(BUILTIN if path is None else path), shapes)
    else:
        tensors, origin = _find(network, shapes, report, download)
    return Weights(tensors, local.digest(tensors), origin)


def on_disk(network: str, shapes: Shapes) -> bool:
    """Whether this computer has all of `shapes`, by the headers of files or, for torchvision's file, its size."""
    try:
        held = available(BUILTIN if network == "builtin" else cache.cache_file(network))
    except StyleTransferError:
        held = {}
    if all(held.get(key) == shape for key, shape in shapes.items()):
        return True
    needed = sum(4 * math.prod(shape) for shape in shapes.values())
    return network in SOURCES and any(os.path.getsize(file) >= needed for file, _ in cache.whole_files(network))


def _find(network: str, shapes: Shapes, report: Report, download: bool) -> tuple[dict[str, Tensor], str]:
    """The tensors of these shapes, and their origin, from the first place that has them."""
    source = source_of(network)
    cached = {key: tensor for key, tensor in cache.load(network, report).items() if tensor.shape == shapes.get(key)}
    missing = {key: shape for key, shape in shapes.items() if key not in cached}
    if not missing:
        report(f"{network}: taken from the local cache")
        return cached, "the local cache"
    for file, origin in cache.whole_files(network):
        report(f"{network}: reading {origin}")
        try:
            return local.take(local.open_weights(file), shapes), origin
        except StyleTransferError as error:
            report(f"{network}: {origin} is of no use: {error}")

    _check_download(network, source, download)
    try:
        fetched = hub.fetch(network, missing, report)
        cache.store(network, fetched, report)
        return {**cached, **fetched}, "Hugging Face hub"
    except StyleTransferError as error:
        report(f"{network}: {error}; fetching torchvision's whole file instead, {source.megabytes} MB")
    try:
        return local.take(local.open_weights(cache.torchvision_download(network)), shapes), "torchvision's download"
    except (OSError, HTTPException, RuntimeError) as error:
        raise StyleTransferError(
            f"the weights of {network} could not be downloaded ({local.brief(error)}): go online once, {REMEDY}"
        ) from error


def _check_download(network: str, source: Source, allowed: bool) -> None:
    """Raise StyleTransferError if downloads are off, or others could change what the hub sends."""
    if not allowed or is_offline_mode():
        raise StyleTransferError(f"the weights of {network} are not here, and downloads are off: allow one, {REMEDY}")
    if not hub.is_private_way(hf_hub_url(source.repo, "model.safetensors")):
        raise StyleTransferError(
            f"the weights of {network} would come over a connection that others can change: HF_ENDPOINT must begin"
            " with https://, or be this computer"
        )
