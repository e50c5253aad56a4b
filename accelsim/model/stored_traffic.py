"""Words and bits that an Einsum moves over stored elements, from the walk of its nest. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.errors import InputError
from accelsim.model.counts import DRAINS, FILLS, READS, UPDATES
from accelsim.model.evaluation import Evaluator
from accelsim.model.narrow import refuse_narrow_operand, refuse_narrow_result
from accelsim.model.stored_work import Cached, Tile, Together
from accelsim.sparse import kernels as k
from accelsim.sparse.caches import fewest, missed_elements
from accelsim.sparse.cuts import Level
from accelsim.sparse.fibers import Fibers
from accelsim.sparse.needs import taking_part
from accelsim.sparse.nest import NO_ROOM, Crossing, Nest, Operand, Room, Walk, known
from accelsim.sparse.storage import Sizes, masked, sizes
from accelsim.workload.storage import Storage

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.cascade import Tensor

READ, FILLED, UPDATED = range(3)
Key = tuple[str, str]
Rows = dict[Key, list[int]]


@dataclass(frozen=True, slots=True)
class Layout:
    """A stored operand: its place among the operands, its loops, how it is stored, bits of a value and of every fiber, and where the nodes
    and the fibers of each of its levels stand in the tables of the walk.
    """

    which: int
    levels: list[Level]
    storage: Storage
    value: int
    sizes: Sizes
    nodes: list[int]
    fibers: list[int]

    def own(self, nest: Nest, above: int) -> int:
        """The last of its levels among the first loops of a nest, -1 if there is none."""
        return sum(1 for turn in nest.turns[:above] if turn.rank in nest.operands[self.which].ranks) - 1

    def tiles(self, own: int, count: int) -> IntArray:
        """Bits below each of the nodes of a level, int64[count]."""
        return self.sizes.below[own] if own < len(self.levels) - 1 else np.full(count, self.value)


class Requests(NamedTuple):
    """What a cache is asked for of a tensor, one after the other: through which crossing, and int64[requests] the copy of the cache,
    words and bits of the tile, and the bits of it that are fetched.
    """

    inner: Crossing
    copy: IntArray
    words: IntArray
    bits: IntArray
    fetched: IntArray


def room_of(evaluator: Evaluator, nest: Nest, fibers: Dict[str, Fibers]) -> Room:
    """What the memories of a nest that have a size, and are no caches, can hold, and what tiles take, in pieces of a bit."""
    tensors, pieces, machine = evaluator.cascade.tensors, evaluator.clock.pieces, evaluator.architecture
    limited = {name: size for name in dict.fromkeys(each.child for each in nest.crossings) if (size := _limit(machine, name)) is not None}
    if not limited:
        return NO_ROOM
    tiles: dict[str, list[IntArray]] = {}
    result = tensors[nest.einsum.output.tensor]
    words = {result.name: (ceil(result.partial.bits) + with_words(result, home=False)[0]) * pieces}
    for operand in nest.operands:
        tensor = tensors[operand.tensor]
        if operand.coordinates is None:
            words[tensor.name] = evaluator.widths.read[nest.einsum.name, tensor.name]
            continue
        storage, levels, tree = _stored_as(tensor), nest.levels(operand), fibers[operand.tensor]
        found = sizes(storage, tree, levels, tensor.shape, value_bits(tensor))
        last = len(levels) - 1
        values = np.full(tree.coordinates[last].size, value_bits(tensor)) if levels else np.zeros(0, np.int64)
        tiles[tensor.name] = [below * pieces for below in (*found.below[:last], values)]
        words[tensor.name] = found.whole * pieces
    return Room(tiles, words, {name: size * pieces for name, size in limited.items()})


def together(nest: Nest, counts: k.Walked, room: Room, pieces: int) -> list[Together]:
    """What a copy of every memory that has a size holds at the same time."""
    found = []
    for memory, (most, visits, beyond) in zip(room.memories, counts.held.tolist(), strict=True):
        tensors = tuple(each.tensor for each in nest.crossings if each.child == memory)
        found.append(Together(memory, tensors, -(-most // pieces), visits, beyond))
    return found


def _limit(machine: Architecture, name: str) -> int | None:
    """Bits of a memory that holds what the mapping says; None if it has no limit, or is a cache."""
    memory = machine.memories.get(name)
    return None if memory is None or memory.sparse.replacement else memory.size_bits


def _stored_as(tensor: Tensor) -> Storage:
    """How a tensor is stored of which elements are given."""
    return tensor.storage or Storage(("compressed",) * len(tensor.shape))


class Traffic:
    """Words and bits of one Einsum's crossings.

    `words`, `final`: (tensor, memory) -> [reads, fills, updates, drains], and those of complete results among them; `bits`: pieces of bits
    read, filled and updated. `whole`: by tensor that is stored at home, bits of all of it, and of what has to be moved.
    `tiles`, `cached`: as of `Work`. `carried`: pieces of bits by crossing, memory and direction; `brought`: by crossing into a cache, of
    every tile that is asked for the words that are fetched.
    """

    def __init__(self, evaluator: Evaluator, nest: Nest, walk: Walk, elements: IntArray | None = None) -> None:
        self.nest, self.counts, self.fibers, self.tables, self.name = nest, walk.counts, walk.fibers, walk.tables, nest.einsum.name
        self.cascade, self.machine, self.widths = evaluator.cascade, evaluator.architecture, evaluator.widths
        self.clock, self.pieces, self.elements = evaluator.clock, evaluator.clock.pieces, elements
        self.words: Rows = {}
        self.final: Rows = {}
        self.bits: dict[Key, tuple[int, int, int]] = {}
        self.whole: dict[str, tuple[int, int]] = {}
        self.tiles: list[Tile] = []
        self.cached: dict[Key, Cached] = {}
        self.carried: dict[tuple[int, str, int], int] = {}
        self.brought: dict[int, IntArray] = {}
        self._fetched: dict[str, dict[str, Requests]] = {}  # by cache and tensor
        # by memory: pieces of bits read and written, and the words of every copy that share them out
        self._read: dict[str, list[tuple[int, IntArray]]] = defaultdict(list)
        self._written: dict[str, list[tuple[int, IntArray]]] = defaultdict(list)
        self._layouts = {
            each.tensor: self._layout(number, each, walk) for number, each in enumerate(nest.operands) if each.coordinates is not None
        }
        for number, crossing in enumerate(nest.crossings):
            operand = next((each for each in nest.operands if each.tensor == crossing.tensor), None)
            self._number = number
            if operand is None:
                self._result(number, crossing)
            elif operand.coordinates is None:
                self._dense(number, crossing, operand)
            else:
                self._stored(number, crossing, self._layouts[crossing.tensor])

    def ports(self) -> dict[str, tuple[int, int]]:
        """Ticks of the ports of the busiest copy of every memory."""
        made = {}
        for memory in dict.fromkeys((*self._read, *self._written)):
            port = self.clock.ports.get(memory)
            if port is not None:
                made[memory] = port.ticks(_most(self._read[memory]), _most(self._written[memory]))
        return made

    def _layout(self, which: int, operand: Operand, walk: Walk) -> Layout:
        """How a stored operand lies in memories; notes what it takes as a whole."""
        tensor, levels = self.cascade.tensors[operand.tensor], self.nest.levels(operand)
        storage = _stored_as(tensor)
        value, tables = value_bits(tensor), walk.tables
        refuse_narrow_operand(self.cascade, self.nest, operand)
        found = sizes(storage, self.fibers[operand.tensor], levels, tensor.shape, value)
        if tensor.is_input:
            self.whole[operand.tensor] = found.whole, taking_part(self.nest, which) * value
        return Layout(which, levels, storage, value, found, tables.at[which].tolist(), tables.start_at[which].tolist())

    def _move(self, tensor: str, memory: str, column: int, words: int, final: int = 0) -> None:
        """Note words of a direction."""
        self.words.setdefault((tensor, memory), [0, 0, 0, 0])[column] += words
        if final:
            self.final.setdefault((tensor, memory), [0, 0, 0, 0])[column] += final

    def _carry(self, tensor: str, memory: str, column: int, bits: int, by_copy: IntArray) -> None:
        """Note pieces of bits that are read, filled or updated, shared out by the words of every copy."""
        row = list(self.bits.get((tensor, memory), (0, 0, 0)))
        row[column] += bits
        self.bits[tensor, memory] = (row[0], row[1], row[2])
        (self._read if column == READ else self._written)[memory].append((bits, by_copy))
        self.carried[self._number, memory, column] = bits

    def _dense(self, number: int, crossing: Crossing, operand: Operand) -> None:
        """Words of an operand that has all its elements."""
        tensor, name = self.cascade.tensors[crossing.tensor], crossing.tensor
        width = self.widths.read[self.name, name]
        if tensor.is_input:
            whole = ceil(prod(tensor.shape) * tensor.final.bits)
            self.whole[name] = whole, 0 if any(each.coordinates is not None for each in self.nest.operands) else whole
        grouped, entering = self.counts.grouped[number], self.counts.entering[number]
        self._move(name, crossing.parent, READS, int(grouped.sum()))
        self._carry(name, crossing.parent, READ, int(grouped.sum()) * width, grouped)
        if not crossing.child:
            return
        self._move(name, crossing.child, FILLS, int(entering.sum()))
        self._carry(name, crossing.child, FILLED, int(entering.sum()) * width, entering)
        left = self.nest.left(crossing.above_child)
        bits, size = -(-prod(left[rank] for rank in operand.ranks) * width // self.pieces), self.machine.memories[crossing.child].size_bits
        if size is not None:
            self.tiles.append(Tile(name, crossing.child, bits, int(self.counts.loads[number].sum()) if bits > size else 0))

    def _stored(self, number: int, crossing: Crossing, layout: Layout) -> None:
        """Words of an operand of which some elements are stored, with the coordinates and pointers that go with them."""
        counts, name, child = self.counts, crossing.tensor, crossing.child
        grouped, entering = counts.grouped[number], counts.entering[number]
        moved, read = int(grouped.sum()), self._gone_through(crossing, layout)
        if child:
            own = layout.own(self.nest, crossing.above_child)
            if own < 0:
                below, loads, served = np.array([layout.sizes.whole]), counts.loads[number, -1:], counts.served[number, -1:]
            else:
                span = slice(layout.nodes[own], layout.nodes[own + 1])
                loads, served = counts.loads[number, span], counts.served[number, span]
                below = layout.tiles(own, loads.size)
            arrived, read, filled = int(entering.sum()), read + int(served @ below), int(loads @ below)
            memory = self.machine.memories[child]
            if memory.sparse.replacement:
                words, entering = self._cached(crossing, layout)
                moved = arrived = int(words.sum())
                read = filled = int(entering.sum())
                grouped = entering.reshape(self.nest.copies[crossing.above_parent], -1).sum(axis=1)
            elif memory.size_bits is not None:
                beyond = int(loads[below > memory.size_bits].sum())
                self.tiles.append(Tile(name, child, int(below[loads > 0].max(initial=0)), beyond))
            if number in self.nest.demanded:
                inner = self.nest.demanded.index(number)
                grouped = entering = counts.asked_words[inner]
                moved = arrived = int(grouped.sum())
                less = self._not_asked(inner, layout, own, loads)
                read, filled = read - less, filled - less
            self._move(name, child, FILLS, arrived)
            self._carry(name, child, FILLED, filled * self.pieces, entering)
        else:
            read += moved * layout.value
        self._move(name, crossing.parent, READS, moved)
        self._carry(name, crossing.parent, READ, read * self.pieces, grouped)

    def _not_asked(self, inner: int, layout: Layout, own: int, loads: IntArray) -> int:
        """Bits of the tiles of the next keep inside that come with tiles of a level and are not asked for."""
        last, tree = layout.own(self.nest, self.nest.crossings[inner].above_child), self.fibers[self.nest.crossings[inner].tensor]
        if last < 0:
            return int((loads - self.counts.asked[inner, -1:]) @ np.array([layout.sizes.whole]))
        asked = self.counts.asked[inner, layout.nodes[last] : layout.nodes[last + 1]]
        below = layout.tiles(last, asked.size)
        times = loads
        for level in range(own + 1, last + 1):
            times = np.repeat(times, np.diff(tree.starts[level]))
        return int((times - asked) @ below)

    def _laid(self, tensor: Tensor) -> int:
        """Bits of a result that is stored in the order in which loops make it."""
        assert self.elements is not None and tensor.storage is not None
        levels = self.nest.levels_of(tensor.name, self.nest.result)
        return sizes(tensor.storage, Fibers.of(self.elements, levels, tensor.shape), levels, tensor.shape, value_bits(tensor)).whole

    def _gone_through(self, crossing: Crossing, layout: Layout) -> int:
        """Bits of coordinates and pointers that loops between parent and child go through."""
        nest, bits, own = self.nest, 0, -1
        operand, storage, found = nest.operands[layout.which], layout.storage, layout.sizes
        for depth, turn in enumerate(nest.turns[: crossing.above_child]):
            if turn.rank not in operand.ranks:
                continue
            own += 1
            if depth < crossing.above_parent:
                continue
            later = [each.rank for each in nest.turns[depth + 1 :] if each.rank in operand.ranks]
            leads = next(each for each in nest.operands if each.coordinates is not None and turn.rank in each.ranks) is operand
            looked_up = not turn.meets or (turn.meets == "leading" and not leads)
            comes = not turn.meets and (masked(storage, layout.levels, own) or split_by_keep(nest, depth, crossing.above_child, operand))
            if storage.kinds[operand.ranks.index(turn.rank)] == "uncompressed" and looked_up and not comes:
                if later and later[0] != turn.rank:  # where the fiber's last loop is visited
                    bits += int(self.counts.looked[depth, layout.which]) * storage.pointer_bits
                continue
            begins = layout.fibers[own]
            opened = self.counts.opened[begins : begins + found.coordinates[own].size]
            bits += int(opened @ (found.coordinates[own] + found.payloads[own] if later else found.coordinates[own]))
        return bits

    def _cached(self, crossing: Crossing, layout: Layout) -> tuple[IntArray, IntArray]:
        """Words and bits that a cache brings of a tensor for what its child asks for, int64[copies of the cache]."""
        name, copies = crossing.tensor, self.nest.copies[crossing.above_child]
        if crossing.child not in self._fetched:
            self._fetched[crossing.child] = self._fetches(crossing.child)
        tiles = self._fetched[crossing.child][name]
        self.cached[crossing.child, name] = Cached(
            self.machine.memories[crossing.child].sparse.replacement, tiles.fetched.size, int((tiles.fetched > 0).sum()),
            int(tiles.bits.sum()), int(tiles.fetched.sum()),
        )  # fmt: skip
        pointers = self._places(tiles.inner, layout) * layout.storage.pointer_bits
        outermost, others = self._led_through(tiles.inner, layout)
        if copies > 1 and pointers + others:
            what = f"{crossing.child} is a cache of {name} in several copies, and which of them fetches a pointer is not counted"
            mend = f"store the outermost rank of {name} compressed and keep its fibers whole, or keep it above the copies"
            raise InputError(what, mend, self.nest.einsum.place)
        words = -(-tiles.words * tiles.fetched // np.maximum(tiles.bits, 1))  # of a part of a tile rounded up
        self.brought[self._number] = words
        found = np.zeros((2, copies), np.int64)
        for row, each in enumerate((words, tiles.fetched)):
            np.add.at(found[row], tiles.copy, each)
        found[1, 0] += pointers + others
        found[1, np.unique(tiles.copy)] += outermost
        return found[0], found[1]

    def _led_through(self, inner: Crossing, layout: Layout) -> tuple[int, int]:
        """Bits of coordinates and pointers that lead to the tiles of a cache, each fiber once: of the outermost one, and of the others.

        Places of an outermost fiber that is uncompressed are those of `_places`.
        """
        found = [0, 0]
        for own in range(layout.own(self.nest, inner.above_child) + 1):
            outermost = all(level.dimension == layout.levels[0].dimension for level in layout.levels[: own + 1])
            if outermost and layout.storage.kinds[layout.levels[0].dimension] == "uncompressed":
                continue
            coordinates, payloads = layout.sizes.coordinates[own], layout.sizes.payloads[own]
            opened = self.counts.opened[layout.fibers[own] : layout.fibers[own] + coordinates.size] > 0
            found[not outermost] += int(opened @ (coordinates + payloads * (own + 1 < len(layout.levels))))
        return found[0], found[1]

    def _fetches(self, memory: str) -> dict[str, Requests]:
        """What a cache is asked for of each tensor that it keeps, and what it fetches of that; its copies have a cache each."""
        log, first = self.counts.log, 0
        asked, sizes, owner = np.full(log.shape[0], -1), [np.zeros(0, np.int64)], {}
        found = {}
        for crossing in (each for each in self.nest.crossings if each.child == memory):
            layout = self._layouts[crossing.tensor]
            number, inner = self._asking(crossing)
            own, tree = layout.own(self.nest, inner.above_child), self.fibers[crossing.tensor]
            mine = log[:, 1] == number
            if own < 0:
                bits, words, asked[mine] = np.array([layout.sizes.whole]), np.array([tree.count]), first
            else:
                words, asked[mine] = tree.elements[own], log[mine, 0] - layout.nodes[own] + first
                bits = layout.tiles(own, words.size)
            tiles = asked[mine] - first
            found[crossing.tensor] = Requests(inner, log[mine, 2], words[tiles], bits[tiles], np.zeros(0, np.int64))
            owner[crossing.tensor], first, sizes = mine, first + bits.size, [*sizes, bits]
        fetched, tiles = np.zeros(asked.size, np.int64), np.concatenate(sizes)  # of all tensors
        room = self.machine.memories[memory].size_bits
        for copy in np.unique(log[asked >= 0, 2]):
            mine = (asked >= 0) & (log[:, 2] == copy)
            fetched[mine] = self._brought(memory, asked[mine], tiles, int(tiles.sum()) if room is None else room)
        return {tensor: each._replace(fetched=fetched[owner[tensor]]) for tensor, each in found.items()}

    def _brought(self, memory: str, asked: IntArray, tiles: IntArray, room: int) -> IntArray:
        """Bits that a cache fetches for each request."""
        if self.machine.memories[memory].sparse.replacement == "optimal":
            return fewest(asked, tiles, room)
        return np.where(missed_elements(asked, tiles, room), tiles[asked], 0)

    def _asking(self, crossing: Crossing) -> tuple[int, Crossing]:
        """The crossing through which a cache is asked for tiles of a tensor. Refuses those that are not whole ones of a memory."""
        nest, name, memory = self.nest, crossing.tensor, crossing.child
        number, inner = next((n, each) for n, each in enumerate(nest.crossings) if each.tensor == name and each.parent == memory)
        ranks = next(each for each in nest.operands if each.tensor == name).ranks
        cut = any(turn.rank in ranks for turn in nest.turns[: crossing.above_child])
        if cut or not inner.child or self.machine.memories[inner.child].sparse.fetch:
            what = f"{memory} is a cache, and is not asked for tiles of {name} as a memory keeps them"
            mend = f"keep {name} in it above all loops that go through {name}, and once more further in, where nothing is fetched on demand"
            raise InputError(what, mend, nest.einsum.place)
        return number, inner

    def _places(self, inner: Crossing, layout: Layout) -> int:
        """Places of the outermost fiber of a cached operand of which pointers are fetched, once each: those looked up, or else all."""
        nest, operand = self.nest, self.nest.operands[layout.which]
        own = [depth for depth, turn in enumerate(nest.turns) if turn.rank in operand.ranks]
        rank = nest.turns[own[0]].rank
        fiber = [depth for place, depth in enumerate(own) if all(nest.turns[each].rank == rank for each in own[: place + 1])]
        if layout.storage.kinds[operand.ranks.index(rank)] != "uncompressed" or fiber[-1] >= inner.above_child or len(fiber) == len(own):
            return 0
        turn, tile = nest.turns[fiber[-1]], nest.turns[fiber[-1]].tile
        lead = next(each for each in nest.operands if each.coordinates is not None and rank in each.ranks)
        if turn.meets != "leading" or lead is operand:
            return -(-nest.extents[rank] // tile) if turn.cut is None else turn.trips
        tree, begins = self.fibers[lead.tensor], self.tables.start_at[nest.operands.index(lead)]
        at = np.zeros(1, np.int64)  # where along the rank each node begins
        level = -1
        for each in nest.turns[: fiber[-1] + 1]:
            if each.rank not in lead.ranks:
                continue
            level += 1
            parents = np.repeat(np.arange(at.size), np.diff(tree.starts[level]))
            at = at[parents] + (tree.begins[level] if each.rank == rank else 0)
        opened = self.counts.opened[begins[level] :][: tree.starts[level].size - 1]
        return int(np.unique(at[opened[parents] > 0]).size)

    def _result(self, number: int, crossing: Crossing) -> None:
        """Words of the result, and those that come back."""
        name, parent, child = crossing.tensor, crossing.parent, crossing.child
        tensor, bits = self.cascade.tensors[name], self.widths.bits
        refuse_narrow_result(self.cascade, self.nest)
        grouped, entering, different = self.counts.grouped[number], self.counts.entering[number], known(self.nest, self.counts, number)
        moved, drained, new = int(grouped.sum()), int(entering.sum()), int(different.sum())
        brought = entering
        if number == self.nest.whole:  # every tile comes with the words that it has, and goes with these and new ones
            brought, entering = self.counts.whole[k.BROUGHT], self.counts.whole.sum(axis=0)
            moved = drained = int(entering.sum())
        back = moved - new
        outermost = next(each for each in self.nest.crossings if each.tensor == name)
        extra, once = with_words(tensor, crossing is outermost)
        if self.elements is not None and crossing is outermost and moved == new:  # each word once: as fibers, in order of the loops
            extra, laid = 0, self._laid(tensor)
            once = laid - ceil(new * tensor.final.bits)
            self.whole[name] = laid, ceil(new * tensor.final.bits) if tensor.is_output else 0
        elif crossing is outermost and tensor.storage is not None and tensor.storage.in_lines:
            what = f"fibers of {name} begin on lines, and words of it leave more than once, so that where fibers end is not counted"
            raise InputError(what, f"keep {name} so that each word leaves once, or leave 'line' out", self.nest.einsum.place)
        if crossing.above_parent == 0 and tensor.is_output:
            self.whole.setdefault(name, (ceil(new * (tensor.final.bits + extra)) + once, ceil(new * tensor.final.bits)))
        self._move(name, parent, UPDATES, moved, new)
        self._move(name, parent, READS, back)
        read, _, updated = bits((self.name, name, parent), [back, 0, moved, 0], [0, 0, new, 0])
        self._carry(name, parent, UPDATED, updated + (moved * extra + once) * self.pieces, grouped)
        self._carry(name, parent, READ, read + back * extra * self.pieces, _less(grouped, different))
        if not child:
            return
        complete = min(new, drained) if drained == moved else 0  # a word that several copies send is a part of a result
        self._move(name, child, FILLS, back)
        self._move(name, child, DRAINS, drained, complete)
        read, filled, _ = bits((self.name, name, child), [0, back, 0, drained], [0, 0, 0, complete])
        self._carry(name, child, FILLED, filled + back * extra * self.pieces, brought)
        self._carry(name, child, READ, read + drained * extra * self.pieces, entering)
        size = self.machine.memories[child].size_bits
        if size is not None:
            most = int(self.counts.fullest[number]) * (ceil(tensor.partial.bits) + with_words(tensor, home=False)[0])
            self.tiles.append(Tile(name, child, most, int(most > size)))


def value_bits(tensor: Tensor) -> int:
    """Bits of a stored value."""
    stated = tensor.storage.value_bits if tensor.storage is not None else 0
    return stated or ceil(tensor.final.bits)


def with_words(tensor: Tensor, home: bool) -> tuple[int, int]:
    """Bits that go with every word of a result, coordinates and what its values are wider, and those that are written once at its home."""
    storage, shape = tensor.storage, tensor.shape
    if storage is None or storage.all_elements:
        return 0, 0
    extra, once = value_bits(tensor) - ceil(tensor.final.bits), 0
    for place, (kind, size) in enumerate(zip(storage.kinds, shape, strict=True)):
        if kind == "compressed":
            extra += storage.coordinate_bits or max(1, (size - 1).bit_length())
        elif kind == "bitmask" and home:
            once += prod(shape[: place + 1])
        elif kind == "uncompressed" and place < len(shape) - 1 and home:
            once += prod(shape[: place + 1]) * storage.pointer_bits
    return extra, once


def split_by_keep(nest: Nest, depth: int, above: int, operand: Operand) -> bool:
    """Whether a keep below the first `above` loops stands inside the fiber of a loop, right after it, so that all its places come."""
    after = [place for place, turn in enumerate(nest.turns) if place > depth and turn.rank in operand.ranks]
    return bool(after) and after[0] >= above and nest.turns[after[0]].rank == nest.turns[depth].rank


def _less(words: IntArray, others: IntArray) -> IntArray:
    """Words by copy less others; they may be counted over fewer copies, of which each stands for as many."""
    return words - others if words.size == others.size else words


def _most(parts: list[tuple[int, IntArray]]) -> int:
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
