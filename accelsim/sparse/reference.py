"""The walk of a leaf's loop nest over stored elements with Python sets; the twin of `kernels.walk`. Source: docs/sparse.md, "Nests".

It starts from Cascade, Architecture and Mapping and is written to be believed at sight; use it on small shapes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Mapping, Spatial
from accelsim.workload.cascade import Cascade

Tile = dict[str, range]
Elements = frozenset[tuple[int, ...]]


def count(
    cascade: Cascade,
    machine: Architecture,
    mapping: Mapping,
    stored: dict[str, Elements],
    ticks: tuple[int, int] = (1, 1),
    words: dict[str, int] | None = None,
    rooms: dict[str, int] | None = None,
) -> dict[str, Any]:
    """What every Einsum does, by walking the mapping. `stored`: elements of the tensors of which only some are kept.
    `ticks`: how long an issue and a cycle last. `words`: what a word of each tensor takes; `rooms`: what memories can hold of that.

    Returns by Einsum `visits`, `two_finger`, `skip_ahead`, `leading`, `matches` (lists by loop), `points`, `effectual`, `issues`, `merging`
    (by copy), `held` (by memory of `rooms`: the most at once, visits below its keeps, those that are beyond its room),
    `looked` ({(loop, tensor): places of fibers that are looked up and not gone through}),
    `entering`, `grouped` and `known` ({(tensor, parent, child): {copy: words}}; the child of the innermost keeper is ""),
    `elements` of its result; of tiles that come whole, `brought` and `added` words (by copy); `asked` words
    of memories that fetch on demand ({(tensor, memory): words}).
    """
    size = (words or {}, rooms or {})
    found, stored = {}, dict(stored)
    for path, leaf in mapping.paths():
        found[leaf.einsum] = counts = _Leaf(cascade, machine, path, leaf, stored, ticks, *size).run()
        tensor = cascade.tensors[cascade.by_name[leaf.einsum].output.tensor]
        if tensor.storage is not None and not tensor.is_output:
            stored[tensor.name] = frozenset(counts["elements"])
    return found


def computed(
    cascade: Cascade, machine: Architecture, mapping: Mapping, values: dict[str, dict[tuple[int, ...], float]]
) -> dict[tuple[int, ...], float]:
    """What a mapping of one Einsum computes, a sum of products of its operands: every element of the result that is stored.

    `values`: of every operand its stored elements.
    """
    ((path, leaf),) = mapping.paths()
    walk = _Values(cascade, machine, path, leaf, {name: frozenset(each) for name, each in values.items()}, (1, 1), {}, {})
    walk.values, walk.sums = values, {}
    walk.run()
    return walk.sums


class _Leaf:
    def __init__(
        self,
        cascade: Cascade,
        machine: Architecture,
        path: Any,
        leaf: Leaf,
        stored: dict[str, Elements],
        ticks: tuple[int, int],
        words: dict[str, int],
        rooms: dict[str, int],
    ) -> None:
        self.words, self.rooms = words, rooms
        self.buffers = {(held.tensor, node.memory): held.copies for node in path if isinstance(node, Keep) for held in node.held}
        self.einsum, self.machine, self.leaf, self.ticks = cascade.by_name[leaf.einsum], machine, leaf, ticks
        self.extents = {rank: cascade.extents[rank] for rank in self.einsum.ranks}
        self.loops: list[tuple[str, int, str, bool]] = []  # rank, tile, axis, whether stored coordinates only
        self.holding: dict[int, str] = {}  # of loops whose tiles hold so many elements, the tensor
        self.nodes: list[str] = []  # what goes through each loop
        self.keepers: dict[str, list[tuple[str, int]]] = {}
        self.indices = {access.tensor: tuple(self._rank(index) for index in access.indices) for access in self.einsum.reads}
        for node in path:
            if isinstance(node, Keep):
                for tensor in node.tensors:
                    self.keepers.setdefault(tensor, []).append((node.memory, len(self.loops)))
            elif not isinstance(node, Fuse) and node.rank in self.extents:
                mine = [tensor for tensor, ranks in self.indices.items() if node.rank in ranks and tensor in self.keepers]
                inner = [name for name in machine.memories if any(self.keepers[tensor][-1][0] == name for tensor in mine)]
                meets = bool(inner) and machine.memories[inner[-1]].sparse.intersect != ""
                if isinstance(node, For) and node.of:
                    self.holding[len(self.loops)] = node.of
                self.loops.append((node.rank, node.tile, node.axis if isinstance(node, Spatial) else "", meets))
                self.nodes.append(inner[-1] if inner else machine.root.name)
        self.own = len(self.loops)
        # what each tile of a stored tensor holds, by the interval of every rank
        self.known: dict[tuple[str, tuple[range, ...]], Elements] = {}
        self.stored = {name: stored[name] for name in self.indices if name in stored}
        left = self._below(self.own)
        for rank in self.extents:
            if max(len(tile[rank]) for tile in left) > 1 or not any(rank == other for other, _, _, _ in self.loops):
                self.loops.append((rank, 1, "", machine.units[leaf.unit].sparse.intersect != ""))
                self.nodes.append(leaf.unit)
        self.output = self.einsum.output.tensor
        self.indices_out = tuple(self._rank(index) for index in self.einsum.output.indices)
        kept = cascade.tensors[self.output].storage
        self.whole_at = self.keepers[self.output][1][1] if kept is not None and kept.whole_tiles else -1
        self.trips: dict[int, int] = {}

    @staticmethod
    def _rank(index: Any) -> str:
        return str(index.name)

    def held(self, tensor: str, tile: Tile) -> Elements:
        """Stored elements of a tensor in a tile."""
        box = tuple(tile[rank] for rank in self.indices[tensor])
        if (tensor, box) not in self.known:
            if tensor in self.stored:
                found = (element for element in self.stored[tensor] if all(at in side for at, side in zip(element, box, strict=True)))
                self.known[tensor, box] = frozenset(found)
            else:
                self.known[tensor, box] = frozenset(_product(box))
        return self.known[tensor, box]

    def run(self) -> dict[str, Any]:
        depth = len(self.loops)
        self.found: dict[str, Any] = {key: [0] * depth for key in ("visits", "two_finger", "skip_ahead", "leading", "matches")}
        self.by_copy = {key: Counter[tuple[int, ...]]() for key in ("points", "effectual", "issues", "merging")}
        self.requests: list[tuple[str, str, str, int, int, bool]] = []
        for tensor in [*self.indices, self.output]:
            chain = [*self.keepers[tensor], ("", depth)]
            for (parent, above), (child, below) in pairwise(chain):
                self.requests.append((tensor, parent, child, above, below, tensor == self.output))
        self.entering = {request: Counter[tuple[int, ...]]() for request in self.requests}
        self.moved: dict[Any, set[Any]] = {request: set() for request in self.requests}
        self.told: dict[Any, set[Any]] = {request: set() for request in self.requests if request[5]}
        self.last: dict[Any, Any] = {}
        self.runs: dict[Any, set[Any]] = {}
        self.lists: dict[Any, list[tuple[Any, tuple[int, ...]]]] = {}
        self.listed: dict[Any, tuple[Any, int]] = {}
        self.by_copy |= {"brought": Counter(), "added": Counter()}
        self.elements: set[tuple[int, ...]] = set()  # of the result
        self.made: dict[Any, set[Any]] = {}  # words so far of every tile that comes whole
        self.began: dict[Any, Any] = {}  # when every copy was sent its tile
        self.asked: dict[Any, set[Any]] = defaultdict(set)  # of memories that fetch on demand: tiles, by copy and since when it has its own
        self.has: dict[Any, Any] = {}  # the tile that came to each copy last
        self.looked = Counter[tuple[int, str]]()  # by loop and tensor, places that are looked up
        self.tiles: dict[Any, list[Any]] = {}  # by request and copy, its tiles one after the other
        self.came: dict[Any, list[tuple[Any, int]]] = {}  # by copy, the tiles that came whole, each with the words that it had in the end
        self.most = {memory: [0, 0, 0] for memory in self.rooms}
        self.steps = Counter[tuple[str, tuple[int, ...]]]()  # by node and copy
        dealt = [
            level for level, (_, _, axis, _) in enumerate(self.loops)
            if axis and self.machine.axes[axis][1].assign == "dynamic" and self._most(level) > 1
        ]  # fmt: skip
        self.dealt = dealt[0] if dealt else -1
        self.chosen, self.free = 0, dict.fromkeys(range(self._most(self.dealt) if dealt else 0), 0)
        self._visit(0, {rank: range(extent) for rank, extent in self.extents.items()}, ())
        radix = self.machine.units[self.leaf.unit].sparse.merge_radix
        for (copy, _), products in self.lists.items():
            if radix > 1:
                self.by_copy["merging"][copy] += _merged(products, radix)
        crossings = {request[:3]: {copy: n for copy, n in self.entering[request].items() if n} for request in self.requests}
        grouped = {}
        for request in self.requests:
            total = Counter[tuple[int, ...]]()
            for parent, *_, words in self.moved[request]:
                total[parent] += words
            grouped[request[:3]] = dict(total)
        known = {request[:3]: dict(Counter(copy for copy, _ in told)) for request, told in self.told.items()}
        return {
            **self.found, **{key: dict(value) for key, value in self.by_copy.items()},
            "held": self.most, "looked": dict(self.looked), "entering": crossings, "grouped": grouped, "known": known,
            "elements": self.elements, "asked": {key: sum(each[-1] for each in tiles) for key, tiles in self.asked.items()},
        }  # fmt: skip

    def _visit(self, level: int, tile: Tile, turns: tuple[int, ...]) -> int:
        """Visit a tile inside some loops; returns how many points there are."""
        for request in self.requests:
            if request[4] == level and request[2]:
                (self._enter if request[5] else self._arrive)(request, tile, turns)
            elif request[4] == level and not request[5]:
                self._arrive(request, tile, turns)
        if level == len(self.loops):
            self._bring(level, tile, turns)
            self._point(tile, turns)
            if self.own == level:
                self.by_copy["issues"][self._copy(turns, level)] += 1
            self._hold(level, turns)
            return 1
        points = 0
        for turn, inner in self._turns(level, tile, turns):
            self.found["visits"][level] += 1
            if level == self.dealt:
                self.chosen = min(self.free, key=lambda copy: (self.free[copy], copy))
            self._bring(level, tile, turns)
            points += self._visit(level + 1, inner, (*turns, turn))
            if level == self.dealt:
                self.free[self.chosen] = self._done((*(0,) * self._copies(level), self.chosen))
        if level == self.own:
            self.by_copy["issues"][self._copy(turns, level)] += -(-points // self.machine.units[self.leaf.unit].lanes)
        self._hold(level, turns)
        return points

    def _hold(self, level: int, turns: tuple[int, ...]) -> None:
        """A visit is over: what memories hold of which the innermost keep stands there."""
        for memory, room in self.rooms.items():
            mine = [request for request in self.requests if request[2] == memory]
            if max(request[4] for request in mine) != level:
                continue
            total = 0
            for request in mine:
                copy = self._copy(turns, request[4])
                if self.whole_at >= 0 and request[5] and request[1] == self.keepers[self.output][0][0]:
                    total += self.words[request[0]] * sum(words for _, words in self._came(copy)[-self.buffers[request[0], memory] :])
                    continue
                for tile in self.tiles.get((request, copy), [])[-self.buffers[request[0], memory] :]:
                    total += self.words[request[0]] * (len(self._made(request, copy, *tile)) if request[5] else tile)
            row = self.most[memory]
            self.most[memory] = [max(row[0], total), row[1] + 1, row[2] + (total > room)]

    def _came(self, copy: tuple[int, ...]) -> list[tuple[Any, int]]:
        """Tiles that came whole to a copy, the last one with the words that it has now."""
        tiles = self.came.get(copy, [])
        if tiles:
            tiles[-1] = tiles[-1][0], len(self.made.get(tiles[-1][0], ()))
        return tiles

    def _made(self, request: Any, copy: tuple[int, ...], box: tuple[range, ...], when: Any) -> list[tuple[int, ...]]:
        """Words of a tile of the result that a copy made in a run."""
        run = self.runs.get((request, copy, when), set())
        return [word for word in run if all(at in side for at, side in zip(word, box, strict=True))]

    def _copies(self, depth: int) -> int:
        """How many of the first loops are over copies."""
        return sum(1 for _, _, axis, _ in self.loops[:depth] if axis)

    def _done(self, copy: tuple[int, ...]) -> int:
        """When a copy is through with all that it was given so far: its operations, its merging, and what its nodes intersect."""
        issue, cycle = self.ticks
        mine = [key for key in (*self.by_copy["issues"], *(key for _, key in self.steps), *(key for key, _ in self.lists)) if key]
        same = {key for key in mine if key[: len(copy)] == copy}
        inside = {self.leaf.unit, *(child for _, _, child, _, below, _ in self.requests if child and below > self.dealt)}
        times = [issue * sum(self.by_copy["issues"][key] for key in same)]
        times += [cycle * sum(self.steps[node, key] for key in same) for node in inside]
        radix = self.machine.units[self.leaf.unit].sparse.merge_radix
        if radix > 1:
            times.append(cycle * sum(_merged(products, radix) for (key, _), products in self.lists.items() if key in same))
        return max(times)

    def _turns(self, level: int, tile: Tile, turns: tuple[int, ...]) -> Iterator[tuple[int, Tile]]:
        rank, _, _, meets = self.loops[level]
        inner = self._parts(level, tile)
        fibers = [
            [turn for turn, part in enumerate(inner) if self.held(name, part)]
            for name in self.stored
            if meets and rank in self.indices[name]
        ]
        mine = [name for name in self.stored if rank in self.indices[name]]
        for name in mine[1:] if meets else mine:
            if not self._fiber(name, level, tile, turns):
                continue
            node = self.nodes[level]
            if not meets:
                self.looked[level, name] += len(inner)
            elif (self.machine.memories.get(node) or self.machine.units[node]).sparse.intersect == "leading":
                self.looked[level, name] += len(fibers[0])
        if fibers:
            self.found["leading"][level] += len(fibers[0])
        if len(fibers) > 1:
            before = {name: self.found[name][level] for name in ("two_finger", "skip_ahead")}
            self._meet(level, fibers[0], fibers[1])
            node = self.nodes[level]
            how = (self.machine.memories.get(node) or self.machine.units[node]).sparse.intersect
            steps = len(fibers[0]) if how == "leading" else self.found[how][level] - before[how]
            self.steps[node, self._copy(turns, level)] += steps
        for turn, part in enumerate(inner):
            if all(turn in fiber for fiber in fibers):
                yield turn, part

    def _fiber(self, tensor: str, level: int, tile: Tile, turns: tuple[int, ...]) -> bool:
        """Whether there is a fiber that a loop and those of its rank before it go through: the outermost, or one that holds something."""
        begin = level
        for before in range(level - 1, -1, -1):
            if self.loops[before][0] == self.loops[level][0]:
                begin = before
            elif self.loops[before][0] in self.indices[tensor]:
                break
        if not any(rank in self.indices[tensor] for rank, _, _, _ in self.loops[:begin]):
            return True
        rank = self.loops[level][0]
        return bool(self.held(tensor, {**tile, rank: self._tile(turns[:begin])[rank]}))

    def _meet(self, level: int, one: list[int], other: list[int]) -> None:
        """Both advance on a match, else the smaller one, until either is over."""
        events = []
        one, other = list(one), list(other)
        while one and other:
            if one[0] == other[0]:
                events.append("match")
                one.pop(0)
                other.pop(0)
            elif one[0] < other[0]:
                events.append("one")
                one.pop(0)
            else:
                events.append("other")
                other.pop(0)
        matches = events.count("match")
        self.found["matches"][level] += matches
        self.found["two_finger"][level] += len(events)
        runs = sum(1 for before, now in zip([None, *events], events, strict=False) if now != before and now != "match")
        self.found["skip_ahead"][level] += matches + runs

    def _copy(self, turns: tuple[int, ...], depth: int) -> tuple[int, ...]:
        return tuple(self.chosen if level == self.dealt else turn for level, turn in enumerate(turns[:depth]) if self.loops[level][2])

    def _time(self, turns: tuple[int, ...], depth: int) -> tuple[int, ...]:
        return tuple(turn for level, turn in enumerate(turns[:depth]) if not self.loops[level][2])

    def _apart(self, request: Any, turns: tuple[int, ...]) -> tuple[int, ...]:
        """What tells copies apart that are not served together."""
        _, _, _, above, below, result = request
        found = []
        for level, turn in enumerate(turns[:below]):
            axis = self.loops[level][2]
            if axis:
                noun = self.machine.axes[axis][1]
                together = level >= above and (self.einsum.reduce in noun.reduces if result else noun.multicast)
                if not together:
                    found.append(turn)
        return tuple(found)

    def _arrive(self, request: Any, tile: Tile, turns: tuple[int, ...]) -> None:
        tensor, _, child, above, below, _ = request
        copy, words = self._copy(turns, below), self.held(tensor, tile)
        box = tuple(tile[rank] for rank in self.indices[tensor])
        if child and self.last.get((request, copy)) == (box if words else None):
            return
        self.last[request, copy] = box if words else None
        self.tiles.setdefault((request, copy), []).append(len(words))
        self.began[tensor, child, copy] = turns[:below]
        parent = self._copy(turns, above)
        if words and child and request[1] in self.machine.memories and self.machine.memories[request[1]].sparse.fetch:
            self.asked[tensor, request[1]].add((parent, self.began.get((tensor, request[1], parent)), box, len(words)))
        if words:
            self.entering[request][copy] += len(words)
            self.moved[request].add((self._copy(turns, above), self._time(turns, below), self._apart(request, turns), box, len(words)))

    def _enter(self, request: Any, tile: Tile, turns: tuple[int, ...]) -> None:
        """A copy of a keep of the result is visited: another tile than its last one begins a run, named by its time."""
        box, copy = tuple(tile[rank] for rank in self.indices_out), self._copy(turns, request[4])
        if self.last.get((request, copy), (None, None))[0] != box:
            self.last[request, copy] = (box, self._time(turns, request[4]))
            self.tiles.setdefault((request, copy), []).append(self.last[request, copy])

    def _bring(self, level: int, tile: Tile, turns: tuple[int, ...]) -> None:
        """A turn: where tiles of the result come whole, another than the last comes with all words that it has."""
        box, copy = tuple(tile[rank] for rank in self.indices_out), self._copy(turns, level)
        if level == self.whole_at and self.has.get(copy) != box:
            self.has[copy] = box
            self.came[copy] = [*self._came(copy), (box, 0)]
            self.by_copy["brought"][copy] += len(self.made.get(box, ()))

    def _point(self, tile: Tile, turns: tuple[int, ...]) -> None:
        depth = len(self.loops)
        copy = self._copy(turns, depth)
        self.by_copy["points"][copy] += 1
        if not all(self.held(name, tile) for name in self.indices):
            return
        self.by_copy["effectual"][copy] += 1
        word = tuple(tile[rank].start for rank in self.indices_out)
        self.elements.add(word)
        if self.whole_at >= 0:
            words = self.made.setdefault(self._box(self.whole_at, turns), set())
            self.by_copy["added"][self._copy(turns, self.whole_at)] += word not in words
            words.add(word)
        for request in self.requests:
            if not request[5]:
                continue
            _, _, child, above, below, _ = request
            mine = self._copy(turns, below)
            if child:
                when = self.last[request, mine][1]
                run = self.runs.setdefault((request, mine, when), set())
                if word in run:
                    continue
                run.add(word)
            else:
                when = self._time(turns, depth)
            self.entering[request][mine] += 1
            self.moved[request].add((self._copy(turns, above), when, self._apart(request, turns), word, 1))
            self.told[request].add((self._copy(turns, above), word))
        holder = self.keepers[self.output][-1][1]
        inner = [level for level in range(holder, depth) if self.loops[level][0] in self.indices_out and self._most(level) > 1]
        outer = [
            level
            for level in range(holder, max(inner, default=0))
            if self.loops[level][0] not in self.indices_out and self._most(level) > 1
        ]
        if outer:
            had = self._runs(turns)
            if self.listed.get(copy, (None, 0))[0] != had:
                self.listed[copy] = (had, self.listed.get(copy, (None, 0))[1] + 1)
            self.lists.setdefault((copy, self.listed[copy][1]), []).append((turns[: outer[-1] + 1], word))

    def _runs(self, turns: tuple[int, ...]) -> int:
        """How many tiles of the result the innermost keep of now has had."""
        kept = [request for request in self.requests if request[5] and request[2]]
        if not kept:
            return 0
        copy = self._copy(turns, kept[-1][4])
        return len(self.came[copy] if self.whole_at >= 0 and len(kept) == 1 else self.tiles[kept[-1], copy])

    def _box(self, depth: int, turns: tuple[int, ...]) -> tuple[range, ...]:
        """The tile of the result below some loops."""
        tile = self._tile(turns[:depth])
        return tuple(tile[rank] for rank in self.indices_out)

    def _tile(self, turns: tuple[int, ...]) -> Tile:
        """The tile of every rank below some loops."""
        tile = {rank: range(extent) for rank, extent in self.extents.items()}
        for level, turn in enumerate(turns):
            tile = self._parts(level, tile)[turn]
        return tile

    def _parts(self, level: int, tile: Tile) -> list[Tile]:
        """The tiles into which a loop cuts one."""
        rank, size, _, _ = self.loops[level]
        whole, found = tile[rank], list[Tile]()
        start = whole.start
        while start < whole.stop:
            end = min(start + size, whole.stop)
            if level in self.holding:  # as long as it holds no more than it may
                end = start + 1
                while end < whole.stop and len(self.held(self.holding[level], {**tile, rank: range(start, end + 1)})) <= size:
                    end += 1
            found.append({**tile, rank: range(start, end)})
            start = end
        return found

    def _most(self, level: int) -> int:
        """Turns that a loop has at most, wherever those outside are."""
        if level not in self.trips:
            self.trips[level] = max(len(self._parts(level, tile)) for tile in self._below(level))
        return self.trips[level]

    def _below(self, depth: int) -> list[Tile]:
        """All tiles below some loops, each once."""
        tiles = [self._tile(())]
        for level in range(depth):
            inner = [part for tile in tiles for part in self._parts(level, tile)]
            tiles = list({tuple(tile.values()): tile for tile in inner}.values())
        return tiles


class _Values(_Leaf):
    """A walk that multiplies and adds up at every point."""

    values: dict[str, dict[tuple[int, ...], float]]
    sums: dict[tuple[int, ...], float]

    def _point(self, tile: Tile, turns: tuple[int, ...]) -> None:
        super()._point(tile, turns)
        factors = [self.values[name].get(tuple(tile[rank].start for rank in ranks)) for name, ranks in self.indices.items()]
        if any(factor is None for factor in factors):
            return
        word, found = tuple(tile[rank].start for rank in self.indices_out), 1.0
        for factor in factors:
            found *= factor or 0.0
        self.sums[word] = self.sums.get(word, 0.0) + found


def _merged(products: list[tuple[Any, tuple[int, ...]]], radix: int) -> int:
    """Cycles of a merger over lists of words, each word with the list that it is in."""
    sizes, cycles = list(Counter(which for which, _ in products).values()), 0
    while len(sizes) > 1:
        groups = [sizes[at : at + radix] for at in range(0, len(sizes), radix)]
        cycles += len(sizes) + sum(sizes)
        sizes = [sum(group) for group in groups]
    return cycles


def _product(box: tuple[range, ...]) -> Iterator[tuple[int, ...]]:
    if not box:
        yield ()
        return
    for at in box[0]:
        for rest in _product(box[1:]):
            yield (at, *rest)
