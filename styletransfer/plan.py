"""What a run will take before it is started: memory, time, and the tiles that make it fit.

Memory is counted: the feature maps that a gradient needs of one tile, the content's activations, the pictures that the
optimiser holds. Time is measured on this machine, by a few steps at a small size.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from .config import Config
from .features import Network, wanted_layers
from .objective import Objective, term_weights
from .pixels import Size, fit_size, white_noise
from .tiles import Tile, tiles_of

TILES = (0, 512, 256, 128)  # sides in pixels, 0 being the whole picture, in the order in which they are tried
HISTORIES = (10, 5, 3, 2)  # pairs of curvature that are given up in turn where memory is short
OVERHEAD = 150 * 2**20  # bytes of the process that the first steps bring along: kernels, threads, fragments
USABLE = 0.85  # share of the memory at hand that a plan may use
LBFGS_PICTURES, ADAM_PICTURES = 10, 11  # that a step holds at its peak beside the optimiser's memory
LBFGS_EVALUATIONS = 1.06  # that a step spends on average, its line search included
LBFGS_START = 3  # steps at the beginning of a scale that spend one more, until the step's length is found
# What the allocators say, and oneDNN where it finds no room for its workspace.
OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "could not create a primitive")
CALIBRATION = 256  # long side of the steps that are timed
TILED_COST = 1.35  # a tile's maps are computed twice before they are gone through backwards


@dataclass(frozen=True)
class Plan:
    """What a run will take: tiles (0: none) and pairs of curvature that fit; bytes at the peak, of the GPU where it
    computes there, else of the process; bytes at hand, where the system tells; and seconds, where they were estimated.
    """

    tile: int
    history: int
    memory: int
    available: int | None
    seconds: float | None = None

    @property
    def fits(self) -> bool:
        return self.available is None or self.memory <= self.available


def make_plan(network: Network, config: Config, size: Size, *, content: bool = True) -> Plan:
    """Tiles and history for a result of (H, W), as large as the memory at hand allows; a tile asked for stays."""
    available = available_memory(network.mean.device)
    base = resident_memory() + OVERHEAD if network.mean.device.type == "cpu" else 0
    tiles = (config.tile,) if config.tile else [side for side in TILES if side < max(size)]
    histories = (config.history, *(pairs for pairs in HISTORIES if pairs < config.history))
    plan = None
    for history in histories if config.optimizer == "lbfgs" else (config.history,):
        for tile in tiles:
            memory = base + memory_needed(network, replace(config, history=history), size, tile, content=content)
            plan = Plan(tile, history, memory, available)
            if available is None or memory <= base + USABLE * (available - base):
                return plan
    assert plan is not None
    return plan


def memory_needed(network: Network, config: Config, size: Size, tile: int, *, content: bool = True) -> int:
    """Bytes that a step at (H, W) needs at its peak, on top of what is there before it."""
    content_layers, style_layers = wanted_layers(config, network.design)
    content_weight, style_weight = term_weights(config)
    layers = [*(content_layers if content and content_weight else ()), *(style_layers if style_weight else ())]
    if not layers:
        return 0
    stride, halo = max(network.reach(layer) for layer in layers)
    largest = max(_area(each) for each in tiles_of(size, tile, stride, halo))
    picture = 3 * size[0] * size[1] * network.mean.element_size()
    targets, item = 0, network.features[0].weight.element_size()
    for layer in content_layers if content and content_weight else ():
        targets += network.width(layer) * size[0] * size[1] // network.reach(layer)[0] ** 2 * item
    held = 2 * config.history + LBFGS_PICTURES if config.optimizer == "lbfgs" else 2 + ADAM_PICTURES
    return int(_bytes_per_pixel(network, layers) * largest) + targets + held * picture


def _area(tile: Tile) -> int:
    (top, bottom), (left, right) = tile.rows.outside, tile.columns.outside
    return (bottom - top) * (right - left)


def _bytes_per_pixel(network: Network, layers: Sequence[str]) -> float:
    """What loss and gradient hold of each pixel: all maps, poolings' indices, and the gradients under way."""
    item, exact = network.features[0].weight.element_size(), network.mean.element_size()
    last = max(network.names[layer] for layer in layers)
    held, largest, width, stride = 8.0 * 3 * exact, 0.0, 3, 1
    for module in network.features[: last + 1]:
        if isinstance(module, nn.Conv2d):
            width = module.out_channels
            held += width * item / stride**2
            largest = max(largest, width * item / stride**2)
        if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
            stride *= 2
            held += width * (item + 8 * isinstance(module, nn.MaxPool2d)) / stride**2
    for layer in layers:  # widened for the sums, and the gradient that comes back
        held += 2 * network.width(layer) * exact / network.reach(layer)[0] ** 2
    return held + 2 * largest


