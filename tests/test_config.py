"""Sizes that fit together, sizes that do not, and their JSON."""

import pytest

from depthpro import DepthProConfig
from depthpro.config import PyramidLevel


def test_published_pyramid_is_the_table_of_the_paper() -> None:
    # 5 x 5, 3 x 3 and 1 x 1 windows of 384, strides 288 and 192, trims 3 and 6 tokens.
    assert DepthProConfig().pyramid == (
        PyramidLevel(side=1536, stride=288, grid=5, trim=3),
        PyramidLevel(side=768, stride=192, grid=3, trim=6),
        PyramidLevel(side=384, stride=384, grid=1, trim=0),
    )


@pytest.mark.parametrize("window", [128, 256, 384, 512, 1408])
def test_windows_tile_every_level_whatever_their_size(window: int) -> None:
    config = DepthProConfig(window=window)
    assert config.image_size == 4 * config.window
    for level, windows in zip(config.pyramid, (4, 2, 1), strict=True):
        assert level.side == windows * config.window
        assert level.stride * (level.grid - 1) + config.window == level.side  # nothing is left over
        assert level.stride % config.patch == 0
        # What merging keeps is the whole level, in tokens.
        kept = level.grid * config.tokens - 2 * level.trim * (level.grid - 1)
        assert kept * config.patch == level.side


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": 0}, "sizes must be positive whole numbers, got .*window=0"),
        ({"window": 384.0}, r"positive whole numbers, got .*window=384\.0"),
        ({"window": 400}, "window must be a multiple of 128 pixels; got 400"),
        ({"patch": 14}, "patch must be 16, .*; got 14"),
        ({"heads": 3}, "heads must be a divisor of dim=1024; got 3"),
        ({"decoder_dim": 20}, "decoder_dim must be a multiple of 8; got 20"),
        ({"taps": (11, 5)}, "two ascending block numbers"),
        ({"taps": (5, 24)}, r"below depth=24; got \(5, 24\)"),
        ({"neck_dims": (256, 512, 1024)}, "neck_dims must be four numbers"),
        ({"stem": "resnet"}, "stem must be one of .*got 'resnet'"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_sizes_that_no_network_can_have_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DepthProConfig(**changes)


def test_json_gives_an_equal_config_back_and_may_leave_defaults_out() -> None:
    for config in (DepthProConfig(), DepthProConfig.small()):
        again = DepthProConfig.from_json(config.to_json())
        assert again == config
        assert hash(again) == hash(config)  # tuples came back as tuples
    assert DepthProConfig.from_json('{"fov": false}') == DepthProConfig(fov=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("not json", "JSON of a network's config, got 'not json'"),
        ("[1, 2]", "JSON of a network's config"),
        ('{"window": 384, "moe": 8}', "moe.*written by a newer version"),
        ('{"taps": 5}', "JSON of a network's config"),
        ('{"window": "384"}', "sizes must be"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_json_that_is_no_config_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DepthProConfig.from_json(text)
