import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from keras_dss.datasets import etth1  # noqa: E402
from keras_dss.datasets.tfds_builders.etth1 import etth1_dataset_builder  # noqa: E402


class TestETTh1(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = etth1_dataset_builder.Builder
    SPLITS = {"train": 49, "validation": 65, "test": 65}


def test_load_by_name():
    assert tfds.builder_cls("etth1") is etth1_dataset_builder.Builder


def test_dummy_data_looks_like_the_data():
    folder = etth1_dataset_builder.Builder.code_path.parent / "dummy_data"
    for split, size in TestETTh1.SPLITS.items():
        x, y = etth1.load(split, folder)
        assert len(x) == len(y) == size
        assert np.abs(x.mean()) < 0.5 and 0.5 < x.std() < 2
