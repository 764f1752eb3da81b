"""The whole page: its head, its tabs and its foot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ..studio.server import Server
from ..studio.task import LINE
from . import look
from .api import add_api
from .controls import load_examples
from .crowd import Turnstile
from .how import about_tab, how_tab
from .many import many_tab
from .nine import nine_tab
from .own import wire_own
from .paint import paint_tab
from .parts import AT_ONCE
from .presets import wire_presets
from .shared import SharedLink
from .video import video_tab
from .words import i18n

TITLE = "Style Transfer"
IN_SCRIPT = (
    *("Error", "Info", "Photo or painting", "Stroke size", "Your picture is done."),
    *("Play or pause", "Volume", "progress"),
)
BUTTONS = (  # of Gradio's
    *("Remove Image", "Upload file", "Capture from camera", "Paste from clipboard", "Fullscreen", "Copy"),
    *("Pan", "Zoom in", "Zoom out", "Undo", "Redo", "Clear canvas", "Brush", "Erase", "Color", "Brush Size"),
)
KEPT = (
    "Your pictures stay here for an hour after you last used them, also if you leave and come back, and are then "
    "deleted; where many people paint, the oldest go earlier."
)


def build_demo(server: Server, folder: Path) -> gr.Blocks:
    """The page of a server, with the pictures of a folder of examples."""
    bundled = load_examples(folder)
    for text in (TITLE, *IN_SCRIPT, *BUTTONS):
        i18n(text)  # which page.js puts in
    if folder.is_dir():
        gr.set_static_paths([folder])  # served in place, whatever the working directory is
    with gr.Blocks(title=TITLE, analytics_enabled=False, fill_width=True, delete_cache=(600, 3600)) as page:
        # Gradio encrypts it with the secret, which need not be one: the browser's storage is the visitor's own.
        key = gr.BrowserState(None, storage_key="style-transfer-visit", secret="visit")
        with gr.Row(elem_id="head"):
            gr.HTML(i18n.markup("head", "<h1>Style Transfer</h1><p>Your picture, repainted.</p>"))
            dark = gr.Button("◐", elem_id="dark", size="sm", min_width=40, scale=0)
        with gr.Tabs(elem_id="tabs") as tabs:
            with gr.Tab(i18n("Paint"), id="paint"):
                handlers = paint_tab(server, bundled, key)
                paint = handlers.parts
            with gr.Tab(i18n("Nine styles"), id="nine"):
                nine_tab(handlers, tabs, page)
            with gr.Tab(i18n("Many photographs"), id="many"):
                many_tab(handlers, page)
            with gr.Tab(i18n("Video"), id="video"):
                video_tab(handlers, page)
            with gr.Tab(i18n("How it works"), id="how"):
                how_tab(server, bundled, content=paint.content, style=paint.styles[0], key=key)
            with gr.Tab(i18n("About"), id="about"):
                about_tab(server.limits, bundled)
        gr.HTML(f"<p>{i18n(KEPT)}</p>", elem_id="foot")
        add_api(server, bundled)
        dark.click(None, js=look.DARK)
        wire_presets(handlers, page)
        wire_own(paint, paint.own, page)
        page.load(None, None, paint.chime, js=look.CHIME)
        page.load(handlers.network_line, paint.controls["network"], paint.network_line, **AT_ONCE)
    LINE.workers = server.engine.workers
    for event in page.fns.values():
        if event.concurrency_id == "paint":
            event.concurrency_limit = LINE.workers
    page.queue(max_size=20, api_open=False)
    return page  # type: ignore[no-any-return]


def launch_options(server: Server, folder: Path) -> dict[str, Any]:
    """How the page is served: without requests to other servers, without a history of runs, with a limit on the runs of
    one address, and with the picture and the icon of a folder of examples.
    """
    quiet = {"run_history": False, "enable_monitoring": False, "ssr_mode": False, "footer_links": ["api"]}
    turnstile = Middleware(Turnstile, waiting=server.limits.waiting)
    shared = Middleware(SharedLink, card=folder / "small" / "card.jpg")
    icon = folder / "small" / "icon.png"
    # Gradio keeps 0.3 MB of every session for an hour or more; a visit's pictures are not part of it.
    served = {"app_kwargs": {"middleware": [turnstile, shared]}, "state_session_capacity": 200}
    served["favicon_path"] = icon if icon.is_file() else None
    return {
        "theme": look.theme(),
        "css": look.CSS,
        "js": look.SCRIPT,
        "i18n": i18n,
        "max_file_size": "40mb",
        **quiet,
        **served,
    }
