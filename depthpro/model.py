"""The network, and the way from a photo to a prediction."""

import contextlib
import dataclasses
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import torch
from jaxtyping import Float
from numpy import ndarray
from PIL import Image
from torch import Tensor, nn

from depthpro import checkpoint
from depthpro.config import DepthProConfig
from depthpro.decoder import Decoder, FusionBlock, build_head
from depthpro.encoder import Encoder
from depthpro.fov import FieldOfView
from depthpro.geometry import FOV_RANGE_DEG, focal_from_fov
from depthpro.precision import DTYPES, Precision, chosen_dtype, computing, in_float32, in_parts
from depthpro.prediction import Prediction, focal_per_picture
from depthpro.preprocess import network_input, to_batch
from depthpro.stem import ConvStem

_NO_MEMORY = re.compile("out of memory|not enough memory|allocate memory")
_REACH = 6  # rows around a strip that it depends on: five convolutions, and a half one
_STRIP_PIXELS = 192 * 768  # of the decoder's last level: a quarter of the published one


class DepthPro(nn.Module):
    """Sharp metric depth from one photo, without camera data (arXiv 2410.02073)."""

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
        """Return canonical inverse depth C >= 0, 0 at infinity, and the field of view in degrees.

        Images are squares of side `config.image_size`, in [-1, 1]. Results are float32; the
        horizontal field of view is None without that head.
        """
        side = self.config.image_size
        if image.dim() != 4 or image.shape[1:] != (3, side, side):
            raise ValueError(
                f"the network reads pictures of shape (b, 3, {side}, {side}) in [-1, 1], got "
                f"{tuple(image.shape)}; infer() takes any size"
            )
        if in_parts(image):
            finest, *maps = self.encoder.read_windows(image)
            x, lowres = self.decoder.fuse(self.encoder.project(maps))
            inverse = self._finish(x, finest).relu()
        else:
            features, lowres = self.decoder(self.encoder(image))
            inverse = self.read_depth(features).relu()
        return inverse, None if self.fov is None else self.fov(image, lowres).float()

    def read_depth(self, features: Float[Tensor, "b d h w"]) -> Float[Tensor, "b _h _w"]:
        """Return canonical inverse depth before the last ReLU, from the decoder's features.

        Training needs the negative values: a ReLU that is 0 everywhere passes no gradient.
        """
        with in_float32(features):
            return self.head[:-1](features.float())[:, 0]

    def _finish(
        self, x: Float[Tensor, "b d h h"], finest: Float[Tensor, "b _d _h _h"]
    ) -> Float[Tensor, "b s s"]:
        """Return `read_depth` of the decoder's last level, from strip to strip of its input.

        Each of the maps between takes 0.6 GB at the published size, and six of them live at once.
        """
        coarser, last = (cast(FusionBlock, self.decoder.fusions[level]) for level in (1, 0))
        cells = finest.shape[2]
        scale = x.shape[2] // cells  # the last level has twice the rows of x, depth four times
        margin = -(-_REACH // (2 * scale))
        height = max(1, _STRIP_PIXELS // (4 * scale * x.shape[3]))
        strips = []
        for top in range(0, cells, height):
            start, stop = max(top - margin, 0), min(top + height + margin, cells)
            doubled = coarser.upscale(x[:, :, start * scale : stop * scale])
            skip = self.encoder.upsample_latent0(finest[:, :, start:stop])
            strip = self.read_depth(last(doubled, skip))[:, 4 * scale * (top - start) :]
            strips.append(strip[:, : 4 * scale * height])
        return torch.cat(strips, dim=1)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path = "small",
        *,
        config: DepthProConfig | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = torch.float32,
    ) -> "DepthPro":
        """Return a network with trained weights, ready for `infer`.

        Args:
            name: "small" (in the package), a file, a folder, or a name on the hub: "apple/DepthPro"
                and "apple/DepthPro-hf" are the published weights, licensed for research only. ONNX
                Runtime computes a file that ends in .onnx, on the CPU and for `infer` alone.
            config: Sizes, for a file that does not hold them; None means the published ones.
            device: None takes CUDA or MPS where available, else the CPU.
            dtype: Of the weights in memory: float32, or float16 or bfloat16 for half of it. A CPU
                computes in the type of `infer` all the same, a GPU in this one. None is
                float16 on CUDA, and on a CPU for a ViT that is stored so. int8 is for the blocks
                on a CPU: less memory and time at the published size.

        Raises:
            ValueError: If the weights cannot be found, read, or do not fit.
        """
        choice = [*DTYPES.values(), torch.int8]
        if dtype not in (None, *choice):
            raise ValueError(f"dtype must be one of {choice}, got {dtype}")
        if is_onnx(name):
            from depthpro.deploy.runtime import OnnxNetwork

            if dtype == torch.int8:
                raise ValueError("an ONNX file computes in its own type: take int8 without it")
            return OnnxNetwork(Path(name).expanduser(), device)
        target = default_device() if device is None else usable_device(device)
        if dtype == torch.int8:
            require_int8(target)
        weights = checkpoint.load(name, config)
        if dtype is None:
            stored = {tensor.dtype for tensor in weights.tensors.values()}
            half_vit = weights.config.stem == "patch" and torch.float16 in stored
            half = target.type == "cuda" or (target.type == "cpu" and half_vit)
            dtype = torch.float16 if half else torch.float32
        with torch.device("meta"):  # no memory and no time for random weights
            model = cls(weights.config)
        checkpoint.assign(model, weights)
        model.provenance = weights.provenance
        return for_inference(model, target, dtype)

    def save_pretrained(self, path: str | Path, record: str | None = None) -> Path:
        """Write weights, config, licence and how they were made (`record`); return the file.

        The path is a file that ends in .safetensors, or a folder for model.safetensors. Without a
        record, the weights keep the one that they came with.
        """
        record = self.provenance.record if record is None else record
        provenance = dataclasses.replace(self.provenance, record=record)
        return checkpoint.save(self, path, self.config, provenance)

    def push_to_hub(self, name: str, *, private: bool | None = None) -> str:
        """Upload weights, config and a model card; return their page's address.

        The repository `name`, as "me/name", is made if it is not there; `from_pretrained(name)`
        reads it. Raises a ValueError if the hub does not take them.
        """
        from depthpro.deploy.hub import push

        return push(self, name, private)

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
            rgb: A PIL image, uint8 (h, w, 3) or (b, h, w, 3), or float (b, 3, h, w) in [0, 1]. EXIF
                orientation is ignored; `load_image` turns a photo upright.
            f_px: Focal length in pixels, one for all photos or one for each; None uses the
                network's estimate, clamped to a field of view of 1 to 175 degrees.
            precision: Of the network; depth is always float32. "auto" is bfloat16 on CPUs that
                compute in it and float32 on others, and for networks with a convolutional stem;
                elsewhere the type of weights in half precision, of others float16 on CUDA and
                float32 without.

        Raises:
            ValueError: If the photo or the focal length is not as above, or neither given nor
                estimated.
            MemoryError: If the device has too little memory; the message names remedies.
        """
        pictures = to_batch(rgb)
        height, width = pictures.shape[-2:]
        given = estimated = None
        if f_px is not None:  # checked before the network takes its time
            given = focal_per_picture(f_px, torch.empty(len(pictures), device=self.device))
        elif self.fov is None:
            raise ValueError("this network estimates no field of view: pass f_px, in pixels")
        stored = next(self.decoder.parameters()).dtype
        dtype = chosen_dtype(precision, stored, self.device, self.config.stem)
        with _explain_memory(self.device, len(pictures)), computing(dtype, stored, self.device):
            image = network_input(pictures.to(self.device), self.config.image_size)
            canonical, fov_deg = self(image)
        if fov_deg is not None:
            estimated = focal_from_fov(fov_deg.clamp(*FOV_RANGE_DEG), width)
        used = cast(Tensor, estimated if given is None else given)
        return Prediction(canonical, used, estimated, height, width)

    def compile(self) -> "DepthPro":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Compile the transformer blocks for the GPU, and return the network.

        It takes a minute and runs the network twice. Where torch.compile cannot run, a warning says
        so and nothing changes.
        """
        from depthpro.deploy.compiled import compile_blocks

        compile_blocks(self)
        return self

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return next(self.parameters()).device


def for_inference(model: DepthPro, device: torch.device, dtype: torch.dtype) -> DepthPro:
    """Return a network on a device, its weights in a type but those that need float32.

    int8 is for the blocks alone, and for the CPU: all else is float16 then.
    """
    # Convolutions are about a third faster in this memory order; results are the same.
    model = model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    model = model.to(device, torch.float16 if dtype == torch.int8 else dtype).eval()
    for module in model.modules():
        if module is model.head or isinstance(module, ConvStem):
            module.float()  # half precision is too coarse for them
    if dtype == torch.int8:
        from depthpro.deploy.int8 import quantise

        quantise(model)
    return model


def default_device() -> torch.device:
    """Return CUDA or MPS where there is one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def usable_device(device: torch.device | str) -> torch.device:
    """Return the device, or raise a ValueError that names another if it cannot be used here."""
    try:
        return torch.empty(0, device=device).device
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device {str(device)!r} cannot be used here ({str(error).splitlines()[0]}); "
            f"{str(default_device())!r} can"
        ) from None


def require_int8(device: torch.device) -> None:
    """Raise a ValueError for a device without int8: other CPUs would take minutes a layer."""
    if device.type != "cpu":
        raise ValueError(f"int8 is for the CPU, got {str(device)!r}: choose the device 'cpu'")
    if "AVX" not in torch.backends.cpu.get_cpu_capability():
        raise ValueError("int8 needs an x86 processor with AVX2: leave it out")


def is_onnx(name: str | Path) -> bool:
    """Return whether a name is that of an ONNX file."""
    return Path(name).suffix.lower() == ".onnx"


@contextlib.contextmanager
def _explain_memory(device: torch.device, batch: int) -> Iterator[None]:
    """Turn an allocator's error into a MemoryError that names remedies."""
    try:
        yield
    except RuntimeError as error:
        if not _NO_MEMORY.search(str(error)):
            raise
        traceback.clear_frames(error.__traceback__)  # their locals hold the activations
        raise MemoryError(
            f"{device} ran out of memory on a batch of {batch}; try fewer pictures at once, half "
            "precision (dtype=torch.float16) on a GPU, device='cpu', or the weights 'small'"
        ) from None
