"""Time: how long the resources that a mapping occupies take under its schedules. Source: docs/model.md, "Time".

Times are in ticks, of which a machine and its types fix how many a cycle has so that every rate is a whole number. All arithmetic
is exact: where a total is shared out over iterations, a tick may be a fraction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from accelsim.errors import IllegalMapping
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Mapping, Spatial, TreeNode, parts
from accelsim.model.program import Program
from accelsim.workload.cascade import Cascade

DEPENDENCE = "dependence"
Homes = dict[str, tuple[int, int]]  # tensor -> how many loops stand above its outermost keep so far, and the copies it holds
Ticks = int | Fraction


def shared(ticks: int, among: int) -> Ticks:
    """Ticks divided by a number of iterations, exactly."""
    whole, rest = divmod(ticks, among)
    return Fraction(ticks, among) if rest else whole


@dataclass(slots=True)
class Load:
    """What one Einsum occupies, in ticks over the whole run: its unit, the two ports of each memory (of a network its two directions),
    and the latency after each visit.
    """

    unit: str
    busy: int
    ports: dict[str, tuple[int, int]]
    latency: int


@dataclass(slots=True)
class Timing:
    """Ticks of a part of the loop tree: `steady` decides, `fill` and `drain` come on top once.

    `limits`: candidates for what decides, largest first: (name, kind, ticks); kinds are compute, memory, network, dependence, latency.
    `offsets`: start of every Einsum of a pipelined body within one iteration, in ticks.
    """

    steady: Ticks
    fill: Ticks
    drain: Ticks
    offsets: dict[str, Ticks]
    limits: dict[tuple[str, str], Ticks]

    @property
    def latency(self) -> Ticks:
        """Ticks from the first to the last."""
        return self.steady + self.fill + self.drain


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the run during which its Einsums share the machine; the next one begins when it has ended.

    `runs`: alone, pipelined or staged. `iterations`: points of the time loops above the body, of one Einsum alone 1. `inner`: of a
    pipelined one, the stretches of each branch that is a fuse, by the name under which `timing.limits` has it.
    """

    einsums: tuple[str, ...]
    runs: str
    timing: Timing
    iterations: int
    inner: dict[str, tuple[Stretch, ...]]


def stretches(program: Program, mapping: Mapping, loads: dict[str, Load]) -> tuple[Stretch, ...]:
    """What runs one after the other: with the launches of parts, the latencies add up to that of `schedule`."""
    return tuple(_stretches(program, mapping.nodes, (), {}, loads))


def _stretches(
    program: Program, nodes: tuple[TreeNode, ...], above: tuple[For | Spatial, ...], kept: Homes, loads: dict[str, Load]
) -> Iterator[Stretch]:
    timing = _part(program, nodes, above, kept, loads)
    for node in nodes:
        if isinstance(node, Leaf):
            yield Stretch((node.einsum,), "alone", timing, 1, {})
        elif isinstance(node, Fuse):
            branches = [tuple(_stretches(program, branch, above, kept, loads)) for branch in node.branches]
            if node.schedule == "sequential":
                yield from (stretch for branch in branches for stretch in branch)
                continue
            fused = [branch for nodes, branch in zip(node.branches, branches, strict=True) if isinstance(nodes[-1], Fuse)]
            inner = {_together(name for stretch in branch for name in stretch.einsums): branch for branch in fused}
            yield Stretch(tuple(leaves(node)), node.schedule, timing, iterations(program.cascade, above), inner)
        elif isinstance(node, Keep):
            kept = _tensors(node, len(above)) | kept
        else:
            above = (*above, node)


def _together(names: Iterable[str]) -> str:
    """What limits call the Einsums of a fuse inside a pipelined one."""
    return " + ".join(names)


def schedule(program: Program, mapping: Mapping, loads: dict[str, Load], launch: int = 0) -> Timing:
    """Time of a whole mapping. launch: ticks that pass before each of its parts begins; they are fill."""
    found = _part(program, mapping.nodes, (), {}, loads)
    found.fill += launch * parts(mapping)
    return found


def _part(
    program: Program, nodes: tuple[TreeNode, ...], above: tuple[For | Spatial, ...], kept: Homes, loads: dict[str, Load]
) -> Timing:
    for node in nodes:
        if isinstance(node, Leaf):
            load = loads[node.einsum]
            limits: dict[tuple[str, str], Ticks] = {(load.unit, "compute"): load.busy}
            limits |= {(name, program.kind(name)): max(ticks) for name, ticks in load.ports.items()}
            return Timing(max(limits.values()), 0, load.latency, {node.einsum: 0}, limits)
        if isinstance(node, Fuse):
            parts = [_part(program, branch, above, kept, loads) for branch in node.branches]
            if node.schedule == "sequential":
                return _sequential(parts)
            if node.schedule == "staged":
                return _staged(program, node, above, loads)
            return _pipelined(program, node, above, kept, parts, loads)
        if isinstance(node, Keep):
            kept = _tensors(node, len(above)) | kept
        else:
            above = (*above, node)
    raise AssertionError("a branch ends in a leaf or a fuse")


