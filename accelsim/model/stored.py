"""Evaluation over stored elements: what a mapping costs where tensors keep only some of theirs. Source: docs/sparse.md, "Nests".

Counts come from a walk of each Einsum's nest (`sparse.nest`); times, schedules and prices are those of the dense model.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import InputError
from accelsim.hardware.architecture import Quantity, Sparsity
from accelsim.mapping.legality import check
from accelsim.mapping.tree import Mapping
from accelsim.model.counts import Counts
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.lowering import lower
from accelsim.model.options import Counting
from accelsim.model.pricing import NOTHING, Range
from accelsim.model.schedule import Load, schedule
from accelsim.sparse import kernels as k
from accelsim.sparse.caches import missed_elements
from accelsim.sparse.fibers import Fibers
from accelsim.sparse.nest import Crossing, Nest, Operand, known, nest_of, walked
from accelsim.sparse.storage import Sizes, sizes

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.cascade import Tensor
    from accelsim.workload.storage import Storage

READ, FILLED, UPDATED = range(3)


@dataclass(frozen=True, slots=True)
class Meeting:
    """How a loop finds the coordinates that it visits: the node that does, how, its steps in all, and how many coordinates matched."""

    rank: str
    node: str
    by: str
    steps: int
    visits: int


@dataclass(frozen=True, slots=True)
class Tile:
    """The fullest tile of a tensor that a memory holds, in bits, and how many visits bring one that is larger than the memory."""

    tensor: str
    memory: str
    bits: int
    beyond: int


@dataclass(slots=True)
class Work:
    """What an Einsum does: `dense` operations, those `issued`, those on stored elements alone (`effectual`).

    `busiest`, `ideal`: issues of the copy that has most, and if all had as many. `merging`: cycles of all mergers. `cached`: accesses and
    misses by memory and tensor.
    """

    dense: int
    issued: int
    effectual: int
    busiest: int
    ideal: int
    merging: int
    meetings: list[Meeting]
    tiles: list[Tile] = field(default_factory=list)
    cached: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    @property
    def skipped(self) -> int:
        """Operations that are never issued."""
        return self.dense - self.issued

    @property
    def idle(self) -> int:
        """Operations that are issued on elements that are not stored."""
        return self.issued - self.effectual


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation and what every Einsum does."""

    evaluation: Evaluation
    works: dict[str, Work]
    compulsory_bits: int
    whole_bits: dict[str, int]

    def to_json(self) -> dict[str, Any]:
        """The evaluation as its contract says, with `stored`: by Einsum what is skipped, met, merged, cached and how full tiles are.

        `bounds` are those of stored values: each that is needed read once, every word of an output written once.
        """
        least = {"compulsory_bytes": -(-self.compulsory_bits // 8), "min_cycles": self.min_cycles}
        document = replace(self.evaluation, least=least).to_json()
        root = self.evaluation.evaluator.architecture.root.name
        held = {root: sum(self.whole_bits.values())}
        for work in self.works.values():
            filled: dict[str, int] = defaultdict(int)
            for tile in work.tiles:
                filled[tile.memory] += tile.bits
            held |= {memory: max(bits, held.get(memory, 0)) for memory, bits in filled.items()}
        for name, row in document["components"].items():
            if row["peak_occupancy_bits"] is not None:
                row["peak_occupancy_bits"] = held.get(name)
        return document | {"stored": {name: _plain(work) for name, work in self.works.items()}}

    @property
    def min_cycles(self) -> int:
        """Cycles of the stored operations alone if every copy of a unit had as many, or of the compulsory traffic if that is more."""
        evaluator, per_unit = self.evaluation.evaluator, defaultdict[str, Fraction](Fraction)
        machine = evaluator.architecture
        for name, work in self.works.items():
            unit = self.evaluation.counts.lowered.leaves[name].unit
            ticks = work.effectual * evaluator.issue_ticks(name, unit)
            per_unit[unit] += Fraction(ticks, evaluator.clock.per_cycle * machine.units[unit].lanes * machine.copies(unit))
        root = machine.root
        rates = [rate for rate in (root.read_bits_per_s, root.write_bits_per_s) if rate is not None]
        moved = Fraction(0)
        if len(rates) == 2:  # both ports at once, or the one that both share
            moved = self.compulsory_bits / (rates[0] if root.ports == "shared" else sum(rates, Fraction(0))) * machine.clock_hz
        return ceil(max(*per_unit.values(), moved, Fraction(0)))


def _plain(work: Work) -> dict[str, Any]:
    return {
        "dense": work.dense, "issued": work.issued, "effectual": work.effectual, "skipped": work.skipped, "idle": work.idle,
        "busiest": work.busiest, "ideal": work.ideal, "merging_cycles": work.merging,
        "meetings": [{"rank": m.rank, "node": m.node, "by": m.by, "steps": m.steps, "visits": m.visits} for m in work.meetings],
        "tiles": [{"tensor": t.tensor, "memory": t.memory, "bits": t.bits, "beyond": t.beyond} for t in work.tiles],
        "caches": [
            {"memory": memory, "tensor": tensor, "accesses": accesses, "misses": misses}
            for (memory, tensor), (accesses, misses) in work.cached.items()
        ],
    }  # fmt: skip


def evaluate_stored(evaluator: Evaluator, mapping: Mapping, stored: Dict[str, IntArray]) -> StoredEvaluation:
    """Count, schedule and price a mapping over the stored elements of some inputs, int64[dimensions, elements].

    A tile that does not fit is counted in `Work.tiles`, not refused. Refuses what `sparse.nest` does, and elements of results.
    """
    cascade, machine = evaluator.cascade, evaluator.architecture
    check(cascade, machine, mapping, room=False)
    if machine.networks:
        what = f"{machine.name} has networks, which are not counted over stored elements"
        raise InputError(what, "remove 'network'")
    if evaluator.counting != Counting():
        raise InputError("counting conventions other than the defaults are not known over stored elements", "leave --counting out")
    whole = {name for name in stored if (kept := cascade.tensors[name].storage) is not None and kept.all_elements}
    stored = {name: elements for name, elements in stored.items() if name not in whole}
    for name, elements in stored.items():
        tensor = cascade.tensors[name]
        if not tensor.is_input:
            raise InputError(f"{name} is made by the cascade, and its elements are not given", "give elements of inputs")
        if elements.size and any(int(row.max()) >= size for row, size in zip(elements, tensor.shape, strict=True)):
            raise InputError(f"elements of {name} lie outside {list(tensor.shape)}", "make the shape larger")
    for name, tensor in cascade.tensors.items():
        if tensor.storage is not None and not (tensor.is_input or tensor.is_output):
            place = cascade.declaration.place("format", name) if cascade.declaration is not None else None
            what = f"{name} is neither an input nor an output, and how it is stored is not counted yet"
            raise InputError(what, f"leave the format of {name} out", place)
    lowered = lower(evaluator.program, mapping)
    found = _Found(evaluator, Counts({}, {}, {}, {}, {}, {}, {}, lowered))
    for path, leaf in mapping.paths():
        storage = cascade.tensors[cascade.by_name[leaf.einsum].output.tensor].storage
        listed = storage is not None and storage.kinds[-1:] == ("compressed",)
        found.add(nest_of(cascade, machine, path, leaf, stored, listed))
    timing = schedule(evaluator.program, mapping, found.loads)
    counts = found.counts
    dynamic, by_component, by_einsum, unpriced = evaluator.prices.dynamic(evaluator.program, counts, found.bits, {})
    for component, einsum, price in found.extra:
        dynamic, by_component[component] = dynamic + price, by_component.get(component, 0.0) + price.value
        by_einsum[einsum] += price.value
    unpriced = tuple(dict.fromkeys((*unpriced, *found.unpriced)))
    evaluation = Evaluation(
        evaluator, mapping, counts, timing, found.loads, found.bits, dynamic, by_component, by_einsum, unpriced
    )
    return StoredEvaluation(evaluation, found.works, found.compulsory, found.whole)


class _Found:
    """Counts, bits and busy times of the Einsums so far."""

    def __init__(self, evaluator: Evaluator, counts: Counts) -> None:
        self.evaluator, self.counts = evaluator, counts
        self.machine, self.clock, self.widths = evaluator.architecture, evaluator.clock, evaluator.widths
        self.bits: dict[tuple[str, str, str], tuple[int, int, int]] = {}
        self.loads: dict[str, Load] = {}
        self.works: dict[str, Work] = {}
        self.extra: list[tuple[str, str, Range]] = []
        self.unpriced: list[str] = []
        self.compulsory = 0
        self.whole: dict[str, int] = {}  # bits of every input and output

    def add(self, nest: Nest) -> None:
        """Count one Einsum."""
        counts, fibers = walked(nest)
        name = nest.einsum.name
        issues = counts.issues
        unit = self.machine.units[nest.unit]
        issued, effectual = int(counts.points.sum()), int(counts.effectual.sum())
        self.works[name] = Work(
            prod(nest.extents.values()), issued, effectual, int(issues.max()), -(-int(issues.sum()) // issues.size),
            int(counts.merging.sum()), self._meetings(nest, counts),
        )  # fmt: skip
        self.counts.operations[name] = effectual if unit.sparse.gates else issued
        self.counts.masked[name] = 0
        busy, merging = self._busy(nest, counts)
        self.counts.issues[name] = busy
        tallies = _Tallies(self, nest, counts, fibers)
        tallies.run()
        per_cycle = self.clock.per_cycle
        latency = (unit.pipeline_depth + self.counts.lowered.latencies[name]) * per_cycle
        load = Load(nest.unit, busy * self.evaluator.issue_ticks(name, nest.unit), tallies.ports(), latency)
        for resource, cycles in (*self._met(nest, counts), (f"{nest.unit} merging", merging)):
            if cycles:
                load.ports[resource] = (cycles * per_cycle, 0)
        self.loads[name] = load
        self._price(name, f"{nest.unit} merging", int(counts.merging.sum()), unit.sparse.merge_pj)
        for meeting in self.works[name].meetings:
            self._price(name, f"{meeting.node} intersection", meeting.steps, _sparsity(self.machine, meeting.node).intersect_pj)

    def once(self, tensor: str, whole: int, least: int) -> None:
        """Note what a tensor takes as a whole, and what of it has to be read or written at least once."""
        if tensor not in self.whole:
            self.whole[tensor] = whole
            self.compulsory += least

    def _price(self, einsum: str, component: str, times: int, price: Quantity | None) -> None:
        if not times:
            return
        if price is None:
            self.unpriced.append(component)
            return
        cost = NOTHING + Range(price.value, price.low, price.high).scaled(times)
        self.extra.append((component, einsum, cost))

    def _meetings(self, nest: Nest, counts: k.Walked) -> list[Meeting]:
        found = []
        for level, turn in enumerate(nest.turns):
            many = sum(1 for each in nest.operands if each.coordinates is not None and turn.rank in each.ranks)
            if turn.meets and many > 1:
                steps = int(counts.steps[_STEPS[turn.meets], level].sum())
                found.append(Meeting(turn.rank, turn.node, turn.meets, steps, int(counts.steps[k.VISITS, level].sum())))
        return found

    def _met(self, nest: Nest, counts: k.Walked) -> list[tuple[str, int]]:
        """Busy cycles of the busiest copy of every node that intersects."""
        by_node: dict[str, Any] = {}
        for level, turn in enumerate(nest.turns):
            many = sum(1 for each in nest.operands if each.coordinates is not None and turn.rank in each.ranks)
            if not turn.meets or many < 2:
                continue
            here = counts.steps[_STEPS[turn.meets], level, : nest.copies[level]]
            above = nest.copies[-1]
            if turn.node in self.machine.memories:
                above = max((nest.copies[c.above_child] for c in nest.crossings if c.child == turn.node), default=1)
            above = min(above, here.size)
            shared = here.reshape(above, -1).sum(axis=1)
            known_ = by_node.get(turn.node)
            by_node[turn.node] = shared if known_ is None or known_.size != shared.size else known_ + shared
        return [(f"{node} intersection", int(cycles.max())) for node, cycles in by_node.items()]

    def _busy(self, nest: Nest, counts: k.Walked) -> tuple[int, int]:
        """Issues of the unit, and cycles of the merger, of the copy that has most."""
        spread = [turn for turn in nest.turns if turn.axis and turn.trips > 1]
        dynamic = [turn for turn in spread if self.machine.axes[turn.axis][1].assign == "dynamic"]
        if not dynamic:
            return int(counts.issues.max()), int(counts.merging.max())
        outside = nest.turns[: nest.turns.index(dynamic[0]) + 1]
        if len(spread) > 1 or nest.lanes > 1 or any(turn.rank not in nest.result and turn.trips > 1 for turn in outside):
            what = f"{nest.einsum.name} is spread along {dynamic[0].axis}, which hands out tiles to the copy that is free first"
            mend = "spread one rank of the result along it and no other, on units of one lane, with sums inside"
            raise InputError(what, mend, nest.einsum.place)
        if counts.points.sum() != counts.effectual.sum():
            what = f"{nest.einsum.name} has idle operations, and {dynamic[0].axis} hands out tiles by what is stored"
            raise InputError(what, "let every loop 'intersect', or write assign: static", nest.einsum.place)
        size = min(self.machine.axes[dynamic[0].axis][1].size, dynamic[0].trips)
        return _dealt(counts.shares[:, 0], size), _dealt(counts.shares[:, 1], size)


_STEPS = {"two_finger": k.TWO_FINGER, "skip_ahead": k.SKIP_AHEAD, "leading": k.LEADER}


def _sparsity(machine: Any, node: str) -> Sparsity:
    found = machine.units.get(node) or machine.memories[node]
    return found.sparse  # type: ignore[no-any-return]


def _dealt(work: IntArray, copies: int) -> int:
    """When the last of some copies is done, if tiles go in order to the copy that is free first."""
    free = [0] * copies
    for each in work[work > 0].tolist():
        heapq.heapreplace(free, free[0] + each)
    return max(free)


class _Tallies:
    """Words and bits of one Einsum's crossings, by memory."""

    def __init__(self, found: _Found, nest: Nest, counts: k.Walked, fibers: dict[str, Fibers]) -> None:
        self.found, self.nest, self.counts, self.fibers = found, nest, counts, fibers
        self.cascade, self.pieces = found.evaluator.cascade, found.clock.pieces
        self.name = nest.einsum.name
        # by memory: pieces of bits read and written by every copy
        self.moved: dict[str, list[tuple[int, Any]]] = defaultdict(list)
        self.written: dict[str, list[tuple[int, Any]]] = defaultdict(list)

    def run(self) -> None:
        """Note all words and bits."""
        for number, crossing in enumerate(self.nest.crossings):
            operand = next((each for each in self.nest.operands if each.tensor == crossing.tensor), None)
            if operand is None:
                self._result(number, crossing)
            elif operand.coordinates is None:
                self._dense(number, crossing)
            else:
                self._stored(number, crossing)

    def ports(self) -> dict[str, tuple[int, int]]:
        """Ticks of the ports of the busiest copy of every memory."""
        made = {}
        for memory in dict.fromkeys((*self.moved, *self.written)):
            port = self.found.clock.ports.get(memory)
            if port is not None:
                made[memory] = port.ticks(_most(self.moved[memory]), _most(self.written[memory]))
        return made

    def _words(self, memory: str, column: int, words: int, final: int = 0) -> None:
        key = (self.name, self.nest_tensor, memory)
        counts = self.found.counts
        for rows, value in ((counts.words, words), (counts.first, words)):
            row = rows.setdefault(key, [0, 0, 0, 0])
            row[column] += value
        if final:
            counts.final.setdefault(key, [0, 0, 0, 0])[column] += final

    def _bits(self, memory: str, column: int, bits: int, by_copy: Any) -> None:
        key = (self.name, self.nest_tensor, memory)
        row = list(self.found.bits.get(key, (0, 0, 0)))
        row[column] += bits
        self.found.bits[key] = (row[0], row[1], row[2])
        (self.moved if column == READ else self.written)[memory].append((bits, by_copy))

    def _dense(self, number: int, crossing: Crossing) -> None:
        self.nest_tensor = crossing.tensor
        width = self.found.widths.read[self.name, crossing.tensor]
        tensor = self.cascade.tensors[crossing.tensor]
        if tensor.is_input:
            whole = ceil(prod(tensor.shape) * tensor.final.bits)
            self.found.once(crossing.tensor, whole, 0 if any(each.coordinates is not None for each in self.nest.operands) else whole)
        grouped, entering = self.counts.grouped[number], self.counts.entering[number]
        self._words(crossing.parent, 0, int(grouped.sum()))
        self._bits(crossing.parent, READ, int(grouped.sum()) * width, grouped)
        if crossing.child:
            self._note_tile(crossing, width)
            self._words(crossing.child, 1, int(entering.sum()))
            self._bits(crossing.child, FILLED, int(entering.sum()) * width, entering)

    def _note_tile(self, crossing: Crossing, width: int) -> None:
        """How large the tile of a tensor with all its elements is."""
        operand, left = next(each for each in self.nest.operands if each.tensor == crossing.tensor), dict(self.nest.extents)
        for turn in self.nest.turns[: crossing.above_child]:
            left[turn.rank] = min(left[turn.rank], turn.tile)
        bits = -(-prod(left[rank] for rank in operand.ranks) * width // self.pieces)
        size = self.found.machine.memories[crossing.child].size_bits
        if size is not None:
            number = self.nest.crossings.index(crossing)
            visits = int(self.counts.loads[number].sum()) if bits > size else 0
            self.found.works[self.name].tiles.append(Tile(crossing.tensor, crossing.child, bits, visits))

    def _stored(self, number: int, crossing: Crossing) -> None:
        self.nest_tensor = crossing.tensor
        nest, counts, name = self.nest, self.counts, crossing.tensor
        operand = next(each for each in nest.operands if each.tensor == name)
        which, levels, tensor = nest.operands.index(operand), nest.levels(operand), self.cascade.tensors[name]
        fibers, value = self.fibers[name], _value_bits(tensor)
        found = sizes(_storage(tensor.storage, len(tensor.shape)), fibers, levels, tensor.shape, value)
        self.found.once(name, found.whole, self._needed(operand) * value)
        places, begins = _places(nest, self.fibers, which)
        grouped, entering = counts.grouped[number], counts.entering[number]
        read = self._gone_through(crossing, which, found, begins)
        moved, arrived, filled = int(grouped.sum()), int(entering.sum()), 0
        if crossing.child:
            own = sum(1 for turn in nest.turns[: crossing.above_child] if turn.rank in operand.ranks) - 1
            if own < 0:
                loads, served = int(counts.loads[number, -1]), int(counts.served[number, -1])
                tile, read, filled = found.whole, read + served * found.whole, loads * found.whole
                largest, beyond = tile, loads
            else:
                span = slice(places[own], places[own] + fibers.coordinates[own].size)
                below = found.below[own] if own < len(levels) - 1 else np.full(fibers.coordinates[own].size, value)
                loads_, served_ = counts.loads[number, span], counts.served[number, span]
                read, filled = read + int(served_ @ below), int(loads_ @ below)
                largest, beyond = int(below[loads_ > 0].max(initial=0)), 0
            memory = self.found.machine.memories[crossing.child]
            if memory.sparse.replacement:
                moved, arrived, read, filled = self._cached(crossing, which, found, levels)
            elif memory.size_bits is not None:
                if own >= 0:
                    beyond = int(loads_[below > memory.size_bits].sum())
                self.found.works[self.name].tiles.append(Tile(name, crossing.child, largest, beyond if largest > memory.size_bits else 0))
            self._words(crossing.child, 1, arrived)
            self._bits(crossing.child, FILLED, filled * self.pieces, entering)
        else:
            read += moved * value
        self._words(crossing.parent, 0, moved)
        self._bits(crossing.parent, READ, read * self.pieces, grouped)

    def _needed(self, operand: Operand) -> int:
        """Stored elements whose coordinates, rank by rank, some element of every other operand has too."""
        assert operand.coordinates is not None
        kept = np.ones(operand.coordinates.shape[1], np.bool_)
        for other in self.nest.operands:
            if other.coordinates is None or other is operand:
                continue
            for place, rank in enumerate(operand.ranks):
                if rank in other.ranks:
                    present = np.zeros(self.nest.extents[rank], np.bool_)
                    present[other.coordinates[other.ranks.index(rank)]] = True
                    kept &= present[operand.coordinates[place]]
        return int(kept.sum())

    def _gone_through(self, crossing: Crossing, which: int, found: Sizes, begins: list[int]) -> int:
        """Bits of coordinates and pointers that loops between parent and child go through."""
        nest, bits, own = self.nest, 0, 0
        operand = nest.operands[which]
        tensor = self.cascade.tensors[operand.tensor]
        storage = _storage(tensor.storage, len(tensor.shape))
        for depth, turn in enumerate(nest.turns[: crossing.above_child]):
            if turn.rank not in operand.ranks:
                continue
            if depth >= crossing.above_parent:
                opened = self.counts.opened[begins[own] : begins[own] + found.coordinates[own].size]
                leads = next(each for each in nest.operands if each.coordinates is not None and turn.rank in each.ranks) is operand
                last = all(later.rank not in operand.ranks for later in nest.turns[depth + 1 :])
                kind = storage.kinds[operand.ranks.index(turn.rank)]
                if kind == "uncompressed" and not (turn.meets and leads):  # looked up where another leads
                    place = operand.ranks.index(turn.rank)
                    later = [each.rank for each in nest.turns[depth + 1 :] if each.rank in operand.ranks]
                    ends = bool(later) and operand.ranks.index(later[0]) != place
                    bits += int(self.counts.steps[k.VISITS, depth].sum()) * storage.pointer_bits * ends
                else:
                    bits += int(opened @ found.coordinates[own])
                    if not last:
                        bits += int(opened @ found.payloads[own])
            own += 1
        return bits

    def _cached(self, crossing: Crossing, which: int, found: Sizes, levels: Any) -> tuple[int, int, int, int]:
        """Words and bits that a cache brings for what its child asks for."""
        nest, counts, name = self.nest, self.counts, crossing.tensor
        inner = next((each for each in nest.crossings if each.tensor == name and each.parent == crossing.child), None)
        others = [each for each in nest.crossings if each.child == crossing.child and each.tensor != name]
        if inner is None or inner.child == "" or others or crossing.above_child or nest.copies[crossing.above_child] > 1:
            what = f"{crossing.child} is a cache, of which the mapping asks for more than tiles of one tensor"
            mend = f"keep only {name} in it, above all loops, and {name} once more further in"
            raise InputError(what, mend, nest.einsum.place)
        fibers, (places, _) = self.fibers[name], _places(nest, self.fibers, which)
        own = sum(1 for turn in nest.turns[: inner.above_child] if turn.rank in nest.operands[which].ranks) - 1
        if own < 0:
            asked, bits, words = counts.log * 0, np.array([found.whole]), np.array([fibers.count])
        else:
            asked, words = counts.log - places[own], fibers.elements[own]
            tensor = self.cascade.tensors[name]
            bits = found.below[own] if own < len(levels) - 1 else np.full(words.size, _value_bits(tensor))
        memory = self.found.machine.memories[crossing.child]
        room = int(bits.sum()) if memory.size_bits is None else memory.size_bits
        missed = missed_elements(asked, bits, room)
        brought, fetched = int(words[asked][missed].sum()), int(bits[asked][missed].sum())
        self.found.works[self.name].cached[crossing.child, name] = (asked.size, int(missed.sum()))
        storage = _storage(self.cascade.tensors[name].storage, len(self.cascade.tensors[name].shape))
        pointers = 0
        if storage.kinds[0] == "uncompressed":  # of every tile that is touched, where it is
            pointers = int(np.unique(asked).size) * storage.pointer_bits
        return brought, brought, fetched + pointers, fetched + pointers

    def _result(self, number: int, crossing: Crossing) -> None:
        self.nest_tensor = crossing.tensor
        tensor = self.cascade.tensors[crossing.tensor]
        widths = self.found.widths
        grouped, entering, different = self.counts.grouped[number], self.counts.entering[number], known(self.nest, self.counts, number)
        moved, drained, new = int(grouped.sum()), int(entering.sum()), int(different.sum())
        back = moved - new
        extra, once = _with_words(tensor, crossing.above_parent == 0 and crossing.child != "")
        alone = drained == moved
        if crossing.above_parent == 0 and tensor.is_output:
            self.found.once(crossing.tensor, ceil(new * (tensor.final.bits + extra)) + once, ceil(new * tensor.final.bits))
        key = (self.name, crossing.tensor, crossing.parent)
        self._words(crossing.parent, 2, moved, new)
        self._words(crossing.parent, 0, back)
        read, _, updated = widths.bits(key, [back, 0, moved, 0], [0, 0, new, 0])
        self._bits(crossing.parent, UPDATED, updated + (moved * extra + once) * self.pieces, grouped)
        self._bits(crossing.parent, READ, read + back * extra * self.pieces, _less(grouped, different))
        if not crossing.child:
            return
        inside = min(new, drained) if alone else 0
        key = (self.name, crossing.tensor, crossing.child)
        self._words(crossing.child, 1, back)
        self._words(crossing.child, 3, drained, inside)
        read, filled, _ = widths.bits(key, [0, back, 0, drained], [0, 0, 0, inside])
        self._bits(crossing.child, FILLED, filled + back * extra * self.pieces, entering)
        self._bits(crossing.child, READ, read + drained * extra * self.pieces, entering)
        memory = self.found.machine.memories[crossing.child]
        if memory.size_bits is not None:
            most = int(self.counts.fullest[number]) * (ceil(tensor.partial.bits) + extra)
            self.found.works[self.name].tiles.append(Tile(crossing.tensor, crossing.child, most, int(most > memory.size_bits)))


def _storage(stated: Storage | None, dimensions: int) -> Storage:
    """How a tensor is stored whose elements are given: coordinates of every rank, unless it is said otherwise."""
    from accelsim.workload.storage import Storage as Noun

    return stated if stated is not None else Noun(("compressed",) * dimensions)


def _places(nest: Nest, fibers: dict[str, Fibers], which: int) -> tuple[list[int], list[int]]:
    """Where the nodes of every level of an operand stand in the tables, and where the starts of every level do."""
    used = begun = 0
    for operand in nest.operands[:which]:
        if operand.coordinates is not None:
            used += sum(each.size for each in fibers[operand.tensor].coordinates)
            begun += sum(each.size for each in fibers[operand.tensor].starts)
    tree = fibers[nest.operands[which].tensor]
    places, begins = [], []
    for coordinates, starts in zip(tree.coordinates, tree.starts, strict=True):
        places.append(used)
        begins.append(begun)
        used, begun = used + coordinates.size, begun + starts.size
    return places, begins


def _value_bits(tensor: Tensor) -> int:
    """Bits of a stored value."""
    stated = tensor.storage.value_bits if tensor.storage is not None else 0
    return stated or ceil(tensor.final.bits)


def _with_words(tensor: Tensor, home: bool) -> tuple[int, int]:
    """Bits that go with every word of a result, coordinates and what its values are wider, and those that are written once at its home."""
    storage, shape = tensor.storage, tensor.shape
    if storage is None or storage.all_elements:
        return 0, 0
    extra, once = _value_bits(tensor) - ceil(tensor.final.bits), 0
    for place, (kind, size) in enumerate(zip(storage.kinds, shape, strict=True)):
        if kind == "compressed":
            extra += storage.coordinate_bits or max(1, (size - 1).bit_length())
        elif kind == "bitmask" and home:
            once += prod(shape[: place + 1])
        elif kind == "uncompressed" and place < len(shape) - 1 and home:
            once += prod(shape[: place + 1]) * storage.pointer_bits
    return extra, once


def _less(words: IntArray, others: IntArray) -> IntArray:
    """Words by copy less others; they may be counted over fewer copies, of which each stands for as many."""
    return words - others if words.size == others.size else words


def _most(parts: list[tuple[int, Any]]) -> int:
    """Of amounts and the words by copy that share each out, what falls on the copy with most, rounded up."""
    totals = [(bits, by_copy, int(by_copy.sum())) for bits, by_copy in parts]
    if not totals:
        return 0
    size = max(by_copy.size for _, by_copy, _ in totals)
    estimate = np.zeros(size)
    for bits, by_copy, words in totals:
        if words:
            estimate[: by_copy.size] += bits * (by_copy / words)
        else:
            estimate[0] += bits
    busiest = int(estimate.argmax())
    exact = Fraction(0)
    for bits, by_copy, words in totals:
        if words:
            exact += Fraction(bits * int(by_copy[busiest]), words)
        elif busiest == 0:
            exact += bits
    return ceil(exact)
