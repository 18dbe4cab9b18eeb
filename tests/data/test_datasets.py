"""Readers of public sets: exact metres of a slanted plane, cameras, flags, and broken files."""

import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from planes import CAMERA, HEIGHT, SIZE, WIDTH, camera_of, picture, plane, points, save

from depthpro.data.arkitscenes import ArkitScenes
from depthpro.data.open import open_dataset
from depthpro.data.sample import Sample
from depthpro.data.shards import Shard, write_shard
from depthpro.data.vkitti2 import VirtualKitti2

VARIANT = "Scene01/15-deg-left"
DEPTH = f"vkitti_2.0.3_depth/{VARIANT}/frames/depth/Camera_0/depth_00000.png"
TEXT = f"vkitti_2.0.3_textgt/{VARIANT}/intrinsic.txt"


@pytest.fixture
def vkitti2(tmp_path: Path) -> Path:
    """Write two frames of two cameras as the three archives unpack; the top row is sky."""
    steps = np.round(plane() * 100).astype(np.uint16)
    steps[0] = 65535
    rows = ["frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]"]
    for number in (0, 1):
        for lens in (0, 1):
            path = DEPTH.replace("Camera_0", f"Camera_{lens}").replace("0.png", f"{number}.png")
            save(tmp_path / path, steps)
            save(tmp_path / path.replace("depth", "rgb").replace("png", "jpg"), picture())
            rows.append(f"{number} {lens} {30 + number} 28 {17 + lens} 10.5")
    (tmp_path / TEXT).parent.mkdir(parents=True)
    (tmp_path / TEXT).write_text("\n".join(rows) + "\n")
    return tmp_path


def film(root: Path, sky: str = "Up") -> Path:
    """Write a video of two frames, in which depth of one row is unknown."""
    video = "41069021"
    folder = root / "Training" / video
    steps = np.round(plane() * 1000).astype(np.uint16)
    steps[5] = 0
    for number, time in enumerate(("305.244", "99.900")):
        save(folder / "wide" / f"{video}_{time}.png", picture(number))
        save(folder / "highres_depth" / f"{video}_{time}.png", steps)
    cameras = folder / "wide_intrinsics"
    cameras.mkdir()
    for time in ("305.244", "99.899"):  # times of cameras are off by a millisecond here and there
        values = " ".join(map(str, (WIDTH, HEIGHT, *CAMERA)))
        (cameras / f"{video}_{time}.pincam").write_text(values)
    (root / "metadata.csv").write_text(f"video_id,sky_direction,fold\n{video},{sky},Training\n")
    return folder


@pytest.mark.parametrize("merged", [False, True])
def test_vkitti2_gives_the_plane_in_metres(vkitti2: Path, merged: bool) -> None:
    for kind in ("rgb", "depth", "textgt") if merged else ():
        shutil.copytree(vkitti2 / f"vkitti_2.0.3_{kind}", vkitti2, dirs_exist_ok=True)
        shutil.rmtree(vkitti2 / f"vkitti_2.0.3_{kind}")
    samples = VirtualKitti2(vkitti2)
    cameras = [(30 + number, 28, 17 + lens, 10.5) for number in (0, 1) for lens in (0, 1)]
    assert [camera_of(sample) for sample in samples] == cameras
    sample = samples[0]
    np.testing.assert_allclose(sample.depth[1:], plane()[1:], rtol=0, atol=0.00501)
    assert np.isposinf(sample.depth[0]).all() and sample.mask is None
    assert (sample.metric, sample.synthetic, sample.family) == (True, True, "vkitti2")


def without_head(path: Path) -> None:
    path.write_text("\n".join(path.read_text().splitlines()[1:]))


@pytest.mark.parametrize(
    ("file", "spoil", "message"),
    [
        (DEPTH, lambda path: save(path, np.ones(SIZE, np.uint8)), "16-bit grey was expected"),
        (DEPTH, lambda path: save(path, np.ones((2, 3), np.uint16)), r"\(24, 32\) was expected"),
        (DEPTH, lambda path: save(path, np.zeros(SIZE, np.uint16)), "depth_00000.png has depth 0"),
        (DEPTH, lambda path: path.write_bytes(path.read_bytes()[:-200]), "cannot read .*00.png"),
        (DEPTH, Path.unlink, "Camera_0/depth_00000.png is missing"),
        (TEXT, without_head, "cannot read .*intrinsic.txt"),
        (TEXT, Path.unlink, "no frames .*unpack the archives"),
    ],
)
def test_vkitti2_names_what_is_missing_or_broken(vkitti2, file, spoil, message) -> None:
    spoil(vkitti2 / file)
    with pytest.raises(ValueError, match=message):
        VirtualKitti2(vkitti2)[0]


