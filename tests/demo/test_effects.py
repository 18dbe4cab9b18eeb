"""Effects on scenes whose depth is known: a wall, and cards at three depths before it."""

import math

import numpy as np
import pytest
from scipy import ndimage

from demo.tabs.effects import air, lens, stereo, views
from demo.tabs.effects.behind import fill, look_behind
from demo.tabs.effects.choices import Choices, colour_of, limits_for, rounded
from demo.tabs.effects.scene import Scene, linear_light, srgb

SIZE = HEIGHT, WIDTH = 240, 360
F_PX = 360.0
CARDS = {1.0: (90, 60), 2.0: (120, 180), 4.0: (150, 300)}
"""Row and column of the middle of a card by its depth."""
WALL_M = 8.0
HALF = 15


def cards() -> Scene:
    """Return bright cards of 31 x 31 pixels before a dark wall that has a gentle texture."""
    grey = 40 + 8 * np.sin(np.arange(WIDTH) / 9)[None, :] * np.cos(np.arange(HEIGHT) / 7)[:, None]
    rgb = np.repeat(np.round(grey)[..., None], 3, axis=2).astype(np.uint8)
    inverse = np.full(SIZE, 1 / WALL_M, np.float32)
    for number, (depth, middle) in enumerate(CARDS.items()):
        part = tuple(slice(place - HALF, place + HALF + 1) for place in middle)
        rgb[part] = 0
        rgb[(*part, number)] = 255  # red, green, blue
        inverse[part] = 1 / depth
    return Scene(rgb, inverse, F_PX)


def wall(depth_m: float, rgb: np.ndarray | None = None) -> Scene:
    rgb = np.full((*SIZE, 3), 100, np.uint8) if rgb is None else rgb
    return Scene(rgb, np.full(SIZE, 1 / depth_m, np.float32), F_PX)


def middles(rgb: np.ndarray) -> list[tuple[float, float]]:
    """Return row and column of the middle of each card, by its colour."""
    places = []
    for number in range(3):
        others = [other for other in range(3) if other != number]
        weight = np.clip(rgb[..., number].astype(float) - rgb[..., others].max(-1) - 30, 0, None)
        places.append(ndimage.center_of_mass(weight))
    return places


def gradient(rows: int = 240) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (rows, WIDTH, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("depth_m", "focus_m", "f_number"), [(4, 1, 0.5), (1, 3, 0.7), (0.7, 2.5, 0.5), (1e4, 1, 0.4)]
)
def test_a_point_of_light_becomes_a_disc_of_the_size_in_the_formula(
    depth_m: float, focus_m: float, f_number: float
) -> None:
    night = np.zeros((*SIZE, 3), np.uint8)
    night[120, 180] = 255
    scene = wall(depth_m, night)
    # The lens: 36 mm / 360 px = 0.1 mm a pixel, so 360 px are 36 mm.
    f_m = 0.036
    disc_m = f_m / f_number * f_m / (focus_m - f_m) * abs(depth_m - focus_m) / depth_m
    wanted = disc_m / 0.0001
    np.testing.assert_allclose(abs(lens.discs(scene, focus_m, f_number)), wanted, rtol=1e-5)
    light = linear_light(lens.refocus(scene, focus_m, f_number))[..., 0]
    area = light.sum() / np.median(light[light > 0.6 * light.max()])
    assert 2 * math.sqrt(area / math.pi) == pytest.approx(wanted, abs=1)
    assert light.sum() == pytest.approx(1, rel=0.1)  # light is spread, neither made nor lost


def test_what_is_in_focus_stays_as_it_is_and_depth_of_field_has_its_ends() -> None:
    scene = wall(2.0, gradient())
    np.testing.assert_array_equal(lens.refocus(scene, 2.0, 0.5), scene.rgb)
    focus = lens.focus_of(scene, 2.0, 8.0)
    assert focus.lens_mm == pytest.approx(36)
    for end in (focus.sharp_from_m, focus.sharp_to_m):
        # 30 µm of 0.1 mm a pixel
        assert abs(lens.discs(wall(float(end)), 2.0, 8.0)).max() == pytest.approx(0.3, rel=1e-3)
    assert math.isinf(lens.focus_of(scene, 20.0, 8.0).sharp_to_m)


def test_no_halo_around_a_sharp_thing_and_a_soft_rim_of_a_near_one() -> None:
    scene = cards()
    row, column = CARDS[1.0]
    near = lens.refocus(scene, 1.0, 0.5)  # the red card is sharp, the wall a blur of 63 pixels
    inside = np.s_[row - HALF : row + HALF + 1, column - HALF : column + HALF + 1]
    np.testing.assert_array_equal(near[inside], scene.rgb[inside])
    around = near[row - 40 : row + 41, column - 40 : column + 41].astype(int)
    around[40 - HALF : 41 + HALF, 40 - HALF : 41 + HALF] = 0
    assert (around[..., 0] - around[..., 1]).max() <= 2  # no red in the wall
    far = lens.refocus(scene, WALL_M, 1.0)
    disc = abs(lens.discs(scene, WALL_M, 1.0)[row, column])
    beyond = int(column + HALF + disc / 4)
    assert far[row, beyond, 0] > scene.rgb[row, beyond, 0] + 60  # spreads over the sharp wall
    assert far[row, column + HALF, 1] > 10  # and lets it shine through its own rim
    corner = np.s_[:40, 200:]
    np.testing.assert_array_equal(far[corner], scene.rgb[corner])


