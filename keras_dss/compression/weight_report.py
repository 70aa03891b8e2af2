"""How many bytes the weights of a model take."""

import dataclasses
import io

import keras
import numpy as np
from keras import ops

from keras_dss.layers.parameters import SSM_WEIGHTS, DSSParameters

ROLES = ("kernel", "embeddings", *SSM_WEIGHTS, "other")
BYTES = {"float64": 8, "float32": 4, "float16": 2, "bfloat16": 2}


@dataclasses.dataclass(frozen=True)
class WeightReport:
    """One weight before and after.

    Attributes:
        path: of the weight in the model.
        role: the key of its number format, see `quantize_model`.
        number_format: what it is stored in.
        shape: its shape.
        zeros: how many of its entries are zero.
        sparse: whether it is stored as a bitmap and the entries that are not zero.
        bytes_before, bytes_after: of the weight as it was given, dense, and as it is stored, its
            scales and bitmap included.
        error: root mean square of the change, relative to that of the weight.
    """

    path: str
    role: str
    number_format: str
    shape: tuple
    zeros: int
    sparse: bool
    bytes_before: int
    bytes_after: int
    error: float

    @classmethod
    def kept(cls, weight):
        """Of a weight that is no float: integers, states of random generators."""
        value = np.asarray(ops.convert_to_numpy(weight))
        size, dtype = value.nbytes, str(value.dtype)
        return cls(weight.path, "other", dtype, value.shape, 0, False, size, size, 0.0)

    @classmethod
    def stored(cls, weight, role, packed):
        """Of a weight that becomes `packed.unpack()`."""
        value, rounded = to_numpy(weight), packed.unpack()
        size = float(np.linalg.norm(value))
        return cls(
            path=weight.path,
            role=role,
            number_format=str(packed.values.dtype),
            shape=value.shape,
            zeros=int(np.sum(rounded == 0.0)),
            sparse=packed.bitmap is not None,
            bytes_before=value.size * BYTES[keras.backend.standardize_dtype(weight.dtype)],
            bytes_after=packed.nbytes,
            error=float(np.linalg.norm(rounded - value)) / size if size else 0.0,
        )


@dataclasses.dataclass(frozen=True)
class BytesReport:
    """All weights of a model before and after; prints as a table.

    Attributes:
        model: name of the model.
        weights: tuple of `WeightReport`.
    """

    model: str
    weights: tuple

    @property
    def bytes_before(self):
        return sum(weight.bytes_before for weight in self.weights)

    @property
    def bytes_after(self):
        return sum(weight.bytes_after for weight in self.weights)

    def to_dict(self):
        """Plain Python values, for JSON."""
        return {
            "model": self.model,
            "bytes_before": self.bytes_before,
            "bytes_after": self.bytes_after,
            "weights": [dataclasses.asdict(weight) for weight in self.weights],
        }

    def table(self):
        """The report as a `rich.table.Table`, a row for each weight."""
        from rich import box
        from rich.table import Table

        table = Table(title=f"{self.model}: bytes of the weights", box=box.SIMPLE_HEAD)
        for name in ("weight", "format", "shape", "zeros", "bytes", "relative error"):
            table.add_column(name, justify="left" if name in ("weight", "format") else "right")
        for weight in self.weights:
            table.add_row(
                weight.path,
                weight.number_format + (", bitmap" if weight.sparse else ""),
                " x ".join(map(str, weight.shape)) or "1",
                f"{weight.zeros:,}" if weight.zeros else "",
                _change(weight.bytes_before, weight.bytes_after),
                f"{weight.error:.1e}" if weight.error else "",
            )
        table.add_section()
        table.add_row("model", "", "", "", _change(self.bytes_before, self.bytes_after))
        return table

    def __str__(self):
        from rich.console import Console

        buffer = io.StringIO()
        Console(file=buffer, width=130).print(self.table())
        return "\n".join(line.rstrip() for line in buffer.getvalue().splitlines())


def _change(before, after):
    return f"{before:,} -> {after:,}" if before != after else f"{before:,}"


def weight_owners(model):
    """The layer and the role of every weight of a model, by the weight's id.

    The roles are `"kernel"` of a `Dense`, `"embeddings"` of an `Embedding`, the names of the
    weights of DSS layers, and `"other"`: biases, normalizations, layers of other kinds.
    """
    owners = {id(weight): (None, "other") for weight in model.weights}
    for layer in model._flatten_layers():
        for weight in [*layer._trainable_variables, *layer._non_trainable_variables]:
            owners[id(weight)] = (layer, _role(layer, weight))
    return owners


def _role(layer, weight):
    if isinstance(layer, DSSParameters):
        return weight.name if weight.name in SSM_WEIGHTS else "other"
    if isinstance(layer, keras.layers.Dense) and weight.name == "kernel":
        return "kernel"
    if isinstance(layer, keras.layers.Embedding) and weight.name == "embeddings":
        return "embeddings"
    return "other"


def is_float(weight):
    return keras.backend.standardize_dtype(weight.dtype) in BYTES


def to_numpy(weight):
    """float64 or float32."""
    dtype = keras.backend.standardize_dtype(weight.dtype)
    return np.array(
        ops.convert_to_numpy(ops.cast(weight, "float64" if dtype == "float64" else "float32"))
    )
