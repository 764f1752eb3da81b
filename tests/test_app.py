"""The page without a browser: its controls, what its handlers yield, what is shown of errors, and its endpoint."""

from __future__ import annotations

import contextvars
import gc
import io
import itertools
import json
import logging
import re
import runpy
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
import pytest
import torch
from gradio.context import LocalContext
from gradio_client import Client
from PIL import Image
from small import EXIF_ARTIST, QUICK, _a_small_network, _collect_garbage  # noqa: F401
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from styletransfer import RECIPES, Config, StyleTransferError, load_image, recolor, resize, studio
from styletransfer.images import read_settings, save_image
from styletransfer.page.words import i18n
from styletransfer.studio import frames, session
from styletransfer.studio import series as sketching
from styletransfer.studio.job import Job
from styletransfer.studio.kept import STORE, Visit
from styletransfer.studio.series import Series
from styletransfer.studio.server import Limits, Server
from styletransfer.studio.task import LINE, Line, Task
from styletransfer.studio.wording import FIELDS, as_text, from_png, from_text

with warnings.catch_warnings():  # Gradio makes event loops that it leaves to the garbage collector
    warnings.simplefilter("ignore", ResourceWarning)
    import app
    from styletransfer.page import controls, crowd, inputs, link, many, nine, presets
    from styletransfer.page import handlers as handling
    from styletransfer.page import pictures as pictures_page
    from styletransfer.page import visit as visits
    from styletransfer.page.controls import EXPERT, LEFT_OUT, MAIN, QUALITY
    from styletransfer.page.errors import friendly
    from styletransfer.page.paint import FILES, paint_tab
    from styletransfer.page.visit import stop

    server = Server()
    demo = app.page.build_demo(server, app.EXAMPLES)
    with gr.Blocks(analytics_enabled=False):  # the Paint tab alone, for its handlers
        handlers = paint_tab(server, controls.load_examples(app.EXAMPLES), gr.State(None))
    parts = handlers.parts
    gc.collect()

pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def _an_empty_store() -> Iterator[None]:
    yield
    for key in list(STORE._visits):
        STORE.drop(key)


def given(pictures: tuple[Any, ...], key: str | None = None, **changes: Any) -> dict[Any, Any]:
    """What the page's components send to `run`: a quick and small run, but for the changes."""
    values = {f"style{number}": picture for number, picture in enumerate(pictures[1:], 1)} | QUICK | changes
    return {
        parts.key: key,
        parts.content: values.get("content", pictures[0]),
        parts.canvas: None,
        parts.rest: "photograph",
        parts.blend: 0,
        **{style: values.get(f"style{number}") for number, style in enumerate(parts.styles, 1)},
        **{share: values.get(f"share{number}", 50) for number, share in enumerate(parts.shares, 1)},
        **{control: as_text(values[name]) for name, control in parts.controls.items()},
    }


def painted(pictures: tuple[str, ...], key: str | None = None, **changes: Any) -> tuple[str, list[dict[Any, Any]]]:
    """The key of a whole run by the page's handlers, and all that following it yielded."""
    key = handlers.run(given(pictures, key, **changes))[parts.key]
    assert key is not None
    return key, list(handlers.follow(key))


def followed(click: Any, key: str) -> list[dict[Any, Any]]:
    """All that following the run of a click yielded."""
    assert click(key)[parts.key] == key
    return list(handlers.follow(key))


def shown(key: str | None) -> dict[str, Any]:
    """What the page shows after a run, by name."""
    names = {parts.run: "run", parts.stop: "stop", parts.more: "more", parts.finer: "finer", parts.state: "status"}
    names |= {parts.result: "result", parts.command: "command", parts.visit: "visit"}
    names |= {button: kind for kind, button in parts.keep.items()} | {parts.copy: "copy", parts.send: "send"}
    now = {names[part]: value for part, value in handlers.finish(key).items()}
    return {**now, "result": now["result"]["value"], "names": now["result"]["label"]} if "result" in now else now


def saved(key: str | None, kind: str = "png") -> str:
    """The file that a button makes."""
    return handlers.save(kind)(key)[-1]


def settings(updates: dict[Any, Any]) -> dict[str, Any]:
    """The settings that a handler fills the controls with, by field."""
    return {name: updates[control] for name, control in parts.controls.items()}


# --- controls and checks


def page_controls() -> dict[str, Any]:
    blocks = demo.blocks.values()
    return {block.elem_id: block for block in blocks if getattr(block, "elem_id", None)}


def test_every_setting_has_a_control_or_is_left_out_on_purpose() -> None:
    assert sorted([*MAIN, *EXPERT, *LEFT_OUT]) == sorted(FIELDS)
    assert {*MAIN, *EXPERT} <= set(page_controls())
    assert not set(LEFT_OUT) & set(page_controls())


@pytest.mark.parametrize("name", MAIN + EXPERT)
def test_a_control_agrees_with_its_field(name: str) -> None:
    control, field = page_controls()[name], FIELDS[name]
    assert from_text(name, control.value) == field.default
    if field.metadata["choices"]:
        assert {value for _, value in control.choices} == set(field.metadata["choices"])
    if isinstance(field.default, (int, float)) and not isinstance(field.default, bool):
        assert field.metadata["low"] <= control.minimum <= field.default <= control.maximum <= field.metadata["high"]


def test_the_script_fills_controls_with_the_recipes_values() -> None:
    script = controls.with_recipes("RECIPES", ("scales", "iterations", "tv_weight", "box"))
    table = json.loads(script.removeprefix("(").removesuffix(")"))
    assert table["draft"] == [
        ", ".join(map(str, RECIPES["draft"].scales)),
        ", ".join(map(str, RECIPES["draft"].iterations)),
        RECIPES["draft"].tv_weight,
        True,
    ]
    assert [float(text) for text in table["crowson"][0].split(", ")] == list(RECIPES["crowson"].scales)


def test_quality_sets_all_that_tells_the_qualities_apart() -> None:
    best = {name: getattr(RECIPES["best"], name) for name in QUALITY}
    assert Config.from_dict({**RECIPES["draft"].to_dict(), **best}) == RECIPES["best"]


@pytest.mark.parametrize("name", RECIPES)
def test_controls_are_filled_with_the_settings_of_a_run(name: str) -> None:
    config = replace(RECIPES[name], strength=70.0, style_weights=(1.0, 4.0))
    updates = handlers.fill(config)
    assert updates[parts.recipe] == name
    assert updates[parts.quality] == (name if name in controls.QUALITIES else None)
    assert [updates[share] for share in parts.shares] == [25, 100, 50, 50]
    values = {field: from_text(field, value) for field, value in settings(updates).items()}
    assert Config(**values, style_weights=(1, 4)) == config


