"""Files to tensors and back, on pictures built here byte by byte: numpy, Pillow and arithmetic are the oracles."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import struct
import threading
import tracemalloc
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from made import chunk, encoded, png
from PIL import Image, ImageCms, TiffImagePlugin, features
from PIL.PngImagePlugin import PngInfo

from styletransfer import files
from styletransfer.config import StyleTransferError
from styletransfer.images import encode_image, load_alpha, load_image, read, read_settings, save_animation, save_image

FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF")


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    """Every value of an integer type is as likely as any other."""
    limits = np.iinfo(dtype)
    return np.random.default_rng(7).integers(limits.min, limits.max, shape, dtype, endpoint=True)


def tiff(width: int, height: int, bits: int, pixels: bytes, *, order: str = "<", white_is_zero: bool = False,
         signed: bool = False, strips: int = 1) -> bytes:  # fmt: skip
    """A grey TIFF without compression; of several strips, all but the last row and that row by turns."""
    start = 8 + 2 + 10 * 12 + 4 + (0 if strips == 1 else 8 * strips)
    table = 8 + 2 + 10 * 12 + 4
    offset, length = (start, len(pixels)) if strips == 1 else (table, table + 4 * strips)
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, bits), (259, 3, 1, 1), (262, 3, 1, 1 - white_is_zero),
            (273, 4, strips, offset), (277, 3, 1, 1), (278, 4, 1, height - (strips > 1)), (279, 4, strips, length),
            (339, 3, 1, 1 + signed)]  # fmt: skip
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    for tag, kind, count, value in tags:
        head += struct.pack(order + ("HHIHxx" if kind == 3 else "HHII"), tag, kind, count, value)
    tables = b"" if strips == 1 else struct.pack(f"{order}{2 * strips}I", *[start] * strips, *[len(pixels)] * strips)
    return head + b"\0\0\0\0" + tables + pixels


def planes(channels: np.ndarray, photometric: int, *, order: str = "<", packed: bool = False, extra: int | None = None,
           fill_order: int = 1) -> bytes:  # fmt: skip
    """A TIFF that stores the channels (C, H, W) apart, each in a strip, deflated where packed."""
    count, height, width = channels.shape
    strips = [channel.astype(channels.dtype.newbyteorder(order)).tobytes() for channel in channels]
    if fill_order == 2:
        strips = [bytes(int(f"{byte:08b}"[::-1], 2) for byte in strip) for strip in strips]
    strips = [zlib.compress(strip) if packed else strip for strip in strips]
    bits = 8 * channels.itemsize
    values = {256: width, 257: height, 258: [bits] * count, 259: 8 if packed else 1, 262: photometric, 266: fill_order,
              273: [0] * count, 277: count, 278: height, 279: [len(strip) for strip in strips], 284: 2}  # fmt: skip
    if extra is not None:
        values[338] = extra
    tail = 8 + 2 + 12 * len(values) + 4  # lists stand behind the table, and the strips behind them
    start = tail + sum(4 * len(value) for value in values.values() if isinstance(value, list))
    values[273] = [start + sum(len(strip) for strip in strips[:number]) for number in range(count)]
    table, lists = struct.pack(order + "H", len(values)), b""
    for tag, value in values.items():
        if isinstance(value, list):
            table += struct.pack(order + "HHII", tag, 4, count, tail + len(lists))
            lists += struct.pack(f"{order}{count}I", *value)
        else:
            table += struct.pack(order + "HHII", tag, 4, 1, value)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8)
    return head + table + b"\0\0\0\0" + lists + b"".join(strips)


def array(picture: torch.Tensor) -> np.ndarray:
    """(H, W, C) of a tensor picture, checked to be what every picture of the package is."""
    assert picture.dtype == torch.float32 and picture.ndim == 4 and picture.shape[0] == 1 and picture.is_contiguous()
    assert bool(((picture >= 0) & (picture <= 1)).all())
    return picture[0].permute(1, 2, 0).numpy()


def gray(picture: torch.Tensor) -> np.ndarray:
    """(H, W) of a picture whose three channels agree."""
    values = array(picture)
    assert np.array_equal(values[..., 0], values[..., 1]) and np.array_equal(values[..., 0], values[..., 2])
    return values[..., 0]


def refused(source: Any, **options: Any) -> str:
    """The one sentence that loading ends in."""
    with pytest.raises(StyleTransferError) as caught:
        load_image(source, **options)
    sentence = str(caught.value)
    assert len(sentence) < 300 and sentence.isprintable()
    return sentence


# --- kinds of pictures


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("mode", ["1", "L", "RGB"])
def test_eight_bit_pictures_are_their_values_over_255(format: str, mode: str) -> None:
    data = encoded(Image.fromarray(noise(5, 7, 3)).convert(mode), format)
    oracle = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert np.array_equal(array(load_image(data)), oracle.astype(np.float32) / 255)
    assert load_alpha(data) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1)])
def test_thin_pictures(size: tuple[int, int]) -> None:
    values = noise(*size, 3)
    assert np.array_equal(array(load_image(encoded(values, "PNG"))), values / np.float32(255))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bit_gray_keeps_every_level(format: str) -> None:
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = gray(load_image(encoded(values, format)))
    assert np.array_equal(found, (values / 65535).astype(np.float32)) and len(np.unique(found)) == 65536


def test_deep_gray_tiffs_in_each_byte_order_depth_and_polarity() -> None:
    values = noise(3, 4, dtype=np.uint16)
    exact = (values / 65535).astype(np.float32)
    assert np.array_equal(gray(load_image(tiff(4, 3, 16, values.astype(">u2").tobytes(), order=">"))), exact)
    inverted = gray(load_image(tiff(4, 3, 16, values.astype("<u2").tobytes(), white_is_zero=True)))
    assert np.allclose(inverted, 1 - exact, atol=1e-7)
    twelve = gray(load_image(tiff(2, 1, 12, bytes([0xFF, 0xF8, 0x00]))))  # 4095 and 2048, packed
    assert np.array_equal(twelve, np.array([[1, 2048 / 4095]], dtype=np.float32))


def test_sixteen_bit_color_is_read_at_eight() -> None:
    values = noise(2, 3, 3, dtype=np.uint16)
    found = array(load_image(png(3, 2, 16, 2, [row.astype(">u2").tobytes() for row in values])))
    assert np.abs(found - values / 65535).max() < 1 / 255


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_tiffs_with_their_channels_apart(dtype: Any, order: str, packed: bool) -> None:
    values = noise(5, 4, 7, dtype=dtype)
    white = np.iinfo(dtype).max
    shades = np.moveaxis(values, 0, 2) / white  # (H, W, C)
    found = array(load_image(planes(values[:3], 2, order=order, packed=packed)))
    assert np.abs(found - shades[..., :3]).max() < 1 / 255
    data = planes(values[:4], 2, order=order, packed=packed, extra=2)
    alpha = load_alpha(data)
    assert alpha is not None and np.abs(array(alpha) - shades[..., 3:4]).max() < 1 / 255
    assert np.abs(array(load_image(data)) - (shades[..., 3:4] * (shades[..., :3] - 1) + 1)).max() < 1.5 / 255
    inks = array(load_image(planes(values[:4], 5, order=order, packed=packed)))
    assert np.abs(inks - (1 - shades[..., :3]) * (1 - shades[..., 3:4])).max() < 0.02
    assert "stores its channels apart" in refused(planes(values[:2], 1, order=order, packed=packed, extra=2)) or (
        dtype == np.uint16  # not of a kind that Pillow knows
    )


def test_a_tiff_of_channels_apart_with_its_bits_in_reverse() -> None:
    values = noise(3, 4, 7)
    assert np.array_equal(
        array(load_image(planes(values, 2, fill_order=2))), np.moveaxis(values, 0, 2) / np.float32(255)
    )


def test_32_bit_tiffs_are_read_as_they_are_or_stretched() -> None:
    fractions = np.linspace(0.25, 0.75, 6, dtype=np.float32).reshape(2, 3)
    assert np.array_equal(gray(load_image(encoded(fractions, "TIFF"))), fractions)
    assert np.allclose(gray(load_image(encoded(fractions * 400 - 50, "TIFF"))), (fractions - 0.25) * 2, atol=1e-6)
    integers = np.array([[-200, 0], [100, 200]], dtype=np.int32)
    stretched = np.array([[0, 0.5], [0.75, 1]], dtype=np.float32)
    assert np.array_equal(gray(load_image(tiff(2, 2, 32, integers.tobytes(), signed=True))), stretched)
    unsigned = np.array([[0, 2**31], [2**32 - 1, 2**30]], dtype=np.uint32)
    assert np.allclose(gray(load_image(tiff(2, 2, 32, unsigned.tobytes()))), unsigned / (2**32 - 1), atol=1e-7)


def test_what_is_not_a_number_becomes_black_and_infinity_the_end_of_the_range() -> None:
    values = np.array([[np.nan, -np.inf, 0.5], [np.inf, 0, 1]], dtype=np.float32)
    assert np.array_equal(gray(load_image(encoded(values, "TIFF"))), [[0, 0, 0.5], [1, 0, 1]])
    assert np.array_equal(gray(load_image(encoded(values * 3e38, "TIFF"))), [[0, 0, 0.5], [1, 0, 1]])
    assert np.array_equal(gray(load_image(encoded(np.full((2, 2), np.nan, np.float32), "TIFF"))), np.zeros((2, 2)))
    assert np.array_equal(gray(load_image(encoded(np.full((2, 2), 7, np.float32), "TIFF"))), np.zeros((2, 2)))


INKS = {(0, 0, 0, 0): (1, 1, 1), (255, 0, 0, 0): (0, 1, 1), (0, 255, 255, 0): (1, 0, 0), (0, 0, 0, 255): (0, 0, 0)}


@pytest.mark.parametrize("format", ["TIFF", "JPEG"])
@pytest.mark.parametrize(("ink", "light"), INKS.items())
def test_cmyk(format: str, ink: tuple[int, ...], light: tuple[int, ...]) -> None:
    data = encoded(Image.new("CMYK", (8, 8), ink), format)  # Pillow writes the inverted kind of JPEG that Adobe does
    assert np.abs(array(load_image(data)) - light).max() < 0.02


def test_ycbcr_and_lab_tiffs() -> None:
    ycbcr = encoded(Image.new("RGB", (16, 16), "red"), "TIFF", compression="jpeg")
    assert np.abs(array(load_image(ycbcr)) - (1, 0, 0)).max() < 0.02
    # L of 0-100 as 0-255, a and b around 128; the red of sRGB is at 54.3, 80.8 and 69.9 under ICC's white, D50
    for lab, light in {(255, 128, 128): (1, 1, 1), (0, 128, 128): (0, 0, 0), (138, 209, 198): (1, 0, 0)}.items():
        assert np.abs(array(load_image(encoded(Image.new("LAB", (2, 2), lab), "TIFF"))) - light).max() < 0.02


@pytest.mark.parametrize("format", ["GIF", "WEBP", "TIFF", "PNG", "MPO"])
def test_the_first_frame_of_several(format: str) -> None:
    first, second = (Image.new("RGB", (6, 4), color) for color in ("red", "blue"))
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(first, format, save_all=True, append_images=[second], **options)
    assert np.abs(array(load_image(data)) - (1, 0, 0)).max() < 0.01


# --- colour profiles


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def test_the_srgb_profile_changes_nothing() -> None:
    values = noise(9, 9, 3)
    assert np.abs(array(load_image(encoded(values, "PNG", icc_profile=SRGB))) * 255 - values).max() < 1.01


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_a_profile_with_red_and_blue_exchanged_exchanges_them(format: str) -> None:
    swapped = SRGB.replace(b"rXYZ", b"swap").replace(b"bXYZ", b"rXYZ").replace(b"swap", b"bXYZ")
    for color, light in {"red": (0, 0, 1), "blue": (1, 0, 0), "white": (1, 1, 1)}.items():
        data = encoded(Image.new("RGB", (8, 8), color), format, icc_profile=swapped)
        assert np.abs(array(load_image(data)) - light).max() < 0.02
    data = encoded(Image.new("RGBA", (8, 8), (255, 0, 0, 51)), "PNG", icc_profile=swapped)
    assert np.abs(array(load_image(data, background="black")) - (0, 0, 0.2)).max() < 0.01


@pytest.mark.parametrize("profile", [b"junk", SRGB[:200], b"\0" * 500, SRGB.replace(b"RGB XYZ ", b"GRAYXYZ ")])
def test_a_profile_that_cannot_be_used_is_ignored(profile: bytes) -> None:
    values = noise(3, 3, 3)
    for picture in (values, values[..., 0]):
        plain, tagged = encoded(picture, "PNG"), encoded(picture, "PNG", icc_profile=profile)
        assert torch.equal(load_image(tagged), load_image(plain))


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_a_profile_of_deep_gray_is_followed_at_every_level(format: str) -> None:
    """Linear light, whose half is 188 of sRGB's 255. The library is itself off by some steps in deep shadow."""
    linear = gray_profile(gamma=1)
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    found = gray(load_image(encoded(values, format, icc_profile=linear)))
    light = values / 65535
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-9) ** (1 / 2.4) - 0.055)
    assert np.abs(found - srgb)[light > 0.05].max() < 1 / 255 and len(np.unique(found)) > 40_000
    eight = gray(load_image(encoded(np.arange(256, dtype=np.uint8)[None], format, icc_profile=linear)))
    assert np.allclose(found.flatten()[::257], eight[0], atol=1e-6)


