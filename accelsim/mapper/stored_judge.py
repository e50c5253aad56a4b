"""What the search over stored elements takes as better: exact counts of one Einsum's nests, and floors that leave most of them uncounted.

Source: docs/sparse.md, "Mapper".
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.errors import AccelsimError
from accelsim.mapper.objectives import Key, key
from accelsim.mapper.stored_floor import Floor, floor_anywhere, floor_of
from accelsim.mapper.stored_formats import Formats, all_elements, with_formats
from accelsim.mapper.stored_rules import Rules
from accelsim.mapper.stored_space import NestDesign, StoredSpace
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import StoredEvaluation, evaluate_stored, handed_on
from accelsim.sparse.needs import Needs, needs
from accelsim.sparse.nest import fibers_of, nest_of

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.best import Request
    from accelsim.mapper.objectives import Objective
    from accelsim.mapping.tree import Mapping
    from accelsim.sparse.nest import Nest
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.cascade import Cascade

PER_EVALUATION = 5000  # operations that take about as long as the rest of an evaluation
_LOOKS = 8  # nests whose floors are worked out in the time of an evaluation
_VISITED = (50_000, 20_000_000)  # turns beyond which a nest is not counted, at least and at most
_PER_OPERATION = 6  # and between these, for each operation on stored elements


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


@dataclass(frozen=True)
class Problem:
    """One Einsum of a cascade on a machine: elements of what it reads, int64[dimensions, elements], and what is asked for.

    `rounded`: a part of a cycle counts as a whole one, as it does not where Einsums follow that may use the rest of it.
    """

    cascade: Cascade
    machine: Architecture
    einsum: str
    stored: Dict[str, IntArray]
    request: Request
    rounded: bool = True

    @property
    def objective(self) -> Objective:
        """What is minimised."""
        return self.request.objective

    def bare(self, space: StoredSpace) -> Nest:
        """The nest without loops of its own."""
        unit = space.units[0]
        return self.nest(self.cascade, space.mapping(space.bare(unit)), self.stored)

    def nest(self, cascade: Cascade, mapping: Mapping, kept: Dict[str, IntArray]) -> Nest:
        """The Einsum's nest in a mapping; InputError if it is not counted over stored elements."""
        path, leaf = next((path, leaf) for path, leaf in mapping.paths() if leaf.einsum == self.einsum)
        return nest_of(cascade, self.machine, path, leaf, kept)


def problems(cascade: Cascade, machine: Architecture, stored: Dict[str, IntArray], request: Request, drop: bool) -> Iterator[Problem]:
    """The Einsums of a cascade in order, each with the elements of what it reads, of results of others too where these have a format.

    `drop`: inputs whose format leaves nothing out have all elements, whatever is given of them.
    """
    known = dict(stored)
    if drop:
        tensors = cascade.tensors
        known = {name: each for name, each in stored.items() if (how := tensors[name].storage) is None or not how.all_elements}
    for einsum in cascade.work:
        mine = {read.tensor: known[read.tensor] for read in einsum.reads if read.tensor in known}
        problem = Problem(cascade, machine, einsum.name, mine, request, len(cascade.work) == 1)
        yield problem
        elements = handed_on(cascade, problem.bare(StoredSpace(cascade, machine, einsum=einsum.name))) if len(cascade.work) > 1 else None
        if elements is not None:
            known[einsum.output.tensor] = elements


@dataclass
class Judge:
    """Counts choices, and leaves out those that cannot be better than a value."""

    problem: Problem
    evaluated: int = 0
    covered: int = 0
    looked: int = 0
    counted_for: int = 0
    too_large: str = ""
    unwalked: int = 0
    refusal: AccelsimError | None = None
    _evaluators: dict[Formats, Evaluator] = field(default_factory=dict)
    _seen: dict[Any, Counted | None] = field(default_factory=dict)
    _floors: dict[tuple[NestDesign, tuple[str, ...]], Floor | None] = field(default_factory=dict)
    _needs: Needs | None = None

    @cached_property
    def space(self) -> StoredSpace:
        """Nests that may be tried."""
        problem = self.problem
        return StoredSpace(problem.cascade, problem.machine, problem.request.tiles == "dividing", problem.einsum)

    @cached_property
    def rules(self) -> Rules:
        """What the constraints say of nests."""
        return Rules(self.problem.request.constraints, self.space)

    @property
    def spent(self) -> int:
        """Work so far, in evaluations of small nests."""
        return self.counted_for + self.looked // _LOOKS

    @property
    def all_counted(self) -> list[Counted]:
        """Everything that was counted and fits, in order."""
        return [each for each in self._seen.values() if each is not None]

    def tidy(self, design: NestDesign) -> NestDesign | None:
        """A design as the space has it, changed so that it obeys the constraints; None if there is none that is near."""
        tidied = self.space.tidy(design)
        return None if tidied is None else self.rules.mended(tidied)

    def evaluator(self, formats: Formats) -> Evaluator:
        """Of the cascade with these formats."""
        if formats not in self._evaluators:
            problem = self.problem
            self._evaluators[formats] = Evaluator(with_formats(problem.cascade, formats), problem.machine, problem.request.counting)
        return self._evaluators[formats]

    def need(self, nest: Nest) -> Needs:
        """What every nest does, whatever the formats."""
        if self._needs is None:
            operands = tuple(replace(each, coordinates=self.problem.stored.get(each.tensor)) for each in nest.operands)
            self._needs = needs(replace(nest, operands=operands))
        return self._needs

    def nest(self, choice: Choice) -> Nest:
        """The nest of a choice; InputError if it is not counted over stored elements."""
        cascade, stored = self.evaluator(choice.formats).cascade, self.problem.stored
        kept = {name: each for name, each in stored.items() if (how := cascade.tensors[name].storage) is None or not how.all_elements}
        return self.problem.nest(cascade, self.space.mapping(choice.design), kept)

    def floor(self, choice: Choice) -> float:
        """The least that a choice can have, in whatever order its points are; infinite if its nest is refused."""
        floor = self.floors(choice)
        return math.inf if floor is None else floor.of(self.problem.objective, self.problem.rounded)

    def floors(self, choice: Choice) -> Floor | None:
        """The same in every figure, None if its nest is refused. Of formats only matters which tensors have all their elements."""
        full = tuple(name for name, kinds in choice.formats if all_elements(kinds))
        design = replace(choice.design, points=())
        if (design, full) not in self._floors:
            self._floors[design, full] = self._floor(replace(choice, design=design))
        return self._floors[design, full]

    def _floor(self, choice: Choice) -> Floor | None:
        try:
            nest = self.nest(choice)
        except AccelsimError as error:
            self.refusal = self.refusal or error
            return None
        self.looked += 1
        return floor_of(self.evaluator(choice.formats), nest, self.need(nest))

    def anywhere(self, nest: Nest) -> Floor:
        """The least that any nest can have."""
        return floor_anywhere(self.evaluator(()), nest, self.need(nest))

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
            found = evaluate_stored(evaluator, mapping, self.problem.stored, "" if self.problem.rounded else self.problem.einsum)
        except AccelsimError as error:
            self.refusal = self.refusal or error
            self.counted_for += 1
            return None
        issued = sum(work.issued for work in found.works.values())
        self.counted_for += 1 + max(visits, issued) // PER_EVALUATION
        if large := too_large(found, self.problem.machine):
            self.too_large = self.too_large or large
            return None
        return Counted(choice, found, key(self.problem.objective, found.evaluation))


def too_large(found: StoredEvaluation, machine: Architecture) -> str:
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
    if math.prod(trips) <= PER_EVALUATION:
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
