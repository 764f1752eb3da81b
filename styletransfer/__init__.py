"""Neural style transfer by optimisation of the pixels (Gatys, Ecker and Bethge, 2015).

Names that need torch are imported at their first use, so that a page or a command line responds at once.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .config import VERSION, Config, StyleTransferError
from .recipes import RECIPES, recipe

if TYPE_CHECKING:
    from .features import Network, load_network
    from .images import load_image, save_image
    from .pixels import fit_size, recolor, resize
    from .transfer import Result, Step, iterate, stylize

__all__ = [
    "RECIPES",
    "Config",
    "Network",
    "Result",
    "Step",
    "StyleTransferError",
    "__version__",
    "fit_size",
    "iterate",
    "load_image",
    "load_network",
    "recipe",
    "recolor",
    "resize",
    "save_image",
    "stylize",
]

_LATER = {
    "features": ("Network", "load_network"),
    "images": ("load_image", "save_image"),
    "pixels": ("fit_size", "recolor", "resize"),
    "transfer": ("Result", "Step", "iterate", "stylize"),
}
_HOMES = {name: (module, name) for module, names in _LATER.items() for name in names}
__version__ = VERSION


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    globals()[name] = getattr(import_module(f".{module}", __name__), attribute)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
