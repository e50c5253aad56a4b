"""A mixed-integer program per Einsum, solved once by HiGHS; its solution is a mapping.

In the manner of CoSA (Q. Huang et al., "CoSA: Scheduling by Constrained Optimization for Spatial Accelerators", ISCA 2021, arXiv
2105.01898): each prime factor of each rank is put at one level, in time or in space. In logarithms products are sums, so tiles,
capacities, copies and traffic are linear. Equal factors of a rank are counted instead of told apart, which is the same program without
its symmetry.
The objective is a weighted sum of the logarithms of cycles, of traffic and of the share of the memories that is used.

The tensors in a memory have equal shares of its size, and all tensors of the Einsum equal shares of its bandwidth. A tensor
stays in a memory while loops that do not index it turn if no loop that does stands inside them; each level names one tensor whose loops
stand outside. Ranks with a prime above 7 are made a little longer.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from itertools import count
from math import log, prod
from typing import TYPE_CHECKING

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Memory
from accelsim.mapper.baselines.draws import Draws
from accelsim.mapper.baselines.points import Block, Branch, Part, Point, Space

if TYPE_CHECKING:
    import numpy as np

    from accelsim.mapper.objectives import Objective

Sum = dict[int, float]
"""Coefficients by variable."""

_PRIMES = (2, 3, 5, 7)
# of cycles, of traffic by its energy, and of the root's traffic; any other objective weighs the first two alike
_WEIGHTS = {"latency": (1.0, 0.1, 0.0), "energy": (0.1, 1.0, 0.0), "traffic": (0.1, 0.1, 1.0)}
_USED = 0.01  # weight of the memory that is used
_GAP = 0.01
_NODES = 2000
_ROOT, _UNIT = -1, -2  # ends of a tensor's way, beside the numbers of levels


def proposals(draws: Draws, objective: Objective, rng: np.random.Generator) -> Generator[Point, float, None]:
    """One point: Einsums one after the other, those around a recurrence together, each with its program's solution."""
    yield solved(draws, objective, rng)


def solved(draws: Draws, objective: Objective, rng: np.random.Generator) -> Point:
    """The point that the programs make; what they cannot see (partial results, conditions) is made to fit."""
    space = draws.space
    starts = (0, *space.cuts)
    parts = []
    for start, end in zip(starts, (*space.cuts, len(space.names)), strict=True):
        names = space.names[start:end]
        group = space.group(names)
        if not group.joined:
            raise IllegalMapping(f"{names[0]} to {names[-1]} depend on each other and cannot be fused", "write the mapping by hand")
        part = Part(names, (), tuple((rank, 1) for rank in group.single))
        parts.append(replace(part, branches=tuple(_branch(space, part, name, objective) for name in names)))
    point = draws.fitting.fitted(Point(tuple(parts)), rng)
    return point if point is not None else draws.draw(rng)


def _branch(space: Space, part: Part, einsum: str, objective: Objective) -> Branch:
    """The branch of the unit whose program has the least objective."""
    programs = [_Program(space, part, einsum, unit, objective) for unit in sorted(space.scope.able[einsum])]
    found = [program.solve() for program in programs]
    return min(found, key=lambda pair: pair[0])[1]


@dataclass(frozen=True, slots=True)
class _Slot:
    """A place for factors: the loops in time of a level, one of its axes, or (level _UNIT) what one unit computes by itself."""

    level: int
    axis: str | None = None


