import gzip
from datetime import datetime, timedelta

import numpy as np
import pytest

from keras_dss.datasets import Batches, etth1

HEADER = "date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"


def measurements(hours):
    """Each number tells its hour and its column."""
    return np.arange(hours)[:, None] + np.arange(7) / 10


def csv(hours):
    lines = [
        ",".join([str(datetime(2016, 7, 1) + timedelta(hours=hour)), *map(str, row)])
        for hour, row in enumerate(measurements(hours).tolist())
    ]
    return "\n".join([HEADER, *lines]) + "\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)
    (tmp_path / "ETTh1.csv").write_text(csv(1600))
    return tmp_path


@pytest.mark.parametrize(
    "hours, borders", [(1600, (960, 1280, 1600)), (723, (433, 578, 723)), (15_000, None)]
)
def test_load(tmp_path, monkeypatch, hours, borders):
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(tmp_path))
    (tmp_path / "ETTh1.csv").write_text(csv(hours))
    borders = borders or (8640, 11_520, 14_400)
    for split, start, stop in zip(etth1.SPLITS, (336, *borders), borders, strict=False):
        x, y = etth1.load(split)
        count = stop - start - 96 + 1
        assert count == etth1.SPLITS[split] or hours < 14_400
        assert x.shape == (count, 336, 7) and y.shape == (count, 96, 7)
        assert x.dtype == y.dtype == np.float32
        for i in (0, count // 2, count - 1):
            hour = start + i  # of the first target
            window = etth1.decode(np.concatenate([x[i : i + 1], y[i : i + 1]], axis=1))[0]
            expected = measurements(hours)[hour - 336 : hour + 96]
            np.testing.assert_allclose(window, expected, rtol=1e-5, atol=1e-2)


@pytest.mark.parametrize("name", etth1.FILES)
def test_every_name_of_the_file(folder, tmp_path, name):
    other = tmp_path / "other"
    (other / name).parent.mkdir(parents=True)
    text = csv(1600).encode()
    (other / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    for received, expected in zip(etth1.load("val", other), etth1.load("val", folder), strict=True):
        np.testing.assert_array_equal(received, expected)


def test_windows_are_views_that_make_batches(folder):
    x, y = etth1.load("train", folder)
    assert not x.flags.writeable and not y.flags.writeable
    batches = Batches(x, y, 16, seed=1)
    inputs, targets = batches[0]
    assert inputs.shape == (16, 336, 7) and targets.shape == (16, 96, 7)
    assert inputs.dtype == targets.dtype == np.float32
    np.testing.assert_array_equal(inputs, x[batches.order[:16]])
    np.testing.assert_array_equal(targets, y[batches.order[:16]])


def test_encode_and_decode():
    raw = np.random.default_rng(0).normal(10, 5, (3, 50, 7))
    x = etth1.encode(raw)
    assert x.dtype == etth1.decode(x).dtype == np.float32
    np.testing.assert_allclose(x[1, 2, 6], (raw[1, 2, 6] - 17.128262) / 9.1764910, rtol=1e-5)
    np.testing.assert_allclose(etth1.decode(x), raw, rtol=1e-4)
    for wrong in (raw[0], raw[:, :, :6]):
        with pytest.raises(ValueError, match="n, L, 7.: HUFL, .* OT. Received: "):
            etth1.encode(wrong)
        with pytest.raises(ValueError, match="n, L, 7.*Received: "):
            etth1.decode(wrong)
    raw[1, 2, 3] = np.nan
    with pytest.raises(ValueError, match="finite numbers. Received: nan at .1, 2, 3."):
        etth1.encode(raw)


def test_provenance(folder):
    found = etth1.provenance(folder)
    assert "ETTh1.csv" in found.source and "SHA-256" in found.source and found.defects == ()


def replaced(row, old, new):
    lines = csv(1600).splitlines()
    assert old in lines[row - 1]
    lines[row - 1] = lines[row - 1].replace(old, new)
    return "\n".join(lines).encode("latin-1")


@pytest.mark.parametrize(
    "content, message",
    [
        (replaced(1, "OT", "XX"), "row 1: expected the header date,HUFL,.*OT. Received: .*XX"),
        (b"", "row 1: expected the header"),
        (replaced(5, ",3.1", ""), "row 5: expected 8 columns. Received: 7"),
        (replaced(5, ",3.1", ",3.1,1"), "row 5: expected 8 columns. Received: 9"),
        (replaced(6, "4.2", "four"), "row 6: expected a date and 7 numbers. Received: .*four"),
        (replaced(6, "4.2", "\xff\xfe"), r"row 6: expected a date and 7 .*\\xff\\xfe"),
        (replaced(6, "4.2", ""), "row 6: expected a date and 7 numbers"),
        (replaced(6, "4.2", "nan"), "row 6: expected finite numbers. Received: .*nan"),
        (replaced(6, "2016", "\xff"), "row 6: expected a date"),
        (replaced(7, "05:00", "06:00"), "row 7: expected the hour 2016-07-01 05:00:00. Received:"),
        (csv(600).encode(), "at least 432 hours .* Received: 600 hours"),
        (HEADER.encode(), "Received: 0 hours"),
    ],
)
def test_bad_files(folder, content, message):
    (folder / "ETTh1.csv").write_bytes(content)
    with pytest.raises(ValueError, match=f"ETTh1.csv.*{message}"):
        etth1.load("train", folder)


def test_truncated_archive(folder):
    (folder / "ETTh1.csv").unlink()
    whole = gzip.compress(csv(1600).encode())
    for broken in (whole[:-1000], b"not gzip", whole[:500] + b"\0" * 500 + whole[1000:]):
        (folder / "ETTh1.csv.gz").write_bytes(broken)
        with pytest.raises(ValueError, match="ETTh1.csv.gz: expected a whole .gz file"):
            etth1.load("train", folder)


def test_missing(folder):
    with pytest.raises(ValueError, match="train, validation, test. Received: 'dev'"):
        etth1.load("dev", folder)
    (folder / "ETTh1.csv").unlink()
    for data_dir in (folder, None):
        with pytest.raises(FileNotFoundError, match="ETTh1.csv .*ETDataset.*KERAS_DSS_DATA_DIR"):
            etth1.load("train", data_dir)
        with pytest.raises(FileNotFoundError, match="ETTh1.csv"):
            etth1.provenance(data_dir)
