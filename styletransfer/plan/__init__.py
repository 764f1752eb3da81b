"""What a run will take, before it starts: memory, time, and the tiles that make it fit."""

from .memory import Plan, is_out_of_memory, make_plan, memory_needed, smaller_tile
from .system import available_memory, peak_memory, resident_memory
from .timing import seconds_of_scales

__all__ = [
    "Plan",
    "available_memory",
    "is_out_of_memory",
    "make_plan",
    "memory_needed",
    "peak_memory",
    "resident_memory",
    "seconds_of_scales",
    "smaller_tile",
]
