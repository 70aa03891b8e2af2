"""Solves Pathfinder from the pixels alone: finds markers and dashes, and links dashes to contours.

Dashes are found by matching pursuit: the rendered dash that explains most of what is left of the
image is subtracted, again and again, and then each is fitted once more with the others in place.
Seen from a dash, its snake turns at a pivot, half a gap beyond either end. Two ends whose pivots
coincide belong to one snake, and a marker hides the dash between itself and a pivot.
"""

import numpy as np
from scipy.ndimage import correlate, maximum_filter
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from keras_dss.datasets.pathfinder.render import lanczos
from keras_dss.datasets.pathfinder.settings import SCALE
from keras_dss.datasets.pathfinder.space import capsule

PASSES, SWEEPS = 6, 2
FINENESS = {32: (4, 32), 128: (2, 48)}  # places in a pixel each way, angles
BLOCK = 4096  # patches compared at a time
HIDE = 1.0  # pixels around a marker that are not looked at
LIMIT = 1.2  # pixels between pivots that may be one, where the margin is 1


def disc(radius):
    reach = int(np.ceil(radius)) + 1
    fine = (np.arange(-reach * 8 - 4, reach * 8 + 4) + 0.5) / 8
    inside = fine[:, None] ** 2 + fine**2 <= radius**2
    return inside.reshape(2 * reach + 1, 8, 2 * reach + 1, 8).mean(axis=(1, 3))


def find_markers(images, radius):
    """Centres (n, 2, 2) of the two discs in images (n, size, size) between 0 and 1."""
    n, size, _ = images.shape
    kernel = disc(radius)
    ring = disc(radius + 1.5)
    pad = (ring.shape[0] - kernel.shape[0]) // 2
    kernel = np.pad(kernel, pad)
    kernel = kernel / kernel.sum() - 0.5 * (ring - kernel).clip(0) / (ring - kernel).clip(0).sum()
    score = correlate(images, kernel[None], mode="constant")
    centres = []
    row, column = np.mgrid[:size, :size]
    for _ in range(2):
        best = score.reshape(n, -1).argmax(axis=1)
        y, x = np.divmod(best, size)
        inner_y, inner_x = np.clip(y, 1, size - 2), np.clip(x, 1, size - 2)
        around = score[
            np.arange(n)[:, None, None],
            inner_y[:, None, None] + np.arange(-1, 2)[:, None],
            inner_x[:, None, None] + np.arange(-1, 2),
        ]  # (n, 3, 3)

        def peak(before, at, after):
            curve = np.minimum(before - 2 * at + after, -1e-6)
            return np.clip((before - after) / (2 * curve), -0.5, 0.5)

        dy = peak(around[:, 0, 1], around[:, 1, 1], around[:, 2, 1])
        dx = peak(around[:, 1, 0], around[:, 1, 1], around[:, 1, 2])
        centres.append(np.stack([inner_y + 0.5 + dy, inner_x + 0.5 + dx], axis=1))
        near = (row - y[:, None, None]) ** 2 + (column - x[:, None, None]) ** 2
        score = np.where(near < (2 * radius) ** 2, -np.inf, score)
    return np.stack(centres, axis=1)


def sample(images, which, points):
    """Bilinear samples of images (n, size, size) at `points` (..., 2) of the images `which`."""
    size = images.shape[1]
    points = np.clip(points - 0.5, 0, size - 1.001)
    cell = points.astype(np.int32)
    y, x = np.moveaxis((points - cell).astype(np.float32), -1, 0)
    index = (which * size + cell[..., 0]) * size + cell[..., 1]
    flat = images.reshape(-1)
    top = flat[index] * (1 - x) + flat[index + 1] * x
    bottom = flat[index + size] * (1 - x) + flat[index + size + 1] * x
    return top * (1 - y) + bottom * y


