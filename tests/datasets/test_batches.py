import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_dss.datasets import Batches, choose_boundaries, sequence_lengths
from keras_dss.datasets.standardised import Standardised


def tokens(lengths, width):
    """Sequences of the given lengths; the first token of each tells its number."""
    x = np.zeros((len(lengths), width), np.uint16)
    for number, (row, length) in enumerate(zip(x, lengths, strict=True), start=1):
        row[:length] = number
    return x


cases = st.fixed_dictionaries(
    {
        "lengths": st.lists(st.integers(1, 300), min_size=1, max_size=200),
        "batch_size": st.integers(1, 40),
        "boundaries": st.sampled_from([1, 3, 8, [64, 128, 300], [300], [100, 1000]]),
        "seed": st.integers(0, 2**32),
        "epoch": st.integers(0, 1000),
        "shuffle": st.booleans(),
    }
)


def build(case, **changes):
    case = {**case, **changes}
    lengths = case.pop("lengths")
    return Batches(tokens(lengths, 300), np.arange(len(lengths)), **case)


@settings(max_examples=60, deadline=None)
@given(cases)
def test_every_example_once_in_full_batches_of_few_lengths(case):
    batches = build(case)
    lengths = np.array(case["lengths"])
    received = list(batches)
    labels = np.concatenate([y for _, y in received])
    np.testing.assert_array_equal(np.sort(labels), np.arange(len(lengths)))
    np.testing.assert_array_equal(labels, batches.order)
    for x, y in received:
        assert x.dtype == y.dtype == np.int32
        np.testing.assert_array_equal(x[:, 0], y + 1)
        np.testing.assert_array_equal(sequence_lengths(x), lengths[y])
        assert x.shape[1] == min(b for b in batches.boundaries if b >= lengths[y].max())
    sizes = [len(y) for _, y in received]
    assert sum(size != case["batch_size"] for size in sizes) <= 1
    assert len(received) == len(batches) == batches.num_batches
    assert len(received) == -(-len(lengths) // case["batch_size"])

    dropped = [y for _, y in build(case, drop_remainder=True)]
    assert all(len(y) == case["batch_size"] for y in dropped)
    assert len(dropped) == len(lengths) // case["batch_size"]


@settings(max_examples=40, deadline=None)
@given(cases, st.integers(0, 50), st.integers(0, 50))
def test_the_order_depends_on_seed_and_epoch_alone(case, start, stop):
    def order(**changes):
        return [y.tolist() for _, y in build(case, **changes)]

    whole = order()
    assert order() == whole
    assert order(start=start, stop=stop) == whole[start:stop]
    assert order(start=start) == whole[start:]
    if case["shuffle"] and len(case["lengths"]) > 20:
        assert order(epoch=case["epoch"] + 1) != whole
        assert order(seed=case["seed"] + 1) != whole
    if not case["shuffle"]:
        assert order(epoch=case["epoch"] + 1) == whole

    batches = build(case)
    batches.set_epoch(case["epoch"] + 3)
    assert [y.tolist() for _, y in batches] == order(epoch=case["epoch"] + 3)


@settings(max_examples=40, deadline=None)
@given(cases)
def test_neighbours_differ_in_length_until_one_length_is_left(case):
    widths = [x.shape[1] for x, _ in build(case)]
    for i in range(len(widths) - 1):
        assert widths[i] != widths[i + 1] or len(set(widths[i:])) == 1


def test_batches_hold_similar_lengths():
    lengths = np.random.default_rng(0).integers(1, 2000, 5000)
    batches = Batches(tokens(lengths, 2000), batch_size=50)
    widths = [x.shape[1] for (x,) in batches]
    assert len(set(widths)) <= 8
    assert np.mean(widths) < 1.15 * lengths.mean()


def test_sequence_lengths():
    x = np.array([[1, 0, 2, 0], [0, 0, 0, 0], [1, 2, 3, 4]], np.uint8)
    assert sequence_lengths(x).tolist() == [3, 0, 4]
    assert sequence_lengths(x[:0]).tolist() == []


def test_lengths_of_pairs_and_of_floats():
    pairs = np.array([[[1, 0, 0], [2, 2, 0]], [[0, 0, 0], [0, 0, 0]], [[0, 3, 4], [1, 0, 0]]])
    assert sequence_lengths(pairs).tolist() == [2, 0, 3]
    waves = np.zeros((3, 4, 2), np.float32)
    waves[0, 1, 0] = waves[2, 3, 1] = -0.5  # a step is padding only if every channel is 0
    assert sequence_lengths(waves).tolist() == [2, 0, 4]
    assert sequence_lengths(waves[:, :, 0]).tolist() == [2, 0, 0]
    long = tokens(np.arange(10_000) % 6, 5)  # more than are looked at together
    assert sequence_lengths(long).tolist() == (np.arange(10_000) % 6).tolist()
    assert sequence_lengths(long).dtype == sequence_lengths(long[:0]).dtype == np.int64


def test_pairs_are_truncated_to_the_longer_sequence():
    lengths = np.random.default_rng(0).integers(1, 300, (2, 100))
    x = np.stack([tokens(lengths[0], 300), tokens(lengths[1], 300)], axis=1)  # (100, 2, 300)
    batches = Batches(x, np.arange(100), 8)
    assert len(batches.boundaries) > 1 and batches.boundaries[-1] <= 300
    for inputs, labels in batches:
        assert inputs.dtype == np.int32 and inputs.shape[:2] == (len(labels), 2)
        longest = lengths[:, labels].max()
        assert inputs.shape[2] == min(b for b in batches.boundaries if b >= longest)
        np.testing.assert_array_equal(inputs, x[labels, :, : inputs.shape[2]])


def test_labels_of_each_step_are_truncated_with_the_tokens():
    x = tokens([2, 5, 60, 120], 128)
    y = np.where(x > 0, x + 1, 0)
    received = list(Batches(x, y, 2, boundaries=[8, 128], shuffle=False))
    assert [(inputs.shape, labels.shape) for inputs, labels in received] == [
        ((2, 8), (2, 8)),
        ((2, 128), (2, 128)),
    ]
    np.testing.assert_array_equal(received[1][1], y[2:])
    assert received[0][1].dtype == np.int32

    # Labels that are not one for each step stay whole.
    for other in (y[:, :100], y.astype("float32")):
        labels = next(iter(Batches(x, other, 2, boundaries=[8, 128], shuffle=False)))[1]
        np.testing.assert_array_equal(labels, other[:2])


def test_labels_of_each_step_of_pairs_are_truncated():
    x = np.stack([tokens([2, 5, 60, 120], 128), tokens([4, 1, 100, 2], 128)], axis=1)
    received = list(Batches(x, {"steps": x + 1}, 2, boundaries=[8, 128], shuffle=False))
    for (inputs, labels), length in zip(received, (8, 128), strict=True):
        assert inputs.shape == (2, 2, length)
        np.testing.assert_array_equal(labels["steps"], inputs + 1)


def test_labels_of_several_outputs():
    x = np.arange(12, dtype="float32").reshape(6, 2, 1)
    y = {"a": np.arange(6, dtype="uint8"), "b": np.arange(12.0).reshape(6, 2)}
    for inputs, labels in Batches(x, y, 2, seed=3):
        assert labels["a"].dtype == np.int32 and labels["b"].dtype == np.float32
        np.testing.assert_array_equal(inputs[:, 0, 0], 2 * labels["a"])
        np.testing.assert_array_equal(inputs[..., 0], labels["b"])
    tokens = np.array([[1, 2, 0, 0], [3, 0, 0, 0]], "uint8")
    y = {"a": np.arange(2), "b": tokens + np.uint8(5)}
    ((inputs, labels),) = Batches(tokens, y, 2, boundaries=[2, 4], shuffle=False)
    np.testing.assert_array_equal(labels["b"], inputs + 5)
    assert inputs.shape == (2, 2) and labels["a"].shape == (2,)


def test_labels_of_several_outputs_are_as_many_as_examples():
    x = np.ones((6, 2, 1), "float32")
    y = {"a": np.arange(6), "b": np.arange(6)}
    with pytest.raises(ValueError, match=r"`y\['b'\]` must have as many entries.*6. Received: 5"):
        Batches(x, {"a": y["a"], "b": y["b"][:5]}, 2)


def test_targets_of_several_steps_stay_whole():
    x, y = np.ones((6, 10, 3), "float32"), np.ones((6, 4, 3))
    for options in ({}, {"lengths": [5] * 6, "boundaries": [5]}):
        inputs, labels = Batches(x, y, 4, **options)[0]
        assert inputs.shape == (4, 5 if options else 10, 3)
        assert labels.shape == (4, 4, 3) and labels.dtype == np.float32


def test_views_are_read_batch_by_batch(tmp_path):
    raw = np.random.default_rng(0).integers(0, 256, (20, 6), np.uint8)
    np.save(tmp_path / "raw.npy", raw)
    x = Standardised(np.load(tmp_path / "raw.npy", mmap_mode="r"), mean=100.0, deviation=50.0)
    expected = np.asarray(x)
    for options, steps in (({}, 6), ({"lengths": [3] * 20, "boundaries": [4]}, 4)):
        batches = Batches(x, np.arange(20), 8, **options)
        assert (batches.boundaries is None) == (not options)
        for inputs, labels in batches:
            assert inputs.dtype == np.float32 and inputs.shape == (len(labels), steps, 1)
            np.testing.assert_array_equal(inputs, expected[labels, :steps])
    assert sequence_lengths(x).tolist() == [6] * 20

    series = np.arange(24, dtype="float32").reshape(12, 2)
    windows = np.lib.stride_tricks.sliding_window_view(series, (5, 2))[:, 0]  # (8, 5, 2)
    for inputs, labels in Batches(windows, np.arange(8), 3):
        np.testing.assert_array_equal(inputs[:, 0], series[labels])
        inputs += 1  # a copy: the series stays as it is
    np.testing.assert_array_equal(series.ravel(), np.arange(24))


def test_boundaries():
    assert choose_boundaries([1, 2, 3]) == [64]
    assert choose_boundaries(np.arange(1, 2001), 4) == [512, 1024, 1536, 2048]
    x = tokens(range(1, 2001), 2000)
    assert Batches(x, boundaries=4).boundaries == [512, 1024, 1536, 2000]


@pytest.mark.parametrize("options", [{}, {"boundaries": [2, 4]}, {"shuffle": False}])
def test_an_empty_split_has_no_batches(options):
    for x in (np.zeros((0, 4), "uint8"), np.zeros((0, 2, 4), "uint8"), np.zeros((0, 4, 1))):
        batches = Batches(x, np.zeros(0, int), **options)
        assert len(batches) == 0 and list(batches) == batches.plan == []
        assert batches.order.shape == (0,)
    assert choose_boundaries([]) == []


def test_floats_and_images():
    x = np.arange(10 * 4 * 1, dtype=np.float64).reshape(10, 4, 1)
    y = np.linspace(0, 1, 10)
    batches = Batches(x, y, 4, seed=1)
    assert batches.boundaries is None
    assert sorted(inputs.shape for inputs, _ in batches) == [(2, 4, 1), (4, 4, 1), (4, 4, 1)]
    for inputs, labels in batches:
        assert inputs.dtype == labels.dtype == np.float32
    np.testing.assert_allclose(np.concatenate([b for _, b in batches]), y[batches.order], rtol=1e-6)

    batches = Batches(x, batch_size=4, lengths=[1] * 5 + [3] * 5, boundaries=[1, 3], shuffle=False)
    assert [inputs.shape for (inputs,) in batches] == [(4, 1, 1), (4, 3, 1), (2, 3, 1)]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"y": np.zeros(3)}, "`y` must have as many entries as `x`, 4. Received: 3"),
        ({"lengths": [1, 2]}, "`lengths` must have .* Received: 2"),
        ({"batch_size": 0}, "at least 1. Received: 0"),
        ({"boundaries": [2, 3]}, "up to the longest sequence, 4. Received: .2, 3."),
        ({"boundaries": [4, 3]}, "must increase"),
        ({"boundaries": []}, "must increase"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Batches(tokens([1, 2, 3, 4], 5), **options)
    with pytest.raises(TypeError):
        Batches(tokens([1], 5), bucket=1)


class Recorder(keras.callbacks.Callback):
    def __init__(self, batches):
        super().__init__()
        self.batches, self.epochs = batches, []

    def on_epoch_begin(self, epoch, logs=None):
        self.epochs.append(self.batches.epoch)


@pytest.fixture
def model():
    layers = [
        keras.layers.Embedding(300, 4, mask_zero=True),
        keras.layers.GlobalAveragePooling1D(),
        keras.layers.Dense(2, activation="softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def test_fit_goes_through_whole_epochs(model):
    """Keras looks at batches before the first epoch and rewinds: that epoch is not lost."""
    lengths = np.random.default_rng(0).integers(1, 300, 100)
    x, y = tokens(lengths, 300), lengths % 2
    train = Batches(x, y, 16, seed=3)
    validation = Batches(x, y, 32, shuffle=False, boundaries=train.boundaries)
    recorder = Recorder(train)
    history = model.fit(
        train, epochs=3, shuffle=False, verbose=0, validation_data=validation, callbacks=[recorder]
    )
    assert recorder.epochs == [0, 1, 2] and train.epoch == 3
    assert len(history.history["val_loss"]) == 3

    predictions = model.predict(validation, verbose=0)
    expected = model.predict(x.astype("int32"), verbose=0)
    np.testing.assert_allclose(predictions, expected[validation.order], atol=1e-5)
    assert model.evaluate(validation, verbose=0)[0] == pytest.approx(
        history.history["val_loss"][-1], rel=1e-4
    )


def test_fit_resumes_in_the_middle_of_an_epoch(model):
    lengths = np.random.default_rng(0).integers(1, 300, 100)
    x, y = tokens(lengths, 300), lengths % 2
    keras.utils.set_random_seed(0)
    model.build((None, None))
    initial = model.get_weights()
    model.fit(Batches(x, y, 16, seed=3), epochs=2, shuffle=False, verbose=0)
    expected = model.get_weights()

    model.set_weights(initial)
    model.fit(Batches(x, y, 16, seed=3), epochs=1, shuffle=False, verbose=0)
    for start, stop in ((0, 3), (3, None)):
        part = Batches(x, y, 16, seed=3, epoch=1, start=start, stop=stop)
        model.fit(part, epochs=1, shuffle=False, verbose=0)
        assert part.epoch == 2 and len(part) == 7
    for received, weight in zip(model.get_weights(), expected, strict=True):
        np.testing.assert_allclose(received, weight, atol=1e-6)


def test_fit_of_several_epochs_from_the_middle_is_refused(model):
    x = tokens([5] * 50 + [100] * 50, 100)
    batches = Batches(x, np.zeros(100), 10, start=4)
    with pytest.raises(
        RuntimeError, match="call of its own.*6 batches in the first.*10 in the next"
    ):
        model.fit(batches, epochs=2, shuffle=False, verbose=0)
