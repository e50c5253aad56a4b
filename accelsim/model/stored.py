"""Evaluation over stored elements: what a mapping costs where tensors keep only some of theirs. Source: docs/sparse.md, "Nests".

Counts come from a walk of each Einsum's nest (`sparse.nest`); times, schedules and prices are those of the dense model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, prod
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.hardware.architecture import Quantity
from accelsim.mapping.holding import by_size
from accelsim.mapping.legality import check
from accelsim.mapping.tree import For, Leaf, Mapping, Spatial
from accelsim.model.counts import Counts
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.lowering import lower
from accelsim.model.options import Counting
from accelsim.model.pricing import Range
from accelsim.model.schedule import Load, schedule
from accelsim.model.stored_traffic import Traffic, room_of, together
from accelsim.model.stored_work import Meeting, Work
from accelsim.sparse import kernels as k
from accelsim.sparse.nest import STEPS, Nest, fibers_of, nest_of, walked
from accelsim.sparse.results import made

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.cascade import Cascade


@dataclass(frozen=True)
class StoredEvaluation:
    """An evaluation, what every Einsum does, and of inputs and outputs the bits of all of each and of what has to be moved."""

    evaluation: Evaluation
    works: dict[str, Work]
    whole: dict[str, tuple[int, int]]

    def to_json(self) -> dict[str, Any]:
        """The evaluation as its contract says, with `stored`: by Einsum what is skipped, met, merged, cached and how full tiles are.

        `bounds` are those of stored values: each that is needed read once, every word of an output written once.
        """
        least = {"compulsory_bytes": -(-self.compulsory_bits // 8), "min_cycles": self.min_cycles}
        document = replace(self.evaluation, least=least).to_json()
        root = self.evaluation.evaluator.architecture.root.name
        held = {root: sum(bits for bits, _ in self.whole.values())}
        for work in self.works.values():
            held |= {each.memory: max(each.bits, held.get(each.memory, 0)) for each in work.together}
        for name, row in document["components"].items():
            if row["peak_occupancy_bits"] is not None:
                row["peak_occupancy_bits"] = held.get(name)
        document.pop("without_effect", None)
        return document | {"stored": {name: work.to_json() for name, work in self.works.items()}}

    def __repr__(self) -> str:
        from accelsim.model.shown import evaluation_line

        return f"<StoredEvaluation {evaluation_line(self.evaluation)}>"

    def _repr_html_(self) -> str:
        from accelsim.model.shown import evaluation_html

        return evaluation_html(self.evaluation)

    @property
    def compulsory_bits(self) -> int:
        """Bits that have to pass the outermost memory."""
        return sum(least for _, least in self.whole.values())

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


def evaluate_stored(evaluator: Evaluator, mapping: Mapping, stored: Dict[str, IntArray], only: str = "") -> StoredEvaluation:
    """Count, schedule and price a mapping over the stored elements of some inputs, int64[dimensions, elements].

    `only`: of one Einsum, as if the others took nothing; what they make for it has its elements in `stored`. What does not fit is
    counted in `Work.tiles` and `Work.together`, not refused. Refuses what `sparse.nest` does, and elements of other results.
    """
    check(evaluator.cascade, evaluator.architecture, mapping, room=False)
    refuse_uncounted(evaluator, stored, {read.tensor for read in evaluator.cascade.by_name[only].reads} if only else set())
    each = list(nests(evaluator, mapping, stored, only))
    plain = _by_size(mapping, evaluator.cascade, [nest for nest, _ in each])
    found = _Found(evaluator, Counts({}, {}, {}, {}, {}, {}, {}, lower(evaluator.program, plain)))
    for _, leaf in mapping.paths():
        if only not in ("", leaf.einsum):
            found.leave_out(leaf)
    for nest, result in each:
        found.add(nest, result)
    timing = schedule(evaluator.program, plain, found.loads, evaluator.launch_ticks)
    counts = found.counts
    dynamic, by_component, by_einsum, unpriced = evaluator.prices.dynamic(evaluator.program, counts, found.bits, {})
    for component, einsum, price in found.extra:
        dynamic, by_component[component] = dynamic + price, by_component.get(component, 0.0) + price.value
        by_einsum[einsum] += price.value
    unpriced = tuple(dict.fromkeys((*unpriced, *found.unpriced)))
    evaluation = Evaluation(
        evaluator, mapping, counts, timing, found.loads, found.bits, dynamic, by_component, by_einsum, unpriced
    )
    return StoredEvaluation(evaluation, found.works, found.whole)


def _by_size(mapping: Mapping, cascade: Cascade, nests: list[Nest]) -> Mapping:
    """The mapping with loops that cut by what is stored as loops over tiles as large as their largest."""
    largest: dict[int, int] = {}
    paths = {leaf.einsum: path for path, leaf in mapping.paths()}
    for nest in nests:
        path = paths[nest.einsum.name]
        mine = [loop for loop in path if isinstance(loop, (For, Spatial)) and loop.rank in nest.extents]
        largest |= {id(loop): turn.tile for loop, turn in zip(mine, nest.turns, strict=False) if turn.cut is not None}
    return by_size(mapping, cascade.extents, largest)


def nests(
    evaluator: Evaluator, mapping: Mapping, stored: Dict[str, IntArray], only: str = ""
) -> Iterator[tuple[Nest, IntArray | None]]:
    """The nest of every leaf in order, and the elements of its result if those are stored for other Einsums, or in lines.

    `only`: of one Einsum.
    """
    cascade, machine = evaluator.cascade, evaluator.architecture
    whole = {name for name in stored if (kept := cascade.tensors[name].storage) is not None and kept.all_elements}
    stored = {name: elements for name, elements in stored.items() if name not in whole}
    for path, leaf in mapping.paths():
        if only not in ("", leaf.einsum):
            continue
        storage = cascade.tensors[cascade.by_name[leaf.einsum].output.tensor].storage
        listed = storage is not None and storage.kinds[-1:] == ("compressed",)
        nest = nest_of(cascade, machine, path, leaf, stored, listed)
        result = handed_on(cascade, nest)
        if result is not None:
            stored[nest.einsum.output.tensor] = result
        lined = result is None and storage is not None and storage.in_lines
        yield nest, made(nest) if lined else result


def refuse_uncounted(evaluator: Evaluator, stored: Dict[str, IntArray], made: Collection[str] = ()) -> None:
    """InputError for machines, counting conventions and elements that no mapping is counted with.

    `made`: results that may have elements all the same.
    """
    cascade, machine = evaluator.cascade, evaluator.architecture
    if machine.networks:
        what = f"{machine.name} has networks, which are not counted over stored elements"
        raise InputError(what, "remove 'network'")
    if evaluator.counting != Counting():
        raise InputError("counting conventions other than the defaults are not known over stored elements", "leave --counting out")
    for name, elements in stored.items():
        tensor = cascade.tensors[name]
        if tensor.storage is not None and tensor.storage.all_elements:
            continue
        if not tensor.is_input and name not in made:
            raise InputError(f"{name} is made by the cascade, and its elements are not given", "give elements of inputs")
        if elements.size and any(int(row.max()) >= size for row, size in zip(elements, tensor.shape, strict=True)):
            raise InputError(f"elements of {name} lie outside {list(tensor.shape)}", "make the shape larger")


def handed_on(cascade: Cascade, nest: Nest) -> IntArray | None:
    """Elements of a result that is stored for other Einsums to read, None if it is not."""
    name = nest.einsum.output.tensor
    tensor = cascade.tensors[name]
    if tensor.is_output or tensor.storage is None or tensor.storage.all_elements:
        return None
    return made(nest)


class _Found:
    """Counts, bits and busy times of the Einsums so far."""

    def __init__(self, evaluator: Evaluator, counts: Counts) -> None:
        self.evaluator, self.counts, self.machine = evaluator, counts, evaluator.architecture
        self.bits: dict[tuple[str, str, str], tuple[int, int, int]] = {}
        self.loads: dict[str, Load] = {}
        self.works: dict[str, Work] = {}
        self.extra: list[tuple[str, str, Range]] = []
        self.unpriced: list[str] = []
        self.whole: dict[str, tuple[int, int]] = {}

    def leave_out(self, leaf: Leaf) -> None:
        """Count an Einsum as if it took nothing."""
        self.counts.operations[leaf.einsum] = self.counts.masked[leaf.einsum] = self.counts.issues[leaf.einsum] = 0
        self.loads[leaf.einsum] = Load(leaf.unit, 0, {}, 0)

    def add(self, nest: Nest, elements: IntArray | None) -> None:
        """Count one Einsum; `elements` of its result, if that is stored for others or in lines."""
        per_cycle, issue = self.evaluator.clock.per_cycle, self.evaluator.issue_ticks(nest.einsum.name, nest.unit)
        fibers = fibers_of(nest)
        room = room_of(self.evaluator, nest, fibers)
        walk = walked(nest, (issue, per_cycle), fibers, room)
        counts, name, unit, issues = walk.counts, nest.einsum.name, self.machine.units[nest.unit], walk.counts.issues
        issued, effectual, merging, draining = (
            int(each.sum()) for each in (counts.points, counts.effectual, counts.merging, counts.draining)
        )
        traffic, meetings = Traffic(self.evaluator, nest, walk, elements), list(_meetings(nest, counts))
        mean = -(-int(issues.sum()) // issues.size)
        dense = prod(nest.extents.values())
        self.works[name] = Work(dense, issued, effectual, int(issues.max()), mean, merging, meetings, traffic.tiles, traffic.cached)
        self.works[name].sort, self.works[name].draining = nest.sort if merging else "", draining
        self.works[name].together = together(nest, counts, room, self.evaluator.clock.pieces)
        self.whole = traffic.whole | self.whole
        for target, rows in ((self.counts.words, traffic.words), (self.counts.final, traffic.final)):
            target.update({(name, *key): row for key, row in rows.items()})
        self.bits |= {(name, *key): row for key, row in traffic.bits.items()}
        self.counts.operations[name], self.counts.masked[name] = effectual if unit.sparse.gates else issued, 0
        busy = int(issues.max())
        self.counts.issues[name] = busy
        latency = (unit.pipeline_depth + self.counts.lowered.latencies[name]) * per_cycle
        load = Load(nest.unit, busy * issue, traffic.ports(), latency)
        ordering = [(f"{nest.unit} merging", int(counts.merging.max())), (f"{nest.unit} draining", int(counts.draining.max()))]
        for resource, cycles in (*self._met(nest, counts), *ordering):
            if cycles:
                load.ports[resource] = (cycles * per_cycle, 0)
        self.loads[name] = load
        self._price(name, nest.unit, "sorting" if nest.sort else "merging", merging + draining, unit.sparse.merge_pj)
        for meeting in meetings:
            self._price(name, meeting.node, "intersection", meeting.steps, self.machine.sparsity(meeting.node).intersect_pj)

    def _price(self, einsum: str, node: str, what: str, times: int, price: Quantity | None) -> None:
        if times and price is None:
            self.unpriced.append(f"{node} {what}")
        elif price is not None:
            self.extra.append((node, einsum, Range(price.value, price.low, price.high).scaled(times)))

    def _met(self, nest: Nest, counts: k.Walked) -> list[tuple[str, int]]:
        """Busy cycles of the busiest copy of every node that intersects."""
        by_node: dict[str, IntArray] = {}
        for level in nest.meeting:
            turn, here = nest.turns[level], counts.steps[STEPS[nest.turns[level].meets], level, : nest.copies[level]]
            cycles = here.reshape(min(nest.node_copies(turn.node), here.size), -1).sum(axis=1)
            before = by_node.get(turn.node)
            by_node[turn.node] = cycles if before is None or before.size != cycles.size else before + cycles
        return [(f"{node} intersection", int(cycles.max())) for node, cycles in by_node.items()]


def _meetings(nest: Nest, counts: k.Walked) -> Iterator[Meeting]:
    """How every loop over a rank of two stored operands finds its turns."""
    for level in nest.meeting:
        turn = nest.turns[level]
        steps, visits = (int(counts.steps[row, level].sum()) for row in (STEPS[turn.meets], k.VISITS))
        yield Meeting(turn.rank, turn.node, turn.meets, steps, visits)
