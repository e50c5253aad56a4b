"""Better tiles for a mapping: one loop at a time makes fewer or more trips, whether or not its tile divides, and where a memory is then
too full another loop's tiles shrink until they fit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from accelsim.errors import IllegalMapping, InputError
from accelsim.mapper import effort
from accelsim.mapper.objectives import Key, Objective, key
from accelsim.mapper.scope import Scope
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Loop, Mapping, Spatial, TreeNode
from accelsim.model.evaluation import Evaluation, Evaluator

MOST = 1000  # evaluations, or their like in time
Tiles = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Site:
    """A loop of a tree, and the numbers of loops of its rank around it (-1: none) and directly inside it; `copies`: 1 for one in time."""

    rank: str
    around: int
    inside: tuple[int, ...]
    copies: int


class Retiling:
    """Searches, each from one mapping; `spent` counts evaluations, or their like in time, `evaluated` mappings. `most`: for each search."""

    def __init__(self, scope: Scope, objective: Objective, most: int = MOST) -> None:
        self.scope, self.objective, self.most = scope, objective, most
        self.over: Callable[[], bool] = lambda: False  # whether to make do with what was found
        self.spent = self.evaluated = self.enough = 0

    def run(self, start: Evaluation) -> Evaluation:
        """The best that steps lead to: from the mapping, from tiles that fill memories with one rank first, from other orders of loops."""
        self.enough = self.spent + self.most
        best = first = _Tiling(self, start.evaluator, start.mapping.nodes, start).descended(True)
        for nodes in (start.mapping.nodes, *_orders(start.mapping.nodes, self.scope)):
            tiling = _Tiling(self, start.evaluator, nodes, start)
            for number in range(len(tiling.sites)):
                if not self.is_out() and tiling.fill(number):
                    best = min(best, tiling.descended(False), key=self._key)
        if best is first:
            return best
        return min(best, _Tiling(self, start.evaluator, best.mapping.nodes, best).descended(True), key=self._key)

    def is_out(self) -> bool:
        """Whether to make do with what was found."""
        return self.spent >= self.enough or self.over()

    def _key(self, evaluation: Evaluation) -> Key:
        return key(self.objective, evaluation)

    def evaluate(self, evaluator: Evaluator, mapping: Mapping) -> Evaluation | None:
        """A mapping evaluated, None if it is not legal or takes too long to count."""
        listed = effort.tiles(self.scope, ((leaf.einsum, nodes) for nodes, leaf in mapping.paths()))
        self.evaluated += 1
        self.spent += 1
        if listed > effort.MOST_TILES:
            return None
        self.spent += effort.evaluations(listed) - 1
        try:
            return evaluator.evaluate(mapping)
        except (IllegalMapping, InputError):
            return None


class _Tiling:
    """The tiles of one tree as a vector, in the order in which its loops are written; a tile of the size around it makes no loop."""

    def __init__(self, search: Retiling, evaluator: Evaluator, nodes: tuple[TreeNode, ...], start: Evaluation) -> None:
        self.search, self.evaluator, self.objective = search, evaluator, search.objective
        self.mapping = replace(start.mapping, nodes=nodes)
        loops = list(_loops(nodes, {}))
        inside: list[list[int]] = [[] for _ in loops]
        for number, (_, around) in enumerate(loops):
            if around >= 0:
                inside[around].append(number)
        axes = search.scope.architecture.axes
        self.sites = [
            _Site(loop.rank, around, tuple(inside[number]), axes[loop.axis][1].size if isinstance(loop, Spatial) else 1)
            for number, (loop, around) in enumerate(loops)
        ]
        self.best, self.tiles = start, tuple(loop.tile for loop, _ in loops)
        self.seen: dict[Tiles, Evaluation | None] = {}

    def descended(self, more: bool) -> Evaluation:
        """Each step is the first found that is better, and the next begins with the same loop; `more`: of three loops as well, once no step
        of two is left."""
        first, idle, count = 0, 0, len(self.sites)
        while idle < count * (1 + more) and not self.search.is_out():
            number = (first + idle) % count
            if any(self._is_better(tiles) for tiles in self._around(number, more=idle >= count)):
                first, idle = number, 0
            else:
                idle += 1
        return self.best

    def fill(self, number: int) -> bool:
        """Start from the least tiles, then one loop's made as large as fits, and then each other's in time; False if not even these fit."""
        tiles = self.tiles
        for each in reversed(range(len(tiles))):
            tiles = _set(tiles, each, min(self._sizes(each, tiles), default=tiles[each]))
        for each in (number, *(other for other in range(len(tiles)) if other != number)):
            if self.sites[each].copies > 1:
                continue
            sizes = [size for size in self._sizes(each, tiles) if size >= tiles[each]]
            tiles = _set(tiles, each, self._largest(tiles, each, sizes) or tiles[each])
        found = self._evaluated(tiles)
        if found is not None:
            self.best, self.tiles = found, tiles
        return found is not None

    def _is_better(self, tiles: Tiles) -> bool:
        found = self._evaluated(tiles)
        if found is None or key(self.objective, found)[:3] >= key(self.objective, self.best)[:3]:
            return False
        self.best, self.tiles = found, tiles
        return True

    def _evaluated(self, tiles: Tiles) -> Evaluation | None:
        """The evaluation of the mapping with these tiles, None if it is not legal."""
        if tiles not in self.seen:
            numbers = iter(range(len(tiles)))
            nodes = _with(self.mapping.nodes, tiles, numbers, dict(self.evaluator.cascade.extents))
            self.seen[tiles] = self.search.evaluate(self.evaluator, replace(self.mapping, nodes=nodes))
        return self.seen[tiles]

    def _around(self, number: int, more: bool) -> Iterator[Tiles]:
        """Tiles that differ in one loop, and where that alone does not fit in another; `more`: and in a third that makes more trips."""
        tiles = self.tiles
        others = [other for other in range(len(self.sites)) if other != number]
        if not more:
            yield from self._grown(tiles, number, others)
            return
        for shrunk in others:
            for tile in self._steps(shrunk):
                if tile < tiles[shrunk] and not self.search.is_out():
                    changed = _set(tiles, shrunk, tile)
                    larger = [size for size in self._sizes(number, changed) if size > tiles[number]]
                    if fits := self._largest(changed, number, larger):
                        yield _set(changed, number, fits)
                    yield from self._grown(changed, number, [other for other in others if other != shrunk])

    def _grown(self, tiles: Tiles, number: int, others: list[int]) -> Iterator[Tiles]:
        """Tiles that differ from these in one loop, or in another as well where that alone does not fit."""
        for tile in self._steps(number):
            if self.search.is_out():
                return
            changed = _set(tiles, number, tile)
            yield changed
            if tile > tiles[number] and self._evaluated(changed) is None:
                for other in others:
                    yield from self._fitting(changed, other)

    def _steps(self, number: int) -> list[int]:
        """Other tiles of a loop: those a little larger or smaller, and others ever further away."""
        tile = self.tiles[number]
        sizes = self._sizes(number, self.tiles)
        above = [size for size in sizes if size > tile]
        below = [size for size in reversed(sizes) if size < tile]
        return [size for pair in zip_longest(_further(above), _further(below)) for size in pair if size is not None]

    def _sizes(self, number: int, tiles: Tiles) -> list[int]:
        """The least tile for each number of trips of a loop in its place, least first; the largest makes one trip."""
        site = self.sites[number]
        around = self.evaluator.cascade.extents[site.rank] if site.around < 0 else tiles[site.around]
        inside = max((-(-around // site.copies) if site.copies > 1 else 1, *(tiles[inner] for inner in site.inside)))
        root = math.isqrt(around)
        few = {-(-around // trips) for trips in range(1, root + 2)}
        return sorted(size for size in {*few, *range(1, root + 1)} if inside <= size <= around)

    def _fitting(self, tiles: Tiles, other: int) -> Iterator[Tiles]:
        """The same with the largest smaller tile of another loop that fits, if any does."""
        tile = self._largest(tiles, other, [size for size in self._sizes(other, tiles) if size < tiles[other]])
        if tile:
            yield _set(tiles, other, tile)

    def _largest(self, tiles: Tiles, number: int, sizes: list[int]) -> int:
        """The largest of some tiles of a loop, given in order, that is legal; 0 if none is."""
        low, high = 0, len(sizes)  # sizes below low fit, those from high on do not
        while low < high:
            middle = (low + high) // 2
            if self.search.is_out():
                return 0
            if self._evaluated(_set(tiles, number, sizes[middle])) is None:
                high = middle
            else:
                low = middle + 1
        return sizes[low - 1] if low else 0


def _set(tiles: Tiles, number: int, tile: int) -> Tiles:
    return (*tiles[:number], tile, *tiles[number + 1 :])


def _orders(nodes: tuple[TreeNode, ...], scope: Scope) -> Iterator[tuple[TreeNode, ...]]:
    """Trees in which the loops in time directly above a keep of a single Einsum are all of its ranks', each rank the innermost in turn."""
    last = nodes[-1]
    if not isinstance(last, Leaf):
        return
    ranks = scope.facts.einsums[last.einsum].ranks
    path = (*(node for node in nodes if not isinstance(node, (Leaf, Fuse))), *last.loops)
    for at, node in enumerate(path):
        start = at
        while start and isinstance(path[start - 1], For):
            start -= 1
        if not isinstance(node, Keep) or node.memory == scope.root:
            continue
        loops = {loop.rank: loop for loop in path[start:at] if isinstance(loop, For)}
        left = dict(scope.cascade.extents)
        left.update((loop.rank, loop.tile) for loop in path[:start] if isinstance(loop, (For, Spatial)))
        block = [loops.get(rank) or For(rank, left[rank]) for rank in (*(rank for rank in ranks if rank not in loops), *loops)]
        for loop in block:
            others = [other for other in block if other is not loop]
            yield _tree(nodes, (*path[:start], *others, loop, *path[at:]))


