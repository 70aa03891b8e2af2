"""What the files of a work dir follow from, and how to tell whether settings are the same."""

import dataclasses
from pathlib import Path

from recipes.files import read_json, sha256


def origin(settings, name, work_dir):
    """Return the settings that a training follows from, and the weights that it starts from.

    Args:
        settings: the recipe's `Settings`. name: of the model. work_dir: folder of the recipe.
    """
    child, folder = settings.models[name], Path(work_dir) / name
    training = settings.train if child else settings.pretrain
    found = {
        "name": name, "seed": settings.seed, "num_lengths": settings.num_lengths,
        "examples": settings.examples, "validation_examples": settings.validation_examples,
        "training": dataclasses.asdict(training),
        "model": dataclasses.asdict(settings.model),
        "start": dataclasses.asdict(child) if child else "skew_hippo",
    }  # fmt: skip
    if settings.start == "published":
        found["start"] = {"published": name}
        if (folder / "published.json").exists():
            facts = read_json(folder / "published.json")
            found["start"] |= {key: facts[key] for key in ("version", "weights")}
    elif settings.reduced(name):
        path = folder / "initial.keras"
        found["initial"] = sha256(path) if path.exists() else None
    return found


def describe_differences(expected, received, prefix=""):
    """Return what differs between two nested dictionaries, as strings.

    >>> describe_differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    ['a.b = 3, not 1']
    """
    if isinstance(expected, dict) and isinstance(received, dict):
        return [
            difference
            for key in {**expected, **received}
            for difference in describe_differences(
                expected.get(key), received.get(key), f"{prefix}.{key}" if prefix else str(key)
            )
        ]
    if isinstance(expected, tuple):  # which JSON holds as lists
        expected = list(expected)
    return [] if expected == received else [f"{prefix} = {received}, not {expected}"]


def architecture_differences(settings, name, card):
    """Return how the model of a card differs from the settings' model, as strings.

    A card lacks the settings that are younger than itself: then the model has their defaults.
    """
    former = {key: field.default for key, field in settings.model.__dataclass_fields__.items()}
    return describe_differences(settings.architecture(name), former | card["architecture"])
