"""Labels of pixels: which dashes lie on the contour of the first marker."""

import numpy as np

from keras_dss.datasets.pathfinder.render import dashes

EMPTY, OTHER, CONTOUR = range(3)


def label_pixels(settings, scenes, labels):
    """Labels of the pixels of scenes with the markers of the classes `labels` (n,).

    The first marker is the one whose middle comes first when the pixels are read row by row.

    Returns:
        uint8 (n, height, size): `CONTOUR` where a dash of the first marker's contour passes,
        `OTHER` where one of another snake does, else `EMPTY`.
    """
    rows, size = np.arange(len(scenes)), settings.size
    pixels = np.full((len(scenes), settings.height, size), EMPTY, np.uint8)

    def draw(start, end, label):  # (n, dashes, 2)
        points = int(np.ceil(settings.dash))
        for along in (np.arange(points) + 0.5) / points:
            point = start + along * (end - start)
            n, dash = np.nonzero(~np.isnan(point[..., 0]))
            cell = np.floor(point[n, dash]).astype(int)
            row, column = np.clip(cell, 0, np.subtract(pixels.shape[1:], 1)).T
            pixels[n, row, column] = label

    markers = scenes.markers[rows, labels]  # (n, 2, 2)
    order = np.floor(markers[..., 0]) * size + markers[..., 1]
    first = markers[rows, order.argmin(axis=1)]  # (n, 2)
    start, end = dashes(settings, scenes.contours, scenes.margins)  # (n, 2, dashes, 2)
    tips = np.stack([start[:, :, 0], end[:, :, -1]], axis=2)  # (n, 2, 2, 2)
    distance = np.linalg.norm(tips - first[:, None, None], axis=-1).min(axis=2)
    marked = distance.argmin(axis=1)  # (n,)

    start_of_others, end_of_others = dashes(settings, scenes.distractors, scenes.margins)
    shape = (len(scenes), -1, 2)
    draw(start_of_others.reshape(shape), end_of_others.reshape(shape), OTHER)
    draw(start[rows, 1 - marked], end[rows, 1 - marked], OTHER)
    draw(start[rows, marked], end[rows, marked], CONTOUR)
    return pixels
