"""`keras-dss evaluate`."""

import keras
import numpy as np
import pytest

from keras_dss import zoo
from keras_dss.cli import scoring
from keras_dss.datasets import lra_listops, smnist
from tests.cli.support import NAME, make_model


def count(place, split, model=None):
    x, y = lra_listops.load(split, place / "data")
    logits = keras.ops.convert_to_numpy((model or zoo.load(NAME))(x.astype("int32")))
    return int(np.sum(logits.argmax(axis=-1) == y)), len(y)


@pytest.mark.parametrize("split", ["test", "validation"])
def test_accuracy_of_a_published_model(run, place, split):
    code, out, err = run("evaluate", NAME, f"--split={split}")
    correct, total = count(place, split)
    assert code == 0
    now = next(line.split() for line in out.splitlines() if "measured now" in line)
    assert now[2:] == [f"{correct / total:.2%}", str(correct), str(total)]
    assert "25.00%" in out and ("baseline: majority" in out) == (split == "test")
    assert f"{total} sequences. Files basic_train.tsv" in err
    assert ("difference" in out) == (total == 24)


def test_first_examples_of_a_file(run, place, tmp_path):
    model = make_model()
    model.save(tmp_path / "a.keras")
    code, out, _ = run("evaluate", tmp_path / "a.keras", "--task=lra_listops", "--examples=5")
    assert code == 0 and "its card" not in out
    assert out.split("measured now")[1].split()[2] == "5"


def test_file_needs_a_task(fails, tmp_path):
    make_model().save(tmp_path / "a.keras")
    line = fails(2, "evaluate", tmp_path / "a.keras")
    assert "--task=etth1|" in line and line.endswith("|smnist Received: none")
    line = fails(2, "evaluate", tmp_path / "a.keras", "--task=listops")
    assert "did you mean lra_listops?" in line
    line = fails(1, "evaluate", tmp_path / "a.keras", "--task=smnist")
    assert "from (batch, length, 1) to (batch, 10)" in line


def test_task_contradicts_the_card(fails):
    assert "is lra_listops. Received: --task=smnist" in fails(2, "evaluate", NAME, "--task=smnist")


def test_bad_files(fails, tmp_path):
    assert "existing file" in fails(2, "evaluate", tmp_path / "none.keras")
    assert "existing file" in fails(2, "evaluate", tmp_path)
    (tmp_path / "a.keras").write_text("no model")
    line = fails(1, "evaluate", tmp_path / "a.keras", "--task=lra_listops")
    assert "expected a Keras model in" in line and "a.keras, which is a zip archive" in line


def test_bad_data_folder(fails, tmp_path):
    assert "folder of data" in fails(2, "evaluate", NAME, f"--data_dir={tmp_path / 'none'}")
    (tmp_path / "basic_test.tsv").write_text("Source\tTarget\n")
    assert "only a part" in fails(1, "evaluate", NAME, f"--data_dir={tmp_path}")


def test_timed_sequences_have_the_median_length():
    x = np.zeros((101, 50), "uint8")
    for length, row in enumerate(x[:50]):
        row[: length + 1] = 1
    x[50:, :21] = 1
    batch = scoring.timing_batch(x)
    assert batch.shape == (scoring.TIMED_SEQUENCES, 21) and (batch > 0).all()
    assert batch.dtype == "int32"
    assert scoring.timing_batch(np.ones((9, 5, 1))).shape == (9, 5, 1)
    assert smnist.VOCABULARY_SIZE is None
