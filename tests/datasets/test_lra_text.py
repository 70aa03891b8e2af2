import io
import sys
import tarfile
import types

import numpy as np
import pytest

from keras_dss.datasets import byte_text, lra_text

STRANGE = b"caf\xe9 \xff\x00 fin"  # not UTF-8


def review(part, label, number):
    text = (
        STRANGE
        if (part, label, number) == ("test", "pos", 0)
        else b"%s film %d"
        % (
            {"neg": b"bad", "pos": b"good"}[label],
            number,
        )
    )
    return f"aclImdb/{part}/{label}/{number}_{3 if label == 'neg' else 8}.txt", text


FILES = dict(
    review(part, label, number)
    for part, count in (("train", 20), ("test", 7))
    for label in ("neg", "pos")
    for number in range(count)
)
OTHERS = {
    "aclImdb/README": b"read me",
    "aclImdb/train/unsup/0_0.txt": b"a film",
    "aclImdb/train/pos/._0_8.txt": b"of a file system",
    "aclImdb/train/labeledBow.feat": b"9 0:9",
}


def write_folder(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)


def write_archive(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def folder(tmp_path):
    write_folder(tmp_path, FILES | OTHERS)
    return tmp_path


def fake_tfds(monkeypatch, load):
    fake = types.SimpleNamespace(load=load, as_numpy=lambda data: data)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", fake)


def labels_of(x):
    return np.array([not text.startswith(b"bad") for text in byte_text.decode(x)])


def test_labels_of_steps_follow_from_the_training_reviews(folder):
    for split, size in {"train": 36, "validation": 4, "test": 14}.items():
        x, y, z = lra_text.load(split, folder, step_labels=True)
        assert z.shape == x.shape == (size, 4096) and z.dtype == np.uint8
        for text, label, row in zip(lra_text.decode(x), y, z, strict=True):
            if text != STRANGE:
                word = text.split()[0]  # good or bad
                degree = row[len(word) - 1]
                assert 0 < degree < len(lra_text.STEP_WEIGHTS) and (degree > 4) == label
            assert (row[len(text) :] == 255).all()


def test_folder(folder, monkeypatch):
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(folder))
    found = []
    for split, size in {"train": 36, "validation": 4, "test": 14}.items():
        x, y = lra_text.load(split)
        assert x.shape == (size, lra_text.MAX_LENGTH) and x.dtype == np.uint16
        assert y.shape == (size,) and y.dtype == np.uint8
        found.append(lra_text.decode(x))
    x, y = lra_text.load("train")
    np.testing.assert_array_equal(y, labels_of(x))
    np.testing.assert_array_equal(lra_text.load("val", folder)[0], lra_text.load("validation")[0])
    assert sorted(found[0] + found[1]) == sorted(FILES[n] for n in FILES if "/train/" in n)
    assert sorted(found[2]) == sorted(FILES[n] for n in FILES if "/test/" in n)
    assert not (folder / "cache").exists()


def test_bytes_that_are_no_text_survive(folder):
    x, y = lra_text.load("test", folder)
    row = lra_text.decode(x).index(STRANGE)
    assert y[row] == 1


def test_classes_are_mixed(folder):
    _, y = lra_text.load("train", folder)
    assert 0 < y[:18].sum() < 18


@pytest.mark.parametrize("name", ["aclImdb_v1.tar.gz", "aclImdb_labeled.tar.gz"])
def test_archives_equal_the_folder_and_are_parsed_once(folder, tmp_path, monkeypatch, name):
    other = tmp_path / "other"
    other.mkdir()
    names = sorted(FILES | OTHERS, reverse=True)
    write_archive(other / name, {name: (FILES | OTHERS)[name] for name in names})
    for _ in range(2):
        for split in lra_text.SPLITS:
            for received, expected in zip(
                lra_text.load(split, other), lra_text.load(split, folder), strict=True
            ):
                np.testing.assert_array_equal(received, expected)
        assert len(list((tmp_path / "cache").iterdir())) == 1
        monkeypatch.setattr(lra_text, "read_members", None)  # the second time from the cache

    monkeypatch.undo()
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))
    write_archive(other / name, {name: text + b"!" for name, text in FILES.items()})
    assert lra_text.decode(lra_text.load("test", other)[0])[0].endswith(b"!")


