"""The tab "Many & video" as a visitor uses it: three photos, a film, and changing one's mind."""

import csv
import io
import json
import re
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import ASTRONAUT, PHOTOS, Served, open_tab, shot
from films import make_film
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError
from PIL import Image
from playwright.sync_api import Page, expect

from demo.movies import describe_film, read_film
from demo.tabs.many.job import Job
from depthpro import Prediction
from depthpro.geometry import focal_from_fov

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return np.asarray(Image.open(ASTRONAUT).convert("RGB"))[::4, ::4]


@pytest.fixture
def film(photo, tmp_path: Path) -> Path:
    """Return a film of six frames, in which the astronaut moves to the left."""
    return make_film(tmp_path / "film.mp4", [photo[:96, i : i + 96] for i in range(0, 12, 2)])


@pytest.fixture
def many(page: Page) -> Page:
    """Return the page at this tab, with no photo on the left."""
    open_tab(page, "Many & video")
    expect(page.locator("#many-start")).to_be_visible()
    return page


@pytest.fixture
def slow(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network take its time."""
    infer = served.model.infer

    def slowly(*values: object) -> Prediction:
        time.sleep(0.5)
        return infer(*values)

    monkeypatch.setattr(served.model, "infer", slowly)


def choose_film(page: Page, film: Path) -> None:
    page.get_by_label("A short video").check()
    page.locator("#film input[type=file]").set_input_files(film)
    expect(page.locator("#film-note")).to_contain_text("0.6 s, 96 × 96 pixels, 10 frames a second")


def save(page: Page, button: str, folder: Path) -> Path:
    with page.expect_download() as download:
        page.locator(button).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_three_photos_one_of_them_broken_to_one_zip(
    many, served, expected, tmp_path, monkeypatch
) -> None:
    turns, take_turn = [], Job.take_turn

    def fails_once(*values: Any) -> None:
        turns.append(values)
        if len(turns) == 2:
            raise AssertionError("as if the queue were full")
        take_turn(*values)

    monkeypatch.setattr(Job, "take_turn", fails_once)
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    (tmp_path / "too").mkdir()
    Image.open(PHOTOS / "coffee.png").save(tmp_path / "too" / "astronaut.png")
    many.locator("#many-start").click()
    expect(many.locator("#many-progress")).to_contain_text("Choose some photos first")
    files = [ASTRONAUT, tmp_path / "broken.jpg", tmp_path / "too" / "astronaut.png"]
    many.locator("#many-files input[type=file]").set_input_files(files)
    expect(many.locator("#many-files tr.file")).to_have_count(3)
    many.get_by_label("Depth, float (NPZ)").check()
    calls = len(served.calls)
    many.locator("#many-start").click()
    expect(many.locator("#many-progress")).to_have_text("2 of 3 photos are done, 1 failed.")
    assert len(served.calls) == calls + 2
    expect(many.locator(".sheet img")).to_have_count(2)
    expect(many.locator(".failures li")).to_contain_text("broken.jpg")
    expect(many.locator(".failures li")).to_contain_text("another kind")
    shot(many, "many")
    with zipfile.ZipFile(save(many, "#many-save", tmp_path)) as archive:
        names = archive.namelist()
        rows = list(csv.DictReader(io.StringIO(archive.read("summary.csv").decode())))
        depth = np.load(io.BytesIO(archive.read("astronaut.npz")))["depth"]
    assert {"astronaut-2_colour.png", "astronaut-2_depth.png", "astronaut-2.npz"} <= set(names)
    assert len(names) == 2 * 3 + 2
    assert depth == pytest.approx(expected.depth[0].numpy(), rel=1e-5)
    assert float(rows[0]["f_px"]) == pytest.approx(expected.f_px.item(), rel=1e-5)
    tile = many.locator(".sheet figure").first
    expect(tile).to_contain_text(f"{float(rows[0]['near_m']):.3g} m to")
    assert [row["width_px"] for row in rows] == ["512", "", "600"]


def test_a_film_of_six_frames_and_its_pictures(many, served, film, tmp_path) -> None:
    choose_film(many, film)
    calls = len(served.calls)
    many.locator("#film-start").click()
    expect(many.locator("#film-result video")).to_be_visible()
    expect(many.locator("#film-progress")).to_have_text("Done.")
    assert len(served.calls) == calls + 6
    shot(many, "many-film")
    made = describe_film(save(many, "#film-save", tmp_path))
    # Too low for a bar; the depth has the size of the film.
    assert (made.width, made.height, made.duration_s) == (192, 96, pytest.approx(0.6))
    original = list(read_film(describe_film(film), 10, 0, 0.6, 1280))
    for ours, theirs in zip(read_film(made, 10, 0, 0.6, 1280), original, strict=True):
        assert np.abs(ours[:, :96].astype(int) - theirs).mean() < 4
    many.locator("#film-fov input").fill("60")
    many.locator("#film-smooth input[type=number]").fill("0")
    many.locator("#film-smooth input[type=number]").press("Enter")
    many.locator("#film-start").click()  # another focal length is arithmetic
    expect(many.locator("#film-cards")).to_contain_text("60.0°")
    assert len(served.calls) == calls + 6
    many.locator("#film-zip").click()
    expect(many.locator("#film-save-zip")).to_be_visible()
    with zipfile.ZipFile(save(many, "#film-save-zip", tmp_path)) as archive:
        about = json.loads(archive.read("film.json"))
        picture = np.asarray(Image.open(archive.open("depth_0001.png"))) * about["scale_m"]
    assert (about["frames"], about["smoothing"]) == (6, 0)
    assert about["f_px"] == pytest.approx(focal_from_fov(60.0, 96))
    alone = served.model.infer(original[0], about["f_px"]).depth[0].numpy()
    assert np.median(np.abs(picture / alone - 1)) < 0.01
    last = served.model.infer(original[5]).f_px.item()
    assert about["estimated_f_px"][5] == pytest.approx(last, rel=1e-4)


def test_cancel_works_at_once(many, served, film, slow) -> None:
    choose_film(many, film)
    calls = len(served.calls)
    many.locator("#film-start").click()
    expect(many.locator("#film-progress")).to_contain_text(re.compile("Frame [23] of 6.* to go"))
    many.locator("#film-cancel").click()
    expect(many.locator("#film-progress")).to_have_text("Cancelled.")
    expect(many.locator("#film-start")).to_be_visible()
    many.wait_for_timeout(1200)
    assert len(served.calls) - calls < 6
    expect(many.locator("#film-progress")).to_have_text("Cancelled.")
    many.get_by_label("Several photos").check()
    many.locator("#many-files input[type=file]").set_input_files([ASTRONAUT, PHOTOS / "coffee.png"])
    expect(many.locator("#many-files tr.file")).to_have_count(2)
    many.locator("#many-start").click()
    expect(many.locator(".sheet img")).to_have_count(1)
    many.locator("#many-cancel").click()
    expect(many.locator("#many-progress")).to_contain_text("Cancelled.")
    expect(many.locator("#many-save")).to_be_visible()  # with the photo that is done


def test_a_program_gets_the_film_and_reads_what_is_wrong(served, photo, tmp_path) -> None:
    film = make_film(tmp_path / "film.mp4", [photo[:96, i : i + 96] for i in (0, 2)])
    client = Client(served.url, verbose=False)
    made = client.predict(film=handle_file(film), fov_deg=60, api_name="/video")
    description = describe_film(made)
    assert description[1:] == (192, 96, pytest.approx(10), pytest.approx(0.2))
    (tmp_path / "letter.mp4").write_bytes(b"Dear diary")
    for values, match in (
        ({"film": handle_file(tmp_path / "letter.mp4")}, "damaged"),
        ({"film": handle_file(film), "smoothing": 2}, "smoothing between 0 and 0.95"),
        ({"film": handle_file(film), "fov_deg": 200}, "field of view of 1 to 175"),
    ):
        with pytest.raises(AppError, match=match):
            client.predict(**values, api_name="/video")
    schema = client.view_api(return_format="dict")["named_endpoints"]["/video"]
    assert [each["parameter_name"] for each in schema["parameters"]] == [
        "film",
        "smoothing",
        "fov_deg",
    ]
