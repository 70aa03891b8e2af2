"""ETTh1: forecasts of the load and the oil temperature of an electricity transformer.

From 336 hours of seven quantities the next 96 hours of all seven are to be told. 8,640 hours
(twelve months of 30 days) are for training, the following 2,880 for validation, the following
2,880 for test; all windows with their targets inside a split are its examples: 8,209 / 2,785 /
2,785. Inputs of validation and test may reach back into the split before.

Source: Zhou et al., "Informer: Beyond Efficient Transformer for Long Sequence Time-Series
Forecasting", AAAI 2021, arXiv 2012.07436.
"""

import gzip
import zlib
from datetime import datetime, timedelta

import numpy as np

from keras_dss.datasets.paths import check_split, data_folder
from keras_dss.datasets.provenance import Provenance, describe_file

KIND = "regression"
COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")
CHANNELS = 7
NUM_OUTPUTS = 7
VOCABULARY_SIZE = None  # measurements are real numbers, not tokens
MAX_LENGTH = 336
HORIZON = 96
SPLITS = {"train": 8_209, "validation": 2_785, "test": 2_785}
FILES = ("ETTh1.csv", "ETTh1.csv.gz", "ETT-small/ETTh1.csv", "ETT-small/ETTh1.csv.gz")

# Of the 8,640 training hours, in the units of the file.
MEAN = (7.9377422, 2.0210387, 5.0797706, 0.74618588, 2.7817624, 0.78845312, 17.128262)
STANDARD_DEVIATION = (5.8127494, 2.0901047, 5.5187936, 1.9263793, 1.0235227, 0.63023664, 9.1764910)

_MONTHS = {"train": (0, 12), "validation": (12, 16), "test": (16, 20)}
_HOURS = 30 * 24  # in a month

_SOURCE = (
    "ETTh1.csv of the ETDataset project, byte for byte (17,420 hours from 2016-07-01 on); licence "
    "CC BY-ND 4.0."
)
_KNOWN = {
    "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066": (_SOURCE, ()),
    "f1141f82f9d46968f05afa77ba16abfc4f790fe07583f9de06bb685b29a5411f": (_SOURCE, ()),
}


def load(split, data_dir=None):
    """Returns one split as arrays `(x, y)`, window after window, one hour apart.

    `ETTh1.csv` or `ETTh1.csv.gz` is read from `data_dir` or its folder `ETT-small`. A file of less
    than 14,400 hours is divided 12 : 4 : 4.

    Args:
        split: `"train"`, `"validation"` (or `"val"`) or `"test"`.
        data_dir: folder. Defaults to the environment variable `KERAS_DSS_DATA_DIR`.

    Returns:
        x: float32 (n, 336, 7), standardised, in the order of `COLUMNS`.
        y: float32 (n, 96, 7), the hours that follow, in the same units.

        Both are read-only views of one series, in which windows overlap.

    Raises:
        ValueError: for an unknown split, a truncated or too short file, wrong columns, anything
            that is not a finite number, or a missing hour; it names file and row.
        FileNotFoundError: if the file is not there.
    """
    split = check_split(split, SPLITS)
    path = _find(data_folder(data_dir))
    series = _read(path)
    month = min(_HOURS, len(series) / 20)
    start, stop = (int(months * month) for months in _MONTHS[split])
    first = max(start, MAX_LENGTH)  # the first hour that is a target
    if stop - first < HORIZON:
        raise ValueError(
            f"File {path}: expected at least {MAX_LENGTH + HORIZON} hours for training and "
            f"{HORIZON} each for validation and test, of which 12 : 4 : 4 of the file are used. "
            f"Received: {len(series)} hours"
        )
    series = encode(series[None])[0]
    windows = np.lib.stride_tricks.sliding_window_view
    x = windows(series[first - MAX_LENGTH : stop - HORIZON], (MAX_LENGTH, CHANNELS))[:, 0]
    y = windows(series[first:stop], (HORIZON, NUM_OUTPUTS))[:, 0]
    return x, y


