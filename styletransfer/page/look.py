"""How the page looks: its style sheet and theme, and the small pieces of HTML in it."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import gradio as gr

CSS = "".join(path.read_text(encoding="utf-8") for path in sorted(Path(__file__).parent.glob("*.css")))

# Leaving the page with a picture that has not been saved asks once.
UNSAVED = "() => { window.unsaved = true }"
GUARD = """() => addEventListener('beforeunload', event => {
  if (window.unsaved) event.preventDefault()
  window.unsaved = false
})"""
DARK = "() => { document.body.classList.toggle('dark') }"
SHOW = "() => { if (innerWidth < 700) document.querySelector('#result').scrollIntoView({behavior: 'smooth'}) }"
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


def status(text: str, progress: float | None = None) -> str:
    bar = 'class="idle"' if progress is None else f'value="{progress:.4f}"'
    return f'<p role="status">{html.escape(text)}</p><progress {bar} aria-label="progress"></progress>'


def curve_html(curve: Mapping[str, Sequence[float]]) -> str:
    """The loss and its terms as lines on a logarithmic scale, with the last values below."""
    low, high = min(map(min, curve.values())), max(map(max, curve.values()))
    lines = legend = ""
    for number, (term, values) in enumerate(curve.items()):
        xs = (100 * i / max(1, len(values) - 1) for i in range(len(values)))
        ys = (36 - 32 * (value - low) / max(high - low, 1e-9) for value in values)
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys))
        lines += f'<polyline class="line{number}" points="{points}"/>'
        legend += f'<span class="line{number}">{term} {10 ** values[-1]:.2g}</span>'
    picture = f'<svg viewBox="0 0 100 40" preserveAspectRatio="none" role="img" aria-label="losses">{lines}</svg>'
    return f"{picture}<p>{legend}<span>losses, log scale</span></p>"


def theme() -> gr.themes.Base:
    """Teal on stone, in the fonts of the visitor's system."""
    fonts = ["ui-sans-serif", "system-ui", "sans-serif"]
    theme = gr.themes.Base(primary_hue="teal", secondary_hue="teal", neutral_hue="stone", radius_size="lg", font=fonts)
    strong = {"button_primary_background_fill": "*primary_700", "button_primary_background_fill_hover": "*primary_800"}
    theme.set(**strong, **{f"{name}_dark": value for name, value in strong.items()})  # white on the accent is too faint
    theme.set(slider_color="*primary_700", slider_color_dark="*primary_500")
    theme.set(checkbox_background_color_selected="*primary_700", checkbox_border_color_selected="*primary_700")
    theme.set(button_primary_text_color="white", body_text_color_subdued="*neutral_500")
    return theme
