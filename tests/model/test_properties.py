"""What holds for every evaluation: bounds, sums of parts, and that a better machine is never worse."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, pairwise, permutations, product
from math import isclose, prod
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture, Array, Memory, Node, Quantity, Unit
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping
from accelsim.model.counts import DRAINS, FILLS, READS, UPDATES
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.report.schema import evaluation_schema
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access
from tests.model import strategies
from tests.model.problems import Choices
from tests.model.published import cascade
from tests.share import share

REPOSITORY = Path(__file__).parents[2]
CLOCK = Fraction(10**9)


def changed(node: Node, change: Callable[[Node], Node]) -> Any:
    """A node and all that it feeds, each changed."""
    new = change(node)
    return new if isinstance(new, Unit) else replace(new, feeds=tuple(changed(child, change) for child in new.feeds))


def rebuilt(machine: Architecture, change: Callable[[Node], Node]) -> Architecture:
    return replace(machine, root=changed(machine.root, change))


def dressed(c: Choices, machine: Architecture) -> Architecture:
    """The machine with bandwidths, latencies, prices and power, some of them left out."""

    def price() -> Quantity | None:
        value = c.number(0, 9)
        return Quantity(value, value / c.number(1, 3), value * c.number(1, 3)) if c.chance(90) else None

    def rate() -> Fraction | None:
        return Fraction(c.number(1, 40), c.pick([1, 1, 3])) * CLOCK if c.chance(60) else None

    def dress(node: Node) -> Node:
        if isinstance(node, Memory):
            figures = {name: price() for name in ("read_pj", "write_pj", "update_pj", "interface_pj", "static_w", "clock_w")}
            ports, access = c.pick(["shared", "separate"]), c.pick([None, 8, 64])
            return replace(node, read_bits_per_s=rate(), write_bits_per_s=rate(), ports=ports, access_bits=access, **figures)
        if isinstance(node, Array):
            axes = tuple(replace(axis, reduction_latency={kind: c.number(0, 9) for kind in axis.reduces}) for axis in node.axes)
            return replace(node, axes=axes, static_w=price())
        cycles = Fraction(c.number(1, 6), c.pick([1, 1, 2]))
        operations = {name: replace(row, cycles=cycles, energy_pj=price()) for name, row in node.operations.items()}
        return replace(node, operations=operations, pipeline_depth=c.number(0, 9), static_w=price())

    return rebuilt(machine, dress)


def problem(c: Choices) -> strategies.Triple:
    """A random triple on a machine with times and prices."""
    made, machine, mapping, counting = strategies.triple(c)
    return made, dressed(c, machine), mapping, counting


@st.composite
def problems(draw: st.DrawFn) -> strategies.Triple:
    return problem(Choices(lambda count: draw(st.integers(0, count - 1))))


def evaluated(triple: strategies.Triple) -> Evaluation | None:
    """The evaluation, None where the model or the rules refuse the mapping."""
    made, machine, mapping, counting = triple
    try:
        return Evaluator(made, machine, counting).evaluate(mapping)
    except AccelsimError:
        return None


def touched(made: Cascade, einsum: Einsum, access: Access) -> set[tuple[int, ...]]:
    """Coordinates of an access at every point of its Einsum."""
    maps = [index for index in made.index_maps(access) if index is not None]
    points = (dict(zip(einsum.ranks, point, strict=True)) for point in product(*(range(made.extents[rank]) for rank in einsum.ranks)))
    return {tuple((sum(at[rank] * by for rank, by in index.terms) + index.offset) // index.divisor for index in maps) for at in points}


def all_is_read(made: Cascade) -> bool:
    """Whether every word that passes between Einsums is read: a fused mapping does not make the others, which the bounds count."""
    for tensor, producers in made.producers.items():
        readers = [(einsum, read) for einsum in made.consumers.get(tensor, ()) for read in einsum.reads if read.tensor == tensor]
        written = set().union(*(touched(made, einsum, einsum.output) for einsum in producers))
        if not made.tensors[tensor].is_output and not written <= set().union(*(touched(made, *reader) for reader in readers)):
            return False
    return True


def latency(evaluation: Evaluation) -> Fraction:
    """Exact cycles with fill and drain."""
    timing = evaluation.timing
    return evaluation.evaluator.clock.cycles(timing.steady + timing.fill + timing.drain)


# The properties of one evaluation, each an assertion.


def moves_what_is_compulsory(found: Evaluation) -> None:
    """Every word of an input that is read at all leaves the outermost memory, and every word of an output reaches it."""
    made, root = found.evaluator.cascade, found.evaluator.architecture.root.name
    if not all_is_read(made):
        return
    for tensor, least in made.bounds.words.items():
        kind = READS if made.tensors[tensor].is_input else UPDATES
        assert sum(row[kind] for (_, name, memory), row in found.counts.words.items() if (name, memory) == (tensor, root)) >= least
    assert sum(found.traffic_bits(root)) >= made.bounds.compulsory_bytes * 8


def is_not_below_its_bound(found: Evaluation) -> None:
    """Cycles are at least what the cascade's algebra and the machine allow, and every Einsum computes each of its points."""
    if not all_is_read(found.evaluator.cascade):
        return
    assert found.cycles >= found.evaluator.bounds()["min_cycles"]
    for name, points in found.evaluator.cascade.bounds.points.items():
        assert found.counts.operations[name] >= points


