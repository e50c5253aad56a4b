"""Banks of memories: words on the fullest bank counted one by one, by the kernel, and by hand; what mends a conflict and what cannot."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from accelsim.errors import AccelsimError, IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture, Memory, Node, Unit
from accelsim.io.hardware import load_architecture
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.sim import reference_events as reference
from accelsim.sim.lowering import lower
from accelsim.sim.simulation import Simulation, simulate
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.mapper.small import GIGA, memory, unit
from tests.model.strategies import seeded_triples
from tests.share import share
from tests.sim.test_events import busy, slow_machine
from tests.sim.test_leaps import LONG, are_equal, long_mapping, outcomes, two_memories

TRIPLES, MAPPINGS = share(3000, 240, 80), share(3000, 180, 60)


def with_banks(node: Node, rng: random.Random) -> Node:
    """The same node with banks drawn anew where a bandwidth says what they serve."""
    if isinstance(node, Unit):
        return node
    node = replace(node, feeds=tuple(with_banks(child, rng) for child in node.feeds))
    if isinstance(node, Memory) and (node.read_bits_per_s or node.write_bits_per_s) and rng.random() < 0.7:
        return replace(node, banks=rng.choice([2, 3, 4, 5, 8, 16]))
    return node


def banked(machine: Architecture, rng: random.Random) -> Architecture:
    root = with_banks(machine.root, rng)
    assert isinstance(root, Memory)
    return replace(machine, root=root)


def nonzero(cycles: dict[str, Fraction]) -> dict[str, Fraction]:
    return {name: each for name, each in cycles.items() if each}


def agrees(noun: Cascade, machine: Architecture, mapping: Mapping) -> tuple[Simulation, bool]:
    """A run that is the twin's, and whether tiles come in parts in it. Every cycle of a unit is accounted for."""
    done = simulate(noun, machine, mapping)
    evaluation, clock = done.evaluation, done.evaluation.evaluator.clock
    plans = lower(evaluation.evaluator, mapping, evaluation.counts.lowered.latencies)
    twin = min((reference.run(tasks, clock.per_cycle) for tasks in plans), key=lambda each: each.ticks)
    assert twin.ticks == done.ticks
    assert {name: clock.cycles(ticks) for name, ticks in twin.busy.items() if ticks} == busy(done)
    assert {name: clock.cycles(ticks) for name, ticks in twin.conflict.items() if ticks} == nonzero(done.conflicts)
    stood = {name: sum((wait.cycles for wait in each.waits if wait.cause == "conflict"), Fraction(0)) for name, each in done.units.items()}
    assert {name: clock.cycles(ticks) for name, ticks in twin.stood.items() if ticks} == nonzero(stood)
    assert all(each.total == clock.cycles(done.ticks) for each in done.units.values())
    assert all(wait.cycles > 0 for each in done.units.values() for wait in each.waits)
    return done, any(task.split for tasks in plans for task in tasks)


def is_never_below(done: Simulation, even: Simulation) -> None:
    """Ports are as busy as without banks, and so much longer as conflicts say; nothing ends earlier."""
    net = {name: cycles - done.conflicts.get(name, 0) for name, cycles in busy(done).items()}
    assert net == busy(even)
    assert min(done.conflicts.values(), default=0) >= 0
    assert done.ticks >= even.ticks


@pytest.mark.slow
def test_random_mappings_find_as_many_words_on_the_fullest_bank_as_a_list_of_all_words() -> None:
    rng, ran, uneven, refused = random.Random(37), 0, 0, Counter[str]()
    for noun, machine, mapping, _ in seeded_triples(41, TRIPLES):
        machine = slow_machine(machine, rng)
        try:
            even = simulate(noun, machine, mapping)
            done, _ = agrees(noun, banked(machine, rng), mapping)
        except AccelsimError as error:
            refused[str(error)] += 1
            continue
        is_never_below(done, even)
        ran += 1
        uneven += any(done.conflicts.values())
    assert ran > TRIPLES // 2, refused
    assert uneven > ran // 3