def _tree(nodes: tuple[TreeNode, ...], path: Sequence[Loop]) -> tuple[TreeNode, ...]:
    """A tree of one Einsum with other nodes above it, all as its own loops but for the first."""
    leaf = nodes[-1]
    assert isinstance(leaf, Leaf)
    return (path[0], replace(leaf, loops=tuple(path[1:])))


def _further(sizes: list[int]) -> list[int]:
    """The first size, the second, the fourth, the eighth and so on."""
    return [sizes[at] for at in (0, 1, 3, 7, 15, 31) if at < len(sizes)]


def _loops(nodes: tuple[TreeNode, ...], around: dict[str, int], count: list[int] | None = None) -> Iterator[tuple[For | Spatial, int]]:
    """Every loop of a tree in order, with the number of the loop of its rank around it, -1 if there is none."""
    count = [0] if count is None else count
    for node in nodes:
        if isinstance(node, (For, Spatial)):
            yield node, around.get(node.rank, -1)
            around[node.rank] = count[0]
            count[0] += 1
        elif isinstance(node, Fuse):
            for branch in node.branches:
                yield from _loops(branch, dict(around), count)
        elif isinstance(node, Leaf):
            yield from _loops(node.loops, around, count)


def _with(nodes: tuple[TreeNode, ...], tiles: Tiles, numbers: Iterator[int], left: dict[str, int]) -> tuple[TreeNode, ...]:
    """The tree with other tiles, without loops that make one trip."""
    found: list[TreeNode] = []
    for node in nodes:
        if isinstance(node, (For, Spatial)):
            tile = tiles[next(numbers)]
            if tile < left[node.rank]:
                found.append(replace(node, tile=tile))
            left[node.rank] = min(left[node.rank], tile)
        elif isinstance(node, Fuse):
            found.append(replace(node, branches=tuple(_with(branch, tiles, numbers, dict(left)) for branch in node.branches)))
        elif isinstance(node, Leaf):
            loops = _with(node.loops, tiles, numbers, left)
            found.append(replace(node, loops=tuple(loop for loop in loops if isinstance(loop, (For, Spatial, Keep)))))
        else:
            found.append(node)
    return tuple(found)
