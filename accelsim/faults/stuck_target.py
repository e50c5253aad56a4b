"""Bits of cells of the memories of a mapped cascade that are stuck during the whole run."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.faults.outcomes import Effects
from accelsim.faults.target import Stratum, Target, decision_key

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.cones import Mapped
    from accelsim.faults.residency import Site
    from accelsim.faults.sites import Stuck
    from accelsim.faults.stores import Store

    IntArray = NDArray[np.int64]

_CHUNK = 1 << 8


class StuckTarget(Target):
    """A stratum is the cells of all copies of one keep of a tensor, those of complete words and of incomplete sums apart. Values turn
    inside bits, those inside cells, and these inside copies. `decides`: as of a `MemoryTarget`. `together`: adjacent bits stuck alike.
    """

    terms = ("cells", "bits", "AVF of all bits")

    def __init__(self, mapped: Mapped, decides: tuple[str, IntArray] | None = None, together: int = 1) -> None:
        self.mapped, self.decides, self.together = mapped, decides, together

    @property
    def noun(self) -> str:
        """Bits that are 0, or 1, all the time."""
        return "stuck bits"

    @property
    def chunk(self) -> int:
        """About a second's."""
        return _CHUNK

    @cached_property
    def _places(self) -> list[tuple[Site, Store, int, int]]:
        """Of each stratum its site, its store, cells of each copy and places of bits in a cell."""
        from accelsim.faults.residency import intervals
        from accelsim.faults.stuck import cells_of

        found = []
        for site in intervals(self.mapped).sites():
            store = next(each for each in self.mapped.stores if (each.address, each.tensor) == (site.keep, site.tensor))
            many, _ = cells_of(store, self.mapped.cascade.tensors[site.tensor].shape)
            found.append((site, store, many, max(1, site.bits - self.together + 1)))
        return found

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """In the order of the keeps."""
        found = []
        for site, store, many, ways in self._places:
            cells = many * len(store.copies)
            name = f"{site.tensor} (incomplete)" if site.partial else site.tensor
            found.append(Stratum(site.memory, name, "words", cells * site.bits, 2 * cells * ways, 2 * cells * ways))
        return tuple(found)

    def effects(self, stratum: int, numbers: IntArray) -> Effects:
        """One by one."""
        import numpy as np

        from accelsim.faults.judgement import judged
        from accelsim.faults.stuck import stick

        found = np.zeros((len(numbers), 4), np.int64)
        for place, each in enumerate(numbers.tolist()):
            found[place] = judged(self.mapped, stick(self.mapped, self.fault(stratum, each)), self.decides)[0]
        return Effects.of(found)

    def fault(self, stratum: int, number: int) -> Stuck:
        """A fault by its number."""
        from accelsim.faults.sites import Stuck

        site, store, many, ways = self._places[stratum]
        rest, one = divmod(number, 2)
        rest, bit = divmod(rest, ways)
        row, cell = divmod(rest, many)
        return Stuck(store.memory, store.tensor, store.address, store.copies[row], cell, bit, bool(one), site.partial, self.together)

    def key_parts(self) -> tuple[object, ...]:
        """The sites, which follow from `strata`, and what is judged."""
        return self.noun, self.strata, type(self).__name__, self.together, decision_key(self.decides)

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """The cell, the copy of its memory, and the bits."""
        fault, wide = self.fault(stratum, number), self._places[stratum][0].bits
        bits = list(range(fault.bit, fault.bit + min(fault.bits, wide)))
        where = {"memory": fault.memory, "tensor": fault.tensor, "copy": list(fault.copy), "cell": fault.cell}
        return {**where, "bits": bits, "stuck_at": int(fault.one)}
