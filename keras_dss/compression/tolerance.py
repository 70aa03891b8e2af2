"""The smallest ranks whose H-infinity errors are proven to keep within a tolerance."""

import numbers

import numpy as np

from keras_dss import ssm
from keras_dss.compression.ranks import by_layer

HARD = 8  # features that turn down most ranks by themselves


def ranks_within_tolerance(reductions, tolerance):
    """Modes to keep in each layer, and why some keep all of them.

    A rank is taken if the certified H-infinity error of every feature and direction, with what
    rounding the weights to float32 adds, is at most `tolerance` times the largest norm of the
    layer. Errors need not fall from one rank to the next, so ranks are tried upward, from the
    first that the Hankel values allow: no system of order 2r, whatever its direct term, comes
    closer than `sigma_{2r+2}`.

    Args:
        reductions: `Reductions`.
        tolerance: number in (0, 1), or a mapping of names or paths of layers to these.

    Returns:
        `(ranks, reasons)`: dict from paths to ints, None for layers that a mapping leaves out; and
        dict from the paths of layers that no rank below the state size keeps within the tolerance
        to the reason, which says how near one comes.

    Raises:
        ValueError: for other tolerances, names that no layer has, and where no layer at all can be
            reduced within its tolerance; the message says how near each comes.
        keras_dss.ssm.UnstableSystemError: for a layer with a pole on or outside the unit circle.

    Source: Adamjan, Arov and Krein (1971) for the lower bound.
    """
    found = by_layer("tolerance", reductions.layers, tolerance, _check)
    layers = {path: _Layer(path, reductions) for path, v in found.items() if v is not None}
    ranks = dict.fromkeys(found)
    ranks |= {path: layer.smallest_rank(found[path]) for path, layer in layers.items()}
    best = {path: layer.best() for path, layer in layers.items() if ranks[path] == layer.size}
    if best and len(best) == len(layers):
        each = ", ".join(
            f"{value} in layer {path!r} of state size {layers[path].size}"
            for path, value in best.items()
        )
        raise ValueError(
            "Expected a tolerance that a rank below the state size keeps in one layer at least. "
            f"The best attainable is {each}. Received: tolerance={tolerance!r}"
        )
    reasons = {
        path: "there is only one mode"
        if layers[path].size == 1
        else f"no smaller rank keeps the tolerance (best attainable {value})"
        for path, value in best.items()
    }
    return ranks, reasons


def _check(path, layer, tolerance):
    if isinstance(tolerance, numbers.Real) and not isinstance(tolerance, bool):
        if 0.0 < tolerance < 1.0:
            return float(tolerance)
    raise ValueError(
        f"The tolerance of layer {path!r} must be a relative H-infinity error, a number in (0, 1). "
        f"Received: tolerance={tolerance!r}"
    )


class _Layer:
    """One layer's errors relative to its norm, each rank's from below and, where asked, proven."""

    def __init__(self, path, reductions):
        self.path, self.reductions = path, reductions
        system = reductions.systems[path]
        if not system.is_stable:
            raise ssm.UnstableSystemError(
                f"A tolerance is relative to the H-infinity norm, which layer {path!r} does not "
                f"have. Received: a pole of modulus {np.abs(system.poles).max():.6g}"
            )
        self.size = system.num_modes
        self.norm = max(reductions.norm(path), np.finfo(float).tiny)
        values = ssm.hankel_singular_values(system).reshape(-1, 2 * self.size)
        self.floors = values[:, 1::2].max(axis=0) * (1.0 - 1e-6) / self.norm
        self.hard = np.argsort(-values[:, self.size], kind="stable")[:HARD]
        self.errors = {}

    def smallest_rank(self, tolerance):
        for rank in range(1, self.size):
            if self.floors[rank] <= tolerance and self.floor(rank) <= tolerance:
                if self.error(rank) <= tolerance:
                    return rank
        return self.size

    def best(self):
        """The least of all errors, in words."""
        for rank in sorted(range(1, self.size), key=self.floors.__getitem__):
            if self.floors[rank] < min(self.errors.values(), default=np.inf):
                self.error(rank)
        if self.size == 1:
            return "to keep the only mode"
        if not self.errors:
            return "not known, as all reductions have modes that grow,"
        rank = min(self.errors, key=self.errors.get)
        return f"{self.errors[rank]:.3g} with {rank} modes"

    def floor(self, rank):
        """What the error is at least, by the features that were hardest so far."""
        error = self.reductions.features_error(self.path, rank, self.hard)
        self.floors[rank] = max(self.floors[rank], error / self.norm)
        return self.floors[rank]

    def error(self, rank):
        """What the error is at most."""
        if rank not in self.errors:
            self.errors[rank] = np.inf
            if self.reductions.is_stable(self.path, rank):
                upper = self.reductions.hinf_error(self.path, rank)[1].ravel()
                self.hard = np.argsort(-upper, kind="stable")[:HARD]
                largest = upper.max() + self.reductions.rounding(self.path, rank)
                self.errors[rank] = float(largest / self.norm)
        return self.errors[rank]
