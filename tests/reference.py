"""Slow, plain NumPy versions of what the package computes: one loop for each index."""

import zlib

import numpy as np
from numpy import ndarray


def weights_by_name(shapes: dict[str, tuple[int, ...]]) -> dict[str, ndarray]:
    """Return float32 weights that anyone can rebuild from the names and shapes of a network.

    They are those under which the golden values of the published network were computed.
    """
    weights = {}
    for name, shape in shapes.items():
        noise = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
        if name.endswith(".gamma") or ("norm" in name and name.endswith("weight")):
            value = 1 + 0.1 * noise
        elif name.endswith("bias"):
            value = 0.1 * noise
        elif name.endswith(("pos_embed", "cls_token")):
            value = 0.2 * noise
        else:
            value = noise / np.sqrt(np.prod(shape[1:]))
        if name in ("head.4.weight", "head.4.bias"):
            value = np.abs(value)
        if name == "fov.head.4.bias":
            value = np.full(shape, 55)
        weights[name] = np.asarray(value, dtype=np.float32)
    return weights


def split(image: ndarray, window: int, stride: int) -> ndarray:
    """Return windows of (b, c, s, s): all pictures of a window together, windows row by row."""
    batch, _, side, _ = image.shape
    windows = []
    for top in range(0, side - window + 1, stride):
        for left in range(0, side - window + 1, stride):
            for picture in range(batch):
                windows.append(image[picture, :, top : top + window, left : left + window])
    return np.stack(windows)


def merge(windows: ndarray, grid: int, stride: int) -> ndarray:
    """Return one map in which every token comes from the window with the nearest centre.

    `windows` (n, d, t, t) lie in the order of `split`, `stride` tokens apart.
    """
    number, dim, tokens, _ = windows.shape
    batch = number // grid**2
    side = (grid - 1) * stride + tokens
    centres = [i * stride + (tokens - 1) / 2 for i in range(grid)]
    merged = np.empty((batch, dim, side, side), windows.dtype)
    for picture in range(batch):
        for row in range(side):
            i = int(np.argmin([abs(row - centre) for centre in centres]))
            for column in range(side):
                j = int(np.argmin([abs(column - centre) for centre in centres]))
                window = windows[(i * grid + j) * batch + picture]
                merged[picture, :, row, column] = window[:, row - i * stride, column - j * stride]
    return merged


def resize(image: ndarray, height: int, width: int) -> ndarray:
    """Return (h, w) resized bilinearly, without antialiasing; edges of pixels fall together."""
    rows, columns = image.shape
    resized = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            y = min(max((row + 0.5) * rows / height - 0.5, 0), rows - 1)
            x = min(max((column + 0.5) * columns / width - 0.5, 0), columns - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, rows - 1), min(left + 1, columns - 1)
            upper = image[top, left] + (x - left) * (image[top, right] - image[top, left])
            lower = image[bottom, left] + (x - left) * (image[bottom, right] - image[bottom, left])
            resized[row, column] = upper + (y - top) * (lower - upper)
    return resized


def metric_depth(canonical: ndarray, f_px: float, height: int, width: int) -> ndarray:
    """Return metres for one (s, s) map of C at the picture's size: depth = f_px / (w C)."""
    inverse = resize(canonical.astype(np.float64) * width / f_px, height, width)
    depth = np.empty((height, width))
    for row in range(height):
        for column in range(width):
            depth[row, column] = 1 / min(max(inverse[row, column], 1e-4), 1e4)
    return depth


def unproject(depth: ndarray, f_px: float) -> ndarray:
    """Return the point (x, y, z) of each pixel; x right, y down, z forward, axis in the centre."""
    height, width = depth.shape
    points = np.empty((height, width, 3))
    for row in range(height):
        for column in range(width):
            z = float(depth[row, column])
            x = (column - (width - 1) / 2) * z / f_px
            y = (row - (height - 1) / 2) * z / f_px
            points[row, column] = x, y, z
    return points
