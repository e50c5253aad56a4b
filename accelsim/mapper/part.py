"""The search within one part: trunks, what is kept above the fuse, and ways to run every Einsum below it, by their bounds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from accelsim.mapper.below import Below
from accelsim.mapper.figures import NO_WEIGHTS, SLACK, Cost
from accelsim.mapper.floors import Floors
from accelsim.mapper.leaf import LeafSearch, OutOfTime
from accelsim.mapper.leaf_bounds import UNLIMITED
from accelsim.mapper.leaf_plan import FloatArray, IntArray, Names
from accelsim.mapper.nests import Allowance, Around, Hopeless, Nest, Variants
from accelsim.mapper.options import Bounds, Chosen, Cutoff, Option, Solved
from accelsim.mapper.pieces import Stretch
from accelsim.mapper.settings import Above, Loops, Setting, Trunks, Waiting

if TYPE_CHECKING:
    from accelsim.mapper.exact import Exact

_QUICK = 40  # trunks that are tried with all that is external kept above the fuse
_LOOKS = 1 / 2, 1 / 16  # shares of a unit's time for which ports do not matter in a quick look; the second on large problems
_MOST_JOINT, _EFFORT = 1000, 5  # combinations of places that bounds tell apart at most, and for each trunk that waits
_LOOK = 0.1  # of the work that the clock is looked at for: what bounds of variants cost
_FEW = 2  # trunks that are tried with every choice of keeps before bounds are made better


class Part:
    """The search within one part."""

    def __init__(
        self, exact: Exact, stretch: Stretch, resident: frozenset[str], held: float, around: Around | None = None,
        blocks: tuple[tuple[str, ...], ...] = (), nests: dict[tuple[str, ...], Nest] | None = None, passed: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        """resident: tensors that memory 1 holds already, in pieces `held`; around: what stands around a nest. Of a variant (`nests`):
        blocks: its Einsums, those of a nest together; nests: by block; passed: tensors made and read here that pass through the root.
        """
        self.exact, self.stretch, self.resident, self.held = exact, stretch, resident, held
        self.around, self.nests, self.passed = around, nests or {}, passed
        self.blocks = blocks or tuple((name,) for name in stretch.names)
        self.aim, self.evaluator = exact.aim, exact.evaluator
        self.extents = exact.cascade.extents if around is None else around.tile
        self.room, self.gap, self.near = exact.size - held, exact.limits.gap, max(exact.limits.gap, exact.tolerance)
        self._outer: dict[str, int] = {}  # trips of loops around
        if around is not None:
            energy, ticks, traffic, held = exact.aim.uses
            self.aim = replace(exact.aim, uses=(energy, ticks, traffic, held or around.thrifty), weights=NO_WEIGHTS, alone=NO_WEIGHTS)
            self.room, self.gap, self.near = around.room, 0.0, 0.0
            whole = exact.cascade.extents
            self._outer = {rank: whole[rank] // size for rank, size in around.tile.items() if whole[rank] > size}
        self.units = {unit: at for at, unit in enumerate(sorted({names.unit for name in stretch.names for _, names in exact.ways[name]}))}
        self.solved = Solved(part=self)
        self.rivals: list[Cost] = []
        self.cutoff: Cutoff | Allowance | None = None
        self.looked = False
        self.put_off = False  # whether there was no time for something
        self.through = False  # whether all but variants is explored
        self.hardest = 0  # the Einsum that ruled out the last trunk: it is tried first
        self.bounding: list[Callable[[], None]] = []  # ways to better bounds that are to come
        self.waiting = Waiting()
        self.variants: Variants | None = None
        self._floors: dict[tuple[str, float], Floors] = {}
        self._most: tuple[object, tuple[float, float]] = None, UNLIMITED
        quick = exact.timely and around is None and not nests and not passed
        self.looks = [*(_LOOKS if exact.large else _LOOKS[:1])] if quick else []  # quick ones that are to come

    def begin(self) -> None:
        """Note lower bounds."""
        try:
            self._begin()
        except OutOfTime:
            energy = sum(min(search.plan.energy for search, _ in self.exact.ways[name]) for name in self.stretch.names)
            self.solved.rest = [Cost(energy, 0.0, 0.0, self.held)]

    def _describe(self) -> None:
        """The tensors that have to be brought or sent, and where they may be kept."""
        exact, names = self.exact, self.stretch.names
        self.placeable = [tensor for tensor in self.stretch.external if tensor not in self.resident]
        self.numbers = {tensor: number for number, tensor in enumerate(self.placeable)}
        self.users = [self.users_of(tensor) for tensor in self.placeable]
        self.alike = [exact.tensors.alike(tensor, names) for tensor in self.placeable]
        self.whole = [exact.tensors.words(tensor) for tensor in self.placeable]
        self.ranks_of = {tensor: exact.tensors.ranks(tensor, names) for tensor in (*self.placeable, *self.stretch.internal)}
        self.movable = [
            len(names) > 1 and tensor not in self.passed and exact.permits.may_stay(tensor, names) and alike
            for tensor, alike in zip(self.placeable, self.alike, strict=True)
        ]  # fmt: skip
        if len(names) == 1:
            return
        self.brought = [self.moved(tensor, words) for tensor, words in zip(self.placeable, self.whole, strict=True)]
        twice = [self.moved(tensor, 2 * words) for tensor, words in zip(self.placeable, self.whole, strict=True)]
        self.again = [more - once for more, once in zip(twice, self.brought, strict=True)]

    def _begin(self) -> None:
        exact = self.exact
        self._describe()
        if len(self.stretch.names) == 1:
            self.solved.rest = [self.floors("sequential").crude().cost(0, self.held)]
            return
        if not self._schedules():
            return
        if self.around is not None:  # what may be of use is known
            self.bounding, self.solved.rest = [self._list], [Cost(0.0, 0.0, 0.0, 0.0)]
            return
        self.bounding = [lambda: self._note_crude(confined=False), lambda: self._note_crude(confined=True), self._list]
        if exact.limits.over:
            raise OutOfTime
        self.bounding[0]()
        del self.bounding[0]

    def floors(self, schedule: str, quick: bool = False) -> Floors:
        """Bounds under a schedule, of the ways to run Einsums under it; quick: of those of a quick look, if one is to come."""
        share = self.looks[0] if quick and self.looks else 0.0
        if (schedule, share) not in self._floors:
            names = self.stretch.names
            leaves = self.exact.sharing(names) if schedule == "pipelined" else [self.exact.ways[block[0]] for block in self.blocks]
            if share:
                leaves = [[(search.relaxed(share), each) for search, each in mine] for mine in leaves]
            ways: list[list[tuple[LeafSearch | Nest, Names]]] = [[*mine] for mine in leaves]
            for at, nest in ((at, self.nests[block]) for at, block in enumerate(self.blocks) if len(block) > 1):
                ways[at] = [(nest, nest.names)]
            self._floors[schedule, share] = Floors(self, schedule, ways)
        return self._floors[schedule, share]

    def _any(self) -> Setting:
        """What any trunk means: every word of an external tensor comes once at least, and a word of it is held if any is."""
        held = [np.full((int(movable), 1), float(self.width(tensor))) for tensor, movable in zip(self.placeable, self.movable, strict=True)]
        above = [
            Above((None,) * len(bits), bits, np.full_like(bits, self.least_turns(number))) for number, bits in enumerate(held)
        ]  # fmt: skip
        return Setting(np.array([self.room]), [np.array([self.least_turns(number)]) for number in range(len(above))], above)

    def _crude(self, schedule: str, confined: bool) -> Cost:
        """A lower bound under any trunk."""
        floors = self.floors(schedule)
        return (floors.least(self._any()) if confined else floors.crude()).cost(0, self.held)

    def _note_crude(self, confined: bool) -> None:
        """Note a lower bound under any trunk."""
        crude = [self._crude(schedule, confined) for schedule in self._schedules()]
        self.solved.rest = [each.least(crude[0]) for each in crude[-1:]]

    def _schedules(self) -> list[str]:
        able = [schedule for schedule in self.exact.schedules if self.exact.constraints.may_overlap(self.stretch.names, schedule)]
        if self.around is not None:
            return [schedule for schedule in able if schedule == "sequential"]
        found = [schedule for schedule in able if schedule == "sequential" or "sequential" not in able or self._overlaps()]
        return found[::-1] if self.exact.timely else found

    def _list(self) -> None:
        """Bounds of every trunk."""
        self.waiting = Waiting()
        for schedule in self._schedules():
            floors, most = self.floors(schedule), self.most(schedule)
            loops = Loops(floors)
            for trunks in loops.all():
                self.waiting.add(loops, trunks, floors.least(loops.setting(trunks), most))
                self.solved.covered += len(trunks) * prod(search.tiles for ways in floors.ways for search, _ in ways[:1])
        self.waiting.keep(np.argsort(self.values(self.waiting.bounds), kind="stable"))
        self._note_rest()
        if self.around is None and len(self.stretch.names) > 2 and "sequential" in self._schedules() and self.exact.may_vary:
            self.variants = Variants(self, self._crude("sequential", confined=True))
            self.solved.aside, self.solved.counted = [self.variants.bound], self.exact.exhaustive

    def values(self, bounds: Bounds) -> FloatArray:
        """What bounds are worth alone."""
        found = np.asarray(self.aim.value(Cost(bounds.energy, bounds.ticks, bounds.traffic, self.held)), np.float64)  # type: ignore[arg-type]
        return found if found.ndim else np.full(len(bounds.energy), found)  # one, if none of these counts

    def _note_rest(self) -> None:
        """A bound of all that waits."""
        if len(self.waiting):
            self.solved.rest.append(self.waiting.bounds.least(self.held))

    def go_on(self, rivals: list[Cost], cutoff: Cutoff | Allowance | None) -> None:
        """Explore what was not; quickly at first, if that may be enough. `rivals`: other ways to run these Einsums."""
        self.rivals, self.cutoff, bounds = rivals, cutoff, self.solved.rest
        if self.exact.limits.over and len(self.stretch.names) > 1:
            return
        try:
            self._go_on(bounds)
        except OutOfTime:
            self.solved.rest = bounds
        except BaseException:  # as when a user interrupts: what is not known has its bound all the same
            self.solved.rest = bounds
            raise

    def _go_on(self, bounds: list[Cost]) -> None:
        self.solved.rest, self.put_off = [], False
        while self.bounding:
            self.bounding[0]()
            del self.bounding[0]
            if any(not self.aim.beats(bounds[0], rest) or not self.aim.beats(rest, bounds[0]) for rest in self.solved.rest):
                return  # it may not be promising any more
            self.solved.rest = []
        if len(self.stretch.names) == 1:
            self._single(bounds)
        else:
            self._several()
        self.through = not self.solved.rest or not (self.looks or self.put_off)
        self._end()
        self.looks, self.looked = self.looks[1:], True

    def _end(self) -> None:
        """Let go of the part if nothing of it is left that could be explored."""
        if self.through and not self.solved.aside:
            self.solved.part = None

    def vary(self, rivals: list[Cost], cutoff: Cutoff | None) -> None:
        """Explore the variants of the part, as in `go_on`; bounds of them at first."""
        self.rivals, self.cutoff, bounds = rivals, cutoff, self.solved.aside
        if self.exact.limits.over or self.variants is None or not bounds:
            return
        self.exact.limits.spent += _LOOK
        try:
            left = self.variants.go_on() if self.worth(bounds[0]) else None
            self.solved.aside = [left] if left is not None and self.worth(left) else []
        except OutOfTime:
            self.put_off = True
        self._end()

    def _single(self, bounds: list[Cost]) -> None:
        """A part of one Einsum: no trunk."""
        for search, names in self.exact.ways[self.stretch.names[0]]:
            streams = len(names.tensors)
            given = sum(1 << at for at, tensor in enumerate(names.tensors) if tensor in self.resident)
            allowed = ((1 << streams) - 1) & ~given
            if self.exact.home is None:
                budget = int(search.plan.ports[1, 2]) if search.plan.ports.shape[0] > 1 else -1
            else:
                budget = -1 if self.room == float("inf") else int(self.room)
            if self.looks:
                search = search.relaxed(self.looks[0])
            # one Einsum is the whole mapping: a product by time can be compared too
            weights = self.aim.alone if len(self.exact.order) == 1 and not self.aim.uses[3] else self.aim.weights
            try:
                front = search.front(
                    search.whole, given, allowed, budget, None, not self.aim.uses[3], True, self.aim.uses, weights=weights
                )
            except OutOfTime as stopped:
                self.solved.rest, self.put_off = bounds, True
                if stopped.front is None:
                    continue
                front = stopped.front
            for row, pointer in zip(front.rows, front.pointers, strict=True):
                held = row[1 + self.exact.times]
                if held > self.room:
                    continue
                cost = self._cost(row, held)
                self.offer(Option(cost, "sequential", (), (), (), (Chosen(search, names, search.whole, pointer),)))
            self.solved.covered += search.tiles
            self.solved.evaluated += len(front.rows)
        if self.looks and not any(self.aim.beats(option.cost, bound) for option in self.solved.options for bound in bounds):
            self.solved.rest = bounds

    def _cost(self, row: FloatArray, held: float) -> Cost:
        ticks = float(np.max(row[1 : 1 + self.exact.traffic])) + float(row[1 + self.exact.latency])
        return Cost(float(row[0]), ticks, float(row[1 + self.exact.traffic]), held + self.held)

    def offer(self, option: Option) -> None:
        """Add a way to run the part unless a known one beats it. Its cost comes with all launches but one, which any way has."""
        if self.exact.launch and self.around is None and option.parts > 1:
            option = replace(option, cost=option.cost.later(self.exact.launch * (option.parts - 1)))
        if any(self._better(known.cost, option.cost) for known in self.solved.options):
            return
        self.solved.options = [known for known in self.solved.options if not self._better(option.cost, known.cost)]
        self.solved.options.append(option)
        if self.cutoff is not None:
            self.cutoff.note(option.cost)

    def _better(self, one: Cost, other: Cost) -> bool:
        """Dominance; figures that the objective does not look at break ties."""
        if not self.aim.beats(one, other):
            return False
        if not self.aim.beats(other, one):
            return True
        return (one.energy, one.ticks, one.traffic, one.held) <= (other.energy, other.ticks, other.traffic, other.held)

    # --- several Einsums ------------------------------------------------------------------------------------------------------------

    def _several(self) -> None:
        """A part of several Einsums: trunks in the order of their bounds; quickly, only the first that promise most."""
        left: list[int] = []
        tried, at, waiting = 0, 0, self.waiting
        hopeless = None if self.around is None else Hopeless(self)
        waiting.keep(self.useful(waiting.bounds))
        for row in range(min(_QUICK if self.around is None else 0, len(waiting))):  # something good first: it shortens what follows
            if self.worth(waiting.bounds.cost(row, self.held)) and not self.exact.limits.over:
                Below(self, waiting.trunk(row)).explore(quickly=True)
        waiting.keep(self.useful(waiting.bounds))
        self._refine()
        while at < len(waiting):
            if not self.worth(waiting.bounds.cost(at, self.held)):
                at += 1
                continue
            if self.exact.limits.over or (self.looks and tried >= _FEW):
                left.extend(range(at, len(waiting)))
                self.put_off = True
                break
            if hopeless is not None and hopeless.sure and hopeless.look(waiting, at):
                at += 1
                continue
            tried += 1
            done = Below(self, waiting.trunk(at)).explore(quickly=False)
            if self.looks or not done:
                left.append(at)
                self.put_off = self.put_off or not done
            at += 1
        waiting.keep(np.array(left, np.int64))
        waiting.keep(self.useful(waiting.bounds))
        self._note_rest()

    def _refine(self) -> None:
        """Better bounds of all that waits, if that takes less time than to explore it."""
        for loops, rows, setting in self.waiting.settings():
            better = loops.floors.jointly(setting, self.most(loops.floors.schedule), min(_MOST_JOINT, _EFFORT * len(rows)))
            if better is not None:
                self.waiting.better(rows, better)
        self.waiting.keep(self.useful(self.waiting.bounds))
        self._sort()

    def _sort(self) -> None:
        """The most promising first; of equal ones, in a nest, those with the largest tiles: they may rule out others."""
        values = self.values(self.waiting.bounds)
        if self.around is None or not len(values):
            self.waiting.keep(np.argsort(values, kind="stable"))
        else:
            self.waiting.keep(np.lexsort((-np.log(self.waiting.trunks.tiles).sum(axis=1), values)))

    def useful(self, bounds: Bounds) -> IntArray:
        """The places of bounds that something known does not rule out; what only the gap rules out stays."""
        every = Cost(bounds.energy, bounds.ticks, bounds.traffic, self.held)  # type: ignore[arg-type]
        good = np.ones(len(bounds.energy), bool)
        if self.cutoff is not None:
            good &= self.cutoff.allowed(every)
        if not np.count_nonzero(good):
            return np.zeros(0, np.int64)
        known = [option.cost for option in self.solved.options] + list(self.rivals)
        if self.aim.uses[3]:
            known = [cost for cost in known if cost.held <= self.held * SLACK]
        if not known:
            return np.flatnonzero(good)
        if any(self.aim.weights):
            return np.flatnonzero(good & (min(self.aim.value(cost) for cost in known) > self.values(bounds) * SLACK))
        used = [place for place in range(3) if self.aim.uses[place]]
        raised = {place: every[place] * SLACK for place in used}
        for cost in known:
            worse = np.zeros(len(good), bool)
            for place in used:
                worse |= cost[place] > raised[place]
            good = good & worse
        return np.flatnonzero(good)

    def _overlaps(self) -> bool:
        """Whether pipelining could pay: where time counts, or where iterations share what leaves keep."""
        return self.aim.uses[1] or self.evaluator.counting.refill == "delta"

    def worth(self, bound: Cost) -> bool:
        """Could something with this lower bound be of use? Bounds that only the gap rules out are remembered."""
        known = [*(option.cost for option in self.solved.options), *self.rivals]
        if any(self.aim.beats(cost, bound) for cost in known):
            return False
        if self.cutoff is not None and not self.cutoff.allows(bound):
            if self.gap:
                self.solved.rest.append(bound)
            return False
        gap = (1 + self.near) ** (0.5 if self.aim.uses[0] and self.aim.uses[1] else 1)  # a product of two takes it twice
        if gap > 1:
            larger = Cost(bound.energy * gap, bound.ticks * gap, bound.traffic * gap, bound.held)
            if any(self.aim.beats(cost, larger) for cost in known):
                self.solved.rest.append(bound)
                return False
        return True

    # --- parts inside parts ---------------------------------------------------------------------------------------------------------

    def solve(self, allowance: Allowance) -> list[Option]:
        """All good ways to run a nest within an allowance."""
        self.begin()
        self.cutoff = allowance
        hopeless, loops, waiting = Hopeless(self), Loops(self.floors("sequential")), Waiting()
        whole = Trunks(np.array([loops.orders.index(())]), loops.extents[None, :])
        waiting.add(loops, whole, Bounds(*(np.zeros(1) for _ in range(3))))
        if hopeless.sure and hopeless.look(waiting, 0):
            return []
        while self.solved.part is not None and self.solved.rest and not self.exact.ended:
            self.go_on([], allowance)
        if self.solved.rest:
            raise OutOfTime
        return self.solved.options

    def probe(self) -> Part:
        """The same part with what is known of it so far, where what is found is not noted."""
        found = Part(self.exact, self.stretch, self.resident, self.held, self.around, self.blocks, self.nests, self.passed)
        found._describe()
        found.rivals, found.cutoff = [*self.rivals, *(option.cost for option in self.solved.options)], self.cutoff and self.cutoff.copy()
        return found

    def variant(
        self, stretch: Stretch, blocks: tuple[tuple[str, ...], ...], nests: dict[tuple[str, ...], Nest],
        passed: frozenset[str] = frozenset(),
    ) -> Part:  # fmt: skip
        """A variant of this part, whose ways are ways to run this part."""
        found = Part(self.exact, stretch, self.resident, self.held, None, blocks, nests, passed)
        found._describe()
        found.solved = self.solved
        return found

    def follow(self, part: Part) -> None:
        """Know what else is known, as a part of which this is a variant."""
        self.rivals, self.cutoff = part.rivals, part.cutoff

    def users_of(self, tensor: str) -> list[int]:
        """The places of the blocks that touch a tensor."""
        touched = self.exact.tensors.touched
        return [at for at, block in enumerate(self.blocks) if any(tensor in touched[name] for name in block)]

    def length(self, rank: str | None, extent: int) -> int:
        """How long a dimension is below the loops around, if a rank indexes it."""
        return extent if rank is None or rank not in self._outer else self.extents[rank]

    def turns(self, ranks: Iterable[str | None]) -> float:
        """Trips of the loops around that are over other ranks."""
        if not self._outer:
            return 1.0
        indexing = set(ranks)
        return float(prod(trips for rank, trips in self._outer.items() if rank not in indexing))

    def least_turns(self, number: int) -> float:
        """How often an external tensor comes at least."""
        return self.turns(self.ranks_of[self.placeable[number]]) if self._outer and self.alike[number] else 1.0

    def held_words(self, number: int) -> float:
        """Words of an external tensor below the loops around."""
        tensor = self.placeable[number]
        shape = self.exact.cascade.tensors[tensor].shape
        return float(prod(self.length(rank, extent) for rank, extent in zip(self.ranks_of[tensor], shape, strict=True)))

    def paid(self, at: int) -> FloatArray:
        """What an Einsum pays for what is kept further out."""
        found = None if self.around is None else self.around.paid.get(self.stretch.names[at])
        return np.zeros(1 + self.exact.times) if found is None else found

    def counted(self, at: int) -> FloatArray | float:
        """What of the costs of places is not counted inside a block already: of a nest times are, by the Einsum whose they are."""
        if len(self.blocks[at]) == 1:
            return 1.0
        found = np.zeros(1 + self.exact.times)
        found[[0, 1 + self.exact.traffic]] = 1.0
        return found

    def told_apart(self, at: int, rows: IntArray) -> list[IntArray]:
        """Choices of places for which a block has fronts of its own: a leaf's depends only on which tensors it keeps itself."""
        return [rows] if len(self.blocks[at]) == 1 else [rows[[row]] for row in range(len(rows))]

    def moved(self, tensor: str, words: int) -> FloatArray:
        """Energy and times of bringing words of a tensor from the root to memory 1, or of sending them out (distinct words once each)."""
        return self.exact.moves.cost(tensor, words, self.stretch)

    def width(self, tensor: str) -> int:
        """Pieces of a word that is kept above a fuse: of a result, in its partial type, which it has while it is made."""
        widths = self.evaluator.widths
        return widths.final[tensor] if tensor not in self.exact.tensors.makers else widths.partial[tensor]

    def headroom(self, bound: Cost) -> tuple[float, float]:
        """How much more energy than a bound, or how many more ticks, a way to run this part may take to be of use."""
        if self.cutoff is None:
            return UNLIMITED
        return self.cutoff.headroom(bound)

    def most(self, schedule: str) -> tuple[float, float]:
        """The most energy and ticks that one Einsum of this part may take, if the others may take none."""
        if self.gap:
            return UNLIMITED
        if isinstance(self.cutoff, Allowance):
            return self.cutoff.limit[0] * SLACK, self.cutoff.limit[1] * SLACK
        known = [*(option.cost for option in self.solved.options), *self.rivals]
        key = schedule, len(self.looks), None if self.cutoff is None else self.cutoff.best, tuple(known)
        if key != self._most[0]:
            self._most = key, self._affordable(schedule, known)
        return self._most[1]

    def _affordable(self, schedule: str, known: list[Cost]) -> tuple[float, float]:
        least = self._crude(schedule, confined=True)
        more = self.headroom(least)
        energy, ticks = (least.energy + more[0]) * SLACK, (least.ticks + more[1]) * SLACK
        if self.aim.uses == (True, False, False, False):
            energy = min([energy, *(cost.energy * SLACK for cost in known)])
        if self.aim.uses == (False, True, False, False):
            ticks = min([ticks, *(cost.ticks * SLACK for cost in known)])
        return energy, ticks
