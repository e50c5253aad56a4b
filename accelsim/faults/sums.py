"""Whole products that come out wrong, judged as an array's outputs are."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from accelsim.faults.firings import Product
from accelsim.faults.outcomes import DEAD, LOGICAL
from accelsim.faults.requantise import Requantise
from accelsim.jobs.store import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.kernels_judge import Groups

    IntArray = NDArray[np.int64]


class Sums:
    """Products and what becomes of their sums. `decides`: as of an ArrayTarget."""

    def __init__(self, products: list[Product], requantise: Requantise, decides: IntArray | None) -> None:
        self.products, self.requantise, self.decides = products, requantise, decides

    def judged(self, number: int, wrong: IntArray) -> IntArray:
        """Of products int64[faults, m, n] in place of one: outcome, outputs that change, largest difference, decisions that change. No sum
        that differs is LOGICAL.
        """
        import numpy as np

        from accelsim.faults.kernels_judge import judge

        run = self.products[number].run
        z, faults = run.product.ravel(), len(wrong)
        by = wrong.reshape(faults, -1) - z
        fault, places = np.nonzero(by)
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(fault, minlength=faults))]).astype(np.int64)
        words = np.stack([places, by[fault, places]], axis=1).astype(np.int64)
        found, said = np.zeros((faults, 4), np.int64), np.zeros((faults, 2), np.int64)
        out = self.requantise.outputs(z)
        judge(self.requantise.kernel(), run.widths.sum, z, out, self._groups[number], starts, words, said, True, found)
        found[found[:, 0] == DEAD, 0] = LOGICAL
        return found

    def key_parts(self) -> tuple[object, ...]:
        """Elements of the products and what is judged, as parts of a `content_key`."""
        made = tuple(digest(product.elements) for product in self.products)
        return made, self.requantise, None if self.decides is None else digest(self.decides)

    @cached_property
    def _groups(self) -> list[Groups]:
        from accelsim.faults.kernels_judge import Groups

        return [Groups.of(None if self.decides is None else self.decides[product.elements.ravel()]) for product in self.products]
