"""The engine that a program's flags choose."""

from __future__ import annotations

import argparse
import os
from importlib.util import find_spec

from ..config import StyleTransferError
from .seam import Engine, Here

MISSING = "the engine ray needs an extra package: pip install 'ray>=2.50,<3'"


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `chosen` reads."""
    add = parser.add_argument
    extra = "" if find_spec("ray") else f" ({MISSING})"
    add("--engine", choices=("here", "ray"), default="here", help=f"compute in this process or by Ray's workers{extra}")
    add("--workers", type=int, metavar="N", help="number of Ray's workers (one per GPU, or per two cores)")
    add("--ray", metavar="ADDRESS", help="use the running Ray cluster at HOST:PORT; sets --engine ray")


def chosen(options: argparse.Namespace) -> Engine:
    """The engine that the flags choose. Raises StyleTransferError if it is not available."""
    if options.engine == "here" and options.ray is None:
        if options.workers is not None:
            raise StyleTransferError(f"workers is {options.workers}, and without Ray there is one: add --engine ray")
        return Here()
    if options.workers is not None and options.workers < 1:
        raise StyleTransferError(f"workers must be at least 1, got {options.workers}")
    if find_spec("ray") is None:
        raise StyleTransferError(MISSING)
    # Ray reads these when it is imported. By default it sends usage reports.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if options.ray is None or options.ray.startswith(("127.", "localhost:")):
        # Then a local cluster listens at 127.0.0.1 on Linux, too, not at an address that others can reach.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if options.ray is None:
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # only clients with its token are served
    from .cluster import Cluster

    return Cluster(options.workers, options.ray)