# --- errors


def test_our_errors_are_shown_as_a_sentence_that_cannot_be_markup() -> None:
    with pytest.raises(gr.Error) as caught, friendly():
        raise StyleTransferError("<img src=x> is no picture")
    assert caught.value.message == "&lt;img src=x&gt; is no picture."
    assert caught.value.print_exception is False


def test_other_errors_are_logged_and_say_nothing_of_the_server(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(gr.Error) as caught, friendly():
        raise RuntimeError("/secret/path")
    assert "secret" not in caught.value.message and "went wrong" in caught.value.message
    assert "/secret/path" in caplog.text


def test_too_little_memory_is_explained() -> None:
    with pytest.raises(gr.Error, match="choose a smaller size"), friendly():
        raise torch.OutOfMemoryError("CUDA out of memory")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"content": None}, "There is no picture yet"),
        ({"style1": None}, "There is no style yet"),
        ({"size": 10**4}, "Size is 10000: at most"),
        ({"style_layers": "relu5_1"}, "relu5_1"),
    ],
)
def test_what_cannot_be_painted_is_told_in_a_sentence(
    pictures: tuple[str, str], change: dict[str, Any], words: str
) -> None:
    with pytest.raises(gr.Error, match=words):
        painted(pictures, **change)


@pytest.mark.parametrize("data", [b"", b"no picture", b"GIF89a"])
def test_a_broken_upload_gets_an_answer(pictures: tuple[str, str], tmp_path: Path, data: bytes) -> None:
    (tmp_path / "broken.png").write_bytes(data)
    with pytest.raises(gr.Error, match=r"broken\.png"):
        painted((str(tmp_path / "broken.png"), pictures[1]))


def test_a_picture_of_too_many_pixels_is_refused_unless_it_can_be_scaled_down(pictures: tuple[str, str]) -> None:
    few = replace(handlers, server=Server(Limits(pixels=1000)))
    with pytest.raises(gr.Error, match="36 x 36 pixels"):
        list(few.follow(few.run(given(pictures))[parts.key]))
    assert list(few.follow(few.run(given((pictures[0], pictures[0])))[parts.key]))  # a JPEG of 40 x 32


def test_the_network_in_use_is_told_and_what_to_do_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "built-in network (no GPU) on CPU" in handlers.network_line("auto")
    assert "needs --weights FILE" in handlers.network_line("vgg19-caffe")
    monkeypatch.setattr("styletransfer.features.choice.BUILTIN", tmp_path / "none.safetensors")
    monkeypatch.setattr(frames, "_networks", {})
    assert "There is no network yet" in handlers.network_line("auto")


def test_on_zerogpu_a_run_asks_for_the_gpu_a_little_longer_than_it_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = {}

    def gpu(duration: Any) -> Any:
        return lambda function: asked.setdefault(function.__name__, duration) and function

    monkeypatch.setitem(sys.modules, "spaces", SimpleNamespace(GPU=gpu, __spec__=object()))
    monkeypatch.setattr(studio, "frames", frames)  # to be put back
    monkeypatch.delitem(sys.modules, frames.__name__)
    runpy.run_path(str(Path(app.__file__)))
    job = Job("content", ("style",), Config(), Limits(seconds=100))
    assert asked["paint"](job, None) == 110 and asked["sketch"]([job, job]) == 210


# --- the page's handlers


def test_a_run_ends_with_a_picture_a_status_and_what_can_be_done_with_it(pictures: tuple[str, str]) -> None:
    key, yielded = painted(pictures)
    assert "<svg" in yielded[-1][parts.curve] and "Painting · 100 %" in yielded[-1][parts.state]
    assert "scale 2 of 2 · step 2 of 2 · built-in network (no GPU) on CPU" in yielded[-1][parts.details]
    now = shown(key)
    assert "Done in" in now["status"] and "32 × 26" in now["status"]
    assert (now["run"]["visible"], now["stop"]["visible"]) == (True, False)
    assert all(now[name]["interactive"] for name in ("more", "finer", "png", "jpg", "webp"))
    assert now["finer"]["value"] == "Enlarge to 32"
    assert [load_image(file).shape[-2:] for file in now["result"]] == [(26, 32)] * 2
    assert now["command"].startswith("python -m styletransfer content.jpg style.png -o out.png")
    assert now["names"] == "content.jpg · content.jpg, painted in the style of style.png"
    assert [name for _, name in now["visit"]["value"]] == ["Result 1: content.jpg, painted in the style of style.png"]
    assert now["visit"]["visible"]
    assert read_settings(saved(key))["config"] == {**QUICK, "color": "style"}


def test_before_there_is_a_picture_nothing_is_offered() -> None:
    now = shown(None)
    assert not any(now[name]["interactive"] for name in ("more", "finer", "png", "jpg", "webp"))
    assert "result" not in now and "Not painted yet" in now["status"]
    assert handlers.tint("unknown", None, "match", 3) == gr.skip()
    for click in (handlers.more, handlers.finer):
        with pytest.raises(gr.Error, match="no longer kept here"):
            click("unknown")
    with pytest.raises(gr.Error, match="no longer kept here"):
        saved("unknown")


def test_the_pictures_shown_have_no_metadata_of_the_upload(pictures: tuple[str, str]) -> None:
    key, yielded = painted(pictures)
    with Image.open(pictures[0]) as upload:
        assert upload.getexif()[EXIF_ARTIST] == "somebody"
    files = [
        *yielded[-1][parts.result]["value"],
        *shown(key)["result"],
        *(saved(key, kind) for kind in FILES if kind != "mp4"),
    ]
    for file in files:
        with Image.open(file) as picture:
            assert not picture.getexif() and b"somebody" not in Path(file).read_bytes()


@pytest.mark.parametrize("color", ["style", "content", "match"])
def test_colours_change_after_the_run(pictures: tuple[str, str], color: str) -> None:
    key, _ = painted(pictures)
    first = shown(key)["result"][1]
    _, look = handlers.tint(key, None, color, 0)[parts.result]["value"]
    kept = handling.current(key)
    wanted = recolor(kept.raw, load_image(pictures[0]), color)
    assert float((load_image(look) - wanted).abs().mean()) < 0.02 and look != first
    assert read_settings(saved(key))["config"]["color"] == color


