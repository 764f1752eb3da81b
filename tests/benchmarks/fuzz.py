"""Damaged picture files by the thousand: each must be a picture or one sentence, soon, and in little memory.

    python tests/benchmarks/fuzz.py [--count N] [--seed N] [--workers N] [--json FILE] [--keep FOLDER]
    python tests/benchmarks/fuzz.py --only NUMBER --keep FOLDER     # one file again, and kept

Files of every format that is read, and of every kind within it, are made here; each number from 0 on damages one of
them by its own generator. They are read in worker processes, so that a crash or a hang is told rather than suffered.
Exits with 1 where a mark is missed. Seconds are the worker's own (CPU), since the machine may be busy with others;
that nothing waits for ever is seen by the parent, which gives a file two minutes of the clock.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import random
import resource
import struct
import sys
import time
import traceback
import warnings
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

MOST_SECONDS, MOST_MEMORY = 2.0, 2**30
MAX_PIXELS = 32_000_000  # the app's limit
PATIENCE, BATCH = 120.0, 100
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 30_000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)

# --- whole files to begin with


def seeds() -> dict[str, bytes]:
    """Small files by a name that begins with their format."""
    chance = np.random.default_rng(5)
    ramp = np.linspace(0, 255, 61)[:, None, None] * np.array([1, 0.5, 0.2]) + np.linspace(0, 90, 83)[None, :, None]
    values = np.clip(ramp + chance.normal(0, 12, ramp.shape), 0, 255).astype(np.uint8)
    color, clear = Image.fromarray(values), Image.fromarray(np.dstack([values, values[..., :1]]))
    large = color.resize((256, 240))
    gray, palette, deep = color.convert("L"), color.quantize(16), values[..., 0].astype(np.uint16) * 257
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 31.0, 7.0)})
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    tagged: dict[str, Any] = {"exif": exif, "icc_profile": profile}
    info = PngInfo()
    info.add_text("styletransfer", json.dumps({"config": {"size": 64, "scales": [0.5, 1]}}))
    info.add_text("Comment", "several words " * 20, zip=True)
    several: dict[str, Any] = {"save_all": True, "append_images": [color.rotate(90, expand=True), gray, palette]}
    result = {
        "JPEG": encoded(color, "JPEG"),
        "JPEG of 256 px": encoded(large, "JPEG", quality=90),
        "JPEG grey": encoded(gray, "JPEG"),
        "JPEG progressive": encoded(color, "JPEG", progressive=True, **tagged),
        "JPEG CMYK": encoded(color.convert("CMYK"), "JPEG"),
        "JPEG with EXIF": encoded(color, "JPEG", **tagged, comment=b"words"),
        "JPEG restarting": encoded(color, "JPEG", restart_marker_blocks=3, subsampling=0, optimize=True),
        "JPEG of several": encoded(color, "MPO", save_all=True, append_images=[large]),
        "PNG of 256 px": encoded(large, "PNG"),
        "PNG with settings": encoded(color, "PNG", pnginfo=info, **tagged),
        "PNG interlaced": adam7(values),
        "PNG interlaced, one pixel": adam7(values[:1, :1]),
        "PNG 16-bit colour": png(values.astype(np.uint16) * 257, 16, 2),
        "PNG 16-bit grey with alpha": png(np.dstack([deep, deep]), 16, 4),
        "PNG animated": encoded(clear, "PNG", save_all=True, append_images=[clear.rotate(5)], duration=40),
        "PNG 16-bit grey": encoded(deep, "PNG"),
        "PNG palette with alpha": encoded(palette, "PNG", transparency=bytes(range(0, 160, 10))),
        "WEBP": encoded(color, "WEBP", **tagged),
        "WEBP of 256 px": encoded(large, "WEBP"),
        "WEBP with alpha": encoded(clear, "WEBP", exif=exif),
        "WEBP lossless": encoded(clear, "WEBP", lossless=True, exact=True),
        "WEBP animated": encoded(clear, "WEBP", save_all=True, append_images=[clear.rotate(5), color], duration=40),
        "TIFF several pages": encoded(color, "TIFF", **several),
        "TIFF with EXIF": encoded(color, "TIFF", **tagged),
        "TIFF 16-bit": encoded(deep, "TIFF"),
        "TIFF float": encoded(values[..., 0].astype(np.float32) / 99, "TIFF"),
        "TIFF float, deflate": encoded(values[..., 0].astype(np.float32), "TIFF", compression="tiff_adobe_deflate"),
        "TIFF integer": encoded(values[..., 0].astype(np.int32) - 99, "TIFF"),
        "TIFF fax": encoded(color.convert("1"), "TIFF", compression="group4"),
        "TIFF big": encoded(color, "TIFF", big_tiff=True),
        "BMP runs": runs_bmp(),
        "BMP of 256 px": encoded(large, "BMP"),
        "GIF": encoded(palette, "GIF", comment=b"words " * 60),
        "GIF of 256 px": encoded(large.quantize(64), "GIF"),
        "GIF animated": encoded(palette, "GIF", **several, duration=[40, 50, 60, 70], loop=0, transparency=3),
    }
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        result[f"PNG {mode}"] = encoded(clear.convert(mode), "PNG")
    for bits in (1, 2, 4):
        result[f"PNG {bits} bits"] = encoded(color.quantize(2**bits), "PNG", bits=bits, transparency=1)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        result[f"BMP {mode}"] = encoded(clear.convert(mode), "BMP")
    for mode in ("1", "L", "P", "RGBA", "CMYK", "YCbCr", "LAB"):
        picture = color.convert("RGB").convert("RGBA" if mode == "RGBA" else mode) if mode != "LAB" else lab(color)
        result[f"TIFF {mode}"] = encoded(picture, "TIFF")
    for way in ("tiff_lzw", "packbits", "jpeg", "tiff_adobe_deflate", "zstd", "lzma"):
        result[f"TIFF {way}"] = encoded(color, "TIFF", compression=way)
    return result


def encoded(picture: Image.Image | np.ndarray, format: str, **options: Any) -> bytes:
    file = io.BytesIO()
    # A copy, since Pillow leaves what it writes with on the picture.
    (picture if isinstance(picture, Image.Image) else Image.fromarray(picture)).copy().save(file, format, **options)
    return file.getvalue()


def lab(picture: Image.Image) -> Image.Image:
    srgb, target = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return ImageCms.buildTransform(srgb, target, "RGB", "LAB").apply(picture)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(values: np.ndarray, depth: int, color: int, rows: bytes | None = None, interlaced: int = 0) -> bytes:
    """A PNG of (H, W, C), its rows unfiltered; Pillow writes neither 16-bit colours nor interlaced files."""
    height, width = values.shape[:2]
    if rows is None:
        rows = b"".join(b"\0" + row.astype(f">u{depth // 8}").tobytes() for row in values)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, interlaced)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def adam7(values: np.ndarray) -> bytes:
    """An 8-bit RGB PNG in the seven passes of its standard (first row, first column, steps of both)."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))
    parts = [values[top::down, left::right] for top, left, down, right in passes]
    return png(values, 8, 2, b"".join(b"\0" + row.tobytes() for part in parts if part.size for row in part), 1)


