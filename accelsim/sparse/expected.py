"""What a nest is expected to do: the sums of `terms`, worked out one by one. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import TYPE_CHECKING

import numpy as np

from accelsim.sparse.axes import Axes
from accelsim.sparse.terms import Terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.boxes import Boxes
    from accelsim.sparse.nest import Nest
    from accelsim.sparse.sums import Signed

    Shares = NDArray[np.float64]


class Expected:
    """Expectations of a nest's counts, float64, by copy where `kernels.Walked` has them by copy.

    `densities`: of the operands that are stored. What has no closed form is refused, by name, when it is asked for.
    """

    def __init__(self, nest: Nest, densities: Dict[str, Boxes]) -> None:
        self.nest, self._axes = nest, Axes(nest)
        self._terms = Terms(nest, densities, self._axes)

    def _value(self, asked: Signed) -> Shares:
        found: Shares = np.zeros(1)
        sums = list(self._terms.sums)
        for sign, place in asked.parts:
            found = found + sign * self._axes.total(sums[place])
        return found

    @property
    def points(self) -> Shares:
        """Operations that are issued."""
        return self._value(self._terms.points)

    @property
    def effectual(self) -> Shares:
        """Operations on stored elements alone."""
        return self._value(self._terms.effectual)

    @property
    def issues(self) -> Shares:
        """Issues of a unit that does `lanes` operations at a time."""
        return self._value(self._terms.issues)

    def visits(self, level: int) -> Shares:
        """Turns of a loop that are visited, by copy above it."""
        return self._value(self._terms.visits(level))

    def steps(self, level: int) -> Shares:
        """Steps in which a loop over a rank of two stored operands finds its turns, by copy above it."""
        return self._value(self._terms.steps(level))

    def words(self, number: int, shared: bool = False) -> Shares:
        """Words of an operand that copies of a crossing's child are sent; `shared`: that copies of its parent send."""
        return self._value(self._terms.words(number, shared))

    def made(self, number: int, shared: bool = False) -> Shares:
        """Words of the result that copies of a crossing's child send; `shared`: that copies of its parent are sent."""
        return self._value(self._terms.made(number, shared))

    def different(self, number: int) -> Shares:
        """Different words of the result that copies of a crossing's parent are sent."""
        return self._value(self._terms.different(number))
