"""The tabs that explain: how it works, shown with the visitor's own pair, and what this program is."""

from __future__ import annotations

import base64
import filecmp
import html
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from .. import studio
from ..config import Config, StyleTransferError
from ..studio.worker import in_worker
from . import handlers
from .controls import chooser, thumbnails
from .crowd import check_turn
from .inputs import Picture
from .look import status
from .paint import AT_ONCE, HEAVY

if TYPE_CHECKING:
    from torch import Tensor

    from ..explain import GramLayer, Reconstruction

Bundled = Mapping[str, Sequence[Mapping[str, str]]]

SHOWN_SIDE = 320  # pixels of the photograph and the painting beside what is made of them
INVITATION = "Two rows of pictures and a set of tables will appear here, one after the other."
SEE = (
    "<h2>See it with your own eyes</h2><p>Choose a photograph and a painting. From nothing but noise, each layer then "
    "paints what it knows of them.</p>"
)
STOPPED = "Stopped before the end: press Show to begin anew."
# What the first style layers add, as it is seen in their reconstructions.
MANNERS = ("colours and specks", "small strokes", "longer strokes and their turns", "larger forms")


def text(name: str) -> str:
    return (Path(__file__).parent / f"{name}.html").read_text(encoding="utf-8")


# --- the tabs


def how_tab(bundled: Bundled, content: Any, style: Any, key: gr.State) -> None:
    """Fill the tab that is being built; `content`, `style` and `key` are those of the Paint tab."""
    first: Mapping[str, str] = next(iter(bundled["results"] or bundled["pairs"]), {})
    gr.HTML(text("how"), elem_classes="explain")
    gr.HTML(SEE, elem_classes="explain")
    with gr.Row(elem_id="how-pair"):
        chosen = [
            choice(first.get("content"), bundled["photos"], "Photograph"),
            choice(first.get("style"), bundled["styles"], "Painting"),
        ]
    with gr.Row(elem_id="how-go"):
        show = gr.Button("Show what the network sees", variant="primary", elem_id="how-run", scale=2)
        stop = gr.Button("Stop", variant="stop", elem_id="how-stop", visible=False, scale=2)
        take = gr.Button("Take the pair of the Paint tab", elem_id="how-take", scale=1)
    state = gr.HTML(status(INVITATION), elem_id="how-status", elem_classes="status")
    rows = [gr.HTML(elem_id=f"how-{kind}", elem_classes="explain") for kind in ("content", "style", "grams")]
    gr.HTML(text("formula"), elem_classes="explain")

    def begin(request: gr.Request) -> tuple[Any, ...]:
        check_turn(request)
        return gr.update(visible=False), gr.update(visible=True), status("waiting for its turn", 0)

    def end() -> tuple[Any, ...]:
        return gr.update(visible=True), gr.update(visible=False)

    def explain(content: Any, style: Any, key: Any) -> Iterator[tuple[Any, ...]]:
        yield from explained(content, style, result_of(content, style, key, bundled["results"]))

    take.click(lambda *pair: pair, [content, style], chosen, **AT_ONCE)
    begun = show.click(begin, None, [show, stop, state], **AT_ONCE)
    work = begun.success(
        explain, [*chosen, key], [state, *rows], show_progress="hidden", api_visibility="private", **HEAVY
    )
    work.then(end, None, [show, stop], **AT_ONCE)
    work.failure(lambda: status(STOPPED), None, state, **AT_ONCE)  # a stop is followed by both
    stop.click(None, cancels=[work])


def choice(first: str | None, entries: Sequence[Mapping[str, str]], label: str) -> Any:
    """A picture and the bundled ones to choose from."""
    with gr.Column(min_width=260):
        options: Any = {"interactive": False, "buttons": [], "height": 150, "type": "filepath"}
        picture = Picture(first, label=label, elem_id=f"how-{label.lower()}", **options)
        strip = thumbnails(entries, f"how-{label.lower()}s", f"{label}s to choose from")
    strip.select(chooser(entries), None, picture, **AT_ONCE)
    return picture


def about_tab() -> None:
    """Fill the tab that is being built."""
    most = studio.LIMITS
    limits = (
        f"Results up to {most.size} pixels on the long side, from pictures of up to {most.pixels // 10**6} megapixels; "
        f"a run ends with its best picture so far after {most.seconds / 60:.2g} minutes at the latest."
    )
    gr.HTML(text("about").replace("LIMITS", limits), elem_classes="explain")


# --- what is computed


@in_worker
def explained(content: str | None, style: str | None, result: Any = None) -> Iterator[tuple[Any, ...]]:
    """Yield the status, the rows of content and style, and the Gram matrices; what has not changed is skipped.

    content, style: paths; result: the picture (1, 3, H, W) in [0, 1] that was made of them, or None.
    """
    with handlers.friendly():
        if not content or not style:
            raise StyleTransferError("there is no pair yet: choose a photograph and a painting")
        yield status("loading the network", 0), gr.skip(), gr.skip(), gr.skip()
        from .. import explain
        from ..studio.running import load

        began, network = time.monotonic(), network_in_use()
        originals = small(load(content)), small(load(style))
        layers = {"content": explain.content_layers(network), "style": explain.style_layers(network)}
        columns = 1 + max(map(len, layers.values()))
        rows = [Row(kind, original, len(layers[kind]), columns) for kind, original in zip(layers, originals)]
        pictures = [*originals[::-1], *([] if result is None else [result])]
        grams = grams_html(explain.gram_layers(pictures, network))
        yield status("the first layer paints", 0), rows[0].html(), rows[1].html(), grams
        total = sum(map(len, layers.values()))
        for number, found in enumerate(explain.reconstructions(*originals, network), 1):
            row = rows[found.kind == "style"]
            row.add(found)
            line = status(f"picture {number} of {total}", number / total)
            yield line, *(each.html() if each is row else gr.skip() for each in rows), gr.skip()
        used = studio.describe(network.name, network.reason, network.mean.device.type)
        yield status(f"Done in {time.monotonic() - began:.0f} s · {used}"), *[gr.skip()] * 3


