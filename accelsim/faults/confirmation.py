"""Faults of a campaign in RTL too: every word that leaves the array, in every cycle, and flags that are known to corrupt among them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.faults.array_target import ArrayTarget
from accelsim.faults.grid import GridRun
from accelsim.faults.registers import CONTROL

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

_KNOWN, _TRIED = 10, 64  # a tenth of the faults, and at least one, are in flags that corrupt; drawn at most so often for each
Fault = tuple[int, int | None, int]  # register, mask (None: it captures late), cycle


@dataclass(frozen=True)
class Confirmation:
    """Faults that ran in RTL; those that changed a word there, those in flags that were known to; and those that did something else."""

    faults: int
    effective: int
    known: int
    mismatches: tuple[dict[str, Any], ...] = field(default=())

    @property
    def agrees(self) -> bool:
        """Whether all did what the simulator says."""
        return not self.mismatches

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        names = ("faults", "effective", "known")
        return {name: getattr(self, name) for name in names} | {"mismatches": list(self.mismatches), "agrees": self.agrees}


def confirm(target: ArrayTarget, rtl: Path, faults: int, seed: int, tell: Callable[[str], None] = lambda _: None) -> Confirmation:
    """Run so many faults of the target's first product in RTL. InputError where Verilator is missing, or no flag that corrupts is found:
    a comparison in which nothing is at stake would say nothing.
    """
    from accelsim.faults.rtl import GridRtl, replayed

    run = target.products[0].run
    known = _known(run, max(1, faults // _KNOWN), seed)
    drawn = [*known, *_drawn(run, max(0, faults - len(known)), seed, target)]
    tell("compiling the RTL")
    array = GridRtl(run, rtl)
    golden, effective, wrong = array.raw(0, 0, 0), 0, []
    if (golden != replayed(run, [(0, 0, 0)])[0]).any():
        wrong.append({"register": "none", "bits": [], "cycle": 0})
    for number, fault in enumerate(drawn):
        tell(f"{number:,} of {len(drawn):,} faults in RTL")
        said = array.raw(*fault)
        changed = bool((said != golden).any())
        effective += changed
        if (said != replayed(run, [fault])[0]).any() or (number < len(known) and not changed):
            wrong.append(_where(run, fault))
    return Confirmation(len(drawn), effective, len(known), tuple(wrong))


def _drawn(run: GridRun, many: int, seed: int, target: ArrayTarget) -> list[Fault]:
    """Bits and cycles, all alike; or bits and how they are stuck; or registers and cycles at which they are late."""
    import numpy as np

    from accelsim.faults.randomness import below

    stuck = target.stuck
    if target.late:
        places = below(seed, np.arange(many), [run.registers.size, run.cycles]).tolist()
        return [(place, None, cycle) for place, cycle in places]
    ends = np.cumsum([run.registers.site(place).field.bits for place in range(run.registers.size)])
    found: list[Fault] = []
    for bit, cycle in below(seed, np.arange(many), [int(ends[-1]), 2 if stuck else run.cycles]).tolist():
        place = int(np.searchsorted(ends, bit, side="right"))
        found.append((place, 1 << int(ends[place] - 1 - bit), -1 - cycle if stuck else cycle))
    return found


def _known(run: GridRun, many: int, seed: int) -> list[Fault]:
    """Upsets of flags that change words, or make them come or go, by what the simulator says."""
    import numpy as np

    from accelsim.faults.kernels_replay import replay_all
    from accelsim.faults.randomness import below

    flags = [place for place, site in run.registers.sites() if site.field.role == CONTROL]
    choice = below(seed, (1 << 40) + np.arange(_TRIED * many), [len(flags), run.cycles])
    faults = np.array([(flags[flag], 1, 1, cycle) for flag, cycle in choice.tolist()], np.int64)
    collected, kept, states, gone = run.golden
    starts, _, said = replay_all(run.wires, run.streams, collected, kept, states, gone, faults, run.product.ravel())
    corrupting = np.flatnonzero((np.diff(starts) > 0) | said.any(axis=1))[:many]
    if not corrupting.size:
        raise InputError("no upset of a flag was found that changes anything", "choose inputs that are not all zero")
    return [(int(faults[each, 0]), 1, int(faults[each, 3])) for each in corrupting]


def _where(run: GridRun, fault: Fault) -> dict[str, Any]:
    place, mask, cycle = fault
    site = run.registers.site(place)
    bits = [bit for bit in range(site.field.bits) if mask is None or mask >> bit & 1]
    scope, name, _, low = run.registers.rtl(site, bits[0])
    return {"register": f"{scope}.{name}[{low}]", "bits": bits, "cycle": cycle}
