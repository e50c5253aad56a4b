"""The event simulation: against its twin, against the model's totals, and against cycles worked out by hand."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cache

import pytest

from accelsim.errors import AccelsimError, IllegalMapping
from accelsim.hardware.architecture import Architecture, Array, Memory, Node, Unit
from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve, shipped
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.mapper import Request, search
from accelsim.mapper.objectives import objective_named
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.sim import reference_events as reference
from accelsim.sim.ahead import filled_ahead
from accelsim.sim.lowering import lower
from accelsim.sim.simulation import Simulation, simulate
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.mapper.small import GIGA, memory, unit
from tests.model.problems import Choices, recurrence, running
from tests.model.strategies import architecture, seeded_triples
from tests.model.strategies import mapping as drawn
from tests.share import share

TRIPLES = share(3000, 300, 125)
SMALL = {
    "attention": {"b": "1", "h": "2", "p": "64", "m": "64", "e": "8", "f": "8", "m0": "16"},
    "attention-3pass": {"b": "1", "h": "2", "p": "32", "m": "32", "e": "8", "f": "8"},
    "attention-causal": {"b": "1", "h": "2", "p": "64", "m": "64", "e": "8", "f": "8", "m0": "16"},
    "matmul": {"m": "60", "n": "44", "k": "36"},
    "softmax": {"b": "12", "k": "40"},
    "layernorm": {"b": "12", "d": "40"},
    "scan-sequential": {"t": "192", "i": "96", "n": "16"},
    "scan-chunked": {"t": "256", "i": "96", "n": "16"},
}


def slower(node: Node, rng: random.Random) -> Node:
    """The same node with bandwidths and pipelines drawn anew."""
    if isinstance(node, Unit):
        return replace(node, pipeline_depth=rng.choice([0, 0, 3]))
    feeds = tuple(slower(child, rng) for child in node.feeds)
    if isinstance(node, Array):
        return replace(node, feeds=feeds)
    read, write = (Fraction(rng.choice([4, 8, 16, 48, 160]) * GIGA) for _ in range(2))
    if rng.random() < 0.3:
        return replace(node, feeds=feeds)
    late = rng.choice([0, 0, 0, 7])
    if rng.random() < 0.5:
        return replace(node, feeds=feeds, read_bits_per_s=read, write_bits_per_s=read, ports="shared", latency_cycles=late)
    return replace(node, feeds=feeds, read_bits_per_s=read, write_bits_per_s=write, ports="separate", latency_cycles=late)


def slow_machine(machine: Architecture, rng: random.Random) -> Architecture:
    root = slower(machine.root, rng)
    assert isinstance(root, Memory)
    return replace(machine, root=root)


def totals(evaluation: Evaluation) -> dict[str, Fraction]:
    """Busy cycles of every unit and port by the model's closed forms."""
    found: Counter[str] = Counter()
    clock = evaluation.evaluator.clock
    for load in evaluation.loads.values():
        found[load.unit] += load.busy
        for name, (read, written) in load.ports.items():
            if clock.ports[name].shared:
                found[name] += read
            else:
                found[f"{name} read"] += read
                found[f"{name} write"] += written
    return {name: clock.cycles(ticks) for name, ticks in found.items() if ticks}


def busy(simulation: Simulation) -> dict[str, Fraction]:
    """Busy cycles of every unit and port by the simulation."""
    units = {name: sum(unit.busy.values(), Fraction(0)) for name, unit in simulation.units.items()}
    return {name: cycles for name, cycles in (units | simulation.ports).items() if cycles}


@cache
def small(workload: str, machine: str) -> tuple[Cascade, Architecture]:
    """A shipped cascade at a small size, and a shipped machine."""
    settings = {f"shape.{rank}": size for rank, size in SMALL[workload].items()}
    noun = load_workload(resolve(workload, WORKLOAD), settings)
    assert isinstance(noun, Cascade)
    return noun, load_architecture(resolve(machine, MACHINE))


@cache
def mapped(workload: str, machine: str) -> Mapping:
    """The mapping that the mapper finds, in `make test` within two CPU seconds."""
    request = Request(objective_named("latency"), time_limit=share(1000, 2, 1))
    return search(*small(workload, machine), request=request).mapping


