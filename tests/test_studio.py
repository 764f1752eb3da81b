"""The studio: what may be asked for, what a run yields, how it goes on, and what is kept of it and for how long."""

from __future__ import annotations

import math
import pickle
import shlex
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small import QUICK, _a_small_network, finished, job, out_of_time  # noqa: F401

from styletransfer import RECIPES, Config, StyleTransferError, load_image, recolor, resize, stylize
from styletransfer.cli import build_parser, configured
from styletransfer.images import read_settings
from styletransfer.objective import Objective
from styletransfer.studio import frames
from styletransfer.studio import kept as keeping
from styletransfer.studio.job import Job, checked
from styletransfer.studio.kept import Film, Kept, Store, Visit, within
from styletransfer.studio.server import Limits, Server, limits
from styletransfer.studio.session import continuation, run
from styletransfer.studio.task import Line
from styletransfer.studio.wording import FIELDS, as_text, command, from_address, from_png, from_text

LIMITS = Limits()


# --- what may be asked for


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"size": LIMITS.size + 1}, "size is"),
        ({"size": "original"}, "size is original"),
        ({"style_scale": 2.5}, "style_scale is 2.5: at most 2"),
        ({"history": 150}, "history is 150: at most 100"),
        ({"iterations": "3000, 2001"}, "there are 5001 iterations in all: at most 5000"),
        ({"iterations": "3000"}, "there are 6000 iterations in all"),
        ({"iterations": "1, x"}, "iterations must be numbers with commas between them, got '1, x'"),
        ({"style_layers": "relu9_9"}, "unknown layer 'relu9_9'"),
        ({"strength": 101}, "strength must lie between 0 and 100"),
        ({"init": "nothing"}, "unknown init 'nothing'"),
        ({"init": "image"}, "no painted picture yet to start from"),
        ({"rest": "nothing"}, "unknown rest 'nothing'"),
    ],
)
def test_the_server_checks_again(pictures: tuple[str, str], change: dict[str, Any], words: str) -> None:
    with pytest.raises(StyleTransferError, match=words):
        job(pictures, **change)


def test_missing_and_too_many_pictures_are_named(pictures: tuple[str, str]) -> None:
    content, style = pictures
    for one, several, words in ((None, [style], "no picture"), (content, [], "no style"), (content, [style] * 5, "5")):
        with pytest.raises(StyleTransferError, match=f"there (is|are) {words}"):
            checked(Server(), QUICK, content=one, styles=several)


def test_weights_of_the_command_line_are_for_the_vgg_networks_alone(pictures: tuple[str, str]) -> None:
    for network, weights in (("vgg19-caffe", "some.pth"), ("auto", None), ("builtin", None)):
        assert job(pictures, network=network, weights="some.pth").config.weights == weights


def test_limits_depend_on_who_shares_the_computer() -> None:
    assert limits({}, gpu=False) == Limits()
    assert (limits({"SPACE_ID": "a/b"}, gpu=False).size, limits({"SPACE_ID": "a/b"}, gpu=True).size) == (1024, 2048)
    zero = limits({"SPACE_ID": "a/b", "SPACES_ZERO_GPU": "1"}, gpu=False)
    assert zero.zero and zero.seconds == 100 and zero.size == 2048
    shared = limits({"SPACE_ID": "a/b"}, gpu=False)
    assert (shared.clip_size, shared.clip_seconds, shared.clip_frames) == (384, 10, 60)


def test_on_a_lent_gpu_the_time_grows_with_size_and_steps_up_to_the_limit() -> None:
    zero = limits({"SPACE_ID": "a/b", "SPACES_ZERO_GPU": "1"}, gpu=False)
    small, large, longer = (
        zero.seconds_for(Config(size=size, iterations=steps))
        for size, steps in ((256, (10,)), (512, (10,)), (512, (20,)))
    )
    assert 15 < small < large < longer < 100
    assert longer - 15 == pytest.approx(2 * (large - 15)) and large - 15 == pytest.approx(4 * (small - 15))
    assert zero.seconds_for(Config(size=2048, iterations=(1000,))) == 100


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_its_way_through_text(name: str) -> None:
    shown = {field: as_text(getattr(RECIPES[name], field)) for field in FIELDS}
    assert Config(**{field: from_text(field, value) for field, value in shown.items()}) == RECIPES[name]