def network_in_use() -> Any:
    """The network of a run with the default settings; without the GPU where one is lent to runs alone."""
    return studio.network_for(Config(device="cpu") if studio.LIMITS.zero else Config())


@in_worker
def result_of(content: str | None, style: str | None, key: Any, results: Sequence[Mapping[str, str]]) -> Any:
    """The picture (1, 3, H, W) made of a pair: the visitor's own, or else a bundled one; None if there is none."""
    if not content or not style:
        return None
    visit = studio.STORE.get(key) if key else None
    for kept in reversed(visit.results if visit else []):
        if kept.metadata and len(kept.job.styles) == 1 and same((kept.job.content, *kept.job.styles), (content, style)):
            return kept.image()
    for entry in results:
        if same((entry["content"], entry["style"]), (content, style)):
            from ..studio.running import load

            return load(entry["file"])
    return None


def same(files: Sequence[str], others: Sequence[str]) -> bool:
    """Whether files have the same bytes each; one that is gone is like no other."""
    try:
        return all(filecmp.cmp(file, other, shallow=False) for file, other in zip(files, others))
    except OSError:
        return False


def small(image: Tensor) -> Tensor:
    """A picture at the size it is shown and rebuilt from."""
    from ..pixels import fit_size, resize, size_of

    size = size_of(image)
    return resize(image, fit_size(size, min(max(size), SHOWN_SIDE)))


# --- how it is shown


class Row:
    """An original and what is made of it: frames of one size, filled one after the other."""

    def __init__(self, kind: str, original: Tensor, count: int, columns: int) -> None:
        self.kind, self.original, self.count, self.columns = kind, original, count, columns
        self.ratio = original.shape[-1] / original.shape[-2]
        name = "the photograph" if kind == "content" else "the painting"
        self.figures = [figure(original, f"<b>{name}</b>", name)]

    def add(self, found: Reconstruction) -> None:
        """The next picture, with what can be said of it."""
        layers = ", ".join(found.layers)
        words = self._gap(found) if self.kind == "content" else self._manner(found)
        name = found.layers[-1] if len(found.layers) == 1 else f"+ {found.layers[-1]}"
        caption = f"<b>{html.escape(name)}</b> {words}"
        self.figures.append(figure(found.image, caption, f"{self.kind} rebuilt from {layers}"))

    def _gap(self, found: Reconstruction) -> str:
        """How far the pixels are from the original's, as a root mean square."""
        from ..pixels import resize, size_of

        gap = found.image - resize(self.original, size_of(found.image))
        return f"pixels off by {100 * float(gap.square().mean().sqrt()):.0f} %"

    def _manner(self, found: Reconstruction) -> str:
        return MANNERS[min(len(found.layers), len(MANNERS)) - 1]

    def html(self) -> str:
        waiting = f'<figure class="wait"><div style="aspect-ratio:{self.ratio:.3f}"></div></figure>'
        frames = self.figures + [waiting] * (1 + self.count - len(self.figures))
        return f'{HEADINGS[self.kind]}<div class="row" style="--frames:{self.columns}">{"".join(frames)}</div>'


HEADINGS = {
    "content": (
        "<h3>What a layer knows of the photograph</h3><p>Noise was changed until this one layer saw in it what it sees "
        "in the photograph. What comes out wrong is what the layer does not care about: the deeper, the freer.</p>"
    ),
    "style": (
        "<h3>What the layers know of the painting’s manner</h3><p>The same with Gram matrices, of one layer, then of "
        "two ... Nothing stays in its place, since place is what they forget; each layer adds larger strokes.</p>"
    ),
    "grams": (
        "<h3>The manner, as tables</h3><p>Gram matrices: a cell says how much two detectors report together. Teal is "
        "together, amber is one against the other, white is neither. A good result has the painting’s table, not the "
        "photograph’s; below each is how far away it is.</p>"
    ),
}


def grams_html(layers: Iterator[GramLayer]) -> str:
    """The tables of every layer side by side: the painting's, the photograph's, the result's."""
    names = ("painting", "photograph", "result")
    groups = ""
    for each in layers:
        figures = "".join(
            figure(
                picture,
                f"{name}{f'<span>{distance:.2g}</span>' if name != 'painting' else ''}",
                f"{name}, {each.layer}",
                "png",
            )
            for name, picture, distance in zip(names, each.pictures, each.distances)
        )
        groups += f'<section><h4>{html.escape(each.layer)}</h4><div class="tables">{figures}</div></section>'
    return f'{HEADINGS["grams"]}<div class="grams">{groups}</div>'


def figure(image: Tensor, caption: str, alternative: str, format: str = "jpeg") -> str:
    from ..images import encode_image

    data = base64.b64encode(encode_image(image, format)).decode()
    source = f"data:image/{format};base64,{data}"
    return f'<figure><img src="{source}" alt="{html.escape(alternative)}"><figcaption>{caption}</figcaption></figure>'
