import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from keras_dss.datasets import lra_image  # noqa: E402
from keras_dss.datasets.tfds_builders.lra_image import lra_image_dataset_builder  # noqa: E402


class TestLRAImage(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = lra_image_dataset_builder.Builder
    SPLITS = {"train": 108, "validation": 12, "test": 12}


def test_it_is_found_by_name():
    assert tfds.builder_cls("lra_image") is lra_image_dataset_builder.Builder


def test_examples_are_those_of_load(tmp_path):
    folder = lra_image_dataset_builder.Builder.code_path.parent / "dummy_data"
    builder = lra_image_dataset_builder.Builder(data_dir=tmp_path)
    config = tfds.download.DownloadConfig(manual_dir=folder)
    builder.download_and_prepare(download_config=config)
    for split in lra_image.SPLITS:
        data = builder.as_dataset(split, as_supervised=True, batch_size=-1)
        pixels, labels = tfds.as_numpy(data)
        x, y = lra_image.load(split, folder)
        rows = {(row.tobytes(), label) for row, label in zip(pixels, labels.tolist(), strict=True)}
        expected = zip(np.asarray(x), y.tolist(), strict=True)
        assert rows == {(row.tobytes(), label) for row, label in expected}
