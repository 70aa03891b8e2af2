"""`keras-dss export NAME_OR_FILE`: a model for another runtime."""

from keras_dss.cli.console import console, start_backend
from keras_dss.cli.errors import UsageError
from keras_dss.cli.progress import Stages

NAME = "export"
ARGUMENTS = ("NAME_OR_FILE",)
FLAGS = "--format=FORMAT --output=PATH [flags]"
SUMMARY = "A file for another runtime, of the whole model or of one step at a time."
DETAILS = (
    "Formats: saved_model (a folder; TensorFlow), litert (.tflite; TensorFlow, with --streaming), "
    "torch (.pt2; KERAS_BACKEND=torch) and keras (.keras). What was written is read back, and its "
    "outputs are compared with the model's, before it takes its place."
)
EXAMPLES = (
    "keras-dss export smnist_n8_bt --format=litert --streaming --output=smnist.tflite",
    "keras-dss export lra_text_n8_bt --format=saved_model --output=text",
    "KERAS_BACKEND=torch keras-dss export small.keras --format=torch --length=1024 "
    "--output=small.pt2",
)
SPELLINGS = {"format": "FORMAT", "output": "PATH", "batch_size": "B", "length": "L"}


def define(values):
    from absl import flags

    options = {"flag_values": values}
    flags.DEFINE_string("format", None, "saved_model, litert, torch or keras.", **options)
    flags.DEFINE_string("output", None, "The file or folder to write.", **options)
    flags.DEFINE_bool("streaming", False, "Of the model that takes one step at a time.", **options)
    flags.DEFINE_integer("batch_size", None, "Fix the batch size.", 1, **options)
    flags.DEFINE_integer(
        "length",
        None,
        "Fix the length of sequences. Format torch: by default that of the task.",
        1,
        **options,
    )


def run(arguments, values):
    from keras_dss import deploy
    from keras_dss.cli import sources
    from keras_dss.deploy.export import check_format, check_path

    for name in ("format", "output"):
        if values[name].value is None:
            raise UsageError(f"expected {NAME} with {FLAGS.split(' [')[0]}. Received: no --{name}")
    try:
        format = check_format(values.format)
        path = check_path(values.output, format)
    except ValueError as error:
        raise UsageError(str(error)) from None
    source = sources.find_source(arguments[0])
    stages = Stages()
    with stages.stage("start", "Starting") as bar:
        start_backend()
        model = source.load()
        if values.streaming:
            model = deploy.to_streaming(model)
        bar.result = source.name + (", one step at a time" if values.streaming else "")
    with stages.stage("write", "Writing and comparing") as bar:
        length = values.length
        free = not values.streaming and None in model.input_shape[1:]
        if length is None and free and format == "torch" and source.card:
            length = sources.Data(source.card["task"]).module.MAX_LENGTH
        difference = deploy.export_model(
            model, path, format, batch_size=values.batch_size, length=length
        )
        bar.result = f"outputs differ by {difference:.1e} at most"
    kind = "file" if path.is_file() else "folder"
    size = path.stat().st_size if kind == "file" else _bytes(path)
    console().print(f"{kind} {path}, {size / 1024:,.0f} KiB", soft_wrap=True)


def _bytes(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
