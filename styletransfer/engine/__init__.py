"""Where the work is done: in this process, or by Ray's workers on this machine or on many."""

from .choice import MISSING, add_flags, chosen
from .seam import Engine, Here, Lost, Worker

__all__ = ["MISSING", "Engine", "Here", "Lost", "Worker", "add_flags", "chosen"]