MACHINES = ("simple", "spatial", "npu", "tpu_like", "eyeriss_like")
UNABLE = {("layernorm", "spatial")}  # its lanes have no square root, its elements no division
PAIRS = [
    pytest.param(workload, machine, marks=[] if workload in ("matmul", "softmax") else pytest.mark.slow)
    for workload in SMALL
    for machine in MACHINES
    if (workload, machine) not in UNABLE
]


@pytest.mark.parametrize(("workload", "machine"), UNABLE)
def test_a_machine_that_lacks_an_operator_is_the_only_reason_for_which_a_pair_is_left_out(workload: str, machine: str) -> None:
    with pytest.raises(IllegalMapping, match="can execute"):
        mapped(workload, machine)


@pytest.mark.parametrize("ahead", [False, True], ids=["as mapped", "filled ahead"])
@pytest.mark.parametrize(("workload", "machine"), PAIRS)
@pytest.mark.slow
def test_units_and_ports_are_as_busy_as_the_model_counts_and_every_cycle_is_accounted_for(workload: str, machine: str, ahead: bool) -> None:
    noun, architecture = small(workload, machine)
    mapping = mapped(workload, machine)
    mapping = filled_ahead(noun, architecture, mapping) if ahead else mapping
    done = simulate(noun, architecture, mapping)
    assert busy(done) == totals(done.evaluation)
    cycles = done.evaluation.evaluator.clock.cycles(done.ticks)
    assert all(each.total == cycles for each in done.units.values())
    assert cycles >= max(busy(done).values())


def slowed(seed: int, number: int) -> Iterator[tuple[Cascade, Architecture, Mapping]]:
    """Random triples on machines with bandwidths."""
    rng = random.Random(seed * 7 + 1)
    for noun, machine, mapping, _ in seeded_triples(seed, number):
        yield noun, slow_machine(machine, rng), mapping


def whole(mapping: Mapping) -> bool:
    """Whether all of each tile is kept: of a fraction, every access is rounded by itself."""
    keeps = (node for path, _ in mapping.paths() for node in path if isinstance(node, Keep))
    return all(held.fraction == 1 for keep in keeps for held in keep.held)


def off(done: Simulation, single: bool = False) -> dict[str, tuple[Fraction, Fraction]]:
    """Ports and networks that are not busy for as long as the traffic that the model counts takes at their bandwidth: cycles, and those of
    the model. single: of memories and arrays of which there is one alone; else copies are taken to be busy alike.
    """
    evaluation, found = done.evaluation, {}
    machine = evaluation.evaluator.architecture
    for port, cycles in done.ports.items():
        name, way = (port, "") if port in machine.memories or port in machine.networks else port.rsplit(" ", 1)
        if name in machine.networks:
            (array, link), (down, up) = machine.networks[name], evaluation.network_bits(name)
            copies, rate = machine.copies(array.name), link.up_bits_per_s if way == "up" else link.down_bits_per_s
        else:
            memory, (down, up) = machine.memories[name], evaluation.traffic_bits(name)
            copies, rate = machine.copies(name), memory.write_bits_per_s if way == "write" else memory.read_bits_per_s
        assert rate is not None
        expected = {"": down + up, "read": down, "down": down, "write": up, "up": up}[way] / rate * machine.clock_hz / copies
        if cycles != expected and (copies == 1 or not single):
            found[port] = cycles, expected
    return found


def agrees(noun: Cascade, machine: Architecture, mapping: Mapping) -> bool:
    """Whether a mapping is simulated, and not refused in words; fails where the twin or the model's totals differ."""
    try:
        done = simulate(noun, machine, mapping)
    except AccelsimError:
        return False
    evaluation, clock = done.evaluation, done.evaluation.evaluator.clock
    plans = lower(evaluation.evaluator, mapping, evaluation.counts.lowered.latencies)
    twin = min((reference.run(tasks, clock.per_cycle) for tasks in plans), key=lambda each: each.ticks)
    assert twin.ticks == done.ticks
    assert {name: clock.cycles(ticks) for name, ticks in twin.busy.items() if ticks} == busy(done)
    units = {name: cycles for name, cycles in totals(evaluation).items() if name in machine.units}
    assert units == {name: cycles for name, cycles in busy(done).items() if name in machine.units}
    if whole(mapping):
        assert off(done, single=True) == {}
    assert all(each.total == clock.cycles(done.ticks) for each in done.units.values())
    return True


