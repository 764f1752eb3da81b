"""The page: the only folder that knows Gradio, and the only one that a headless use of the package never imports."""

from .demo import build_demo, launch_options
from .health import add_health

__all__ = ["add_health", "build_demo", "launch_options"]
