"""Files to tensors and back: every odd or hostile file ends in a right picture or in one sentence.

A file is untrusted. Its size, its format (by content, never by name) and its number of pixels are checked before
anything is decoded; what Pillow raises on damage is caught in one place, `_opened`. Nothing of an input's metadata is
ever written.
"""

from __future__ import annotations

import io
import json
import os
import secrets
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, ImageColor, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from .config import StyleTransferError

Source = str | os.PathLike[str] | bytes | BinaryIO

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 64_000_000
READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF")
SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".tif": "tiff", ".tiff": "tiff"}
SETTINGS_KEY = "styletransfer"
MAX_SETTINGS = 64 * 2**10
MAX_DEPTH = 8

_LONGEST_SIDE = {"jpeg": 65500, "webp": 16383}
# EXIF orientation: the axes of (..., H, W) to flip, after exchanging the two for 5 to 8.
_FLIPS = {2: (-1,), 3: (-2, -1), 4: (-2,), 6: (-1,), 7: (-2, -1), 8: (-2,)}
# Python's warning filters belong to the whole process; one decoder at a time keeps our changes to them in order.
_DECODING = threading.Lock()


def load_image(
    source: Source, *, background: str = "white", max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> Tensor:
    """Read the whole picture, upright, in sRGB; the first frame or page where there are several.

    Returns float32 (1, 3, H, W) in [0, 1]. Transparent parts show `background`: an HTML colour name or hex value.
    8- and 16-bit values are scaled by their full range (16-bit RGB is read at 8 bit); 32-bit integers, and floats that
    leave [0, 1], have no agreed white, so their least and greatest values become 0 and 1. Raises StyleTransferError.
    """
    behind = _color(background)
    colors, alpha = _decode(source, max_bytes, max_pixels)
    return colors if alpha is None else torch.lerp(behind, colors, alpha)


def load_alpha(source: Source, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Tensor | None:
    """Read the opacity of the same picture: float32 (1, 1, H, W), 0 transparent to 1 opaque; None if all is opaque.

    Raises StyleTransferError like `load_image`.
    """
    return _decode(source, max_bytes, max_pixels)[1]


def read_settings(source: Source) -> dict[str, Any]:
    """Read the settings that `save_image` put into a PNG: plain JSON values.

    Raises StyleTransferError if there are none, or if they are no JSON object, too long or too deeply nested.
    """
    name, data = _read(source, 2**20)  # they stand before the pixels
    with _opened(name, data, ("PNG",)) as image:
        text = image.info.get(SETTINGS_KEY)
    if not isinstance(text, str):
        raise StyleTransferError(f"{name} holds no settings: only a PNG that was saved with them does")
    return _checked(text, f"the settings in {name}")


def save_image(
    image: Tensor,
    path: str | os.PathLike[str],
    *,
    settings: Mapping[str, Any] | None = None,
    alpha: Tensor | None = None,
    quality: int = 95,
) -> None:
    """Write (1, 3, H, W) as .png, .jpg, .webp or .tif: the file is complete or untouched, never half-written.

    See `encode_image` for what is written. Raises StyleTransferError, also where folder or disk do not allow it.
    """
    path = Path(path)
    name = _shown(os.fspath(path))
    if path.suffix.lower() not in SUFFIXES:
        raise StyleTransferError(f"cannot save {name}: the name must end in one of {', '.join(SUFFIXES)}")
    data = encode_image(image, SUFFIXES[path.suffix.lower()], settings=settings, alpha=alpha, quality=quality)
    _write(data, path)


def _write(data: bytes, path: Path) -> None:
    """A file that is complete or untouched."""
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        try:
            with open(temporary, "xb") as file:
                file.write(data)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the name is not allowed"
        raise StyleTransferError(
            f"cannot save {_shown(os.fspath(path))}: {reason}; a folder to write to, with room in it, is needed"
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

    image: (1, 3, H, W) and alpha: (1, 1, H, W), of any float type and device, clamped to [0, 1] and rounded, halves up.
    A PNG carries the settings as JSON; the other formats carry none. `quality`, 1 to 100, is for JPEG and WebP. JPEG
    knows no transparency, and an alpha for it is refused rather than dropped. Raises StyleTransferError.
    """
    if format not in SUFFIXES.values():
        raise StyleTransferError(f"unknown picture format {format!r}: choose from png, jpeg, webp, tiff")
    if not 1 <= quality <= 100:
        raise StyleTransferError(f"quality must lie between 1 and 100, got {quality}")
    if format == "jpeg" and alpha is not None:
        raise StyleTransferError("JPEG cannot hold transparency: save as PNG, WebP or TIFF, or without alpha")
    planes = [_bytes(image, 3)] + ([] if alpha is None else [_bytes(alpha, 1)])
    height, width = image.shape[-2:]
    if alpha is not None and alpha.shape[-2:] != image.shape[-2:]:
        raise StyleTransferError(f"alpha {tuple(alpha.shape)} and picture {tuple(image.shape)} must agree in size")
    if max(height, width) > _LONGEST_SIDE.get(format, max(height, width)):
        raise StyleTransferError(f"{height} x {width} is too large for {format}: {_LONGEST_SIDE[format]} is its limit")
    options: dict[str, dict[str, Any]] = {
        "png": {"pnginfo": _chunks(settings)},
        "jpeg": {"quality": quality, "subsampling": 0},  # half the chroma would blur saturated strokes side by side
        "webp": {"quality": quality},
        "tiff": {"compression": "tiff_adobe_deflate"},
    }
    file = io.BytesIO()
    with _refusing(f"cannot write {height} x {width} pixels as {format}: use a smaller picture or another format"):
        Image.fromarray(np.concatenate(planes, axis=-1)).save(file, format, **options[format])
    return file.getvalue()


def save_animation(
    images: Sequence[Tensor],
    path: str | os.PathLike[str],
    *,
    seconds: float = 0.1,
    hold: float = 1.5,
    quality: int = 80,
) -> None:
    """Write pictures (1, 3, H, W) of one size as an animated .webp that repeats.

    Each is shown for `seconds`, the last one for `hold`. Raises StyleTransferError, as `save_image` does.
    """
    path = Path(path)
    name = _shown(os.fspath(path))
    if path.suffix.lower() != ".webp":
        raise StyleTransferError(f"cannot save {name}: the name of an animation must end in .webp")
    if not images or len({image.shape for image in images}) > 1:
        raise StyleTransferError("an animation needs pictures of one size: at least one")
    first, *others = (Image.fromarray(_bytes(image, 3)) for image in images)
    times = [round(1000 * seconds)] * len(others) + [round(1000 * hold)]
    file = io.BytesIO()
    with _refusing(f"cannot write {len(images)} pictures as an animation: use smaller ones"):
        first.save(file, "webp", save_all=True, append_images=others, duration=times, loop=0, quality=quality, method=2)
    _write(file.getvalue(), path)


def _decode(source: Source, max_bytes: int, max_pixels: int) -> tuple[Tensor, Tensor | None]:
    """Colours (1, 3, H, W) and, unless all is opaque, alpha (1, 1, H, W)."""
    name, data = _read(source, max_bytes)
    if not data:
        raise StyleTransferError(f"{name} is empty: a picture is needed")
    if len(data) > max_bytes:
        raise StyleTransferError(f"{name} is too large a file: at most {max_bytes / 2**20:g} MB are allowed")
    with _opened(name, data, READABLE) as image:
        width, height = image.size
        if width * height > max_pixels:
            raise StyleTransferError(f"{name} has {width} x {height} pixels: at most {max_pixels:,} are allowed")
        if _is_laborious(image, data):
            raise StyleTransferError(f"{name} would take too long to decode: save it anew as a plain PNG or JPEG")
        if image.format == "TIFF" and _covered(image) < width * height:  # Pillow leaves the rest black
            raise StyleTransferError(f"{name} lacks a part of its pixels: a complete picture is needed")
        if image.format == "PNG" and image.mode == "L" and "transparency" in image.info:
            # Pillow scales 2- and 4-bit greys to 8 bits, but not the one that means transparent (byte 24: the bits).
            image.info["transparency"] *= 255 // (2 ** data[24] - 1)
        image.load()
        orientation = 1
        with suppress(Exception):  # broken EXIF is no reason to refuse a picture
            orientation = int(image.getexif()[ExifTags.Base.Orientation])
        colors, alpha = _upright(_colors(image), orientation), _alpha(image)
        return colors, None if alpha is None or bool((alpha == 1).all()) else _upright(alpha, orientation)


def _is_laborious(image: Image.Image, data: bytes) -> bool:
    """Whether a small file asks for hours: a TIFF's strips or a JPEG's scans may cover the picture over and over."""
    area = image.width * image.height
    if image.format in ("JPEG", "MPO"):
        return data.count(b"\xff\xda") * area > 2e10  # start of scan; about 1 ns a pixel
    return len(getattr(image, "tile", ())) > 2**18 or _covered(image) > 8 * area


def _covered(image: Image.Image) -> int:
    """How many pixels the file says that it holds, those of overlapping parts more than once."""
    boxes = [tile[1] or (0, 0, 0, 0) for tile in getattr(image, "tile", ())]
    return sum((right - left) * (low - top) for left, top, right, low in boxes)


@contextmanager
def _opened(name: str, data: bytes, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """The picture, its pixels not yet decoded; whatever goes wrong in the block is one StyleTransferError."""
    damaged = f"{name} cannot be decoded: it is damaged, cut short or of an unusual kind; a complete picture is needed"
    with _DECODING, warnings.catch_warnings(), _refusing(damaged):
        warnings.filterwarnings("ignore", module="PIL")
        try:
            if data.startswith(b"GIF"):  # the time to join a GIF's comments is quadratic; so its head must be short
                Image.open(io.BytesIO(data[: 2**20]), formats=formats).close()
            with Image.open(io.BytesIO(data), formats=formats) as image:
                yield image
        except UnidentifiedImageError as error:
            raise StyleTransferError(f"{name} is no picture of a kind that is read: {', '.join(formats)}") from error
        except Image.DecompressionBombError as error:  # Pillow's own limit, far above ours
            raise StyleTransferError(f"{name} has too many pixels: at most {MAX_PIXELS:,} are allowed") from error


@contextmanager
def _refusing(sentence: str) -> Iterator[None]:
    """Any exception as a StyleTransferError: Pillow's decoders raise whatever the damage happens to lead to."""
    try:
        yield
    except StyleTransferError:
        raise
    except Exception as error:
        raise StyleTransferError(sentence) from error


def _read(source: Source, limit: int) -> tuple[str, bytes]:
    """The name to show in messages, and the file's first `limit` + 1 bytes."""
    if isinstance(source, bytes):
        return "the picture", source[: limit + 1]
    if not isinstance(source, (str, os.PathLike)):
        name = getattr(source, "name", None)
        name = _shown(name) if isinstance(name, str) else "the picture"
        with _refusing(f"cannot read {name}: a path, bytes or an open binary file is needed"):
            if source.seekable():
                source.seek(0)
            return name, bytes(memoryview(source.read(limit + 1)))
    path = Path(os.fsdecode(source))
    name = _shown(str(path))
    with _refusing(f"cannot read {name}: a file that may be read is needed"):
        if not path.is_file():  # a pipe or a device could block for ever
            fact = "it is a folder" if path.is_dir() else "there is no such file"
            raise StyleTransferError(f"cannot read {name}: {fact}, and a picture's file is needed")
        with open(path, "rb") as file:
            return name, file.read(limit + 1)


def _shown(name: str) -> str:
    """The last part of a path, quoted, in printable characters, of bounded length."""
    shown = repr(os.path.basename(name) or name)
    return shown if len(shown) <= 80 else f"{shown[:50]}...{shown[-20:]}"


def _color(name: str) -> Tensor:
    """(1, 3, 1, 1) in [0, 1]."""
    rgb: tuple[int, ...] = ()
    with suppress(ValueError, TypeError):
        rgb = ImageColor.getrgb(name)
    if len(rgb) != 3 or max(rgb) > 255:
        raise StyleTransferError(f"unknown background {str(name)[:40]!r}: give a colour like white or #ffffff")
    return torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1) / 255


def _colors(image: Image.Image) -> Tensor:
    """float32 (1, 3, H, W) of a decoded picture, its transparency left aside."""
    if image.mode[0] in "IF":
        return _deep_gray(image).expand(1, 3, -1, -1).contiguous()
    profile = image.info.get("icc_profile")
    if image.mode in ("1", "L", "LA"):
        image = image.convert("L")
    elif image.mode not in ("RGB", "CMYK", "LAB"):
        image = image.convert("RGBA").convert("RGB")
    if profile:
        with suppress(Exception):  # a broken profile, or one for another kind of picture, is ignored
            given, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
            intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
            image = ImageCms.buildTransform(given, srgb, image.mode, "RGB", intent, flags).apply(image)
    return _planes(image.convert("RGB"))


def _planes(image: Image.Image) -> Tensor:
    """float32 (1, C, H, W) in [0, 1] of 8-bit channels."""
    values = torch.from_numpy(np.array(image).reshape(image.height, image.width, -1))
    return values.permute(2, 0, 1).unsqueeze(0).contiguous().float().div_(255)


def _deep_gray(image: Image.Image) -> Tensor:
    """float32 (1, 1, H, W) in [0, 1] of greys of more than 8 bits."""
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})  # of a TIFF
    found = np.array(image if image.mode == "F" else image.convert("I"))
    if image.mode == "I" and tags.get(339, (1,))[0] == 1:  # SampleFormat: unsigned, which Pillow reads as signed
        found = found.view(np.uint32)
    values = torch.from_numpy(found.astype(np.float64))[None, None]
    if image.mode.startswith("I;16"):
        values /= 2 ** tags.get(258, (16,))[0] - 1  # BitsPerSample: 12 or 16
        return (values if tags.get(262) != 0 else 1 - values).float()  # PhotometricInterpretation 0: white is zero
    finite = np.isfinite(found)
    low, high = (float(end(found[finite])) for end in (np.min, np.max)) if finite.any() else (0.0, 1.0)
    if low < 0 or high > 1:  # in place: a picture at the limit takes half a gigabyte
        values.sub_(low).div_(high - low if high > low else 1)
    return values.nan_to_num_(0, 1, 0).float()


