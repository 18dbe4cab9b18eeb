"""The effects as programs get them: files of the functions' values, with the licence notice."""

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
from PIL import Image
from rooms3d import PANEL_M, room

from demo.api import effects
from demo.api.effects import Effects
from demo.api.store import Store
from demo.tabs.effects import air, lens, stereo, views
from demo.tabs.effects.scene import scene_of


@pytest.fixture
def programs(tmp_path: Path) -> Effects:
    return Effects(Store(root=tmp_path / "results"))


@pytest.fixture
def token(programs: Effects) -> str:
    return programs.store.add(room())


def asks(user: str = "") -> Any:
    return gr.Request(headers={"x-gradio-user": user})


def read(file: gr.FileData) -> np.ndarray:
    with Image.open(file.path) as image:
        return np.asarray(image).astype(float)


def test_each_file_is_what_its_function_returns(programs: Effects, token: str) -> None:
    analysis = room()
    scene = scene_of(analysis.rgb, analysis.prediction, 128)
    left, right = stereo.eyes(scene, 63, PANEL_M)
    camera = views.Camera((0.1, -0.05, 0.2), zoom=views.dolly_zoom(0.2, PANEL_M).zoom)
    common = {"token": token, "request": asks(), "size_px": 128}
    for file, wanted in (
        (programs.refocus(focus_m=8, f_number=0.5, **common), lens.refocus(scene, 8.0, 0.5)),
        (programs.stereo(screen_m=PANEL_M, **common), stereo.anaglyph(left, right)),
        (
            programs.stereo(kind="side-by-side", screen_m=PANEL_M, **common),
            stereo.side_by_side(left, right),
        ),
        (
            programs.move(right_m=0.1, up_m=0.05, forward_m=0.2, keep_m=PANEL_M, **common),
            views.moved(scene, camera),
        ),
        (
            programs.fog(visibility_m=5, colour="#ffffff", **common),
            air.fog(scene, 5.0, (255, 255, 255)),
        ),
        (programs.cut_out(far_m=3, **common), air.cut_out(scene, 0, 3)),
    ):
        assert np.abs(read(file) - wanted).mean() < 3, file.orig_name
        with Image.open(file.path) as image:
            notice = image.info.get("Copyright") or image.info["comment"].decode()
        assert notice == analysis.provenance.notice


def test_another_call_does_not_change_a_file_and_old_ones_go(programs, token, monkeypatch) -> None:
    monkeypatch.setattr(effects, "_KEPT", 2)
    files = [programs.refocus(token, 3.0, asks(), stop, 64) for stop in (0.5, 16, 16)]
    assert [Path(file.path).exists() for file in files] == [False, True, True]
    assert files[1].path != files[2].path


@pytest.mark.parametrize(
    ("name", "values", "match"),
    [
        ("refocus", {"focus_m": "near"}, "focus_m to be a number"),
        ("refocus", {"focus_m": True}, "focus_m to be a number"),
        ("refocus", {"focus_m": -1}, "focus beyond"),
        ("refocus", {"focus_m": 2, "size_px": 10}, "size_px of 64"),
        ("stereo", {"kind": ["anaglyph"]}, "anaglyph or side-by-side"),
        ("stereo", {"eyes_mm": 0}, "eyes"),
        ("move", {"forward_m": 3, "keep_m": 2}, "shorter"),
        ("move", {"right_m": float("nan")}, "right_m to be a number"),
        ("fog", {"visibility_m": 0}, "visibility"),
        ("fog", {"visibility_m": 5, "colour": None}, "colour"),
        ("cut_out", {"near_m": 3, "far_m": 2}, "from near to far"),
    ],
)
def test_bad_values_are_refused(programs, token, name, values, match) -> None:
    with pytest.raises(ValueError, match=match):
        getattr(programs, name)(token=token, request=asks(), **values)


def test_a_picture_too_large_for_an_agent_is_refused(programs, token, monkeypatch) -> None:
    monkeypatch.setattr(effects, "MCP_BYTES", 10)
    programs.cut_out(token, asks())
    with pytest.raises(ValueError, match="smaller size_px"):
        programs.cut_out(token, asks("mcp"))
