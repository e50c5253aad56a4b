"""Upsets in the memories of a mapped cascade, at any time of its run. A unit of time is a step of the mapping, or a cycle."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.faults.outcomes import DEAD, DETECTED, Effects
from accelsim.faults.target import Stratum, Target, decision_key, element_name
from accelsim.jobs.store import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.cascade_checks import CascadeChecks
    from accelsim.faults.cones import Mapped
    from accelsim.faults.residency import Intervals, Site

    IntArray = NDArray[np.int64]

_CHUNK = 1 << 10
_TOGETHER, _ROWS = 1 << 12, 1 << 24  # injected side by side, and points that they may change in all


class MemoryTarget(Target):
    """A stratum is what one keep holds of a tensor, complete words and incomplete sums apart; a class is a bit of a word from one read to
    the next. Differences of integer outputs are as they are, those of others in millionths of the largest output; what is not finite is
    2^62. What `checks` see is detected, whether an output differs or not.

    `decides`: a tensor, and the group of each of its elements; a decision is which of its group is largest. `together`: adjacent bits that
    flip at once (words with fewer flip whole). `clock`: as in `intervals`.
    """

    terms = ("words", "bits", "AVF of all bits")

    def __init__(
        self, mapped: Mapped, decides: tuple[str, IntArray] | None = None, together: int = 1, clock: IntArray | None = None,
        checks: CascadeChecks | None = None,
    ) -> None:  # fmt: skip
        """InputError for checks that raise an alarm without a fault."""
        from accelsim.faults.residency import intervals

        self.mapped, self.decides, self.together, self.checks = mapped, decides, together, checks
        if checks is not None and (worst := checks.worst(mapped.golden, mapped.golden)) > checks.threshold:
            what = f"a threshold of {checks.threshold:g} raises an alarm without a fault"
            raise InputError(what, f"write more than the {worst:.3g} units of roundoff that sums are off")
        self.intervals: Intervals = intervals(mapped, clock, together)

    @property
    def noun(self) -> str:
        """Bits that flip once."""
        return "upsets"

    @property
    def chunk(self) -> int:
        """As many as are worth working out side by side."""
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

    @cached_property
    def _lives(self) -> list[tuple[IntArray, IntArray]]:
        """Of each stratum, after how many units of time of live intervals, and after how many faults of others, each interval ends."""
        import numpy as np

        found = []
        for mine in self._members:
            live, length, weight = (each[mine] for each in (self.intervals.live, self.intervals.length, self.intervals.weight))
            found.append((np.cumsum(np.where(live, length, 0)), np.cumsum(np.where(live, 0, weight))))
        return found

    def groups(self, stratum: int) -> IntArray:
        """Upsets of words that nobody reads again, and others by the bit that flips."""
        import numpy as np

        live, dead = self._lives[stratum]
        ways = int(self.intervals.ways[self._members[stratum][0]])
        sizes = np.array([dead[-1], *[live[-1]] * ways], np.int64)
        return sizes[sizes > 0]

    def members(self, stratum: int, group: IntArray, places: IntArray) -> IntArray:
        """Time turns inside intervals."""
        import numpy as np

        mine, (ends, _), (live, dead) = self._members[stratum], self._ends[stratum], self._lives[stratum]
        ways, length = self.intervals.ways[mine], self.intervals.length[mine]
        number = group + (dead[-1] == 0)
        of_dead, of_live = np.searchsorted(dead, places, side="right"), np.searchsorted(live, places, side="right")
        place = np.where(number == 0, of_dead, of_live)
        first = (ends - ways * length)[place]
        late = places - np.where(number == 0, dead[place] - (ways * length)[place], live[place] - length[place])
        return np.asarray(first + np.where(number == 0, late, late * ways[place] + number - 1), np.int64)

    def effects(self, stratum: int, numbers: IntArray) -> Effects:
        """Bits turn inside units of time, and those inside intervals."""
        mine, bit, _ = self._decoded(stratum, numbers)
        return self._effects(mine, bit)

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
        return replace(self._effects(mine, bit), fault=faults[place] - self.intervals.weight[mine] + bit, weight=length)

    def _effects(self, mine: IntArray, bit: IntArray) -> Effects:
        """Of bits of intervals: those that come more than once are injected once, and all of them side by side."""
        import numpy as np

        from accelsim.faults.judgement import alarms, judged

        most = int(self.intervals.bits.max(initial=1))
        classes, again = np.unique(mine * most + bit, return_inverse=True)
        at, bits = np.divmod(classes, most)
        found = np.zeros((len(classes), 4), np.int64)
        found[:, 0] = DEAD
        live = np.flatnonzero(self.intervals.live[at])
        points = sum(len(each.step) for each in self.mapped.points)
        together = min(_TOGETHER, max(1, _ROWS // max(1, points)))
        for begin in range(0, len(live), together):
            some = live[begin : begin + together]
            changes = self.mapped.changes(self.intervals.upsets(at[some], bits[some]))
            found[some] = judged(self.mapped, changes, self.decides)
            if self.checks is not None:
                found[some[alarms(self.mapped, changes, self.checks)]] = DETECTED, 0, 0, 0
        found = found[again]
        return Effects.of(found)

    def key_parts(self) -> tuple[object, ...]:
        """The clock and the checks, and what is judged."""
        threshold = None if self.checks is None else self.checks.threshold
        return self.noun, self.strata, digest(self.intervals.clock), self.together, decision_key(self.decides), threshold

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """The word, the copy of its memory, and the step."""
        import numpy as np

        mine, bit, step = (int(np.ravel(each)[0]) for each in self._decoded(stratum, np.array([number])))
        fault = self.intervals.at(mine, bit, step)
        word = element_name(fault.tensor, self.mapped.cascade.tensors[fault.tensor].shape, fault.word)
        bits = list(range(bit, bit + min(fault.bits, int(self.intervals.bits[mine]))))
        return {"memory": fault.memory, "word": word, "copy": list(fault.copy), "bits": bits, "step": step}