# --- memory at hand


def available_memory(device: torch.device) -> int | None:
    """Bytes that a run may use in all: free on the GPU, or this process's own plus what the system can still give."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
    limits = [limit for limit in (_free_of_system(), _free_of_cgroup(), _free_of_process()) if limit is not None]
    return resident_memory() + max(0, min(limits)) if limits else None


def resident_memory() -> int:
    """Bytes of this process that are in memory now; 0 where the system does not tell."""
    return _fields("/proc/self/status").get("VmRSS", 0)


def _free_of_system() -> int | None:
    return _fields("/proc/meminfo").get("MemAvailable")


def _free_of_cgroup() -> int | None:
    """What the container's limit leaves; the files that it only remembers can be forgotten."""
    for folder, limit, used in (
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        numbers = [_text(f"{folder}/{name}").strip() for name in (limit, used)]
        if all(number.isdigit() for number in numbers):
            remembered = re.search(r"^(?:total_)?inactive_file (\d+)$", _text(f"{folder}/memory.stat"), re.M)
            return int(numbers[0]) - int(numbers[1]) + (int(remembered[1]) if remembered else 0)
    return None


def _free_of_process() -> int | None:
    """What the limit of this process's address space leaves (ulimit -v)."""
    if sys.platform == "win32":
        return None
    import resource  # not on Windows

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit - _fields("/proc/self/status").get("VmSize", 0)


def _fields(path: str) -> dict[str, int]:
    """The lines `Name: 123 kB` of a file of the system, in bytes."""
    found = {}
    for line in _text(path).splitlines():
        name, _, value = line.partition(":")
        number = value.split()
        if len(number) == 2 and number[1] == "kB":
            found[name] = int(number[0]) * 1024
    return found


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


# --- time


def estimate_seconds(network: Network, config: Config, scales: Sequence[tuple[Size, int]], tile: int = 0) -> float:
    """Seconds for steps at each size: (H, W) and how many, by a few steps that are timed now at a small size."""
    largest = scales[-1][0]
    size = fit_size(largest, min(CALIBRATION, max(largest)))
    evaluation = _seconds_of_evaluation(network, config, size) / (size[0] * size[1])
    value = _seconds_of_pass()
    each, start = (LBFGS_EVALUATIONS, LBFGS_START) if config.optimizer == "lbfgs" else (1.0, 0)
    seconds = 0.0
    for scale, steps in scales:
        pixels = scale[0] * scale[1]
        extra = TILED_COST * _overlap(network, config, scale, tile) if tile and tile < max(scale) else 1.0
        # Each pair takes part in two dot products and two sums, twice where pixels sit at their bounds.
        passes = 30 + (5 * min(config.history, steps / 2) if config.optimizer == "lbfgs" else 0)
        evaluations = each * steps + min(start, steps) + 1  # the targets cost about one
        seconds += evaluations * evaluation * pixels * extra + steps * passes * value * 3 * pixels
    return seconds


def _overlap(network: Network, config: Config, size: Size, tile: int) -> float:
    """Pixels computed over pixels of the picture."""
    content, style = wanted_layers(config, network.design)
    stride, halo = max(network.reach(layer) for layer in (*content, *style))
    return sum(map(_area, tiles_of(size, tile, stride, halo))) / (size[0] * size[1])


def _seconds_of_evaluation(network: Network, config: Config, size: Size) -> float:
    generator = torch.Generator().manual_seed(0)
    image = white_noise(size, generator).to(network.mean)
    objective = Objective(network, replace(config, style_weights=()), image, [image])
    return _least(lambda: float(objective(image).loss), 5)


def _seconds_of_pass(length: int = 2**21) -> float:
    """Seconds a value for one pass over a picture too large for the caches."""
    one, two = torch.ones(length), torch.ones(length)
    return _least(lambda: float(torch.dot(one, two)), 5) / length


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran short: on CUDA, on MPS, or in the allocator of the CPU."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(sign in text for sign in OUT_OF_MEMORY)


def smaller_tile(tile: int, size: Size) -> int | None:
    """The next smaller tile for a picture of this size that is computed in such tiles now; None after the smallest."""
    return next((side for side in TILES[1:] if side < (tile or max(size))), None)


def _least(run: Callable[[], float], repeats: int) -> float:
    """The least of several times, after one run that warms up."""
    run()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def peak_memory() -> dict[str, int]:
    """Most memory used so far in bytes: of the process where the system tells, and of the GPU where there is one."""
    peak = {}
    if os.name == "posix":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak["process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if torch.cuda.is_available():
        peak["cuda"] = torch.cuda.max_memory_allocated()
    return peak
