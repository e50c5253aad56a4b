"""Which faults of each stratum a campaign injects: all, so many, or as many as a pilot suggests; in chunks that are the same for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt
from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.faults.outcomes import SILENT, UNRECOVERED, Tally
from accelsim.faults.target import Stratum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.importance import Mixture
    from accelsim.faults.results import Chunk

    IntArray = NDArray[np.int64]

MOST_CHUNKS = 4096
EACH, NEYMAN, IMPORTANCE = WAYS = "stratum", "neyman", "importance"
_PILOTS = 10  # a pilot of all strata together is one in so many faults


@dataclass(frozen=True, slots=True)
class Sample:
    """How many faults: all of each stratum with at most `exhaustive` classes; of others `faults` each, or fewer where after some chunks the
    interval of the silent share (at all looks at once) is narrower than `half_width` on each side. `by` NEYMAN: `faults` of them in all,
    a pilot of each and then as many as make the whole's failing share vary least. `by` IMPORTANCE: so too, and in a stratum the groups
    of faults that failed often in its pilot are drawn more often than they occur, but for a share `defence` of the draws.
    """

    faults: int = 1 << 20
    exhaustive: int = 0
    half_width: float | None = None
    confidence: float = 0.95
    by: str = EACH
    defence: float = 0.1

    @property
    def injects(self) -> Sample:
        """What of it decides which faults are injected: the confidence does where it looks at the width of intervals."""
        return self if self.half_width is not None else replace(self, confidence=0.0)


@dataclass(frozen=True, slots=True)
class Plan:
    """By stratum: `pilot`, faults of its chunk 0 that only say how many more to inject (0: it has none); `wanted`, faults that count;
    `whole`: these are all of its classes, each once. `open`: pilots have not said yet. `size`: faults of a chunk. `mixtures`: chances of
    groups by which faults are drawn, and in its pilot of all groups alike (None: all faults alike).
    """

    pilot: tuple[int, ...]
    wanted: tuple[int, ...]
    whole: tuple[bool, ...]
    open: bool
    size: int
    mixtures: tuple[Mixture | None, ...]

    @classmethod
    def first(cls, strata: tuple[Stratum, ...], sample: Sample, chunk: int) -> Plan:
        """What is known before anything is injected; chunk: faults of one. InputError for fewer than two of each stratum by NEYMAN."""
        if sample.by == EACH:
            whole = tuple(each.classes <= max(sample.exhaustive, sample.faults) for each in strata)
            wanted = tuple(each.classes if all_ else sample.faults for each, all_ in zip(strata, whole, strict=True))
            return cls((0,) * len(strata), wanted, whole, False, _size(wanted, chunk), (None,) * len(strata))
        left = [each for each in strata if each.classes > sample.exhaustive]
        if sample.faults < 2 * len(left):
            what = f"{sample.faults} faults are too few for a pilot and more of {len(left)} strata"
            raise InputError(what, f"write at least {2 * len(left)}")
        most = min(chunk, max(1, sample.faults // (_PILOTS * max(1, len(left)))))
        whole = tuple(each.classes <= max(sample.exhaustive, most) for each in strata)
        wanted = tuple(each.classes if all_ else 0 for each, all_ in zip(strata, whole, strict=True))
        pilot, size = tuple(0 if all_ else most for all_ in whole), _size((*wanted, sample.faults), chunk)
        return cls(pilot, wanted, whole, not all(whole), size, (None,) * len(strata))

    def after(
        self, strata: tuple[Stratum, ...], sample: Sample, weights: tuple[float, ...], done: Mapping[Chunk, Tally],
        groups: tuple[IntArray, ...] = (),
    ) -> Plan:  # fmt: skip
        """This plan once all pilots are done: how many more of each stratum, so that all faults are as many as the sample says.

        weights: of a stratum's failing share in the whole; groups: how many faults are in each of a stratum's, by IMPORTANCE. A stratum of
        which as many more are wanted as it has is injected whole.
        """
        from accelsim.faults.sampling import allotted, shrunk

        some = [stratum for stratum, pilot in enumerate(self.pilot) if pilot]
        if not self.open or any((stratum, 0) not in done for stratum in some):
            return self
        mixtures, deviations = list(self.mixtures), []
        for stratum in some:
            pilot = done[stratum, 0]
            if sample.by == IMPORTANCE:
                mixture, deviation = _guessed(groups[stratum], pilot, sample.defence)
                mixtures[stratum] = mixture
            else:
                share = shrunk(_failures(pilot), pilot.total)
                deviation = sqrt(share * (1 - share))
            deviations.append(deviation)
        spent = sum(self.pilot) + sum(each for each, size in zip(self.wanted, strata, strict=True) if size.classes > sample.exhaustive)
        most = [strata[stratum].classes for stratum in some]
        scores = [weights[stratum] * deviation for stratum, deviation in zip(some, deviations, strict=True)]
        more = allotted(scores, sample.faults - spent, [1] * len(some), most)
        wanted, whole = list(self.wanted), list(self.whole)
        for stratum, many, population in zip(some, more, most, strict=True):
            wanted[stratum], whole[stratum] = many, many == population
            mixtures[stratum] = None if many == population else mixtures[stratum]
        return replace(self, wanted=tuple(wanted), whole=tuple(whole), open=False, mixtures=tuple(mixtures))

    def counted(self, stratum: int) -> range:
        """The chunks of a stratum that count, which are those after its pilot."""
        first = 1 if self.pilot[stratum] else 0
        return range(first, first - -self.wanted[stratum] // self.size)

    def chunks(self) -> list[Chunk]:
        """All chunks that are known, first those that come first in their strata."""
        ends = [self.counted(stratum).stop for stratum in range(len(self.wanted))]
        return [(stratum, chunk) for chunk in range(max(ends, default=0)) for stratum, end in enumerate(ends) if chunk < end]

    def places(self, chunk: Chunk) -> range:
        """Where the faults of a chunk stand among those of its stratum that count, or among its pilot."""
        stratum, number = chunk
        first = self.counted(stratum).start
        if number < first:
            return range(self.pilot[stratum])
        begin = (number - first) * self.size
        return range(begin, min(begin + self.size, self.wanted[stratum]))

    def indices(self, chunk: Chunk) -> IntArray:
        """Places of a chunk's faults among those of its stratum, pilots first; where all are injected, their numbers."""
        import numpy as np

        stratum, number = chunk
        places = self.places(chunk)
        found = np.arange(places.start, places.stop, dtype=np.int64)
        return found + self.pilot[stratum] if number in self.counted(stratum) and not self.whole[stratum] else found

    def streams(self, stratum: int, indices: IntArray) -> IntArray:
        """Of random numbers, one for each fault of each stratum."""
        return indices * len(self.pilot) + stratum

    def numbers(self, seed: int, chunk: Chunk, population: int) -> IntArray:
        """The faults of a chunk: drawn, each by its own random number, or one after the other where all are injected."""
        from accelsim.faults.randomness import below

        stratum, number = chunk
        indices = self.indices(chunk)
        if self.whole[stratum] and number >= self.counted(stratum).start:
            return indices
        return below(seed, self.streams(stratum, indices), population)[:, 0]

    def grouped(self, seed: int, chunk: Chunk, groups: IntArray) -> tuple[IntArray, IntArray]:
        """Group and place in it of each fault of a chunk that is drawn by groups; those of a pilot take them in turn."""
        from accelsim.faults.randomness import within

        stratum, number = chunk
        indices = self.indices(chunk)
        streams, mixture = self.streams(stratum, indices), self.mixtures[stratum]
        if number < self.counted(stratum).start:
            group = indices % groups.size
        else:
            assert mixture is not None
            group = mixture.draw(seed, streams)
        return group, within(seed, streams, groups[group])


def _guessed(groups: IntArray, pilot: Tally, defence: float) -> tuple[Mixture, float]:
    """Chances of groups in proportion to their faults times the root of their failing share, with which an estimate varies least, as far as
    a pilot of all groups alike shows these; and the deviation of one draw. A group's share is moved towards the stratum's as by two faults.
    """
    import numpy as np

    from accelsim.faults.importance import Mixture
    from accelsim.faults.sampling import shrunk

    parts = [*pilot.parts, *[Tally()] * (groups.size - len(pilot.parts))]
    whole, natural = shrunk(_failures(pilot), pilot.total), groups / groups.sum()
    shares = np.array([(_failures(each) + 2 * whole) / (each.total + 2) for each in parts])
    mixture = Mixture(natural, natural * np.sqrt(shares), defence)
    return mixture, float(np.sqrt(max(mixture.variance(shares, 1), 0.0)))


def _failures(tally: Tally) -> int:
    return tally.some((*SILENT, *UNRECOVERED))


def _size(wanted: tuple[int, ...], chunk: int) -> int:
    return max(chunk, -(-max(wanted, default=0) // MOST_CHUNKS))
