"""Picture files reduced to the parts that Pillow needs for the pixels.

Pillow refuses a picture for a long or damaged comment. So comments and other metadata are dropped here; colour profiles
and settings are read here, with limits on their size.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

HEIC = "HEIC"  # of iPhones
PNG_DEPTH = 24  # the byte with the bits of a sample
PNG_HEADER = 33  # bytes: the signature and IHDR
MAX_PROFILE = 16 * 2**20  # bytes
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
_WITH_ORIENTATION = tuple(key + b"\0" for key in (b"Raw profile type exif", b"XML:com.adobe.xmp"))
_SEGMENT = re.compile(rb"\xff[\xc0-\xcf\xda-\xfe]")  # how a JPEG's segment with a length begins
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_NOTES = {b"JFIF\0": 12, b"Exif\0\0": 6, _XMP: len(_XMP), b"ICC_PROFILE\0": 14, b"Adobe": 12}  # with their least length


def bare_png(data: bytes) -> bytes:
    """A PNG reduced to its critical chunks, its transparency, and short, undamaged chunks with its orientation."""
    kept = [data[:8]]
    for kind, at, end in _chunks(data):
        body = data[at + 8 : end - 4]
        orientation = kind == b"eXIf" or (kind in _TEXTS and body.startswith(_WITH_ORIENTATION))
        if not kind[0] & 32 or kind == b"tRNS" or (orientation and _is_small(kind, body) and _is_sound(data, at, end)):
            kept.append(data[at:end])
    return b"".join(kept)


def png_profile(data: bytes) -> bytes:
    """The colour profile of a PNG; empty if there is none, or it is damaged or too long."""
    for kind, at, end in _chunks(data):
        if kind == b"iCCP":
            return _inflated(data[at + 8 : end - 4].partition(b"\0")[2][1:], MAX_PROFILE)
    return b""


def png_with_text(data: bytes, key: str) -> bytes:
    """A PNG reduced to its header and the first text with this key, wherever that is, without pixels."""
    for kind, at, end in _chunks(data):
        if kind in _TEXTS and data.startswith(key.encode() + b"\0", at + 8):
            return data[:PNG_HEADER] + data[at:end] + b"\0\0\0\0IDAT"
    return data[:PNG_HEADER] + b"\0\0\0\0IDAT"


def bare_jpeg(data: bytes) -> bytes:
    """A JPEG whose only application segments are those with its colours or orientation that are not cut short."""
    kept, at = [data[:2]], 2
    while marker := _SEGMENT.search(data, at):  # bytes between two segments are skipped
        at, kind = marker.start(), data[marker.start() + 1]
        if kind == 0xDA:  # the pixels begin
            break
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        is_note = 0xE0 <= kind <= 0xEF or kind == 0xFE
        if not is_note or any(data.startswith(key, at + 4) and end - at - 4 >= size for key, size in _NOTES.items()):
            kept.append(data[at:end])
        at = end
    return b"".join(kept) + data[at:]


def bare_gif(data: bytes) -> bytes:
    """A GIF without the comments and other programs' blocks before its first frame."""
    at = 13 + (6 << (data[10] & 7) if data[10:11] >= b"\x80" else 0)  # behind the table of colours
    kept = [data[:at]]
    while data[at : at + 1] == b"!":
        end = at + 2
        while end < len(data) and data[end]:
            end += 1 + data[end]
        if data[at + 1 : at + 2] == b"\xf9":  # graphic control: transparency
            kept.append(data[at : end + 1])
        at = end + 1
    return b"".join(kept) + data[at:]


def unread_kind(data: bytes) -> str:
    """The kind of a file that Pillow does not know, as part of a sentence, or `HEIC`."""
    brands = data[8:64] if data[4:8] == b"ftyp" else b""  # of a file of ISO's base media format
    if data.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL, and no picture of a kind"
    if b"avif" in brands or b"avis" in brands:
        return "AVIF, and no picture of a kind"
    if b"hei" in brands or b"hev" in brands or b"mif1" in brands:
        return HEIC
    return "a TIFF, but not of a kind" if data.startswith((b"II*\0", b"MM\0*")) else "no picture of a kind"


def _chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, begin, end) of a PNG's chunks, which consist of length, kind, body and checksum."""
    at = 8
    while at + 8 <= len(data):
        end = at + 12 + int.from_bytes(data[at : at + 4], "big")
        yield data[at + 4 : at + 8], at, end
        at = end


def _is_small(kind: bytes, body: bytes) -> bool:
    """Whether Pillow accepts the length of a text: at most 1 MiB after decompression."""
    rest = body.partition(b"\0")[2]
    if kind == b"zTXt":
        return bool(_inflated(rest[1:], 2**20))
    return len(body) < 2**20 and (kind != b"iTXt" or rest[:1] == b"\0")  # 0: not compressed


def _inflated(data: bytes, most: int) -> bytes:
    """Decompressed zlib data; empty if it is damaged or longer than `most`."""
    unpacking = zlib.decompressobj()
    try:
        unpacked = unpacking.decompress(data, most)
    except zlib.error:
        return b""
    return b"" if unpacking.unconsumed_tail else unpacked


def _is_sound(data: bytes, at: int, end: int) -> bool:
    return zlib.crc32(data[at + 4 : end - 4]).to_bytes(4, "big") == data[end - 4 : end]
