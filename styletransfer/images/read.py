"""Picture files to tensors: returns a correct picture or raises one clear error, also for odd and hostile files.

Files are not trusted. The size, the format (by content, not by name) and the number of pixels are checked before
decoding; all exceptions of Pillow for damaged files are caught in `_open_image`.
"""

from __future__ import annotations

import io
import math
import os
import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import ExifTags, Image, ImageCms, ImageColor, UnidentifiedImageError, features
from torch import Tensor

from ..config import StyleTransferError
from .checks import SETTINGS_KEY, as_one_error, parse_settings, quoted
from .chunks import HEIC, PNG_DEPTH, bare_gif, bare_jpeg, bare_png, png_profile, png_with_text, unread_kind

Source = str | os.PathLike[str] | bytes | BinaryIO

MAX_BYTES = 64 * 2**20
MAX_PIXELS = 64_000_000
READABLE = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", *(("AVIF",) if features.check("avif") else ()))

# EXIF orientation: the axes of (..., H, W) to flip, after H and W are exchanged for 5 to 8.
_FLIPS = {2: (-1,), 3: (-2, -1), 4: (-2,), 6: (-1,), 7: (-2, -1), 8: (-2,)}
# Warning filters are global to the process: only one thread may change and restore them at a time.
_DECODING = threading.Lock()


def load_image(
    source: Source, *, background: str = "white", max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS
) -> Tensor:
    """Read a picture, upright, in sRGB; of several frames or pages the first.

    A JPEG of more than `max_pixels`, as from a phone, is decoded at a half, a quarter or an eighth of its size.

    Returns float32 (1, 3, H, W) in [0, 1]. Transparent parts show `background`: an HTML colour name or hex value.
    8- and 16-bit values are scaled by their full range (16-bit RGB is read as 8 bit). 32-bit integers, and floats
    outside [0, 1], have no defined white: their minimum and maximum become 0 and 1. Raises StyleTransferError.
    """
    background_color = _parse_color(background)
    colors, alpha = _decode(source, max_bytes, max_pixels)
    return colors if alpha is None else torch.lerp(background_color, colors, alpha)


def load_alpha(source: Source, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS) -> Tensor | None:
    """Read the opacity of a picture: float32 (1, 1, H, W), 0 transparent to 1 opaque; None if all is opaque.

    Raises StyleTransferError like `load_image`.
    """
    return _decode(source, max_bytes, max_pixels)[1]


def read_settings(source: Source) -> dict[str, Any]:
    """Read the settings that `save_image` wrote into a PNG, as plain JSON values, wherever they are in the file.

    Raises StyleTransferError if there are none, or they are no JSON object, too long or too deeply nested.
    """
    name, data = _read(source, MAX_BYTES)
    if not data.startswith(b"\x89PNG"):
        raise StyleTransferError(f"{name} is no PNG: settings are read from a PNG that was saved here; a JPEG has none")
    with _open_image(name, png_with_text(data, SETTINGS_KEY), ("PNG",)) as image:
        text = image.info.get(SETTINGS_KEY)
    if not isinstance(text, str):
        raise StyleTransferError(f"{name} holds no settings: only a PNG that was saved with them does")
    return parse_settings(text, f"the settings in {name}")


def _decode(source: Source, max_bytes: int, max_pixels: int) -> tuple[Tensor, Tensor | None]:
    """Colours (1, 3, H, W) and, unless all is opaque, alpha (1, 1, H, W)."""
    name, data = _read(source, max_bytes)
    if not data:
        raise StyleTransferError(f"{name} is empty: a picture is needed")
    if len(data) > max_bytes:
        raise StyleTransferError(f"{name} is too large a file: at most {max_bytes / 2**20:g} MB are allowed")
    profile = None
    if data.startswith(b"\x89PNG"):
        profile, data = png_profile(data), bare_png(data)
    elif data.startswith(b"GIF"):
        data = bare_gif(data)
    elif data.startswith(b"\xff\xd8"):
        data = bare_jpeg(data)
    with _open_image(name, data, READABLE) as image:
        (width, height), too_costly = image.size, _is_too_costly(image, data)
        if image.format == "JPEG" and width * height > max_pixels:
            halvings = math.ceil(math.log(width * height / max_pixels, 4))
            image.draft(None, (width >> halvings, height >> halvings))  # the format allows down to an eighth
        if image.width * image.height > max_pixels:
            raise StyleTransferError(f"{name} has {width} x {height} pixels: at most {max_pixels:,} are allowed")
        if too_costly:
            raise StyleTransferError(f"{name} would take too long to decode: save it anew as a plain PNG or JPEG")
        if image.format == "TIFF" and _covered_pixels(image) < width * height:  # Pillow would leave the rest black
            raise StyleTransferError(f"{name} lacks a part of its pixels: a complete picture is needed")
        if image.format == "PNG" and image.mode == "L" and "transparency" in image.info:
            # Pillow scales 2- and 4-bit greys to 8 bits, but not the transparent grey.
            image.info["transparency"] *= 255 // (2 ** data[PNG_DEPTH] - 1)
        if image.format == "TIFF":
            _leave_planes_to_libtiff(image, name)
            if not isinstance(image.info.get("xmp"), bytes):  # Pillow would look for an orientation in it, and fail
                image.info.pop("xmp", None)
        image.load()
        if profile is not None:
            image.info["icc_profile"] = profile
        orientation = 1
        with suppress(Exception):  # broken EXIF is no reason to refuse a picture
            orientation = int(image.getexif()[ExifTags.Base.Orientation])
        colors, alpha = _upright(_colors(image), orientation), _alpha(image, data)
        return colors, None if alpha is None or bool((alpha == 1).all()) else _upright(alpha, orientation)


