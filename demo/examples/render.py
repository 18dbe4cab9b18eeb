"""Render the page's example photos with exact depth: `python -m demo.examples.render`.

Each is a photo `NAME.jpg`, with its focal length in the metadata, and, as in a shard
(`depthpro.data.shards`), `NAME.inverse_depth.png` and `NAME.json`.
"""

import io
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from depthpro.data.sample import Sample
from depthpro.data.shards import encode_sample
from depthpro.photos.exif import focal_px_from_35mm
from depthpro.scenes.camera import Shot, expose
from depthpro.scenes.engine import Engine
from depthpro.scenes.sample import make_scene, pick_view
from depthpro.scenes.thing import by_material

FOLDER = Path(__file__).parent
HEIGHT, WIDTH = 480, 720
FINER = 3  # rendered pixels across one: colour is their mean, depth is the middle one's


class Motif(NamedTuple):
    """A scene of `depthpro.scenes`, and the camera."""

    key: tuple[int, int, int]
    """Seed, scene and view, as in `render_scene`."""
    lens_mm: int
    """On 35 mm film."""
    gain: float
    """Exposure; see `depthpro.scenes.camera.Shot`."""


MOTIFS = {
    "street": Motif((2, 98, 2), lens_mm=24, gain=1.0),
    "room": Motif((2, 33, 2), lens_mm=24, gain=1.25),
    "nature": Motif((2, 92, 2), lens_mm=28, gain=1.1),
}


def main() -> None:
    """Render all motifs, or those that are named."""
    engine = Engine(FINER * WIDTH)
    for name in sys.argv[1:] or MOTIFS:
        write(name, take(engine, name, MOTIFS[name]), MOTIFS[name].lens_mm)


def take(engine: Engine, family: str, motif: Motif) -> Sample:
    """Return the photo of a motif: the middle rows of a square picture."""
    seed, number, _ = motif.key
    rng = np.random.default_rng([seed, number])
    rng.random()  # with this number `render_scene` chooses the family
    scene = make_scene(rng, family)
    f_px = focal_px_from_35mm(motif.lens_mm, WIDTH, HEIGHT)
    fov_deg = float(2 * np.degrees(np.arctan(WIDTH / 2 / f_px)))
    view = pick_view(np.random.default_rng(motif.key), scene)
    view = view._replace(fov_deg=fov_deg, aspect=1.0)
    with engine.load(by_material(scene.thing, scene.eye), scene.light) as gpu_scene:
        colour, depth = gpu_scene.colour(view), gpu_scene.depth(view)
    rows = slice((WIDTH - HEIGHT) // 2, (WIDTH + HEIGHT) // 2)
    rgb = np.asarray(Image.fromarray(colour).reduce(FINER))[rows]
    middle = FINER // 2
    depth = np.ascontiguousarray(depth[middle::FINER, middle::FINER][rows])
    return Sample(
        rgb=expose(rng, rgb, depth, Shot(gain=motif.gain)),
        depth=depth,
        f_px=f_px,
        fy_px=f_px,
        cx_px=(WIDTH - 1) / 2,
        cy_px=(HEIGHT - 1) / 2,
        family=family,
        seed=motif.key,
    )


def write(name: str, sample: Sample, lens_mm: int) -> None:
    """Write a photo and its depth."""
    members = encode_sample(sample)
    (FOLDER / f"{name}.json").write_bytes(members["json"] + b"\n")
    depth = Image.open(io.BytesIO(members["inverse_depth.png"]))
    depth.save(FOLDER / f"{name}.inverse_depth.png", optimize=True)
    exif = Image.Exif()
    exif[0x0131] = "depthpro.scenes"  # Software
    exif[0x8298] = "Apache-2.0"  # Copyright
    exif.get_ifd(0x8769)[0xA405] = lens_mm  # FocalLengthIn35mmFilm
    Image.fromarray(sample.rgb).save(FOLDER / f"{name}.jpg", quality=90, exif=exif)


if __name__ == "__main__":
    main()
