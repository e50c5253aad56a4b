"""Fronts of rows of figures: those that no other row beats in every figure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from accelsim.kernel_cache import njit

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SLACK = 1 + 1e-10


@njit(error_model="numpy")
def sift(table: FloatArray, keys: IntArray, order: IntArray) -> IntArray:
    """The places of rows (float64[n, figures]) that no other row with the same key beats, in the order given; of equals, the first.

    A row is only compared with those before it: the order has to rise with the sum of the figures.
    """
    kept = np.empty(order.shape[0], np.int64)
    count = 0
    for row in order:
        beaten = False
        for at in range(count):
            other = kept[at]
            if keys[other] != keys[row]:
                continue
            beaten = True
            for figure in range(table.shape[1]):
                if table[other, figure] > table[row, figure] * SLACK:
                    beaten = False
                    break
            if beaten:
                break
        if not beaten:
            kept[count] = row
            count += 1
    return kept[:count]
