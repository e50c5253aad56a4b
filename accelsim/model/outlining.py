"""The asking of all that an Einsum's evaluation from densities takes, crossing by crossing. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.model.evaluation import Evaluator
from accelsim.model.narrow import refuse_narrow_operand, refuse_narrow_result
from accelsim.model.numbering import Numbers
from accelsim.model.outline import Bits, Dense, Fitting, Key, Met, Outline, Result, Stored, Weighed, Whole
from accelsim.model.stored_traffic import split_by_keep, value_bits, with_words
from accelsim.sparse import kernels_even as k
from accelsim.sparse.axes import Axes
from accelsim.sparse.boxes import Boxes, UniformBoxes, volume
from accelsim.sparse.even import Table
from accelsim.sparse.nest import Crossing, Nest, Operand
from accelsim.sparse.storage import fiber, following, last, masked
from accelsim.sparse.sums import MOST, Factor, Loops, Rule, Signed, Sizes
from accelsim.sparse.terms import Terms
from accelsim.workload.storage import Storage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.boxes import Bounds

    Shares = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Rank:
    """A level of a stored operand: bits of a fiber below a node, by places that it has, and with every child, coordinates and payloads.

    `loops`: of the operand, down to the node; `here`: of its own dimension among them; `last`: that which leaves places.
    """

    dimension: int
    loops: Loops
    here: Loops
    last: int
    fixed: tuple[int, int]
    child: tuple[Bits, int] | None

    @property
    def both(self) -> Bits | None:
        """Of a child."""
        if self.child is None:
            return None
        where, payload = self.child
        return Bits(where.fixed + payload, where.loops)


def outline(evaluator: Evaluator, nest: Nest, densities: Dict[str, Boxes]) -> Outline:
    """The outline of a nest over operands with some densities. Refuses what has no closed form."""
    return _Outlining(evaluator, Terms(nest, densities, Axes(nest))).run()


class _Outlining:
    """The asking of everything, crossing by crossing."""

    def __init__(self, evaluator: Evaluator, terms: Terms) -> None:
        self.evaluator, self.terms, self.nest = evaluator, terms, terms.nest
        self.cascade, self.machine = evaluator.cascade, evaluator.architecture
        self.numbers = Numbers(terms.nest)
        self.ranks: dict[str, list[_Rank]] = {}
        self.places: list[tuple[Operand, int, int]] = []
        self.memories: dict[Key, int] = {}

    def run(self) -> Outline:
        """All of it."""
        terms, nest, number = self.terms, self.nest, self.numbers.amount
        whole = tuple(self._whole(each) for each in terms.stored)
        rows = tuple(self._row(place, crossing) for place, crossing in enumerate(nest.crossings))
        meetings = tuple(self._met(level) for level in nest.meeting)
        points, effectual, issues = number(terms.points), number(terms.effectual), number(terms.issues)
        for each in terms.stored:
            refuse_narrow_operand(self.cascade, nest, each)
        refuse_narrow_result(self.cascade, nest)
        asked, ends = self.numbers.asked()
        return Outline(
            nest.einsum.name, nest.unit, prod(nest.extents.values()), Table(terms.sums, nest), asked, ends, tuple(terms.lacking.items()),
            tuple(terms.staying.items()), tuple(self.numbers.signed), points, effectual, issues, meetings, whole, tuple(self.places), rows,
            tuple(self.memories),
        )  # fmt: skip

    def _memory(self, tensor: str, memory: str) -> int:
        """The place of what a memory moves of a tensor, -1 of the unit."""
        return self.memories.setdefault((self.nest.einsum.name, tensor, memory), len(self.memories)) if memory else -1

    def _met(self, level: int) -> Met:
        nest, turn, number = self.nest, self.nest.turns[level], self.numbers.amount
        above = [len(nest.turns)]
        if turn.node in self.machine.memories:
            above = [each.above_child for each in nest.crossings if each.child == turn.node] or [0]
        copies = tuple(self.numbers.turns(loop for loop in range(each) if nest.turns[loop].axis) for each in above)
        return Met(turn.rank, turn.node, turn.meets, number(self.terms.steps(level)), number(self.terms.visits(level)), copies)

    def _row(self, number: int, crossing: Crossing) -> Stored | Dense | Result:
        terms, name, amount = self.terms, crossing.tensor, self.numbers.amount
        tensor, child, bits = self.cascade.tensors[name], crossing.child, self.machine.memories
        operand = next((each for each in self.nest.operands if each.tensor == name), None)
        if operand is None:
            return self._result(number, crossing)
        grouped, entering = terms.words(number, shared=True), terms.words(number)
        size = bits[child].size_bits if child else None
        if name not in self.ranks:
            places = self._memory(name, crossing.parent), self._memory(name, child)
            visits = amount(terms.arrivals(number, lambda group: [], frozenset())) if size is not None else None
            every = ceil(prod(tensor.shape) * tensor.final.bits)
            return Dense(
                name, child, size, *places, amount(grouped), amount(entering), self.evaluator.widths.read[self.nest.einsum.name, name],
                visits, self.numbers.tile(operand.ranks, crossing.above_child),
                (every, 0 if self.ranks else every) if tensor.is_input else None,
            )  # fmt: skip
        read, filled, fitting = self._gone_through(crossing, operand), Weighed(), None
        if child:
            read += self._tiles(number, crossing, operand, shared=True)
            filled = self._tiles(number, crossing, operand, shared=False)
            fitting = self._fitting(number, crossing, operand) if size is not None else None
        else:
            read += ((Bits(value_bits(tensor)), grouped),)
        inner = self._memory(name, child)
        return Stored(
            name, child, size, self._memory(name, crossing.parent), inner, amount(grouped), amount(entering),
            self.numbers.weighed(read), self.numbers.weighed(filled), fitting,
        )  # fmt: skip

    def _result(self, number: int, crossing: Crossing) -> Result:
        """Words of the result."""
        terms, name, amount, widths = self.terms, crossing.tensor, self.numbers.amount, self.evaluator.widths
        tensor, child = self.cascade.tensors[name], crossing.child
        grouped, entering, different = terms.made(number, shared=True), terms.made(number), terms.different(number)
        extra, once = with_words(tensor, number == min(n for n, each in enumerate(self.nest.crossings) if each.tensor == name))
        home = float(tensor.final.bits + extra), float(tensor.final.bits)
        return Result(
            name, child, self.machine.memories[child].size_bits if child else None, self._memory(name, crossing.parent),
            self._memory(name, child), amount(grouped), amount(entering), amount(different), amount(grouped - different),
            widths.partial[name], widths.final[name], extra, once, home if crossing.above_parent == 0 and tensor.is_output else None,
            self.numbers.tile(self.nest.result, crossing.above_child), ceil(tensor.partial.bits) + extra,
        )  # fmt: skip

    def _whole(self, operand: Operand) -> Whole:
        """What a stored operand takes as a whole; notes how it lies in memories."""
        terms = self.terms
        tensor, levels = self.cascade.tensors[operand.tensor], self.nest.levels(operand)
        storage = _storage(tensor.storage, operand)
        value, loops, made = value_bits(tensor), sorted(terms.loops(operand.ranks)), list[_Rank]()
        told = [place for place, level in enumerate(levels) if storage.kinds[level.dimension] == "compressed"]
        apart = tuple(self.numbers.turns(loops[each] for each in fiber(levels, place)) for place in told if storage.coordinate_bits)
        if storage.line_bits > 1:
            terms.refuse(f"{operand.tensor} begins its fibers on lines, and how many these fill", "leave 'line' out")
        for number, level in enumerate(levels):
            kind = storage.kinds[level.dimension]
            begins = number == 0 or levels[number - 1].dimension != level.dimension
            ends = number + 1 == len(levels) or levels[number + 1].dimension != level.dimension
            payload = value if last(levels, number) else storage.pointer_bits
            fixed = (int(kind == "bitmask"), payload * (kind == "uncompressed")) if begins else (0, 0)
            where = Bits(storage.coordinate_bits * (kind == "compressed"))
            if kind == "compressed" and not storage.coordinate_bits:
                where = Bits(0, tuple(loops[place] for place in fiber(levels, number)))
            payload *= kind != "uncompressed"
            some = ends and (kind == "compressed" or payload > 0)
            above = frozenset(loops[:number])
            here = above & terms.loops([operand.ranks[level.dimension]])
            leaves = loops[following(levels, number) - 1]
            made.append(_Rank(level.dimension, above, here, leaves, fixed, (where, payload) if some else None))
        bits: list[tuple[Bits, Signed]] = []
        for number, rank in enumerate(made):
            below = rank.loops | {loops[number]}
            if rank.both is not None:
                bits.append((rank.both, terms.total(below, [terms.something(operand, below)])))
            nodes = [terms.something(operand, rank.loops)] if rank.loops else []
            if sum(rank.fixed):
                bits.append((Bits(sum(rank.fixed)), terms.total(rank.loops, [self._places(operand, rank), *nodes])))
            begins = number == 0 or levels[number - 1].dimension != rank.dimension
            if begins and masked(storage, levels, number):
                reached = frozenset(loops[: following(levels, number)])
                places = terms.total(rank.loops, [self._places(operand, rank), *nodes])
                held = terms.total(reached, [terms.something(operand, reached)])
                self.places.append((operand, self.numbers.amount(places), self.numbers.amount(held)))
        self.ranks[operand.tensor] = made
        needed = self.numbers.amount(self._needed(operand))
        return Whole(operand, self.numbers.weighed(tuple(bits)), needed, value, storage.coordinate_bits if apart else 0, apart)

    def _places(self, operand: Operand, rank: _Rank) -> Factor:
        """Places of a fiber."""
        loop = rank.last
        cuts = ((operand.ranks[rank.dimension], (rank.here,)),)
        return Factor(
            ("places", operand.tensor, loop), cuts, lambda nest, box: np.ceil(volume(*box) / nest.turns[loop].tile), (1,), True,
            operand.tensor, rule=Rule(k.PLACES, ((k.LOOP, loop),)),
        )  # fmt: skip

    def _needed(self, operand: Operand) -> Signed:
        """At least so many elements are expected to meet some of every other operand, rank by rank."""
        terms = self.terms
        factors = [terms.elements(operand, terms.every)]
        for other in terms.stored:
            met = [rank for rank in operand.ranks if rank in other.ranks]
            if other is not operand and met:
                # with several ranks in common, one element that has them all is enough for each
                factors.append(terms.something(other, terms.loops(met)))
        return terms.total(terms.loops(operand.ranks), factors)

    def _tiles(self, number: int, crossing: Crossing, operand: Operand, shared: bool) -> Weighed:
        """Bits of the tiles that come to a child, or leave its parent."""
        terms, ranks = self.terms, self.ranks[operand.tensor]
        loops = sorted(terms.loops(operand.ranks))
        tile = terms.loops(operand.ranks, crossing.above_child)
        if len(tile) == len(ranks):
            values = terms.arrivals(number, lambda group: [terms.tile(operand, tile, group, "some", tile)], tile, shared)
            return ((Bits(value_bits(self.cascade.tensors[operand.tensor])), values),)
        bits: list[tuple[Bits, Signed]] = []
        for place, rank in enumerate(ranks):
            if place < len(tile):
                continue
            below = rank.loops | {loops[place]}
            if rank.both is not None:
                children = terms.arrivals(number, lambda group, cut=below: [terms.tile(operand, cut, group, "some", tile)], below, shared)  # type: ignore[misc]
                bits.append((rank.both, children))
            if sum(rank.fixed):

                def nodes(group: Loops | None, rank: _Rank = rank) -> list[Factor]:
                    root = [] if not rank.loops else [terms.tile(operand, rank.loops, group, "some", tile)]
                    return [self._places(operand, rank), *root]

                bits.append((Bits(sum(rank.fixed)), terms.arrivals(number, nodes, rank.loops, shared)))
        return tuple(bits)

    def _fitting(self, number: int, crossing: Crossing, operand: Operand) -> Fitting:
        """How tiles fit, from the chances of what they hold where their bits follow from that."""
        terms, ranks = self.terms, self.ranks[operand.tensor]
        tile = terms.loops(operand.ranks, crossing.above_child)
        size = self.machine.memories[crossing.child].size_bits
        assert size is not None
        some: Callable[[Loops | None], list[Factor]] = lambda group: [terms.tile(operand, tile, group, "some", tile)] if tile else []  # noqa: E731
        visits, amount = self.numbers.amount(terms.arrivals(number, some, tile)), self.numbers.amount
        inner = ranks[len(tile) :]
        if not inner:
            return Fitting(visits, value_bits(self.cascade.tensors[operand.tensor]), None)
        if any(rank.child for rank in inner[:-1]) or any(sum(rank.fixed) for rank in inner[1:]):
            return Fitting(visits, None, None)
        beyond = _Beyond(self.nest.einsum.name, operand, size, inner[0], inner[-1].both, bool(tile))

        def late(group: Loops | None) -> list[Factor]:
            if group is not None:
                raise _NotKnownError
            boxes = terms.densities[operand.tensor]
            return [terms.factor(operand, tile, beyond, ("beyond", number), rule=beyond.rule(boxes), one=beyond.one(boxes))]

        try:
            return Fitting(visits, None, amount(terms.arrivals(number, late, tile)))
        except _NotKnownError:
            return Fitting(visits, None, None)

    def _gone_through(self, crossing: Crossing, operand: Operand) -> Weighed:
        """Bits of coordinates and pointers that loops between parent and child go through."""
        nest, terms, bits, own = self.nest, self.terms, list[tuple[Bits, Signed]](), -1
        storage = _storage(self.cascade.tensors[operand.tensor].storage, operand)
        loops, levels = sorted(terms.loops(operand.ranks)), nest.levels(operand)
        for depth, turn in enumerate(nest.turns[: crossing.above_child]):
            if turn.rank not in operand.ranks:
                continue
            own += 1
            if depth < crossing.above_parent:
                continue
            later = [each.rank for each in nest.turns[depth + 1 :] if each.rank in operand.ranks]
            leader = next(each for each in terms.stored if turn.rank in each.ranks)
            looked_up = not turn.meets or (turn.meets == "leading" and leader is not operand)
            comes = not turn.meets and (masked(storage, levels, own) or split_by_keep(nest, depth, crossing.above_child, operand))
            if storage.kinds[operand.ranks.index(turn.rank)] == "uncompressed" and looked_up and not comes:
                if later and later[0] != turn.rank:  # where the fiber's last loop is visited
                    looked = self._looked_up(depth, operand, own, leader if turn.meets else None)
                    bits.append((Bits(storage.pointer_bits), looked))
                continue
            rank, below, counted = self.ranks[operand.tensor][own], frozenset(loops[: own + 1]), frozenset(range(depth))
            conditions = terms.conditions(depth, but=operand)
            child = rank.both if later or rank.child is None else rank.child[0]
            if child is not None and child != Bits(0):
                bits.append((child, terms.total(counted | below, [terms.something(operand, below), *conditions])))
            fixed = sum(rank.fixed) if later else rank.fixed[0]
            if fixed:
                nodes = [terms.something(operand, rank.loops)] if rank.loops else []
                bits.append((Bits(fixed), terms.total(counted, [self._places(operand, rank), *nodes, *conditions])))
        return tuple(bits)

    def _looked_up(self, depth: int, operand: Operand, own: int, leader: Operand | None) -> Signed:
        """Places of fibers of an operand that a loop looks up, in vain or not: those that the leader has, or all. own: its level."""
        terms, ranks, first = self.terms, self.ranks[operand.tensor], own
        while first and ranks[first - 1].dimension == ranks[own].dimension:
            first -= 1
        cuts = {operand.tensor: terms.asked(operand, depth) | ranks[first].loops}
        if leader is not None:
            cuts[leader.tensor] = terms.loops(leader.ranks, depth + 1)
        others = [(each, cuts.get(each.tensor, terms.asked(each, depth))) for each in terms.stored]
        return terms.total(frozenset(range(depth + 1)), [terms.something(each, cut) for each, cut in others if cut])


class _NotKnownError(Exception):
    """A chance that is asked for has no form."""


@dataclass(frozen=True, slots=True)
class _Beyond:
    """Chances that tiles do not fit: those in boxes of a fiber's places with so many bits each and children with so many."""

    einsum: str
    operand: Operand
    size: int
    fixed: _Rank
    child: Bits | None
    some: bool  # a tile of which nothing is stored does not come

    def __call__(self, nest: Nest, boxes: Boxes, box: tuple[Bounds, Bounds]) -> Shares:
        rows, many = np.broadcast(*box[0], *box[1]), len(box[0])
        found = [([int(first) for first in row[:many]], [int(end) for end in row[many:]]) for row in rows]
        self._check(sum(prod(end - first for first, end in zip(*row, strict=True)) for row in found))
        sizes = tuple((turn.tile, turn.trips) for turn in nest.turns)
        return np.array([self._chance(boxes, low, high, sizes) for low, high in found]).reshape(rows.shape)

    def rule(self, boxes: Boxes) -> Rule | None:
        """The same, compiled, where all places are alike."""
        if not isinstance(boxes, UniformBoxes):
            return None
        each, fixed = self.child if self.child is not None else Bits(0), self.fixed
        columns = (
            (k.LOOP, fixed.last), (k.PLACE, fixed.dimension), (k.ROOM, self.size), (k.FIXED, sum(fixed.fixed)), (k.EACH, each.fixed),
            (k.SOME, int(self.some)),
        )  # fmt: skip
        return Rule(k.BEYOND, columns, (float(prod(boxes.shape)), float(boxes.count)), each.loops)

    def one(self, boxes: Boxes) -> Callable[[Sizes, tuple[int, ...]], float]:
        """The same of one box, by the sizes of loops and its own."""

        def chance(sizes: Sizes, box: tuple[int, ...]) -> float:
            self._check(prod(box))
            return self._chance(boxes, [0] * len(box), list(box), sizes)

        return chance

    def _check(self, places: int) -> None:
        if places > MOST:
            raise InputError(f"{self.einsum} has too many tiles of {self.operand.tensor} that differ", "state its density as a share")

    def _chance(self, boxes: Boxes, low: list[int], high: list[int], sizes: Sizes) -> float:
        """That one tile does not fit."""
        each, (tile, _) = self.child.of(sizes) if self.child is not None else 0, sizes[self.fixed.last]
        most = prod(end - first for first, end in zip(low, high, strict=True))
        room = self.size - -(-(high[self.fixed.dimension] - low[self.fixed.dimension]) // tile) * sum(self.fixed.fixed)
        least = max(int(self.some), 0 if room < 0 else most + 1 if not each else room // each + 1)
        return float(boxes.occupancy(low, high)[least:].sum()) if least <= most else 0.0


def _storage(stated: Storage | None, operand: Operand) -> Storage:
    return stated or Storage(("compressed",) * len(operand.ranks))
