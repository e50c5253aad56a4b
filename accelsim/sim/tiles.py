"""Where a branch of a mapping stands while it is walked: a tile of every rank, and what the turns of loops in time make of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from accelsim.mapping.tree import For
from accelsim.sim.turns import ONCE, OWN, RECOMPUTED, RETAINED, Branch, Demands, Span


@dataclass(frozen=True, slots=True)
class Tile:
    """Where a branch stands: the coordinates that its copies have of every rank, and the turns of its loops in time by level.

    `trips`: how many turns loops over its own ranks have. `idle`: a loop that is nothing to it has several turns; `last`: all such are
    at their last.
    """

    branch: Branch
    spans: dict[str, Span]
    turns: dict[int, int] = field(default_factory=dict)
    trips: dict[int, int] = field(default_factory=dict)
    idle: bool = False
    last: bool = True


def whole_span(extent: int) -> Span:
    """All coordinates of a rank, in one copy."""
    import numpy as np

    return Span(np.arange(extent, dtype=np.int64), np.arange(extent, dtype=np.int64))


def turned(tile: Tile, level: int, loop: For, turn: int, made: dict[tuple[int, str], int], demands: Demands) -> Tile | None:
    """The tile of a branch at one turn of a loop in time, None if it has none. `made`: up to where turns before made what is retained."""
    branch, span = tile.branch, tile.spans[loop.rank]
    count, how = span.turns(loop.tile), branch.steps[level].how
    if how == ONCE:
        here = span.turn(loop.tile, min(turn, count - 1))
        return replace(tile, spans={**tile.spans, loop.rank: here}, idle=tile.idle or count > 1, last=tile.last and turn >= count - 1)
    if turn >= count:
        return None
    here = span.turn(loop.tile, turn)
    spans, turns = {**tile.spans, loop.rank: here}, {**tile.turns, level: turn}
    if how == OWN:
        return replace(tile, spans=spans, turns=turns, trips={**tile.trips, level: count}) if len(here) else None
    if how in {RETAINED, RECOMPUTED}:
        for rank, (low, high) in demands.of(branch, level, loop.rank, here.hull).items():
            if how == RETAINED:
                low = max(low, made.get((branch.number, rank), 0))
                made[branch.number, rank] = max(high, made.get((branch.number, rank), 0))
            spans[rank] = spans[rank].within((low, high))
        if any(not len(spans[rank]) for rank in branch.einsum.ranks):
            return None
    return replace(tile, spans=spans, turns=turns)
