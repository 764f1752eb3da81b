"""The tabs that explain: how it works, shown with the visitor's own pictures, and what this program is."""

from __future__ import annotations

import base64
import filecmp
import html
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import gradio as gr

from ..config import Config, StyleTransferError
from ..studio.server import Limits, Server
from ..studio.wording import describe
from ..studio.worker import in_worker
from .controls import Bundled, chooser, thumbnails
from .errors import friendly
from .inputs import Picture
from .look import status
from .parts import AT_ONCE, HEAVY, Updates
from .visit import in_turn, turn, visit_of
from .words import i18n, said

if TYPE_CHECKING:
    from torch import Tensor

    from ..explain import GramLayer, Reconstruction

SHOWN_SIDE = 320  # pixels of the photograph and the painting that are shown
INVITATION = "Two rows of pictures and a set of tables will appear here, one after the other."
SEE = (
    "<h2>See it with your own eyes</h2><p>Choose a photograph and a painting. Starting from noise, each layer then "
    "paints what it knows of them.</p>"
)
STOPPED = "Stopped before the end: press Show to start again."
# What each of the first style layers adds, as their reconstructions show.
MANNERS = ("colours and specks", "small strokes", "longer strokes and their turns", "patterns", "whole shapes")


def text(name: str) -> str:
    return (Path(__file__).parent / f"{name}.html").read_text(encoding="utf-8")


# --- the tabs


def how_tab(server: Server, bundled: Bundled, *, content: Any, style: Any, key: Any) -> None:
    """Fill the tab that is being built; `content`, `style` and `key` are components of the Paint tab."""
    first: Mapping[str, str] = next(iter(bundled["results"]), {})
    gr.HTML(i18n.markup("how", text("how")), elem_classes="explain")
    gr.HTML(i18n.markup("see", SEE), elem_classes="explain")
    with gr.Row(elem_id="how-pair"):
        chosen = [
            choice(first.get("content"), bundled["photos"], "Photograph"),
            choice(first.get("style"), bundled["styles"], "Painting"),
        ]
    with gr.Row(elem_id="how-go"):
        show = gr.Button(i18n("Show what the network sees"), variant="primary", elem_id="how-run", scale=2)
        stop = gr.Button(i18n("Stop"), variant="stop", elem_id="how-stop", visible=False, scale=2)
        take = gr.Button(i18n("Take the pair of the Paint tab"), elem_id="how-take", scale=1)
    state = gr.HTML(status(i18n(INVITATION)), elem_id="how-status", elem_classes="status")
    outputs = {"status": state}
    for kind in ("content", "style", "grams"):
        outputs[kind] = gr.HTML(elem_id=f"how-{kind}", elem_classes="explain")
    gr.HTML(i18n.markup("formula", text("formula")), elem_classes="explain")

    def buttons(running: bool) -> Updates:
        return {show: gr.update(visible=not running), stop: gr.update(visible=running)}

    def begin() -> Updates:
        return {**buttons(running=True), state: status("waiting for its turn", 0)}

    def explain(content: Any, style: Any, key: Any) -> Iterator[Updates]:
        result = result_of((content, style), key, bundled["results"])
        updates = explained(content, style, limits=server.limits, result=result)
        with friendly(), closing(in_turn(together(updates), server.limits.waiting)) as news:
            for task, latest in news:
                yield {outputs[name]: value for name, value in (latest or {"status": status(turn(task), 0)}).items()}

    take.click(lambda *pair: pair, [content, style], chosen, **AT_ONCE)
    begun = show.click(begin, None, [show, stop, state], **AT_ONCE)
    work = begun.success(
        explain, [*chosen, key], list(outputs.values()), show_progress="hidden", api_visibility="private", **HEAVY
    )
    for ended in (work.success, work.failure):
        ended(lambda: buttons(running=False), None, [show, stop], **AT_ONCE)
    work.failure(lambda: status(STOPPED), None, state, **AT_ONCE)  # after a stop both happen
    stop.click(None, cancels=[work])


def choice(first: str | None, entries: Sequence[Mapping[str, str]], label: str) -> Any:
    """A picture and the bundled ones to choose from."""
    with gr.Column(min_width=260):
        options: Any = {"interactive": False, "buttons": [], "height": 150, "type": "filepath"}
        picture = Picture(first, label=i18n(label), elem_id=f"how-{label.lower()}", **options)
        strip = thumbnails(entries, f"how-{label.lower()}s", f"{label}s to choose from")
    strip.select(chooser(entries), None, picture, **AT_ONCE)
    return picture


