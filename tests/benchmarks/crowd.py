"""A crowd of visitors at the app: every job ends in a picture or in a clear message, and nothing is left behind.

    python tests/benchmarks/crowd.py [--visitors N] [--minutes N] [--size N] [--seed N] [--workers N] [--json FILE]
        [--log FILE]

Starts `python app.py` on 127.0.0.1 in a process of its own, with folders of its own for temporary files. Visitors come
by Gradio's client; some wait for their picture, some stop it, some leave in the middle without a word, some send what
is no picture or settings that cannot be. Meanwhile the page is asked for its status twice a second, and the server's
memory, threads, open files and temporary files are read from /proc once a second. Two windows of a quarter of a
minute are compared, both with the crowd at work: after the first ten jobs, and at the end. Exits with 1 where a mark
is missed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import httpx
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from gradio_client.utils import QueueError
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from styletransfer import StyleTransferError, load_image

KINDS = {"stays": 5, "stops": 2, "leaves": 2, "sends no picture": 1, "sends bad settings": 2, "forges a file": 1}
REFUSALS = AppError, QueueError  # what the client raises of an error told, and of a full queue
PATIENCE = 600.0  # seconds for one job, its turn in the queue included
WARM, WINDOW = 10, 15  # jobs before the first window; seconds of each window
GROWTH, MORE_THREADS, MORE_FILES, RESPONSE = 1.10, 8, 4, 1.0
# (strength, brush, size, color, network, seed, quality); NaN travels as the bytes that Python writes for it
GOOD = (50, 1, 128, "style", "builtin", 0, "draft")
BAD_SETTINGS: dict[str, dict[int, Any]] = {
    "NaN": {0: float("nan")},
    "infinity": {1: float("inf")},
    "a negative size": {2: -128},
    "a huge size": {2: 10**9},
    "a size in words": {2: "large"},
    "an unknown colour": {3: "mauve"},
    "an unknown network": {4: "../../etc/passwd"},
    "a seed of 400 digits": {5: 10**400},
    "an unknown quality": {6: "perfect"},
    "lists": {place: [1] for place in range(7)},
    "nothing": dict.fromkeys(range(7)),
}

MARK = {"meta": {"_type": "gradio.FileData"}}
FORGED: dict[str, Any] = {
    "a file of the server": {"path": "/etc/passwd"},
    "a marked file of the server": {"path": "/etc/passwd", **MARK},
    "a way out of the cache": {"path": "../../../../etc/passwd", **MARK},
    "an address inside": {"path": "x.png", "url": "http://127.0.0.1:1/x.png", **MARK},
    "a file's address": {"path": "file:///etc/passwd", **MARK},
    "a name with a path": "../../../etc/passwd",
    "a number for a file": 7,
}


@dataclass
class Job:
    """One request: what kind, what became of it, how long it took, and what was said."""

    kind: str
    outcome: str
    seconds: float
    words: str = ""


@dataclass
class Sample:
    """The server at one moment, from /proc and its folders."""

    at: float
    painted: int  # pictures and stopped jobs so far
    memory: int
    threads: int
    handles: int
    own: int  # temporary files and folders of the app
    cache: int  # files in Gradio's cache, which keeps them for an hour


@dataclass
class Crowd:
    """What visitors, probe and watcher share."""

    url: str
    size: int
    photos: list[Path]
    styles: list[Path]
    closing: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    jobs: list[Job] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    lost_probes: list[str] = field(default_factory=list)

    def add(self, kind: str, outcome: str, began: float, words: str = "") -> None:
        with self.lock:
            self.jobs.append(Job(kind, outcome, time.monotonic() - began, words))


# --- visitors


class Visitor:
    """Comes, asks for a few pictures in its own way, goes, and comes again as another."""

    def __init__(self, crowd: Crowd, number: int, seed: int) -> None:
        self.crowd, self.chance = crowd, random.Random(f"{seed} {number}")
        self.headers = {"X-Forwarded-For": f"192.0.2.{number % 250}"}  # each from an address of its own
        self.thread = threading.Thread(target=self.live, daemon=True, name=f"visitor {number}")

    def live(self) -> None:
        pause = 0.5
        while not self.crowd.closing.wait(self.chance.uniform(0, pause)):
            kind = self.chance.choices(list(KINDS), list(KINDS.values()))[0]
            began = time.monotonic()
            try:
                busy = {
                    "stays": self.stay,
                    "stops": self.stop,
                    "leaves": self.leave,
                    "sends no picture": self.send_no_picture,
                    "sends bad settings": self.send_bad_settings,
                    "forges a file": self.forge,
                }[kind](began)
            except Exception as error:  # whatever it is, it is not an answer
                self.crowd.add(kind, "broken", began, f"{type(error).__name__}: {error}"[:300])
                busy = True
            pause = 10 if busy else 3

    def caller(self) -> httpx.Client:
        timeout = httpx.Timeout(60, read=PATIENCE)
        return httpx.Client(base_url=self.crowd.url, headers=self.headers, timeout=timeout)

    def pictures(self) -> list[Path]:
        return [self.chance.choice(self.crowd.photos), self.chance.choice(self.crowd.styles)]

    def settings(self) -> list[Any]:
        strength, brush, _, _, network, _, quality = GOOD
        color = self.chance.choice(("style", "content", "match"))
        return [strength, brush, self.crowd.size, color, network, self.chance.randrange(99), quality]

    def submitted(self, client: Client) -> Any:
        return client.submit(*map(handle_file, self.pictures()), *self.settings(), api_name="/stylize")

    def stay(self, began: float) -> bool:
        with visit(self.crowd.url, self.headers) as client:
            job = self.submitted(client)
            try:
                answer, told = job.result(timeout=PATIENCE)
            except REFUSALS as error:
                return self.refused("stays", began, error)
            except TimeoutError:
                self.crowd.add("stays", "lost", began, f"no answer in {PATIENCE:g} s")
                return True
            data = httpx.get(answer["url"], timeout=60).raise_for_status().content
            height, width = load_image(data).shape[-2:]
            right = max(height, width) == self.crowd.size and told["settings"]["outcome"] == "done"
            self.crowd.add("stays", "picture" if right else "broken", began, "" if right else f"{width} x {height}")
            return False

    def refused(self, kind: str, began: float, error: Exception, fine: tuple[str, ...] = ()) -> bool:
        """Whether the queue was full; any other message is an outcome only where one was due."""
        words = str(error)
        if "queue is full" in words.lower():
            self.crowd.add(kind, "turned away", began)
            return True
        clear = bool(words.strip()) and "Traceback" not in words and "None" not in words[:5] and len(words) < 1000
        wrong = "something went wrong" in words.lower()
        self.crowd.add(kind, "message" if clear and kind in fine and not wrong else "broken", began, words[:300])
        return False

    def stop(self, began: float) -> bool:
        """Cancel in the queue or after some steps."""
        with visit(self.crowd.url, self.headers) as client:
            job, steps = self.submitted(client), self.chance.choice((0, 1, 3))
            # By looking rather than by iterating: the client's iterator never ends for a job that was turned away.
            while not job.done() and len(job.outputs()) < steps and time.monotonic() < began + PATIENCE:
                time.sleep(0.05)
            if job.done() and isinstance(error := job.exception(), REFUSALS):
                return self.refused("stops", began, error)
            job.cancel()
            words = ""
            try:
                job.result(timeout=30)
            except TimeoutError:
                words = "the client was not told"  # it waits for one more message, which a job that is gone has not
            except (*REFUSALS, CancelledError, KeyError, ValueError):  # the client raises what a cut answer leads to
                pass
            self.crowd.add("stops", "stopped", began, words)
            return False

    def leave(self, began: float) -> bool:
        """What a closed tab does: the streams break, in the queue or in the middle, and nothing is said."""
        session = f"{self.chance.getrandbits(64):x}"
        with self.caller() as client:
            data = [*map(self.uploaded(client), self.pictures()), *self.settings()]
            joined = client.post("/gradio_api/queue/join", json=self.request(client, data, session))
            if joined.status_code == 503:
                self.crowd.add("leaves", "turned away", began)
                return True
            joined.raise_for_status()
            last, seen = self.chance.choice(("estimation", "process_starts", "process_generating")), ""
            with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
                for line in stream.iter_lines():
                    if line.startswith("data:"):
                        seen = json.loads(line[5:])["msg"]
                        if seen in (last, "process_completed"):
                            break
        self.crowd.add("leaves", "left", began, seen)
        return False

    def send_no_picture(self, began: float) -> bool:
        name, data = self.chance.choice(list(no_pictures(self.chance).items()))
        with visit(self.crowd.url, self.headers) as client, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"picture{self.chance.choice(('.png', '.jpg', '.webp'))}"
            path.write_bytes(data)
            pictures = [path, self.chance.choice(self.crowd.styles)]
            self.chance.shuffle(pictures)
            job = client.submit(*map(handle_file, pictures), *self.settings(), api_name="/stylize")
            try:
                job.result(timeout=PATIENCE)
                self.crowd.add("sends no picture", "broken", began, f"{name} was painted")
            except TimeoutError:
                self.crowd.add("sends no picture", "lost", began, name)
            except (*REFUSALS, ValueError) as error:
                return self.refused("sends no picture", began, error, fine=("sends no picture",))
        return False

    def send_bad_settings(self, began: float) -> bool:
        name, changes = self.chance.choice(list(BAD_SETTINGS.items()))
        return self.send("sends bad settings", name, {2 + place: value for place, value in changes.items()}, began)

    def forge(self, began: float) -> bool:
        """Name a file that was not uploaded: it must not be read, and that it is refused is answer enough."""
        name, value = self.chance.choice(list(FORGED.items()))
        return self.send("forges a file", name, {self.chance.randrange(2): value}, began)

    def send(self, kind: str, name: str, changes: dict[int, Any], began: float) -> bool:
        """What cannot be painted, by hand, since the client does not send what is not JSON."""
        settings, session = self.settings(), f"{self.chance.getrandbits(64):x}"
        with self.caller() as client:
            data = [*map(self.uploaded(client), self.pictures()), *settings]
            for place, value in changes.items():
                data[place] = value
            body = json.dumps(self.request(client, data, session))
            joined = client.post("/gradio_api/queue/join", content=body, headers={"Content-Type": "application/json"})
            if joined.status_code == 503:
                self.crowd.add(kind, "turned away", began)
                return True
            if joined.status_code != 200:
                outcome = "message" if 400 <= joined.status_code < 500 else "broken"
                self.crowd.add(kind, outcome, began, f"{name}: status {joined.status_code}")
                return False
            with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
                for line in stream.iter_lines():
                    told = json.loads(line[5:]) if line.startswith("data:") else {}
                    if told.get("msg") == "process_completed":
                        words = (told.get("output") or {}).get("error")
                        clear = bool(words) and "something went wrong" not in words.lower()
                        fine = not told["success"] and (clear or kind == "forges a file")
                        self.crowd.add(kind, "message" if fine else "broken", began, f"{name}: {words}"[:300])
                        return False
        self.crowd.add(kind, "lost", began, name)
        return False

    def uploaded(self, client: httpx.Client) -> Callable[[Path], dict[str, Any]]:
        def upload(path: Path) -> dict[str, Any]:
            answer = client.post("/gradio_api/upload", files={"files": (path.name, path.read_bytes())})
            return {"path": answer.raise_for_status().json()[0], "meta": {"_type": "gradio.FileData"}}

        return upload

    def request(self, client: httpx.Client, data: list[Any], session: str) -> dict[str, Any]:
        """What the page sends, for the function behind the name `stylize`."""
        listed = client.get("/config").raise_for_status().json()["dependencies"]
        number = next(each["id"] for each in listed if each["api_name"] == "stylize")
        return {"data": data, "fn_index": number, "session_hash": session}


class visit:
    """A client that is closed when it goes."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        quiet = {"verbose": False, "download_files": False, "analytics_enabled": False}
        self.client = Client(url, headers=headers, httpx_kwargs={"timeout": 60}, **quiet)

    def __enter__(self) -> Client:
        return self.client

    def __exit__(self, *_: Any) -> None:
        self.client.close()