def test_continue_goes_on_and_says_when_it_starts_anew(pictures: tuple[str, str]) -> None:
    key, _ = painted(pictures)
    first = handling.current(key)
    followed(handlers.more, key)
    assert handling.current(key).metadata["config"]["iterations"] == [3, 4]
    assert "anew" not in shown(key)["status"]
    *_, whole = frames.paint(handlers.job_of(given(pictures, iterations="3, 4")))
    assert torch.equal(handling.current(key).raw, torch.from_numpy(whole.raw))
    handling.current(key).step = None
    followed(handlers.more, key)
    assert "The optimiser starts anew from the picture · Done in" in shown(key)["status"]
    assert handling.current(key).metadata["config"]["init"] == "image" and first.step is None


def test_a_stopped_run_is_closed_kept_and_continued_to_its_end(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, go_on = watch_closing(monkeypatch), pause(monkeypatch)
    key = handlers.run(given(pictures, iterations="40, 2"))[parts.key]
    wait_for_picture(key)
    stop("paint")(key)
    go_on.set()
    list(handlers.follow(key))
    assert closed.is_set()
    now = shown(key)
    assert "Stopped: this is the picture so far." in now["status"] and now["more"]["interactive"]
    assert read_settings(saved(key))["outcome"] == "stopped"
    followed(handlers.more, key)
    kept = handling.current(key)
    assert kept.metadata["outcome"] == "done" and kept.metadata["config"]["iterations"] == [40, 2]


def test_a_run_that_is_stopped_before_its_first_picture_shows_the_photograph_to_the_end(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, frames_of = threading.Event(), session.frames_of

    def unpainted(*arguments: Any) -> Iterator[Any]:
        with closing(frames_of(*arguments)) as moments:
            yield from itertools.takewhile(lambda frame: frame.raw is None, moments)
            assert go_on.wait(60)
            yield frames.Frame("still the first step")

    monkeypatch.setattr(session, "frames_of", unpainted)
    key = handlers.run(given(pictures))[parts.key]
    task = visits.task_of(key, "paint")
    assert task is not None
    page = handlers.follow(key)
    while parts.result not in (updates := next(page)):
        pass
    stop("paint")(key)
    go_on.set()
    for _ in range(6000):
        time.sleep(0.01 * (not task.ended))
    assert task.ended
    for latest in [updates, *page, *handlers.follow(key)]:  # the file is still there
        before, painting = latest[parts.result]["value"]
        assert before == painting and load_image(before).shape[-2:] == (26, 32)
        assert latest[parts.example] is None and "Getting ready" in latest[parts.state]
    assert "Not painted yet" in shown(key)["status"] and shown(key)["run"]["visible"]


def test_a_picture_that_is_continued_stays_until_there_is_another(pictures: tuple[str, str]) -> None:
    key, _ = painted(pictures)
    looks = [updates[parts.result]["value"] for updates in followed(handlers.more, key) if parts.result in updates]
    assert looks and all(Path(before).name == "before.jpg" != Path(look).name for before, look in looks)
    handling.current(key).step = None
    states = [updates[parts.state] for updates in followed(handlers.more, key)]
    assert any("The optimiser starts anew from the picture · Painting" in state for state in states)


def test_finer_paints_at_the_next_size(pictures: tuple[str, str]) -> None:
    key, _ = painted(pictures, size=64)
    followed(handlers.finer, key)
    kept = handling.current(key)
    assert kept.raw.shape[-2:] == (77, 96) and kept.settings.init == "content" and kept.settings.size == 96
    assert "96 × 77" in shown(key)["status"]


def test_styles_are_mixed_by_their_shares(pictures: tuple[str, str]) -> None:
    key, _ = painted((*pictures, pictures[0]), share1=40, share2=10)
    assert handling.current(key).metadata["config"]["style_weights"] == [40, 10]
    key, _ = painted(pictures, style3=pictures[0], share3=20)  # a slot left free has no share
    assert handling.current(key).metadata["config"]["style_weights"] == [50, 20]


def test_init_image_starts_from_the_picture_that_is_shown(pictures: tuple[str, str]) -> None:
    with pytest.raises(gr.Error, match="no painted picture yet"):
        painted(pictures, init="image")
    key, _ = painted(pictures)
    first = handling.current(key).raw
    painted(pictures, key, init="image", iterations="1", scales="1", max_evaluations=1)
    assert not torch.equal(handling.current(key).raw, first)
    assert handling.current(key).job.start is not None and torch.equal(
        torch.from_numpy(handling.current(key).job.start), first
    )


def test_a_failed_run_leaves_the_last_picture(pictures: tuple[str, str]) -> None:
    key, _ = painted(pictures)
    kept = handling.current(key)
    with pytest.raises(gr.Error):
        painted(pictures, key, style_layers="relu5_1")
    assert handling.current(key) is kept and shown(key)["png"]["interactive"]


def test_a_visit_has_its_last_results_and_brings_them_back(pictures: tuple[str, str]) -> None:
    key, _ = painted(pictures, strength=20)
    first = handling.current(key)
    again, _ = painted(pictures[::-1], key, strength=80)
    assert again == key and len(shown(key)["visit"]["value"]) == 2
    back = handlers.bring_back(key, SimpleNamespace(index=1))  # type: ignore[arg-type]
    assert handling.current(key) is first
    content, style, *others = (back[part] for part in (parts.content, *parts.styles))
    assert (content, style, others) == (*pictures, [None] * 3) and {*handlers.finish(key)} <= {*back}
    values = settings(back)
    assert values["strength"] == 20 and values["iterations"] == "3, 2"
    with pytest.raises(gr.Error, match="no longer kept"):
        handlers.bring_back(key, SimpleNamespace(index=2))  # type: ignore[arg-type]


# --- nine drafts, and settings from outside


def test_drafts_fill_fixed_places_one_by_one_with_what_picking_gives(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert nine.DRAFT["size"] == nine.SIZE
    monkeypatch.setattr(nine, "DRAFT", {"size": 64, "iterations": (2,), "scales": (1.0,)})
    looks: dict[str, torch.Tensor] = {}
    series = Series(nine.places(handlers, given(pictures), None))
    for number, _ in enumerate(sketching.drafts(series)):
        grid = nine.pictures(series)
        assert len(grid) == 9
        looks |= {name: load_image(file) for file, name in grid if not number or series.progress == 1}
        if not number:  # the photograph in every place
            faint = [looks[name] for name in looks]
            assert all(torch.equal(other, faint[0]) for other in faint) and 0 < float(faint[0].std()) < 0.1
    assert len(looks) == 9 and series.progress == 1 and series.number == 8
    job = series.places[5].job
    assert (job.config.strength, job.config.style_scale) == (50, 1.6)
    *_, wanted = frames.paint(handlers.job_of(given(pictures), **nine.DRAFT, strength=50, style_scale=1.6))
    look = looks["Strength 50, brush 1.6"]
    assert float((look - resize(torch.from_numpy(wanted.raw), look.shape[-2:])).abs().mean()) < 0.02  # type: ignore[arg-type]


def test_nine_styles_are_bundled_ones_without_the_mix_of_the_paint_tab(pictures: tuple[str, str]) -> None:
    bundled = controls.load_examples(app.EXAMPLES)["styles"]
    places = nine.places(handlers, given((*pictures, pictures[0]), strength=70), bundled)
    assert [place.name for place in places] == [style["title"] for style in bundled[:9]]
    for place, style in zip(places, bundled):
        assert place.job.styles == (style["file"],) and place.job.config.style_weights == ()
        assert place.job.content == pictures[0] and place.job.config.strength == 70


@pytest.mark.parametrize("kind", ["content", "style"])
def test_many_pictures_take_the_place_of_one_of_the_pair(pictures: tuple[str, str], kind: str) -> None:
    files = [pictures[1], pictures[0]]
    values = given((*pictures, pictures[0]), strength=70) | {parts.canvas: pictures[0]}
    jobs = [place.job for place in many.places(handlers, values, files, kind)]
    if kind == "content":
        assert [job.content for job in jobs] == files and {job.styles for job in jobs} == {(pictures[1], pictures[0])}
    else:
        assert [job.styles for job in jobs] == [(file,) for file in files]
        assert {job.content for job in jobs} == {pictures[0]}
    assert all(job.regions is None and job.config.strength == 70 for job in jobs)


@pytest.mark.parametrize(
    ("count", "words"), [(0, "there is no picture yet"), (21, "there are 21 pictures .* at most 20")]
)
def test_a_queue_is_bounded(pictures: tuple[str, str], count: int, words: str) -> None:
    with pytest.raises(StyleTransferError, match=words):
        many.places(handlers, given(pictures), [pictures[0]] * count, "content")


def test_captions_tell_how_far_each_picture_is(pictures: tuple[str, str]) -> None:
    places = many.places(handlers, given(pictures), [*pictures, pictures[0]], "content")
    places[0].progress, places[1].progress, series = 1.0, 0.425, Series(places, number=1, files=["one.png"])
    places[0].file = places[1].file = pictures[0]
    _, captions = zip(*many.pictures(series))
    assert captions == ("content.jpg", "style.png · 42 %")  # nothing of those that wait
    assert many.words(series) == "Painting · 48 % · picture 2 of 3"
    places[1].problem = "'style.png' is no picture"
    places[1].file, places[2].file = None, pictures[0]
    files, captions = zip(*many.pictures(series, ended=True))
    assert captions == ("content.jpg", "'style.png' is no picture", "content.jpg · stopped")
    assert len(load_image(files[1]).unique()) == 1  # a grey tile
    ended: Any = SimpleNamespace(work=series, stopped=True)
    assert many.ending(ended) == "Stopped: 1 of 3 painted, 1 could not be read or painted."


def test_a_picture_made_here_brings_its_settings_back(pictures: tuple[str, str]) -> None:
    key, _ = painted(pictures, strength=20, share1=10, size=128)
    handlers.tint(key, None, "match", 30)
    updates = presets.restored(handlers, saved(key))
    back, blend = settings(updates), updates[parts.blend]
    assert (back["strength"], back["color"], back["iterations"], blend) == (20, "match", "3, 2", 30)
    assert "The settings are back." in updates[parts.state] and "built-in" in updates[parts.network_line]
    assert "given: the photograph and the style." in updates[parts.state] and parts.content not in updates
    for picture, words in ((pictures[1], "holds no settings"), (pictures[0], "is no PNG: .* a JPEG has none")):
        with pytest.raises(gr.Error, match=words):
            presets.restored(handlers, picture)


def test_a_picture_made_here_names_its_bundled_pictures_and_no_other(pictures: tuple[str, str]) -> None:
    photo, styles = handlers.bundled["photos"][4], [style["file"] for style in handlers.bundled["styles"][1:3]]
    key, _ = painted((photo["file"], *styles))
    assert read_settings(saved(key))["pictures"] == {"content": "coffee", "styles": ["wave", "glass"]}
    updates = presets.restored(handlers, saved(key))
    assert [updates[slot] for slot in (parts.content, *parts.styles)] == [photo["file"], *styles, None, None]
    assert (
        updates[parts.result]["value"] == (photo["file"],) * 2
        and "settings and pictures are back: size is 128 here" in updates[parts.state]
    )
    key, _ = painted((photo["file"], styles[0], pictures[1]))
    updates = presets.restored(handlers, saved(key))
    assert updates[parts.content] == photo["file"] and parts.styles[0] not in updates
    assert " Still to be given: the 2 styles." in updates[parts.state]
    key, _ = painted(pictures)
    assert "pictures" not in read_settings(saved(key))


@pytest.mark.parametrize(
    "names",
    [None, "temple", {"content": ["temple"], "styles": "night"}, {"styles": ["night", {}]}, {"content": "../x"}],
)
def test_names_of_pictures_that_are_none_are_left_alone(tmp_path: Path, names: Any) -> None:
    metadata = {"config": Config().to_dict(), "pictures": names}
    assert presets.bundled_in(metadata, handlers.bundled) == (None, [])


def test_a_link_says_what_it_holds_and_what_it_leaves_out(pictures: tuple[str, str]) -> None:
    first = handlers.bundled["results"][0]
    values = given((first["content"], first["style"]), **Config().to_dict()) | {parts.recipe: "balanced"}
    holds, lacks = link.in_link(handlers, values)
    assert holds == ["the photograph", "the style", *link.HELD] and lacks == []
    values |= {parts.content: pictures[0], parts.styles[1]: pictures[1], parts.controls["optimizer"]: "adam"}
    holds, lacks = link.in_link(handlers, values)
    assert holds == ["the style", *link.HELD]
    assert lacks == ["your own photograph", "the other styles of the mix", "what was changed in Expert"]
    assert link.sentence("The link is copied", ["a", "b"], ["c", "d", "e"]) == (
        "The link is copied: it holds a and b; left out: c, d and e."
    )


@pytest.mark.parametrize("blend", ["100", None, -1, 101, [1]])
def test_a_blend_that_is_none_is_left_out(tmp_path: Path, blend: Any) -> None:
    metadata = {"config": Config(size=4096).to_dict(), "blend": blend}
    save_image(torch.zeros(1, 3, 4, 4), tmp_path / "made.png", settings=metadata)
    updates = presets.restored(handlers, str(tmp_path / "made.png"))
    assert updates[parts.blend] == 0 and "size is 2048 here, not 4096" in updates[parts.state]


def test_settings_from_outside_are_what_the_controls_can_show() -> None:
    """Both ends: Gradio refuses a slider's value beyond them at the next click on Paint, without naming it."""
    bounds: dict[str, dict[str, float]] = {"low": {}, "high": {}}
    for name, shown in parts.controls.items():
        if isinstance(shown, (gr.Slider, gr.Number)):
            bounds["low"][name], bounds["high"][name] = shown.minimum, shown.maximum
    low, high = (Config(**bound) for bound in bounds.values())
    assert server.limits.clipped(low) == server.limits.clipped(high) == {}
    widest = {field: FIELDS[field].metadata for field in ("size", "style_scale", "history", "seed")}
    for end, bound in bounds.items():
        beyond = Config(**{field: rule[end] for field, rule in widest.items()})
        config, changes = from_png({"config": beyond.to_dict()}, server.limits)
        assert {field: getattr(config, field) for field in widest} == {field: bound[field] for field in widest}
        assert len(changes.split("; ")) == sum(rule[end] != bound[field] for field, rule in widest.items())
        query = {name: str(rule[end]) for name, rule in (("size", widest["size"]), ("brush", widest["style_scale"]))}
        updates = presets.from_query(handlers, {**query, "seed": "9007199254740993"})
        assert updates[parts.controls["size"]] == bound["size"] and "size is" in updates[parts.state]
        assert updates[parts.controls["seed"]] == 2**53 and "seed is 9007199254740992 here" in updates[parts.state]


def test_a_picture_painted_in_regions_says_that_they_are_not_in_it(tmp_path: Path) -> None:
    save_image(torch.zeros(1, 3, 4, 4), tmp_path / "a.png", settings={"config": Config().to_dict(), "masked": True})
    text = presets.restored(handlers, str(tmp_path / "a.png"))[parts.state]
    assert presets.still_missing({"masked": True}, "a.jpg", ["b.jpg"]) == ["the regions painted on it"]
    assert "given: the photograph, the style and the regions painted on it." in text


def test_an_address_names_bundled_pictures_only() -> None:
    bundled = controls.load_examples(app.EXAMPLES)
    query = {"content": "harbour", "style": "wave", "strength": "70"}
    pictures, _, config, ignored, changes = presets.chosen(query, bundled, Limits())
    assert Path(pictures["content"]).name == "harbour.jpg" and config.strength == 70 and ignored == changes == []
    shown = presets.pair(handlers, pictures)
    assert (shown[parts.content], shown[parts.styles[0]]) == tuple(pictures.values())
    assert (
        Path(shown[parts.result]["value"][1]).name == "harbour-wave-look.webp"
        and "A finished example" in shown[parts.state]
    )
    pictures, _, _, ignored, _ = presets.chosen({"content": "/etc/passwd", "style": "../night"}, bundled, Limits())
    assert pictures == {} and ignored == ["content", "style"]
    shown = presets.pair(handlers, {"content": bundled["photos"][1]["file"]})
    assert shown[parts.result]["value"] == (shown[parts.content],) * 2 and "Not painted yet" in shown[parts.state]


def queue_of(*sessions: str, group: str = "paint") -> Any:
    """Blocks whose first session's event is at work and whose others' wait, all from one address."""

    def event(session: str, group: str) -> Any:
        return SimpleNamespace(
            session_hash=session, concurrency_id=group, request=SimpleNamespace(client=SimpleNamespace(host="h"))
        )

    events = [event(session, group) for session in sessions]
    queue = SimpleNamespace(
        event_queue_per_concurrency_id={group: SimpleNamespace(queue=events[1:])},
        active_jobs=[events[:1], None, [event("me", "other")]],
    )
    return SimpleNamespace(_queue=queue)


@pytest.mark.parametrize(("mine", "others", "refused"), [(1, 1, False), (2, 0, True), (0, 3, False), (0, 4, True)])
def test_a_visitor_has_only_so_many_runs_waiting(
    mine: int, others: int, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, visit = Line(), Visit()
    monkeypatch.setattr(visits, "LINE", line)
    line.tasks = [Task(line, iter(()), owners={visit: 2, "here": 4}) for _ in range(mine)]  # type: ignore[arg-type]
    line.tasks += [Task(line, iter(()), owners={"you": 2, "here": 4}) for _ in range(others)]  # type: ignore[arg-type]
    monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
    context = contextvars.copy_context()
    context.run(LocalContext.request.set, SimpleNamespace(client=SimpleNamespace(host="here")))  # type: ignore[arg-type]
    start = partial(context.run, visits.start, STORE.add(visit), "paint", lambda _: iter(()), work=None, waiting=2)
    if refused:
        with pytest.raises(StyleTransferError, match="already waiting"):
            start()
    else:
        start()
        assert len(line.tasks) == mine + others + 1


@pytest.mark.parametrize("path", ["/gradio_api/queue/join", "/gradio_api/call/stylize"])
@pytest.mark.parametrize(
    ("host", "group", "waiting", "refused"),
    [
        ("h", "paint", 3, False),
        ("h", "paint", 4, True),
        ("elsewhere", "paint", 4, False),
        ("h", "follow", 15, False),
        ("h", "follow", 16, True),
    ],
)
def test_a_program_cannot_fill_the_queue_either(path: str, host: str, group: str, waiting: int, refused: bool) -> None:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    turnstile = Middleware(crowd.Turnstile, waiting=Limits().waiting)
    app: Any = Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])], middleware=[turnstile])
    app.get_blocks = lambda: queue_of(*["one"] * waiting, group=group)
    client = TestClient(app, client=(host, 5000))
    response = client.post(path)
    assert response.status_code == (429 if refused else 200)
    assert (response.json()["detail"] == crowd.TOO_MANY) if refused else response.text == "in"
    assert client.get(path).text == client.post("/gradio_api/upload").text == "in"