@pytest.mark.slow
def test_random_mappings_run_as_in_the_twin_and_keep_units_as_busy_as_the_model_counts() -> None:
    assert sum(agrees(*each) for each in slowed(23, TRIPLES)) > TRIPLES // 2


@pytest.mark.parametrize(
    ("seed", "number"), [(103, 10), (107, 98), (113, 55), (114, 67), (116, 95), (119, 53), (131, 31), (165, 37), (178, 53)],
    ids=["windows", "fraction", "split", "staged", "uneven", "recomputed", "repeated", "thrice", "nested"],
)  # fmt: skip
def test_mappings_that_once_differed_from_the_twin_or_the_model_agree(seed: int, number: int) -> None:
    *_, last = slowed(seed, number)
    assert agrees(*last)


def divides(noun: Cascade, mapping: Mapping) -> bool:
    """Whether all tiles divide those around them, and all of each is kept."""
    for path, _ in mapping.paths():
        left = dict(noun.extents)
        for node in path:
            if isinstance(node, (For, Spatial)):
                if left[node.rank] % node.tile:
                    return False
                left[node.rank] = node.tile
            if isinstance(node, Keep) and any(held.fraction < 1 for held in node.held):
                return False
    return True


def test_ports_are_as_busy_with_recurrences_as_the_model_counts() -> None:
    """Of random mappings, in some of which slices leave a memory and are loaded back."""
    rng, ran, back = random.Random(19), 0, 0
    while ran < max(100, TRIPLES // 5):
        made = recurrence(Choices(rng.randrange)) if rng.random() < 0.7 else running(Choices(rng.randrange))
        machine = slow_machine(architecture(Choices(rng.randrange)), rng)
        mapping = drawn(Choices(rng.randrange), made, machine)
        if not divides(made.cascade, mapping):
            continue
        try:
            done = simulate(made.cascade, machine, mapping)
        except AccelsimError:
            continue
        ran += 1
        assert busy(done) == totals(done.evaluation)
        plans = lower(done.evaluation.evaluator, mapping, done.evaluation.counts.lowered.latencies)
        twins = [reference.run(tasks, done.evaluation.evaluator.clock.per_cycle) for tasks in plans]
        assert min(twin.ticks for twin in twins) == done.ticks
        back += any(task.carried is not None and twins[0].firings.get(id(task)) for task in plans[0])
    assert back > ran // 12


SCAN = cascade("scan", ["H[0,i] = 3", "H[t+1,i] = A[t,i] * H[t,i]"], {"t": 4, "i": 6}, types={"default": "int32"})


@pytest.mark.parametrize("copies", [1, 2])
def test_a_slice_is_loaded_back_once_it_is_stored(copies: int) -> None:
    """A word a cycle, tiles of two words: every tile of a later slice is loaded, beside its factors, once it has been stored."""
    held = (Held("A", copies), Held("H", copies))
    nodes = (Keep("Main", (Held("A"), Held("H"))), For("t", 1), For("i", 2), Keep("Buffer", held), Leaf("H", "U"))
    done = simulate(SCAN, scanner(), Mapping("leaves", nodes), events=1000)
    loads = {event.number: event for event in done.events if event.task == "H to Buffer"}
    stores = {event.number: event for event in done.events if event.task == "H from Buffer"}
    assert set(loads) == set(range(3, 12)) and set(stores) == set(range(12))  # slice 0 is constant
    assert all(loads[number].start >= stores[number - 3].end for number in loads)
    assert done.ports["Main"] == 24 + 24 + 18 and busy(done) == totals(done.evaluation)
    if copies == 1:  # tile after tile: two words of A, two of H, two products, two words of H leave
        assert done.cycles == 3 * (2 + 2 + 2) + 9 * (2 + 2 + 2 + 2)


def test_a_slice_is_not_loaded_ahead_of_its_store() -> None:
    """Two tiles of three words, three places, 16 words read and one written a cycle: place and port are free before the slice is stored."""
    held = (Held("A", 3), Held("H", 3))
    nodes = (Keep("Main", (Held("A"), Held("H"))), For("t", 1), For("i", 3), Keep("Buffer", held), Leaf("H", "U"))
    root = replace(scanner(16).root, ports="separate", write_bits_per_s=Fraction(32 * GIGA))
    done = simulate(SCAN, replace(scanner(16), root=root), Mapping("leaves", nodes), events=1000)
    loads = {event.number: event for event in done.events if event.task == "H to Buffer"}
    stores = {event.number: event for event in done.events if event.task == "H from Buffer"}
    assert set(loads) == set(range(2, 8))
    assert all(loads[number].start >= stores[number - 2].end for number in loads)
    assert busy(done) == totals(done.evaluation)


def scanner(words: int = 1) -> Architecture:
    """A root of so many words of 32 bits a cycle over a buffer without limits, and one unit."""
    inside = memory("Buffer", 4000, None, 1.0, unit("U", "mul"))
    return Architecture("two", memory("Main", None, 2 * words, 1.0, inside), Fraction(GIGA))


@pytest.mark.parametrize(
    ("around", "said"),
    [
        ((For("i", 4), For("t", 1), For("i", 2)), "an edge of i leaves H where its next slice reads it, which is not simulated yet"),
        ((For("t", 1), For("i", 4), Spatial("x", "i", 2)), "copies that an edge of i leaves idle hold H for its next slice"),
    ],
)
def test_edges_at_which_a_slice_stays_are_refused(around: tuple[For | Spatial, ...], said: str) -> None:
    from accelsim.hardware.architecture import Axis

    grid = (Array("grid", (Axis("x", 2),), feeds=(memory("Buffer", 4000, None, 1.0, unit("U", "mul")),)),)
    spread = any(isinstance(loop, Spatial) for loop in around)
    target = replace(scanner(), root=replace(scanner().root, feeds=grid)) if spread else scanner()
    nodes = (Keep("Main", (Held("A"), Held("H"))), *around, Keep("Buffer", (Held("A"), Held("H"))), Leaf("H", "U"))
    with pytest.raises(IllegalMapping, match=said):
        simulate(SCAN, target, Mapping("edge", nodes))


def test_a_faster_memory_never_makes_a_mapping_slower() -> None:
    rng, ran = random.Random(5), 0
    for noun, machine, mapping, _ in seeded_triples(29, TRIPLES):
        machine = slow_machine(machine, rng)
        limited = [memory for memory in machine.memories.values() if memory.read_bits_per_s is not None]
        if not limited:
            continue
        chosen = rng.choice(limited).name
        try:
            slow, fast = simulate(noun, machine, mapping), simulate(noun, doubled(machine, chosen), mapping)
        except AccelsimError:
            continue
        ran += 1
        assert fast.seconds <= slow.seconds * (1 + 1e-12)
    assert ran > TRIPLES // 4


@pytest.mark.slow
def test_more_places_for_a_tile_never_make_a_mapping_slower() -> None:
    rng, ran, better = random.Random(7), 0, 0
    for noun, machine, mapping, _ in seeded_triples(31, TRIPLES):
        machine = slow_machine(machine, rng)
        for one in (True, False):
            places = itertools.count()
            chosen = rng.randrange(8) if one else None
            deep = replace(mapping, nodes=deeper(mapping.nodes, chosen, places))
            try:
                before, after = simulate(noun, machine, mapping), simulate(noun, machine, deep)
            except AccelsimError:
                continue
            ran += 1
            assert after.ticks <= before.ticks
            better += after.ticks < before.ticks
    assert ran > TRIPLES // 2
    assert better > TRIPLES // 20


def deeper(nodes: tuple[TreeNode, ...], chosen: int | None, places: Iterator[int]) -> tuple[TreeNode, ...]:
    """Nodes with one more copy of a chosen tile, or of all."""
    made: list[TreeNode] = []
    for node in nodes:
        if isinstance(node, Keep):
            held = (replace(each, copies=each.copies + (next(places) == chosen or chosen is None)) for each in node.held)
            made.append(replace(node, held=tuple(held)))
        elif isinstance(node, Leaf):
            made.append(replace(node, loops=deeper(node.loops, chosen, places)))  # type: ignore[arg-type]
        elif isinstance(node, Fuse):
            made.append(replace(node, branches=tuple(deeper(branch, chosen, places) for branch in node.branches)))
        else:
            made.append(node)
    return tuple(made)


def doubled(machine: Architecture, name: str) -> Architecture:
    """The same machine with one memory twice as fast."""

    def faster(node: Node) -> Node:
        if isinstance(node, Unit):
            return node
        node = replace(node, feeds=tuple(faster(child) for child in node.feeds))
        if isinstance(node, Memory) and node.name == name and node.read_bits_per_s is not None:
            write = None if node.write_bits_per_s is None else 2 * node.write_bits_per_s
            return replace(node, read_bits_per_s=2 * node.read_bits_per_s, write_bits_per_s=write)
        return node

    root = faster(machine.root)
    assert isinstance(root, Memory)
    return replace(machine, root=root)


@pytest.mark.slow
def test_the_same_mapping_runs_the_same_twice() -> None:
    one, other = (simulate(*small("attention", "npu"), mapped("attention", "npu"), events=100) for _ in range(2))
    assert (one.ticks, one.units, one.events) == (other.ticks, other.units, other.events)


PRODUCT = cascade("product", "Z[m] = A[m,k] * B[k]", {"m": 40, "k": 6})


def machine(words: int) -> Architecture:
    """A root that moves so many words in a cycle over a buffer without limits, and one unit."""
    return Architecture("two", memory("Main", None, words, 1.0, memory("Buffer", 4000, None, 1.0, unit("U", "mac"))), Fraction(GIGA))


def by_rows(copies: int) -> Mapping:
    """Ten tiles of four rows, of which so many have room."""
    held = (Held("A", copies), Held("B"), Held("Z", copies))
    nodes = (Keep("Main", (Held("A"), Held("B"), Held("Z"))), For("m", 4), Keep("Buffer", held), Leaf("Z", "U"))
    return Mapping("rows", nodes)


def test_one_place_for_tiles_lets_loads_and_work_take_turns() -> None:
    """A word a cycle: 24 words of A and 6 of B come before the first tile's 24 cycles of work. Then the port sends 4 results and brings 24
    words, and work starts again.
    """
    done = simulate(PRODUCT, machine(1), by_rows(1))
    assert done.cycles == 24 + 6 + 24 + 9 * (4 + 24 + 24) + 4


def test_two_places_for_tiles_hide_loads_behind_work_and_leave_what_the_port_cannot_hide() -> None:
    """Of a fast root everything but the first load and the last drain is hidden."""
    done = simulate(PRODUCT, machine(4), by_rows(2))
    # four words a cycle: A's first tile takes 6 cycles and B 1.5; then ten tiles of 24 cycles of work, and 4 words leave in 1
    assert done.evaluation.evaluator.clock.cycles(done.ticks) == Fraction(15, 2) + 10 * 24 + 1
    assert done.cycles < simulate(PRODUCT, machine(4), by_rows(1)).cycles


def test_a_latency_is_added_to_every_load_that_nothing_hides() -> None:
    """With one place each of the ten tiles of A comes late while there is nothing to do; with two places only the first."""
    slow = replace(machine(64), root=replace(machine(64).root, latency_cycles=10))
    for copies, exposed in ((1, 10), (2, 1)):
        before, after = simulate(PRODUCT, machine(64), by_rows(copies)), simulate(PRODUCT, slow, by_rows(copies))
        assert after.cycles == before.cycles + 10 * exposed, copies


def test_with_unlimited_memories_a_product_takes_what_the_model_says() -> None:
    roomy = Architecture("free", memory("Main", None, None, 1.0, memory("Buffer", 4000, None, 1.0, unit("U", "mac"))), Fraction(GIGA))
    done = simulate(PRODUCT, roomy, by_rows(1))
    assert done.cycles == done.evaluation.cycles == 240


def test_a_unit_that_is_faster_than_its_operands_waits_at_their_port() -> None:
    """A word a cycle at the buffer: of each point A and B come and a sum goes, and all sums but the first of each row come back."""
    slow = Architecture("slow", memory("Main", None, None, 1.0, memory("Buffer", 4000, 1, 1.0, unit("U", "mac"))), Fraction(GIGA))
    waits = {(wait.cause, wait.what): wait.cycles for wait in simulate(PRODUCT, slow, by_rows(1)).units["U"].waits}
    loads = 40 * 6 + 6  # of A and B; before the first tile's 24 + 6 nothing has begun
    assert waits == {("fill", ""): 30, ("memory", "A to Buffer"): loads - 30 + 9 * 4, ("port", "Buffer"): 3 * 240 + 240 - 40 - 240}


def test_an_illegal_mapping_and_one_that_is_not_simulated_are_refused_in_words() -> None:
    with pytest.raises(IllegalMapping, match="nothing above Z keeps Z"):
        simulate(PRODUCT, machine(1), Mapping("none", (Keep("Main", (Held("A"), Held("B"))), Leaf("Z", "U"))))
    deep = memory("Main", None, 1, 1.0, memory("Middle", 4000, 1, 1.0, memory("Buffer", 4000, None, 1.0, unit("U", "mac"))))
    half = (Held("A", fraction=Fraction(1, 2)),)
    nodes = (Keep("Main", (Held("A"), Held("B"), Held("Z"))), For("m", 4), Keep("Middle", half), Keep("Buffer", half), Leaf("Z", "U"))
    with pytest.raises(IllegalMapping, match="fractions of A are kept in Middle and inside it in Buffer, which is not simulated yet"):
        simulate(PRODUCT, Architecture("three", deep, Fraction(GIGA)), Mapping("parts", nodes))


def test_of_a_fraction_the_rest_streams_past_its_keep() -> None:
    """Of the 24 words of each tile of A 12 are loaded once; the unit takes the other 12 from the root. With B and Z 240 + 6 + 40."""
    part = (Held("A", fraction=Fraction(1, 2)), Held("B"), Held("Z"))
    nodes = (Keep("Main", (Held("A"), Held("B"), Held("Z"))), For("m", 4), Keep("Buffer", part), Leaf("Z", "U"))
    done = simulate(PRODUCT, machine(1), Mapping("part", nodes))
    assert busy(done) == totals(done.evaluation) == {"U": 240, "Main": 286}


def test_a_copy_that_works_on_less_waits_for_the_first() -> None:
    """Five rows over two copies in tiles of three: the first copy's three rows count."""
    noun = cascade("rows", "Z[m] = A[m,k] * B[k]", {"m": 5, "k": 7})
    from accelsim.hardware.architecture import Axis

    feeds = (Array("grid", (Axis("x", 2),), feeds=(unit("U", "mac"),)),)
    wide = Architecture("wide", replace(memory("Main", None, None, 1.0, unit("V", "mac")), feeds=feeds), Fraction(GIGA))
    nodes = (Keep("Main", (Held("A"), Held("B"), Held("Z"))), Leaf("Z", "U", (Spatial("x", "m", 3),)))
    assert simulate(noun, wide, Mapping("spread", nodes)).cycles == 3 * 7


@pytest.mark.parametrize("name", [name for name in shipped(MAPPING) if name in ("attention-interleaved", "attention-staged")])
def test_published_mappings_run_and_take_at_least_as_long_as_the_model_says(name: str) -> None:
    noun, spatial = load_workload(resolve("attention", WORKLOAD)), load_architecture(resolve("spatial", MACHINE))
    assert isinstance(noun, Cascade)
    mapping = load_mapping(resolve(name, MAPPING), {rank.upper(): size for rank, size in noun.extents.items()})
    done = simulate(noun, spatial, mapping)
    assert busy(done) == totals(done.evaluation)
    assert done.cycles >= Evaluator(noun, spatial).evaluate(mapping).steady_cycles


@pytest.mark.slow
def test_a_run_that_is_too_long_to_count_is_refused() -> None:
    """25 seconds at 940 MHz, in ticks of which each cycle has 2^29: 1.3e19, more than 2^63."""
    shape = {"shape.b": "64", "shape.h": "12", "shape.p": "65536", "shape.m": "65536"}
    noun = load_workload(resolve("attention", WORKLOAD), shape)
    assert isinstance(noun, Cascade)
    mapping = load_mapping(resolve("attention-staged", MAPPING), dict(noun.extents), {"let.P1": "128"})
    with pytest.raises(IllegalMapping, match=r"the run takes longer than 4\.57 s"):
        simulate(noun, load_architecture(resolve("spatial", MACHINE)), mapping)
