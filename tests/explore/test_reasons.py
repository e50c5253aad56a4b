"""Reasons on machines that are worked out by hand, and what holds of them for any run: parts add up, causes cost nothing below zero."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from math import isclose

import pytest

from accelsim.errors import IllegalMapping
from accelsim.explore.provenance import lines
from accelsim.explore.reasons import CAUSES, binding, charges, costs, energy_causes, run_of
from accelsim.explore.whatif import with_node
from accelsim.hardware.architecture import Architecture, Axis, Memory
from accelsim.mapping.tree import For, Fuse, Leaf, Mapping, Spatial
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.limits import limits
from accelsim.report.explain import explanation
from tests.model import strategies
from tests.model.problems import Choices
from tests.model.published import cascade
from tests.model.test_evaluation import ALL, CLOCK, LEAF, PRODUCT, evaluated, keep, machine, unit
from tests.model.test_properties import dressed
from tests.share import share

RANDOM = share(400, 60, 12)


def runs(seed: int, number: int) -> list[Evaluation]:
    """Random legal runs on machines with bandwidths, latencies and prices; of those drawn, most are legal."""
    found = []
    for case, (work, where, mapping, counting) in enumerate(strategies.seeded_triples(seed, number)):
        rng = random.Random(seed * 1000 + case)
        with suppress(IllegalMapping):
            found.append(Evaluator(work, dressed(Choices(rng.randrange), where), counting).evaluate(mapping))
    assert 2 * len(found) > number
    return found


def test_cycles_of_a_product_are_charged_to_the_unit_that_has_them() -> None:
    found = evaluated(PRODUCT, machine(), ALL, LEAF)  # 24 products, one at a time
    assert [(each.einsum, each.resource, each.kind, each.ticks) for each in charges(found)] == [("Z", "PE", "compute", 24)]
    assert binding(found) == ("PE", "compute", 1.0)


def test_cycles_of_a_slow_buffer_are_charged_to_tensors_by_their_bits() -> None:
    # A is read 24 times, B 24 times, and Z 12 times updated and 12 read again: 8 bits each but partial results of 32
    where = machine(bits_per_cycle=1)
    found = evaluated(PRODUCT, where, ALL, keep("Buffer", "A", "B"), For("m", 1), For("n", 1), For("k", 1), LEAF)
    read = found.bits["Z", "A", "Buffer"], found.bits["Z", "B", "Buffer"]
    by_tensor = {each.tensor: each.ticks / found.evaluator.clock.per_cycle for each in charges(found)}
    assert by_tensor == {"A": sum(read[0]), "B": sum(read[1])}
    assert by_tensor["A"] == 24 * 8 + 8 * 8  # read for each product, filled once
    assert by_tensor["B"] == 24 * 8 + 6 * 8
    assert binding(found)[:2] == ("Buffer", "memory")


def test_idle_copies_cost_what_full_ones_would_save() -> None:
    # three of four copies have work: 8 cycles in place of 6
    where = machine(Axis("x", 4))
    found = evaluated(PRODUCT, where, ALL, Spatial("x", "n", 1), LEAF)
    assert found.cycles == 8
    floor, beyond = costs(found)
    per = found.evaluator.clock.per_cycle
    assert float(floor.cycles) == pytest.approx(6, rel=1e-6)
    assert {each.cause: each.ticks / per for each in beyond if each.ticks > per / 1000} == {"idle lanes": Fraction(2)}


def test_parts_that_wait_for_one_another_cost_what_the_other_unit_idles() -> None:
    # two Einsums of 12 cycles on two units, one after the other: 24 cycles, of which the busiest unit has work in 12
    work = cascade("two", ["Y[m,n] = A[m,n] + B[m,n]", "Z[m,n] = Y[m,n] + C[m,n]"], {"m": 4, "n": 3})
    where = Architecture("two units", Memory("DRAM", feeds=(unit("P"), unit("Q"))), CLOCK)
    nodes = (keep("DRAM", "A", "B", "C", "Y", "Z"), Fuse("sequential", ((Leaf("Y", "P"),), (Leaf("Z", "Q"),))))
    found = Evaluator(work, where).evaluate(Mapping("by hand", nodes))
    assert [each.einsums for each in run_of(found)] == [("Y",), ("Z",)]
    assert {each.einsum: float(found.evaluator.clock.cycles(each.ticks)) for each in charges(found)} == {"Y": 12, "Z": 12}
    waiting = {each.cause: float(found.evaluator.clock.cycles(each.ticks)) for each in costs(found)[1]}["waiting"]
    assert waiting == 12


def test_charges_and_costs_add_up_to_the_run_whatever_it_is() -> None:
    kinds = set()
    for found in runs(1, RANDOM):
        spent = charges(found)
        assert sum(each.ticks for each in spent) == found.timing.latency
        assert all(each.ticks > 0 for each in spent)
        floor, beyond = costs(found)
        assert [each.cause for each in beyond] == list(CAUSES)
        assert all(each.ticks >= 0 for each in beyond)
        bound = floor.cycles * found.evaluator.clock.per_cycle
        assert sum(each.ticks for each in beyond) + min(bound, Fraction(found.timing.latency)) == found.timing.latency
        kinds |= {each.kind for each in spent}
    assert {"compute", "memory"} <= kinds


def test_a_run_of_one_stretch_is_bound_by_what_its_evaluation_says() -> None:
    seen = 0
    for found in runs(2, RANDOM):
        stretches, said = run_of(found), limits(found)
        if len(stretches) == 1 and said["kind"] not in ("latency", "dependence"):
            assert (said["resource"], said["kind"]) in {(each.resource, each.kind) for each in charges(found)}
            seen += 1
    assert seen > RANDOM // 8


def test_without_the_binding_resource_a_stretch_takes_no_longer() -> None:
    for found in runs(3, RANDOM // 2):
        resource, kind, _ = binding(found)
        if kind != "compute":
            continue
        units = found.evaluator.architecture
        quick = {name: replace(each, cycles=Fraction(0)) for name, each in units.units[resource].operations.items()}
        again = Evaluator(found.evaluator.cascade, _with(units, resource, quick), found.evaluator.counting)
        assert again.evaluate(found.mapping, checked=True).seconds <= found.seconds * (1 + 1e-12)


def _with(where: Architecture, name: str, operations: object) -> Architecture:
    return with_node(where, replace(where.units[name], operations=operations))  # type: ignore[arg-type]


def test_causes_of_energy_add_up_to_it() -> None:
    for found in runs(4, RANDOM):
        causes = energy_causes(found, lines(found))
        assert isclose(sum(causes.values()), found.energy.value, rel_tol=1e-9, abs_tol=1e-9)


def test_sentences_name_the_bound_the_binding_resource_and_the_energy() -> None:
    said = explanation(evaluated(PRODUCT, machine(Axis("x", 4)), ALL, Spatial("x", "n", 1), LEAF))["reasons"]
    assert said == [
        "product on machine takes 8 cycles, 8.00 ns; 1.33x the 6 cycles that no mapping goes below: Z takes that long on the unit that "
        "does it fastest.",
        "It is bound by PE, 100.0 % of its time: PE is busy with Z, on average 75 % of its 4 lanes at work.",
        "Beyond the bound it pays for copies and lanes without useful work: 2 cycles (25 %).",
        "It takes 48.0 pJ (prices 24.0 pJ to 72.0 pJ): operations 48.0 pJ (100 %). Not priced, and not in it: DRAM read, DRAM update, DRAM "
        "interface.",
    ]
