"""When every Einsum is planned to start: the pace of each loop and the place of each leaf in an iteration, from units and dependences.

The plan only fixes the order in which tasks take turns, so memories have no part in it. There are two: in the *compact* one a leaf takes
its own turns one right after the other; in the *even* one Einsums that overlap take theirs all through an iteration, so that others come
between, and what waits for a long latency is planned later, as far as copies allow.
"""

from __future__ import annotations

import math
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
    loops it is idle in, dependences, copies of the tensors that lie in the body, the least period of the fuse with some leaves, and
    which plan it is.
    """

    ticks: dict[str, float]
    units: dict[str, str]
    latencies: dict[str, int]
    own: dict[str, list[Row]]
    share: dict[str, float]
    edges: list[Edge]
    copies: dict[str, int]
    least: dict[str, float]
    even: bool


def pace(top: tuple[Row, ...], facts: Facts) -> Pace:
    """The plan of a loop tree."""
    found = Pace()
    body = _path(top, facts, found, ())
    found.offsets = body.offsets
    return found


def _path(rows: tuple[Row, ...], facts: Facts, found: Pace, above: tuple[Row, ...], slower: float = 1.0) -> Body:
    """The plan of a branch below some loops. slower: how many times as long it may take as it needs."""
    loops = [row for row in rows if isinstance(row.node, For) and row.trips > 1]
    node = rows[-1].node
    if isinstance(node, Leaf):
        name = node.einsum
        loops += facts.own[name]
        turns, ticks = _turns(loops), facts.ticks[name]
        stride = _spread(ticks, turns, ticks, slower)
        _pace_loops(loops, stride, found)
        return Body({facts.units[name]: ticks * turns * facts.share[name]}, stride * (turns - 1) + ticks, {name: 0.0})
    assert isinstance(node, Fuse)
    turns, inside = _turns(loops), (*above, *loops)
    arrange = {"sequential": _sequential, "staged": _staged, "pipelined": _pipelined}[node.schedule]
    children = [_path(branch, facts, found, inside) for branch in rows[-1].branches]
    period, offsets, length = arrange(node, children, facts, inside)
    if facts.even and node.schedule == "pipelined":
        longer = [max(1.0, period / child.span) if child.span else 1.0 for child in children]
        children = [_path(branch, facts, found, inside, times) for branch, times in zip(rows[-1].branches, longer, strict=True)]
        period, offsets, length = arrange(node, children, facts, inside)
    key = "+".join(offsets)
    period = _spread(max(period, facts.least.get(key, 0.0)), turns, length, slower)
    found.periods[key] = period
    _pace_loops(loops, period, found)
    busy = {unit: ticks * turns for unit, ticks in _busy(children).items()}
    return Body(busy, period * (turns - 1) + length, offsets)


def _turns(loops: list[Row]) -> int:
    return math.prod(row.trips for row in loops)


def _spread(period: float, turns: int, length: float, slower: float) -> float:
    """The period with which turns of some length take so many times as long in all, no shorter than it was."""
    if slower <= 1 or turns == 1:
        return period
    return max(period, (slower * (period * (turns - 1) + length) - length) / (turns - 1))


def _pace_loops(loops: list[Row], stride: float, found: Pace) -> None:
    """Strides of loops of which the innermost turns with some stride."""
    for row in reversed(loops):
        found.strides[id(row)] = stride
        stride *= row.trips


def _busy(children: list[Body]) -> dict[str, float]:
    """Busy ticks of each unit in all of some bodies."""
    busy: dict[str, float] = {}
    for child in children:
        for unit, ticks in child.busy.items():
            busy[unit] = busy.get(unit, 0.0) + ticks
    return busy


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
    inner = [(of[a], of[b], tensor, rank) for a, b, tensor, rank in facts.edges if a in of and b in of and of[a] != of[b]]
    late = [max(facts.latencies[name] for name in child.offsets) for child in children]
    before = [{a for a, b, _, rank in inner if b == number and a < number and not rank} for number in range(len(children))]
    pads = [0.0] * len(children)
    starts, ends = _timed(children, before, late, pads)
    limits = []  # from the start of one child to the end of another: so many periods at most
    for producer, consumer, tensor, rank in inner:
        if rank and _distance(above, rank):  # the next slice is there before it is read
            limits.append((consumer, producer, _distance(above, rank)))
        elif not rank and tensor in facts.copies:
            limits.append((producer, consumer, facts.copies[tensor]))
    period = max(max(_busy(children).values()), *((ends[last] - starts[first]) / many for first, last, many in limits), 0.0)
    for number in range(len(children)) if facts.even else ():
        if any(late[each] for each in before[number]):
            slack = (many * period - (ends[last] - starts[first]) for first, last, many in limits if first < number <= last)
            pads[number] = max(0.0, min(slack, default=0.0) / 2)
            starts, ends = _timed(children, before, late, pads)
    return period, _placed(children, starts), max(ends)


def _timed(children: list[Body], before: list[set[int]], late: list[int], pads: list[float]) -> tuple[list[float], list[float]]:
    """When children start and end, each some time (`pads`) after all before it."""
    starts, ends = [0.0] * len(children), [0.0] * len(children)
    for number, child in enumerate(children):
        starts[number] = max((ends[each] for each in before[number]), default=0.0) + pads[number]
        ends[number] = starts[number] + child.span + late[number]
    return starts, ends


def _distance(above: tuple[Row, ...], rank: str) -> int:
    """Iterations from a slice to the next: turns of the loops inside the innermost one over the rank."""
    turns = 1
    for row in reversed(above):
        if isinstance(row.node, For) and row.node.rank == rank:
            return turns
        turns *= row.trips
    return 0
