"""What a training takes from the published models, and whether it replaces one."""

import re

import numpy as np

from keras_dss import scoring, zoo
from keras_dss.zoo.storage import WEIGHTS
from recipes.models import make_model
from recipes.origin import architecture_differences


def card_of(name):
    """Return the card of a published model, or None if there is none of that name."""
    return zoo.card(name) if name in zoo.list() else None


def load(task, settings, name):
    """Return the settings' model `name` with its published weights, and their card.

    Dropout has no weights and may differ.

    Raises:
        ValueError: it is not published, or its architecture is not that of the settings.
    """
    card = zoo.card(name)
    differences = architecture_differences(settings, name, card)
    differences = [text for text in differences if not text.startswith("dropout = ")]
    if differences:
        raise ValueError(
            f"Expected the published {name}, version {card['version']}, to have the architecture "
            f"of these settings. Received: {'; '.join(differences)}"
        )
    sizes = {k: settings.architecture(name)[k] for k in ("state_size", "eigenvalues")}
    model, values = make_model(task, settings.model, **sizes), zoo.load(name).get_weights()
    expected, received = ([w.shape for w in each] for each in (model.get_weights(), values))
    if expected != received:
        raise ValueError(
            f"Expected the published {name} to have weights of the shapes {expected}. "
            f"Received: {received}"
        )
    model.set_weights(values)
    return model, card


def facts(card):
    """Return what a training that goes on from a published model remembers of its card."""
    kept = ("version", "epochs", "minutes", "method", "hardware", "parent")
    return {"weights": card["files"][WEIGHTS], **{key: card[key] for key in kept}}


def has_weights(name, model):
    """Return whether the published model has exactly these weights."""
    published, values = zoo.load(name).get_weights(), model.get_weights()
    return len(published) == len(values) and all(map(np.array_equal, published, values))


def objection(card, validation, data):
    """Return why a model should not replace a published one, or None.

    Scores are compared on the same data alone.

    Args:
        card: of the published model. validation: metrics of the new model on the validation split.
        data: SHA-256 of the training arrays of the new model.
    """
    former = card["metrics"]["validation"]
    told = re.search(r"SHA-256 of the training arrays: (\w+)", card["data"]["description"])
    if not told or told[1] != data or former["total"] != validation["total"]:
        return None
    if scoring.rank(validation) > scoring.rank(former):
        return None
    return (
        f"Expected {card['name']} to validate better than its published version "
        f"{card['version']}, {scoring.say(former)}, loss {scoring.loss_of(former):.6f}; publish it "
        f"all the same with --replace_better. Received: {scoring.say(validation)}, loss "
        f"{scoring.loss_of(validation):.6f}"
    )
