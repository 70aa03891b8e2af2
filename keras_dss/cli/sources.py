"""Models and data that a command line names. What is wrong is said before Keras is loaded."""

import contextlib
import dataclasses
import importlib
import inspect
import os
import pkgutil
import zipfile
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
        if not zipfile.is_zipfile(self.path):
            raise ValueError(
                f"expected a Keras model in {self.path}, which is a zip archive. Received: other "
                f"contents, of {self.path.stat().st_size:,} bytes"
            )
        try:
            return keras.saving.load_model(self.path, compile=False)
        except Exception as error:  # Keras raises whatever it likes
            raise ValueError(
                f"expected a Keras model in {self.path}. Received: {type(error).__name__}: {error}"
            ) from error


def find_card(name):
    """Returns the card of a published model.

    Raises:
        UsageError: for an unknown name, with the nearest ones.
    """
    from keras_dss import zoo

    try:
        return zoo.card(name)
    except zoo.UnknownModelError as error:
        raise UsageError(f"{error} `keras-dss list` prints them all") from None


def find_source(given):
    """Returns the `Source` of NAME_OR_FILE.

    Raises:
        UsageError: for a file that is not there, and an unknown name, with the nearest ones.
    """
    path = Path(given).expanduser()
    if path.suffix != ".keras" and os.sep not in given:
        return Source(given, card=find_card(given))
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
    return [name for name, module in modules.items() if hasattr(module, "KIND")]


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
        few = examples is not None and examples < self.module.SPLITS[split]
        if few and "examples" in inspect.signature(self.module.load).parameters:
            with contextlib.suppress(ValueError):  # a copy with fewer
                return self.module.load(split, self.data_dir, examples=examples)
        x, y = self.module.load(split, self.data_dir)
        return x[:examples], y[:examples]

    @property
    def kind(self):
        """The kind of task, see `keras_dss.scoring`."""
        return self.module.KIND

    @property
    def origin(self):
        """Where the arrays come from, in words."""
        return self.module.provenance(self.data_dir).source

    def check_model(self, model):
        """Raises `ValueError` unless the model takes this data and has an output for each class."""
        inputs, outputs = model.input_shape, model.output_shape
        single = isinstance(inputs, tuple) and isinstance(outputs, tuple)
        takes, gives = self._shapes()
        if not single or not _fits(inputs, takes) or not _fits(outputs, gives):
            raise ValueError(
                f"expected a model from {_say(takes)} to {_say(gives)} for the task "
                f"{self.task}. Received: a model from {inputs} to {outputs}"
            )

    def _shapes(self):
        """Shapes of inputs and outputs; the length is a lower bound."""
        module, length = self.module, AtLeast(self.module.MAX_LENGTH)
        tokens = module.VOCABULARY_SIZE is not None
        if self.kind == "pairs":
            return (None, 2, length), (None, module.NUM_CLASSES)
        if self.kind == "language":
            return (None, length), (None, length, module.VOCABULARY_SIZE)
        if self.kind == "regression":
            outputs = (None, module.HORIZON, module.NUM_OUTPUTS)
            return (None, length, module.CHANNELS), outputs
        inputs = (None, length) if tokens else (None, length, module.CHANNELS)
        return inputs, (None, module.NUM_CLASSES)


class AtLeast(int):
    """A dimension that may be larger, or unknown."""


def _fits(shape, expected):
    def fits(size, wanted):
        if isinstance(wanted, AtLeast):
            return size is None or size >= wanted
        return wanted is None or size == wanted

    return len(shape) == len(expected) and all(map(fits, shape, expected))


def _say(shape):
    words = ["length" if isinstance(n, AtLeast) else str(n) for n in shape[1:]]
    return f"(batch, {', '.join(words)})"


def check_data_dir(folder):
    """Raises `UsageError` if the data folder that is given, or set, does not exist."""
    given = folder or os.environ.get("KERAS_DSS_DATA_DIR")
    if given and not Path(given).expanduser().is_dir():
        raise UsageError(f"expected an existing folder of data. Received: {given}")
