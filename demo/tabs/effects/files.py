"""What the effects make, as files and for the page."""

import base64
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from numpy import ndarray
from PIL import Image

from demo.movies import write_mp4
from demo.tabs.effects.stereo import FPS
from depthpro.export import write_png
from depthpro.files import whole_file

Frames = Sequence[UInt8[ndarray, "h w 3"]]

_SWAYS = 4  # in a film: players stop at its end
_SQUARE = 12  # pixels of the chequered ground


def write_picture(path: Path, picture: UInt8[ndarray, "h w c"], notice: str) -> None:
    """Write a picture with the licence notice: JPEG, or PNG if it has alpha."""
    if picture.shape[2] == 4:
        write_png(path, picture, notice)
        return
    with whole_file(path) as temporary:
        # Colours at full resolution: anaglyphs would show ghosts.
        options = {"quality": 93, "subsampling": 0, "comment": notice.encode()}
        Image.fromarray(picture).save(temporary, "JPEG", **options)


def write_film(path: Path, frames: Frames, notice: str) -> None:
    """Write a sway as MP4, or as GIF, which repeats, with the licence notice."""
    if path.suffix == ".mp4":
        write_mp4(path, [frame for _ in range(_SWAYS) for frame in frames], FPS, notice)
        return
    palette = Image.fromarray(np.concatenate(frames[:: len(frames) // 4])[::3, ::3])
    palette = palette.quantize(256, Image.Quantize.MEDIANCUT)
    done = {id(frame): Image.fromarray(frame).quantize(palette=palette) for frame in frames}
    first, *others = (done[id(frame)] for frame in frames)
    with whole_file(path) as temporary:
        first.save(
            temporary,
            "GIF",
            save_all=True,
            append_images=others,
            duration=round(1000 / FPS),
            loop=0,
            comment=notice.encode(),
        )


def film_uri(frames: Frames, notice: str) -> str:
    """Return one sway as MP4 in a data URI."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sway.mp4"
        write_mp4(path, frames, FPS, notice)
        return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


def on_squares(picture: UInt8[ndarray, "h w 4"]) -> UInt8[ndarray, "h w 3"]:
    """Return a picture with alpha over the chequered ground that stands for nothing."""
    rows, columns = (np.arange(side) // _SQUARE for side in picture.shape[:2])
    ground = np.where((rows[:, None] + columns) % 2, 255, 214)[..., None]
    alpha = picture[..., 3:] / np.float32(255)
    return np.round(ground + alpha * (picture[..., :3] - ground)).astype(np.uint8)
