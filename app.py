"""The app: choose a picture and a style, watch the one being painted like the other, keep it.

`python app.py` serves it on this computer; `--host` and `--share` open it to others, `--auth` asks them for a password.
"""

from __future__ import annotations

import argparse
import logging
import os
import threading
from importlib.util import find_spec
from pathlib import Path

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio reads it when it is imported
if os.environ.get("SPACE_ID"):  # all visitors come by way of the Space's proxy, which says for whom
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
try:
    import spaces  # ZeroGPU's, which has to come before torch
except ImportError:
    spaces = None

from styletransfer import Config, allocator, page, studio

EXAMPLES = Path(__file__).parent / "examples"

if spaces:  # a GPU for as long as the job may take
    from styletransfer.studio import running

    running.paint = spaces.GPU(duration=lambda job, *_, **__: int(job.seconds) + 10)(running.paint)
    running.sketch = spaces.GPU(duration=lambda jobs, *_, **__: 10 + int(sum(job.seconds for job in jobs)))(
        running.sketch
    )

demo = page.build_demo(EXAMPLES)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the app.")
    parser.add_argument("--host", help="address to listen on (default: this computer alone)")
    parser.add_argument("--port", type=int, help="port (default: the first free one from 7860)")
    parser.add_argument("--share", action="store_true", help="also open a public link, by way of Gradio's servers")
    parser.add_argument("--auth", metavar="NAME:PASSWORD", help="ask visitors for a name and a password")
    parser.add_argument("--weights", help="file of the weights for the VGG networks")
    parser.add_argument("--mcp", action="store_true", help="also serve the endpoints as MCP tools (needs gradio[mcp])")
    options = parser.parse_args()
    if options.mcp and find_spec("mcp") is None:
        parser.error("--mcp needs an extra package: pip install 'gradio[mcp]'")
    if options.auth and ":" not in options.auth:
        parser.error("--auth needs a name and a password with a colon between them")
    allocator.keep()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("styletransfer").setLevel(logging.INFO)
    page.handlers.WEIGHTS = options.weights
    auth = tuple(options.auth.split(":", 1)) if options.auth else None
    place = {
        "server_name": options.host,
        "server_port": options.port,
        "share": options.share,
        "auth": auth,
        "mcp_server": options.mcp,
    }
    server, _, _ = demo.launch(prevent_thread_lock=True, **place, **page.launch_options())
    page.add_health(demo, server)
    threading.Thread(target=warm_up, daemon=True).start()  # the page is there; now for what takes longer
    demo.block_thread()


def warm_up() -> None:
    """Import torch and load the network, and say in a line what runs here and how much of it."""
    limits = studio.LIMITS
    bounds = f"at most {limits.size} pixels, {limits.steps} steps, {limits.seconds:g} s a picture"
    if not limits.zero:
        network = studio.network_for(Config())
        bounds = f"{studio.describe(network.name, network.reason, network.mean.device.type)}; {bounds}"
    print(f"* Ready: {bounds}")


if __name__ == "__main__":
    main()
