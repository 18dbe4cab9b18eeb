"""Comparing as a person does it, and as a program does."""

from pathlib import Path

import numpy as np
import pytest
from browser import ASTRONAUT, PHOTOS, Served, card, open_tab, shot, upload
from conftest import make_model
from flat_scenes import analysis_of
from gradio_client import Client, handle_file
from PIL import Image
from playwright.sync_api import Page, expect

from demo.tabs.compare.compare import Other, agreement, maps, of_file, with_weights
from demo.tabs.sharpness import truth
from demo.tabs.sharpness.truth import EXAMPLES
from depthpro import load_image

ROOM = EXAMPLES / "room.jpg"


def choose(page: Page, kind: str, file: Path) -> None:
    page.get_by_role("radio", name=kind).check()
    label = {"Other weights": "Weights", "A depth file": "Depth of this photo"}.get(kind, kind)
    expect(page.locator("#compare-file")).to_contain_text(label)
    page.locator("#compare-file input[type=file]").set_input_files(file)


@pytest.mark.browser
def test_truth_weights_and_another_photo(page: Page, served: Served, tmp_path: Path) -> None:
    photo = load_image(ROOM)
    prediction = served.model.infer(photo.rgb, photo.f_px)
    made = served.model.provenance
    fields = {"source": "metadata", "metadata_f_px": photo.f_px, "provenance": made}
    analysis = analysis_of(prediction, "room", photo.rgb, **fields)
    exact = truth.known(photo.rgb)
    assert exact is not None
    expect(page.locator("#summary .cards")).to_contain_text("room")
    open_tab(page, "Compare")
    # An example is compared with its truth at once.
    found = agreement(maps(analysis, of_file(analysis, exact)))
    assert found is not None
    expect(page.locator("#compare-title-b")).to_contain_text("true depth")
    expect(page.locator("#compare-numbers")).to_contain_text("δ1: within 25 %")
    numbers = page.locator("#compare-numbers")
    expect(numbers).to_contain_text(f"×\N{NO-BREAK SPACE}{found.median_ratio:.3g}")
    expect(numbers).to_contain_text(f"{found.delta1:.1%}")
    expect(numbers).to_contain_text(f"median: {found.aligned_abs_rel:.3f}")
    expect(page.locator("#compare-legend")).to_contain_text("Blue: B is nearer")
    before = page.locator("#compare-view .over").get_attribute("src")
    page.get_by_label("Scale B to the median of A").check()
    expect(page.locator("#compare-legend")).to_contain_text("scaled to the median of A")
    assert page.locator("#compare-view .over").get_attribute("src") != before
    # What is pointed at on one side is read on both.
    page.locator("#compare-a .stage").hover(position={"x": 100, "y": 80})
    readouts = [page.locator(f"#compare-{side} .readout") for side in "ab"]
    for readout in readouts:
        expect(readout).to_contain_text("pixel")
    same = [readout.locator("span").last.inner_text() for readout in readouts]
    assert same[0] == same[1]
    shot(page, "compare-truth")
    second = make_model()
    weights = second.save_pretrained(tmp_path / "mine.safetensors")
    calls = len(served.calls)
    choose(page, "Other weights", weights)
    expect(page.locator("#compare-title-b")).to_contain_text("mine.safetensors")
    other = Other("weights", "", with_weights(second, analysis))
    found = agreement(maps(analysis, other))
    assert found is not None
    expect(numbers).to_contain_text(f"{found.delta1:.1%}")
    expect(page.locator("#compare-facts")).to_contain_text("δ1 against truth")
    assert len(served.calls) == calls  # of the network at work
    choose(page, "Another photo", PHOTOS / "coffee.png")
    expect(page.locator("#compare-title-b")).to_contain_text("coffee")
    expect(page.locator("#compare-view")).to_be_hidden()
    expect(numbers).not_to_contain_text("δ1")
    assert len(served.calls) == calls + 1
    shot(page, "compare-photos")


@pytest.mark.browser
def test_a_file_on_a_phone(page: Page, served: Served, tmp_path: Path) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    photo = load_image(ASTRONAUT)
    depth = 1.2 * served.model.infer(photo.rgb).depth[0].numpy()
    np.save(tmp_path / "mine.npy", depth)
    (tmp_path / "broken.npy").write_bytes(b"no depth")
    upload(page, ASTRONAUT)
    expect(page.locator("#summary .cards")).to_contain_text("astronaut")
    open_tab(page, "Compare")
    expect(page.locator("#compare-b")).to_contain_text("Choose below")
    choose(page, "A depth file", tmp_path / "broken.npy")
    expect(page.locator("#compare-problem [role=alert]")).to_contain_text("broken.npy")
    page.locator("#compare-file").get_by_label("Clear").click()
    choose(page, "A depth file", tmp_path / "mine.npy")
    expect(page.locator("#compare-numbers")).to_contain_text("δ1: within 25 %")
    assert card(page, "B / A, median").replace("\N{NO-BREAK SPACE}", " ") == "× 1.2"
    assert card(page, "δ1: within 25 %") == "100.0%"
    boxes = [page.locator(f"#compare-{side}").bounding_box() for side in "ab"]
    assert boxes[0] and boxes[1] and boxes[1]["y"] >= boxes[0]["y"] + boxes[0]["height"]
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "compare-390")


def test_a_program_compares_two_focal_lengths(served: Served) -> None:
    client = Client(served.url, verbose=False)
    first = client.predict(photo=handle_file(ASTRONAUT), api_name="/estimate")
    second = client.predict(first["token"], f_px=2 * first["f_px"], api_name="/rescale")
    compared = client.predict(first["token"], second["token"], api_name="/compare")
    assert compared["median_ratio"] == pytest.approx(2, rel=1e-3)
    assert compared["aligned_delta1"] == 1
    with Image.open(compared["picture"]) as image:
        assert image.width > 3 * 512
