"""The card of a published model: its schema and what must be consistent in it.

A card is a flat JSON object. `publish` is given the keys of `GIVEN`, may be given those of
`OPTIONAL`, and fills in the rest itself.
"""

import datetime
import json
import math
import platform
from importlib import metadata

import numpy as np

from keras_dss.version import __version__
from keras_dss.zoo.errors import CardError, FormatError, MissingFileError
from keras_dss.zoo.storage import CARD, FILES, NAME, NAME_RULE

FORMAT = 1


def _is_int(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value):
    return isinstance(value, str) and bool(value.strip())


def _is_date(value):
    try:
        return datetime.date.fromisoformat(value).isoformat() == value
    except (TypeError, ValueError):
        return False


def _is_sha256(value):
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")


def _is_numbers(value):
    return isinstance(value, dict) and bool(value) and all(map(_is_number, value.values()))


def _is_texts(value):
    return isinstance(value, list) and all(map(_is_text, value))


_text = ("a non-empty string", _is_text)
_count = ("an integer >= 0", lambda value: _is_int(value) and value >= 0)
_positive = ("an integer >= 1", lambda value: _is_int(value) and value >= 1)
_amount = ("a finite number >= 0", lambda value: _is_number(value) and value >= 0)
_numbers = ("a non-empty mapping of names to finite numbers", _is_numbers)

SCHEMA = {
    "format": _positive,
    "name": (f"a name {NAME_RULE}", lambda value: _is_text(value) and bool(NAME.fullmatch(value))),
    "version": _positive,
    "task": _text,
    "data": {
        "description": _text,
        "source": _text,
        "defects": ("a list of non-empty strings (may be empty)", _is_texts),
    },
    "architecture": ("a non-empty mapping", lambda value: isinstance(value, dict) and bool(value)),
    "parameters": {"total": _count, "ssm": _count},
    "states": _count,
    "bytes": _positive,
    "parent": ("None or a non-empty string", lambda value: value is None or _is_text(value)),
    "method": _text,
    "recipe": _text,
    "command": _text,
    "seed": ("an integer", _is_int),
    "epochs": _amount,
    "minutes": _amount,
    "hardware": _text,
    "backend": ("'tensorflow', 'jax' or 'torch'", {"tensorflow", "jax", "torch"}.__contains__),
    "versions": dict.fromkeys(("keras", "backend", "numpy", "python", "keras_dss"), _text),
    "metrics": {"validation": _numbers, "test": _numbers},
    "baselines": _numbers,
    "files": dict.fromkeys(FILES, ("64 hexadecimal digits", _is_sha256)),
    "pin": {
        "examples": _positive,
        "atol": ("a finite number > 0", lambda v: _is_number(v) and v > 0),
    },
    "licence": _text,
    "date": ("a date YYYY-MM-DD", _is_date),
}
FILLED = frozenset({"format", "name", "version", "parameters", "states", "bytes", "files", "pin"})
OPTIONAL = frozenset({"backend", "versions", "date"})
GIVEN = frozenset(SCHEMA) - FILLED - OPTIONAL


def check_keys(received, required, allowed, where):
    """Raises `CardError` that names every missing and every unknown key."""
    if not isinstance(received, dict):
        raise CardError(f"Expected {where} to be a mapping. Received: {received!r}.")
    missing = sorted(set(required) - set(received))
    unknown = sorted(map(str, set(received) - set(allowed)))
    if missing or unknown:
        raise CardError(
            f"Expected {where} to have the keys {sorted(required)}. "
            f"Received: missing keys {missing}, unknown keys {unknown}."
        )


def _check(value, schema, where):
    if isinstance(schema, dict):
        check_keys(value, schema, schema, where)
        for key, part in schema.items():
            _check(value[key], part, f"{where}[{key!r}]")
        return
    expected, accepts = schema
    try:
        accepted = accepts(value)
    except TypeError:
        accepted = False
    if not accepted:
        raise CardError(f"Expected {where} to be {expected}. Received: {value!r}.")


