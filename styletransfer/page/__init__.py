"""The page: the only folder that knows Gradio, and the only one that a headless use of the package never imports."""

from .demo import build_demo
from .health import add_health
from .look import launch_options

__all__ = ["add_health", "build_demo", "launch_options"]