def keeps_no_resource_longer_than_the_run(found: Evaluation) -> None:
    """Busy times of parts sum to those of units and ports, which fit into the steady state; utilization is a share."""
    timing, loads, written = found.timing, found.loads, found.to_json()
    assert min(timing.steady, timing.fill, timing.drain) >= 0
    for name, row in written["components"].items():
        ports = (sum(load.ports.get(name, (0, 0))[port] for load in loads.values()) for port in (0, 1))
        busy = max(sum(load.busy for load in loads.values() if load.unit == name), *ports)
        assert busy <= timing.steady
        assert isclose(row["busy_cycles"] or 0, found.evaluator.clock.cycles(busy))
        assert row["utilization"] is None or 0 <= row["utilization"] <= 1 + 1e-12


def has_parts_that_sum_to_its_totals(found: Evaluation) -> None:
    """Dynamic energy by component and by Einsum; bits by tensor where partial results are as wide as complete ones."""
    written = found.to_json()
    for rows in (written["components"], written["einsums"]):
        total = sum(row["energy_pj"] for row in rows.values())
        assert isclose(total + written["static_energy_pj"], written["energy_pj"], rel_tol=1e-12, abs_tol=1e-12)
        assert all(row["energy_pj"] >= 0 for row in rows.values())
    assert written["energy_pj_low"] <= written["energy_pj"] * (1 + 1e-12)
    assert written["energy_pj"] <= written["energy_pj_high"] * (1 + 1e-12)
    assert all(count >= 0 for row in found.counts.words.values() for count in row)
    tensors = found.evaluator.cascade.tensors
    for memory, moved in written["traffic"].items():
        rows = [(tensors[name], row) for (_, name, where), row in found.counts.words.items() if where == memory]
        if all(tensor.partial == tensor.final for tensor, _ in rows):
            assert moved["read_bytes"] * 8 == sum((row[READS] + row[DRAINS]) * tensor.final.bits for tensor, row in rows)
            assert moved["write_bytes"] * 8 == sum((row[FILLS] + row[UPDATES]) * tensor.final.bits for tensor, row in rows)


def keeps_the_contract(found: Evaluation) -> None:
    jsonschema.validate(found.to_json(), evaluation_schema())


PROPERTIES = (
    moves_what_is_compulsory,
    is_not_below_its_bound,
    keeps_no_resource_longer_than_the_run,
    has_parts_that_sum_to_its_totals,
    keeps_the_contract,
)


@given(problems())
def test_every_evaluation_stays_above_its_bounds_and_adds_up(triple: strategies.Triple) -> None:
    found = evaluated(triple)
    if found is not None:
        for holds in PROPERTIES:
            holds(found)


def test_few_random_mappings_are_refused_or_left_out() -> None:
    assert sum(not all_is_read(problem(Choices(random.Random(seed).randrange))[0]) for seed in range(100)) <= 20
    drawn = [evaluated(problem(Choices(random.Random(seed).randrange))) for seed in range(100)]
    assert drawn.count(None) <= 10


