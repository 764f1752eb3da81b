"""The app: choose a picture and a style, watch the picture being repainted, and download it.

`python app.py` serves it on this computer; `--host` and `--share` open it to others, `--auth` asks them for a password.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

from styletransfer import StyleTransferError, cores
from styletransfer.studio.surroundings import mend_proxies, upload_folder

os.environ.update(cores.settings(os.environ))
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # gradio reads it when it is imported
if os.environ.get("SPACE_ID"):  # all visitors come by way of the Space's proxy, which names their addresses
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
try:
    os.environ["GRADIO_TEMP_DIR"] = upload_folder(os.environ.get("GRADIO_TEMP_DIR"))
except StyleTransferError as error:
    sys.exit(f"error: {error}")
if note := mend_proxies():
    print(f"* {note}")
if find_spec("spaces"):  # ZeroGPU's package has to come before torch, and the functions that need a GPU before launch
    import spaces  # noqa: F401

    import styletransfer.studio.frames  # noqa: F401

from styletransfer import Config, allocator, page
from styletransfer.engine import Engine, Here, add_flags, chosen
from styletransfer.studio.server import Limits, Server
from styletransfer.studio.wording import describe

EXAMPLES = Path(__file__).parent / "examples"


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve the app.")
    parser.add_argument("--host", help="address to listen on (default: this computer alone)")
    parser.add_argument("--port", type=int, help="port (default: the first free one from 7860)")
    parser.add_argument("--root-path", metavar="/PATH", help="path of the app behind a proxy that takes it away")
    parser.add_argument("--share", action="store_true", help="also open a public link, by way of Gradio's servers")
    parser.add_argument("--auth", metavar="NAME:PASSWORD", help="ask visitors for a name and a password")
    parser.add_argument("--weights", help="file of the weights for the VGG networks")
    parser.add_argument("--mcp", action="store_true", help="also serve the endpoints as MCP tools (needs gradio[mcp])")
    add_flags(parser)
    options = parser.parse_args()
    if options.mcp and find_spec("mcp") is None:
        parser.error("--mcp needs an extra package: pip install 'gradio[mcp]'")
    if options.auth and ":" not in options.auth:
        parser.error("--auth needs a name and a password with a colon between them")
    try:
        engine = chosen(options)
    except StyleTransferError as error:
        parser.error(str(error))
    allocator.keep()
    logging.basicConfig(format="%(message)s")
    logging.getLogger("styletransfer").setLevel(logging.INFO)
    server = Server.here(options.weights, engine)
    demo = page.build_demo(server, EXAMPLES)
    auth = tuple(options.auth.split(":", 1)) if options.auth else None
    address = {
        "server_name": options.host,
        "server_port": options.port,
        "share": options.share,
        "auth": auth,
        "mcp_server": options.mcp,
        "root_path": options.root_path,
    }
    try:
        web_app, _, _ = demo.launch(prevent_thread_lock=True, **address, **page.launch_options(server, EXAMPLES))
    except (OSError, OverflowError):
        place = f"{options.host or '127.0.0.1'}:{options.port or 'any port'}"
        parser.error(f"cannot serve at {place}: the port is in use, or the address is not of this computer")
    page.add_health(demo, web_app, server.limits, engine.workers)
    threading.Thread(target=warm_up, args=[server.limits, engine], daemon=True).start()  # the page need not wait for it
    demo.block_thread()


def warm_up(limits: Limits, engine: Engine) -> None:
    """Import torch, load the network, time it for estimates, and print in a line what computes here and the limits."""
    bounds = f"at most {limits.size} pixels, {limits.steps} steps, {limits.seconds:g} s a picture"
    if not isinstance(engine, Here):
        bounds = f"{engine.workers} workers of Ray; {bounds}"
    elif not limits.zero:
        from styletransfer.studio.frames import network_for
        from styletransfer.studio.worker import WORKER
        from styletransfer.transfer import forecast

        network = network_for(Config())
        WORKER.call(forecast, Config(), (3, 4), network)
        bounds = f"{describe(network.name, network.reason, network.mean.device.type)}; {bounds}"
    print(f"* Ready: {bounds}")


if __name__ == "__main__":
    main()
