"""Weighted means of how long ports are busy.

Einsums that run side by side may each trade one port's time for another's, so the least time of every port by itself is a bound that is
much too low. No mean is more than the busiest port, whatever the weights, and the least mean of every Einsum tells such trades apart: a
linear relaxation, whose best weights are its dual solution.
"""

from __future__ import annotations

from itertools import combinations, product

import numpy as np

from accelsim.mapper.leaf_plan import FloatArray

_RATIOS = 2.0 ** np.arange(-7, 8)  # of the two weights of a pair
_LESS = 1 - 1e-12  # no rounding makes a mean larger than what it is of
_NEAR = 1e-9  # relative, as near as the best weights of a pair are looked for
_MOST = 2000  # rows of a front that are looked at at once


def pairs(columns: list[int], width: int) -> FloatArray:
    """All weights that are tried, float64[k, width]: of every two of some columns."""
    found = [(one, other, ratio) for (one, other), ratio in product(combinations(columns, 2), _RATIOS.tolist())]
    weights = np.zeros((len(found), width))
    for row, (one, other, ratio) in enumerate(found):
        weights[row, one], weights[row, other] = ratio / (1 + ratio) * _LESS, 1 / (1 + ratio) * _LESS
    return weights


def least_means(rows: FloatArray, weights: FloatArray) -> FloatArray:
    """The least mean of some rows, float64[n, width], with every one of the weights, float64[k, width]: float64[k]."""
    parts = [(rows[first : first + _MOST] @ weights.T).min(axis=0) for first in range(0, len(rows), _MOST)]
    return np.asarray(np.min(parts, axis=0))


def best_weights(fronts: list[FloatArray], means: list[FloatArray], weights: FloatArray) -> FloatArray:
    """Weights, float64[1, width], of two columns with which Einsums take longest; float64[0, width] if none are better than one column.

    fronts: what each Einsum may cost, float64[n, width]. means: its least means with all `weights`, float64[k, width].
    """
    if not fronts or not len(weights):
        return weights[:0]
    start = weights[int(np.sum(means, axis=0).argmax())]
    one, other = np.flatnonzero(start).tolist()
    two = [front[:, [one, other]] for front in fronts]

    def at(share: float) -> tuple[float, float]:
        """The time of all with a share of the second column, and how it grows with that."""
        least = [each[int((each @ (1 - share, share)).argmin())] for each in two]
        first, second = (sum(float(row[column]) for row in least) for column in (0, 1))
        return (1 - share) * first + share * second, second - first

    # the time is concave and made of straight pieces: where the lines through two of its points meet it is no larger than there
    (low, left, rising), (high, right, falling) = (0.0, *at(0.0)), (1.0, *at(1.0))
    if rising <= 0 or falling >= 0:
        return weights[:0]
    while True:
        share = (right - left + rising * low - falling * high) / (rising - falling)
        most = left + rising * (share - low)
        time, growth = at(share)
        if time >= most * (1 - _NEAR) or not low < share < high:
            break
        if growth > 0:
            low, left, rising = share, time, growth
        else:
            high, right, falling = share, time, growth
    found = np.zeros((1, weights.shape[1]))
    found[0, one], found[0, other] = (1 - share) * _LESS, share * _LESS
    return found
