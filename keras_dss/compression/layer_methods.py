"""The reductions behind the methods, as they apply to the systems of a layer."""

import dataclasses

import keras
import numpy as np

from keras_dss import ssm


@dataclasses.dataclass(frozen=True, eq=False)
class Options:
    """What a method may know beside the system and the rank.

    Attributes:
        layer: the `DSS` layer.
        inputs: `keras_dss.compression.calibration.MeasuredInputs` of the layer, or None.
        horizon: steps that count, or None for all of them.
        seed: of methods that draw.
    """

    layer: keras.layers.Layer
    inputs: object = None
    horizon: int | None = None
    seed: int = 0

    @property
    def gramian(self):
        return None if self.inputs is None else self.inputs.gramian

    @property
    def sequences(self):
        return None if self.inputs is None else self.inputs.sequences


def balanced(system, rank, options):
    given = {"horizon": options.horizon, "controllability": options.gramian}
    if options.layer.parameterization == "exp":
        return ssm.balanced_truncation(system, rank, **given)
    # growing modes serve a finite kernel as well as any
    if options.horizon is None:
        return ssm.balanced_truncation(system, rank, stable=False, **given)
    return ssm.finite_balanced_truncation(system, rank, options.layer.kernel_length, **given)


def finite_horizon(system, rank, options):
    if options.horizon is None:
        raise ValueError("method='finite_horizon' needs a horizon. Received: horizon=None")
    return balanced(system, rank, options)


def singular_perturbation(system, rank, options):
    """The backward system of a bidirectional layer has no feedthrough of its own: it is balanced.

    What that changes at frequency zero goes to lag 0, the layer's D: the layer keeps its DC gain,
    the sum of both directions, and the forward bound grows by as much.
    """
    found = ssm.singular_perturbation(system, rank, controllability=options.gramian)
    if not options.layer.bidirectional:
        return found
    plain = ssm.balanced_truncation(system, rank, controllability=options.gramian)
    lost = ssm.dc_gain(system[1]) - ssm.dc_gain(plain.system[1])

    def join(first, second):
        return np.stack([first[0], second[1]])

    names = ("hankel_singular_values", "error_bound", "order", "condition", "stable")
    parts = {name: join(getattr(found, name), getattr(plain, name)) for name in names}
    parts["error_bound"][0] += np.abs(lost)
    forward, backward = found.system, plain.system
    through = join(forward.feedthrough, backward.feedthrough)
    through[0] += lost
    reduced = ssm.DiagonalSystem(
        join(forward.poles, backward.poles), join(forward.residues, backward.residues), through
    )
    return dataclasses.replace(found, system=reduced, **parts)


def h2_optimal(system, rank, options):
    start = balanced(system, rank, options)

    return by_direction(ssm.h2_optimal, system, start.system, options.sequences)


def shared(system, rank, options):
    """All features and directions of the layer, with the eigenvalues of the layer to start from."""
    layer = options.layer
    log_dt = np.asarray(keras.ops.convert_to_numpy(layer.log_dt), "float64")
    steps = np.broadcast_to(layer.rate * np.exp(log_dt), system.shape).reshape(-1)
    sequences = options.sequences and options.sequences.reshape(-1)
    flat = ssm.DiagonalSystem(
        system.poles.reshape(-1, system.num_modes),
        system.residues.reshape(-1, system.num_modes),
    )
    eigenvalues, reduced = ssm.shared_h2_optimal(
        flat, steps, _eigenvalues(layer, options.seed), rank, inputs=sequences
    )
    shape = (*system.shape, rank)
    reduced = ssm.DiagonalSystem(
        reduced.poles.reshape(shape), reduced.residues.reshape(shape), system.feedthrough
    )
    return eigenvalues, reduced


def _eigenvalues(layer, seed, most=128):
    """The layer's eigenvalues lambda; of one with many, a part drawn at random."""
    re, im = (
        np.asarray(keras.ops.convert_to_numpy(w), "float64").reshape(-1)
        for w in (layer.lambda_re, layer.lambda_im)
    )
    values = (-np.exp(re) if layer.parameterization == "exp" else re) + 1j * im
    if values.size > most:
        values = np.random.default_rng(seed).choice(values, max(most, layer.state_size), False)
    return values


def by_direction(fit, system, start, inputs):
    """`fit` of each direction; the forward one has a feedthrough, the layer's D, to fit too."""
    if system.poles.ndim == 2:
        return fit(system, start, inputs=inputs, feedthrough=True)
    forward, backward = (
        fit(
            system[d],
            start[d],
            inputs=None if inputs is None else inputs[d],
            feedthrough=d == 0,
        )
        for d in (0, 1)
    )
    return ssm.DiagonalSystem(
        np.stack([forward.poles, backward.poles]),
        np.stack([forward.residues, backward.residues]),
        np.stack([forward.feedthrough, backward.feedthrough]),
    )
