"""Exhaustive enumeration of small map spaces, what it shows about machines, and the search against it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture, Memory
from accelsim.mapper import search
from accelsim.mapper.enumerate import Limits, enumerate_space
from accelsim.mapping.text import nest
from accelsim.model import Evaluator
from accelsim.workload.cascade import Cascade
from tests.mapper.small import grid, matmul, one_unit, softmax


def best(cascade: Cascade, architecture: Architecture, limits: Limits | None = None) -> tuple[float, float]:
    """Least cycles, and least energy, over all mappings."""
    evaluator = Evaluator(cascade, architecture)
    found = [evaluator.evaluate(mapping) for mapping in enumerate_space(cascade, architecture, limits)]
    return min(float(e.steady_cycles) for e in found), min(e.energy_pj for e in found)


def wider(architecture: Architecture, factor: int) -> Architecture:
    """The machine with a faster outermost memory."""
    rate = architecture.root.read_bits_per_s
    assert rate is not None
    return replace(architecture, root=replace(architecture.root, read_bits_per_s=rate * factor, write_bits_per_s=rate * factor))


def larger(architecture: Architecture, factor: int) -> Architecture:
    """The machine with a larger buffer at the same price."""
    (buffer,) = architecture.root.feeds
    assert isinstance(buffer, Memory) and buffer.size_bits is not None
    return replace(architecture, root=replace(architecture.root, feeds=(replace(buffer, size_bits=buffer.size_bits * factor),)))


def test_one_rank_of_two_under_one_buffer_has_the_mappings_that_one_can_list() -> None:
    # Tiles of m: 2 (no loop) or 1 (a loop). A, B (one word) and Z kept or not at Buffer: 2 x 2^3.
    found = list(enumerate_space(matmul(2, 1, 1), one_unit()))
    assert len(found) == 16 and len({nest(mapping) for mapping in found}) == 16


def test_two_ranks_turn_in_both_orders() -> None:
    # Tiles 1 and 2 of m and n: no loop, one of two loops, or two loops in two orders: 1 + 1 + 1 + 2 = 5, each with 2^3 keeps.
    assert len(list(enumerate_space(matmul(2, 2, 1), one_unit()))) == 5 * 8


def test_tiles_that_do_not_divide_are_enumerated_on_request() -> None:
    # Tiles of 3: 1 and 3 divide; 2 does not.
    assert len(list(enumerate_space(matmul(3, 1, 1), one_unit()))) == 2 * 8
    assert len(list(enumerate_space(matmul(3, 1, 1), one_unit(), Limits(dividing=False)))) == 3 * 8


def test_mappings_that_do_not_fit_are_left_out() -> None:
    # One word: Buffer holds A (1 word), B (1) or Z (1, 32 bits while partial: k is 1, so 16) of a 1 x 1 x 1 product, or nothing.
    assert len(list(enumerate_space(matmul(1, 1, 1), one_unit(words=1)))) == 4


def test_a_space_beyond_its_limit_is_an_error() -> None:
    with pytest.raises(InputError) as caught:
        list(enumerate_space(matmul(8, 8, 8), one_unit(), Limits(most=100)))
    assert str(caught.value) == "the map space has more than 100 mappings; make the shape smaller or the limits narrower"


def test_a_cascade_of_several_einsums_is_not_enumerated() -> None:
    with pytest.raises(InputError) as caught:
        list(enumerate_space(softmax(), one_unit()))
    assert str(caught.value) == "only a cascade of one Einsum can be enumerated; cut it into parts"


@settings(max_examples=12)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(6, 20), st.integers(1, 3))
def test_more_bandwidth_never_makes_the_best_mapping_worse(m: int, n: int, k: int, words: int, rate: int) -> None:
    machine = one_unit(words, rate)
    cycles, energy = best(matmul(m, n, k), machine)
    faster_cycles, faster_energy = best(matmul(m, n, k), wider(machine, 3))
    assert faster_cycles <= cycles and faster_energy <= energy


@settings(max_examples=12)
@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(1, 8))
def test_a_larger_buffer_never_makes_the_best_mapping_worse(m: int, n: int, k: int, words: int) -> None:
    machine = one_unit(words, 1)
    cycles, energy = best(matmul(m, n, k), machine)
    larger_cycles, larger_energy = best(matmul(m, n, k), larger(machine, 2))
    assert larger_cycles <= cycles and larger_energy <= energy


@settings(max_examples=10)
@given(st.integers(1, 5), st.integers(1, 4), st.integers(1, 4), st.integers(2, 30), st.integers(1, 3))
@pytest.mark.slow
def test_the_search_is_never_worse_than_every_mapping_of_a_small_space(m: int, n: int, k: int, words: int, rate: int) -> None:
    cascade, machine = matmul(m, n, k), one_unit(words, rate)
    cycles, energy = best(cascade, machine, Limits(dividing=False))
    assert search(cascade, machine).evaluation.cycles <= -(-cycles // 1)
    assert search(cascade, machine, "energy").evaluation.energy_pj <= energy * (1 + 1e-9)


def test_the_search_is_as_fast_as_the_best_of_a_grid() -> None:
    cascade, machine = matmul(4, 3, 2), grid(x=2, y=2)
    cycles, _ = best(cascade, machine, Limits(keep_all=True))
    assert search(cascade, machine).evaluation.steady_cycles <= cycles
