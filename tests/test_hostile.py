"""What strangers may hand over: pictures of odd kinds, settings inside them, hubs that lead astray."""

from __future__ import annotations

import io
import json
import re
import struct
import warnings
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hub_server import RESOLVED, HubServer
from huggingface_hub import close_session, constants
from made import encoded, png
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from styletransfer import cli, images, weights
from styletransfer.config import Config, StyleTransferError
from styletransfer.images import encode_image, load_alpha, load_image, read_settings
from styletransfer.weights import load_weights

SIDE = 30_000


def refused(data: bytes) -> str:
    with pytest.raises(StyleTransferError) as caught:
        load_image(data)
    return str(caught.value)


# --- pictures


def headers() -> dict[str, bytes]:
    """The first bytes of a picture of 30,000 x 30,000 pixels in every format, and none of its pixels."""
    square = struct.pack("<HH", SIDE, SIDE)
    jpeg = bytearray(encoded(Image.new("RGB", (8, 8)), "JPEG"))
    frame = jpeg.index(b"\xff\xc0") + 5
    jpeg[frame : frame + 4] = struct.pack(">HH", SIDE, SIDE)
    bmp = bytearray(encoded(Image.new("RGB", (8, 8)), "BMP"))
    bmp[18:26] = struct.pack("<ii", SIDE, SIDE)
    tiff = bytearray(encoded(Image.new("L", (8, 8)), "TIFF"))
    for tag in (b"\x00\x01", b"\x01\x01"):  # width and height, as tags of one number
        found = re.search(tag + b".\\x00\\x01\\x00\\x00\\x00", tiff, re.DOTALL)
        assert found
        tiff[found.end() : found.end() + 4] = struct.pack("<I", SIDE)
    webp = bytearray(encoded(Image.new("RGB", (8, 8)), "WEBP"))
    webp[26:30] = struct.pack("<HH", 16_383, 16_383)  # the format's own limit
    return {
        "PNG": png(SIDE, SIDE, 8, 0, []),
        "JPEG": bytes(jpeg),
        "BMP": bytes(bmp),
        "TIFF": bytes(tiff),
        "GIF": b"GIF89a" + square + b"\0\0\0," + b"\0\0\0\0" + square + b"\0\x02\x02\x44\x01\0;",
        "WEBP": bytes(webp),
    }


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "TIFF", "GIF", "WEBP"])
def test_a_header_of_900_million_pixels_is_refused_undecoded(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: Any) -> None:
        raise AssertionError("decoded")

    data = headers()[format]
    monkeypatch.setattr(Image.Image, "load", decode)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    sentence = refused(data)
    assert sentence.endswith("pixels: at most 64,000,000 are allowed")


def test_a_bomb_within_the_limit_of_bytes_is_refused_by_its_pixels() -> None:
    bomb = png(8000, 8001, 8, 0, [bytes(8000)] * 8001)
    assert len(bomb) < 100_000
    assert refused(bomb) == "the picture has 8000 x 8001 pixels: at most 64,000,000 are allowed"


