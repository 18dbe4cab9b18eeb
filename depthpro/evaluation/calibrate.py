"""`python -m depthpro calibrate`: errors of depth on held-out pictures, stored with the weights.

The errors are fitted on one half of the pictures, and tried on the other one: how often the true
distance of two random points lies within the ±. The page's lengths have a ± for such weights alone.
"""

import argparse
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from tqdm import tqdm

from depthpro import checkpoint
from depthpro.depth_error import DepthError, distance_plus_minus
from depthpro.evaluation.readers import Case, open_benchmark
from depthpro.evaluation.scoring import counted, pixel_rays
from depthpro.model import DepthPro
from depthpro.prediction import Prediction

POINTS = 200  # random points of a picture; the first half and the second one are the ends of pairs
LEVEL = 0.65
"""Share of single depths within the ±; of distances, whose errors partly cancel, it is a few
hundredths more."""
FAR_M = 1000.0  # points that are farther, or predicted to be, count as sky

_RUN = 3  # neighbouring pictures that stay together: `render` takes three of a scene


class Located(NamedTuple):
    """Random points of a picture in metres: x right, y down, z forward."""

    ours: Float[ndarray, "n 3"]  # with the focal length that the network estimates
    true: Float[ndarray, "n 3"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    add = parser.add_argument
    text = "held-out pictures with true depth and focal length, as for evaluate: a folder of "
    text += "shards, or KIND:FOLDER"
    add("--data", required=True, metavar="[KIND:]FOLDER", help=text)
    text = "weights written by save_pretrained, which are changed: 'small', the default, a "
    text += ".safetensors file or a folder"
    add("--model", default="small", help=text)
    add("--device", help="cuda, mps or cpu; the best there is if not given")


def run(options: argparse.Namespace) -> int:
    """Measure, store and print the errors, and return the exit status."""
    cases = open_benchmark(options.data).cases
    if len(cases) < 2 * _RUN:
        raise ValueError(f"at least {2 * _RUN} pictures needed, {options.data} has {len(cases)}")
    model = DepthPro.from_pretrained(options.model, device=options.device)
    points = []
    for number, read in enumerate(tqdm(cases.values(), desc="calibrate")):
        case = read()
        points.append(locate(case, model.infer(case.rgb).to("cpu"), number))
    error = calibrate(points)
    path = checkpoint.store_depth_error(options.model, error)
    print(
        f"Within {error.depth:.0%} in {LEVEL:.0%} of the points: {error.scale:.0%} by the picture, "
        f"{error.point:.0%} by the point.\nOn the other pictures {error.coverage:.0%} of the "
        f"distances of random pairs lie within the ±.\nStored in {path}"
    )
    return 0


def calibrate(pictures: Sequence[Located]) -> DepthError:
    """Return the errors by one half of the pictures, with their `coverage` of the other half."""
    halves: tuple[list[Located], list[Located]] = [], []
    for number, each in enumerate(pictures):
        if len(each.ours):
            halves[number // _RUN % 2].append(each)
    if not all(halves):
        raise ValueError("no points with true depth in half of the pictures: take other ones")
    error = fit(halves[0])
    return dataclasses.replace(error, coverage=round(coverage(halves[1], error), 3))


def fit(pictures: Sequence[Located]) -> DepthError:
    """Return the errors that `LEVEL` of the depths lie within; the coverage is this level."""
    ratios = [each.true[:, 2] / each.ours[:, 2] for each in pictures]
    alone = [ratio / np.median(ratio) for ratio in ratios]
    off = (np.abs(np.concatenate(each) - 1) for each in (ratios, alone))
    both, point = (float(np.quantile(each, LEVEL)) for each in off)
    scale = max(0.0, both**2 - point**2) ** 0.5
    return DepthError(round(scale, 4), round(point, 4), LEVEL)


def coverage(pictures: Sequence[Located], error: DepthError) -> float:
    """Return the share of pairs of points whose true distance lies within the ± of ours."""
    hits = []
    for picture in pictures:
        half = len(picture.ours) // 2
        ours, true = (each[: 2 * half].reshape(2, half, 3) for each in picture)
        ours_m, plus_minus = distance_plus_minus(error, ours)
        hits.append(np.abs(ours_m - np.linalg.norm(true[1] - true[0], axis=1)) <= plus_minus)
    return float(np.concatenate(hits).mean())


def locate(case: Case, prediction: Prediction, seed: int) -> Located:
    """Return random points of a case by a prediction for its picture, and by its truth."""
    if case.depth is None or case.f_px is None:
        raise ValueError("errors need pictures with true depth and focal length: take other data")
    truth, known = counted(case, (1e-4, FAR_M))
    ours = prediction.depth_at(*truth.shape)[0].numpy()
    places = np.flatnonzero(known & (ours < FAR_M))
    chosen = np.random.default_rng(seed).permutation(places)[:POINTS]
    f_px = prediction.f_px.item()
    # Pictures may be stretched; a prediction's pixels are as wide as high.
    fy_px = f_px * (case.fy_px or case.f_px) / case.f_px
    camera = dataclasses.replace(case, f_px=f_px, fy_px=fy_px, cx_px=None, cy_px=None)
    positions = (
        (pixel_rays(which, truth.shape) * depth[..., None]).reshape(-1, 3)[chosen]
        for which, depth in ((camera, ours), (case, truth))
    )
    return Located(*positions)
