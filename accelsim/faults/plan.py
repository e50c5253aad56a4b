"""Which faults of each stratum a campaign injects: all, so many, or as many as a pilot suggests; in chunks that are the same for all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.faults.outcomes import SILENT, UNRECOVERED, Tally
from accelsim.faults.target import Stratum

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.results import Chunk

    IntArray = NDArray[np.int64]

MOST_CHUNKS = 4096
EACH, NEYMAN = "stratum", "neyman"
_PILOTS = 10  # a pilot of all strata together is one in so many faults


@dataclass(frozen=True, slots=True)
class Sample:
    """How many faults: all of each stratum with at most `exhaustive` classes; of others `faults` each, or fewer where after some chunks the
    interval of the silent share (at all looks at once) is narrower than `half_width` on each side. `by` NEYMAN: `faults` of them in all,
    a pilot of each and then as many as make the whole's failing share vary least.
    """

    faults: int = 1 << 20
    exhaustive: int = 0
    half_width: float | None = None
    confidence: float = 0.95
    by: str = EACH


@dataclass(frozen=True, slots=True)
class Plan:
    """By stratum: `pilot`, faults of its chunk 0 that only say how many more to inject (0: it has none); `wanted`, faults that count;
    `whole`: these are all of its classes, each once. `open`: pilots have not said yet. `size`: faults of a chunk.
    """

    pilot: tuple[int, ...]
    wanted: tuple[int, ...]
    whole: tuple[bool, ...]
    open: bool
    size: int

    @classmethod
    def first(cls, strata: tuple[Stratum, ...], sample: Sample, chunk: int) -> Plan:
        """What is known before anything is injected; chunk: faults of one. InputError for fewer than two of each stratum by NEYMAN."""
        if sample.by == EACH:
            whole = tuple(each.classes <= max(sample.exhaustive, sample.faults) for each in strata)
            wanted = tuple(each.classes if all_ else sample.faults for each, all_ in zip(strata, whole, strict=True))
            return cls((0,) * len(strata), wanted, whole, False, _size(wanted, chunk))
        left = [each for each in strata if each.classes > sample.exhaustive]
        if sample.faults < 2 * len(left):
            what = f"{sample.faults} faults are too few for a pilot and more of {len(left)} strata"
            raise InputError(what, f"write at least {2 * len(left)}")
        most = min(chunk, max(1, sample.faults // (_PILOTS * max(1, len(left)))))
        whole = tuple(each.classes <= max(sample.exhaustive, most) for each in strata)
        wanted = tuple(each.classes if all_ else 0 for each, all_ in zip(strata, whole, strict=True))
        return cls(tuple(0 if all_ else most for all_ in whole), wanted, whole, not all(whole), _size((*wanted, sample.faults), chunk))

    def after(self, strata: tuple[Stratum, ...], sample: Sample, weights: tuple[float, ...], done: Mapping[Chunk, Tally]) -> Plan:
        """This plan once all pilots are done: how many more of each stratum, so that all faults are as many as the sample says.

        weights: of a stratum's failing share in the whole. A stratum of which as many more are wanted as it has is injected whole.
        """
        from accelsim.faults.sampling import neyman, shrunk

        some = [stratum for stratum, pilot in enumerate(self.pilot) if pilot]
        if not self.open or any((stratum, 0) not in done for stratum in some):
            return self
        pilots = [done[stratum, 0] for stratum in some]
        shares = [shrunk(each.some((*SILENT, *UNRECOVERED)), each.total) for each in pilots]
        spent = sum(self.pilot) + sum(each for each, size in zip(self.wanted, strata, strict=True) if size.classes > sample.exhaustive)
        most = [strata[stratum].classes for stratum in some]
        more = neyman([weights[stratum] for stratum in some], shares, sample.faults - spent, [1] * len(some), most)
        wanted, whole = list(self.wanted), list(self.whole)
        for stratum, many, population in zip(some, more, most, strict=True):
            wanted[stratum], whole[stratum] = many, many == population
        return replace(self, wanted=tuple(wanted), whole=tuple(whole), open=False)

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

    def numbers(self, seed: int, chunk: Chunk, population: int) -> IntArray:
        """The faults of a chunk: drawn, each by its own random number, or one after the other where all are injected."""
        import numpy as np

        from accelsim.faults.randomness import below

        stratum, number = chunk
        places = self.places(chunk)
        indices = np.arange(places.start, places.stop, dtype=np.int64)
        if number in self.counted(stratum):
            if self.whole[stratum]:
                return indices
            indices += self.pilot[stratum]
        return below(seed, indices * len(self.pilot) + stratum, population)[:, 0]


def _size(wanted: tuple[int, ...], chunk: int) -> int:
    return max(chunk, -(-max(wanted, default=0) // MOST_CHUNKS))
