"""Which unit runs which Einsum: the loads of units that work at the same time are balanced, exactly for cascades of ordinary length."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence

_MOST_NODES = 4000


def balance(busy: Sequence[Dict[str, float]]) -> tuple[str, ...]:
    """A unit for every item, given its busy cycles on each, so that the busiest unit is done first; ties go to the smaller total.

    Exact by branch and bound for up to some dozen items; beyond that the best of the first few thousand assignments tried, greedy first.
    """
    units = sorted({unit for options in busy for unit in options})
    order = sorted(range(len(busy)), key=lambda item: (-min(busy[item].values()), item))
    least = [0.0] * (len(order) + 1)
    for place in range(len(order) - 1, -1, -1):
        least[place] = least[place + 1] + min(busy[order[place]].values())
    chosen: list[str] = [""] * len(busy)
    best: tuple[float, float] = (float("inf"), float("inf"))
    answer: tuple[str, ...] = ()
    loads = dict.fromkeys(units, 0.0)
    nodes = 0

    def visit(place: int, total: float) -> None:
        nonlocal best, answer, nodes
        if place == len(order):
            reached = (max(loads.values()), total)
            if reached < best:
                best, answer = reached, tuple(chosen)
            return
        nodes += 1
        if nodes > _MOST_NODES and answer:
            return
        lowest = max(max(loads.values()), (total + least[place]) / len(units))
        if (lowest, total + least[place]) >= best:
            return
        item = order[place]
        for unit in sorted(busy[item], key=lambda name: (loads[name] + busy[item][name], name)):
            cost = busy[item][unit]
            loads[unit] += cost
            chosen[item] = unit
            visit(place + 1, total + cost)
            loads[unit] -= cost

    visit(0, 0.0)
    return answer
