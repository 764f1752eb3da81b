"""What the tests of the studio and the page share: a small built-in network, two small pictures, and a quick run."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracles import random_tensors
from PIL import Image
from safetensors.torch import save_file

from styletransfer import Config
from styletransfer.studio.job import Job, checked
from styletransfer.studio.kept import Kept, Visit
from styletransfer.studio.server import Server
from styletransfer.studio.session import run

EXIF_ARTIST = 315
SHAPES = {
    "features.0.weight": (4, 3, 3, 3),
    "features.0.bias": (4,),
    "features.5.weight": (6, 4, 3, 3),
    "features.5.bias": (6,),
    "heads.relu1_1.weight": (5, 4, 1, 1),
    "heads.relu1_1.bias": (5,),
    "heads.relu2_1.weight": (7, 6, 1, 1),
    "heads.relu2_1.bias": (7,),
}
QUICK = Config(size=32, scales=(0.5, 1), iterations=(3, 2)).to_dict()


@pytest.fixture(scope="module", autouse=True)
def _collect_garbage() -> Iterator[None]:
    """Gradio's loops and sockets, before they fall to the tests of another module."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module", autouse=True)
def _a_small_network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """In place of the built-in network, a random one of the same kind with two layers."""
    file = tmp_path_factory.mktemp("network") / "network.safetensors"
    save_file({name: tensor.float() for name, tensor in random_tensors(SHAPES).items()}, file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("styletransfer.weights.BUILTIN", file)
        patch.setattr("styletransfer.features.choice.BUILTIN", file)
        patch.setattr("styletransfer.studio.frames._networks", {})
        yield


def two_pictures(folder: Path) -> tuple[str, str]:
    """A content of 40 x 32 with something personal in its metadata, and a style of 36 x 36."""
    random = np.random.default_rng(0)
    exif = Image.Exif()
    exif[EXIF_ARTIST] = "somebody"
    content, style = folder / "content.jpg", folder / "style.png"
    Image.fromarray(random.integers(0, 256, (32, 40, 3), np.uint8)).save(content, exif=exif)
    Image.fromarray(random.integers(0, 256, (36, 36, 3), np.uint8)).save(style)
    return str(content), str(style)


def job(pictures: tuple[str, str], **changes: Any) -> Job:
    """A quick and small run, but for the changes."""
    special = {name: changes.pop(name) for name in ("regions", "rest", "start") if name in changes}
    server = Server(weights=changes.pop("weights", None))
    return checked(server, {**QUICK, **changes}, content=pictures[0], styles=[pictures[1]], **special)


def out_of_time(asked: Job) -> Job:
    return replace(asked, limits=replace(asked.limits, seconds=0.0))


def finished(pictures: tuple[str, str], color: str = "style", **changes: Any) -> Kept:
    """What is kept of a whole run."""
    visit = Visit()
    for _ in run(job(pictures, color=color, **changes), visit):
        pass
    assert visit.current is not None
    return visit.current
