import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from keras_dss.datasets import smnist  # noqa: E402
from keras_dss.datasets.tfds_builders.smnist import smnist_dataset_builder  # noqa: E402


class TestSMNIST(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = smnist_dataset_builder.Builder
    SPLITS = {"train": 132, "validation": 12, "test": 12}


def test_it_is_found_by_name():
    assert tfds.builder_cls("smnist") is smnist_dataset_builder.Builder


def test_examples_are_those_of_load(tmp_path):
    folder = smnist_dataset_builder.Builder.code_path.parent / "dummy_data"
    builder = smnist_dataset_builder.Builder(data_dir=tmp_path)
    config = tfds.download.DownloadConfig(manual_dir=folder)
    builder.download_and_prepare(download_config=config)
    for split in smnist.SPLITS:
        data = builder.as_dataset(split, as_supervised=True, batch_size=-1)
        pixels, labels = tfds.as_numpy(data)
        x, y = smnist.load(split, folder)
        rows = {(row.tobytes(), label) for row, label in zip(pixels, labels.tolist(), strict=True)}
        expected = zip(np.asarray(x), y.tolist(), strict=True)
        assert rows == {(row.tobytes(), label) for row, label in expected}
