"""A metric against states, measured: what is left of a model after reductions without training."""

from keras_dss import scoring, zoo
from keras_dss.compression import compress_model
from keras_dss.compression.rebuild import find_dss_layers
from keras_dss.report.curves import Curve, metric_of


def fractions(model):
    """A half of the modes, a quarter and so on down to one mode in the largest layer."""
    largest = max(layer.state_size for layer in find_dss_layers(model).values())
    return [0.5**k for k in range(1, largest.bit_length())]


def measure_curve(
    model, batches, kind="classification", *, calibration=None, points=(), advance=lambda: None
):
    """Reduces a model to ever fewer modes, without training, and scores what is left.

    Args:
        model: a built `keras.Model` with DSS layers; it stays as it is.
        batches: `(x, labels)` batches that can be read again and again.
        kind: of the task, see `keras_dss.scoring`.
        calibration: an array of unlabelled inputs, for a second series with measured Gramians.
        points: pairs of a label and a model to score as well, the page's own first.
        advance: called after each score.

    Returns:
        A `Curve`.

    Raises:
        TypeError, ValueError: as `keras_dss.compress_model` and `keras_dss.scoring.score` do.

    Example:

    >>> import numpy as np, keras_dss
    >>> model = keras_dss.models.DSSClassifier(2, features=2, num_blocks=1, state_size=4)
    >>> x, y = np.ones((6, 9, 1), "float32"), np.zeros(6, int)
    >>> curve = measure_curve(model, [(x, y)])
    >>> [states for states, _ in curve.series["balanced truncation"]]
    [8, 4, 2]
    """

    def point(model):
        score = scoring.score(model, batches, kind)
        advance()
        return zoo.count_states(model), score

    states, score = point(model)
    metric = metric_of(score)
    reference = score[metric]
    series = {"balanced truncation": {}}
    if calibration is not None:
        series["balanced truncation, measured Gramian"] = {"calibration": calibration}
    found = {}
    for label, options in series.items():
        found[label] = [(states, reference)]
        for fraction in fractions(model):
            small, small_score = point(compress_model(model, fraction, **options))
            found[label].append((small, small_score[metric]))
    measured = [(label, *point(other)) for label, other in points]
    return Curve(
        metric=metric,
        series=found,
        points=tuple((label, count, own[metric]) for label, count, own in measured),
        reference=reference,
        caption=f"Reduced without training after it; {score['total']:,} test examples.",
    )
