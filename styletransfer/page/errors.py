"""Errors as the page shows them: one sentence each."""

from __future__ import annotations

import html
import logging
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr

from ..config import StyleTransferError
from .words import said

logger = logging.getLogger(__name__)


def sorry(text: str) -> gr.Error:
    """An error with this sentence; Gradio shows messages as HTML, so it is escaped."""
    text = said(text)
    sentence = text[:1].upper() + text[1:] + said(".")
    return gr.Error(html.escape(sentence, quote=False), print_exception=False)


@contextmanager
def friendly() -> Iterator[None]:
    """Turn every failure into a sentence; what is not the visitor's doing goes to the log."""
    try:
        yield
    except StyleTransferError as error:
        raise sorry(str(error)) from error
    except gr.Error:
        raise
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's, which may not be imported yet
            raise sorry("there is not enough memory for this: choose a smaller size") from error
        logger.exception("a run failed")
        raise sorry("something went wrong here; the server's log has the details") from error
