"""How many runs of one visitor may wait or be under way: at the button, and wherever else a run joins the queue."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.context import LocalContext
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .. import studio
from .look import sorry

ENOUGH = "your pictures are already waiting to be painted: wait for one of them, or stop it"


def check_turn(request: gr.Request) -> None:
    """Refuse a run of a visit that has enough of them, or of an address that has twice as many."""
    blocks = LocalContext.blocks.get(None)
    events = [] if blocks is None else [each for runs in jobs(blocks) for each in runs]
    of_visit = sum(event.session_hash == request.session_hash for event in events)
    if of_visit >= studio.LIMITS.waiting or crowded(events, request.client.host if request.client else None):
        raise sorry(ENOUGH)


def crowded(events: list[Any], host: str | None) -> bool:
    """Whether an address has as many runs as it may: behind it there can be more than one visitor."""
    of_host = [event for event in events if event.request.client is not None and event.request.client.host == host]
    return len(of_host) >= 2 * studio.LIMITS.waiting


def jobs(blocks: Any) -> tuple[list[Any], list[Any]]:
    """The runs that wait and those under way, as Gradio's queue has them."""
    queue = blocks._queue
    waiting = queue.event_queue_per_concurrency_id.get("paint")
    running = [event for events in queue.active_jobs for event in events or () if event.concurrency_id == "paint"]
    return list(waiting.queue) if waiting else [], running


class Turnstile:
    """Keeps one address from filling the queue with requests of its own: those beyond its share are refused."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        joins = scope["type"] == "http" and scope["method"] == "POST"
        if joins and (scope["path"].endswith("/queue/join") or "/call/" in scope["path"]):
            events = [each for runs in jobs(scope["app"].get_blocks()) for each in runs]
            if crowded(events, scope["client"][0] if scope.get("client") else None):
                await JSONResponse({"detail": ENOUGH}, status_code=429)(scope, receive, send)
                return
        await self.app(scope, receive, send)