class Bank:
    """Rendered dashes (k, p, p) with their centres against that of the patch, and directions."""

    def __init__(self, settings):
        places, angles = FINENESS[settings.size]
        reach = int(np.ceil(settings.dash / 2 + 1.5))
        self.reach, self.side = reach, 2 * reach + 1
        offset = (np.arange(places) + 0.5) / places - 0.5
        angle = np.pi * np.arange(angles) / angles
        y, x, angle = (v.ravel() for v in np.meshgrid(offset, offset, angle, indexing="ij"))
        self.offset = np.stack([y, x], axis=1)  # (k, 2)
        self.direction = np.stack([np.sin(angle), np.cos(angle)], axis=1)
        size = self.side + 6
        middle = self.offset + size / 2
        half = self.direction * settings.dash / 2
        distance, first = capsule(middle - half, middle + half, SCALE * size)
        canvas = np.zeros((len(y), 2 * SCALE * size, 2 * SCALE * size), np.float32)
        cover = np.clip(SCALE * (settings.thickness / 2 - distance) + 0.5, 0, 1)
        origin = SCALE * size // 2  # windows may begin a cell off the canvas
        for k, (row, column) in enumerate(first + origin):
            canvas[k, row : row + SCALE * size, column : column + SCALE * size] = cover[k]
        canvas = canvas[:, origin : origin + SCALE * size, origin : origin + SCALE * size]
        matrix = lanczos(size)
        image = np.clip(matrix @ (settings.contrast * canvas) @ matrix.T, 0, 1)
        self.dashes = image[:, 3:-3, 3:-3]
        flat = self.dashes.reshape(len(image), -1)
        self.flat, self.square = flat.T.copy(), (flat**2).T.copy()  # (p p, k)
        self.energy = (flat**2).sum(axis=1)

    def patch_index(self, image, y, x, side):
        """Flat indices (m, p p) of the patches around pixels of padded images."""
        step = np.arange(-self.reach, self.reach + 1)
        cell = step[:, None] * side + step
        return (((image * side + y) * side) + x)[:, None] + cell.ravel()

    def gain(self, residual, weight, index):
        """What subtracting each dash explains at each patch (m, k), and what of it is visible."""
        w = weight[index]
        visible = w @ self.square
        return 2 * (residual[index] * w) @ self.flat - visible, visible


def find_dashes(images, visible, settings):
    """Image number (d,), centre (d, 2) and direction (d, 2) of the dashes in (n, size, size)."""
    bank = Bank(settings)
    n, size, _ = images.shape
    pad = 2 * bank.reach
    side = size + 2 * pad
    padded = np.pad(images, ((0, 0), (pad, pad), (pad, pad)))
    weight = np.pad(visible, ((0, 0), (pad, pad), (pad, pad)), constant_values=1).astype(np.float32)
    residual, weight = padded.ravel().copy(), weight.ravel()
    found = []
    for _ in range(PASSES):
        level = 0.35 * bank.dashes.max(axis=(1, 2)).mean()
        there = (residual * weight).reshape(padded.shape) > level
        there = maximum_filter(there, size=(1, 3, 3)) if size == 32 else there
        there[:, :pad], there[:, -pad:], there[:, :, :pad], there[:, :, -pad:] = (False,) * 4
        image, y, x = np.nonzero(there)
        score = np.zeros(padded.shape, np.float32)
        which = np.zeros(padded.shape, np.int32)
        for first in range(0, len(image), BLOCK):
            part = slice(first, first + BLOCK)
            index = bank.patch_index(image[part], y[part], x[part], side)
            gain, seen = bank.gain(residual, weight, index)
            gain[(gain < 0.4 * seen) | (seen < 0.5 * bank.energy)] = 0
            best = gain.argmax(axis=1)
            score[image[part], y[part], x[part]] = gain[np.arange(len(best)), best]
            which[image[part], y[part], x[part]] = best
        reach = bank.reach + (size > 32)
        peak = (score > 0) & (
            score == maximum_filter(score, size=(1, 2 * reach - 1, 2 * reach - 1))
        )
        image, y, x = np.nonzero(peak)
        if not len(image):
            break
        k = which[image, y, x]
        np.subtract.at(residual, bank.patch_index(image, y, x, side), bank.flat.T[k])
        found.append(np.stack([image, y, x, k], axis=1))
    found = np.concatenate(found)
    found = found[np.argsort(found[:, 0], kind="stable")]
    start = np.searchsorted(found[:, 0], np.arange(n + 1))
    step = np.array([(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)])
    for _ in range(SWEEPS):
        for rank in range(np.diff(start).max()):
            chosen = (start[:-1] + rank)[np.diff(start) > rank]
            image, y, x, k = found[chosen].T
            np.add.at(residual, bank.patch_index(image, y, x, side), bank.flat.T[k])
            near = np.clip(found[chosen, 1:3][:, None] + step, pad, pad + size - 1)  # (m, 9, 2)
            index = bank.patch_index(
                np.repeat(image, 9), near[..., 0].ravel(), near[..., 1].ravel(), side
            )
            gain = bank.gain(residual, weight, index)[0].reshape(len(image), -1)
            place, k = np.divmod(gain.argmax(axis=1), len(bank.energy))
            y, x = near[np.arange(len(image)), place].T
            found[chosen, 1:] = np.stack([y, x, k], axis=1)
            np.subtract.at(residual, bank.patch_index(image, y, x, side), bank.flat.T[k])
    image, y, x, k = found.T
    centre = np.stack([y, x], axis=1) - pad + 0.5 + bank.offset[k]
    return image, centre, bank.direction[k]


