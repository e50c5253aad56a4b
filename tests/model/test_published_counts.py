"""The replay against the words that other tools counted for the same mappings."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from math import prod

import pytest

from accelsim.mapping.tree import For, Keep, Spatial
from accelsim.model.reference import count
from tests.model.published import Case, accelforge_cases, as_read_and_written, differences, points, timeloop_cases

Words = dict[tuple[str, str, str], dict[str, int]]


@pytest.mark.parametrize("case", [case for case in timeloop_cases() if points(case) <= 100_000], ids=lambda case: case.name)
def test_replay_moves_the_words_that_a_literal_walk_and_timeloop_count(case: Case) -> None:
    assert differences(case, count(case.cascade, case.architecture, case.mapping, case.counting)) == []


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in timeloop_cases() if points(case) > 100_000], ids=lambda case: case.name)
def test_replay_of_the_two_largest_nests(case: Case) -> None:
    assert differences(case, count(case.cascade, case.architecture, case.mapping, case.counting)) == []


def loop_tree_rule(case: Case) -> Words:
    """Bits of a mapping with dividing tiles by the products of trips that AccelForge uses: {(einsum, tensor, memory): {read, write}}.

    A keep is refilled at every iteration above it; a result is drained at every iteration and comes back in all but the first
    iteration of the loops that do not index it; the innermost keeper serves every operation.
    """
    found: Words = defaultdict(lambda: Counter(read=0, write=0))
    for path, leaf in case.mapping.paths():
        einsum = case.cascade.by_name[leaf.einsum]
        for access in (*einsum.reads, einsum.output):
            indexing = {rank for index in case.cascade.index_maps(access) for rank in index.ranks}
            left = {rank: case.cascade.extents[rank] for rank in einsum.ranks}
            keepers: list[tuple[str, int, int, int, int]] = []  # memory, trips above, words of all copies, trips that return, shared copies
            above = copies = returning = shared = 1
            for node in path:
                if isinstance(node, Keep) and access.tensor in node.tensors:
                    words = prod(left[rank] for rank in indexing)
                    keepers.append((node.memory, above, copies * words, returning if keepers else 1, shared))
                    returning = returning if len(keepers) > 1 else 1
                    shared = 1
                elif isinstance(node, (For, Spatial)) and node.rank in left:
                    trips = left[node.rank] // node.tile
                    left[node.rank] = node.tile
                    if isinstance(node, For):
                        above *= trips
                        returning *= 1 if node.rank in indexing else trips
                    else:
                        copies *= trips
                        axis = case.architecture.axes[node.axis][1]
                        shares = einsum.reduce in axis.reduces if access is einsum.output else axis.multicast
                        shared *= trips if shares and node.rank not in indexing else 1
            operations = above * copies * prod(left.values())
            returning *= prod(size for rank, size in left.items() if rank not in indexing)
            served = keepers[-1][0]
            row = found[einsum.name, access.tensor, served]
            row["read"] += operations // shared - (operations // shared // returning if access is einsum.output else 0)
            row["write"] += operations // shared if access is einsum.output else 0
            for (parent, *_), (child, visits, words, again, together) in pairwise(keepers):
                outer, inner = found[einsum.name, access.tensor, parent], found[einsum.name, access.tensor, child]
                moved = visits * words
                if access is einsum.output:
                    inner["read"] += moved
                    inner["write"] += moved - moved // again
                    outer["write"] += moved // together
                    outer["read"] += moved // together - moved // together // again
                else:
                    inner["write"] += moved
                    outer["read"] += moved // together
    return {key: dict(row) for key, row in found.items() if any(row.values())}


@pytest.mark.parametrize("case", list(accelforge_cases()), ids=lambda case: case.name)
def test_products_of_trips_are_what_accelforge_recorded(case: Case) -> None:
    assert loop_tree_rule(case) == {key: row for key, row in case.words.items() if any(row.values())}


@pytest.mark.parametrize("case", list(accelforge_cases(shrink=True)), ids=lambda case: case.name)
def test_replay_moves_the_products_of_trips_on_small_shapes(case: Case) -> None:
    counts = count(case.cascade, case.architecture, case.mapping, case.counting)
    replayed = {key: as_read_and_written(kinds) for key, kinds in counts["words"].items() if any(kinds.values())}
    assert replayed == loop_tree_rule(case)


def test_a_wrong_word_is_found() -> None:
    case = next(iter(timeloop_cases()))
    counts = count(case.cascade, case.architecture, case.mapping, case.counting)
    counts["words"]["Z", "A", "Mem"]["reads"] += 1
    assert differences(case, counts) == ["gemm-one-memory-mnk: ('Z', 'A', 'Mem') reads 193, not 192"]