# --- orientation


def gray_profile(gamma: float) -> bytes:
    """A profile of grey whose light is the value to the power of gamma: header, tags and curve of ICC.1."""
    white = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)  # D50
    curve = b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(256 * gamma))
    text = b"text\0\0\0\0grey\0\0\0\0"
    tags, body = b"", b""
    for name, data in {b"wtpt": white, b"kTRC": curve, b"desc": text, b"cprt": text}.items():
        tags += name + struct.pack(">II", 128 + 4 + 4 * 12 + len(body), len(data))
        body += data
    size = 128 + 4 + len(tags) + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"", 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += b"\x07\xea\0\1\0\1".ljust(12, b"\0") + b"acsp"
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", 4) + tags + body


def turned(values: np.ndarray, orientation: int) -> np.ndarray:
    """What the EXIF standard says of row 0 and column 0, as numpy flips."""
    upright = {1: lambda x: x, 2: np.fliplr, 3: lambda x: np.rot90(x, 2), 4: np.flipud,
               5: lambda x: np.swapaxes(x, 0, 1), 6: lambda x: np.rot90(x, -1),
               7: lambda x: np.swapaxes(np.rot90(x, 2), 0, 1), 8: lambda x: np.rot90(x, 1)}  # fmt: skip
    return upright[orientation](values)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF"])
