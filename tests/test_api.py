"""The endpoints for programs, over the network: what they say of themselves, what they give, what they refuse."""

from __future__ import annotations

import inspect
import json
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
import torch
from gradio.utils import get_function_description
from gradio_client import Client, handle_file
from oracles import noise
from small import _a_small_network, _collect_garbage  # noqa: F401

from styletransfer import RECIPES, Config, load_image, recipe, save_image
from styletransfer import stylize as core_stylize
from styletransfer.images import read_settings
from styletransfer.page import api
from styletransfer.page.controls import load_examples
from styletransfer.studio import frames
from styletransfer.studio.server import Limits, Server
from styletransfer.studio.wording import NAMES

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
LIMITS = Limits()
ADDRESS = "http://127.0.0.1:7860"
UPLOADED = {"_type": "gradio.FileData"}

# Gradio makes event loops and sockets that it leaves to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module")
def demo() -> gr.Blocks:
    with gr.Blocks(analytics_enabled=False) as page:
        api.add_api(Server(), load_examples(EXAMPLES))
    return page.queue(api_open=False)


@pytest.fixture(scope="module")
def client(demo: gr.Blocks) -> Iterator[Client]:
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True, run_history=False)
    try:
        yield Client(url, verbose=False)
    finally:
        demo.close(verbose=False)


@pytest.fixture
def pictures(tmp_path: Path) -> tuple[Path, Path]:
    """A content of 40 x 32 and a style of 36 x 36."""
    content, style = tmp_path / "photo.jpg", tmp_path / "painting.jpg"
    save_image(noise(1, 3, 32, 40), content)
    save_image(noise(1, 3, 36, 36, seed=1), style)
    return content, style


