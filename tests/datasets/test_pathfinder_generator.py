import dataclasses

import numpy as np
import pytest

from benchmarks import pathfinder_follower
from keras_dss.datasets.pathfinder.generator import draw_chunk, generate_chunk
from keras_dss.datasets.pathfinder.render import dashes, render
from keras_dss.datasets.pathfinder.settings import SETTINGS, Easier
from keras_dss.datasets.pathfinder.space import CIRCLE, draw_turns

SIZES = sorted(SETTINGS)


@pytest.fixture(scope="module", params=SIZES)
def drawn(request):
    """Settings, scenes, labels and images of a chunk."""
    settings = dataclasses.replace(SETTINGS[request.param], chunk={32: 200, 128: 50}[request.param])
    scenes, labels = draw_chunk(settings, 3, 1, 5)
    return settings, scenes, labels, render(settings, scenes, labels)


def test_published_settings():
    small, large = (SETTINGS[size] for size in SIZES)
    common = ("contour_length", "distractor_length", "padding")
    assert [[getattr(s, name) for name in common] for s in (small, large)] == [[14, 4, 1]] * 2
    assert (small.dash, small.thickness, small.marker_radius, small.margins) == (2, 0.5, 1.5, (1,))
    assert (small.seed_distance, small.continuity, small.distractors) == (7, 1.0, 5)
    assert (large.dash, large.thickness, large.marker_radius, large.margins) == (5, 1.5, 3, (2, 3))
    assert (large.seed_distance, large.continuity, large.contrast) == (20, 1.8, 0.9)
    assert large.distractors == 35 // (14 // 3)


def test_turns_have_their_density():
    for continuity in (1.0, 1.8):
        turns = draw_turns(np.random.default_rng(0), 100_000, continuity)
        angle = turns * 2 * np.pi / CIRCLE * continuity
        assert np.abs(angle).max() <= np.pi / 2 + 0.01
        # the mean of cos(2 x) under cos^2 on [-pi/2, pi/2] is 1/2
        assert np.cos(2 * angle).mean() == pytest.approx(0.5, abs=0.01)
        assert angle.mean() == pytest.approx(0, abs=0.01)


def test_images(drawn):
    settings, scenes, labels, images = drawn
    assert images.shape == (settings.chunk, settings.size, settings.size)
    assert images.dtype == labels.dtype == np.uint8
    assert labels.sum() * 2 == len(labels) == settings.chunk
    assert images.min() == 0 and (images.max(axis=(1, 2)) >= 250).all()


def test_contours(drawn):
    settings, scenes, _, _ = drawn
    start, end = dashes(settings, scenes.contours, scenes.margins)
    assert start.shape == (settings.chunk, 2, 14, 2)
    np.testing.assert_allclose(np.linalg.norm(end - start, axis=-1), settings.dash)
    gaps = np.linalg.norm(start[:, :, 1:] - end[:, :, :-1], axis=-1)
    assert (gaps <= 2 * scenes.margins[:, None, None] + 1e-9).all()
    step = np.diff(scenes.contours, axis=2)
    heading = np.arctan2(step[..., 0], step[..., 1])
    turn = np.abs((np.diff(heading, axis=2) + np.pi) % (2 * np.pi) - np.pi)
    assert turn.max() <= np.pi / 2 / settings.continuity + 0.01
    origins = start[:, :, 0]
    apart = np.linalg.norm(origins[:, 0] - origins[:, 1], axis=-1)
    np.testing.assert_allclose(apart, settings.seed_distance)
    inside = [scenes.contours, scenes.distractors[~np.isnan(scenes.distractors)]]
    for points in inside:
        assert points.min() >= 0.5 and points.max() <= settings.size - 0.5


def test_snakes_keep_their_distance(drawn):
    settings, scenes, _, _ = drawn
    along = np.linspace(0, 1, 9)[:, None]
    for row in range(40):
        margin = scenes.margins[row]
        snakes = [*scenes.contours[row], *scenes.distractors[row]]
        points = [
            (s[:-1, None] + along * np.diff(s, axis=0)[:, None]).reshape(-1, 2)
            for s in snakes
            if not np.isnan(s).any()
        ]
        for a in range(len(points)):
            for b in range(a):
                distance = np.linalg.norm(points[a][:, None] - points[b], axis=-1).min()
                # cells of half a pixel
                assert distance >= 2 * margin + settings.clearance - 0.75


