"""Spoken digits as raw waveforms: one sequence of 8,192 samples, 1.024 s at 8 kHz.

Ten classes, 2,400 / 300 / 300 recordings of six speakers, who are in all three splits. Of the 50
recordings that a speaker made of a digit, the first five are the test examples, as the authors of
the data set want it; the next five validate.

Source: Jackson, Souza, Flaks, Pan, Nicolas & Thite, "Free Spoken Digit Dataset", 2018.
"""

import io
import math
import re
import wave
from pathlib import Path

import numpy as np

from keras_dss.datasets.archives import read_members
from keras_dss.datasets.paths import check_split, data_folder
from keras_dss.datasets.provenance import Provenance, describe_file

KIND = "classification"
NUM_CLASSES = 10
CHANNELS = 1
VOCABULARY_SIZE = None  # samples are real numbers, not tokens
MAX_LENGTH = 8192
RATE = 8000
SPLITS = {"train": 2_400, "validation": 300, "test": 300}
FILE = "fsdd.tar.gz"
FOLDERS = ("free-spoken-digit-dataset/recordings", "recordings")

# Standard deviation of the samples, between -1 and 1, of the 2,400 training recordings as cut.
STANDARD_DEVIATION = 0.06120062

_INDICES = {"train": range(10, 50), "validation": range(5, 10), "test": range(0, 5)}
_NAME = re.compile(r"([0-9])_([A-Za-z]+)_([0-9]+)\.wav")
_FULL_SCALE = 32768  # int16 covers -1 to 1

_CUT = (
    "{} recordings are longer than 8,192 samples (1.024 s) and lose their end: {} of the training, "
    "{} of the validation and {} of the test split."
)
_KNOWN = {
    "a6cbd019ac83a7dd0ba66f2fba0a7ab89966d70fca1de0960c476cb8b95770ea": (
        "An archive fsdd.tar.gz of the 3,000 recordings in the data set's own repository, each "
        "byte for byte as there; licence CC BY-SA 4.0.",
        (
            "Only six people speak, the same ones in training, validation and test data.",
            _CUT.format(17, 11, 4, 2),
        ),
    )
}
_DOWNLOAD = (
    "The Free Spoken Digit Dataset as downloaded by TensorFlow Datasets (spoken_digit).",
    (
        "Version 1.0.9 of the data set, which TensorFlow Datasets has, holds only 2,500 recordings "
        "of five speakers: 2,000 for training, 250 for validation, 250 for test.",
        "The same people speak in training, validation and test data.",
    ),
)


def load(split, data_dir=None):
    """Returns one split as arrays `(x, y)`.

    The recordings are read from `fsdd.tar.gz`, or from a folder
    `free-spoken-digit-dataset/recordings` or `recordings`, in `data_dir` if they are there,
    otherwise by TensorFlow Datasets (`spoken_digit`), which downloads them once. They come in the
    order of digit, speaker and index.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder. Defaults to the environment variable `KERAS_DSS_DATA_DIR`.

    Returns:
        x: float32 (n, 8192, 1), see `encode`. 17 of the 3,000 recordings are longer and cut.
        y: uint8 (n,), digits 0 to 9.

    Raises:
        ValueError: for an unknown split, a truncated archive, or a recording that is not named
            `{digit}_{speaker}_{index}.wav` or not 8 kHz mono 16 bit; it names file and member.
        FileNotFoundError: if the recordings are neither there nor can be downloaded.
    """
    names, waveforms = load_waveforms(split, data_dir)
    return encode(waveforms), np.array([int(name[0]) for name in names], np.uint8)


def load_waveforms(split, data_dir=None):
    """Returns the recordings of one split at full length, for listening and other features.

    Args:
        split, data_dir: see `load`.

    Returns:
        names: list of str, `{digit}_{speaker}_{index}.wav`.
        waveforms: list of int16 arrays, at 8 kHz.

    Raises:
        ValueError, FileNotFoundError: see `load`.
    """
    split = check_split(split, SPLITS)
    folder = data_folder(data_dir)
    path = _find(folder)
    if path is None:
        found = _download(split, folder)
    else:
        found = _read_folder(path, split) if path.is_dir() else _read_archive(path, split)
    recordings = sorted(found, key=lambda recording: _sort_key(recording[0]))
    if not recordings:
        first, last = _INDICES[split][0], _INDICES[split][-1]
        raise ValueError(
            f"{path or 'spoken_digit'}: expected recordings {{digit}}_{{speaker}}_{{index}}.wav "
            f"with an index of {first} to {last} for split {split!r}. Received: none"
        )
    names, waveforms = zip(*recordings, strict=True)
    return list(names), list(waveforms)


def provenance(data_dir=None):
    """Returns the `Provenance` of what `load` reads, for a model's card."""
    path = _find(data_folder(data_dir))
    if path is None:
        source, defects = _DOWNLOAD
    elif path.is_dir():
        source, defects = f"A folder {path.name} of the user's own.", ()
    else:
        source, defects = describe_file(path, _KNOWN)
    return Provenance(
        "Free Spoken Digit Dataset (Jackson et al., 2018): English digits as 8,192 samples of a "
        "waveform at 8 kHz; of each speaker's recordings of a digit those numbered 0 to 4 are for "
        "test, 5 to 9 for validation, the others for training: 2,400, 300 and 300 when complete.",
        source,
        defects,
    )


