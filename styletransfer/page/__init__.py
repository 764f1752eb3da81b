"""The page: the only folder that imports Gradio; the rest of the package never imports it."""

from .demo import build_demo, launch_options
from .health import add_health

__all__ = ["add_health", "build_demo", "launch_options"]
