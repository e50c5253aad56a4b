"""Search over stored elements: the nest of one Einsum, and how its operands are stored, that the exact counts find best.

Source: docs/sparse.md, "Mapper".
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice, product
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import AccelsimError, IllegalMapping, InputError
from accelsim.jobs.interrupts import stopped_by_interrupts
from accelsim.kernel_cache import cpu_seconds
from accelsim.mapper.objectives import Key, key
from accelsim.mapper.stored_floor import floor_anywhere, floor_of
from accelsim.mapper.stored_space import Block, NestDesign, StoredSpace
from accelsim.mapping.holding import loops_by_elements
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import StoredEvaluation, evaluate_stored, refuse_uncounted
from accelsim.sparse.needs import Needs, needs
from accelsim.sparse.nest import fibers_of, nest_of
from accelsim.workload.build import resized
from accelsim.workload.storage import KINDS, Storage

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.best import Request
    from accelsim.mapping.tree import Mapping
    from accelsim.sparse.nest import Nest
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.cascade import Cascade

Formats = tuple[tuple[str, tuple[str, ...]], ...]
"""Inputs with the kind of each of their ranks; inputs that are not there are stored as the workload says."""

MOST_LISTED = 30_000  # choices of a nest and of formats up to which all of them are looked at
MOST_COUNTED = 6000  # and of which so many are counted: those with floors below the best
_BUDGET = 3000  # evaluations of small nests, or their like in operations, that climbing spends
_PER_EVALUATION = 5000  # operations that take about as long as the rest of an evaluation
_LOOKS = 8  # nests whose floors are worked out in the time of an evaluation
_VISITED = (50_000, 20_000_000)  # turns beyond which a nest is not counted, at least and at most
_PER_OPERATION = 6  # and between these, for each operation on stored elements
_STARTS = 240  # that are counted at most, and of orders by fibers
_REFINED = 3  # starts that are counted whatever their floors
_FIRST = 0.6  # of the budget, for starts; the rest is for steps from the best
_TRIED = 8
_VAIN = 20
_SAMPLED = 100_000  # operations beyond which nests are looked for on a sample
_SAMPLE = 4000  # operations that a sample should have
_DRAWS = 8
_FINALISTS = 16  # the best of so many outlines
_OUTLINES = 64
_CLOSE = 1 + 1e-6
_STOPPED = "the search over stored elements was stopped"


@dataclass(frozen=True, slots=True)
class Choice:
    """A nest and the formats of its operands."""

    design: NestDesign
    formats: Formats = ()


@dataclass(frozen=True, slots=True)
class Counted:
    """A choice and what is counted of it."""

    choice: Choice
    found: StoredEvaluation
    key: Key


@dataclass(frozen=True, slots=True)
class StoredFound:
    """The best mapping, the cascade with the formats that were chosen, what was counted and the record of the search."""

    mapping: Mapping
    cascade: Cascade
    found: StoredEvaluation
    formats: Formats
    record: dict[str, Any]


def search_stored(
    cascade: Cascade, machine: Architecture, stored: Dict[str, IntArray], request: Request, formats: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> StoredFound:  # fmt: skip
    """The best mapping found over the stored elements of some inputs, int64[dimensions, elements], none of whose tiles is too large.

    `formats`: how these inputs are stored is chosen as well. Of `request`, objective, seed, tiles and time limit are used. Refuses
    cascades of several Einsums and what `evaluate_stored` does; raises IllegalMapping where nothing is found that fits.
    """
    if len(cascade.work) != 1:
        what = f"{cascade.name} has {len(cascade.work)} Einsums, and over stored elements one is mapped"
        raise InputError(what, "map each in a workload of its own, or `accelsim evaluate` a mapping of all")
    refuse_uncounted(Evaluator(cascade, machine, request.counting), stored)
    return _Search(cascade, machine, stored, request, formats, tell).run()


def every_format(cascade: Cascade, stored: Dict[str, IntArray]) -> Iterator[Formats]:
    """All kinds of all ranks of stored inputs."""
    names = [name for name in stored if cascade.tensors[name].shape]
    for kinds in product(*(product(KINDS, repeat=len(cascade.tensors[name].shape)) for name in names)):
        yield tuple(zip(names, kinds, strict=True))


def with_formats(cascade: Cascade, formats: Formats) -> Cascade:
    """The cascade with inputs stored so; widths of coordinates, pointers and lines stay."""
    tensors = dict(cascade.tensors)
    for name, kinds in formats:
        tensors[name] = replace(tensors[name], storage=replace(tensors[name].storage or Storage(kinds), kinds=kinds))
    return replace(cascade, tensors=tensors)


@dataclass
class _Judge:
    """Counts choices, and leaves out those that cannot be better than a value."""

    cascade: Cascade
    machine: Architecture
    stored: Dict[str, IntArray]
    request: Request
    evaluated: int = 0
    covered: int = 0
    looked: int = 0
    counted_for: int = 0
    too_large: str = ""
    unwalked: int = 0
    refusal: AccelsimError | None = None
    _evaluators: dict[Formats, Evaluator] = field(default_factory=dict)
    _seen: dict[Any, Counted | None] = field(default_factory=dict)
    _floors: dict[Choice, float] = field(default_factory=dict)
    _needs: Needs | None = None

    @cached_property
    def space(self) -> StoredSpace:
        """Nests that may be tried."""
        elements = {name: each.shape[1] for name, each in self.stored.items()}
        return StoredSpace(self.cascade, self.machine, self.request.tiles == "dividing", elements)

    @property
    def spent(self) -> int:
        """Work so far, in evaluations of small nests."""
        return self.counted_for + self.looked // _LOOKS

    def evaluator(self, formats: Formats) -> Evaluator:
        """Of the cascade with these formats."""
        if formats not in self._evaluators:
            self._evaluators[formats] = Evaluator(with_formats(self.cascade, formats), self.machine, self.request.counting)
        return self._evaluators[formats]

    def need(self, nest: Nest) -> Needs:
        """What every nest does, whatever the formats."""
        if self._needs is None:
            operands = tuple(replace(each, coordinates=self.stored.get(each.tensor)) for each in nest.operands)
            self._needs = needs(replace(nest, operands=operands))
        return self._needs

    def nest(self, choice: Choice) -> Nest:
        """The nest of a choice; InputError if it is not counted over stored elements."""
        evaluator = self.evaluator(choice.formats)
        tensors = evaluator.cascade.tensors
        kept = {name: each for name, each in self.stored.items() if (how := tensors[name].storage) is None or not how.all_elements}
        ((path, leaf),) = self.space.mapping(choice.design).paths()
        return nest_of(evaluator.cascade, self.machine, path, leaf, kept)

    def floor(self, choice: Choice) -> float:
        """The least that a choice can have, in whatever order its points are; infinite if its nest is refused."""
        alike = replace(choice, design=replace(choice.design, points=()))
        if alike not in self._floors:
            self._floors[alike] = self._floor(alike)
        return self._floors[alike]

    def _floor(self, choice: Choice) -> float:
        try:
            nest = self.nest(choice)
        except AccelsimError as error:
            self.refusal = self.refusal or error
            return math.inf
        self.looked += 1
        return floor_of(self.evaluator(choice.formats), nest, self.need(nest)).of(self.request.objective)

    def anywhere(self, nest: Nest) -> float:
        """The least that any nest can have."""
        return floor_anywhere(self.evaluator(()), nest, self.need(nest)).of(self.request.objective)

    def counted(self, choice: Choice, below: float = math.inf) -> Counted | None:
        """What is counted of a choice; None if it is refused, does not fit, or cannot be less than `below`."""
        mapping = self.space.mapping(choice.design)
        known = mapping.nodes, choice.formats
        if known in self._seen:
            return self._seen[known]
        self.covered += 1
        if self.floor(choice) >= below:
            return None
        self._seen[known] = found = self._count(choice, mapping)
        return found

    def _count(self, choice: Choice, mapping: Mapping) -> Counted | None:
        evaluator, nest = self.evaluator(choice.formats), self.nest(choice)
        visits = _visits(nest)
        if visits > min(max(_VISITED[0], self.need(nest).effectual * _PER_OPERATION), _VISITED[1]):
            self.unwalked += 1
            return None
        self.evaluated += 1
        try:
            found = evaluate_stored(evaluator, mapping, self.stored)
        except AccelsimError as error:
            self.refusal = self.refusal or error
            self.counted_for += 1
            return None
        issued = sum(work.issued for work in found.works.values())
        self.counted_for += 1 + max(visits, issued) // _PER_EVALUATION
        if large := _too_large(found, self.machine):
            self.too_large = self.too_large or large
            return None
        return Counted(choice, found, key(self.request.objective, found.evaluation))


def _too_large(found: StoredEvaluation, machine: Architecture) -> str:
    """The memory that holds more than it has room for, "" if none does."""
    size = machine.root.size_bits
    if size is not None and sum(bits for bits, _ in found.whole.values()) > size:
        return machine.root.name
    beyond = [(each.memory, each.beyond) for work in found.works.values() for each in work.tiles]
    beyond += [(each.memory, each.beyond) for work in found.works.values() for each in work.together]
    return next((memory for memory, visits in beyond if visits), "")


def _visits(nest: Nest) -> int:
    """About how many turns of all loops are gone through: shares of tiles that hold something as if they were independent."""
    trips = [turn.trips for turn in nest.turns]
    if math.prod(trips) <= _PER_EVALUATION:
        return math.prod(trips)
    fibers, total = fibers_of(nest), 0.0
    shares = dict.fromkeys(fibers, 1.0)
    places = dict.fromkeys(fibers, 1)
    depth = dict.fromkeys(fibers, 0)
    for level, turn in enumerate(nest.turns):
        for operand in nest.operands:
            name = operand.tensor
            if name in fibers and turn.rank in operand.ranks:
                places[name] *= turn.trips
                if turn.meets:
                    shares[name] = fibers[name].coordinates[depth[name]].size / places[name]
                depth[name] += 1
        total += math.prod(trips[: level + 1]) * math.prod(shares.values())
    return int(total)


class _Search:
    def __init__(
        self, cascade: Cascade, machine: Architecture, stored: Dict[str, IntArray], request: Request, formats: bool,
        tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.cascade, self.machine, self.stored, self.request, self.tell = cascade, machine, stored, request, tell
        self.formats = list(every_format(cascade, stored)) if formats else [()]
        self.judge = _Judge(cascade, machine, stored, request)
        self.rng = random.Random(request.seed)
        self.interrupted = False
        self.started = cpu_seconds()
        self.end = math.inf if request.time_limit is None else self.started + request.time_limit
        self.sample: dict[str, Any] = {}
        self.no_exact = ""
        self.least: float | None = None  # of all mappings

    def over(self) -> bool:
        """Whether to make do with what was found."""
        return self.interrupted or cpu_seconds() > self.end

    def run(self) -> StoredFound:
        with stopped_by_interrupts(self._interrupt):
            least, operations = self._least()
            self.least = least
            best = self._by_sample(operations) if operations > _SAMPLED and self._may_sample() else None
            best = self._climbed(self.judge, None if best is None else [best])
            best, complete = self._listed(best, least)
        if best is None:
            raise self._nothing()
        return self._found(best, complete, least)

    def _interrupt(self) -> None:
        self.interrupted = True

    def _least(self) -> tuple[float, int]:
        """The least that any mapping can have, and operations on stored elements; refuses a statement that is not counted."""
        space = self.judge.space
        bare = NestDesign(space.units[0], tuple(Block() for _ in space.stations[space.units[0]]))
        nest = self.judge.nest(Choice(bare))
        return self.judge.anywhere(nest), self.judge.need(nest).effectual

    def _climbed(self, judge: _Judge, begin: list[Counted] | None) -> Counted | None:
        """The best that is reached from some choices, or from many starts, by steps that each are better."""
        found, least = begin or self._started(judge), -math.inf if self.least is None else self.least
        best: Counted | None = None
        for point in found:
            reached = self._refined(judge, point)
            best = reached if best is None or reached.key < best.key else best
            if judge.spent > _BUDGET * _FIRST or self.over() or best.key[0] <= least * _CLOSE:
                break
        vain = 0  # times that nothing new was counted
        while best is not None and vain < _VAIN and judge.spent <= _BUDGET and not self.over() and best.key[0] > least * _CLOSE:
            before = judge.evaluated
            reached = self._refined(judge, self._kicked(judge, best))
            best = min(best, reached, key=lambda each: each.key)
            vain = vain + 1 if judge.evaluated == before else 0
        return best

    def _kicked(self, judge: _Judge, point: Counted) -> Counted:
        """A choice a few random steps away."""
        for _ in range(self.rng.randint(2, 4)):
            neighbours = list(dict.fromkeys(self._around(judge, point.choice)))
            for choice in self.rng.sample(neighbours, min(_TRIED, len(neighbours))):
                if (other := judge.counted(choice)) is not None:
                    point = other
                    break
        return point

    def _started(self, judge: _Judge) -> list[Counted]:
        """Starts with the lowest floors, counted, the best first."""
        formats = self.formats[0] if len(self.formats) == 1 else self._compressed()
        designs = dict.fromkeys(tidy for each in judge.space.starts() if (tidy := judge.space.tidy(each)) is not None)
        ranked = heapq.nsmallest(_STARTS * 4, ((judge.floor(Choice(each, formats)), n, each) for n, each in enumerate(designs)))
        others = [each for _, _, each in ranked]
        self.rng.shuffle(others)
        fibers = [tidy for each in judge.space.by_fibers() if (tidy := judge.space.tidy(each)) is not None]
        self.rng.shuffle(fibers)
        chosen = list(dict.fromkeys((*fibers[:_STARTS], *others)))
        counted: list[Counted] = []
        for design in chosen:
            if (judge.spent > _BUDGET // 3 and counted) or len(counted) >= 2 * _STARTS or (self.over() and counted):
                break
            best = min((each.key[0] for each in counted), default=math.inf)
            if (point := judge.counted(Choice(design, formats), best if len(counted) >= _REFINED else math.inf)) is not None:
                counted.append(point)
                self._told(judge, min(counted, key=lambda each: each.key))
        return sorted(counted, key=lambda each: each.key)

    def _compressed(self) -> Formats:
        """Formats as the workload states them, compressed where it states none."""
        stated = {name: self.cascade.tensors[name].storage for name, _ in self.formats[0]}
        return tuple(
            (name, how.kinds if (how := stated[name]) is not None else ("compressed",) * len(kinds)) for name, kinds in self.formats[0]
        )

    def _refined(self, judge: _Judge, best: Counted) -> Counted:
        """Steps to neighbours, in random order, as long as one is better and the budget lasts."""
        stop = max(_BUDGET, judge.spent + _BUDGET // 10)
        moved = True
        while moved:
            moved = False
            neighbours = list(dict.fromkeys(self._around(judge, best.choice)))
            self.rng.shuffle(neighbours)
            for choice in neighbours:
                if judge.spent > stop or self.over():
                    return best
                point = judge.counted(choice, best.key[0] * _CLOSE)
                if point is not None and point.key[:3] < best.key[:3]:
                    best, moved = point, True
                    self._told(judge, best)
                    break
        return best

    def _around(self, judge: _Judge, choice: Choice) -> Iterator[Choice]:
        for design in judge.space.around(choice.design):
            tidy = judge.space.tidy(design)
            if tidy is not None and tidy != choice.design:
                yield replace(choice, design=tidy)
        for formats in self.formats:
            if sum(one != other for one, other in zip(formats, choice.formats, strict=False)) == 1:
                yield replace(choice, formats=formats)

    def _told(self, judge: _Judge, best: Counted) -> None:
        objective = self.request.objective
        self.tell(f"{judge.evaluated} mappings counted, best {objective.value(best.found.evaluation):.6g} {objective.unit}")

    def _listed(self, best: Counted | None, least: float) -> tuple[Counted | None, bool]:
        """The best of what is given and of all choices with equal tiles, and True, if these are few; else what is given and False."""
        if best is not None and best.key[0] <= least * _CLOSE:
            return best, False
        designs = list(islice(self.judge.space.every(), MOST_LISTED // len(self.formats) + 1))
        if len(designs) * len(self.formats) > MOST_LISTED:
            self.no_exact = f"over stored elements more than {MOST_LISTED:,} nests and formats are not listed"
            return best, False
        self.tell(f"listing {len(designs) * len(self.formats)} mappings")
        few = [each for each in self.formats if all(len(set(kinds)) == 1 and kinds[0] in KINDS[:2] for _, kinds in each)] or self.formats
        ranked = list[tuple[float, int]]()
        for number, design in enumerate(designs):
            if self.over():
                self.no_exact = _STOPPED
                return best, False
            ranked.append((min(self.judge.floor(Choice(design, formats)) for formats in few), number))
        ranked.sort()
        worth = sum(floor < (math.inf if best is None else best.key[0]) for floor, _ in ranked) * len(self.formats)
        if worth > MOST_COUNTED:
            self.no_exact = f"over stored elements {worth:,} nests and formats may be better, more than are counted one by one"
            return best, False
        for floor, number in ranked:
            if (best is not None and floor >= best.key[0]) or math.isinf(floor):
                break
            for formats in self.formats:
                if self.over():
                    self.no_exact = _STOPPED
                    return best, False
                point = self.judge.counted(Choice(designs[number], formats), math.inf if best is None else best.key[0])
                if point is not None and (best is None or point.key < best.key):
                    best = point
                    self._told(self.judge, best)
        if self.judge.unwalked:
            self.no_exact = f"{self.judge.unwalked} nests take too long to count"
            return best, False
        self.judge.covered = len(designs) * len(self.formats)
        return best, True

    def _may_sample(self) -> bool:
        cascade = self.cascade
        return cascade.declaration is not None and not cascade.splits and self.request.tiles != "dividing"

    def _by_sample(self, operations: int) -> Counted | None:
        """The best of what is found on a sample of all ranks, counted over all elements; None if none of it fits."""
        small, elements = self._sampled(operations)
        if not all(each.shape[1] for each in elements.values()):
            self.sample = {}
            return None
        judge, least = _Judge(small, self.machine, elements, self.request), self.least
        self.least = None
        self._climbed(judge, None)
        self.least = least
        ranked = list[Counted]()
        for each in sorted((each for each in judge._seen.values() if each is not None), key=lambda each: each.key):
            if judge.space.outline(each.choice.design) not in [judge.space.outline(other.choice.design) for other in ranked[:_OUTLINES]]:
                ranked.append(each)
        best: Counted | None = None
        for number, each in enumerate(ranked):
            if (number >= _FINALISTS and (best is not None or self.judge.spent > _BUDGET)) or (self.over() and best is not None):
                break
            tidy = self.judge.space.tidy(each.choice.design)
            if tidy is None:
                continue
            point = self.judge.counted(replace(each.choice, design=tidy), math.inf if best is None else best.key[0])
            if point is not None and (best is None or point.key < best.key):
                best = point
        self.sample |= {"counted": judge.evaluated}
        return best

    def _sampled(self, operations: int) -> tuple[Cascade, dict[str, IntArray]]:
        """Windows of all ranks at one relative place, and the elements inside: of some draws that with the most elements of median many."""
        (einsum,) = self.cascade.work
        ranks = {access.tensor: tuple(str(index.single_rank) for index in self.cascade.index_maps(access) if index is not None)
                 for access in einsum.reads}  # fmt: skip
        share = (_SAMPLE / operations) ** (1 / len(einsum.ranks))
        sizes = {rank: max(1, math.ceil(self.cascade.extents[rank] * share)) for rank in einsum.ranks}
        rng = np.random.default_rng(self.request.seed)
        draws = []
        for place in rng.random(_DRAWS).tolist():
            begins = {rank: int(place * (self.cascade.extents[rank] - size + 1)) for rank, size in sizes.items()}
            draws.append(({name: _window(each, ranks[name], begins, sizes) for name, each in self.stored.items()}, begins))
        draws.sort(key=lambda draw: min(each.shape[1] for each in draw[0].values()))
        elements, begins = draws[_DRAWS // 2]
        self.sample = {"ranks": {rank: [begins[rank], begins[rank] + size] for rank, size in sizes.items()}, "seed": self.request.seed}
        return resized(self.cascade, sizes), elements

    def _nothing(self) -> AccelsimError:
        """Why nothing was found."""
        what = f"no mapping of {self.cascade.name} on {self.machine.name} was found"
        if self.judge.too_large:
            return IllegalMapping(f"{what}: {self.judge.too_large} holds less than the tiles that were tried", "enlarge it")
        return self.judge.refusal or IllegalMapping(what, "allow more time")

    def _found(self, best: Counted, complete: bool, least: float) -> StoredFound:
        objective, judge = self.request.objective, self.judge
        value = objective.value(best.found.evaluation)
        bound = value if complete else least
        tiles = "tiles that divide" if self.request.tiles == "dividing" else "equal tiles of every size that is tried"
        if complete and next(loops_by_elements(best.found.evaluation.mapping.nodes), None) is not None:
            complete, self.no_exact = False, "over stored elements only nests with equal tiles are listed, and none of them is better"
            bound = least
        near = value <= least * _CLOSE
        record = {
            "objective": objective.name,
            "value": value,
            "lower_bound": bound or None,
            "gap": max(0.0, value / bound - 1) if bound else None,
            "proved_optimal": complete or (bool(bound) and near),
            "space": "all mappings" if not complete or near else f"nests with {tiles}",
            "mappings_covered": judge.covered,
            "evaluated": judge.evaluated,
            "seconds": cpu_seconds() - self.started,
            **({"no_exact_search": self.no_exact} if self.no_exact else {}),
            **({"sample": self.sample} if self.sample else {}),
            **({"formats": {name: list(kinds) for name, kinds in best.choice.formats}} if best.choice.formats else {}),
        }
        evaluation = best.found.evaluation.with_search(record)
        found = replace(best.found, evaluation=evaluation)
        cascade = evaluation.evaluator.cascade
        return StoredFound(evaluation.mapping, cascade, found, best.choice.formats, record)


def _window(elements: IntArray, ranks: Iterable[str], begins: Dict[str, int], sizes: Dict[str, int]) -> IntArray:
    """Elements whose coordinates lie in windows of the ranks, counted from where these begin."""
    begin = np.array([begins[rank] for rank in ranks], np.int64)[:, None]
    size = np.array([sizes[rank] for rank in ranks], np.int64)[:, None]
    moved = elements - begin
    kept = ((moved >= 0) & (moved < size)).all(axis=0)
    return np.asarray(moved[:, kept])
