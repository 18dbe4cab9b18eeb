"""`python -m depthpro export`: the network as an ONNX file, checked against PyTorch."""

import argparse
import importlib.util
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from depthpro.files import whole_files
from depthpro.geometry import FOV_RANGE_DEG, MAX_DEPTH_M, MIN_DEPTH_M
from depthpro.model import DepthPro, for_inference, is_onnx
from depthpro.stem import ConvStem, TokensAndTaps

INPUT, OUTPUTS = "picture", ("canonical_inverse_depth", "fov_deg")
TOLERANCES = {"float32": 1e-3, "float16": 0.02}
"""Largest deviation from PyTorch in float32: of C by its mean, of the field of view by itself."""
_OPSET = 18  # of torch 2.8, and without a conversion of later ones; ONNX Runtime reads it from 1.18
_MOST_AT_ONCE = 64  # torch wants a limit
_PACKAGES = ("onnx", "onnxruntime", "onnxscript")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add = parser.add_argument
    add("--model", default="small", help="'small', a file, a folder or a hub name")
    text = "the file, such as depthpro.onnx; weights above 1.5 GB lie beside it in FILE.data"
    add("-o", "--out", type=Path, required=True, metavar="FILE", help=text)
    text = "of weights and arithmetic; input, output and the depth head are float32"
    add("--dtype", choices=list(TOLERANCES), default="float32", help=text)
    text = "without the field of view: the focal length has to be known"
    add("--no-fov", action="store_true", help=text)


def run(options: argparse.Namespace) -> int:
    """Write the file and compare it with PyTorch; it stays only if both agree.

    Raises:
        ValueError: If packages are missing, or the results differ.
    """
    if options.out.suffix != ".onnx":
        raise ValueError(f"--out must be a file that ends in .onnx, got {str(options.out)!r}")
    if is_onnx(options.model):
        raise ValueError(
            f"{options.model!r} is exported already: pass the weights it was made from"
        )
    if missing := " ".join(name for name in _PACKAGES if importlib.util.find_spec(name) is None):
        raise ValueError(f"ONNX files need what is not installed here: pip install {missing}")
    model = DepthPro.from_pretrained(options.model, device="cpu")
    model.fov = None if options.no_fov else model.fov
    side = model.config.image_size
    batches = (1, 2) if side < 1536 else (1,)  # two of the published size take 18 GB
    _say(f"PyTorch reads {batches[-1]} of {side} pixels")
    pictures = torch.rand(batches[-1], 3, side, side, generator=torch.Generator().manual_seed(0))
    pictures = pictures * 2 - 1
    with torch.inference_mode():
        expected = [each for each in model(pictures) if each is not None]
    if options.dtype == "float16":
        for_inference(model, torch.device("cpu"), torch.float16)
    with whole_files(options.out.parent) as folder:
        write_onnx(model, folder / options.out.name)
        del model  # ONNX Runtime needs its memory
        tolerance = TOLERANCES[options.dtype]
        for batch in batches:
            _say(f"ONNX Runtime reads {batch}")
            worst = deviation(folder / options.out.name, pictures[:batch], expected)
            if not worst <= tolerance:
                raise ValueError(
                    f"ONNX Runtime deviates by {worst:.1e} from PyTorch at a batch of {batch}, more"
                    f" than {tolerance}: nothing is written. Try --dtype float32, or other versions"
                    f" of {', '.join(_PACKAGES)}"
                )
            print(f"batch {batch}: within {worst:.1e} of PyTorch in float32, {tolerance} allowed")
        sizes = [
            f"{path.name} ({path.stat().st_size / 1e6:,.0f} MB)"
            for path in sorted(folder.iterdir())
        ]
    if len(sizes) == 1:  # else an earlier export's weights would stay
        options.out.with_name(f"{options.out.name}.data").unlink(missing_ok=True)
    print(f"wrote {' and '.join(sizes)}, {options.dtype}, opset {_OPSET}, any batch")
    return 0


