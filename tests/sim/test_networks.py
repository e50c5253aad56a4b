"""Networks of arrays: words and cycles worked out by hand, the simulation beside the model and its twin, and wider links."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from accelsim.errors import AccelsimError, IllegalMapping
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Network, Node, Quantity, Unit
from accelsim.mapper import search
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial
from accelsim.model.evaluation import Evaluation, Evaluator, evaluate
from accelsim.sim.simulation import Simulation, simulate
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.mapper.small import GIGA, memory, unit
from tests.model.strategies import networked, seeded_triples
from tests.share import share
from tests.sim.test_events import agrees, divides, slow_machine

TRIPLES = share(3000, 300, 125)
ROWS = cascade("rows", "Z[m] = A[m,k] * B[k]", {"m": 6, "k": 4})  # words of 16 bits, as `unit` and `memory` count them
EVERY = tuple(Held(name) for name in "ABZ")
NETWORK = "columns network"


def words_a_cycle(words: int | None) -> Fraction | None:
    return None if words is None else Fraction(16 * words * GIGA)


def shared(words: int | None) -> Network:
    """A network that both directions share, of so many words a cycle."""
    return Network(words_a_cycle(words), words_a_cycle(words), "shared")


def machine(network: Network | None, reduces: tuple[str, ...] = ("add",), multicast: bool = True) -> Architecture:
    """Main, four columns behind a network, registers in each, and a unit: no memory has a limit."""
    inside = memory("Registers", None, None, 1.0, unit("U", "mac"))
    array = Array("columns", (Axis("col", 4, multicast, reduces),), feeds=(inside,), network=network)
    return Architecture("columns", Memory("Main", feeds=(array,)), Fraction(GIGA))


def kept(*inside: For | Spatial) -> Mapping:
    return Mapping("kept", (Keep("Main", EVERY), *inside, Keep("Registers", EVERY), Leaf("Z", "U")))


def straight(*inside: For | Spatial) -> Mapping:
    return Mapping("straight", (Keep("Main", EVERY), *inside, Leaf("Z", "U")))


COLUMNS = Spatial("col", "k", 1)


def crossed(evaluation: Evaluation) -> dict[str, tuple[int, int]]:
    """Words of each tensor down and up the network of the columns."""
    rows = evaluation.counts.crossed.items()
    return {tensor: (row[0], row[2]) for (_, tensor, network), row in rows if network == NETWORK}


def test_a_network_decides_where_its_words_take_longer_than_the_work() -> None:
    """Each column has one k. A: 6 words for each, 24; B: one for each, 4; sums of six rows leave once, combined: 34 words. Work takes 6.

    At a word a cycle 28 words come, 6 cycles of work follow, 6 words leave: 40 cycles, and the model, which overlaps them, says 34.
    """
    found = simulate(ROWS, machine(shared(1)), kept(COLUMNS))
    assert crossed(found.evaluation) == {"A": (24, 0), "B": (4, 0), "Z": (0, 6)}
    assert (found.evaluation.cycles, found.cycles) == (34, 40)
    assert found.ports == {NETWORK: 34}
    limits = found.evaluation.to_json()["limits"]
    assert (limits["resource"], limits["kind"], limits["share"]) == (NETWORK, "network", 1.0)
    fast = simulate(ROWS, machine(shared(6)), kept(COLUMNS))
    assert (fast.evaluation.cycles, fast.cycles) == (6, 12)  # 28/6 + 6 + 1 = 11.67
    assert fast.evaluation.to_json()["limits"]["resource"] == "U"  # 34/6 = 5.67 cycles, less than 6
    five = evaluate(ROWS, machine(shared(5)), kept(COLUMNS))
    assert five.to_json()["limits"]["resource"] == NETWORK  # 34/5 = 6.8, more than 6
    assert five.steady_cycles == Fraction(34, 5)


def test_directions_with_links_of_their_own_do_not_wait_for_each_other() -> None:
    """28 words down in 14 cycles, 6 up in 6; one after the other and 6 of work between: 26."""
    found = simulate(ROWS, machine(Network(words_a_cycle(2), words_a_cycle(1), "separate")), kept(COLUMNS))
    assert found.ports == {f"{NETWORK} down": 14, f"{NETWORK} up": 6}
    assert (found.evaluation.cycles, found.cycles) == (14, 14 + 6 + 6)
    one_way = simulate(ROWS, machine(Network(None, words_a_cycle(1), "separate")), kept(COLUMNS))
    assert one_way.ports == {f"{NETWORK} up": 6}
    assert one_way.cycles == 12


def test_what_an_axis_does_not_share_crosses_once_for_each_copy() -> None:
    """Two columns have three rows of A each, and both want the four words of B: they cross once if they are multicast, else twice."""
    mapping = kept(Spatial("col", "m", 3))
    assert crossed(evaluate(ROWS, machine(shared(1)), mapping)) == {"A": (24, 0), "B": (4, 0), "Z": (0, 6)}
    assert crossed(evaluate(ROWS, machine(shared(1), multicast=False), mapping)) == {"A": (24, 0), "B": (8, 0), "Z": (0, 6)}


def test_sums_that_an_axis_does_not_reduce_cross_once_for_each_copy() -> None:
    """Four columns send a part of each of six sums; three of them are added to what is there, and what is read for that crosses too."""
    found = simulate(ROWS, machine(shared(1), reduces=()), kept(COLUMNS))
    assert crossed(found.evaluation) == {"A": (24, 0), "B": (4, 0), "Z": (18, 24)}
    assert found.ports == {NETWORK: 24 + 4 + 18 + 24}
    assert (found.evaluation.cycles, found.cycles) == (70, 28 + 6 + 42)


def test_a_unit_waits_by_name_for_a_network_through_which_it_works() -> None:
    """Nothing is kept in the columns: each of six cycles of work takes four words of A, four of B and sends a sum, 9 words."""
    found = simulate(ROWS, machine(shared(1)), straight(COLUMNS))
    assert crossed(found.evaluation) == {"A": (24, 0), "B": (24, 0), "Z": (0, 6)}
    assert found.evaluation.cycles == found.cycles == 54
    waits = {(wait.cause, wait.what): wait.cycles for wait in found.units["U"].waits}
    assert waits == {("port", NETWORK): 48}


def test_a_link_has_no_banks() -> None:
    """A column of A, six rows of four words, lies on one of four banks: the port takes longer for it, and the network does not."""
    found = []
    for banks in (1, 4):
        main = replace(machine(shared(2)).root, read_bits_per_s=words_a_cycle(4), write_bits_per_s=words_a_cycle(4), banks=banks)
        by_column = Mapping("by column", (Keep("Main", EVERY), For("k", 1), Keep("Registers", EVERY), Leaf("Z", "U")))
        found.append(simulate(ROWS, replace(machine(None), root=main), by_column))
    even, uneven = found
    assert uneven.ports["Main"] > even.ports["Main"]
    assert uneven.ports[NETWORK] == even.ports[NETWORK]


def nested(outer: Network | None, inner: Network | None) -> Architecture:
    """Two rows of two columns, all without a memory of their own, below one memory."""
    column = Array("columns", (Axis("col", 2, True, ("add",)),), feeds=(unit("U", "mac"),), network=inner)
    rows = Array("rows", (Axis("row", 2, True, ()),), feeds=(column,), network=outer)
    return Architecture("nested", Memory("Main", feeds=(rows,)), Fraction(GIGA))


def test_each_copy_of_an_array_inside_another_has_a_network_of_its_own() -> None:
    """k: 2 in each row, 1 in each column. Of each result 4 words of A and 4 of B go down. Columns combine their sums, the rows do not: two
    parts go up, and one is added to what the memory holds. An array of columns takes in half of the words, and sends one part.
    """
    mapping = straight(Spatial("row", "k", 2), Spatial("col", "k", 1))
    found = simulate(ROWS, nested(shared(1), shared(1)), mapping)
    rows = {(tensor, network): (row[0], row[2]) for (_, tensor, network), row in found.evaluation.counts.crossed.items()}
    assert rows == {
        ("A", "rows network"): (24, 0), ("A", "columns network"): (24, 0),
        ("B", "rows network"): (24, 0), ("B", "columns network"): (24, 0),
        ("Z", "rows network"): (6, 12), ("Z", "columns network"): (0, 12),
    }  # fmt: skip
    assert found.ports == {"rows network": 24 + 24 + 6 + 12, "columns network": (24 + 24 + 12) // 2}
    assert found.evaluation.cycles == found.cycles == 66


def test_copies_below_a_network_are_spread_after_those_above_it() -> None:
    mapping = straight(Spatial("col", "k", 2), Spatial("row", "k", 1))
    with pytest.raises(IllegalMapping) as error:
        evaluate(ROWS, nested(None, shared(1)), mapping)
    said = "Z is spread over copies below the columns network and then over copies above it"
    assert str(error.value) == f"{said}; put the loops over the outer array's axes first"
    evaluate(ROWS, nested(shared(1), None), mapping)


def test_bits_that_cross_are_priced_and_listed_by_component() -> None:
    priced = replace(shared(None), energy_pj=Quantity(0.5, 0.25, 1.0))
    found = evaluate(ROWS, machine(priced), kept(COLUMNS))
    bare = evaluate(ROWS, machine(None), kept(COLUMNS))
    assert found.by_component[NETWORK] == 34 * 16 * 0.5
    assert found.energy_pj == bare.energy_pj + 34 * 16 * 0.5
    assert (found.dynamic.low, found.dynamic.high) == (bare.dynamic.low + 34 * 16 * 0.25, bare.dynamic.high + 34 * 16)
    assert found.to_json()["networks"] == {NETWORK: {"down_bytes": 56, "up_bytes": 12}}
    assert NETWORK in evaluate(ROWS, machine(shared(1)), kept(COLUMNS)).unpriced
    assert NETWORK not in found.unpriced


def linked(rng: random.Random, most: int = 160) -> Network | None:
    """A network of some width in one or both directions, or none."""
    down, up = (Fraction(rng.choice([4, 8, 16, 48, most]) * GIGA) for _ in range(2))
    return rng.choice([None, Network(down, down), Network(down, up, "separate"), Network(down, None, "separate")])


def linked_triples(seed_: int, number: int) -> Iterator[tuple[Cascade, Architecture, Mapping]]:
    """Random triples with bandwidths of memories and of networks."""
    rng = random.Random(seed_)
    for noun, architecture, mapping, _ in seeded_triples(seed_, number):
        yield noun, networked(slow_machine(architecture, rng), lambda: linked(rng)), mapping


def by_model(evaluation: Evaluation) -> dict[str, Fraction]:
    """Busy cycles of ports by the model's closed forms, under the names of the simulation."""
    found, clock = Counter[str](), evaluation.evaluator.clock
    for load in evaluation.loads.values():
        for name, (read, written) in load.ports.items():
            ways = ("down", "up") if name in evaluation.evaluator.architecture.networks else ("read", "write")
            if clock.ports[name].shared:
                found[name] += read
            else:
                found.update({f"{name} {ways[0]}": read, f"{name} {ways[1]}": written})
    return {name: clock.cycles(ticks) for name, ticks in found.items() if ticks}


