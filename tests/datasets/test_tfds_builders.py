import subprocess
import sys

import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from keras_dss.datasets import lra_listops  # noqa: E402
from keras_dss.datasets.tfds_builders.lra_listops import lra_listops_dataset_builder  # noqa: E402


class TestListOps(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = lra_listops_dataset_builder.Builder
    SPLITS = {"train": 24, "validation": 12, "test": 12}


PROGRAM = """
import sys
import keras_dss.datasets
assert "tensorflow_datasets" not in sys.modules
keras_dss.datasets.lra_listops.SPLITS = {"train": 4, "validation": 2, "test": 3}
import tensorflow_datasets as tfds
data = tfds.load("lra_listops", split="test", data_dir=sys.argv[1], as_supervised=True)
for tokens, label in tfds.as_numpy(data):
    assert 500 < len(tokens) < 2000
    print(keras_dss.datasets.lra_listops.evaluate(tokens) == label)
"""


def test_load_by_name_after_importing_the_data_sets(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-3:] == ["True"] * 3


def test_load_by_name_after_importing_tensorflow_datasets():
    assert tfds.builder_cls("lra_listops") is lra_listops_dataset_builder.Builder


def test_dummy_data_is_true():
    folder = lra_listops_dataset_builder.Builder.code_path.parent / "dummy_data"
    for split in lra_listops.SPLITS:
        x, y = lra_listops.load(split, folder)
        assert [lra_listops.evaluate(row) for row in x] == y.tolist()
