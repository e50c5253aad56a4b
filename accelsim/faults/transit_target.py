"""Upsets of words on their way between the memories of a mapped cascade, and to units."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.faults.outcomes import Effects
from accelsim.faults.sites import READ
from accelsim.faults.target import Stratum, Target, decision_key, element_name

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.cones import Mapped
    from accelsim.faults.transits import Way

    IntArray = NDArray[np.int64]

_CHUNK = 1 << 10


class TransitTarget(Target):
    """A stratum is the transfers of one tensor from one memory to another, or to a unit; places of bits turn inside transfers. `decides`:
    as of a `MemoryTarget`. `together`: adjacent bits that flip at once (words with fewer flip whole).
    """

    terms = ("words", "bits", "AVF of all bits on their way")

    def __init__(self, mapped: Mapped, decides: tuple[str, IntArray] | None = None, together: int = 1) -> None:
        self.mapped, self.decides, self.together = mapped, decides, together

    @property
    def noun(self) -> str:
        """Bits that flip once."""
        return "upsets"

    @property
    def chunk(self) -> int:
        """About a second's."""
        return _CHUNK

    def way(self, stratum: int) -> Way:
        """The way of a stratum."""
        return self._ways[stratum]

    @cached_property
    def _ways(self) -> list[Way]:
        from accelsim.faults.transits import ways

        return ways(self.mapped)

    def _places(self, way: Way) -> int:
        """In how many places of a word bits flip."""
        return max(1, way.bits - self.together + 1)

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """Fills first, then reads and results of each Einsum."""
        found = []
        for way in self._ways:
            name = way.tensor
            if way.points is not None and way.kind == READ:
                before = sum(read.tensor == way.tensor for read in way.points.reads[: way.read])
                name += f" for {way.points.einsum.name}" + (f" ({before + 1})" if before else "")
            upsets = way.count * self._places(way)
            found.append(Stratum(f"{way.source} to {way.target}", name, "words", way.count * way.bits, upsets, upsets))
        return tuple(found)

    def effects(self, stratum: int, numbers: IntArray) -> Effects:
        """Side by side."""
        import numpy as np

        from accelsim.faults.judgement import judged
        from accelsim.faults.transits import carry

        way = self._ways[stratum]
        number, bit = np.divmod(numbers, self._places(way))
        found = judged(self.mapped, carry(self.mapped, way, number, bit, self.together), self.decides)
        return Effects.of(found)

    def key_parts(self) -> tuple[object, ...]:
        """The sites, which follow from `strata`, and what is judged."""
        return self.noun, self.strata, type(self).__name__, self.together, decision_key(self.decides)

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """The way, the word, one of the copies that it goes to (or that a unit reads from), and the step."""
        from accelsim.faults.transits import transit

        way, places = self._ways[stratum], self._places(self._ways[stratum])
        site = transit(self.mapped, way, number // places, number % places, self.together)
        word = element_name(site.tensor, self.mapped.cascade.tensors[site.tensor].shape, site.word)
        bits = list(range(site.bit, site.bit + min(site.bits, way.bits)))
        where = {"from": way.source, "to": way.target, "word": word, "copy": list(site.copy)}
        point = {"point": list(site.point)} if site.point else {}
        return {**where, **point, "bits": bits, "step": site.step}
