"""Which rank each layer gets."""

import numbers
from collections.abc import Mapping


def resolve_ranks(layers, rank):
    """Modes to keep in each layer.

    Args:
        layers: dict from paths to `DSS` layers.
        rank: int, fraction in (0, 1] of each state size, or a mapping of names or paths to these.

    Returns:
        dict from paths to ints, None for layers that a mapping leaves out.

    Raises:
        ValueError: for ranks that do not fit, and names that no layer has.
    """
    if not isinstance(rank, Mapping):
        return {path: _rank(path, layer, rank) for path, layer in layers.items()}
    ranks = dict.fromkeys(layers)
    for key, value in rank.items():
        found = [path for path, layer in layers.items() if key in (path, layer.name)]
        if not found:
            raise ValueError(
                f"`rank` must name DSS layers of the model: {', '.join(layers)}. Received: {key!r}"
            )
        if len(found) > 1:
            raise ValueError(
                f"`rank` must name one layer; {key!r} is the name of {', '.join(found)}. "
                f"Received: {key!r}"
            )
        ranks[found[0]] = _rank(found[0], layers[found[0]], value)
    return ranks


def _rank(path, layer, rank):
    size = layer.state_size
    if isinstance(rank, numbers.Integral) and not isinstance(rank, bool):
        if 1 <= rank <= size:
            return int(rank)
    elif isinstance(rank, numbers.Real) and not isinstance(rank, bool):
        if 0.0 < rank <= 1.0:
            return max(1, round(float(rank) * size))
    raise ValueError(
        f"The rank of layer {path!r} must be an integer from 1 to its state size {size}, or a "
        f"fraction in (0, 1]. Received: rank={rank!r}"
    )
