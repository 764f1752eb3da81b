"""How the page looks: its style sheet and theme, and the small pieces of HTML in it."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from .words import said

HERE = Path(__file__).parent
CSS = "".join(path.read_text(encoding="utf-8") for path in sorted(HERE.glob("*.css")))
SCRIPT = (HERE / "page.js").read_text(encoding="utf-8")  # called when the page is there

UNSAVED = "() => { window.unsaved = true }"  # until the picture is downloaded, copied or shared
DARK = """() => {
  const dark = document.body.classList.toggle('dark')
  localStorage.setItem('styletransfer.theme', dark ? 'dark' : 'light')
}"""
# Whether the end of a run is heard, and a message is shown where the page is not: the browser keeps and asks that.
CHIME = "() => localStorage.getItem('styletransfer.chime') === 'on'"
KEEP_CHIME = """on => {
  localStorage.setItem('styletransfer.chime', on ? 'on' : 'off')
  if (on) window.Notification?.requestPermission?.()
}"""
SHOW = "() => { if (innerWidth < 1000) document.querySelector('#output').scrollIntoView() }"
RANDOM = "() => Math.floor(Math.random() * 2 ** 31)"
# Downloads the file that was made for this click.
FETCH = """file => {
  if (!file) return
  window.unsaved = false
  const link = document.createElement('a')
  link.href = file.url
  link.download = file.orig_name || file.path.split('/').pop()
  link.click()
}"""

# The picture onto the clipboard, or into the system's share sheet; returns a sentence for the visitor.
COPY = """async file => {
  if (!file) return ''
  if (!navigator.clipboard?.write) return 'This browser copies pictures over https only: press Save instead.'
  try {
    const picture = await (await fetch(file.url)).blob()
    await navigator.clipboard.write([new ClipboardItem({'image/png': picture})])
    window.unsaved = false
    return 'The picture is copied.'
  } catch { return 'The browser did not let the picture be copied: press Save instead.' }
}"""
SEND = """async file => {
  if (!file) return ''
  const name = file.orig_name || file.path.split('/').pop()
  const picture = new File([await (await fetch(file.url)).blob()], name, {type: 'image/png'})
  try {
    await navigator.share({files: [picture]})
    window.unsaved = false
  } catch {}
  return ''
}"""


def status(text: str, progress: float | None = None) -> str:
    """What the page does, in a line; a screen reader hears it unless it is one of a run's many."""
    text = html.escape(said(text))
    if progress is None:
        return f'<p role="status">{text}</p><progress class="idle" aria-hidden="true"></progress>'
    return f'<p>{text}</p><progress value="{progress:.4f}" aria-label="{said("progress")}"></progress>'


def details(text: str) -> str:
    return f"<p>{html.escape(said(text))}</p>"


def says(markup: str) -> str:
    """What is wrong with an upload, already escaped."""
    return f'<p role="alert">{markup}</p>'


def curve_html(curve: Mapping[str, Sequence[float]]) -> str:
    """The loss and its terms as lines on a logarithmic scale, with the last values below; NaN is no point of a line."""
    known = [value for values in curve.values() for value in values if not math.isnan(value)]
    low, high = min(known), max(known)
    lines = legend = ""
    for number, (term, values) in enumerate(curve.items()):
        xs = (100 * i / max(1, len(values) - 1) for i in range(len(values)))
        ys = (36 - 32 * (value - low) / max(high - low, 1e-9) for value in values)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys) if not math.isnan(y))
        lines += f'<polyline class="line{number}" points="{points}"/>'
        legend += f'<span class="line{number}">{said(term)} {10 ** values[-1]:.2g}</span>'
    picture = (
        f'<svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="{said("losses")}">{lines}</svg>'
    )
    return f"{picture}<p>{legend}<span>{said('losses, log scale')}</span></p>"


def theme() -> gr.themes.Base:
    """Teal on stone, in the fonts of the visitor's system."""
    fonts: Any = {"font": ["ui-sans-serif", "system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    theme = gr.themes.Base(primary_hue="teal", secondary_hue="teal", neutral_hue="stone", radius_size="lg", **fonts)
    strong = {"button_primary_background_fill": "*primary_700", "button_primary_background_fill_hover": "*primary_800"}
    theme.set(**strong, **{f"{name}_dark": value for name, value in strong.items()})  # white on the accent is too faint
    theme.set(slider_color="*primary_700", slider_color_dark="*primary_500")
    theme.set(checkbox_background_color_selected="*primary_700", checkbox_border_color_selected="*primary_700")
    theme.set(button_primary_text_color="white", body_text_color_subdued="*neutral_500")
    return theme
