"""Random crops, colours, blur and noise of training pictures."""

import io
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Augmentation:
    """Shares of the pictures that are changed, and how much.

    Source: Table 16 for the shares; the paper does not say how much.
    """

    colour: float = 0.75
    jitter: float = 0.3  # largest change of gamma, brightness, contrast and so on, as a factor
    grey: float = 0.0
    blur: float = 0.3
    blur_px: float = 1.5  # largest standard deviation of the blur, in pixels of the network's input
    noise: float = 0.0
    noise_level: float = 0.08  # largest standard deviation of the noise, in pictures from 0 to 1
    crop: float = 0.5
    smallest_crop: float = 0.5  # least side of a crop, as a share of the picture's
    centred: float = 1.0  # share of the crops that are taken around the optical axis
    stretch: float = 0.0  # largest change of a crop's aspect ratio, as a logarithm
    flip: float = 0.0
    texture: float = 0.0
    """Share of the pictures that are mixed with a random convolution of themselves: what is learned
    from rendered surfaces alone is no good on photos."""
    jpeg: float = 0.0  # share of the pictures that go through JPEG, with a quality of 20 to 90

    def __post_init__(self) -> None:
        """Check the numbers."""
        shares = ("colour", "grey", "blur", "noise", "crop", "centred", "flip", "texture", "jpeg")
        rules = {name: 0 <= getattr(self, name) <= 1 for name in shares}
        rules |= {"jitter": self.jitter >= 0, "blur_px": self.blur_px >= 0.2}
        rules |= {"noise_level": self.noise_level >= 0, "stretch": self.stretch >= 0}
        require(self, rules | {"smallest_crop": 0 < self.smallest_crop <= 1})


def require(settings: object, rules: dict[str, bool]) -> None:
    """Raise a ValueError with the first field whose rule is not met."""
    for name, met in rules.items():
        if not met:
            kind, value = type(settings).__name__, getattr(settings, name)
            raise ValueError(f"{kind} cannot have {name}={value!r} in {settings}")


