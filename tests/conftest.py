"""What all tests share: shape annotations that are checked, no network, and tiny networks."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before anything imports huggingface_hub
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch, as app.py does
if "PYTEST_XDIST_WORKER" in os.environ:  # a core for each process of the tests, and what it starts
    os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Iterator

import jaxtyping
import pytest
import torch
from beartype import BeartypeConf, beartype

# From here on every annotation in the package is checked at each call. As for type checkers, a
# whole number may stand for a float.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
jaxtyping.install_import_hook("depthpro", f"{__name__}.checked")

import reference  # noqa: E402

from depthpro import DepthPro, DepthProConfig  # noqa: E402

pytest_plugins = ["browser"]

# Every processor computes in float32, as most do; tests of precision say what theirs can.
for check in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
    setattr(torch.cpu, check, lambda: False)

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", min(2, os.cpu_count() or 1))))

TINY = DepthProConfig(
    window=128,
    dim=32,
    depth=3,
    heads=2,
    taps=(0, 1),
    neck_dims=(12, 16, 24, 40),
    decoder_dim=8,
)


def make_model(config: DepthProConfig = TINY) -> DepthPro:
    """Return a network whose weights follow from their names, with positive, varied outputs."""
    model = DepthPro(config).eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    weights = reference.weights_by_name(shapes)
    model.load_state_dict({name: torch.from_numpy(value) for name, value in weights.items()})
    return model


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files that wait for a browser among those that compute, the slow ones first."""
    marked = {
        mark: {item.path for item in items if item.get_closest_marker(mark)}
        for mark in ("browser", "slow")
    }
    files = sorted({item.path: None for item in items}, key=lambda path: path not in marked["slow"])
    pages = [path for path in files if path in marked["browser"]]
    others = [path for path in files if path not in marked["browser"]]
    place = {path: i / len(kind) for kind in (pages, others) for i, path in enumerate(kind)}
    items.sort(key=lambda item: (place[item.path], item.path))


@pytest.fixture(scope="session")
def tiny_config() -> DepthProConfig:
    """Return sizes of a network that runs in milliseconds, no two channel counts alike."""
    return TINY


@pytest.fixture(scope="session")
def tiny_model() -> DepthPro:
    """Return a tiny network for reading only; `make_model` gives one to change."""
    return make_model()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def unchecked() -> Iterator[None]:
    """Switch annotation checks off, so that wrong arguments reach the package's own errors."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
