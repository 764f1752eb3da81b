"""For operators: whether the page is up, its limits, and how many runs there are; nothing about any visitor."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import gradio as gr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from ..studio.server import Limits
from .crowd import jobs


def add_health(demo: gr.Blocks, web_app: Any, limits: Limits, workers: int = 1) -> None:
    """Answer `/healthz` in a running web application, ahead of Gradio's own addresses."""

    def health(request: Request) -> JSONResponse:
        waiting, running = jobs(demo)
        return JSONResponse(
            {
                "status": "ok",
                "ready": "styletransfer.transfer" in sys.modules,  # torch is here
                "workers": workers,
                "running": len(running),
                "waiting": len(waiting),
                "limits": dataclasses.asdict(limits),
            }
        )

    web_app.router.routes.insert(0, Route("/healthz", health))