def test_exif_orientation_of_colors_and_alpha(format: str, orientation: int) -> None:
    values = noise(4, 6, 4)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(values, format, exif=exif, **({"lossless": True, "exact": True} if format == "WEBP" else {}))
    alpha = load_alpha(data)
    assert alpha is not None and np.array_equal(array(alpha), turned(values[..., 3:], orientation) / np.float32(255))
    shown = (values[..., :3].astype(float) * values[..., 3:] + 255.0 * (255 - values[..., 3:])) / 255**2
    assert np.allclose(array(load_image(data)), turned(shown, orientation), atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_of_jpeg_and_of_deep_gray(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(noise(8, 16, 3), "JPEG", exif=exif)
    stored = np.asarray(Image.open(io.BytesIO(data))).astype(np.float32) / 255
    assert np.array_equal(array(load_image(data)), turned(stored, orientation))
    values = noise(3, 5, dtype=np.uint16)
    for format in ("PNG", "TIFF"):
        found = gray(load_image(encoded(values, format, exif=exif)))
        assert np.array_equal(found, turned((values / 65535).astype(np.float32), orientation))


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0junk", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01"]
)
def test_broken_exif_is_ignored_without_a_warning(exif: bytes) -> None:
    values = noise(8, 8, 3)
    for format in ("PNG", "JPEG", "WEBP"):
        assert torch.equal(load_image(encoded(values, format, exif=exif)), load_image(encoded(values, format)))


# --- transparency


@pytest.mark.parametrize(
    ("background", "rgb"), {"white": (1, 1, 1), "Black": (0, 0, 0), "#336699": (0.2, 0.4, 0.6)}.items()
)
def test_transparency_is_laid_over_the_background(background: str, rgb: tuple[float, ...]) -> None:
    values = noise(6, 5, 4)
    alpha = values[..., 3:] / 255
    oracle = alpha * values[..., :3] / 255 + (1 - alpha) * np.array(rgb)
    assert np.allclose(array(load_image(encoded(values, "PNG"), background=background)), oracle, atol=1e-6)


@pytest.mark.parametrize("background", ["", "nocolour", "#12", "#11223344", "rgb(300,0,0)", "x" * 9999, None])
def test_unknown_backgrounds_are_refused(background: Any) -> None:
    assert "background" in refused(encoded(noise(2, 2, 3), "PNG"), background=background)