def _alpha(image: Image.Image) -> Tensor | None:
    """float32 (1, 1, H, W), or None where the picture has no transparency."""
    if not image.has_transparency_data:
        return None
    if image.mode.startswith("I"):
        opaque = np.array(image.convert("I")) != image.info["transparency"]
        return torch.from_numpy(opaque)[None, None].float()
    return _planes(image.convert("RGBA").getchannel("A"))


def _upright(image: Tensor, orientation: int) -> Tensor:
    """Turn (1, C, H, W) as the EXIF orientation says, 1 to 8; anything else changes nothing."""
    if orientation in (5, 6, 7, 8):
        image = image.mT
    if orientation in _FLIPS:
        image = image.flip(_FLIPS[orientation])
    return image.contiguous()


def _bytes(image: Tensor, channels: int) -> np.ndarray[Any, Any]:
    """uint8 (H, W, C) of a tensor picture, rounded, halves up."""
    if image.ndim != 4 or image.shape[:2] != (1, channels) or 0 in image.shape or not image.is_floating_point():
        given = f"{image.dtype} {tuple(image.shape)}"
        raise StyleTransferError(f"a picture must be a float tensor (1, {channels}, H, W), got {given}")
    values = image.detach()[0].permute(1, 2, 0).to("cpu", torch.float32)
    if bool(values.isnan().any()):
        raise StyleTransferError("the picture holds values that are not numbers (NaN): it cannot be saved")
    return values.clamp(0, 1).mul_(255).add_(0.5).to(torch.uint8).numpy()


def _chunks(settings: Mapping[str, Any] | None) -> PngInfo:
    """The text of a PNG: the program's name and the settings."""
    chunks = PngInfo()
    chunks.add_text("Software", "styletransfer")
    if settings is not None:
        with _refusing("the settings cannot be written: they must be plain JSON values"):
            text = json.dumps(dict(settings), sort_keys=True, allow_nan=False)
        _checked(text, "the settings")
        chunks.add_text(SETTINGS_KEY, text)
    return chunks


def _checked(text: str, what: str) -> dict[str, Any]:
    """The JSON object in a text, if it is one, short and shallow enough."""
    if len(text) > MAX_SETTINGS:
        raise StyleTransferError(f"{what} are {len(text)} characters long: at most {MAX_SETTINGS} are allowed")
    with _refusing(f"{what} are damaged: a JSON object is needed"):
        value = json.loads(text, parse_constant=int)  # int refuses NaN and Infinity, which are not JSON
    if not isinstance(value, dict) or _depth(value) > MAX_DEPTH:
        raise StyleTransferError(f"{what} must be a JSON object of at most {MAX_DEPTH} levels")
    return value


def _depth(value: Any) -> int:
    """Levels of lists and objects in a JSON value."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(_depth, inner), default=0)
