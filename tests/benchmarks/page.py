"""How soon the page answers and moves, with the built-in network: `python tests/benchmarks/page.py [--json FILE]`.

Starts `python app.py`, waits for its first page, then presses Paint in a real browser and times the previews that it
shows.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
# Times of the pictures shown, in seconds after the click.
WATCH = """() => {
  const times = window.previews = [], picture = () => document.querySelectorAll('#result img')[1]?.src
  let last = picture()
  document.querySelector('#run').addEventListener('click', () => { window.clicked = performance.now() })
  new MutationObserver(() => {
    if (picture() === last) return
    last = picture()
    if (last?.endsWith('preview.jpg')) times.push((performance.now() - window.clicked) / 1000)
  }).observe(document.querySelector('#result'), {subtree: true, attributes: true, childList: true})
}"""


@contextmanager
def served() -> Iterator[tuple[str, float]]:
    """The app's address, and the seconds from its start to its first page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "GRADIO_TEMP_DIR": folder}
        began = time.monotonic()
        command = [sys.executable, str(ROOT / "app.py"), "--port", str(port)]
        app = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            while app.poll() is None:
                try:
                    urllib.request.urlopen(url, timeout=30).read()
                    break
                except (urllib.error.URLError, ConnectionError, TimeoutError):
                    time.sleep(0.02)
            yield url, time.monotonic() - began
        finally:
            app.terminate()
            app.wait(30)


def painted(url: str, size: int, quality: str) -> dict[str, float]:
    """Seconds to the first preview and in all, previews a second, and the longest wait between two."""
    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_page()
        page.set_default_timeout(600_000)
        page.goto(f"{url}?size={size}&quality={quality}")
        page.wait_for_function("document.querySelector('#network-line')?.innerText.includes('network')")
        page.wait_for_function(f"document.querySelector('#size input[type=number]')?.value == '{size}'")
        page.evaluate(WATCH)
        page.click("#run")
        page.wait_for_function("document.querySelector('#status p').innerText.includes('Done in')")
        times: list[float] = page.evaluate("window.previews")
        browser.close()
    waits = [after - before for before, after in pairwise(times)]
    span = times[-1] - times[0]
    return {"first": times[0], "last": times[-1], "rate": len(waits) / span, "longest": max(waits)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--quality", default="draft", choices=("draft", "balanced", "best"))
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    with served() as (url, start):
        result = painted(url, options.size, options.quality)
    report: dict[str, Any] = {"size": options.size, "quality": options.quality, "start": start, **result}
    rows = {
        "start to first page": f"{start:.1f} s",
        "click to first preview": f"{result['first']:.1f} s",
        "previews a second": f"{result['rate']:.1f}",
        "longest wait between two": f"{result['longest']:.1f} s",
        "click to last preview": f"{result['last']:.1f} s",
    }
    print(f"{options.size} px, {options.quality}")
    for name, value in rows.items():
        print(f"  {name:26} {value:>8}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