def runs_bmp() -> bytes:
    """A BMP of 8 bits in runs: eight rows of eight pixels, a delta, literals, the end."""
    pixels = b"\x08\x05\0\0" * 6 + b"\0\x02\x03\1" + b"\0\x04\1\2\3\4\x01\x07\0\0" + b"\0\1"
    table = bytes(value for shade in range(256) for value in (shade, shade, 255 - shade, 0))
    start = 14 + 40 + len(table)
    head = b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start)
    return head + struct.pack("<IiiHHIIiiII", 40, 8, 8, 1, 8, 1, len(pixels), 2835, 2835, 256, 0) + table + pixels


# --- and ways to damage them

Damage = Callable[[bytearray, random.Random, list[bytes]], bytearray]


def flip_bits(data: bytearray, chance: random.Random, others: list[bytes]) -> bytearray:
    for _ in range(chance.choice((1, 2, 8, 64))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return data


def edit_header(data: bytearray, chance: random.Random, others: list[bytes]) -> bytearray:
    """Numbers of 1 to 4 bytes near the start become extreme ones."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        at, size = chance.randrange(min(len(data), 256)), chance.choice((1, 2, 4))
        put(data, at, size, chance.choice(EXTREMES), chance.choice(("big", "little")))
    return data


def edit_structure(data: bytearray, chance: random.Random, others: list[bytes]) -> bytearray:
    """Lengths, counts and offsets that the format itself names are exchanged, extreme, or off by a little."""
    places = list(numbers(data))
    for _ in range(chance.choice((1, 1, 2, 5)) if places else 0):
        at, size, order = chance.choice(places)
        old = int.from_bytes(data[at : at + size], order)
        near, other = old + chance.randint(-3, 3), chance.choice(places)
        exchanged = int.from_bytes(data[other[0] : other[0] + other[1]], other[2])
        put(data, at, size, chance.choice((near, old * 2, old // 2, exchanged, *chance.sample(EXTREMES, 3))), order)
    return data


def truncate(data: bytearray, chance: random.Random, others: list[bytes]) -> bytearray:
    return data[: chance.randrange(len(data))]


def splice(data: bytearray, chance: random.Random, others: list[bytes]) -> bytearray:
    """The head of one file and the tail of another, mostly of the same format."""
    same = [each for each in others if each[:2] == data[:2]]
    other = chance.choice(same if same and chance.random() < 0.8 else others)
    return data[: chance.randrange(len(data))] + other[chance.randrange(len(other)) :]


def repeat(data: bytearray, chance: random.Random, others: list[bytes]) -> bytearray:
    begin, end = block(data, chance)
    times = chance.choice((1, 2, 10, 1000) if end - begin < 2000 else (1, 2, 10))
    return data[:end] + data[begin:end] * times + data[end:]


def drop(data: bytearray, chance: random.Random, others: list[bytes]) -> bytearray:
    begin, end = block(data, chance)
    return data[:begin] + data[end:]


def exchange(data: bytearray, chance: random.Random, others: list[bytes]) -> bytearray:
    begin, end = block(data, chance)
    to = chance.randrange(len(data))
    return data[:begin] + data[to : to + end - begin] + data[end:]


def flood(data: bytearray, chance: random.Random, others: list[bytes]) -> bytearray:
    """A stretch of one value or of noise."""
    begin, end = block(data, chance)
    data[begin:end] = chance.choice((bytes(end - begin), b"\xff" * (end - begin), chance.randbytes(end - begin)))
    return data


DAMAGES: tuple[Damage, ...] = (
    flip_bits, edit_header, edit_structure, edit_structure, truncate, splice, repeat, drop, exchange, flood
)  # fmt: skip


def block(data: bytearray, chance: random.Random) -> tuple[int, int]:
    """A stretch, of the format's own blocks where they can be found."""
    starts = [at for at, _, _ in numbers(data)]
    if len(starts) > 1 and chance.random() < 0.6:
        begin, end = sorted(chance.sample(starts, 2))
        return begin, end
    begin = chance.randrange(len(data))
    return begin, min(len(data), begin + chance.choice((1, 4, 12, 100, 4000)))


def put(data: bytearray, at: int, size: int, value: int, order: Any) -> None:
    data[at : at + size] = (value % 256**size).to_bytes(size, order)[: len(data) - at]


def numbers(data: bytearray) -> Iterator[tuple[int, int, Any]]:
    """Where a format keeps lengths, counts, sizes and offsets: place, bytes and order of each."""
    if data[:4] == b"\x89PNG":
        yield from ((place, 4, "big") for place in (16, 20))
        yield from ((place, 1, "big") for place in range(24, 29))
        yield from ((at, 4, "big") for at, _, _ in chunks(data))
    elif data[:2] == b"\xff\xd8":
        at = 2
        while at + 4 <= len(data) and data[at] == 0xFF:
            yield at + 2, 2, "big"
            if 0xC0 <= data[at + 1] <= 0xCF:  # a frame: precision, height, width, components
                yield from ((at + place, size, "big") for place, size in ((4, 1), (5, 2), (7, 2), (9, 1), (11, 1)))
            if data[at + 1] == 0xDA:
                break
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    elif data[:4] == b"RIFF":
        yield 4, 4, "little"
        at = 12
        while at + 8 <= len(data):
            yield at + 4, 4, "little"
            yield from ((at + place, 3, "little") for place in (8, 11, 12, 15, 20) if at < 200)
            at += 8 + int.from_bytes(data[at + 4 : at + 8], "little") + 1 & ~1
    elif data[:4] == b"II*\0":
        at = int.from_bytes(data[4:8], "little")
        yield 4, 4, "little"
        for entry in range(int.from_bytes(data[at : at + 2], "little") if at + 2 <= len(data) else 0):
            start = at + 2 + 12 * entry
            if start + 12 <= len(data):
                yield from ((start + place, size, "little") for place, size in ((0, 2), (2, 2), (4, 4), (8, 4), (8, 2)))
    elif data[:3] == b"GIF":
        yield from ((place, 2, "little") for place in (6, 8))
        yield from ((place, 1, "little") for place in (10, 11, 12))
        start = 13 + 3 * 2 ** ((data[10] & 7) + 1) if len(data) > 10 and data[10] & 128 else 13
        separators = [at for at in range(start, len(data)) if data[at] in b"!,"]
        yield from ((at + place, 1, "little") for at in separators for place in (1, 2, 3, 5, 9) if at + 9 < len(data))
    elif data[:2] == b"BM":
        yield from ((place, 4, "little") for place in (2, 10, 14, 18, 22, 30, 34, 46, 50))
        yield from ((place, 2, "little") for place in (26, 28))


def chunks(data: bytearray) -> Iterator[tuple[int, int, int]]:
    """Start, start of the data and end of the data of each chunk of a PNG that can be followed."""
    at = 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        yield at, at + 8, min(at + 8 + length, len(data) - 4)
        at += 12 + length


def resealed(data: bytearray) -> bytearray:
    """The check sums of a PNG made anew: with wrong ones the decoder would not look any further."""
    for start, _, end in list(chunks(data)):
        put(data, end, 4, zlib.crc32(data[start + 4 : end]), "big")
    return data


def damaged(number: int, seed: int, files: dict[str, bytes]) -> tuple[str, str, bytes]:
    """A file by its number: its kind, what was done to it, and its bytes."""
    chance = random.Random(f"{seed} {number}")
    names = list(files)
    name, others = names[number % len(names)], list(files.values())
    data, done = bytearray(files[name]), []
    for damage in chance.choices(DAMAGES, k=chance.choice((1, 1, 1, 2, 3))):
        if len(data) > 1:
            data = damage(data, chance, others)
            done.append(damage.__name__)
    if data[:4] == b"\x89PNG" and chance.random() < 0.7:
        resealed(data)
    return name, "+".join(done), bytes(data[: 2**22])


# --- reading them


@dataclass
class Tally:
    """What became of the files of one format."""

    files: int = 0
    pictures: int = 0
    refused: int = 0
    slowest: float = 0.0
    slowest_number: int = -1
    memory: int = 0  # bytes above what the worker had before
    memory_number: int = -1
    faults: list[str] = field(default_factory=list)


def work(link: Connection, current: Any, seed: int) -> None:
    """A worker: reads the files of the numbers it is sent, and answers with a row for each."""
    from styletransfer import images

    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libtiff tells of each bad line there
    images.load_image(encoded(Image.new("RGB", (512, 512)), "JPEG"))  # what is loaded but once
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 4 * 2**30,) * 2)
    files = seeds()
    while numbers := link.recv():
        rows = []
        for number in numbers:
            current.value = number
            rows.append(read(number, *damaged(number, seed, files)))
        current.value = -1
        link.send(rows)


