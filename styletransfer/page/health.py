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
from ..studio.task import LINE
from .crowd import jobs


def add_health(demo: gr.Blocks, web_app: Any, limits: Limits, workers: int = 1) -> None:
    """Answer `/healthz` in a running web application, ahead of Gradio's own addresses."""

    def health(request: Request) -> JSONResponse:
        tasks, asked = len(LINE.tasks), len(jobs(demo, "paint")[0])
        return JSONResponse(
            {
                "status": "ok",
                "ready": "styletransfer.transfer" in sys.modules,  # torch is here
                "workers": workers,
                "running": min(tasks, workers),
                "waiting": max(tasks - workers, 0) + asked,
                "limits": dataclasses.asdict(limits),
            }
        )

    web_app.router.routes.insert(0, Route("/healthz", health))
