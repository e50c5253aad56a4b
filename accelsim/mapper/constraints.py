"""What a user rules out of the map space: keeps, tiles, orders of loops, what axes spread, units and parts. Empty: nothing is ruled out.

Every rule names what it is about; a rule without `einsums` holds for all. See docs/mapper.md for the file format.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from itertools import combinations
from typing import Any


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


@dataclass(frozen=True, slots=True)
class TileRule(Rule):
    """The size along a rank of the tiles that a memory holds: from `least` to `most` (None: whatever)."""

    memory: str = ""
    rank: str = ""
    least: int = 1
    most: int | None = None

    def allows(self, size: int) -> bool:
        """Whether a tile may have this size."""
        return self.least <= size and (self.most is None or size <= self.most)


@dataclass(frozen=True, slots=True)
class OrderRule(Rule):
    """Loops in time of a memory's block over these ranks stand in this order, the outermost first."""

    memory: str = ""
    ranks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StationaryRule(Rule):
    """A memory holds a tensor that stays while the innermost loops of its block turn: those that index it stand outside all others."""

    memory: str = ""
    tensor: str = ""


@dataclass(frozen=True, slots=True)
class AxisRule(Rule):
    """An axis spreads only these ranks."""

    axis: str = ""
    ranks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitRule(Rule):
    """Einsums run on one of these units."""

    units: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PartRule(Rule):
    """These Einsums run in one part (`together`), or no two of them do."""

    together: bool = True


@dataclass(frozen=True, slots=True)
class Constraints:
    """Rules by kind."""

    keeps: tuple[KeepRule, ...] = ()
    tiles: tuple[TileRule, ...] = ()
    orders: tuple[OrderRule, ...] = ()
    stationary: tuple[StationaryRule, ...] = ()
    axes: tuple[AxisRule, ...] = ()
    units: tuple[UnitRule, ...] = ()
    parts: tuple[PartRule, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, each.name) for each in fields(self))

    def rules(self) -> list[tuple[str, Any]]:
        """All rules, with the name of their kind."""
        return [(each.name, rule) for each in fields(self) for rule in getattr(self, each.name)]

    def without(self, kind: str, rule: object) -> Constraints:
        """The same constraints less one."""
        kept = {each.name: getattr(self, each.name) for each in fields(self)}
        return Constraints(**kept | {kind: tuple(other for other in kept[kind] if other is not rule)})

    def may_keep(self, memory: str, tensor: str, einsum: str | None = None) -> bool:
        """Whether a memory may hold a tensor for an Einsum; without one, whether it may for every Einsum."""
        return not any(
            rule.memory == memory and tensor in rule.tensors and not rule.must and rule.about(einsum) for rule in self.keeps
        )

    def must_keep(self, memory: str, tensor: str, einsum: str) -> bool:
        """Whether a memory has to hold a tensor for an Einsum."""
        kept = any(rule.memory == memory and tensor in rule.tensors and rule.must and rule.about(einsum) for rule in self.keeps)
        return kept or any(rule.memory == memory and rule.tensor == tensor and rule.about(einsum) for rule in self.stationary)

    def may_end(self, memory: str, rank: str, size: int, einsum: str) -> bool:
        """Whether the tiles that a memory holds for an Einsum may have this size along a rank."""
        return all(rule.allows(size) for rule in self.tiles if (rule.memory, rule.rank) == (memory, rank) and rule.about(einsum))

    def nested(self, memory: str, einsum: str, indexing: Mapping[str, Collection[str]], ranks: Collection[str]) -> set[tuple[str, str]]:
        """Pairs of ranks of which the loop over the second has to stand inside that over the first, in a memory's block for an Einsum.

        indexing: the ranks that index each of the Einsum's tensors; ranks: all that it has.
        """
        found = set()
        for order in self.orders:
            if order.memory == memory and order.about(einsum):
                found |= set(combinations(order.ranks, 2))
        for rule in self.stationary:
            if rule.memory == memory and rule.about(einsum) and rule.tensor in indexing:
                held = indexing[rule.tensor]
                found |= {(outer, inner) for outer in held for inner in ranks if inner not in held}
        return found

    def may_spread(self, axis: str, rank: str, einsum: str) -> bool:
        """Whether an axis may spread a rank of an Einsum."""
        return all(rank in rule.ranks for rule in self.axes if rule.axis == axis and rule.about(einsum))

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