class Box(NamedTuple):
    """A rectangle of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int


def draw_box(
    rng: np.random.Generator, size: tuple[int, ...], chances: Augmentation
) -> tuple[Box, bool]:
    """Return a random rectangle of a picture of `size` (h, w), and whether to mirror it."""
    height, width = size
    crop, centred, flip = rng.random(3) < (chances.crop, chances.centred, chances.flip)
    scale, stretch = rng.uniform(chances.smallest_crop, 1), rng.uniform(-1, 1) * chances.stretch
    across, down = np.exp(min(stretch, 0)), np.exp(-max(stretch, 0))  # the larger one is 1
    top, left = (0.5, 0.5) if centred else rng.random(2)
    if not crop:
        return Box(0, 0, height, width), bool(flip)
    rows, columns = max(round(height * scale * down), 1), max(round(width * scale * across), 1)
    box = Box(round(top * (height - rows)), round(left * (width - columns)), rows, columns)
    return box, bool(flip)


def change_colours(
    image: Float[Tensor, "b 3 h w"], random: Float[Tensor, "b n"], chances: Augmentation
) -> Float[Tensor, "b 3 h w"]:
    """Return pictures in [-1, 1] with random colours, blur and noise, each on its share of them.

    `random` has at least 19 numbers in [0, 1) for each picture; the noise itself is drawn here.
    """
    draws = random[:, :, None, None]
    image = (image + 1) / 2
    colour, blur, noise, grey = (
        draws[:, i : i + 1] < chance
        for i, chance in enumerate((chances.colour, chances.blur, chances.noise, chances.grey))
    )
    if chances.colour:
        image = torch.where(colour, _recoloured(image, draws[:, 4:12], chances), image)
    if chances.texture:
        image = torch.where(draws[:, 17:18] < chances.texture, _textured(image), image)
    if chances.grey:
        image = torch.where(grey, _grey(image).expand_as(image), image)
    if chances.blur and blur.any():
        sigma = 0.2 + (chances.blur_px - 0.2) * random[:, 12]
        image = torch.where(blur, _blurred(image, sigma), image)
    if chances.noise:
        strength = chances.noise_level * draws[:, 13:14].square() * noise
        image = (image + strength * torch.randn_like(image)).clamp(0, 1)
    if chances.jpeg:
        pairs = zip(image, random[:, 18].tolist(), strict=True)
        kept = [_through_jpeg(x, n / chances.jpeg) if n < chances.jpeg else x for x, n in pairs]
        image = torch.stack(kept)
    return image * 2 - 1


def _recoloured(
    image: Float[Tensor, "b 3 h w"], draws: Float[Tensor, "b 8 1 1"], chances: Augmentation
) -> Float[Tensor, "b 3 h w"]:
    """Change gamma, white balance, saturation and contrast of pictures in [0, 1]."""
    factors = ((2 * draws - 1) * np.log1p(chances.jitter)).exp()
    gamma, brightness, contrast, saturation, balance = factors.split([1, 1, 1, 1, 4], dim=1)
    image = image.clamp(min=1e-4) ** gamma * (brightness * balance[:, :3].sqrt())
    grey = _grey(image)
    image = grey + saturation * (image - grey)
    middle = grey.mean((2, 3), keepdim=True)
    return (middle + contrast * (image - middle)).clamp(0, 1)


def _textured(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 3 h w"]:
    """Mix pictures with random convolutions of themselves: shapes stay, surfaces change.

    Source: Xu et al. 2021, arXiv 2007.13003 (RandConv).
    """
    many, size = len(image), 2 * int(torch.randint(0, 3, ())) + 1
    kernels = torch.randn(3 * many, 3, size, size, device=image.device)
    planes = F.pad(image, (size // 2,) * 4, mode="reflect").flatten(0, 1)[None]
    changed = F.conv2d(planes, kernels, groups=many)[0].unflatten(0, (many, 3))
    deviation, mean = torch.std_mean(image, (2, 3), keepdim=True)
    now, middle = torch.std_mean(changed, (2, 3), keepdim=True)
    changed = (changed - middle) / now.clamp(min=1e-3) * deviation + mean
    share = torch.rand(many, 1, 1, 1, device=image.device)
    return (share * image + (1 - share) * changed).clamp(0, 1)


def _through_jpeg(image: Float[Tensor, "3 h w"], quality: float) -> Float[Tensor, "3 h w"]:
    """Store a picture in [0, 1] as JPEG, with a quality from 0 (20) to 1 (90), and read it."""
    pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(pixels).save(file := io.BytesIO(), "JPEG", quality=20 + round(quality * 70))
    with Image.open(file) as read:
        return torch.from_numpy(np.array(read)).to(image).permute(2, 0, 1) / 255


def _grey(image: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 1 h w"]:
    weights = image.new_tensor([0.299, 0.587, 0.114])[:, None, None]
    return (image * weights).sum(1, keepdim=True)


def _blurred(image: Float[Tensor, "b 3 h w"], sigma: Float[Tensor, " b"]) -> Tensor:
    """Blur each picture by its own Gaussian, of standard deviation `sigma` in pixels."""
    reach = int(np.ceil(2 * float(sigma.max())))
    at = torch.arange(-reach, reach + 1, device=image.device)
    kernel = torch.exp(-0.5 * (at / sigma[:, None]).square())
    kernel = (kernel / kernel.sum(1, keepdim=True)).repeat_interleave(3, 0)[:, None]
    planes = F.pad(image, (reach,) * 4, mode="reflect").flatten(0, 1)[None]
    planes = F.conv2d(planes, kernel[:, :, None], groups=planes.shape[1])
    planes = F.conv2d(planes, kernel[..., None], groups=planes.shape[1])
    return planes[0].unflatten(0, image.shape[:2])
