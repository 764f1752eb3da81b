"""How much of Gradio's queue one address may have; tasks have a line of their own, with its own limits."""

from __future__ import annotations

from typing import Any

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ..studio.task import TOO_MANY
from .words import said


def crowded(blocks: Any, host: str | None, waiting_each: int) -> bool:
    """Whether an address has as many events as it may: runs that programs ask for, and pages that follow a task."""
    runs, followers = (
        sum(event.request.client is not None and event.request.client.host == host for event in waiting + running)
        for waiting, running in (jobs(blocks, "paint"), jobs(blocks, "follow"))
    )
    return bool(runs >= 2 * waiting_each or followers >= 8 * waiting_each)


def jobs(blocks: Any, group: str) -> tuple[list[Any], list[Any]]:
    """The events of a concurrency group that wait and those that are at work in Gradio's queue."""
    queue = blocks._queue
    waiting = queue.event_queue_per_concurrency_id.get(group)
    running = [event for events in queue.active_jobs for event in events or () if event.concurrency_id == group]
    return list(waiting.queue) if waiting else [], running


class Turnstile:
    """Middleware that refuses a request for a run from an address that has as many as it may."""

    def __init__(self, app: ASGIApp, waiting: int) -> None:
        self.app, self.waiting = app, waiting

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        joins = scope["type"] == "http" and scope["method"] == "POST"
        if joins and (scope["path"].endswith("/queue/join") or "/call/" in scope["path"]):
            host = scope["client"][0] if scope.get("client") else None
            if crowded(scope["app"].get_blocks(), host, self.waiting):
                detail = said(TOO_MANY, Headers(scope=scope))
                await JSONResponse({"detail": detail}, status_code=429)(scope, receive, send)
                return
        await self.app(scope, receive, send)
