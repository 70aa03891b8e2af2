"""`to_streaming`: a model that takes one step of a sequence at a time."""

import itertools

import keras
import numpy as np
from keras import ops, tree

from keras_dss.compression.copying import copy_model
from keras_dss.deploy.steps import DownsampleStep, DSSStep, ReadoutStep
from keras_dss.layers import DSS, Downsample, DSSBlock, Readout, TrailingZeros
from keras_dss.layers.parameters import positive_integer

# What does with each step what it does with a sequence of one.
EACH_STEP = (
    keras.layers.Activation,
    keras.layers.ActivityRegularization,
    keras.layers.Add,
    keras.layers.AlphaDropout,
    keras.layers.Average,
    keras.layers.BatchNormalization,
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.ELU,
    keras.layers.Embedding,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.LayerNormalization,
    keras.layers.LeakyReLU,
    keras.layers.Masking,
    keras.layers.Maximum,
    keras.layers.Minimum,
    keras.layers.Multiply,
    keras.layers.PReLU,
    keras.layers.ReLU,
    keras.layers.Rescaling,
    keras.layers.RMSNormalization,
    keras.layers.SpatialDropout1D,
    keras.layers.Subtract,
)
EACH_STEP_OPERATIONS = (
    "Abs Add Cast Clip Divide Elu Exp Gelu Glu HardSwish LeakyRelu Log Maximum Minimum Multiply "
    "Negative Relu Relu6 Selu Sigmoid Silu Softplus Sqrt Square Subtract Swish Tanh TrueDivide"
).split()
MASKED = (DSS, DSSBlock, Downsample, Readout, keras.layers.GlobalAveragePooling1D)


@keras.saving.register_keras_serializable(package="keras_dss")
class StreamingModel(keras.Model):
    """A functional model from one step and the states to its outputs and the new states.

    Inputs are a list: the step, (batch, ...) without the axis of time, and one tensor for each
    state. So are outputs: those of the step first. Made by `to_streaming`, saved and loaded as any
    Keras model.
    """

    def initial_states(self, batch_size=1):
        """A list of zeros: the states before the first step.

        Args:
            batch_size: number of sequences at once, a positive int.

        Raises:
            ValueError: for another batch size.
        """
        batch_size = positive_integer("batch_size", batch_size)
        return [np.zeros((batch_size, *x.shape[1:]), x.dtype) for x in self.inputs[1:]]


def to_streaming(model, name=None):
    """A new model that takes one step of a sequence at a time, in constant time and memory.

    After step k its outputs are those of `model` for the steps up to k: the output at this step
    where the model has one for each, or what its readout makes of the sequence so far. Every DSS
    layer becomes its recurrence, with poles and residues as weights:

        s <- a s + u,   y = Re sum_n c_n s_n + D u

    Windows of `Downsample` are filled up with zeros until they are finished, as at the end of a
    sequence. Tokens 0 are padding of no effect where the embedding masks them; of floats with
    `mask_zeros` every step that is fed counts, zeros too. The new model is for inference: dropout
    is left out, batch statistics are the moving ones, weights of recurrences are not trainable.

    Args:
        model: a built functional or sequential `keras.Model` with one input (batch, length, ...)
            and one output, whose DSS layers are causal. Between the input and the readout it may
            hold `DSS`, `DSSBlock`, `Downsample`, and layers and operations that treat each step
            alike; after the readout anything.
        name: of the new model.

    Returns:
        A `StreamingModel`.

    Raises:
        TypeError: if `model` is no Keras model.
        ValueError: if it is not built or not functional, and for a layer that needs later steps
            (a bidirectional one) or mixes steps in a way that has no recurrence; the message
            names the layer.

    Example:

    >>> import keras_dss
    >>> model = keras_dss.models.DSSClassifier(10, features=8, num_blocks=2, state_size=4)
    >>> stream = to_streaming(model)
    >>> sequence = np.cos(np.arange(20.0)).reshape(1, 20, 1)
    >>> states = stream.initial_states(batch_size=1)
    >>> for step in range(20):
    ...     logits, *states = stream.predict_on_batch([sequence[:, step], *states])
    >>> np.allclose(logits, model.predict_on_batch(sequence), atol=1e-3)
    True
    """
    copy = copy_model(model)
    graph = _graph(copy)
    if graph is None:
        raise ValueError(
            f"Expected a functional or sequential model. Received: {model.name!r} of class "
            f"{type(model).__name__}"
        )
    source = graph.inputs[0]
    rank = 2 if "int" in source.dtype else 3
    if len(graph.inputs) != 1 or len(graph.outputs) != 1 or len(source.shape) < rank:
        raise ValueError(
            "Expected a model with one output and one input, tokens (batch, length) or numbers "
            "(batch, length, channels). Received: "
            f"inputs {[x.shape for x in graph.inputs]}, outputs {[x.shape for x in graph.outputs]}"
        )
    step = keras.Input(source.shape[2:], dtype=source.dtype, name=source.name)
    conversion = _Conversion(model.name)
    x = ops.expand_dims(step, 1)  # (B, 1, ...)
    conversion.mark(x)
    outputs = tree.flatten(conversion.run(graph, x))[0]
    if isinstance(outputs, _NoStep):
        raise outputs.error
    if conversion.over_time(outputs):
        outputs = ops.squeeze(outputs, 1)
    states = conversion.states
    return StreamingModel(
        [step, *(old for old, _ in states)],
        [outputs, *(new for _, new in states)],
        name=name or f"{model.name}_streaming",
    )


