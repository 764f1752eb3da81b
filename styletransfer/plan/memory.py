"""Memory: the tile and the L-BFGS history with which a run fits into what is available.

Counted are the feature maps that the gradient of one tile needs, the content's activations, and the pictures that the
optimiser holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from ..config import Config
from ..features import FactoredConv2d, Network, wanted_layers
from ..objective import matched_layers, term_weights
from ..pixels import Size
from ..tiles import tiles_of
from .system import available_memory, resident_memory

TILES = (0, 512, 256, 128)  # sides in pixels, in the order in which they are tried; 0: the whole picture
HISTORIES = (10, 5, 3, 2)  # shorter and shorter L-BFGS histories, in (s, y) pairs, for where memory is short
OVERHEAD = 150 * 2**20  # bytes that the first steps add to the process: kernels, threads, fragmentation
USABLE = 0.85  # share of the available memory that a plan may use
LBFGS_PICTURES, ADAM_PICTURES = 10, 11  # pictures that a step holds at its peak, besides the optimiser's state
# Messages of torch's allocators, and of oneDNN where it cannot allocate its workspace.
OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "could not create a primitive")


@dataclass(frozen=True)
class Plan:
    """The tile (0: none) and the L-BFGS history that fit.

    memory: bytes at the peak, of the GPU where the network is on one, else of the process; available: bytes that may
    be used, None where the system does not say.
    """

    tile: int
    history: int
    memory: int
    available: int | None

    @property
    def fits(self) -> bool:
        return self.available is None or self.memory <= self.available


def make_plan(network: Network, config: Config, size: Size, *, content: bool = True, finished: bool = False) -> Plan:
    """The largest tile and history for a result of (H, W) that fit into memory; a tile set in `config` stays.

    finished: the run starts from a finished picture, and has nearest neighbours from its first step on.
    """
    available = available_memory(network.mean.device)
    base = resident_memory() + OVERHEAD if network.mean.device.type == "cpu" else 0
    tiles = (config.tile,) if config.tile else [side for side in TILES if side < max(size)]
    histories = (config.history, *(pairs for pairs in HISTORIES if pairs < config.history))
    plan = None
    options = {"content": content, "finished": finished}
    for history in histories if config.optimizer == "lbfgs" else (config.history,):
        for tile in tiles:
            memory = base + memory_needed(network, replace(config, history=history), size, tile, **options)
            plan = Plan(tile, history, memory, available)
            if available is None or memory <= base + USABLE * (available - base):
                return plan
    assert plan is not None
    return plan


def memory_needed(
    network: Network, config: Config, size: Size, tile_side: int, *, content: bool = True, finished: bool = False
) -> int:
    """Bytes that a step at (H, W) needs at its peak, on top of what the process holds before; finished as above."""
    content_layers, style_layers = wanted_layers(config, network.design)
    weights = term_weights(config)
    contents = content_layers if content and weights.content else ()
    layers = [*contents, *(style_layers if weights.style else ())]
    if not layers:
        return 0
    stride, halo = max(network.reach(layer) for layer in layers)
    largest = max(tile.area for tile in tiles_of(size, tile_side, stride, halo))
    picture = 3 * size[0] * size[1] * network.mean.element_size()
    is_matched = weights.nearest and (finished or len(set(config.scales)) < len(config.scales))
    kept = [*contents, *(matched_layers(network, style_layers) if is_matched else ())]
    values: int = sum(network.width(layer) * size[0] * size[1] // network.reach(layer)[0] ** 2 for layer in kept)
    targets = values * network.features[0].weight.element_size()
    pictures = 2 * config.history + LBFGS_PICTURES if config.optimizer == "lbfgs" else 2 + ADAM_PICTURES
    return int(_bytes_per_pixel(network, layers) * largest + targets + pictures * picture)


def _bytes_per_pixel(network: Network, layers: Sequence[str]) -> float:
    """Bytes that loss and gradient hold for each pixel: all feature maps, pooling indices, and current gradients."""
    map_bytes, sum_bytes = network.features[0].weight.element_size(), network.mean.element_size()
    last = max(network.names[layer] for layer in layers)
    total, largest, width, stride = 8.0 * 3 * sum_bytes, 0.0, 3, 1
    for module in network.features[: last + 1]:
        if isinstance(module, (nn.Conv2d, FactoredConv2d)):
            width = module.out_channels
            total += width * map_bytes / stride**2
            largest = max(largest, width * map_bytes / stride**2)
        if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
            stride *= 2
            total += width * (map_bytes + 8 * isinstance(module, nn.MaxPool2d)) / stride**2
    for layer in layers:  # a copy in the format of the sums, and its gradient
        total += 2 * network.width(layer) * sum_bytes / network.reach(layer)[0] ** 2
    return total + 2 * largest


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out: on CUDA, on MPS, or on the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(message in text for message in OUT_OF_MEMORY)


def smaller_tile(tile: int, size: Size) -> int | None:
    """The next smaller tile for a picture of (H, W) that uses `tile` now; None after the smallest."""
    return next((side for side in TILES[1:] if side < (tile or max(size))), None)