def provenance(data_dir=None):
    """Returns the `Provenance` of what `load` reads, for a model's card."""
    source, defects = describe_file(_find(data_folder(data_dir)), _KNOWN)
    return Provenance(
        "ETTh1 (Zhou et al., 2021): the next 96 hours of seven quantities of an electricity "
        "transformer from the last 336, standardised with the training hours; 12, 4 and 4 months "
        "for training, validation and test: 8,209, 2,785 and 2,785 windows when complete.",
        source,
        defects,
    )


# (raw - MEAN) / STANDARD_DEVIATION for each of the seven quantities
def encode(raw):
    """Returns measurements as model input: standardised with the training hours.

    Args:
        raw: numbers (n, L, 7) in the units of the file, in the order of `COLUMNS`.

    Returns:
        float32 (n, L, 7).

    Raises:
        ValueError: for another shape, or for anything that is not a finite number.

    Example:

    >>> encode(np.full((1, 336, 7), MEAN))[0, 0].tolist()
    [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    return ((_numbers(raw) - MEAN) / STANDARD_DEVIATION).astype(np.float32)


def decode(outputs):
    """Returns a model's output in the units of the file; the inverse of `encode`.

    Args:
        outputs: numbers (n, H, 7), a forecast or targets of `load`.

    Returns:
        float32 (n, H, 7).

    Raises:
        ValueError: for another shape, or for anything that is not a finite number.

    Example:

    >>> bool(np.allclose(decode(np.zeros((1, 96, 7))), MEAN))
    True
    """
    return (_numbers(outputs) * STANDARD_DEVIATION + MEAN).astype(np.float32)


def _numbers(values):
    values = np.asarray(values, np.float64)
    if values.ndim != 3 or values.shape[2] != CHANNELS:
        raise ValueError(
            f"Expected numbers (n, L, {CHANNELS}): {', '.join(COLUMNS)}. Received: {values.shape}"
        )
    if not np.isfinite(values).all():
        example, hour, channel = np.argwhere(~np.isfinite(values))[0]
        raise ValueError(
            "Expected finite numbers. "
            f"Received: {values[example, hour, channel]} at [{example}, {hour}, {channel}]"
        )
    return values


def _find(folder):
    paths = [] if folder is None else [folder / name for name in FILES]
    path = next((path for path in paths if path.exists()), None)
    if path is None:
        raise FileNotFoundError(
            f"File ETTh1.csv (or ETTh1.csv.gz) of the ETDataset project, folder ETT-small, is "
            "needed; it is not downloaded. Put it into a folder, and pass that as `data_dir` or "
            f"name it in the environment variable KERAS_DSS_DATA_DIR. Received: folder {folder}"
        )
    return path


def _read(path):
    """float64 (hours, 7), the measurements in the units of the file."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            lines = file.read().splitlines()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"File {path}: expected a whole .gz file. Received: {error}") from error
    series = np.empty((max(len(lines) - 1, 0), CHANNELS))
    header = [b"date", *(name.encode() for name in COLUMNS)]
    expected = None
    for row, line in enumerate(lines or [b""], start=1):
        where, columns = f"File {path}, row {row}:", line.split(b",")
        if row == 1:
            if columns != header:
                names = b",".join(header).decode()
                raise ValueError(f"{where} expected the header {names}. Received: {line}")
            continue
        if len(columns) != len(header):
            raise ValueError(
                f"{where} expected {len(header)} columns. Received: {len(columns)}: {line}"
            )
        try:
            hour = datetime.fromisoformat(columns[0].decode("ascii"))
            series[row - 2] = [float(column) for column in columns[1:]]
        except ValueError:
            raise ValueError(
                f"{where} expected a date and {CHANNELS} numbers. Received: {line}"
            ) from None
        if not np.isfinite(series[row - 2]).all():
            raise ValueError(f"{where} expected finite numbers. Received: {line}")
        if expected not in (None, hour):
            raise ValueError(f"{where} expected the hour {expected}. Received: {hour}")
        expected = hour + timedelta(hours=1)
    return series
