"""Counts of random matrices of all kinds, empty ones among them, against SciPy and against each count's definition, step by step."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from accelsim.errors import InputError
from accelsim.sparse import formats, intersection
from accelsim.sparse.caches import Reuse, least_recent, least_recent_elements, optimal
from accelsim.sparse.formats import FORMATS, Widths
from accelsim.sparse.pattern import Pattern
from accelsim.sparse.products import Products, folds, makespan, merge, tile_pairs
from tests.share import share

CASES = share(3000, 400, 100)
WIDTHS = Widths(8, 16, 32)


def matrix(rng: random.Random, rows: int, width: int) -> Any:
    """A matrix of one of many kinds."""
    kind = rng.choice(["uniform", "dense", "empty", "identity", "one row", "hyper-sparse", "banded", "blocks", "power law"])
    chances = np.random.default_rng(rng.getrandbits(32))
    found = np.zeros((rows, width), np.int64)
    if kind == "uniform":
        found = (chances.random((rows, width)) < rng.choice([0.05, 0.2, 0.6])).astype(np.int64)
    elif kind == "dense":
        found[:] = 1
    elif kind == "identity":
        found = np.eye(rows, width, dtype=np.int64)
    elif kind == "one row":
        found[rng.randrange(rows)] = 1
    elif kind == "hyper-sparse":
        found[rng.randrange(rows), rng.randrange(width)] = 1
    elif kind == "banded":
        found = np.tri(rows, width, rng.randint(0, 3), dtype=np.int64) - np.tri(rows, width, -rng.randint(1, 3), dtype=np.int64)
    elif kind == "blocks":
        found = np.kron((chances.random((-(-rows // 3), -(-width // 3))) < 0.3).astype(np.int64), np.ones((3, 3), np.int64))[:rows, :width]
    elif kind == "power law":
        found[chances.zipf(1.5, 3 * rows) % rows, chances.zipf(1.5, 3 * rows) % width] = 1
    return sparse.csr_array(found)


def pair(seed: int) -> tuple[Any, Any]:
    rng = random.Random(seed)
    m, k, n = (rng.choice([1, 2, 5, 17, 40]) for _ in range(3))
    return matrix(rng, m, k), matrix(rng, k, n)


PAIRS = [pair(seed) for seed in range(CASES)]


def fibers(of: Any) -> list[list[int]]:
    """Columns of every row, from the array itself."""
    return [list(np.flatnonzero(row)) for row in of.toarray()]


def test_work_is_what_scipy_does() -> None:
    for a, b in PAIRS:
        made, product = Products(Pattern.of(a), Pattern.of(b)), a @ b
        assert made.multiplications == int(product.sum())  # of ones, every product counts one
        assert made.c.nonzeros == int((product.toarray() != 0).sum())
        assert made.c.columns.tolist() == np.nonzero(product.toarray())[1].tolist()
        assert made.additions == made.multiplications - made.c.nonzeros >= 0
        assert np.array_equal(made.by_row, product.toarray().sum(axis=1))
        turned = Products(made.b.transposed, made.a.transposed)
        assert (turned.multiplications, turned.c.nonzeros) == (made.multiplications, made.c.nonzeros)


def two_finger(a: list[int], b: list[int]) -> int:
    end = min(a[-1], b[-1]) if a and b else -1
    return len({x for x in a if x <= end} | {x for x in b if x <= end})


def skip_ahead(a: list[int], b: list[int]) -> int:
    end = min(a[-1], b[-1]) if a and b else -1
    merged = ["=" if x in a and x in b else "a" if x in a else "b" for x in sorted(set(a) | set(b)) if x <= end]
    return sum(1 for at, side in enumerate(merged) if side == "=" or at == 0 or merged[at - 1] != side)


def test_intersections_are_those_of_sets() -> None:
    for a, b in PAIRS[: CASES // 4]:
        made, rows, columns = Products(Pattern.of(a), Pattern.of(b)), fibers(a), fibers(b.T)
        meetings = [(x, y) for x in rows for y in columns if x and y]
        found = intersection.inner(made)
        assert found.pairs == len(meetings)
        assert found.two_finger == sum(two_finger(x, y) for x, y in meetings)
        assert found.skip_ahead == sum(skip_ahead(x, y) for x, y in meetings)
        assert found.leading == sum(len(x) for x, _ in meetings)
        only = intersection.inner(made, only_c=True)
        assert found.matches == only.matches == made.multiplications
        for each in (found, only, intersection.by_rows(made), intersection.outer(made)):
            assert each.matches <= each.skip_ahead <= each.two_finger <= each.leading + each.following
            assert each.matches <= min(each.leading, each.following)


def merged(lists: list[int], radix: int) -> tuple[int, int]:
    """Groups of lists, pass by pass."""
    cycles = passes = 0
    while len(lists) > 1:
        groups = [lists[at : at + radix] for at in range(0, len(lists), radix)]
        cycles, passes = cycles + sum(len(group) + sum(group) for group in groups), passes + 1
        lists = [sum(group) for group in groups]
    return cycles, passes


def test_mergers_take_groups_pass_by_pass() -> None:
    for a, b in PAIRS:
        made, lengths = Products(Pattern.of(a), Pattern.of(b)), [len(row) for row in fibers(b)]
        last = None
        for radix in (2, 3, 8, 64):
            rows = [merged([lengths[k] for k in row if lengths[k]], radix) for row in fibers(a)]
            found = merge(made, radix)
            assert (found.cycles, found.passes) == (sum(cycles for cycles, _ in rows), max((passes for _, passes in rows), default=0))
            assert last is None or (found.cycles <= last.cycles and found.passes <= last.passes)
            last = found


def replayed(accesses: list[int], lengths: list[int], room: int, weigh: bool, best: bool) -> Reuse:
    """A cache as a list, the most recent last; Belady's by looking ahead."""
    held, hits, fetched = list[int](), 0, 0
    for at, row in enumerate(accesses):
        rest = accesses[at + 1 :]
        if row in held:
            hits += 1
            held.remove(row)
            held.append(row)
            continue
        fetched += lengths[row]
        weight = lengths[row] if weigh else 1
        if weight > room:
            continue
        if best and len(held) == room:
            ahead = {each: rest.index(each) if each in rest else len(accesses) for each in [*held, row]}
            victim = max(held, key=lambda each: (ahead[each], each))
            if ahead[victim] <= ahead[row]:
                continue
            held.remove(victim)
        while not best and sum(lengths[each] if weigh else 1 for each in held) + weight > room:
            held.pop(0)
        held.append(row)
    return Reuse(hits, len(accesses) - hits, fetched)


