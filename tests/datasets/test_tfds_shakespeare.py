import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from keras_dss.datasets import shakespeare  # noqa: E402
from keras_dss.datasets.tfds_builders.shakespeare import shakespeare_dataset_builder  # noqa: E402


class TestShakespeare(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = shakespeare_dataset_builder.Builder
    SPLITS = {"train": 202, "validation": 12, "test": 12}


def test_it_is_found_by_name():
    assert tfds.builder_cls("shakespeare") is shakespeare_dataset_builder.Builder


def test_dummy_data_is_read():
    folder = shakespeare_dataset_builder.Builder.code_path.parent / "dummy_data"
    for split in shakespeare.SPLITS:
        x, y = shakespeare.load(split, folder)
        assert x.max() < shakespeare.UNKNOWN
        assert shakespeare.decode(x.ravel())[1:] == shakespeare.decode(y.ravel())[:-1]
