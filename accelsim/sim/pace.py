"""When every Einsum is planned to start: the pace of each loop and the place of each leaf in an iteration, from units and dependences.

The plan only fixes the order in which tasks take turns, so memories have no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from accelsim.mapping.tree import For, Fuse, Leaf
from accelsim.mapping.walk import Row

Edge = tuple[str, str, str, str]
"""Producer, consumer, tensor, and the rank of earlier slices ('' within an iteration)."""


@dataclass(slots=True)
class Body:
    """Part of a loop tree done once: busy ticks by unit, how long it takes, and where its leaves start in it."""

    busy: dict[str, float]
    span: float
    offsets: dict[str, float]


@dataclass(slots=True)
class Pace:
    """`strides`: ticks between the turns of every loop (by identity of its row). `offsets`: of every leaf, in ticks. `periods`: of every
    fuse, by the names of its leaves.
    """

    strides: dict[int, float] = field(default_factory=dict)
    offsets: dict[str, float] = field(default_factory=dict)
    periods: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """What a plan is made of: ticks of each firing of a leaf, its unit, latency and explicit own loops, how many of the turns of foreign
    loops it is idle in, dependences, copies of the tensors that lie in the body, and the least period of the fuse with a first leaf.
    """

    ticks: dict[str, float]
    units: dict[str, str]
    latencies: dict[str, int]
    own: dict[str, list[Row]]
    share: dict[str, float]
    edges: list[Edge]
    copies: dict[str, int]
    least: dict[str, float]


def pace(top: tuple[Row, ...], facts: Facts) -> Pace:
    """The plan of a loop tree."""
    found = Pace()
    body = _path(top, facts, found, ())
    found.offsets = body.offsets
    return found


def _path(rows: tuple[Row, ...], facts: Facts, found: Pace, above: tuple[Row, ...]) -> Body:
    loops = [row for row in rows if isinstance(row.node, For) and row.trips > 1]
    last = rows[-1]
    if isinstance(last.node, Leaf):
        name = last.node.einsum
        loops = loops + facts.own[name]
        ticks = facts.ticks[name]
        for row in reversed(loops):
            found.strides.setdefault(id(row), ticks)
            ticks *= row.trips
        return Body({facts.units[name]: ticks * facts.share[name]}, ticks, {name: 0.0})
    assert isinstance(last.node, Fuse)
    children = [_path(branch, facts, found, (*above, *loops)) for branch in last.branches]
    arrange = {"sequential": _sequential, "staged": _staged, "pipelined": _pipelined}[last.node.schedule]
    period, offsets, length = arrange(last.node, children, facts, (*above, *loops))
    period = max(period, facts.least.get("+".join(offsets), 0.0))
    found.periods["+".join(offsets)] = period
    turns = 1
    stride = period
    for row in reversed(loops):
        found.strides[id(row)] = stride
        stride *= row.trips
        turns *= row.trips
    busy: dict[str, float] = {}
    for child in children:
        for unit, ticks in child.busy.items():
            busy[unit] = busy.get(unit, 0.0) + ticks * turns
    return Body(busy, period * (turns - 1) + length, offsets)


def _placed(children: list[Body], starts: list[float]) -> dict[str, float]:
    return {name: start + own for child, start in zip(children, starts, strict=True) for name, own in child.offsets.items()}


def _sequential(_: Fuse, children: list[Body], facts: Facts, above: tuple[Row, ...]) -> tuple[float, dict[str, float], float]:
    starts, at = [], 0.0
    for child in children:
        starts.append(at)
        at += child.span + max(facts.latencies[name] for name in child.offsets)
    return at, _placed(children, starts), at


def stages_of(fuse: Fuse, edges: list[Edge], names: list[str]) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Stages of a staged fuse: Einsums of this iteration and of the one before; levels of the dependence graph where none are listed."""
    if fuse.stages:
        return [(stage.einsums, stage.previous) for stage in fuse.stages]
    depth: dict[str, int] = {}
    for name in names:
        depth[name] = max((depth[a] + 1 for a, b, _, rank in edges if b == name and a in depth and not rank), default=0)
    return [(tuple(name for name in names if depth[name] == level), ()) for level in range(max(depth.values()) + 1)]


def _staged(fuse: Fuse, children: list[Body], facts: Facts, above: tuple[Row, ...]) -> tuple[float, dict[str, float], float]:
    of = {name: number for number, child in enumerate(children) for name in child.offsets}
    stages = stages_of(fuse, facts.edges, list(of))
    starts = [0.0] * len(children)
    placed: set[int] = set()
    at, period = 0.0, sum(_stage_length(now + before, of, children, facts) for now, before in stages)
    for now, before in stages:
        free: dict[str, float] = {}
        for name in (*now, *before):
            number = of[name]
            if number in placed:
                continue
            placed.add(number)
            unit = facts.units[name]
            starts[number] = at + free.get(unit, 0.0) + (period if name in before else 0.0)
            for each, ticks in children[number].busy.items():
                free[each] = free.get(each, 0.0) + ticks
        at += _stage_length(now + before, of, children, facts)
    return period, _placed(children, starts), max(start + child.span for start, child in zip(starts, children, strict=True))


def _stage_length(names: tuple[str, ...], of: dict[str, int], children: list[Body], facts: Facts) -> float:
    busy: dict[str, float] = {}
    for number in dict.fromkeys(of[name] for name in names):
        for unit, ticks in children[number].busy.items():
            busy[unit] = busy.get(unit, 0.0) + ticks
    return max(busy.values(), default=0.0) + max(facts.latencies[name] for name in names)


def _pipelined(_: Fuse, children: list[Body], facts: Facts, above: tuple[Row, ...]) -> tuple[float, dict[str, float], float]:
    of = {name: number for number, child in enumerate(children) for name in child.offsets}
    inner = [edge for edge in facts.edges if edge[0] in of and edge[1] in of and of[edge[0]] != of[edge[1]]]
    starts, ends = [0.0] * len(children), [0.0] * len(children)
    for number, child in enumerate(children):
        before = (ends[of[a]] for a, b, _, rank in inner if of[b] == number and of[a] < number and not rank)
        starts[number] = max(before, default=0.0)
        ends[number] = starts[number] + child.span + max(facts.latencies[name] for name in child.offsets)
    offsets = _placed(children, starts)
    busy: dict[str, float] = {}
    for child in children:
        for unit, ticks in child.busy.items():
            busy[unit] = busy.get(unit, 0.0) + ticks
    period = max(busy.values())
    for producer, consumer, tensor, rank in inner:
        if rank:  # the next slice is there before it is read
            distance = _distance(above, rank)
            if distance:
                period = max(period, (ends[of[producer]] - starts[of[consumer]]) / distance)
        elif tensor in facts.copies:
            period = max(period, (ends[of[consumer]] - starts[of[producer]]) / facts.copies[tensor])
    return period, offsets, max(ends)


def _distance(above: tuple[Row, ...], rank: str) -> int:
    """Iterations from a slice to the next: turns of the loops inside the innermost one over the rank."""
    turns = 1
    for row in reversed(above):
        if isinstance(row.node, For) and row.node.rank == rank:
            return turns
        turns *= row.trips
    return 0
