"""Regularizers of systems: values and gradients against float64, in layers and in training."""

import keras
import numpy as np
import pytest
from keras import ops

from keras_dss.layers import DSS, DSSBlock, DSSCell
from keras_dss.regularizers import HankelNuclearNorm, ModalNorm, kautz_basis, matrix_sign
from keras_dss.ssm import DiagonalSystem, hankel_singular_values, hinf_norm
from tests.layers import oracles
from tests.layers.autodiff import gradients
from tests.layers.variants import make_layer

LAYERS = [
    ("hankel", "exp_bidirectional_per_feature"),
    ("hankel", "softmax"),
    ("modal", "exp"),
    ("modal", "softmax"),
]


def tensor_of(system):
    parts = [system.poles.real, system.poles.imag, system.residues.real, system.residues.imag]
    return ops.convert_to_tensor(np.stack(parts, axis=-2), "float32")


def random_system(count, modes, seed=0, largest=0.99):
    generator = np.random.default_rng(seed)
    poles = generator.uniform(0.0, largest, (count, modes)) * np.exp(
        1j * generator.uniform(-np.pi, np.pi, (count, modes))
    )
    residues = generator.normal(size=(2, count, modes))
    values = [v.astype("float32").astype(float) for v in (poles.real, poles.imag, *residues)]
    return DiagonalSystem(values[0] + 1j * values[1], values[2] + 1j * values[3])


def nuclear_norm(system):
    return hankel_singular_values(system).sum()


def modal_norm(system):
    return (np.abs(system.residues) / (1.0 - np.abs(system.poles))).sum()


def systems_of(layer, values):
    """The systems that a layer hands over, in float64 from its weights."""
    lam, x, W = oracles.modes(layer, values)
    if layer.parameterization == "exp":
        return [DiagonalSystem(np.exp(x), W / lam * np.expm1(x))]
    residues = W / lam * np.expm1(x) / np.expm1(layer.kernel_length * x)
    grows = x.real > 0
    turned = residues * np.exp((layer.kernel_length - 1) * x)
    poles = np.exp(np.where(grows, -x, x))
    return [DiagonalSystem(poles, r) for r in (residues * ~grows, turned * grows)]


CASES = {
    "random": random_system(4, 12),
    "one mode": random_system(2, 1),
    "real": DiagonalSystem([[0.5, -0.9, 0.9, 0.0]], [[1.0, 2.0, -1.0, 0.5]]),
    "double": DiagonalSystem([[0.5, 0.5, 0.25 + 0.5j, 0.25 + 0.5j]], np.ones(4)),
    "silent": DiagonalSystem([[0.5, 0.25j]], np.zeros(2)),
    "slow": DiagonalSystem([0.999 + 0.01j, 0.998, 0.5 + 0.8j], [0.01, -0.02, 1j]),
}


@pytest.mark.parametrize("name", CASES)
def test_nuclear_norm(name):
    system = CASES[name]
    rounded = ops.convert_to_numpy(tensor_of(system)).astype(float)
    exact = DiagonalSystem(
        rounded[..., 0, :] + 1j * rounded[..., 1, :], rounded[..., 2, :] + 1j * rounded[..., 3, :]
    )
    found = float(HankelNuclearNorm(0.5)(tensor_of(system)))
    assert found == pytest.approx(0.5 * nuclear_norm(exact), rel=2e-5, abs=1e-12)
    assert found <= float(ModalNorm(0.5, "hankel")(tensor_of(system))) * (1.0 + 1e-5)


def test_modal_norms():
    system = random_system(3, 5)
    modes = DiagonalSystem(system.poles[..., None], system.residues[..., None])
    expected = {"hinf": modal_norm(system), "h2": 0.0, "hankel": 0.0}
    modulus = np.abs(system.poles)
    expected["h2"] = (np.abs(system.residues) / np.sqrt(1.0 - modulus**2)).sum()
    expected["hankel"] = (np.abs(system.residues) / (1.0 - modulus**2)).sum()
    for norm, value in expected.items():
        assert float(ModalNorm(2.0, norm)(tensor_of(system))) == pytest.approx(2 * value, rel=1e-5)
    assert np.all(hinf_norm(modes) <= (1 + 1e-3) * np.abs(modes.residues[..., 0]) / (1 - modulus))


def test_basis_is_orthonormal():
    """Taylor coefficients from the unit circle; derivatives against those coefficients."""
    poles = random_system(1, 6, largest=0.9).poles[0]
    circle = np.exp(2j * np.pi * np.arange(512) / 512)
    every = np.concatenate([np.tile(poles, (512, 1)), circle[:, None]], axis=-1)
    pair = [ops.convert_to_tensor(part, "float32") for part in (every.real, every.imag)]
    basis, slopes = (oracles.numpy(f[0]) + 1j * oracles.numpy(f[1]) for f in kautz_basis(pair))
    chosen = np.r_[:6, 7:13]  # without the functions of the points on the circle
    coefficients = np.fft.fft(basis[:, -1, chosen], axis=0) / 512  # (512, 12)
    gram = coefficients.T @ coefficients.conj()
    np.testing.assert_allclose(gram, np.eye(12), atol=1e-5)
    assert np.abs(coefficients.imag).max() < 1e-6
    expected = 512 * np.fft.ifft(np.arange(512)[:, None] * coefficients, axis=0) / circle[:, None]
    found = slopes[:, -1, chosen]
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.abs(expected).max())


