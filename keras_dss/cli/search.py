"""`keras-dss search NAME_OR_FILE`: the ranks of a model's layers, found by trying them."""

from pathlib import Path

from keras_dss.cli import evaluate
from keras_dss.cli.compress import CALIBRATED, METHODS
from keras_dss.cli.console import console, start_backend
from keras_dss.cli.errors import UsageError
from keras_dss.cli.files import check_output
from keras_dss.cli.progress import Stages
from keras_dss.cli.usage import changed_flags, define_float

NAME = "search"
ARGUMENTS = ("NAME_OR_FILE",)
FLAGS = "--output=FILE.keras [--search=bayesian] [--trials=N] [flags]"
SUMMARY = "A smaller model: a rank for each DSS layer, chosen by the accuracy of many tries."
DETAILS = (
    "Each trial reduces the layers and scores the model on the validation split, after some epochs "
    "of training if there are --epochs. The score is the accuracy less --size_weight times the "
    "share of the states that are left; the test split is read once, for the model of the best "
    "score. A search that was cut off goes on when the command is given again. Leaves the model in "
    "FILE.keras, all trials in FILE.search.json and the accuracy against states and bytes in "
    "FILE.front.png."
)
EXAMPLES = (
    "keras-dss search smnist_n64 --calibrate --limit=1000 --output=small.keras",
    "keras-dss search smnist_n64 --search=hyperband --epochs=4 --output=small.keras",
)
SEARCHES = ("random", "bayesian", "hyperband", "grid")
SUFFIXES = (".keras", ".search.json", ".front.png")


def define(values):
    from absl import flags

    options = {"flag_values": values}
    flags.DEFINE_string("output", None, "The file of the new model.", **options)
    flags.DEFINE_bool("overwrite", False, "Replace the files if they are there.", **options)
    flags.DEFINE_enum(
        "search", "bayesian", SEARCHES,
        "What proposes the next trial: chance, a Gaussian process, successive halving of trials "
        "with ever more epochs, or a list of all there is.", **options,
    )  # fmt: skip
    flags.DEFINE_integer(
        "trials", None, "How many at most. Default: 30, all of a grid; Hyperband has none.", 1,
        **options,
    )  # fmt: skip
    flags.DEFINE_list(
        "ranks", None, "Modes to choose from, such as 2,4,8. Default: the powers of 2.", **options
    )
    flags.DEFINE_bool(
        "per_layer",
        True,
        "A rank for each layer (the default), or one for all.",
        **options,
    )
    flags.DEFINE_enum(
        "method", "balanced", METHODS,
        "How layers are reduced; keras_dss.compression.METHODS says what each does.", **options,
    )  # fmt: skip
    flags.DEFINE_bool(
        "calibrate", False,
        "Measure the controllability Gramians on what training sequences do to each layer, "
        "instead of assuming white noise.", **options,
    )  # fmt: skip
    flags.DEFINE_integer(
        "calibration_examples", 64, "Calibrate on N training sequences.", 1, **options
    )
    flags.DEFINE_enum(
        "refit", None, ("kernel", "calibration"),
        "Fit the residues anew at the reduced poles, to the kernel or to the layer's outputs on "
        "the calibration sequences.", **options,
    )  # fmt: skip
    flags.DEFINE_integer(
        "horizon", None, "Steps that count, for methods that take a horizon.", 1, **options
    )
    flags.DEFINE_integer(
        "epochs", 0, "Train each trial for N epochs; with Hyperband the longest ones.", 0, **options
    )
    define_float(
        "size_weight", 0.05,
        "What all states of the model are worth, in accuracy: 0.05 for 5 points. For regression "
        "and language in multiples of the loss of the original.", 0.0, **options,
    )  # fmt: skip
    define_float("learning_rate", 1e-3, "Of the training.", 0.0, **options)
    flags.DEFINE_integer("batch_size", 50, "Sequences in a batch.", 1, **options)
    flags.DEFINE_integer("seed", 0, "Seed of the search and of the training.", 0, **options)
    flags.DEFINE_integer("limit", None, "Only the first N sequences of each split.", 1, **options)
    flags.DEFINE_string(
        "work_dir", None, "Folder of the search while it runs. Default: FILE.search.", **options
    )
    evaluate.define_data(values)


def run(arguments, values):
    from keras_dss.cli import sources

    ranks = _check(values)
    paths = check_output(values.output, SUFFIXES, values.overwrite)
    sources.check_data_dir(values.data_dir)
    source = sources.find_source(arguments[0])
    if source.path and source.path.resolve() == paths[0].resolve():
        raise UsageError(f"expected --output other than the model. Received: {values.output}")
    stages = Stages()
    with stages.stage("start", "Starting") as bar:
        start_backend()
        task = sources.find_task(source, values.task)
        if task is None:
            raise UsageError(
                f"expected the task of a file: --task={'|'.join(sources.tasks())} Received: none"
            )
        model = source.load()
        bar.result = source.name

    from keras_dss.cli.searching import Search

    folder = Path(values.work_dir).expanduser() if values.work_dir else paths[0].with_suffix("")
    folder = folder if values.work_dir else folder.with_name(f"{folder.name}.search")
    command = [NAME, *arguments, *(flag.serialize() for flag in changed_flags(values))]
    data = sources.Data(task, values.data_dir)
    Search(source, model, data, values, ranks, folder, command, stages).run(paths, console())


def _check(values):
    """Returns the ranks, or None, after a look at the flags that depend on each other."""
    if values.output is None:
        raise UsageError(f"expected {NAME} with --output=FILE.keras. Received: no --output")
    if values.search == "hyperband":
        if not values.epochs:
            raise UsageError("--search=hyperband needs --epochs=N to share out. Received: none")
        if values.trials:
            raise UsageError(
                "--search=hyperband makes as many trials as its --epochs ask for. "
                f"Received: --trials={values.trials}"
            )
    if values.refit == "calibration" and not values.calibrate:
        raise UsageError("--refit=calibration needs --calibrate. Received: --nocalibrate")
    if values.calibrate and values.method not in CALIBRATED and values.refit != "calibration":
        raise UsageError(
            f"--calibrate goes with --method={'|'.join(CALIBRATED)} or with --refit=calibration. "
            f"Received: --method={values.method}"
        )
    if values.method == "finite_horizon" and values.horizon is None:
        raise UsageError("--method=finite_horizon needs --horizon=N. Received: no --horizon")
    if values.learning_rate == 0.0:
        raise UsageError("expected --learning_rate above 0. Received: 0")
    if values.ranks is None:
        return None
    given = [text.strip() for text in values.ranks]
    if not given or not all(text.isdigit() and int(text) for text in given):
        raise UsageError(
            f"expected --ranks as integers from 1, such as 2,4,8. "
            f"Received: --ranks={','.join(values.ranks)}"
        )
    return sorted({int(text) for text in given})
