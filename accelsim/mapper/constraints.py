"""What a user rules out of the map space: where tensors are kept, tiles, orders, axes, units and parts. Empty: nothing is ruled out.

Every rule names what it is about; a rule without `einsums` holds for all. See docs/mapper.md for the file format.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Rule:
    """What all rules share: the Einsums that they are about (none: all)."""

    einsums: tuple[str, ...] = ()

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
class AxisRule(Rule):
    """An axis spreads only these ranks."""

    axis: str = ""
    ranks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TileRule(Rule):
    """What a memory keeps has tiles with at least and at most so many coordinates of a rank."""

    memory: str = ""
    rank: str = ""
    least: int = 1
    most: int | None = None


@dataclass(frozen=True, slots=True)
class OrderRule(Rule):
    """Loops in time above what a memory keeps: ranks from outside in, or the tensor that stays while the innermost of them turn."""

    memory: str = ""
    ranks: tuple[str, ...] = ()
    stationary: str | None = None


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
    axes: tuple[AxisRule, ...] = ()
    tiles: tuple[TileRule, ...] = ()
    orders: tuple[OrderRule, ...] = ()
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
        return any(rule.memory == memory and tensor in rule.tensors and rule.must and rule.about(einsum) for rule in self.keeps)

    def may_spread(self, axis: str, rank: str, einsum: str) -> bool:
        """Whether an axis may spread a rank of an Einsum."""
        return all(rank in rule.ranks for rule in self.axes if rule.axis == axis and rule.about(einsum))

    def tile(self, memory: str, rank: str, einsum: str) -> tuple[int, int | None]:
        """The least and the most coordinates of a rank in the tiles that a memory keeps."""
        found = [rule for rule in self.tiles if rule.memory == memory and rule.rank == rank and rule.about(einsum)]
        return max((rule.least for rule in found), default=1), min((rule.most for rule in found if rule.most is not None), default=None)

    def order(self, memory: str, einsum: str) -> tuple[str, ...]:
        """The order of the loops above what a memory keeps, from outside in; empty if it is free."""
        return next((rule.ranks for rule in self.orders if rule.memory == memory and rule.ranks and rule.about(einsum)), ())

    def stationary(self, memory: str, einsum: str) -> str | None:
        """The tensor that stays in a memory while the innermost loops above its keeps turn."""
        return next((rule.stationary for rule in self.orders if rule.memory == memory and rule.stationary and rule.about(einsum)), None)

    def may_run(self, einsum: str, unit: str) -> bool:
        """Whether an Einsum may run on a unit."""
        return all(unit in rule.units for rule in self.units if rule.about(einsum))

    def may_be_part(self, names: tuple[str, ...]) -> bool:
        """Whether these Einsums, and no others, may make a part."""
        inside = set(names)
        for rule in self.parts:
            common = inside & set(rule.einsums)
            if (0 < len(common) < len(set(rule.einsums))) if rule.together else len(common) > 1:
                return False
        return True