def limited(architecture: Architecture) -> Architecture:
    """The same machine where no memory is unlimited."""

    def slowed(node: Node) -> Node:
        if isinstance(node, Unit):
            return node
        node = replace(node, feeds=tuple(slowed(child) for child in node.feeds))
        if isinstance(node, Array) or node.read_bits_per_s is not None:
            return node
        return replace(node, read_bits_per_s=Fraction(16 * GIGA), write_bits_per_s=Fraction(16 * GIGA))

    root = slowed(architecture.root)
    assert isinstance(root, Memory)
    return replace(architecture, root=root)


def networks_and_others(ports: dict[str, Fraction]) -> tuple[dict[str, Fraction], dict[str, Fraction]]:
    busy = {name: cycles for name, cycles in ports.items() if cycles}
    return {k: v for k, v in busy.items() if " network" in k}, {k: v for k, v in busy.items() if " network" not in k}


def compared(number: int) -> tuple[int, int]:
    """How many random mappings without uneven tiles or conditions cross networks in a simulation, and in how many as the model says: of
    those where the two agree about the ports of memories, all of which have a limit.
    """
    ran = same = 0
    for noun, architecture, mapping in linked_triples(71, number):
        architecture = limited(architecture)
        if not divides(noun, mapping) or any(einsum.condition for einsum in noun.work):
            continue
        try:
            done = simulate(noun, architecture, mapping)
        except AccelsimError:
            continue
        (mine, others), (model, expected) = networks_and_others(done.ports), networks_and_others(by_model(done.evaluation))
        if others == expected and (mine or model):
            ran += 1
            same += mine == model
    return ran, same


