"""Training for a given time: the last part of a compression."""

import dataclasses
import math
import time

import numpy as np

from keras_dss.cli.scoring import length_boundaries
from keras_dss.datasets import Batches
from keras_dss.optimizers import DSSAdamW
from keras_dss.scoring import make_loss, rank, score

WARMUP = 0.05  # of the time
VALIDATION_SHARE = 0.2  # of the time, at most, unless one validation takes more
MOST_VALIDATIONS = 10


@dataclasses.dataclass
class Result:
    """What a training did. `history` begins with the validation before the first step."""

    steps: int = 0
    sequences: int = 0
    seconds: float = 0.0
    best_step: int = 0
    diverged: bool = False
    history: list = dataclasses.field(default_factory=list)


# eta(f) = eta_max min(f / w, (1 + cos(pi (f - w) / (1 - w))) / 2)
def learning_rate_at(fraction, peak):
    """Returns the learning rate when a fraction of the time is over: warm-up, then a cosine.

    >>> [round(learning_rate_at(f, 1.0), 2) for f in (0.0, 0.05, 0.525, 1.0)]
    [0.0, 1.0, 0.5, 0.0]
    """
    if fraction < WARMUP:
        return peak * fraction / WARMUP
    return peak * 0.5 * (1.0 + math.cos(math.pi * min((fraction - WARMUP) / (1.0 - WARMUP), 1.0)))


def train(
    model, data, validation, minutes, *, learning_rate, batch_size, seed,
    kind="classification", logits=True,
    report=lambda seconds, result, loss: None, validated=lambda row: None,
    phase=lambda text: None,
):  # fmt: skip
    """Trains a model in place, and leaves it with the weights that validated best.

    The weights from before the training count among them. Compiling takes no part of the time,
    validating does.

    Args:
        model: the model. data: arrays `(x, y)`. validation: batches, gone through repeatedly.
        minutes: how long, the last validation included.
        learning_rate: the largest one; see `learning_rate_at`.
        batch_size, seed: of the training batches.
        kind: of the task, see `keras_dss.scoring`.
        logits: whether the model gives logits rather than probabilities.
        report: called after each step. validated: called with each new row of the history.
        phase: called with a word for what is done before the first step.

    Returns:
        A `Result`.
    """
    loss = make_loss(kind, logits=logits)
    optimizer = DSSAdamW(
        0.0,
        weight_decay=0.05,
        ssm_learning_rate_scale=0.25,
        step_learning_rate_scale=0.25,
        global_clipnorm=1.0,
    )
    model.compile(optimizer=optimizer, loss=loss)
    batch_size = min(batch_size, len(data[0]))
    batches = Batches(
        *data, batch_size, seed=seed, boundaries=length_boundaries(), drop_remainder=True
    )
    result, best = Result(), None

    def validate(fraction):
        nonlocal best
        found = score(model, validation, kind)
        row = {"step": result.steps, "fraction": fraction, **found}
        result.history.append(row)
        if best is None or rank(found) > best[0]:
            best = (rank(found), model.get_weights())
            result.best_step = result.steps
        validated(row)

    began = time.monotonic()
    phase("validating")
    validate(0.0)
    cost = time.monotonic() - began
    phase("compiling")
    for x, y in (batches[index] for index in range(min(2, len(batches)))):
        model.train_on_batch(x, y)  # compiles, at learning rate 0
    model.set_weights(best[1])

    budget = 60.0 * minutes
    budget = max(budget - cost, 0.5 * budget)  # of steps and the validations among them
    marks = min(max(int(VALIDATION_SHARE * budget / cost), 1), MOST_VALIDATIONS)
    started, smooth = time.monotonic(), None
    fraction = 0.0
    while fraction < 1.0:
        for x, y in batches:
            optimizer.learning_rate.assign(learning_rate_at(fraction, learning_rate))
            value = float(model.train_on_batch(x, y))
            if not np.isfinite(value):
                result.diverged = True
                break
            result.steps += 1
            result.sequences += len(y)
            smooth = value if smooth is None else 0.95 * smooth + 0.05 * value
            fraction = (time.monotonic() - started) / budget
            report(time.monotonic() - started, result, smooth)
            if fraction >= 1.0:
                break
            if fraction * marks >= len(result.history):
                validate(fraction)
                fraction = (time.monotonic() - started) / budget
        if result.diverged:
            break
        batches.set_epoch(batches.epoch + 1)
    if not result.diverged:
        validate(1.0)
    result.seconds = time.monotonic() - started
    model.set_weights(best[1])
    return result
