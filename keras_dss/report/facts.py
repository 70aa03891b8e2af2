"""What a report says of the DSS layers of a model, and of the same layers of its parent."""

import dataclasses

import numpy as np

from keras_dss import ssm
from keras_dss.compression.rebuild import find_dss_layers

RTOL = 1e-2  # of H-infinity distances
LONGEST = 4096  # lags of the kernels that are looked at
ENERGY = 0.995  # share of a kernel's energy that its picture shows


@dataclasses.dataclass(frozen=True, eq=False)
class LayerFacts:
    """A DSS layer, and the one of the parent that stands in its place.

    Attributes:
        path: of the layer. system: its `DiagonalSystem`. before: that of the parent, or None.
        horizon: kernel length of a softmax layer, else None.
        hankel, hankel_before: (..., 2N) Hankel singular values, None where there are none.
        parameters, parameters_before: weights of the layer.
        hinf_distance, h2_distance: of the parent's layer from this one, relative to the norm of
            the parent's (the worst feature), None without a parent, or for unstable systems.
    """

    path: str
    system: ssm.DiagonalSystem
    before: ssm.DiagonalSystem | None
    horizon: int | None
    hankel: np.ndarray | None
    hankel_before: np.ndarray | None
    parameters: int
    parameters_before: int | None
    hinf_distance: float | None
    h2_distance: float | None

    @property
    def slowest(self):
        """The longest time constant in steps; infinite for poles on or outside the circle."""
        largest = float(np.abs(self.system.poles).max())
        return -1.0 / np.log(largest) if 0.0 < largest < 1.0 else np.inf if largest else 0.0

    def shown_kernels(self):
        """Kernels of two features: `(after, before or None, labels)`, arrays (2, L).

        With a parent those of the median and of the largest change, else those of the median and
        of the largest energy.
        """
        length = min(self.horizon or LONGEST, LONGEST)
        after = self._flat(self.system).impulse_response(length)  # (F, L)
        before = self.before and self._flat(self.before).impulse_response(length)
        size = np.linalg.norm(after if before is None else after - before, axis=-1)
        if before is not None:
            size = size / np.maximum(np.linalg.norm(before, axis=-1), 1e-300)
        order = np.argsort(size, kind="stable")
        chosen = list(dict.fromkeys([order[len(order) // 2], order[-1]]))
        what = "energy" if before is None else "change"
        words = [f"feature {self._name(i)}: {w} {what}" for i, w in zip(
            chosen, ("median", "largest"), strict=False)]  # fmt: skip
        whole = (after if before is None else before)[chosen]
        energy = np.cumsum(whole**2, axis=-1)
        steps = np.argmax(energy >= ENERGY * energy[:, -1:], axis=-1).max() + 1
        steps = int(np.clip(1.2 * steps, min(32, length), length))
        shown = None if before is None else before[chosen][:, :steps]
        return after[chosen][:, :steps], shown, words

    @staticmethod
    def _flat(system):
        n = system.num_modes
        return ssm.DiagonalSystem(
            system.poles.reshape(-1, n), system.residues.reshape(-1, n),
            system.feedthrough.reshape(-1),
        )  # fmt: skip

    def _name(self, index):
        features = self.system.shape[-1]
        name = f"{index % features}"
        return (
            name
            if len(self.system.shape) == 1
            else f"{name} {('forward', 'backward')[index // features]}"
        )


def layer_facts(model, parent=None):
    """Returns a list of `LayerFacts`, in the order of the layers.

    Args:
        model: a built `keras.Model` with DSS layers. parent: one with as many layers of as many
            features, or None.

    Raises:
        TypeError: for what is no Keras model.
        ValueError: for a model without DSS layers, weights that are not finite, and a parent whose
            layers do not correspond.
    """
    layers = find_dss_layers(model)
    parents = list(find_dss_layers(parent).values()) if parent is not None else [None] * len(layers)
    if len(parents) != len(layers):
        raise ValueError(
            f"Expected a parent with {len(layers)} DSS layers, as {model.name!r} has. Received: "
            f"{parent.name!r} with {len(parents)}"
        )
    return [
        _layer_facts(path, layer, before)
        for (path, layer), before in zip(layers.items(), parents, strict=True)
    ]


def _layer_facts(path, layer, parent):
    system, before = layer.to_system(), parent and parent.to_system()
    if before is not None and before.shape != system.shape:
        raise ValueError(
            f"Expected a parent whose layers have the features and directions of {path!r}, "
            f"{system.shape}. Received: {before.shape} in its layer {parent.name!r}"
        )
    hinf = h2 = None
    if before is not None and before.is_stable and system.is_stable:
        error = before - system
        norm = np.maximum(before.hinf_norm(rtol=RTOL), 1e-300)
        hinf = float(np.max(error.hinf_norm(rtol=RTOL) / norm))
        h2 = float(np.max(error.h2_norm() / np.maximum(before.h2_norm(), 1e-300)))
    return LayerFacts(
        path=path,
        system=system,
        before=before,
        horizon=layer.kernel_length,
        hankel=_hankel(layer, system),
        hankel_before=before and _hankel(parent, before),
        parameters=layer.count_params(),
        parameters_before=parent and parent.count_params(),
        hinf_distance=hinf,
        h2_distance=h2,
    )


def _hankel(layer, system):
    try:
        return ssm.hankel_singular_values(system, horizon=layer.kernel_length)
    except ssm.UnstableSystemError:
        return None
