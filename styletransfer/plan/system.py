"""Memory as the system reports it: what this process and its device use, and what they may still use."""

from __future__ import annotations

import os
import re
import sys

import torch

from ..files import text_of


def available_memory(device: torch.device) -> int | None:
    """Bytes that a run may use: what is free on the GPU, or this process's own memory plus what the system has free."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    if device.type == "mps":
        return int(torch.mps.recommended_max_memory()) - int(torch.mps.driver_allocated_memory())
    limits = [limit for limit in (_free_of_system(), _free_of_cgroup(), _free_of_process()) if limit is not None]
    return resident_memory() + max(0, min(limits)) if limits else None


def resident_memory() -> int:
    """Bytes of this process that are in memory now; 0 where the system does not say."""
    return _fields("/proc/self/status").get("VmRSS", 0)


def _free_of_system() -> int | None:
    return _fields("/proc/meminfo").get("MemAvailable")


def _free_of_cgroup() -> int | None:
    """What the container's memory limit leaves; its page cache of inactive files can be reclaimed."""
    for folder, limit, used in (
        ("/sys/fs/cgroup", "memory.max", "memory.current"),
        ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
    ):
        numbers = [text_of(f"{folder}/{name}").strip() for name in (limit, used)]
        if all(number.isdigit() for number in numbers):
            cached = re.search(r"^(?:total_)?inactive_file (\d+)$", text_of(f"{folder}/memory.stat"), re.M)
            return int(numbers[0]) - int(numbers[1]) + (int(cached[1]) if cached else 0)
    return None


def _free_of_process() -> int | None:
    """What the limit of this process's address space (ulimit -v) leaves."""
    if sys.platform == "win32":
        return None
    import resource  # does not exist on Windows

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit - _fields("/proc/self/status").get("VmSize", 0)


def _fields(path: str) -> dict[str, int]:
    """The lines `Name: 123 kB` of a system file, in bytes."""
    lines = re.findall(r"^([^:\n]*):[ \t]*(\d+) kB$", text_of(path), re.M)
    return {name: int(kilobytes) * 1024 for name, kilobytes in lines}


def peak_memory() -> dict[str, int]:
    """Peak memory so far in bytes: of the process where the system reports it, and of the GPU where there is one."""
    peak = {}
    if os.name == "posix":
        import resource

        unit = 1 if sys.platform == "darwin" else 1024
        peak["process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    if torch.cuda.is_available():
        peak["cuda"] = torch.cuda.max_memory_allocated()
    return peak