def test_every_kind_of_transparency_in_a_png() -> None:
    black, white = (0, 0, 0), (1, 1, 1)
    gray_alpha = png(2, 1, 8, 4, [bytes([0, 255, 0, 0])])
    palette = chunk(b"PLTE", bytes([0, 0, 0, 0, 0, 0]))
    cases = {
        "grey and alpha": gray_alpha,
        "palette": png(2, 1, 8, 3, [bytes([0, 1])], palette, chunk(b"tRNS", bytes([255, 0]))),
        "palette of 1 bit": png(2, 1, 1, 3, [bytes([0b01000000])], palette, chunk(b"tRNS", bytes([255, 0]))),
        "1 bit": png(2, 1, 1, 0, [bytes([0b01000000])], chunk(b"tRNS", bytes([0, 1]))),
        "2 bits": png(2, 1, 2, 0, [bytes([0b00010000])], chunk(b"tRNS", bytes([0, 1]))),
        "4 bits": png(2, 1, 4, 0, [bytes([0x07])], chunk(b"tRNS", bytes([0, 7]))),
        "8 bits": png(2, 1, 8, 0, [bytes([0, 9])], chunk(b"tRNS", bytes([0, 9]))),
        "16 bits": png(2, 1, 16, 0, [bytes([0, 0, 1, 9])], chunk(b"tRNS", bytes([1, 9]))),
        "colours": png(2, 1, 8, 2, [bytes([0, 0, 0, 1, 2, 3])], chunk(b"tRNS", bytes([0, 1, 0, 2, 0, 3]))),
    }
    for name, data in cases.items():
        alpha = load_alpha(data)
        assert alpha is not None and alpha.flatten().tolist() == [1, 0], name
        assert np.array_equal(array(load_image(data)), [[black, white]]), name


def test_a_transparent_color_of_16_bits_is_met_exactly() -> None:
    """Three values agree in their upper bytes, and one is the transparent colour."""
    key = struct.pack(">3H", 0x0102, 0x0304, 0x0506)
    row = key + struct.pack(">3H", 0x0102, 0x0304, 0x0507) + struct.pack(">3H", 0x0103, 0x0304, 0x0506)
    alpha = load_alpha(png(3, 1, 16, 2, [row], chunk(b"tRNS", key)))
    assert alpha is not None and alpha.flatten().tolist() == [0, 1, 1]


def test_a_palette_with_shades_of_transparency() -> None:
    colors, alphas = noise(16, 3), noise(16)
    picture = png(16, 1, 8, 3, [bytes(range(16))], chunk(b"PLTE", colors.tobytes()), chunk(b"tRNS", alphas.tobytes()))
    alpha = alphas[:, None] / 255
    assert np.allclose(array(load_image(picture))[0], alpha * colors / 255 + 1 - alpha, atol=1e-6)


def test_a_bmp_whose_fourth_byte_is_empty_is_opaque() -> None:
    values = noise(3, 4, 4)
    for opacity in (0, 255):
        values[..., 3] = opacity
        head = struct.pack("<IiiHHIIiiII4I", 56, 4, -3, 1, 32, 3, 0, 0, 0, 0, 0, 0xFF, 0xFF00, 0xFF0000, 0xFF000000)
        data = b"BM" + struct.pack("<IHHI", 70 + values.size, 0, 0, 70) + head + values.tobytes()
        assert np.array_equal(array(load_image(data)), values[..., :3] / np.float32(255)) and load_alpha(data) is None
        values[0, 0, 3] = 128  # one pixel tells that the others are clear
        data = data[:70] + values.tobytes()
        assert load_alpha(data)[0, 0, 0, 1] == opacity / 255


def test_alpha_that_is_opaque_throughout_is_none() -> None:
    values = noise(4, 4, 4)
    values[..., 3] = 255
    assert load_alpha(encoded(values, "PNG")) is None
    assert load_alpha(encoded(Image.new("P", (2, 2), 1), "GIF", transparency=0)) is None


# --- limits and damage


