"""How many unfinished runs one visitor may have: checked at the button, and at the queue for every other client."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.context import LocalContext
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import sorry

TOO_MANY = "your pictures are already waiting to be painted: wait for one of them, or stop it"


def check_turn(request: gr.Request, waiting: int) -> None:
    """Refuse a run if its visit has `waiting` unfinished ones, or its address twice as many."""
    host = request.client.host if request.client else None
    if runs_of(request) >= waiting or crowded(runs_here(), host, waiting):
        raise sorry(TOO_MANY)


def runs_of(request: gr.Request) -> int:
    """How many unfinished runs a visit has."""
    return sum(event.session_hash == request.session_hash for event in runs_here())


def runs_here() -> list[Any]:
    blocks = LocalContext.blocks.get(None)
    return [] if blocks is None else all_runs(blocks)


def crowded(events: list[Any], host: str | None, waiting: int) -> bool:
    """Whether an address has as many runs as it may: twice a visitor's, since several people can share it."""
    of_host = [event for event in events if event.request.client is not None and event.request.client.host == host]
    return len(of_host) >= 2 * waiting


def jobs(blocks: Any) -> tuple[list[Any], list[Any]]:
    """The runs that wait and those that compute, as events of Gradio's queue."""
    queue = blocks._queue
    waiting = queue.event_queue_per_concurrency_id.get("paint")
    running = [event for events in queue.active_jobs for event in events or () if event.concurrency_id == "paint"]
    return list(waiting.queue) if waiting else [], running


def all_runs(blocks: Any) -> list[Any]:
    waiting, running = jobs(blocks)
    return [*waiting, *running]


class Turnstile:
    """Middleware that refuses a request for a run from an address that has as many as it may."""

    def __init__(self, app: ASGIApp, waiting: int) -> None:
        self.app, self.waiting = app, waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        joins = scope["type"] == "http" and scope["method"] == "POST"
        if joins and (scope["path"].endswith("/queue/join") or "/call/" in scope["path"]):
            host = scope["client"][0] if scope.get("client") else None
            if crowded(all_runs(scope["app"].get_blocks()), host, self.waiting):
                await JSONResponse({"detail": TOO_MANY}, status_code=429)(scope, receive, send)
                return
        await self.app(scope, receive, send)