def link(settings, margin, bright, markers, centre, direction):
    """Whether dashes connect the two markers of one image, and how many links there are."""
    d = len(centre)
    outward = np.concatenate([direction, -direction])  # (2 d, 2), of the ends
    pivot = np.concatenate([centre, centre]) + (settings.dash / 2 + margin) * outward
    apart = np.linalg.norm(pivot[:, None] - pivot, axis=-1)
    turns_back = outward @ outward.T > 0.25
    same = np.arange(2 * d) % d
    apart[turns_back | (same[:, None] == same)] = np.inf
    nearest = apart.argmin(axis=1)
    ends = np.arange(2 * d)
    limit = LIMIT * (margin + 1) / 2
    linked = (nearest[nearest] == ends) & (apart[ends, nearest] < limit)
    a, b = same[ends[linked]], same[nearest[linked]]

    # A marker lies on the far end of the dash before the pivot.
    away = pivot[None] - markers[:, None]  # (2, 2 d, 2)
    distance = np.linalg.norm(away, axis=-1)
    course = away / distance[..., None]
    cost = np.abs(distance - settings.dash - margin) / limit
    cost = cost + linked + ((course * outward).sum(axis=-1) > 0.25)
    hint = markers[:, None] + (settings.marker_radius + 0.5) * course
    cost = cost - bright(hint)
    attached = same[cost.argmin(axis=1)]
    a, b = np.append(a, [d, d + 1]), np.append(b, attached)
    graph = coo_matrix((np.ones(len(a)), (a, b)), (d + 2, d + 2))
    part = connected_components(graph, directed=False)[1]
    return part[d] == part[d + 1], linked.sum()


def predict(images, settings):
    """Predicted labels (n,) of images, uint8 (n, size, size)."""
    images = np.asarray(images, np.float32) / 255
    markers = find_markers(images, settings.marker_radius)
    cells = np.arange(settings.size) + 0.5
    away = [
        (cells[:, None] - m[:, 0, None, None]) ** 2 + (cells - m[:, 1, None, None]) ** 2
        for m in markers.swapaxes(0, 1)
    ]
    hidden = (settings.marker_radius + HIDE) ** 2
    visible = np.minimum(*away) > hidden
    image, centre, direction = find_dashes(images, visible, settings)
    labels = np.zeros(len(images), np.uint8)
    for i in range(len(images)):
        own = image == i
        distance = np.linalg.norm(centre[own][:, None] - markers[i], axis=-1).min(axis=1)
        keep = distance > settings.marker_radius + 0.3
        dashes = centre[own][keep], direction[own][keep]

        def bright(points, picture=images[i : i + 1]):
            return sample(picture, 0, points)

        tries = [link(settings, m, bright, markers[i], *dashes) for m in settings.margins]
        labels[i] = max(tries, key=lambda result: result[1])[0]
    return labels
