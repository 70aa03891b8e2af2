import gzip
import sys
import types

import numpy as np
import pytest

from keras_dss.datasets import shakespeare

TEXT = "".join(np.random.default_rng(0).choice(list(shakespeare.CHARACTERS), 12_345))


@pytest.fixture(autouse=True)
def no_data_of_the_user(monkeypatch):
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)


def check(folder):
    """Every character of each part except its first is a target, once and in order."""
    parts = {"train": TEXT[:11_110], "validation": TEXT[11_110:11_727], "test": TEXT[11_727:]}
    for split, part in parts.items():
        x, y = shakespeare.load(split, folder)
        assert x.shape == y.shape == (-(-(len(part) - 1) // 256), 256)
        assert x.dtype == y.dtype == np.uint8
        assert "".join(shakespeare.decode(x)) == part[:-1]
        assert "".join(shakespeare.decode(y)) == part[1:]
        np.testing.assert_array_equal(x == 0, y == 0)
        np.testing.assert_array_equal(x.ravel()[1 : len(part) - 1], y.ravel()[: len(part) - 2])


@pytest.mark.parametrize("name", shakespeare.FILES)
def test_files_are_read(tmp_path, name, monkeypatch):
    content = TEXT.encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    check(tmp_path)
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(tmp_path))
    np.testing.assert_array_equal(shakespeare.load("val")[0], shakespeare.load("validation")[0])
    found = shakespeare.provenance()
    assert name in found.source and "SHA-256" in found.source and found.defects == ()


def test_sizes_of_the_complete_text():
    parts = shakespeare.divide(range(1_115_394))
    assert [len(part) for part in parts.values()] == [1_003_854, 55_770, 55_770]
    assert {name: -(-(len(part) - 1) // 256) for name, part in parts.items()} == shakespeare.SPLITS


def fake_datasets(load):
    module = types.ModuleType("tensorflow_datasets")
    module.load, module.as_numpy = load, lambda examples: examples
    return module


def test_without_a_file_tensorflow_datasets_are_asked(tmp_path, monkeypatch):
    parts = shakespeare.divide(TEXT.encode())
    data = {split: [{"text": part}] for split, part in parts.items()}
    asked = []
    module = fake_datasets(lambda name: asked.append(name) or data)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)
    check(tmp_path)
    assert set(asked) == {"tiny_shakespeare"}
    assert "TensorFlow Datasets" in shakespeare.provenance(tmp_path).source


def test_a_missing_file_is_named(tmp_path, monkeypatch):
    def fail(name):
        raise OSError("no network")

    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake_datasets(fail))
    with pytest.raises(
        FileNotFoundError, match="tinyshakespeare.txt.gz.*KERAS_DSS_DATA_DIR.*no network"
    ):
        shakespeare.load("train", tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(FileNotFoundError, match="input.txt"):
        shakespeare.load("train", tmp_path)


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "tinyshakespeare.txt.gz"
    whole = gzip.compress(TEXT.encode())
    for content in (whole[:-100], whole[:5], b"no gzip at all", whole[:500] + bytes(whole[510:])):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="File .*tinyshakespeare.txt.gz: expected whole gzip"):
            shakespeare.load("test", tmp_path)
    path.write_bytes(gzip.compress(b"To be"))
    with pytest.raises(ValueError, match="at least 2 characters.*Received: 5 characters in all"):
        shakespeare.load("test", tmp_path)


def test_other_characters_and_bytes_survive_as_unknown(tmp_path):
    (tmp_path / "input.txt").write_bytes(b"\xff\xfe\x00caf\xc3\xa9 \xf0\x9f\x8e\xad 7\r\n" * 100)
    x, _ = shakespeare.load("train", tmp_path)
    text = shakespeare.decode(x)[0]
    assert text.startswith("\ufffd\ufffd\ufffdcaf\ufffd \ufffd \ufffd\ufffd\n\ufffd")


def test_encode_and_decode():
    codes = shakespeare.encode(shakespeare.CHARACTERS)
    assert codes.dtype == np.uint8 and codes.tolist() == list(range(1, 66))
    assert shakespeare.decode(codes) == shakespeare.CHARACTERS
    assert shakespeare.decode(shakespeare.encode(["To", "", "be é"])) == ["To", "", "be \ufffd"]
    assert shakespeare.encode("\udcff\U0001f3ad\x7f").tolist() == [shakespeare.UNKNOWN] * 3
    assert shakespeare.encode([]).shape == (0, 0) and shakespeare.encode("").shape == (0,)
    assert shakespeare.encode(np.array(["a", "b"])).shape == (2, 1)
    for wrong in (b"To be", [b"To be"], ["a", 3]):
        with pytest.raises(TypeError, match="strings. Received"):
            shakespeare.encode(wrong)
    for wrong in ([67], [-1], [[1, 300]]):
        with pytest.raises(ValueError, match="codes 0 to 66. Received"):
            shakespeare.decode(wrong)


def test_unknown_splits_are_refused(tmp_path):
    with pytest.raises(ValueError, match="train, validation, test. Received: 'dev'"):
        shakespeare.load("dev", tmp_path)
