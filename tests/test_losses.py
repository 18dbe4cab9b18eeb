"""The losses against closed forms and loops, their masks, their gradients, their tables."""

import math
from functools import partial

import numpy as np
import pytest
import reference
import torch
from torch import Tensor
from torch.testing import assert_close

from depthpro import losses
from depthpro.losses import fov_loss, ssi_normalize, stage1_loss, stage2_loss

SIZES = [(16, 16), (17, 12), (9, 23), (5, 6), (3, 3), (2, 7), (1, 1)]
FLAGS = [(True, True), (True, False), (False, True), (False, False)]


def of_each(loss):
    """Return the loss of each picture alone, (b,): what a batch's loss is the mean of."""

    def of_each_picture(prediction, target, mask=None, *arguments, **options) -> Tensor:
        masks = [None] * len(prediction) if mask is None else mask[:, None]
        pictures = zip(prediction[:, None], target[:, None], masks, strict=True)
        return torch.stack([loss(*picture, *arguments, **options) for picture in pictures])

    return of_each_picture


mae, mse, mage, male, msge = (
    of_each(loss) for loss in (losses.mae, losses.mse, losses.mage, losses.male, losses.msge)
)


trimmed = partial(mae, trim=0.2)


def ssi_mage(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    return mage(ssi_normalize(prediction, mask), ssi_normalize(target.detach(), mask), mask)


def stage1(prediction: Tensor, target: Tensor, mask: Tensor | None = None, **options) -> Tensor:
    """Return the loss of each picture alone, (b,), with flags in the order of `FLAGS`."""
    masks = [None] * len(prediction) if mask is None else mask[:, None]
    pictures = zip(prediction[:, None], target[:, None], masks, torch.tensor(FLAGS), strict=True)
    each = (stage1_loss(*p, metric=f[:1], synthetic=f[1:], **options) for *p, f in pictures)
    return torch.stack(list(each))


def stage2(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    return stage2_loss(prediction, target, mask)[None]


LOSSES = [mae, trimmed, mse, mage, male, msge, ssi_mage, stage1, stage2]


def maps(*shape: int, share: float = 0.8) -> tuple[Tensor, Tensor, Tensor]:
    """Return float64 prediction and target in [0, 1), and a mask with this share valid."""
    rng = np.random.default_rng(0)
    prediction, target = (torch.from_numpy(rng.random(shape)) for _ in range(2))
    return prediction, target, torch.from_numpy(rng.random(shape) < share)


def ramp(side: int) -> Tensor:
    """Return (1, side, side) float64: each pixel's column."""
    return torch.arange(side, dtype=torch.float64).repeat(1, side, 1)


def test_a_ramp_has_a_slope_and_a_parabola_a_second_derivative() -> None:
    # Slope 3 along x and 0 along y at each of 6x6 places; the two components are averaged.
    zero = torch.zeros(1, 8, 8, dtype=torch.float64)
    for slanted in (3 * ramp(8), 3 * ramp(8).mT, -3 * ramp(8)):
        values = [loss(slanted, zero, scales=1).item() for loss in (mage, msge, male)]
        assert values == pytest.approx([3 / 2, 9 / 2, 0])
    bowl = ramp(8) ** 2 + 3 * ramp(8).mT ** 2  # 2 + 6 everywhere
    assert male(bowl, zero, scales=1).item() == pytest.approx(8)


def test_ten_degrees_cost_one() -> None:
    fov = torch.tensor([50.0, 70.0], requires_grad=True)
    loss = fov_loss(fov, torch.tensor([60.0, 70.0]))
    loss.backward()
    assert loss.item() == 0.5  # (100 + 0) / 2 / 100
    assert_close(fov.grad, torch.tensor([-0.1, 0]))  # 2 (50 - 60) / 2 / 100


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("share", [1.0, 0.7, 0.1])
def test_all_are_those_of_loops(height: int, width: int, share: float) -> None:
    tensors = maps(2, height, width, share=share)
    pictures = list(zip(*(x.numpy() for x in tensors), strict=True))

    def agrees(ours: Tensor, theirs, *arguments) -> None:
        expected = [theirs(*picture, *arguments) for picture in pictures]
        np.testing.assert_allclose(ours, expected, atol=1e-12)

    for scales in (1, 3):
        agrees(mage(*tensors, scales), reference.derivative_loss, scales, "scharr", 1)
        agrees(male(*tensors, scales), reference.derivative_loss, scales, "laplace", 1)
        agrees(msge(*tensors, scales), reference.derivative_loss, scales, "scharr", 2)
    for trim in (0.0, 0.2, 0.5, 0.999):
        agrees(mae(*tensors, trim), reference.mae, trim)
    agrees(mse(*tensors), reference.mse)
    values, _, mask = tensors
    expected = [reference.ssi_normalize(v, m) for v, _, m in pictures]
    np.testing.assert_allclose(ssi_normalize(values, mask), expected, atol=1e-12)


@pytest.mark.parametrize("share", [1.0, 0.8])
def test_stage1_follows_table_17(share: float) -> None:
    prediction, target, mask = maps(4, 24, 20, share=share)
    expected = []
    for i, (metric, synthetic) in enumerate(FLAGS):
        p, t, m = prediction[i].numpy(), target[i].numpy(), mask[i].numpy()
        p_ssi, t_ssi = reference.ssi_normalize(p, m), reference.ssi_normalize(t, m)
        ssi_edges = reference.derivative_loss(p_ssi, t_ssi, m, 6, "scharr", 1)
        if metric and synthetic:
            expected.append(reference.mae(p, t, m) + ssi_edges)
        elif metric:
            expected.append(reference.mae(p, t, m, 0.2))
        elif synthetic:
            expected.append(reference.mae(p_ssi, t_ssi, m) + ssi_edges)
        else:
            expected.append(reference.mae(p_ssi, t_ssi, m, 0.2))
    np.testing.assert_allclose(stage1(prediction, target, mask), expected)
    # Without edges it is the MAE, and they have a weight.
    plain, half = (stage1(prediction, target, mask, mage_weight=w)[0] for w in (0, 0.5))
    assert_close(plain, mae(prediction, target, mask)[0])
    assert_close(half - plain, 0.5 * ssi_mage(prediction, target, mask)[0])


TERMS = {"mae": mae, "mse": mse, "mage": mage, "male": male, "msge": msge}


@pytest.mark.parametrize("terms", [*TERMS, ("mae", "mse"), ("mae", "mse", "mage", "msge")])
def test_stage2_adds_the_terms_with_a_weight(terms: str | tuple[str, ...]) -> None:
    pictures = maps(2, 24, 20)
    weights = {name: (2.0 + i) * (name in terms) for i, name in enumerate(TERMS)}
    expected = sum(weight * TERMS[name](*pictures) for name, weight in weights.items())
    options = {f"{name}_weight": weight for name, weight in weights.items()}
    assert_close(stage2_loss(*pictures, **options), expected.mean())
    all_by_one = sum(loss(*pictures) for loss in TERMS.values())
    assert_close(stage2_loss(*pictures), all_by_one.mean())


def test_terms_without_weight_are_not_computed() -> None:
    # Squares of 1e30 are infinite in float32, and 0 times infinity would be NaN.
    large = torch.full((1, 16, 16), 1e30) * torch.rand(16)
    loss = stage2_loss(large, torch.zeros_like(large), mse_weight=0, msge_weight=0)
    assert loss.isfinite()
    assert stage2_loss(large, torch.zeros_like(large)).isinf()


def test_normalization_removes_scale_and_shift() -> None:
    values, target, mask = maps(4, 12, 10)
    for scale, shift in ((5.0, 0.0), (0.01, -3.0), (100.0, 7.0)):
        assert_close(ssi_normalize(scale * values + shift, mask), ssi_normalize(values, mask))
    changed = stage1(4 * values - 1, 9 * target + 2, mask)
    assert_close(changed[2:], stage1(values, target, mask)[2:])  # those that are not metric


def test_the_gradient_of_a_nearly_constant_map_is_bounded() -> None:
    # Divided by its own deviation alone, the gradient grows without bound as a map goes flat.
    _, target, _ = maps(1, 24, 20)
    yes = torch.ones(1, dtype=torch.bool)
    slopes = []
    for contrast in (1.0, 1e-2, 1e-4):
        prediction = (contrast * target.roll(3, -1)).requires_grad_()
        stage1_loss(prediction, target, metric=~yes, synthetic=yes).backward()
        slopes.append(float(prediction.grad.norm()))
    assert slopes[1] < 12 * slopes[0]
    assert slopes[2] < 12 * slopes[0]


def test_against_the_truths_deviation_contrast_counts() -> None:
    # The difference is p - t over the deviation of t, so a scale that "own" forgives costs.
    prediction, target, mask = maps(2, 24, 20)
    yes = torch.ones(2, dtype=torch.bool)
    flags = {"metric": yes, "synthetic": yes}
    own, truth = (
        stage1_loss(2 * target + 1, target, mask, ssi=ssi, **flags)
        - mae(2 * target + 1, target, mask).mean()
        for ssi in ("own", "truth")
    )
    assert own < 1e-6
    assert truth > 0.1
    pictures = zip(target.numpy(), mask.numpy(), strict=True)
    deviation = torch.tensor([reference.median_and_deviation(*each)[1] for each in pictures])
    expected = mae(prediction, target, mask) + mage(prediction, target, mask) / deviation
    ours = stage1_loss(prediction, target, mask, ssi="truth", **flags)
    assert_close(ours, expected.mean(), check_dtype=False)
    # What is not metric has no scale to be pulled to.
    free = {"metric": ~yes, "synthetic": yes}
    assert stage1_loss(2 * target + 1, target, mask, ssi="truth", **free) < 1e-6


def test_a_flat_picture_is_normalized_without_noise() -> None:
    # One pixel of 16 is off by 1e-6: a mean deviation far below 1e-4, which divides instead.
    bump = torch.zeros(1, 4, 4)
    bump[0, 0, 0] = 1e-6
    assert ssi_normalize(bump)[0, 0, 0].item() == pytest.approx(1e-6 / 1e-4)
    values = torch.full((1, 4, 4), 0.3, requires_grad=True)
    normalized = ssi_normalize(values)
    assert normalized.abs().max().item() == 0
    normalized.sum().backward()
    assert values.grad.isfinite().all()


def test_planted_outliers_are_left_out() -> None:
    # 100 pixels off by 0.1, of which 20 are off by 1000 instead: exactly those go.
    error = torch.full((100,), 0.1)
    error[::5] = 1000
    prediction = error.view(1, 10, 10).requires_grad_()
    zero = torch.zeros(1, 10, 10)
    assert mae(prediction, zero, trim=0.19).item() == pytest.approx((80 * 0.1 + 1000) / 81)
    loss = mae(prediction, zero, trim=0.2)
    loss.sum().backward()
    assert loss.item() == pytest.approx(0.1)
    assert_close(prediction.grad.flatten(), (error < 1).float() / 80)


@pytest.mark.parametrize("loss", LOSSES)
def test_values_at_invalid_pixels_do_not_matter(loss) -> None:
    prediction, target, mask = maps(4, 21, 18)
    results = []
    for garbage in (0.0, math.nan, math.inf):
        dirty = prediction.where(mask, garbage).requires_grad_()
        result = loss(dirty, target.where(mask, garbage), mask)
        result.sum().backward()
        results.append((result.detach(), dirty.grad))
    (clean, clean_gradient), *others = results
    for result, gradient in others:
        assert torch.equal(result, clean)
        assert torch.equal(gradient, clean_gradient)
    assert clean_gradient[~mask].abs().max() == 0
    assert clean_gradient.abs().sum() > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_an_empty_mask_costs_nothing_and_has_a_gradient(loss) -> None:
    prediction = torch.full((4, 16, 16), math.nan, requires_grad=True)
    result = loss(prediction, prediction.detach(), torch.zeros(4, 16, 16, dtype=torch.bool))
    assert result.tolist() == [0] * len(result)
    result.sum().backward()
    assert prediction.grad.abs().max().item() == 0


def test_a_batch_is_the_mean_of_its_pictures_and_no_mask_is_a_full_one() -> None:
    batch = maps(4, 20, 16)
    batch[2][2] = False
    metric, synthetic = torch.tensor(FLAGS).T
    together = stage1_loss(*batch, metric=metric, synthetic=synthetic)
    assert_close(together, stage1(*batch).mean())
    assert_close(losses.mae(*batch, trim=0.2), trimmed(*batch).mean())
    for loss in (losses.mse, losses.mage, losses.male, losses.msge, stage2_loss):
        alone = of_each(loss)(*batch)
        assert alone[2] == 0
        assert_close(loss(*batch), alone.mean())
        assert torch.equal(loss(*batch[:2]), loss(*batch[:2], torch.ones_like(batch[2])))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_diverged_prediction_is_not_hidden(loss) -> None:
    # Not even by trimming, which leaves the largest errors out.
    prediction, target, mask = maps(4, 16, 16, share=1)
    prediction[:, 4, 4] = math.nan
    assert loss(prediction, target, mask).isnan().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients_are_those_of_finite_differences(loss) -> None:
    prediction, target, mask = maps(4, 7, 6)
    prediction.requires_grad_()
    target.requires_grad_()
    loss(prediction, target, mask).sum().backward()
    assert target.grad is None
    target = target.detach()
    torch.autograd.gradcheck(lambda p: loss(p, target, mask), prediction, fast_mode=True)


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_computed_in_float32_and_autocast_changes_nothing(loss) -> None:
    prediction, target, mask = maps(4, 33, 30)
    low, target = prediction.bfloat16().requires_grad_(), target.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        result = loss(low, target, mask)
        result.sum().backward()
    assert result.dtype == torch.float32
    assert low.grad.isfinite().all()
    assert torch.equal(result, loss(low.float(), target.float(), mask))


@pytest.mark.parametrize("loss", LOSSES)
def test_no_value_is_fetched_from_the_device(loss) -> None:
    # Tensors on the meta device have no values: whatever would wait for one fails.
    prediction, target, mask = (x.to("meta") for x in maps(4, 16, 16))
    with torch.device("meta"):
        prediction.requires_grad_()
        loss(prediction, target, mask).sum().backward()
    assert prediction.grad.shape == prediction.shape


@pytest.mark.usefixtures("unchecked")
def test_shapes_that_would_broadcast_are_refused() -> None:
    prediction, target, mask = maps(2, 8, 8)
    yes = torch.tensor([True, True])
    with pytest.raises(ValueError, match=r"\(2, 8, 8\) of torch.float64 and \(1, 8, 8\)"):
        losses.mae(prediction, target[:1])
    with pytest.raises(ValueError, match="boolean mask of one shape"):
        losses.mage(prediction, target, mask.float())
    with pytest.raises(ValueError, match="flags for each of 2 pictures"):
        stage1_loss(prediction, target, metric=yes[:1], synthetic=yes)
    with pytest.raises(ValueError, match="angles of one shape"):
        fov_loss(torch.zeros(2), torch.zeros(2, 1))


def test_numbers_out_of_range_are_refused() -> None:
    prediction, target, _ = maps(1, 8, 8)
    for trim in (1.0, -0.1, 20.0):
        with pytest.raises(ValueError, match=r"\[0, 1\)"):
            mae(prediction, target, trim=trim)
    with pytest.raises(ValueError, match="at least 1"):
        mage(prediction, target, scales=0)
