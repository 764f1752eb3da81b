"""Caches on this computer: our file of the layers downloaded so far, and whole files of torchvision and the hub."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from huggingface_hub import try_to_load_from_cache
from torch import Tensor

from ..files import cache_folder, write_atomically
from .local import brief, digest
from .sources import SOURCES

Report = Callable[[str], None]


def cache_file(network: str) -> Path:
    return cache_folder() / f"{network}-features.safetensors"


def load(network: str, report: Report) -> dict[str, Tensor]:
    """All tensors of our cached file, if they match its recorded digest; a damaged file counts as empty."""
    file = cache_file(network)
    if not os.path.isfile(file):
        return {}
    try:
        content = file.read_bytes()  # the library would open the file twice, and it may be replaced in between
        tensors = safetensors.torch.load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        if digest(tensors) != header.get("__metadata__", {}).get("digest"):
            raise ValueError("its digest is not the one recorded")
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        report(f"{network}: the cached file is damaged and the next download replaces it ({brief(error)})")
        return {}
    return tensors


def store(network: str, tensors: Mapping[str, Tensor], report: Report) -> None:
    """Add tensors to our cached file; a folder that cannot be written is reported, but is no error."""
    file = cache_file(network)
    union = {**load(network, lambda line: None), **tensors}  # read again: another process may have added to it
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, safetensors.torch.save(union, {"digest": digest(union)}), sync=True)
    except OSError as error:
        report(f"{network}: the cache folder cannot be written ({brief(error)}), so this download is not kept")


def whole_files(network: str) -> Iterator[tuple[Path, str]]:
    """Other programs' files of the whole network: torchvision's, and the hub's, which a Space may preload."""
    if os.path.isfile(_torchvision_file(network)):
        yield _torchvision_file(network), "torchvision's cache"
    path = try_to_load_from_cache(SOURCES[network].repo, "model.safetensors")
    if isinstance(path, str):
        yield Path(path), "the hub's cache"


def _torchvision_file(network: str) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / SOURCES[network].url.rsplit("/", 1)[1]


def torchvision_download(network: str) -> Path:
    """Torchvision's download, checked by the hash in the file's name.

    Not by load_state_dict_from_url, which keeps an existing damaged file and writes to stdout.
    """
    file = _torchvision_file(network)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.hub.download_url_to_file(SOURCES[network].url, str(file), file.stem.rsplit("-", 1)[1], progress=False)
    return file
