import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from keras_dss.datasets import lra_pathx  # noqa: E402
from keras_dss.datasets.tfds_builders.lra_pathx import lra_pathx_dataset_builder  # noqa: E402


class TestBuilder(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = lra_pathx_dataset_builder.Builder
    SPLITS = {"train": 96, "validation": 12, "test": 12}


def test_it_is_found_by_name():
    assert tfds.builder_cls("lra_pathx") is lra_pathx_dataset_builder.Builder


def test_examples_are_those_of_load(tmp_path):
    folder = lra_pathx_dataset_builder.Builder.code_path.parent / "dummy_data"
    builder = lra_pathx_dataset_builder.Builder(data_dir=tmp_path)
    config = tfds.download.DownloadConfig(manual_dir=folder)
    builder.download_and_prepare(download_config=config)
    for split in lra_pathx.SPLITS:
        data = builder.as_dataset(split, as_supervised=True, batch_size=-1)
        images, labels = tfds.as_numpy(data)
        x, y = lra_pathx.load(split, folder)
        rows = {(row.tobytes(), label) for row, label in zip(images, labels.tolist(), strict=True)}
        assert rows == {
            (np.asarray(row).tobytes(), k) for row, k in zip(x.raw, y.tolist(), strict=True)
        }
