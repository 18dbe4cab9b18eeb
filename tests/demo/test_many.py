"""Many photos and films, with a network of known depth: smoothing, focal length, range, files."""

import csv
import io
import json
import zipfile

import numpy as np
import pytest
from films import KnownNetwork, greys, make_film
from PIL import Image

from demo.movies import describe_film, read_film
from demo.tabs.many import photos
from demo.tabs.many.clip import cut_film, given_focal, median_focal, predict
from demo.tabs.many.film import write_film, write_pictures
from demo.tabs.many.job import Job, finish
from demo.tabs.many.smoothing import smooth
from depthpro.geometry import focal_from_fov
from depthpro.viz import depth_range

RAMP = np.linspace(0.05, 1, 64 * 64).reshape(64, 64).astype(np.float32)


def smoothed(maps, strength):
    past = maps[0]
    for new in maps[1:]:
        past = smooth(new, past, strength)
    return past


def test_flicker_of_the_scale_is_smoothed_exponentially() -> None:
    # A scene that stands still and whose scale steps from 1 to 2: after k frames the smoothed
    # scale is 2 - a^k.
    a = 0.6
    for k in (1, 2, 5):
        assert smoothed([RAMP, *[2 * RAMP] * k], a) == pytest.approx((2 - a**k) * RAMP, rel=1e-5)
    assert smoothed([RAMP, 2 * RAMP], 0) == pytest.approx(2 * RAMP)


def test_noise_of_pixels_falls_as_that_of_an_exponential_mean() -> None:
    generator = np.random.default_rng(0)
    a, noise = 0.8, 0.01
    maps = [RAMP * (1 + noise * generator.standard_normal(RAMP.shape)) for _ in range(40)]
    left = smoothed([m.astype(np.float32) for m in maps], a) / RAMP - 1
    # Var = (1 - a) / (1 + a) of one frame's, a third in standard deviation.
    assert left.std() == pytest.approx(noise * np.sqrt((1 - a) / (1 + a)), rel=0.1)


def test_what_moves_leaves_no_trail_and_sky_stays_sky() -> None:
    before, after = np.full((64, 64), 0.1, np.float32), np.full((64, 64), 0.1, np.float32)
    before[:8] = after[:8] = 0
    before[20:40, 5:25], after[20:40, 25:45] = 1, 1  # a near thing, and where it is then
    assert smooth(after, before, 0.9) == pytest.approx(after)


def test_after_a_cut_nothing_of_the_scene_before_stays() -> None:
    assert smooth(RAMP[::-1], RAMP, 0.9) == pytest.approx(RAMP[::-1])


@pytest.fixture
def film(tmp_path):
    return describe_film(make_film(tmp_path / "film.mp4", greys([50, 90, 130, 170, 210, 250], 64)))


def predicted(film, gains=(1, 1.1, 0.9, 1, 1.2, 1), fov_deg=(50, 52, 90, 54, 56, 20), fps=10.0):
    network = KnownNetwork([gain * RAMP for gain in gains], fov_deg)
    return network, finish(predict(network, film, cut_film(film, 0, None, fps)))


def test_the_network_is_called_once_a_frame_and_the_median_is_the_focal_length(film) -> None:
    network, clip = predicted(film)
    assert [round(rgb.mean() / 40) for rgb in network.calls] == [1, 2, 3, 4, 5, 6]
    # Of 20, 50, 52, 54, 56 and 90 degrees: between 52 and 54, in focal lengths.
    expected = (focal_from_fov(52.0, 64) + focal_from_fov(54.0, 64)) / 2
    assert median_focal(clip) == pytest.approx((expected, "median of 6 estimates"))
    assert given_focal(film, fov_deg=90.0) == pytest.approx((32, "given by hand"))
    assert given_focal(film) is None
    for values in ({"f_px": 30.0, "fov_deg": 60.0}, {"fov_deg": 0.5}, {"f_px": -1.0}):
        with pytest.raises(ValueError, match=r"Expected a f"):
            given_focal(film, **values)


def test_a_film_has_one_range_and_its_depth_in_its_files(film, tmp_path) -> None:
    gains = (1, 1.1, 0.9, 1, 1.2, 1)
    _, clip = predicted(film, gains)
    focal = given_focal(film, f_px=80.0)
    # C = f / (w Z) on 64 columns, over all frames.
    expected = depth_range(np.concatenate([80 / (64 * gain * RAMP) for gain in gains]))
    assert clip.span(80.0) == pytest.approx(expected, rel=0.01)
    path = finish(write_film(clip, focal, 0.5, "beside", tmp_path / "out.mp4"))
    written = describe_film(path)
    assert (written.width, written.height, written.fps) == (128, 64, pytest.approx(10))
    frames = list(read_film(written, 10, 0, 0.6, 1280))
    originals = [frame[:, :64].mean() for frame in frames]
    assert originals == pytest.approx([50, 90, 130, 170, 210, 250], abs=3)
    assert describe_film(finish(write_film(clip, focal, 0.5, "below", tmp_path / "below.mp4")))[
        1:3
    ] == (64, 128)
    archive = zipfile.ZipFile(finish(write_pictures(clip, focal, 0.5, tmp_path / "pictures.zip")))
    about = json.loads(archive.read("film.json"))
    assert (about["f_px"], about["fps"], about["frames"]) == (80, 10, 6)
    assert (about["near_m"], about["far_m"]) == pytest.approx(clip.span(80.0))
    smoothed_gain = 1.0
    for number, gain in enumerate(gains, 1):
        smoothed_gain = 0.5 * smoothed_gain + 0.5 * gain
        with Image.open(archive.open(f"depth_{number:04}.png")) as picture:
            metres = np.asarray(picture) * about["scale_m"]
            assert float(picture.text["scale_m"]) == about["scale_m"] == 0.001
        middle = np.median(metres)
        assert middle == pytest.approx(80 / (64 * smoothed_gain * np.median(RAMP)), rel=0.02)
    assert "known" in archive.read("README.txt").decode()


