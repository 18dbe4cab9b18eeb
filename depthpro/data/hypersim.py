"""Hypersim: rendered rooms, 1024 x 768 (github.com/apple/ml-hypersim)."""

import math
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from depthpro.data.frames import Frames, naming, of_size, read_rgb, read_table
from depthpro.data.sample import Sample

SPLIT = "metadata_images_split_scene_v1.csv"
LENSES = "metadata_camera_parameters.csv"
FOV_DEG = 60.0

_Frame = tuple[str, str, str]
"""Scene, camera and number, as in the names of the files."""


class Hypersim(Frames):
    """Hypersim, metric and synthetic.

    `root` holds scenes `ai_VVV_NNN`, all or some of them, and if possible two tables of the
    authors' repository:

    `metadata_images_split_scene_v1.csv`
        Which frames are public, and each one's split. Without it, every frame found is "train".
    `metadata_camera_parameters.csv`
        Each scene's lens. Without it, every scene gets the nominal field of view of 60 degrees,
        which is wrong for those with a shifted or tilted lens.

    Pictures are the tone-mapped previews. The files named `depth_meters` hold the distance to the
    camera's centre. Depth here is along the normal of the image plane, also where the lens is
    tilted. A lens that is tilted both ways skews the picture, by a degree or so: depth takes that
    into account, a `Sample` has no place for it. Pixels without geometry (NaN) are unknown.
    """

    def __init__(self, root: str | Path, split: Literal["train", "val", "test"] = "train") -> None:
        """List the frames of a split.

        Raises:
            ValueError: If there are none, one lacks its picture or its depth, or a table is broken.
        """
        self.root = Path(root)
        listed, self._lenses = _read_split(self.root, split), _read_lenses(self.root)
        self._frames: list[_Frame] = []
        for scene in sorted(path for path in self.root.glob("ai_*_*") if path.is_dir()):
            pictures = _names(scene, "final_preview/frame.*.tonemap.jpg")
            depths = _names(scene, "geometry_hdf5/frame.*.depth_meters.hdf5")
            wanted = pictures | depths if listed is None else listed.get(scene.name, set())
            if self._lenses is not None and wanted and scene.name not in self._lenses:
                raise ValueError(f"{self.root / LENSES} has no row for {scene.name}: get it again")
            for frame in sorted(wanted):
                for path, found in zip(self._paths(frame), (pictures, depths), strict=True):
                    if frame not in found:
                        raise ValueError(f"{path} is missing: unpack {scene.name} again")
                self._frames.append(frame)
        if not self._frames:
            raise ValueError(f"no frames of {split} (ai_*_*/images/...) in {root}: unpack Hypersim")

    def _paths(self, frame: _Frame) -> tuple[Path, Path]:
        scene, camera, number = frame
        images = self.root / scene / "images"
        return (
            images / f"scene_{camera}_final_preview" / f"frame.{number}.tonemap.jpg",
            images / f"scene_{camera}_geometry_hdf5" / f"frame.{number}.depth_meters.hdf5",
        )

    def _load(self, frame: _Frame) -> Sample:
        picture, path = self._paths(frame)
        rgb = read_rgb(picture)
        distance = _read_distance(path, like=rgb)
        known = np.isfinite(distance) & (distance > 0)
        lens = None if self._lenses is None else self._lenses[frame[0]]
        ray_from_pixel = upright(rays(lens, *distance.shape))
        camera = np.linalg.inv(ray_from_pixel)
        return Sample(
            rgb=rgb,
            depth=depth_from_distance(np.where(known, distance, np.inf), ray_from_pixel),
            f_px=float(camera[0, 0]),
            fy_px=float(camera[1, 1]),
            cx_px=float(camera[0, 2]),
            cy_px=float(camera[1, 2]),
            mask=known,
            family="hypersim",
        )


def rays(lens: Float[ndarray, "3 3"] | None, height: int, width: int) -> Float[ndarray, "3 3"]:
    """Return the matrix that maps (x, y, 1) of a pixel to its ray.

    `lens` is the authors' M_cam_from_uv, whose u and v go from -1 to 1 between the outer edges of
    the picture, v upwards; None is the nominal one.
    """
    if lens is None:
        tangent = math.tan(math.radians(FOV_DEG) / 2)
        lens = np.diag([tangent, tangent * height / width, -1])
    return lens @ [[2 / width, 0, 1 / width - 1], [0, -2 / height, 1 - 1 / height], [0, 0, 1]]


def upright(ray_from_pixel: Float[ndarray, "3 3"]) -> Float[ndarray, "3 3"]:
    """Return the inverse of K: the same rays, with z along the normal of the image plane, z = 1.

    A tilted lens sees the same as an upright one, rotated. QR takes a rotation away and leaves a
    triangular matrix, as K is.
    """
    triangular = np.linalg.qr(ray_from_pixel)[1]
    triangular = triangular * np.sign(np.diag(triangular))[:, None]
    return triangular / triangular[2, 2]


def depth_from_distance(
    distance: Float[ndarray, "h w"], ray_from_pixel: Float[ndarray, "3 3"]
) -> Float[ndarray, "h w"]:
    """Return depth along the optical axis from distances to the camera's centre.

    `ray_from_pixel` is the inverse of the camera matrix K.
    """
    x, y = np.arange(distance.shape[1])[None], np.arange(distance.shape[0])[:, None]
    right = ray_from_pixel[0, 0] * x + ray_from_pixel[0, 1] * y + ray_from_pixel[0, 2]
    down = ray_from_pixel[1, 1] * y + ray_from_pixel[1, 2]
    return (distance / np.sqrt(1 + right**2 + down**2)).astype(np.float32)


def _read_distance(path: Path, like: ndarray) -> Float[ndarray, "h w"]:
    try:
        import h5py
    except ImportError as error:
        raise ImportError("HDF5 files need h5py: pip install h5py") from error
    with naming(path), h5py.File(path, "r") as file:
        return of_size(np.asarray(file["dataset"]), like)


def _read_split(root: Path, split: str) -> dict[str, set[_Frame]] | None:
    """Return the split's public frames by scene; None if there is no table."""
    path = root / SPLIT
    if split not in ("train", "val", "test") or (split != "train" and not path.exists()):
        raise ValueError(f'split must be "train", or "val" or "test" with {path}; got {split!r}')
    if not path.exists():
        return None
    listed: dict[str, set[_Frame]] = {}
    rows = read_table(path)
    with naming(path):
        for row in rows:
            public = row["included_in_public_release"] == "True"
            if row["split_partition_name"] == split and public:
                scene, number = row["scene_name"], int(row["frame_id"])
                listed.setdefault(scene, set()).add((scene, row["camera_name"], f"{number:04d}"))
    return listed


def _read_lenses(root: Path) -> dict[str, ndarray] | None:
    """Return M_cam_from_uv by scene; None if there is no table."""
    path = root / LENSES
    if not path.exists():
        return None
    columns = [f"M_cam_from_uv_{row}{column}" for row in range(3) for column in range(3)]
    rows = read_table(path)
    with naming(path):
        return {
            row["scene_name"]: np.array([float(row[name]) for name in columns]).reshape(3, 3)
            for row in rows
        }


def _names(scene: Path, pattern: str) -> set[_Frame]:
    """Return the frames whose files match: scene_cam_00_.../frame.0000...."""
    return {
        (scene.name, "_".join(path.parent.name.split("_")[1:3]), path.name.split(".")[1])
        for path in scene.glob(f"images/scene_cam_*_{pattern}")
    }
