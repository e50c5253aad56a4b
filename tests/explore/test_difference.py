"""Differences of two runs: parts add up to the difference of the totals, and settings that differ are listed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from math import isclose

from accelsim.explore.difference import (
    by_component,
    by_einsum,
    by_tensor,
    cause_items,
    energy_items,
    layer_items,
    lines_of,
    seconds_of,
    settings,
    time_items,
)
from accelsim.explore.reasons import Charge
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.model.evaluation import Evaluation, evaluate
from accelsim.model.options import Counting
from tests.explore.test_provenance import PAIRS, shipped
from tests.explore.test_reasons import runs
from tests.share import share


def check(first: list[tuple[int, Evaluation]], second: list[tuple[int, Evaluation]]) -> None:
    """All ways of splitting the difference add up: times exactly, energies but for rounding."""
    keys = (lambda each: (each.resource,)), (lambda each: (each.einsum,)), (lambda each: (each.tensor, each.kind))
    change = seconds_of(second) - seconds_of(first)
    for items in (cause_items(first, second), layer_items(first, second), *(time_items(first, second, key) for key in keys)):
        assert sum((item.change for item in items), Fraction(0)) == change
        assert sum((item.first for item in items), Fraction(0)) == seconds_of(first)
    energies = [sum(times * each.energy.value for times, each in side) for side in (first, second)]
    scale = max(*energies, 1.0)
    for key in (by_component, by_einsum, by_tensor):
        items_pj = energy_items(lines_of(first), lines_of(second), key)
        assert isclose(sum(item.change for item in items_pj), energies[1] - energies[0], abs_tol=1e-9 * scale)
        for item in items_pj:
            assert isclose(item.counts + item.prices, item.change, abs_tol=1e-9 * scale)


def test_parts_of_random_differences_add_up() -> None:
    found = runs(31, share(300, 50, 12))
    for first, second in pairwise(found):
        check([(1, first)], [(1, second)])


def test_parts_of_differences_of_models_add_up() -> None:
    first, second = shipped(*PAIRS[0]), shipped("attention-3pass", "flat", "attention-flat-weights")
    check([(3, first), (1, second)], [(2, first), (2, second)])
    check([(1, first), (1, first)], [(1, second)])


def test_a_run_differs_from_itself_in_nothing() -> None:
    found = shipped(*PAIRS[1])
    assert settings([(1, found)], [(1, found)]) == ()
    assert {item.change for item in cause_items([(1, found)], [(1, found)])} == {0}
    assert {item.change for item in energy_items(lines_of([(1, found)]), lines_of([(1, found)]), by_component)} == {0.0}


def test_other_prices_and_other_counts_are_told_apart() -> None:
    first = shipped(*PAIRS[0])
    cascade = first.evaluator.cascade
    dear = load_architecture(resolve("flat", MACHINE), {"DRAM.energy": "8 pJ/bit"})
    second = evaluate(cascade, dear, first.mapping)
    items = energy_items(lines_of([(1, first)]), lines_of([(1, second)]), by_component)
    changed = {item.name: item for item in items if item.change}
    assert set(changed) == {("DRAM", "read"), ("DRAM", "update")}
    bits = sum(first.traffic_bits("DRAM"), Fraction(0))
    assert isclose(sum(item.prices for item in changed.values()), second.energy.value - first.energy.value)
    assert isclose(sum(item.second for item in changed.values()), float(bits) * 8)
    assert {item.counts for item in changed.values()} == {0.0}


def test_settings_that_differ_are_listed_and_no_others() -> None:
    first = shipped(*PAIRS[0])
    other = load_architecture(resolve("flat", MACHINE), {"DRAM.bandwidth": "800 GiB/s", "clock": "1 GHz", "let.pe": "128"})
    second = evaluate(first.evaluator.cascade, load_architecture(resolve("flat", MACHINE), {"DRAM.bandwidth": "800 GiB/s"}), first.mapping)
    (found,) = settings([(1, first)], [(1, second)])
    # the port is shared, so that reads and writes have the one bandwidth
    assert (found.what, found.second) == ("DRAM.read_bits_per_s", 2 * found.first)
    names = {each.what for each in _machines(first, other)}
    assert {"clock_hz", "DRAM.read_bits_per_s", "columns.axes.col.size", "rows.axes.row.size"} <= names
    drains = evaluate(first.evaluator.cascade, first.evaluator.architecture, first.mapping, Counting(drains="free"))
    assert [(each.what, each.first, each.second) for each in settings([(1, first)], [(1, drains)])] == [
        ("counting.drains", "charged", "free")
    ]
    renamed = replace(first, mapping=replace(first.mapping, name="another"))
    assert [each.what for each in settings([(1, first)], [(1, renamed)])] == ["mapping"]


def _machines(first: Evaluation, other: object) -> list[object]:
    from accelsim.explore import difference

    return list(difference._of_machines(first.evaluator.architecture, other))  # type: ignore[arg-type]


def test_charges_of_layers_carry_the_name_of_their_layer() -> None:
    first = shipped(*PAIRS[0])

    def key(charge: Charge) -> tuple[str, ...]:
        return (charge.einsum,)

    names = {item.name[0] for item in time_items([(1, first), (1, first)], [(1, first)], key)}
    assert any(name.startswith("attention-3pass: ") for name in names)
