"""Models and data that a command line names. What is wrong is said before Keras is loaded."""

import dataclasses
import importlib
import inspect
import os
import pkgutil
from pathlib import Path

from keras_dss.cli.errors import UsageError, near


@dataclasses.dataclass(frozen=True)
class Source:
    """A model by its published name, or by the path of its file; with its card if it has one."""

    name: str
    path: Path | None = None
    card: dict | None = None

    def load(self):
        import keras

        from keras_dss import zoo

        if self.card is not None:
            return zoo.load(self.name)
        try:
            return keras.saving.load_model(self.path, compile=False)
        except Exception as error:  # Keras raises whatever it likes
            raise ValueError(
                f"expected a Keras model in {self.path}. Received: {type(error).__name__}: {error}"
            ) from error


def find_source(given):
    """Returns the `Source` of NAME_OR_FILE.

    Raises:
        UsageError: for a file that is not there.
        UnknownModelError: for an unknown name, with the nearest ones.
    """
    path = Path(given).expanduser()
    if path.suffix != ".keras" and os.sep not in given:
        from keras_dss import zoo

        return Source(given, card=zoo.card(given))
    if not path.is_file() or path.suffix != ".keras":
        raise UsageError(
            f"expected the name of a published model or an existing file ending in .keras. "
            f"Received: {given}"
        )
    return Source(path.stem, path=path)


def find_task(source, given):
    """Returns the name of the model's task, or None for a file without --task."""
    known = source.card["task"] if source.card else None
    if given and known and given != known:
        raise UsageError(f"the task of {source.name} is {known}. Received: --task={given}")
    task = given or known
    if task is not None and task not in tasks():
        raise UsageError(
            f"expected a task with a data set, one of {', '.join(tasks())}{near(task, tasks())} "
            f"Received: {task}"
        )
    return task


def tasks():
    """Returns the names of the tasks that have a data set in the package."""
    from keras_dss import datasets

    found = (module.name for module in pkgutil.iter_modules(datasets.__path__))
    modules = {name: importlib.import_module(f"keras_dss.datasets.{name}") for name in found}
    return [name for name, module in modules.items() if hasattr(module, "SPLITS")]


class Data:
    """The splits of one task, as arrays `(x, y)`.

    Args:
        task: its name. data_dir: folder of the data, or None.
    """

    def __init__(self, task, data_dir=None):
        self.task, self.data_dir = task, data_dir
        self.module = importlib.import_module(f"keras_dss.datasets.{task}")

    def load(self, split, examples=None):
        """Returns a split, or its first examples; as many as there are if there are fewer."""
        if "examples" in inspect.signature(self.module.load).parameters:
            few = examples is not None and examples < self.module.SPLITS[split]
            x, y = self.module.load(split, self.data_dir, examples=examples if few else None)
        else:
            x, y = self.module.load(split, self.data_dir)
        return x[:examples], y[:examples]

    @property
    def origin(self):
        """Where the arrays come from, in words."""
        find = getattr(self.module, "find_official", None)
        folder = find(self.data_dir) if find else self.data_dir
        if folder:
            return f"files in {folder}"
        return "generated, seed 0" if find else "the original files"

    def check_model(self, model):
        """Raises `ValueError` unless the model takes this data and has an output for each class."""
        classes, vocabulary = self.module.NUM_CLASSES, self.module.VOCABULARY_SIZE
        expected = "tokens (batch, length)" if vocabulary else "numbers (batch, length, channels)"
        outputs, inputs = model.output_shape, model.input_shape
        single = isinstance(inputs, tuple) and isinstance(outputs, tuple)
        if (
            not single
            or len(inputs) != (2 if vocabulary else 3)
            or inputs[1] is not None
            and inputs[1] < self.module.MAX_LENGTH
            or outputs[-1] != classes
        ):
            raise ValueError(
                f"expected a model from {expected} to {classes} classes for the task "
                f"{self.task}. Received: a model from {inputs} to {outputs}"
            )


def check_data_dir(folder):
    """Raises `UsageError` if the data folder that is given, or set, does not exist."""
    given = folder or os.environ.get("KERAS_DSS_DATA_DIR")
    if given and not Path(given).expanduser().is_dir():
        raise UsageError(f"expected an existing folder of data. Received: {given}")