def test_only_the_connection_differs(drawn):
    settings, scenes, _, _ = drawn
    start, end = dashes(settings, scenes.contours, scenes.margins)
    origins, ends = start[:, :, 0], end[:, :, -1]
    for label in (0, 1):
        origin, far = scenes.markers[:, label].swapaxes(0, 1)
        contour = np.linalg.norm(origins - origin[:, None], axis=-1).argmin(axis=1)
        other = np.linalg.norm(ends - far[:, None], axis=-1).argmin(axis=1)
        rows = np.arange(len(origins))
        np.testing.assert_allclose(origins[rows, contour], origin)
        np.testing.assert_allclose(ends[rows, other], far)
        assert ((contour == other) == label).all()
    distance = np.linalg.norm(np.diff(scenes.markers, axis=2), axis=-1)[..., 0]  # (n, 2)
    assert np.abs(np.diff(distance)).max() <= settings.tolerance
    shared = (scenes.markers[:, 0] == scenes.markers[:, 1]).all(axis=2)
    assert (shared.sum(axis=1) == 1).all()


def test_chunks_follow_from_seed_split_and_number():
    settings = dataclasses.replace(SETTINGS[32], chunk=10)
    first = draw_chunk(settings, 0, 0, 0)
    again = draw_chunk(settings, 0, 0, 0)
    np.testing.assert_array_equal(render(settings, *first), render(settings, *again))
    np.testing.assert_array_equal(first[1], again[1])
    for other in ((1, 0, 0), (0, 1, 0), (0, 0, 1)):
        assert (draw_chunk(settings, *other)[0].markers != first[0].markers).any()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("length", [2, 5])
def test_easier_images_are_of_the_same_task(size, length):
    settings = dataclasses.replace(SETTINGS[size], chunk=20)
    own = draw_chunk(settings, 0, 0, 0)[0]
    kinds = set()
    for chunk in range(2 * (length - 1)):
        easier = Easier(length)
        easy = easier.settings(settings, chunk)
        scenes, labels = draw_chunk(settings, 0, 0, chunk, easier)
        dashes_each = scenes.contours.shape[2] - 1
        assert scenes.contours.shape[:2] == (20, 2) and labels.sum() == 10
        assert scenes.distractors.shape[1] == easy.distractors
        if dashes_each > 2:  # the follower takes longer distractors for contours
            images = render(settings, scenes, labels)
            assert (pathfinder_follower.predict(images, easy) == labels).mean() >= 0.9
        assert (scenes.markers[:, 0] != own.markers[:, 0]).any()
        kinds.add((dashes_each, easy.distractors))
    assert kinds == {(dashes, turn) for dashes in range(2, length + 1) for turn in (0, 1)}


def test_geometry_solves_the_images(drawn):
    settings, _, labels, images = drawn
    assert (pathfinder_follower.predict(images, settings) == labels).mean() >= 0.97


@pytest.mark.parametrize("height", [32, 64, 100])
def test_strips_are_of_the_same_task(height):
    published, easier = dataclasses.replace(SETTINGS[128], chunk=20), Easier(height=height)
    longest = 2 + 12 * height // 128
    for chunk in range(longest - 1):
        settings = easier.settings(published, chunk)
        scenes, labels = draw_chunk(published, 0, 0, chunk, easier)
        assert settings.contour_length == 2 + chunk == scenes.contours.shape[2] - 1
        images, _, steps = generate_chunk(published, 0, 0, chunk, easier, step_labels=True)
        assert images.shape == steps.shape == (20, height, 128) and labels.sum() == 10
        for points in (scenes.contours, scenes.markers):
            assert (points > 0).all() and (points < [height, 128]).all()
        assert images[steps > 0].mean() > 5 * images[steps == 0].mean()
        if chunk:  # the follower takes longer distractors for contours
            square = np.pad(images, ((0, 0), (0, 128 - height), (0, 0)))
            assert (pathfinder_follower.predict(square, settings) == labels).mean() >= 0.9


def test_easier_images_are_told_apart():
    kinds = Easier(5), Easier(height=32), Easier(5, 32), Easier(height=64)
    assert len({kind.name for kind in kinds}) == len({kind.key for kind in kinds}) == 4
