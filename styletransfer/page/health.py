"""For operators: whether the page is up, what computes, and how many runs there are; nothing of any visitor."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import gradio as gr
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from .. import studio
from .crowd import jobs


def add_health(demo: gr.Blocks, server: Any) -> None:
    """Answer `/healthz` on a server that is running, before Gradio's own addresses have their turn."""

    def health(request: Request) -> JSONResponse:
        waiting, running = jobs(demo)
        return JSONResponse(
            {
                "status": "ok",
                "ready": "styletransfer.transfer" in sys.modules,  # torch is here
                "running": len(running),
                "waiting": len(waiting),
                "limits": dataclasses.asdict(studio.LIMITS),
            }
        )

    server.router.routes.insert(0, Route("/healthz", health))