def read(number: int, name: str, done: str, data: bytes) -> dict[str, Any]:
    """Read one file in all ways that there are; `fault` tells of anything but a picture or a sentence."""
    from styletransfer import StyleTransferError, images

    row: dict[str, Any] = {"number": number, "name": name, "done": done, "picture": False, "fault": ""}
    before, seconds = resident(), []
    for load in (images.load_image, images.load_alpha, images.read_settings):
        began = time.process_time()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                result = load(data, **({} if load is images.read_settings else {"max_pixels": MAX_PIXELS}))
            if load is images.load_image:
                row["picture"] = True
                assert result.shape[:2] == (1, 3) and result.shape[2] * result.shape[3] <= MAX_PIXELS
                assert bool(((result >= 0) & (result <= 1)).all()), "values outside [0, 1]"
        except StyleTransferError as error:
            sentence = str(error)
            if not sentence.isprintable() or len(sentence) > 300:
                row["fault"] = f"no clear sentence: {sentence[:200]!r}"
            if isinstance(error.__cause__, MemoryError):
                row["fault"] = "ran out of memory"
        except BaseException:
            row["fault"] = traceback.format_exc(limit=-3)
        seconds.append(time.process_time() - began)
    row["seconds"], row["memory"] = max(seconds), max(0, resident("VmHWM") - before)
    return row