class _Conversion:
    """One walk through a model's graph, which collects states on its way.

    Tensors over time are known with their `valid` and `commit`, see `keras_dss.deploy.steps`.
    """

    def __init__(self, name):
        self.name = name
        self.states = []  # pairs of old and new
        self.flows = {}
        self.inside = 0  # nested models around what is converted
        self.owners = {}  # of the names in the new model: what was converted there

    def mark(self, tensor, valid=None, commit=None):
        self.flows[id(tensor)] = tensor, valid, commit  # the tensor lives as long as its id
        return tensor

    def over_time(self, tensor):
        return id(tensor) in self.flows

    def run(self, graph, inputs):
        return graph._run_through_graph(inputs, operation_fn=self._converted)

    def _converted(self, operation):
        def call(*arguments, mask=None, **options):
            given = tree.flatten((arguments, options))
            for x in given:
                if isinstance(x, _NoStep):
                    return self._no_step(operation, x.error)
            found = [x for x in given if self.over_time(x)]
            if not found:  # behind a readout
                return self._own(operation)(*arguments, **options)
            if any(isinstance(x, keras.KerasTensor) and not self.over_time(x) for x in given):
                why = "joins each step with what was made of several"
                return self._no_step(operation, self._error(operation, why))
            flows = [self.flows[id(x)][1:] for x in found]
            if any(commit is not flows[0][1] for _, commit in flows):
                raise self._error(operation, "joins sequences of different rates")
            valid = next((valid for valid, _ in flows if valid is not None), None)
            if mask is None and not self.inside and isinstance(operation, MASKED):
                valid = None  # lost on the way; nested models find it at run time
            return self._call(operation, arguments, options, valid, flows[0][1])

        return call

    def _call(self, operation, arguments, options, valid, commit):
        x = next(x for x in tree.flatten((arguments, options)) if self.over_time(x))
        if isinstance(operation, DSSBlock):
            return self._block(operation, x, valid, commit)
        if isinstance(operation, DSS):
            return self._dss(operation, x, valid, commit)
        if isinstance(operation, Downsample):
            return self._downsample(operation, x, valid, commit)
        if isinstance(operation, Readout):
            return self._readout(operation, operation.kind, x, valid, commit)
        if isinstance(operation, keras.layers.GlobalAveragePooling1D):
            if operation.data_format != "channels_last" or operation.keepdims:
                raise self._error(operation, "does not average over the axis of time alone")
            return self._readout(operation, "mean", x, valid, commit)
        if isinstance(operation, TrailingZeros):
            return x
        if isinstance(operation, keras.Model) and _graph(operation) is not None:
            self.inside += 1
            outputs = self.run(_graph(operation), arguments)
            self.inside -= 1
            return outputs
        if not _treats_each_step(operation, x):
            why = "mixes steps in a way that has no recurrence here"
            return self._no_step(operation, self._error(operation, why))
        outputs = self._own(operation)(*arguments, **options)
        if outputs.shape[1] != 1 or _holds_steps(operation, len(x.shape)):
            raise self._error(operation, "holds numbers for each step of a sequence")
        if isinstance(operation, keras.layers.Embedding) and operation.mask_zero:
            valid = ops.not_equal(x, 0)
        elif isinstance(operation, keras.layers.Masking):
            valid = ops.any(ops.not_equal(x, operation.mask_value), axis=-1)
        return self.mark(outputs, valid, commit)

    def _own(self, operation):
        """An operation of the copy, under a name that no other one has."""
        if self.owners.get(operation.name) is not operation:
            operation.name = self._free(operation.name, operation)
        return operation

    def _free(self, name, owner=None):
        """A name that nothing in the new model has yet: the given one, or with a number."""
        names = (name if n == 0 else f"{name}_{n}" for n in itertools.count())
        found = next(x for x in names if x not in self.owners)
        self.owners[found] = owner
        return found

    def _state(self, name, shape, dtype):
        return keras.Input(shape, dtype=dtype, name=f"{name}_state")

    def _dss(self, layer, x, valid, commit):
        if layer.bidirectional:
            raise self._error(layer, "is bidirectional: its outputs depend on later steps")
        system = layer.to_system()
        largest = float(np.abs(system.poles).max())
        if largest > 1.0:
            raise self._error(
                layer,
                f"has modes that grow, of modulus {largest:.6g} (`compress_model` with a tolerance "
                "keeps a stable layer stable)",
            )
        step = DSSStep(layer.num_modes, name=self._free(layer.name), dtype=layer.dtype_policy)
        state = self._state(step.name, (x.shape[-1], 2 * layer.num_modes), layer.ssm_dtype)
        outputs, new = step(x, state, valid=valid, commit=commit)
        step.set_system(system)
        self.states.append((state, new))
        return self.mark(outputs, valid, commit)

    def _block(self, block, x, valid, commit):
        norm = self._renamed(block.norm, self._free(f"{block.name}_norm"))
        mix = self._renamed(block.mix, self._free(f"{block.name}_mix"))
        inputs = x
        x = norm(x) if norm is not None and block.prenorm else x
        x = self._dss(block.ssm, x, valid, commit)
        x = mix(keras.activations.gelu(x, approximate=False))
        x = inputs + (keras.activations.glu(x, axis=-1) if block.glu else x)
        x = norm(x) if norm is not None and not block.prenorm else x
        return self.mark(x, valid, commit)

    def _downsample(self, layer, x, valid, commit):
        step = DownsampleStep(layer.factor, name=self._free(layer.name), dtype=layer.dtype_policy)
        state = self._state(step.name, (x.shape[-1] + 2,), _wide(layer.compute_dtype))
        outputs, new, seen, done = step(x, state, valid=valid, commit=commit)
        step.set_map(layer.mix)
        self.states.append((state, new))
        return self.mark(outputs, None if valid is None else seen, done)

    def _readout(self, layer, kind, x, valid, commit):
        step = ReadoutStep(kind, name=self._free(layer.name), dtype=layer.dtype_policy)
        state = self._state(step.name, (x.shape[-1] + 1,), _wide(layer.compute_dtype))
        outputs, new = step(x, state, valid=valid, commit=commit)
        self.states.append((state, new))
        return outputs

    def _renamed(self, layer, name):
        """The layer anew under a name of its own in a model without blocks."""
        if layer is None:
            return None
        new = type(layer).from_config(layer.get_config() | {"name": name})
        new.build(layer.get_build_config()["input_shape"])
        new.set_weights(layer.get_weights())
        return new

    def _no_step(self, operation, error):
        if isinstance(operation, keras.layers.Layer):
            raise error
        return _NoStep(error)

    def _error(self, operation, why):
        return ValueError(
            f"Model {self.name!r} has no streaming form: {operation.name!r} "
            f"({type(operation).__name__}) {why}."
        )