# --- as a command


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        RECIPES["draft"],
        replace(RECIPES["crowson"], strength=70.5, size=640, style_weights=(2, 1)),
        replace(RECIPES["gatys"], box=True, seed=2**40, color="content"),
        Config(box=False, scales=(0.5, 1.0), content_layers=("relu3_1",), init="noise"),
    ],
)
def test_the_command_asks_for_the_same_run(config: Config) -> None:
    words = shlex.split(command(config, "my photo.jpg", ["it's a style.png"]))
    assert words[:3] == ["python", "-m", "styletransfer"]
    options = build_parser().parse_args(words[3:])
    assert options.pictures == ["my photo.jpg", "it's a style.png"] and str(options.output) == "out.png"
    assert configured(options) == config


def test_a_name_with_a_leading_dash_is_no_flag() -> None:
    words = shlex.split(command(Config(), "-a.jpg", ["--size", "b.jpg"]))
    assert build_parser().parse_args(words[3:]).pictures == ["./-a.jpg", "./--size", "b.jpg"]


def test_the_command_is_as_short_as_it_can_be() -> None:
    assert command(Config(), "a.jpg", ["b.jpg"]) == "python -m styletransfer a.jpg b.jpg -o out.png"
    assert command(replace(RECIPES["best"], strength=70.0), "a.jpg", ["b.jpg"]).endswith(
        "-o out.png --recipe best --strength 70.0"
    )


# --- settings that come back


def test_settings_of_a_picture_come_back(pictures: tuple[str, str]) -> None:
    kept = finished(pictures, strength=70, seed=5, size=128)
    config, changed = from_png(read_settings(kept.file("png")), LIMITS)
    assert config == kept.job.config and changed == ""


def test_settings_never_name_files_or_devices_of_the_server_and_fit_its_limits() -> None:
    given = {**Config().to_dict(), "weights": "/etc/passwd", "device": "cuda:7", "size": "original", "init": "image"}
    config, changed = from_png({"config": given}, LIMITS)
    assert (config.weights, config.device, config.size, config.init) == (None, "auto", LIMITS.size, "content")
    assert "size is 2048 here, not original" in changed and "starts from the photograph" in changed


def test_settings_of_an_older_picture_come_back_with_what_has_changed_since() -> None:
    config, changed = from_png({"config": {**Config(size=640).to_dict(), "octaves": 3}}, LIMITS)
    assert config.size == 640 and changed == "the setting octaves, which was 3, no longer exists"


@pytest.mark.parametrize("metadata", [{}, {"config": 3}, {"config": {"nothing": 1}}, {"config": {"size": "x"}}])
def test_settings_that_are_none_are_refused(metadata: dict[str, Any]) -> None:
    with pytest.raises(StyleTransferError):
        from_png(metadata, LIMITS)


@pytest.mark.parametrize(
    ("query", "recipe", "changes", "ignored"),
    [
        ({}, "balanced", {}, []),
        ({"quality": "draft", "strength": "70"}, "draft", {"strength": 70.0}, []),
        ({"brush": "0.5", "size": "640", "seed": "7", "color": "match"}, "balanced",
         {"style_scale": 0.5, "size": 640, "seed": 7, "color": "match"}, []),
        ({"quality": "none", "strength": "many", "size": "0"}, "balanced", {}, ["quality", "strength", "size"]),
        ({"size": "9999", "brush": "0.1"}, "balanced", {"size": 2048, "style_scale": 0.25}, []),
        ({"size": "64"}, "balanced", {"size": 128}, []),
        ({"device": "cuda", "weights": "/etc/passwd", "__theme": "dark", "fbclid": "x"}, "balanced", {}, []),
        ({"size": "300.5", "brush": "nan", "network": "vgg99"}, "balanced", {}, ["brush", "size", "network"]),
    ],
)  # fmt: skip
def test_an_address_presets_what_it_may(
    query: dict[str, str], recipe: str, changes: dict[str, Any], ignored: list[str]
) -> None:
    assert from_address(query, LIMITS)[:3] == (recipe, replace(RECIPES[recipe], **changes), ignored)


