"""What a GPU gets: no waiting between photo and depth, and compiled blocks."""

import numpy as np
import pytest
import torch
from conftest import make_model
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from depthpro.deploy.compiled import compile_blocks

PHOTO = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def test_no_value_is_asked_back_before_the_depth() -> None:
    model = make_model()
    shapes = {name: weight.shape for name, weight in model.state_dict().items()}
    with FakeTensorMode():  # tensors of shapes alone, on a GPU that need not be there
        weights = {name: torch.empty(shape, device="cuda") for name, shape in shapes.items()}
        model.load_state_dict(weights, assign=True)
        prediction = model.infer(np.stack([PHOTO, PHOTO]), precision="float32")
        assert prediction.depth.device.type == "cuda"
        with pytest.raises(DataDependentOutputException):  # such a question would be noticed
            prediction.depth.max().item()


def test_compiled_blocks_compute_the_same_for_any_batch() -> None:
    torch.compiler.reset()
    model, graphs = make_model(), []

    def backend(graph: torch.fx.GraphModule, _: list) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    assert compile_blocks(model, backend)
    compiled = len(graphs)
    assert 0 < compiled <= 4  # of nine blocks: they share theirs
    photos = np.stack([PHOTO, 255 - PHOTO, PHOTO // 2])
    torch.testing.assert_close(model.infer(photos).depth, make_model().infer(photos).depth)
    assert len(graphs) == compiled


def test_where_it_cannot_compile_the_network_runs_without() -> None:
    def backend(*_: object) -> None:
        raise RuntimeError("no compiler here")

    torch.compiler.reset()
    model = make_model()
    with pytest.warns(UserWarning, match=r"cannot run on cpu .*the network runs without"):
        assert not compile_blocks(model, backend)
    assert torch.equal(model.infer(PHOTO).depth, make_model().infer(PHOTO).depth)
