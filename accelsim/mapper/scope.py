"""What the search needs to know of a cascade on a machine, worked out once: paths, units, prices of traffic, sizes of tiles."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory
from accelsim.mapping.extent import touched
from accelsim.mapping.facts import Facts, facts
from accelsim.mapping.tree import For, Spatial
from accelsim.mapping.walk import derive
from accelsim.workload.bounds import bounds
from accelsim.workload.cascade import Cascade, Einsum, Tensor
from accelsim.workload.expression import names
from accelsim.workload.operators import cover, missing_primitive, steps_alone

_PRESSURE = 1.0e6  # a cycle of a port weighs more than any energy of a bit, so that traffic is first taken off slow ports

_PASSING = 1 / 16


@dataclass(frozen=True, slots=True)
class Step:
    """One thing on the way from a memory to a unit: an axis to spread over, or a memory to keep tiles in."""

    axis: Axis | None = None
    memory: Memory | None = None


class Scope:
    """Static facts of one search; ranks, tensors, memories and units are known by name.

    Raises IllegalMapping if no unit of the machine executes some Einsum.
    """

    def __init__(self, cascade: Cascade, architecture: Architecture) -> None:
        self.share = _shares(cascade)
        self.coupled = {
            einsum.name: frozenset(names(einsum.condition)) & frozenset(einsum.ranks) if einsum.condition is not None else frozenset()
            for einsum in cascade.work
        }
        self.cascade = cascade
        self.architecture = architecture
        self.facts: Facts = facts(cascade)
        self.root = architecture.root.name
        self.roomy = replace(architecture, root=_roomy(architecture.root))
        self.steps = {unit: _steps(architecture, unit) for unit in architecture.units}
        self.able = {einsum.name: self._able(einsum) for einsum in cascade.work}
        self.reads = {einsum.name: tuple(dict.fromkeys(access.tensor for access in einsum.reads)) for einsum in cascade.work}
        self._passed = {node.feeds[0].name for node in architecture.memories.values() if not node.direct}
        self.writes = {einsum.name: einsum.output.tensor for einsum in cascade.work}
        self.bits = {name: float(max(tensor.partial.bits, tensor.final.bits)) for name, tensor in cascade.tensors.items()}
        self.depth = {name: depth for depth, name in enumerate(architecture.memories)}
        self.weight = {name: _weight(architecture, memory) for name, memory in architecture.memories.items()}
        self.alone = {einsum.name: frozenset((einsum.name,)) for einsum in cascade.work}
        self.outer_axes = {
            name: frozenset(step.axis.name for step in self.above(name) if step.axis is not None) for name in architecture.memories
        }
        self.carried = self._carried()
        self._sizing = {name: tuple(sorted(ranks)) for name, ranks in self.facts.indexing.items()}
        self._words: dict[tuple[str, frozenset[str], frozenset[str], tuple[int, ...], int | None], int] = {}
        self.rank_of = {name: self.facts.recurrence(tensor) or "" for name, tensor in cascade.tensors.items()}

    def _able(self, einsum: Einsum) -> dict[str, float]:
        """Cycles per point on every unit that executes an Einsum."""
        found: dict[str, float] = {}
        types = self.cascade.operand_types(einsum)
        for name, unit in self.architecture.units.items():
            covering = cover(einsum, unit.accepting(types))
            if covering is not None:
                found[name] = float(sum(count * unit.operations[primitive].cycles for primitive, count in covering.items()))
        if not found:
            units = self.architecture.units.items()
            missing = ((name, unit, missing_primitive(einsum, unit.accepting(types)) or "") for name, unit in units)
            lacking = ", ".join(f"{name} has {unit.wanting(primitive, types)}" for name, unit, primitive in missing)
            raise IllegalMapping(
                f"no unit of {self.architecture.name} can execute {einsum.name}: {lacking}", "give a unit the primitive", einsum.place
            )
        return found

    def _carried(self) -> dict[str, frozenset[str]]:
        """For every Einsum, the ranks along which it depends on an earlier slice of itself or of its cycle: never spread over copies."""
        found: dict[str, frozenset[str]] = dict.fromkeys(self.facts.einsums, frozenset())
        for group in self.facts.cycles:
            for edge in self.facts.edges:
                if edge.producer in group and edge.consumer in group and edge.distance > 0:
                    for name in group:
                        found[name] |= {edge.rank}
        return found

    def one_by_one(self, einsum: str, unit: str) -> frozenset[str]:
        """Ranks of an Einsum whose points the lanes of a unit take one after the other."""
        machine, noun = self.architecture.units[unit], self.facts.einsums[einsum]
        waits = machine.lanes > 1 and steps_alone(noun, machine.accepting(self.cascade.operand_types(noun)))
        return self.carried[einsum] if waits else frozenset()

    def homes(self) -> tuple[str, ...]:
        """Memories above a capable unit for every Einsum, innermost first: where intermediates may live."""
        found = []
        for memory in self.architecture.memories:
            if all(any(self.below(memory, unit) is not None for unit in able) for able in self.able.values()):
                found.append(memory)
        return tuple(reversed(found))

    def below(self, memory: str, unit: str) -> tuple[Step, ...] | None:
        """The steps from a memory down to a unit, None if the memory does not feed it."""
        if memory == self.root:
            return self.steps[unit]
        for position, step in enumerate(self.steps[unit]):
            if step.memory is not None and step.memory.name == memory:
                return self.steps[unit][position + 1 :]
        return None

    def above(self, memory: str) -> tuple[Step, ...]:
        """The steps from the root down to a memory, itself included (empty for the root)."""
        if memory == self.root:
            return ()
        for steps in self.steps.values():
            for position, step in enumerate(steps):
                if step.memory is not None and step.memory.name == memory:
                    return steps[: position + 1]
        return ()

    def units_below(self, memory: str, einsum: str) -> list[str]:
        """Units under a memory that execute an Einsum."""
        return [unit for unit in self.able[einsum] if self.below(memory, unit) is not None]

    def capacity(self, memory: str) -> float:
        """Bits of one copy of a memory; less a share where all that its units touch passes through it, for what is kept nowhere else."""
        size = self.architecture.memories[memory].size_bits
        return float("inf") if size is None else size * (1 - _PASSING) if memory in self._passed else float(size)

    def words(
        self, tensor: str, left: Dict[str, int], users: frozenset[str], body: Dict[str, int], below: frozenset[str] | None = None
    ) -> int:
        """Words of the largest tile of a tensor that its users touch, of an iterative one the slices in flight.

        `left`: tile sizes at the keep; `body`: those at the fuse, which say how many slices pass between Einsums at once; `below`: all
        Einsums below the keep, if they are not the users alone.
        """
        below = users if below is None else below
        ranks = self._sizing[tensor]
        known = (tensor, users, below, tuple([left.get(rank, 1) for rank in ranks]), body.get(self.rank_of[tensor]))
        most = self._words.get(known)
        if most is None:
            most = self._words[known] = self._counted(tensor, left, users, body, below)
        return most

    def _counted(self, tensor: str, left: Dict[str, int], users: frozenset[str], body: Dict[str, int], below: frozenset[str]) -> int:
        noun, whole = self.cascade.tensors[tensor], self.cascade.extents
        most = 1
        for use in self.facts.uses[tensor]:
            if use.einsum not in users:
                continue
            extents = []
            for at, index in enumerate(use.maps):
                if index is None:
                    extents.append(noun.shape[at])
                elif index.single_rank is not None:
                    extents.append(min(left.get(index.single_rank, whole[index.single_rank]), noun.shape[at]))
                else:  # what values choose is whole
                    sizes = tuple(left.get(rank, whole[rank]) for rank in index.ranks)
                    extents.append(touched(index, sizes, tuple(whole[rank] for rank in index.ranks), noun.shape[at]))
            if noun.iterative is not None:
                most_slices = noun.shape[noun.iterative] - 1
                passing = (left if self._passes(noun, below) else body).get(self.rank_of[tensor], most_slices) + 1
                extents[noun.iterative] = min(passing, noun.shape[noun.iterative])
            most = max(most, prod(extents))
        return most

    def _passes(self, noun: Tensor, below: frozenset[str]) -> bool:
        """Whether below a keep one Einsum alone, its writer, touches moving slices that others read as they are made."""
        assert noun.iterative is not None
        moving = [use for use in self.facts.uses[noun.name] if (index := use.maps[noun.iterative]) is None or index.terms]
        own = {use.einsum for use in moving if use.einsum in below}
        alone = len(own) == 1 and any(use.writes for use in moving if use.einsum in own)
        return alone and (noun.passing or any(use.einsum not in below for use in moving))

    def lefts(self, names: Sequence[str], trunk: Sequence[For | Spatial]) -> list[Dict[str, Dict[str, int]]]:
        """For every position in a trunk, the tiles that the loops above it leave for each Einsum below.

        A loop over a rank that an Einsum lacks leaves it what those that read its result need in one iteration.
        """
        left: Dict[str, int] = dict(self.cascade.extents)
        derived: Dict[str, Dict[str, int]] = {}
        found: list[Dict[str, Dict[str, int]]] = [dict.fromkeys(names, left)]
        for loop in trunk:
            size = left[loop.rank]
            left = {**left, loop.rank: min(size, loop.tile)}
            if self.facts.renames and isinstance(loop, For) and loop.tile < size:
                derived = derive(self.facts, loop, size, derived, list(names))
            found.append({
                name: {**left, **{rank: min(most, left[rank]) for rank, most in derived[name].items()}} if name in derived else left
                for name in names
            })  # fmt: skip
        return found

    def restricts(self, loop: For | Spatial, einsum: str, names: frozenset[str]) -> bool:
        """Whether a loop above some Einsums leaves one of them less to do in an iteration."""
        if loop.rank in self.facts.ranks[einsum]:
            return True
        return self.facts.renames and isinstance(loop, For) and bool(self.facts.demand(einsum, loop.rank, (0, loop.tile), names))

    def groups(self) -> tuple[str, ...]:
        """Names of the working Einsums in order."""
        return tuple(self.facts.einsums)


def _shares(cascade: Cascade) -> dict[str, float]:
    """Share of every Einsum's points that its condition leaves; Einsums without a condition are left out."""
    thinned = [einsum for einsum in cascade.work if einsum.condition is not None]
    if not thinned:
        return {}
    points = bounds(cascade).points
    return {einsum.name: points[einsum.name] / prod(cascade.extents[rank] for rank in einsum.ranks) for einsum in thinned}


def _roomy(memory: Memory) -> Memory:
    """A memory without end, and so is the one that it feeds if units reach no other."""
    feeds = memory.feeds if memory.direct else tuple(_roomy(node) if isinstance(node, Memory) else node for node in memory.feeds)
    return replace(memory, size_bits=None, feeds=feeds)


def _steps(architecture: Architecture, unit: str) -> tuple[Step, ...]:
    found: list[Step] = []
    for node in architecture.paths[unit][1:]:
        if isinstance(node, Array):
            found.extend(Step(axis=axis) for axis in node.axes)
        elif isinstance(node, Memory):
            found.append(Step(memory=node))
    return tuple(found)


def _weight(architecture: Architecture, memory: Memory) -> float:
    """What a bit moved through a memory's port is worth avoiding: its energy (pJ), and much more where the port takes time."""
    price = memory.read_pj.value if memory.read_pj is not None else 0.0
    energy = price / memory.access_bits if memory.access_bits else price
    if memory.interface_pj is not None:
        energy += memory.interface_pj.value
    rate = memory.read_bits_per_s
    cycles = float(architecture.clock_hz / rate) / architecture.copies(memory.name) if rate else 0.0
    return energy + _PRESSURE * cycles
