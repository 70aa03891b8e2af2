r"""Removal of entries of a dense kernel that what is left makes up for.

With inputs x of covariance C, the output of one unit changes in mean square by

    E dy^2 = (w - w')^T C (w - w'),     b' = b + (w - w')^T E x

(of second moments where there is no bias). Entry q costs least if the others move by the column of
the inverse, and so does each one after it, in the inverse without the rows and columns before:

    cost_q = w_q^2 / (C^-1)_qq,   w <- w - w_q / (C^-1)_qq C^-1 e_q,
    C^-1 <- C^-1 - C^-1 e_q e_q^T C^-1 / (C^-1)_qq

What is left is fitted once more when the layers before it have lost theirs, so that inputs z come
in the place of x: E (z^T w' - x^T w)^2 is least where (E z z^T) w' = (E z x^T) w on what is kept.

Source: Hassibi and Stork (1993), optimal brain surgeon; Frantar and Alistarh, arXiv 2208.11580, for
doing so row by row and comparing the costs of the rows afterwards.
"""

import numpy as np

DAMPING = 1e-4  # of the mean of the diagonal: inputs that hardly ever differ
LARGEST = 2**24  # numbers of inverses held at a time


def removal_costs(kernel, metric):
    """What each removal costs when every unit loses its entries one by one, cheapest first.

    Args:
        kernel: (I, O). metric: (I, I), see above.

    Returns:
        `(order, costs)`, both (I, O): the entry that goes as t-th, and the increase of E dy^2.
    """
    inputs, units = kernel.shape
    inverse = np.linalg.inv(damped(metric))
    order, costs = np.zeros((inputs, units), "int64"), np.zeros((inputs, units))
    at_once = max(1, LARGEST // inputs**2)
    for start in range(0, units, at_once):
        part = slice(start, start + at_once)
        order[:, part], costs[:, part] = _remove_all(kernel[:, part], inverse)
    return order, costs


def _remove_all(kernel, inverse):
    weights = np.array(kernel.T, "float64")  # (O, I)
    units, inputs = weights.shape
    inverses = np.repeat(inverse[None], units, axis=0)  # (O, I, I)
    alive, rows = np.ones((units, inputs), bool), np.arange(units)
    order, costs = np.zeros((inputs, units), "int64"), np.zeros((inputs, units))
    for t in range(inputs):
        diagonal = np.einsum("oii->oi", inverses)
        cost = np.full(weights.shape, np.inf)
        np.divide(weights**2, diagonal, out=cost, where=alive)
        q = np.argmin(cost, axis=1)  # (O,)
        order[t], costs[t] = q, cost[rows, q]
        column = inverses[rows, :, q]  # (O, I)
        pivot = column[rows, q][:, None]
        weights -= weights[rows, q][:, None] / pivot * column
        inverses -= column[:, :, None] * (column / pivot)[:, None, :]
        alive[rows, q] = False
    return order, costs


def refitted(kernel, metric, kept, cross):
    """The kernel whose outputs are nearest to the given one's, zero but where entries are kept.

    Args:
        kernel: (I, O). metric: (I, I), of the inputs z that the new kernel gets. kept: bool (I, O).
        cross: (I, I), E z x^T with the inputs x of the given kernel.

    Returns:
        float64 (I, O).
    """
    least = _damping(metric)
    wanted = cross @ kernel + least * kernel  # (I, O)
    metric = damped(metric)
    found = np.zeros(kernel.shape)
    for unit in range(kernel.shape[1]):
        index = np.flatnonzero(kept[:, unit])
        found[index, unit] = np.linalg.solve(metric[np.ix_(index, index)], wanted[index, unit])
    return found


def damped(metric):
    """A metric that can be inverted, hardly changed otherwise."""
    return metric + _damping(metric) * np.eye(len(metric))


def _damping(metric):
    return DAMPING * max(np.trace(metric) / len(metric), np.finfo("float32").tiny)
