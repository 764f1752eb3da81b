"""Clips: frames in and out, one at a time, and their sound. The only user of PyAV.

A clip is written in pieces that can be played at any moment, so that a run can stop at any frame and go on from there;
`join` puts them together, with the sound, without encoding the pictures again.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..config import StyleTransferError
from ..files import replacement
from ..images.checks import quoted
from ..pixels import Size, fit_size, resize, size_of

READS = (".mp4", ".m4v", ".mov", ".webm", ".gif")
WRITES = {".mp4": ("libx264", "libvpx-vp9"), ".webm": ("libvpx-vp9",)}  # the encoders to look for, best first
# By kind: the codecs that are copied, and the encoder for all others.
SOUND = {".mp4": (("aac", "mp3"), "aac"), ".webm": (("opus", "vorbis"), "libopus")}
# Only containers of one file: a playlist could name other files, or addresses.
SAFE = {"format_whitelist": "mov,matroska,gif", "protocol_whitelist": "file"}
# Constant quality, and no frame that waits for later ones: a piece then has every frame that was written.
QUALITY = {
    "libx264": {"crf": "17", "preset": "medium", "tune": "zerolatency", "bf": "0"},
    "libvpx-vp9": {"crf": "24", "b": "0", "deadline": "good", "cpu-used": "3", "lag-in-frames": "0"},
}
CLOCK = Fraction(1, 90000)
KEYFRAME_EVERY = 48  # frames; a player can jump to each of these


class Frame(NamedTuple):
    """A frame: seconds from the clip's beginning, and its picture (1, 3, H, W) in [0, 1]."""

    time: float
    image: Tensor


@dataclass(frozen=True)
class Clip:
    """Which frames of a file are read.

    source: the file, or its bytes; seconds: the length of the part from its beginning (None: all); fps: at most so many
    frames a second (None: all); keep_every: of these, the first of every so many; max_pixels: of a frame; max_frames:
    that the file may have in that part, read or not (None: any number).
    """

    source: Path | bytes
    seconds: float | None = None
    fps: float | None = None
    keep_every: int = 1
    max_pixels: int | None = None
    max_frames: int | None = None

    def frames(self, long_side: int | None = None, start: int = 0) -> Iterator[Frame]:
        """Read the frames from number `start` on, upright, `long_side` pixels long (None: as they are).

        Both sides are even, as encoders want them. Raises StyleTransferError.
        """
        with _reading(self.source) as container:
            number = -1
            for time, frame in self._wanted(container):
                number += 1
                if number >= start:
                    yield Frame(
                        time, _picture(frame, long_side, float(container.streams.video[0].sample_aspect_ratio or 1))
                    )
            if number < 0:
                raise StyleTransferError(f"{_name(self.source)} has no frames that can be read")

    def _wanted(self, container: Any) -> Iterator[tuple[float, Any]]:
        """Time and decoded picture of each frame that is read."""
        if not container.streams.video:
            raise StyleTransferError(f"{_name(self.source)} holds no pictures: give a clip")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        if self.max_pixels is not None:
            self._check_size(stream.codec_context)
            stream.codec_context.options = {"max_pixels": str(self.max_pixels)}  # also of what comes later
        first: float | None = None
        due, count = 0.0, 0
        for number, frame in enumerate(container.decode(stream)):
            at = frame.time if frame.time is not None else count / float(stream.average_rate or 25)
            first = at if first is None else first
            time = at - first
            if self.seconds is not None and time >= self.seconds:
                return
            if self.max_frames is not None and number >= self.max_frames:
                raise StyleTransferError(
                    f"{_name(self.source)} has more than {self.max_frames} frames: give a shorter clip"
                )
            if self.fps is not None:
                if time < due - 1e-6:
                    continue
                due = max(due + 1 / self.fps, time + 0.5 / self.fps)
            count += 1
            if (count - 1) % self.keep_every == 0:
                yield time, frame

    def _check_size(self, picture: Any) -> None:
        if self.max_pixels is not None and picture.width * picture.height > self.max_pixels:
            raise StyleTransferError(
                f"{_name(self.source)} has frames of {picture.width}x{picture.height} pixels: "
                f"at most {self.max_pixels / 10**6:g} megapixels are allowed"
            )