def _is_too_costly(image: Image.Image, data: bytes) -> bool:
    """Whether decoding a small file would take hours: TIFF strips or JPEG scans may cover the picture many times."""
    area = image.width * image.height
    if image.format == "JPEG":
        return data.count(b"\xff\xda") * area > 2e10  # start of scan; about 1 ns a pixel
    return len(getattr(image, "tile", ())) > 2**18 or _covered_pixels(image) > 8 * area


def _covered_pixels(image: Image.Image) -> int:
    """The summed areas of the file's tiles or strips; overlaps count more than once."""
    boxes = [tile[1] or (0, 0, 0, 0) for tile in getattr(image, "tile", ())]
    return sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)


def _leave_planes_to_libtiff(image: Any, name: str) -> None:
    """Let libtiff read a TIFF with separate planes: Pillow's own decoder would read 16 bits as 8."""
    tags, part = image.tag_v2, image.tile[0]
    if tags.get(284) != 2 or len(image.getbands()) == 1:  # PlanarConfiguration
        return
    if tags.get(262) not in (2, 5):  # PhotometricInterpretation
        raise StyleTransferError(f"{name} stores its channels apart, which is read of RGB and CMYK alone")
    whole = (0, 0, tags[256], tags[257])  # ImageWidth and ImageLength, before it is turned upright
    deep = ";16N" if max(tags.get(258, (8,))) == 16 else ""  # BitsPerSample
    args = (image.mode + deep, "raw", 0, tags.offset)
    image.tile, image.use_load_libtiff = [part._replace(codec_name="libtiff", extents=whole, offset=0, args=args)], True


@contextmanager
def _open_image(name: str, data: bytes, formats: tuple[str, ...]) -> Iterator[Image.Image]:
    """A picture whose pixels are not decoded yet; any exception in the block becomes one StyleTransferError."""
    damaged = f"{name} cannot be decoded: it is damaged, cut short or of an unusual kind; a complete picture is needed"
    with _DECODING, warnings.catch_warnings(), as_one_error(damaged):
        warnings.filterwarnings("ignore", module="PIL")
        try:
            with Image.open(io.BytesIO(data), formats=formats) as image:
                yield image
        except UnidentifiedImageError as error:
            kind = unread_kind(data)
            if kind.partition(",")[0] in formats:  # an AVIF that is cut short
                raise
            if kind == HEIC:
                raise StyleTransferError(
                    f"{name} is HEIC, which is not read here: on an iPhone choose Settings > Camera > Formats > "
                    "Most Compatible, or share the photo as JPEG"
                ) from error
            raise StyleTransferError(f"{name} is {kind} that is read: {', '.join(formats)}") from error
        except Image.DecompressionBombError as error:  # Pillow's own limit, far above ours
            raise StyleTransferError(f"{name} has too many pixels: at most {MAX_PIXELS:,} are allowed") from error


def _read(source: Source, limit: int) -> tuple[str, bytes]:
    """The source's name for messages, and its first `limit` + 1 bytes."""
    if isinstance(source, bytes):
        return "the picture", source[: limit + 1]
    if not isinstance(source, (str, os.PathLike)):
        name = getattr(source, "name", None)
        name = quoted(name) if isinstance(name, str) else "the picture"
        with as_one_error(f"cannot read {name}: a path, bytes or an open binary file is needed"):
            if source.seekable():
                source.seek(0)
            return name, bytes(memoryview(source.read(limit + 1)))
    path = Path(os.fsdecode(source))
    name = quoted(str(path))
    with as_one_error(f"cannot read {name}: a file that may be read is needed"):
        if not path.is_file():  # a pipe or a device could block forever
            raise StyleTransferError(f"cannot read {name}: {_no_file(path)}, and a picture's file is needed")
        with open(path, "rb") as file:
            return name, file.read(limit + 1)


def _no_file(path: Path) -> str:
    """Why a path is no picture file, as part of a sentence."""
    if path.is_dir():
        return "it is a folder"
    if path.exists():
        return "it is a pipe or a device"
    return "it is an address" if re.match(r"[a-z]{3,}:/", str(path), re.IGNORECASE) else "there is no such file"