def test_a_slope_has_no_gaps_between_its_layers() -> None:
    floor = np.linspace(0.02, 1.0, HEIGHT, dtype=np.float32)[:, None].repeat(WIDTH, 1)
    blurred = lens.refocus(Scene(np.full((*SIZE, 3), 150, np.uint8), floor, F_PX), 3.0, 0.5)
    np.testing.assert_allclose(blurred, 150, atol=1)


def test_disparity_is_focal_length_times_baseline_by_depth() -> None:
    scene, eyes_m, screen_m = cards(), 0.063, 2.5
    left, right = stereo.eyes(scene, 1000 * eyes_m, screen_m)
    for depth, one, other in zip(CARDS, middles(left), middles(right), strict=True):
        wanted = F_PX * eyes_m * (1 / depth - 1 / screen_m)
        assert one[1] - other[1] == pytest.approx(wanted, abs=0.5)
        assert one[0] == pytest.approx(other[0], abs=0.1)
    parallel = [middles(eye) for eye in stereo.eyes(scene, 1000 * eyes_m)]
    for depth, one, other in zip(CARDS, *parallel, strict=True):
        assert one[1] - other[1] == pytest.approx(F_PX * eyes_m / depth, abs=0.5)
    np.testing.assert_array_equal(stereo.anaglyph(left, right)[..., 0], left[..., 0])
    np.testing.assert_array_equal(stereo.anaglyph(left, right)[..., 1:], right[..., 1:])
    both = stereo.side_by_side(left, right)
    assert both.shape == (HEIGHT, 2 * WIDTH, 3)
    np.testing.assert_array_equal(both[:, WIDTH:], right)
    assert stereo.disparity(wall(2.0), 63, 1.0).nearest == pytest.approx(0.063 * (1 / 2 - 1))


@pytest.mark.parametrize("move_m", [(0.05, 0.03, 0.0), (-0.04, 0.0, 0.2), (0.02, -0.05, -0.5)])
def test_cards_are_where_a_moved_camera_sees_them(move_m: tuple[float, float, float]) -> None:
    view = views.moved(cards(), views.Camera(move_m))
    x, y, z = move_m
    for (depth, (row, column)), found in zip(CARDS.items(), middles(view), strict=True):
        scale = depth / (depth - z)  # u' = f (u Z / f - x) / (Z - z)
        wanted_row = (row - 119.5 - F_PX * y / depth) * scale + 119.5
        wanted_column = (column - 179.5 - F_PX * x / depth) * scale + 179.5
        np.testing.assert_allclose(found, (wanted_row, wanted_column), atol=0.5)


def test_a_dolly_zoom_keeps_the_size_of_one_depth() -> None:
    scene = cards()
    view = views.moved(scene, views.dolly_zoom(-1.0, keep_m=2.0))
    sizes = [(image[..., 1].astype(int) - image[..., 0] > 100).sum() for image in (scene.rgb, view)]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.05)
    np.testing.assert_allclose(middles(view)[1], CARDS[2.0], atol=0.5)
    far = (view[..., 2].astype(int) - view[..., 0] > 100).sum()
    # 4 m away: (4 / 5) of the size by the step, times 3 / 2 by the zoom
    assert far == pytest.approx(31**2 * (4 / 5 * 3 / 2) ** 2, rel=0.1)
    with pytest.raises(ValueError, match="shorter than"):
        views.dolly_zoom(2.0, keep_m=2.0)


def test_uncovered_parts_show_the_background_and_nothing_of_the_foreground() -> None:
    scene, camera = cards(), views.Camera((0.06, 0.0, 0.0))
    seen = views.seen_from(scene, camera)
    gap = ~seen.known
    gap[:, -10:] = False  # beyond the rim of the photo
    # A step is f x (1/Z - 1/8) pixels: 19, 8 and 2.7 wide, 31 high.
    wide = [F_PX * 0.06 * (1 / depth - 1 / WALL_M) for depth in CARDS]
    assert gap.sum() == pytest.approx(31 * sum(wide), rel=0.1)
    filled = views.moved(scene, camera)
    assert np.ptp(filled[gap].astype(int), axis=1).max() <= 3  # grey as the wall
    assert filled[gap].max() < 60


def test_a_wall_that_moves_by_whole_pixels_stays_exact() -> None:
    scene = wall(2.0, gradient())
    view = views.seen_from(scene, views.Camera((4 * 2.0 / F_PX, 0, 0)))  # 4 pixels
    np.testing.assert_array_equal(view.rgb[:, :-4], scene.rgb[:, 4:])
    assert not view.known[:, -4:].any()
    turned = np.array([[0, 0, 1], [0, 1, 0], [-1, 0, 0.0]])  # looks to the right
    assert not views.seen_from(scene, views.Camera(turn=turned)).known[:, :170].any()


