"""Histories of the trainings of published models, as benchmarks/results keeps them."""

import json
from pathlib import Path


def earlier(path, results, card):
    """The kept trainings of earlier versions that the one at `path` went on from."""
    settings = json.loads(path.parents[1].joinpath("settings.json").read_text())
    kept = Path(results) / f"history_{card['name']}.json"
    if settings["start"] != "published" or not kept.exists():
        return []
    trainings = json.loads(kept.read_text())["trainings"]
    return [training for training in trainings if training["version"] < card["version"]]


def joined(trainings):
    """The history of trainings one after the other, whose epochs are counted on."""
    rows, before = [], 0.0
    for training in trainings:
        rows += [row | {"epoch": before + row["epoch"]} for row in training["history"]]
        before = rows[-1]["epoch"]
    return rows


def histories(results):
    """The kept histories, `{recipe: {name: content}}`."""
    found = {}
    for path in sorted(Path(results).glob("history_*.json")):
        content = json.loads(path.read_text())
        found.setdefault(content["recipe"], {})[content["name"]] = content
    return found
