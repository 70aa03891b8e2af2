"""`keras-dss compress NAME_OR_FILE`: reduce a model, train it on, and say what that did."""

from keras_dss.cli import evaluate
from keras_dss.cli.console import console, start_backend
from keras_dss.cli.errors import UsageError
from keras_dss.cli.files import check_output
from keras_dss.cli.progress import Stages
from keras_dss.cli.usage import changed_flags, define_float

NAME = "compress"
ARGUMENTS = ("NAME_OR_FILE",)
FLAGS = "(--rank=R | --tolerance=X | --budget=B) --output=FILE.keras [flags]"
SUMMARY = "A smaller model: every DSS layer reduced, then trained on if there is time for it."
DETAILS = (
    "Leaves the model in FILE.keras, all figures in FILE.report.json and a picture of the Hankel "
    "singular values of every layer in FILE.hankel.png. The accuracy is that on the whole test "
    "split; the validation split chooses the weights, those before the training among them."
)
EXAMPLES = (
    "keras-dss compress lra_listops_n64_bt --rank=16 --output=small.keras",
    "keras-dss compress lra_listops_n64_bt --rank=16 --calibrate --train_minutes=3 "
    "--output=small.keras",
    "keras-dss compress lra_listops_n64_bt --budget=0.25 --calibrate --output=small.keras",
    "keras-dss compress smnist_n64 --budget=8000 --budget_of=parameters --output=small.keras",
    "keras-dss compress smnist_n64 --tolerance=0.2 --output=small.keras",
    "keras-dss compress mine.keras --rank=0.25 --task=smnist --output=small.keras",
)
CALIBRATED = ("balanced", "singular_perturbation", "finite_horizon", "shared", "h2_optimal")
METHODS = (*CALIBRATED, "modal", "modal_hinf", "modal_refit", "complex", "random")
SUFFIXES = (".keras", ".report.json", ".hankel.png")


def define(values):
    from absl import flags

    options = {"flag_values": values}
    flags.DEFINE_string(
        "rank", None, "Modes to keep in each feature: an integer, or a fraction such as 0.25.",
        **options,
    )  # fmt: skip
    flags.DEFINE_string(
        "tolerance", None,
        "Instead of a rank: the largest H-infinity error of each layer relative to its norm, such "
        "as 0.1; each layer gets the smallest rank that is proven to keep within it.", **options,
    )  # fmt: skip
    flags.DEFINE_string(
        "budget", None,
        "Instead of a rank: how much the new model may hold, an integer or a fraction of the "
        "model, spread over the layers where it matters most; with --calibrate that is measured "
        "on the outputs.", **options,
    )  # fmt: skip
    flags.DEFINE_enum(
        "budget_of", "states", ("states", "parameters"),
        "What --budget counts: modes over all features and layers, or weights of the whole model.",
        **options,
    )  # fmt: skip
    flags.DEFINE_string("output", None, "The file of the new model.", **options)
    flags.DEFINE_bool("overwrite", False, "Replace the files if they are there.", **options)
    flags.DEFINE_enum(
        "method", "balanced", METHODS,
        "How: balanced truncation of the real system, or what keras_dss.compression.METHODS says "
        "of the others; modal, complex and random are baselines.", **options,
    )  # fmt: skip
    flags.DEFINE_enum(
        "refit", None, ("kernel", "calibration"),
        "Fit the residues anew at the reduced poles, to the kernel or to the layer's outputs on "
        "the calibration sequences.", **options,
    )  # fmt: skip
    flags.DEFINE_integer(
        "horizon", None, "Steps that count, for methods that take a horizon.", 1, **options
    )
    flags.DEFINE_bool(
        "calibrate", False,
        "Measure the controllability Gramians on what training sequences do to each layer, "
        "instead of assuming white noise.", **options,
    )  # fmt: skip
    flags.DEFINE_integer(
        "calibration_examples", 64, "Calibrate on N training sequences.", 1, **options
    )
    define_float("train_minutes", 0.0, "Train the reduced model for X minutes.", 0.0, **options)
    define_float(
        "learning_rate", 1e-3, "Of the training at its largest; it falls to 0.", 0.0, **options
    )
    flags.DEFINE_integer("batch_size", 50, "Sequences in a training batch.", 1, **options)
    flags.DEFINE_integer("seed", 0, "Seed of the training's order and masks.", 0, **options)
    evaluate.define_data(values)


def run(arguments, values):
    from keras_dss.cli import sources

    target = _check(values)
    paths = check_output(values.output, SUFFIXES, values.overwrite)
    sources.check_data_dir(values.data_dir)
    source = sources.find_source(arguments[0])
    if source.path and source.path.resolve() == paths[0].resolve():
        raise UsageError(f"expected --output other than the model. Received: {values.output}")
    stages = Stages()
    with stages.stage("start", "Starting") as bar:
        start_backend()
        task = sources.find_task(source, values.task)
        if task is None and (values.calibrate or values.train_minutes):
            raise UsageError(
                "--calibrate and --train_minutes need the task of a file: "
                f"--task={'|'.join(sources.tasks())} Received: none"
            )
        model = source.load()
        bar.result = source.name

    from keras_dss.cli.compression import Compression

    data = sources.Data(task, values.data_dir) if task else None
    command = [NAME, *arguments, *(flag.serialize() for flag in changed_flags(values))]
    Compression(source, model, data, values, target, command, stages).run(paths, console())


def _check(values):
    """Returns what is asked for, `{"rank": ...}` or the like, after a look at all the flags."""
    given = [name for name in TARGETS if getattr(values, name) is not None]
    if not given or values.output is None:
        missing = [] if given else ["--rank"]
        missing += ["--output"] if values.output is None else []
        raise UsageError(
            f"expected {NAME} with --rank=R, or --tolerance=X or --budget=B, and "
            f"--output=FILE.keras. Received: no {' and no '.join(missing)}"
        )
    if len(given) > 1:
        received = " ".join(f"--{name}={getattr(values, name)}" for name in given)
        raise UsageError(f"expected one of --rank, --tolerance and --budget. Received: {received}")
    if values.budget_of != "states" and values.budget is None:
        raise UsageError("--budget_of goes with --budget. Received: no --budget")
    if values.refit == "calibration" and not values.calibrate:
        raise UsageError("--refit=calibration needs --calibrate. Received: --nocalibrate")
    uses = values.method in CALIBRATED or values.budget or values.refit == "calibration"
    if values.calibrate and not uses:
        raise UsageError(
            f"--calibrate goes with --method={'|'.join(CALIBRATED)}, with --budget or with "
            f"--refit=calibration. Received: --method={values.method}"
        )
    if values.learning_rate == 0.0:
        raise UsageError("expected --learning_rate above 0. Received: 0")
    (name,) = given
    return {name: TARGETS[name](name, getattr(values, name))}


def _amount(name, text):
    """An integer from 1 or a fraction in (0, 1]."""
    for kind in (int, float):
        try:
            number = kind(text)
        except ValueError:
            continue
        if (number >= 1) if kind is int else (0.0 < number <= 1.0):
            return number
        break
    raise UsageError(
        f"expected --{name} as an integer from 1 or a fraction in (0, 1]. Received: --{name}={text}"
    )


def _tolerance(name, text):
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < 1.0:
        raise UsageError(
            f"expected --{name} as a relative error, a number in (0, 1). Received: --{name}={text}"
        )
    return number


TARGETS = {"rank": _amount, "tolerance": _tolerance, "budget": _amount}
