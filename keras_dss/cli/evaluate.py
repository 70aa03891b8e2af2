"""`keras-dss evaluate NAME_OR_FILE`: the accuracy of a model on a split of its task."""

from rich import box
from rich.table import Table

from keras_dss.cli.console import console, print_table, start_backend
from keras_dss.cli.progress import Stages

NAME = "evaluate"
ARGUMENTS = ("NAME_OR_FILE",)
FLAGS = "[--split=test] [--task=TASK] [flags]"
SUMMARY = "The accuracy of a published model, or of a .keras file, on a split of its task."
DETAILS = (
    "The data of a published model's task is generated or read, and the accuracy stands beside "
    "that of the model's card."
)
EXAMPLES = (
    "keras-dss evaluate lra_listops_n64_bt",
    "keras-dss evaluate small.keras --task=lra_listops --split=validation",
)


def define(values):
    from absl import flags

    flags.DEFINE_enum(
        "split", "test", ["train", "validation", "test"], "The split.", flag_values=values
    )
    define_data(values)
    flags.DEFINE_integer(
        "examples", None, "Only the first N examples of the split.", 1, flag_values=values
    )


def define_data(values):
    """The flags that say what data a model is for."""
    from absl import flags

    flags.DEFINE_string(
        "task", None, "The task of a file, such as lra_listops.", flag_values=values
    )
    flags.DEFINE_string(
        "data_dir", None,
        "Folder of the original data files; else $KERAS_DSS_DATA_DIR. What is not there is "
        "generated or downloaded where it can be.",
        flag_values=values,
    )  # fmt: skip


def run(arguments, values):
    from keras_dss.cli import sources
    from keras_dss.cli.errors import UsageError

    sources.check_data_dir(values.data_dir)
    source = sources.find_source(arguments[0])
    stages = Stages()
    with stages.stage("start", "Starting"):
        start_backend()
        task = sources.find_task(source, values.task)
        if task is None:
            raise UsageError(
                f"expected the task of a file: --task={'|'.join(sources.tasks())} Received: none"
            )
        model = source.load()
    from keras_dss.cli.scoring import evaluation_batches
    from keras_dss.scoring import score

    data = sources.Data(task, values.data_dir)
    data.check_model(model)
    with stages.stage("data", f"Reading {values.split} data") as bar:
        x, y = data.load(values.split, values.examples)
        bar.result = f"{len(x):,} sequences. {data.origin}"
    with stages.stage("evaluate", f"Evaluating on {values.split}", len(x)) as bar:
        found = score(model, evaluation_batches(x, y), data.kind, bar.advance)
    out = console()
    out.print()
    print_table(out, _table(source, values.split, found))


def _table(source, split, found):
    table = Table(box=box.SIMPLE_HEAD, title=f"{source.name} on {split}")
    names = metric_names(found)
    for name in ("", *names, "examples"):
        table.add_column(name.replace("_", " "), justify="right" if name else "left")
    table.add_row("measured now", *metric_cells(found))
    card = source.card or {"metrics": {}, "baselines": {}}
    published = card["metrics"].get(split)
    if published and set(names) <= set(published):
        table.add_row("its card", *metric_cells(published))
        if published["total"] == found["total"]:
            table.add_row("difference", *_differences(found, published, names))
    for name, value in card["baselines"].items() if split == "test" else ():
        table.add_row(f"baseline: {name}", *baseline_cells(name, value, names))
    return table


def metric_names(found):
    """The metrics of a score that tables show, the one that counts first."""
    order = ("bits_per_character", "accuracy", "correct", "mse", "mae")
    return [name for name in order if name in found]


def metric_cells(found):
    """The metrics of a score, and the number of examples, as cells of a table."""
    return *(_cell(name, found[name]) for name in metric_names(found)), f"{found['total']:,}"


def _cell(name, value, sign=""):
    if name == "accuracy":
        return f"{value:{sign}.2%}"
    return f"{value:{sign},}" if isinstance(value, int) else f"{value:{sign}.4f}"


def _differences(found, published, names):
    for name in names:
        difference = found[name] - published[name]
        yield (
            f"{100.0 * difference:+.2f} points"
            if name == "accuracy"
            else _cell(name, difference, "+")
        )


def baseline_cells(name, value, names):
    """A baseline under the metric that it is one of: `..._mse`, else the accuracy."""
    metric = "mse" if name.endswith("_mse") else "accuracy"
    return [_cell(metric, value) if metric == column else "" for column in names]
