"""What a user rules out of the map space: keeps, tiles, orders of loops, what axes spread, units and parts. Empty: nothing is ruled out.

Every rule names what it is about; a rule without `einsums` holds for all. `above` tells what the home holds above the blocks of
Einsums (in a trunk or as residents) and loops of a trunk from the blocks: True is only the first, False only the second, None is both. See
docs/mapper.md for the file format.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from itertools import combinations
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.workload.cascade import Cascade


@dataclass(frozen=True, slots=True)
class Rule:
    """What all rules share: the Einsums that they are about (none: all), and the words in which the user gave it."""

    einsums: tuple[str, ...] = ()
    said: str = field(default="", kw_only=True, compare=False)

    def about(self, einsum: str | None) -> bool:
        """Whether the rule holds for an Einsum; None: for some Einsum whatever."""
        return einsum is None or not self.einsums or einsum in self.einsums


@dataclass(frozen=True, slots=True)
class KeepRule(Rule):
    """A memory must (`keep`) or must not (`bypass`) hold these tensors for these Einsums."""

    memory: str = ""
    tensors: tuple[str, ...] = ()
    must: bool = True
    above: bool | None = None  # of what must not be held


@dataclass(frozen=True, slots=True)
class TileRule(Rule):
    """The size along a rank of the tiles that a memory holds: from `least` to `most` (None: whatever).

    `above`: where that is True, of the tiles of these tensors; without any, of what the loops of the trunk leave.
    """

    memory: str = ""
    rank: str = ""
    least: int = 1
    most: int | None = None
    above: bool | None = None
    tensors: tuple[str, ...] = ()

    def allows(self, size: int) -> bool:
        """Whether a tile may have this size."""
        return self.least <= size and (self.most is None or size <= self.most)


@dataclass(frozen=True, slots=True)
class OrderRule(Rule):
    """Loops in time of a memory's block over these ranks stand in this order, the outermost first."""

    memory: str = ""
    ranks: tuple[str, ...] = ()
    above: bool | None = None


@dataclass(frozen=True, slots=True)
class LoopRule(Rule):
    """Loops in time of a memory's block are over these ranks only."""

    memory: str = ""
    ranks: tuple[str, ...] = ()
    above: bool | None = None


@dataclass(frozen=True, slots=True)
class StationaryRule(Rule):
    """A memory holds a tensor that stays while the innermost loops of its block turn: those that index it stand outside all others."""

    memory: str = ""
    tensor: str = ""


@dataclass(frozen=True, slots=True)
class AxisRule(Rule):
    """An axis spreads only these ranks; with `copies`, over so many copies each (None: however many)."""

    axis: str = ""
    ranks: tuple[str, ...] = ()
    copies: tuple[int | None, ...] = ()

    def allows(self, rank: str, copies: int) -> bool:
        """Whether the axis may spread a rank over so many copies."""
        if rank not in self.ranks:
            return copies == 1
        return not self.copies or self.copies[self.ranks.index(rank)] in (None, copies)


@dataclass(frozen=True, slots=True)
class UnitRule(Rule):
    """Einsums run on one of these units."""

    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartRule(Rule):
    """These Einsums run in one part (`together`), or no two of them do."""

    together: bool = True


@dataclass(frozen=True, slots=True)
class SequenceRule(Rule):
    """These Einsums run in this order."""


@dataclass(frozen=True, slots=True)
class ScheduleRule(Rule):
    """A part of several Einsums that these are in runs so."""

    schedule: str = ""