def endpoints(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.view_api(return_format="dict")["named_endpoints"]  # type: ignore[index]
    return found


# --- what they say of themselves


def test_two_endpoints_are_public(client: Client) -> None:
    assert list(endpoints(client)) == ["/stylize", "/options"]


def test_every_parameter_has_its_field_s_default_and_bounds(client: Client) -> None:
    parameters = {each["parameter_name"]: each for each in endpoints(client)["/stylize"]["parameters"]}
    assert list(parameters) == ["content", "style", *NAMES, "quality"]
    assert [name for name, each in parameters.items() if not each["parameter_has_default"]] == ["content", "style"]
    for name, field in NAMES.items():
        each = parameters[name]
        assert each["parameter_default"] == getattr(Config(), field)
        if "enum" in each["type"]:
            for choice in each["type"]["enum"]:
                Config(**{field: choice})
        else:
            for bound in ("minimum", "maximum"):
                Config(**{field: each["type"][bound]})
    assert parameters["size"]["type"]["maximum"] == LIMITS.size
    assert parameters["quality"]["type"]["enum"] == list(RECIPES)
    assert parameters["quality"]["parameter_default"] == "balanced"


def test_every_tool_and_parameter_is_described(demo: gr.Blocks) -> None:
    public = {each.api_name: each.fn for each in demo.fns.values() if each.api_visibility == "public"}
    assert list(public) == ["stylize", "options"]
    for function in public.values():
        assert function is not None
        description, parameters, returns = get_function_description(function)
        assert description.endswith(".") and returns
        assert list(parameters) == list(inspect.signature(function).parameters) and all(parameters.values())


def test_options_are_those_that_stylize_takes(client: Client) -> None:
    options = client.predict(api_name="/options")
    parameters = {each["parameter_name"]: each["type"] for each in endpoints(client)["/stylize"]["parameters"]}
    for name in ("color", "network", "quality"):
        assert options[name] == parameters[name]["enum"]
    listed = json.loads((EXAMPLES / "examples.json").read_text())
    assert list(options["style"]) == [entry["name"] for entry in listed["styles"]]
    assert list(options["content"]) == [entry["name"] for entry in listed["photos"]]
    assert options["limits"]["size"] == LIMITS.size and options["defaults"]["brush"] == Config().style_scale


# --- what they give


def test_the_picture_is_the_core_s_with_its_settings_inside(client: Client, pictures: tuple[Path, Path]) -> None:
    file, metrics = client.predict(
        *map(handle_file, pictures), strength=70, brush=0.5, size=32, seed=3, quality="draft", api_name="/stylize"
    )
    wanted = {**recipe("draft").to_dict(), "strength": 70, "style_scale": 0.5, "size": 32, "seed": 3}
    settings = read_settings(file)
    assert settings == metrics["settings"] and settings["config"] == wanted and settings["outcome"] == "done"
    content, style = map(load_image, pictures)
    painted = core_stylize(content, [style], Config.from_dict(wanted))
    assert torch.equal(load_image(file), (painted.image * 255 + 0.5).floor() / 255)
    assert metrics["losses"]["total"] == pytest.approx(painted.history[-1]["total"])


def test_progress_comes_before_the_picture(client: Client) -> None:
    *before, last = client.submit("cat", "wave", size=16, quality="draft", api_name="/stylize")
    assert before and all(file is None and metrics["status"] for file, metrics in before)
    assert [metrics["progress"] for _, metrics in before] == sorted(metrics["progress"] for _, metrics in before)
    assert load_image(last[0]).shape[-1] == 16 and last[1]["progress"] == 1


def test_bundled_pictures_have_names(client: Client) -> None:
    files = [EXAMPLES / "photos" / "cat.jpg", EXAMPLES / "styles" / "wave.jpg"]
    given = {"size": 16, "quality": "draft", "api_name": "/stylize"}
    by_name, by_file = client.predict("cat", "wave", **given), client.predict(*map(handle_file, files), **given)
    assert torch.equal(load_image(by_name[0]), load_image(by_file[0]))


def test_a_cancelled_run_is_closed(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, iterate = threading.Event(), frames.iterate

    def watched(*arguments: Any, **options: Any) -> Iterator[Any]:
        try:
            yield from iterate(*arguments, **options)
        finally:
            closed.set()

    monkeypatch.setattr(frames, "iterate", watched)
    job = client.submit("cat", "wave", size=1024, quality="best", api_name="/stylize")
    next(iter(job))
    job.cancel()
    assert closed.wait(60)


def readme_snippet() -> str:
    """The client's example in the README."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    (snippet,) = (block for block in blocks if "gradio_client" in block)
    assert ADDRESS in snippet
    return str(snippet)


def test_the_readme_s_client_runs_as_it_stands(
    client: Client, pictures: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(pictures[0].parent)
    names: dict[str, Any] = {}
    exec(compile(readme_snippet().replace(ADDRESS, client.src), "README.md", "exec"), names)
    assert read_settings(names["picture"])["config"]["strength"] == 60
    assert names["metrics"]["progress"] == 1


# --- what they refuse


def refused(client: Client, *given: Any) -> str:
    """The answer to a call with these values, as any HTTP client may make it; the rest as it should be."""
    good = ["cat", "wave", 50, 1, 16, "style", "auto", 0, "draft"]
    body = json.dumps({"data": [*given, *good[len(given) :]]})  # httpx would not write NaN
    call = f"{client.src}gradio_api/call/stylize"
    event = httpx.post(call, content=body, headers={"content-type": "application/json"}).json()["event_id"]
    kind, data = httpx.get(f"{call}/{event}", timeout=60).text.strip().split("\n")
    assert kind == "event: error", data
    return str(json.loads(data.removeprefix("data: "))["error"])


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("nobody",), "Unknown content 'nobody': give a file, or one of temple,"),
        (("cat", "nobody"), "Unknown style 'nobody': give a file, or one of night,"),
        ((None,), "There is no content: give a file"),
        (("cat", ""), "There is no style: give a file"),
        ((5,), "Content is no uploaded file"),
        (("cat", []), "Style is no uploaded file"),
        (("cat", {"url": "x", "meta": UPLOADED}), "Style is no uploaded file"),
        (("cat", "wave", float("nan")), "Strength must be a finite number, got nan"),
        (("cat", "wave", "much"), "Strength must be a finite number, got 'much'"),
        (("cat", "wave", 101), "Strength must lie between 0 and 100"),
        (("cat", "wave", 50, 3), "Brush is 3.0: at most 2 is allowed here"),
        (("cat", "wave", 50, 1, LIMITS.size + 1), f"Size is {LIMITS.size + 1}: at most {LIMITS.size} is allowed here"),
        (("cat", "wave", 50, 1, 16.5), "Size must be a whole number"),
        (("cat", "wave", 50, 1, "original"), "Size is original"),
        (("cat", "wave", 50, 1, 16, "red"), "Unknown color 'red'"),
        (("cat", "wave", 50, 1, 16, {"a": 1}), "Color must be text"),
        (("cat", "wave", 50, 1, 16, "style", "vgg99"), "Unknown network 'vgg99'"),
        (("cat", "wave", 50, 1, 16, "style", "auto", -1), "Seed must lie between 0"),
        (("cat", "wave", 50, 1, 16, "style", "auto", True), "Seed must be a finite number"),
        (("cat", "wave", 50, 1, 16, "style", "auto", 0, "perfect"), "Unknown recipe 'perfect'"),
        (("cat", "wave", 50, 1, 16, "style", "auto", 0, ["draft"]), "Quality must be text"),
    ],
)
def test_what_cannot_be_used_gets_a_sentence(client: Client, given: tuple[Any, ...], words: str) -> None:
    answer = refused(client, *given)
    assert answer.startswith(words) and answer.endswith(".") and "\n" not in answer


@pytest.mark.parametrize("mark", [{}, {"meta": {}}, {"meta": {"_type": "x"}}, {"meta": UPLOADED}])
def test_a_path_is_not_taken_for_an_upload(client: Client, pictures: tuple[Path, Path], mark: dict[str, Any]) -> None:
    answer = refused(client, {"path": os.fspath(pictures[0]), **mark})
    if mark.get("meta") == UPLOADED:  # Gradio itself refuses, without a word
        assert answer == "None"
    else:
        assert answer.startswith("Content is no uploaded file")


def test_a_broken_file_gets_a_sentence(client: Client, pictures: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(Exception, match=r"'text\.png' is no picture"):
        client.predict(handle_file(tmp_path / "text.png"), handle_file(pictures[1]), api_name="/stylize")


def test_the_way_past_the_queue_is_closed(client: Client) -> None:
    assert httpx.post(f"{client.src}gradio_api/run/stylize", json={"data": []}).status_code == 404
