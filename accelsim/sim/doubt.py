"""How far sums can be off, whatever the order in which they are added up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from accelsim.sim.arithmetic import Arithmetic
from accelsim.sim.formats import FORMATS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]


@dataclass
class Doubt:
    """What is known of the terms of the words of one result, flat: Σ |terms| and Σ errors (of a maximum the greatest error).

    `count`: how many terms a word has.
    """

    reduce: str
    arithmetic: Arithmetic
    count: IntArray
    size: Any = field(init=False)
    error: Any = field(init=False)

    def __post_init__(self) -> None:
        import numpy as np

        self.size, self.error = np.zeros(self.count.size), np.zeros(self.count.size)

    def forget(self, flat: Any) -> None:
        """Words are made again."""
        self.size[flat] = self.error[flat] = 0.0

    def note(self, flat: Any, terms: Any, error: Any) -> None:
        """Terms, (terms, words), with their errors."""
        import numpy as np

        if self.reduce in {"max", "min"}:
            self.error[flat] = np.maximum(self.error[flat], error.max(axis=0))
            return
        self.size[flat] += np.abs(terms.astype(np.float64)).sum(axis=0)
        self.error[flat] += error.sum(axis=0)

    def bound(self, flat: Any, whole: bool) -> Any:
        """Σ errors + ((1 + u)^n - 1) (Σ |terms| + Σ errors) + n t (1 + u)^n; none where the sum could leave the type.

        A maximum only carries errors. Products over a rank have a bound in whole numbers only.
        Source: N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 4.2, for any order of n terms.
        """
        import numpy as np

        carried, size = self.error[flat], self.size[flat]
        if self.reduce in {"max", "min"}:
            return carried
        if self.reduce not in {"add"}:
            return np.where(carried > 0, np.inf, 0.0 if whole else np.inf)
        count = self.count[flat]
        relative, least = (0.0, 0.0) if whole else self.arithmetic.unit()
        growth = np.expm1(count * np.log1p(relative))
        found = carried + (0.0 if whole else growth * (size + carried) + count * least * (1 + growth))
        number_type = self.arithmetic.number_type
        return found if number_type is None else np.where(size > FORMATS[number_type.name].largest, np.inf, found)
