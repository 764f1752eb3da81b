"""The command line: `python -m styletransfer CONTENT STYLE [STYLE ...] -o OUT.png`."""

from .parser import build_parser, configured
from .run import main

__all__ = ["build_parser", "configured", "main"]