def test_a_film_is_cut_or_refused(film) -> None:
    long = film._replace(duration_s=63.0)
    with pytest.raises(ValueError, match="choose a start and a length, or cut"):
        cut_film(long, 0, None, 15)
    assert cut_film(long, 40, 20, 5) == (40, 20, 5)
    assert cut_film(film, 0.2, 20, 30) == (0.2, pytest.approx(0.4), pytest.approx(10))
    with pytest.raises(ValueError, match="where the video ends"):
        cut_film(film, 1, None, 10)


def test_a_cancelled_film_leaves_nothing_and_calls_the_network_no_more(film, tmp_path) -> None:
    network = KnownNetwork([RAMP] * 6, [60] * 6)
    work = predict(network, film, cut_film(film, 0, None, 10))
    job = Job(work, None)
    next(work)
    next(work)
    job.cancel()
    job.take_turn(network=True)
    assert job.over and len(network.calls) == 2
    _, clip = predicted(film)
    work = write_film(clip, median_focal(clip), 0.5, "beside", tmp_path / "made.mp4")
    job = Job(work, None)
    next(work)
    job.cancel()
    assert not list(tmp_path.glob("*made*"))


class FailsInTheDark(KnownNetwork):
    """Stands for the network, and fails for a black photo."""

    def infer(self, rgb, f_px=None):
        if rgb.mean() < 10:
            raise RuntimeError("the device is gone")
        return super().infer(rgb, f_px)


def test_one_photo_that_fails_does_not_stop_the_rest(tmp_path) -> None:
    for number, level in enumerate((100, 0, 150)):
        (tmp_path / str(number)).mkdir()
        Image.fromarray(greys([level])[0]).save(tmp_path / str(number) / "photo.png")
    paths = [tmp_path / str(number) / "photo.png" for number in range(3)]
    (tmp_path / "Photo.jpg").write_bytes(b"no photo")
    batch = photos.Batch([*paths, tmp_path / "Photo.jpg"], ("npz", "depth-png"))
    assert batch.names == ["photo", "photo-2", "photo-3", "Photo-4"]
    finish(photos.work(FailsInTheDark([RAMP] * 2, [60, 70]), batch))
    assert list(batch.done) == [0, 2]
    assert batch.failed[1] == "The device is gone"
    assert "another kind" in batch.failed[3]
    archive = zipfile.ZipFile(batch.archive)
    files = ["photo.npz", "photo_depth.png", "photo-3.npz", "photo-3_depth.png"]
    assert archive.namelist() == [*files, "summary.csv", "LICENCE.txt"]
    rows = list(csv.DictReader(io.StringIO(archive.read("summary.csv").decode())))
    assert [row["name"] for row in rows] == batch.names
    f_px = focal_from_fov(60.0, 64)
    assert float(rows[0]["f_px"]) == pytest.approx(f_px, rel=1e-5)
    assert float(rows[0]["median_m"]) == pytest.approx(f_px / 64 / np.median(RAMP), rel=0.01)
    assert rows[1]["problem"] == batch.failed[1] and rows[1]["f_px"] == ""
    folder = batch.folder.path
    del batch, archive
    assert not folder.exists()


def test_too_many_photos_are_refused(tmp_path, monkeypatch) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"1234")
    with pytest.raises(ValueError, match="at most 50 photos; got 51"):
        photos.check([photo] * 51)
    monkeypatch.setattr(photos, "MOST_BYTES", 11)
    with pytest.raises(ValueError, match="Take away some"):
        photos.check([photo] * 3)
    with pytest.raises(ValueError, match="Choose some"):
        photos.check([])


def test_photos_are_kept_when_the_rest_is_cancelled(tmp_path) -> None:
    Image.fromarray(greys([100])[0]).save(tmp_path / "photo.png")
    batch = photos.Batch([tmp_path / "photo.png"] * 2, ("colour-png",))
    work = photos.work(KnownNetwork([RAMP] * 2, [60] * 2), batch)
    for _ in range(3):  # until the second photo is next
        next(work)
    Job(work, batch).cancel()
    archive = zipfile.ZipFile(batch.archive)
    assert archive.namelist() == ["photo_colour.png", "summary.csv", "LICENCE.txt"]
    assert "cancelled before its turn" in archive.read("summary.csv").decode()