@dataclass(frozen=True, slots=True)
class Constraints:
    """Rules by kind."""

    keeps: tuple[KeepRule, ...] = ()
    tiles: tuple[TileRule, ...] = ()
    orders: tuple[OrderRule, ...] = ()
    loops: tuple[LoopRule, ...] = ()
    stationary: tuple[StationaryRule, ...] = ()
    axes: tuple[AxisRule, ...] = ()
    units: tuple[UnitRule, ...] = ()
    parts: tuple[PartRule, ...] = ()
    schedules: tuple[ScheduleRule, ...] = ()
    sequences: tuple[SequenceRule, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))

    @classmethod
    def of_machine(cls, cascade: Cascade, machine: Architecture) -> Constraints:
        """What a machine itself rules out: units that touch memories which are not direct, and parts of sums in copies."""
        inner = [memory.feeds[0].name for memory in machine.memories.values() if not memory.direct]
        keeps = tuple(KeepRule(memory=memory, tensors=tuple(cascade.tensors)) for memory in inner)
        whole = [(name, axis) for name, (_, axis) in machine.axes.items() if not axis.partials]
        axes = tuple(
            AxisRule((einsum.name,), axis=name, ranks=tuple(rank for rank in einsum.ranks if rank not in einsum.reduced))
            for einsum in cascade.work for name, axis in whole if einsum.reduced and einsum.reduce not in axis.reduces
        )  # fmt: skip
        return cls(keeps=keeps, axes=axes)

    def joined(self, other: Constraints) -> Constraints:
        """These and others."""
        return Constraints(**{each.name: getattr(self, each.name) + getattr(other, each.name) for each in fields(self)}) if other else self

    @property
    def shaping(self) -> bool:
        """Whether any rule is about loops, tiles, parts or schedules, or about what stands above the blocks of Einsums."""
        shape = self.tiles or self.orders or self.loops or self.stationary or self.parts or self.schedules
        return bool(shape) or any(rule.above is not None for rule in self.keeps)

    def rules(self) -> list[Rule]:
        """All rules."""
        return [rule for each in fields(self) for rule in getattr(self, each.name)]

    def without(self, rules: Collection[object]) -> Constraints:
        """The same constraints less some."""
        gone = set(map(id, rules))
        return Constraints(**{
            each.name: tuple(rule for rule in getattr(self, each.name) if id(rule) not in gone) for each in fields(self)
        })  # fmt: skip

    def may_keep(self, memory: str, tensor: str, einsum: str, above: bool) -> bool:
        """Whether a memory may hold a tensor for an Einsum: above its blocks, or in its own."""
        return not any(
            rule.memory == memory and tensor in rule.tensors and not rule.must and rule.above in (None, above) and rule.about(einsum)
            for rule in self.keeps
        )

    def must_keep(self, memory: str, tensor: str, einsum: str) -> bool:
        """Whether a memory has to hold a tensor for an Einsum."""
        kept = any(rule.memory == memory and tensor in rule.tensors and rule.must and rule.about(einsum) for rule in self.keeps)
        return kept or any(rule.memory == memory and rule.tensor == tensor and rule.about(einsum) for rule in self.stationary)

    def may_end(self, memory: str, rank: str, size: int, einsum: str) -> bool:
        """Whether a memory's block in an Einsum may leave this size along a rank."""
        return all(rule.allows(size) for rule in self._tiles(memory, rank, einsum) if not rule.above)

    def may_hold(self, memory: str, tensor: str, rank: str, size: int, einsum: str) -> bool:
        """Whether a memory may hold a tensor above an Einsum's blocks with this size along a rank that indexes it."""
        rules = self._tiles(memory, rank, einsum)
        return all(rule.allows(size) for rule in rules if rule.above is None or (rule.above and tensor in rule.tensors))

    def may_leave(self, memory: str, rank: str, size: int, einsum: str) -> bool:
        """Whether a trunk above an Einsum may leave this size along a rank."""
        return all(rule.allows(size) for rule in self._tiles(memory, rank, einsum) if rule.above and not rule.tensors)

    def _tiles(self, memory: str, rank: str, einsum: str) -> list[TileRule]:
        return [rule for rule in self.tiles if (rule.memory, rule.rank) == (memory, rank) and rule.about(einsum)]

    def nested(
        self, memory: str, einsum: str, indexing: Mapping[str, Collection[str]], ranks: Collection[str], above: bool
    ) -> set[tuple[str, str]]:
        """Pairs of ranks of which the loop over the second has to stand inside that over the first: in a memory's block for an Einsum,
        or in a trunk. A rank with itself: no loop over it may stand there.

        indexing: the ranks that index each of the Einsum's tensors; ranks: all that it has.
        """
        found = set()
        for order in self.orders:
            if order.memory == memory and order.about(einsum) and order.above in (None, above):
                found |= set(combinations(order.ranks, 2))
        for loops in self.loops:
            if loops.memory == memory and loops.about(einsum) and loops.above in (None, above):
                found |= {(rank, rank) for rank in ranks if rank not in loops.ranks}
        for rule in self.stationary:
            if rule.memory == memory and rule.about(einsum) and rule.tensor in indexing:
                held = indexing[rule.tensor]
                found |= {(outer, inner) for outer in held for inner in ranks if inner not in held}
        return found

    def may_spread(self, axis: str, rank: str, copies: int, einsum: str) -> bool:
        """Whether an axis may spread a rank of an Einsum over so many copies."""
        return all(rule.allows(rank, copies) for rule in self.axes if rule.axis == axis and rule.about(einsum))

    def may_overlap(self, names: tuple[str, ...], schedule: str) -> bool:
        """Whether a part of these Einsums may run so."""
        return all(rule.schedule == schedule for rule in self.schedules if any(rule.about(name) for name in names))

    def singular(self, names: tuple[str, ...]) -> bool:
        """Whether a part of these Einsums may be bound otherwise than one that is alike but for names."""
        rules: list[Any] = [*self.keeps, *self.tiles, *self.orders, *self.loops]
        return any(rule.above is True and rule.about(name) for rule in rules for name in names) or bool(self.schedules)

    def may_run(self, einsum: str, unit: str, tensors: Collection[str], memories: Collection[str]) -> bool:
        """Whether an Einsum with these tensors may run on a unit below these memories: on no other can it be kept where it has to."""
        wanted = {rule.memory for rule in self.keeps if rule.must and rule.about(einsum) and not set(tensors).isdisjoint(rule.tensors)}
        wanted |= {rule.memory for rule in self.stationary if rule.about(einsum) and rule.tensor in tensors}
        return wanted <= set(memories) and all(unit in rule.units for rule in self.units if rule.about(einsum))

    def may_be_part(self, names: tuple[str, ...]) -> bool:
        """Whether these Einsums, and no others, may make a part."""
        inside = set(names)
        for rule in self.parts:
            common = inside & set(rule.einsums)
            if (0 < len(common) < len(set(rule.einsums))) if rule.together else len(common) > 1:
                return False
        return True
