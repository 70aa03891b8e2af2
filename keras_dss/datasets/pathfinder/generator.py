"""Random Pathfinder images: two long dashed contours, short dashed distractors, two markers.

A snake is a chain of n dashes of length l. Its pivots p_0 .. p_n are l + 2m apart, dash i lies in
the middle of the step from p_i to p_{i+1}, and so the dashes of a snake are at most 2m apart (m:
the margin). The direction turns by delta at each pivot, with the density

    f(delta) ~ cos^2(continuity delta),   |delta| < pi / (2 continuity),

among the turns that lead neither into anything drawn nor into a corner.

Every image holds two contours whose origins are `seed_distance` apart, and as many distractors as
find a place, none closer to another than 2m + `clearance` (the gaps between dashes included). One
marker is on an origin, one on the far end of a contour: of the same contour in the positive class,
of the other one in the negative class. A scene is kept only if it offers one marker with two
partners, one for each class, that are equally far away up to `tolerance`. The class is then a fair
choice between the two, and all else is the same.

Many images are grown at a time, one dash of each in every step.

Source: the idea and the settings are those of Linsley et al., "Learning long-range spatial
dependencies with horizontal gated recurrent units", 2018, arXiv 1805.08315, and of Long Range Arena
(Tay et al., 2021, arXiv 2011.04006); after Houtkamp & Roelfsema, "Parallel and serial grouping of
image elements in visual perception", 2010.
"""

from dataclasses import dataclass

import numpy as np

from keras_dss.datasets.pathfinder.membership import label_pixels
from keras_dss.datasets.pathfinder.render import render
from keras_dss.datasets.pathfinder.space import CIRCLE, Space, draw_turns, unit

GENERATOR_VERSION = 1
TURNS = 8  # tried at each pivot
BACK = 2  # steps taken back where there is no way on
ROUNDS = 80  # steps and returns after which an unfinished scene is dropped
PLACES, TRIALS = 24, 8  # tried at once for each distractor, and how often


def choose_step(space, maps, rows, start, direction, ahead=None):
    """The first free one of the steps from `start` (n, k, 2) along `direction` (n, k).

    Returns whether there is one (n,), its start, direction and end. With `ahead` (n,), so many
    steps must be possible after it.
    """
    start = np.broadcast_to(start, (*direction.shape, 2))
    step = space.step[rows][:, None, None] * unit(direction)  # (n, k, 2)
    along = np.arange(1, space.checks + 1)[:, None] / space.checks
    points = start[..., None, :] + along * step[..., None, :]  # (n, k, checks, 2)
    free = space.is_free(maps[:, None, None], points).all(axis=-1)
    if ahead is not None:
        n, k = np.nonzero(free)
        end = start[n, k] + step[n, k]
        free[n, k] = space.has_way_on(maps[n], rows[n], end, direction[n, k], ahead[n])
    chosen = (np.arange(len(rows)), free.argmax(axis=1))
    return free.any(axis=1), start[chosen], direction[chosen], start[chosen] + step[chosen]


def change_contour_step(space, pivots, rows, k, i, amount):
    """Step i of contour k (n,) is from now on in the way of the other contour, the step before it
    in the way of its own."""
    later = i > 0
    maps = np.concatenate([2 * rows + 1 - k, (2 * rows + k)[later]])
    i = np.concatenate([i, i[later] - 1])
    rows, k = np.concatenate([rows, rows[later]]), np.concatenate([k, k[later]])
    space.change(maps, rows, pivots[rows, k, i], pivots[rows, k, i + 1], amount)