# --- the run


def test_frames_end_where_the_core_ends(pictures: tuple[str, str]) -> None:
    asked = job(pictures, strength=70)
    *_, last = frames.paint(asked)
    wanted = stylize(load_image(pictures[0]), [load_image(pictures[1])], asked.config)
    assert np.array_equal(last.raw, wanted.raw.numpy())
    assert last.metadata == wanted.metadata and last.progress == 1
    assert last.losses == {name: wanted.history[-1][name] for name in last.losses}


def test_frames_and_jobs_can_be_pickled(pictures: tuple[str, str]) -> None:
    again = list(frames.paint(pickle.loads(pickle.dumps(job(pictures)))))[-1]
    copy = pickle.loads(pickle.dumps(again))
    assert np.array_equal(copy.raw, again.raw) and copy.metadata == again.metadata and copy.step is None
    assert again.step is not None


def test_out_of_time_the_picture_so_far_is_the_result(pictures: tuple[str, str]) -> None:
    asked = out_of_time(job(pictures, iterations="1000"))
    painted = [frame for frame in frames.paint(asked) if frame.raw is not None]
    assert len(painted) == 1 and painted[0].metadata["outcome"] == "stopped"
    assert painted[0].text.startswith("scale 1 of 2 · step 1 of 1000")


def test_the_pictures_of_a_run_are_read_once_and_the_first_is_saved_once(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = []

    def watched(path: str, **options: Any) -> Any:
        paths.append(path)
        return load_image(path, **options)

    monkeypatch.setattr(frames, "load_image", watched)
    kept = finished(pictures)
    assert paths == [*pictures]
    written = Path(kept.before).stat().st_mtime_ns
    assert Path(kept.before).stat().st_mtime_ns == written


def test_a_load_in_progress_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = threading.Event()

    def network_for(config: Config, report: Any) -> str:
        report("10 of 52 MB")
        assert shown.wait(60)
        return f"the network for {config.network}"

    monkeypatch.setattr(frames, "network_for", network_for)
    lines = frames.loading(Config(network="vgg19"))
    assert next(lines).text == "10 of 52 MB"
    shown.set()
    with pytest.raises(StopIteration) as end:
        next(lines)
    assert end.value.value == "the network for vgg19"


def test_two_networks_stay_loaded() -> None:
    first = frames.network_for(Config())
    assert frames.network_for(Config(strength=3)) is first
    for layers in (("relu1_1",), ("relu2_1",)):
        frames.network_for(Config(style_layers=layers))
    assert len(frames._networks) == 2
    assert frames.network_for(Config()) is not first


def test_sketches_are_painted_one_after_the_other_and_share_what_they_can(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same pictures as alone, though each file is read once, and the style is measured once for each brush size."""
    read, measured = [], []
    style_moments = Objective._style_moments

    def moments(self: Objective, style: torch.Tensor) -> Any:
        measured.append(style.shape)
        return style_moments(self, style)

    jobs = [job(pictures, strength=strength, style_scale=brush) for strength in (20, 80) for brush in (1, 1.5)]
    alone = [list(frames.paint(asked))[-1].raw for asked in jobs]
    monkeypatch.setattr(frames, "load_image", lambda path, **options: read.append(path) or load_image(path, **options))
    monkeypatch.setattr(Objective, "_style_moments", moments)
    found = list(frames.sketch(jobs))
    assert read == [*pictures] and len(measured) == 4  # two brush sizes at two scales
    assert sorted({number for number, _ in found}) == [0, 1, 2, 3] and found[-1][0] == 3
    for number in range(len(jobs)):
        assert np.array_equal([frame for at, frame in found if at == number][-1].raw, alone[number])


def test_sketches_read_large_pictures_in_small(tmp_path: Path) -> None:
    Image.effect_noise((400, 200), 60).convert("RGB").save(tmp_path / "large.png")
    asked = job((str(tmp_path / "large.png"),) * 2, iterations="1, 1")
    first, *_, (_, last) = frames.sketch([asked])
    small = resize(load_image(tmp_path / "large.png"), (32, 64))
    assert torch.equal(torch.from_numpy(first[1].content), resize(small, (16, 32)))
    assert last.raw.shape == (1, 3, 16, 32)


def test_the_time_left_is_estimated_and_then_measured_at_the_scale_under_way() -> None:
    """Steps of 9 s at the first scale, of 2 s at the last, whose first takes 7 s more; estimated: of 5 s and 3 s."""
    clock, seconds, told = frames.Clock((50.0, 30.0)), 0.0, []
    for scale in range(2):
        for iteration in range(1, 11):
            seconds += 9.0 if scale == 0 or iteration == 1 else 2.0
            step: Any = SimpleNamespace(scale=scale, scales=2, iteration=iteration, iterations=10)
            told.append(clock.left(step, seconds))
    first = [75, 70, 65, *(9 * left + 30 for left in range(6, -1, -1))]
    assert told == [*first, 27, 24, 21, *(2 * left for left in range(6, -1, -1))]


def test_a_run_tells_how_far_it_is_in_plain_words() -> None:
    painted: Any = {"metadata": {"steps": [1]}}
    assert frames.Frame("10 of 52 MB", lead="Anew · ").told == "Anew · Getting ready · 10 of 52 MB"
    assert frames.Frame("first step", content=np.zeros((1, 3, 1, 1))).told == "Getting ready · first step"
    assert frames.Frame("scale 3 of 3", 0.42, 12.3, **painted).light.told == "Painting · 42 % · about 12 s"
    assert frames.Frame("scale 3 of 3", 0.996, 0.1, **painted).told == "Painting · 100 % · about 1 s"
    told = frames.Frame("", 0.5, 300.0, "Anew · ", " · smaller steps", **painted).told
    assert told == "Anew · Painting · 50 % · about 5 min · smaller steps"


def test_the_loss_curve_is_short_and_has_the_last_step() -> None:
    history = [
        {"scale": 0.0, "iteration": i, "total": 10.0**-i, "style": 10.0**-i, "style/relu1_1": 1.0} for i in range(9)
    ]
    assert frames.loss_curve(history) == {
        name: pytest.approx([-float(i) for i in range(9)]) for name in ("total", "style")
    }
    long = frames.loss_curve([{"total": float(i + 1), "content": 1.0, "style": 1.0} for i in range(5000)])
    assert 100 < sum(map(len, long.values())) <= frames.CURVE_POINTS
    assert long["total"][-1] == pytest.approx(np.log10(5000))
    late = frames.loss_curve([{"total": 1.0}, {"total": 1.0, "nearest": 0.1}])["nearest"]
    assert math.isnan(late[0]) and late[1] == pytest.approx(-1)
    assert frames.loss_curve([{"total": np.nan}, {"total": np.inf}, {"total": 0.0}]) == {"total": [-12, 30, -12]}


# --- going on


def test_a_finished_run_goes_on_with_its_optimiser(pictures: tuple[str, str]) -> None:
    kept = finished(pictures)
    *_, last = frames.paint(kept.job.continued(kept.metadata["steps"], 4), kept.step)
    *_, whole = frames.paint(job(pictures, iterations="3, 6"))
    assert np.array_equal(last.raw, whole.raw) and last.metadata == whole.metadata


def test_a_stopped_run_goes_on_to_its_end(pictures: tuple[str, str]) -> None:
    asked = job(pictures)
    first = next(frame for frame in frames.paint(out_of_time(asked)) if frame.raw is not None)
    *_, last = frames.paint(asked.continued(first.metadata["steps"], 0), first.step)
    *_, whole = frames.paint(asked)
    assert np.array_equal(last.raw, whole.raw)


def test_steps_that_were_the_networks_choice_are_gone_on_from(pictures: tuple[str, str]) -> None:
    asked = job(pictures, iterations="")
    assert asked.config.iterations == ()
    assert asked.continued((12, 54), 50).config.iterations == (12, 104)
    assert asked.continued((12, 54), 0).config.iterations == ()


def test_without_a_state_the_run_starts_anew_from_the_picture(pictures: tuple[str, str]) -> None:
    kept = finished(pictures)
    anew = kept.job.restarted(kept.raw.numpy(), 2)
    assert (anew.config.init, anew.config.scales, anew.config.iterations) == ("image", (1.0,), (2,))
    content, style = map(load_image, pictures)
    wanted = stylize(content, [style], anew.config, init_image=kept.raw)
    *_, last = frames.paint(anew)
    assert np.array_equal(last.raw, wanted.raw.numpy())


def test_finer_is_the_next_size_from_where_it_is(pictures: tuple[str, str]) -> None:
    kept = finished(pictures, size=64)
    larger = kept.job.finer(kept.raw.numpy())
    assert larger.config.size == 96 and larger.config.init == "image"
    assert kept.job.finer(np.zeros((1, 3, 1, LIMITS.size - 32))).config.size == LIMITS.size
    with pytest.raises(StyleTransferError, match=f"at most {LIMITS.size}"):
        kept.job.finer(np.zeros((1, 3, 1, LIMITS.size)))


def test_a_finer_picture_is_continued_with_its_optimiser(pictures: tuple[str, str]) -> None:
    kept, visit = finished(pictures, size=64), Visit()
    for _ in run(kept.job.finer(kept.raw.numpy()), visit):
        pass
    assert visit.current is not None
    further, resume = continuation(visit.current)
    *_, last = frames.paint(further, resume)
    assert resume is not None and last.metadata["steps"] == [60] and last.metadata["outcome"] == "done"
    visit.clear()


def test_a_large_state_loses_its_oldest_pairs_and_then_all(pictures: tuple[str, str]) -> None:
    step = finished(pictures, iterations="6").step
    assert step is not None
    size, memory = frames.state_bytes(step.state), step.state.solver.memory
    assert len(memory) > 2 and within(step, size) is step
    tensors = [tensor for pair in memory for tensor in pair]
    assert size > sum(tensor.nbytes for tensor in tensors)
    smaller = within(step, size - 1)
    assert smaller is not None and smaller.state.solver.memory == memory[1:]
    assert frames.state_bytes(smaller.state) <= size - 1
    assert within(step, 100) is None


# --- regions


@pytest.mark.parametrize("opacity", [128, 255])
def test_regions_go_to_the_style_of_their_colour(tmp_path: Path, pictures: tuple[str, str], opacity: int) -> None:
    strokes = np.zeros((80, 100, 4), np.uint8)
    strokes[:, :50] = (0xE8, 0x33, 0x6D, opacity)
    strokes[:40, 50:] = (0x1D, 0x90, 0xE0, opacity)  # not quite the brush's colour, as an editor's canvas may have it
    Image.fromarray(strokes).save(tmp_path / "strokes.png")
    asked = replace(job(pictures, regions=str(tmp_path / "strokes.png")), styles=(pictures[1],) * 2)
    first, second = frames.masks(asked, (320, 400))
    assert first is not None and second is not None and first.shape == (1, 1, 320, 400)
    assert (first[..., :190] == 1).all() and (first[..., 210:] == 0).all()
    assert (second[..., :150, 210:] == 1).all() and (second[..., 170:, :] == 0).all()
    assert 0.2 < float(first[0, 0, 100, 200]) < 0.8  # a soft edge
    rest, again = frames.masks(replace(asked, rest="first"), (320, 400))
    assert rest is None and torch.equal(again, second)  # type: ignore[arg-type]


# --- what is kept


def blank(side: int = 2, color: str = "style", **options: Any) -> Kept:
    picture = torch.zeros(1, 3, side, side)
    return Kept(Job("", ("",), Config(), LIMITS), Config(color=color), picture, picture, **options)


def test_a_thumbnail_is_made_once_for_its_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    monkeypatch.setattr(Kept, "_make_thumbnail", lambda self: made.append((self.settings.color, self.blend)))
    result = blank()
    assert result.thumbnail() == result.thumbnail()
    result.blend = 20.0
    result.thumbnail()
    assert made == [("style", 0.0), ("style", 20.0)]


def visit(*results: Kept) -> Visit:
    made = Visit()
    for kept in results:
        made.add(kept)
    return made


@pytest.mark.parametrize("color", ["style", "content", "match"])
def test_colours_and_blend_act_after_the_run(pictures: tuple[str, str], color: str) -> None:
    kept = finished(pictures)
    kept.settings, kept.blend = replace(kept.settings, color=color), 25.0
    painted = recolor(kept.raw, load_image(pictures[0]), color)
    wanted = 0.75 * painted + 0.25 * resize(load_image(pictures[0]), (26, 32))
    found = load_image(kept.file("png"))
    assert float((found - wanted).abs().max()) < 0.51 / 255 + 1e-6
    settings = read_settings(kept.file("png"))
    assert settings["config"]["color"] == color and settings["blend"] == 25


def test_a_png_carries_the_settings_and_a_jpeg_nothing(pictures: tuple[str, str]) -> None:
    kept = finished(pictures)
    config = {**kept.metadata["config"], "color": "style"}
    assert read_settings(kept.file("png")) == {**kept.metadata, "config": config}
    with Image.open(kept.file("jpg")) as jpeg:
        assert jpeg.format == "JPEG" and jpeg.size == (32, 26) and not jpeg.getexif()
    with pytest.raises(StyleTransferError, match="is no PNG"):
        read_settings(kept.file("jpg"))


def test_a_timelapse_goes_from_the_photograph_to_the_picture(pictures: tuple[str, str]) -> None:
    kept = finished(pictures, color="content")
    with Image.open(kept.file("webp")) as film:
        assert film.n_frames == len(kept.animation()) >= 3 and film.size == (32, 26)  # type: ignore[attr-defined]
    assert torch.equal(kept.animation()[0], kept.content) and torch.equal(kept.animation()[-1], kept.image())


def test_the_timelapse_is_a_clip_too(pictures: tuple[str, str], tmp_path: Path) -> None:
    pytest.importorskip("av", reason="PyAV is not installed")
    from styletransfer.video.clip import Clip

    kept = finished(pictures)
    file = Path(kept.file("mp4"))
    frames, shown = list(Clip(file).frames()), kept.animation()
    assert file.suffix == ".mp4" and len(frames) == len(shown) + 14  # the last one stands still for 1.5 seconds
    for frame, image in zip([frames[0].image, frames[-1].image], [shown[0], shown[-1]]):
        assert frame.shape == image.shape and float((frame - image).abs().mean()) < 0.1  # colours at half the size
    assert b"somebody" not in file.read_bytes()


def test_a_film_is_short_and_spread_over_the_whole_way() -> None:
    film = Film()
    for number in range(200):
        film.add(torch.full((1, 3, 600, 300), number / 255))
    shades = [round(255 * float(load_image(frame).mean())) for frame in film.frames]
    assert 20 <= len(shades) <= keeping.FILM_FRAMES - 2
    assert len(set(np.diff(shades))) == 1 and shades[0] == 0 and shades[-1] > 180
    assert load_image(film.frames[0]).shape[-2:] == (512, 256)


def test_previews_do_not_change_their_size_from_scale_to_scale() -> None:
    kept = blank(color="match")
    kept.content, kept.raw = torch.rand(1, 3, 90, 120), torch.rand(1, 3, 45, 60)
    assert load_image(kept.preview()).shape[-2:] == (90, 120)
    kept.content = torch.rand(1, 3, 900, 1200)
    assert load_image(kept.preview()).shape[-2:] == (keeping.PREVIEW_SIDE * 3 // 4, keeping.PREVIEW_SIDE)


def test_a_visit_keeps_its_last_results_and_one_state(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    state = finished(pictures).step
    results = [blank(step=state) for _ in range(keeping.KEEP_RESULTS + 2)]
    made = visit(*results)
    assert made.results == results[2:] and made.current is results[-1]
    assert [kept.step for kept in made.results] == [None] * (keeping.KEEP_RESULTS - 1) + [state]
    assert results[-1].nbytes == results[-2].nbytes + frames.state_bytes(state.state)
    assert not Path(results[1].folder.name).exists() and Path(results[2].folder.name).exists()
    monkeypatch.setattr(keeping, "VISIT_BYTES", 2 * blank(8).nbytes)
    for _ in range(3):
        made.add(blank(8))
    assert len(made.results) == 2
    made.clear()


def test_the_store_is_bounded_and_drops_the_oldest() -> None:
    store = Store(most=3)
    kept = [blank() for _ in range(5)]
    keys = [store.add(visit(result)) for result in kept]
    assert [store.get(key) is not None for key in keys] == [False, False, True, True, True]
    assert [Path(result.folder.name).exists() for result in kept] == [False, False, True, True, True]
    assert len(set(keys)) == 5 and all(len(key) >= 20 for key in keys)
    for key in keys:
        store.drop(key)
    assert not any(Path(result.folder.name).exists() for result in kept)


def test_the_store_is_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "STORE_BYTES", 2 * blank(8).nbytes)
    store = Store()
    keys = [store.add(visit(blank(8))) for _ in range(3)]
    assert [store.get(key) is not None for key in keys] == [False, True, True]
    keys.append(store.add(visit(blank(80))))  # the newest stays, whatever its size
    assert [store.get(key) is not None for key in keys] == [False, False, False, True]
    store.drop(keys[-1])


def test_the_store_drops_empty_visits_first_and_busy_ones_last() -> None:
    store, ready = Store(most=2), threading.Event()

    def waiting() -> Iterator[None]:
        yield None
        ready.wait(60)

    busy, full, empty = Visit(), visit(blank()), Visit()
    busy.tasks["paint"] = Line().start(waiting())  # type: ignore[arg-type]
    keys = [store.add(made) for made in (busy, full, empty)]
    assert [store.get(key) is not None for key in keys] == [True, True, False]
    another = store.add(visit(blank()))
    assert [store.get(key) is not None for key in (*keys, another)] == [True, False, False, True]
    store.drop(keys[0])
    assert busy.tasks["paint"].stopped
    ready.set()
    store.drop(another)


def test_the_store_forgets_what_is_not_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    store, kept = Store(seconds=600), blank()
    made = visit(kept)
    key, now = store.add(made), made.touched
    monkeypatch.setattr(time, "monotonic", lambda: now + 599)
    assert store.get(key) is made
    monkeypatch.setattr(time, "monotonic", lambda: now + 599 + 599)
    assert store.get(key) is made
    monkeypatch.setattr(time, "monotonic", lambda: now + 599 + 599 + 601)
    store._tick()  # what the timer does
    assert not Path(kept.folder.name).exists() and store.get(key) is None and store._timer is None


def test_a_dropped_visit_gets_a_new_key_when_it_goes_on() -> None:
    store, made = Store(), visit(blank())
    key = store.keep(None, made)
    assert store.keep(key, made) == key
    store.drop(key)
    store.drop(None)
    assert store.keep(key, made) != key
    made.clear()