def test_arkitscenes_gives_the_plane_in_metres(tmp_path: Path) -> None:
    film(tmp_path)
    (tmp_path / "Training/42/lowres_depth").mkdir(parents=True)  # a video that was not scanned
    samples = ArkitScenes(tmp_path)
    np.testing.assert_array_equal([sample.rgb for sample in samples], [picture(0), picture(1)])
    sample = samples[1]
    known = np.ones(SIZE, bool)
    known[5] = False
    np.testing.assert_array_equal(sample.mask, known)
    np.testing.assert_allclose(sample.depth[known], plane()[known], rtol=0, atol=0.000501)
    assert np.isposinf(sample.depth[5]).all() and camera_of(sample) == CAMERA
    assert (sample.metric, sample.synthetic, sample.family) == (True, False, "arkitscenes")


@pytest.mark.parametrize(("sky", "turns"), [("Right", 1), ("Down", 2), ("Left", 3), ("NA", 0)])
def test_arkitscenes_turns_the_sky_up(tmp_path: Path, sky: str, turns: int) -> None:
    film(tmp_path)
    plain = ArkitScenes(tmp_path)[0]
    film(tmp_path / "turned", sky)
    sample = ArkitScenes(tmp_path / "turned")[0]
    # A quarter turn to the left takes the point (X, Y, Z) to (Y, -X, Z), and its pixel along.
    expected, rgb, mask = points(plain), plain.rgb, plain.mask
    assert mask is not None
    for _ in range(turns):
        expected = np.rot90(expected)[..., [1, 0, 2]] * [1, -1, 1]
        rgb, mask = np.rot90(rgb), np.rot90(mask)
    np.testing.assert_array_equal(sample.rgb, rgb)
    np.testing.assert_array_equal(sample.mask, mask)
    np.testing.assert_allclose(points(sample)[mask], expected[mask], atol=1e-6)


@pytest.mark.parametrize("kind", ["wide", "highres_depth", "wide_intrinsics"])
def test_arkitscenes_names_a_missing_or_broken_file(tmp_path: Path, kind: str) -> None:
    path = next((film(tmp_path) / kind).glob("41069021_305.244.*"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match=f"cannot read .*{kind}/{path.name}"):
        list(ArkitScenes(tmp_path))
    path.unlink()
    if kind != "highres_depth":  # without depth there is no frame
        with pytest.raises(ValueError, match=f"{kind}/{path.name} is missing"):
            ArkitScenes(tmp_path)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("Training/41069021/wide/41069021_x.png", "", "cannot read .*wide.*'x'"),
        ("Training/41069021/wide_intrinsics/41069021_305.244.pincam", "30 24 30 28 17 10.5",
         "305.244.pincam .*32 x 24"),
        ("metadata.csv", "video_id,sky_direction\n41069021,Sideways\n", "csv .*, got .'Sideways'"),
        ("metadata.csv", "video_id,sky_direction\n42,Up\n", "csv has no row for 41069021"),
        ("metadata.csv", "", "cannot read .*metadata.csv"),
    ],
)  # fmt: skip
def test_arkitscenes_names_a_wrong_file(tmp_path, file: str, text: str, message: str) -> None:
    folder = film(tmp_path)
    (tmp_path / file).write_text(text)
    if "_x" in file:
        save(folder / "highres_depth/41069021_x.png", np.ones(SIZE, np.uint16))
    with pytest.raises(ValueError, match=message):
        list(ArkitScenes(tmp_path))


def test_open_dataset_names_its_sets(vkitti2: Path) -> None:
    film(vkitti2)
    shards = vkitti2 / "shards"
    for number, count in enumerate((2, 1, 3)):
        write_shard(shards / f"{number}.tar", [Sample(picture(), plane(), *CAMERA)] * count)
    for spec, kind, count in [
        (f"vkitti2:{vkitti2}", VirtualKitti2, 4),
        (f"arkitscenes:{vkitti2}", ArkitScenes, 2),
        (f"shards:{shards}", Shard, 6),
        (str(shards), Shard, 6),
    ]:
        samples = open_dataset(spec)
        assert isinstance(samples.datasets[0], kind) and len(samples) == count
        again = pickle.loads(pickle.dumps(samples))  # as workers of a DataLoader get it
        np.testing.assert_array_equal(again[count - 1].depth, samples[-1].depth)
    for spec, message in [
        (f"hypersim:{vkitti2}", "cannot read .*metadata_camera_parameters.csv"),
        (f"scannet:{vkitti2}", "hypersim:PATH, vkitti2:PATH, .* got 'scannet:"),
        (str(vkitti2 / "nowhere"), "or the path of a folder of shards; got"),
    ]:
        with pytest.raises(ValueError, match=message):
            open_dataset(spec)
