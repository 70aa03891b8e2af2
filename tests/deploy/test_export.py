import keras
import numpy as np
import pytest

import keras_dss
from keras_dss.deploy import FORMATS, export_model
from keras_dss.models import DSSClassifier

BACKEND = keras.backend.backend()


def small(**options):
    return DSSClassifier(3, features=4, num_blocks=2, state_size=4, **options)


def streaming():
    return keras_dss.to_streaming(small(channels=2, downsampling=(1, 2)))


HERE = [name for name, format in FORMATS.items() if format.backend in (None, BACKEND)]


@pytest.mark.parametrize("format", HERE)
def test_streaming_models(format, tmp_path):
    path = tmp_path / f"small{FORMATS[format].suffix}"
    assert export_model(streaming(), path, format) < 1e-5
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("format", [name for name in HERE if name != "litert"])
def test_whole_models(format, tmp_path):
    model = small(vocabulary_size=7, bidirectional=True)
    path = tmp_path / f"small{FORMATS[format].suffix}"
    length = 12 if format == "torch" else None
    assert export_model(model, path, format, length=length) < 1e-5


@pytest.mark.skipif(BACKEND != "tensorflow", reason="TensorFlow writes and reads them")
def test_a_saved_model_has_names_and_free_sizes(tmp_path):
    import tensorflow as tf

    model = small(channels=2)
    export_model(model, tmp_path / "whole", "tf_saved_model")
    x = np.random.default_rng(0).normal(size=(3, 11, 2)).astype("float32")
    whole = tf.saved_model.load(str(tmp_path / "whole"))
    np.testing.assert_allclose(whole.serve(x)["outputs"], model.predict_on_batch(x), atol=1e-5)

    stream = keras_dss.to_streaming(model)
    export_model(stream, tmp_path / "steps", batch_size=3)
    loaded = tf.saved_model.load(str(tmp_path / "steps"))
    serve = loaded.signatures["serving_default"]
    states = [state.name for state in stream.inputs[1:]]
    assert states == ["ssm_0_state", "ssm_1_state", "readout_state"]
    carry = dict(zip(states, map(tf.constant, stream.initial_states(3)), strict=True))
    for step in range(11):
        carry = serve(inputs=tf.constant(x[:, step]), **carry)
        outputs = carry.pop("outputs")
    np.testing.assert_allclose(outputs, model.predict_on_batch(x), atol=1e-4)


def test_what_cannot_be_written_leaves_nothing(tmp_path, monkeypatch):
    with pytest.raises(TypeError, match="keras.Model"):
        export_model("small", tmp_path / "small.keras", "keras")
    with pytest.raises(ValueError, match="'keras'.*onnx"):
        export_model(streaming(), tmp_path / "small.onnx", "onnx")
    other = "torch" if BACKEND != "torch" else "saved_model"
    with pytest.raises(ValueError, match="KERAS_BACKEND="):
        export_model(streaming(), tmp_path / "small.pt2", other)
    with pytest.raises(ValueError, match="ending in .keras"):
        export_model(streaming(), tmp_path / "small.h5", "keras")
    with pytest.raises(ValueError, match="no folder"):
        export_model(streaming(), tmp_path / "none" / "small.keras", "keras")
    with pytest.raises(ValueError, match="length"):
        export_model(streaming(), tmp_path / "small.keras", "keras", length=4)
    with pytest.raises(ValueError, match="batch_size"):
        export_model(streaming(), tmp_path / "small.keras", "keras", batch_size=0)
    if BACKEND == "tensorflow":
        with pytest.raises(ValueError, match="to_streaming.*ssm_0, ssm_1"):
            export_model(small(), tmp_path / "small.tflite", "litert")
    if BACKEND == "torch":
        with pytest.raises(ValueError, match="`length` of inputs"):
            export_model(small(), tmp_path / "small.pt2", "torch")
    monkeypatch.setattr("keras_dss.deploy.export.TOLERANCE", -1.0)  # as if outputs differed
    with pytest.raises(ValueError, match="difference of"):
        export_model(streaming(), tmp_path / "small.keras", "keras")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_there_stays(tmp_path):
    path = tmp_path / "small.keras"
    path.write_text("mine")
    with pytest.raises(ValueError, match="which exists"):
        export_model(streaming(), path, "keras")
    assert path.read_text() == "mine"
