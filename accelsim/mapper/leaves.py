"""From a design to the units and the own loops of its Einsums."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from accelsim.mapper.assign import balance
from accelsim.mapper.reuse import drawn, innermost
from accelsim.mapper.scope import Scope
from accelsim.mapper.space import Design, LeafDesign, TrunkLoop
from accelsim.mapper.spread import Spread, Spreader
from accelsim.mapping.tree import For

_SPREADS = 6


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


def visits(scope: Scope, einsum: str, trunk: Sequence[TrunkLoop], names: frozenset[str]) -> float:
    """Iterations of the trunk in which an Einsum runs: loops that leave it all it has to do are left out. `names`: all below the trunk."""
    left = dict(scope.cascade.extents)
    count = 1.0
    for loop in trunk:
        if isinstance(loop, For) and scope.restricts(loop, einsum, names):
            count *= trips(left[loop.rank], loop.tile)
        left[loop.rank] = min(left[loop.rank], loop.tile)
    return count


def planned(scope: Scope, spreader: Spreader, names: Sequence[str], design: Design) -> tuple[PlannedLeaf, ...]:
    """Leaves of a group in order. Einsums without a design of their own go where they balance the units' loads."""
    left, own = left_after(scope, design.trunk), dict(design.leaves)
    found = []
    for name, (unit, busy) in zip(names, assigned(scope, spreader, names, design), strict=True):
        loops = own_loops(scope, spreader, name, design.home, left, own.get(name) or LeafDesign(unit))
        found.append(PlannedLeaf(name, unit, loops, busy))
    return tuple(found)


def assigned(scope: Scope, spreader: Spreader, names: Sequence[str], design: Design) -> list[tuple[str, float]]:
    """The unit of every Einsum of a group, and its busy cycles over the run in closed form."""
    lefts, own, inside = scope.lefts(names, design.trunk)[-1], dict(design.leaves), frozenset(names)
    options: list[dict[str, float]] = []
    for name in names:
        often = visits(scope, name, design.trunk, inside) * scope.share.get(name, 1.0)
        units = [own[name].unit] if name in own else scope.units_below(design.home, name)
        chosen = own[name].spread if name in own else -1
        costs: dict[str, float] = {}
        for unit in units:
            found = spreader.best(name, design.home, unit, lefts[name])
            costs[unit] = often * found[min(max(chosen, 0), len(found) - 1)].steps * scope.able[name][unit]
        options.append(costs)
    if design.schedule == "sequential":
        units_chosen = tuple(min(costs, key=lambda unit: (costs[unit], unit)) for costs in options)
    else:
        units_chosen = balance(options)
    return [(unit, costs[unit]) for unit, costs in zip(units_chosen, options, strict=True)]


def own_loops(
    scope: Scope, spreader: Spreader, einsum: str, home: str, left: Dict[str, int], leaf: LeafDesign
) -> tuple[TrunkLoop, ...]:
    """A leaf's own loops: what its design leaves open is chosen so that the least is drawn from the home."""
    key = (einsum, home, leaf, tuple(left[rank] for rank in scope.facts.einsums[einsum].ranks))
    loops = spreader.loops.get(key)
    if loops is None:
        spreads = spreader.best(einsum, home, leaf.unit, left)
        if leaf.spread >= 0:
            spreads = (spreads[min(leaf.spread, len(spreads) - 1)],)
        else:
            first = _looked_at(scope, einsum, left, spreads[0])
            spreads = tuple(
                spread
                for spread in spreads[:_SPREADS]
                if spread.steps == spreads[0].steps and _looked_at(scope, einsum, left, spread) == first
            )
        inner = dict(leaf.inner)
        orders = _orders(scope, einsum, leaf)
        made = (_loops(scope, einsum, leaf.unit, left, spread, inner, order) for spread in spreads for order in orders)
        candidates = list(dict.fromkeys(made))
        best = min(range(len(candidates)), key=lambda at: (_cost(scope, einsum, home, leaf.unit, left, candidates[at]), at))
        loops = spreader.loops[key] = candidates[best]
    return loops


def _looked_at(scope: Scope, einsum: str, left: Dict[str, int], spread: Spread) -> int:
    """Steps in time over ranks under a condition, which counting looks at one by one."""
    return prod(trips(left[rank], spread.over(rank)) for rank in scope.coupled[einsum])


def _orders(scope: Scope, einsum: str, leaf: LeafDesign) -> list[tuple[str, ...]]:
    """Orders of the time loops to choose from: the design's, or every rank innermost in turn and every other next to it."""
    ranks = scope.facts.einsums[einsum].ranks
    if leaf.order:
        return [(*(rank for rank in ranks if rank not in leaf.order), *(rank for rank in leaf.order if rank in ranks))]
    found: dict[tuple[str, ...], None] = {ranks: None}
    for last in ranks:
        for before in ranks:
            if before != last:
                found[(*(rank for rank in ranks if rank not in (before, last)), before, last)] = None
    return list(found)


def _loops(
    scope: Scope, einsum: str, unit: str, left: Dict[str, int], spread: Spread, wanted: Dict[str, int], order: Sequence[str]
) -> tuple[TrunkLoop, ...]:
    inner = {rank: min(tile, trips(left[rank], spread.over(rank))) for rank, tile in wanted.items()}
    if scope.architecture.units[unit].lanes > 1:  # what is left is executed side by side: no loop may cut it
        inner = {rank: inner.get(rank, trips(left[rank], spread.over(rank))) for rank in order}
    time: list[TrunkLoop] = []
    for rank in order:
        chunk = spread.over(rank) * inner.get(rank, 1)
        if left[rank] > chunk:
            time.append(For(rank, chunk))
    return (*time, *spread.loops(inner))


def _cost(scope: Scope, einsum: str, home: str, unit: str, left: Dict[str, int], loops: tuple[TrunkLoop, ...]) -> float:
    """What one run of a leaf moves from and to its home, weighed: every tensor kept where it fits and draws least."""
    total = 0.0
    below = [step.memory for step in scope.below(home, unit) or () if step.memory is not None]
    for tensor in (*scope.reads[einsum], scope.writes[einsum]):
        least = drawn(scope, einsum, tensor, loops, left, None)
        for memory in below:
            position = innermost(scope, memory.name, loops)
            inside = dict(left)
            for loop in loops[:position]:
                inside[loop.rank] = min(inside[loop.rank], loop.tile)
            words = scope.words(tensor, inside, scope.alone[einsum], inside)
            if words * scope.bits[tensor] * len(below) <= scope.capacity(memory.name):
                least = min(least, drawn(scope, einsum, tensor, loops, left, position))
        total += least
    return total
