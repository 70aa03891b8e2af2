import keras
import numpy as np

from keras_dss.deploy import StreamingModel
from tests.cli import support


def test_a_file_of_one_step_at_a_time(run, tmp_path):
    support.make_model(bidirectional=False).save(tmp_path / "whole.keras")
    path = tmp_path / "steps.keras"
    arguments = ["--streaming", "--format=keras", "--output", path]
    code, out, err = run("export", tmp_path / "whole.keras", *arguments)
    assert code == 0 and out.startswith(f"file {path}, ")
    assert "one step at a time" in err and "outputs differ by" in err
    model = keras.saving.load_model(path)
    assert isinstance(model, StreamingModel)
    assert model.predict_on_batch([np.ones(1, "int32"), *model.initial_states()])[0].shape == (
        1,
        10,
    )


def test_a_published_model(run, place, tmp_path):
    path = tmp_path / "model.keras"
    assert run("export", support.NAME, "--format=keras", "--output", path)[0] == 0
    assert keras.saving.load_model(path).count_params() == support.make_model().count_params()


def test_wrong_command_lines(run, place, tmp_path):
    def failed(*arguments):
        code, out, err = run("export", support.NAME, *arguments)
        assert code == 2 and not out
        return err

    assert "no --format" in failed("--output", tmp_path / "x")
    assert "no --output" in failed("--format=keras")
    assert "'saved_model', 'litert', 'torch', 'keras'" in failed("--format=onnx", "--output=x")
    assert "ending in .keras" in failed("--format=keras", "--output", tmp_path / "x.h5")
    assert not list(tmp_path.glob("x*"))
