"""`keras-dss compress NAME_OR_FILE`: reduce a model, train it on, and say what that did."""

from keras_dss.cli import evaluate
from keras_dss.cli.console import console, start_backend
from keras_dss.cli.errors import UsageError
from keras_dss.cli.files import check_output
from keras_dss.cli.progress import Stages
from keras_dss.cli.usage import changed_flags

NAME = "compress"
ARGUMENTS = ("NAME_OR_FILE",)
FLAGS = "--rank=R --output=FILE.keras [flags]"
SUMMARY = "A smaller model: every DSS layer reduced, then trained on if there is time for it."
DETAILS = (
    "Leaves the model in FILE.keras, all figures in FILE.report.json and a picture of the Hankel "
    "singular values of every layer in FILE.hankel.png. The accuracy is that on the whole test "
    "split; the validation split chooses the weights, those before the training among them."
)
EXAMPLES = (
    "keras-dss compress lra_listops_n64 --rank=16 --output=small.keras",
    "keras-dss compress lra_listops_n64 --rank=16 --calibrate --train_minutes=3 "
    "--output=small.keras",
    "keras-dss compress mine.keras --rank=0.25 --task=smnist --output=small.keras",
)
METHODS = ("balanced", "modal", "modal_refit", "complex")
SUFFIXES = (".keras", ".report.json", ".hankel.png")


def define(values):
    from absl import flags

    options = {"flag_values": values}
    flags.DEFINE_string(
        "rank", None, "Modes to keep in each feature: an integer, or a fraction such as 0.25.",
        **options,
    )  # fmt: skip
    flags.DEFINE_string("output", None, "The file of the new model.", **options)
    flags.DEFINE_bool("overwrite", False, "Replace the files if they are there.", **options)
    flags.DEFINE_enum(
        "method", "balanced", METHODS,
        "Balanced truncation of the real system, or a baseline: the modes of largest H2 energy, "
        "these with residues fitted anew, balancing of the complex modes alone.", **options,
    )  # fmt: skip
    flags.DEFINE_bool(
        "calibrate", False,
        "Measure the controllability Gramians on what training sequences do to each layer, "
        "instead of assuming white noise.", **options,
    )  # fmt: skip
    flags.DEFINE_integer(
        "calibration_examples", 64, "Calibrate on N training sequences.", 1, **options
    )
    flags.DEFINE_float(
        "train_minutes", 0.0, "Train the reduced model for X minutes.", 0.0, **options
    )
    flags.DEFINE_float(
        "learning_rate", 1e-3, "Of the training at its largest; it falls to 0.", 0.0, **options
    )
    flags.DEFINE_integer("batch_size", 50, "Sequences in a training batch.", 1, **options)
    flags.DEFINE_integer("seed", 0, "Seed of the training's order and masks.", 0, **options)
    evaluate.define_data(values)


def run(arguments, values):
    from keras_dss.cli import sources

    rank = _check(values)
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
    Compression(source, model, data, values, rank, command, stages).run(paths, console())


def _check(values):
    """Returns the rank after a look at the flags that depend on each other."""
    missing = [f"--{name}" for name in ("rank", "output") if getattr(values, name) is None]
    if missing:
        raise UsageError(f"expected {NAME} with --rank=R and --output=FILE.keras. "
                         f"Received: no {' and no '.join(missing)}")  # fmt: skip
    if values.calibrate and values.method != "balanced":
        raise UsageError(
            f"only --method=balanced uses --calibrate. Received: --method={values.method}"
        )
    if values.learning_rate == 0.0:
        raise UsageError("expected --learning_rate above 0. Received: 0")
    return _rank(values.rank)


def _rank(text):
    try:
        rank = int(text)
        valid = rank >= 1
    except ValueError:
        try:
            rank = float(text)
            valid = 0.0 < rank <= 1.0
        except ValueError:
            valid = False
    if not valid:
        raise UsageError(
            f"expected --rank as an integer from 1 or a fraction in (0, 1]. Received: --rank={text}"
        )
    return rank