def resident(which: str = "VmRSS") -> int:
    """Bytes of memory now or, by VmHWM, at most since the last look at the present ones."""
    status = Path("/proc/self/status").read_text()
    if which == "VmRSS":
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    return int(status.split(which + ":")[1].split()[0]) * 1024


class Worker:
    """A process with a pipe to it; it is asked for a batch at a time."""

    def __init__(self, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.current = context.Value("q", -1)
        self.link, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, self.current, seed), daemon=True)
        self.process.start()
        theirs.close()
        self.batch: list[int] = []
        self.seen, self.since = -1, time.monotonic()

    def ask(self, batch: list[int]) -> None:
        self.batch = batch
        self.link.send(batch)

    def stuck(self) -> bool:
        """Whether one file has held it for longer than any may."""
        if self.current.value != self.seen:
            self.seen, self.since = self.current.value, time.monotonic()
        return self.seen >= 0 and time.monotonic() - self.since > PATIENCE


def fuzz(count: int, seed: int, workers: int) -> list[dict[str, Any]]:
    """The rows of `count` files, whatever they do to the workers."""
    rows: list[dict[str, Any]] = []
    waiting = [list(range(start, min(start + BATCH, count))) for start in range(0, count, BATCH)][::-1]
    names = list(seeds())
    busy: list[Worker] = [Worker(seed) for _ in range(workers)]
    while busy:
        for worker in list(busy):
            if worker.link.poll(0.05):
                try:
                    rows += worker.link.recv()
                    worker.batch = []
                    print(f"\r{len(rows)} of {count}", end="", file=sys.stderr, flush=True)
                except (EOFError, ConnectionError):
                    pass  # it died: told below
            died, stuck = not worker.process.is_alive(), worker.stuck()
            if worker.batch and (died or stuck):
                worker.process.kill()
                worker.process.join()
                number = worker.current.value
                fault = f"hung for {PATIENCE:g} s" if stuck else f"crashed the process ({worker.process.exitcode})"
                if number < 0:
                    raise RuntimeError(f"a worker {fault} before its first file")
                lost = {"picture": False, "seconds": 0.0, "memory": 0, "done": "?", "fault": fault}
                rows.append({"number": number, "name": names[number % len(names)], **lost})
                waiting.append([each for each in worker.batch if each != number])  # the others are read again
                busy[busy.index(worker)] = worker = Worker(seed)
            if not worker.batch:
                batch = waiting.pop() if waiting else []
                worker.ask(batch)
                if not batch:
                    worker.process.join(10)
                    busy.remove(worker)
    print(file=sys.stderr)
    return rows


