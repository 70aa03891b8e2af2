"""Publish a model: the only writer of the zoo."""

import datetime
import json

import keras
import numpy as np

from keras_dss.zoo import files
from keras_dss.zoo.catalogue import describe
from keras_dss.zoo.counting import state_sizes
from keras_dss.zoo.errors import CardError, PublishError
from keras_dss.zoo.schema import (
    FORMAT,
    GIVEN,
    OPTIONAL,
    SCHEMA,
    check_card,
    check_keys,
    plain,
    versions,
)
from keras_dss.zoo.storage import (
    CARD,
    CONFIG,
    FILES,
    NAME,
    NAME_RULE,
    PIN,
    WEIGHTS,
    find_root,
    locate,
    names,
    replacing,
    sha256,
    writable_root,
)


def publish(model, name, card, pin_inputs, *, root=None, atol=1e-3):
    """Publishes a model under a name and returns its complete card.

    The folder `<root>/<name>` holds `config.json`, `model.weights.h5` (no optimizer), `pin.npz`
    and `card.json`. It appears whole or not at all: a name that is published again keeps its old
    model until the new one is complete, and its version counts up by one.

    Args:
        model: a built `keras.Model` of classes of keras and keras_dss, with one output.
        name: `<task>[_base]_n<state size>[_bt|_h2]`, `_base` for a model of the published systems'
            size, `_bt` and `_h2` for one reduced from a `parent`, by balanced truncation or
            H2-optimally. The state size is that of the model's layers; where they differ, one in
            their range.
        card: dict of the keys task, data (description, source, defects), architecture, parent,
            method, recipe, command, seed, epochs, minutes, hardware, metrics, baselines, licence.
            `metrics` has `validation` and `test`, each with the count `total` and either
            `accuracy` = `correct` / `total` or other named numbers. Where the model was trained
            on another machine or day, also backend, versions (see `zoo.versions`) and date.
        pin_inputs: a few inputs, an array or a list or dict of arrays, (examples, ...).
        root: folder of the published models; `zoo.root()` if None.
        atol: largest absolute difference from the pinned outputs that a backend may show.

    Raises:
        CardError: for missing, unknown or contradictory entries.
        PublishError: for a bad name, a parent that is not published, a model of classes of others,
            weights or outputs that are not finite.
        ArchitectureError, PinError: for a model that its config and weights do not give again.

    Example:

    >>> import keras, keras_dss, tempfile
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    >>> score = {"accuracy": 0.75, "correct": 3, "total": 4}
    >>> card = {
    ...     "task": "toy", "architecture": {"layers": 1}, "parent": None, "method": "random",
    ...     "data": {"description": "none", "source": "none", "defects": []},
    ...     "recipe": "none", "command": "none", "seed": 0, "epochs": 0, "minutes": 0,
    ...     "hardware": "any", "metrics": {"validation": score, "test": score},
    ...     "baselines": {"chance": 0.5, "majority": 0.5}, "licence": "Apache-2.0",
    ... }
    >>> with tempfile.TemporaryDirectory() as root:
    ...     card = keras_dss.zoo.publish(model, "toy_n4", card, np.ones((1, 3)), root=root)
    ...     loaded = keras_dss.zoo.load("toy_n4", root=root)
    >>> card["version"], loaded.count_params()
    (1, 8)
    """
    folder = writable_root() if root is None else find_root(root)
    card = _complete(card)
    _check_model(model, name, card, folder)
    arrays = files.flatten_inputs(pin_inputs)
    config = files.serialize(model)
    with replacing(folder, name) as fresh:
        files.write_json(fresh / CONFIG, config)
        twin = files.read_config(fresh)
        _copy_weights(model, twin)
        files.write_weights(twin, fresh / WEIGHTS)
        files.write_pin(fresh / PIN, arrays, files.outputs(model, files.unflatten_inputs(arrays)))
        card = {key: card.get(key) for key in SCHEMA} | {
            "format": FORMAT,
            "name": name,
            "version": _next_version(folder, name),
            "files": {file: sha256(fresh / file) for file in FILES},
            "pin": {"examples": len(next(iter(arrays.values()))), "atol": float(atol)},
            **describe(twin, fresh),
        }
        check_card(card)
        reloaded = files.read_config(fresh)
        files.read_weights(reloaded, fresh)
        files.check_pin(reloaded, fresh, card["pin"]["atol"])
        files.write_json(fresh / CARD, card)
    return card


def _complete(card):
    """Returns a plain copy of the given card with backend, versions and date filled in."""
    check_keys(card, GIVEN, GIVEN | OPTIONAL, "the card given to publish")
    card = plain(card)
    running = keras.backend.backend()
    if ("versions" in card) != ("backend" in card) and card.get("backend", running) != running:
        raise CardError(
            "Expected the versions of the backend that trained the model, see zoo.versions(), "
            f"since {running!r} runs now. Received: backend {card['backend']!r} without versions."
        )
    card.setdefault("backend", running)
    card.setdefault("versions", versions())
    card.setdefault("date", datetime.date.today().isoformat())
    if not str(card["versions"]["backend"]).startswith(str(card["backend"])):
        raise CardError(
            f"Expected the versions of the backend {card['backend']!r}. "
            f"Received: {card['versions']['backend']!r}."
        )
    return card


def _check_model(model, name, card, folder):
    if not isinstance(model, keras.Model) or not model.built:
        raise PublishError(f"Expected a built keras.Model. Received: {model!r}.")
    parts = NAME.fullmatch(name) if isinstance(name, str) else None
    if not parts or parts["task"] != card["task"]:
        raise PublishError(
            f"Expected a name {NAME_RULE} with the card's task {card['task']!r}. "
            f"Received: {name!r}."
        )
    sizes = state_sizes(model)
    if sizes and not sizes[0] <= int(parts["states"]) <= sizes[-1]:
        raise PublishError(
            f"Expected a name {NAME_RULE} with a state size of the model's layers, {sizes}. "
            f"Received: {name!r}."
        )
    if card["parent"] is not None and card["parent"] not in names(folder):
        raise PublishError(
            f"Expected the parent to be published before, one of {names(folder)}. "
            f"Received: {card['parent']!r}."
        )


def _copy_weights(model, twin):
    """Copies the weights of `model` into the model that its config gives."""
    expected, received = (
        [(weight.name, tuple(weight.shape)) for weight in each.weights] for each in (twin, model)
    )
    if [shape for _, shape in expected] != [shape for _, shape in received]:
        raise PublishError(
            f"Expected a model whose config rebuilds its weights {received}. "
            f"Received: a config that builds {expected}."
        )
    values = model.get_weights()
    for weight, value in zip(model.weights, values, strict=True):
        if not np.isfinite(np.asarray(value, "float64")).all():
            raise PublishError(
                f"Expected finite weights. Received: a weight {weight.path!r} that is not finite."
            )
    twin.set_weights(values)


def _next_version(folder, name):
    if name not in names(folder):
        return 1
    path = locate(name, folder) / CARD
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["version"]) + 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CardError(
            f"Expected the version of the published {name!r} in {path}. Received: {error!r}."
        ) from None