def grow_contours(settings, rng, space, margins):
    """Pivots (count, 2, n + 1, 2) of two contours in each image, and the rows that have both.

    The contours grow in turn. One that cannot go on takes both back by a few steps. There are two
    maps for each image: what contour 0 must avoid, and what contour 1 must.
    """
    count, n = len(margins), settings.contour_length
    shape = np.array([settings.height, settings.size])
    inner = 2 * settings.seed_distance * shape / settings.size
    centre = rng.uniform(inner, shape - inner, (count, 1, 2))
    half = unit(rng.integers(0, CIRCLE, (count, 1))) * settings.seed_distance / 2
    origins = np.concatenate([centre + half, centre - half], axis=1)  # (count, 2, 2)
    edge = settings.padding + settings.marker_radius  # which low images alone may come near
    origins = np.clip(origins, edge, shape - edge)
    pivots = np.zeros((count, 2, n + 1, 2))
    heading = np.zeros((count, 2, n), np.int32)
    done = np.zeros(count, np.int32)  # steps of both contours
    for _ in range(ROUNDS):
        rows = np.nonzero(done < 2 * n)[0]
        k, i = done[rows] % 2, done[rows] // 2
        direction = rng.integers(0, CIRCLE, (len(rows), TURNS), np.int32)
        start = origins[rows, k, None] - margins[rows, None, None] * unit(direction)
        later = i > 0
        turns = draw_turns(rng, (np.count_nonzero(later), TURNS), settings.continuity)
        direction[later] = heading[rows, k, i - 1][later, None] + turns
        start[later] = pivots[rows, k, i][later, None]
        found, start, direction, end = choose_step(
            space, 2 * rows + k, rows, start, direction, n - 1 - i
        )
        tip = end - margins[rows, None] * unit(direction)
        inside = np.minimum(tip, shape - tip).min(axis=1)
        found &= (i < n - 1) | (inside >= settings.marker_radius)  # for a whole marker
        stuck = rows[~found]
        rows, k, i = rows[found], k[found], i[found]
        pivots[rows, k, i], pivots[rows, k, i + 1] = start[found], end[found]
        heading[rows, k, i] = direction[found]
        change_contour_step(space, pivots, rows, k, i, 1)
        done[rows] += 1
        for _ in range(BACK):
            rows = stuck[done[stuck] > 0]
            done[rows] -= 1
            change_contour_step(space, pivots, rows, done[rows] % 2, done[rows] // 2, -1)
    rows = np.nonzero(done == 2 * n)[0]
    space.change(2 * rows, rows, pivots[rows, 0, -2], pivots[rows, 0, -1], 1)
    return pivots[rows], rows  # map 0 of these rows is now complete


def match_markers(settings, pivots, margins):
    """Markers (n, 2, 2, 2) for class 0 and class 1: origin and far end, each a point.

    Also which of the scenes offer both. Of the four pairs of a positive and a negative choice,
    which always share one marker, that with the closest distances is taken.
    """
    steps = np.diff(pivots, axis=2)
    share = (margins / np.linalg.norm(steps[:, 0, 0], axis=-1))[:, None, None]
    origins = pivots[:, :, 0] + share * steps[:, :, 0]  # (n, 2, 2)
    ends = pivots[:, :, -1] - share * steps[:, :, -1]
    distance = np.linalg.norm(origins[:, :, None] - ends[:, None], axis=-1)  # (n, 2, 2)
    same = distance[:, [0, 1], [0, 1]]
    other = distance[:, [0, 1], [1, 0]]
    difference = np.abs(same[:, :, None] - other[:, None]).reshape(-1, 4)
    positive, negative = np.divmod(difference.argmin(axis=1), 2)
    n = np.arange(len(pivots))
    markers = np.stack(
        [
            np.stack([origins[n, negative], ends[n, 1 - negative]], axis=1),
            np.stack([origins[n, positive], ends[n, positive]], axis=1),
        ],
        axis=1,
    )
    apart = np.minimum(same[n, positive], other[n, negative]) >= 3 * settings.marker_radius
    return markers, (difference.min(axis=1) <= settings.tolerance) & apart


def keeps_clear_of_itself(path, clearance):
    """Whether no two steps of each path (n, d + 1, 2), but neighbours, come closer (n,)."""
    steps = np.diff(path, axis=1)
    along = np.linspace(0, 1, 7)[:, None]
    points = path[:, :-1, None] + along * steps[:, :, None]  # (n, d, 7, 2)
    clear = np.ones(len(path), bool)
    for a in range(path.shape[1] - 1):
        for b in range(a + 2, path.shape[1] - 1):
            difference = points[:, a, :, None] - points[:, b, None]
            distance = np.linalg.norm(difference, axis=-1).min(axis=(1, 2))
            clear &= distance >= clearance
    return clear


def grow_distractors(settings, rng, space, rows):
    """Pivots (n, distractors, d + 1, 2) of distractors in the images `rows`; NaN where no place
    was found."""
    d = settings.distractor_length
    pivots = np.full((len(space.step), settings.distractors, d + 1, 2), np.nan)
    for number in range(settings.distractors):
        missing = rows
        for _ in range(TRIALS):
            place = np.repeat(missing, PLACES)
            path = rng.uniform(0, [settings.height, settings.size], (len(place), 1, 2))
            free = space.is_free(2 * place, path[:, 0])
            place, path = place[free], path[free]  # (m,), (m, 1 .. d + 1, 2)
            direction = rng.integers(0, CIRCLE, (len(place), 1), np.int32)
            for i in range(d):
                if i:
                    turns = draw_turns(rng, (len(place), 4), settings.continuity)
                    direction = direction[:, None] + turns
                found, _, direction, end = choose_step(
                    space, 2 * place, place, path[:, -1:], direction
                )
                path = np.concatenate([path, end[:, None]], axis=1)[found]
                place, direction = place[found], direction[found]
            clear = keeps_clear_of_itself(path, space.clearance[place])
            place, path = place[clear], path[clear]
            first = np.diff(place, prepend=-1) > 0  # of each image
            place = place[first]
            pivots[place, number] = path[first]
            for start, end in zip(
                path[first].swapaxes(0, 1), path[first].swapaxes(0, 1)[1:], strict=False
            ):
                space.change(2 * place, place, start, end, 1)
            missing = np.setdiff1d(missing, place, assume_unique=True)
            if not missing.size:
                break
    return pivots[rows]


@dataclass
class Scenes:
    """What n images show.

    Attributes:
        margins: (n,).
        contours: pivots (n, 2, contour_length + 1, 2), row and column in pixels.
        distractors: pivots (n, distractors, distractor_length + 1, 2); NaN for those left out.
        markers: (n, 2, 2, 2), for each class the two points.
    """

    margins: np.ndarray
    contours: np.ndarray
    distractors: np.ndarray
    markers: np.ndarray

    def __len__(self):
        return len(self.margins)


def draw_scenes(settings, rng, count):
    """Up to `count` scenes: as many as come out whole of so many beginnings."""
    margins = rng.choice(settings.margins, count).astype(float)
    space = Space(settings, margins)
    contours, rows = grow_contours(settings, rng, space, margins)
    markers, matched = match_markers(settings, contours, margins[rows])
    contours, rows, markers = contours[matched], rows[matched], markers[matched]
    distractors = grow_distractors(settings, rng, space, rows)
    return Scenes(margins[rows], contours, distractors, markers)


def draw_chunk(settings, seed, split, chunk, easier=None):
    """Scenes of chunk number `chunk` of split number `split`, and labels, of each class half.

    The settings are the published ones; `easier`, an `Easier`, asks for easier images.
    """
    key = (settings.size, split, chunk)
    if easier:
        settings, key = easier.settings(settings, chunk), (*key, *easier.key)
    stream = np.random.SeedSequence(seed, spawn_key=key)
    rng = np.random.Generator(np.random.Philox(stream))
    parts, missing = [], settings.chunk
    while missing > 0:
        parts.append(draw_scenes(settings, rng, 4 * missing + 100))
        missing -= len(parts[-1])
    scenes = Scenes(
        *(
            np.concatenate([getattr(part, name) for part in parts])[: settings.chunk]
            for name in Scenes.__dataclass_fields__
        )
    )
    return scenes, rng.permutation(np.arange(settings.chunk, dtype=np.uint8) % 2)


def generate_chunk(settings, seed, split, chunk, easier=None, step_labels=False):
    """Images (chunk, height, size) and labels (chunk,) of chunk number `chunk`, both uint8.

    With `step_labels` also the labels of the pixels (chunk, height, size), see `label_pixels`.
    """
    scenes, labels = draw_chunk(settings, seed, split, chunk, easier)
    if easier:
        settings = easier.settings(settings, chunk)
    images = render(settings, scenes, labels)
    steps = [label_pixels(settings, scenes, labels)] if step_labels else []
    return images, labels, *steps
