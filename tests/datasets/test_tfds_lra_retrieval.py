import pytest

tfds = pytest.importorskip("tensorflow_datasets")

from keras_dss.datasets import lra_retrieval  # noqa: E402
from keras_dss.datasets.tfds_builders.lra_retrieval import lra_retrieval_dataset_builder  # noqa: E402


class TestRetrieval(tfds.testing.DatasetBuilderTestCase):
    DATASET_CLASS = lra_retrieval_dataset_builder.Builder
    SPLITS = {"train": 24, "validation": 12, "test": 12}


def test_it_is_found_by_name():
    assert tfds.builder_cls("lra_retrieval") is lra_retrieval_dataset_builder.Builder


def test_dummy_data_is_read():
    folder = lra_retrieval_dataset_builder.Builder.code_path.parent / "dummy_data"
    for split in lra_retrieval.SPLITS:
        x, y = lra_retrieval.load(split, folder)
        texts = lra_retrieval.decode(x)
        assert all(text.startswith((b"On ", b"b'On ")) for pair in texts for text in pair)
        assert texts[3][1].endswith(b"\xff\xfe")
        same = [first.split()[1] == second.split()[1] for first, second in texts]
        assert same == y.tolist()