@pytest.mark.slow
def test_long_random_mappings_agree_too_and_are_counted_alike_with_and_without_leaps() -> None:
    rng, ran, leapt, parts, uneven = random.Random(43), 0, Counter[str](), 0, 0
    for _ in range(MAPPINGS):
        name = rng.choice(sorted(LONG))
        noun = cascade(name, *LONG[name])
        plain = two_memories(rng)
        machine, mapping = banked(plain, rng), long_mapping(rng, noun)
        try:
            done, in_parts = agrees(noun, machine, mapping)
        except AccelsimError:
            continue
        is_never_below(done, simulate(noun, plain, mapping))
        ran, parts, uneven = ran + 1, parts + in_parts, uneven + any(done.conflicts.values())
        pairs = outcomes(noun, machine, mapping)
        assert all(are_equal(*pair) for pair in pairs)
        leapt[name] += any(with_leaps[-1] < without[-1] for with_leaps, without in pairs) and any(done.conflicts.values())
    assert ran > MAPPINGS // 2
    assert uneven > ran // 3
    assert parts > 0
    assert leapt.total() > ran // 20


def columns(banks: int, width: int = 64, tile: int = 1, layout: tuple[str, ...] = (), rows: int = 64) -> Simulation:
    """An array of 64 rows in a buffer of 8 words a cycle, so many columns of which come into registers at a time and are added up."""
    noun = cascade("sums", "Z[k] = A[m,k]", {"m": rows, "k": width})
    registers = memory("Registers", 10**6, None, 1.0, unit("U", "move", "add", lanes=64))
    buffer = replace(memory("Buffer", 10**6, 8, 1.0, registers), banks=banks)
    machine = Architecture("banked", memory("Main", None, None, 1.0, buffer), Fraction(GIGA))
    whole = (Keep("Main", (Held("A"), Held("Z"))), Keep("Buffer", (Held("A", layout=layout),)))
    return agrees(noun, machine, Mapping("columns", (*whole, For("k", tile), Keep("Registers", (Held("A"), Held("Z"))), Leaf("Z", "U"))))[0]


def test_a_column_of_an_array_of_64_columns_takes_8_banks_8_times_as_long() -> None:
    """A word of column k is at address 64 m + k, so all are in bank k mod 8, which serves one word of the buffer's eight a cycle.

    The array comes in 4096 / 8 cycles whatever lies where. Each of 64 columns takes 8 cycles over 8 banks and 64 over one.
    """
    even, uneven = columns(1), columns(8)
    assert even.ports["Buffer"] == 4096 / 8 + 64 * 8
    assert uneven.ports["Buffer"] == 4096 / 8 + 64 * 64
    assert uneven.conflicts == {"Buffer": 64 * (64 - 8)}
    # the unit works a cycle on each column and waits for the next: 8 - 1 cycles with even banks do not last, 64 - 1 do
    assert sum(unit.busy["Z"] for unit in uneven.units.values()) == 64
    waits = {(wait.cause, wait.what): wait.cycles for wait in uneven.units["U"].waits}
    assert waits == {("fill", ""): 512 + 64, ("memory", "A to Registers"): 63 * 8, ("conflict", "A to Registers"): 63 * (64 - 8)}
    assert uneven.cycles == 512 + 64 * 65


def test_a_wider_array_another_order_and_a_prime_number_of_banks_mend_it() -> None:
    """At 65 m + k eight rows are in eight banks; with m innermost a column is consecutive; 64 rows over 7 banks are 10 on the fullest."""
    assert columns(8, width=65).conflicts == {"Buffer": 0}
    assert columns(8, layout=("k", "m")).conflicts == {"Buffer": 0}
    # a word takes 7/8 cycle in one of 7 banks; of the whole array 4096 = 585 * 7 + 1 words, 586 on the fullest
    excess = 64 * (10 * Fraction(7, 8) - 8) + (586 * Fraction(7, 8) - 512)
    assert columns(7).conflicts == {"Buffer": excess}


