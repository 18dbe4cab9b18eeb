"""Links to the page: which values pass, and that a link says what it was made of."""

import gradio as gr
import pytest

from demo.links import read, write
from depthpro.viz import DepthRange

KNOWN = {
    "units": gr.Radio([("metres", "m"), ("feet", "ft")], value="m"),
    "cmap": gr.Dropdown(["turbo", "magma"], value="turbo"),
    "cut": gr.Slider(1, 50, value=8, step=1),
    "ratio": gr.Slider(1.02, 1.5, value=1.1, step=0.01),
    "marks": gr.Checkbox(True),
    "parts": gr.CheckboxGroup([("Grid", "grid"), ("Camera", "frustum")], value=["grid"]),
    "span": gr.State(None),
}


def test_a_link_gives_back_what_was_changed() -> None:
    values = {
        "units": "m",  # always said, so that whoever opens the link has the sender's settings
        "cmap": "magma",
        "cut": 12,
        "ratio": 1.1,  # as it was
        "marks": False,
        "parts": [],
        "span": DepthRange(0.5, 12.25),
    }
    texts = write(values, KNOWN)
    assert texts == {
        "units": "m",
        "cmap": "magma",
        "cut": "12",
        "marks": "false",
        "parts": "",
        "span": "0.5,12.25",
    }
    assert "span" not in write(values | {"range": "automatic"}, KNOWN | {"range": gr.Radio()})
    assert read(texts, KNOWN) == {name: values[name] for name in texts}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("units", "miles"),
        ("cmap", "../../etc/passwd"),
        ("cut", "0"),
        ("cut", "51"),
        ("cut", "nan"),
        ("cut", "many"),
        ("marks", "maybe"),
        ("parts", "grid,ghost"),
        ("span", "5,2"),
        ("span", "0,2"),
        ("span", "1"),
        ("span", "1,inf"),
        ("photo", "/etc/passwd"),
        ("tab", "depth"),  # is no setting
    ],
)
def test_what_nobody_knows_is_left_out(name: str, text: str) -> None:
    assert read({name: text}, KNOWN) == {}
