"""What stands above each leaf of a mapping: the loops whose turns matter to it, and the keeps of what it touches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from itertools import islice, pairwise

from accelsim.mapping.dependence import Homes, size_at_fuse
from accelsim.mapping.facts import facts as facts_of
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial
from accelsim.mapping.walk import Row, Walk, walk
from accelsim.model.derivation import Derived, derive
from accelsim.model.evaluation import Evaluator
from accelsim.sim.folds import held_place
from accelsim.sim.pace import Edge
from accelsim.sim.tasks import FIRST_TURN, LAST_TURN, Window
from accelsim.workload.cascade import Einsum

_MOST_PARTS = 1024  # firings of a leaf in an iteration of its fuse, so that others come between


@dataclass(slots=True)
class Path:
    """One leaf: the rows above it, its explicit loops (rows of time loops that fire), and in which turns of foreign loops it is idle.

    `windows`: by rank, the window of it that consumers' loops demand. `drivers`: by identity of such a loop, the rank of this Einsum of
    which it demands windows. `again`: foreign loops, by identity, in every turn of which everything is made again.
    """

    name: str
    einsum: Einsum
    leaf: Leaf
    rows: tuple[Row, ...]
    loops: list[Row]
    turns: dict[int, int] = field(default_factory=dict)
    fuses: list[int] = field(default_factory=list)  # places of fuses among the rows
    windows: dict[str, Window] = field(default_factory=dict)
    drivers: dict[int, str] = field(default_factory=dict)
    again: set[int] = field(default_factory=set)

    def rank(self, row: Row) -> str:
        """The rank of this Einsum that a loop cuts; that of the loop, if it cuts none."""
        return self.drivers.get(id(row), rank_of(row))

    def last_driver(self, rank: str) -> int:
        """The place of the innermost loop that demands windows of a rank."""
        return max(place for place, row in enumerate(self.rows) if self.drivers.get(id(row)) == rank)

    def window(self, rank: str, at: Dict[int, int], until: int) -> Window | None:
        """The window that loops demand of a rank at the row `until`, with the turns of those that have a number, by identity (`at`)."""
        known = self.windows.get(rank)
        if known is None:
            return None
        rows = [row for row in self.rows[:until] if self.drivers.get(id(row)) == rank and id(row) in at]
        return replace(known, entries=tuple((at[id(row)], row.node.tile) for row in rows))  # type: ignore[union-attr]

    def depth(self, place: int) -> int:
        """How many explicit loops stand above a row."""
        above = {id(row) for row in self.rows[:place]}
        return sum(1 for row in self.loops if id(row) in above)


class Paths:
    """The paths of all leaves (`all`, in the order of the loop tree), their numbers by Einsum, and the dependences between Einsums.
    """

    def __init__(self, evaluator: Evaluator, mapping: Mapping) -> None:
        self.evaluator, self.cascade = evaluator, evaluator.cascade
        self.walked: Walk = walk(facts_of(self.cascade), mapping)
        self.edges = self._edges()
        self.all = [self._begun(number) for number in range(len(self.walked.leaves))]
        self.number = {path.name: number for number, path in enumerate(self.all)}
        for path in self.all:
            self._follow(path)
        for path in self.all:
            self._fire(path)
        touched = self.walked.facts.touched
        self.homes = Homes(self.walked, [{each: self.keepers(path, each) for each in touched[path.name]} for path in self.all])

    def common(self) -> int:
        """How many loops stand above all leaves."""
        return sum(1 for rows in zip(*(path.loops for path in self.all), strict=False) if len({id(row) for row in rows}) == 1)

    def of(self, einsum: str) -> Path:
        """The path of an Einsum."""
        return self.all[self.number[einsum]]

    def _edges(self) -> list[Edge]:
        numbers = self.walked.place_of()

        def slices(producer: str, reader: str, rank: str) -> int:
            return size_at_fuse(self.walked, numbers[producer], numbers[reader], rank)

        forward, carried = self.evaluator.program.edges(frozenset(numbers), slices)
        found: list[Edge] = [(producer, consumer, tensor, "") for producer, consumer, tensor in forward]
        for producer, reader, rank in carried:
            found.append((producer, reader, self.cascade.by_name[producer].output.tensor, rank))
        return found

    def _begun(self, number: int) -> Path:
        leaf, rows = self.walked.leaves[number], self.walked.paths[number]
        einsum = self.cascade.by_name[leaf.einsum]
        fuses = [place for place, row in enumerate(rows) if isinstance(row.node, Fuse)]
        return Path(leaf.einsum, einsum, leaf, rows, [], {}, fuses)

    def _follow(self, path: Path) -> None:
        """Note which loops above the last fuse demand windows of an Einsum that lacks their ranks, and which repeat it."""
        home = self.keepers(path, path.einsum.output.tensor)[0]
        found: dict[str, list[tuple[Row, Derived, bool]]] = {}
        for place, row in enumerate(path.rows[: path.fuses[-1]] if path.fuses else ()):
            if not isinstance(row.node, For) or rank_of(row) in path.einsum.ranks:
                continue
            inside = frozenset(self.walked.leaves[number].einsum for number in range(row.first, row.last))
            demand = derive(self.cascade, path.name, rank_of(row), inside)
            if demand is not None:
                found.setdefault(demand.rank, []).append((row, demand, home < place))
            elif row.trips > 1 and home > place:
                path.again.add(id(row))
        for rank, drivers in found.items():
            first, demand, retained = next((each for each in drivers if each[0].trips > 1), drivers[0])
            source = rank_of(first)
            path.windows[rank] = Window(self.cascade.extents[source], (), retained, demand.factor, demand.offset, demand.width)
            path.drivers |= {id(row): rank for row, _, _ in drivers if rank_of(row) == source}

    def _fire(self, path: Path) -> None:
        """Note the loops that fire."""
        inner = self._innermost(path)
        for place, row in enumerate(path.rows):
            if isinstance(row.node, For) and row.trips > 1 and (place < inner or self._is_uneven(path, row)):
                if path.rank(row) not in path.einsum.ranks and id(row) not in path.again:
                    path.turns[len(path.loops)] = self._turn(path, place, row)
                path.loops.append(row)

    def _innermost(self, path: Path) -> int:
        """The place after which loops only repeat the unit's work: that of the last fuse, or of the last keep that something waits for."""
        last = path.fuses[-1] if path.fuses else -1
        for place, row in enumerate(path.rows):
            if isinstance(row.node, Keep) and any(self._matters(path, place, tensor) for tensor in row.kept if self._touches(path, tensor)):
                last = max(last, place)
        held = held_place(self.evaluator.architecture, path)
        if held >= 0:  # loops inside are the steps of one tile
            return max(last, held)
        return self._between(path, last)

    def _between(self, path: Path, last: int) -> int:
        """The same with loops that fire turn by turn so that other Einsums of a pipelined fuse come between on the unit."""
        if path.leaf.unit not in self._crowded(path):
            return last
        parts = 1
        for place in range(last + 1, len(path.rows)):
            row = path.rows[place]
            if isinstance(row.node, For) and row.trips > 1:
                parts *= row.trips
                if parts > _MOST_PARTS:
                    break
                last = place + 1
        return last

    def _crowded(self, path: Path) -> set[str]:
        """Units that several Einsums share in the pipelined fuses above a leaf."""
        units = Counter[str]()
        pipelined = (path.rows[place] for place in path.fuses if path.rows[place].node.schedule == "pipelined")  # type: ignore[union-attr]
        for outermost in islice(pipelined, 1):
            units.update(self.walked.leaves[number].unit for number in range(outermost.first, outermost.last))
        return {unit for unit, users in units.items() if users > 1}

    @property
    def overlap(self) -> bool:
        """Whether Einsums that overlap share a unit."""
        return any(path.leaf.unit in self._crowded(path) for path in self.all)

    def _touches(self, path: Path, tensor: str) -> bool:
        return tensor == path.einsum.output.tensor or any(read.tensor == tensor for read in path.einsum.reads)

    def _is_uneven(self, path: Path, row: Row) -> bool:
        """Whether a loop fires turn by turn: copies share out its tiles, tiles do not nest evenly, or a condition goes by its rank."""
        if rank_of(row) not in path.einsum.ranks:
            return False
        if path.einsum.condition is not None:
            return True
        inside = path.rows[path.rows.index(row) + 1 :]
        if any(isinstance(other.node, Spatial) and rank_of(other) == rank_of(row) for other in inside):
            return True
        tiles = [other.node.tile for other in path.rows if isinstance(other.node, For) and rank_of(other) == rank_of(row)]
        return any(outer % inner for outer, inner in pairwise(tiles))

    def _turn(self, path: Path, place: int, row: Row) -> int:
        """Whether an Einsum without a loop's rank runs in its first or its last turn: after what it reads has been made in all turns."""
        inside = {self.walked.leaves[number].einsum for number in range(row.first, row.last)}
        waiting, seen = [path.name], set()
        while waiting:
            name = waiting.pop()
            for producer, consumer, _, _ in self.edges:
                if consumer == name and producer in inside and producer not in seen:
                    if self.of(producer).rank(row) in self.cascade.by_name[producer].ranks:
                        return LAST_TURN
                    seen.add(producer)
                    waiting.append(producer)
        return FIRST_TURN

    def keepers(self, path: Path, tensor: str) -> list[int]:
        """Places of the keeps of a tensor above a leaf, outermost first."""
        return [place for place, row in enumerate(path.rows) if isinstance(row.node, Keep) and tensor in row.kept]

    def _matters(self, path: Path, place: int, tensor: str) -> bool:
        """Whether words of a tensor take time on their way into the keep at a place, or out of it to the unit."""
        *outer, place = (each for each in self.keepers(path, tensor) if each <= place)
        passed = [place]  # keeps that they come from or go to: of what is kept in part, the rest is further out
        for each in reversed(outer):
            passed.append(each)
            if self.held(path.rows[each], tensor).fraction == 1:
                break
        ports, passes = self.evaluator.clock.ports, pairwise(reversed(passed))
        return bool(outer) and (
            any(memory_of(path.rows[each]) in ports for each in passed)
            or any(link in ports for one, other in passes for link, _ in self.links(path, one, other))
        )

    def links(self, path: Path, outer: int, inner: int) -> list[tuple[str, int]]:
        """Networks between the keeps at two places (or the unit, where the rows end), outermost first, and after how many rows each stands:
        copies are spread over the arrays outside it before.
        """
        end = memory_of(path.rows[inner]) if inner < len(path.rows) else path.leaf.unit
        found = []
        for network, outside in self.evaluator.program.links(memory_of(path.rows[outer]), end):
            spread = ((at, path.rows[at].node) for at in range(outer, inner))
            last = max((at for at, node in spread if isinstance(node, Spatial) and node.axis in outside), default=outer - 1)
            found.append((network, last + 1))
        return found

    def held(self, row: Row, tensor: str) -> Held:
        """How a keep holds a tensor."""
        assert isinstance(row.node, Keep)
        return next(held for held in row.node.held if tensor == held.tensor or tensor in held.in_place)

    def copies(self) -> dict[str, int]:
        """Copies of every intermediate of which the tile of one iteration passes from Einsum to Einsum."""
        found: dict[str, int] = {}
        for producer, consumer, tensor, rank in self.edges:
            if rank or producer == consumer:
                continue
            copies, above = self.place(producer, consumer, tensor)
            if above == self.of(producer).depth(self.walked.common(self.number[producer], self.number[consumer])):
                found[tensor] = max(found.get(tensor, 0), copies)
        return found

    def place(self, producer: str, consumer: str, tensor: str) -> tuple[int, int]:
        """Where a result waits for its reader: in how many copies, and how many of their common time loops stand above that keep."""
        one, other = self.of(producer), self.of(consumer)
        common = self.walked.common(self.number[producer], self.number[consumer])
        places = self.keepers(one, tensor)
        place = max((at for at in places if at < common), default=places[0])  # the innermost keep above both, or else the home
        rows = [one.rows[place], *([] if place < common else [other.rows[self.keepers(other, tensor)[0]]])]
        return max(self.held(row, tensor).copies for row in rows), one.depth(min(place, common))


def rank_of(row: Row) -> str:
    """The rank of a loop."""
    assert isinstance(row.node, (For, Spatial))
    return row.node.rank


def memory_of(row: Row) -> str:
    """The memory of a keep."""
    assert isinstance(row.node, Keep)
    return row.node.memory