def test_a_damaged_cache_is_replaced(tmp_path):
    write_archive(tmp_path / "aclImdb_v1.tar.gz", FILES)
    expected = lra_text.load("test", tmp_path)
    (path,) = (tmp_path / "cache").iterdir()
    whole = path.read_bytes()
    for content in (b"", b"junk", whole[: len(whole) // 2]):
        path.write_bytes(content)
        for received, array in zip(lra_text.load("test", tmp_path), expected, strict=True):
            np.testing.assert_array_equal(received, array)
        assert list((tmp_path / "cache").iterdir()) == [path] and path.read_bytes()[:2] == b"PK"


def test_download_gives_the_same_split(folder, tmp_path, monkeypatch):
    def load(name, *, split, batch_size):
        assert (name, batch_size) == ("imdb_reviews", -1)
        chosen = [name for name in reversed(FILES) if f"/{split}/" in name]
        return {
            "text": np.array([FILES[name] for name in chosen], object),
            "label": np.array(["/pos/" in name for name in chosen], np.int64),
        }

    fake_tfds(monkeypatch, load)
    (tmp_path / "empty").mkdir()
    for data_dir in (None, tmp_path / "empty"):
        for split in lra_text.SPLITS:
            for received, expected in zip(
                lra_text.load(split, data_dir), lra_text.load(split, folder), strict=True
            ):
                np.testing.assert_array_equal(received, expected)
                assert received.dtype == expected.dtype


def test_without_data(monkeypatch, tmp_path):
    def fail(*_, **__):
        raise OSError("no network")

    message = "aclImdb or an archive aclImdb_v1.tar.gz .*KERAS_DSS_DATA_DIR.* error: "
    fake_tfds(monkeypatch, fail)
    with pytest.raises(FileNotFoundError, match=message + "no network"):
        lra_text.load("train", tmp_path)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    with pytest.raises(FileNotFoundError, match=message + ".*tensorflow_datasets"):
        lra_text.load("train", tmp_path)


def test_encode():
    x = lra_text.encode(["é", b"\xff" * 5000])
    assert x.shape == (2, 4096) and x.dtype == np.uint16
    assert lra_text.decode(x) == ["é".encode(), b"\xff" * 4096]
    assert x.max() == lra_text.VOCABULARY_SIZE - 1
    assert lra_text.decode(lra_text.encode(["\ud800"])) == [b"\xed\xa0\x80"]
    with pytest.raises(TypeError, match="Expected a sequence of texts. Received: one str"):
        lra_text.encode("a film")


def test_provenance(folder, tmp_path, monkeypatch):
    assert "TensorFlow Datasets" in lra_text.provenance().source
    assert "duplicates" in lra_text.provenance().defects[0]
    found = lra_text.provenance(folder)
    assert "folder aclImdb" in found.source and found.defects == ()
    other = tmp_path / "other"
    other.mkdir()
    write_archive(other / "aclImdb_v1.tar.gz", FILES)
    found = lra_text.provenance(other)
    assert "aclImdb_v1.tar.gz" in found.source and "SHA-256" in found.source
    known = dict.fromkeys([lra_text.file_sha256(other / "aclImdb_v1.tar.gz")], ("Known.", ("A.",)))
    monkeypatch.setattr(lra_text, "_KNOWN", known)
    assert lra_text.provenance(other).defects == ("A.",)


def test_errors(folder, tmp_path):
    with pytest.raises(ValueError, match="train, validation, test. Received: 'dev'"):
        lra_text.load("dev", folder)
    (folder / "aclImdb/train/pos/first.txt").write_text("a film")
    with pytest.raises(ValueError, match=r"train/pos/first.txt: expected .* Received: first.txt"):
        lra_text.load("train", folder)
    for name in FILES:
        if "/test/pos/" in name:
            (folder / name).unlink()
    (folder / "aclImdb/test/pos").rmdir()
    with pytest.raises(FileNotFoundError, match="test/pos is missing. Expected aclImdb"):
        lra_text.load("test", folder)

    empty = tmp_path / "empty"
    for name in ("neg", "pos"):
        (empty / "aclImdb/test" / name).mkdir(parents=True)
    with pytest.raises(ValueError, match="aclImdb/test: expected reviews .* Received: none"):
        lra_text.load("test", empty)


def test_errors_of_archives(tmp_path):
    path = tmp_path / "aclImdb_v1.tar.gz"
    write_archive(path, FILES | {"aclImdb/test/neg/first.txt": b"a film"})
    with pytest.raises(ValueError, match="v1.tar.gz, member aclImdb/test/neg/first.txt: expected"):
        lra_text.load("train", tmp_path)
    write_archive(path, {name: text for name, text in FILES.items() if "/test/" in name})
    with pytest.raises(ValueError, match="v1.tar.gz: expected .* 0 in train, 14 in test"):
        lra_text.load("test", tmp_path)

    write_archive(path, FILES)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="v1.tar.gz: .* last member read is aclImdb/train/"):
        lra_text.load("train", tmp_path)
    assert not (tmp_path / "cache").exists()
