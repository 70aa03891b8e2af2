"""Sections of docs/data.md on `fsdd` and `etth1`, with simple baselines."""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from benchmarks.data_tables.tables import (
    SPLITS,
    baseline_table,
    logistic_regression,
    majority,
    percent,
    regression,
    split_table,
    standardise,
    table,
)
from keras_dss.datasets import etth1, fsdd, sequence_lengths

BANDS, SLICES = 40, 8
FRAME, HOP = 256, 64  # samples
PENALTIES = np.logspace(-1, 5, 7)
CHUNK = 500  # windows handled together


def band_powers(x):
    """Log power of 40 bands of about 100 Hz in each eighth of a recording, (n, 320)."""
    edges = np.linspace(0, FRAME // 2 + 1, BANDS + 1).astype(int)[:-1]
    rows = []
    for waveform, length in zip(x[:, :, 0], sequence_lengths(x), strict=True):
        waveform = waveform[: max(length, FRAME + (SLICES - 1) * HOP)]
        frames = np.lib.stride_tricks.sliding_window_view(waveform, FRAME)[::HOP]
        power = np.abs(np.fft.rfft(frames * np.hanning(FRAME))) ** 2  # (frames, 129)
        slices = np.array_split(power, SLICES)
        powers = np.stack([part.mean(axis=0) for part in slices])  # (8, 129)
        rows.append(np.log(np.add.reduceat(powers, edges, axis=1) + 1e-3).ravel())
    return np.array(rows)


def of_unknown_speakers(features, labels, speakers):
    """Test accuracy where the speaker of each recording was left out of the training split."""
    correct = []
    for speaker in np.unique(speakers["train"]):
        known, unknown = speakers["train"] != speaker, speakers["test"] == speaker
        train, test = standardise(features["train"][known], features["test"][unknown])
        model = logistic_regression(train, labels["train"][known], fsdd.NUM_CLASSES)
        correct.append(model(test) == labels["test"][unknown])
    return percent(np.concatenate(correct))


def fsdd_section(data_dir=None):
    recordings = {split: fsdd.load_waveforms(split, data_dir) for split in SPLITS}
    cut = {
        split: sum(len(waveform) > fsdd.MAX_LENGTH for waveform in waveforms)
        for split, (_, waveforms) in recordings.items()
    }
    speakers = {
        split: np.array([name.split("_")[1] for name in names])
        for split, (names, _) in recordings.items()
    }
    data = {split: fsdd.load(split, data_dir) for split in SPLITS}
    labels = {split: y for split, (_, y) in data.items()}
    lengths = {split: sequence_lengths(x) for split, (x, _) in data.items()}
    features = {split: band_powers(x) for split, (x, _) in data.items()}
    predictions = {
        "most frequent class": majority(data),
        f"logistic regression on the log power of {BANDS} bands in each eighth of the recording": (
            regression(data, features)
        ),
    }
    return f"""## fsdd

Free Spoken Digit Dataset (Jackson et al., 2018): English digits as raw waveforms at 8 kHz, one
real number a step, divided by the standard deviation of the training samples, which is
{fsdd.STANDARD_DEVIATION:.4f} of full scale. Longer recordings are cut to 8,192 steps (1.024 s),
{cut["train"]} of the training, {cut["validation"]} of the validation and {cut["test"]} of the test
split; shorter ones are followed by zeros. Lengths are told from the zeros: samples of 0 at the very
end of a recording are not counted. Source: `fsdd.tar.gz` or its recordings in the data folder,
otherwise `spoken_digit` of TensorFlow Datasets, an earlier version with 2,500 recordings.

{split_table(data, lengths)}

{baseline_table(data, predictions)}

Each of {len(np.unique(speakers["train"]))} speakers said each digit 50 times. The recordings
numbered 0 to 4 are the test split, as the authors of the data set want it, 5 to 9 the validation
split. So the same speakers are in all splits, and an accuracy says how well these voices are known.
Where the speaker of a test recording is left out of the training split, the regression reaches
{of_unknown_speakers(features, labels, speakers)} instead.
"""


# min_B |Y - X B|^2 + penalty |B|^2:  B = (X'X + penalty I)^-1 X'Y
class Ridge:
    """Next 96 hours of each channel from its last 336, relative to the last one."""

    def __init__(self, x, y):
        self.grams, self.products = [], []
        for channel in range(etth1.CHANNELS):
            gram = product = 0
            for start in range(0, len(x), CHUNK):
                chosen = slice(start, start + CHUNK)
                last = x[chosen, -1:, channel]
                inputs = np.float64(x[chosen, :-1, channel] - last)  # (n, 335), the last one is 0
                gram = gram + inputs.T @ inputs
                product = product + inputs.T @ np.float64(y[chosen, :, channel] - last)
            self.grams.append(gram)
            self.products.append(product)

    def solve(self, penalty):
        """Returns a function from x (n, 336, 7) to y (n, 96, 7)."""
        identity = np.eye(etth1.MAX_LENGTH - 1)
        matrices = np.stack(
            [
                cho_solve(cho_factor(gram + penalty * identity), product)
                for gram, product in zip(self.grams, self.products, strict=True)
            ]
        )  # (7, 335, 96)

        def predict(x):
            inputs = (x[:, :-1] - x[:, -1:]).transpose(2, 0, 1)  # (7, n, 335)
            return (inputs @ matrices).transpose(1, 2, 0) + x[:, -1:]

        return predict


def errors(predict, x, y):
    """Mean square and mean absolute error over windows, hours and channels."""
    square = absolute = 0.0
    for start in range(0, len(x), CHUNK):
        chosen = slice(start, start + CHUNK)
        difference = np.float64(predict(x[chosen]) - y[chosen])
        square += (difference**2).sum()
        absolute += np.abs(difference).sum()
    return square / y.size, absolute / y.size


def etth1_baselines(data):
    """Dict from name to a function from x (n, 336, 7) to y (n, 96, 7)."""
    ridge = Ridge(*data["train"])
    penalty = min(PENALTIES, key=lambda p: errors(ridge.solve(p), *data["validation"])[0])
    zeros = np.zeros((etth1.HORIZON, etth1.NUM_OUTPUTS))
    day = np.arange(etth1.HORIZON) % 24 - 24
    return {
        "mean of the training hours": lambda x: zeros,
        "last hour repeated": lambda x: x[:, -1:] + zeros,
        "last day repeated": lambda x: x[:, day],
        "ridge regression on the last 336 hours of each channel, less the last one "
        f"(penalty {penalty:g})": ridge.solve(penalty),
    }


def etth1_section(data_dir=None):
    data = {split: etth1.load(split, data_dir) for split in SPLITS}
    sizes = [
        [split, f"{len(x):,}", " x ".join(map(str, x.shape[1:])), " x ".join(map(str, y.shape[1:]))]
        for split, (x, y) in data.items()
    ]
    rows = []
    for name, predict in etth1_baselines(data).items():
        values = [value for split in SPLITS[1:] for value in errors(predict, *data[split])]
        rows.append([name, *(f"{value:.3f}" for value in values)])
    header = ["baseline", "validation MSE", "validation MAE", "test MSE", "test MAE"]
    return f"""## etth1

ETTh1 (Zhou et al., 2021, arXiv 2012.07436): six loads and the oil temperature of an electricity
transformer, hour by hour; the next 96 hours of all seven are told from the last 336. Of 20 months
of 30 days the first 12 are for training, 4 for validation, 4 for test; an example is a window whose
96 targets lie in its split, one for each hour. All numbers are standardised with the mean and the
standard deviation of the training hours, errors too. Source: `ETTh1.csv` or `ETTh1.csv.gz` of the
ETDataset project in the data folder.

{table(["split", "windows", "inputs", "targets"], sizes)}

{table(header, rows)}

Errors are means over all windows, hours and channels. Neighbouring windows share all but one of
their hours: the test split is four months of one transformer, not 2,785 independent examples. The
penalty of the ridge regression has the least validation error of {len(PENALTIES)}.
"""
