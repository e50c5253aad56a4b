"""Upsets in the registers and memories of a processor while it runs a program, each of them in its RTL."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.faults.outcomes import CORRUPTED, HANG, LOGICAL, NAMES, PROTOCOL, Effects
from accelsim.faults.processor_rtl import Ended, ProcessorRtl, Site, Upset
from accelsim.faults.target import Confirmable, Stratum, decision_key
from accelsim.rtl.fast import sources_digest
from accelsim.rtl.processor import COUNT_BITS, COUNTS
from accelsim.rtl.program import Program

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.confirmation import Confirmation

    IntArray = NDArray[np.int64]

_CHUNK = 1 << 10
_MOVER, _PROGRAMS = "u_top.u_mover_program", "u_top.g_unit[{unit}].u_program"  # instances of hw/rtl/npu_program.sv
_TAKEN, _WORDS = "taken_q", "words_q"


@dataclass(frozen=True, slots=True)
class Known:
    """An upset in the control of which it is known beforehand that it is not masked: what it does, and what comes of it."""

    upset: Upset
    what: str
    outcomes: tuple[int, ...]


class ProcessorTarget(Confirmable):
    """A stratum has all registers of one name in instances of one name. A class is one upset.

    `chosen`: names of instances or registers that upsets are in, all if empty. `decides`: a tensor, and the group of each of its elements;
    a decision is which of its group is largest. `rtl`: the folder of the sources. It is compiled when it is run first.
    """

    terms = ("registers", "bits", "AVF of all bits")

    def __init__(
        self, program: Program, inputs: dict[str, Any], rtl: Path, chosen: tuple[str, ...] = (), decides: tuple[str, IntArray] | None = None
    ) -> None:  # fmt: skip
        self.program, self.inputs, self.rtl, self.chosen, self.decides = program, inputs, rtl, chosen, decides

    def __reduce__(self) -> Any:
        """Another process compiles, or loads, the RTL anew."""
        return ProcessorTarget, (self.program, self.inputs, self.rtl, self.chosen, self.decides)

    @cached_property
    def run(self) -> ProcessorRtl:
        """The program on the RTL."""
        return ProcessorRtl(self.program, self.inputs, self.rtl)

    @property
    def noun(self) -> str:
        """Bits that flip once."""
        return "upsets"

    @property
    def chunk(self) -> int:
        """About a second's."""
        return _CHUNK

    @cached_property
    def groups(self) -> dict[tuple[str, str], list[Site]]:
        """Registers by instance and name."""
        found: dict[tuple[str, str], list[Site]] = {}
        for site in self.run.sites():
            found.setdefault((site.instance, site.name), []).append(site)
        return found

    @cached_property
    def _mine(self) -> list[tuple[tuple[str, str], list[Site]]]:
        return [(key, each) for key, each in self.groups.items() if not self.chosen or {*key} & {*self.chosen}]

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """In the order of the instances."""
        found = []
        for (instance, name), sites in self._mine:
            bits = sum(site.bits for site in sites)
            role = "words" if any(self.run.registers[site.number].words > 1 for site in sites) else "control"
            found.append(Stratum(instance, name, role, bits, bits * self.run.cycles, bits * self.run.cycles))
        return tuple(found)

    @cached_property
    def _ends(self) -> list[IntArray]:
        """Of each stratum, after how many bits each register ends."""
        import numpy as np

        return [np.cumsum([site.bits for site in sites]) for _, sites in self._mine]

    def upset(self, stratum: int, number: int) -> tuple[Site, Upset]:
        """Where and when fault `number` of a stratum is."""
        import numpy as np

        ends = self._ends[stratum]
        cycle, bit = divmod(number, int(ends[-1]))
        at = int(np.searchsorted(ends, bit, side="right"))
        site = self._mine[stratum][1][at]
        word, bit = divmod(bit - int(ends[at]) + site.bits, site.width)
        return site, Upset(site.number, int(site.held[word]), bit, cycle)

    def effects(self, stratum: int, numbers: IntArray) -> Effects:
        """One run each."""
        import numpy as np

        upsets = [self.upset(stratum, number)[1] for number in numbers.tolist()]
        found = np.array([self.judged(self.run.run(upset)) for upset in upsets], np.int64).reshape(-1, 4)
        return Effects.of(found)

    def judged(self, ended: Ended) -> tuple[int, int, int, int]:
        """Outcome, words of outputs that differ, the largest difference, and whether a decision changes."""
        import numpy as np

        golden = self.run.golden.ended
        if ended.again:
            return LOGICAL, 0, 0, 0
        if ended.cycles < 0:
            return HANG, 0, 0, 0
        differs = ended.memory != golden.memory
        if ended.counts != golden.counts or differs[self._never_written].any():
            return PROTOCOL, 0, 0, 0
        wrong, worst, decided = 0, 0, 0
        for name, words in self._outputs.items():
            wrong += int(differs[words].sum())
            worst = max(worst, int(np.abs(ended.memory[words] - golden.memory[words]).max(initial=0)))
            if self.decides is not None and self.decides[0] == name:
                decided = int(self._is_decided(golden.memory[words], ended.memory[words]))
        return (CORRUPTED if wrong else LOGICAL), wrong, worst, decided

    @cached_property
    def _outputs(self) -> dict[str, slice]:
        return {name: words for name, words in self._places.items() if self.program.cascade.tensors[name].is_output}

    @cached_property
    def _never_written(self) -> NDArray[np.bool_]:
        """Words of the outer memory that are inputs, or no tensor's."""
        import numpy as np

        found = np.ones(len(self.run.golden.ended.memory), bool)
        for name, words in self._places.items():
            found[words] = self.program.cascade.tensors[name].is_input
        return found

    @cached_property
    def _places(self) -> dict[str, slice]:
        import math

        tensors = self.program.cascade.tensors
        return {name: slice(at, at + math.prod(tensors[name].shape)) for name, at in self.program.places.items()}

    def _is_decided(self, before: IntArray, after: IntArray) -> bool:
        import numpy as np

        assert self.decides is not None
        changed = self.decides[1][before != after]
        members = (np.flatnonzero(self.decides[1] == group) for group in np.unique(changed))
        return any(np.argmax(before[each]) != np.argmax(after[each]) for each in members)

    def known(self) -> list[Known]:
        """Of every program whose last instruction waits for something: that all count as taken, so that its engine does no more, and that
        this instruction waits for half of all counts, which never come. It cannot have been taken when the first cycle is over.
        """
        found = []
        sites = {(site.scope, site.name): site for site in self.run.sites()}
        for number, engine in enumerate(self.program.engines):
            if engine and any(engine[-1][:COUNTS]):
                scope = _PROGRAMS.format(unit=number - 1) if number else _MOVER
                taken, words = sites[scope, _TAKEN], sites[scope, _WORDS]
                all_ = Upset(taken.number, 0, taken.width - 1, 0)
                found.append(Known(all_, f"{scope} has no instruction left", (CORRUPTED, HANG, PROTOCOL)))
                waits = Upset(words.number, (len(engine) - 1) * len(engine[-1]), COUNT_BITS - 1, 0)
                found.append(Known(waits, f"the last instruction of {scope} waits for what never comes", (HANG,)))
        return found

    def confirm(self, values: dict[str, Any]) -> None:
        """InputError where the run without an upset gives other outputs than these, or an upset that is known to matter does not: a
        campaign that misses it would say nothing.
        """
        for name, words in self._outputs.items():
            if (self.run.golden.ended.memory[words] != values[name].reshape(-1)).any():
                raise InputError(f"{name} of the RTL is not that of the simulator", "please report this")
        known = self.known()
        if not known:
            raise InputError("no instruction waits for another, so that no upset is known to matter", "take a larger cascade")
        for each in known:
            outcome = self.judged(self.run.run(each.upset))[0]
            if outcome not in each.outcomes:
                raise InputError(f"an upset after which {each.what} counts as {NAMES[outcome]}", "please report this")

    def key_parts(self) -> tuple[object, ...]:
        """The text of the RTL too."""
        return self.noun, self.strata, sources_digest(self.rtl), decision_key(self.decides)

    def confirmed(self, rtl: Path, faults: int, seed: int, tell: Callable[[str], None]) -> Confirmation:
        """In the RTL that it has, and in a model of all registers."""
        from accelsim.faults.processor_confirmation import confirm_processor

        return confirm_processor(self, faults, seed, tell)

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """The register, the word of a memory, the bit and the cycle."""
        site, upset = self.upset(stratum, number)
        word = f"[{upset.word}]" if self.run.registers[site.number].words > 1 else ""
        return {"register": f"{site.scope}.{site.name}{word}", "bits": [upset.bit], "cycle": upset.cycle}
