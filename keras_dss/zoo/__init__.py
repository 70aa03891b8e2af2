"""Published models: list them, load them, read their cards; publish and verify them."""

from keras_dss.zoo.catalogue import card, load, verify
from keras_dss.zoo.counting import count_ssm_parameters, count_states
from keras_dss.zoo.errors import (
    ArchitectureError,
    CardError,
    DamagedFileError,
    FormatError,
    MissingFileError,
    PinError,
    PublishError,
    UnknownModelError,
    WeightsMismatchError,
    ZooError,
)
from keras_dss.zoo.schema import versions
from keras_dss.zoo.storage import names as list
from keras_dss.zoo.storage import root
from keras_dss.zoo.table import markdown_table, table


def __getattr__(name):  # needs Keras, which reading cards does not
    if name == "publish":
        from keras_dss.zoo.publishing import publish

        return publish
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ArchitectureError",
    "CardError",
    "DamagedFileError",
    "FormatError",
    "MissingFileError",
    "PinError",
    "PublishError",
    "UnknownModelError",
    "WeightsMismatchError",
    "ZooError",
    "card",
    "count_ssm_parameters",
    "count_states",
    "list",
    "load",
    "markdown_table",
    "publish",
    "root",
    "table",
    "verify",
    "versions",
]
