"""A metric against states: what was measured, read from a file or out of published cards."""

import dataclasses
import json
from pathlib import Path

# The first that a score holds counts.
WORDS = {
    "bits_per_character": "bits per character",
    "accuracy": "accuracy",
    "mse": "mean squared error",
}


@dataclasses.dataclass(frozen=True)
class Curve:
    """Points of a picture of accuracy against states.

    Attributes:
        metric: `"accuracy"`, `"bits_per_character"`, `"mse"` or another name.
        series: dict from labels to lists of `(states, value)` or `(states, value, spread)`.
        points: `(label, states, value)` of single models, the one that the page is about first.
        reference: the value of the original model, or None.
        caption: what was measured, on what.

    Raises:
        ValueError: for points that are not numbers, or states below 1.
    """

    metric: str = "accuracy"
    series: dict = dataclasses.field(default_factory=dict)
    points: tuple = ()
    reference: float | None = None
    caption: str = ""

    def __post_init__(self):
        for label, values in [*self.series.items(), *((p[0], [p[1:]]) for p in self.points)]:
            for value in values:
                numbers = len(value) in (2, 3) and all(
                    isinstance(v, int | float) and not isinstance(v, bool) for v in value
                )
                if not numbers or value[0] < 1:
                    raise ValueError(
                        "Expected points [states, value] or [states, value, spread] of numbers, "
                        f"states from 1. Received: {value!r} of {label!r}"
                    )


def metric_of(score):
    """The name of the metric that counts among a score, as `keras_dss.scoring.score` returns it.

    Of numbers with other names it is the first.

    >>> metric_of({"accuracy": 0.9, "correct": 9, "total": 10, "loss": 0.3})
    'accuracy'
    """
    return next(name for name in [*WORDS, *score] if name in score and name != "total")


def say(metric, value):
    """A value of a metric in words.

    >>> say("accuracy", 0.98), say("mse", 0.45)
    ('98.00 %', '0.4500')
    """
    return f"{100.0 * value:.2f} %" if metric == "accuracy" else f"{value:.4f}"


def read_curve(path):
    """Reads a `Curve` from a JSON file.

    The file holds an object with `series` (label: list of `[states, value]`, a spread as a third
    number if there is one) and, if wanted, `metric`, `points`, `reference` and `caption`.

    Raises:
        ValueError: for a file that holds something else.
        OSError: for one that cannot be read.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"Expected JSON in {path}. Received: {error}") from error
    known = {field.name for field in dataclasses.fields(Curve)}
    if not isinstance(found, dict) or not isinstance(found.get("series"), dict):
        raise ValueError(
            f"Expected an object with `series` in {path}: a list of [states, value] for each "
            f"label. Received: {sorted(found) if isinstance(found, dict) else type(found).__name__}"
        )
    found = {key: value for key, value in found.items() if key in known}
    found["points"] = tuple(map(tuple, found.get("points", ())))
    try:
        return Curve(**found)
    except (TypeError, ValueError) as error:
        raise ValueError(f"The curve in {path} does not fit. {error}") from error


def published_curve(card):
    """The test metric of all published models of a card's task, that of the card first.

    Args:
        card: of a published model, as `keras_dss.zoo.card` returns it.
    """
    from keras_dss import zoo

    metric = metric_of(card["metrics"]["test"])
    others = (zoo.card(name) for name in zoo.list() if name != card["name"])
    family = [card, *(other for other in others if other["task"] == card["task"])]
    points = tuple(
        (other["name"], other["states"], other["metrics"]["test"][metric])
        for other in family
        if metric in other["metrics"]["test"]
    )
    total = card["metrics"]["test"]["total"]
    caption = f"All published models of {card['task']}, on the whole test set ({total:,} examples)."
    return Curve(metric=metric, points=points, caption=caption)
