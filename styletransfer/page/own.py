"""Settings under a name: three that come with the page, and those that a visitor keeps in the browser."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from .parts import AT_ONCE, Parts
from .words import i18n

BUNDLED: Mapping[str, Mapping[str, float]] = {
    "Subtle": {"strength": 25, "style_scale": 0.6},
    "Bold": {"strength": 65, "style_scale": 1.0},
    "Wild": {"strength": 85, "style_scale": 1.6},
}
LONGEST_NAME, MOST_KEPT = 30, 12

# All of it happens in the browser: a click on Paint is never too early, and no settings leave it.
PICK = """(name, kept, ...values) => {
  const settings = BUNDLED[name] ?? kept?.[name] ?? {}
  return FIELDS.map((field, number) => settings[field] ?? values[number])
}"""
KEEP = """(name, kept, ...values) => {
  name = (name ?? '').trim()
  if (!name || BUNDLED[name]) return [kept, name]
  const {[name]: _, ...others} = kept ?? {}
  const settings = Object.fromEntries(FIELDS.map((field, number) => [field, values[number]]))
  return [Object.fromEntries([...Object.entries(others), [name, settings]].slice(-MOST)), '']
}"""
FORGET = """(name, kept) => {
  const {[name]: _, ...others} = kept ?? {}
  return others
}"""


def lay_own(parts: Parts) -> Sequence[Any]:
    """Lay the choice out; returns what `wire_own` needs."""
    kept = gr.BrowserState({}, storage_key="styletransfer.settings", secret="styletransfer")  # which is no secret
    choice = gr.Radio(bundled(), value=None, label=i18n("Preset"), elem_id="preset")
    with gr.Row(elem_id="own"):
        name = gr.Textbox(
            label=i18n("A name for the settings of now"),
            placeholder=i18n("Keep these settings as …"),
            max_length=LONGEST_NAME,
            elem_id="own-name",
            show_label=False,
            container=False,
            min_width=140,
            scale=3,
        )
        keep = gr.Button(i18n("Keep"), size="sm", elem_id="own-keep", min_width=70, scale=0)
        forget = gr.Button(i18n("Forget"), size="sm", elem_id="own-forget", min_width=70, scale=0)
    return kept, choice, name, keep, forget


def wire_own(parts: Parts, laid: Sequence[Any], page: gr.Blocks) -> None:
    """A choice sets its controls; what is kept is offered from the next moment on."""
    kept, choice, name, keep, forget = laid
    controls = list(parts.controls.values())
    choice.input(None, [choice, kept, *controls], controls, js=script(PICK, parts))
    keep.click(None, [name, kept, *controls], [kept, name], js=script(KEEP, parts))
    forget.click(None, [choice, kept], kept, js=FORGET)
    for event in (kept.change, page.load):
        event(offered, kept, choice, **AT_ONCE)


def script(text: str, parts: Parts) -> str:
    fields = json.dumps(list(parts.controls))
    return text.replace("BUNDLED", json.dumps(BUNDLED)).replace("FIELDS", fields).replace("MOST", str(MOST_KEPT))


def bundled() -> list[tuple[Any, str]]:
    return [(i18n(name), name) for name in BUNDLED]


def offered(kept: Any) -> Any:
    """The choices there are; what comes from the browser may be anything."""
    names = [str(name)[:LONGEST_NAME] for name in kept][:MOST_KEPT] if isinstance(kept, dict) else []
    return gr.update(choices=[*bundled(), *((name, name) for name in names)], value=None)
