"""No word is overwritten before all that read it are done: places of words in a keep, listed one by one, from the twin's firings."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest

from accelsim.errors import AccelsimError
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.mapping.walk import Row
from accelsim.model.evaluation import Evaluator
from accelsim.sim import reference_events as reference
from accelsim.sim.lowering import lower
from accelsim.sim.paths import Path, Paths
from accelsim.sim.slots import slots_of
from accelsim.sim.tasks import COMPUTE
from accelsim.workload.build import cascade
from tests.model.strategies import seeded_triples
from tests.share import share

TRIPLES = share(4000, 300, 120)
FIRINGS = 5000  # of a mapping, beyond which it is left out: the twin fires them one by one
MOST = 200  # passes of an Einsum, beyond which an edge is left out

Digits = tuple[int, ...]


def coordinates(paths: Paths, path: Path, tensor: str, loops: list[Row], place: int, digits: Digits) -> list[range]:
    """What an Einsum touches of a tensor below a row, in each dimension; none where it does so in several ways."""
    accesses = {each for each in (*path.einsum.reads, path.einsum.output) if each.tensor == tensor}
    slots = slots_of(paths.cascade, path, loops, place)
    found = []
    for index in paths.cascade.index_maps(accesses.pop()) if len(accesses) == 1 else ():
        if index is None or len(index.terms) > 1 or index.divisor != 1 or index.modulus or any(factor != 1 for _, factor in index.terms):
            return []
        part = reference.interval(slots[index.terms[0][0]], list(digits)) if index.terms else range(1)
        found.append(range(part.start + index.offset, part.stop + index.offset))
    return found


def meet(one: list[range], other: list[range]) -> bool:
    """Whether two boxes have a place in common."""
    return bool(one and other) and all(max(a.start, b.start) < min(a.stop, b.stop) for a, b in zip(one, other, strict=True))


def overwritten(evaluator: Evaluator, mapping: Mapping, seen: Counter[str]) -> list[str]:
    """Passes of producers that begin before readers of what lay in the same places are done."""
    paths, wrong = Paths(evaluator, mapping), list[str]()
    latencies = evaluator.evaluate(mapping).counts.lowered.latencies
    plans = lower(evaluator, mapping, latencies)
    if sum(task.firings for task in plans[0]) > FIRINGS:
        return []
    done = min((reference.run(tasks, evaluator.clock.per_cycle) for tasks in plans), key=lambda each: each.ticks)
    begins: dict[str, dict[Digits, int]] = {}
    ends: dict[str, dict[Digits, int]] = {}
    for firing in done.log:
        if firing.task.kind == COMPUTE and not firing.is_idle:
            name, fold = firing.task.einsum, firing.task.fold
            begins.setdefault(name, {}).setdefault(firing.digits, firing.start + firing.task.latency)
            ends.setdefault(name, {})[firing.digits] = firing.end - (firing.task.latency if fold is None else 0)
    for producer, consumer, tensor, rank in paths.edges:
        one, other = paths.of(producer), paths.of(consumer)
        shared = {id(row) for row in one.rows} & {id(row) for row in other.rows}
        common = [place for place, row in enumerate(one.rows) if id(row) in shared]
        keeps = [place for place in common if isinstance(one.rows[place].node, Keep) and tensor in one.rows[place].kept]
        if rank or producer == consumer or not keeps or one.windows or one.again or not isinstance(one.rows[common[-1]].node, Fuse):
            continue
        place = keeps[-1]
        copies = paths.held(one.rows[place], tensor).copies
        above, depth = (sum(id(row) in {id(each) for each in one.rows[:until]} for row in one.loops) for until in (place, common[-1]))

        cuts = (place, above), (common[-1], depth)

        def lies(path: Path, digits: Digits, cuts: tuple[tuple[int, int], ...] = cuts, t: str = tensor) -> list[range]:
            """The box of places within a tile that a pass touches; none where they are no box."""
            tile, part = (coordinates(paths, path, t, path.loops[:count], row, digits[:count]) for row, count in cuts)
            return [range(p.start - q.start, p.stop - q.start) for p, q in zip(part, tile, strict=True)]

        def turn(digits: Digits, a: int = above, loops: list[Row] = one.loops) -> int:
            number = 0
            for digit, row in zip(digits[:a], loops[:a], strict=True):
                number = number * row.trips + digit
            return number

        starts: dict[Digits, int] = {}
        for digits, time in begins.get(producer, {}).items():
            starts[digits[:depth]] = min(time, starts.get(digits[:depth], time))
        stops: dict[Digits, int] = {}
        for digits, time in ends.get(consumer, {}).items():
            stops[digits[:depth]] = max(time, stops.get(digits[:depth], time))
        if len(starts) > MOST or len(stops) > MOST:
            continue
        places = {digits: lies(one, digits) for digits in starts}, {digits: lies(other, digits) for digits in stops}
        for new, old in product(starts, stops):
            later = turn(new) - turn(old)
            if later > 0 and later % copies == 0 and meet(places[0][new], places[1][old]):
                seen["deep" if above < depth else "flat"] += 1
                if starts[new] < stops[old]:
                    wrong.append(f"{tensor}: {producer} {new} at {starts[new]} before {consumer} {old} at {stops[old]}")
    return wrong


def test_no_word_is_overwritten_before_its_readers_are_done() -> None:
    seen = Counter[str]()
    for noun, machine, mapping, _ in seeded_triples(61, TRIPLES):
        try:
            found = overwritten(Evaluator(noun, machine), mapping, seen)
        except AccelsimError:
            continue
        assert not found, (noun.name, found[:3])
    assert min(seen["deep"], seen["flat"]) > TRIPLES // 30, seen


LAYERS = ["S[m,h] = X[m,d] * W[d,h]", "H[m,h] = max(0, min(127, S[m,h] // 64))", "Z[m,n] = H[m,h] * V[h,n]"]


@pytest.mark.parametrize("copies", [1, 2])
@pytest.mark.parametrize("inside", ["nm", "mn"])
def test_a_tile_above_loops_that_read_it_again_is_kept_until_the_last_turn(inside: str, copies: int) -> None:
    """H is kept for all m, and read once for each n; what it is multiplied with comes late, so that the next h could come before."""
    work = cascade("layers", LAYERS, {"m": 16, "h": 6, "d": 3, "n": 3}, types={"default": "int32"})
    machine, seen = load_architecture(resolve("mini", MACHINE), {}), Counter[str]()
    branches = (
        (Leaf("S", "MAC", (For("d", 1), Spatial("row", "m", 2), Spatial("column", "m", 1))),),
        (Leaf("H", "VEC", (For("m", 4), Spatial("lane", "m", 1))),),
        (Leaf("Z", "MAC", (Spatial("row", "m", 2), Spatial("column", "m", 1))),),
    )
    turning: dict[str, tuple[TreeNode, ...]] = {"n": (For("n", 1), Keep("Buffer", (Held("V"),))), "m": (For("m", 8),)}
    nodes: tuple[TreeNode, ...] = (
        Keep("DRAM", tuple(map(Held, "XWVZ"))),
        Keep("Buffer", tuple(map(Held, "XZ"))),
        For("h", 1),
        Keep("Buffer", (Held("S", copies), Held("H", copies), Held("W"))),
        *(node for rank in inside for node in turning[rank]),
        Fuse("pipelined", branches),
    )
    assert not overwritten(Evaluator(work, machine), Mapping("layers", nodes), seen)
    assert seen["deep"]


STEPS = {1: ["H[0,j] = 3", "H[t+1,j] = A[t,j] * H[t,j] + B[t,j]"], 2: ["H[0,j] = 3", "H[1,j] = 4", "H[t+2,j] = A[t,j] * H[t,j] + B[t,j]"]}
AROUND: dict[str, tuple[TreeNode, ...]] = {
    "nothing": (Keep("Buffer", tuple(map(Held, "ABHY"))),),
    "a slice": (Keep("Buffer", tuple(map(Held, "ABHY"))), For("t", 1)),
    "two slices": (Keep("Buffer", tuple(map(Held, "ABHY"))), For("t", 2)),
    "three slices": (Keep("Buffer", tuple(map(Held, "ABHY"))), For("t", 3)),
    "columns": (For("j", 4), Keep("Buffer", tuple(map(Held, "ABHY"))), For("t", 2)),
    "slices of columns": (For("j", 4), Keep("Buffer", (Held("H"),)), For("t", 3), Keep("Buffer", tuple(map(Held, "ABY")))),
}


@pytest.mark.parametrize("back", STEPS)
@pytest.mark.parametrize("around", AROUND)
def test_an_earlier_slice_is_read_after_it_is_made(around: str, back: int) -> None:
    """Y reads slices before the last, of the same iteration where the loops leave it more of them than H goes back."""
    work = cascade("steps", [*STEPS[back], "Y[t,j] = H[t,j] + 1"], {"t": 7, "j": 8}, types={"default": "int32"})
    machine = load_architecture(resolve("mini", MACHINE), {})
    branches = (
        (Leaf("H", "SCAN", (For("j", 4), For("t", 1), Spatial("channel", "j", 1))),),
        (Leaf("Y", "VEC", (For("j", 4), For("t", 1), Spatial("lane", "j", 1))),),
    )
    mapping = Mapping("steps", (Keep("DRAM", tuple(map(Held, "ABY"))), *AROUND[around], Fuse("pipelined", branches)))
    evaluator = Evaluator(work, machine)
    paths, latencies = Paths(evaluator, mapping), evaluator.evaluate(mapping).counts.lowered.latencies
    for tasks in lower(evaluator, mapping, latencies):
        done = reference.run(tasks, evaluator.clock.per_cycle)
        made, read = list[tuple[list[range], int]](), list[tuple[list[range], int]]()
        for firing in done.log:
            if firing.task.kind == COMPUTE and not firing.is_idle:
                path = paths.of(firing.task.einsum)
                slots = slots_of(work, path, path.loops, len(path.rows), 0)
                t, j = (reference.interval(slots[rank], list(firing.digits)) for rank in "tj")
                if path.name == "H":
                    made.append(([range(t.start + back, t.stop + back), j], firing.end))
                else:
                    read.append(([t, j], firing.start))
        pairs = [(end, start) for one, end in made for other, start in read if meet(one, other)]
        assert pairs and all(end <= start for end, start in pairs), (around, back)