@pytest.mark.parametrize("banks", [2, 4, 8, 16])
@pytest.mark.parametrize("tile", [1, 2, 4, 8, 16, 64])
def test_tiles_as_wide_as_all_banks_conflict_nowhere_and_narrower_ones_as_much_as_they_are_narrower(banks: int, tile: int) -> None:
    """The fullest of N banks has 64 words of a tile of up to N columns, a power of two; spread evenly it has 64 tile / N."""
    done, tiles = columns(banks, tile=tile), 64 // tile
    assert done.conflicts == {"Buffer": tiles * Fraction(64 * max(0, banks - tile), 8)}


@pytest.mark.parametrize(("stride", "banks", "most"), [(4, 4, 16), (8, 4, 16), (4, 8, 8), (6, 4, 8), (3, 4, 4), (4, 5, 4), (4, 1, 16)])
def test_a_stride_leaves_as_many_banks_as_it_has_no_factor_in_common_with(stride: int, banks: int, most: int) -> None:
    """16 words, each so many from the one before, straight out of a memory of a word a cycle; the result is kept elsewhere."""
    noun = cascade("strided", f"Z[m] = A[{stride}*m]", {"m": 16})
    far = replace(memory("Main", None, 1, 1.0, memory("Buffer", 100, None, 1.0, unit("U", "move", "copy"))), banks=banks)
    mapping = Mapping("all", (Keep("Main", (Held("A"), Held("Z"))), Keep("Buffer", (Held("A"), Held("Z"))), Leaf("Z", "U")))
    done, _ = agrees(noun, Architecture("strided", far, Fraction(GIGA)), mapping)
    drains = 16 if banks in (1, 4, 8) else 4 * 5  # of consecutive words: 4 on the fullest of 5
    assert done.ports["Main"] == most * banks + drains


def test_what_stays_of_a_window_that_moves_on_keeps_its_banks() -> None:
    """Windows of 3 over tiles of 4: 6 words come first, then 4 each time, consecutive ones over 4 banks."""
    noun = cascade("window", "Z[p] = A[p+r] * W[r]", {"p": 40, "r": 3})
    far = replace(memory("Main", None, 1, 1.0, memory("Buffer", 100, None, 1.0, unit("U", "mac", "mul", "add"))), banks=4)
    nodes = (
        Keep("Main", (Held("A"), Held("W"), Held("Z"))),
        For("p", 4),
        Keep("Buffer", (Held("A"), Held("W"), Held("Z"))),
        Leaf("Z", "U"),
    )
    done, _ = agrees(noun, Architecture("window", far, Fraction(GIGA)), Mapping("windows", nodes))
    assert done.conflicts == {"Main": (2 * 4 - 6) + (1 * 4 - 3)}  # of the first window and of W


def test_a_group_of_words_by_division_is_read_where_it_lies() -> None:
    """Twelve rows read three different words, four times each: 4 of 12 reads on each of 3 banks, and 8 on the fullest of 2."""
    noun = cascade("groups", "Z[h] = A[h//4] * B[h]", {"h": 12})
    buffer = replace(memory("Buffer", 100, 1, 1.0, unit("U", "mac", "mul")), banks=3)
    machine = Architecture("groups", memory("Main", None, None, 1.0, buffer), Fraction(GIGA))
    nodes = (Keep("Main", (Held("A"), Held("B"), Held("Z"))), Keep("Buffer", (Held("A"), Held("B"), Held("Z"))), Leaf("Z", "U"))
    done, _ = agrees(noun, machine, Mapping("groups", nodes))
    assert done.conflicts == {"Buffer": 0}
    done, _ = agrees(noun, replace(machine, root=replace(machine.root, feeds=(replace(buffer, banks=2),))), Mapping("groups", nodes))
    assert done.conflicts == {"Buffer": (2 * 2 - 3) + (2 * 8 - 12)}  # 3 words of A come, 2 on the fullest of 2; 8 of the 12 reads are there