# x_k = w_k / STANDARD_DEVIATION, -1 <= w_k <= 1, for k < 8192; exactly 0 after the end
def encode(raw, rate=RATE):
    """Returns waveforms as model input: scaled, cut or padded with zeros on the right.

    Args:
        raw: list of int16 or float (-1 to 1) arrays (length,), or of paths of wav files (mono,
            16 bit).
        rate: samples per second of the arrays; a wav file says its own. Another rate than 8000 is
            resampled.

    Returns:
        float32 (n, 8192, 1). Where a waveform ends can be seen from the zeros, unless its own last
        samples are 0; see `keras_dss.datasets.sequence_lengths`.

    Raises:
        ValueError: for another shape, type or rate, an empty waveform, floats beyond -1 to 1, or
            another kind of wav file.

    Example:

    >>> encode([np.full(100, 0.5), np.zeros(8000, "int16")]).shape
    (2, 8192, 1)
    """
    if isinstance(raw, str | Path):
        raise ValueError(f"Expected a list of waveforms or of paths. Received: {raw!r}")
    x = np.zeros((len(raw), MAX_LENGTH, 1), np.float32)
    for number, (row, waveform) in enumerate(zip(x, raw, strict=True)):
        samples = _to_rate(*_samples(waveform, rate, number))[:MAX_LENGTH]
        row[: len(samples), 0] = samples / np.float32(STANDARD_DEVIATION)
    return x


def _samples(waveform, rate, number):
    """float32 samples between -1 and 1, and their rate."""
    if isinstance(waveform, str | Path):
        with open(waveform, "rb") as file:
            waveform, rate = _read_wave(file, f"File {waveform}")
    waveform = np.asarray(waveform)
    floats = np.issubdtype(waveform.dtype, np.floating)
    if waveform.ndim != 1 or not len(waveform) or not (floats or waveform.dtype == np.int16):
        raise ValueError(
            f"Waveform {number}: expected int16 or float samples (length,), at least one. "
            f"Received: {waveform.dtype} {waveform.shape}"
        )
    if not floats:
        return waveform.astype(np.float32) / np.float32(_FULL_SCALE), rate
    if not np.abs(waveform).max() <= 1:  # also if there is a nan
        raise ValueError(
            f"Waveform {number}: expected float samples between -1 and 1. "
            f"Received: {waveform.min()} to {waveform.max()}"
        )
    return waveform.astype(np.float32), rate


def _to_rate(samples, rate):
    if rate == RATE:
        return samples
    if rate != int(rate) or rate < 1:
        raise ValueError(f"`rate` must be a positive integer, in Hz. Received: {rate}")
    from scipy.signal import resample_poly

    divisor = math.gcd(RATE, int(rate))
    return resample_poly(samples, RATE // divisor, int(rate) // divisor)


def _find(folder):
    """Path of the archive or of the folder of recordings, or None."""
    candidates = [] if folder is None else [folder / name for name in (FILE, *FOLDERS)]
    return next((path for path in candidates if path.exists()), None)


def _sort_key(name):
    digit, speaker, index = _NAME.fullmatch(name).groups()
    return int(digit), speaker, int(index)


def _belongs(name, split, where):
    """Whether the recording is one of the split."""
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"{where}: expected a recording {{digit}}_{{speaker}}_{{index}}.wav. Received: {name!r}"
        )
    index = _sort_key(name)[2]
    return index in _INDICES[split] or (split == "train" and index >= 50)


def _read_archive(path, split):
    """Yields (name, int16 samples)."""

    def chosen(member):
        member = Path(member)
        return member.parent.name == "recordings" and _is_recording(member.name)

    for member, content in read_members(path, chosen):
        name, where = Path(member).name, f"File {path}, member {member}"
        if _belongs(name, split, where):
            yield name, _read_recording(io.BytesIO(content), where)


def _read_folder(path, split):
    for file in path.iterdir():
        if _is_recording(file.name) and _belongs(file.name, split, f"Folder {path}"):
            with open(file, "rb") as content:
                yield file.name, _read_recording(content, f"File {file}")


def _is_recording(name):
    return name.endswith(".wav") and not name.startswith(".")


def _read_recording(file, where):
    samples, rate = _read_wave(file, where)
    if rate != RATE:
        raise ValueError(f"{where}: expected {RATE} samples per second. Received: {rate}")
    return samples


def _read_wave(file, where):
    """int16 samples and their rate."""
    try:
        with wave.open(file) as content:
            channels, width, rate, frames = content.getparams()[:4]
            data = content.readframes(frames)
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{where}: expected a wav file. Received: {error!r}") from error
    if (channels, width) != (1, 2):
        raise ValueError(
            f"{where}: expected one channel of 16 bits. "
            f"Received: {channels} channels of {8 * width} bits"
        )
    if len(data) != 2 * frames:
        raise ValueError(f"{where}: expected {frames} samples. Received: {len(data) / 2:g}")
    return np.frombuffer(data, "<i2").astype(np.int16), rate


def _download(split, folder):
    try:
        import tensorflow_datasets as tfds

        examples = list(tfds.as_numpy(tfds.load("spoken_digit", split="train")))
    except Exception as error:
        raise FileNotFoundError(
            f"{FILE} of the Free Spoken Digit Dataset, or its folder {FOLDERS[0]}, is needed, and "
            "TensorFlow Datasets could not download it (spoken_digit). Put it into a folder, and "
            "pass that as `data_dir` or name it in the environment variable KERAS_DSS_DATA_DIR. "
            f"Received: folder {folder}, error: {error}"
        ) from error
    for example in examples:
        name = example["audio/filename"].decode()
        if _belongs(name, split, "spoken_digit"):
            yield name, example["audio"].astype(np.int16)
