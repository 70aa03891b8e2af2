"""`keras-dss report NAME_OR_FILE`: one HTML page about a model."""

import dataclasses
import json
from pathlib import Path

from keras_dss.cli import evaluate
from keras_dss.cli.console import console, start_backend
from keras_dss.cli.errors import UsageError
from keras_dss.cli.files import check_output, replacing
from keras_dss.cli.progress import Stages

NAME = "report"
ARGUMENTS = ("NAME_OR_FILE",)
FLAGS = "--output=FILE.html [flags]"
SUMMARY = "One HTML page: Hankel values, kernels and poles of every layer, accuracy, the card."
DETAILS = (
    "The page needs no network and no file beside it. A published model is shown beside its "
    "parent; so is a file that `keras-dss compress` made, whose FILE.report.json is read if it "
    "lies beside it."
)
EXAMPLES = (
    "keras-dss report smnist_n16_bt --output=page.html",
    "keras-dss report small.keras --parent=lra_listops_n64_bt --output=page.html",
    "keras-dss report lra_listops_n64_bt --evaluate=500 --output=page.html",
)
SPELLINGS = {"output": "FILE.html", "curve": "FILE.json", "evaluate": "N"}
CALIBRATION_EXAMPLES = 24


def define(values):
    from absl import flags

    options = {"flag_values": values}
    flags.DEFINE_string("output", None, "The page to write.", **options)
    flags.DEFINE_bool("overwrite", False, "Replace the page if it is there.", **options)
    flags.DEFINE_string(
        "parent", None, "Name or file of the model before its reduction.", **options
    )
    flags.DEFINE_string(
        "curve", None,
        "JSON of a metric against states to draw: series, a list of [states, value] for each "
        "label.", **options,
    )  # fmt: skip
    flags.DEFINE_integer(
        "evaluate", None,
        "Measure the metric against states on the first N test examples: the parent, or the "
        "model, is reduced to a half of its modes, a quarter and so on.", 1, **options,
    )  # fmt: skip
    evaluate.define_data(values)


def run(arguments, values):
    from keras_dss.cli import sources

    if values.output is None:
        raise UsageError(f"expected {NAME} with --output=FILE.html. Received: no --output")
    if values.curve and values.evaluate:
        raise UsageError("expected one of --curve and --evaluate. Received: both")
    (path,) = check_output(values.output, (".html",), values.overwrite)
    sources.check_data_dir(values.data_dir)
    source = sources.find_source(arguments[0])
    made = compression_of(source)
    parent = _parent(source, values.parent, made)
    stages = Stages()
    with stages.stage("start", "Starting") as bar:
        start_backend()
        task = sources.find_task(source, values.task)
        if values.evaluate and task is None:
            raise UsageError(
                f"--evaluate needs the task of a file: --task={'|'.join(sources.tasks())} "
                "Received: none"
            )
        model = source.load()
        original = parent and parent.load()
        bar.result = source.name + (f", beside {parent.name}" if parent else "")

    from keras_dss import report

    if made and made["compression"]["parameters_after"] != model.count_params():
        made = None  # of another model
    curve = None
    if values.curve:
        curve = report.read_curve(Path(values.curve).expanduser())
    elif values.evaluate:
        data = sources.Data(task, values.data_dir)
        curve = _measure(source.name, model, original, data, values.evaluate, stages)
    elif made and not source.card:
        curve = _curve_of(made, source.name)
    with stages.stage("draw", "Drawing and writing"), replacing([path]) as (temporary,):
        report.write(
            model,
            temporary,
            name=source.name,
            card=source.card,
            parent=original,
            parent_name=parent and parent.name,
            compression=made and made["compression"],
            curve=curve,
        )
    console().print(f"page {path}", soft_wrap=True)


def compression_of(source):
    """What `keras-dss compress` wrote beside a file, or None."""
    if source.path is None:
        return None
    try:
        path = source.path.with_name(f"{source.path.stem}.report.json")
        found = json.loads(path.read_text(encoding="utf-8"))
        found["compression"]["layers"], found["models"], found["source"]["name"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found


def _parent(source, given, made):
    """The `Source` of the parent, or None."""
    from keras_dss import zoo
    from keras_dss.cli import sources

    if given:
        return sources.find_source(given)
    if source.card:
        name = source.card["parent"]
        return sources.find_source(name) if name in zoo.list() else None
    if made and made["source"].get("file"):
        file = Path(made["source"]["file"])
        found = [path for path in (source.path.parent / file, file) if path.is_file()]
        return sources.find_source(str(found[0])) if found else None
    if made and made["source"]["name"] in zoo.list():
        return sources.find_source(made["source"]["name"])
    return None


def _curve_of(made, name):
    """What `keras-dss compress` measured, if it did."""
    from keras_dss.report import Curve
    from keras_dss.report.curves import metric_of

    models = {label: one for label, one in made["models"].items() if one.get("test")}
    if not models:
        return None
    *others, last = models.items()
    metric = metric_of(last[1]["test"])
    label = {"original": made["source"]["name"], "reduced": "reduced, not trained"}
    points = [(name, last[1])] + [(label.get(key, key), one) for key, one in others]
    return Curve(
        metric=metric,
        points=tuple((key, one["states"], one["test"][metric]) for key, one in points),
        caption=f"Measured by keras-dss compress on {last[1]['test']['total']:,} test examples.",
    )


def _measure(name, model, original, data, count, stages):
    from keras_dss.cli.scoring import evaluation_batches
    from keras_dss.report.measured import fractions, measure_curve

    data.check_model(model)
    with stages.stage("data", "Reading data") as bar:
        test = data.load("test", count)
        calibration = data.load("train", CALIBRATION_EXAMPLES)[0]
        bar.result = f"{len(test[0]):,} test. {data.origin}"
    base = model if original is None else original
    total = 2 * len(fractions(base)) + 1 + (original is not None)
    with stages.stage("evaluate", "Reducing and evaluating", total) as bar:
        curve = measure_curve(
            base,
            evaluation_batches(*test),
            data.kind,
            calibration=calibration,
            points=[(name, model)] if original is not None else (),
            advance=bar.advance,
        )
    caption = f"{curve.caption} The Gramian is measured on {len(calibration)} training sequences."
    return dataclasses.replace(curve, caption=caption)
