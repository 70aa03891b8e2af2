import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from keras_dss.datasets import fsdd, sequence_lengths  # noqa: E402
from keras_dss.datasets.tfds_builders.fsdd import fsdd_dataset_builder  # noqa: E402


class TestFSDD(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = fsdd_dataset_builder.Builder
    SPLITS = {"train": 40, "validation": 20, "test": 20}


def test_load_by_name():
    assert tfds.builder_cls("fsdd") is fsdd_dataset_builder.Builder


def test_what_the_builder_reads_is_what_load_reads(tmp_path, monkeypatch):
    folder = fsdd_dataset_builder.Builder.code_path.parent / "dummy_data"
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(folder))
    expected = {row.tobytes(): int(label) for row, label in zip(*fsdd.load("test"), strict=True)}
    data = tfds.load("fsdd", split="test", data_dir=tmp_path, as_supervised=True)
    for audio, label in tfds.as_numpy(data):
        assert audio.dtype == np.int16
        assert expected.pop(fsdd.encode([audio])[0].tobytes()) == label
    assert not expected


def test_dummy_data_has_every_digit():
    folder = fsdd_dataset_builder.Builder.code_path.parent / "dummy_data"
    for split, size in TestFSDD.SPLITS.items():
        x, y = fsdd.load(split, folder)
        assert x.shape == (size, fsdd.MAX_LENGTH, 1) and set(y) == set(range(10))
        assert sequence_lengths(x).min() >= 160
