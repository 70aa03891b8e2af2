"""Compression during training: in place, optimizer and all, or not at all."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dss.callbacks import CompressDuringTraining
from keras_dss.callbacks.exchange import exchange_layers
from keras_dss.callbacks.moments import Moments
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.layers import DSS, DSSBlock
from keras_dss.layers.dss import reduced_config
from keras_dss.models import DSSClassifier
from keras_dss.optimizers import DSSAdamW
from keras_dss.ssm import balanced_truncation, hankel_singular_values
from tests.compression.models import make_inputs, plain_config
from tests.layers import oracles

LENGTH = 12


def make_model(**options):
    options = {"features": 3, "num_blocks": 2, "state_size": 6, "channels": 3} | options
    return DSSClassifier(2, **options)


def compile_model(model, optimizer=None):
    optimizer = optimizer or DSSAdamW(1e-2, weight_decay=0.01)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    # XLA takes seconds for each new shape; JAX compiles by itself
    model.compile(optimizer, loss, jit_compile=keras.backend.backend() == "jax")
    return model


def make_data(count=8):
    x = make_inputs(count, LENGTH)
    return x, (x.sum(axis=(1, 2)) > 0.0).astype("int32")


def values_of(optimizer):
    return [np.array(ops.convert_to_numpy(v)) for v in optimizer.variables]


def step(optimizer, variables, seed=0):
    """One step of an optimizer with gradients that are normal numbers."""
    generator = np.random.default_rng(seed)
    gradients = [generator.normal(size=v.shape).astype("float32") for v in variables]
    gradients = [ops.convert_to_tensor(g) for g in gradients]
    if keras.backend.backend() != "jax":
        optimizer.apply(gradients, variables)
        return
    if not optimizer.built:
        optimizer.build(variables)
    values = [v.value for v in optimizer.variables], gradients, [v.value for v in variables]
    weights, states = optimizer.stateless_apply(*values)
    pairs = zip([*variables, *optimizer.variables], [*weights, *states], strict=True)
    for v, value in pairs:
        v.assign(value)


def trained(**options):
    """A compiled model whose optimizer has done two steps."""
    model = compile_model(make_model(**options))
    for seed in range(2):
        step(model.optimizer, model.trainable_variables, seed)
    return model


def outputs(model, x):
    return ops.convert_to_numpy(model(x))


def reduced(model, rank=3):
    """Configurations of all layers by balanced truncation."""
    return {
        path: reduced_config(
            layer, balanced_truncation(layer.to_system(), rank).system, oracles.numpy(layer.log_dt)
        )
        for path, layer in find_dss_layers(model).items()
    }


@pytest.mark.parametrize("unit", ["epoch", "batch"])
def test_fit_shrinks_the_same_model(unit, tmp_path):
    model, (x, y) = make_model(num_blocks=1, bidirectional=unit == "batch"), make_data()
    compile_model(model, DSSAdamW(keras.optimizers.schedules.CosineDecay(1e-2, 100)))
    layers, blocks = find_dss_layers(model), list(model.blocks)
    before = {path: layer.to_system() for path, layer in layers.items()}
    callback = CompressDuringTraining(0.2, start=1, stop=2, unit=unit)
    history = model.fit(
        x, y, batch_size=4, epochs=2, shuffle=False, verbose=0, callbacks=[callback],
        validation_data=(x, y) if unit == "epoch" else None,
    ).history  # fmt: skip
    assert all(np.isfinite(values).all() for values in history.values())
    assert model.blocks == blocks and find_dss_layers(model) == layers
    assert int(model.optimizer.iterations) == 4
    assert {r.path for r in callback.reductions} == set(layers)
    for r in callback.reductions:
        layer = layers[r.path]
        assert layer.state_size == layer.W.shape[-2] == r.rank_after < r.rank_before == 6
        assert (r.epoch, r.step) == ((1, 2) if unit == "epoch" else (0, 1))
        assert r.tail <= 0.2
        if unit == "batch":  # one step later the system is still near
            energy = hankel_singular_values(before[r.path]) ** 2
            assert energy[..., 2 * r.rank_after :].sum() <= r.tail * energy.sum() * 1.2
    states = (2 if unit == "batch" else 1) * 3 * sum(r.rank_after for r in callback.reductions)
    assert history["states"][-1] == states < 2 * 3 * 6 * (2 if unit == "batch" else 1)

    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    pairs = zip(find_dss_layers(loaded).values(), layers.values(), strict=True)
    assert all(a.get_config() == b.get_config() for a, b in pairs)
    assert [tuple(w.shape) for w in loaded.weights] == [tuple(w.shape) for w in model.weights]
    for a, b in zip(values_of(loaded.optimizer), values_of(model.optimizer), strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(outputs(loaded, x), outputs(model, x))


def test_outputs_are_those_of_the_reduced_systems():
    model, (x, _) = trained(num_blocks=1), make_data()
    layers = find_dss_layers(model)
    configs = reduced(model, 6)  # of full rank: nothing changes but the eigenvalues' kind
    before = outputs(model, x)
    exchange_layers(model, layers, configs)
    assert all(layer.eigenvalues == "per_feature" for layer in layers.values())
    np.testing.assert_allclose(outputs(model, x), before, atol=1e-5)
    small = reduced(model)
    systems = {path: DSS.from_config(config) for path, config in small.items()}
    exchange_layers(model, layers, small)
    for path, layer in layers.items():
        systems[path].build((None, None, 3))
        expected = systems[path].to_system().impulse_response(LENGTH)
        np.testing.assert_allclose(layer.to_system().impulse_response(LENGTH), expected, rtol=1e-6)


def test_state_of_the_optimizer():
    """Untouched weights, log dt and D keep theirs bit for bit, others move to the new modes."""
    model = trained()
    optimizer, layers = model.optimizer, find_dss_layers(model)

    def slots():
        return {
            (i, name): values
            for i, v in enumerate(model.trainable_variables)
            for name in ("momentum", "velocity")
            for values in [
                np.array(ops.convert_to_numpy(slot))
                for slot in optimizer.variables
                if slot.name == f"{v.path.replace('/', '_')}_{name}"
            ]
        }

    before, rate = slots(), float(optimizer.learning_rate)
    exchange_layers(model, layers, reduced(model))
    after = slots()
    assert optimizer is model.optimizer and int(optimizer.iterations) == 2
    assert float(optimizer.learning_rate) == rate
    assert len(optimizer.variables) == 2 + 2 * len(model.trainable_variables)
    assert before.keys() == after.keys()
    exchanged = {id(v) for layer in layers.values() for v in layer.weights} - {
        id(v) for layer in layers.values() for v in (layer.log_dt, layer.D)
    }
    for i, v in enumerate(model.trainable_variables):
        if id(v) not in exchanged:
            for name in ("momentum", "velocity"):
                np.testing.assert_array_equal(after[i, name], before[i, name])
        else:
            assert (after[i, "momentum"] == 0.0).all()
            assert (after[i, "velocity"] >= 0.0).all() and after[i, "velocity"].shape == v.shape
            ratio = after[i, "velocity"].mean() / before[i, "velocity"].mean()
            assert 1e-3 < ratio < 1e3


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.01, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.01, amsgrad=True, use_ema=True, ema_momentum=0.9),
    "accumulating": lambda: keras.optimizers.AdamW(0.01, gradient_accumulation_steps=2),
    "nadam": lambda: keras.optimizers.Nadam(0.01),
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "adagrad": lambda: keras.optimizers.Adagrad(0.01),
    "adafactor": lambda: keras.optimizers.Adafactor(0.01),
    "lion": lambda: keras.optimizers.Lion(0.01),
    "scaled": lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(0.01)),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on(name):
    """Its variables are those that a new one has, in their order, and it takes further steps."""
    ssm = DSS(5)
    ssm.build((None, None, 3))
    other = keras.Variable(np.ones((3, 2)), name="kernel", dtype="float32")
    model = keras.Sequential([keras.Input((None, 3)), ssm])
    optimizer = OPTIMIZERS[name]()
    model.compile(optimizer, "mse")

    def go_on(seed):
        step(optimizer, [*model.trainable_variables, other], seed)

    go_on(0)
    go_on(1)
    mine = [v for v in optimizer.variables if "kernel" in v.name]
    before = [np.array(ops.convert_to_numpy(v)) for v in mine]
    exchange_layers(model, find_dss_layers(model), reduced(model, 2))
    after = [ops.convert_to_numpy(v) for v in optimizer.variables if "kernel" in v.name]
    assert before
    for a, b in zip(after, before, strict=True):
        np.testing.assert_array_equal(a, b)
    fresh = OPTIMIZERS[name]()
    fresh.build([*model.trainable_variables, other])
    pairs = zip(optimizer.variables, fresh.variables, strict=True)
    for a, b in pairs:
        assert a.shape == b.shape
        assert a.name == b.name or a.name.startswith("variable_")  # has no name in Keras
    assert int(optimizer.iterations) in (1, 2)
    go_on(2)
    go_on(3)
    assert all(np.isfinite(oracles.numpy(v)).all() for v in model.weights)


def test_moments_of_the_same_modes():
    """Carried over to the same modes, second moments stay near what they are."""
    layer = DSS(6, dt_min=1e-2, dt_max=1e-1)
    layer.build((None, None, 4))
    generator = np.random.default_rng(0)
    before = Moments(layer)
    squares = {
        "W": np.exp(generator.normal(size=(4, 6, 2), scale=0.1)),
        "lambda_re": np.exp(generator.normal(size=6, scale=0.1)),
        "lambda_im": np.exp(generator.normal(size=6, scale=0.1)),
    }
    config = reduced_config(layer, layer.to_system(), oracles.numpy(layer.log_dt))
    again = DSS.from_config(config)
    again.build((None, None, 4))
    for name, values in before.carried_to(again, squares).items():
        assert values.shape == getattr(again, name).shape
        total = values.sum(axis=0) if name != "W" else values
        assert np.abs(np.log(total / squares[name])).max() < 1.5, name


@pytest.mark.parametrize("kind", ["layer", "optimizer"])
def test_failure_leaves_everything_as_it_was(kind, monkeypatch):
    model, (x, _) = trained(), make_data()
    layers = find_dss_layers(model)
    expected = outputs(model, x)
    weights, config = list(model.weights), model.get_config()
    variables, values = model.optimizer.variables, values_of(model.optimizer)
    configs = reduced(model)
    if kind == "layer":
        configs[list(layers)[1]]["w_initializer"] = keras.initializers.serialize(
            keras.initializers.Identity()  # of matrices alone
        )
    else:
        monkeypatch.setattr("keras_dss.callbacks.slots.SQUARES", None)
    with pytest.raises((ValueError, TypeError)):
        exchange_layers(model, layers, configs)
    assert all(a is b for a, b in zip(model.weights, weights, strict=True))
    assert model.get_config() == config
    assert all(a is b for a, b in zip(model.optimizer.variables, variables, strict=True))
    for a, b in zip(values_of(model.optimizer), values, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(outputs(model, x), expected)
    step(model.optimizer, model.trainable_variables)
    assert int(model.optimizer.iterations) == 3


def test_an_uncompiled_model_by_hand():
    """At any depth, shared by name, frozen where it was; calibration measures the inputs."""
    inner = keras.Sequential([keras.Input((None, 3)), DSSBlock(DSS(6, name="a"))], name="inner")
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, DSS(6, name="b", trainable=False)(inner(inputs)))
    callback = CompressDuringTraining(0.1, calibration=make_inputs(3, LENGTH), min_rank=2)
    found = callback.reduce(model)
    assert [r.path.split("/")[-1] for r in found] == ["a", "b"]
    assert all(2 <= r.rank_after < 6 for r in found)
    assert len(model.layers[-1].trainable_weights) == 0 and len(model.layers[-1].weights) == 5
    clone = keras.models.clone_model(model)
    assert [w.shape for w in clone.weights] == [w.shape for w in model.weights]
    again = callback.reduce(model)
    assert all(r.rank_after < r.rank_before for r in again)
    assert callback.reductions == found + again


def test_nothing_to_gain():
    model = make_model()
    weights = list(model.weights)
    callback = CompressDuringTraining(1e-9)
    assert callback.reduce(model) == [] == callback.reductions
    assert all(a is b for a, b in zip(model.weights, weights, strict=True))


def test_models_that_could_not_be_saved():
    model = plain_config()
    model.compile("sgd", "mse")
    x = make_inputs(2, 20)
    with pytest.raises(ValueError, match="configuration of model .* must hold its DSS layers"):
        model.fit(x, x[..., :2], verbose=0, callbacks=[CompressDuringTraining()])


@pytest.mark.skipif(not hasattr(keras.optimizers, "Muon"), reason="a Keras without Muon")
def test_an_optimizer_with_another_state_for_matrices():
    model = make_model()
    model.compile(keras.optimizers.Muon(1e-3), "mse")
    x = make_inputs(2, 20)
    with pytest.raises(ValueError, match="same state for matrices .* Received: Muon"):
        model.fit(x, model(x), verbose=0, callbacks=[CompressDuringTraining()])


BAD = [
    ({"tolerance": 0.0}, r"`tolerance` must be in \(0, 1\). Received: tolerance=0.0"),
    ({"tolerance": 1.0}, r"`tolerance`"),
    ({"unit": "second"}, r"`unit` must be one of .* Received: unit='second'"),
    ({"start": -1}, r"`start` must be an integer of at least 0. Received: start=-1"),
    ({"every": 0}, r"`every`"),
    ({"min_rank": 1.5}, r"`min_rank`"),
    ({"min_saving": 1.0}, r"`min_saving` must be in \[0, 1\)"),
    ({"method": "best"}, r"`method` must be one of"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        CompressDuringTraining(**options)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "finite_horizon"}, "needs a horizon. Received: horizon=None"),
        ({"method": "modal", "horizon": 5}, "use a horizon. Received: horizon=5"),
        ({"horizon": 0}, "`horizon` must be an integer of at least 1. Received: horizon=0"),
        ({"calibration": iter([make_inputs()])}, "repeatedly. Received: an iterator"),
        ({"start": True}, "`start` must be an integer of at least 0. Received: start=True"),
        ({"stop": "a"}, "`stop` must be an integer of at least 0. Received: stop='a'"),
        ({"tolerance": "a"}, r"must be in \(0, 1\). Received: tolerance='a'"),
        ({"min_saving": None}, r"must be in \[0, 1\). Received: min_saving=None"),
        ({"batch_size": -1}, "`batch_size` must be a positive integer or None. Received: .*=-1"),
    ],
)
def test_options_that_would_fail_during_fit(options, message):
    with pytest.raises(ValueError, match=message):
        CompressDuringTraining(**options)


def test_a_horizon_and_numbers_of_numpy():
    model = make_model()
    numbers = {"start": np.int64(1), "stop": np.int64(3), "every": np.int32(1)}
    callback = CompressDuringTraining(
        np.float32(0.1), method="finite_horizon", horizon=np.int64(8), **numbers
    )
    assert callback.reduce(model)
    assert not callback._due(0) and callback._due(2) and not callback._due(3)
    assert max(layer.state_size for layer in find_dss_layers(model).values()) < 6
