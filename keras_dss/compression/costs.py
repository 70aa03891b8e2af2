"""What a DSS layer holds for a number of modes."""


def channels(layer):
    """Features times directions of a layer."""
    return layer.log_dt.shape[0] * (2 if layer.bidirectional else 1)


def layer_states(layer, rank):
    """Modes over all features and directions."""
    return channels(layer) * rank


def layer_parameters(layer, rank, eigenvalues):
    """Weights lambda, W, dt and D of a layer like `layer` with `rank` modes.

    `4 C r + 2 H` with eigenvalues per feature and direction, `2 r + 2 C r + 2 H` with shared ones,
    C features times directions. A layer that keeps all its modes stays as it is.
    """
    if rank == layer.state_size:
        return layer.count_params()
    eigenvalues = 2 * rank if eigenvalues == "shared" else 2 * channels(layer) * rank
    return eigenvalues + 2 * channels(layer) * rank + 2 * layer.log_dt.shape[0]
