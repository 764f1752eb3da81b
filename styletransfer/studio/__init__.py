"""Everything of a visit to the page that is not the page: what is asked for, the run, and what is kept of it.

`request` needs no torch; the names of the other two modules are imported when they are first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .request import (
    LIMITS,
    Job,
    Limits,
    as_text,
    checked,
    command,
    continued,
    field_values,
    finer,
    nearest_recipe,
    parsed,
    preset,
    restored,
)

if TYPE_CHECKING:
    from .kept import STORE, Kept, Store, Visit
    from .running import Frame, describe, network_for, paint, sketch

__all__ = [
    "LIMITS",
    "STORE",
    "Frame",
    "Job",
    "Kept",
    "Limits",
    "Store",
    "Visit",
    "as_text",
    "checked",
    "command",
    "continued",
    "describe",
    "field_values",
    "finer",
    "nearest_recipe",
    "network_for",
    "paint",
    "parsed",
    "preset",
    "restored",
    "sketch",
]

_LATER = {
    "kept": ("STORE", "Kept", "Store", "Visit"),
    "running": ("Frame", "describe", "network_for", "paint", "sketch"),
}


def __getattr__(name: str) -> Any:
    for module, names in _LATER.items():
        if name in names:  # looked up anew each time: on ZeroGPU the app puts another `paint` in its place
            return getattr(import_module(f".{module}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
