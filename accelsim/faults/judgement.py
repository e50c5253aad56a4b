"""What the words that a fault changes in a mapped cascade are worth: an outcome, how many outputs, by how much, and whether a decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from accelsim.faults.outcomes import CORRUPTED, DEAD, LOGICAL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.cones import Effect, Mapped

    IntArray = NDArray[np.int64]

_PARTS = 10**6  # of the largest output, in which differences of floating-point outputs are counted
_NOT_FINITE = 1 << 62


class Judge:
    """Differences of integer outputs are as they are, those of others in millionths of the largest output; what is not finite is 2^62.

    `decides`: a tensor, and the group of each of its elements; a decision is which of its group is largest.
    """

    def __init__(self, mapped: Mapped, decides: tuple[str, IntArray] | None) -> None:
        self.cascade, self.golden, self.decides = mapped.cascade, mapped.golden, decides

    def of(self, effect: Effect) -> tuple[int, int, int, int]:
        """Outcome, output words that differ, the largest difference, and whether a decision changes."""
        from accelsim.faults.cones import STALE, UNREAD

        if effect.masked is not None:
            return (DEAD if effect.masked in {UNREAD, STALE} else LOGICAL), 0, 0, 0
        wrong, worst, decided = 0, 0, 0
        for name, (places, values) in effect.changed.items():
            if not self.cascade.tensors[name].is_output or not len(places):
                continue
            wrong += len(places)
            worst = max(worst, self._difference(name, places, values))
            if self.decides is not None and self.decides[0] == name:
                decided = int(self._is_decided(name, places, values))
        return CORRUPTED, wrong, worst, decided

    def _difference(self, name: str, places: IntArray, values: Any) -> int:
        import numpy as np

        golden = self.golden[name]
        values = np.asarray(values)
        if golden.dtype.kind in "iub":
            return int(np.abs(values.astype(object) - golden[places].astype(object)).max())
        if not np.isfinite(values).all():
            return _NOT_FINITE
        largest = float(np.abs(golden[np.isfinite(golden)]).max(initial=0)) or 1.0
        with np.errstate(over="ignore", invalid="ignore"):
            parts = float(np.abs(values - golden[places]).max()) / largest * _PARTS
        return min(_NOT_FINITE, max(1, round(parts))) if np.isfinite(parts) else _NOT_FINITE

    def _is_decided(self, name: str, places: IntArray, values: Any) -> bool:
        import numpy as np

        assert self.decides is not None
        golden, groups = self.golden[name], self.decides[1]
        after = golden.copy()
        after[places] = values
        for group in np.unique(groups[places]):
            members = np.flatnonzero(groups == group)
            if np.argmax(golden[members]) != np.argmax(after[members]):
                return True
        return False
