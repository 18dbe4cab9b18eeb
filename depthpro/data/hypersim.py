"""Hypersim: rendered rooms, 1024 x 768 (github.com/apple/ml-hypersim)."""

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float
from numpy import ndarray

from depthpro.data.frames import Frames, existing, fitting, naming, read_rgb
from depthpro.data.sample import Sample

SPLIT = "metadata_images_split_scene_v1.csv"
LENSES = "metadata_camera_parameters.csv"

_Frame = tuple[Path, Path, Float[ndarray, "3 3"]]
"""Picture, distances, and the scene's lens."""


class Hypersim(Frames):
    """Hypersim, metric and synthetic.

    `root` holds scenes `ai_VVV_NNN`, all or some of them, and two tables of the authors'
    repository: `metadata_images_split_scene_v1.csv` lists the frames that are public and for
    training, `metadata_camera_parameters.csv` each scene's lens.

    Pictures are the tone-mapped previews. Files named `depth_meters` hold the distance to the
    camera's centre; depth here is along the normal of the image plane, also where the lens is
    tilted. A lens tilted in two directions skews the picture by a degree or so: depth takes that
    into account, the camera of a `Sample` cannot. Pixels without geometry (NaN) are unknown.
    """

    def __init__(self, root: str | Path) -> None:
        """List the frames for training; a ValueError if there are none or a file is missing."""
        root = Path(root)
        lenses = _read_lenses(root / LENSES)
        frames: list[_Frame] = []
        for scene, camera, number in _read_split(root / SPLIT):
            images, name = root / scene / "images", f"frame.{number:04d}"
            picture = images / f"scene_{camera}_final_preview" / f"{name}.tonemap.jpg"
            if picture.exists():
                folder = images / f"scene_{camera}_geometry_hdf5"
                with naming(root / LENSES):
                    lens = lenses[scene]
                frames.append((picture, existing(folder / f"{name}.depth_meters.hdf5"), lens))
        super().__init__(frames, f"for training (ai_*_*/images/...) in {root}: unpack Hypersim")

    def _load(self, frame: _Frame) -> Sample:
        try:
            import h5py
        except ImportError as error:
            raise ImportError("HDF5 files need h5py: pip install h5py") from error
        picture, path, lens = frame
        rgb = read_rgb(picture)
        with naming(path), h5py.File(path, "r") as file:
            distance = fitting(np.asarray(file["dataset"]), rgb)
        known = np.isfinite(distance) & (distance > 0)
        ray_from_pixel = inverse_camera(lens, *known.shape)
        y, x = np.indices(known.shape)
        rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ ray_from_pixel.T
        depth = np.where(known, distance, np.inf) / np.linalg.norm(rays, axis=-1)
        (f_px, _, cx_px), (_, fy_px, cy_px), _ = np.linalg.inv(ray_from_pixel).tolist()
        camera = f_px, fy_px, cx_px, cy_px
        return Sample(rgb, depth.astype(np.float32), *camera, mask=known, family="hypersim")


def _read_split(path: Path) -> list[tuple[str, str, int]]:
    """Return scene, camera and number of the frames that are public and for training."""
    with naming(path):
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        public = table["included_in_public_release"] == "True"
        table = table[public & (table["split_partition_name"] == "train")]
        numbers = table["frame_id"].astype(int)
        return list(zip(table["scene_name"], table["camera_name"], numbers, strict=True))


def _read_lenses(path: Path) -> dict[str, Float[ndarray, "3 3"]]:
    """Return M_cam_from_uv by scene."""
    columns = [f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3)]
    with naming(path):
        table = pd.read_csv(path, index_col="scene_name")[columns].astype(float)
    return {str(scene): row.to_numpy().reshape(3, 3) for scene, row in table.iterrows()}


def inverse_camera(lens: Float[ndarray, "3 3"], height: int, width: int) -> Float[ndarray, "3 3"]:
    """Return the inverse of the camera matrix K, which maps a pixel (x, y, 1) to its ray at z = 1.

    `lens` is the authors' M_cam_from_uv, whose u and v go from -1 to 1 between the outer edges of
    the picture, v upwards. A tilted lens sees the same as an upright one, rotated: QR takes the
    rotation away and leaves a triangular matrix, as K is.
    """
    uv_from_pixel = [[2 / width, 0, 1 / width - 1], [0, -2 / height, 1 - 1 / height], [0, 0, 1]]
    triangular = np.linalg.qr(lens @ uv_from_pixel)[1]
    triangular = triangular * np.sign(np.diag(triangular))[:, None]
    return triangular / triangular[2, 2]
