"""Words and bits that an Einsum is expected to move, from the expectations of its nest. Source: docs/sparse.md, "Statistics"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.errors import InputError
from accelsim.model.counts import DRAINS, FILLS, READS, UPDATES
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored_traffic import FILLED, READ, UPDATED, split_by_keep, value_bits, with_words
from accelsim.sparse.axes import MOST, Factor, Loops
from accelsim.sparse.boxes import Boxes, volume
from accelsim.sparse.expected import Expected
from accelsim.sparse.fibers import Level
from accelsim.sparse.nest import Crossing, Operand
from accelsim.sparse.storage import following, last, least, masked, width_of
from accelsim.workload.storage import Storage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from accelsim.sparse.boxes import Bounds

    Shares = NDArray[np.float64]

Key = tuple[str, str]

_ROUNDING = 1e-9  # of expected places


@dataclass(frozen=True, slots=True)
class Fit:
    """How tiles of a tensor fit a memory: how many are expected to come, bits of one of them on average, the chance that one that comes
    does not fit, and visits expected to bring such a one (None: not known).
    """

    tensor: str
    memory: str
    visits: float
    mean_bits: float
    chance: float | None
    beyond: float | None


@dataclass(frozen=True, slots=True)
class Rank:
    """A level of a stored operand: bits of a fiber below a node, by places that it has, and with every child, coordinates and payloads."""

    level: Level
    loops: Loops  # of the operand, down to the node
    here: Loops  # of the level's own dimension among them
    places: int  # how many elements one place stands for
    fixed: tuple[int, int]
    child: tuple[int, int]


class ExpectedTraffic:
    """Words and bits of one Einsum's crossings as those of `stored_traffic.Traffic`, float64 until they are asked for."""

    def __init__(self, evaluator: Evaluator, found: Expected) -> None:
        self.nest, self.found, self.name = found.nest, found, found.nest.einsum.name
        self.cascade, self.machine, self.widths, self.clock = evaluator.cascade, evaluator.architecture, evaluator.widths, evaluator.clock
        self.words: dict[Key, list[float]] = {}
        self.final: dict[Key, list[float]] = {}
        self.bits: dict[Key, list[float]] = {}
        self.whole: dict[str, tuple[float, float]] = {}
        self.fits: list[Fit] = []
        self._read: dict[str, list[tuple[float, Shares]]] = defaultdict(list)
        self._written: dict[str, list[tuple[float, Shares]]] = defaultdict(list)
        self.ranks = {each.tensor: self._ranks(each) for each in found.stored}
        for number, crossing in enumerate(self.nest.crossings):
            operand = next((each for each in self.nest.operands if each.tensor == crossing.tensor), None)
            if operand is None:
                self._result(number, crossing)
            elif operand.tensor in self.ranks:
                self._stored(number, crossing, operand)
            else:
                self._dense(number, crossing, operand)

    def ports(self) -> dict[str, tuple[int, int]]:
        """Ticks of the ports of every memory's copy that is expected to move most."""
        made = {}
        for memory in dict.fromkeys((*self._read, *self._written)):
            port = self.clock.ports.get(memory)
            if port is not None:
                made[memory] = port.ticks(upward(_most(self._read[memory])), upward(_most(self._written[memory])))
        return made

    def _move(self, tensor: str, memory: str, column: int, words: float, final: float = 0) -> None:
        self.words.setdefault((tensor, memory), [0.0] * 4)[column] += words
        if final:
            self.final.setdefault((tensor, memory), [0.0] * 4)[column] += final

    def _carry(self, tensor: str, memory: str, column: int, bits: float, by_copy: Shares) -> None:
        self.bits.setdefault((tensor, memory), [0.0] * 3)[column] += bits
        (self._read if column == READ else self._written)[memory].append((bits, by_copy))

    # Operands

    def _ranks(self, operand: Operand) -> list[Rank]:
        """How a stored operand lies in memories; notes what it takes as a whole."""
        tensor, levels = self.cascade.tensors[operand.tensor], self.nest.levels(operand)
        storage = tensor.storage or Storage(("compressed",) * len(tensor.shape))
        value, loops, made = value_bits(tensor), sorted(self.found.loops(operand.ranks)), []
        if storage.line_bits > 1:
            what = f"{operand.tensor} begins its fibers on lines, and how many these fill"
            self.found.refuse(what, "leave 'line' out")
        for number, level in enumerate(levels):
            kind = storage.kinds[level.dimension]
            begins = number == 0 or levels[number - 1].dimension != level.dimension
            ends = number + 1 == len(levels) or levels[number + 1].dimension != level.dimension
            payload = value if last(levels, number) else storage.pointer_bits
            width = storage.coordinate_bits or width_of(levels, number)
            fixed = (int(kind == "bitmask"), payload * (kind == "uncompressed")) if begins else (0, 0)
            child = (width * (kind == "compressed"), payload * (kind != "uncompressed")) if ends else (0, 0)
            above = frozenset(loops[:number])
            here = above & self.found.loops([operand.ranks[level.dimension]])
            made.append(Rank(level, above, here, least(levels, number), fixed, child))
        bits = 0.0
        for number, rank in enumerate(made):
            below = rank.loops | {loops[number]}
            if sum(rank.child):
                bits += sum(rank.child) * float(self.found.axes.total(below, [self.found.something(operand, below)]).sum())
            if sum(rank.fixed):
                nodes = [self.found.something(operand, rank.loops)] if number else []
                bits += sum(rank.fixed) * float(self.found.axes.total(rank.loops, [self._places(operand, rank), *nodes]).sum())
            begins = number == 0 or levels[number - 1].dimension != rank.level.dimension
            if begins and masked(storage, levels, number):
                self._check_places(operand, rank, frozenset(loops[: following(levels, number)]))
        self.whole[operand.tensor] = bits, self._needed(operand) * value
        return made

    def _check_places(self, operand: Operand, rank: Rank, below: Loops) -> None:
        """Refuse places without a pointer that may hold nothing, whose masks are not expected."""
        nodes = [self.found.something(operand, rank.loops)] if rank.loops else []
        places = float(self.found.axes.total(rank.loops, [self._places(operand, rank), *nodes]).sum())
        if places - float(self.found.axes.total(below, [self.found.something(operand, below)]).sum()) > _ROUNDING * places:
            self.found.refuse(f"{operand.tensor} has masks and no pointers, and places that may be empty", "state a pointer")

    def _places(self, operand: Operand, rank: Rank) -> Factor:
        """Places of a fiber."""
        name = operand.ranks[rank.level.dimension]
        key = "places", operand.tensor, rank.here, rank.places
        return Factor({name: (rank.here,)}, lambda box: np.ceil(volume(*box) / rank.places), {name: 1}, True, operand.tensor, key)

    def _needed(self, operand: Operand) -> float:
        """At least so many elements are expected to meet some of every other operand, rank by rank."""
        factors = [self.found.elements(operand, self.found.every)]
        for other in self.found.stored:
            met = [rank for rank in operand.ranks if rank in other.ranks]
            if other is not operand and met:
                # with several ranks in common, one element that has them all is enough for each
                factors.append(self.found.something(other, self.found.loops(met)))
        return float(self.found.axes.total(self.found.loops(operand.ranks), factors).sum())

    def _dense(self, number: int, crossing: Crossing, operand: Operand) -> None:
        """Words of an operand that has all its elements."""
        tensor, name, width = self.cascade.tensors[crossing.tensor], crossing.tensor, self.widths.read[self.name, crossing.tensor]
        if tensor.is_input:
            whole = ceil(prod(tensor.shape) * tensor.final.bits)
            self.whole[name] = whole, 0 if self.found.stored else whole
        grouped, entering = self.found.words(number, shared=True), self.found.words(number)
        self._move(name, crossing.parent, READS, float(grouped.sum()))
        self._carry(name, crossing.parent, READ, float(grouped.sum()) * width, grouped)
        if not crossing.child:
            return
        self._move(name, crossing.child, FILLS, float(entering.sum()))
        self._carry(name, crossing.child, FILLED, float(entering.sum()) * width, entering)
        left = self.nest.left(crossing.above_child)
        size = self.machine.memories[crossing.child].size_bits
        if size is None:
            return
        bits = -(-prod(left[rank] for rank in operand.ranks) * width // self.clock.pieces)
        visits = float(self.found.arrivals(number, lambda group: [], frozenset()).sum())
        mean = float(entering.sum()) * width / self.clock.pieces / visits if visits else 0.0
        self.fits.append(Fit(name, crossing.child, visits, mean, float(bits > size), visits if bits > size else 0.0))

    def _stored(self, number: int, crossing: Crossing, operand: Operand) -> None:
        """Words of an operand of which some elements are stored, with the coordinates and pointers that go with them."""
        name, child = crossing.tensor, crossing.child
        grouped, entering = self.found.words(number, shared=True), self.found.words(number)
        moved, read = float(grouped.sum()), self._gone_through(crossing, operand)
        if child:
            read += self._tiles(number, crossing, operand, shared=True)
            filled = self._tiles(number, crossing, operand, shared=False)
            self._move(name, child, FILLS, float(entering.sum()))
            self._carry(name, child, FILLED, filled * self.clock.pieces, entering)
            if self.machine.memories[child].size_bits is not None:
                self.fits.append(self._fit(number, crossing, operand, filled))
        else:
            read += moved * value_bits(self.cascade.tensors[name])
        self._move(name, crossing.parent, READS, moved)
        self._carry(name, crossing.parent, READ, read * self.clock.pieces, grouped)

    def _tiles(self, number: int, crossing: Crossing, operand: Operand, shared: bool) -> float:
        """Bits of the tiles that come to a child, or leave its parent."""
        found, ranks = self.found, self.ranks[operand.tensor]
        loops = sorted(found.loops(operand.ranks))
        tile = found.loops(operand.ranks, crossing.above_child)
        if len(tile) == len(ranks):
            values = found.arrivals(number, lambda group: [found.tile(operand, tile, group, "some", tile)], tile, shared)
            return float(values.sum()) * value_bits(self.cascade.tensors[operand.tensor])
        bits = 0.0
        for place, rank in enumerate(ranks):
            if place < len(tile):
                continue
            below = rank.loops | {loops[place]}
            if sum(rank.child):
                children = found.arrivals(number, lambda group, cut=below: [found.tile(operand, cut, group, "some", tile)], below, shared)  # type: ignore[misc]
                bits += sum(rank.child) * float(children.sum())
            if sum(rank.fixed):

                def nodes(group: Loops | None, rank: Rank = rank) -> list[Factor]:
                    root = [] if not rank.loops else [found.tile(operand, rank.loops, group, "some", tile)]
                    return [self._places(operand, rank), *root]

                bits += sum(rank.fixed) * float(found.arrivals(number, nodes, rank.loops, shared).sum())
        return bits

    def _fit(self, number: int, crossing: Crossing, operand: Operand, filled: float) -> Fit:
        """How tiles fit, from the chances of what they hold where their bits follow from that."""
        found, ranks = self.found, self.ranks[operand.tensor]
        tile = found.loops(operand.ranks, crossing.above_child)
        size = self.machine.memories[crossing.child].size_bits
        assert size is not None
        some: Callable[[Loops | None], list[Factor]] = lambda group: [found.tile(operand, tile, group, "some", tile)] if tile else []  # noqa: E731
        visits = float(found.arrivals(number, some, tile).sum())
        mean = filled / visits if visits else 0.0
        inner = ranks[len(tile) :]
        if not inner:
            bits = value_bits(self.cascade.tensors[operand.tensor])
            return Fit(operand.tensor, crossing.child, visits, mean, float(bits > size), visits * (bits > size))
        if any(sum(rank.child) for rank in inner[:-1]) or any(sum(rank.fixed) for rank in inner[1:]):
            return Fit(operand.tensor, crossing.child, visits, mean, None, None)
        fixed, each = inner[0], sum(inner[-1].child)

        def beyond(boxes: Boxes, box: tuple[Bounds, Bounds]) -> Shares:
            shape = np.broadcast_shapes(*(np.shape(side) for side in box[0]))
            low, high = (np.stack([np.broadcast_to(side, shape).ravel() for side in sides]).astype(np.int64) for sides in box)
            if int(np.prod(high - low, axis=0).sum()) > MOST:
                raise InputError(f"{self.name} has too many tiles of {operand.tensor} that differ", "state its density as a share")
            chances = []
            for first, end in zip(low.T, high.T, strict=True):
                places = -(-int(end[fixed.level.dimension] - first[fixed.level.dimension]) // fixed.places)
                room = size - places * sum(fixed.fixed)
                held = boxes.occupancy(first.tolist(), end.tolist())
                none = 1 if tile else 0  # a tile of which nothing is stored does not come
                least_held = max(none, 0 if room < 0 else held.size if not each else room // each + 1)
                chances.append(float(held[least_held:].sum()))
            return np.array(chances).reshape(shape)

        try:
            late = float(found.arrivals(number, lambda group: [self._once(group, found.factor(operand, tile, beyond))], tile).sum())
        except NotImplementedError:
            return Fit(operand.tensor, crossing.child, visits, mean, None, None)
        late = min(max(0.0, late), visits)
        return Fit(operand.tensor, crossing.child, visits, mean, late / visits if visits else 0.0, late)

    @staticmethod
    def _once(group: Loops | None, factor: Factor) -> Factor:
        if group is not None:
            raise NotImplementedError
        return factor

    def _gone_through(self, crossing: Crossing, operand: Operand) -> float:
        """Bits of coordinates and pointers that loops between parent and child go through."""
        nest, found, bits, own = self.nest, self.found, 0.0, -1
        storage = self.cascade.tensors[operand.tensor].storage or Storage(("compressed",) * len(operand.ranks))
        loops, levels = sorted(found.loops(operand.ranks)), nest.levels(operand)
        for depth, turn in enumerate(nest.turns[: crossing.above_child]):
            if turn.rank not in operand.ranks:
                continue
            own += 1
            if depth < crossing.above_parent:
                continue
            later = [each.rank for each in nest.turns[depth + 1 :] if each.rank in operand.ranks]
            leader = next(each for each in found.stored if turn.rank in each.ranks)
            looked_up = not turn.meets or (turn.meets == "leading" and leader is not operand)
            comes = not turn.meets and (masked(storage, levels, own) or split_by_keep(nest, depth, crossing.above_child, operand))
            if storage.kinds[operand.ranks.index(turn.rank)] == "uncompressed" and looked_up and not comes:
                if later and later[0] != turn.rank:  # where the fiber's last loop is visited
                    bits += self._looked_up(depth, operand, own, leader if turn.meets else None) * storage.pointer_bits
                continue
            rank, below, counted = self.ranks[operand.tensor][own], frozenset(loops[: own + 1]), frozenset(range(depth))
            child, fixed = (sum(each) if later else each[0] for each in (rank.child, rank.fixed))
            conditions = found.conditions(depth, but=operand)
            if child:
                bits += child * float(found.axes.total(counted | below, [found.something(operand, below), *conditions]).sum())
            if fixed:
                nodes = [found.something(operand, rank.loops)] if rank.loops else []
                bits += fixed * float(found.axes.total(counted, [self._places(operand, rank), *nodes, *conditions]).sum())
        return bits

    def _looked_up(self, depth: int, operand: Operand, own: int, leader: Operand | None) -> float:
        """Places of fibers of an operand that a loop looks up, in vain or not: those that the leader has, or all. own: its level."""
        found, ranks, first = self.found, self.ranks[operand.tensor], own
        while first and ranks[first - 1].level.dimension == ranks[own].level.dimension:
            first -= 1
        cuts = {operand.tensor: found.asked(operand, depth) | ranks[first].loops}
        if leader is not None:
            cuts[leader.tensor] = found.loops(leader.ranks, depth + 1)
        others = [(each, cuts.get(each.tensor, found.asked(each, depth))) for each in found.stored]
        return float(found.axes.total(frozenset(range(depth + 1)), [found.something(each, cut) for each, cut in others if cut]).sum())

    # The result

    def _result(self, number: int, crossing: Crossing) -> None:
        """Words of the result, and those that come back."""
        name, parent, child, pieces = crossing.tensor, crossing.parent, crossing.child, self.clock.pieces
        tensor = self.cascade.tensors[name]
        grouped, entering, different = self.found.made(number, shared=True), self.found.made(number), self.found.different(number)
        moved, drained, new = float(grouped.sum()), float(entering.sum()), float(different.sum())
        back = max(0.0, moved - new)
        outermost = next(each for each in self.nest.crossings if each.tensor == name)
        extra, once = with_words(tensor, crossing is outermost)
        if crossing.above_parent == 0 and tensor.is_output:
            self.whole.setdefault(name, (new * float(tensor.final.bits + extra) + once, new * float(tensor.final.bits)))
        partial, final = self.widths.partial[name], self.widths.final[name]
        self._move(name, parent, UPDATES, moved, new)
        self._move(name, parent, READS, back)
        updated = moved * partial - new * (partial - final)
        self._carry(name, parent, UPDATED, updated + (moved * extra + once) * pieces, grouped)
        self._carry(
            name, parent, READ, back * (partial + extra * pieces), grouped - different if grouped.size == different.size else grouped
        )
        if not child:
            return
        complete = min(new, drained) if np.isclose(drained, moved, rtol=1e-9) else 0.0  # a word that several copies send is a part
        self._move(name, child, FILLS, back)
        self._move(name, child, DRAINS, drained, complete)
        self._carry(name, child, FILLED, back * (partial + extra * pieces), entering)
        self._carry(name, child, READ, drained * (partial + extra * pieces) - complete * (partial - final), entering)
        size = self.machine.memories[child].size_bits
        if size is not None:
            left = self.nest.left(crossing.above_child)
            most = prod(left[rank] for rank in self.nest.result) * (ceil(tensor.partial.bits) + extra)
            none = 0.0 if most <= size else None
            self.fits.append(Fit(name, child, 0.0, 0.0, none, none))


def upward(amount: float) -> int:
    """The next whole number, but for what arithmetic leaves behind."""
    return ceil(amount - 1e-9 * max(1.0, amount))


def _most(parts: list[tuple[float, Shares]]) -> float:
    """Of amounts and the words by copy that share each out, what is expected of the copy with most."""
    if not parts:
        return 0.0
    total = np.zeros(max(by_copy.size for _, by_copy in parts))
    for bits, by_copy in parts:
        words = float(by_copy.sum())
        total[: by_copy.size if words else 1] += bits * (by_copy / words) if words else bits
    return float(total.max())
