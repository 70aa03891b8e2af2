"""AdamW with rates of its own for lambda, W and dt."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dss.layers import DSS
from keras_dss.optimizers import DSSAdamW

GROUPS = {"lambda_log_neg_re": 0.1, "lambda_re": 0.1, "lambda_im": 0.1, "W": 0.1, "log_dt": 0.5}


def make_variables():
    generator = np.random.default_rng(0)
    names = [*GROUPS, "D", "kernel", "W_other"]
    return [keras.Variable(generator.normal(size=(3,)), name=name) for name in names]


def run(optimizer, steps=3):
    """{name: values} after some steps, then {name: values} before them."""
    variables = make_variables()
    before = {v.name: ops.convert_to_numpy(v).copy() for v in variables}
    optimizer.build(variables)
    generator = np.random.default_rng(1)
    for _ in range(steps):
        gradient = generator.normal(size=(3,))
        gradients = [ops.convert_to_tensor(gradient, v.dtype) for v in variables]
        optimizer.apply(gradients, variables)
    return {v.name: ops.convert_to_numpy(v) for v in variables}, before


OPTIONS = [{}, {"amsgrad": True}, {"gradient_accumulation_steps": 2}, {"use_ema": True}]


@pytest.mark.parametrize("options", OPTIONS)
def test_equals_adamw_when_nothing_differs(options):
    options = options | {"weight_decay": 0.0, "clipnorm": 1.0, "beta_2": 0.99, "epsilon": 1e-6}
    scales = {"ssm_learning_rate_scale": 1.0, "step_learning_rate_scale": 1.0}
    found, _ = run(DSSAdamW(1e-2, **scales, **options), steps=4)
    expected, _ = run(keras.optimizers.AdamW(1e-2, **options), steps=4)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)


def test_rates_of_the_groups():
    """Each weight moves as with AdamW at the rate of its group."""
    scales = {"ssm_learning_rate_scale": 0.1, "step_learning_rate_scale": 0.5}
    found, _ = run(DSSAdamW(1e-2, **scales))
    for name in found:
        rate = 1e-2 * GROUPS.get(name, 1.0)
        expected, _ = run(keras.optimizers.AdamW(rate, weight_decay=0.0))
        np.testing.assert_allclose(found[name], expected[name], rtol=1e-6)


def test_weights_of_several_types_keep_them():
    values = np.array([0.5, -1.0, 2.0])
    variables = [keras.Variable(values, dtype=kind, name="D") for kind in ("float32", "float64")]
    optimizer = DSSAdamW(1e-2)
    optimizer.build(variables)
    for gradient in (1.0, -0.5, 3.0):
        optimizer.apply([ops.full((3,), gradient, dtype="float32")] * 2, variables)
    assert [v.dtype for v in variables] == ["float32", "float64"]
    first, second = (ops.convert_to_numpy(v) for v in variables)
    np.testing.assert_allclose(first, second, rtol=1e-5)
    assert (first < values - 5e-3).all()


@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="Keras has none there")
def test_weights_that_are_handed_over_stay():
    """`stateless_apply` returns new values and leaves those that it is given."""
    variables = make_variables()
    optimizer = DSSAdamW(1e-2)
    optimizer.build(variables)
    given = [ops.convert_to_tensor(ops.copy(v.value)) for v in variables]
    slots = [ops.convert_to_tensor(ops.copy(v.value)) for v in optimizer.variables]
    before = [ops.convert_to_numpy(x).copy() for x in (*given, *slots)]
    gradients = [ops.ones((3,)) for _ in variables]
    found, _ = optimizer.stateless_apply(slots, gradients, given)
    for x, y in zip((*given, *slots), before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(x), y)
    optimizer.apply(gradients, variables)
    for x, variable in zip(found, variables, strict=True):
        np.testing.assert_allclose(
            ops.convert_to_numpy(x), ops.convert_to_numpy(variable), rtol=1e-6
        )


def test_weight_decay_of_the_others_only():
    plain, _ = run(DSSAdamW(1e-2))
    decayed, before = run(DSSAdamW(1e-2, weight_decay=0.3), steps=1)
    plain, _ = run(DSSAdamW(1e-2), steps=1)
    for name in plain:
        if name in GROUPS:
            np.testing.assert_array_equal(decayed[name], plain[name])
        else:
            np.testing.assert_allclose(
                decayed[name] - plain[name], -1e-2 * 0.3 * before[name], atol=1e-6
            )


def test_other_exclusions_come_on_top():
    optimizer = DSSAdamW(1e-2, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["kernel"])
    found, _ = run(optimizer, steps=1)
    plain, _ = run(DSSAdamW(1e-2), steps=1)
    decayed = {name for name in plain if not np.array_equal(found[name], plain[name])}
    assert decayed == {"D", "W_other"}


def test_names_are_those_of_the_layers():
    for options in ({}, {"parameterization": "softmax", "kernel_length": 9}):
        layer = DSS(4, **options)
        layer.build((None, 9, 2))
        assert {w.name for w in layer.weights} - set(GROUPS) == {"D"}


def test_schedule():
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([1], [1e-2, 0.0])
    scheduled, before = run(DSSAdamW(schedule), steps=4)
    constant, _ = run(DSSAdamW(1e-2), steps=2)
    for name in before:
        np.testing.assert_allclose(scheduled[name], constant[name], rtol=1e-6)


def test_learning_rate_can_be_set():
    optimizer = DSSAdamW(1e-2, ssm_learning_rate_scale=0.1)
    optimizer.learning_rate = 0.0
    after, before = run(optimizer)
    for name in after:
        np.testing.assert_array_equal(after[name], before[name])


def test_round_trip(tmp_path):
    schedule = keras.optimizers.schedules.CosineDecay(1e-2, 100)
    optimizer = DSSAdamW(schedule, 0.02, ssm_learning_rate_scale=0.3, step_learning_rate_scale=2.0)
    config = keras.optimizers.serialize(optimizer)
    again = keras.optimizers.deserialize(config)
    assert isinstance(again, DSSAdamW) and again.get_config() == optimizer.get_config()
    model = keras.Sequential([keras.Input((5, 2)), DSS(4), keras.layers.Dense(1)])
    model.compile(optimizer, "mse")
    u = np.ones((2, 5, 2), "float32")
    model.fit(u, u[..., :1], verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(loaded.optimizer, DSSAdamW)
    for a, b in zip(loaded.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(a), ops.convert_to_numpy(b))
    model.fit(u, u[..., :1], verbose=0)
    loaded.fit(u, u[..., :1], verbose=0)
    for a, b in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan")])
def test_bad_scales(scale):
    with pytest.raises(ValueError, match="`ssm_learning_rate_scale` must be positive. Received"):
        DSSAdamW(ssm_learning_rate_scale=scale)
    with pytest.raises(ValueError, match="`step_learning_rate_scale` must be positive. Received"):
        DSSAdamW(step_learning_rate_scale=scale)