def _sequential(parts: list[Timing]) -> Timing:
    limits: dict[tuple[str, str], Ticks] = {}
    for part in parts:
        deciding = max(part.limits, key=lambda key: part.limits[key])
        limits[deciding] = limits.get(deciding, 0) + part.steady
    offsets: dict[str, Ticks] = {name: 0 for part in parts for name in part.offsets}
    return Timing(sum(p.steady for p in parts), sum(p.fill for p in parts), sum(p.drain for p in parts), offsets, limits)


def leaves(fuse: Fuse) -> dict[str, Leaf]:
    """Leaves below a fuse by Einsum, in order."""
    found: dict[str, Leaf] = {}
    for branch in fuse.branches:
        last = branch[-1]
        if isinstance(last, Leaf):
            found[last.einsum] = last
        elif isinstance(last, Fuse):
            found |= leaves(last)
    return found


def iterations(cascade: Cascade, loops: Iterable[For | Spatial]) -> int:
    """Points of the time loops among `loops`, counted for the first copy of every spatial one."""
    by_rank: dict[str, list[For | Spatial]] = {}
    for loop in loops:
        by_rank.setdefault(loop.rank, []).append(loop)
    total = 1
    for rank, chain in by_rank.items():
        sizes = {cascade.extents[rank]: 1}
        for loop in chain:
            pieces: dict[int, int] = {}
            for size, many in sizes.items():
                if isinstance(loop, Spatial):
                    pieces[min(size, loop.tile)] = pieces.get(min(size, loop.tile), 0) + many
                    continue
                whole, rest = divmod(size, loop.tile)
                if whole:
                    pieces[loop.tile] = pieces.get(loop.tile, 0) + many * whole
                if rest:
                    pieces[rest] = pieces.get(rest, 0) + many
            sizes = pieces
        total *= sum(sizes.values())
    return total


def _totals(program: Program, names: Iterable[str], loads: dict[str, Load]) -> dict[tuple[str, str], Ticks]:
    """Ticks of every unit, and of the busier port of every memory and network, over some Einsums."""
    totals: dict[tuple[str, str], Ticks] = {}
    moved: dict[str, tuple[int, int]] = {}
    for name in names:
        load = loads[name]
        key = (load.unit, "compute")
        totals[key] = totals.get(key, 0) + load.busy
        for memory, (read, written) in load.ports.items():
            known = moved.get(memory, (0, 0))
            moved[memory] = (known[0] + read, known[1] + written)
    return totals | {(name, program.kind(name)): max(ticks) for name, ticks in moved.items()}


def _staged(program: Program, fuse: Fuse, above: tuple[For | Spatial, ...], loads: dict[str, Load]) -> Timing:
    """A barrier after every stage; transfers are not staged. Stages are compared on totals over the run."""
    names = leaves(fuse)
    for branch in fuse.branches:
        if isinstance(branch[-1], Fuse) and branch[-1].schedule != "pipelined":
            raise IllegalMapping(f"a staged fuse has a {branch[-1].schedule} one inside", "pipeline the inner fuse", branch[-1].place)
    stages = [stage.einsums + stage.previous for stage in fuse.stages] or _levels(program.cascade, list(names))
    listed = [name for stage in stages for name in stage]
    if sorted(listed) != sorted(names):
        raise IllegalMapping("the stages do not list every Einsum of the fuse once", "name each of " + ", ".join(names), fuse.place)
    count = iterations(program.cascade, above)
    total = 0
    limits = _totals(program, names, loads)
    for stage in stages:
        busy: dict[str, int] = {}
        latest = 0
        for name in sorted(stage, key=listed.index if fuse.stages else list(names).index):
            load = loads[name]
            busy[load.unit] = busy.get(load.unit, 0) + load.busy
            latest = max(latest, busy[load.unit] + load.latency * count)
        total += latest  # not below the busiest unit: the last Einsum of each unit has latency at least 0
    limits[("stages", DEPENDENCE)] = total
    steady = max(limits.values())
    return Timing(steady, 0, 0, dict.fromkeys(names, 0), limits)


def _levels(cascade: Cascade, names: list[str]) -> list[tuple[str, ...]]:
    """Stages by depth in the dependence graph."""
    depth: dict[str, int] = {}
    for name in names:
        before = [depth[a] + 1 for a, b, data in cascade.graph.in_edges(name, data=True) if a in depth and data["distance"] == 0 and a != b]
        depth[name] = max(before, default=0)
    return [tuple(name for name in names if depth[name] == level) for level in range(max(depth.values()) + 1)]


