"""The model of a task, from a recipe's settings."""

import dataclasses

from keras_dss import models
from recipes.settings import ModelSettings

HEADS = {
    "classification": ("readout", "downsampling", "mask_zeros"),
    "pairs": ("readout", "downsampling", "classes", "standardize"),
    "regression": ("readout", "downsampling", "mask_zeros", "relative"),
    "language": (),
}


def make_model(task, settings, **size):
    """Return an untrained model for a module of `keras_dss.datasets`.

    Args:
        task: the module. settings: `ModelSettings`.
        **size: `state_size`, and `eigenvalues` if not shared.

    Raises:
        ValueError: for a setting that models of this kind do not have.
    """
    options = dataclasses.asdict(settings) | size
    for name in {name for names in HEADS.values() for name in names} - set(HEADS[task.KIND]):
        value = options.pop(name)
        if value != getattr(ModelSettings, name):
            raise ValueError(
                f"Models of the kind {task.KIND!r} have no setting model.{name}. Received: {value}"
            )
    vocabulary = getattr(task, "VOCABULARY_SIZE", None)
    if task.KIND == "language":
        return models.DSSLanguageModel(vocabulary, **options)
    if task.KIND == "pairs":
        return models.DSSPairClassifier(task.NUM_CLASSES, vocabulary_size=vocabulary, **options)
    channels = getattr(task, "CHANNELS", 1)
    if task.KIND == "regression":
        outputs = {"horizon": task.HORIZON, "channels": channels}
        return models.DSSRegressor(task.NUM_OUTPUTS, **outputs, **options)
    inputs = {"vocabulary_size": vocabulary, "channels": channels}
    return models.DSSClassifier(task.NUM_CLASSES, **inputs, **options)
