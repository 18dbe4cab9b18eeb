"""From pixels to the network's input: a batch, stretched to a square, in [-1, 1]."""

import numpy as np
import torch
from jaxtyping import Float, Int, Num, UInt8
from numpy import ndarray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


def to_batch(rgb: Image.Image | ndarray | Tensor) -> Num[Tensor, "b 3 h w"]:
    """Return any picture that `DepthPro.infer` accepts as a batch: uint8, or floats in [0, 1]."""
    picture = rgb
    if isinstance(picture, Image.Image) and not picture.mode.startswith(("I", "F")):
        picture = np.asarray(picture.convert("RGB"))
    if isinstance(picture, ndarray) and (picture.dtype == np.uint8 or picture.dtype.kind == "f"):
        # Copied: torch takes neither read-only memory nor negative strides (BGR turned to RGB).
        dtype = np.uint8 if picture.dtype == np.uint8 else np.float32
        picture = torch.from_numpy(picture.astype(dtype, order="C"))
    if isinstance(picture, Tensor) and picture.numel():
        if picture.dtype == torch.uint8 and picture.dim() in (3, 4) and picture.shape[-1] == 3:
            return picture.movedim(-1, -3).reshape(-1, 3, *picture.shape[-3:-1])
        floats = picture.is_floating_point() and picture.dim() == 4 and picture.shape[1] == 3
        if floats and picture.min() >= 0 and picture.max() <= 1:
            return picture
    kind, shape = getattr(rgb, "dtype", getattr(rgb, "mode", "")), getattr(rgb, "shape", ())
    raise ValueError(
        "expected a PIL image of 8 bits a channel, uint8 (h, w, 3) or (b, h, w, 3), or float "
        f"(b, 3, h, w) in [0, 1]; got {type(rgb).__name__} {kind} {tuple(shape)}. "
        "load_image(path).rgb reads files of every kind as uint8"
    )


def network_input(
    pictures: Num[Tensor, "b 3 h w"], side: int
) -> Float[Tensor, "b 3 {side} {side}"]:
    """Return a batch from `to_batch` as squares in [-1, 1]."""
    if pictures.dtype == torch.uint8:
        return resize_bytes(pictures, side) * (2 / 255) - 1
    return resize(pictures.float(), side) * 2 - 1


def resize(image: Float[Tensor, "b c h w"], side: int) -> Float[Tensor, "b c {side} {side}"]:
    """Return the image stretched to a square, bilinear without antialiasing, as published."""
    if image.shape[-2:] == (side, side):
        return image
    return F.interpolate(image, size=(side, side), mode="bilinear", align_corners=False)


def resize_bytes(
    pictures: UInt8[Tensor, "b 3 h w"], side: int
) -> Float[Tensor, "b 3 {side} {side}"]:
    """Return uint8 pictures stretched to a square: floats in [0, 255], equal to `resize`.

    Three times as fast for a large photo, as only the few pixels that are sampled become floats.
    The three channels of a pixel should lie side by side in memory.
    """
    height, width = pictures.shape[-2:]
    top, bottom, down = _neighbours(height, side, pictures.device)
    left, right, across = _neighbours(width, side, pictures.device)
    pixels = pictures.movedim(1, -1)  # (b h w 3)

    def sample(rows: Int[Tensor, " side"]) -> Tensor:
        line = pixels[:, rows]
        return torch.lerp(line[:, :, left].float(), line[:, :, right].float(), across[:, None])

    return torch.lerp(sample(top), sample(bottom), down[:, None, None]).movedim(-1, 1)


def _neighbours(size: int, side: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two source pixels of every target pixel along an axis, and the second's weight."""
    at = ((torch.arange(side, device=device) + 0.5) * (size / side) - 0.5).clamp(min=0)
    first = at.long().clamp(max=size - 1)
    return first, (first + 1).clamp(max=size - 1), at - first
