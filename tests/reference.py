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


def merge(windows: ndarray, grid: int, stride: int) -> ndarray:
    """Return one map in which every token comes from the window with the nearest centre.

    `windows` (n, d, t, t) lie row by row, all pictures of a window together, `stride` tokens apart.
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
    return 1 / np.minimum(np.maximum(inverse, 1e-4), 1e4)


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


def mae(prediction: ndarray, target: ndarray, mask: ndarray, trim: float = 0.0) -> float:
    """Return the mean absolute error of one picture (h, w) without its largest errors."""
    errors = sorted(float(error) for error in np.abs(prediction - target)[mask])
    kept = len(errors) - round(1000 * trim) * len(errors) // 1000
    return sum(errors[:kept]) / kept if kept else 0.0


def mse(prediction: ndarray, target: ndarray, mask: ndarray) -> float:
    """Return the mean squared error of one picture (h, w)."""
    errors = [float(error) ** 2 for error in (prediction - target)[mask]]
    return sum(errors) / len(errors) if errors else 0.0


def ssi_normalize(values: ndarray, mask: ndarray) -> ndarray:
    """Return one picture (h, w) less its lower median, over the mean distance from it."""
    normalized = np.zeros(values.shape)
    if mask.any():
        median, deviation = median_and_deviation(values, mask)
        normalized[mask] = (values[mask] - median) / max(deviation, 1e-4)
    return normalized


def median_and_deviation(values: ndarray, mask: ndarray) -> tuple[float, float]:
    """Return the lower median of one picture's valid pixels, and their mean distance from it."""
    valid = sorted(float(value) for value in values[mask])
    median = valid[(len(valid) - 1) // 2]
    return median, sum(abs(value - median) for value in valid) / len(valid)


def halve(values: ndarray, mask: ndarray) -> tuple[ndarray, ndarray]:
    """Return every second pixel of one picture, blurred over what is valid of 5x5 pixels."""
    taps = (1, 4, 6, 4, 1)
    rows, columns = values.shape
    halved = np.zeros(((rows + 1) // 2, (columns + 1) // 2))
    valid = np.zeros(halved.shape, dtype=bool)
    for row in range(halved.shape[0]):
        for column in range(halved.shape[1]):
            total = weights = 0.0
            for i, j in np.ndindex(5, 5):
                y, x = 2 * row + i - 2, 2 * column + j - 2
                if 0 <= y < rows and 0 <= x < columns and mask[y, x]:
                    total += taps[i] * taps[j] * values[y, x]
                    weights += taps[i] * taps[j]
            if weights:
                halved[row, column], valid[row, column] = total / weights, True
    return halved, valid


SCHARR_X = np.array([[-3, 0, 3], [-10, 0, 10], [-3, 0, 3]]) / 32
LAPLACE = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])


def derivative_loss(
    prediction: ndarray, target: ndarray, mask: ndarray, scales: int, kind: str, power: int
) -> float:
    """Return L_{kind, power, scales} of one picture (h, w); each map has its own pyramid."""
    kernels = {"scharr": (SCHARR_X, SCHARR_X.T), "laplace": (LAPLACE,)}[kind]
    total = 0.0
    for scale in range(scales):
        if scale > 0:
            prediction, _ = halve(prediction, mask)
            target, mask = halve(target, mask)
        errors = []
        for row in range(mask.shape[0] - 2):
            for column in range(mask.shape[1] - 2):
                place = slice(row, row + 3), slice(column, column + 3)
                if mask[place].all():
                    for kernel in kernels:
                        ours, theirs = (kernel * prediction[place]).sum(), kernel * target[place]
                        errors.append(abs(ours - theirs.sum()) ** power)
        total += sum(errors) / len(errors) if errors else 0.0
    return total / scales


def contours(depth: ndarray, step: tuple[int, int], valid: ndarray) -> ndarray:
    """Return depth[p + step] / depth[p], through inverse depths; 0 where a pixel is missing."""
    inverse = 1 / np.clip(depth, 1e-6, None)
    ratios = np.zeros_like(inverse)
    rows, columns = depth.shape
    for row, column in np.ndindex(rows, columns):
        y, x = row + step[0], column + step[1]
        if 0 <= y < rows and 0 <= x < columns and valid[row, column] and valid[y, x]:
            ratios[row, column] = inverse[row, column] / inverse[y, x]
    return ratios


def thin(ratios: ndarray, threshold: float, step: tuple[int, int]) -> ndarray:
    """Return where a ratio is the first largest of its run above a threshold, line by line."""
    kept = np.zeros(ratios.shape, dtype=bool)
    if step[0]:
        return thin(ratios.T, threshold, step[::-1]).T
    for row, line in enumerate(ratios):
        start = 0
        for column in range(len(line) + 1):
            if column == len(line) or not line[column] > threshold:
                if column > start:
                    kept[row, start + np.argmax(line[start:column])] = True
                start = column + 1
    return kept


def boundary_measures(
    prediction: ndarray, target: ndarray, mask: ndarray, variant: str
) -> tuple[float, float]:
    """Return F1 against a depth map, or recall of a boolean outline, (h, w), as (F1, recall)."""
    thresholds = np.linspace(1.05, 1.25, 10)
    weights = thresholds if variant == "reference" else thresholds - 1
    f1 = recall = 0.0
    for threshold, weight in zip(thresholds, weights / weights.sum(), strict=True):
        hits, ours_all, theirs_all = np.zeros(4), np.zeros(4), np.zeros(4)
        for k, step in enumerate(((0, 1), (0, -1), (1, 0), (-1, 0))):
            ours = contours(prediction, step, mask)
            if target.dtype == bool:
                far = np.where(target, 1.0, 2.0)  # foreground is nearer
                theirs = contours(far, step, mask) > 1.5
            else:
                theirs = contours(target, step, mask) > threshold
            thinned = target.dtype == bool or variant == "paper"
            ours = thin(ours, threshold, step) if thinned else ours > threshold
            hits[k], ours_all[k] = (ours & theirs).sum(), ours.sum()
            theirs_all[k] = theirs.sum()
        if variant == "paper":
            counts = (hits, ours_all, theirs_all)
            hits, ours_all, theirs_all = (count.sum(keepdims=True) for count in counts)
        p = (hits / np.maximum(ours_all, 1)).mean()
        r = (hits / np.maximum(theirs_all, 1)).mean()
        f1 += weight * (2 * p * r / (p + r) if p + r else 0)
        recall += weight * r
    return f1, recall


def depth_errors(
    depth: ndarray,
    target: ndarray,
    mask: ndarray,
    depth_range: tuple[float, float],
    alignment: str,
) -> list[float]:
    """Return AbsRel, log10, RMSE, delta1, delta2, delta3, SI-log and the count of one picture."""
    low, high = depth_range
    counted = [
        (float(d), float(t))
        for d, t, valid in zip(depth.flat, target.flat, mask.flat, strict=True)
        if valid and low <= t <= high
    ]
    x, y = (1 / np.array(values) for values in zip(*counted, strict=True))
    if alignment == "median_scale":
        middle = (len(x) - 1) // 2
        x = x * np.sort(1 / x)[middle] / np.sort(1 / y)[middle]
    elif alignment != "none":
        columns = np.stack([x, np.ones_like(x)][: 1 + (alignment == "scale_and_shift")], axis=1)
        x = columns @ np.linalg.lstsq(columns, y)[0]
    depths = [min(max(1 / a if a > 0 else high, low), high) for a in x]
    pairs = list(zip(depths, 1 / y, strict=True))
    n = len(pairs)
    logs = [np.log(d / t) for d, t in pairs]
    return [
        sum(abs(d - t) / t for d, t in pairs) / n,
        sum(abs(np.log10(d) - np.log10(t)) for d, t in pairs) / n,
        (sum((d - t) ** 2 for d, t in pairs) / n) ** 0.5,
        *(sum(max(d / t, t / d) < 1.25**k for d, t in pairs) / n for k in (1, 2, 3)),
        100 * (sum(e * e for e in logs) / n - (sum(logs) / n) ** 2) ** 0.5,
        n,
    ]