def test_networks_are_as_busy_as_the_model_counts() -> None:
    ran, same = compared(4 * TRIPLES)
    assert ran == same > TRIPLES // 4


def test_a_network_that_is_crossed_once_more_than_the_model_counts_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelsim.sim.paths import Paths

    honest = Paths.links
    monkeypatch.setattr(Paths, "links", lambda self, path, outer, inner: [(link, outer) for link, _ in honest(self, path, outer, inner)])
    ran, same = compared(4 * TRIPLES)
    assert same < ran


def test_random_mappings_with_networks_run_as_in_the_twin_and_keep_units_as_busy_as_the_model_counts() -> None:
    assert sum(agrees(*each) for each in linked_triples(73, TRIPLES // 2)) > TRIPLES // 4


def same(one: Simulation, other: Simulation) -> bool:
    """Whether two runs take the same time, for the same reasons."""
    return (one.seconds, one.firings, one.units, one.ports) == (other.seconds, other.firings, other.units, other.ports)


def test_a_network_without_limit_changes_nothing() -> None:
    ran = 0
    for noun, architecture, mapping, _ in seeded_triples(79, TRIPLES):
        slow = slow_machine(architecture, random.Random(ran))
        wide = networked(slow, lambda: Network(None, None, "separate"))
        try:
            before, after = simulate(noun, slow, mapping), simulate(noun, wide, mapping)
        except AccelsimError:
            continue
        ran += 1
        assert same(before, after)
        assert before.evaluation.timing == after.evaluation.timing
        assert before.evaluation.loads == after.evaluation.loads
    assert ran > TRIPLES // 2


@seed(20_26)
@settings(max_examples=share(400, 60, 40), deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 40), st.booleans())
def test_a_wider_network_never_makes_a_run_longer(number: int, width: int, more: int, separate: bool) -> None:
    """Of all networks at once, by a factor that need not be whole."""
    ((noun, architecture, mapping, _),) = seeded_triples(number, 1)
    slow, took = slow_machine(architecture, random.Random(number)), list[float]()
    for words in (width, width + more):
        rate = Fraction(4 * words * GIGA)
        link = Network(rate, rate / 2, "separate") if separate else Network(rate, rate)
        try:
            took.append(simulate(noun, networked(slow, lambda link=link: link), mapping).seconds)  # type: ignore[misc]
        except AccelsimError:
            return
    assert took[1] <= took[0] * (1 + 1e-12)


def test_all_that_a_memory_moves_inwards_crosses_the_networks_below_it() -> None:
    """Where one array stands between every two memories, what a memory is read for and updated with is what crosses its network."""
    ran = 0
    for noun, architecture, mapping, counting in seeded_triples(83, 4 * TRIPLES):
        below = {}
        for name, noun_ in architecture.memories.items():
            arrays = [node for node in noun_.feeds if isinstance(node, Array)]
            if len(noun_.feeds) == len(arrays) == 1 and not isinstance(arrays[0].feeds[0], Array):
                below[name] = f"{arrays[0].name} network"
        try:
            found = Evaluator(noun, networked(architecture, Network), counting).evaluate(mapping)
        except AccelsimError:
            continue
        for (einsum, tensor, name), words in found.counts.words.items():
            inside = [each for each in architecture.memories if (einsum, tensor, each) in found.counts.words and each != name]
            depth = list(architecture.memories).index(name)
            if name in below and not any(list(architecture.memories).index(each) < depth for each in inside):
                ran += 1
                row = found.counts.crossed[einsum, tensor, below[name]]
                assert (row[0], row[2]) == (words[0], words[2])
    assert ran > TRIPLES


def test_a_search_on_a_machine_with_a_network_says_that_it_is_not_exact() -> None:
    """Work takes 512 / 4 = 128 cycles at least; 32 words of A, 32 of B and 256 results cross in 320."""
    noun = cascade("product", "Z[m,n] = A[m,k] * B[k,n]", {"m": 16, "n": 16, "k": 2})
    slow, free = (search(noun, machine(network)) for network in (shared(1), None))
    assert (slow.evaluation.cycles, free.evaluation.cycles) == (320, 128)
    record = slow.evaluation.search
    assert record is not None
    assert record["no_exact_search"] == "words for U cross the columns network, which takes time or energy"
    assert not record["proved_optimal"]
    assert record["lower_bound"] <= slow.evaluation.cycles
    assert free.evaluation.search is not None
    assert "no_exact_search" not in free.evaluation.search
    assert evaluate(noun, machine(shared(1)), free.mapping).cycles >= free.evaluation.cycles
