"""Tables of splits and baselines, in Markdown."""

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax

SPLITS = ("train", "validation", "test")
PENALTY = 1e-5


def standardise(train, *others):
    mean, deviation = train.mean(axis=0), train.std(axis=0)
    deviation[deviation == 0] = 1
    return [(features - mean) / deviation for features in (train, *others)]


# loss(V, v) = -mean_i log softmax(V f_i + v)_{y_i} + penalty |V|^2
def logistic_regression(features, labels, num_classes):
    """Returns a function from features (n, p) to classes (n,), fitted by L-BFGS."""
    features = np.hstack([features, np.ones((len(features), 1))]).astype(np.float32)  # (n, p + 1)
    targets = np.eye(num_classes, dtype=np.float32)[labels]  # (n, k)

    def loss(weights):
        matrix = weights.reshape(-1, num_classes).astype(np.float32)
        logs = log_softmax(features @ matrix, axis=1)
        gradient = features.T @ (np.exp(logs) - targets) / len(labels) + 2 * PENALTY * matrix
        value = -(logs * targets).sum() / len(labels) + PENALTY * (matrix**2).sum()
        return float(value), gradient.ravel().astype(np.float64)

    start = np.zeros(features.shape[1] * num_classes)
    weights = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    matrix = weights.reshape(-1, num_classes)
    return lambda other: (other @ matrix[:-1] + matrix[-1]).argmax(axis=1)


def percent(correct):
    return f"{100 * np.mean(correct):.1f} %"


def balance(y):
    return " ".join(f"{100 * share:.1f}" for share in np.bincount(y, minlength=10) / len(y))


def table(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def split_table(data, lengths):
    rows = []
    for split, (_, y) in data.items():
        low, median, high = (int(value) for value in np.quantile(lengths[split], [0, 0.5, 1]))
        rows.append([split, f"{len(y):,}", f"{low} / {median} / {high}", balance(y)])
    return table(["split", "examples", "length min / median / max", "classes 0 to 9, %"], rows)


def baseline_table(data, predictions):
    """`predictions`: name -> function of the split."""
    rows = [
        [name, *(percent(predict(split) == data[split][1]) for split in SPLITS[1:])]
        for name, predict in predictions.items()
    ]
    return table(["baseline, fitted to the training split", "validation", "test"], rows)


def majority(data):
    most = np.bincount(data["train"][1]).argmax()
    return lambda split: np.full(len(data[split][1]), most)


def regression(data, features, num_classes=10):
    features = dict(zip(SPLITS, standardise(*(features[split] for split in SPLITS)), strict=True))
    model = logistic_regression(features["train"], data["train"][1], num_classes)
    return lambda split: model(features[split])
