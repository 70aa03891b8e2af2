import numpy as np
import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from keras_dss.datasets import lra_text  # noqa: E402
from keras_dss.datasets.tfds_builders.lra_text import lra_text_dataset_builder  # noqa: E402


class TestLRAText(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = lra_text_dataset_builder.Builder
    SPLITS = {"train": 108, "validation": 12, "test": 16}


def test_it_is_found_by_name():
    assert tfds.builder_cls("lra_text") is lra_text_dataset_builder.Builder


def test_dummy_data_is_read():
    folder = lra_text_dataset_builder.Builder.code_path.parent / "dummy_data"
    for split in lra_text.SPLITS:
        x, y = lra_text.load(split, folder)
        texts = lra_text.decode(x)
        assert any(b"caf\xe9" in text for text in texts) or split == "validation"
        positive = [any(word in text for word in (b"warm", b"clever", b"moving")) for text in texts]
        assert not np.array(positive)[y == 0].any() and y.any()


def test_examples_are_those_of_load(tmp_path):
    folder = lra_text_dataset_builder.Builder.code_path.parent / "dummy_data"
    builder = lra_text_dataset_builder.Builder(data_dir=tmp_path)
    config = tfds.download.DownloadConfig(manual_dir=folder)
    builder.download_and_prepare(download_config=config)
    data = builder.as_dataset("test", as_supervised=True).padded_batch(16, ([4096], []))
    tokens, labels = next(iter(tfds.as_numpy(data)))
    x, y = lra_text.load("test", folder)
    found = {(row.tobytes(), label) for row, label in zip(tokens, labels.tolist(), strict=True)}
    assert found == {(row.tobytes(), label) for row, label in zip(x, y.tolist(), strict=True)}
