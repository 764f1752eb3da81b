"""Pictures of many kinds, as another decoder reads them: each is read alike, or refused."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from styletransfer.config import StyleTransferError
from styletransfer.images import encode_image, load_alpha, load_image, read_settings
from styletransfer.pixels import resize

MAGICK = shutil.which("magick") or shutil.which("convert")
pytestmark = pytest.mark.skipif(MAGICK is None, reason="ImageMagick is not installed")

HEIGHT, WIDTH = 19, 23
KINDS = {
    "gray": ["-alpha", "off", "-colorspace", "Gray"],
    "gray and alpha": ["-colorspace", "Gray"],
    "palette": ["-alpha", "off", "-colors", "13", "-type", "Palette"],
    "rgb": ["-alpha", "off", "-type", "TrueColor"],
    "rgba": ["-type", "TrueColorAlpha"],
    "cmyk": ["-alpha", "off", "-colorspace", "CMYK"],
}
COMMON = [
    ("palette", 8),
    *((kind, depth) for kind in KINDS if kind != "palette" for depth in (8, 16)),
]  # what a user may well have; the rest may be refused


def magick(data: bytes, *words: str) -> bytes:
    assert MAGICK is not None
    environment = {**os.environ, "MAGICK_THREAD_LIMIT": "1"}
    return subprocess.run([MAGICK, *words], input=data, capture_output=True, timeout=60, env=environment).stdout


def source() -> bytes:
    """16-bit RGBA, smooth, with a part that is opaque and one that is clear."""
    coarse = torch.rand(1, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    values = resize(coarse, (HEIGHT, WIDTH)).clamp(0, 1)[0].permute(1, 2, 0).numpy()  # (H, W, 4)
    values[:4, :4, 3], values[5:9, 5:9, 3] = 0, 1
    return (values * 65535).round().astype("<u2").tobytes()


RAW = source()
FROM_RAW = f"-size {WIDTH}x{HEIGHT} -depth 16 -endian LSB rgba:- -set colorspace sRGB".split()


def tiffs(depth: int) -> Iterator[str]:
    """Ways of ImageMagick's to write a TIFF, as its options."""
    for planes, packing in itertools.product(("none", "plane"), ("None", "LZW")):
        order = {"None": "msb", "LZW": "lsb"}[packing]
        yield f"-depth {depth} -interlace {planes} -compress {packing} -define tiff:endian={order}"
    yield f"-depth {depth} -interlace plane -define tiff:tile-geometry=16x16"
    yield f"-depth {depth} -interlace plane -define tiff:alpha=associated"


def pngs(depth: int) -> Iterator[str]:
    for interlace in ("none", "PNG"):
        yield f"-depth {depth} -interlace {interlace} -define png:bit-depth={depth}"


def decoded(data: bytes, format: str) -> tuple[np.ndarray, np.ndarray]:
    """Colours over white (H, W, 3) and opacity (H, W), by ImageMagick."""
    words = f"{format} -colorspace sRGB -alpha on -depth 16 -endian LSB rgba:-".split()
    values = np.frombuffer(magick(data, *words), "<u2").reshape(HEIGHT, WIDTH, 4) / 65535
    return values[..., 3:] * (values[..., :3] - 1) + 1, values[..., 3]


def check(name: str, data: bytes, format: str) -> bool:
    """Whether a file is read; if it is, then as ImageMagick does."""
    try:
        colors, alpha = load_image(data)[0].permute(1, 2, 0).numpy(), load_alpha(data)
    except StyleTransferError:
        return False
    expected, expected_opacity = decoded(data, format)
    opacity = np.ones((HEIGHT, WIDTH)) if alpha is None else alpha[0, 0].numpy()
    assert np.abs(opacity - expected_opacity).max() < 0.012, name
    assert np.abs(colors - expected).max() < 0.012, name
    return True


@pytest.mark.parametrize("format", ["tif:-", "png:-"])
@pytest.mark.parametrize(("kind", "depth"), [*COMMON, ("gray", 1), ("gray", 2), ("gray", 4), ("palette", 4)])
def test_pictures_are_read_as_imagemagick_reads_them(kind: str, depth: int, format: str) -> None:
    if (kind, format) == ("cmyk", "png:-"):
        pytest.skip("a PNG holds no inks")
    ways = list(tiffs(depth) if format == "tif:-" else pngs(depth))
    files = [magick(RAW, *FROM_RAW, *KINDS[kind], *way.split(), format) for way in ways]
    read = [check(way, data, format) for way, data in zip(ways, files)]
    if (kind, depth) in COMMON and (kind, depth, format) != ("gray and alpha", 16, "tif:-"):
        # ImageMagick stores grey with premultiplied alpha as Pillow does not know it
        assert [way for way, done in zip(ways, read) if not done and "associated" not in way] == []


def test_a_picture_that_imagemagick_saves_anew_keeps_its_settings(tmp_path: Path) -> None:
    data = encode_image(torch.rand(1, 3, 9, 9), "png", settings={"size": 64, "config": {"strength": 60}})
    again = magick(data, "png:-", "-resize", "50%", "png:-")
    assert again.index(b"IDAT") < again.index(b"styletransfer")
    assert read_settings(again) == {"size": 64, "config": {"strength": 60}}
