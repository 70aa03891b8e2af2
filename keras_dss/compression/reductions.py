"""Reductions of the layers of a model, with proofs of their errors, each computed once."""

import functools

import numpy as np

from keras_dss import ssm

RTOL = 1e-3  # relative tolerance of the certified H-infinity errors


class Reductions:
    """Every layer of a model at every rank that somebody asks for.

    Args:
        layers: dict from paths to `DSS` layers. systems: dict from paths to their systems.
        reduce: `(path, rank)` to a `keras_dss.compression.methods.LayerReduction`.
        reduce_features: `(path, rank, features)` to that of a few features alone, their indices in
            the flattened features and directions; None where features are not reduced apart.
    """

    def __init__(self, layers, systems, reduce, reduce_features=None):
        self.layers, self.systems = layers, systems
        self.reduce_features = reduce_features
        self.reduction = functools.cache(reduce)
        self.norm = functools.cache(self._norm)
        self.hinf_error = functools.cache(self._hinf_error)
        self.config = functools.cache(self._config)
        self.rounding = functools.cache(self._rounding)

    def is_stable(self, path, rank):
        """Whether every pole of the layer lies inside the unit circle, before and after."""
        return self.systems[path].is_stable and bool(np.all(self.reduction(path, rank).stable))

    def _norm(self, path):
        """The largest H-infinity norm of the features, its certified lower end."""
        return float(np.max(ssm.hinf_norm(self.systems[path], rtol=RTOL)))

    def _hinf_error(self, path, rank):
        """Certified `(lower, upper)` ends of the H-infinity error of each feature."""
        return ssm.hinf_bounds(self.reduction(path, rank).error_system, rtol=RTOL)

    def features_error(self, path, rank, features):
        """The largest H-infinity error of some features, its certified lower end."""
        if self.reduce_features is None:
            difference = flat(self.reduction(path, rank).error_system, features)
        else:
            difference = self.reduce_features(path, rank, features).error_system
        if not difference.is_stable:
            return np.inf
        return float(np.max(ssm.hinf_norm(difference, rtol=0.1)))

    def _config(self, path, rank):
        """The configuration of the reduced layer."""
        return self.reduction(path, rank).config(self.layers[path])

    def _rounding(self, path, rank):
        r"""An upper bound of what float32 weights add to the H-infinity error of any feature.

        `|sum_n c_n/(v - a_n) - d_n/(v - b_n)| <=
            sum_n |c_n - d_n|/(1 - |a_n|) + |d_n| |a_n - b_n|/((1 - |a_n|)(1 - |b_n|))`
        """
        exact = self.reduction(path, rank).system
        layer = type(self.layers[path]).from_config(self.config(path, rank))
        layer.build((None, None, exact.shape[-1]))
        stored = layer.to_system()
        if not (exact.is_stable and stored.is_stable):
            return np.inf
        gap, moved = 1.0 - np.abs(exact.poles), np.abs(exact.poles - stored.poles)
        added = np.abs(exact.residues - stored.residues) / gap
        added += np.abs(stored.residues) * moved / (gap * (1.0 - np.abs(stored.poles)))
        through = np.abs(exact.feedthrough - stored.feedthrough)
        return float(np.max(added.sum(axis=-1) + through))


def flat(system, features):
    """The systems at some indices of the flattened leading dimensions."""
    modes = system.num_modes
    return ssm.DiagonalSystem(
        system.poles.reshape(-1, modes)[features],
        system.residues.reshape(-1, modes)[features],
        system.feedthrough.reshape(-1)[features],
    )
