"""Draws scenes of Pathfinder: dashes and markers on a finer canvas, resampled to pixels."""

import numpy as np

from keras_dss.datasets.pathfinder.settings import SCALE
from keras_dss.datasets.pathfinder.space import capsule


def dashes(settings, pivots, margins):
    """Start and end (n, ..., steps, 2) of the dash in each step of the snakes."""
    steps = np.diff(pivots, axis=-2)
    margins = margins.reshape(-1, *[1] * (steps.ndim - 1))
    share = margins / (settings.dash + 2 * margins)
    return pivots[..., :-1, :] + share * steps, pivots[..., 1:, :] - share * steps


def lanczos(size):
    """Matrix (size, SCALE size) that resamples rows of SCALE size cells (Lanczos, 3 lobes)."""
    offset = (np.arange(SCALE * size) + 0.5) / SCALE - (np.arange(size) + 0.5)[:, None]
    weights = np.where(np.abs(offset) < 3, np.sinc(offset) * np.sinc(offset / 3), 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def render(settings, scenes, labels):
    """Images, uint8 (n, height, size), of scenes with the markers of the classes `labels` (n,)."""
    n = len(scenes)
    border = int(SCALE * (settings.dash + settings.marker_radius)) + 4
    height, width = (SCALE * pixels + 2 * border for pixels in (settings.height, settings.size))
    canvas = np.zeros((n, height, width), np.float32)
    flat = canvas.reshape(-1)

    def draw(rows, start, end, thickness, value):  # each image at most once
        window = 2 * (int(SCALE * (settings.dash + thickness) / 2) + 2)
        distance, first = capsule(start, end, window)
        cover = np.clip(SCALE * (thickness / 2 - distance) + 0.5, 0, 1) * value  # (m, w, w)
        first = (rows * height + first[:, 0] + border) * width + first[:, 1] + border
        cell = np.arange(window)
        index = first[:, None, None] + cell[:, None] * width + cell
        flat[index] = np.maximum(flat[index], cover.astype(np.float32))

    for snakes in (scenes.contours, scenes.distractors):
        start, end = (
            points.reshape(n, -1, 2) for points in dashes(settings, snakes, scenes.margins)
        )
        for i in range(start.shape[1]):
            rows = np.nonzero(~np.isnan(start[:, i, 0]))[0]
            draw(rows, start[rows, i], end[rows, i], settings.thickness, settings.contrast)
    rows = np.arange(n)
    for marker in scenes.markers[rows, labels].swapaxes(0, 1):
        draw(rows, marker, marker, 2 * settings.marker_radius, 1)
    inside = canvas[:, border:-border, border:-border]
    image = lanczos(settings.height) @ inside @ lanczos(settings.size).T
    return np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8)