def test_sums_of_a_recurrence_are_read_where_they_are_written() -> None:
    """G, the one slice that is made and read, and two that are made: 1, 1 and 2 words, each time no more than one in each of 4 banks.

    No sum goes on, so the reads of sums by point less those that begin are none in any bank, though an index of the result has a constant.
    """
    noun = cascade("recurrence", ["H[0,i] = 1", "H[t+1,i] = G[i,j] * H[t,j]"], {"t": 2, "i": 1, "j": 1})
    far = replace(memory("Main", None, 1, 1.0, memory("Buffer", 100, None, 1.0, unit("U", "mac", "mul", "add"))), banks=4)
    nodes = (Keep("Main", (Held("G"), Held("H"))), For("j", 1), Keep("Buffer", (Held("G"),)), Leaf("H", "U"))
    done, _ = agrees(noun, Architecture("recurrence", far, Fraction(GIGA)), Mapping("slices", nodes))
    assert done.ports == {"Main": 3 * 4}
    assert done.conflicts == {"Main": 3 * 4 - (1 + 1 + 2)}


def test_the_model_takes_words_to_be_spread_evenly() -> None:
    assert columns(8).evaluation.cycles == columns(1).evaluation.cycles == 512 + 64 * 8


MACHINE = """\
machine: m
clock: 1 GHz
tree:
  memory: Main
  size: 1 GiB
  bandwidth: {bandwidth}
  energy: unpriced
  banks: {banks}
{more}  feeds: {{unit: U, executes: {{mac: unpriced}}}}
"""


@pytest.mark.parametrize(
    ("banks", "bandwidth", "more", "message"),
    [
        ("0", "1 GB/s", "", "m.yaml:8:10: banks must be at least 1, and '0' is 0"),
        ("1025", "1 GB/s", "", "m.yaml:4:3: Main has 1025 banks, more than 1024; write fewer 'banks'"),
        ("2", "unlimited", "", "m.yaml:4:3: Main has banks, and a bandwidth without limit; give it a bandwidth, or remove 'banks'"),
        ("2", "1 GB/s", "  dram: {table: ddr4_3200}\n", "m.yaml:4:3: Main has banks beside those of its DRAM; remove 'banks'"),
    ],
)  # fmt: skip
def test_banks_that_make_no_sense_are_refused(tmp_path: Path, banks: str, bandwidth: str, more: str, message: str) -> None:
    file = tmp_path / "m.yaml"
    file.write_text(MACHINE.format(banks=banks, bandwidth=bandwidth, more=more))
    with pytest.raises(InputError) as caught:
        Evaluator(cascade("product", "Z[m] = A[m] * B[m]", {"m": 2}), load_architecture(file))
    assert str(caught.value).replace(f"{tmp_path}/", "") == message


def test_what_is_not_simulated_with_banks_is_refused_in_words() -> None:
    noun = cascade("product", "Z[m] = A[m,k] * B[k]", {"m": 40, "k": 6})
    deep = memory("Main", None, 1, 1.0, replace(memory("Buffer", 4000, 4, 1.0, unit("U", "mac")), banks=4))
    half = (Held("A", fraction=Fraction(1, 2)), Held("B"), Held("Z"))
    nodes = (Keep("Main", (Held("A"), Held("B"), Held("Z"))), For("m", 4), Keep("Buffer", half), Leaf("Z", "U"))
    said = "a fraction of A is kept, which with banks is not simulated yet; map it otherwise, or leave out 'banks'"
    with pytest.raises(IllegalMapping, match=said):
        simulate(noun, Architecture("two", deep, Fraction(GIGA)), Mapping("parts", nodes))
    split = cascade("split", "Z[m] = A[(m+k)//2] * B[k]", {"m": 8, "k": 2})
    nodes = (Keep("Main", (Held("A"), Held("B"), Held("Z"))), Keep("Buffer", (Held("A"), Held("B"), Held("Z"))), Leaf("Z", "U"))
    said = "Z takes A at a // or % of several ranks straight, which with banks is not simulated yet"
    with pytest.raises(IllegalMapping, match=said):
        simulate(split, Architecture("two", deep, Fraction(GIGA)), Mapping("straight", nodes))
