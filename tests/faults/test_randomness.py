"""Streams by counter: words of NumPy's own Philox, alone or many at once."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.faults.randomness import below, generator, uniforms, words

KEY = st.integers(0, 2**64 - 1)


@settings(max_examples=100, deadline=None)
@given(seed=KEY, indices=st.lists(KEY, min_size=1, max_size=5), count=st.integers(0, 13))
def test_words_are_those_of_numpy_philox_with_seed_and_index_as_key(seed: int, indices: list[int], count: int) -> None:
    drawn = words(seed, np.array(indices, dtype=np.uint64), count)
    assert drawn.dtype == np.uint64 and drawn.shape == (len(indices), count)
    for row, index in zip(drawn, indices, strict=True):
        key = np.array([seed, index], dtype=np.uint64)
        assert np.array_equal(row, np.random.Philox(key=key).random_raw(count))


@settings(max_examples=50, deadline=None)
@given(seed=KEY, index=st.integers(0, 2**63 - 1))
def test_uniforms_are_those_of_numpy_generator(seed: int, index: int) -> None:
    assert np.array_equal(uniforms(seed, index, 9)[0], generator(seed, index).random(9))


@settings(max_examples=50, deadline=None)
@given(seed=KEY, index=st.integers(0, 2**63 - 1), bounds=st.lists(st.integers(1, 2**62), min_size=1, max_size=6))
def test_whole_numbers_are_the_upper_word_of_an_exact_product(seed: int, index: int, bounds: list[int]) -> None:
    raw = words(seed, index, len(bounds))[0]
    expected = [int(word) * bound >> 64 for word, bound in zip(raw, bounds, strict=True)]
    assert below(seed, [index], bounds)[0].tolist() == expected


def test_fault_drawn_alone_is_the_fault_drawn_among_many_in_any_order() -> None:
    order = np.random.default_rng(1).permutation(1000)
    many = words(7, order, 6)
    for place in (0, 1, 500, 999):
        assert np.array_equal(words(7, [order[place]], 6)[0], many[place])


def test_whole_numbers_are_even_and_streams_do_not_resemble_each_other() -> None:
    drawn = below(11, np.arange(100_000), [10, 10])
    for counts in (np.bincount(drawn[:, 0]), np.bincount(drawn[:, 0] * 10 + drawn[:, 1])):
        expected = 100_000 / counts.size
        chi = ((counts - expected) ** 2 / expected).sum()
        assert abs(chi - (counts.size - 1)) < 5 * np.sqrt(2 * counts.size)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: words(-1, [0], 1), "seed -1 does not fit 64 bits; write a whole number from 0 to 2**64 - 1"),
        (lambda: generator(2**64, 0), f"seed {2**64} does not fit 64 bits; write a whole number from 0 to 2**64 - 1"),
        (lambda: words(0, [-1], 1), "indices of faults must be a list of whole numbers of at least 0; count faults from 0"),
        (lambda: words(0, [0.5], 1), "indices of faults must be a list of whole numbers of at least 0; count faults from 0"),
        (lambda: words(0, [0], -1), "-1 random words cannot be drawn; draw at least 0"),
        (
            lambda: below(0, [0], [0]),
            "bounds of random numbers must be whole numbers from 1 to 2**62; write how many there are to choose from",
        ),
    ],
)
def test_what_cannot_be_drawn_is_said(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError) as caught:
        call()
    assert str(caught.value) == message
