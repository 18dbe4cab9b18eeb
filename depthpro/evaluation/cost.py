"""Parameters and FLOPs of each part of a network, counted without computing."""

from typing import NamedTuple

import torch

from depthpro.config import DepthProConfig
from depthpro.evaluation.limits import Stopwatch, count_flops
from depthpro.model import DepthPro


class Part(NamedTuple):
    """Cost of a part of the network for one picture."""

    name: str
    parameters: int
    flops: int  # of products of matrices and convolutions, each multiplication and addition


def count(config: DepthProConfig) -> list[Part]:
    """Return the cost of each part; the sum is that of the network.

    On the meta device: no weights are made, whatever the size.
    """
    with torch.device("meta"), torch.inference_mode():
        model = DepthPro(config)
        watch = Stopwatch(model)
        watch.run(model, torch.empty(1, 3, config.image_size, config.image_size))
    one_call = {key: count_flops(each) for key, each in watch.operations.items()}
    flops = dict.fromkeys(watch.part_of.values(), 0)
    parameters = flops.copy()
    for module, part in watch.part_of.items():
        parameters[part] += sum(each.numel() for each in module.parameters(recurse=False))
    for (part, _), calls in watch.calls.items():
        flops[part] += sum(one_call[key] for key in calls)
    return [Part(part, parameters[part], flops[part]) for part in flops]


def total(parts: list[Part]) -> Part:
    """Return the sum."""
    return Part("all", sum(part.parameters for part in parts), sum(part.flops for part in parts))