def test_a_huge_header_is_refused_undecoded() -> None:
    tracemalloc.start()
    for side in (8001, 10_000, 30_000, 2**31 - 1):  # within Pillow's own limits and beyond each of them
        data = png(side, side, 8, 2, [b""])
        assert len(data) < 100 and "pixels" in refused(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10 * 2**20


def test_limits_of_bytes_and_pixels(tmp_path: Path) -> None:
    data = encoded(noise(10, 20, 3), "PNG")
    path = tmp_path / "a.png"
    path.write_bytes(data)
    for source in (data, path, io.BytesIO(data)):
        assert load_image(source, max_bytes=len(data), max_pixels=200).shape == (1, 3, 10, 20)
        assert "too large a file" in refused(source, max_bytes=len(data) - 1)
        assert "20 x 10 pixels" in refused(source, max_pixels=199)


@pytest.mark.parametrize(("pixels", "factor"), [(64 * 48, 1), (64 * 48 - 1, 2), (32 * 24 - 1, 4), (8 * 6, 8)])
def test_a_jpeg_of_too_many_pixels_is_scaled_down(pixels: int, factor: int) -> None:
    smooth = np.asarray(Image.linear_gradient("L").resize((64, 48)).convert("RGB"))
    small = load_image(encoded(smooth, "JPEG", quality=95), max_pixels=pixels)
    wanted = torch.from_numpy(smooth.reshape(48 // factor, factor, 64 // factor, factor, 3).mean((1, 3)) / 255)
    assert float((small[0].permute(1, 2, 0) - wanted).abs().max()) < 0.02
    assert "64 x 48 pixels" in refused(encoded(smooth, "JPEG"), max_pixels=8 * 6 - 1)


def test_the_content_not_the_name_tells_the_format(tmp_path: Path) -> None:
    values = noise(4, 4, 3)
    for name in ("a.jpg", "b.txt", "c", "sp ace\n\t\u202e\U0001f58c\udc80 'quote\".gif"):
        (tmp_path / name).write_bytes(encoded(values, "PNG") + b"PK\x03\x04 and the rest of a polyglot")
        assert np.array_equal(array(load_image(tmp_path / name)), values / np.float32(255))


def test_files_that_are_no_pictures(tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "text.png").write_text("hello")
    assert refused(tmp_path / "empty.png").startswith("'empty.png' is empty")
    assert "it is a folder" in refused(tmp_path / "folder.png")
    assert "no such file" in refused(str(tmp_path / "missing.png"))
    assert refused(tmp_path / "text.png").startswith("'text.png' is no picture")
    for content in (
        b"",
        b"\0",
        b"GIF89a",
        b"\x89PNG\r\n\x1a\n",
        b"<svg/>",
        b"%PDF-1.7",
        b"P6 1 1 255 abc",
        b"BM",
        b"RIFF....WEBP",
    ):
        refused(content)
    for wrong in (None, 3, ["a.png"], io.StringIO("text")):
        assert "cannot read" in refused(wrong)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe needs POSIX")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    assert "it is a pipe" in refused(tmp_path / "pipe.png")


@pytest.mark.parametrize("address", ["https://example.org/a.png", "HTTP://x/a.png", "file:///tmp/a.png"])
def test_an_address_is_called_one(address: str) -> None:
    assert "it is an address" in refused(address) and "it is an address" in refused(Path(address))


@pytest.mark.parametrize(
    ("head", "name"),
    {
        b"\0\0\0\x18ftypheic\0\0\0\0mif1heic": "HEIC",
        b"\0\0\0\x18ftypmif1\0\0\0\0heic": "HEIC",
        b"\0\0\0\x0cJXL \r\n\x87\n": "JPEG XL",
        b"\xff\x0a\0\0": "JPEG XL",
        b"\0\0\0\x18ftypavif\0\0\0\0mif1avif": "AVIF",
        b"II*\0\x08\0\0\0\0\0": "TIFF",
    }.items(),
)
def test_a_kind_that_is_not_read_is_named(head: bytes, name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read, "READABLE", FORMATS)  # as where Pillow was built without AVIF
        assert name in refused(head).split("that is read")[0]


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read_where_pillow_reads_it() -> None:
    data = encoded(Image.new("RGB", (16, 8), (255, 0, 0)), "AVIF", quality=100)
    assert np.abs(array(load_image(data)) - (1, 0, 0)).max() < 0.03 and load_image(data).shape == (1, 3, 8, 16)
    assert {"it is damaged" in refused(data[:length]) for length in (30, len(data) // 2, len(data) - 3)} == {True}


@pytest.mark.parametrize(
    "name", ["n" * 200 + ".png", "\u202egnp.exe", "a\nb\x00c", "\udc80\udcff", "n" * 9999, "\x07" * 90]
)
def test_messages_name_the_file_but_not_its_folder(tmp_path: Path, name: str) -> None:
    assert str(tmp_path) not in refused(str(tmp_path / name)) and tmp_path.name not in refused(str(tmp_path / name))


def test_an_open_file_is_read_from_its_start_each_time(tmp_path: Path) -> None:
    data = encoded(noise(3, 3, 4), "PNG")
    (tmp_path / "a.png").write_bytes(data)
    with open(tmp_path / "a.png", "rb") as file:
        assert torch.equal(load_image(file), load_image(data)) and torch.equal(load_image(file), load_image(data))
    assert "'a.png'" in refused(file)  # closed by now


def samples() -> list[bytes]:
    """One small file or more of each format."""
    color, clear, palette = noise(9, 11, 3), noise(9, 11, 4), Image.fromarray(noise(9, 11, 3)).quantize(8)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [encoded(color, format) for format in FORMATS]
    files += [
        encoded(color, "JPEG", progressive=True, exif=exif, icc_profile=SRGB),
        encoded(color, "TIFF", compression="tiff_lzw"),
    ]
    files += [
        encoded(clear, "PNG", exif=exif),
        encoded(clear, "WEBP", lossless=True, exif=exif),
        encoded(palette, "BMP"),
    ]
    files += [encoded(noise(9, 11, dtype=np.uint16), format, exif=exif) for format in ("PNG", "TIFF")]
    return [*files, encoded(palette, "PNG", transparency=bytes(range(8)))]


SAMPLES = samples()


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.sampled_from(SAMPLES), st.floats(0, 1, exclude_max=True))
def test_a_file_cut_short_is_the_whole_picture_or_refused(data: bytes, part: float) -> None:
    try:
        found = load_image(data[: int(part * len(data))])
    except StyleTransferError:
        return
    assert torch.equal(found, load_image(data))  # only what follows the pixels was lost


@settings(max_examples=250, deadline=None, derandomize=True)
@given(st.sampled_from(SAMPLES), st.randoms(use_true_random=False))
def test_a_damaged_file_is_a_picture_or_one_sentence(data: bytes, chance: random.Random) -> None:
    damaged = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(min(len(data), chance.choice((64, 9999))))
        damaged[at : at + chance.choice((1, 1, 4))] = chance.choice((b"\xff\xff\xff\xff", b"\0", chance.randbytes(1)))
    for load in (load_image, load_alpha, read_settings):
        try:
            found = load(bytes(damaged), **({} if load is read_settings else {"max_pixels": 10**6}))
        except StyleTransferError as error:
            assert len(str(error)) < 300
        else:
            assert found is None or isinstance(found, dict) or array(found).size


LONG = 3 * 2**20
BESIDE_THE_PIXELS = {
    "packed text": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * LONG)),
    "packed international text": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(b"x" * LONG)),
    "long text": chunk(b"tEXt", b"Comment\0" + b"x" * LONG),
    "long profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(b"x" * LONG)),
    "orientation in a long text": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"x" * LONG)),
    "packed metadata": chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(b"x" * LONG)),
    "damaged text": chunk(b"zTXt", b"Comment\0\0 not packed at all"),
    "damaged profile": chunk(b"iCCP", b"icc"),
    "wrong checksum": chunk(b"eXIf", b"II*\0")[:-4] + b"\0\0\0\0",
    "many texts": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"x" * 2**20)) * 70,
    "a kind of its own": chunk(b"prVt", b"x"),
}


