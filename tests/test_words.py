"""The page's languages: each has every sentence that the page can say, with the same places for what changes in it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter
from types import SimpleNamespace

import gradio as gr
import pytest
from gradio.context import LocalContext
from small import _collect_garbage  # noqa: F401

from styletransfer.page import build_demo, words
from styletransfer.page.errors import sorry
from styletransfer.page.how import SEE
from styletransfer.page.words import BLOCK, TABLES, i18n, language_of, translated
from styletransfer.studio.server import Server

# Gradio makes event loops and sockets that it leaves to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "styletransfer"
EXAMPLES = ROOT / "examples"

SILENT = ("api.py", "health.py", "shared.py", "server.py", "surroundings.py")  # for programs and operators
LOGGED = {"a run failed", "a picture failed", "nothing to do", "draft {} of {}", "clip {} of {}"}
# What reaches a visitor of other modules: errors, notes and reports; errors about files of weights stay English.
DEEPER = {
    "config.py": ["StyleTransferError"],
    "images/[rc]*.py": ["StyleTransferError", "as_one_error"],
    "transfer/*.py": ["StyleTransferError", "append"],
    "video/clip.py": ["StyleTransferError"],
    "weights/*.py": ["report"],
}
SENTENCE = re.compile(r"(?=.*[A-Za-z]{2})(?!.*(<|=>|\n|\bdocument\b|gradio_api|\[)).* ", re.DOTALL)
# Parts of lines and of sentences, whose strings are single words or are put together from several.
PARTS = (
    "Painting · {}",
    "built-in network ({}) on {}",
    "Getting ready",
    "about {}",
    "{} s",
    "Starting",
    "Stopped",
    "Done",
    "total",
    "content",
    "style",
    "nearest",
    "Your picture, repainted.",
    "clips need extra packages: pip install {}",
)


@cache
def demo() -> gr.Blocks:
    return build_demo(Server(), EXAMPLES)


@pytest.fixture(params=TABLES)
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def template(node: ast.AST) -> str | None:
    """A string of the source, with {} for what changes in it."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return None


def strings(tree: ast.AST) -> Iterator[str]:
    """All strings that are not documentation."""
    for child in ast.iter_child_nodes(tree):
        text = template(child)
        if text is not None:
            yield text
        if isinstance(child, ast.JoinedStr):
            for part in child.values:
                yield from strings(part) if isinstance(part, ast.FormattedValue) else ()
        elif not (isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)):
            yield from strings(child)