def about_tab(limits: Limits, bundled: Bundled) -> None:
    """Fill the tab that is being built."""
    sentence = (
        f"Results up to {limits.size} pixels on the long side, from pictures of up to {limits.pixels // 10**6} "
        f"megapixels; a run ends with its best picture so far after {limits.seconds / 60:.2g} minutes at the latest."
    )
    markup = text("about").replace("LIMITS", sentence).replace("PICTURES", trio(bundled))
    gr.HTML(i18n.markup("about", markup), elem_classes="explain")


def trio(bundled: Bundled) -> str:
    """A photograph, a painting and what was painted of the two, if there is a finished example."""
    if not bundled["results"]:
        return ""
    entry = bundled["results"][0]
    looks = {other["file"]: other["look"] for other in bundled["styles"]}
    shown = {
        "A photograph": entry["content"],
        "and a painting": looks[entry["style"]],
        "become a picture.": entry["look"],
    }
    figures = "".join(
        f'<figure><img src="gradio_api/file={quote(file)}" alt="" loading="lazy" width="320" height="213">'
        f"<figcaption>{caption}</figcaption></figure>"
        for caption, file in shown.items()
    )
    return f'<div class="row trio" style="--frames: 3">{figures}</div>'


# --- what is computed


@in_worker
def explained(
    content: str | None, style: str | None, *, limits: Limits, result: Any = None
) -> Generator[dict[str, str], None, None]:
    """Yield what has changed of the `status`, the rows `content` and `style`, and the tables `grams`.

    content, style: paths; result: the picture (1, 3, H, W) in [0, 1] that was made of them, or None.
    """
    with friendly():
        if not content or not style:
            raise StyleTransferError("there is no pair yet: choose a photograph and a painting")
        yield {"status": status("loading the network", 0)}
        from .. import explain
        from ..images import load_image

        began, network = time.monotonic(), network_in_use(limits)
        photograph, painting = (small(load_image(path, max_pixels=limits.pixels)) for path in (content, style))
        originals = {"content": photograph, "style": painting}
        layers = {"content": explain.content_layers(network), "style": explain.style_layers(network)}
        columns = 1 + max(map(len, layers.values()))
        rows = {kind: Row(kind, originals[kind], len(layers[kind]), columns) for kind in layers}
        pictures = [painting, photograph, *([] if result is None else [result])]
        grams = grams_html(explain.gram_layers(pictures, network))
        markup = {kind: row.html() for kind, row in rows.items()}
        yield {"status": status("the first layer paints", 0), **markup, "grams": grams}
        total = sum(map(len, layers.values()))
        for number, reconstruction in enumerate(explain.reconstructions(photograph, painting, network), 1):
            row = rows[reconstruction.kind]
            row.add(reconstruction)
            yield {"status": status(f"picture {number} of {total}", number / total), row.kind: row.html()}
        used = describe(network.name, network.reason, network.mean.device.type)
        yield {"status": status(f"Done in {time.monotonic() - began:.0f} s · {used}")}


def together(updates: Iterator[dict[str, str]]) -> Generator[dict[str, str], None, None]:
    """All that has changed so far, with each update: who follows may miss some."""
    changed: dict[str, str] = {}
    for update in updates:
        changed = {**changed, **update}
        yield changed


def network_in_use(limits: Limits) -> Any:
    """The network of a run with the default settings; not on a GPU that is lent only to runs."""
    from ..studio import frames

    return frames.network_for(Config(device="cpu") if limits.zero else Config())


@in_worker
def result_of(pair: tuple[str | None, str | None], key: Any, results: Sequence[Mapping[str, str]]) -> Any:
    """The picture (1, 3, H, W) made of content and style: the visitor's own, or else a bundled one; None without."""
    content, style = pair
    if not content or not style:
        return None
    visit = visit_of(key) if key else None
    for kept in reversed(visit.results if visit else []):
        pictures = kept.job.content, *kept.job.styles
        if kept.metadata and len(pictures) == 2 and same(pictures, (content, style)):
            return kept.image()
    for entry in results:
        if same((entry["content"], entry["style"]), (content, style)):
            from ..images import load_image

            return load_image(entry["file"])
    return None