def test_the_sway_returns_and_keeps_one_depth_still() -> None:
    frames = stereo.sway(cards(), 0.03, still_m=2.0)
    assert len(frames) == stereo.FRAMES
    np.testing.assert_array_equal(frames[1], frames[stereo.FRAMES // 2 - 1])
    near = [middles(frame)[0][1] for frame in frames]
    still = [middles(frame)[1][1] for frame in frames]
    assert np.ptp(still) < 0.5
    # 2 · 3 cm · f (1/1 - 1/2), a little enlarged
    assert np.ptp(near) == pytest.approx(2 * 0.03 * F_PX / 2, rel=0.1)


def test_fog_follows_koschmieder_and_swallows_the_sky() -> None:
    scene = cards()
    scene.inverse[:40] = 0
    foggy = linear_light(air.fog(scene, 5.0, (200, 210, 220)))
    haze, light = linear_light(np.uint8([200, 210, 220])), linear_light(scene.rgb)
    np.testing.assert_allclose(foggy[:40], np.broadcast_to(haze, (40, WIDTH, 3)), atol=2e-3)
    share = np.exp(-3.912 / 5.0 / scene.inverse[40:])[..., None]
    np.testing.assert_allclose(foggy[40:], haze + share * (light[40:] - haze), atol=5e-3)


def test_the_cut_out_keeps_one_card_with_a_soft_edge() -> None:
    scene = cards()
    alpha = air.cut_out(scene, 1.5, 3.0, 0.05)[..., 3]
    assert (alpha > 127).sum() == 31**2
    assert alpha[CARDS[2.0]] == 255
    ramp = Scene(scene.rgb, np.linspace(0.2, 1, WIDTH, dtype=np.float32)[None].repeat(240, 0), F_PX)
    cover = air.coverage(ramp, 0, 2.0, 0.2)[0]
    # One half at 2 m, none 10 % farther (in logarithms), all 10 % nearer.
    for depth, wanted in ((2.0, 0.5), (2 * math.exp(0.1), 0), (2 * math.exp(-0.1), 1)):
        assert np.interp(1 / depth, ramp.inverse[0], cover) == pytest.approx(wanted, abs=0.03)
    sky = Scene(scene.rgb, np.zeros(SIZE, np.float32), F_PX)
    assert air.coverage(sky, 1.0, math.inf).all()
    assert not air.coverage(sky, 1.0, 1e6).any()
    assert 2.0 < air.behind_the_foreground(cards()) < WALL_M


def test_filling_takes_what_is_near_and_changes_nothing_known() -> None:
    values = np.linspace(0, 100, 90, dtype=np.float32)[:, None, None].repeat(121, 1)
    known = np.ones((90, 121), bool)
    known[40:46, 30:60] = False
    filled = fill(np.where(known[..., None], values, np.float32(np.nan)), known)
    np.testing.assert_array_equal(filled[known], values[known])
    assert np.abs(filled - values)[~known].max() < 6
    assert np.isfinite(fill(values, np.zeros_like(known))).all()


def test_a_slope_hides_nothing() -> None:
    place = np.linspace(0, 900, HEIGHT, dtype=np.float32)[:, None].repeat(WIDTH, 1)  # 4 px a row
    assert not look_behind(gradient(), place, jump_px=1.5, most_px=50).hidden.any()


def test_light_and_back_is_exact() -> None:
    every = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(srgb(linear_light(every)), every)
    assert linear_light(np.uint8([188]))[0] == pytest.approx(0.5, abs=0.01)


def test_ranges_hold_their_starts_for_any_photo() -> None:
    sky = Scene(np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.float32), F_PX)
    for scene in (cards(), wall(0.01), wall(3000.0), sky):
        for name, limits in limits_for(scene).items():
            for size_m in (1, 0.01, 0.3048):
                least, most, value, step = rounded(limits, size_m)
                assert least <= value <= most, (name, limits)
                assert step * 10 <= most - least


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda s: lens.refocus(s, 0.01, 2.0), "beyond the focal length"),
        (lambda s: lens.refocus(s, math.nan, 2.0), "beyond the focal length"),
        (lambda s: lens.refocus(s, 2.0, 0.0), "f-number"),
        (lambda s: stereo.eyes(s, 0.0), "eyes"),
        (lambda s: stereo.eyes(s, 63, -1.0), "screen"),
        (lambda s: air.fog(s, 0.0, (0, 0, 0)), "visibility"),
        (lambda s: air.coverage(s, 2.0, 1.0), "from near to far"),
        (lambda _: colour_of("teal"), "colour"),
    ],
)
def test_what_cannot_be_is_refused_by_a_sentence(call, match: str) -> None:
    with pytest.raises(ValueError, match=match):
        call(wall(2.0))


def test_colours_of_pickers() -> None:
    assert colour_of("#0a80ff") == (10, 128, 255)
    assert colour_of("rgba(10.4, 128, 255, 0.5)") == (10, 128, 255)
    assert Choices._fields[0] == "effect"
