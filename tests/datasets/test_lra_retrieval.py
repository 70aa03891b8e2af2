import numpy as np
import pytest

from keras_dss.datasets import lra_retrieval

NAMES = ("new_aan_pairs.train.tsv", "new_aan_pairs.eval.tsv", "new_aan_pairs.test.tsv")


@pytest.fixture(autouse=True)
def no_data_of_the_user(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.mark.parametrize("below", ["", "lra_release/tsv_data", "tsv_data", "lra_retrieval"])
def test_the_official_layout_is_read(tmp_path, monkeypatch, below):
    folder = tmp_path / below
    folder.mkdir(parents=True, exist_ok=True)
    for size, name in enumerate(NAMES, start=1):
        line = b"1.0\t1\t2\tb'one paper\\n'\tna\xefve \xff\n"
        (folder / name).write_bytes(line * size + b"0.0\t3\t4\ta\tb\n")
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(tmp_path))
    for size, split in enumerate(lra_retrieval.SPLITS, start=1):
        x, y = lra_retrieval.load(split)
        assert x.shape == (size + 1, 2, 4000) and x.dtype == np.uint16
        assert y.dtype == np.uint8 and y.tolist() == [1] * size + [0]
        assert lra_retrieval.decode(x[0]) == (rb"b'one paper\n'", b"na\xefve \xff")
        assert x.max() < lra_retrieval.VOCABULARY_SIZE
    assert lra_retrieval.load("val")[1].tolist() == [1, 1, 0]
    found = lra_retrieval.provenance()
    assert all(name in found.source for name in NAMES) and found.defects == ()


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="lra_release.gz.*KERAS_DSS_DATA_DIR.*" + NAMES[0]):
        lra_retrieval.load("train", tmp_path)
    with pytest.raises(FileNotFoundError, match="lra_release.gz"):
        lra_retrieval.provenance(tmp_path)
    (tmp_path / NAMES[0]).write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=f"Missing: {NAMES[1]}, {NAMES[2]}"):
        lra_retrieval.load("train", tmp_path)


def test_unknown_splits_are_refused(tmp_path):
    with pytest.raises(ValueError, match="train, validation, test. Received: 'eval'"):
        lra_retrieval.load("eval", tmp_path)