def _name(source: Path | bytes) -> str:
    return quoted(source.name) if isinstance(source, Path) else "the clip"


@contextmanager
def _reading(source: Path | bytes) -> Iterator[Any]:
    """The opened file. Raises StyleTransferError for what goes wrong meanwhile."""
    import av

    if isinstance(source, Path) and not source.is_file():
        raise StyleTransferError(f"there is no file {_name(source)}")
    options = SAFE if isinstance(source, Path) else {"format_whitelist": SAFE["format_whitelist"]}
    try:
        with av.open(str(source) if isinstance(source, Path) else BytesIO(source), options=options) as container:
            yield container
    except av.FFmpegError as error:
        unknown = isinstance(source, Path) and source.suffix.lower() not in READS
        why = f"give one of {', '.join(READS)}" if unknown else "it is damaged, cut short or of an unusual kind"
        raise StyleTransferError(f"{_name(source)} cannot be read as a clip: {why}") from error


def _picture(frame: Any, long_side: int | None, aspect: float) -> Tensor:
    """A decoded frame upright and with square pixels; `aspect` is that of its pixels, width over height."""
    values = torch.from_numpy(np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), frame.rotation // 90)))
    image = values.permute(2, 0, 1)[None].float() / 255
    height, width = size_of(image)
    shape = (height, round(width * aspect)) if frame.rotation % 180 == 0 else (round(height * aspect), width)
    return resize(image, even(fit_size(shape, long_side or max(shape))))


def even(size: Size) -> Size:
    """The size with both sides even."""
    height, width = (max(2, length - length % 2) for length in size)
    return height, width


# --- writing


class Piece:
    """A part of a clip that is being written: an MP4 file that can be played after each frame.

    Its first frame is at time 0, as MP4 requires. Raises StyleTransferError where there is no encoder for it.
    """

    def __init__(self, path: Path, kind: str, size: Size, fps: float) -> None:
        import av

        options = {"movflags": "frag_every_frame+empty_moov+default_base_moof", "flush_packets": "1"}
        self._container = av.open(str(path), "w", format="mp4", options=options)
        encoder = _encoder(kind)
        rate = Fraction(fps).limit_denominator(1001)
        self._stream = self._container.add_stream(encoder, rate, options=QUALITY[encoder])
        self._stream.height, self._stream.width = size
        self._stream.pix_fmt = "yuv420p"
        self._stream.codec_context.time_base = CLOCK
        self._stream.codec_context.gop_size = KEYFRAME_EVERY
        self._stream.codec_context.color_range = 1  # 16 .. 235
        self._stream.codec_context.colorspace = 1  # BT.709, also the next two
        self._stream.codec_context.color_primaries = 1
        self._stream.codec_context.color_trc = 1
        self._length = round(1 / fps / CLOCK)
        self._begin: float | None = None

    def write(self, frame: Frame) -> None:
        """Append a frame."""
        import av

        values = (frame.image[0].permute(1, 2, 0) * 255).round().clamp(0, 255).to(torch.uint8)
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(values.numpy()), format="rgb24").reformat(
            format="yuv420p", dst_colorspace="ITU709", dst_color_range="MPEG"
        )
        self._begin = frame.time if self._begin is None else self._begin
        picture.pts, picture.time_base, picture.duration = (
            round((frame.time - self._begin) / CLOCK),
            CLOCK,
            self._length,
        )
        self._container.mux(self._stream.encode(picture))

    def close(self) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()


def _encoder(kind: str) -> str:
    import av

    for name in WRITES[kind]:
        if name in av.codecs_available:
            return name
    raise StyleTransferError(f"this computer's FFmpeg cannot encode {kind}: it has none of {', '.join(WRITES[kind])}")


class Part(NamedTuple):
    """So many of a piece's first frames, and the time in the clip at which they begin."""

    path: Path
    frames: int
    begin: float