def given(tree: ast.AST, functions: list[str]) -> Iterator[str]:
    """The sentences that functions are called with."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in functions:
            yield from (text for text in map(template, node.args[:1]) if text and " " in text)


def sentences() -> set[str]:
    """What the page can say, with {} for what changes."""
    found = set(PARTS)
    for file in (*PACKAGE.glob("page/*.py"), *PACKAGE.glob("studio/*.py")):
        if file.name not in SILENT:
            found |= {text for text in strings(parsed(file)) if SENTENCE.match(text)}
    for pattern, functions in DEEPER.items():
        for file in PACKAGE.glob(pattern):
            found |= set(given(parsed(file), functions))
    return found - LOGGED


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def blocks() -> set[str]:
    """The paragraphs and headings of the tabs that explain."""
    markup = SEE + "".join(file.read_text(encoding="utf-8") for file in PACKAGE.glob("page/*.html"))
    return {" ".join(block[3].split()) for block in BLOCK.finditer(markup)} - {"LIMITS"}


def is_said(text: str, language: str) -> bool:
    """Whether a language has a sentence, or all parts of a line that have words."""
    if is_known(text, language):
        return True
    parts = {part: part.strip("{} ") for part in text.split(" · ")}
    return all(is_known(part, language) or is_known(bare, language) for part, bare in parts.items())


def is_known(part: str, language: str) -> bool:
    """Whether a part of a line has no words, or is translated, and not only a word or two of it."""
    there = translated(part, language)
    whole = not re.search("([a-z]+ ){3}[a-z]", re.sub("<[^>]+>", "", there))
    return not re.search("[A-Za-z]{2}", part) or (there != part and whole)


def test_every_sentence_is_in_every_language(language: str) -> None:
    missing = [text for text in sorted(sentences() | blocks()) if not is_said(text, language)]
    assert not missing


def test_every_word_that_is_laid_out_is_in_every_language(language: str) -> None:
    demo()
    laid_out = {text for text, there in i18n.translations[language].items() if not there.startswith("<")}
    assert not {text for text in laid_out - set(TABLES[language]) if not is_known(text, language)}


def test_no_language_has_a_sentence_that_is_never_said(language: str) -> None:
    demo()
    known = {text for file in PACKAGE.rglob("*.py") for text in strings(parsed(file))} | set(PARTS) | blocks()
    known |= set(re.findall("'([^'\n]+)'", (PACKAGE / "page" / "look.py").read_text(encoding="utf-8")))  # in JavaScript
    known |= set(i18n.translations[language])
    pieces = {text: text.split("{}") for text in TABLES[language]}
    assert not [text for text in pieces if not any(all(piece in other for piece in pieces[text]) for other in known)]


def test_a_translation_has_the_places_of_its_sentence(language: str) -> None:
    for text, translation in TABLES[language].items():
        names = [name for _, name, _, _ in Formatter().parse(translation) if name is not None]
        count = text.count("{}")
        assert names == [""] * count or sorted(names) == list(map(str, range(count))), text
        assert translation and re.findall("<[^>]+>", text) == re.findall("<[^>]+>", translation), text


def test_what_is_laid_out_does_not_change_a_value(language: str) -> None:
    """Gradio would translate the value of a choice, too, if it were one of the words."""
    values = {str(block.value) for block in demo().blocks.values() if isinstance(block, (gr.Radio, gr.Dropdown))}
    assert "balanced" in values and not values & set(i18n.translations[language])


# --- which language, and what is said in it


@pytest.mark.parametrize(
    ("header", "language"),
    [("zh-CN,zh;q=0.9,en;q=0.8", "zh-CN"), ("zh-CN", "zh-CN"), ("en-US,zh-CN", ""), ("zh-TW", ""), ("", ""), ("*", "")],
)
def test_the_browser_s_first_language_counts(header: str, language: str) -> None:
    assert language_of(header) == language


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        ("Painting · 42 % · about 12 s", "绘制中 · 42 % · 约 12 秒"),
        ("Painting · 42 % · Turning night, draft 3 of 9", "绘制中 · 42 % · 旋转的夜空，草稿 3/9"),
        ("Done in 2 min · 384 × 256", "完成，用时 2 分钟 · 384 × 256"),
        ("Painted by the built-in network (no GPU) on CPU.", "由 CPU 上的内置网络（没有 GPU）绘制。"),
        ("my night.jpg · stopped", "my night.jpg · 已停止"),
        ("The settings are back: size is 2048 here, not 4096.", "设置已恢复：尺寸 在这里为 2048，而不是 4096。"),
        (
            "The settings are back: the setting octaves, which was 3, no longer exists.",
            "设置已恢复：设置项 octaves（原为 3）已不再提供。",
        ),
        ("设置已恢复。 Still to be given: 照片和风格图像.", "设置已恢复。还需要提供：照片和风格图像。"),
        ("Getting ready · Reading the clip", "准备中 · 正在读取视频"),
        ("Frame 2 of 60 · about 3 min", "第 2/60 帧 · 约 3 分钟"),
        ("Stopped: 2 of 60 frames.", "已停止：已绘制 2/60 帧。"),
        (
            "Stopped after 10 min, the most that is allowed here: 2 of 60 frames.",
            "已停止（达到这里允许的最长时间 10 分钟）：已绘制 2/60 帧。",
        ),
        (
            "Stopped after 90 s, the most that is allowed here: no frame is finished yet.",
            "已停止（达到这里允许的最长时间 90 秒）：还没有画完任何一帧。",
        ),
        (
            "frames a second must be a number above 0 and at most 30, got 31",
            "每秒帧数必须大于 0 且不超过 30，而不是 31",
        ),
        ("a sentence · that nobody has translated", "a sentence · that nobody has translated"),
    ],
)
def test_a_sentence_is_translated_with_what_stands_in_it(text: str, chinese: str) -> None:
    assert translated(text, "zh-CN") == chinese


def test_places_may_change_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(words.TABLES, "xx", {"{} of {}": "{1}: {0}", "one": "eins"})
    assert translated("one of two · three", "xx") == "two: eins · three"


def test_a_visitor_s_errors_are_in_the_visitor_s_language(monkeypatch: pytest.MonkeyPatch) -> None:
    error = "'a<b>.png' is empty: a picture is needed"
    assert sorry(error).message == "&#x27;a&lt;b&gt;.png&#x27; is empty: a picture is needed.".replace("&#x27;", "'")
    request = SimpleNamespace(headers={"accept-language": "zh-CN"})
    token = LocalContext.request.set(request)
    try:
        shown = sorry(error)
    finally:
        LocalContext.request.reset(token)
    assert shown.message == "'a&lt;b&gt;.png' 是空的：需要一张图片。"
