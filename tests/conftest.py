"""What the tests share: a small random network, a Ray cluster, and the folder of real pictures and weights."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from oracles import FIVE, SMALL, random_network
from small import two_pictures

from styletransfer import cores
from styletransfer.engine import Engine, Here, chosen
from styletransfer.features import Design, Network
from styletransfer.studio.worker import WORKER

# The same examples every time, and no deadline, which a busy machine would miss.
settings.register_profile("steady", derandomize=True, deadline=None, database=None, max_examples=25)
settings.load_profile("steady")


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own: they neither see nor change what this computer's user keeps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STYLETRANSFER_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def network() -> Network:
    """A random VGG-shaped network of five narrow blocks in float64: the layers of Gatys et al., stride 16."""
    return random_network(Design(SMALL), (*FIVE, "relu4_2"))


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[str, str]:
    return two_pictures(tmp_path)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with images/ and weights/ of the real thing; tests that need it are skipped without."""
    folder = Path(os.environ.get("STYLETRANSFER_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "weights").is_dir():
        pytest.skip(f"no {folder.name}/weights: set STYLETRANSFER_SHARED to a folder with weights/ and images/")
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[Engine]:
    """A Ray cluster on this computer with two workers of one thread; tests that need it are skipped without Ray."""
    if find_spec("ray") is None:
        pytest.skip("no Ray here: pip install 'ray>=2.50,<3'")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES", str(200 * 2**20))
        patch.setattr(cores, "usable", lambda: 2)
        engine = chosen(argparse.Namespace(engine="ray", workers=2, ray=None))
    yield engine
    engine.close()


@pytest.fixture(params=["here", "ray"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return Here() if request.param == "here" else request.getfixturevalue("cluster")


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many as a worker has: sums in another order are not the same to the last bit. The computing thread has a
    number of its own from its start on.
    """
    threads = torch.get_num_threads()
    WORKER.call(torch.set_num_threads, 1)
    torch.set_num_threads(1)
    yield
    WORKER.call(torch.set_num_threads, threads)
    torch.set_num_threads(threads)