def _check_metrics(metrics, where):
    """Checks that accuracy = correct / total, with 0 <= correct <= total."""
    if not _is_int(metrics.get("total")) or metrics["total"] < 1:
        raise CardError(
            f"Expected {where}['total'], the number of examples, to be an integer >= 1. "
            f"Received: {metrics.get('total')!r}."
        )
    if not {"accuracy", "correct"} & set(metrics):
        return
    if not {"accuracy", "correct"} <= set(metrics):
        raise CardError(
            f"Expected {where} to have both 'accuracy' and 'correct'. Received: {metrics!r}."
        )
    accuracy, correct, total = (metrics[key] for key in ("accuracy", "correct", "total"))
    if not _is_int(correct) or not 0 <= correct <= total or abs(accuracy - correct / total) > 1e-9:
        raise CardError(
            f"Expected {where}['accuracy'] to equal correct / total with 0 <= correct <= total. "
            f"Received: accuracy {accuracy!r}, correct {correct!r}, total {total!r}."
        )


def check_card(card):
    """Checks a complete card.

    Raises:
        FormatError: for a card of another format version.
        CardError: for missing or unknown keys, values of the wrong kind and contradictions.
    """
    received = card.get("format") if isinstance(card, dict) else None
    if _is_int(received) and received > FORMAT:
        raise FormatError(
            f"Expected a card of format {FORMAT} or older; a newer keras_dss reads this one. "
            f"Received: format {received}."
        )
    _check(card, SCHEMA, "card")
    parts = NAME.fullmatch(card["name"])
    if parts["task"] != card["task"]:
        raise CardError(
            f"Expected a name {NAME_RULE} with the task {card['task']!r}. "
            f"Received: {card['name']!r}."
        )
    if parts["reduced"] and card["parent"] is None or card["parent"] == card["name"]:
        raise CardError(
            f"Expected the parent of {card['name']!r} to be another published model. "
            f"Received: {card['parent']!r}."
        )
    for split, metrics in card["metrics"].items():
        _check_metrics(metrics, f"card['metrics'][{split!r}]")
    if set(card["metrics"]["validation"]) != set(card["metrics"]["test"]):
        raise CardError(
            "Expected the same metrics for validation and test. Received: "
            f"{sorted(card['metrics']['validation'])} and {sorted(card['metrics']['test'])}."
        )
    if "accuracy" in card["metrics"]["test"]:
        missing = sorted({"chance", "majority"} - set(card["baselines"]))
        if missing:
            raise CardError(
                "Expected card['baselines'] to have 'chance' and 'majority' beside an accuracy. "
                f"Received: missing keys {missing}."
            )


def versions():
    """Returns the versions that a card records, as a dict of strings.

    Call it where the model is trained, if that is not where it is published.

    >>> import keras_dss
    >>> sorted(keras_dss.zoo.versions())
    ['backend', 'keras', 'keras_dss', 'numpy', 'python']
    """
    import keras

    backend = keras.backend.backend()
    return {
        "keras": keras.__version__,
        "backend": f"{backend} {_version(backend)}",
        "numpy": np.__version__,
        "python": platform.python_version(),
        "keras_dss": __version__,
    }


def _version(distribution):
    # TensorFlow's builds have several distribution names, but one module.
    if distribution in ("tensorflow", "torch", "jax"):
        return str(__import__(distribution).__version__)
    return metadata.version(distribution)


def read_card(folder):
    """Returns the checked card of a model's folder.

    Raises:
        MissingFileError, FormatError, CardError: each naming the file.
    """
    path = folder / CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MissingFileError(f"Expected the file {path}. Received: no such file.") from None
    except ValueError as error:
        raise CardError(f"Expected {path} to be JSON. Received: {error}.") from None
    try:
        check_card(card)
    except (CardError, FormatError) as error:
        raise type(error)(f"{path}: {error}") from None
    return card


def plain(value):
    """Returns `value` as JSON holds it: NumPy scalars and arrays, tuples and paths undone."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise CardError(
        "Expected a card of strings, numbers, booleans, None, lists and mappings. "
        f"Received: {value!r} of type {type(value).__name__}."
    )
