"""What proposes the next trial, by name."""

import keras_tuner
import numpy as np

OBJECTIVE = keras_tuner.Objective("score", "max")
SEARCHES = ("random", "bayesian", "hyperband", "grid")


def make_oracle(search, trials=None, *, epochs=None, objective=OBJECTIVE, seed=0):
    """An oracle of keras-tuner.

    Args:
        search: `"random"`, `"bayesian"` (a Gaussian process, which needs scikit-learn),
            `"hyperband"` or `"grid"`.
        trials: how many at most, None for all of a grid; Hyperband makes as many as its brackets
            hold.
        epochs: of the longest training, for Hyperband.
        objective: what is maximised; by default the score of `RankHyperModel`.
        seed: int.

    Returns:
        A `keras_tuner.Oracle`.

    Raises:
        ValueError: for an unknown name, or trials or epochs that the search does not go with.

    Example:

    >>> make_oracle("random", trials=20).max_trials
    20

    Source: Li et al., arXiv 1603.06560, for Hyperband.
    """
    if search not in SEARCHES:
        raise ValueError(f"`search` must be one of {SEARCHES}. Received: search={search!r}")
    if (trials is None) != (search == "hyperband") and search != "grid":
        raise ValueError(
            "Random and Bayesian search need `trials`, Hyperband has none. "
            f"Received: search={search!r}, trials={trials}"
        )
    if (epochs is None) == (search == "hyperband"):
        raise ValueError(
            "Hyperband alone shares out `epochs` of training, at least 1 to a trial. "
            f"Received: search={search!r}, epochs={epochs}"
        )
    seed = seed or 2**31 - 1  # keras-tuner takes 0 for none
    if search == "hyperband":
        return keras_tuner.oracles.HyperbandOracle(objective, max_epochs=epochs, seed=seed)
    kinds = {
        "random": keras_tuner.oracles.RandomSearchOracle,
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
        "grid": keras_tuner.oracles.GridSearchOracle,
    }
    return kinds[search](objective=objective, max_trials=trials, seed=seed)


def reseed(oracle, seed):
    """Begins an oracle without trials anew from another seed."""
    oracle.set_state(oracle.get_state() | {"seed": seed, "seed_state": seed})
    if hasattr(oracle, "_random_state"):  # Bayesian optimisation leaves it out of its state
        oracle._random_state = np.random.RandomState(seed)