def _parse_color(name: str) -> Tensor:
    """The colour (1, 3, 1, 1) in [0, 1] of an HTML name or hex value."""
    rgb: tuple[int, ...] = ()
    with suppress(ValueError, TypeError):
        rgb = ImageColor.getrgb(name)
    if len(rgb) != 3 or max(rgb) > 255:
        raise StyleTransferError(f"unknown background {str(name)[:40]!r}: give a colour like white or #ffffff")
    return torch.tensor(rgb, dtype=torch.float32).view(1, 3, 1, 1) / 255


def _colors(image: Image.Image) -> Tensor:
    """float32 (1, 3, H, W) of a decoded picture, without its transparency."""
    if image.mode[0] in "IF":
        return _deep_gray(image).expand(1, 3, -1, -1).contiguous()
    profile = image.info.get("icc_profile")
    if image.mode in ("1", "L", "LA"):
        image = image.convert("L")
    elif image.mode not in ("RGB", "CMYK", "LAB"):
        image = image.convert("RGBA").convert("RGB")
    return _planes(_in_srgb(image, profile).convert("RGB"))


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """A picture converted by its colour profile; a broken profile, or one for another colour mode, is ignored."""
    if not profile:
        return image
    with suppress(Exception):
        embedded, srgb = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
        intent, flags = ImageCms.Intent.RELATIVE_COLORIMETRIC, ImageCms.Flags.BLACKPOINTCOMPENSATION
        return ImageCms.buildTransform(embedded, srgb, image.mode, "RGB", intent, flags).apply(image) or image
    return image


def _planes(image: Image.Image) -> Tensor:
    """float32 (1, C, H, W) in [0, 1] of 8-bit channels."""
    values = torch.from_numpy(np.array(image).reshape(image.height, image.width, -1))  # (H, W, C)
    return values.permute(2, 0, 1).unsqueeze(0).contiguous().float().div_(255)


def _deep_gray(image: Image.Image) -> Tensor:
    """float32 (1, 1, H, W) in [0, 1] of a grey picture with more than 8 bits."""
    tags: Mapping[int, Any] = getattr(image, "tag_v2", {})  # of a TIFF
    grays = np.array(image if image.mode == "F" else image.convert("I"))  # (H, W)
    if image.mode == "I" and tags.get(339, (1,))[0] == 1:  # SampleFormat: unsigned, which Pillow reads as signed
        grays = grays.view(np.uint32)
    values = torch.from_numpy(grays.astype(np.float64))[None, None]  # (1, 1, H, W)
    if image.mode.startswith("I;16"):
        values /= 2 ** tags.get(258, (16,))[0] - 1  # BitsPerSample: 12 or 16
        values = values if tags.get(262) != 0 else 1 - values  # PhotometricInterpretation 0: white is zero
        return _through_curve(values, image.info.get("icc_profile")).float()
    finite = np.isfinite(grays)
    low, high = (float(end(grays[finite])) for end in (np.min, np.max)) if finite.any() else (0.0, 1.0)
    if low < 0 or high > 1:  # in place: a picture at the limit takes half a gigabyte
        values.sub_(low).div_(high - low if high > low else 1)
    return values.nan_to_num_(0, 1, 0).float()


def _through_curve(grays: Tensor, profile: bytes | None) -> Tensor:
    """Greys of more than 8 bits, converted by a colour profile: interpolated between Pillow's 256 greys."""
    if not profile:
        return grays
    curve = np.asarray(_in_srgb(Image.fromarray(np.arange(256, dtype=np.uint8)[None]), profile).convert("L"))[0]
    return torch.from_numpy(np.interp(grays.numpy(), np.linspace(0, 1, 256), curve / 255))


def _alpha(image: Image.Image, data: bytes) -> Tensor | None:
    """float32 (1, 1, H, W), or None where the picture has no transparency."""
    if not image.has_transparency_data:
        return None
    if image.mode.startswith("I"):
        opaque = np.array(image.convert("I")) != image.info["transparency"]
        return torch.from_numpy(opaque)[None, None].float()
    if image.format == "PNG" and image.mode == "RGB" and data[PNG_DEPTH] == 16:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as low:  # Pillow reads one byte of a value
            low.tile = [part._replace(args="RGB;16L") for part in low.tile]
            values = np.asarray(image).astype(np.uint16) << 8 | np.asarray(low)  # (H, W, 3)
        opaque = (values != np.array(image.info["transparency"])).any(-1)
        return torch.from_numpy(opaque)[None, None].float()
    alpha = _planes(image.convert("RGBA").getchannel("A"))
    # If a BMP is transparent everywhere, its program left the fourth byte empty: read as opaque, like in Photoshop.
    return None if image.format == "BMP" and not alpha.any() else alpha


def _upright(image: Tensor, orientation: int) -> Tensor:
    """Turn (1, C, H, W) upright by its EXIF orientation, 1 to 8; any other value changes nothing."""
    if orientation in (5, 6, 7, 8):
        image = image.mT
    if orientation in _FLIPS:
        image = image.flip(_FLIPS[orientation])
    return image.contiguous()
