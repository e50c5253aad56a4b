"""Upsets in the processor's RTL and in the model of all its registers: the same words in the same cycles."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from accelsim.faults.confirmation import Confirmation
from accelsim.faults.processor_rtl import WATCH, Ended, ProcessorRtl, Upset
from accelsim.faults.processor_target import ProcessorTarget
from accelsim.rtl.processor import COUNTS
from accelsim.rtl.reference_processor import Processor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

_STREAM = 1 << 41  # where the random numbers of these faults begin, which no campaign comes to


class Modelled:
    """A program on the model of all registers, with the state before the cycle that it has come to."""

    def __init__(self, run: ProcessorRtl) -> None:
        self.run, self.model = run, Processor(run.program, run.inputs)
        self._begin, self._cycle, self._before = self.model.state(), 0, [0] * COUNTS

    def says(self, upset: Upset) -> Ended:
        """What comes of an upset. Each is in the cycle of the one before, or in a later one."""
        import numpy as np

        model, register = self.model, self.run.registers[upset.number]
        model.restore(self._begin)
        if self._cycle <= upset.cycle:
            for _ in range(upset.cycle + 1 - self._cycle):
                self._before = [count + rise for count, rise in zip(self._before, model.edge(), strict=True)]
            self._begin, self._cycle = model.state(), upset.cycle + 1
        model.parts[register.scope].flip(register.name, upset.word, upset.bit)
        cycles, counts = model.run(self._cycle, WATCH * self.run.cycles)
        done = tuple(count + more for count, more in zip(self._before, counts, strict=True))
        return Ended(cycles, done, np.array(model.words(), np.int64))


def confirm_processor(target: ProcessorTarget, faults: int, seed: int, tell: Callable[[str], None] = lambda _: None) -> Confirmation:
    """So many faults, as many of each stratum, in RTL and in the model; those that are known to matter are among them."""
    import numpy as np

    from accelsim.faults.randomness import below

    known = [each.upset for each in target.known()]
    drawn, strata = list(known), target.strata
    for number in range(max(0, faults - len(known))):
        stratum = number % len(strata)
        drawn.append(target.upset(stratum, int(below(seed, np.array([_STREAM + number]), strata[stratum].population)[0, 0]))[1])
    modelled, golden, effective, wrong = Modelled(target.run), target.run.golden.ended, 0, []
    for number, upset in enumerate(sorted(drawn, key=lambda each: each.cycle)):
        tell(f"{number:,} of {len(drawn):,} faults in the model of all registers")
        said = target.run.run(upset)
        effective += not said.same(golden)
        if not said.same(modelled.says(upset)) or (upset in known and said.same(golden)):
            register = target.run.registers[upset.number]
            wrong.append({"register": f"{register.scope}.{register.name}[{upset.word}]", "bits": [upset.bit], "cycle": upset.cycle})
    return Confirmation(len(drawn), effective, len(known), tuple(wrong))
