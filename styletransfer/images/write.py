"""Tensors to picture files and animations. Nothing of an input's metadata is ever written."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ..config import StyleTransferError
from ..files import write_atomically
from ..pixels import Size
from .checks import SETTINGS_KEY, as_one_error, parse_settings, quoted

SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff"}
LONGEST_SIDE = {"jpeg": 65500, "webp": 16383}  # of the formats that have a limit


def save_image(
    image: Tensor,
    path: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    alpha: Tensor | None = None,
    quality: int = 95,
) -> None:
    """Write (1, 3, H, W) as .png, .jpg, .webp or .tif: the file is written completely or left unchanged.

    See `encode_image` for the arguments. Raises StyleTransferError, also for a folder or disk that cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        name = quoted(os.fspath(path))
        raise StyleTransferError(f"cannot save {name}: the name must end in one of {', '.join(SUFFIXES)}")
    data = encode_image(image, SUFFIXES[path.suffix.lower()], settings=settings, alpha=alpha, quality=quality)
    _write(data, path)


def _write(data: bytes, path: Path) -> None:
    try:
        write_atomically(path, data)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not allowed"
        raise StyleTransferError(
            f"cannot save {quoted(os.fspath(path))}: {reason}; a folder to write to, with room in it, is needed"
        ) from error


def encode_image(
    image: Tensor,
    format: str,
    *,
    settings: Mapping[str, Any] | None = None,
    alpha: Tensor | None = None,
    quality: int = 95,
) -> bytes:
    """The bytes of an 8-bit "png", "jpeg", "webp" or "tiff"; the same input gives the same bytes.

    image: (1, 3, H, W) and alpha: (1, 1, H, W), of any float type and device; values are clamped to [0, 1] and rounded
    half up. A PNG holds the settings as JSON; the other formats hold none. `quality`, 1 to 100, is for JPEG and WebP.
    JPEG has no transparency: an alpha for it is refused, not dropped. Raises StyleTransferError.
    """
    if format not in SUFFIXES.values():
        raise StyleTransferError(f"unknown picture format {format!r}: choose from png, jpeg, webp, tiff")
    if not 1 <= quality <= 100:
        raise StyleTransferError(f"quality must lie between 1 and 100, got {quality}")
    check_encodable(format, (image.shape[-2], image.shape[-1]), alpha is not None)
    planes = [_to_bytes(image, 3)] + ([] if alpha is None else [_to_bytes(alpha, 1)])
    height, width = image.shape[-2:]
    if alpha is not None and alpha.shape[-2:] != image.shape[-2:]:
        raise StyleTransferError(f"alpha {tuple(alpha.shape)} and picture {tuple(image.shape)} must agree in size")
    options: dict[str, dict[str, Any]] = {
        "png": {"pnginfo": _png_text(settings)},
        "jpeg": {"quality": quality, "subsampling": 0},  # chroma at half resolution would blur saturated strokes
        "webp": {"quality": quality},
        "tiff": {"compression": "tiff_adobe_deflate"},
    }
    file = io.BytesIO()
    with as_one_error(f"cannot write {height} x {width} pixels as {format}: use a smaller picture or another format"):
        Image.fromarray(np.concatenate(planes, axis=-1)).save(file, format, **options[format])
    return file.getvalue()


def check_encodable(format: str, size: Size, alpha: bool) -> None:
    """Raise StyleTransferError for a picture of (H, W) that a format cannot hold."""
    if format == "jpeg" and alpha:
        raise StyleTransferError("JPEG cannot hold transparency: save as PNG, WebP or TIFF, or without alpha")
    limit = LONGEST_SIDE.get(format, max(size))
    if max(size) > limit:
        raise StyleTransferError(f"{size[0]} x {size[1]} is too large for {format}: {limit} is its limit")


def save_animation(
    images: Sequence[Tensor],
    path: str | os.PathLike[str],
    *,
    seconds: float = 0.1,
    hold: float = 1.5,
    quality: int = 80,
) -> None:
    """Write pictures (1, 3, H, W) of one size as an animated .webp that repeats.

    The pictures are shown for `seconds`, the last one for `hold`. Raises StyleTransferError, as `save_image` does.
    """
    path = Path(path)
    if path.suffix.lower() != ".webp":
        raise StyleTransferError(f"cannot save {quoted(os.fspath(path))}: the name of an animation must end in .webp")
    if not images or len({image.shape for image in images}) > 1:
        raise StyleTransferError("an animation needs pictures of one size: at least one")
    first, *others = (Image.fromarray(_to_bytes(image, 3)) for image in images)
    times = [round(1000 * seconds)] * len(others) + [round(1000 * hold)]
    file = io.BytesIO()
    with as_one_error(f"cannot write {len(images)} pictures as an animation: use smaller ones"):
        first.save(file, "webp", save_all=True, append_images=others, duration=times, loop=0, quality=quality, method=2)
    _write(file.getvalue(), path)


def _to_bytes(image: Tensor, channels: int) -> np.ndarray[Any, Any]:
    """uint8 (H, W, C) of a tensor picture (1, C, H, W), rounded half up."""
    if image.ndim != 4 or image.shape[:2] != (1, channels) or 0 in image.shape or not image.is_floating_point():
        got = f"{image.dtype} {tuple(image.shape)}"
        raise StyleTransferError(f"a picture must be a float tensor (1, {channels}, H, W), got {got}")
    values = image.detach()[0].permute(1, 2, 0).to("cpu", torch.float32)  # (H, W, C)
    if bool(values.isnan().any()):
        raise StyleTransferError("the picture holds values that are not numbers (NaN): it cannot be saved")
    return values.clamp(0, 1).mul_(255).add_(0.5).to(torch.uint8).numpy()


def _png_text(settings: Mapping[str, Any] | None) -> PngInfo:
    """The text of a PNG: the program's name and the settings."""
    chunks = PngInfo()
    chunks.add_text("Software", "styletransfer")
    if settings is not None:
        with as_one_error("the settings cannot be written: they must be plain JSON values"):
            text = json.dumps(dict(settings), sort_keys=True, allow_nan=False)
        parse_settings(text, "the settings")  # so that what is written can be read
        chunks.add_text(SETTINGS_KEY, text)
    return chunks
