"""A budget of states or parameters, spread over the layers of a model."""

import dataclasses
import numbers

import numpy as np

from keras_dss.compression.costs import layer_parameters, layer_states

RESOLUTION = 1 << 14  # costs told apart while the layers are put together


@dataclasses.dataclass(frozen=True)
class Budget:
    """The most that a compressed model may hold of one thing.

    Args:
        states: modes times features times directions over all DSS layers, an int, or a fraction in
            (0, 1] of those before.
        parameters: weights of the whole model, an int, or a fraction in (0, 1] of those before.

    Raises:
        ValueError: unless exactly one of them is given, an int of at least 1 or such a fraction.

    >>> Budget(states=0.25).limit(before=4096)
    1024
    >>> Budget(parameters=10_000).limit(before=4096)
    10000
    """

    states: int | float | None = None
    parameters: int | float | None = None

    def __post_init__(self):
        if (self.states is None) == (self.parameters is None):
            raise ValueError(
                "A budget is one of states and parameters. "
                f"Received: states={self.states!r}, parameters={self.parameters!r}"
            )
        number, valid = self.amount, False
        if isinstance(number, numbers.Integral) and not isinstance(number, bool):
            valid = number >= 1
        elif isinstance(number, numbers.Real) and not isinstance(number, bool):
            valid = 0.0 < number <= 1.0
        if not valid:
            raise ValueError(
                f"A budget of {self.unit} must be an integer from 1 or a fraction in (0, 1]. "
                f"Received: {self.unit}={number!r}"
            )

    @classmethod
    def of(cls, budget):
        """A `Budget` as it is; a number as a budget of states."""
        return budget if isinstance(budget, cls) else cls(states=budget)

    @property
    def unit(self):
        """`"states"` or `"parameters"`."""
        return "states" if self.parameters is None else "parameters"

    @property
    def amount(self):
        """The number given."""
        return self.states if self.parameters is None else self.parameters

    def limit(self, before):
        """The largest number allowed, of a model that had `before`."""
        if isinstance(self.amount, numbers.Integral):
            return int(self.amount)
        return int(float(self.amount) * before * (1.0 + 1e-12))  # 0.29 of 100 are 29

    def layer_cost(self, layer, rank, eigenvalues):
        """What a layer with `rank` modes costs."""
        if self.unit == "states":
            return layer_states(layer, rank)
        return layer_parameters(layer, rank, eigenvalues)

    def rest(self, model, layers):
        """What the model costs beside its DSS layers."""
        if self.unit == "states":
            return 0
        return model.count_params() - sum(layer.count_params() for layer in layers)


def allocate(costs, errors, budget):
    r"""One choice for each layer, of the least total error within a budget.

    minimise `sum_i e_i(k_i)` subject to `sum_i w_i(k_i) <= budget`: the layers are put together
    one after the other, and of all partial choices those stay that no other one beats in cost and
    error. That is the exact optimum; beyond some ten thousand different costs these are rounded
    up, so that the budget still holds.

    Args:
        costs: for each layer int `(K_i,)`, what each choice costs. errors: float64 `(K_i,)` each.
        budget: the largest total cost.

    Returns:
        list of ints, the choice for each layer; of equal totals the cheapest.

    Raises:
        ValueError: if not even the cheapest choices fit.

    >>> allocate([[1, 2, 4], [1, 2, 4]], [[9.0, 1.0, 0.0], [3.0, 2.0, 0.0]], budget=5)
    [1, 1]
    >>> allocate([[1, 2, 4], [1, 2, 4]], [[9.0, 1.0, 0.0], [3.0, 2.0, 0.0]], budget=6)
    [1, 2]
    """
    costs = [np.asarray(c, np.int64) for c in costs]
    least = sum(int(c.min()) for c in costs)
    if least > budget:
        raise ValueError(f"The budget must be at least {least}. Received: {budget}")
    grain = max(1, (budget - least) // RESOLUTION)
    total_cost, total_error = np.zeros(1, np.int64), np.zeros(1)
    steps = []
    for cost, error in zip(costs, errors, strict=True):
        extra = -(-(cost - cost.min()) // grain)
        sums = (total_cost[:, None] + extra).ravel()
        wrong = (total_error[:, None] + np.asarray(error, np.float64)).ravel()
        order = np.lexsort((wrong, sums))
        order = order[sums[order] * grain <= budget - least]
        best = np.minimum.accumulate(wrong[order])
        better = np.r_[True, best[1:] < best[:-1]]
        order = order[better]
        steps.append(np.divmod(order, len(cost)))
        total_cost, total_error = sums[order], wrong[order]
    chosen, at = [], len(total_cost) - 1
    for before, choice in reversed(steps):
        chosen.append(int(choice[at]))
        at = before[at]
    return chosen[::-1]
