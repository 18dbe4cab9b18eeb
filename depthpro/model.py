"""The network, and the way from a photo to a prediction."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

import numpy as np
import torch
from jaxtyping import Float, Num
from numpy import ndarray
from PIL import Image
from torch import Tensor, nn

from depthpro import checkpoint
from depthpro.config import DepthProConfig
from depthpro.decoder import Decoder, build_head
from depthpro.encoder import Encoder, resize
from depthpro.fov import FieldOfView
from depthpro.geometry import focal_from_fov
from depthpro.prediction import Prediction, focal_per_picture

Precision = Literal["auto", "float32", "float16", "bfloat16"]

_FOV_RANGE_DEG = (1.0, 175.0)  # outside, tan() would give no focal length; no camera is outside


class DepthPro(nn.Module):
    """Sharp metric depth from one photo, without camera data.

    Source: "Depth Pro: Sharp Monocular Metric Depth in Less Than a Second", arXiv 2410.02073.
    """

    def __init__(self, config: DepthProConfig | None = None) -> None:
        """Build the network with random weights; the default config is the published one."""
        super().__init__()
        self.config = config or DepthProConfig()
        self.encoder = Encoder(self.config)
        self.decoder = Decoder(self.config)
        self.head = build_head(self.config)
        self.fov = FieldOfView(self.config) if self.config.fov else None
        self.provenance = checkpoint.Provenance("random weights", checkpoint.OWN_LICENCE)

    def forward(
        self, image: Float[Tensor, "b 3 s s"]
    ) -> tuple[Float[Tensor, "b s s"], Float[Tensor, " b"] | None]:
        """Return canonical inverse depth and the horizontal field of view in degrees.

        Args:
            image: Square picture of side `config.image_size`, in [-1, 1].

        Returns:
            C >= 0 in float32, 0 at infinity; degrees in float32, or None without that head.

        Raises:
            ValueError: If the picture is not of the network's size.
        """
        side = self.config.image_size
        if image.shape[-2:] != (side, side):
            raise ValueError(
                f"the network reads pictures of {side} x {side} pixels, got "
                f"{image.shape[-2]} x {image.shape[-1]}; infer() takes any size"
            )
        features, lowres = self.decoder(self.encoder(image))
        inverse = self.head(features)[:, 0].float()
        return inverse, None if self.fov is None else self.fov(image, lowres).float()

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = "small",
        *,
        config: DepthProConfig | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> "DepthPro":
        """Return a network with trained weights, ready for `infer`.

        Args:
            name: "small" (embedded in the package), a file, a folder, or a name on the hub:
                "apple/DepthPro" and "apple/DepthPro-hf" are the published weights, which are
                licensed for research only.
            config: Sizes of a network whose file does not say them; None means the published ones.
            device: Where it goes; None takes CUDA or MPS where there is one, else the CPU.
            dtype: How weights are kept. `torch.float16` halves the memory; `infer` computes under
                autocast then, so it wants a GPU.

        Raises:
            ValueError: If the weights cannot be found, read, or do not fit.
        """
        weights = checkpoint.load(name, config)
        with torch.device("meta"):  # no memory and no time for random weights
            model = cls(weights.config)
        checkpoint.assign(model, weights)
        model.provenance = weights.provenance
        # Convolutions are about a third faster in this memory order; results are the same.
        model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        return model.to(device=default_device() if device is None else device, dtype=dtype).eval()

    def save_pretrained(self, path: str | Path, record: str | None = None) -> Path:
        """Write weights, config and licence as safetensors; return the file that was written.

        Args:
            path: A file that ends in .safetensors, or a folder for model.safetensors.
            record: What should be remembered about the weights; None keeps what they came with.
        """
        made = self.provenance
        if record is not None:
            made = dataclasses.replace(made, record=record)
        return checkpoint.save(self, path, self.config, made)

    @torch.inference_mode()
    def infer(
        self,
        rgb: Image.Image | ndarray | Tensor,
        f_px: float | Tensor | None = None,
        *,
        precision: Precision = "auto",
    ) -> Prediction:
        """Return depth in metres for photos of any size.

        Args:
            rgb: A PIL image, uint8 (h, w, 3), or float (b, 3, h, w) in [0, 1].
            f_px: Focal length in pixels of the photo, one or one for each; None uses the network's
                estimate (held within 1 and 175 degrees).
            precision: Of the network's arithmetic; "auto" is float16 on CUDA, else float32.
                Depth is float32 always.

        Raises:
            ValueError: If the photo is none of these, or the focal length is not positive, or
                there is none and the network has no field-of-view head.
            MemoryError: If the device has too little memory; the text says what to try.

        Source: Section 3; resizing as in the published code (FACTS 1.1, 1.6).
        """
        pictures = _as_batch(rgb).to(self.device)
        white = 255 if pictures.dtype == torch.uint8 else 1
        height, width = pictures.shape[-2:]
        if f_px is None and self.fov is None:
            raise ValueError("this network estimates no field of view: pass f_px, in pixels")
        with _explain_memory(self.device, len(pictures)), self._autocast(precision):
            # Scaling after resizing touches fewer pixels; the two commute.
            image = resize(pictures.float(), self.config.image_size) * (2 / white) - 1
            canonical, fov_deg = self(image)
        estimated = None
        if fov_deg is not None:
            estimated = focal_from_fov(fov_deg.clamp(*_FOV_RANGE_DEG), width)
        used = estimated
        if f_px is not None:
            used = focal_per_picture(f_px, canonical.new_empty(len(canonical)))
        return Prediction(
            canonical_inverse_depth=canonical,
            f_px=cast(Tensor, used),
            estimated_f_px=estimated,
            height=height,
            width=width,
        )

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def _autocast(self, precision: Precision) -> contextlib.AbstractContextManager:
        names = {"float32": None, "float16": torch.float16, "bfloat16": torch.bfloat16}
        if precision == "auto":
            weights = next(self.parameters()).dtype
            half = self.device.type == "cuda" and weights == torch.float32
            precision = "float16" if half or weights == torch.float16 else "float32"
        if precision not in names:
            raise ValueError(
                f"precision must be one of 'auto', {', '.join(map(repr, names))}; got {precision!r}"
            )
        dtype = names[precision]
        if dtype is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=dtype)


def default_device() -> torch.device:
    """Return CUDA where there is one, else MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def _is_batch(picture: Tensor) -> bool:
    return picture.dim() == 4 and picture.shape[1] == 3


