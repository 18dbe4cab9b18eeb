# pyright: reportArgumentType=false, reportCallIssue=false, reportOptionalMemberAccess=false
# pyright: reportOptionalOperand=false
"""The losses against closed forms and loops, their masks, their gradients, their tables."""

import math

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


def trimmed(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    return mae(prediction, target, mask, trim=0.2)


def ssi_mage(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    return mage(ssi_normalize(prediction, mask), ssi_normalize(target.detach(), mask), mask)


def stage1(prediction: Tensor, target: Tensor, mask: Tensor | None = None) -> Tensor:
    """Return the loss of each picture alone, (b,), with flags in the order of `FLAGS`."""
    masks = [None] * len(prediction) if mask is None else mask[:, None]
    flags = torch.tensor(FLAGS)[:, :, None]
    pictures = zip(prediction[:, None], target[:, None], masks, flags, strict=True)
    return torch.stack(
        [
            stage1_loss(p, t, m, metric=metric, synthetic=synthetic)
            for p, t, m, (metric, synthetic) in pictures
        ]
    )


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


# Closed forms


def test_scharr_of_a_ramp_is_its_slope() -> None:
    # Slope 3 along x and 0 along y at each of 6x6 places; the two components are averaged.
    zero = torch.zeros(1, 8, 8, dtype=torch.float64)
    for slanted in (3 * ramp(8), 3 * ramp(8).mT, -3 * ramp(8)):
        assert_close(mage(slanted, zero, scales=1), torch.full((1,), 3 / 2).double())
        assert_close(msge(slanted, zero, scales=1), torch.full((1,), 9 / 2).double())
        assert_close(male(slanted, zero, scales=1), torch.zeros(1).double())


def test_laplace_of_a_parabola_is_its_second_derivative() -> None:
    # x^2 + 3 y^2: 2 + 6 everywhere.
    bowl = ramp(7) ** 2 + 3 * ramp(7).mT ** 2
    assert male(bowl, torch.zeros_like(bowl), scales=1).item() == pytest.approx(8)


def test_a_step() -> None:
    # From 0 to 1 between columns 3 and 4 of 8. The kernel fits at columns 1 to 6; the slope is
    # 1/2 at columns 3 and 4: 2 (1/2) / 6 along x, 0 along y, so 1/12; squared 2 (1/4) / 6 / 2.
    # The Laplace is +1 at column 3 and -1 at column 4: 2/6.
    step = (ramp(8) > 3).double()
    zero = torch.zeros_like(step)
    assert mage(step, zero, scales=1).item() == pytest.approx(1 / 12)
    assert msge(step, zero, scales=1).item() == pytest.approx(1 / 24)
    assert male(step, zero, scales=1).item() == pytest.approx(1 / 3)


def test_the_second_scale_of_a_ramp() -> None:
    # Columns 0..7 weighted 1 4 6 4 1 around 0, 2, 4, 6. At column 0 the weights 6 4 1 are left,
    # a mean of 6/11; at column 6 there are 1 4 6 4, a mean of 6 - 2/15: the scale is
    # 6/11, 2, 4, 88/15. Its slopes at the two inner columns: (4 - 6/11)/2 and (88/15 - 2)/2.
    second = (19 / 11 + 29 / 15) / 2
    value = mage(ramp(8), torch.zeros_like(ramp(8)), scales=2).item()
    assert value == pytest.approx((1 / 2 + second / 2) / 2)  # half each: y has no slope


def test_a_constant_offset() -> None:
    prediction, _, mask = maps(2, 40, 40)
    shifted = prediction + 0.5
    assert_close(mae(shifted, prediction, mask), torch.full((2,), 0.5).double())
    assert_close(mse(shifted, prediction, mask), torch.full((2,), 0.25).double())
    for loss in (mage, male, msge):
        assert_close(loss(shifted, prediction, mask), torch.zeros(2).double())
    # 5 weights of 1: MAE + MSE and nothing else.
    assert stage2_loss(shifted, prediction, mask).item() == pytest.approx(0.75)


def test_median_and_deviation() -> None:
    # Of 1 2 3 10 the lower median is 2; the deviations 1 0 1 8 have the mean 2.5.
    normalized = ssi_normalize(torch.tensor([[[10.0, 1.0], [2.0, 3.0]]]))
    assert_close(normalized, torch.tensor([[[3.2, -0.4], [0.0, 0.4]]]))


def test_ten_degrees_cost_one() -> None:
    fov = torch.tensor([50.0, 70.0], requires_grad=True)
    loss = fov_loss(fov, torch.tensor([60.0, 70.0]))
    loss.backward()
    assert loss.item() == 0.5  # (100 + 0) / 2 / 100
    assert_close(fov.grad, torch.tensor([-0.1, 0]))  # 2 (50 - 60) / 2 / 100
    assert fov_loss(fov.bfloat16(), fov.bfloat16()).dtype == torch.float32


# Loops


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("share", [1.0, 0.9, 0.4, 0.1])
@pytest.mark.parametrize("scales", [1, 3])
def test_derivative_losses_are_those_of_loops(
    height: int, width: int, share: float, scales: int
) -> None:
    prediction, target, mask = maps(2, height, width, share=share)
    for loss, kind, power in ((mage, "scharr", 1), (male, "laplace", 1), (msge, "scharr", 2)):
        expected = [
            reference.derivative_loss(*(x.numpy() for x in picture), scales, kind, power)
            for picture in zip(prediction, target, mask, strict=True)
        ]
        np.testing.assert_allclose(loss(prediction, target, mask, scales), expected, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("share", [1.0, 0.7, 0.1])
@pytest.mark.parametrize("trim", [0.0, 0.2, 0.29, 0.5, 0.999])
def test_means_are_those_of_loops(height: int, width: int, share: float, trim: float) -> None:
    prediction, target, mask = maps(3, height, width, share=share)
    pictures = [[x.numpy() for x in p] for p in zip(prediction, target, mask, strict=True)]
    expected = [reference.mae(*picture, trim) for picture in pictures]
    np.testing.assert_allclose(mae(prediction, target, mask, trim), expected, atol=1e-12)
    expected = [reference.mse(*picture) for picture in pictures]
    np.testing.assert_allclose(mse(prediction, target, mask), expected, atol=1e-12)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("share", [1.0, 0.7, 0.1])
def test_normalization_is_that_of_a_loop(height: int, width: int, share: float) -> None:
    values, _, mask = maps(3, height, width, share=share)
    pairs = zip(values.numpy(), mask.numpy(), strict=True)
    expected = [reference.ssi_normalize(*pair) for pair in pairs]
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
    metric, synthetic = torch.tensor(FLAGS).T
    together = stage1_loss(prediction, target, mask, metric=metric, synthetic=synthetic)
    assert together.item() == pytest.approx(np.mean(expected))


def test_stage1_without_edges_is_the_mae() -> None:
    prediction, target, mask = maps(1, 16, 16)
    yes = torch.tensor([True])
    loss = stage1_loss(prediction, target, mask, metric=yes, synthetic=yes, mage_weight=0)
    assert_close(loss[None], mae(prediction, target, mask))
    half = stage1_loss(prediction, target, mask, metric=yes, synthetic=yes, mage_weight=0.5)
    assert_close((half - loss)[None], 0.5 * ssi_mage(prediction, target, mask))


TERMS = {"mae": mae, "mse": mse, "mage": mage, "male": male, "msge": msge}
TERM_SETS = [  # of the ablations 2A to 2E
    ("mae", "mse", "mage", "msge", "male"),
    ("mae", "mse", "mage", "msge"),
    ("mae", "mse", "mage"),
    ("mae", "mse"),
    ("mae",),
]


@pytest.mark.parametrize("terms", [*TERM_SETS, ("male",), ("msge",), ("mse",)])
def test_stage2_adds_the_terms_with_a_weight(terms: tuple[str, ...]) -> None:
    prediction, target, mask = maps(2, 24, 20)
    weights = {f"{name}_weight": 0.0 for name in TERMS}
    weights |= {f"{name}_weight": 2.0 + i for i, name in enumerate(terms)}
    values = [(2 + i) * TERMS[name](prediction, target, mask) for i, name in enumerate(terms)]
    assert_close(
        stage2_loss(prediction, target, mask, **weights), torch.stack(values).sum(0).mean()
    )


def test_stage2_weighs_all_terms_by_one() -> None:
    prediction, target, mask = maps(2, 24, 20)
    values = torch.stack([loss(prediction, target, mask) for loss in TERMS.values()])
    assert_close(stage2_loss(prediction, target, mask), values.sum(0).mean())


def test_terms_without_weight_are_not_computed() -> None:
    # Squares of 1e30 are infinite in float32, and 0 times infinity would be NaN.
    large = torch.full((1, 16, 16), 1e30) * torch.rand(16)
    loss = stage2_loss(large, torch.zeros_like(large), mse_weight=0, msge_weight=0)
    assert loss.isfinite()
    assert stage2_loss(large, torch.zeros_like(large)).isinf()


# Scales


def test_scales_smaller_than_the_kernel_add_nothing() -> None:
    # 4x4 pixels: the second scale has 2x2, the third 1x1, and so on.
    prediction, target, _ = maps(2, 4, 4, share=1)
    for loss in (mage, male, msge):
        assert_close(loss(prediction, target), loss(prediction, target, scales=1) / 6)
        narrow = loss(prediction[:, :, :2], target[:, :, :2])
        assert narrow.tolist() == [0, 0]


def test_a_sparse_target_counts_at_coarse_scales() -> None:
    # One pixel in nine is valid: no 3x3 square on the first scale, all of them on the second.
    prediction, target, mask = maps(1, 18, 18, share=0)
    mask[:, 1::3, 1::3] = True
    assert mage(prediction, target, mask, scales=1).item() == 0
    assert mage(prediction, target, mask, scales=2).item() > 0


def test_a_sharper_edge_costs_less() -> None:
    # The target is a step; two predictions approach it by 1 and by 3 binomial blurs.
    step = (ramp(64) > 31).double()
    blurs = [step]
    for _ in range(3):
        x = torch.nn.functional.pad(blurs[-1], (1, 1, 0, 0), mode="replicate")
        blurs.append((x[:, :, 2:] + 2 * x[:, :, 1:-1] + x[:, :, :-2]) / 4)
    for loss in (mage, male, msge):
        exact, sharp, _, soft = (loss(blur, step).item() for blur in blurs)
        assert 0 == exact < sharp < soft


# Scale and shift


def test_normalization_removes_scale_and_shift() -> None:
    values, target, mask = maps(3, 12, 10)
    for scale, shift in ((5.0, 0.0), (0.01, -3.0), (100.0, 7.0)):
        assert_close(ssi_normalize(scale * values + shift, mask), ssi_normalize(values, mask))
    no = torch.zeros(3, dtype=torch.bool)
    for synthetic in (no, ~no):
        flags = {"metric": no, "synthetic": synthetic}
        loss = stage1_loss(values, target, mask, **flags)
        assert_close(stage1_loss(4 * values - 1, 9 * target + 2, mask, **flags), loss)


def test_the_gradient_ignores_scale_and_shift() -> None:
    # What does not change along 1 and along p has a gradient orthogonal to both.
    prediction, target, mask = maps(2, 12, 10)
    prediction.requires_grad_()
    no = torch.zeros(2, dtype=torch.bool)
    stage1_loss(prediction, target, mask, metric=no, synthetic=~no).backward()
    gradient = prediction.grad
    assert gradient.abs().sum((1, 2)).min() > 0.1
    assert_close(gradient.sum((1, 2)), torch.zeros(2).double())
    assert_close((gradient * prediction.detach()).sum((1, 2)), torch.zeros(2).double())


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
    deviation = [
        reference.ssi_deviation(t.numpy(), m.numpy()) for t, m in zip(target, mask, strict=True)
    ]
    expected = [
        mae(p[None], t[None], m[None]) + mage(p[None], t[None], m[None]) / d
        for p, t, m, d in zip(prediction, target, mask, deviation, strict=True)
    ]
    ours = stage1_loss(prediction, target, mask, ssi="truth", **flags)
    assert_close(ours, torch.cat(expected).mean())
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


# Trimming


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


def test_the_share_is_exact() -> None:
    # 0.29 * 100 is 28.999999999999996 in floating point. Errors 1 to 100: 71 are kept.
    error = torch.arange(1, 101, dtype=torch.float64).view(1, 10, 10)
    assert mae(error, torch.zeros_like(error), trim=0.29).item() == pytest.approx(72 / 2)


def test_ties_at_the_threshold_are_weighted_equally() -> None:
    # Errors 1, 2, 2, 2, 9 and 40 % out: 3 kept, the 1 and two of three 2s. (1 + 2 + 2) / 3; each
    # 2 has 2/3 of a place, of 3 places.
    error = torch.tensor([[[1.0, 2, 2, 2, 9]]], requires_grad=True)
    loss = mae(error, torch.zeros(1, 1, 5), trim=0.4)
    loss.sum().backward()
    assert loss.item() == pytest.approx(5 / 3)
    assert_close(error.grad, torch.tensor([[[3.0, 2, 2, 2, 0]]]) / 9)


def test_each_picture_is_trimmed_by_its_own_count() -> None:
    # Masks of every size from none to all in one batch, against pictures of valid pixels only.
    prediction, target, _ = maps(26, 5, 5)
    mask = torch.arange(25).view(1, 5, 5) < torch.arange(26)[:, None, None]
    together = mae(prediction, target, mask, trim=0.2)
    assert together[0].item() == 0
    for count in range(1, 26):
        p, t = (x[count].flatten()[:count].view(1, 1, count) for x in (prediction, target))
        assert_close(together[count], mae(p, t, trim=0.2)[0])


# Masks


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("garbage", [math.nan, math.inf, 1e6])
def test_values_at_invalid_pixels_do_not_matter(loss, garbage: float) -> None:
    prediction, target, mask = maps(4, 21, 18)
    results = []
    for value in (0.0, garbage):
        dirty = prediction.where(mask, value).requires_grad_()
        result = loss(dirty, target.where(mask, value), mask)
        result.sum().backward()
        results.append((result.detach(), dirty.grad))
    (clean, clean_gradient), (result, gradient) = results
    assert torch.equal(result, clean)
    assert torch.equal(gradient, clean_gradient)
    assert gradient[~mask].abs().max() == 0
    assert clean_gradient.abs().sum() > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_an_empty_mask_costs_nothing_and_has_a_gradient(loss) -> None:
    prediction = torch.full((4, 16, 16), math.nan, requires_grad=True)
    result = loss(prediction, prediction.detach(), torch.zeros(4, 16, 16, dtype=torch.bool))
    assert result.tolist() == [0] * len(result)
    result.sum().backward()
    assert prediction.grad.abs().max().item() == 0


def test_a_batch_is_the_mean_of_its_pictures() -> None:
    batch = maps(4, 20, 16)
    batch[2][2] = False
    metric, synthetic = torch.tensor(FLAGS).T
    together = stage1_loss(*batch, metric=metric, synthetic=synthetic)
    assert_close(together, stage1(*batch).mean())
    together = losses.mae(*batch, trim=0.2)
    assert_close(together, trimmed(*batch).mean())
    for loss in (losses.mse, losses.mage, losses.male, losses.msge, stage2_loss):
        alone = of_each(loss)(*batch)
        assert alone[2] == 0
        assert_close(loss(*batch), alone.mean())


@pytest.mark.parametrize("loss", LOSSES)
def test_no_mask_is_a_full_mask(loss) -> None:
    prediction, target, _ = maps(4, 20, 16)
    full = torch.ones(4, 20, 16, dtype=torch.bool)
    assert torch.equal(loss(prediction, target), loss(prediction, target, full))


@pytest.mark.parametrize("loss", LOSSES)
def test_a_diverged_prediction_is_not_hidden(loss) -> None:
    # Not even by trimming, which leaves the largest errors out.
    prediction, target, mask = maps(4, 16, 16, share=1)
    prediction[:, 4, 4] = math.nan
    assert loss(prediction, target, mask).isnan().all()


# Gradients


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("share", [1.0, 0.8])
def test_gradients_are_those_of_finite_differences(loss, share: float) -> None:
    prediction, target, mask = maps(4, 7, 6, share=share)
    prediction.requires_grad_()
    torch.autograd.gradcheck(lambda p: loss(p, target, mask), prediction, fast_mode=True)


def test_normalization_has_the_gradient_of_finite_differences() -> None:
    values, _, mask = maps(2, 5, 4)
    values.requires_grad_()
    torch.autograd.gradcheck(lambda v: ssi_normalize(v, mask), values)


@pytest.mark.parametrize("loss", LOSSES)
def test_only_the_prediction_gets_a_gradient(loss) -> None:
    prediction, target, mask = maps(4, 16, 16)
    prediction.requires_grad_()
    target.requires_grad_()
    loss(prediction, target, mask).sum().backward()
    assert prediction.grad is not None
    assert target.grad is None


# Number formats and devices


@pytest.mark.parametrize("loss", LOSSES)
def test_half_precision_is_computed_in_float32(loss) -> None:
    prediction, target, mask = maps(4, 33, 30)
    low = prediction.bfloat16().requires_grad_()
    result = loss(low, target.bfloat16(), mask)
    assert result.dtype == torch.float32
    assert torch.equal(result, loss(low.float(), target.bfloat16().float(), mask))
    result.sum().backward()
    assert low.grad.dtype == torch.bfloat16
    assert low.grad.isfinite().all()


@pytest.mark.parametrize("loss", LOSSES)
def test_autocast_changes_nothing(loss) -> None:
    prediction, target, mask = maps(4, 33, 30)
    results = []
    for enabled in (False, True):
        single = prediction.float().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            result = loss(single, target.float(), mask)
            result.sum().backward()
        results.append((result.detach(), single.grad))
    assert results[1][0].dtype == torch.float32
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("loss", LOSSES)
def test_no_value_is_fetched_from_the_device(loss) -> None:
    # Tensors on the meta device have no values: whatever would wait for one fails.
    prediction, target, mask = (x.to("meta") for x in maps(4, 16, 16))
    with torch.device("meta"):
        prediction.requires_grad_()
        loss(prediction, target, mask).sum().backward()
    assert prediction.grad.shape == prediction.shape


# Mistakes


@pytest.mark.usefixtures("unchecked")
def test_shapes_that_would_broadcast_are_refused() -> None:
    prediction, target, mask = maps(2, 8, 8)
    yes = torch.tensor([True, True])
    with pytest.raises(ValueError, match=r"\(2, 8, 8\) of torch.float64 and \(1, 8, 8\)"):
        losses.mae(prediction, target[:1])
    with pytest.raises(ValueError, match="one shape"):
        stage2_loss(prediction, target, mask[:, :1])
    with pytest.raises(ValueError, match="boolean mask"):
        losses.mage(prediction, target, mask.float())
    with pytest.raises(ValueError, match="boolean mask"):
        ssi_normalize(prediction, mask[0])
    with pytest.raises(ValueError, match="a boolean for each of 2 pictures"):
        stage1_loss(prediction, target, metric=yes[:1], synthetic=yes)
    with pytest.raises(ValueError, match="a boolean for each of 2 pictures"):
        stage1_loss(prediction, target, metric=yes, synthetic=yes.float())
    with pytest.raises(ValueError, match="angles of one shape"):
        fov_loss(torch.zeros(2), torch.zeros(2, 1))


def test_numbers_out_of_range_are_refused() -> None:
    prediction, target, _ = maps(1, 8, 8)
    for trim in (1.0, -0.1, 20.0):
        with pytest.raises(ValueError, match=r"\[0, 1\)"):
            mae(prediction, target, trim=trim)
    with pytest.raises(ValueError, match="at least 1"):
        mage(prediction, target, scales=0)
