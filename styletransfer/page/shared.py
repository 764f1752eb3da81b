"""What other sites show where somebody shares a link to the page: our title, sentence, picture and icon.

Gradio's page names Gradio's own, and has no option for most of them.
"""

from __future__ import annotations

import gzip
import html
import re
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import FileResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TITLE = "Style Transfer: your picture, repainted"
SENTENCE = "Give a photograph and a painting, and watch the photograph being repainted in the painting's manner."
CARD = "/card.jpg"
_THEIRS = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>\s*')
_ROOT = re.compile(rb'"root":\s*"(https?://[^"\\<>]*)"')


class SharedLink:
    """Middleware that puts our own words and picture into the page, which it also compresses."""

    def __init__(self, app: ASGIApp, card: Path) -> None:
        self.app, self.card = app, card

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "").removeprefix(scope.get("root_path", "")) or "/"
        if scope["type"] == "http" and path == CARD and self.card.is_file():
            await FileResponse(self.card, media_type="image/jpeg")(scope, receive, send)
        elif scope["type"] == "http" and path == "/" and scope["method"] == "GET":
            await self.app(scope, receive, Rewritten(send, "gzip" in Headers(scope=scope).get("accept-encoding", "")))
        else:
            await self.app(scope, receive, send)


class Rewritten:
    """Sends an answer on, its body changed as a whole."""

    def __init__(self, send: Send, compress: bool) -> None:
        self.send, self.compress = send, compress
        self.start: Any = None
        self.body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.start = message
            return
        self.body += message.get("body", b"")
        if message.get("more_body"):
            return
        headers, body = MutableHeaders(raw=self.start["headers"]), self.body
        if headers.get("content-type", "").startswith("text/html"):
            body = with_own_words(body)
            if self.compress:
                body = gzip.compress(body, 6)
                headers["content-encoding"] = "gzip"
                headers.add_vary_header("accept-encoding")
            headers["content-length"] = str(len(body))
        await self.send(self.start)
        await self.send({"type": "http.response.body", "body": body})


def with_own_words(page: bytes) -> bytes:
    """The page's HTML with our description in place of Gradio's; addresses are those that the page itself uses."""
    root = match[1].decode() if (match := _ROOT.search(page)) else ""
    properties = {"title": TITLE, "description": SENTENCE, "type": "website", "url": f"{root}/", "image": root + CARD}
    properties |= {"image:width": "1200", "image:height": "630", "image:alt": "A photograph, half of it repainted"}
    tags = [f'<meta property="og:{name}" content="{html.escape(text)}" />' for name, text in properties.items()]
    tags.append('<meta name="twitter:card" content="summary_large_image" />')
    tags.append(f'<meta name="description" content="{html.escape(SENTENCE)}" />')
    head = b"<head>\n\t\t" + "\n\t\t".join(tags).encode()
    return _THEIRS.sub(b"", page).replace(b"<head>", head, 1)