def _pipelined(
    program: Program, fuse: Fuse, above: tuple[For | Spatial, ...], kept: Homes, parts: list[Timing], loads: dict[str, Load]
) -> Timing:
    """Iterations overlap; the busiest resource, a recurrence or a finite number of copies sets the pace."""
    cascade = program.cascade
    names = list(leaves(fuse))
    count = iterations(cascade, above)
    limits = _totals(program, names, loads)
    for branch, part in zip(fuse.branches, parts, strict=True):
        if isinstance(branch[-1], Fuse):
            limits[(_together(part.offsets), DEPENDENCE)] = part.steady
    branch_of = {name: number for number, part in enumerate(parts) for name in part.offsets}
    tiles = {**cascade.extents, **{loop.rank: loop.tile for loop in above}}

    def slices(producer: str, reader: str, rank: str) -> int:
        return tiles[rank] if branch_of[producer] < branch_of[reader] else 0

    forward, carried = program.edges(frozenset(names), slices)
    # Start offsets within one iteration, and ends, in ticks times the number of iterations (so that a share of a tick is exact).
    start: dict[str, int] = {}
    end: dict[str, int] = {}
    for name in names:
        start[name] = max((end[before] for before, after, _ in forward if after == name and before in end), default=0)
        end[name] = start[name] + loads[name].busy + loads[name].latency * count
    for producer, reader, distance_rank in carried:
        span = _longest(names, forward, loads, count, reader, producer)
        distance = _distance(cascade, above, distance_rank)
        if span is not None and distance:
            key = (f"recurrence of {producer} over {distance_rank}", DEPENDENCE)
            limits[key] = max(limits.get(key, 0), shared(span, distance))
    for tensor, copies in _copies(cascade, fuse, above, kept).items():
        producers = [name for name in names if cascade.by_name[name].output.tensor == tensor]
        readers = [b for a, b, t in forward if t == tensor and a in producers]
        if producers and readers:
            span = max(end[reader] for reader in readers) - min(start[name] for name in producers)
            key = (f"{copies} cop{'y' if copies == 1 else 'ies'} of {tensor}", DEPENDENCE)
            limits[key] = shared(span, copies)
    steady = max(limits.values())
    # of the last iteration, what comes after the interval that the steady state gives it
    rest: Ticks = max(Fraction(0), Fraction(max(end.values()) - steady) / count)
    deciding = max(limits, key=lambda key: limits[key])
    fill = min((shared(start[name], count) for name in names if loads[name].unit == deciding[0]), default=0)
    fill = min(fill, rest)
    return Timing(steady, fill, rest - fill, {name: shared(start[name], count) for name in names}, limits)


def _longest(
    names: list[str], forward: list[tuple[str, str, str]], loads: dict[str, Load], count: int, first: str, last: str
) -> int | None:
    """Longest chain of busy times and latencies from the start of `first` to the end of `last` in one iteration; None if there is none."""
    reach: dict[str, int] = {first: loads[first].busy + loads[first].latency * count}
    for name in names:
        for before, after, _ in forward:
            if after == name and before in reach and name != first:
                own = loads[name].busy + loads[name].latency * count
                reach[name] = max(reach.get(name, 0), reach[before] + own)
    return reach.get(last)


def _distance(cascade: Cascade, above: tuple[For | Spatial, ...], rank: str) -> int:
    """Iterations from a slice along `rank` to the next: points of the loops inside the innermost one over it; 0 if none stands above."""
    for position in range(len(above) - 1, -1, -1):
        if above[position].rank == rank and isinstance(above[position], For):
            inner = [loop for loop in above[position + 1 :] if loop.rank != rank]
            outer = [loop for loop in above if loop.rank in {other.rank for other in inner}]
            before = [loop for loop in above[:position] if loop.rank in {other.rank for other in inner}]
            return max(1, iterations(cascade, outer) // max(1, iterations(cascade, before)))
    return 0


def _copies(cascade: Cascade, fuse: Fuse, above: tuple[For | Spatial, ...], kept: Homes) -> dict[str, int]:
    """Copies of every tensor whose home holds a tile of one iteration: inside the branches, or above the fuse with no loop between.

    A home further out holds the tiles of several iterations, each in a place of its own.
    """
    count = iterations(cascade, above)
    found = {tensor: copies for tensor, (depth, copies) in kept.items() if iterations(cascade, above[:depth]) == count}
    for branch in fuse.branches:
        known = set(kept)
        for node in (*branch[:-1], *(branch[-1].loops if isinstance(branch[-1], Leaf) else ())):
            if isinstance(node, Keep):
                for held in node.held:
                    if held.tensor not in known:
                        found[held.tensor] = max(found.get(held.tensor, 0), held.copies)
                known.update(_tensors(node, 0))
    return found


def _tensors(keep: Keep, depth: int) -> Homes:
    return {tensor: (depth, held.copies) for held in keep.held for tensor in (held.tensor, *held.in_place)}