def test_visitors_do_not_see_each_other(pictures: tuple[str, str]) -> None:
    one, _ = painted(pictures, strength=20)
    two, _ = painted(pictures, strength=80)
    assert one != two and len(shown(one)["visit"]["value"]) == len(shown(two)["visit"]["value"]) == 1
    assert handling.current(one).settings.strength == 20 and handling.current(two).settings.strength == 80


def test_a_run_leaves_one_line_in_the_log_without_names(
    pictures: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "styletransfer.studio.session"):
        painted(pictures)
    (record,) = [record for record in caplog.records if record.name == "styletransfer.studio.session"]
    entry = json.loads(record.message)
    assert entry.pop("seconds") > 0
    assert entry == {"event": "run", "size": 32, "steps": [3, 2], "network": "builtin", "outcome": "done"}


SECOND = "scale 1 of 2 · step 2 of"


def pause(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Have runs wait after their second step, whose frame has been shown, until the event is set."""
    go_on, frames_of = threading.Event(), session.frames_of

    def paused(*arguments: Any, **options: Any) -> Iterator[Any]:
        with closing(frames_of(*arguments, **options)) as moments:
            for frame in moments:
                yield frame
                assert not frame.text.startswith(SECOND) or go_on.wait(60)

    monkeypatch.setattr(session, "frames_of", paused)
    monkeypatch.setattr(frames, "PREVIEW_EVERY", 0)
    return go_on


def wait_for_picture(key: Any) -> None:
    """Until the visit has the picture after its second step."""
    for _ in range(6000):
        visit, task = visits.visit_of(key), visits.task_of(key, "paint")
        if visit and visit.current and task and task.latest[0].text.startswith(SECOND):
            return
        time.sleep(0.01)
    raise AssertionError("no picture")


def watch_closing(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the core's generator is closed or ends."""
    closed, iterate = threading.Event(), frames.iterate

    def watched(*arguments: Any, **options: Any) -> Iterator[Any]:
        try:
            yield from iterate(*arguments, **options)
        finally:
            closed.set()

    monkeypatch.setattr(frames, "iterate", watched)
    return closed


# --- nothing is lost


def test_a_run_goes_on_without_its_page_and_is_found_again(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = pause(monkeypatch)
    key = handlers.run(given(pictures, iterations="40, 2", strength=20))[parts.key]
    page = handlers.follow(key)
    next(page)
    wait_for_picture(key)
    page.close()  # type: ignore[attr-defined]  # what Gradio does when a tab is closed
    task = visits.task_of(key, "paint")
    assert task is not None and not task.ended
    found = handlers.found(key)
    assert (found[parts.run]["visible"], found[parts.stop]["visible"]) == (False, True)
    assert (found[parts.content], found[parts.styles[0]], found[parts.styles[1]]) == (*pictures, None)
    assert settings(found)["strength"] == 20 and settings(found)["iterations"] == "40, 2"
    with pytest.raises(gr.Error, match="being painted for you already"):
        handlers.run(given(pictures, key))
    again = handlers.follow(key)
    assert load_image(next(again)[parts.result]["value"][1]).shape[-2:] == (26, 32)  # the preview goes on at once
    go_on.set()
    list(again)
    assert task.ended and not task.stopped
    found = handlers.found(key)
    assert "Done in" in found[parts.state] and found[parts.run]["visible"] and len(found[parts.visit]["value"]) == 1
    assert handling.current(key).metadata["outcome"] == "done"


def test_a_visit_is_found_with_its_last_picture_but_not_with_files_that_are_gone(pictures: tuple[str, str]) -> None:
    key, _ = painted(pictures, strength=20)
    handlers.tint(key, None, "match", 30)
    Path(pictures[0]).unlink()
    found = handlers.found(key)
    assert (found[parts.content], found[parts.styles[0]]) == (None, pictures[1])
    assert (settings(found)["color"], found[parts.blend]) == ("match", 30)
    assert {*found} <= {*parts.shown, *parts.settings, *parts.pictures}


@pytest.mark.parametrize("key", [None, "unknown", 7, ["a"], {"a": 1}])
def test_a_key_that_is_none_finds_nothing(key: Any, pictures: tuple[str, str]) -> None:
    assert handlers.found(key) == {} and list(handlers.follow(key)) == []
    stop("paint")(key)
    new = handlers.run(given(pictures, key))[parts.key]
    assert isinstance(new, str) and new != key
    list(handlers.follow(new))


def test_an_error_that_nobody_saw_is_told_when_the_page_is_back(pictures: tuple[str, str]) -> None:
    key = handlers.run(given((pictures[0], __file__)))[parts.key]
    with pytest.raises(gr.Error, match="test_app.py"):
        list(handlers.follow(key))
    assert handlers.found(key) == {}
    painted(pictures, key)


def test_blobs_of_painted_regions_are_bounded() -> None:
    canvas = page_controls()["canvas"]

    def blob(number: int, size: int = 10) -> Any:
        described = {"type": "layer", "index": "0", "id": str(number)}
        return SimpleNamespace(data=described, files=[("file", b"x" * size)])

    for number in range(inputs.MAX_BLOBS + 5):
        canvas.accept_blobs(blob(number))
    assert len(canvas.blob_storage) == inputs.MAX_BLOBS
    with pytest.raises(gr.Error, match="too large"):
        canvas.accept_blobs(blob(0, inputs.MAX_BLOB + 1))
    payload = SimpleNamespace(id=str(inputs.MAX_BLOBS), layers=[])
    assert canvas.preprocess(payload) == b"x" * 10 and canvas.preprocess(payload) is None
    canvas.blob_storage.clear()


# --- examples


def test_examples_without_their_files_are_left_out(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    listed = {
        "photos": [{"title": "A", "file": "a.jpg"}, {"title": "gone", "file": "gone.jpg"}],
        "styles": [{"title": "B", "file": "b.jpg"}],
        "results": [
            {"file": "b.jpg", "content": "a.jpg", "style": "b.jpg"},
            {"file": "a.jpg", "content": "a.jpg", "style": "gone.jpg"},
        ],
    }
    (tmp_path / "examples.json").write_text(json.dumps(listed))
    bundled = controls.load_examples(tmp_path)
    assert [entry["title"] for entry in bundled["photos"]] == ["A"]
    a, b = str(tmp_path / "a.jpg"), str(tmp_path / "b.jpg")
    assert bundled["results"] == [{"file": b, "content": a, "style": b, "small": b, "look": b}]


@pytest.mark.parametrize("text", ["", "{", "{}"])
def test_a_broken_list_of_examples_is_an_empty_one(tmp_path: Path, text: str) -> None:
    (tmp_path / "examples.json").write_text(text)
    assert not any(controls.load_examples(tmp_path).values())


def test_the_page_opens_without_examples(tmp_path: Path) -> None:
    assert isinstance(app.page.build_demo(server, tmp_path / "none"), gr.Blocks)


@pytest.mark.parametrize(
    ("limits", "missing", "sentences"),
    [
        (
            Limits(),
            ["av", "cv2"],
            {
                "en": "clips need extra packages: pip install &#x27;av&gt;=15,&lt;19&#x27; &#x27;opencv",
                "zh-CN": "软件包：pip install &#x27;av",
            },
        ),
        (Limits(zero=True), [], {"en": "clips are not painted here", "zh-CN": "这里不绘制视频"}),
        (Limits(), [], {}),
    ],
)
def test_where_clips_cannot_be_painted_their_tab_says_why(
    limits: Limits, missing: list[str], sentences: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("styletransfer.extras.find_spec", lambda name: None if name in missing else object())
    components = app.page.build_demo(Server(limits), app.EXAMPLES).get_config_file()["components"]
    names = {part["props"].get("elem_id") for part in components}
    assert ("clip-missing" in names) is bool(sentences) and ("clip-run" in names) is not bool(sentences)
    for language, sentence in sentences.items():
        assert sentence in i18n.translations[language]["clip-missing"]


def test_a_picture_is_chosen_by_its_number() -> None:
    choose = controls.chooser([{"file": "a"}, {"file": "b"}])
    assert choose(SimpleNamespace(index=1, value={"image": {"path": "/etc/passwd"}})) == "b"


def test_tiles_are_named_and_know_the_picture_that_is_chosen() -> None:
    bundled, page = controls.load_examples(app.EXAMPLES), page_controls()
    for name, kind in (("photos", "photos"), ("styles", "styles"), ("pairs", "results")):
        for entry in bundled[kind]:
            assert f">{controls.title_of(entry)}<" in page[name].html_template
    assert page["photos"].value == 0 and page["styles"].value == 0 and page["pairs"].value == -1
    script = controls.marker(bundled["styles"])
    files = json.loads(script.removeprefix("picture => ").removesuffix(".indexOf(picture?.path)"))
    assert files == [entry["look"] for entry in bundled["styles"]]


def test_a_bundled_style_is_shown_by_a_copy_and_painted_from_its_file() -> None:
    slot, style = parts.styles[0], handlers.bundled["styles"][1]
    shown = slot.postprocess(style["file"])
    assert shown.path == style["look"] != style["file"] and slot.preprocess(shown) == style["file"]
    assert slot.preprocess(gr.FileData(path="/tmp/mine.png")) == "/tmp/mine.png" and slot.preprocess(None) is None


# --- what is shown before anything is painted


def places(key: str | None = None, **pictures: str) -> dict[Any, Any]:
    """The pictures in their places, and the last readable ones there: the first example's, but for the changes."""
    first = handlers.bundled["results"][0]
    slots = {"content": parts.content, "style": parts.styles[0]}
    return {
        parts.key: key,
        **{slot: pictures.get(name, first[name]) for name, slot in slots.items()},
        **{parts.good[slot]: first[name] for name, slot in slots.items()},
    }


def test_an_upload_is_shown_unpainted_in_place_of_the_last_picture(pictures: tuple[str, str]) -> None:
    key, _ = painted(pictures)
    updates = pictures_page.take(handlers, parts.content)(places(key, content=pictures[0]))
    assert updates[parts.good[parts.content]] == pictures[0] and updates[parts.says[parts.content]] == ""
    photograph, painting = updates[parts.result]["value"]
    assert photograph.shape == (32, 40, 3) and painting is photograph and "Not painted yet" in updates[parts.state]
    assert not any(updates[button]["interactive"] for button in parts.actions)
    assert "result" not in shown(key)  # not even a run that fails now brings the last picture back


def test_an_upload_that_browsers_cannot_show_is_said_to_be_read(pictures: tuple[str, str], tmp_path: Path) -> None:
    tiff = tmp_path / "scan.TIF"
    tiff.write_bytes(Path(pictures[0]).read_bytes())
    updates = pictures_page.take(handlers, parts.content)(places(content=str(tiff)))
    assert updates[parts.content] == str(tiff) and "TIFF" in updates[parts.says[parts.content]]


def test_an_upload_that_cannot_be_read_gives_way_to_the_picture_that_was_there(tmp_path: Path) -> None:
    broken = tmp_path / "<b>.png"
    broken.write_bytes(b"no picture")
    updates = pictures_page.take(handlers, parts.content)(places(content=str(broken)))
    assert updates.pop(parts.content) == places()[parts.content]
    assert "&lt;b&gt;.png" in updates.pop(parts.says[parts.content]) and updates == {}


def test_a_photograph_that_no_size_makes_wide_enough_is_refused_at_once(tmp_path: Path) -> None:
    for height, refused in ((50, True), (80, False)):
        Image.new("L", (10000, height)).save(tmp_path / "thin.png")
        updates = pictures_page.take(handlers, parts.content)(places(content=str(tmp_path / "thin.png")))
        words = (
            "'thin.png' is too narrow, with 10000 x 50 pixels: the long side may be at most 128 times the short one."
        )
        assert (words in updates[parts.says[parts.content]]) is refused
        assert updates[parts.content] == (places()[parts.content] if refused else str(tmp_path / "thin.png"))


def test_another_style_leaves_the_painted_picture(pictures: tuple[str, str]) -> None:
    key, _ = painted(pictures)
    styles = handlers.bundled["styles"]
    choose = pictures_page.choose(handlers, parts.styles[0], styles)
    for key_given, changes in ((key, False), (None, True)):
        updates = choose(places(key_given), SimpleNamespace(index=1))
        assert updates[parts.styles[0]] == styles[1]["file"] and (parts.result in updates) is changes


def test_nothing_that_is_chosen_disturbs_a_run(pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = pause(monkeypatch)
    key = handlers.run(given(pictures, iterations="40, 2"))[parts.key]
    wait_for_picture(key)
    assert parts.result not in pictures_page.take(handlers, parts.content)(places(key, content=pictures[0]))
    with pytest.raises(gr.Error, match="being painted"):
        pictures_page.show_example(handlers, 0, key)
    assert handling.current(key) is not None
    stop("paint")(key)
    go_on.set()
    list(handlers.follow(key))


def test_a_finished_example_is_saved_recoloured_and_blended() -> None:
    entry = handlers.bundled["results"][0]
    finished = load_image(entry["file"])
    before = {button.elem_id: button for button in parts.actions}
    assert [name for name, button in before.items() if not button.interactive] == [
        f"keep-{kind}" for kind in handling.FILMS
    ]
    key, example, file = handlers.save("png")(None, 0)
    assert torch.equal(load_image(file), finished) and example is None and Path(file).name == "temple-night-640.png"
    assert read_settings(file)["config"] == Config(size=640).to_dict()
    photograph = resize(load_image(entry["content"]), finished.shape[-2:])
    _, look = handlers.tint(key, example, "content", 0)[parts.result]["value"]
    assert float((load_image(look) - recolor(finished, photograph, "content")).abs().mean()) < 0.02
    handlers.tint(key, example, "content", 100)
    assert (
        float((load_image(saved(key)) - photograph).abs().max()) < 1 / 255 and read_settings(saved(key))["blend"] == 100
    )
    assert not shown(key)["webp"]["interactive"] and shown(key)["more"]["interactive"]


def test_a_file_is_named_for_what_it_is(pictures: tuple[str, str], tmp_path: Path) -> None:
    odd = tmp_path / ("we ird'<na>me" + "x" * 60 + ".jpg")
    odd.write_bytes(Path(pictures[0]).read_bytes())
    key, _ = painted((str(odd), pictures[1]))
    assert Path(saved(key)).name == "we-ird-na-me" + "x" * 28 + "-style-32.png"
    assert saved(key) != saved(key)  # each under a new path, so that no browser keeps an older one


# --- over the network


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    web_app, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, **app.page.launch_options(server, app.EXAMPLES))
    app.page.add_health(demo, web_app, server.limits)
    try:
        yield url
    finally:
        demo.close(verbose=False)


def test_the_page_runs_as_many_jobs_at_a_time_as_there_are_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    two: Any = SimpleNamespace(workers=2)
    assert LINE.workers == 1
    monkeypatch.setattr(LINE, "workers", 1)  # to be put back
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        pages = {1: demo, 2: app.page.build_demo(Server(engine=two), app.EXAMPLES)}
        gc.collect()
    for at_once, page in pages.items():
        runs = [event for event in page.fns.values() if event.concurrency_id == "paint"]
        assert len(runs) >= 2 and {event.concurrency_limit for event in runs} == {at_once}
    assert LINE.workers == 2


def test_what_the_page_does_with_itself_is_no_endpoint(served: str) -> None:
    assert sorted(Client(served, verbose=False).view_api(return_format="dict")["named_endpoints"]) == [
        "/options",
        "/stylize",
    ]


def test_a_shared_link_shows_our_own_title_sentence_picture_and_icon(served: str) -> None:
    answer = httpx.get(served, headers={"Accept-Encoding": "identity"})
    told = dict(re.findall(r'<meta (?:property|name)="(og:[a-z:]+|description)" content="([^"]*)"', answer.text))
    assert told["og:title"] == "Style Transfer: your picture, repainted"
    assert told["og:description"] == told["description"] and "repainted" in told["description"]
    assert told["og:url"] == served and "{url}" not in answer.text and 'content="Gradio"' not in answer.text
    with Image.open(io.BytesIO(httpx.get(told["og:image"]).content)) as card:
        assert card.size == (1200, 630) == (int(told["og:image:width"]), int(told["og:image:height"]))
    icon = (app.EXAMPLES / "small" / "icon.png").read_bytes()
    assert httpx.get(f"{served}favicon.ico").content == icon
    compressed = httpx.get(served)
    assert compressed.headers["content-encoding"] == "gzip"
    assert int(compressed.headers["content-length"]) < len(answer.content) / 3


def test_a_shared_link_names_the_address_that_a_proxy_tells(served: str) -> None:
    page = httpx.get(served, headers={"X-Forwarded-Host": "example.org", "X-Forwarded-Proto": "https"}).text
    assert '<meta property="og:image" content="https://example.org/card.jpg" />' in page


def test_operators_see_that_it_runs_and_what_is_waiting(served: str) -> None:
    health = httpx.get(f"{served}healthz").json()
    assert health["status"] == "ok" and health["ready"] is True
    assert (health["workers"], health["running"], health["waiting"]) == (1, 0, 0)
    assert health["limits"]["size"] == server.limits.size


def test_the_way_past_the_queue_is_closed(served: str) -> None:
    assert httpx.post(f"{served}gradio_api/run/stylize", json={"data": []}).status_code == 404


def test_an_address_is_the_one_that_a_proxy_on_this_machine_names(served: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here = queue_of(*["one"] * 4)._queue.active_jobs[0] * 4
    for event in here:
        event.request.client.host = "127.0.0.1"
    monkeypatch.setattr(crowd, "jobs", lambda *_: (here, []))
    join = f"{served}gradio_api/queue/join"
    assert httpx.post(join, json={}).status_code == 429
    assert httpx.post(join, json={}, headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 422


def test_mcp_is_served_only_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["app.py", "--mcp"])
    monkeypatch.setattr(app, "find_spec", lambda name: None)
    with pytest.raises(SystemExit):
        app.main()
    assert "pip install 'gradio[mcp]'" in capsys.readouterr().err


@pytest.mark.parametrize(("typed", "taken"), [(None, 0), (500, 100), (-3, 0), (40, 40)])
def test_a_number_typed_beside_a_slider_is_taken_as_near_as_it_goes(typed: Any, taken: float) -> None:
    assert parts.blend.preprocess(typed) == taken


@pytest.mark.parametrize(("name", "first"), [("strength", 50), ("style_scale", 1), ("size", 512), ("seed", 0)])
def test_a_number_that_is_left_empty_is_its_first_value(name: str, first: float) -> None:
    assert parts.controls[name].preprocess(None) == first


def test_what_nine_drafts_came_to_is_told(pictures: tuple[str, str]) -> None:
    series = Series(nine.places(handlers, given(pictures), None))
    stopped: Any = SimpleNamespace(work=series, ended=True, stopped=True)
    assert nine.ending(stopped) == "Stopped: nothing is painted yet."
    series.places[0].progress = 0.2
    assert nine.ending(stopped) == f"Stopped. {nine.PICK}"
    stopped.ended = False
    assert nine.ending(stopped).startswith("Painting · 2 %")
