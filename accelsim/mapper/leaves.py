"""From a design to the units and the own loops of its Einsums."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass

from accelsim.mapper.assign import balance
from accelsim.mapper.scope import Scope
from accelsim.mapper.space import Design, LeafDesign, TrunkLoop
from accelsim.mapper.spread import Spread, Spreader
from accelsim.mapping.tree import For


@dataclass(frozen=True, slots=True)
class PlannedLeaf:
    """An Einsum with its unit, its loops (no keeps yet) and its busy cycles over the run, in closed form."""

    einsum: str
    unit: str
    loops: tuple[TrunkLoop, ...]
    busy: float


def trips(size: int, tile: int) -> int:
    """Steps of a loop over `size` that leaves `tile`."""
    return -(-size // tile)


def left_after(scope: Scope, trunk: Sequence[TrunkLoop]) -> dict[str, int]:
    """Tile sizes that a trunk leaves, of every rank."""
    left = dict(scope.cascade.extents)
    for loop in trunk:
        left[loop.rank] = min(left[loop.rank], loop.tile)
    return left


def visits(scope: Scope, einsum: str, trunk: Sequence[TrunkLoop]) -> float:
    """Iterations of the trunk in which an Einsum runs: loops over ranks that it lacks are left out."""
    left = dict(scope.cascade.extents)
    count = 1.0
    for loop in trunk:
        if loop.rank in scope.facts.ranks[einsum] and isinstance(loop, For):
            count *= trips(left[loop.rank], loop.tile)
        left[loop.rank] = min(left[loop.rank], loop.tile)
    return count


def planned(scope: Scope, spreader: Spreader, names: Sequence[str], design: Design) -> tuple[PlannedLeaf, ...]:
    """Leaves of a group in order. Einsums without a design of their own go where they balance the units' loads."""
    left = left_after(scope, design.trunk)
    own = dict(design.leaves)
    often = {name: visits(scope, name, design.trunk) * scope.share.get(name, 1.0) for name in names}
    options: list[Dict[str, float]] = []
    for name in names:
        units = [own[name].unit] if name in own else scope.units_below(design.home, name)
        chosen = own[name].spread if name in own else 0
        costs: dict[str, float] = {}
        for unit in units:
            spread = _spread(spreader, name, design.home, unit, left, chosen)
            costs[unit] = often[name] * spread.steps * scope.able[name][unit]
        options.append(costs)
    if design.schedule == "sequential":
        units_chosen = tuple(min(costs, key=lambda unit: (costs[unit], unit)) for costs in options)
    else:
        units_chosen = balance(options)
    found = []
    for name, unit, known in zip(names, units_chosen, options, strict=True):
        leaf = own.get(name) or LeafDesign(unit)
        spread = _spread(spreader, name, design.home, unit, left, leaf.spread)
        found.append(PlannedLeaf(name, unit, _loops(scope, name, unit, left, spread, leaf), known[unit]))
    return tuple(found)


def _spread(spreader: Spreader, einsum: str, home: str, unit: str, left: Dict[str, int], chosen: int) -> Spread:
    found = spreader.best(einsum, home, unit, left)
    return found[min(chosen, len(found) - 1)]


def _loops(scope: Scope, einsum: str, unit: str, left: Dict[str, int], spread: Spread, leaf: LeafDesign) -> tuple[TrunkLoop, ...]:
    noun = scope.facts.einsums[einsum]
    inner = {rank: min(tile, trips(left[rank], spread.over(rank))) for rank, tile in leaf.inner}
    if scope.architecture.units[unit].lanes > 1:  # what is left is executed side by side: no loop may cut it
        inner = {rank: inner.get(rank, trips(left[rank], spread.over(rank))) for rank in noun.ranks}
    named = [rank for rank in leaf.order if rank in noun.ranks]
    rest = [rank for rank in noun.ranks if rank not in named]
    time: list[TrunkLoop] = []
    for rank in (*named, *rest):
        chunk = spread.over(rank) * inner.get(rank, 1)
        if left[rank] > chunk:
            time.append(For(rank, chunk))
    return (*time, *spread.loops(inner))
