"""The page's words in the visitor's language.

The program speaks English. `languages/NAME.json` translates its sentences, with `{}` in place of what changes in them;
what it lacks stays English. Words that are laid out are translated by Gradio in the browser (`i18n`), and sentences in
answer to the visitor here (`said`), in the language that the browser asks for, which is the one that Gradio takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import LocalContext

TABLES: Mapping[str, Mapping[str, str]] = {
    file.stem: json.loads(file.read_text(encoding="utf-8"))
    for file in sorted((Path(__file__).parent / "languages").glob("*.json"))
}
BLOCK = re.compile(r"(<(p|h[1-4]|dt|dd|figcaption|mtext)\b[^>]*>)(.*?)(?=</\2>)", re.DOTALL)


class Words(gr.I18n):
    """Gradio's translations of the words that are laid out, which the browser gets."""

    def __call__(self, text: str) -> Any:
        """A text; a component can show one of them."""
        for language in TABLES:
            self.translations[language][text] = translated(text, language)
        return super().__call__(text)

    def markup(self, name: str, markup: str) -> Any:
        """HTML of several texts, under a name."""
        self.translations["en"][name] = markup
        for language in TABLES:
            self.translations[language][name] = in_blocks(markup, language)
        return super().__call__(name)


i18n = Words(**{language: {} for language in ("en", *TABLES)})


def in_blocks(markup: str, language: str) -> str:
    """HTML whose paragraphs and headings are translated."""
    return BLOCK.sub(lambda block: block[1] + translated(" ".join(block[3].split()), language), markup)


# --- in answer to a visitor


def language_of(header: str) -> str:
    """The language of an Accept-Language header, by Gradio's rule for the browser's first one; empty: English."""
    first = re.split("[,;]", header)[0].strip()
    return next((name for name in (first, first.split("-")[0]) if name in TABLES), "")


def said(text: str, headers: Mapping[str, str] | None = None) -> str:
    """A sentence of this program in the language of the visitor who is being answered, or whose headers are given."""
    if headers is None and (request := LocalContext.request.get(None)):
        headers = request.headers
    language = language_of((headers or {}).get("accept-language", ""))
    return translated(text, language) if language else text


def listed(texts: Sequence[str]) -> str:
    """Parts of a sentence in a row: a, b and c."""
    *first, last = map(said, texts)
    return said(" and ").join([said(", ").join(first), last] if first else [last])


def translated(text: str, language: str) -> str:
    """A sentence, with what stands in it, or each part of a line: as far as the language has them."""
    for pattern, translation in patterns(language):
        if match := pattern.fullmatch(text):
            return translation.format(*(translated(value, language) for value in match.groups()))
    for mark in (" · ", "; "):
        if mark in text:
            return TABLES[language].get(mark, mark).join(translated(part, language) for part in text.split(mark, 1))
    return text


@cache
def patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """What matches each sentence of a language, those with the most words of their own first, and its translation."""
    table = TABLES[language]
    longest = sorted(table, key=lambda text: len(text.replace("{}", "")), reverse=True)
    return [(re.compile(matching(text), re.DOTALL), table[text]) for text in longest]


def matching(text: str) -> str:
    """The expression of a sentence; what stands in it is one part of a line, unless it is a line itself."""
    place = "(.*?)" if " · " in text else "((?:(?! · ).)*?)"
    return place.join(map(re.escape, text.split("{}")))