def _as_batch(rgb: Image.Image | ndarray | Tensor) -> Num[Tensor, "b 3 h w"]:
    """Return any of the accepted pictures as a batch: uint8, or floats in [0, 1]."""
    if isinstance(rgb, Image.Image):
        rgb = np.asarray(rgb.convert("RGB"))
    picture = torch.as_tensor(rgb)
    if picture.numel() and picture.dtype == torch.uint8:
        if picture.dim() == 3 and picture.shape[-1] == 3:
            return picture.permute(2, 0, 1)[None]
    elif picture.numel() and picture.is_floating_point() and _is_batch(picture):
        low, high = (bound.item() for bound in picture.aminmax())
        if low >= 0 and high <= 1:
            return picture
        raise ValueError(
            f"a float picture must lie in [0, 1], got values from {low:.4g} to {high:.4g}"
        )
    raise ValueError(
        "expected a PIL image, uint8 (h, w, 3), or float (b, 3, h, w) in [0, 1]; got "
        f"{str(picture.dtype).removeprefix('torch.')} {tuple(picture.shape)}"
    )


@contextlib.contextmanager
def _explain_memory(device: torch.device, batch: int) -> Iterator[None]:
    """Turn an allocator's error into one that says what to try."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
            raise
        raise MemoryError(
            f"{device} ran out of memory on a batch of {batch}; try fewer pictures at once, "
            "from_pretrained(..., dtype=torch.float16) on a GPU, device='cpu', or the weights "
            "'small'"
        ) from error
