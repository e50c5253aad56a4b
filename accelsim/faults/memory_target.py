"""Upsets in the memories of a mapped cascade, at any time of its run. A unit of time is a step of the mapping, or a cycle."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.faults.outcomes import CORRUPTED, DEAD, LOGICAL, Effects
from accelsim.faults.target import Stratum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.cones import Effect, Mapped
    from accelsim.faults.residency import Intervals, Site

    IntArray = NDArray[np.int64]

_CHUNK = 1 << 10
_PARTS = 10**6  # of the largest output, in which differences of floating-point outputs are counted
_NOT_FINITE = 1 << 62


class MemoryTarget:
    """A stratum is what one keep holds of a tensor, complete words and incomplete sums apart; a class is a bit of a word from one read to
    the next. Differences of integer outputs are as they are, those of others in millionths of the largest output; what is not finite is
    2^62.

    `decides`: a tensor, and the group of each of its elements; a decision is which of its group is largest. `together`: adjacent bits that
    flip at once (words with fewer flip whole). `clock`: as in `intervals`.
    """

    def __init__(
        self, mapped: Mapped, decides: tuple[str, IntArray] | None = None, together: int = 1, clock: IntArray | None = None
    ) -> None:
        from accelsim.faults.residency import intervals

        self.mapped, self.decides = mapped, decides
        self.intervals: Intervals = intervals(mapped, clock, together)

    @property
    def noun(self) -> str:
        """Bits that flip once."""
        return "upsets"

    @property
    def chunk(self) -> int:
        """About a second's."""
        return _CHUNK

    @cached_property
    def _sites(self) -> tuple[Site, ...]:
        return self.intervals.sites()

    @cached_property
    def _members(self) -> list[IntArray]:
        """Intervals of each stratum, those that take no time left out."""
        import numpy as np

        found = []
        for number in range(len(self.mapped.stores)):
            for partial in (False, True):
                mine = (self.intervals.store == number) & (self.intervals.partial == partial)
                if mine.any():
                    found.append(np.flatnonzero(mine & (self.intervals.length > 0)))
        return found

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """In the order of the keeps."""
        import numpy as np

        found = []
        for site, mine in zip(self._sites, self._members, strict=True):
            words = np.unique(np.stack([self.intervals.row[mine], self.intervals.word[mine]]), axis=1).shape[1]
            name = f"{site.tensor} (incomplete)" if site.partial else site.tensor
            classes, population = int(self.intervals.ways[mine].sum()), int(self.intervals.weight[mine].sum())
            found.append(Stratum(site.memory, name, "words", words * site.bits, population, classes))
        return tuple(found)

    @cached_property
    def _ends(self) -> list[tuple[IntArray, IntArray]]:
        """Of each stratum, after how many faults, and after how many classes, each of its intervals ends."""
        import numpy as np

        return [(np.cumsum(self.intervals.weight[mine]), np.cumsum(self.intervals.ways[mine])) for mine in self._members]

    def effects(self, stratum: int, numbers: IntArray) -> Effects:
        """Bits turn inside units of time, and those inside intervals."""
        mine, bit, step = self._decoded(stratum, numbers)
        return self._effects(mine, bit, step)

    def _decoded(self, stratum: int, numbers: IntArray) -> tuple[IntArray, IntArray, IntArray]:
        """Interval, lowest bit and step of faults."""
        import numpy as np

        ends, _ = self._ends[stratum]
        place = np.searchsorted(ends, numbers, side="right")
        mine = self._members[stratum][place]
        ways, clock = self.intervals.ways[mine], self.intervals.clock
        left = numbers - (ends[place] - self.intervals.weight[mine])
        when = clock[self.intervals.start[mine]] + left // ways
        return mine, left % ways, np.searchsorted(clock, when, side="right") - 1

    def of_classes(self, stratum: int, numbers: IntArray) -> Effects:
        """The first step of an interval stands for all of them."""
        import numpy as np

        faults, ends = self._ends[stratum]
        place = np.searchsorted(ends, numbers, side="right")
        mine = self._members[stratum][place]
        bit, length = numbers - (ends[place] - self.intervals.ways[mine]), self.intervals.length[mine]
        first = faults[place] - self.intervals.weight[mine] + bit
        return replace(self._effects(mine, bit, self.intervals.start[mine]), fault=first, weight=length)

    def _effects(self, mine: IntArray, bit: IntArray, step: IntArray) -> Effects:
        import numpy as np

        found = np.zeros((len(mine), 4), np.int64)
        for place in np.flatnonzero(self.intervals.live[mine]).tolist():
            fault = self.intervals.at(int(mine[place]), int(bit[place]), int(step[place]))
            found[place] = self._judged(self.mapped.inject(fault))
        return Effects(found[:, 0], found[:, 1], found[:, 2], found[:, 3] > 0)

    def _judged(self, effect: Effect) -> tuple[int, int, int, int]:
        """Outcome, output words that differ, the largest difference, and whether a decision changes."""
        from accelsim.faults.cones import STALE, UNREAD

        if effect.masked is not None:
            return (DEAD if effect.masked in {UNREAD, STALE} else LOGICAL), 0, 0, 0
        wrong, worst, decided = 0, 0, 0
        for name, (places, values) in effect.changed.items():
            if not self.mapped.cascade.tensors[name].is_output or not len(places):
                continue
            wrong += len(places)
            worst = max(worst, self._difference(name, places, values))
            if self.decides is not None and self.decides[0] == name:
                decided = int(self._is_decided(name, places, values))
        return CORRUPTED, wrong, worst, decided

    def _difference(self, name: str, places: IntArray, values: Any) -> int:
        import numpy as np

        golden = self.mapped.golden[name]
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
        golden, groups = self.mapped.golden[name], self.decides[1]
        after = golden.copy()
        after[places] = values
        for group in np.unique(groups[places]):
            members = np.flatnonzero(groups == group)
            if np.argmax(golden[members]) != np.argmax(after[members]):
                return True
        return False

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """The word, the copy of its memory, and the step."""
        import numpy as np

        mine, bit, step = (int(np.ravel(each)[0]) for each in self._decoded(stratum, np.array([number])))
        fault = self.intervals.at(mine, bit, step)
        shape = self.mapped.cascade.tensors[fault.tensor].shape
        word = ",".join(str(int(each)) for each in np.unravel_index(fault.word, shape)) if shape else ""
        bits = list(range(bit, bit + min(fault.bits, int(self.intervals.bits[mine]))))
        return {"memory": fault.memory, "word": f"{fault.tensor}[{word}]", "copy": list(fault.copy), "bits": bits, "step": step}