def same(files: Sequence[str], others: Sequence[str]) -> bool:
    """Whether each file has the same bytes as the other; a missing file equals none."""
    try:
        return all(filecmp.cmp(file, other, shallow=False) for file, other in zip(files, others))
    except OSError:
        return False


def small(image: Tensor) -> Tensor:
    """A picture at the size at which it is shown and reconstructed."""
    from ..pixels import fit_size, resize, size_of

    size = size_of(image)
    return resize(image, fit_size(size, min(max(size), SHOWN_SIDE)))


# --- how it is shown


class Row:
    """An original and its reconstructions: frames of one size, filled one after the other."""

    def __init__(self, kind: str, original: Tensor, count: int, columns: int) -> None:
        self.kind, self.original, self.count, self.columns = kind, original, count, columns
        self.ratio = original.shape[-1] / original.shape[-2]
        name = "the photograph" if kind == "content" else "the painting"
        self.figures = [figure(original, f"<b>{said(name)}</b>", said(name))]

    def add(self, reconstruction: Reconstruction) -> None:
        """Show the next picture, with its layer and a remark."""
        layers = reconstruction.layers
        words = self._gap(reconstruction) if self.kind == "content" else MANNERS[min(len(layers), len(MANNERS)) - 1]
        name = layers[-1] if len(layers) == 1 else f"+ {layers[-1]}"
        caption = f"<b>{html.escape(name)}</b> {said(words)}"
        told = said(f"{self.kind} rebuilt from {', '.join(layers)}")
        self.figures.append(figure(reconstruction.image, caption, told))

    def _gap(self, reconstruction: Reconstruction) -> str:
        """How far the pixels are from the original's, as a root mean square."""
        from ..pixels import resize, size_of

        gap = reconstruction.image - resize(self.original, size_of(reconstruction.image))
        return f"pixels off by {100 * float(gap.square().mean().sqrt()):.0f} %"

    def html(self) -> str:
        waiting = f'<figure class="wait"><div style="aspect-ratio:{self.ratio:.3f}"></div></figure>'
        frames = self.figures + [waiting] * (1 + self.count - len(self.figures))
        return f'{heading(self.kind)}<div class="row" style="--frames:{self.columns}">{"".join(frames)}</div>'


HEADINGS = {
    "content": (
        "What a layer knows of the photograph",
        "Starting from noise, pixels were changed until this layer "
        "reported the same as for the photograph. What looks wrong is what the layer ignores: deep ones, more.",
    ),
    "style": (
        "What the layers know of the painting’s manner",
        "The same for the Gram matrices of one layer, then of "
        "two, and so on. Nothing stays in its place, as they do not record places; each layer adds larger strokes.",
    ),
    "grams": (
        "The manner, as tables",
        "Gram matrices: a cell says how much two detectors report together. Teal: "
        "both at once; amber: one without the other; white: unrelated. A good result has the painting’s table, not "
        "the photograph’s; the number below a table is its distance to the painting’s.",
    ),
}


def heading(kind: str) -> str:
    title, text = map(said, HEADINGS[kind])
    return f"<h3>{title}</h3><p>{text}</p>"


def grams_html(layers: Iterator[GramLayer]) -> str:
    """The tables of every layer side by side: the painting's, the photograph's, the result's."""
    names = ("painting", "photograph", "result")
    groups = ""
    for layer in layers:
        figures = "".join(
            figure(
                picture,
                f"{said(name)}{f'<span>{distance:.2g}</span>' if number else ''}",
                f"{said(name)}, {layer.layer}",
                "png",
            )
            for number, (name, picture, distance) in enumerate(zip(names, layer.pictures, layer.distances))
        )
        groups += f'<section><h4>{html.escape(layer.layer)}</h4><div class="tables">{figures}</div></section>'
    return f'{heading("grams")}<div class="grams">{groups}</div>'


def figure(image: Tensor, caption: str, alternative: str, format: str = "jpeg") -> str:
    from ..images import encode_image

    data = base64.b64encode(encode_image(image, format)).decode()
    source = f"data:image/{format};base64,{data}"
    return f'<figure><img src="{source}" alt="{html.escape(alternative)}"><figcaption>{caption}</figcaption></figure>'
