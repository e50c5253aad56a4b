"""The replay against counts worked out by hand; the arithmetic stands beside each."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any

import pytest
from hypothesis import given

from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Node
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model.options import Counting
from accelsim.model.reference import count
from accelsim.model.reference_nest import build_nests, value
from accelsim.workload.cascade import Cascade
from tests.model.published import cascade, einsum, unit
from tests.model.strategies import Triple, triples

LEAF = Leaf("Z", "PE")


def keep(memory: str, *tensors: str) -> Keep:
    return Keep(memory, tuple(map(Held, tensors)))


def machine(*axes: Axis, lanes: int = 1, below: int = 1) -> Architecture:
    """DRAM, then Buffer, then a unit; the axes stand below the memory of that number (0: DRAM, 1: Buffer)."""
    pe: Node = unit("PE", lanes)
    array: tuple[Node, ...] = (Array("array", axes, feeds=(pe if below else Memory("Buffer", feeds=(pe,)),)),) if axes else (pe,)
    buffer: tuple[Node, ...] = array if below == 0 and axes else (Memory("Buffer", feeds=array),)
    return Architecture("machine", Memory("DRAM", feeds=buffer), Fraction(10**9))


def counted(made: Cascade, where: Architecture, *nodes: TreeNode, **options: str) -> dict[str, Any]:
    return count(made, where, Mapping("by hand", nodes), Counting(**options))


def words(result: dict[str, Any], einsum: str, tensor: str, memory: str, kinds: str = "words") -> tuple[int, int, int, int]:
    """(reads, fills, updates, drains)"""
    row = result[kinds][einsum, tensor, memory]
    return row["reads"], row["fills"], row["updates"], row["drains"]


PRODUCT = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "n": 3, "k": 2})
WINDOW = cascade("window", ["Z[p] = I[p + r] * F[r]"], {"p": 6, "r": 3})


def test_one_memory_serves_every_operation_and_the_first_touch_reads_nothing() -> None:
    result = counted(PRODUCT, machine(), keep("DRAM", "A", "B", "Z"), LEAF)
    assert result["einsums"]["Z"] == {"operations": 24, "masked": 0, "issues": 24}
    assert words(result, "Z", "A", "DRAM") == (24, 0, 0, 0)
    assert words(result, "Z", "Z", "DRAM") == (24 - 12, 0, 24, 0)  # 12 words of Z exist


def test_buffer_that_holds_everything_is_filled_once() -> None:
    result = counted(PRODUCT, machine(), keep("DRAM", "A", "B", "Z"), keep("Buffer", "A", "B", "Z"), For("m", 1), For("n", 1), LEAF)
    assert words(result, "Z", "A", "DRAM") == (8, 0, 0, 0)
    assert words(result, "Z", "A", "Buffer") == (24, 8, 0, 0)
    assert words(result, "Z", "Z", "DRAM") == (0, 0, 12, 0)
    assert words(result, "Z", "Z", "Buffer") == (12, 0, 24, 12)


def test_partial_results_that_leave_come_back() -> None:
    nodes = (keep("DRAM", "A", "B", "Z"), For("k", 1), For("m", 2), keep("Buffer", "Z"), LEAF)
    result = counted(PRODUCT, machine(), *nodes)  # 2 iterations of k, each moves 2 tiles of 2 x 3 words
    assert words(result, "Z", "Z", "DRAM") == (12, 0, 24, 0)
    assert words(result, "Z", "Z", "Buffer") == (24 - 12, 12, 24, 24)
    assert words(counted(PRODUCT, machine(), *nodes, drains="free"), "Z", "Z", "Buffer") == (12, 12, 24, 0)


def test_loop_that_does_not_index_a_tensor_reuses_it_until_a_loop_that_does_turns_inside() -> None:
    reused = counted(PRODUCT, machine(), keep("DRAM", "A", "B", "Z"), For("m", 1), For("n", 1), keep("Buffer", "A"), LEAF)
    assert words(reused, "Z", "A", "Buffer")[1] == 8
    turned = counted(PRODUCT, machine(), keep("DRAM", "A", "B", "Z"), For("n", 1), For("m", 1), keep("Buffer", "A"), LEAF)
    assert words(turned, "Z", "A", "Buffer")[1] == 3 * 8
    one_trip = counted(PRODUCT, machine(), keep("DRAM", "A", "B", "Z"), For("n", 1), For("m", 4), keep("Buffer", "A"), LEAF)
    assert words(one_trip, "Z", "A", "Buffer")[1] == 8
    visits = counted(
        PRODUCT, machine(), keep("DRAM", "A", "B", "Z"), For("n", 1), For("m", 4), keep("Buffer", "A"), LEAF, refill="every_visit"
    )
    assert words(visits, "Z", "A", "Buffer")[1] == 3 * 8


def test_window_moves_only_its_new_part_and_the_last_tile_may_be_short() -> None:
    result = counted(WINDOW, machine(), keep("DRAM", "I", "F", "Z"), For("p", 4), keep("Buffer", "I"), For("p", 1), LEAF)
    assert words(result, "Z", "I", "DRAM")[0] == 8  # 0..5, then 4..7 of which 6 and 7 are new
    assert result["einsums"]["Z"]["operations"] == 18
    again = counted(WINDOW, machine(), keep("DRAM", "I", "F", "Z"), For("p", 4), keep("Buffer", "I"), LEAF, refill="every_visit")
    assert words(again, "Z", "I", "DRAM")[0] == 6 + 4


def test_corner_of_a_window_that_turns_round_is_kept() -> None:
    made = cascade("corner", ["Z[p,q] = I[p + r, q + s]"], {"p": 2, "q": 2, "r": 2, "s": 2})
    result = counted(made, machine(), keep("DRAM", "I", "Z"), For("p", 1), For("q", 1), keep("Buffer", "I"), LEAF)
    # 2x2 at (0,0): 4; (0,1): 2 new; (1,0) after (0,1): shares only the corner (1,1), 3 new; (1,1): 2 new
    assert words(result, "Z", "I", "DRAM")[0] == 4 + 2 + 3 + 2


def test_stride_touches_every_other_word_or_the_box_around_them() -> None:
    made = cascade("stride", ["Z[p] = I[2*p]"], {"p": 4})
    nodes = (keep("DRAM", "I", "Z"), keep("Buffer", "I"), LEAF)
    assert words(counted(made, machine(), *nodes), "Z", "I", "Buffer")[1] == 4
    assert words(counted(made, machine(), *nodes, footprint="box"), "Z", "I", "Buffer")[1] == 7


def test_padding_moves_no_word_and_is_still_an_operation() -> None:
    made = cascade("padding", ["Z[p] = I[p + r - 1] * F[r]"], {"p": 3, "r": 3}, shapes={"I": (3,)})
    result = counted(made, machine(), keep("DRAM", "I", "F", "Z"), LEAF)
    assert result["einsums"]["Z"]["operations"] == 9
    assert words(result, "Z", "I", "DRAM") == (7, 0, 0, 0)  # two of the nine reads fall outside


def test_causal_mask_skips_empty_tiles_and_moves_half_full_ones_whole() -> None:
    made = cascade("causal", ["Z[m,p] = A[m] * B[p] where m <= p"], {"m": 4, "p": 4})
    result = counted(made, machine(), keep("DRAM", "A", "B", "Z"), For("m", 2), For("p", 2), keep("Buffer", "A", "B", "Z"), LEAF)
    # tiles (0,0), (0,1), (1,1) of 2 x 2 are visited; 10 points satisfy the condition, 12 are in visited tiles
    assert result["einsums"]["Z"] == {"operations": 10, "masked": 2, "issues": 12}
    assert words(result, "Z", "B", "DRAM")[0] == 4  # 0..1, 2..3, and 2..3 is still there
    assert words(result, "Z", "Z", "DRAM") == (0, 0, 12, 0)


@pytest.mark.parametrize(("multicast", "reads"), [(True, 8), (False, 24)])
def test_copies_that_want_the_same_tile_share_a_read_where_the_axis_multicasts(multicast: bool, reads: int) -> None:
    where = machine(Axis("x", 3, multicast), below=0)
    result = counted(PRODUCT, where, keep("DRAM", "A", "B", "Z"), Spatial("x", "n", 1), keep("Buffer", "A"), LEAF)
    assert words(result, "Z", "A", "DRAM")[0] == reads
    assert words(result, "Z", "A", "Buffer")[1] == 24
    assert words(result, "Z", "A", "Buffer", "first_copy")[1] == 8


def test_neighbours_that_only_overlap_do_not_share() -> None:
    result = counted(WINDOW, machine(Axis("x", 3), below=0), keep("DRAM", "I", "F", "Z"), Spatial("x", "p", 2), keep("Buffer", "I"), LEAF)
    assert words(result, "Z", "I", "DRAM")[0] == 3 * 4


@pytest.mark.parametrize(("reduces", "updates"), [(("add",), 12), (("max",), 24), ((), 24)])
def test_axis_that_reduces_the_operator_sends_one_update(reduces: tuple[str, ...], updates: int) -> None:
    where = machine(Axis("x", 2, True, reduces))
    result = counted(PRODUCT, where, keep("DRAM", "A", "B", "Z"), Spatial("x", "k", 1), LEAF)
    assert words(result, "Z", "Z", "DRAM") == (updates - 12, 0, updates, 0)
    assert result["einsums"]["Z"]["issues"] == 12


def test_returned_partial_fills_one_member_of_a_reduced_group_or_every_one() -> None:
    made = cascade("reduced", ["Z[m] = A[m,k]"], {"m": 2, "k": 4})
    where = machine(Axis("x", 2, True, ("add",)), below=0)
    nodes = (keep("DRAM", "A", "Z"), For("k", 2), For("m", 1), Spatial("x", "k", 1), keep("Buffer", "Z"), LEAF)
    one = counted(made, where, *nodes)  # 2 iterations of k x 2 words leave; in the second they come back first
    assert words(one, "Z", "Z", "DRAM") == (2, 0, 4, 0)
    assert words(one, "Z", "Z", "Buffer") == (8 - 2 * 2, 2, 8, 8)
    assert words(one, "Z", "Z", "Buffer", "first_copy")[1] == 2
    assert words(counted(made, where, *nodes, returned_partials="every_member"), "Z", "Z", "Buffer")[1] == 4


def test_sums_that_copies_begin_may_read_nothing() -> None:
    made = cascade("apart", ["Z[m] = A[m,k]"], {"m": 2, "k": 8})
    where = machine(Axis("x", 2, True, ()), below=0)  # it reduces nothing: two copies send parts of the same words
    nodes = (keep("DRAM", "A", "Z"), For("k", 4), For("m", 1), Spatial("x", "k", 2), keep("Buffer", "Z"), LEAF)
    # 2 iterations of k x 2 copies x 2 words leave: the first of each copy come to nothing, or only those of the first copy do
    assert words(counted(made, where, *nodes), "Z", "Z", "DRAM") == (8 - 2, 0, 8, 0)
    assert words(counted(made, where, *nodes, first_touch="child"), "Z", "Z", "DRAM") == (8 - 2 * 2, 0, 8, 0)


def test_short_last_copy_is_counted_short_and_time_is_that_of_the_longest() -> None:
    made = cascade("copies", ["Z[m] = A[m]"], {"m": 7})
    result = counted(made, machine(Axis("x", 3), lanes=2), keep("DRAM", "A", "Z"), Spatial("x", "m", 3), LEAF)
    assert result["einsums"]["Z"] == {"operations": 7, "masked": 0, "issues": 2}  # 3 + 3 + 1 points; ceil(3 / 2) issues
    assert words(result, "Z", "A", "DRAM") == (7, 0, 0, 0)


def test_copy_with_nothing_to_do_keeps_its_tile() -> None:
    made = cascade("idle", ["Z[j,m] = A[m]"], {"j": 2, "m": 3})
    where = machine(Axis("x", 2), below=0)
    result = counted(made, where, keep("DRAM", "A", "Z"), For("j", 1), Spatial("x", "m", 2), For("m", 1), keep("Buffer", "A"), LEAF)
    # copy 0 turns 0, 1, 0, 1 (4 fills); copy 1 holds word 2 throughout (1 fill)
    assert words(result, "Z", "A", "Buffer")[1] == 4 + 1


def test_grouped_heads_read_a_key_once_for_the_group() -> None:
    made = cascade("grouped", ["Z[h] = K[h//2]"], {"h": 5})
    result = counted(made, machine(), keep("DRAM", "K", "Z"), For("h", 1), keep("Buffer", "K"), LEAF)
    assert words(result, "Z", "K", "DRAM")[0] == 3


def test_ring_reads_again_when_it_comes_round() -> None:
    made = cascade("ring", ["Z[t] = K[t%3]"], {"t": 7})
    single = counted(made, machine(), keep("DRAM", "K", "Z"), For("t", 1), keep("Buffer", "K"), LEAF)
    assert words(single, "Z", "K", "DRAM")[0] == 7
    pairs = counted(made, machine(), keep("DRAM", "K", "Z"), For("t", 2), keep("Buffer", "K"), LEAF)
    assert words(pairs, "Z", "K", "DRAM")[0] == 2 + 1 + 1 + 1  # {0,1} {2,0} {1,2} {0}: new are 2, 1, 1, 1


def test_constant_first_slice_costs_nothing() -> None:
    made = cascade("running", ["Z[i+1] = max(Z[i], A[i])"], {"i": 3}, ("Z",), iterative={"Z": (0, 1)})
    result = counted(made, machine(), keep("DRAM", "A", "Z"), LEAF)
    assert made.tensors["Z"].shape == (4,)
    assert words(result, "Z", "Z", "DRAM") == (2, 0, 3, 0)  # slices 1 and 2 are read, 1, 2 and 3 are written
    assert result["einsums"]["Z"]["operations"] == 3


SCAN = cascade("scan", ["H[t+1,i] = A[t,i] * H[t,i]"], {"t": 4, "i": 6}, ("H",), iterative={"H": (0, 1)})
HALVES = cascade("halves", ["H[t+1,i] = G[i,j] * H[t,j]"], {"t": 4, "i": 6, "j": 6}, ("H",), iterative={"H": (0, 1)})


@pytest.mark.parametrize(
    ("nodes", "fills"),
    [
        ((keep("Buffer", "H"), For("t", 1), For("i", 2)), 0),  # all slices are made and read inside
        ((For("i", 2), For("t", 1), keep("Buffer", "H")), 0),  # each slice is there when its successor is made
        ((For("t", 2), keep("Buffer", "H"), For("i", 2)), 0),
        ((For("t", 1), For("i", 2), keep("Buffer", "H")), 3 * 6),  # slices 1 to 3 have gone since, 0 is constant
        ((For("t", 2), For("i", 2), keep("Buffer", "H")), 1 * 6),  # slice 2; 1 and 3 are made in the visits that read them
        ((For("i", 3), For("t", 1), For("i", 2), keep("Buffer", "H")), 3 * 6),  # a tile of 3 is cut into 2 and 1
        ((For("i", 4), For("t", 1), For("i", 2), keep("Buffer", "H")), 3 * 4),  # of the last 2, nothing else comes between
        ((For("t", 3), For("i", 2), For("t", 1), keep("Buffer", "H")), 1 * 6),  # slice 3 begins the second tile of t
    ],
)
def test_earlier_slices_come_back_where_others_have_taken_their_place(nodes: tuple[TreeNode, ...], fills: int) -> None:
    result = counted(SCAN, machine(), keep("DRAM", "A", "H"), *nodes, Leaf("H", "PE"))
    assert words(result, "H", "H", "DRAM") == (fills, 0, 24, 0)
    assert words(result, "H", "H", "Buffer") == (18, fills, 24, 24)


def test_a_sequential_fuse_empties_what_held_the_last_slice() -> None:
    texts = ["H[t+1,i] = A[t,i] * H[t,i]", "Y[t,i] = H[t+1,i] * C[i]"]
    made = cascade("scan", texts, {"t": 4, "i": 6}, ("Y",), iterative={"H": (0, 1)})
    for schedule, fills in (("sequential", 18), ("pipelined", 0)):
        fuse = Fuse(schedule, ((keep("Buffer", "H"), Leaf("H", "PE")), (Leaf("Y", "PE"),)))
        result = count(made, machine(), Mapping("by hand", (keep("DRAM", "A", "C", "H", "Y"), For("t", 1), fuse)))
        assert words(result, "H", "H", "Buffer")[1] == fills


def test_slices_of_an_intermediate_leave_only_where_they_come_back() -> None:
    texts = ["H[t+1,i] = A[t,i] * H[t,i]", "Y[t,i] = H[t+1,i] * C[i]"]
    made = cascade("scan", texts, {"t": 4, "i": 6}, ("Y",), iterative={"H": (0, 1)})
    fuse = Fuse("sequential", ((Leaf("H", "PE"),), (Leaf("Y", "PE"),)))
    for loops, back, out in (((For("t", 1), For("i", 2)), 18, 24), ((For("i", 2), For("t", 1)), 0, 0)):
        nodes = (keep("DRAM", "A", "C", "H", "Y"), *loops, keep("Buffer", "H"), fuse)
        result = count(made, machine(), Mapping("by hand", nodes))
        assert words(result, "H", "H", "DRAM") == (back, 0, out, 0)
        assert words(result, "Y", "H", "DRAM") == (0, 0, 0, 0)


def test_a_slice_that_is_read_otherwise_than_it_is_made_comes_anew() -> None:
    """H[t,j] is taken from outside, of three slices: what was made last at H[t,i] need not be what is read next."""
    result = counted(HALVES, machine(), keep("DRAM", "G", "H"), For("t", 1), keep("Buffer", "H"), Leaf("H", "PE"))
    assert words(result, "H", "H", "Buffer")[1] == 3 * 6
    result = counted(HALVES, machine(), keep("DRAM", "G", "H"), keep("Buffer", "H"), For("t", 1), Leaf("H", "PE"))
    assert words(result, "H", "H", "Buffer")[1] == 0


def test_two_reads_of_one_tensor_are_two_streams_and_equal_ones_are_one() -> None:
    gram = cascade("gram", ["Z[m,n] = A[m,k] * A[n,k]"], {"m": 2, "n": 2, "k": 2})
    assert words(counted(gram, machine(), keep("DRAM", "A", "Z"), LEAF), "Z", "A", "DRAM")[0] == 16
    square = cascade("square", ["Z[m] = A[m] * A[m]"], {"m": 3})
    assert words(counted(square, machine(), keep("DRAM", "A", "Z"), LEAF), "Z", "A", "DRAM")[0] == 3


CHAIN = cascade("chain", ["T[m,n] = A[m,n] * B[n]", "Z[m,l] = T[m,n] * C[n,l]"], {"m": 4, "n": 2, "l": 3})


def fused(schedule: str, *trunk: TreeNode, first: tuple[TreeNode, ...] = (), second: tuple[TreeNode, ...] = (), again: str = "") -> Mapping:
    branches = ((*first, Leaf("T", "PE")), (*second, LEAF))
    return Mapping("by hand", (*trunk, Fuse(schedule, branches, recompute=(again,) if again else ())))


def test_intermediate_that_stays_in_the_buffer_never_reaches_dram() -> None:
    mapping = fused("sequential", keep("DRAM", "A", "B", "C", "Z"), For("m", 1), keep("Buffer", "T"))
    result = count(CHAIN, machine(), mapping)
    assert words(result, "T", "T", "Buffer") == (0, 0, 8, 0)
    assert words(result, "Z", "T", "Buffer") == (24, 0, 0, 0)
    assert not any(memory == "DRAM" and tensor == "T" for _, tensor, memory in result["words"])
    spilled = count(CHAIN, machine(), fused("sequential", keep("DRAM", "A", "B", "C", "Z", "T"), For("m", 1), keep("Buffer", "T")))
    assert words(spilled, "T", "T", "DRAM") == words(spilled, "Z", "T", "DRAM") == (0, 0, 0, 0)  # produced and consumed inside


def test_tensor_read_by_two_branches_is_paid_once_where_they_share_a_keep() -> None:
    made = cascade("shared", ["T[m] = A[m]", "Z[m] = T[m] * A[m]"], {"m": 4})
    mapping = fused("pipelined", keep("DRAM", "A", "Z"), keep("Buffer", "T"), For("m", 2), keep("Buffer", "A"))
    result = count(made, machine(), mapping)
    assert words(result, "T", "A", "DRAM") == (4, 0, 0, 0)
    assert words(result, "Z", "A", "DRAM") == (0, 0, 0, 0)
    assert words(result, "Z", "A", "Buffer") == (4, 0, 0, 0)


@pytest.mark.parametrize(("schedule", "fills"), [("pipelined", 6), ("staged", 6), ("sequential", 4 * 6)])
def test_sequential_branch_releases_its_keeps_when_it_ends(schedule: str, fills: int) -> None:
    mapping = fused(schedule, keep("DRAM", "A", "B", "C", "Z"), keep("Buffer", "T"), For("m", 1), second=(keep("Buffer", "C"),))
    assert words(count(CHAIN, machine(), mapping), "Z", "C", "Buffer")[1] == fills


def test_loop_that_a_producer_lacks_runs_it_once_or_again_where_that_is_asked() -> None:
    once = count(CHAIN, machine(), fused("sequential", keep("DRAM", "A", "B", "C", "Z"), keep("Buffer", "T"), For("l", 1)))
    assert once["einsums"]["T"]["operations"] == 8
    trunk = (keep("DRAM", "A", "B", "C", "Z"), For("l", 1), keep("Buffer", "T"))
    again = count(CHAIN, machine(), fused("sequential", *trunk, again="T"))
    assert again["einsums"]["T"]["operations"] == 3 * 8
    assert words(again, "T", "T", "Buffer") == (0, 0, 24, 0)  # computed again, not brought back


PAIR = cascade("pair", ["T[u] = A[u]", "Z[p] = T[p + s] * C[s]"], {"u": 8, "p": 6, "s": 3})


def test_tensor_kept_above_a_window_loop_is_computed_once() -> None:
    result = count(PAIR, machine(), fused("sequential", keep("DRAM", "A", "C", "Z"), keep("Buffer", "T"), For("p", 2)))
    assert result["einsums"]["T"] == {"operations": 8, "masked": 0, "issues": 8}  # 0..3, 4..5, 6..7
    assert words(result, "T", "A", "DRAM") == (8, 0, 0, 0)


def test_tensor_kept_below_a_window_loop_is_computed_again_where_windows_overlap() -> None:
    result = count(PAIR, machine(), fused("sequential", keep("DRAM", "A", "C", "Z"), For("p", 2), keep("Buffer", "T"), again="T"))
    assert result["einsums"]["T"]["operations"] == 3 * 4
    assert words(result, "T", "T", "Buffer") == (0, 0, 12, 0)


def test_what_three_windows_demand_is_derived_backwards() -> None:
    made = cascade("three", ["T[w] = A[w]", "S[u] = T[u + r]", "Z[p] = S[p + s]"], {"w": 9, "u": 7, "p": 5, "r": 3, "s": 3})
    trunk = (keep("DRAM", "A", "Z"), For("p", 1), keep("Buffer", "S", "T"))
    branches = ((Leaf("T", "PE"),), (Leaf("S", "PE"),), (LEAF,))
    again = count(made, machine(), Mapping("again", (*trunk, Fuse("sequential", branches, recompute=("S", "T")))))
    assert {name: row["operations"] for name, row in again["einsums"].items()} == {"T": 5 * 5, "S": 5 * 3 * 3, "Z": 15}
    kept = count(made, machine(), Mapping("kept", (trunk[0], trunk[2], trunk[1], Fuse("sequential", branches))))
    assert {name: row["operations"] for name, row in kept["einsums"].items()} == {"T": 9, "S": 7 * 3, "Z": 15}


def test_share_of_a_tile_that_stays_takes_its_share_of_the_words() -> None:
    half = Keep("Buffer", (Held("A", fraction=Fraction(1, 2)),))
    result = counted(PRODUCT, machine(), keep("DRAM", "A", "B", "Z"), half, For("m", 1), LEAF)
    # 8 words of A, 4 stay: 4 are filled once, and half of the 24 reads of the unit go to DRAM
    assert words(result, "Z", "A", "Buffer") == (12, 4, 0, 0)
    assert words(result, "Z", "A", "DRAM") == (4 + 12, 0, 0, 0)


def test_share_is_rounded_down_to_whole_words() -> None:
    made = cascade("rounded", ["Z[m,n] = A[n]"], {"m": 2, "n": 5})
    half = Keep("Buffer", (Held("A", fraction=Fraction(1, 2)),))
    result = counted(made, machine(), keep("DRAM", "A", "Z"), half, For("m", 1), LEAF)  # 2 of 5 words stay
    assert words(result, "Z", "A", "Buffer") == (4, 2, 0, 0)
    assert words(result, "Z", "A", "DRAM") == (2 + 6, 0, 0, 0)


def test_first_copy_of_a_memory_has_its_own_share() -> None:
    made = cascade("first", ["Z[m] = A[m,k]"], {"m": 5, "k": 2})
    result = counted(made, machine(Axis("x", 2), below=0), keep("DRAM", "A", "Z"), Spatial("x", "m", 3), keep("Buffer", "A", "Z"), LEAF)
    assert words(result, "Z", "A", "Buffer") == (10, 10, 0, 0)
    assert words(result, "Z", "A", "Buffer", "first_copy") == (6, 6, 0, 0)
    assert words(result, "Z", "A", "DRAM", "first_copy") == (10, 0, 0, 0)
    assert words(result, "Z", "Z", "Buffer", "first_copy") == (3, 0, 6, 3)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ((keep("DRAM", "A", "B"), LEAF), "no keep holds Z of Z; keep it above this leaf"),
        ((keep("DRAM", "A", "B", "Z"), Leaf("Y", "PE")), "no Einsum 'Y' to map; known: Z"),
        ((keep("DRAM", "A", "B", "Z"), Leaf("Z", "PE1")), "no unit 'PE1' for Z; did you mean 'PE'?"),
        ((keep("DRAM", "A", "B", "Z"), Spatial("y", "m", 1), LEAF), "no axis 'y'; none is known here"),
        (
            (Keep("DRAM", (Held("A", fraction=Fraction(1, 2)), Held("B"), Held("Z"))), LEAF),
            "DRAM holds a part of A and nothing outside holds the rest; keep it further out",
        ),
    ],
)
def test_what_cannot_be_counted_is_said(nodes: tuple[TreeNode, ...], message: str) -> None:
    with pytest.raises(AccelsimError) as error:
        counted(PRODUCT, machine(), *nodes)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Z[m] = A[m*m]", "an index of A in Z is not affine with // and %; rewrite it"),
        ("Z[m] = A[m] where A[m] > 0", "a condition reads A; words of data-dependent conditions cannot be counted without the data"),
    ],
)
def test_statement_that_cannot_be_counted_is_named(text: str, message: str) -> None:
    made = cascade("refused", ["Z[m] = A[m]"], {"m": 3})
    made = Cascade("refused", (einsum(text, {"m": 3}),), made.extents, {}, made.tensors)
    with pytest.raises(AccelsimError) as error:
        counted(made, machine(), keep("DRAM", "A", "Z"), LEAF)
    assert str(error.value) == message


def test_unknown_counting_options_are_refused_with_the_nearest_name() -> None:
    with pytest.raises(AccelsimError) as error:
        Counting.from_text({"drain": "free"})
    assert str(error.value) == "there is no counting option 'drain'; did you mean 'drains'?"
    with pytest.raises(AccelsimError) as error:
        Counting.from_text({"drains": "fre"})
    assert str(error.value) == "counting option 'drains' cannot be 'fre'; did you mean 'free'?"
    assert Counting.from_text({"drains": "free"}) == Counting(drains="free")


@given(triples())
def test_every_point_that_the_loops_leave_is_executed_once(triple: Triple) -> None:
    made, where, mapping, counting = triple
    result = count(made, where, mapping, counting)["einsums"]
    for nest in build_nests(made, mapping).values():
        steps = nest.steps[: nest.residual]
        if any(step is not None and step.how != "own" for step in steps):
            continue
        ranks, condition = nest.einsum.ranks, nest.einsum.condition
        points = product(*(range(made.extents[rank]) for rank in ranks))
        satisfied = sum(
            condition is None or bool(value(condition, {**made.sizes, **dict(zip(ranks, point, strict=True))})) for point in points
        )
        assert result[nest.einsum.name]["operations"] == satisfied
        assert result[nest.einsum.name]["masked"] <= prod(made.extents[rank] for rank in ranks) - satisfied


@given(triples())
@pytest.mark.slow
def test_refilling_at_every_visit_never_moves_less(triple: Triple) -> None:
    made, where, mapping, counting = triple
    delta, visits = (count(made, where, mapping, replace(counting, refill=refill)) for refill in ("delta", "every_visit"))
    if not any(held.fraction < 1 for path, _ in mapping.paths() for node in path if isinstance(node, Keep) for held in node.held):
        assert all(
            delta["words"][key][kind] <= row[kind] for key, row in visits["words"].items() for kind in ("fills", "updates", "drains")
        )
    assert delta["einsums"] == visits["einsums"]