@given(problems(), st.sampled_from([Fraction(5, 4), Fraction(2), Fraction(3), None]), st.integers(0, 7))
def test_more_bandwidth_never_costs_a_cycle(triple: strategies.Triple, factor: Fraction | None, which: int) -> None:
    made, machine, mapping, counting = triple
    slow = evaluated(triple)
    memory = list(machine.memories)[which % len(machine.memories)]

    def faster(node: Node) -> Node:
        if not isinstance(node, Memory) or node.name != memory:
            return node
        rates = (None if rate is None or factor is None else rate * factor for rate in (node.read_bits_per_s, node.write_bits_per_s))
        return replace(node, **dict(zip(("read_bits_per_s", "write_bits_per_s"), rates, strict=True)))

    fast = evaluated((made, rebuilt(machine, faster), mapping, counting))
    if slow is not None and fast is not None:
        assert latency(fast) <= latency(slow)
        assert fast.counts.words == slow.counts.words


@given(problems())
def test_memory_of_just_what_is_held_is_enough_and_a_bit_less_is_not(triple: strategies.Triple) -> None:
    made, machine, mapping, _ = triple
    found = evaluated(triple)
    if found is None:
        return

    def legal(sizes: dict[str, int]) -> bool:
        sized = rebuilt(machine, lambda node: replace(node, size_bits=sizes[node.name]) if isinstance(node, Memory) else node)
        return is_legal(made, sized, mapping)

    held = found.occupancy()
    peaks = {name: held.get(name, 0) for name in machine.memories}
    assert legal(peaks)
    for name, bits in peaks.items():
        assert not bits or not legal(peaks | {name: bits - 1})


# The best of a space that is small enough to enumerate.

MATMUL = cascade("matmul", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "n": 3, "k": 6})


def every_mapping() -> Iterator[Mapping]:
    """Every order and every tile size of three loops above a Buffer that keeps two or three of the tensors."""
    root = Keep("DRAM", tuple(map(Held, ("A", "B", "Z"))))
    tiles = {"m": (1, 2, 4), "n": (1, 2, 3), "k": (1, 2, 3, 6)}
    for kept in (*combinations("ABZ", 2), ("A", "B", "Z")):
        keep = Keep("Buffer", tuple(map(Held, kept)))
        for order in permutations("mnk"):
            for sizes in product(*(tiles[rank] for rank in order)):
                yield Mapping("one of all", (root, *map(For, order, sizes), keep, Leaf("Z", "PE")))


SPACE = tuple(every_mapping())
WORDS = (3, 6, 12, 24, 60)
RATES: tuple[Fraction | None, ...] = (Fraction(2), Fraction(7), Fraction(24), None)
Best = dict[tuple[int, Fraction | None], dict[str, float]]


@pytest.fixture(scope="module")
def best() -> Best:
    """Least cycles, energy and their product over the whole space, by words of the Buffer and bandwidth of DRAM."""
    found: Best = {}
    for rate in RATES:
        pe = strategies.unit("PE", 1)
        near = Memory("Buffer", None, CLOCK * 64, read_pj=Quantity(1, 1, 1), write_pj=Quantity(1, 1, 1), feeds=(pe,))
        far_rate = None if rate is None else rate * CLOCK
        far = Memory("DRAM", None, far_rate, read_pj=Quantity(50, 50, 50), write_pj=Quantity(60, 60, 60), feeds=(near,))
        evaluator = Evaluator(MATMUL, Architecture("two levels", far, CLOCK))
        rows = [(evaluation.occupancy()["Buffer"], evaluation) for evaluation in map(evaluator.evaluate, SPACE)]
        for words in WORDS:
            fitting = [evaluation for bits, evaluation in rows if bits <= words * 32]
            found[words, rate] = {
                "cycles": min(evaluation.cycles for evaluation in fitting),
                "energy": min(evaluation.energy_pj for evaluation in fitting),
                "product": min(evaluation.edp_pj_s for evaluation in fitting),
            }
    return found


@pytest.mark.parametrize("objective", ["cycles", "energy", "product"])
def test_best_mapping_is_never_worse_with_a_larger_buffer_or_more_bandwidth(best: Best, objective: str) -> None:
    for rate in RATES:
        for small, large in pairwise(WORDS):
            assert best[large, rate][objective] <= best[small, rate][objective]
    for words in WORDS:
        for slow, fast in pairwise(RATES):
            assert best[words, fast][objective] <= best[words, slow][objective]
    assert best[60, None][objective] < best[3, Fraction(2)][objective]  # and somewhere it is better


