"""Points of the map space: a Design says where a group of Einsums is cut, spread and kept; see docs/mapper.md."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.mapping.tree import For, Spatial

TrunkLoop = For | Spatial


@dataclass(frozen=True, slots=True)
class LeafDesign:
    """How one Einsum runs.

    `unit`; `spread`: which of the spreader's answers (-1: that of the fewest steps which moves least); `order`: ranks of its time
    loops, outermost first (those not named come before; none named: the order that moves least); `inner`: tile sizes that stay inside
    the innermost memory of the unit.
    """

    unit: str
    spread: int = -1
    order: tuple[str, ...] = ()
    inner: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Design:
    """A group of Einsums under one set of shared loops.

    `home`: the innermost memory for what passes between them. `trunk`: the shared loops, outermost first. `leaves`: designs by
    Einsum where they differ from the balanced assignment. `copies`: by tensor, where more than one. `bypass`: (tensor, memory)
    pairs that are not kept although they could be. `schedule`: of the fuse that joins the Einsums. `recompute`: tensors that are kept
    below loops which need parts of them again, and made anew there.
    """

    home: str
    trunk: tuple[TrunkLoop, ...] = ()
    leaves: tuple[tuple[str, LeafDesign], ...] = ()
    copies: tuple[tuple[str, int], ...] = ()
    bypass: frozenset[tuple[str, str]] = frozenset()
    schedule: str = "pipelined"
    recompute: frozenset[str] = frozenset()
