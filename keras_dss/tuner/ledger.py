"""The scores of a search in one file that is always whole."""

import json
import os
from pathlib import Path

FORMAT = 1


class Ledger:
    """Trials by their hyperparameters, in a JSON file that is replaced at each change.

    Args:
        path: the file; it is read if it is there.
        subject: dict of strings, what the scores depend on beside the hyperparameters.

    Attributes:
        seeds: dict from names of oracles to the seeds they began with.
        original: metrics of the model that is reduced, or None.
        trials: list of dicts with `values`, `metrics` and `seconds`, in the order of their making.

    Raises:
        ValueError: for a file of a search with another subject.
    """

    def __init__(self, path, subject):
        self.path, self.subject = Path(path), subject
        self.seeds, self.original, self.trials = {}, None, []
        if self.path.exists():
            self._read()
        self._found = {key(trial["values"]): trial["metrics"] for trial in self.trials}

    def find(self, values):
        """The metrics of a trial with these hyperparameters, or None."""
        return self._found.get(key(values))

    def add(self, values, metrics, seconds):
        self.trials.append({"values": dict(values), "metrics": metrics, "seconds": seconds})
        self._found[key(values)] = metrics
        self.write()

    def write(self):
        content = {
            "format": FORMAT,
            "subject": self.subject,
            "seeds": self.seeds,
            "original": self.original,
            "trials": self.trials,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self.path)

    def _read(self):
        content = json.loads(self.path.read_text(encoding="utf-8"))
        old = content["subject"] if content.get("format") == FORMAT else {}
        changed = [name for name in self.subject if old.get(name) != self.subject[name]]
        if changed:
            raise ValueError(
                f"{self.path.parent} holds a search with another {' and '.join(changed)}: give "
                "this one another directory or project_name, or overwrite=True. "
                + "Received: "
                + "; ".join(f"{name} {self.subject[name]}, was {old.get(name)}" for name in changed)
            )
        self.seeds, self.original = content["seeds"], content["original"]
        self.trials = content["trials"]


def key(values):
    """Hyperparameters as a string that does not depend on their order.

    >>> key({"rank": 2, "method": "modal"})
    '{"method": "modal", "rank": 2}'
    """
    return json.dumps(values, sort_keys=True)