def test_best_mapping_with_room_for_everything_moves_everything_once(best: Best) -> None:
    # 24 + 18 words of 8 bits in, 12 out at 8 bits: 54 words at 2 bits a cycle; 72 products one at a time
    assert best[60, Fraction(2)]["cycles"] == 54 * 8 / 2
    assert best[60, None]["cycles"] >= prod(MATMUL.extents.values())


# What the mapper finds for the shipped workloads and machines, at shapes of a few thousand points.

SMALL = {
    "matmul": {"m": 24, "n": 20, "k": 18},
    "conv2d": {"k": 6, "c": 5, "p": 7, "q": 6},
    "softmax": {"b": 5, "k": 24},
    "layernorm": {"b": 6, "d": 20},
    "attention-3pass": {"h": 2, "p": 24, "m": 48, "e": 6, "f": 5},
}


MAPPED = [(workload, machine) for workload in SMALL for machine in ("simple", "npu", "tpu_like", "eyeriss_like", "spatial")]
MAPPED.remove(("layernorm", "spatial"))  # no unit takes a square root there: tests/mapper/test_shipped.py has the refusal


@pytest.mark.parametrize(("workload", "machine"), MAPPED[:: share(1, 2, 4)])  # every other one in `make test`
@pytest.mark.slow
def test_what_the_mapper_finds_stays_above_its_bounds_and_adds_up(workload: str, machine: str) -> None:
    from accelsim.mapper import search

    shape = {f"shape.{rank}": str(size) for rank, size in SMALL[workload].items()}
    made = load_workload(REPOSITORY / "workloads" / f"{workload}.yaml", shape)
    assert isinstance(made, Cascade)
    found = search(made, load_architecture(REPOSITORY / "hw" / "arch" / f"{machine}.yaml"))
    for holds in PROPERTIES:
        holds(found.evaluation)


# The checker, checked: broken code is noticed.


def noticed(monkeypatch: pytest.MonkeyPatch, target: str, broken: Any) -> set[str]:
    """Names of the properties that some evaluation of broken code breaks."""
    monkeypatch.setattr(target, broken)
    found = set()
    for seed in range(30):
        evaluation = evaluated(problem(Choices(random.Random(seed).randrange)))
        for holds in PROPERTIES if evaluation is not None else ():
            try:
                holds(evaluation)
            except (AssertionError, jsonschema.ValidationError):
                found.add(holds.__name__)
    return found


def test_honest_code_breaks_no_property(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelsim.model import schedule

    assert noticed(monkeypatch, "accelsim.model.schedule.iterations", schedule.iterations) == set()


def test_a_word_less_over_every_boundary_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelsim.model import kernels

    honest = kernels.count_plan

    def broken(plan: Any) -> Any:
        words, leaves = honest(plan)
        words[:, :3] -= words[:, :3] > 0
        return words, leaves

    assert "moves_what_is_compulsory" in noticed(monkeypatch, "accelsim.model.kernels.count_plan", broken)


def test_ports_left_out_of_the_time_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelsim.model import schedule

    def broken(*arguments: Any) -> Any:
        return {key: ticks for key, ticks in honest(*arguments).items() if key[1] == "compute"}

    honest = schedule._totals
    assert "keeps_no_resource_longer_than_the_run" in noticed(monkeypatch, "accelsim.model.schedule._totals", broken)


def test_issues_that_are_not_counted_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Evaluator.issue_ticks
    broken = noticed(monkeypatch, "accelsim.model.evaluation.Evaluator.issue_ticks", lambda *arguments: honest(*arguments) // 4)
    assert "is_not_below_its_bound" in broken


def test_an_einsum_without_its_energy_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from accelsim.model.pricing import Prices

    honest = Prices.dynamic

    def broken(*arguments: Any) -> Any:
        total, by_component, by_einsum, unpriced = honest(*arguments)
        return total, by_component, by_einsum | {next(iter(by_einsum)): 0.0}, unpriced

    assert "has_parts_that_sum_to_its_totals" in noticed(monkeypatch, "accelsim.model.pricing.Prices.dynamic", broken)