def tallied(rows: list[dict[str, Any]]) -> dict[str, Tally]:
    tallies: dict[str, Tally] = {}
    for row in rows:
        for group in (row["name"].split()[0], "all"):
            tally = tallies.setdefault(group, Tally())
            tally.files += 1
            tally.pictures += row["picture"]
            tally.refused += not row["picture"] and not row["fault"]
            if row["seconds"] > tally.slowest:
                tally.slowest, tally.slowest_number = row["seconds"], row["number"]
            if row["memory"] > tally.memory:
                tally.memory, tally.memory_number = row["memory"], row["number"]
            if row["fault"]:
                tally.faults.append(f"{row['number']} ({row['name']}, {row['done']}): {row['fault']}")
    return dict(sorted(tallies.items(), key=lambda item: (item[0] == "all", item[0])))


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", type=int, help="read this number alone, in this process")
    parser.add_argument("--keep", type=Path, help="folder for the files that missed a mark")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    files = seeds()
    if options.only is not None:
        rows = [read(options.only, *damaged(options.only, options.seed, files))]
        print(json.dumps(rows[0], indent=1))
    else:
        rows = fuzz(options.count, options.seed, options.workers)
    missed = [row for row in rows if row["fault"] or row["seconds"] > MOST_SECONDS or row["memory"] > MOST_MEMORY]
    for row in missed if options.only is None else rows:
        if options.keep:
            options.keep.mkdir(parents=True, exist_ok=True)
            (options.keep / f"{row['number']}").write_bytes(damaged(row["number"], options.seed, files)[2])
    tallies = tallied(rows)
    print(f"{len(rows)} damaged files made of {len(files)} whole ones, seed {options.seed}, {os.cpu_count()} cores")
    print(f"{'':6} {'files':>7} {'pictures':>9} {'refused':>8} {'faults':>7} {'slowest':>14} {'most memory':>18}")
    for name, each in tallies.items():
        slowest = f"{each.slowest:.2f} s #{each.slowest_number}"
        memory = f"{each.memory >> 20} MB #{each.memory_number}"
        numbers = f"{each.files:7} {each.pictures:9} {each.refused:8} {len(each.faults):7}"
        print(f"{name:6} {numbers} {slowest:>14} {memory:>18}")
    for row in missed[:20]:
        print(f"missed: #{row['number']} {row['name']}, {row['done']}: {row['seconds']:.2f} s, "
              f"{row['memory'] >> 20} MB {row['fault']}")  # fmt: skip
    print("damages:", ", ".join(f"{name} {n}" for name, n in sorted(Counter(
        each for row in rows for each in row["done"].split("+")).items())))  # fmt: skip
    if options.json:
        marks = {"seconds": MOST_SECONDS, "memory": MOST_MEMORY}
        report = {"marks": marks, "missed": missed, "tallies": {name: asdict(each) for name, each in tallies.items()}}
        options.json.write_text(json.dumps(report, indent=1))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