@pytest.mark.parametrize("what", BESIDE_THE_PIXELS)
def test_what_is_no_pixel_does_not_decide_whether_a_png_is_read(what: str) -> None:
    values, extra = noise(4, 5, 3), BESIDE_THE_PIXELS[what]
    plain = png(5, 4, 8, 2, [row.tobytes() for row in values])
    end = plain.index(b"IEND") - 4
    before, behind = png(5, 4, 8, 2, [row.tobytes() for row in values], extra), plain[:end] + extra + plain[end:]
    for data in (before, behind):
        assert np.array_equal(array(load_image(data)), values / np.float32(255))


@pytest.mark.parametrize("kind", [1, 2, 7])  # bytes, text, undefined: the standard has bytes
def test_metadata_of_any_kind_leaves_a_tiff_readable(kind: int) -> None:
    values, tags = noise(4, 5, 3), TiffImagePlugin.ImageFileDirectory_v2()
    text = "<?xpacket?><x:xmpmeta/><?xpacket end='w'?>"
    tags.tagtype[700] = kind
    tags[700] = text if kind == 2 else text.encode()
    assert np.array_equal(array(load_image(encoded(values, "TIFF", tiffinfo=tags))), values / np.float32(255))


def test_a_long_profile_is_followed_and_an_endless_one_is_not() -> None:
    swapped = SRGB.replace(b"rXYZ", b"swap").replace(b"bXYZ", b"rXYZ").replace(b"swap", b"bXYZ")
    for length, light in ((2 * 2**20, (0, 0, 1)), (17 * 2**20, (1, 0, 0))):
        long = struct.pack(">I", length) + swapped[4:].ljust(length - 4, b"\0")
        data = png(1, 1, 8, 2, [bytes([255, 0, 0])], chunk(b"iCCP", b"icc\0\0" + zlib.compress(long)))
        assert np.abs(array(load_image(data)) - light).max() < 0.02


def segment(kind: int, body: bytes) -> bytes:
    """A part of a JPEG."""
    return struct.pack(">BBH", 255, kind, len(body) + 2) + body


@pytest.mark.parametrize(
    "extra",
    [
        segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x07\xdb"),  # cut short
        segment(0xE0, b"JFIF\0\1"),
        segment(0xEE, b"Adobe"),
        segment(0xE2, b"ICC_PROFILE\0"),
        segment(0xE2, b"MPF\0 no list of pictures"),
        segment(0xE1, b"Exif\0\0"),
        segment(0xFE, b"x" * 60000) * 60,
        b"\xff\xff\xff",
        b"\0\0 nothing \xff\0",
    ],
)
def test_what_is_no_pixel_does_not_decide_whether_a_jpeg_is_read(extra: bytes) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    swapped = SRGB.replace(b"rXYZ", b"swap").replace(b"bXYZ", b"rXYZ").replace(b"swap", b"bXYZ")
    for picture, notes in itertools.product(
        (noise(9, 11, 3), noise(9, 11), Image.new("CMYK", (9, 5), (9, 99, 0, 40))),
        ({}, {"exif": exif}, {"icc_profile": swapped}, {"progressive": True}),
    ):
        jpeg = encoded(picture, "JPEG", **notes)
        assert torch.equal(load_image(jpeg[:2] + extra + jpeg[2:]), load_image(jpeg))


@pytest.mark.parametrize("kind", [b"\xfe", b"\xff", b"\x01"])  # a comment, another program's block, a text
def test_what_is_no_pixel_does_not_decide_whether_a_gif_is_read(kind: bytes) -> None:
    gif = encoded(Image.fromarray(noise(4, 5, 3)).quantize(8), "GIF", transparency=3)
    head = gif.index(b"!\xf9")
    data = gif[:head] + b"!" + kind + (b"\xff" + b"A" * 255) * 5000 + b"\0" + gif[head:]
    assert torch.equal(load_image(data), load_image(gif)) and torch.equal(load_alpha(data), load_alpha(gif))


def test_files_made_to_take_hours_are_refused() -> None:
    flat = np.zeros((64, 64), np.uint8).tobytes()
    assert gray(load_image(tiff(64, 64, 8, flat, strips=2))).max() == 0
    assert "too long" in refused(tiff(64, 64, 8, flat, strips=100))
    jpeg = encoded(Image.new("L", (1000, 1000)), "JPEG", progressive=True)
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    assert "too long" in refused(jpeg[:-2] + scan * 20_000 + jpeg[-2:])


