"""The tabs that explain: what they compute and show, whether their words are the page's, and a browser's view."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch
from PIL import Image
from small import _a_small_network, _collect_garbage, finished  # noqa: F401

from styletransfer import load_image
from styletransfer import stylize as core_stylize
from styletransfer.page import build_demo, how, launch_options
from styletransfer.page.controls import load_examples
from styletransfer.studio.kept import STORE, Visit
from styletransfer.studio.server import Limits, Server

SERVER = Server()
EXAMPLES = Path(__file__).parents[1] / "examples"
TEXTS = ("how", "formula", "about")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
LONG = 120_000  # ms; nothing waits this long but on a machine that is stuck

# Gradio makes event loops and sockets that it leaves to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    from styletransfer import explain

    monkeypatch.setattr(explain.reconstructions, "__kwdefaults__", {"side": 32, "steps": (2,), "seed": 0})


@pytest.fixture(scope="module")
def demo() -> gr.Blocks:
    """The two tabs, after a Paint tab that has no more than its pair."""
    bundled = load_examples(EXAMPLES)
    gr.set_static_paths([EXAMPLES])
    with gr.Blocks(analytics_enabled=False, fill_width=True) as page:
        key = gr.State(None)
        with gr.Tabs():
            with gr.Tab("Paint"):
                pair = [gr.Image(bundled[kind][3]["file"], type="filepath") for kind in ("photos", "styles")]
            with gr.Tab("How it works"):
                how.how_tab(SERVER, bundled, content=pair[0], style=pair[1], key=key)
            with gr.Tab("About"):
                how.about_tab(SERVER.limits, bundled)
    return page.queue(api_open=False)


def images(markup: str) -> list[Image.Image]:
    found = re.findall(r'src="data:image/\w+;base64,([^"]+)"', markup)
    return [Image.open(BytesIO(base64.b64decode(data))) for data in found]


def captions(markup: str) -> list[str]:
    return [re.sub("<[^>]+>", " ", each).strip() for each in re.findall("<figcaption>(.*?)</figcaption>", markup)]


# --- what is computed and shown


def explained(content: str | None, style: str | None, **options: Any) -> Any:
    return how.explained(content, style, limits=SERVER.limits, **options)


def test_pictures_appear_one_after_another_and_nothing_is_sent_twice(pictures: tuple[str, str]) -> None:
    first, start, *steps, last = explained(*pictures)
    assert "loading" in first["status"] and list(first) == list(last) == ["status"]
    counts = {kind: len(images(start[kind])) for kind in ("content", "style", "grams")}
    assert counts == {"content": 1, "style": 1, "grams": 4}  # two originals, two tables at two layers
    shown = [{kind: len(images(markup)) for kind, markup in step.items() if kind != "status"} for step in steps]
    assert shown == [{"content": 2}, {"content": 3}, {"style": 2}, {"style": 3}]
    assert [f"picture {number} of 4" in step["status"] for number, step in enumerate(steps, 1)] == [True] * 4
    assert "Done in" in last["status"] and "built-in network" in last["status"]


def test_frames_wait_at_their_size_so_that_nothing_jumps(pictures: tuple[str, str]) -> None:
    _, start, *steps, _ = explained(*pictures)
    for row, width in (("content", 3), ("style", 3)):
        states = [step[row] for step in (start, *steps) if row in step]
        assert [state.count("<figure") for state in states] == [width] * len(states)
        assert "wait" in states[0] and "wait" not in states[-1]
    assert f"aspect-ratio:{40 / 32:.3f}" in start["content"] and "aspect-ratio:1.000" in start["style"]


def test_a_reconstruction_is_told_by_its_layers(pictures: tuple[str, str]) -> None:
    *_, content, _, style, _ = explained(*pictures)
    assert captions(content["content"])[0] == "the photograph" and captions(style["style"])[0] == "the painting"
    assert [words.split()[0] for words in captions(content["content"])[1:]] == ["relu1_1", "relu2_1"]
    assert [words.split("  ")[0] for words in captions(style["style"])[1:]] == ["relu1_1", "+ relu2_1"]
    assert all(re.search(r"pixels off by \d+ %$", words) for words in captions(content["content"])[1:])


def test_the_result_s_tables_stand_beside_those_of_its_pair(pictures: tuple[str, str]) -> None:
    same = load_image(pictures[1])
    _, start, *_ = explained(*pictures, result=same)
    assert len(images(start["grams"])) == 6
    assert captions(start["grams"])[::3] == ["painting", "painting"] and captions(start["grams"])[2::3] == [
        "result 0",
        "result 0",
    ]
    tables = [picture.tobytes() for picture in images(start["grams"])]
    assert tables[0] == tables[2] != tables[1]


def test_once_it_is_closed_no_further_picture_is_made(
    pictures: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def watched(*given: Any, **options: Any) -> Any:
        made.append(given)
        return core_stylize(*given, **options)

    monkeypatch.setattr("styletransfer.explain.stylize", watched)
    running = explained(*pictures)
    while not made:
        next(running)
    running.close()
    assert len(made) == 1


@pytest.mark.parametrize("missing", [0, 1])
def test_without_a_pair_there_is_a_sentence(pictures: tuple[str, str], missing: int) -> None:
    given = [None if number == missing else path for number, path in enumerate(pictures)]
    with pytest.raises(gr.Error, match="There is no pair yet"):
        next(explained(*given))


def test_a_broken_picture_gets_a_sentence(pictures: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(gr.Error, match=r"'text\.png' is no picture"):
        list(explained(str(tmp_path / "text.png"), pictures[1]))


def test_a_lent_gpu_is_left_to_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("styletransfer.studio.frames.network_for", asked.append)
    for zero in (True, False):
        how.network_in_use(Limits(zero=zero))
    assert [config.device for config in asked] == ["cpu", "auto"]


# --- the result of a pair


@pytest.fixture
def visit() -> Iterator[Visit]:
    visit = Visit()
    yield visit
    visit.clear()


def test_the_visitor_s_own_result_is_known_by_what_it_was_made_of(
    pictures: tuple[str, str], visit: Visit, tmp_path: Path
) -> None:
    kept = finished(pictures)
    visit.add(kept)
    key = STORE.add(visit)
    copies = [shutil.copy(path, tmp_path / f"copy{Path(path).suffix}") for path in pictures]
    found = how.result_of((str(copies[0]), str(copies[1])), key, [])
    assert found is not None and torch.equal(found, kept.image())
    assert how.result_of((str(copies[1]), str(copies[0])), key, []) is None
    assert how.result_of(pictures, None, []) is None and how.result_of(pictures, "no such key", []) is None
    STORE.drop(key)


def test_a_bundled_pair_has_its_bundled_result(pictures: tuple[str, str]) -> None:
    results = load_examples(EXAMPLES)["results"]
    found = how.result_of((results[1]["content"], results[1]["style"]), None, results)
    assert found is not None and torch.equal(found, load_image(results[1]["file"]))
    assert how.result_of((results[1]["content"], pictures[1]), None, results) is None


def test_a_file_that_is_gone_is_like_no_other(pictures: tuple[str, str], tmp_path: Path) -> None:
    assert how.same(pictures, pictures) and not how.same(pictures, pictures[::-1])
    assert not how.same([str(tmp_path / "gone")], pictures[:1])


# --- the tabs


def test_what_computes_waits_in_the_line_of_the_runs_and_nothing_is_public(demo: gr.Blocks) -> None:
    functions = list(demo.fns.values())
    assert {each.api_visibility for each in functions} == {"private"}
    (heavy,) = (each for each in functions if getattr(each.fn, "__name__", "") == "explain")
    assert heavy.concurrency_id == "paint" and heavy.concurrency_limit == 1
    (stop,) = (each for each in functions if each.cancels)
    assert stop.cancels == [heavy._id]


def test_the_tabs_open_without_examples() -> None:
    with gr.Blocks(analytics_enabled=False):
        pair = [gr.Image(), gr.Image()]
        nothing: dict[str, list[Any]] = {"photos": [], "styles": [], "results": []}
        how.how_tab(SERVER, nothing, content=pair[0], style=pair[1], key=gr.State(None))


class Tags(HTMLParser):
    """Whether every tag is closed in its turn, and what the links and sources are."""

    ONCE = ("rect", "path", "mspace")

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.opened: list[str] = []
        self.links: list[dict[str, str | None]] = []
        self.sources: list[str] = []
        self.feed(markup)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.opened.append(tag)
        if tag == "a":
            self.links.append(dict(attrs))
        self.sources += [name for name, _ in attrs if name in ("src", "srcset", "data", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.opened.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in self.ONCE


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_well_formed_and_ask_nobody_for_anything(name: str) -> None:
    tags = Tags(how.text(name))
    assert not tags.opened and not tags.sources and "url(" not in how.text(name)
    for link in tags.links:
        assert (link["href"] or "").startswith("https://") and link["target"] == "_blank"
        assert link["rel"] == "noreferrer"


def test_the_words_explained_are_those_of_the_page() -> None:
    config = build_demo(SERVER, EXAMPLES).get_config_file()
    labels = {
        key.lower()
        for component in config["components"]
        for words in (component["props"].get("label"), component["props"].get("value"))
        for key in re.findall('"key": "(.*?)"', str(words))
    }
    explained = re.findall(r"<dt>(.*?)<small>", how.text("formula"))
    words = [word for term in explained for word in term.lower().split(", ")]
    assert {"strength", "brush size", "quality"} <= set(words)
    for word in words:
        assert any(label == word or label.startswith(f"{word} with") for label in labels), word


# --- in a browser


@pytest.fixture
def page(demo: gr.Blocks) -> Iterator[Any]:
    """The page, ready; what went wrong in it is found at the end."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this computer")
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, **launch_options(SERVER, EXAMPLES))
    wrong: list[str] = []
    try:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 390, "height": 800})
            page.set_default_timeout(LONG)
            page.on("console", lambda message: message.type == "error" and wrong.append(message.text))
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("response", lambda answer: answer.status >= 400 and wrong.append(f"{answer.status} {answer.url}"))
            local = (url, "data:", "blob:")
            page.on("request", lambda asked: asked.url.startswith(local) or wrong.append(asked.url))
            page.goto(url)
            yield page
            browser.close()
    finally:
        demo.close(verbose=False)
    assert not wrong


def test_a_visitor_sees_it_happen(page: Any) -> None:
    page.get_by_role("tab", name="How it works").click()
    page.get_by_text("Only the picture moves.").wait_for()
    assert page.locator("math").first.bounding_box()["width"] > 0
    page.locator("#how-photographs button").nth(4).click()
    page.wait_for_function("document.querySelector('#how-photograph img').src.includes('coffee')")
    page.click("#how-run")
    page.wait_for_function("document.querySelector('#how-status').innerText.includes('Done in')")
    assert page.locator("#how-content img").count() == 3 and page.locator("#how-style img").count() == 3
    page.wait_for_selector("#how-run", state="visible")  # it comes back an instant after the status
    page.wait_for_selector("#how-stop", state="hidden")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("tab", name="About").click()
    page.get_by_text("Licences and credits").wait_for()
    for picture in page.locator(".trio img").all():
        assert picture.evaluate(
            "image => { image.loading = 'eager'; return image.decode().then(() => image.naturalWidth) }"
        )
    assert page.locator(".trio figcaption").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
