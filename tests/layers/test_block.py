"""Residual blocks: mathematics, padding, batch statistics, serialisation."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.special import erf, expit

from keras_dss import residual
from keras_dss.layers import DSS, DSSBlock
from tests.layers import oracles
from tests.layers.autodiff import evaluate
from tests.layers.oracles import numpy

OPTIONS = {
    "prenorm": {},
    "postnorm": {"prenorm": False},
    "batch": {"normalization": "batch"},
    "batch_postnorm_glu": {"normalization": "batch", "prenorm": False, "glu": True},
    "plain_glu": {"normalization": None, "glu": True},
}


def make_block(option, **kwargs):
    block = DSSBlock(DSS(4, bidirectional=True), **OPTIONS[option] | kwargs)
    block.build((None, None, 3))
    return block


def make_inputs(length=9, batch=4):
    return np.random.default_rng(0).normal(size=(batch, length, 3)).astype("float32")


@pytest.mark.parametrize("name", OPTIONS)
def test_mathematics(name):
    block, u = make_block(name), make_inputs()

    def normalize(x):
        if block.normalization == "layer":
            x = x - x.mean(axis=-1, keepdims=True)
            return x / np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        return x / np.sqrt(1.0 + 1e-5) if block.normalization == "batch" else x

    x = normalize(u.astype(float)) if block.prenorm else u
    x = oracles.outputs(block.ssm, x)
    x = 0.5 * x * (1.0 + erf(x / np.sqrt(2.0)))
    kernel, bias = (numpy(w) for w in block.mix.weights)
    x = x @ kernel + bias
    if block.glu:
        x = x[..., :3] * expit(x[..., 3:])
    x = u + x
    expected = x if block.prenorm else normalize(x)
    found = evaluate(block, lambda: block(u))
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.skipif(keras.backend.backend() != "torch", reason="which computes blocks in parts")
@pytest.mark.parametrize("name", OPTIONS)
def test_parts(name, monkeypatch):
    """Outputs and gradients of rows in parts, the last one shorter, are those of whole tensors."""
    import torch

    block = make_block(name)
    block.mix.bias.assign(np.random.default_rng(1).normal(size=block.mix.bias.shape))
    u = torch.tensor(make_inputs(), requires_grad=True)
    tensors = [u, *(variable.value for variable in block.trainable_variables)]
    monkeypatch.setattr(residual, "PIECE", 7 * block.mix.kernel.shape[1])

    def found():
        outputs = block(u)
        return [outputs, *torch.autograd.grad(torch.sin(outputs).sum(), tensors)]

    assert block._in_parts(u, u, False)
    in_parts = found()
    block.mix.register_forward_hook(lambda *_: None)
    assert not block._in_parts(u, u, False)
    for part, whole in zip(in_parts, found(), strict=True):
        np.testing.assert_allclose(part.detach(), whole.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", OPTIONS)
def test_padding_changes_nothing(name, training):
    """Outputs of the valid steps, and batch statistics, are those of the unpadded batch."""
    u = make_inputs()
    mask = np.zeros((4, 14), bool)
    mask[:2, :9] = True  # right
    mask[2:, 5:] = True  # left
    padded = np.full((4, 14, 3), 50.0, "float32")
    padded[mask] = u.reshape(-1, 3)
    plain, masked = make_block(name), make_block(name)
    masked.set_weights(plain.get_weights())
    expected = numpy(plain(u, training=training)).reshape(-1, 3)
    found = numpy(masked(padded, mask=ops.convert_to_tensor(mask), training=training))
    np.testing.assert_allclose(found[mask], expected, atol=3e-5)
    for a, b in zip(masked.weights, plain.weights, strict=True):
        np.testing.assert_allclose(numpy(a), numpy(b), atol=1e-5)


def test_batch_statistics():
    block, u = make_block("batch"), 3.0 + 2.0 * make_inputs()
    block(u, training=True)
    mean, variance = numpy(block.norm.moving_mean), numpy(block.norm.moving_variance)
    np.testing.assert_allclose(mean, 0.1 * u.mean(axis=(0, 1)), rtol=1e-4)
    np.testing.assert_allclose(variance, 0.9 + 0.1 * u.var(axis=(0, 1)), rtol=1e-4)


def test_dropout_takes_whole_features():
    block, u = make_block("plain_glu", dropout=0.5), make_inputs(batch=16)
    block.mix.set_weights([np.eye(3, 6, dtype="float32"), np.array([0, 0, 0, 50, 50, 50.0])])
    change = np.abs(numpy(block(u, training=True)) - u)
    dropped = change.max(axis=1) < 1e-6  # (B, H)
    assert 0 < dropped.mean() < 1
    assert (change.min(axis=1)[~dropped] > 0).any()
    np.testing.assert_array_equal(numpy(block(u)), numpy(block(u)))


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16", "bfloat16"])
@pytest.mark.parametrize("name", OPTIONS)
def test_dtype_policies(name, policy):
    block = DSSBlock(DSS(4, dtype=policy), dtype=policy, **OPTIONS[name])
    computed = keras.DTypePolicy(policy).compute_dtype
    outputs = block(ops.ones((2, 5, 3), dtype=computed))
    assert keras.backend.standardize_dtype(outputs.dtype) == computed
    assert np.isfinite(numpy(outputs)).all()
    assert block.ssm.W.dtype == "float32"


def test_quantised_dtype_policy():
    policy = "int8_from_bfloat16"
    block = DSSBlock(DSS(4, dtype=policy), dtype=policy)
    outputs = block(ops.ones((2, 5, 3), dtype="bfloat16"))
    assert keras.backend.standardize_dtype(outputs.dtype) == "bfloat16"
    assert block.mix.quantization_mode == "int8" and block.norm.compute_dtype == "bfloat16"


@pytest.mark.parametrize("name", OPTIONS)
def test_round_trip(name, tmp_path):
    block = make_block(name, dropout=0.1, name="some_name")
    again = DSSBlock.from_config(block.get_config())
    assert again.get_config() == block.get_config()
    model = keras.Sequential([keras.Input((None, 3)), block])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    u = make_inputs()
    np.testing.assert_array_equal(numpy(loaded(u)), numpy(model(u)))


@pytest.mark.parametrize("frozen", ["ssm", "mix", "block"])
def test_frozen_parts_stay_frozen(frozen, tmp_path):
    block = make_block("prenorm")
    (block if frozen == "block" else getattr(block, frozen)).trainable = False
    model = keras.Sequential([keras.Input((None, 3)), block])
    expected = [w.name for w in model.trainable_weights]
    assert len(expected) == {"ssm": 4, "mix": 7, "block": 0}[frozen]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert [w.name for w in loaded.trainable_weights] == expected
    again = DSSBlock.from_config(block.get_config())
    assert again.get_config() == block.get_config()


def test_a_quantised_mix_is_loaded(tmp_path):
    model, u = keras.Sequential([keras.Input((None, 3)), make_block("prenorm")]), make_inputs()
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[0].mix.quantization_mode == "int8"
    np.testing.assert_array_equal(numpy(loaded(u)), numpy(model(u)))


BAD = [
    ({"ssm": keras.layers.Dense(3)}, "`ssm` must be a keras_dss.layers.DSS. Received: ssm=<Dense"),
    ({"normalization": "group"}, "`normalization` must be one of .* Received: .*'group'"),
    ({"dropout": 1.0}, r"`dropout` must be in \[0, 1\). Received: dropout=1.0"),
    ({"dropout": -0.1}, "`dropout` must be in .* Received: dropout=-0.1"),
    ({"dropout": "a"}, "`dropout` must be in .* Received: dropout='a'"),
    ({"prenorm": "a"}, "`prenorm` must be one of .* Received: prenorm='a'"),
    ({"glu": None}, "`glu` must be one of .* Received: glu=None"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        DSSBlock(**{"ssm": DSS(4)} | options)


def test_frozen():
    """All of a block that is made frozen is; what thaws later stays so in its configuration."""
    block = DSSBlock(DSS(4), trainable=False)
    block.build((None, None, 3))
    assert block.ssm.trainable_variables == [] and block.trainable_variables == []
    block.ssm.trainable = True
    again = DSSBlock.from_config(block.get_config())
    assert again.ssm.trainable and not again.trainable
