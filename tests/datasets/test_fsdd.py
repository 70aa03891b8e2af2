import gzip
import io
import sys
import tarfile
import types
import wave

import numpy as np
import pytest

from keras_dss.datasets import fsdd, sequence_lengths

SCALE = fsdd.STANDARD_DEVIATION * 32768


def wav(samples, rate=8000, channels=1, width=2):
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.asarray(samples, {1: "u1", 2: "<i2"}[width]).tobytes())
    return content.getvalue()


def waveform(digit, index):
    return np.arange(1, 1 + 100 * digit + index, dtype=np.int16)


@pytest.fixture(scope="module")
def recordings():
    """Name -> content; 3 digits, 2 speakers, 12 indices, of lengths that tell digit and index."""
    return {
        f"{digit}_{speaker}_{index}.wav": wav(waveform(digit, index))
        for digit in (1, 7, 9)
        for speaker in ("theo", "george")
        for index in range(12)
    }


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch):
    monkeypatch.delenv("KERAS_DSS_DATA_DIR", raising=False)


def archive(contents, prefix="free-spoken-digit-dataset/recordings/"):
    result = io.BytesIO()
    with tarfile.open(fileobj=result, mode="w:gz") as tar:
        for name, content in contents.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return result.getvalue()


@pytest.fixture
def folder(tmp_path, recordings):
    (tmp_path / fsdd.FILE).write_bytes(archive(recordings))
    return tmp_path


def test_load_by_index(folder, monkeypatch):
    monkeypatch.setenv("KERAS_DSS_DATA_DIR", str(folder))
    for split, indices in {"train": [10, 11], "validation": range(5, 10), "test": range(5)}.items():
        x, y = fsdd.load(split)
        assert x.shape == (6 * len(indices), 8192, 1) and x.dtype == np.float32
        assert y.dtype == np.uint8 and y.tolist() == sorted([1, 7, 9] * 2 * len(indices))
        expected = [100 * d + i for d in (1, 7, 9) for _ in range(2) for i in indices]
        assert sequence_lengths(x).tolist() == expected
        np.testing.assert_allclose(x[-1, :911, 0][: expected[-1]] * SCALE, waveform(9, indices[-1]))
        assert not x[-1, expected[-1] :].any()
    np.testing.assert_array_equal(fsdd.load("val", folder)[0], fsdd.load("validation")[0])


@pytest.mark.parametrize("name", fsdd.FOLDERS)
def test_folders_hold_the_same(folder, tmp_path, recordings, name):
    other = tmp_path / "other"
    (other / name).mkdir(parents=True)
    for file, content in recordings.items():
        (other / name / file).write_bytes(content)
    (other / name / "README.txt").write_text("ignored")
    (other / name / "._1_theo_0.wav").write_bytes(b"ignored")
    for received, expected in zip(fsdd.load("test", other), fsdd.load("test", folder), strict=True):
        np.testing.assert_array_equal(received, expected)
    assert "folder recordings" in fsdd.provenance(other).source


def test_names_and_whole_waveforms(folder):
    long = np.ones(9000, np.int16)
    (folder / fsdd.FILE).write_bytes(archive({"3_theo_0.wav": wav(long)}))
    names, waveforms = fsdd.load_waveforms("test", folder)
    assert names == ["3_theo_0.wav"]
    assert len(waveforms[0]) == 9000 and waveforms[0].dtype == np.int16
    x, y = fsdd.load("test", folder)
    assert sequence_lengths(x).tolist() == [8192] and y.tolist() == [3]


def test_provenance(folder):
    found = fsdd.provenance(folder)
    assert "fsdd.tar.gz" in found.source and "SHA-256" in found.source and found.defects == ()
    found = fsdd.provenance()
    assert "TensorFlow Datasets" in found.source and "2,500" in found.defects[0]


def test_encode(tmp_path):
    samples = np.array([16384, -32768, 0, 1], np.int16)
    (tmp_path / "a.wav").write_bytes(wav(samples))
    path = tmp_path / "a.wav"
    x = fsdd.encode(
        [samples, samples / 32768, (samples / 32768).astype("float32"), path, str(path)]
    )
    assert x.shape == (5, 8192, 1) and x.dtype == np.float32
    np.testing.assert_allclose(x[:, :4, 0] * SCALE, [samples] * 5, rtol=1e-6)
    assert not x[:, 4:].any()
    assert fsdd.encode([]).shape == (0, 8192, 1)