def test_a_tiff_whose_strips_end_above_its_last_row_is_refused() -> None:
    whole = bytearray(encoded(Image.new("L", (8, 8), 255), "TIFF"))
    found = re.search(b"\x01\x01.\x00\x01\x00\x00\x00", whole, re.DOTALL)  # the height
    assert found and bool((load_image(bytes(whole)) == 1).all())
    for height in (9, 5000):
        whole[found.end() : found.end() + 4] = struct.pack("<I", height)
        assert refused(bytes(whole)) == "the picture lacks a part of its pixels: a complete picture is needed"


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF"])
@pytest.mark.parametrize("size", [(1, 1), (1, 999), (999, 1)])
def test_flat_and_thin_pictures_of_every_format(format: str, size: tuple[int, int]) -> None:
    found = load_image(encoded(Image.new("L", size, 255), format))
    assert found.shape == (1, 3, size[1], size[0]) and bool((found == 1).all())


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF"])
def test_of_many_frames_only_the_first_is_decoded(format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Image.new("RGB", (20, 10), "red")
    others = [Image.new("RGB", (20, 10), (0, shade % 256, shade // 4)) for shade in range(200)]
    options: dict[str, Any] = {} if format != "WEBP" else {"lossless": True, "method": 0}
    data = encoded(first, format, save_all=True, append_images=others, **options)
    seeks: list[int] = []
    for name in ("PngImagePlugin.PngImageFile", "WebPImagePlugin.WebPImageFile", "TiffImagePlugin.TiffImageFile"):
        monkeypatch.setattr(f"PIL.{name}.seek", lambda self, frame: seeks.append(frame))
    assert torch.equal(load_image(data), load_image(encoded(first, "PNG")))
    assert load_alpha(data) is None and set(seeks) <= {0}


def test_a_polyglot_is_the_picture_that_it_begins_as(tmp_path: Path) -> None:
    """Two formats in one file, under the name of a third: never anything but the first bytes' picture."""
    red, blue = Image.new("RGB", (6, 5), "red"), Image.new("RGB", (5, 6), "blue")
    kinds = {format: encoded(red, format, **({"lossless": True} if format == "WEBP" else {}))
             for format in ("PNG", "BMP", "GIF", "TIFF", "WEBP")}  # fmt: skip
    oracle = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1).expand(1, 3, 5, 6)
    for format, data in kinds.items():
        for tail in (
            encoded(blue, "PNG"),
            encoded(blue, "JPEG"),
            b"<script>alert(1)</script>",
            b"%PDF-1.4",
            b"\0" * 999,
        ):
            path = tmp_path / f"{format}.svg.jpg"
            path.write_bytes(data + tail)
            assert torch.equal(load_image(path), oracle), format


def test_a_picture_that_needs_another_program_is_refused(tmp_path: Path) -> None:
    """Formats for which Pillow starts Ghostscript, opens other files, or that are not for pictures from strangers."""
    picture = Image.new("RGB", (4, 4), "red")
    for format in (
        "EPS",
        "PDF",
        "PPM",
        "TGA",
        "ICO",
        "PCX",
        "SGI",
        "ICNS",
        "JPEG2000",
        "DDS",
        "IM",
        "MSP",
        "SPIDER",
        "XBM",
    ):
        image = (
            picture.convert("F")
            if format == "SPIDER"
            else picture.convert("1")
            if format in ("MSP", "XBM")
            else picture
        )
        path = tmp_path / f"{format}.png"
        path.write_bytes(encoded(image, format))
        with pytest.raises(StyleTransferError, match="is no picture of a kind that is read"):
            load_image(path)


# --- settings inside pictures


def with_settings(value: Any) -> bytes:
    info = PngInfo()
    info.add_text(images.SETTINGS_KEY, value if isinstance(value, str) else json.dumps(value))
    return encoded(Image.new("RGB", (2, 2)), "PNG", pnginfo=info)


def test_settings_are_data_and_never_name_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading them opens nothing but the picture itself, whatever they hold."""
    secret = tmp_path / "secret.safetensors"
    secret.write_bytes(b"secret")
    picture = tmp_path / "a.png"
    picture.write_bytes(with_settings({"config": {"weights": str(secret)}, "../../x": f"file://{secret}"}))
    opened: list[str] = []

    def watching(path: Any, *rest: Any) -> Any:
        opened.append(str(path))
        return open(path, *rest)

    monkeypatch.setattr(images.read, "open", watching, raising=False)
    found = read_settings(picture)
    assert found == {"config": {"weights": str(secret)}, "../../x": f"file://{secret}"}
    assert opened == [str(picture)]


HOSTILE: list[Any] = [
    *({each.name: bad} for each in fields(Config) for bad in (None, [[1]], {"a": 1}, "x" * 5000, 1e308, -1e308)
      if each.name != "weights"),
    {"__class__": "os.system"}, {"size": 512, "../../etc/passwd": 1}, {"": 1}, [], None, 3, "size",
]  # fmt: skip


def test_settings_of_a_stranger_are_checked_like_any_other(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    for config in HOSTILE:
        path.write_bytes(with_settings({"config": config}))
        with pytest.raises(StyleTransferError) as caught:
            cli.configured(cli.build_parser().parse_args(["--settings", str(path)]))
        assert str(caught.value).isprintable() and len(str(caught.value)) < 800, config


def test_settings_of_a_stranger_name_no_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(with_settings({"config": {"weights": "/etc/hostname", "strength": 60}}))
    config = cli.configured(cli.build_parser().parse_args(["--settings", str(tmp_path / "a.png")]))
    assert config == Config(strength=60)


NUMBERS = (
    "nan",
    "inf",
    "-inf",
    "1e999",
    "-1e999",
    "9" * 5000,
    "0x10",
    "1_0_",
    "",
    " ",
    "twelve",
    "1;2",
)


def test_numbers_on_the_command_line_are_one_sentence_each(capsys: pytest.CaptureFixture[str]) -> None:
    for each in fields(Config):
        if (
            isinstance(each.default, bool)
            or not isinstance(each.default, (int, float, tuple))
            or each.metadata["item"] is str
        ):
            continue
        for text in NUMBERS:
            if not text.strip() and isinstance(each.default, tuple):
                continue  # an empty list
            assert cli.main([f"--{each.name.replace('_', '-')}={text}", "--list-recipes"]) == 2, (each.name, text)
            said = capsys.readouterr().err
            assert said.startswith(f"error: {each.name}") and said.count("\n") == 1


# --- where weights come from


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HubServer]:
    monkeypatch.setenv("STYLETRANSFER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(weights.hub, "PAUSES", (0.0,))
    close_session()
    server = HubServer(b"").start()
    yield server
    close_session()
    server.stop()


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://huggingface.co", "http://127.0.0.1.example.org", "http://127.0.0.1@example.org", "http://localhost:8@x.org",
        "ftp://127.0.0.1", "file:///etc", "http://[::2]", "http://", "https://", "//127.0.0.1", "http://10.0.0.1:80",
    ],
)  # fmt: skip
def test_a_hub_that_others_could_pose_as_is_refused(
    endpoint: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: Any, **__: Any) -> None:
        raise AssertionError("something was asked for")

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", endpoint + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(weights.hub, "get_session", asked)
    monkeypatch.setattr(weights.cache, "torchvision_download", asked)
    with pytest.raises(
        StyleTransferError, match=r"^the weights of vgg19 .*: HF_ENDPOINT must begin with https://, or be"
    ) as e:
        load_weights("vgg19", {"features.0.bias": (64,)})
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    "url", ["https://huggingface.co/a", "HTTPS://mirror.example:8443/a", "http://127.0.0.1:9/a", "http://[::1]:9/a", "http://localhost/a"]
)  # fmt: skip
def test_a_hub_that_nobody_can_pose_as_is_taken(url: str) -> None:
    assert weights.hub.is_private_way(url)


def test_a_redirect_to_an_open_connection_is_not_followed_to_its_end(
    hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second address is this computer's too, but not by a name that proves it."""
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", hub.url + "/{repo_id}/resolve/{revision}/{filename}")
    monkeypatch.setattr(weights.hub, "is_private_way", lambda url: "/cdn/" not in url)
    lines: list[str] = []
    monkeypatch.setattr(weights.cache, "torchvision_download", lambda network: Path("none"))
    with pytest.raises(StyleTransferError):
        load_weights("vgg19", {"features.0.bias": (64,)}, report=lines.append)
    assert "the hub sent us on to a connection that others can change" in lines[-1]
    assert RESOLVED in dict(hub.authorizations)


# --- privacy


def test_nothing_of_a_picture_but_its_pixels_reaches_a_file(tmp_path: Path) -> None:
    """EXIF with a place, a colour profile, XMP, comments and a thumbnail go in; only what every file has comes out."""
    exif = Image.Exif()
    exif[0x010E] = "SecretDescription"
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0SecretComment"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 31.0, 7.0), 3: "E", 4: (9.0, 3.0, 1.0)})
    gray = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).convert("RGB")
    secret = encoded(
        gray,
        "JPEG",
        exif=exif,
        comment=b"SecretComment",
        xmp=b"<x:xmpmeta>Secret</x:xmpmeta>",
        icc_profile=b"acspSecret",
    )
    plain = encoded(gray, "JPEG")
    assert secret.count(b"Secret") == 5
    for suffix in (".png", ".jpg", ".webp", ".tiff"):
        written = {}
        for name, data in (("secret", secret), ("plain", plain)):
            images.save_image(load_image(data), tmp_path / (name + suffix), settings={"size": 8})
            written[name] = (tmp_path / (name + suffix)).read_bytes()
        assert written["secret"] == written["plain"], suffix
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        info = Image.open(io.BytesIO(encode_image(load_image(secret), "png", settings={"size": 8}))).info
    assert set(info) == {"Software", images.SETTINGS_KEY}
