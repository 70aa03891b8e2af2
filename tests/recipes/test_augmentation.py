import numpy as np
import pytest

from keras_dss.datasets import sequence_lengths
from recipes import augmentation
from recipes.augmentation import augmented, crops, partners, waveforms
from recipes.data import Epochs
from recipes.settings import AUGMENTATIONS, Settings, override


def tones(count=64, length=800, steps=1000, period=20.0):
    x = np.zeros((count, steps, 1), "float32")
    x[:, :length, 0] = np.cos(2 * np.pi * np.arange(length) / period)
    return x


def test_a_tone_gets_another_pitch_length_and_loudness():
    x = tones()
    found, _ = waveforms(x, None, np.random.default_rng(0))
    assert found.dtype == np.float32 and found.shape == x.shape
    lengths = sequence_lengths(found)
    speeds = 800 / lengths
    assert speeds.min() < 0.92 and speeds.max() > 1.08
    assert np.all((speeds > 0.898) & (speeds < 1.103))
    peaks = np.abs(found).max(axis=(1, 2))
    assert 0.49 < peaks.min() < 0.6 and 1.7 < peaks.max() < 2.01
    for row, length in zip(found[..., 0], lengths, strict=True):
        crossings = np.sum(row[: length - 1] * row[1:length] < 0)
        assert abs(crossings - 2 * 800 / 20) <= 2  # all of its periods, in a time of their own


def test_no_recording_loses_its_end():
    x = tones(length=1000)
    x[:, -20:] = 5.0
    found, _ = waveforms(x, None, np.random.default_rng(1))
    ends = sequence_lengths(found)
    assert np.all(ends - np.abs(found[..., 0]).argmax(axis=1) < 25)
    assert np.abs(found[:, -1]).max() > 0  # what would be slowed stays as it is


def test_every_channel_plays_at_the_same_speed():
    x = np.concatenate([tones(4), tones(4)], axis=2)
    found, _ = waveforms(x, None, np.random.default_rng(2))
    np.testing.assert_array_equal(found[..., 0], found[..., 1])


Y = np.arange(64) % 2


def texts(count=64, length=90, steps=100):
    x = np.zeros((count, steps), "uint8")
    x[:, :length] = 1 + np.arange(length)
    return x


def test_a_part_of_a_text_stays():
    x = texts()
    x[0] = 0  # an empty one
    found, labels = crops(x, Y, np.random.default_rng(0))
    assert labels is Y
    assert found.dtype == x.dtype and found.shape == x.shape and not found[0].any()
    lengths = sequence_lengths(found)[1:]
    assert 45 <= lengths.min() < 50 and 85 < lengths.max() <= 90
    firsts = found[1:, 0]
    assert firsts.min() < 5 and firsts.max() > 25
    for row, length in zip(found[1:], lengths, strict=True):
        np.testing.assert_array_equal(row[:length], row[0] + np.arange(length))


def pairs(count=20):
    """The tokens of a pair are its number, and 100 more in its second sequence."""
    x = np.zeros((count, 2, 40), "uint8")
    x[:, 0, :30] = np.arange(1, count + 1)[:, None]
    x[:, 1, :36] = np.arange(101, count + 101)[:, None]
    return x


def test_labels_of_steps_stay_with_their_steps():
    x = texts()
    steps = np.where(x, x + 100, 255).astype("int32")
    found, labels = crops(x, {"logits": Y, "steps": steps}, np.random.default_rng(0))
    assert labels["logits"] is Y and labels["steps"].dtype == np.int32
    np.testing.assert_array_equal(labels["steps"], np.where(found, found + 100.0, 255))
    np.testing.assert_array_equal(found, crops(x, Y, np.random.default_rng(0))[0])


@pytest.mark.parametrize("with_steps", [False, True])
def test_pairs_that_do_not_belong_together_change_partners(with_steps):
    x, y = pairs(), np.arange(20) % 2
    steps = np.where(x, x + 100, 255).astype("int32")
    labels = {"logits": y, "steps": steps} if with_steps else y
    found, labels = partners(x, labels, np.random.default_rng(0))
    assert found.dtype == x.dtype and found.shape == x.shape
    if with_steps:
        np.testing.assert_array_equal(labels["steps"], np.where(found, found + 100.0, 255))
        labels = labels["logits"]
    assert labels is y
    lengths = sequence_lengths(found.reshape(40, 40)).reshape(20, 2)
    assert (
        (lengths >= (15, 18)).all() and (lengths <= (30, 36)).all() and len(np.unique(lengths)) > 8
    )
    np.testing.assert_array_equal(found[:, 0, 0], x[:, 0, 0])
    together = found[:, 1, 0] == x[:, 1, 0]
    assert together[1::2].all() and together[::2].sum() < 5
    assert sorted(found[:, 1, 0]) == sorted(x[:, 1, 0])


DATA = {"waveforms": tones(20), "crops": texts(20), "partners": pairs()}


def test_names_are_those_of_the_settings():
    assert tuple(augmentation.AUGMENTATIONS) == AUGMENTATIONS == tuple(DATA)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_epochs_go_on_from_any_batch_with_the_same_inputs(name):
    arguments = DATA[name], np.arange(20), 5, 3
    options = {"mask_zeros": name == "waveforms"}
    epochs = Epochs(*arguments, **options, augmentation=name)
    whole = list(epochs.epoch(1))
    assert len(whole) == epochs.steps_per_epoch == 4
    for start in range(5):
        rest = list(epochs.epoch(1, start))
        assert len(rest) == 4 - start
        for (x, y), (expected, labels) in zip(rest, whole[start:], strict=True):
            np.testing.assert_array_equal(x, expected)
            np.testing.assert_array_equal(y, labels)
    plain = list(Epochs(*arguments, **options).epoch(1))
    assert [y.tolist() for _, y in whole] == [y.tolist() for _, y in plain]
    for (x, _), (expected, _) in zip(whole, plain, strict=True):
        assert x.dtype == expected.dtype and np.any(x != expected)


def test_what_is_drawn_differs_between_seeds_epochs_and_batches():
    batch = [(tones(4), np.arange(4))] * 2
    drawn = [
        x
        for seed, epoch in ((0, 0), (0, 1), (1, 0))
        for x, _ in augmented(batch, "waveforms", seed, epoch)
    ]
    for i, first in enumerate(drawn):
        assert all(np.any(first != other) for other in drawn[:i])


@pytest.mark.parametrize(
    ("name", "x"),
    [
        ("waveforms", np.ones((8, 30), "uint8")),
        ("waveforms", np.ones((8, 30), "float32")),
        ("partners", np.ones((8, 30), "uint8")),
        ("crops", np.ones((8, 30), "float32")),
    ],
)
def test_other_data_is_refused(name, x):
    with pytest.raises(ValueError, match=f"Expected .*{name}.*Received: {x.dtype}"):
        Epochs(x, np.arange(8), 4, 0, augmentation=name)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_resident_data_is_refused(name):
    with pytest.raises(ValueError, match="not --resident.*resident: True"):
        Epochs(DATA[name], np.arange(20), 4, 0, resident=True, augmentation=name)


def test_an_augmentation_is_set_by_its_name():
    settings = override(Settings("fsdd"), ["train.augmentation=waveforms"])
    assert settings.train.augmentation == "waveforms" and settings.pretrain.augmentation is None
    with pytest.raises(
        ValueError, match="Expected an augmentation of waveforms, crops, partners, or None.*'wave'"
    ):
        override(settings, ["train.augmentation=wave"])
    assert override(settings, ["train.augmentation=None"]).train.augmentation is None
