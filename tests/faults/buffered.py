"""For which cycles of the processor the classes of upsets of a mapping stand: when its steps are, and where its words lie in the buffer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np

from accelsim.faults.cones import Fault, Mapped
from accelsim.faults.residency import intervals
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.rtl.nests import Range, nests
from accelsim.rtl.program import _Export
from accelsim.rtl.reference_processor import Processor
from accelsim.sim.reference_events import Firing
from accelsim.sim.tasks import BARRIER, COMPUTE
from accelsim.workload.cascade import Cascade, Einsum


@dataclass(frozen=True)
class Class:
    """Upsets of a word that the mapping says are alike, whatever the bit: one of them, where the word is in the buffer, and the cycles
    after whose edge it can be struck. kind: what the word is.
    """

    fault: Fault
    bits: int
    address: int
    cycles: range
    kind: str


@dataclass(frozen=True)
class _Turn:
    """A step of the mapping on the processor: the first and the last cycle of it, and the firing that it belongs to."""

    first: int
    last: int
    firing: Firing


class Buffered:
    """A mapping on the processor. `mapped`: what upsets do by the mapping; `program`: its program."""

    def __init__(self, cascade: Cascade, machine: Architecture, mapping: Mapping, inputs: dict[str, Any]) -> None:
        self.cascade, self.mapped = cascade, Mapped(cascade, machine, mapping, inputs)
        self.made = _Export(Evaluator(cascade, machine), mapping)
        self.program, self.inputs = self.made.program, inputs
        firings = [each for each in self.made.outcome.log if not each.is_idle and each.task.kind != BARRIER]
        self.phases = list(zip(firings, self.program.phases, strict=True))
        self.turns = self._turns()
        self.written, self.drained = self._logged()

    def _turns(self) -> dict[int, _Turn]:
        """Steps by the coordinates of their points. Cycles of the simulator begin at 0, at work from 1 on."""
        found: dict[int, _Turn] = {}
        for each in self.mapped.points:
            ranks = each.einsum.ranks
            steps = dict(zip(zip(*(each.at[rank].tolist() for rank in ranks), strict=True), each.step.tolist(), strict=True))
            for firing, phase in self.phases:
                if firing.task.kind == COMPUTE and firing.task.einsum == each.einsum.name:
                    long = firing.task.issue_ticks // self.made.per_cycle
                    for number, place in enumerate(self._points(each.einsum, firing)):
                        at = phase.start + number * long
                        found[steps[place]] = _Turn(at + 1, at + long, firing)
        return found

    def _points(self, einsum: Einsum, firing: Firing) -> Iterator[tuple[int, ...]]:
        """Coordinates of the first lane, in the order of the program."""
        whole = {rank: Range(0, (((), self.cascade.extents[rank]),)) for rank in einsum.ranks}
        for nest in nests(self.made.paths.of(einsum.name), firing.digits, whole):
            for turns in product(*(range(trips) for _, trips, _ in nest.loops)):
                at = {rank: each.low for rank, each in nest.ranges.items()}
                for (rank, _, by), turn in zip(nest.loops, turns, strict=True):
                    at[rank] += by * turn
                yield tuple(at[rank] for rank in einsum.ranks)

    def _logged(self) -> tuple[dict[int, list[int]], dict[int, list[int]]]:
        """By word of the buffer the cycles at whose edge it is written, and those in which it is drained, in the model of all registers."""
        model, cycle = Processor(self.program, self.inputs), 0
        written, drained = dict[int, list[int]](), dict[int, list[int]]()
        honest, mover = model.top.put, model.mover

        def put(name: str, word: int, value: int) -> None:
            written.setdefault(word, []).append(cycle)
            honest(name, word, value)

        model.top.put = put  # type: ignore[method-assign]
        while model.busy:
            if mover.outer.valid and not mover.at("loads_q"):
                drained.setdefault(mover.inner.address, []).append(cycle)
            model.edge()
            cycle += 1
        return written, drained

    def address(self, tensor: str, word: int, firing: Firing) -> int:
        """Where a word of a tensor lies while an Einsum works on it."""
        path = self.made.paths.of(firing.task.einsum)
        tile = self.made.layout.tile(path, tensor, firing.digits)
        shape = self.cascade.tensors[tensor].shape
        places = np.unravel_index(word, shape) if shape else ()
        return tile.base + sum((int(at) - zero) * by for at, zero, by in zip(places, tile.origin, tile.strides, strict=True))

    def classes(self) -> Iterator[Class]:
        """Those of words in the buffer that are read next, or were read last, in some cycle. Engines may overtake each other: a cycle
        belongs to a class if all reads before and after it are those before and after in the order of the mapping.
        """
        found = intervals(self.mapped)
        for at in range(len(found.store)):
            fault, bits = found.at(at, 0, int(found.start[at])), int(found.bits[at])
            if fault.memory != self.made.shape.buffer:
                continue
            start, stop = int(found.start[at]), int(found.stop[at])
            if fault.partial:
                turns = [self.turns[step] for step in (start - 1, stop - 1)]
                yield Class(
                    fault, bits, self.address(fault.tensor, fault.word, turns[0].firing), range(turns[0].last, turns[1].first), "sum"
                )
                continue
            here = slice(at, at + 1)
            stay = int(self.mapped.stays.places.find(found.store[here], found.row[here], found.word[here], found.start[here])[0])
            reads = self.reads.get(stay, [])
            before = [self.turns[step] for step in reads if step < start]
            after = [self.turns[step] for step in reads if step >= start]
            if not before + after:
                continue
            address = self.address(fault.tensor, fault.word, (before + after)[0].firing)
            earliest, latest = max((turn.last for turn in before), default=0), min((turn.first for turn in after), default=1 << 62)
            if found.live[at]:
                since = max((cycle for cycle in self.written[address] if cycle < latest), default=0)
                yield Class(fault, bits, address, range(max(since, earliest), latest), "word")
            else:
                until = min((cycle for cycle in self.written[address] if cycle > earliest), default=earliest + 1)
                yield Class(fault, bits, address, range(earliest, until), "read for the last time")
        yield from self._results()

    @cached_property
    def reads(self) -> dict[int, list[int]]:
        """Steps in which units read each stay of a word."""
        found: dict[int, set[int]] = {}
        for each in self.mapped.points:
            for stays in each.stay:
                for stay, step in zip(stays.tolist(), each.step.tolist(), strict=True):
                    found.setdefault(stay, set()).add(step)
        return {stay: sorted(steps) for stay, steps in found.items()}

    def _results(self) -> Iterator[Class]:
        """Complete words on their way out. The mapping has them at home at once, so that an upset is one of the word there."""
        found = intervals(self.mapped)
        for at in range(len(found.store)):
            store = self.mapped.stores[found.store[at]]
            if store.address or store.memory == self.made.shape.buffer or not self.cascade.tensors[store.tensor].is_output:
                continue
            fault, turn = found.at(at, 0, int(found.start[at])), self.turns.get(int(found.start[at]) - 1)
            if not found.live[at] or turn is None:
                continue
            address = self.address(store.tensor, fault.word, turn.firing)
            leaves = min(cycle for cycle in self.drained[address] if cycle > turn.last)
            yield Class(fault, int(found.bits[at]), address, range(turn.last, leaves), "result")