def no_pictures(chance: random.Random) -> dict[str, bytes]:
    file = io.BytesIO()
    Image.effect_noise((300, 200), 90).save(file, "PNG")
    whole = file.getvalue()
    return {
        "noise": chance.randbytes(5000),
        "nothing": b"",
        "half a picture": whole[: len(whole) // 2],
        "a page": b"<html><script>alert(1)</script></html>",
        "900 million pixels": whole[:16] + (30_000).to_bytes(4, "big") * 2 + whole[24:],
    }


# --- what is watched meanwhile


def probe(crowd: Crowd) -> None:
    """Ask for a light page twice a second, and time the answers."""
    with httpx.Client(base_url=crowd.url, timeout=30) as client:
        path = next(each for each in ("/healthz", "/config") if client.get(each).status_code == 200)
        while not crowd.ended.wait(0.5):
            began = time.monotonic()
            try:
                client.get(path).raise_for_status()
                crowd.probes.append(time.monotonic() - began)
            except httpx.HTTPError as error:
                crowd.lost_probes.append(f"{type(error).__name__}: {error}"[:200])


def watch(crowd: Crowd, number: int, folder: Path) -> None:
    """Read the server's /proc and folders once a second."""
    began = time.monotonic()
    while not crowd.ended.wait(1):
        try:
            painted = sum(job.outcome in ("picture", "stopped") for job in list(crowd.jobs))
            crowd.samples.append(sample(time.monotonic() - began, painted, number, folder))
        except (FileNotFoundError, ProcessLookupError):
            return  # it died, which the end tells


def sample(at: float, painted: int, number: int, folder: Path) -> Sample:
    process = Path(f"/proc/{number}")
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    memory, threads = int(status["VmRSS"].split()[0]) * 1024, int(status["Threads"])
    own, cache = (sum(1 for _ in (folder / name).rglob("*")) for name in ("own", "cache"))
    return Sample(at, painted, memory, threads, len(os.listdir(process / "fd")), own, cache)


def windows(samples: list[Sample]) -> tuple[dict[str, float], dict[str, float]]:
    """Medians of each figure just after the first jobs, and at the end; nothing where there were too few jobs."""
    warm = next((each.at for each in samples if each.painted >= WARM), None)
    if warm is None or samples[-1].at < warm + 2 * WINDOW:
        return {}, {}
    early = [each for each in samples if warm <= each.at < warm + WINDOW]
    late = [each for each in samples if each.at >= samples[-1].at - WINDOW]
    first, last = ({name: statistics.median(getattr(each, name) for each in part) for name in
                    ("memory", "threads", "handles", "own", "cache")} for part in (early, late))  # fmt: skip
    return first, last


# --- the whole


def start(port: int, folder: Path, log: Path, workers: int) -> subprocess.Popen[bytes]:
    for name in ("own", "cache"):
        (folder / name).mkdir()
    environment = {
        **os.environ,
        "TMPDIR": str(folder / "own"),
        "GRADIO_TEMP_DIR": str(folder / "cache"),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "app.py", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--engine", "ray", "--workers", str(workers)] if workers else []
    with open(log, "wb") as file:
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT)


def wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Until the page is there and what it computes with is loaded, which it says in its log."""
    for _ in range(600):
        if server.poll() is not None:
            raise RuntimeError(f"the app ended with {server.returncode} before it was there")
        try:
            if httpx.get(url, timeout=5).status_code == 200 and "Ready:" in log.read_text(errors="replace"):
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.2)
    raise RuntimeError("the app did not come up in two minutes")


def crowded(options: argparse.Namespace, folder: Path, log: Path) -> tuple[Crowd, bool, int | None]:
    """Let the crowd in and out again: what was seen, whether a last visitor was served, and the server's exit code."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    examples = ROOT / "examples"
    photos, styles = (sorted((examples / kind).glob("*.jpg"))[:6] for kind in ("photos", "styles"))
    crowd = Crowd(f"http://127.0.0.1:{port}", options.size, photos, styles)
    server = start(port, folder, log, options.workers)
    served = False
    try:
        wait_for(crowd.url, server, log)
        threads = [threading.Thread(target=probe, args=(crowd,), daemon=True)]
        threads += [threading.Thread(target=watch, args=(crowd, server.pid, folder), daemon=True)]
        for thread in threads:
            thread.start()
        visitors = [Visitor(crowd, number, options.seed) for number in range(options.visitors)]
        for visitor in visitors:
            visitor.thread.start()
        until = time.monotonic() + 60 * options.minutes
        while time.monotonic() < until and server.poll() is None:
            time.sleep(1)
            print(f"\r{len(crowd.jobs)} jobs", end="", file=sys.stderr, flush=True)
        crowd.closing.set()
        patience = time.monotonic() + PATIENCE
        for visitor in visitors:
            visitor.thread.join(max(0, patience - time.monotonic()))
            if visitor.thread.is_alive():
                crowd.add("?", "lost", patience - PATIENCE, f"{visitor.thread.name} never came back")
        crowd.ended.set()
        for thread in threads:
            thread.join()
        Visitor(crowd, options.visitors, options.seed).stay(time.monotonic())
        served = crowd.jobs[-1].outcome == "picture"
    except (RuntimeError, httpx.HTTPError, StyleTransferError) as error:
        print(f"\n{error}", file=sys.stderr)
    finally:
        crowd.closing.set()
        crowd.ended.set()
        code = server.poll()
        server.send_signal(signal.SIGINT)
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
    return crowd, served, code


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--size", type=int, default=GOOD[2], help="long side of the pictures asked for")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=0, help="Ray's workers; 0: the app's own process")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--log", type=Path, help="where to keep what the server said")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # which ends the app too
    if not (1 <= options.visitors <= 100 and 0 < options.minutes <= 60):
        parser.error("from 1 to 100 visitors, for up to 60 minutes")
    with tempfile.TemporaryDirectory() as name:
        log = options.log or Path(name) / "log"
        crowd, served, code = crowded(options, Path(name), log)
        said = log.read_text(errors="replace")
    print(file=sys.stderr)
    outcomes = ("picture", "stopped", "left", "message", "turned away", "lost", "broken")
    counts = Counter((job.kind, job.outcome) for job in crowd.jobs)
    print(f"{options.visitors} visitors for {options.minutes:g} minutes, pictures of {options.size} px, "
          f"{os.cpu_count()} cores")  # fmt: skip
    print(f"{'':20}" + "".join(f"{each:>13}" for each in outcomes))
    for kind in [*KINDS, *({kind for kind, _ in counts} - set(KINDS))]:
        print(f"{kind:20}" + "".join(f"{counts[kind, each]:13}" for each in outcomes))
    done = sorted(job.seconds for job in crowd.jobs if job.outcome == "picture")
    waited = f"{statistics.median(done):.1f} s, longest {done[-1]:.1f} s" if done else "none"
    print(f"wait for a picture, its turn in the queue included: median {waited}")
    first, last = windows(crowd.samples) if crowd.samples else ({}, {})
    print(f"\n{'the server':20}{'first':>13}{'last':>13}{'most':>13}")
    for what, unit in (("memory", 2**20), ("threads", 1), ("handles", 1), ("own", 1), ("cache", 1)):
        most = max((getattr(each, what) for each in crowd.samples), default=0)
        names = {"memory": "memory, MB", "handles": "open files", "own": "temporary files", "cache": "Gradio's cache"}
        row = "".join(f"{value / unit:13.0f}" for value in (first.get(what, 0), last.get(what, 0), most))
        print(f"{names.get(what, what):20}{row}")
    times = sorted(crowd.probes)
    slow = times[int(0.95 * len(times))] if times else float("inf")
    print(f"answers to {len(times)} status requests: median {statistics.median(times or [0]):.3f} s, p95 {slow:.3f} s, "
          f"slowest {max(times or [0]):.3f} s, none for {len(crowd.lost_probes)}\n")  # fmt: skip
    marks = {
        "every job ended in a picture or a clear message": not any(
            job.outcome in ("lost", "broken") for job in crowd.jobs
        ) and bool(done),
        f"memory grew by less than {GROWTH - 1:.0%}": bool(first) and last["memory"] <= GROWTH * first["memory"],
        "threads are as many as before": bool(first) and last["threads"] <= first["threads"] + MORE_THREADS,
        "temporary files are as many as before": bool(first) and last["own"] <= first["own"] + MORE_FILES,
        f"p95 of a status request is below {RESPONSE:g} s": slow < RESPONSE and not crowd.lost_probes,
        "a visitor after the crowd was served": served,
        "the server lived, and logged no failure of its own": code is None and "a run failed" not in said,
    }  # fmt: skip
    for mark, met in marks.items():
        print(f"{'met   ' if met else 'MISSED'}  {mark}")
    for job in [job for job in crowd.jobs if job.outcome in ("lost", "broken")][:20]:
        print(f"  {job.kind}, {job.outcome} after {job.seconds:.1f} s: {job.words}")
    if options.json:
        report = {
            "visitors": options.visitors, "minutes": options.minutes, "size": options.size, "marks": marks,
            "jobs": [asdict(job) for job in crowd.jobs], "first": first, "last": last,
            "samples": [asdict(each) for each in crowd.samples], "p95": slow, "lost probes": crowd.lost_probes,
        }  # fmt: skip
        options.json.write_text(json.dumps(report, indent=1))
    return 0 if all(marks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
