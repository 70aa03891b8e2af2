"""`keras-dss info NAME`: the card of a published model."""

from rich import box
from rich.table import Table

from keras_dss.cli.console import console, print_table
from keras_dss.cli.evaluate import baseline_cells, metric_cells, metric_names
from keras_dss.cli.sources import find_card
from keras_dss.zoo.facts import card_facts

NAME = "info"
ARGUMENTS = ("NAME",)
FLAGS = "[--json]"
SUMMARY = "The card of a published model: what it is, how it came to be, what it reaches."
DETAILS = ""
EXAMPLES = ("keras-dss info lra_listops_n64_bt",)


def define(values):
    from absl import flags

    flags.DEFINE_bool("json", False, "Print the card as JSON.", flag_values=values)


def run(arguments, values):
    card = find_card(arguments[0])
    if values.json:
        import json

        print(json.dumps(card, indent=2, ensure_ascii=False))
        return
    out = console()
    out.print(f"\n{card['name']}, version {card['version']}, {card['date']}\n")
    print_table(out, _metrics(card))
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for key, value in card_facts(card):
        grid.add_row(key, value)
    out.print(grid)
    out.print()


def _metrics(card):
    """A row for each split and baseline."""
    metrics = card["metrics"]
    known = metric_names(metrics["test"])
    others = sorted(set(metrics["test"]) - {*known, "total"})
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("split", *known, "examples", *others):
        table.add_column(name.replace("_", " "), justify="left" if name == "split" else "right")
    for split, found in metrics.items():
        table.add_row(split, *metric_cells(found), *(f"{found[name]:.4g}" for name in others))
    for name, value in card["baselines"].items():
        table.add_row(f"baseline: {name}", *baseline_cells(name, value, known))
    return table
