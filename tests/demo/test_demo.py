"""What the page computes, without the page; and the network on a borrowed GPU."""

import re
import socket
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import make_model
from PIL import Image

import app
from demo import figures, pipeline
from demo.export import describe
from depthpro import DepthPro
from depthpro.checkpoint import PUBLISHED_LICENCE, Provenance


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return a 40 x 30 photo whose metadata says 35 mm, that is 40.45 px."""
    exif = Image.Exif()
    exif[0x0112] = 1  # without a main field Pillow writes none
    exif.get_ifd(0x8769)[0xA405] = 35
    pixels = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "garden.png", exif=exif)
    return tmp_path / "garden.png"


@pytest.fixture
def analysis(photo: Path, tiny_model: DepthPro) -> pipeline.Analysis:
    return pipeline.analyse(tiny_model, photo)


def test_without_metadata_the_network_estimates(tmp_path: Path, tiny_model: DepthPro) -> None:
    Image.new("RGB", (20, 10), "olive").save(tmp_path / "plain.png")
    analysis = pipeline.analyse(tiny_model, tmp_path / "plain.png")
    assert analysis.source == "network"
    assert analysis.f_px == analysis.estimated_f_px
    with pytest.raises(ValueError, match="metadata gives no focal length"):
        pipeline.with_source(analysis, "metadata")


def test_another_focal_length_rescales_without_the_network(photo, monkeypatch) -> None:
    model = make_model()
    calls = []
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda image: calls.append(1) or forward(image))
    analysis = pipeline.analyse(model, photo)
    assert analysis.source == "metadata"
    assert analysis.f_px == pytest.approx(35 * 50 / np.hypot(36, 24))
    twice = pipeline.with_source(analysis, "hand", 2 * analysis.f_px)
    again = pipeline.with_source(twice, "metadata")
    estimated = pipeline.with_source(twice, "network")
    assert len(calls) == 1
    torch.testing.assert_close(twice.prediction.depth, 2 * analysis.prediction.depth)
    torch.testing.assert_close(again.prediction.depth, analysis.prediction.depth, rtol=0, atol=0)
    assert estimated.f_px == analysis.estimated_f_px
    assert (twice.source, again.source, estimated.source) == ("hand", "metadata", "network")


def test_summary_says_where_the_focal_length_is_from(analysis: pipeline.Analysis) -> None:
    text = figures.summary(analysis)
    assert f"{analysis.prediction.fov_deg.item():.1f}°" in text
    assert "40 px" in text
    assert "from the photo's metadata (Focal<wbr>Length<wbr>In35mm<wbr>Film)" in text
    by_hand = pipeline.with_source(analysis, "hand", 20.0)
    # 20 px on 40 columns: 2 atan(20 / 20) = 90 degrees; on 30 rows 2 atan(15 / 20) = 73.7.
    assert "90.0°" in figures.summary(by_hand)
    assert "73.7° vertical" in figures.summary(by_hand)


def test_names_cannot_inject_html(photo: Path, tiny_model: DepthPro) -> None:
    evil = photo.rename(photo.with_name("<img src=x onerror=alert(1)>.png"))
    text = figures.summary(pipeline.analyse(tiny_model, evil))
    assert "<img" not in text
    assert "&lt;img" in text


def test_a_line_names_weights_licence_and_reason() -> None:
    small = figures.weights(Provenance("small", "Apache-2.0"), "No <GPU>")
    assert "in place of those that could not be loaded" in small
    assert "rendered scenes alone" in small
    assert "a small network" in figures.weights(Provenance("small", "Apache-2.0"))
    assert "No &lt;GPU&gt;" in small
    published = figures.weights(Provenance("apple/DepthPro", PUBLISHED_LICENCE))
    assert "research purposes only" in published
    assert "same restriction" in published


@pytest.mark.parametrize(
    ("metadata", "field", "estimated", "doubt"),
    [
        (1000.0, "FocalLengthIn35mmFilm", 700.0, ""),
        (1000.0, "FocalLengthIn35mmFilm", 1700.0, "gives 1000 px, the network estimates 1700 px"),
        (1000.0, "FocalLengthIn35mmFilm", 600.0, "gives 1000 px, the network estimates 600 px"),
        (1000.0, "FocalLengthIn35mmFilm", None, ""),
        (None, None, 700.0, ""),
        (None, "FocalLengthIn35mmFilm is not used: a panorama has none", 700.0, "a panorama has"),
    ],
)
def test_a_doubtful_focal_length_is_said(analysis, metadata, field, estimated, doubt) -> None:
    focal = None if estimated is None else torch.tensor([estimated])
    prediction = replace(analysis.prediction, estimated_f_px=focal)
    known = {"metadata_f_px": metadata, "metadata_field": field}
    doubtful = replace(analysis, prediction=prediction, **known)
    assert doubt in doubtful.focal_doubt
    assert bool(doubt) == bool(doubtful.focal_doubt) == ('role="note"' in figures.summary(doubtful))
    assert describe(doubtful)["focal_doubt"] == doubtful.focal_doubt


APP = (Path(__file__).parents[2] / "app.py").read_text()


def test_an_address_that_cannot_be_had_is_told_before_weights_are_loaded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(app.network, "start", None)  # is not reached
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for options in (f"--port {taken.getsockname()[1]}", "--host 192.0.2.1", "--port 99999"):
            monkeypatch.setattr(sys, "argv", ["app.py", *options.split()])
            with pytest.raises(SystemExit) as caught:
                app.main()
            assert "choose another --host or --port" in str(caught.value.code)


def test_the_app_has_spaces_before_torch() -> None:
    first = re.findall(r"^ *(?:import|from) (\w+)", APP, re.MULTILINE)
    assert first.index("spaces") < first.index("demo")
    assert set(first[: first.index("spaces")]) <= set(sys.stdlib_module_names)