def test_matrix_sign():
    generator = np.random.default_rng(0)
    vectors = np.linalg.qr(generator.normal(size=(3, 8, 8)))[0]
    values = np.array([5.0, -4.0, 1.0, 0.3, -0.1, 1e-2, -1e-3, 2e-3])
    matrices = (vectors * values) @ np.swapaxes(vectors, -1, -2)
    expected = (vectors * np.sign(values)) @ np.swapaxes(vectors, -1, -2)
    found = matrix_sign(ops.convert_to_tensor(matrices, "float32"))
    np.testing.assert_allclose(oracles.numpy(found), expected, atol=1e-3)


@pytest.mark.parametrize(("name", "variant"), LAYERS)
def test_gradient_of_a_layer(name, variant):
    """All weights against central differences of the float64 value."""
    regularizer, exact = {
        "hankel": (HankelNuclearNorm(0.1), nuclear_norm),
        "modal": (ModalNorm(0.1), modal_norm),
    }[name]
    layer = make_layer(
        variant, features=2, state_size=3, kernel_length=9, dt_min=1e-2, dt_max=1.0,
        system_regularizer=regularizer,
    )  # fmt: skip
    values = oracles.weights(layer)

    def expected_loss(values):
        return 0.1 * sum(exact(system) for system in systems_of(layer, values))

    (loss,) = layer.losses
    assert float(loss) == pytest.approx(expected_loss(values), rel=2e-5)
    expected = oracles.gradient(expected_loss, values)
    weights = [w for w in layer.weights if w.name != "D"]
    for weight, found in zip(weights, gradients(weights, lambda: layer.losses[0]), strict=True):
        difference = np.abs(found - expected[weight.name]).max()
        assert difference <= 1e-3 * np.abs(expected[weight.name]).max(), weight.name


@pytest.mark.parametrize("regularizer", [HankelNuclearNorm(), ModalNorm()])
def test_extremes_are_finite(regularizer):
    """On the circle, outside it, at zero, in layers that are silent."""
    poles = np.array([[1.0, 1j, 2.0 - 1j, 0.0], [1.0, 1.0, 1.0, 0.999]])
    residues = np.array([[1.0, 1j, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    parts = np.stack([poles.real, poles.imag, residues.real, residues.imag], axis=-2)
    variable = keras.Variable(parts, dtype="float32")
    (found,) = gradients([variable], lambda: regularizer(ops.convert_to_tensor(variable)))
    assert np.isfinite(found).all()
    assert np.isfinite(float(regularizer(ops.convert_to_tensor(variable))))


@pytest.mark.parametrize("make", [lambda **k: DSS(4, **k), lambda **k: DSSCell(4, **k)])
def test_configuration(make):
    layer = make(system_regularizer=HankelNuclearNorm(0.25))
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    assert isinstance(again.system_regularizer, HankelNuclearNorm)
    assert again.system_regularizer.factor == 0.25
    config.pop("system_regularizer")  # as models saved before there were any
    assert type(layer).from_config(config).system_regularizer is None
    modal = keras.regularizers.deserialize(keras.regularizers.serialize(ModalNorm(0.5, "h2")))
    assert (modal.factor, modal.norm) == (0.5, "h2")


def test_frozen_layers_have_no_penalty():
    layer = make_layer("exp", system_regularizer=ModalNorm())
    assert len(layer.losses) == 1
    layer.trainable = False
    assert layer.losses == []


def test_training(tmp_path):
    """fit takes the penalty into account once, at any depth; a saved model has it."""
    ssm = DSS(2, system_regularizer=HankelNuclearNorm(0.1))
    model = keras.Sequential([keras.Input((8, 3)), DSSBlock(ssm), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.1), "mse")
    u = np.random.default_rng(0).normal(size=(8, 8, 3)).astype("float32")
    penalty = 0.1 * nuclear_norm(ssm.to_system())
    error = float(np.mean((ops.convert_to_numpy(model(u)) - u[..., :1]) ** 2))
    losses = model.fit(u, u[..., :1], epochs=8, verbose=0).history["loss"]
    assert losses[0] == pytest.approx(error + penalty, rel=1e-4)
    after = nuclear_norm(ssm.to_system())
    assert 0.1 * after < 0.9 * penalty
    model.save(tmp_path / "model.keras")
    (loss,) = keras.models.load_model(tmp_path / "model.keras").losses
    assert float(loss) == pytest.approx(0.1 * after, rel=1e-4)


@pytest.mark.parametrize("make", [HankelNuclearNorm, ModalNorm])
def test_bad_arguments(make):
    for factor in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="`factor` must be .* Received: factor="):
            make(factor)
    with pytest.raises(ValueError, match=r"\(..., 4, N\).*Received: shape \(3, 2\)"):
        make()(ops.ones((3, 2)))


def test_unknown_norm():
    with pytest.raises(ValueError, match="`norm` must be one of .* Received: norm='l2'"):
        ModalNorm(norm="l2")
