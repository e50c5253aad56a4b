"""A mapped cascade replayed with an upset: every copy of every word in a dictionary of its own, every point in its turn, one bit inverted.

Plain Python, to be believed at sight; use it on small shapes. It shares nothing with `cones` but the formats of numbers and the table of
operators. Source: docs/faults-mapped.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import replace
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.faults.reference_copies import Copies, Copy, State, Store, Where, Word, loop_of
from accelsim.faults.reference_operators import Operators, changed, invert
from accelsim.faults.sites import FILL, READ, RESULT, Stuck, Transit
from accelsim.hardware.architecture import Architecture
from accelsim.hardware.types import NumberType
from accelsim.mapping.tree import Address, For, Fuse, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model.reference_nest import Nest, Step, Tile, value
from accelsim.sim.formats import SATURATE
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access, Call, Expression, Name

if TYPE_CHECKING:
    from accelsim.faults.cones import Fault

Values = dict[str, dict[Word, Any]]
__all__ = ["Replay", "Values", "invert", "replay"]


def replay(
    cascade: Cascade,
    architecture: Architecture,
    mapping: Mapping,
    inputs: Dict[str, Any],
    fault: Fault | Stuck | Transit | None = None,
    overflow: str = SATURATE,
) -> Values:
    """The words of all tensors that a cascade computes, by coordinates: of outputs what their home holds at the end, of others what was
    made last.
    """
    return Replay(cascade, architecture, mapping, inputs, overflow).run(fault)


class Replay(Copies):
    """A mapped cascade that can be replayed with one fault after the other."""

    def __init__(
        self, cascade: Cascade, architecture: Architecture, mapping: Mapping, inputs: Dict[str, Any], overflow: str = SATURATE
    ) -> None:
        self.architecture, self.mapping, self.overflow, self.operators = architecture, mapping, overflow, Operators(cascade, overflow)
        given = {name: self._input(inputs[name], tensor.final) for name, tensor in cascade.tensors.items() if tensor.is_input}
        super().__init__(cascade, mapping, given)
        self.reads = {name: nest.einsum.reads for name, nest in self.nests.items()}
        self.constants = self._constants()
        self.points = {name: self._points(nest) for name, nest in self.nests.items()}
        for nest in self.nests.values():
            for step in nest.steps:
                if step and step.demand:
                    step.demand = cache(step.demand)
        self.begin(None)

    def begin(self, fault: Fault | Stuck | Transit | None) -> None:
        """Nothing has happened yet."""
        self.fault, self.step = fault, 0
        self.taken: dict[tuple[str, Word], list[Any]] = {}  # what points read of each word
        self.made: Values = {name: {} for name, tensor in self.cascade.tensors.items() if not tensor.is_input}
        self.home_of: dict[tuple[str, Word], Copy] = {}
        self.left: dict[tuple[str, Copy, Word], int] = {}
        self.ran: set[Any] = set()
        self.empty()
        self.missing: dict[str, set[Word]] = {name: set() for name in self.cascade.tensors}
        for name, nest in self.nests.items():
            self.missing[nest.einsum.output.tensor] |= set(self.points[name])

    def run(self, fault: Fault | Stuck | Transit | None = None) -> Values:
        """As `replay`."""
        self.begin(fault)
        states = [State(nest, {(): nest.whole()}) for nest in self.nests.values()]
        self.nodes(self.mapping.nodes, 0, 0, (), [state for state in states if _visited(state.nest, state.tiles)])
        return self.found()

    def _input(self, given: Any, number_type: NumberType) -> Any:
        array = np.asarray(given)
        array = array.astype(np.int64 if array.dtype.kind in "iub" else np.float64)
        return self.operators.rounded(np.where(np.isneginf(array), number_type.lowest, array), number_type)

    def _constants(self) -> Values:
        """First slices of iterative tensors."""
        found: Values = {name: {} for name in self.cascade.tensors}
        for einsum in self.cascade.einsums:
            if einsum.initial:
                tensor = self.cascade.tensors[einsum.output.tensor]
                for point in product(*(range(self.cascade.extents[rank]) for rank in einsum.ranks)):
                    known = {**self.cascade.sizes, **dict(zip(einsum.ranks, point, strict=True))}
                    if einsum.condition is None or value(einsum.condition, known):
                        word = tuple(int(value(index, known)) for index in einsum.output.indices)
                        set_to = self.operators.number(einsum.expression, known, tensor.final.lowest)
                        found[tensor.name][word] = self.operators.rounded(set_to, tensor.final)
        return found

    def _points(self, nest: Nest) -> dict[Word, int]:
        """How many points each word of a result has; a sum without one is a constant."""
        whole = {rank: (0, size) for rank, size in self.cascade.extents.items()}
        found: dict[Word, int] = {}
        for point in nest.points(whole):
            word = self.word(nest, nest.einsum.output, point)
            found[word] = found.get(word, 0) + nest.satisfied(point)
        name = nest.einsum.output.tensor
        for word, points in found.items():
            if not points and nest.einsum.reduced and self.is_inside(name, word):
                constant = self.operators.identity(nest.einsum, True)
                self.constants[name][word] = self.operators.rounded(constant, self.cascade.tensors[name].final)
        return {word: points for word, points in found.items() if points and self.is_inside(name, word)}

    # The walk.

    def nodes(self, nodes: tuple[TreeNode, ...], at: int, level: int, above: Address, states: list[State]) -> None:
        if not states:
            return
        node, address = nodes[at], (*above, at)
        if isinstance(node, Leaf):
            if self.runs(states[0]):
                self.inside(states[0], level)
        elif isinstance(node, Fuse):
            for number, inner in enumerate(node.branches):
                into = (*address, number)
                self.nodes(inner, 0, level + 1, into, [each for each in states if _below(each.nest, into, inner)])
        else:
            for turned in self.turns(node, level, states):
                self.nodes(nodes, at + 1, level + 1, above, turned)

    def inside(self, state: State, level: int) -> None:
        if level == state.nest.residual:
            self.visit(state)
            return
        node = state.nest.nodes[level][1]
        assert isinstance(node, (Keep, For, Spatial))
        for turned in self.turns(node, level, [state]):
            for inner in turned:
                self.inside(inner, level + 1)

    def turns(self, node: Keep | For | Spatial, level: int, states: list[State]) -> Iterator[list[State]]:
        if isinstance(node, Keep):
            self.arrive(level, states)
            yield states
            return
        cut = [{where: _pieces(each.nest.steps[level], node, tile) for where, tile in each.tiles.items()} for each in states]
        if isinstance(node, Spatial):
            yield [self.spread(state, level, pieces) for state, pieces in zip(states, cut, strict=True)]
            return
        for turn in range(max(len(parts) for pieces in cut for parts in pieces.values())):
            found = [self.turned(state, level, pieces, turn) for state, pieces in zip(states, cut, strict=True)]
            yield [state for state in found if state is not None]

    def spread(self, state: State, level: int, pieces: dict[Where, list[Tile]]) -> State:
        key = loop_of(state.nest, level)
        if state.nest.steps[level] is None:  # nothing to this Einsum: the first copy has it all
            return replace(state, tiles={(*where, (key, 0)): parts[0] for where, parts in pieces.items()})
        tiles = {(*where, (key, at)): part for where, parts in pieces.items() for at, part in enumerate(parts) if state.nest.size(part)}
        return replace(state, tiles=tiles)

    def turned(self, state: State, level: int, pieces: dict[Where, list[Tile]], turn: int) -> State | None:
        if state.nest.steps[level] is None:
            count = max(map(len, pieces.values()))
            tiles = {where: parts[min(turn, len(parts) - 1)] for where, parts in pieces.items()}
            return replace(state, tiles=tiles, idle=state.idle or count > 1, last=state.last and turn >= count - 1)
        tiles = {where: parts[turn] for where, parts in pieces.items() if turn < len(parts) and state.nest.size(parts[turn])}
        if not tiles or not _visited(state.nest, tiles):
            return None
        return replace(state, tiles=tiles, turns=(*state.turns, (level, turn)))

    def runs(self, state: State) -> bool:
        if not state.idle:
            return True
        key = (state.nest.einsum.name, state.turns)
        if key in self.ran or not (state.last or self.ready(state)):
            return False
        self.ran.add(key)
        return True

    def ready(self, state: State) -> bool:
        for tile in state.tiles.values():
            for point in state.nest.points(tile):
                if state.nest.satisfied(point):
                    for read in self.reads[state.nest.einsum.name]:
                        if self.word(state.nest, read, point) in self.missing[read.tensor]:
                            return False
        return True

    def word(self, nest: Nest, access: Access, point: tuple[int, ...]) -> Word:
        known = {**self.cascade.sizes, **dict(zip(nest.einsum.ranks, point, strict=True))}
        return tuple(int(value(index, known)) for index in access.indices)

    def is_inside(self, name: str, word: Word) -> bool:
        return all(0 <= at < size for at, size in zip(word, self.cascade.tensors[name].shape, strict=True))

    # Points.

    def visit(self, state: State) -> None:
        """An innermost tile, step by step: all copies side by side."""
        nest, ranks = state.nest, state.nest.einsum.ranks
        lengths = [max(tile[rank][1] - tile[rank][0] for tile in state.tiles.values()) for rank in ranks]
        home = self.stores[self.chain(nest, nest.einsum.output.tensor)[0][0]]
        order = sorted(state.tiles, key=lambda where: (home.copy(where), where))
        for offset in product(*map(range, lengths)):
            points = []
            for where in order:
                tile = state.tiles[where]
                point = tuple(tile[rank][0] + at for rank, at in zip(ranks, offset, strict=True))
                if all(at < tile[rank][1] for rank, at in zip(ranks, point, strict=True)):
                    points.append((where, point))
            self.together(nest, points)
            self.step += 1

    def together(self, nest: Nest, points: list[tuple[Where, tuple[int, ...]]]) -> None:
        """One step of an Einsum."""
        einsum, name = nest.einsum, nest.einsum.output.tensor
        home = self.stores[self.chain(nest, name)[0][0]]
        results = {where: (home.copy(where), self.word(nest, einsum.output, point)) for where, point in points}
        live = [(where, point) for where, point in points if self.is_inside(name, results[where][1]) and nest.satisfied(point)]
        for where, point in live:
            for read in self.reads[einsum.name]:
                self.bring(nest, read, where, point)
        self.moment()
        terms: dict[tuple[Copy, Word], dict[tuple[int, ...], Any]] = {}
        spot: dict[tuple[Copy, Word], Where] = {}
        for where, point in live:
            index = dict(where)
            digits = tuple(index[loop_of(nest, level)] for level in self.parts[einsum.name])
            terms.setdefault(results[where], {})[digits] = self.term(nest, where, point)
        ended = []
        for where, _ in live:
            copy, word = results[where]
            if not self.left.get((name, copy, word)):
                self.left[name, copy, word] = self.points[einsum.name][word]
            self.left[name, copy, word] -= 1
            spot[copy, word] = where
            if not self.left[name, copy, word]:
                ended.append(where)
        for result, found in terms.items():
            if einsum.reduced:
                self.add(nest, spot[result], result[1], found)
        for where in ended:
            copy, word = results[where]
            if einsum.reduced:
                self.complete(nest, where, word, self.inner(nest, where).pop(word))
            else:
                self.complete(nest, where, word, terms[copy, word][next(iter(terms[copy, word]))])

    def bring(self, nest: Nest, read: Access, where: Where, point: tuple[int, ...]) -> None:
        word = self.word(nest, read, point)
        if self.is_inside(read.tensor, word) and word not in self.constants[read.tensor]:
            store, _ = self.chain(nest, read.tensor)[-1]
            self.fetch(store, self.stores[store].copy(where), word)

    def moment(self) -> None:
        """In the middle of a step, words have come and nothing is read yet."""
        fault = self.fault
        if fault is None or isinstance(fault, Transit):
            return
        if not isinstance(fault, Stuck):
            if fault.step == self.step:
                self.strike(fault)
        elif fault.partial and (store := (fault.keep, fault.tensor)) in self.stores:
            sums = self.stores[store].sums.get(fault.copy, {})
            for word in sums:
                if self.is_stuck(store, fault.copy, word, True):
                    sums[word] = self.forced(sums[word], self.cascade.tensors[fault.tensor].partial)

    def carried(self, store: Store, copy: Copy, word: Word, found: Any) -> Any:
        """A word that comes into a copy from further out, as it arrives: all copies that share the transfer get what one does."""
        fault, (keep, tensor) = self.fault, store
        if not isinstance(fault, Transit) or (fault.kind, fault.keep, fault.tensor, fault.step) != (FILL, keep, tensor, self.step):
            return found
        if self.flat(tensor, word) != fault.word or self.above(store, copy) != self.above(store, fault.copy):
            return found
        for (axis, rank, _), here, there in zip(self.stores[store].keys, copy, fault.copy, strict=True):
            if here != there and (not self.architecture.axes[axis][1].multicast or self.indexes(tensor, rank)):
                return found
        return invert(found, self.cascade.tensors[tensor].final, fault.bit, fault.bits)

    def flat(self, tensor: str, word: Word) -> int:
        """A word's number."""
        number = 0
        for at, size in zip(word, self.cascade.tensors[tensor].shape, strict=True):
            number = number * size + at
        return number

    def indexes(self, tensor: str, rank: str) -> bool:
        """Whether any Einsum indexes a tensor by a rank."""
        uses = [access for nest in self.nests.values() for access in (*nest.einsum.reads, nest.einsum.output) if access.tensor == tensor]
        return any(_names(index, rank) for access in uses for index in access.indices)

    def read_from(self, nest: Nest, access: Access, copy: Copy, point: tuple[int, ...], found: Any) -> Any:
        """A word that a unit reads, as it arrives."""
        fault, name = self.fault, nest.einsum.name
        store, level = self.chain(nest, access.tensor)[-1]
        if not isinstance(fault, Transit) or (fault.kind, fault.einsum, fault.step) != (READ, name, self.step):
            return found
        word = self.flat(access.tensor, self.word(nest, access, point))
        if (access, copy, word) != (self.reads[name][fault.read], fault.copy, fault.word):
            return found
        for rank, here, there in zip(nest.einsum.ranks, point, fault.point, strict=True):
            loops = [node for _, node in nest.nodes[level:] if isinstance(node, Spatial) and node.rank == rank]
            shared = all(self.architecture.axes[loop.axis][1].multicast for loop in loops) and not self.indexes(access.tensor, rank)
            if here != there and not shared:
                return found
        return invert(found, self.cascade.tensors[store[1]].final, fault.bit, fault.bits)

    def put(self, store: Store, copy: Copy, word: Word, found: Any) -> None:
        """A complete word comes into a copy, in which bits of its cell may be stuck."""
        if self.is_stuck(store, copy, word, False):
            found = self.forced(found, self.cascade.tensors[store[1]].final)
        self.stores[store].words.setdefault(copy, {})[word] = found

    def is_stuck(self, store: Store, copy: Copy, word: Word, partial: bool) -> bool:
        """Whether a word lies in the cell of the fault: at its coordinates modulo the spans."""
        fault = self.fault
        if not isinstance(fault, Stuck) or (fault.keep, fault.tensor, fault.copy, fault.partial) != (*store, copy, partial):
            return False
        cell = 0
        for at, span in zip(word, self.spans[store], strict=True):
            cell = cell * span + at % span
        return cell == fault.cell

    def forced(self, found: Any, number_type: NumberType) -> Any:
        """A word with the bits of the fault as they are stuck."""
        fault: Any = self.fault
        stuck = [fault.bit + each for each in range(min(fault.bits, int(number_type.bits)))]
        if fault.one:
            return changed(found, number_type, lambda raw: raw | sum(1 << bit for bit in stuck))
        return changed(found, number_type, lambda raw: sum(1 << bit for bit in range(64) if raw >> bit & 1 and bit not in stuck))

    def strike(self, fault: Fault) -> None:
        """The upset."""
        here = self.stores.get((fault.keep, fault.tensor))
        if here is None:
            return
        tensor = self.cascade.tensors[fault.tensor]
        held = (here.sums if fault.partial else here.words).get(fault.copy, {})
        word = tuple(int(at) for at in np.unravel_index(fault.word, tensor.shape)) if tensor.shape else ()
        if word in held:
            held[word] = invert(held[word], tensor.partial if fault.partial else tensor.final, fault.bit, fault.bits)

    def inner(self, nest: Nest, where: Where) -> dict[Word, Any]:
        """Where the sums of a point lie: the innermost keep, or the home if copies keep parts (in types where order does not matter)."""
        chain = self.chain(nest, nest.einsum.output.tensor)
        store = chain[0][0] if self.parted(nest) else chain[-1][0]
        here = self.stores[store]
        return here.sums.setdefault(here.copy(where), {})

    def term(self, nest: Nest, where: Where, point: tuple[int, ...]) -> Any:
        partial = self.cascade.tensors[nest.einsum.output.tensor].partial
        known = {**self.cascade.sizes, **dict(zip(nest.einsum.ranks, point, strict=True))}

        def read(access: Access) -> Any:
            tensor, word = self.cascade.tensors[access.tensor], self.word(nest, access, point)
            if word in self.constants[access.tensor]:
                return self.constants[access.tensor][word]
            store, _ = self.chain(nest, access.tensor)[-1]
            words = self.stores[store].words.get(self.stores[store].copy(where), {})
            if word in words:
                found = self.read_from(nest, access, self.stores[store].copy(where), point, words[word])
                self.taken.setdefault((access.tensor, word), []).append(found)
                return found
            if tensor.fill == float("-inf"):
                return np.float64(partial.lowest)
            fill = 0 if tensor.fill is None else tensor.fill
            return np.int64(fill) if tensor.final.kind == "integer" and float(fill).is_integer() else np.float64(fill)

        return self.operators.rounded(self.operators.value(nest.einsum.expression, known, read, partial), partial)

    def add(self, nest: Nest, where: Where, word: Word, terms: dict[tuple[int, ...], Any]) -> None:
        """The terms of one step go into a sum, those of copies added up on the way where axes do so."""
        levels = self.parts[nest.einsum.name]
        for place in range(len(levels) - 1, -1, -1):
            loop = nest.nodes[levels[place]][1]
            assert isinstance(loop, Spatial)
            axis = self.architecture.axes[loop.axis][1]
            if nest.einsum.reduce not in axis.reduces or self.parted(nest):
                continue
            rows: dict[tuple[int, ...], dict[int, Any]] = {}
            for digits, term in terms.items():
                rows.setdefault((*digits[:place], -1, *digits[place + 1 :]), {})[digits[place]] = term
            terms = {}
            for digits, row in rows.items():
                parts = [row.get(at, self.operators.identity(nest.einsum, True)) for at in range(max(row) + 1)]
                while len(parts) > 1:
                    if axis.forwards:
                        parts = [self.operators.combine(nest.einsum, parts[0], parts[1]), *parts[2:]]
                    else:
                        pairs = [self.operators.combine(nest.einsum, parts[at], parts[at + 1]) for at in range(0, len(parts) - 1, 2)]
                        parts = [*pairs, parts[-1]] if len(parts) % 2 else pairs
                terms[digits] = parts[0]
        sums = self.inner(nest, where)
        for digits in sorted(terms):
            sums[word] = self.operators.combine(nest.einsum, sums.get(word, self.operators.identity(nest.einsum, True)), terms[digits])

    def complete(self, nest: Nest, where: Where, word: Word, found: Any) -> None:
        """A word is complete: it goes to its home and to the keeps on the way that hold no parts."""
        name = nest.einsum.output.tensor
        found = self.operators.rounded(found, self.cascade.tensors[name].final)
        outside = min(self.parts[nest.einsum.name], default=len(nest.nodes))
        chain, fault, on_way = self.chain(nest, name), self.fault, found
        for place, (store, level) in reversed([*enumerate(chain)]):
            if place == 0 or level < outside:
                copy = self.stores[store].copy(where)
                at = (RESULT, nest.einsum.name, *store, copy, self.flat(name, word), self.step)
                if isinstance(fault, Transit) and at == (
                    fault.kind, fault.einsum, fault.keep, fault.tensor, fault.copy, fault.word, fault.step
                ):  # fmt: skip
                    on_way = invert(found, self.cascade.tensors[name].final, fault.bit, fault.bits)
                self.put(store, copy, word, on_way)
        self.made[name][word] = found
        self.home_of[name, word] = self.stores[chain[0][0]].copy(where)
        self.missing[name].discard(word)

    def found(self) -> Values:
        """What there is at the end."""
        values: Values = {}
        for name, made in self.made.items():
            values[name] = dict(made)
            if self.cascade.tensors[name].is_output:
                home = self.stores.get(((), name))
                for word in made:
                    assert home is not None
                    values[name][word] = home.words[self.home_of[name, word]][word]
        return values


def _names(expression: Expression, rank: str) -> bool:
    """Whether an index names a rank."""
    if isinstance(expression, Call):
        return any(_names(part, rank) for part in expression.arguments)
    return isinstance(expression, Name) and expression.name == rank


def _visited(nest: Nest, tiles: dict[Where, Tile]) -> bool:
    """Whether any copy has a point to compute."""
    return any(nest.satisfied(point) for tile in tiles.values() for point in nest.points(tile))


def _below(nest: Nest, branch: Address, nodes: tuple[TreeNode, ...]) -> bool:
    """Whether a leaf stands in a branch of a fuse: at its end, or below nodes of it."""
    alone = len(nodes) == 1 and isinstance(nodes[0], Leaf) and nodes[0].einsum == nest.leaf.einsum
    return alone or any(len(here) > len(branch) and here[: len(branch)] == branch for here, _ in nest.nodes)


def _pieces(step: Step | None, node: For | Spatial, tile: Tile) -> list[Tile]:
    """The tiles of the turns (or copies) of a loop."""
    return (step or Step(node.rank, node.tile, None, "own")).pieces(tile)
