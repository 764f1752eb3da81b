"""The whole page: its head, its tabs and its foot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from .. import studio
from . import handlers, look
from .api import add_api
from .controls import load_examples
from .crowd import Turnstile
from .how import about_tab, how_tab
from .paint import AT_ONCE, paint_tab
from .restore import wire_restore
from .variations import variations_tab


def build_demo(folder: Path) -> gr.Blocks:
    """The page, with the pictures of a folder of examples."""
    bundled = load_examples(folder)
    if folder.is_dir():
        gr.set_static_paths([folder])  # served in place, whatever the working directory is
    with gr.Blocks(title="Style Transfer", analytics_enabled=False, fill_width=True, delete_cache=(600, 3600)) as page:
        key = gr.State(None, delete_callback=forget)
        with gr.Row(elem_id="head"):
            gr.HTML("<h1>Style Transfer</h1><p>Your picture, repainted.</p>")
            dark = gr.Button("◐", elem_id="dark", size="sm", min_width=40, scale=0)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab("Paint", id="paint"):
                paint = paint_tab(bundled, key)
            with gr.Tab("Variations", id="variations"):
                variations_tab(paint, tabs)
            with gr.Tab("How it works", id="how"):
                how_tab(bundled, paint.content, paint.styles[0], key)
            with gr.Tab("About", id="about"):
                about_tab()
        gr.HTML("<p>Uploaded pictures are deleted within about an hour.</p>", elem_id="foot")
        add_api(bundled)
        dark.click(None, js=look.DARK)
        wire_restore(paint, bundled, page)
        page.load(handlers.network_line, paint.controls["network"], paint.network_line, **AT_ONCE)
    page.queue(max_size=20, api_open=False)
    return page  # type: ignore[no-any-return]


def forget(key: Any) -> None:
    """A visit that has ended takes its pictures along."""
    if key:
        studio.STORE.drop(key)


def launch_options() -> dict[str, Any]:
    """How the page is served: nothing is fetched from elsewhere, nothing of a visit is kept, and no address takes the
    whole queue.
    """
    quiet = {"run_history": False, "enable_monitoring": False, "ssr_mode": False, "footer_links": ["api"]}
    # Gradio keeps 0.3 MB of every session for an hour or more; the pictures of a visit are the studio's, not among it.
    served = {"app_kwargs": {"middleware": [Middleware(Turnstile)]}, "state_session_capacity": 200}
    return {"theme": look.theme(), "css": look.CSS, "max_file_size": "20mb", **quiet, **served}