def write_onnx(model: DepthPro, path: Path) -> None:
    """Write the network in the precision of its weights, for a fixed size and any batch.

    It reads `picture`, float32 (b, 3, s, s) in [-1, 1], and gives `canonical_inverse_depth`
    (b, s, s) and, with that head, `fov_deg` (b,), both float32. Metadata has the licence, the
    config and the way from photo to metres. Weights above 1.5 GB are written to `path` + ".data".
    """
    _say("torch.export follows the network; the published one takes minutes")
    names = OUTPUTS if model.fov is not None else OUTPUTS[:1]
    side = model.config.image_size
    program: Any = torch.onnx.export(
        FloatEnds(model).eval(),
        (torch.zeros(2, 3, side, side),),  # a batch of 1 would be taken for a fixed one
        input_names=[INPUT],
        output_names=list(names),
        dynamic_shapes=({0: torch.export.Dim("batch", max=_MOST_AT_ONCE)},),
        opset_version=_OPSET,
        dynamo=True,
        verbose=False,
    )
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # every line of code on the way, with its path on this machine
    program.model.doc_string = model.provenance.notice
    program.model.metadata_props.update(_metadata(model))
    _say("writing")
    program.save(path)


def deviation(path: Path, pictures: Float[Tensor, "b 3 s s"], expected: Iterable[Tensor]) -> float:
    """Return the largest difference of ONNX Runtime's results from the expected ones.

    Relative to the mean of each output; `expected` may have more pictures.
    """
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    results = map(torch.from_numpy, session.run(None, {INPUT: pictures.numpy()}))
    pairs = [(each, right[: len(pictures)]) for each, right in zip(results, expected, strict=True)]
    return max(
        float((each - right).abs().max() / right.mean().abs().clamp(min=1e-6))
        for each, right in pairs
    )


class FloatEnds(nn.Module):
    """The network with float32 as its input, and without outputs that are None."""

    def __init__(self, network: DepthPro) -> None:
        """Wrap a network of any precision."""
        super().__init__()
        self.network = network
        self.dtype = next(network.parameters()).dtype
        half = network.encoder.upsample_lowres.weight.dtype
        for stem in (module for module in network.modules() if isinstance(module, ConvStem)):
            stem.register_forward_hook(lambda _, __, result: _converted(result, half))

    def forward(self, picture: Tensor) -> tuple[Tensor, ...]:
        """Return C and, if the network has that head, the field of view."""
        outputs = self.network(picture.to(self.dtype))
        return tuple(each for each in outputs if each is not None)


def _converted(result: Any, dtype: torch.dtype) -> TokensAndTaps:
    """Return what a convolutional stem, which computes in float32, gives to layers of this type."""
    tokens, taps = result
    return tokens.to(dtype), [tap.to(dtype) for tap in taps]


def _metadata(model: DepthPro) -> dict[str, str]:
    """Return what a reader of the file has to know."""
    made = model.provenance
    before = {
        "order": "RGB, (batch, 3, height, width)",
        "size": [model.config.image_size] * 2,
        "resize": "stretched, bilinear, pixel centres at halves, no antialiasing",
        "scale": 2 / 255,
        "offset": -1,
    }
    after = {
        "f_px": "0.5 * width / tan(radians(fov_deg) / 2), width that of the photo",
        "fov_deg_range": FOV_RANGE_DEG,
        "depth_m": "f_px / (width * canonical_inverse_depth), resized bilinearly before",
        "depth_m_range": [MIN_DEPTH_M, MAX_DEPTH_M],
    }
    metadata = {"notice": made.notice, "licence": made.licence, "record": made.record}
    metadata |= {"config": model.config.to_json()}
    metadata |= {"preprocessing": json.dumps(before), "postprocessing": json.dumps(after)}
    return metadata | ({"depth_error": made.depth_error.to_json()} if made.depth_error else {})


def _say(text: str) -> None:
    print(f"{text} …", file=sys.stderr, flush=True)
