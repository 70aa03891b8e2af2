import io
import tarfile

import numpy as np
import pytest

from keras_dss.datasets import pairs_tsv

FILES = pairs_tsv.PairFiles(
    {"train": "pairs.train.tsv", "validation": "pairs.eval.tsv", "test": "pairs.test.tsv"},
    "Pairs are needed.",
    folders=("", "below/tsv_data"),
    archive="pairs.tar.xz",
)
ROWS = {"train": 700, "validation": 5, "test": 300}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)
    monkeypatch.setenv("KERAS_DSS_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


def random_rows(count, seed):
    """Rows of any bytes but tab and line feed; some texts are empty, some longer than 4,000."""
    rng = np.random.default_rng(seed)
    letters = np.setdiff1d(np.arange(256), [9, 10]).astype(np.uint8)
    texts = [rng.choice(letters, rng.integers(0, 90)).tobytes() + b"." for _ in range(2 * count)]
    texts[0], texts[1] = b"", b"a" * 3999 + b"bc"
    return [
        (int(rng.integers(2)), b"A%d" % i, b"B%d" % i, texts[2 * i], texts[2 * i + 1])
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def rows():
    return {split: random_rows(count, count) for split, count in ROWS.items()}


def to_bytes(rows):
    return b"".join(b"\t".join([b"%d.0" % row[0], *row[1:]]) + b"\n" for row in rows)


def write_files(folder, rows):
    folder.mkdir(parents=True, exist_ok=True)
    for split, name in FILES.files.items():
        (folder / name).write_bytes(to_bytes(rows[split]))


def write_archive(path, contents):
    with tarfile.open(path, "w:xz") as archive:
        for name, content in contents.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def write_whole_archive(folder, rows):
    order = ("validation", "test", "train")
    contents = {FILES.files[split]: to_bytes(rows[split]) for split in order}
    write_archive(folder / "pairs.tar.xz", {"README.txt": b"read me", **contents})


def check(rows, folder):
    for split, expected in rows.items():
        x, y = FILES.load(split, folder)
        assert x.shape == (len(expected), 2, 4000) and x.dtype == np.uint16
        assert y.dtype == np.uint8 and y.tolist() == [row[0] for row in expected]
        texts = [tuple(text[:4000] for text in row[3:]) for row in expected]
        assert pairs_tsv.decode(x) == texts
        np.testing.assert_array_equal(x, pairs_tsv.encode(texts))
        assert list(FILES.rows(split, folder)) == expected
    return x


def test_small_files_are_read_directly(tmp_path, rows, cache):
    write_files(tmp_path / "below/tsv_data", rows)
    assert check(rows, tmp_path).flags.writeable
    assert not cache.exists()


def test_a_small_archive_is_read_directly(tmp_path, rows, cache):
    write_whole_archive(tmp_path, rows)
    check(rows, tmp_path)
    assert not cache.exists()


@pytest.mark.parametrize("write, reads", [(write_files, 3), (write_whole_archive, 1)])
def test_large_files_are_read_once_and_mapped(tmp_path, rows, cache, monkeypatch, write, reads):
    monkeypatch.setattr(pairs_tsv, "CACHED_FROM", 10)
    write(tmp_path, rows)
    x = check(rows, tmp_path)
    assert not x.flags.writeable and isinstance(x.base, np.memmap)
    names = sorted(path.name for path in cache.iterdir())
    assert len(names) == 3 + reads and all(name[0] != "." for name in names)

    def fail(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(pairs_tsv, "parse", fail)
    monkeypatch.setattr(pairs_tsv, "file_sha256", fail)
    for split, expected in rows.items():
        assert FILES.load(split, tmp_path)[1].tolist() == [row[0] for row in expected]


@pytest.mark.parametrize("write", [write_files, write_whole_archive])
@pytest.mark.parametrize("kept", [0.1, 0.5, 16001, -1])
def test_damaged_caches_are_made_anew(tmp_path, rows, cache, monkeypatch, write, kept):
    monkeypatch.setattr(pairs_tsv, "CACHED_FROM", 10)
    write(tmp_path, rows)
    check(rows, tmp_path)
    for path in cache.glob("*.bin"):
        content = path.read_bytes()
        path.write_bytes(content[: round(kept * len(content)) if 0 < kept < 1 else kept])
    check(rows, tmp_path)


def test_an_empty_split_in_the_cache(tmp_path, rows, cache, monkeypatch):
    monkeypatch.setattr(pairs_tsv, "CACHED_FROM", 0)
    write_files(tmp_path, rows | {"test": []})
    for _ in range(2):
        x, y = FILES.load("test", tmp_path)
        assert x.shape == (0, 2, 4000) and y.shape == (0,)


def test_a_changed_file_is_read_again(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(pairs_tsv, "CACHED_FROM", 10)
    write_files(tmp_path, rows)
    check(rows, tmp_path)
    changed = {**rows, "test": random_rows(20, 9)}
    write_files(tmp_path, changed)
    check(changed, tmp_path)


def test_line_ends_and_quotes():
    lines = io.BytesIO(b"1.0\ta\tb\tb\"one '\x00\tt\xc3\xa9\xff two\r\n0.0\t\t\t\tend")
    assert list(pairs_tsv.parse(lines, "here")) == [
        (1, b"a", b"b", b"b\"one '\x00", b"t\xc3\xa9\xff two"),
        (0, b"", b"", b"", b"end"),
    ]


@pytest.mark.parametrize("cached_from", [10, 1 << 20])
@pytest.mark.parametrize(
    "row, message",
    [
        (b"1.0\ta\tb\ttext", "expected 5 columns .*label, id1, .*Received: 4 columns"),
        (b"1.0\ta\tb\tc\td\te", "Received: 6 columns"),
        (b"", "Received: 1 columns"),
        (b"2.0\ta\tb\tc\td", "expected a label 1.0 or 0.0. Received: b'2.0'"),
        (b"\xff\xfe\ta\tb\tc\td", r"Received: b'\\xff\\xfe'"),
    ],
)
def test_malformed_rows_are_located(tmp_path, rows, cache, monkeypatch, cached_from, row, message):
    monkeypatch.setattr(pairs_tsv, "CACHED_FROM", cached_from)
    contents = {split: to_bytes(part) for split, part in rows.items()}
    contents["train"] = to_bytes(rows["train"][:300]) + row + b"\n"
    for split, name in FILES.files.items():
        (tmp_path / name).write_bytes(contents[split])
    with pytest.raises(ValueError, match=f"File .*/pairs.train.tsv, row 301: .*{message}"):
        FILES.load("train", tmp_path)
    for name in FILES.files.values():
        (tmp_path / name).unlink()
    write_archive(
        tmp_path / "pairs.tar.xz",
        {name: contents[split] for split, name in FILES.files.items()},
    )
    where = "File .*/pairs.tar.xz, member pairs.train.tsv, row 301"
    with pytest.raises(ValueError, match=f"{where}: .*{message}"):
        FILES.load("train", tmp_path)
    assert not list(cache.glob("*.bin")) and not list(cache.glob(".*"))


@pytest.mark.parametrize("cached_from", [10, 1 << 20])
@pytest.mark.parametrize("kept", [0.97, 0.6, 0.01, 0])
def test_truncated_archives_are_named(tmp_path, rows, cache, monkeypatch, kept, cached_from):
    monkeypatch.setattr(pairs_tsv, "CACHED_FROM", cached_from)
    write_whole_archive(tmp_path, rows)
    path = tmp_path / "pairs.tar.xz"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    for split in FILES.files:
        with pytest.raises(ValueError, match="File .*/pairs.tar.xz: expected a complete tar.xz"):
            FILES.load(split, tmp_path)
    assert not list(cache.glob("*.bin")) and not list(cache.glob(".*"))


def test_other_damage_of_archives(tmp_path, rows):
    path = tmp_path / "pairs.tar.xz"
    path.write_bytes(b"no archive at all" * 100)
    with pytest.raises(ValueError, match="File .*/pairs.tar.xz: expected a complete tar.xz"):
        FILES.load("train", tmp_path)
    write_archive(path, {"pairs.train.tsv": b"", "pairs.test.tsv": b""})
    with pytest.raises(ValueError, match="pairs.tar.xz: .*Received: none named pairs.eval.tsv"):
        FILES.load("train", tmp_path)


def test_missing_files_are_named(tmp_path, rows):
    with pytest.raises(
        FileNotFoundError, match="Pairs are needed.*KERAS_DSS_DATA_DIR.*pairs.train.tsv.*tar.xz"
    ):
        FILES.load("train", tmp_path)
    with pytest.raises(FileNotFoundError, match="Received: folder None"):
        FILES.load("train")
    write_files(tmp_path, rows)
    (tmp_path / "pairs.eval.tsv").unlink()
    with pytest.raises(FileNotFoundError, match="only a part .*Missing: pairs.eval.tsv"):
        FILES.load("train", tmp_path)


@pytest.mark.parametrize("cached_from", [10, 1 << 20])
def test_copies_are_told_by_their_hashes(tmp_path, rows, monkeypatch, cached_from):
    monkeypatch.setattr(pairs_tsv, "CACHED_FROM", cached_from)
    write_files(tmp_path, rows)
    source, defects = FILES.describe(tmp_path, {})
    assert defects == () and all(name in source for name in FILES.files.values())
    digests = [part.split()[-1].rstrip(".") for part in source.split(";")]
    known = dict.fromkeys(digests, ("what it is", ("a defect",)))
    assert FILES.describe(tmp_path, known) == ("what it is", ("a defect",))
    del known[digests[2]]
    assert FILES.describe(tmp_path, known)[1] == ()


def test_encode():
    pairs = [("é", b"\xff\x00"), ["", "x" * 5000]]
    x = pairs_tsv.encode(pairs)
    assert x.shape == (2, 2, 4000) and x.dtype == np.uint16
    assert pairs_tsv.decode(x) == [("é".encode(), b"\xff\x00"), (b"", b"x" * 4000)]
    assert pairs_tsv.decode(x[0]) == ("é".encode(), b"\xff\x00")
    array = np.array([["é", "b"], ["", "d"]])
    np.testing.assert_array_equal(pairs_tsv.encode(array), pairs_tsv.encode(array.tolist()))
    assert pairs_tsv.encode([]).shape == (0, 2, 4000)
    for wrong in (("a", "b"), "ab", [("a",)], [("a", "b", "c")], [3]):
        with pytest.raises(ValueError, match="Entry 0: expected a pair of texts. Received"):
            pairs_tsv.encode(wrong)
    with pytest.raises(TypeError, match="string or bytes. Received: int"):
        pairs_tsv.encode([("a", 3)])
