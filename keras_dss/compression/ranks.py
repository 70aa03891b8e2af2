"""Ranks that are given, for all layers alike or layer by layer."""

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
    return by_layer("rank", layers, rank, _rank)


def by_layer(name, layers, given, check):
    """An argument's value for each layer.

    Args:
        name: of the argument, for messages. layers: dict from paths to `DSS` layers.
        given: a value for all, or a mapping from names or paths of layers to values.
        check: `(path, layer, value)` to the value, or it raises.

    Returns:
        dict from paths to values, None for layers that a mapping leaves out.

    Raises:
        ValueError: for names that no layer has, or several.
    """
    if not isinstance(given, Mapping):
        return {path: check(path, layer, given) for path, layer in layers.items()}
    values = dict.fromkeys(layers)
    for key, value in given.items():
        found = [path for path, layer in layers.items() if key in (layer.name, layer.path)]
        found = [key] if key in layers else found
        if not found:
            raise ValueError(
                f"`{name}` must name DSS layers of the model: {', '.join(layers)}. "
                f"Received: {key!r}"
            )
        if len(found) > 1:
            raise ValueError(
                f"`{name}` must name one layer; {key!r} is the name of {', '.join(found)}. "
                f"Received: {key!r}"
            )
        values[found[0]] = check(found[0], layers[found[0]], value)
    return values


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
