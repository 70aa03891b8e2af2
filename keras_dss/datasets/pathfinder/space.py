"""Directions, and the free space of many images of Pathfinder, as maps of small cells."""

import numpy as np

from keras_dss.datasets.pathfinder.settings import SCALE

CIRCLE = 1024  # directions, as int: a full turn
ANGLES = 64  # of steps in half a turn, for the cells that they occupy
AHEAD = 3  # steps that must be possible after the next one
BENDS = np.array([-0.9, -0.5, 0, 0.5, 0.9])  # their turns, times continuity


def unit(direction):
    """Unit vectors (..., 2), row and column, of directions (...), int modulo CIRCLE."""
    return _UNITS[direction % CIRCLE]


_UNITS = np.stack([np.sin(angle := 2 * np.pi / CIRCLE * np.arange(CIRCLE)), np.cos(angle)], 1)


def draw_turns(rng, shape, continuity):
    """Turns, int, with the density cos^2(continuity delta), by inversion of its integral."""
    grid = np.linspace(-np.pi / 2, np.pi / 2, 513)
    share = 0.5 + (grid + np.sin(grid) * np.cos(grid)) / np.pi
    turns = np.interp(rng.random(shape), share, grid) / continuity
    return np.rint(turns * (CIRCLE / (2 * np.pi))).astype(np.int32)


def capsule(start, end, window):
    """Distances (n, w, w) from n segments to the cells of a window around their middles, in pixels.

    Also the first cell (n, 2) of each window. Cell (r, c) covers [r, r + 1] / SCALE.
    """
    middle, half = (start + end) / 2, (end - start) / 2 + 1e-9  # (n, 2)
    first = np.floor(middle * SCALE).astype(np.int32) - window // 2
    cells = (first[:, None] + np.arange(window)[:, None] + 0.5) / SCALE - middle[:, None]
    y, x = cells[:, :, None, 0], cells[:, None, :, 1]  # (n, w, 1), (n, 1, w)
    length = np.linalg.norm(half, axis=1)[:, None, None]
    dy, dx = half[:, 0, None, None] / length, half[:, 1, None, None] / length
    beyond = np.maximum(np.abs(y * dy + x * dx) - length, 0)
    return np.sqrt((y * dx - x * dy) ** 2 + beyond**2), first


class Space:
    """How many steps lie near each cell: two maps for each image, (2 rows, height, width).

    All steps of an image are equally long, so that what a step occupies follows from its angle,
    one of `ANGLES`, and from the cell of its middle.
    """

    def __init__(self, settings, margins):
        kinds, self.kind = np.unique(margins, return_inverse=True)
        self.step = settings.dash + 2 * margins  # (rows,)
        self.clearance = 2 * margins + settings.clearance
        self.checks = int(np.ceil(self.step.max()))  # points of a step that must be free
        self.border = int(SCALE * ((AHEAD + 1) * self.step.max() + 1))
        self.height, self.width = (
            SCALE * pixels + 2 * self.border for pixels in (settings.height, settings.size)
        )
        self.counts = np.ones((2 * len(margins), self.height, self.width), np.uint8)
        edge = self.border + SCALE * settings.padding
        self.counts[:, edge:-edge, edge:-edge] = 0
        self.flat = self.counts.reshape(-1)

        # For each kind of step and each angle: flat offsets of the cells that a step occupies, from
        # that of its middle, and of points of arcs ahead, from that of their beginning.
        cells, arcs = [], []
        for margin in kinds:
            step = settings.dash + 2 * margin
            half = unit(np.arange(ANGLES) * (CIRCLE // 2 // ANGLES)) * step / 2
            window = 2 * int(SCALE * (step / 2 + 2 * margin + settings.clearance) + 2)
            distance, first = capsule(0.5 / SCALE - half, 0.5 / SCALE + half, window)
            for near in distance < 2 * margin + settings.clearance:
                cells.append((np.argwhere(near) + first[0]) @ [self.width, 1])
            turns = BENDS[:, None] / settings.continuity * np.arange(1, AHEAD + 1)  # (c, s)
            turns = np.rint(turns * (CIRCLE / (2 * np.pi))).astype(int)
            moves = step * unit(np.arange(CIRCLE)[:, None, None] + turns)  # (CIRCLE, c, s, 2)
            ends = np.cumsum(moves, axis=2)
            points = np.stack([ends - moves / 2, ends], axis=3)  # (CIRCLE, c, s, 2, 2)
            arcs.append(np.rint(SCALE * points).astype(np.int32) @ [self.width, 1])
        longest = max(map(len, cells))  # shorter ones repeat cells
        self.cells = np.array([np.resize(c, longest) for c in cells], np.int32)
        self.arcs = np.concatenate(arcs).astype(np.int32)  # (kinds CIRCLE, c, s, 2)

    def index(self, maps, points):
        """Flat index of the cells that hold `points` (..., 2) of `maps` (...)."""
        cell = (points * SCALE + self.border).astype(np.int32)
        return (maps * self.height + cell[..., 0]) * self.width + cell[..., 1]

    def is_free(self, maps, points):
        return self.flat[self.index(maps, points)] == 0

    def has_way_on(self, maps, rows, start, direction, steps):
        """Whether one of a few arcs of at most `steps` (n,) steps from `start` (n, 2) is free."""
        arcs = self.arcs[self.kind[rows] * CIRCLE + direction % CIRCLE]  # (n, c, s, 2)
        free = self.flat[self.index(maps, start)[:, None, None, None] + arcs] == 0
        beyond = np.arange(AHEAD) >= steps[:, None]  # (n, s)
        return (free.all(axis=3) | beyond[:, None]).all(axis=2).any(axis=1)

    def change(self, maps, rows, start, end, amount):
        """Adds `amount` to the cells near steps of the images `rows`, each map at most once."""
        angle = np.arctan2(end[:, 0] - start[:, 0], end[:, 1] - start[:, 1])
        angle = np.rint(angle * (ANGLES / np.pi)).astype(np.int32) % ANGLES
        cells = self.cells[self.kind[rows] * ANGLES + angle]  # (n, cells)
        index = self.index(maps, (start + end) / 2)[:, None] + cells
        self.flat[index] += np.uint8(amount % 256)  # copies read before any writes: they count once
