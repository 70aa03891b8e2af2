"""The table of published models, as rows and as Markdown."""

from keras_dss.scoring import brief
from keras_dss.zoo.catalogue import card
from keras_dss.zoo.storage import names

BEGIN, END = "<!-- zoo -->", "<!-- /zoo -->"

_COLUMNS = (
    "model", "test", "baseline", "states", "parameters", "weights", "reduced from", "version",
)  # fmt: skip


def table(root=None):
    """Returns the published models as a list of dicts, sorted by name.

    Keys: task, name, states, parameters, bytes, test_accuracy (None for a regressor), chance,
    majority (None where the card has none), test (dict of all test metrics), baselines (dict),
    parent, version.

    Args:
        root: folder of the published models; `zoo.root()` if None.

    Example:

    >>> import keras_dss
    >>> [row["name"] for row in keras_dss.zoo.table()] == keras_dss.zoo.list()
    True
    """
    return [_row(card(name, root)) for name in names(root)]


def _row(card):
    return {
        "task": card["task"],
        "name": card["name"],
        "states": card["states"],
        "parameters": card["parameters"]["total"],
        "bytes": card["bytes"],
        "test_accuracy": card["metrics"]["test"].get("accuracy"),
        "chance": card["baselines"].get("chance"),
        "majority": card["baselines"].get("majority"),
        "test": card["metrics"]["test"],
        "baselines": card["baselines"],
        "parent": card["parent"],
        "version": card["version"],
    }


def say_score(row):
    """Returns the test metrics of a row in words."""
    return brief(row["test"])


def say_baseline(row):
    """Returns what takes no model: the commonest class, or the last value repeated; or nothing."""
    if row["majority"] is not None:
        return f"{row['majority']:.2%}"
    repeated = row["baselines"].get("repeat_last_mse")
    return "" if repeated is None else f"MSE {repeated:.4f}"


def _cells(row):
    return (
        f"`{row['name']}`",
        say_score(row),
        say_baseline(row),
        f"{row['states']:,}",
        f"{row['parameters']:,}",
        f"{row['bytes'] / 1024:,.0f} KiB",
        f"`{row['parent']}`" if row["parent"] else "",
        str(row["version"]),
    )


def markdown_table(root=None):
    """Returns the table of published models in Markdown, without a final newline.

    Args:
        root: folder of the published models; `zoo.root()` if None.
    """
    lines = [_COLUMNS, ("---",) + ("---:",) * 5 + ("---", "---:"), *map(_cells, table(root))]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def insert(text, root=None):
    """Returns `text` with the table between the lines `<!-- zoo -->` and `<!-- /zoo -->`.

    Raises:
        ValueError: unless `text` has each of the two markers once, in this order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(
            f"Expected the markers {BEGIN} and {END}, once each and in this order. "
            f"Received: a text with {text.count(BEGIN)} and {text.count(END)} of them."
        )
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{markdown_table(root)}\n{END}{after}"
