"""A mapping run over stored elements with Python objects: the twin of `kernels_record`, `kernels_stored` and `stored`.

It follows the rules of docs/sparse.md, "Simulation", and is written to be believed at sight: tiles and runs are objects that name the tasks
they wait for. What the model counts, bits of every direction and what a cache fetches, is taken from it. Use it on small shapes.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil
from typing import TYPE_CHECKING, Any

from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored, nests
from accelsim.model.stored_traffic import FILLED, READ, UPDATED, Traffic
from accelsim.sparse.nest import walked
from accelsim.sparse.reference import Tile, _Leaf, _merged

if TYPE_CHECKING:
    from accelsim.sparse.nest import Nest
    from accelsim.sparse.pattern import IntArray

Copy = tuple[int, ...]


@dataclass(eq=False)
class Task:
    """Something that happens once all that it is `after` has ended, and `wait` ticks; of what it is `beside` it waits for the beginning.

    It asks for resources, each for some ticks, and has ended `tail` ticks after all have served it.
    """

    kind: str
    tensor: str = ""
    after: list[Task | None] = field(default_factory=list)
    beside: list[Task | None] = field(default_factory=list)
    wait: int = 0
    tail: int = 0
    asks: list[tuple[Any, int]] = field(default_factory=list)
    ready: int = 0
    end: int = -1


@dataclass(eq=False)
class Held:
    """A tile of an operand in a copy: it has come, and is used no longer."""

    come: Task
    gone: Task
    fetched: Task | None = None


@dataclass(eq=False)
class Run:
    """A run of a tile of the result in a copy: it begins, and it leaves. What crosses: to the parent, out of the child, and back before."""

    begins: Task
    leaves: Task
    to_parent: Transfer
    from_child: Transfer
    back: tuple[Transfer, Transfer]


@dataclass(eq=False)
class Transfer:
    """Words of one crossing in one direction at one copy of a memory, and the task that moves them."""

    task: Task
    way: tuple[Any, str, int]
    copy: Copy
    words: int


@dataclass(frozen=True)
class Outcome:
    """Ticks of an Einsum, busy ticks by resource (a name and a copy), and its tasks in the order of the walk."""

    ticks: int
    busy: dict[Any, int]
    tasks: list[Task]


def run(evaluator: Evaluator, mapping: Mapping, stored: Dict[str, IntArray]) -> dict[str, Outcome]:
    """Run every Einsum of a mapping over stored elements, by name; they run one after the other."""
    evaluation, found = evaluate_stored(evaluator, mapping, stored).evaluation, {}
    known = {name: frozenset(map(tuple, elements.T.tolist())) for name, elements in stored.items()}
    known = {name: each for name, each in known.items() if not _whole_anyway(evaluator, name)}
    for (path, leaf), (nest, elements) in zip(mapping.paths(), nests(evaluator, mapping, stored), strict=True):
        ticks = evaluator.issue_ticks(leaf.einsum, leaf.unit), evaluator.clock.per_cycle
        traffic = Traffic(evaluator, nest, walked(nest, ticks), elements)
        walk = _Walk(evaluator.cascade, evaluator.architecture, path, leaf, known, ticks, {}, {})
        found[leaf.einsum] = walk.simulate(evaluator, nest, traffic, evaluation.loads[leaf.einsum].latency)
        if elements is not None:
            known[nest.einsum.output.tensor] = frozenset(walk.elements)
    return found


def _whole_anyway(evaluator: Evaluator, name: str) -> bool:
    storage = evaluator.cascade.tensors[name].storage
    return storage is not None and storage.all_elements


class _Walk(_Leaf):
    """The walk of an Einsum, which makes tasks as it goes."""

    def simulate(self, evaluator: Evaluator, nest: Nest, traffic: Traffic, latency: int) -> Outcome:
        self.clock, self.latency, self.cycle = evaluator.clock, latency, evaluator.clock.per_cycle
        self.carried, self.misses = traffic.carried, {number: iter(words.tolist()) for number, words in traffic.brought.items()}
        kept = evaluator.cascade.tensors[self.output].storage
        listed = kept is not None and kept.kinds[-1:] == ("compressed",)
        self.radix = self.machine.units[self.leaf.unit].sparse.merge_radix if listed else 0
        self.tasks: list[Task] = []
        self.transfers: list[Transfer] = []
        self.tiles_of: dict[Any, list[Held]] = defaultdict(list)  # by request and copy, all that it was sent
        self.tile_of: dict[Any, Held | None] = {}  # the one that it has
        self.runs_of: dict[Any, list[Run]] = defaultdict(list)
        self.earlier_of: dict[Run, Task | None] = {}  # the last run before each on the same tile, in which that leaves
        self.tile_left: dict[Any, Task] = {}  # by request and tile of the result: when the last run on it leaves
        self.served_with: dict[Any, Task] = {}
        self.fetched: dict[Any, Task] = {}
        self.searched: Counter[Any] = Counter()  # steps that no work has taken yet, by loop and copy
        self.streamed: Counter[Any] = Counter()  # words between units and memories, by request and copy of the memory
        self.worked: dict[Copy, Task] = {}
        self.work_since: dict[Copy, Task | None] = {}  # of what is to be merged next
        self.done: Counter[Copy] = Counter()  # issues that tasks are made of
        self.lists_done: set[Any] = set()
        self.deep, self.whole_request = 0, None
        self.deep = max((request[4] for request in self._requests() if request[2]), default=0)
        self.run()
        self._merge(())
        self._work(())
        alone = self._share_out()
        return _fire(self.tasks, alone, latency)

    def _requests(self) -> list[Any]:
        depth, found = len(self.loops), []
        for tensor in [*self.indices, self.output]:
            chain = [*self.keepers[tensor], ("", depth)]
            found += [(tensor, *one, *other) for one, other in pairwise(chain)]
        return [(tensor, parent, child, above, below, tensor == self.output) for tensor, parent, above, child, below in found]

    # What is where

    def _own(self, unit: Copy, depth: int) -> Copy:
        """Which copy below some loops a copy of the unit is in."""
        return unit[: self._copies(depth)]

    def _units(self, prefix: Copy) -> Iterator[Copy]:
        """The copies of the unit inside a copy, in order."""
        trips = [self._most(level) for level in range(len(self.loops)) if self.loops[level][2]]
        if len(prefix) == len(trips):
            yield prefix
            return
        for turn in range(trips[len(prefix)]):
            yield from self._units((*prefix, turn))

    def _inside(self, request: Any) -> Any:
        """The request that brings a parent its tile, None of the home."""
        return next((each for each in self.requests if each[0] == request[0] and each[2] == request[1]), None)

    def _passed(self, request: Any) -> bool:
        """Whether the child has only what it is asked for."""
        sparse = self.machine.memories[request[2]].sparse
        return request[0] in self.stored and bool(sparse.replacement or sparse.fetch)

    def _innermost(self, request: Any) -> bool:
        return bool(request[2]) and not any(each[0] == request[0] and each[1] == request[2] and each[2] for each in self.requests)

    def _is_whole(self, request: Any) -> bool:
        return self.whole_at >= 0 and bool(request[5]) and self._inside(request) is None

    def _waits(self, request: Any) -> int:
        """Ticks until what comes from the parent is there."""
        return self.machine.memories[request[1]].latency_cycles * self.cycle

    def _task(self, kind: str, tensor: str = "", **more: Any) -> Task:
        self.tasks.append(Task(kind, tensor, **more))
        return self.tasks[-1]

    def _moves(self, task: Task, request: Any, memory: str, way: int, copy: Copy, words: int) -> Transfer:
        self.transfers.append(Transfer(task, (request, memory, way), copy, words))
        return self.transfers[-1]

    # What the walk meets

    def _visit(self, level: int, tile: Tile, turns: tuple[int, ...]) -> int:
        points = super()._visit(level, tile, turns)
        if level == self.deep:
            self._work(self._copy(turns, level))
        return points

    def _turns(self, level: int, tile: Tile, turns: tuple[int, ...]) -> Iterator[tuple[int, Tile]]:
        """Steps that find a turn belong to what is done in it, those behind the last turn to what is done next."""
        found = list(super()._turns(level, tile, turns))
        rank, _, _, meets = self.loops[level]
        met = [name for name in self.stored if meets and rank in self.indices[name]]
        steps = [0] * (1 + len(found))
        if len(met) > 1:
            inner = self._parts(level, tile)
            one, other = ([turn for turn, part in enumerate(inner) if self.held(name, part)] for name in met)
            node = self.nodes[level]
            steps = _steps(one, other, (self.machine.memories.get(node) or self.machine.units[node]).sparse.intersect)
        for taken, each in zip(steps, [*found, None], strict=True):
            self.searched[level, self._copy(turns, level)] += taken
            if each is not None:
                yield each

    def _arrive(self, request: Any, tile: Tile, turns: tuple[int, ...]) -> None:
        tensor, _, child, above, below, _ = request
        here, home = self._copy(turns, below), self._copy(turns, above)
        before = len(self.tiles.get((request, here), [])), len(self.moved[request]), sum(map(len, self.asked.values()))
        super()._arrive(request, tile, turns)
        served = len(self.moved[request]) > before[1]
        words = self.tiles[request, here][-1] if (request, here) in self.tiles else 0
        if not child:
            self.streamed[request, home] += served * words
        elif len(self.tiles.get((request, here), [])) > before[0]:
            if not words:
                self.tile_of[request, here] = None
                return
            box = tuple(tile[rank] for rank in self.indices[tensor])
            together = request, self._time(turns, below), self._apart(request, turns), box
            asked = sum(map(len, self.asked.values())) > before[2]
            self._sent(request, here, home, box, words, served, asked, together)

    def _sent(
        self, request: Any, here: Copy, home: Copy, box: Any, words: int, served: bool, asked: bool, together: Any
    ) -> None:
        """A tile comes to a copy: a place is free, its parent has it, and with the first of those that are served together."""
        tensor, parent, child, *_ = request
        outer, mine = self._inside(request), self.tiles_of[request, here]
        places = self.buffers[tensor, child]
        free = mine[-places].gone if len(mine) >= places else None
        around = self.tile_of.get((outer, home)) if outer else None
        if outer and self._passed(outer):
            number = self.requests.index(outer)
            brought = words if asked else 0
            if number in self.misses:
                brought = next(self.misses[number]) if served else 0
            if brought:
                self._fetch(outer, home, free, around, brought, (request, home, box))
        passed = self._passed(request)
        come = self._task("load", tensor, after=[free, around.come if around else None, self.fetched.get((request, home, box))])
        if served:
            self.served_with[together] = come
            come.tail = 0 if passed else self._waits(request)
        else:
            come.after.append(self.served_with[together])
        gone = self._task("release", tensor, after=[come, mine[-1].gone if mine else None])
        if around:
            around.gone.after.append(come)
        if not passed:
            self._moves(come, request, parent, READ, home, served * words)
            self._moves(come, request, child, FILLED, here, words)
        mine.append(Held(come, gone))
        self.tile_of[request, here] = mine[-1]

    def _fetch(self, outer: Any, home: Copy, free: Task | None, around: Held | None, words: int, key: Any) -> None:
        """A memory that is asked for a tile brings it first."""
        above = home[: self._copies(outer[3])]
        further = self._inside(outer)
        beyond = self.tile_of.get((further, above)) if further else None
        task = self._task("fetch", outer[0], after=[free, around.come if around else None], tail=self._waits(outer))
        if beyond:
            beyond.gone.after.append(task)
        self._moves(task, outer, outer[1], READ, above, words)
        self._moves(task, outer, outer[2], FILLED, home, words)
        self.fetched[key] = task

    def _enter(self, request: Any, tile: Tile, turns: tuple[int, ...]) -> None:
        here = self._copy(turns, request[4])
        before = len(self.tiles.get((request, here), []))
        super()._enter(request, tile, turns)
        if len(self.tiles.get((request, here), [])) > before and not self._is_whole(request):
            self._begin(request, turns, tuple(tile[rank] for rank in self.indices_out))

    def _bring(self, level: int, tile: Tile, turns: tuple[int, ...]) -> None:
        here = self._copy(turns, level)
        before, words = len(self.came.get(here, [])), self.by_copy["brought"][here]
        super()._bring(level, tile, turns)
        if level == self.whole_at and len(self.came.get(here, [])) > before:
            request = next(each for each in self.requests if self._is_whole(each))
            begun = self._begin(request, turns, tuple(tile[rank] for rank in self.indices_out))
            come = self.by_copy["brought"][here] - words
            for each in (begun.to_parent, begun.from_child, *begun.back):
                each.words = come
            begun.begins.tail = self._waits(request) if come else 0

    def _begin(self, request: Any, turns: tuple[int, ...], box: Any) -> Run:
        """A run begins once a place is free; what was made of the last tile is merged."""
        tensor, parent, child, above, below, _ = request
        here, home = self._copy(turns, below), self._copy(turns, above)
        if below == self.keepers[self.output][-1][1]:
            self._merge(here)
        mine, places, outer = self.runs_of[request, here], self.buffers[tensor, child], self._inside(request)
        around = self.runs_of[outer, home][-1] if outer else None
        free = mine[-places].leaves if len(mine) >= places else None
        begins = self._task("open", tensor, after=[free, around.begins if around else None])
        leaves = self._task("drain", tensor, after=[begins], wait=self.latency if self._innermost(request) else 0)
        if around:
            around.leaves.after.append(leaves)
        begun = Run(
            begins, leaves, self._moves(leaves, request, parent, UPDATED, home, 0), self._moves(leaves, request, child, READ, here, 0),
            (self._moves(begins, request, parent, READ, home, 0), self._moves(begins, request, child, FILLED, here, 0)),
        )  # fmt: skip
        self.earlier_of[begun] = self.tile_left.get((request, box))
        self.tile_left[request, box] = leaves
        mine.append(begun)
        return begun

    def _point(self, tile: Tile, turns: tuple[int, ...]) -> None:
        results = [request for request in self.requests if request[5]]

        def counts(request: Any) -> tuple[int, int, int, int]:
            added = sum(self.by_copy["added"].values())
            return sum(self.entering[request].values()), len(self.moved[request]), len(self.told[request]), added

        before = [counts(request) for request in results]
        super()._point(tile, turns)
        if not self.radix:
            self.lists.clear()
        for request, was in zip(results, before, strict=True):
            words, served, new, added = (now - then for now, then in zip(counts(request), was, strict=True))
            mine, home = self._copy(turns, request[4]), self._copy(turns, request[3])
            if not request[2]:
                self.streamed[request, home] += served
                continue
            begun = self.runs_of[request, mine][-1]
            if self._is_whole(request):
                begun.to_parent.words += added
                begun.from_child.words += added
                continue
            begun.to_parent.words += served
            begun.from_child.words += words
            for each in begun.back:
                each.words += served - new
            if served > new:
                begun.begins.tail = self._waits(request)

    # What units do

    def _work(self, prefix: Copy) -> None:
        """What copies of the unit have done since is a piece of work of each."""
        for unit in self._units(prefix):
            issues = self.by_copy["issues"][unit] - self.done[unit]
            steps = [(key, self.searched.pop(key)) for key in list(self.searched) if key[1] == self._own(unit, key[0])]
            words = [(key, self.streamed.pop(key)) for key in list(self.streamed) if key[1] == self._own(unit, key[0][3])]
            if not issues and not any(many for _, many in (*steps, *words)):
                continue
            self.done[unit] += issues
            work = self._task("compute", after=[self.worked.get(unit)], asks=[((self.leaf.unit, unit), issues * self.ticks[0])])
            self.worked[unit] = work
            if self.work_since.get(unit) is None:
                self.work_since[unit] = work
            for (level, copy), many in steps:
                work.asks.append(((f"{self.nodes[level]} intersection", copy[: self._copies_of(self.nodes[level])]), many * self.cycle))
            for (request, copy), many in words:
                self._moves(work, request, request[1], UPDATED if request[5] else READ, copy, many)
                if request[5]:
                    self._moves(work, request, request[1], READ, copy, many)
            self._uses(unit, work)

    def _copies_of(self, node: str) -> int:
        """How many loops over copies stand above the keeps of a node, or the unit."""
        if node == self.leaf.unit:
            return self._copies(len(self.loops))
        return max((self._copies(request[4]) for request in self.requests if request[2] == node), default=0)

    def _uses(self, unit: Copy, work: Task) -> None:
        """Work waits for the tiles that are there, which stay as long, and for its run to begin, which leaves after it."""
        for request in self.requests:
            if not self._innermost(request):
                continue
            here = self._own(unit, request[4])
            tile, runs = self.tile_of.get((request, here)), self.runs_of[request, here]
            if tile:
                work.after.append(tile.come)
                tile.gone.after.append(work)
            if runs:
                work.after.append(runs[-1].begins)
                runs[-1].leaves.after.append(work)

    def _done(self, copy: tuple[int, ...]) -> int:
        """The turn that was dealt out last is over."""
        ticks = super()._done(copy)
        self._merge(copy)
        return ticks

    def _merge(self, prefix: Copy) -> None:
        """Lists are merged beside the work that makes them, in later passes after it; then the tile leaves."""
        for unit in self._units(prefix):
            lists = [key for key in self.lists if key[0] == unit and key not in self.lists_done]
            self.lists_done.update(lists)
            for products in (self.lists[key] for key in lists):
                cycles, once = _merged(products, self.radix), len({which for which, _ in products}) + len(products)
                if not cycles:
                    continue
                resource = f"{self.leaf.unit} merging", unit
                first = self._task("merge", beside=[self.work_since.get(unit)], asks=[(resource, once * self.cycle)])
                last = self._task("merge", after=[first, self.worked.get(unit)], asks=[(resource, (cycles - once) * self.cycle)])
                self.work_since[unit] = None
                for request in self.requests:
                    if request[5] and self._innermost(request):
                        self.runs_of[request, self._own(unit, request[4])][-1].leaves.after.append(last)

    # What ports carry

    def _share_out(self) -> dict[Any, int]:
        """Spread the bits of every direction over its transfers. Returns busy ticks of ports for pointers that no transfer goes with."""
        for begun, earlier in self.earlier_of.items():
            if begun.back[0].words:
                begun.begins.after.append(earlier)
        alone, by_way = Counter[Any](), defaultdict[Any, list[Transfer]](list)
        for each in self.transfers:
            by_way[each.way].append(each)
        for number, request in enumerate(self.requests):
            for memory, above in ((request[1], request[3]), (request[2], request[4])):
                for way in (READ, FILLED, UPDATED):
                    pieces, port = self.carried.get((number, memory, way), 0), self.clock.ports.get(memory)
                    ticks = 0 if port is None else (port.read if port.shared or way == READ else port.write) or 0
                    if not ticks or not pieces:
                        continue
                    assert port is not None
                    name = memory if port.shared else f"{memory} {'read' if way == READ else 'write'}"
                    transfers = by_way[request, memory, way]
                    for each, share in _shares(transfers, pieces):
                        each.task.asks.append(((name, each.copy), share * ticks))
                    if not any(each.words for each in transfers):
                        alone[name, (0,) * self._copies(above)] += pieces * ticks
        return dict(alone)


def _shares(transfers: list[Transfer], pieces: int) -> Iterator[tuple[Transfer, int]]:
    """Pieces of each transfer: a copy has its share by words, rounded up, and a transfer that of it which its words add."""
    total = sum(each.words for each in transfers)
    for copy in {each.copy for each in transfers}:
        mine = [each for each in transfers if each.copy == copy]
        words, done = sum(each.words for each in mine), 0
        if not words:
            continue
        share = -(-pieces * words // total)
        for each in mine:
            yield each, share * (done + each.words) // words - share * done // words
            done += each.words


def _steps(one: list[int], other: list[int], how: str) -> list[int]:
    """Steps that find each turn that both have, and those after the last. Where one leads, all are taken at the begin."""
    if how == "leading":
        return [len(one), *(0 for _ in set(one) & set(other))]
    one, other, found, steps, last = list(one), list(other), list[int](), 0, "match"
    while one and other:
        event = "match" if one[0] == other[0] else "one" if one[0] < other[0] else "other"
        steps += how == "two_finger" or event == "match" or event != last
        last = event
        if event == "match":
            found.append(steps)
            steps = 0
        if event != "other":
            one.pop(0)
        if event != "one":
            other.pop(0)
    return [*found, steps]


def _fire(tasks: list[Task], busy: dict[Any, int], latency: int) -> Outcome:
    """Serve tasks in the order in which they may begin, those of one moment in the order of the walk."""
    number = {task: place for place, task in enumerate(tasks)}
    left = {task: sum(each is not None for each in (*task.after, *task.beside)) for task in tasks}
    ended, begun = defaultdict[Task, list[Task]](list), defaultdict[Task, list[Task]](list)
    for task in tasks:
        for each in task.after:
            if each is not None:
                ended[each].append(task)
        for each in task.beside:
            if each is not None:
                begun[each].append(task)
    free, busy = dict(busy), Counter(busy)
    queue = [(task.wait, number[task]) for task in tasks if not left[task]]
    heapq.heapify(queue)
    while queue:
        now, place = heapq.heappop(queue)
        task = tasks[place]
        task.ready = task.end = now
        for resource, ticks in task.asks:
            if ticks:
                free[resource] = max(now, free.get(resource, 0)) + ticks
                busy[resource] += ticks
                task.end = max(task.end, free[resource])
        task.end += task.tail
        for later, since in ((ended[task], task.end), (begun[task], now)):
            for other in later:
                other.ready = max(other.ready, since)
                left[other] -= 1
                if not left[other]:
                    heapq.heappush(queue, (other.ready + other.wait, number[other]))
    assert all(task.end >= 0 for task in tasks), "tasks wait for each other"
    last = max((task.end for task in tasks), default=0)
    worked = max((task.end for task in tasks if task.kind == "compute"), default=0)
    return Outcome(ceil(max(last, worked + latency, *free.values(), 0)), dict(busy), tasks)
