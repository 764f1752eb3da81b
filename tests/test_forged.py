"""A stranger's request names files of the server: no input of the page takes a path that Gradio has not checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from gradio.components import Component
from pydantic import ValidationError
from test_app import demo, pytestmark  # noqa: F401  # the page, made without warnings

FILE = {"path": str(Path(__file__))}
FORGED: list[Any] = [
    FILE,
    [FILE],
    {**FILE, "meta": {}},
    {"background": FILE, "layers": [], "composite": None},
    {"background": None, "layers": [FILE], "composite": None},
    {"background": None, "layers": [], "composite": FILE},
    [{"image": FILE, "caption": None}],
]


def inputs() -> list[Component]:
    """Every component that a request can give a value for, and whose value is made of files."""
    numbers = {block._id for fn in demo.fns.values() if fn.fn for block in fn.inputs}
    found = [demo.blocks[number] for number in sorted(numbers)]
    return [each for each in found if isinstance(each, Component) and "path" in str(model_of(each))]


def model_of(component: Component) -> Any:
    return component.data_model.model_json_schema() if component.data_model else None


def test_no_input_takes_a_forged_path() -> None:
    found = inputs()
    assert len(found) >= 8
    for component in found:
        refused = 0
        for payload in FORGED:
            try:
                value = component.data_model.model_validate(payload, context={"validate_meta": True})  # type: ignore[union-attr]
            except ValidationError:
                refused += 1
                continue
            assert str(Path(__file__)) not in str(value), f"{component} takes {payload}"
        assert refused, component
    with pytest.raises(AssertionError, match="takes"):  # the check can fail: a plain picture of Gradio's takes it
        import gradio as gr

        value = gr.Image.data_model.model_validate(FILE, context={"validate_meta": True})
        assert str(Path(__file__)) not in str(value), "takes"