def _graph(model):
    """The functional model that a functional or sequential one is, or None."""
    found = getattr(model, "_functional", None) or model
    return found if hasattr(found, "_run_through_graph") else None


class _NoStep:
    """Stands for a tensor that cannot be computed step by step, which matters if it is data.

    Masks are computed by operations too, and recorded as such; `valid` takes their place.
    """

    def __init__(self, error):
        self.error = error


def _treats_each_step(operation, x):
    """Whether a layer or operation does with a sequence of one what it does with each step."""
    if isinstance(operation, keras.layers.Concatenate):
        return operation.axis in (-1, len(x.shape) - 1)
    if type(operation).__name__ in EACH_STEP_OPERATIONS or isinstance(operation, EACH_STEP):
        axes = np.atleast_1d(getattr(operation, "axis", -1)).tolist()
        return all(axis in (-1, len(x.shape) - 1) for axis in axes)
    return False


def _holds_steps(operation, rank):
    """Whether a layer's weights or scales differ along the second of `rank` axes."""
    held = [getattr(operation, name, 0.0) for name in ("alpha", "scale", "offset")]
    shapes = [x.shape if hasattr(x, "shape") else np.shape(x) for x in held]
    return any(len(shape) >= rank - 1 and shape[1 - rank] != 1 for shape in shapes)


def _wide(dtype):
    """For sums over many steps."""
    return "float64" if dtype == "float64" else "float32"
