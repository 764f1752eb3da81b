"""The brushes of Regions: the chosen styles as tiles, each framed in the colour that paints its region."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from ..studio.job import COLORS
from .controls import name_of
from .words import said

# A click takes the brush of that colour from Gradio's palette, which is hidden; the eraser gives way to it.
PICK_BRUSH = """
  let chosen = 0
  const tool = selector => document.querySelector(`#canvas ${selector}`)
  const drawn = () => new Promise(requestAnimationFrame)
  const mark = () => {
    const tiles = [...element.querySelectorAll('button')]
    if (tiles.length && chosen >= tiles.length) pick(0)
    tiles.forEach((tile, number) => tile.setAttribute('aria-pressed', number === chosen))
  }
  const pick = async number => {
    chosen = number
    mark()
    for (const selector of ['[aria-label=Brush]', '[aria-label=Color]', `.swatch :nth-child(${number + 1})`]) {
      tool(selector)?.click()
      await drawn()
    }
    if (tool('.swatch')) tool('[aria-label=Color]').click()
  }
  element.addEventListener('click', event => {
    const tile = event.target.closest('button')
    if (tile) pick(Number(tile.value))
  })
  new MutationObserver(mark).observe(element, {childList: true, subtree: true})
  mark()
"""


def brush_tiles(files: Sequence[str], styles: Sequence[Mapping[str, str]]) -> str:
    """A tile for each style file; bundled ones have their thumbnails and titles."""
    small = {entry["file"]: entry["small"] for entry in styles}
    tiles = "".join(
        f'<button type="button" value="{number}" style="--brush: {color}">'
        f'<img src="gradio_api/file={quote(small.get(file, file))}" alt="" width="160" height="120">'
        f"<span>{html.escape(said(name_of(file, styles)))}</span></button>"
        for number, (file, color) in enumerate(zip(files, COLORS))
    )
    label = said("The style to paint with")
    return f'<div class="tiles" role="group" aria-label="{label}">{tiles}</div>'
