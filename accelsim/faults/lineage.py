"""Where every word of a mapped cascade comes from: a mapping walked once, tile by tile, with what each copy of each memory holds.

Logical time counts *steps*: one turn of the loops in time, of the points of an innermost tile too, while all copies work side by side. In a
step words arrive first, then units read and add. A tile that a condition empties takes no step. When a turn gives a keep its next tile,
words that it does not touch go and words that are there further out come; what is read and not held is fetched in that step. A word that
is complete goes at once to its home and to the keeps on the way there, and may be read from the next step on. A sum that is not complete
lies in the innermost keep whose tile has the word. Source: docs/faults-mapped.md; the twin is `reference_mapped`.
"""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from accelsim.errors import InputError
from accelsim.faults.executed import Flow, Visit, keys_of, reduced_levels
from accelsim.faults.stores import NONE, IntArray, Residencies, Store
from accelsim.mapping.tree import Address, For, Fuse, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.sim.arithmetic import plain
from accelsim.sim.tiles import Tile, turned, whole_span
from accelsim.sim.turns import ONCE, OWN, RECOMPUTED, REPEATED, RETAINED, Branch, Demands, branches, ranks_of, touched_at
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access


class Lineage:
    """A mapping walked: `stays`, the `flows` of all Einsums, the `stores` by number, `visits` in order, and how many `steps` there are."""

    def __init__(self, cascade: Cascade, mapping: Mapping) -> None:
        self.cascade, self.branches = cascade, branches(cascade, mapping)
        self.demands = Demands(cascade, self.branches)
        self.stays, self.steps = Residencies(), 0
        self.stores: list[Store] = []
        self.visits: list[Visit] = []
        self.chain: dict[tuple[int, str], list[tuple[int, Store]]] = {}
        self.keys = {branch.number: keys_of(branch) for branch in self.branches}
        self.flows = {branch.number: Flow(branch, reduced_levels(cascade, branch)) for branch in self.branches}
        self.values = {name: math.prod(tensor.shape) for name, tensor in cascade.tensors.items()}
        self.there = {name: np.ones(size, dtype=bool) for name, size in self.values.items()}
        self.fixed = {name: self._first_slices(name) for name in self.values}
        self.expected: dict[int, IntArray] = {}
        self.ran: set[tuple[int, tuple[tuple[int, int], ...]]] = set()
        self._refuse()
        for branch in self.branches:
            for name in dict.fromkeys(access.tensor for access in (*branch.einsum.reads, branch.einsum.output)):
                self._chain(branch, name)
            self._written(branch)
        tiles = [Tile(branch, {rank: whole_span(extent) for rank, extent in cascade.extents.items()}) for branch in self.branches]
        self._nodes(mapping.nodes, 0, 0, (), [tile for tile in tiles if self._visited(tile)])
        self._close()

    def _refuse(self) -> None:
        for branch in self.branches:
            einsum, name = branch.einsum, branch.einsum.name
            if einsum.condition_reads or einsum.chosen:
                raise InputError(f"values decide what {name} reads", "use a condition and indices of ranks alone", einsum.place)
            spread = {step.loop.rank for step in branch.steps.values() if step.how == REPEATED and isinstance(step.loop, Spatial)}
            turned = {step.loop.rank for step in branch.steps.values() if step.how in {RETAINED, RECOMPUTED}}
            for rank in spread & turned:
                raise InputError(f"copies and turns over {rank} both make {name} again", "leave one of the loops out", branch.leaf.place)
            for _, node in branch.nodes:
                if isinstance(node, Keep):
                    streamed = [held.tensor for held in node.held if held.fraction != 1]
                    if streamed:
                        raise InputError(f"a part of {streamed[0]} streams through {node.memory}", "keep whole tiles", node.place)

    def _chain(self, branch: Branch, name: str) -> None:
        """The stores of a tensor on the way to a leaf, outermost first."""
        tensor, found = self.cascade.tensors[name], []
        branch.home(name)
        parent: Store | None = None
        for place, level in enumerate(branch.keepers(name)):
            address, node = branch.nodes[level]
            assert isinstance(node, Keep)
            where: Address = () if place == 0 and not tensor.is_input else address
            store = next((each for each in self.stores if each.address == where and each.tensor == name), None)
            if store is None:
                keys = tuple(sorted(key for at, key in self.keys[branch.number].items() if at < level))
                sizes = tuple(self.cascade.extents[rank] + 1 for _, rank, _ in keys)
                store = Store(name, node.memory, where, keys, sizes, self.values[name], parent, tensor.is_input and parent is None)
                store.number = len(self.stores)
                store.spans = tuple(1 if where else size for size in tensor.shape or (1,))
                self.stores.append(store)
                if parent is not None:
                    parent.children.append(store)
            found.append((level, store))
            parent = store
        self.chain[branch.number, name] = found

    def _first_slices(self, name: str) -> Any:
        """Which words of a tensor are constants, bool, flat."""
        tensor = self.cascade.tensors[name]
        found = np.zeros(tensor.shape, dtype=bool)
        if tensor.iterative is not None:
            found[(slice(None),) * tensor.iterative + (slice(0, tensor.constant_slices),)] = True
        return found.reshape(-1)

    def _written(self, branch: Branch) -> None:
        """How many points each word of a result has; it is not there yet, but if a condition leaves a sum no point it is a constant."""
        einsum, extents = branch.einsum, self.cascade.extents
        name, shape = einsum.output.tensor, [extents[rank] for rank in einsum.ranks]
        known = dict(zip(einsum.ranks, np.ix_(*map(np.arange, shape)), strict=True))
        flat, inside = (np.broadcast_to(each, shape) for each in self._places(einsum.output, known)[:2])
        here = inside
        if einsum.condition is not None:
            here = inside & np.asarray(plain(einsum.condition, {**self.cascade.sizes, **known}), dtype=bool)
        self.expected[branch.number] = np.bincount(flat[here], minlength=self.words_of(name))
        self.there[name][flat[here]] = False
        if einsum.reduced:
            words = np.unique(flat[inside])
            self.fixed[name][words[self.expected[branch.number][words] == 0]] = True

    def _close(self) -> None:
        """The end of the run."""
        for store in self.stores:
            for row in range(len(store.copies)):
                self.stays.release(store, row, np.nonzero(store.since[row] >= 0)[0], self.steps)

    # The walk, as in `sim.values`; a leaf's own loops turn one by one.

    def _nodes(self, nodes: tuple[TreeNode, ...], at: int, level: int, above: Address, tiles: list[Tile]) -> None:
        if not tiles:
            return
        node, address = nodes[at], (*above, at)
        if isinstance(node, Leaf):
            if self._runs(tiles[0]):
                self._inside(tiles[0], level)
        elif isinstance(node, Fuse):
            for number, inner in enumerate(node.branches):
                into = (*address, number)
                self._nodes(inner, 0, level + 1, into, [tile for tile in tiles if tile.branch.address[: len(into)] == into])
        else:
            for inside in self._turns(node, level, tiles):
                self._nodes(nodes, at + 1, level + 1, above, inside)

    def _inside(self, tile: Tile, level: int) -> None:
        """The own loops of a leaf."""
        if level == len(tile.branch.nodes):
            self._visit(tile)
            return
        node = tile.branch.nodes[level][1]
        assert isinstance(node, (Keep, For, Spatial))
        for inside in self._turns(node, level, [tile]):
            for inner in inside:
                self._inside(inner, level + 1)

    def _turns(self, node: Keep | For | Spatial, level: int, tiles: list[Tile]) -> Any:
        """The tiles of each turn of a node."""
        if isinstance(node, Keep):
            self._arrive(level, tiles)
            yield tiles
        elif isinstance(node, Spatial):
            yield [replace(tile, spans={**tile.spans, node.rank: tile.spans[node.rank].spread(level, node.tile)}) for tile in tiles]
        else:
            made: dict[tuple[int, str], int] = {}
            for turn in range(max(tile.spans[node.rank].turns(node.tile) for tile in tiles)):
                inside = [turned(tile, level, node, turn, made, self.demands) for tile in tiles]
                yield [tile for tile in inside if tile is not None and self._goes_on(tile, level)]

    def _goes_on(self, tile: Tile, level: int) -> bool:
        """Whether a tile is walked after a turn: a loop that is nothing to an Einsum takes no step from it."""
        return tile.branch.steps[level].how == ONCE or self._visited(tile)

    def _visited(self, tile: Tile) -> bool:
        """Whether a tile has a point that its condition leaves."""
        einsum = tile.branch.einsum
        if einsum.condition is None:
            return True
        known = dict(zip(einsum.ranks, np.ix_(*(tile.spans[rank].at for rank in einsum.ranks)), strict=True))
        return bool(np.any(plain(einsum.condition, {**self.cascade.sizes, **known})))

    def _runs(self, tile: Tile) -> bool:
        """Whether an Einsum runs now: one that a loop above is nothing to runs once, as soon as all that it reads is there."""
        if not tile.idle:
            return True
        key = (tile.branch.number, tuple(sorted(tile.turns.items())))
        if key in self.ran or not (tile.last or self._ready(tile)):
            return False
        self.ran.add(key)
        return True

    def _ready(self, tile: Tile) -> bool:
        einsum = tile.branch.einsum
        known = dict(zip(einsum.ranks, np.ix_(*(tile.spans[rank].at for rank in einsum.ranks)), strict=True))
        shape = [len(tile.spans[rank]) for rank in einsum.ranks]
        here = np.ones(shape, dtype=bool)
        if einsum.condition is not None:
            here = here & np.asarray(plain(einsum.condition, {**self.cascade.sizes, **known}), dtype=bool)
        for read in einsum.reads:
            flat, inside, constant = self._places(read, known)
            lacks = inside & ~constant & ~self.there[read.tensor][flat]
            if np.any(lacks & here):
                return False
        return True

    # Tiles of keeps.

    def _arrive(self, level: int, tiles: list[Tile]) -> None:
        boxes: dict[tuple[int, int], list[IntArray]] = {}
        results: dict[tuple[int, int], list[IntArray]] = {}
        for tile in tiles:
            branch = tile.branch
            for access in (*branch.einsum.reads, branch.einsum.output):
                store = dict(self.chain[branch.number, access.tensor]).get(level)
                if store is None or not store.address:
                    continue
                for number, at in self._copies(tile, level, store):
                    box, row = self._box(access, at), store.row(number)
                    boxes.setdefault((store.number, row), []).append(box)
                    if access is branch.einsum.output:
                        results.setdefault((store.number, row), []).append(box)
        for (number, row), found in boxes.items():
            store, box = self.stores[number], np.unique(np.concatenate(found))
            self._reach(store, box)
            self.stays.arrive(store, row, box, self.steps)
        for (number, row), found in results.items():
            self.stays.hold(self.stores[number], row, np.unique(np.concatenate(found)), self.steps)

    def _reach(self, store: Store, box: IntArray) -> None:
        """Notes how far a tile reaches along each dimension."""
        at = np.unravel_index(box, self.cascade.tensors[store.tensor].shape or (1,)) if box.size else ()
        here = [int(each.max() - each.min()) + 1 for each in at] or [1] * len(store.spans)
        store.spans = tuple(map(max, store.spans, here))

    def _spread(self, tile: Tile, rank: str, level: int) -> list[tuple[dict[int, int], IntArray]]:
        """The copies along the spatial loops over a rank above a level: their indices by level, and the coordinates of each."""
        span, steps = tile.spans[rank], tile.branch.steps
        copies = [(at, copy) for at, copy in span.copies if at < level and steps[at].how in {OWN, REPEATED}]
        if not copies:
            return [({}, span.at)]
        found, inverse = np.unique(np.stack([copy for _, copy in copies]), axis=1, return_inverse=True)
        inverse = inverse.reshape(-1)
        return [
            ({at: int(index) for (at, _), index in zip(copies, found[:, number], strict=True)}, span.at[inverse == number])
            for number in range(found.shape[1])
        ]

    def _copies(self, tile: Tile, level: int, store: Store) -> Any:
        """The copies of a keep at a level: number and coordinates of every rank."""
        keys, weights = self.keys[tile.branch.number], store.weights
        ranks = list(tile.spans)
        for chosen in product(*(self._spread(tile, rank, level) for rank in ranks)):
            number = sum(weights.get(keys[at], 0) * index for indices, _ in chosen for at, index in indices.items())
            yield number, dict(zip(ranks, (at for _, at in chosen), strict=True))

    def _box(self, access: Access, at: dict[str, IntArray]) -> IntArray:
        """The words that an access touches: every combination of coordinates inside, constants left out."""
        tensor, flat = self.cascade.tensors[access.tensor], np.zeros(1, dtype=np.int64)
        for dimension, (index, size) in enumerate(zip(access.indices, tensor.shape, strict=True)):
            low = tensor.constant_slices if tensor.iterative == dimension else 0
            touched = np.unique(touched_at(self.cascade, index, {rank: at[rank] for rank in ranks_of(self.cascade, index)}))
            touched = touched[(touched >= low) & (touched < size)].astype(np.int64)
            flat = (flat[:, None] * size + touched).reshape(-1)
        return flat

    # Points.

    def _visit(self, tile: Tile) -> None:
        """An innermost tile: its points in order, those of all copies of one place in one step."""
        branch, flow = tile.branch, self.flows[tile.branch.number]
        ranks = branch.einsum.ranks
        shape = [len(tile.spans[rank]) for rank in ranks]
        lengths = [tile.spans[rank].length for rank in ranks]

        def along(rank: str, values: Any) -> IntArray:
            return np.broadcast_to(values.reshape([-1 if each == rank else 1 for each in ranks]), shape).reshape(-1)

        points = {rank: along(rank, tile.spans[rank].at) for rank in ranks}
        step = np.zeros(math.prod(shape), dtype=np.int64)
        for rank, length in zip(ranks, lengths, strict=True):
            step = step * length + along(rank, tile.spans[rank].place)
        index = {at: along(rank, copy) for rank in ranks for at, copy in tile.spans[rank].copies}
        others = [rank for rank in tile.spans if rank not in ranks]
        again = [[indices for indices, _ in self._spread(tile, rank, len(branch.nodes))] for rank in others]
        times = step + self.steps
        order = np.argsort(times, kind="stable")
        cuts = np.nonzero(np.diff(times[order]))[0] + 1
        for part in np.split(order, cuts if flow.serial else cuts[:0]):
            for fixed in product(*again):
                copies: dict[int, Any] = {at: each[part] for at, each in index.items()}
                for indices in fixed:
                    copies |= indices
                self._points(flow, {rank: each[part] for rank, each in points.items()}, times[part], copies)
        self.visits.append(Visit(branch, tile.turns, self.steps, math.prod(lengths)))
        self.steps += math.prod(lengths)

    def _rows(self, flow: Flow, store: Store, level: int, copies: dict[int, Any], count: int) -> IntArray:
        keys, weights = self.keys[flow.branch.number], store.weights
        number = np.zeros(count, dtype=np.int64)
        for at, index in copies.items():
            if at < level and flow.branch.steps[at].how in {OWN, REPEATED}:
                number = number + weights.get(keys[at], 0) * index
        return store.rows_of(number)

    def _places(self, access: Access, known: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Flat words of an access (clipped), which lie inside, and which are constants."""
        tensor = self.cascade.tensors[access.tensor]
        flat: Any = np.zeros((), dtype=np.int64)
        inside: Any = np.True_
        for index, size in zip(access.indices, tensor.shape, strict=True):
            at = np.asarray(plain(index, {**self.cascade.sizes, **known})).astype(np.int64)
            inside = inside & (at >= 0) & (at < size)
            flat = flat * size + np.clip(at, 0, size - 1)
        return flat, inside, self.fixed[access.tensor][flat] if self.fixed[access.tensor].size else np.False_

    def _points(self, flow: Flow, points: dict[str, IntArray], times: IntArray, copies: dict[int, Any]) -> None:
        branch, einsum = flow.branch, flow.branch.einsum
        count = len(times)
        here = np.ones(count, dtype=bool)
        if einsum.condition is not None:
            here = np.broadcast_to(np.asarray(plain(einsum.condition, {**self.cascade.sizes, **points}), dtype=bool), count)
        flat, inside, _ = self._places(einsum.output, points)
        words, inside = np.broadcast_to(flat, count), np.broadcast_to(inside, count)
        chain = self.chain[branch.number, einsum.output.tensor]
        rows = [self._rows(flow, store, level, copies, count) for level, store in chain]
        made = self._begin(flow, rows, words, inside, here)
        live = here & (made >= 0)
        reads: list[IntArray] = []
        for read in einsum.reads:
            at, within, constant = (np.broadcast_to(each, count) for each in self._places(read, points))
            stay, root = np.full(count, NONE, dtype=np.int64), np.full(count, NONE, dtype=np.int64)
            fixed = live & within & constant
            root[fixed] = at[fixed]
            kept = live & within & ~constant
            level, store = self.chain[branch.number, read.tensor][-1]
            if kept.any():
                stay[kept] = self.stays.fetch(store, self._rows(flow, store, level, copies, count)[kept], at[kept], times[kept])
            reads += [stay[live], root[live]]
        digits = [np.broadcast_to(np.asarray(copies.get(level, 0), dtype=np.int64), count)[live] for level in flow.levels]
        flow.chunks.append((*(points[rank][live] for rank in einsum.ranks), times[live], made[live], *digits, *reads))
        self._complete(flow, chain, rows, words, times, made)

    def _begin(self, flow: Flow, rows: list[IntArray], words: IntArray, inside: Any, here: Any) -> IntArray:
        """The number of the word that each point goes into; new ones where none is open."""
        name = flow.branch.einsum.output.tensor
        made = np.full(len(words), NONE, dtype=np.int64)
        wanted = inside & here
        for row in np.unique(rows[0]):
            if row not in flow.open:
                flow.open[row] = np.full(self.words_of(name), NONE, dtype=np.int64)
                flow.left[row] = np.zeros(self.words_of(name), dtype=np.int64)
            mine = np.nonzero(wanted & (rows[0] == row))[0]
            fresh, first = np.unique(words[mine], return_index=True)
            new = flow.left[row][fresh] == 0
            fresh, first = fresh[new], mine[first[new]]
            flow.open[row][fresh] = np.arange(self.values[name], self.values[name] + len(fresh))
            flow.left[row][fresh] = self.expected[flow.branch.number][fresh]
            self.values[name] += len(fresh)
            flow.made.append((flow.open[row][fresh], fresh, *(each[first] for each in rows)))
            made[mine] = flow.open[row][words[mine]]
        return made

    def words_of(self, name: str) -> int:
        """Words of a tensor."""
        return math.prod(self.cascade.tensors[name].shape)

    def _complete(
        self, flow: Flow, chain: list[tuple[int, Store]], rows: list[IntArray], words: IntArray, times: IntArray, made: IntArray
    ) -> None:
        """Words that lack no point any longer are there from the next step on."""
        name = flow.branch.einsum.output.tensor
        kept = np.nonzero(made >= 0)[0]
        if not kept.size:
            return
        kept = kept[np.lexsort((times[kept], made[kept]))]
        last = np.append(made[kept][1:] != made[kept][:-1], True)
        counts = np.diff(np.append(-1, np.nonzero(last)[0]))
        final = kept[last]
        done = np.zeros(len(final), dtype=bool)
        for row in np.unique(rows[0][final]):
            mine = rows[0][final] == row
            flow.left[row][words[final[mine]]] -= counts[mine]
            done[mine] = flow.left[row][words[final[mine]]] == 0
        final = final[done]
        if not final.size:
            return
        flow.done.append((made[final], times[final]))
        self.there[name][words[final]] = True
        outside = min(flow.levels, default=len(flow.branch.nodes))
        parents: Any = NONE
        for place, (level, store) in enumerate(chain):
            if place == 0 or level < outside:
                roots = made[final] if place == 0 else NONE
                parents = self.stays.begin(store, rows[place][final], words[final], roots, times[final] + 1, parents, 1)