class _Program:
    """Variables, rows and objective of one Einsum on one unit."""

    def __init__(self, space: Space, part: Part, einsum: str, unit: str, objective: Objective) -> None:
        self.space, self.scope, self.einsum, self.unit = space, space.scope, einsum, unit
        self.levels = space.levels[unit]
        self.axes = {axis.name: axis for level in self.levels for axis in level.axes}
        self.left = space.left_in(part)[-1]
        self.above = space.held_above(part, ())
        self.sharers = len(part.einsums)
        self.tensors = space.tensors[einsum]
        self.lows: list[float] = []
        self.highs: list[float] = []
        self.whole: list[int] = []
        self.costs: Sum = {}
        self.rows: list[tuple[Sum, float, float]] = []
        self.memories = [at for at, level in enumerate(self.levels) if level.memory is not None]
        slots = [_Slot(at, axis.name) for at, level in enumerate(self.levels) for axis in level.axes if axis.size > 1]
        self.slots = [*slots, *(_Slot(at) for at in self.memories), _Slot(_UNIT)]
        self.factors = {rank: _factors(self.left[rank]) for rank in space.ranks[einsum] if self.left[rank] > 1}
        self.most = sum(many * log(prime) for factors in self.factors.values() for prime, many in factors.items()) + log(2**40)
        self.placed = self._placements()
        self.ways = {tensor: self._way(tensor) for tensor in self.tensors}
        self.stays = {(at, tensor): self._variable(1, True) for at in self.memories for tensor in self.tensors}
        for at in self.memories:
            self._row({self.stays[at, tensor]: 1.0 for tensor in self.tensors}, high=1.0)
        self._capacities()
        self._objective(objective)

    # variables and rows

    def _variable(self, high: float, whole: bool = False) -> int:
        self.lows.append(0.0)
        self.highs.append(high)
        self.whole.append(int(whole))
        return len(self.lows) - 1

    def _row(self, terms: Sum, low: float = -float("inf"), high: float = float("inf")) -> None:
        self.rows.append((terms, low, high))

    def _placements(self) -> dict[tuple[str, int, _Slot], int]:
        """How many of the equal factors of a rank stand in a slot."""
        noun = self.scope.facts.einsums[self.einsum]
        placed: dict[tuple[str, int, _Slot], int] = {}
        for rank, factors in self.factors.items():
            for prime, many in factors.items():
                for slot in self.slots:
                    barred = rank in self.scope.carried[self.einsum] or (
                        slot.axis is not None and rank in noun.reduced and noun.reduce not in self.axes[slot.axis].reduces
                    )
                    if slot.axis is None or not barred:
                        placed[rank, prime, slot] = self._variable(many, True)
                self._row({placed[rank, prime, slot]: 1.0 for slot in self.slots if (rank, prime, slot) in placed}, many, many)
        for slot in self.slots:
            if slot.axis is not None:
                self._row(_total(placed, self.factors, [slot]), high=log(self.axes[slot.axis].size) + 1e-9)
        return placed

    def _logs(self, slots: Iterable[_Slot], ranks: Iterable[str] | None = None) -> Sum:
        """The logarithm of the product of all factors of some ranks (None: all) in some slots."""
        return _total(self.placed, self.factors if ranks is None else set(ranks), slots)

    def _inside(self, level: int) -> list[_Slot]:
        return [slot for slot in self.slots if slot.level > level or slot.level == _UNIT]

    def _way(self, tensor: str) -> dict[tuple[int, int], int]:
        """Which memories hold a tensor one after the other, from the root (or from the home that has it) to the unit: (from, to)."""
        start = _ROOT
        allowed = self.memories if tensor in self.space.once else []
        if tensor in self.above and self.levels[0].memory == self.space.home:
            start, allowed = 0, [at for at in allowed if at > 0]
        ends = [start, *allowed]
        way = {(one, other): self._variable(1, True) for one in ends for other in (*allowed, _UNIT) if other == _UNIT or other > one}
        self._row({variable: 1.0 for (one, _), variable in way.items() if one == start}, 1.0, 1.0)
        for at in allowed:
            flow = {variable: 1.0 for (_, other), variable in way.items() if other == at}
            self._row(flow | {variable: -1.0 for (one, _), variable in way.items() if one == at}, 0.0, 0.0)
        return way

    def _kept(self, tensor: str, at: int) -> Sum:
        """One if the memory of a level keeps a tensor."""
        return {variable: 1.0 for (_, other), variable in self.ways[tensor].items() if other == at}

    def _words(self, tensor: str, at: int) -> tuple[Sum, float]:
        """The logarithm of a tile in the memory of a level: a sum and a constant."""
        ones = dict.fromkeys(self.scope.cascade.extents, 1)
        least = self.scope.words(tensor, ones, self.scope.alone[self.einsum], ones)
        return self._logs(self._inside(at), self.scope.facts.indexing[tensor]), log(least)

    def _capacities(self) -> None:
        for at in self.memories:
            memory = self.levels[at].memory
            assert memory is not None
            kept = [self._kept(tensor, at) for tensor in self.tensors]
            for (rank, prime, slot), variable in self.placed.items():  # no loops without a keep
                if slot == _Slot(at):
                    terms = {other: -float(self.factors[rank][prime]) for sums in kept for other in sums}
                    self._row({variable: 1.0} | terms, high=0.0)
            room = self.scope.capacity(memory) / self.sharers
            if room == float("inf"):
                continue
            shares = {many: self._variable(1, True) for many in range(1, len(self.tensors) + 1)}
            self._row({variable: 1.0 for variable in shares.values()}, 1.0, 1.0)
            held = {variable: 1.0 for sums in kept for variable in sums}
            self._row(held | {variable: -float(many) for many, variable in shares.items()}, high=0.0)
            for tensor, keeps in zip(self.tensors, kept, strict=True):
                words, least = self._words(tensor, at)
                needed = least + log(self.scope.bits[tensor])
                terms = words | {variable: self.most for variable in keeps} | {share: log(many) for many, share in shares.items()}
                self._row(terms, high=log(room) - needed + self.most + 1e-9)
                used = self._variable(self.most)
                self._row({used: 1.0} | _negative(words), high=0.0)
                self._row({used: 1.0} | {variable: -self.most for variable in keeps}, high=0.0)
                self.costs[used] = -_USED

    # traffic

    def _turned(self, tensor: str, at: int) -> Sum:
        """The logarithm of how often loops outside a memory bring it another tile of a tensor."""
        indexing = self.scope.facts.indexing[tensor]
        others = [rank for rank in self.factors if rank not in indexing]
        outside = [slot for slot in self.slots if slot.axis is None and _UNIT < slot.level <= at]
        total = self._logs(outside, indexing)
        for slot in outside:
            turning = self._logs([slot], others)
            if not turning:
                continue
            stays, again = self._variable(1, True), self._variable(self.most)
            self._row({stays: 1.0, self.stays[slot.level, tensor]: -1.0}, high=0.0)
            for (rank, prime, inner), variable in self.placed.items():
                if rank in indexing and inner.axis is None and slot.level < inner.level <= at:
                    many = self.factors[rank][prime]
                    self._row({variable: 1.0, stays: float(many)}, high=float(many))
            self._row({again: 1.0, stays: self.most} | _negative(turning), low=0.0)
            total[again] = 1.0
        return total

    def _flow(self, tensor: str, one: int, other: int) -> tuple[Sum, float]:
        """The logarithm of the words that all copies of a memory send to the next on a tensor's way, or receive from it."""
        indexing = self.scope.facts.indexing[tensor]
        noun = self.scope.facts.einsums[self.einsum]
        least = 0.0
        if other == _UNIT:
            flow = self._logs([slot for slot in self.slots if slot.axis is None])
        else:
            flow, least = self._words(tensor, other)
            flow = flow | self._turned(tensor, other)
        for slot in self.slots:
            if slot.axis is None or (slot.level > other != _UNIT):
                continue
            axis = self.axes[slot.axis]
            shared = noun.reduce in axis.reduces if tensor == self.scope.writes[self.einsum] else axis.multicast
            flow |= self._logs([slot], indexing if shared and slot.level > one else None)
        return flow, least

    def _objective(self, objective: Objective) -> None:
        figures = [figure for figure, _ in objective.terms] or [objective.name]
        for_cycles, for_traffic, for_root = _WEIGHTS.get(" + ".join(figures), (0.5, 0.5, 0.0))
        architecture, unit = self.scope.architecture, self.scope.architecture.units[self.unit]
        clock = float(architecture.clock_hz)
        memories = {at: architecture.memories[level.memory] for at, level in enumerate(self.levels) if level.memory is not None}
        memories[_ROOT] = architecture.root
        dearest = max(map(_energy, memories.values())) or 1.0
        cycles, alone = self._variable(2 * self.most), self._variable(self.most)
        self.costs[cycles] = for_cycles
        self._row({alone: 1.0} | _negative(self._logs([_Slot(_UNIT)])), low=-log(unit.lanes))
        steps = self._logs([slot for slot in self.slots if slot.axis is None and slot.level != _UNIT])
        self._row({cycles: 1.0, alone: -1.0} | _negative(steps), low=log(max(self.scope.able[self.einsum][self.unit], 1e-9)))
        for tensor, way in self.ways.items():
            written = tensor == self.scope.writes[self.einsum]
            for (one, other), variable in way.items():
                flow, least = self._flow(tensor, one, other)
                moved = self._variable(2 * self.most)
                self._row({moved: 1.0, variable: -self.most} | _negative(flow), low=least - self.most)
                dear = _energy(memories[one]) + (_energy(memories[other]) if other != _UNIT else 0.0)
                self.costs[moved] = for_traffic * dear / dearest + (for_root if one == _ROOT else 0.0)
                bits = self.scope.bits[tensor] * (2 if written and other == _UNIT else 1)
                for at in (one, other):
                    rate = memories[at].read_bits_per_s if at != _UNIT else None
                    if rate is not None:
                        copies = self._logs([slot for slot in self.slots if slot.axis is not None and slot.level <= at])
                        self._row({cycles: 1.0, moved: -1.0} | copies, low=log(len(self.tensors) * bits * clock / float(rate)))

    # solution

    def solve(self) -> tuple[float, Branch]:
        """The objective and the branch of the best solution found."""
        import numpy as np
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import csr_array

        size = len(self.lows)
        entries = [(row, variable, value) for row, (terms, _, _) in enumerate(self.rows) for variable, value in terms.items()]
        rows, columns, values = (np.array(column) for column in zip(*entries, strict=True))
        matrix = csr_array((values.astype(float), (rows, columns)), shape=(len(self.rows), size))
        limits = LinearConstraint(matrix, [low for _, low, _ in self.rows], [high for _, _, high in self.rows])
        costs = np.array([self.costs.get(variable, 0.0) for variable in range(size)])
        options = {"mip_rel_gap": _GAP, "node_limit": _NODES}
        answer = milp(costs, integrality=self.whole, bounds=Bounds(self.lows, self.highs), constraints=limits, options=options)
        if answer.x is None:
            raise IllegalMapping(f"the program of {self.einsum} on {self.unit} has no solution", "enlarge the memory that is too small")
        return float(answer.fun), self._read([float(value) for value in answer.x])

    def _read(self, solution: list[float]) -> Branch:
        """The branch that a solution stands for."""
        ranks, left, blocks = self.space.ranks[self.einsum], dict(self.left), []

        def factor(rank: str, slot: _Slot) -> int:
            primes = self.factors.get(rank, {})
            return prod(prime ** round(solution[self.placed[key]]) for prime in primes if (key := (rank, prime, slot)) in self.placed)

        for at, level in enumerate(self.levels):
            spread = []
            for axis in level.axes:
                for rank in ranks:
                    copies = factor(rank, _Slot(at, axis.name)) if axis.size > 1 else 1
                    if copies > 1:
                        spread.append((axis.name, rank, copies))
                        left[rank] = -(-left[rank] // copies)
            keeps, order = [], list(ranks)
            if level.memory is not None:
                keeps = [t for t in self.tensors if sum(solution[variable] for variable in self._kept(t, at)) > 0.5]
                left = {rank: -(-size // factor(rank, _Slot(at))) if rank in ranks else size for rank, size in left.items()}
                staying = [tensor for tensor in self.tensors if solution[self.stays[at, tensor]] > 0.5]
                order.sort(key=lambda rank: any(rank not in self.scope.facts.indexing[tensor] for tensor in staying))
            blocks.append(Block(tuple(spread), tuple(order), tuple(left[rank] for rank in ranks), tuple(keeps)))
        return Branch(self.unit, tuple(blocks))


def _total(placed: Dict[tuple[str, int, _Slot], int], ranks: Iterable[str], slots: Iterable[_Slot]) -> Sum:
    wanted, chosen = set(ranks), set(slots)
    return {variable: log(prime) for (rank, prime, slot), variable in placed.items() if rank in wanted and slot in chosen}


def _negative(terms: Sum) -> Sum:
    return {variable: -value for variable, value in terms.items()}


def _energy(memory: Memory) -> float:
    """Picojoules for a bit that is read."""
    price = memory.read_pj.value if memory.read_pj is not None else 0.0
    energy = price / memory.access_bits if memory.access_bits else price
    return energy + (memory.interface_pj.value if memory.interface_pj is not None else 0.0)


def _factors(size: int) -> dict[int, int]:
    """Prime factors with their multiplicities, of the least number from `size` on that has none above 7."""
    for number in count(size):
        found: dict[int, int] = {}
        for prime in _PRIMES:
            while number % prime == 0:
                number //= prime
                found[prime] = found.get(prime, 0) + 1
        if number == 1:
            return found
    raise AssertionError