def join(parts: Sequence[Part], output: Path, source: Path, duration: float) -> None:
    """Write the parts as one clip with the source's sound, as long as the pictures.

    The sound is copied, or encoded again where this kind of file cannot hold it; a sound that cannot be read is left
    out, and so is all metadata of the source. The file appears when it is complete.
    """
    try:
        _join(parts, output, source, duration)
    except StyleTransferError:
        _join(parts, output, None, duration)


def _join(parts: Sequence[Part], output: Path, source: Path | None, duration: float) -> None:
    import av

    kind = output.suffix.lower()
    options = {"movflags": "faststart"} if kind == ".mp4" else {}
    with replacement(output) as temporary, ExitStack() as stack:
        result = stack.enter_context(av.open(str(temporary), "w", format=kind[1:], options=options))
        inputs = [stack.enter_context(av.open(str(path))) for path, _, _ in parts]
        picture = result.add_stream_from_template(inputs[0].streams.video[0])
        tracks = [_pictures(inputs, parts, picture)]
        with nullcontext() if source is None else _reading(source) as sound:
            if sound and sound.streams.audio:
                tracks.append(_sound(sound, result, kind, duration))
            for _, _, packet in heapq.merge(*tracks, key=lambda entry: entry[:2]):
                result.mux(packet)


Track = Iterator[tuple[float, int, Any]]  # time, number of the track, packet


def _pictures(inputs: Sequence[Any], parts: Sequence[Part], stream: Any) -> Track:
    for container, (_, count, begin) in zip(inputs, parts):
        packets = (packet for packet in container.demux(video=0) if packet.pts is not None)
        for packet, _ in zip(packets, range(count)):
            packet.pts = packet.dts = packet.pts + round(begin / packet.time_base)
            packet.stream = stream
            yield float(packet.pts * packet.time_base), 0, packet


def _sound(container: Any, result: Any, kind: str, duration: float) -> Track:
    source = container.streams.audio[0]
    begin = _beginning(container)
    copied, encoder = SOUND[kind]
    if source.codec_context.name in copied or source.codec_context.codec.canonical_name in copied:
        stream = result.add_stream_from_template(source)
        shift = round(begin / source.time_base)
        for packet in container.demux(source):
            if packet.pts is None or packet.pts < shift:
                continue
            time = float((packet.pts - shift) * source.time_base)
            if time >= duration:
                return
            packet.pts, packet.dts, packet.stream = packet.pts - shift, packet.pts - shift, stream
            yield time, 1, packet
        return
    stream = result.add_stream(encoder, 48000, layout=source.layout.name if source.channels <= 2 else "stereo")
    yield from _encoded(container, source, stream, begin, duration)


def _encoded(container: Any, source: Any, stream: Any, begin: float, duration: float) -> Track:
    """The sound encoded again."""
    import av

    context = stream.codec_context
    resampler = av.AudioResampler(format=context.format, layout=context.layout, rate=context.sample_rate)
    buffer = av.AudioFifo()
    written = 0

    def packets(whole: bool) -> Iterator[tuple[float, int, Any]]:
        nonlocal written
        length = context.frame_size or 960
        while buffer.samples >= length or (whole and buffer.samples):
            frame = buffer.read(length, partial=whole)
            frame.pts, frame.time_base = written, Fraction(1, context.sample_rate)
            written += frame.samples
            for packet in stream.encode(frame):
                yield float(packet.pts * packet.time_base), 1, packet

    for frame in container.decode(source):
        time = (frame.time or 0.0) - begin
        if time >= duration:
            break
        if time < 0:
            continue
        for part in resampler.resample(frame):
            part.pts = None
            buffer.write(part)
        yield from packets(False)
    yield from packets(True)
    for packet in stream.encode(None):
        yield float(packet.pts * packet.time_base), 1, packet


def _beginning(container: Any) -> float:
    """The time of the first picture."""
    stream = container.streams.video[0]
    return float((stream.start_time or 0) * stream.time_base)
