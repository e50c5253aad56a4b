"""Assignment of Einsums to units against all assignments tried one by one."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from accelsim.mapper.assign import balance

COSTS = st.dictionaries(st.sampled_from("abc"), st.integers(1, 50).map(float), min_size=1)


def _reached(busy: list[dict[str, float]], chosen: tuple[str, ...]) -> tuple[float, float]:
    loads: dict[str, float] = {}
    for costs, unit in zip(busy, chosen, strict=True):
        loads[unit] = loads.get(unit, 0.0) + costs[unit]
    return max(loads.values()), sum(loads.values())


@given(st.lists(COSTS, min_size=1, max_size=6))
def test_no_assignment_has_a_smaller_busiest_unit_or_as_small_a_one_and_less_in_all(busy: list[dict[str, float]]) -> None:
    best = min(_reached(busy, chosen) for chosen in product(*busy))
    assert _reached(busy, balance(busy)) == best


def test_units_that_only_one_item_can_use_are_used() -> None:
    assert balance([{"a": 5.0}, {"b": 9.0}, {"a": 4.0, "b": 1.0}]) == ("a", "b", "a")


def test_forty_equal_items_on_two_units_are_halved() -> None:
    chosen = balance([{"a": 1.0, "b": 1.0}] * 40)
    assert chosen.count("a") == 20
