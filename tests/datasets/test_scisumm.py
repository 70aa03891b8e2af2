import io
import tarfile

import numpy as np
import pytest

from keras_dss.datasets import scisumm

NAMES = ("scisumm_pairs.train.tsv", "scisumm_pairs.eval.tsv", "scisumm_pairs.test.tsv")
LINE = b"1.0\tP06-1015\tP99-1008\tciting \xff\tcited\n"


@pytest.fixture(autouse=True)
def no_data_of_the_user(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))


def write(folder, packed):
    contents = {name: LINE * size for size, name in enumerate(NAMES, start=1)}
    if not packed:
        for name, content in contents.items():
            (folder / name).write_bytes(content)
        return
    with tarfile.open(folder / "scisumm_pairs.tar.xz", "w:xz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("packed", [True, False])
def test_load(tmp_path, monkeypatch, packed):
    write(tmp_path, packed)
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(tmp_path))
    for size, split in enumerate(scisumm.SPLITS, start=1):
        x, y = scisumm.load(split)
        assert x.shape == (size, 2, 4000) and x.dtype == np.uint16
        assert y.dtype == np.uint8 and y.tolist() == [1] * size
        assert scisumm.decode(x) == [(b"citing \xff", b"cited")] * size
        np.testing.assert_array_equal(x[:1], scisumm.encode([(b"citing \xff", "cited")]))
    assert len(scisumm.load("val")[1]) == 2


def test_topics_are_those_of_words_of_the_training_split(tmp_path):
    rng = np.random.default_rng(0)
    words = ["".join(map(chr, rng.integers(97, 123, 6))) for _ in range(200)]

    def lines(count, words):
        texts = [" ".join(rng.choice(words, 30)) for _ in range(2 * count)]
        pairs = zip(texts[::2], texts[1::2], strict=True)
        return "".join(f"0.0\ta\tb\t{one}\t{two}\n" for one, two in pairs)

    for name, count in zip(NAMES, (90, 2, 3), strict=True):
        (tmp_path / name).write_text(lines(count, words[:160] if count == 90 else words))
    topics = {}
    for split, count in zip(scisumm.SPLITS, (90, 2, 3), strict=True):
        x, y, z = scisumm.load(split, tmp_path, step_labels=True)
        assert z.shape == x.shape == (count, 2, 4000) and z.dtype == np.uint8
        for texts, rows in zip(scisumm.decode(x), z, strict=True):
            for text, row in zip(texts, rows, strict=True):
                known = [word for word in text.decode().split() if word in words[:160]]
                found = row[(row > 0) & (row < 255)]
                assert len(known) == len(found) and found.max() < len(scisumm.STEP_WEIGHTS)
                for word, topic in zip(known, found, strict=True):
                    assert topics.setdefault(word, topic) == topic
    assert set(topics) == set(words[:160])


@pytest.mark.parametrize("packed", [True, False])
def test_a_known_copy_tells_its_defects(tmp_path, monkeypatch, packed):
    write(tmp_path, packed)
    found = scisumm.provenance(tmp_path)
    assert "SHA-256" in found.source and found.defects == ()
    described = scisumm._KNOWN.values()
    digests = [part.split()[-1].rstrip(".") for part in found.source.split(";")]
    known = dict(zip(digests, described, strict=False))
    monkeypatch.setattr(scisumm, "_KNOWN", known)
    found = scisumm.provenance(tmp_path)
    assert "CC BY 4.0" in found.source and len(found.defects) == 7
    assert "not the AAN pairs" in found.defects[0]


def test_missing_files_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="scisumm-corpus.*KERAS_DSS_DATA_DIR.*tar.xz"):
        scisumm.load("train", tmp_path)


def test_a_truncated_archive_is_named(tmp_path):
    write(tmp_path, packed=True)
    path = tmp_path / "scisumm_pairs.tar.xz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ValueError, match="scisumm_pairs.tar.xz: expected a complete tar.xz"):
        scisumm.load("validation", tmp_path)
