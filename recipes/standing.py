"""Where the trainings of a work dir stand, told from its files without a backend."""

import dataclasses
import json
import os
from pathlib import Path

from recipes.files import CheckpointError, read_checkpoint_meta, read_json, sha256
from recipes.options import STAGES
from recipes.origin import architecture_differences, origin


@dataclasses.dataclass(frozen=True)
class Standing:
    """What is there of one or more trainings, in words, and whether all of it is."""

    complete: bool
    text: str


def standing(settings, names, stage, work_dir, smoke=False):
    """Return the `Standing` of some models of a recipe.

    Args:
        settings: the recipe's `Settings`. names: of the models, in full.
        stage: the stage that is asked for, or "all". work_dir: folder of the recipe.
        smoke: whether published models are those of the work dir.
    """
    found = {name: _of_model(settings, name, stage, Path(work_dir), smoke) for name in names}
    if len(names) == 1:
        return next(iter(found.values()))
    open_ones = {name: each for name, each in found.items() if not each.complete}
    if not open_ones:
        return Standing(True, "complete")
    name, first = next(iter(open_ones.items()))
    done = len(names) - len(open_ones)
    text = f"{done} of {len(names)} models complete; " if done else ""
    if done or first.text != "not begun":
        return Standing(False, f"{text}{name}: {first.text}")
    return first


def _of_model(settings, name, stage, work_dir, smoke):
    stages = STAGES if stage == "all" else (stage,)
    parent = settings.parent
    if stage == "pretrain" and name != parent:
        return _training(settings, parent, work_dir)
    card = _card(name, work_dir, smoke)
    if stage == "all" and not _begun(work_dir / name) and _made_by(card, settings, name):
        return Standing(True, f"complete: published, version {card['version']}")
    if stage == "reduce":
        done = not settings.reduced(name) or (work_dir / name / "reduction.json").exists()
        return Standing(done, "complete" if done else "not begun")
    trained = _training(settings, name, work_dir)
    if not trained.complete:
        waits = settings.reduced(name) and not (work_dir / name / "initial.keras").exists()
        if waits and trained.text == "not begun" and _begun(work_dir / parent):
            above = _training(settings, parent, work_dir)
            if not above.complete:
                return Standing(False, f"not begun; {parent}: {above.text}")
        return trained
    model = sha256(work_dir / name / "model.keras")
    evaluations = _read(work_dir / "evaluation.json")
    if "evaluate" in stages and evaluations.get(name, {}).get("model") != model:
        return Standing(False, "trained, not evaluated")
    if "publish" in stages:
        publication = _read(work_dir / name / "publication.json")
        if publication.get("model") != model:
            return Standing(False, "trained, not published")
        if "refused" in publication:
            return Standing(True, "complete; not better than what is published")
        if not card or card["version"] < publication["version"]:
            return Standing(False, "trained, not published")
        return Standing(True, f"complete: published, version {publication['version']}")
    return trained


def _training(settings, name, work_dir):
    facts = _read(work_dir / name / "training.json")
    if facts:
        expected = json.loads(json.dumps(origin(settings, name, work_dir)))
        same = facts["origin"] == expected
        return Standing(same, "complete" if same else "trained with other settings")
    path = work_dir / name / "checkpoint.npz"
    if not path.exists():
        return Standing(False, "not begun")
    try:
        meta = read_checkpoint_meta(path)
    except CheckpointError:
        return Standing(False, "damaged checkpoint")
    total = f" of {meta['total']:,}" if "total" in meta else ""
    return Standing(False, f"step {meta['state']['step']:,}{total}")


def _made_by(card, settings, name):
    """Return whether a published model is what these settings make, as far as its card tells.

    One that was trained on counts: it had at least their epochs.
    """
    if card is None or settings.start == "published":
        return False
    training = settings.train if settings.models[name] else settings.pretrain
    parent = settings.parent if settings.reduced(name) else None
    same = (card["seed"], card["parent"]) == (settings.seed, parent)
    enough = card["epochs"] >= training.epochs
    return same and enough and not architecture_differences(settings, name, card)


def _card(name, work_dir, smoke):
    folder = os.environ.get("KERAS_DSS_ZOO_DIR")
    if not folder:
        folder = work_dir / "zoo" if smoke else Path(__file__).parents[1] / "zoo"
    return _read(Path(folder) / name / "card.json") or None


def _begun(folder):
    return (folder / "checkpoint.npz").exists() or (folder / "training.json").exists()


def _read(path):
    return read_json(path) if path.exists() else {}