def test_caches_hold_what_their_policies_say() -> None:
    for a, b in PAIRS[: CASES // 4]:
        made = Products(Pattern.of(a), Pattern.of(b))
        accesses, lengths = made.accesses, made.b.lengths
        listed = accesses.tolist()[:300], lengths.tolist()
        before = None
        for room in (0, 1, 2, 5, 16):
            found = least_recent(accesses[:300], lengths, room)
            ideal = optimal(accesses[:300], lengths, room)
            assert found == replayed(*listed, room, weigh=False, best=False)
            assert ideal == replayed(*listed, room, weigh=False, best=True)
            assert least_recent_elements(accesses[:300], lengths, room) == replayed(*listed, room, weigh=True, best=False)
            assert ideal.misses <= found.misses
            assert before is None or found.misses <= before.misses
            before = found
            distinct = int(lengths[np.unique(accesses[:300])].sum())
            assert distinct <= ideal.fetched <= int(lengths[accesses[:300]].sum())
        assert least_recent(accesses, lengths, 1000).fetched == int(lengths[np.unique(accesses)].sum())


def test_shares_are_at_least_the_ideal_and_the_heaviest_row() -> None:
    for number, (a, b) in enumerate(PAIRS):
        made, units = Products(Pattern.of(a), Pattern.of(b)), 1 + number % 7
        shared, rows, block = makespan(made.by_row, units), made.by_row.tolist(), -(-made.a.rows // units)
        assert shared.cyclic == max(sum(rows[unit::units]) for unit in range(units))
        assert shared.block == max(sum(rows[unit * block : (unit + 1) * block]) for unit in range(units))
        heaviest = max(rows, default=0)
        assert min(shared.cyclic, shared.block, shared.dynamic) >= max(shared.ideal, heaviest)
        assert shared.dynamic <= shared.ideal + heaviest
        each = folds(made.a, units)
        places = [(row, k) for row, columns in enumerate(fibers(a)) for k in columns]
        groups = [places[at : at + units] for at in range(0, len(places), units)]
        assert each.columns.tolist() == [len({k for _, k in group}) for group in groups]
        assert each.rows.tolist() == [len({row for row, _ in group}) for group in groups]


def test_tiles_hold_every_element_once() -> None:
    for number, (a, b) in enumerate(PAIRS):
        made, (m, k, n) = Products(Pattern.of(a), Pattern.of(b)), (1 + number % 4, 1 + number % 5, 1 + number % 3)
        _, counts = made.a.tiles(m, k)
        assert int(counts.sum()) == made.a.nonzeros
        left, right = a.toarray(), b.toarray()
        count = loaded = other = 0
        for top in range(0, left.shape[0], m):
            for middle in range(0, left.shape[1], k):
                for side in range(0, right.shape[1], n):
                    x, y = left[top : top + m, middle : middle + k].sum(), right[middle : middle + k, side : side + n].sum()
                    if x and y:
                        count, loaded, other = count + 1, loaded + int(x), other + int(y)
        pairs = tile_pairs(made, m, k, n)
        assert (pairs.triples, pairs.a_loaded, pairs.b_loaded) == (count, loaded, other)


def test_formats_hold_at_least_the_values_and_full_ones_are_no_smaller_than_dense() -> None:
    for a, _ in PAIRS:
        pattern = Pattern.of(a)
        for name in FORMATS:
            assert formats.size(pattern, name, WIDTHS) >= pattern.nonzeros * WIDTHS.value
        for length in (1, 4):
            gaps, gap = list[int](), 0
            for element in a.toarray().ravel():
                gaps, gap = ([*gaps, gap], 0) if element else (gaps, gap + 1)
            entries = sum(1 + gap // 2**length for gap in gaps)
            assert formats.run_length(pattern, WIDTHS, length) == entries * (length + WIDTHS.value)
        kept = max(1, formats.fullest(pattern, 4))
        slots = pattern.rows * -(-pattern.width // 4) * kept
        assert formats.structured(pattern, WIDTHS, kept, 4) == slots * (WIDTHS.value + 2)
        assert formats.structured_bitmask(pattern, WIDTHS, kept, 4) == slots * WIDTHS.value + slots // kept * 4
        if kept > 1:
            with pytest.raises(InputError, match="elements holds"):
                formats.structured(pattern, WIDTHS, kept - 1, 4)
        coordinates = np.stack([pattern.row_of, pattern.columns])
        if pattern.nonzeros:
            assert formats.compressed_fibers(coordinates, WIDTHS) == formats.dcsr(pattern, WIDTHS)


def test_structure_in_two_levels_takes_places_for_blocks_and_for_values() -> None:
    """Of four blocks of four two are kept, each with two values: of 128 columns 8 groups of 2 x (2 + 2 x (2 + 8)) bits."""
    row = np.tile([1, 1, 0, 0] + [0] * 4 + [0, 1, 0, 1] + [0] * 4, 8)
    assert formats.structured_twice(Pattern.of(row), WIDTHS, (2, 4), (2, 4)) == 8 * 2 * (2 + 2 * (2 + 8))


def test_tiles_of_values_and_places() -> None:
    """Three values in tiles of 2 x 4 of a matrix of 3 x 5: four tiles."""
    pattern = Pattern.at([0, 1, 2], [0, 4, 4], (3, 5))
    assert formats.tiled(pattern, Widths(16, 16, 32), 2, 4) == 3 * 32 + 5 * 32


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Pattern.at([0], [7], (2, 7)), "column 7 is outside a matrix of 2 x 7; count from 0, or give a larger shape"),
        (lambda: Pattern.of(np.zeros((2, 2, 2))), "a pattern is one of a matrix, not of 3 dimensions; flatten ranks into rows and columns"),
        (
            lambda: Products(Pattern.of(np.ones((2, 3))), Pattern.of(np.ones((2, 3)))),
            "A is 2 x 3 and B 2 x 3; the columns of A and the rows of B must be as many",
        ),
        (lambda: formats.size(Pattern.of(np.eye(2)), "csx", WIDTHS), "there is no format 'csx'; did you mean 'csr'?"),
        (lambda: merge(Products(Pattern.of(np.eye(2)), Pattern.of(np.eye(2))), 1), "a merger of radix 1 merges nothing; make it 2 or more"),
    ],
)
def test_what_is_wrong_is_refused_in_words(wrong: Any, said: str) -> None:
    with pytest.raises(InputError) as error:
        wrong()
    assert str(error.value) == said
