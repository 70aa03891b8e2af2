"""`keras-dss list`: the published models as a table."""

from rich import box
from rich.table import Table

from keras_dss.cli.console import console, print_table
from keras_dss.cli.errors import UsageError

NAME = "list"
ARGUMENTS = ()
FLAGS = "[--task=TASK]"
SUMMARY = "The published models, one a line."
DETAILS = (
    "States are the complex modes of all features, directions and layers. The scores are those of "
    "the models' cards, on whole test splits; beside them stands what takes no model: always "
    "answering the commonest class, or repeating the last value."
)
EXAMPLES = ("keras-dss list",)


def define(values):
    from absl import flags

    flags.DEFINE_string("task", None, "Only the models of this task.", flag_values=values)


def run(arguments, values):
    from keras_dss import zoo

    rows = zoo.table()
    out = console()
    if not rows:
        out.print(f"No model is published in {zoo.root()}.")
        return
    if values.task:
        known = sorted({row["task"] for row in rows})
        if values.task not in known:
            raise UsageError(
                f"expected a task of a published model, one of {', '.join(known)}. "
                f"Received: --task={values.task}"
            )
        rows = [row for row in rows if row["task"] == values.task]
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("task", "name", "states", "parameters", "size", "test", "baseline",
                 "reduced from", "version"):  # fmt: skip
        right = name not in ("task", "name", "reduced from")
        table.add_column(name, justify="right" if right else "left", no_wrap=name == "name")
    for row in rows:
        table.add_row(*_cells(row))
    print_table(out, table)


def _cells(row):
    from keras_dss.zoo.table import say_baseline, say_score

    size = f"{row['bytes'] / 1024:,.0f} KiB"
    return (
        row["task"], row["name"], f"{row['states']:,}", f"{row['parameters']:,}", size,
        say_score(row), say_baseline(row),
        row["parent"] or "", str(row["version"]),
    )  # fmt: skip
