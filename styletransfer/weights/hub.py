"""Tensors from the Hugging Face hub: only the byte ranges of the tensors needed are downloaded."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable, Iterator

import torch
from huggingface_hub import get_session, hf_hub_url
from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # of whichever client the hub's library uses
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]
from torch import Tensor

from ..config import StyleTransferError
from .cache import Report
from .local import Shapes, brief, check_values
from .sources import SOURCES

LARGEST_HEADER = 2**20  # bytes; that of VGG-19 has about 4,000
ZERO_RUN = 1024  # zeros in a row: trained kernels never have as many, a lost block does
TIMEOUT = 10.0  # seconds without an answer from the hub
PAUSES = (0.0, 0.5, 1.0, 2.0)  # seconds before each attempt at a range
REPORT_EVERY = 0.5  # seconds between two lines of progress


def is_private_way(url: str) -> bool:
    """Whether nobody in between can change what this URL sends: it is encrypted, or on this computer."""
    return bool(re.match(r"https://[^/]|http://(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?/", url, re.IGNORECASE))


def fetch(network: str, shapes: Shapes, report: Report) -> dict[str, Tensor]:
    """Download the header and the tensors of these shapes alone. Raises StyleTransferError for unexpected answers."""
    hub = HubFile(SOURCES[network].repo)
    runs: list[list[tuple[int, int, str]]] = []  # (begin, end, key) of tensors that are adjacent in the file
    for place in sorted(_places(hub, shapes)):
        if runs and runs[-1][-1][1] == place[0]:
            runs[-1].append(place)
        else:
            runs.append([place])
    total = sum(run[-1][1] - run[0][0] for run in runs)
    report(f"{network}: fetching {total >> 20} of {hub.size >> 20} MB from the Hugging Face hub")
    hub.done, hub.progress = 0, lambda done: report(f"{network}: {done >> 20} of {total >> 20} MB")

    tensors = {}
    for run in runs:
        start = run[0][0]
        data = hub.read(start, run[-1][1])
        for begin, end, key in run:
            values = torch.frombuffer(data[begin - start : end - start], dtype=torch.float32)
            tensors[key] = values.reshape(shapes[key])
            check_values("the hub's file", key, tensors[key], ZERO_RUN)
    return tensors


def _places(hub: HubFile, shapes: Shapes) -> Iterator[tuple[int, int, str]]:
    """(begin, end, key) of the tensors of these shapes, from the file's header: 8 bytes with its length, then JSON."""
    start = 8 + int.from_bytes(hub.read(0, 8), "little")
    if start > LARGEST_HEADER:
        raise StyleTransferError("the hub's file is no safetensors file")
    try:
        header = json.loads(hub.read(8, start))
        header.pop("__metadata__", None)
        places = {key: [start + int(offset) for offset in entry["data_offsets"]] for key, entry in header.items()}
        if max(end for _, end in places.values()) != hub.size:
            raise ValueError("its size is not the sum of its tensors'")
        kinds = {key: (entry["dtype"], entry["shape"]) for key, entry in header.items()}
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError) as error:
        raise StyleTransferError("the hub's file has a damaged header") from error
    for key, shape in shapes.items():
        begin, end = places.get(key, (0, 0))
        if kinds.get(key) != ("F32", list(shape)) or begin < start or end - begin != 4 * math.prod(shape):
            raise StyleTransferError(f"the hub's file does not hold {key} as float32 of shape {shape}")
        yield begin, end, key


class HubFile:
    """A file on the hub, read by byte ranges; the hub's library provides endpoint, token, proxies and client."""

    def __init__(self, repo: str) -> None:
        self.url = hf_hub_url(repo, "model.safetensors")
        self.size = 0  # of the whole file in bytes, known from the first answer on
        self.done, self.reported = 0, time.monotonic()
        self.progress: Callable[[int], None] = lambda done: None

    def read(self, begin: int, end: int) -> bytearray:
        """The bytes from begin up to end; a broken connection is resumed a few times."""
        data = bytearray()
        reason = "closed early"
        for pause in PAUSES:
            time.sleep(pause)
            try:
                for chunk in self._stream(begin + len(data), end):
                    data += chunk
                    self._report(len(chunk))
                    if len(data) > end - begin:
                        raise StyleTransferError("the hub sent more than the range asked for")
            except (HTTPError, OSError, ImportError, ValueError) as error:  # the last two: of an unusable proxy
                reason = brief(error)
            if len(data) == end - begin:
                return data
        raise StyleTransferError(f"the connection to the hub failed {len(PAUSES)} times ({reason})")

    def _stream(self, begin: int, end: int) -> Iterator[bytes]:
        # The library's own function for headers would read the whole file from a server that ignores ranges.
        headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={begin}-{end - 1}"}
        with get_session().stream("GET", self.url, headers=headers, timeout=TIMEOUT) as answer:
            if not all(is_private_way(str(response.url)) for response in (*answer.history, answer)):
                raise StyleTransferError("the hub sent us on to a connection that others can change")
            if answer.status_code == 429 or answer.status_code >= 500:
                raise ConnectionError(f"status {answer.status_code}")  # worth another attempt
            if answer.status_code != 206:
                raise StyleTransferError(f"the hub answered with status {answer.status_code} to a request for a range")
            match = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", answer.headers.get("Content-Range", ""))
            if not match or (int(match[1]), int(match[2])) != (begin, end - 1) or self.size not in (0, int(match[3])):
                raise StyleTransferError("the hub answered with another range than the one asked for")
            self.size = int(match[3])
            yield from answer.iter_raw()

    def _report(self, count: int) -> None:
        self.done += count
        if time.monotonic() - self.reported >= REPORT_EVERY:
            self.reported = time.monotonic()
            self.progress(self.done)
