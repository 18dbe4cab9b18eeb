"""A GPU for the network alone, on machines that lend one by the call (ZeroGPU of Spaces)."""

import importlib
from collections.abc import Callable
from typing import ParamSpec

from depthpro import DepthPro, Prediction

SECONDS = 20
"""What a call asks for; the shorter, the sooner it is its turn."""

_Arguments = ParamSpec("_Arguments")


def borrowing(model: DepthPro) -> DepthPro:
    """Return the network; each call of its `infer` borrows a GPU where `spaces` is installed.

    Predictions come back with their tensors on the CPU: a GPU's memory is gone when it is given
    back. Call it before the page is launched, which is when Spaces looks for such functions.
    """
    model.infer = _on_loan(model.infer)
    return model


def _on_loan(call: Callable[_Arguments, Prediction]) -> Callable[_Arguments, Prediction]:
    try:
        spaces = importlib.import_module("spaces")
    except ImportError:
        return call

    @spaces.GPU(duration=SECONDS)
    def infer(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Prediction:
        # The network is not among the arguments, which are pickled.
        return call(*args, **kwargs).to("cpu")

    return infer