def test_threads_load_side_by_side_and_leave_the_warning_filters_alone() -> None:
    data = encoded(noise(8, 8, 3), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")
    before, whole, found = list(warnings.filters), load_image(data), []
    threads = [threading.Thread(target=lambda: found.append(load_image(data))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16 and all(torch.equal(each, whole) for each in found) and warnings.filters == before


# --- writing


ALL_BYTES = torch.arange(256.0).repeat(3).view(1, 3, 16, 16) / 255


@pytest.mark.parametrize("suffix", [".png", ".PNG", ".tif", ".tiff"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lossless_round_trip_is_the_identity(tmp_path: Path, suffix: str, dtype: torch.dtype) -> None:
    path, alpha = tmp_path / f"a{suffix}", ALL_BYTES[:, :1].flip(-1)
    save_image(ALL_BYTES.to(dtype), path)
    assert torch.equal(load_image(path), ALL_BYTES) and load_alpha(path) is None
    save_image(ALL_BYTES.to(dtype), path, alpha=alpha.to(dtype))
    assert torch.equal(load_alpha(path), alpha)
    assert os.listdir(tmp_path) == [path.name]


def test_values_are_clamped_and_halves_rounded_up() -> None:
    values = torch.tensor([-1, 0, 0.5 / 255, 0.499 / 255, 1.5 / 255, 254.5 / 255, 1, 7, float("inf"), -float("inf")])
    picture = values.double().repeat(3).view(1, 3, 1, 10)
    expected = [0, 0, 1, 0, 2, 255, 255, 255, 255, 0]
    assert (load_image(encode_image(picture, "png"))[0, 0, 0] * 255).tolist() == expected
    half = torch.full((1, 3, 2, 2), 0.5, dtype=torch.bfloat16, requires_grad=True)
    assert (load_image(encode_image(half, "png")) * 255).unique().tolist() == [128]


@pytest.mark.parametrize("format", ["jpeg", "webp"])
def test_lossy_formats_stay_close_and_closer_with_quality(format: str) -> None:
    smooth = torch.linspace(0, 1, 64).expand(1, 3, 64, 64).contiguous() * torch.tensor([1, 0.5, 0.2]).view(1, 3, 1, 1)
    coarse, fine = (encode_image(smooth, format, quality=quality) for quality in (10, 95))
    assert (load_image(fine) - smooth).abs().mean() < 0.01 < (load_image(coarse) - smooth).abs().max()
    assert len(coarse) < len(fine)


def test_webp_keeps_alpha() -> None:
    alpha = (torch.arange(64.0).view(1, 1, 8, 8) / 63).round()
    assert torch.equal(load_alpha(encode_image(torch.rand(1, 3, 8, 8), "webp", alpha=alpha)), alpha)


@pytest.mark.parametrize("format", ["png", "jpeg", "webp", "tiff"])
def test_same_input_same_bytes_and_nothing_of_the_source_in_them(format: str) -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0132] = "SecretMaker", "2001:02:03 04:05:06"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 31.0, 7.0)})
    info = PngInfo()
    info.add_text("Comment", "SecretComment")
    for source in (
        encoded(noise(8, 8, 3), "PNG", exif=exif, pnginfo=info, icc_profile=SRGB),
        encoded(noise(8, 8, 3), "JPEG", exif=exif, comment="SecretComment", icc_profile=SRGB),
    ):
        assert b"Secret" in source and b"2001:02" in source
        data, again = (encode_image(load_image(source), format, settings={"b": 1, "a": 2}) for _ in range(2))
        assert data == again == encode_image(load_image(source), format, settings={"a": 2, "b": 1})
        assert not any(
            word in data for word in (b"Secret", b"2001:02", b"Exif", b"eXIf", b"acsp", b"iCCP", b"8BIM", b"xmp")
        )
        assert not dict(Image.open(io.BytesIO(data)).getexif()).keys() & {0x8825, 0x010F, 0x0132}


@pytest.mark.parametrize("failing", ["write", "replace"])
def test_a_failed_save_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    class FullDisk(io.FileIO):
        def write(self, data: Any) -> int:
            super().write(data[: len(data) // 2])
            raise OSError(28, "No space left on device")

    def no_replace(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    if failing == "write":
        monkeypatch.setattr(files, "open", FullDisk, raising=False)
    else:
        monkeypatch.setattr(os, "replace", no_replace)
    with pytest.raises(StyleTransferError, match=r"^cannot save 'a.png': No space left on device; a folder"):
        save_image(ALL_BYTES, path)
    assert os.listdir(tmp_path) == ["a.png"] and path.read_bytes() == b"old"


def test_a_stop_from_the_keyboard_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        save_image(ALL_BYTES, tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_permissions_follow_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        save_image(ALL_BYTES, tmp_path / "a.png")
    finally:
        os.umask(old)
    assert (tmp_path / "a.png").stat().st_mode & 0o777 == 0o640


def test_places_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    for path in ("missing/a.png", "folder.png", "file/a.png", "nul\0.png", "n" * 300 + ".png"):
        with pytest.raises(StyleTransferError, match=r"^cannot save") as caught:
            save_image(ALL_BYTES, tmp_path / path)
        assert str(tmp_path) not in str(caught.value) and len(str(caught.value)) < 300
    assert sorted(os.listdir(tmp_path)) == ["file", "folder.png"]


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    nan = torch.full((1, 3, 4, 4), float("nan"))
    cases: list[tuple[torch.Tensor, str, dict[str, Any], str]] = [
        (ALL_BYTES, "a.gif", {}, ".png, .jpg, .jpeg, .webp, .tif, .tiff"),
        (ALL_BYTES, "a", {}, "must end in"),
        (ALL_BYTES, "a.jpg", {"alpha": ALL_BYTES[:, :1]}, "transparency"),
        (ALL_BYTES, "a.png", {"alpha": ALL_BYTES[:, :1, :5]}, "agree in size"),
        (ALL_BYTES, "a.png", {"alpha": ALL_BYTES}, r"\(1, 1, H, W\)"),
        (ALL_BYTES, "a.jpg", {"quality": 101}, "between 1 and 100"),
        (ALL_BYTES[0], "a.png", {}, r"\(1, 3, H, W\), got torch.float32 \(3, 16, 16\)"),
        (ALL_BYTES.to(torch.uint8), "a.png", {}, "float tensor"),
        (ALL_BYTES[..., :0], "a.png", {}, "float tensor"),
        (nan, "a.png", {}, "NaN"),
        (torch.zeros(1, 3, 1, 16384), "a.webp", {}, "16383"),
        (torch.zeros(1, 3, 65501, 1), "a.jpg", {}, "65500"),
    ]
    for image, name, options, sentence in cases:
        with pytest.raises(StyleTransferError, match=sentence):
            save_image(image, tmp_path / name, **options)
    with pytest.raises(StyleTransferError, match="choose from png, jpeg, webp, tiff"):
        encode_image(ALL_BYTES, "gif")
    assert os.listdir(tmp_path) == []
    assert load_image(encode_image(torch.zeros(1, 3, 1, 16383), "webp")).shape == (1, 3, 1, 16383)
    assert load_image(encode_image(torch.zeros(1, 3, 65500, 1), "jpeg")).shape == (1, 3, 65500, 1)


# --- settings


def with_text(text: str, key: str = "styletransfer", **options: Any) -> bytes:
    info = PngInfo()
    info.add_text(key, text, **options)
    return encoded(noise(2, 2, 3), "PNG", pnginfo=info)


def test_settings_come_back_as_json_gives_them(tmp_path: Path) -> None:
    given_settings = {"size": 512, "name": "Übermalung \U0001f58c", "scales": (0.5, 1.0), "weights": None, "box": True}
    save_image(torch.rand(1, 3, 700, 700), tmp_path / "a.png", settings=given_settings)
    assert (tmp_path / "a.png").stat().st_size > 2**20  # more than is read
    assert read_settings(tmp_path / "a.png") == json.loads(json.dumps(given_settings))
    chunks = Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())).info
    assert chunks["Software"] == "styletransfer" and chunks["styletransfer"] == json.dumps(
        given_settings, sort_keys=True
    )
    assert read_settings(encode_image(ALL_BYTES, "png", settings={})) == {}


def test_settings_are_found_behind_the_pixels() -> None:
    """Where ImageMagick puts them when it saves a picture anew; also behind a long comment."""
    data = encode_image(torch.rand(1, 3, 700, 700), "png", settings={"a": 1})
    start = data.index(b"tEXtstyletransfer") - 4
    text = data[start : start + 12 + int.from_bytes(data[start : start + 4], "big")]
    moved = data.replace(text, b"")[:-12] + BESIDE_THE_PIXELS["packed text"] + text + data[-12:]
    assert len(moved) > 2**20 and read_settings(moved) == {"a": 1}


def test_compressed_settings_are_read_too() -> None:
    assert read_settings(with_text('{"a": [1, 2]}', zip=True)) == {"a": [1, 2]}


@pytest.mark.parametrize(
    "source",
    [
        encoded(noise(2, 2, 3), "PNG"),
        encoded(noise(2, 2, 3), "JPEG"),
        encode_image(ALL_BYTES, "png"),
        with_text("{}", key="parameters"),
        with_text("not json"),
        with_text("[1]"),
        with_text('{"a": NaN}'),
        with_text('{"a": -Infinity}'),
        with_text('{"a": ' + "9" * 60000 + "}"),
        with_text('{"a": "' + "x" * 2**16 + '"}'),
        with_text('{"a": ' + "[" * 9 + "]" * 9 + "}"),
        with_text("[" * 60000),
        with_text('{"a":' * 10000),
        with_text(" " * 2**24, zip=True),  # a bomb of 16 KB
        with_text("x" * 2**20, key="other")[:-20],
        b"",
    ],
)
def test_settings_that_are_absent_or_hostile(source: bytes) -> None:
    with pytest.raises(StyleTransferError) as caught:
        read_settings(source)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize(
    "bad", [{"a": object()}, {"a": float("nan")}, {"a": "x" * 2**16}, {1: 0, "1": 0}, [1], {"a": [[[[[[[[0]]]]]]]]}]
)
def test_settings_that_could_not_be_read_back_are_not_written(bad: Any) -> None:
    with pytest.raises(StyleTransferError, match="settings"):
        encode_image(ALL_BYTES, "png", settings=bad)


# --- animations


def test_an_animation_has_all_pictures_for_their_time_and_repeats(tmp_path: Path) -> None:
    shades = [torch.full((1, 3, 24, 40), shade) for shade in (0.0, 0.5, 1.0)]
    save_animation(shades, tmp_path / "film.webp", seconds=0.2, hold=0.7)
    with Image.open(tmp_path / "film.webp") as film:
        assert (film.format, film.size, film.n_frames, film.info["loop"]) == ("WEBP", (40, 24), 3, 0)
        for number, (shade, shown) in enumerate(zip((0, 127.5, 255), (200, 200, 700))):
            film.seek(number)
            assert np.abs(np.array(film.convert("RGB")) - shade).max() <= 3 and film.info["duration"] == shown


@pytest.mark.parametrize(
    ("pictures", "name", "words"),
    [
        ([], "film.webp", "at least one"),
        ([torch.zeros(1, 3, 2, 2), torch.zeros(1, 3, 2, 3)], "film.webp", "of one size"),
        ([torch.zeros(1, 3, 2, 2)], "film.gif", "must end in .webp"),
        ([torch.zeros(1, 3, 2, 2)], "none/film.webp", "cannot save 'film.webp'"),
        ([torch.full((1, 3, 2, 2), float("nan"))], "film.webp", "not numbers"),
    ],
)
def test_an_animation_that_cannot_be_is_refused(
    tmp_path: Path, pictures: list[torch.Tensor], name: str, words: str
) -> None:
    with pytest.raises(StyleTransferError, match=words):
        save_animation(pictures, tmp_path / name)
    assert list(tmp_path.iterdir()) == []