def test_other_rates_are_resampled(tmp_path):
    def tone(rate):
        return np.sin(2 * np.pi * 440 * np.arange(rate // 2) / rate) * 0.5

    expected = fsdd.encode([tone(8000)])[0]
    (tmp_path / "a.wav").write_bytes(wav(np.rint(tone(16000) * 32768), rate=16000))
    for x in (
        fsdd.encode([tone(44100)], rate=44100),
        fsdd.encode([tone(16000).astype("float32")], rate=16000),
        fsdd.encode([tmp_path / "a.wav"]),
    ):
        assert abs(int(sequence_lengths(x)[0]) - 4000) <= 1
        np.testing.assert_allclose(x[0, 100:3900], expected[100:3900], atol=0.02)


@pytest.mark.parametrize(
    "raw, message",
    [
        ([np.zeros(3, "int32")], "Waveform 0: expected int16 or float .* Received: int32 .3,."),
        ([np.zeros(3, "int16"), np.zeros((3, 1))], "Waveform 1: .* Received: float64 .3, 1."),
        ([np.zeros(0, "int16")], "at least one. Received: int16 .0,."),
        ([np.array([0.0, 1.5])], "between -1 and 1. Received: 0.0 to 1.5"),
        ([np.array([0.0, np.nan])], "between -1 and 1. Received: nan"),
        ("a.wav", "Expected a list .* Received: 'a.wav'"),
    ],
)
def test_encode_refuses(raw, message):
    with pytest.raises(ValueError, match=message):
        fsdd.encode(raw)


@pytest.mark.parametrize("rate", [0, -8000, 8000.5])
def test_encode_refuses_rates(rate):
    with pytest.raises(ValueError, match=f"positive integer, in Hz. Received: {rate}"):
        fsdd.encode([np.zeros(3)], rate=rate)


@pytest.mark.parametrize(
    "content, message",
    [
        (wav([1, 2, 3, 4], channels=2), "expected one channel of 16 bits. Received: 2 channels"),
        (wav([1, 2], width=1), "expected one channel of 16 bits. Received: 1 channels of 8 bits"),
        (wav([1, 2], rate=16000), "expected 8000 samples per second. Received: 16000"),
        (wav([1, 2, 3])[:-2], "expected 3 samples. Received: 2"),
        (wav([1, 2, 3])[:20], "expected a wav file"),
        (b"RIFF\xff\xfe not a wav", "expected a wav file"),
    ],
)
def test_bad_recordings_are_named(tmp_path, content, message):
    (tmp_path / fsdd.FILE).write_bytes(archive({"0_a_0.wav": wav([1]), "1_b_0.wav": content}))
    with pytest.raises(ValueError, match=rf"fsdd.tar.gz, member .*/1_b_0.wav: {message}"):
        fsdd.load("test", tmp_path)
    (tmp_path / fsdd.FILE).unlink()
    (tmp_path / "recordings").mkdir()
    (tmp_path / "recordings" / "1_b_0.wav").write_bytes(content)
    with pytest.raises(ValueError, match=rf"recordings/1_b_0.wav: {message}"):
        fsdd.load("test", tmp_path)


def test_bad_archives(folder, recordings):
    whole = (folder / fsdd.FILE).read_bytes()
    plain = gzip.decompress(whole)
    for broken in (whole[: len(whole) // 2], gzip.compress(plain[:5000]), b"no archive", b""):
        (folder / fsdd.FILE).write_bytes(broken)
        with pytest.raises(
            ValueError, match="fsdd.tar.gz: expected a complete tar.gz archive. The last member"
        ):
            fsdd.load("train", folder)
    (folder / fsdd.FILE).write_bytes(archive({"11_theo_0.wav": wav([1])}))
    with pytest.raises(ValueError, match="member .*expected a recording .*'11_theo_0.wav'"):
        fsdd.load("train", folder)
    (folder / fsdd.FILE).write_bytes(archive({"1_theo_0.wav": wav([1])}))
    with pytest.raises(ValueError, match="index of 5 to 9 for split 'validation'. Received: none"):
        fsdd.load("validation", folder)
    with pytest.raises(ValueError, match="train, validation, test. Received: 'dev'"):
        fsdd.load("dev", folder)


def test_download(monkeypatch, folder, recordings):
    module = types.ModuleType("tensorflow_datasets")
    module.as_numpy = lambda examples: examples
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", module)

    def download(name, split):
        assert (name, split) == ("spoken_digit", "train")
        return [
            {
                "audio": waveform(int(name[0]), int(name.split("_")[2][:-4])).astype("int64"),
                "audio/filename": name.encode(),
            }
            for name in recordings
        ]

    module.load = download
    for split in fsdd.SPLITS:
        for received, expected in zip(fsdd.load(split), fsdd.load(split, folder), strict=True):
            np.testing.assert_array_equal(received, expected)

    def fail(*_, **__):
        raise OSError("no network")

    module.load = fail
    with pytest.raises(FileNotFoundError, match="fsdd.tar.gz .*KERAS_DSS_DATA_DIR.*no network"):
        fsdd.load("train")
