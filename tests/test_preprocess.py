"""Every kind of picture, and the way to the network's square."""

import numpy as np
import pytest
import reference
import torch
from PIL import Image

from depthpro.preprocess import network_input, resize, resize_bytes, to_batch

RGB = np.random.default_rng(0).integers(0, 256, (45, 60, 3), dtype=np.uint8)
FLOATS = torch.from_numpy(RGB.copy()).permute(2, 0, 1)[None] / 255


@pytest.mark.parametrize(
    "picture",
    [
        RGB,
        np.frombuffer(RGB.tobytes(), np.uint8).reshape(RGB.shape),  # read-only
        RGB[..., ::-1].copy()[..., ::-1],  # a view of BGR, as OpenCV's users have it
        np.asfortranarray(RGB),
        torch.from_numpy(RGB),
        Image.fromarray(RGB),
        Image.fromarray(np.dstack([RGB, np.full((45, 60), 9, np.uint8)])),
        FLOATS,
        FLOATS.double().numpy(),
        FLOATS.numpy().astype(">f4"),
    ],
)
def test_every_kind_of_picture_means_the_same(picture) -> None:
    batch = to_batch(picture)
    assert batch.shape == (1, 3, 45, 60)
    torch.testing.assert_close(network_input(batch, 32), network_input(FLOATS, 32))


def test_a_batch_of_bytes_is_its_pictures() -> None:
    both = np.stack([RGB, RGB[::-1]])
    for batch in (to_batch(both), to_batch(torch.from_numpy(both))):
        assert torch.equal(batch, torch.cat([to_batch(RGB), to_batch(RGB[::-1])]))


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "CMYK"])
def test_pil_modes_become_rgb(mode: str) -> None:
    image = Image.fromarray(RGB).convert(mode)
    assert torch.equal(to_batch(image), to_batch(np.asarray(image.convert("RGB"))))


@pytest.mark.parametrize(
    "picture",
    [
        "photo.jpg",
        RGB.astype(np.uint16),
        RGB[..., 0],
        RGB[:0],
        torch.rand(1, 4, 5, 3),
        torch.rand(1, 3, 5, 5) * 255,
        torch.rand(1, 3, 5, 5) - 0.5,
        torch.full((1, 3, 5, 5), torch.nan),
        np.zeros((1, 3, 5, 5), complex),
        Image.fromarray(np.full((5, 6), 30000, np.uint16)),
        Image.new("F", (4, 4)),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_other_pictures_are_refused(picture: object) -> None:
    message = r"expected a PIL image.*uint8 \(h, w, 3\).*float \(b, 3, h, w\) in \[0, 1\]; got "
    with pytest.raises(ValueError, match=f"{message}{type(picture).__name__}.*load_image"):
        to_batch(picture)


def test_black_and_white_become_minus_one_and_one() -> None:
    black_and_white = np.zeros((2, 4, 3), np.uint8)
    black_and_white[:, 2:] = 255
    # Stretched to a square, bilinear, without antialiasing.
    expected = reference.resize(black_and_white[..., 0] / 127.5 - 1, 64, 64)
    assert (expected.min(), expected.max()) == (-1, 1)
    image = network_input(to_batch(black_and_white), 64)
    np.testing.assert_allclose(image[0, 1], expected, atol=1e-6)


@pytest.mark.parametrize(("height", "width", "side"), [(5, 7, 4), (3, 2, 9), (1, 6, 4), (8, 8, 2)])
def test_resize_is_bilinear_between_pixel_edges(height: int, width: int, side: int) -> None:
    image = torch.rand(1, 1, height, width)
    expected = reference.resize(image[0, 0].numpy(), side, side)
    np.testing.assert_allclose(resize(image, side)[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (7, 100), (33, 31), (64, 64), (200, 50)])
def test_bytes_are_resized_as_floats_are(size: tuple[int, int]) -> None:
    photo = torch.randint(0, 256, (2, *size, 3), dtype=torch.uint8).movedim(-1, 1)
    expected = resize(photo.float(), 32)
    torch.testing.assert_close(resize_bytes(photo, 32), expected, rtol=0, atol=1e-4)
