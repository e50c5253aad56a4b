"""The machine computes what the reference interpreter does, in its own order, and never from values that are not there."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory
from accelsim.hardware.types import TYPES
from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, about, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.mapper import Request, search
from accelsim.mapper.objectives import OBJECTIVES
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Loop, Mapping, Spatial, TreeNode
from accelsim.sim.agreement import compare
from accelsim.sim.formats import WRAP
from accelsim.sim.turns import Span
from accelsim.sim.values import EXACT, TYPINGS, execute, run
from accelsim.sim.words import BrokenSchedule
from accelsim.workload.build import cascade as build
from accelsim.workload.build import sized
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs
from accelsim.workload.interpreter import run as interpret
from tests.catalogue import dense, workload
from tests.model.published import cascade, unit
from tests.model.strategies import Triple, seeded_triples, triples
from tests.share import share
from tests.shrunk import shrunk

EVIDENCE = bool(os.environ.get("ACCELSIM_EVIDENCE"))
WRITTEN_TWICE = re.compile(r"\['S\[t//\d,k\]")
"""A statement whose words several points write; the last one wins in the interpreter, and a machine has no last one."""


def reference(made: Cascade, inputs: dict[str, Any], dtype: Any = None) -> dict[str, Any]:
    """What the interpreter computes; a tensor of which it writes nothing holds the fill."""
    values = dict(interpret(made, inputs, dtype).values)
    return {name: values.get(name, np.zeros(tensor.shape)) for name, tensor in made.tensors.items()}


def is_defined(made: Cascade) -> bool:
    """Whether both sides give the cascade a meaning: no word is written twice, and no tensor is empty."""
    twice = WRITTEN_TWICE.match(str([einsum.text for einsum in made.work]))
    return not twice and all(size > 0 for tensor in made.tensors.values() for size in tensor.shape)


def check_integers(drawn: Triple, seed: int) -> None:
    made, machine, mapping, _ = drawn
    if not is_defined(made):
        return
    inputs = random_inputs(made, np.random.default_rng(seed), np.int64)
    found = run(made, machine, mapping, inputs, EXACT, checked=True)
    agreement = compare(made, found, reference(made, inputs, np.int64))
    assert agreement.agrees, agreement
    for name, value in found.values.items():
        if value.dtype.kind == "i":
            assert not found.bounds or not np.any(found.bounds[name])


def check_any_types(drawn: Triple, seed: int) -> float:
    """Random types; returns the largest error as a share of its bound."""
    made, machine, mapping, _ = drawn
    if not is_defined(made):
        return 0.0
    rng = np.random.default_rng(seed)
    kind = [EXACT, *(name for name, each in TYPES.items() if each.kind == "float")][seed % 10]
    if kind != EXACT:
        partial = TYPES["fp32"] if rng.random() < 0.5 else TYPES[kind]
        tensors = {name: replace(tensor, final=TYPES[kind], partial=partial) for name, tensor in made.tensors.items()}
        made = replace(made, tensors=tensors)
    inputs = random_inputs(made, rng)
    found = run(made, machine, mapping, inputs, EXACT if kind == EXACT else "declared", checked=True)
    agreement = compare(made, found, reference(made, inputs))
    assert agreement.agrees, (kind, str(agreement))
    return agreement.error / agreement.bound if agreement.bound else 0.0


@given(drawn=triples())
def test_integers_are_those_of_the_interpreter(drawn: Triple) -> None:
    check_integers(drawn, 0)


def test_integers_are_those_of_the_interpreter_on_many_seeded_mappings() -> None:
    for seed, drawn in enumerate(seeded_triples(1, share(10_000, 360, 150))):
        check_integers(drawn, seed)


def test_numbers_of_any_type_are_within_their_bounds_which_are_not_loose() -> None:
    shares = [check_any_types(drawn, seed) for seed, drawn in enumerate(seeded_triples(2, share(10_000, 240, 100)))]
    assert max(shares) > 0.5  # some error comes near its bound


WHOLE = {name: workload(path) for name, path in dense(WORKLOAD).items()}


def counted(made: Cascade) -> bool:
    """Whether it can be mapped: what values mask, or what other indices touch than affine ones, `//` and `%`, is run and not counted."""
    forms = (form for einsum in made.work for access in (*einsum.reads, einsum.output) for form in made.index_maps(access))
    return not any(einsum.condition_reads for einsum in made.work) and None not in forms


MAPPED = {name: cascade for name, cascade in WHOLE.items() if isinstance(cascade, Cascade) and counted(cascade)}
PAIRS = [(name, machine) for name in MAPPED for machine in dense(MACHINE)]
FEW = [PAIRS[at] for at in np.random.default_rng(5).permutation(len(PAIRS))[:14]]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "machine"), PAIRS if EVIDENCE else FEW)
def test_shipped_cascades_compute_what_they_say_on_shipped_machines(name: str, machine: str) -> None:
    made, target = shrunk(MAPPED[name]), load_architecture(resolve(machine, MACHINE), {})
    try:
        mapping = search(made, target, request=Request(OBJECTIVES["latency"], time_limit=2.0)).mapping
    except IllegalMapping as reason:
        assert "can execute" in str(reason)  # a machine without the operator
        return
    made = sized(made, mapping.sizes)
    inputs = random_inputs(made, np.random.default_rng(0))
    expected = reference(made, inputs)
    for types in TYPINGS:
        agreement = compare(made, run(made, target, mapping, inputs, types), expected)
        assert agreement.agrees, (types, str(agreement))
    if made.tensors[made.work[-1].output.tensor].final.kind == "integer":
        whole = random_inputs(made, np.random.default_rng(0), np.int64)
        expected = reference(made, whole, np.int64)
        says = "integers equal" if all(value.dtype.kind == "i" for value in expected.values()) else "all values equal"  # a mean
        assert str(compare(made, run(made, target, mapping, whole, EXACT), expected)) == says


# Those for several chips are in test_layer_mappings, with fewer chips.
ALONE = {name: path for name, path in dense(MAPPING).items() if not name.startswith("chips/")}


def at_most(made: Cascade, most: int) -> dict[str, str]:
    """Small sizes: words of a head one, of a state four, tokens and whatever else is asked for at most so many."""
    heads = {"h": 1, "e": 1, "f": 1} if {"h", "e", "f"} <= {*made.extents} else {}
    scans = {"t": 128, "i": 3, "n": 4} if {"t", "i", "n"} <= {*made.extents} else {}
    stated = made.declaration.shape if made.declaration is not None else {}
    return {f"shape.{rank}": str(min(size, (heads | scans).get(rank, most))) for rank, size in stated.items()}


@pytest.mark.slow
@pytest.mark.parametrize("path", ALONE.values(), ids=ALONE)
def test_shipped_mappings_compute_what_their_cascades_say(path: Path) -> None:
    named = re.match(r"(\S+) on (\S+): ", about(path))
    assert named
    target = load_architecture(resolve(named[2], MACHINE), {})
    shipped = load_workload(resolve(named[1], WORKLOAD))
    assert isinstance(shipped, Cascade)
    for most in (16, 64, 256, 1024):  # the shortest that the mapping is for
        try:
            made = load_workload(resolve(named[1], WORKLOAD), at_most(shipped, most))
        except InputError:  # a window does not fit into so little
            continue
        assert isinstance(made, Cascade)
        mapping = load_mapping(path, dict(made.extents))
        if is_legal(made, target, mapping):
            break
    inputs = random_inputs(made, np.random.default_rng(0))
    assert is_legal(made, target, mapping)
    agreement = compare(made, run(made, target, mapping, inputs, EXACT), reference(made, inputs))
    assert agreement.agrees and (agreement.equal or agreement.unbounded == 0), agreement


# The order of additions, in fp16: from 2048 on its numbers are 2 apart, and a tie goes to the even one.


def line(size: int = 4, reduces: bool = True, forwards: bool = False) -> Architecture:
    """Main over a row of registers and units."""
    axis = Axis("row", size, True, ("add",) if reduces else (), forwards=forwards)
    return Architecture(
        "line", Memory("Main", feeds=(Array("units", (axis,), feeds=(Memory("Reg", feeds=(unit("PE"),)),)),)), Fraction(10**9)
    )


def total(shape: dict[str, int], statement: str, loops: list[Loop], machine: Architecture, values: Any) -> float:
    """A sum in fp16 under some loops."""
    made = build("total", statement, shape, types={"default": "fp16"})
    mapping = Mapping("by hand", (Keep("Main", (Held("A"), Held("Z"))), Leaf("Z", "PE", tuple(loops))))
    return float(execute(made, machine, mapping, {"A": np.array(values, dtype=float)})["Z"][0])


def test_terms_are_added_in_the_order_of_the_loops_in_time() -> None:
    values = [[[1, 2048], [1, 1]]]
    # k outside: 1 + 2048 = 2049, a tie, to 2048; twice more. r outside: 1 + 1 = 2, + 2048 = 2050, + 1 = 2051, a tie, to 2052.
    for outer, inner, expected in (("k", "r", 2048), ("r", "k", 2052)):
        found = total({"m": 1, "k": 2, "r": 2}, "Z[m] = A[m,k,r]", [For(outer, 1), For(inner, 1)], line(), values)
        assert found == expected


@pytest.mark.parametrize(("reduces", "forwards", "expected"), [(True, True, 2048), (True, False, 2050), (False, False, 2048)])
def test_copies_are_added_from_first_to_last_where_the_axis_forwards_and_in_pairs_where_not(
    reduces: bool, forwards: bool, expected: int
) -> None:
    # ((2048 + 1) + 1) + 1 stays 2048; (2048 + 1) + (1 + 1) = 2048 + 2
    found = total({"m": 1, "k": 4}, "Z[m] = A[m,k]", [Spatial("row", "k", 1)], line(4, reduces, forwards), [[2048, 1, 1, 1]])
    assert found == expected


def test_a_tree_adds_neighbours() -> None:
    # (2048 + 0) + (1 + 1); the first with the third would be (2048 + 1) + (0 + 1), both ties, to 2048
    assert total({"m": 1, "k": 4}, "Z[m] = A[m,k]", [Spatial("row", "k", 1)], line(), [[2048, 0, 1, 1]]) == 2050


def test_a_tree_of_three_leaves_the_last_copy_for_the_end() -> None:
    # (1 + 1) + 2048; and (2048 + 1) + 1, a tie each time, to 2048
    assert total({"m": 1, "k": 3}, "Z[m] = A[m,k]", [Spatial("row", "k", 1)], line(3), [[1, 1, 2048]]) == 2050
    assert total({"m": 1, "k": 3}, "Z[m] = A[m,k]", [Spatial("row", "k", 1)], line(3), [[2048, 1, 1]]) == 2048


@pytest.mark.parametrize(("kept", "expected"), [(True, 2050), (False, 2048)])
def test_copies_that_keep_the_result_add_up_their_own_terms_first(kept: bool, expected: int) -> None:
    # copy 0 has 2048 and 0, copy 1 has 1 and 1: 2048 + 2 where each keeps its sum; turn by turn 2048 + 1 = 2048, + (0 + 1) = 2048
    keep: list[Loop] = [Keep("Reg", (Held("Z"),))] if kept else []
    assert total({"m": 1, "k": 4}, "Z[m] = A[m,k]", [Spatial("row", "k", 2), *keep, For("k", 1)], line(2), [[2048, 0, 1, 1]]) == expected


def test_a_sum_that_comes_back_goes_on_in_the_first_copy() -> None:
    # for k and for n turn outside the registers: each half of k is added up when n moves on. k 0-3: (1 + 0) + (0 + 1) = 2; then the
    # first copy goes on, 2 + 2047 = 2049, a tie, to 2048, the other has 1: 2049, to 2048. Kept apart, 2047 + 1 and 2: 2050.
    loops = [For("k", 4), For("m", 1), Spatial("row", "k", 2), Keep("Reg", (Held("Z"),)), For("k", 1)]
    assert total({"m": 2, "k": 8}, "Z[m] = A[m,k]", loops, line(2), [[1, 0, 0, 1, 2047, 0, 1, 0]] * 2) == 2048
    stays = [For("m", 1), For("k", 4), Spatial("row", "k", 2), Keep("Reg", (Held("Z"),)), For("k", 1)]
    # never leaves: copy 0 has 1, 0, 2047, 0 = 2048, copy 1 has 0, 1, 1, 0 = 2
    assert total({"m": 2, "k": 8}, "Z[m] = A[m,k]", stays, line(2), [[1, 0, 0, 1, 2047, 0, 1, 0]] * 2) == 2050


def test_partial_results_have_their_own_type() -> None:
    types = {"default": "fp16", "Z": {"partial": "fp32", "final": "fp16"}}
    made = build("total", "Z[m] = A[m,k]", {"m": 1, "k": 4}, types=types)
    mapping = Mapping("by hand", (Keep("Main", (Held("A"), Held("Z"))), Leaf("Z", "PE")))
    # in fp32 2048 + 1 + 1 + 1 = 2051, a tie at the end only, to 2052
    assert execute(made, line(), mapping, {"A": np.array([[2048.0, 1, 1, 1]])})["Z"] == [2052]


def test_integers_wrap_or_saturate_at_every_addition() -> None:
    made = build("total", "Z[m] = A[m,k]", {"m": 1, "k": 3}, types={"default": "int8"})
    mapping = Mapping("by hand", (Keep("Main", (Held("A"), Held("Z"))), Leaf("Z", "PE")))
    values = {"A": np.array([[100, 100, -100]])}
    assert execute(made, line(), mapping, values)["Z"] == [27]  # 127 - 100
    assert execute(made, line(), mapping, values, overflow=WRAP)["Z"] == [100]
    assert execute(made, line(), mapping, values, types=EXACT)["Z"] == [100]


def test_an_mx_result_takes_its_scale_from_the_sums_of_a_block() -> None:
    made = build("total", "Z[n] = A[k,n]", {"n": 40, "k": 2}, types={"default": "fp32", "Z": "mxfp4"})
    mapping = Mapping("by hand", (Keep("Main", (Held("A"), Held("Z"))), Leaf("Z", "PE")))
    values = np.ones((2, 40))
    values[:, 0] = 512  # 1024 in a block with 2: the scale is 2^(10 - 2), so 2 is nothing; the next block holds 2s
    found = execute(made, line(), mapping, {"A": values})["Z"]
    assert found.tolist() == [1024.0] + [0.0] * 31 + [2.0] * 8


# Schedules that break: loop trees that legality refuses, run all the same.

CHAIN = cascade("chain", ["T[m,n] = A[m,k] * B[k,n]", "Z[m,l] = T[m,n] * C[n,l]"], {"m": 3, "n": 2, "k": 2, "l": 2})
OUTER = Keep("L0", tuple(map(Held, ("A", "B", "C", "Z"))))


def two_levels(reduces: bool = True) -> Architecture:
    """L0 over an array of L1 and units."""
    array = Array("units", (Axis("x", 4, True, ("add",) if reduces else ()),), feeds=(Memory("L1", feeds=(unit("PE"),)),))
    return Architecture("two", Memory("L0", feeds=(array,)), Fraction(10**9))


def broken(made: Cascade, nodes: list[TreeNode]) -> str:
    """What running a mapping says; legality refuses it too."""
    mapping, machine = Mapping("broken", tuple(nodes)), two_levels()
    assert not is_legal(made, machine, mapping)
    inputs = random_inputs(made, np.random.default_rng(0), np.int64)
    with pytest.raises(BrokenSchedule) as caught:
        execute(made, machine, mapping, inputs, EXACT, checked=True)
    assert str(caught.value).endswith("; `accelsim check` says which rule the mapping breaks")
    return str(caught.value).rsplit(";", 1)[0]


def fuse(*branches: str | tuple[TreeNode, ...], schedule: str = "sequential") -> Fuse:
    """Leaves, or branches as they are, under one fuse."""
    return Fuse(schedule, tuple((Leaf(each, "PE"),) if isinstance(each, str) else each for each in branches))


def test_reading_what_no_one_has_made_is_caught() -> None:
    assert broken(CHAIN, [OUTER, Keep("L0", (Held("T"),)), fuse("Z", "T")]) == "Z reads T[0,0], which T has not made"


def test_reading_a_partial_result_is_caught() -> None:
    made = cascade("norm", ["T[m] = A[m,k]", "Z[m,k] = A[m,k] * T[m]"], {"m": 2, "k": 3})
    nodes = [Keep("L0", (Held("A"), Held("Z"))), Keep("L0", (Held("T"),)), For("k", 1), fuse("T", "Z")]
    assert broken(made, nodes) == "Z reads T[0], which T has not completed"


def test_an_einsum_that_lacks_the_loop_waits_until_what_it_reads_is_complete() -> None:
    nodes: list[TreeNode] = [OUTER, Keep("L0", (Held("T"),)), For("k", 1), fuse("T", "Z")]
    inputs = random_inputs(CHAIN, np.random.default_rng(0), np.int64)
    found = run(CHAIN, two_levels(), Mapping("waits", tuple(nodes)), inputs, EXACT, checked=True)
    assert str(compare(CHAIN, found, reference(CHAIN, inputs, np.int64))) == "integers equal"


def test_reading_what_has_left_its_keeper_is_caught() -> None:
    made = cascade("back", ["T[m] = A[m]", "Z[m] = T[m] * T[m - 2]"], {"m": 4})
    nodes = [Keep("L0", (Held("A"), Held("Z"))), For("m", 1), Keep("L0", (Held("T"),)), fuse("T", "Z")]
    # in iteration 0, T[0] is there and T[-2] is the fill; iteration 1 keeps T[1] only
    assert broken(made, nodes) == "Z reads T[0], which its keeper no longer holds"


def test_going_on_with_a_sum_that_has_left_its_keeper_is_caught() -> None:
    made = cascade("late", ["T[m] = A[m,k]", "Z[n] = T[1] * B[n]"], {"m": 2, "k": 2, "n": 2})
    nodes = [Keep("L0", tuple(map(Held, ("A", "B", "Z")))), For("k", 1), For("m", 1), Keep("L0", (Held("T"),)), fuse("T", "Z")]
    assert broken(made, nodes) == "T goes on with T[0], whose sum its keeper no longer holds"


def test_reading_what_another_copy_keeps_is_caught() -> None:
    made = cascade("halo", ["T[m] = A[m]", "Z[m] = T[m] * T[m - 1]"], {"m": 4})
    nodes = [Keep("L0", (Held("A"), Held("Z"))), Spatial("x", "m", 1), Keep("L1", (Held("T"),)), fuse("T", "Z")]
    assert broken(made, nodes) == "Z reads T[0], which another copy has made and keeps"


def test_reading_parts_of_a_sum_from_copies_is_caught() -> None:
    nodes = [OUTER, Keep("L0", (Held("T"),)), Spatial("x", "k", 1), Keep("L1", (Held("T"),)), fuse("T", "Z")]
    assert broken(CHAIN, nodes) == "Z reads T from L1, whose copies each hold a part of its sums"


def test_a_recurrence_whose_slices_run_side_by_side_is_caught() -> None:
    made = cascade("running", ["RM[i+1] = max(RM[i], LM[i])"], {"i": 3}, ("RM",), iterative={"RM": (0, 1)})
    nodes: list[TreeNode] = [Keep("L0", (Held("LM"), Held("RM"))), Leaf("RM", "PE", (Spatial("x", "i", 1),))]
    assert broken(made, nodes) == "RM reads RM[1], which RM has not made"


def test_reading_what_another_tensor_has_taken_the_place_of_is_caught() -> None:
    made = cascade("over", ["T[m] = A[m]", "S[m] = exp(T[m])", "Z[m] = S[m] * T[m]"], {"m": 3})
    nodes = [Keep("L0", (Held("A"), Held("Z"))), Keep("L0", (Held("T", in_place=("S",)),)), fuse("T", "S", "Z")]
    assert broken(made, nodes) == "Z reads T[0], which its keeper no longer holds"


@pytest.mark.parametrize("schedule", ["sequential", "staged", "pipelined"])
def test_the_same_trees_in_the_right_order_compute(schedule: str) -> None:
    fused = fuse("T", "Z", schedule=schedule)
    for nodes in ([OUTER, Keep("L0", (Held("T"),)), fused], [OUTER, For("m", 1), Keep("L0", (Held("T"),)), fused]):
        inputs = random_inputs(CHAIN, np.random.default_rng(0), np.int64)
        found = run(CHAIN, two_levels(), Mapping("right", tuple(nodes)), inputs, EXACT, also=("T",))
        assert str(compare(CHAIN, found, reference(CHAIN, inputs, np.int64))) == "integers equal"
        assert set(found.values) == {"T", "Z"}


def test_a_tile_that_demand_cuts_begins_where_it_is_left() -> None:
    place = np.arange(6)
    span = Span(place, place).spread(0, 3).within((1, 5))  # copy 0 had 0 1 2 and keeps 1 2, copy 1 had 3 4 5 and keeps 3 4
    assert (span.at.tolist(), span.place.tolist(), span.copies[0][1].tolist()) == ([1, 2, 3, 4], [0, 1, 0, 1], [0, 0, 1, 1])
    assert (span.turns(1), span.turn(1, 1).at.tolist(), span.hull) == (2, [2, 4], (1, 5))


@pytest.mark.parametrize("dtype", [np.int64, np.float64])
def test_a_maximum_over_no_point_is_the_lowest_number(dtype: Any) -> None:
    made = cascade("masked", ["S[p] = A[m,p] where m < p"], {"m": 3, "p": 3}, reduce={"S": "max"})
    inputs = {"A": np.arange(9).reshape(3, 3).astype(dtype)}
    mapping = Mapping("points", (Keep("L0", (Held("A"), Held("S"))), For("p", 1), Leaf("S", "PE")))
    found = run(made, two_levels(), mapping, inputs, EXACT)
    assert found.values["S"].tolist() == [-(2**62) if dtype is np.int64 else -np.finfo(np.float64).max, 1, 5]
    assert compare(made, found, reference(made, inputs, dtype)).equal


# What is refused, and what a comparison says.


def plain(inputs: Any, statement: str = "Z[m] = A[m,k]", **options: Any) -> Any:
    made = build("plain", statement, {"m": 2, "k": 2})
    return execute(made, line(), Mapping("plain", (Keep("Main", (Held("A"), Held("Z"))), Leaf("Z", "PE"))), inputs, **options)


@pytest.mark.parametrize(
    ("inputs", "options", "says"),
    [
        ({}, {}, "input 'A' of 'plain' is missing; give an array of shape [2, 2]"),
        ({"A": np.ones(3)}, {}, "input 'A' has shape [3], 'plain' reads [2, 2]; make them agree"),
        ({"A": np.ones((2, 2)), "a": 0}, {}, "'plain' has no input 'a'; did you mean 'A'?"),
        ({"A": np.ones((2, 2))}, {"types": "exakt"}, "there is no types 'exakt'; did you mean 'exact'?"),
        ({"A": np.ones((2, 2))}, {"overflow": "rap"}, "there is no overflow 'rap'; did you mean 'wrap'?"),
        ({"A": np.ones((2, 2))}, {"also": ["z"]}, "'plain' has no tensor 'z'; did you mean 'Z'?"),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(inputs: Any, options: Any, says: str) -> None:
    with pytest.raises(InputError) as caught:
        plain(inputs, **options)
    assert str(caught.value) == says


def test_a_statement_that_writes_a_word_twice_is_refused() -> None:
    with pytest.raises(InputError) as caught:
        plain({"A": np.ones((2, 2))}, "Z[m//2,k] = A[m,k]")
    assert str(caught.value).endswith("Z writes words of Z more than once; index it by all ranks, or reduce them")


def test_a_mapping_that_leaves_an_einsum_out_is_refused() -> None:
    with pytest.raises(IllegalMapping) as caught:
        execute(CHAIN, two_levels(), Mapping("half", (OUTER, Keep("L0", (Held("T"),)), Leaf("T", "PE"))), {}, checked=True)
    assert str(caught.value) == "nothing runs Z; give it a leaf: {einsum: Z, unit: …}"


def test_a_mapping_that_is_not_legal_is_refused_before_it_runs() -> None:
    """L1 keeps B, which T does not touch: no value would be wrong."""
    nodes = (OUTER, Fuse((((Keep("L0", (Held("T"),)), Keep("L1", (Held("B"),)), Leaf("T", "PE"))), (Leaf("Z", "PE"),)), "sequential"))
    with pytest.raises(IllegalMapping) as caught:
        execute(CHAIN, two_levels(), Mapping("idle", nodes), random_inputs(CHAIN, np.random.default_rng(0), np.int64))
    assert not isinstance(caught.value, BrokenSchedule)


def test_the_bound_of_a_rounded_product_is_half_a_unit() -> None:
    made = build("product", "Z[m] = A[m] * B[m]", {"m": 1}, types={"default": "fp16"})
    mapping = Mapping("by hand", (Keep("Main", (Held("A"), Held("B"), Held("Z"))), Leaf("Z", "PE")))
    # (1 + 16 s) (1 + 32 s) with s = 2^-10 is 1 + 48 s + s / 2: a tie that goes down, off by s / 2 = 2^-11
    found = run(made, line(), mapping, {"A": np.array([1 + 16 / 1024]), "B": np.array([1 + 32 / 1024])})
    exact = 1 + 48.5 / 1024
    assert found.values["Z"] == [1 + 48 / 1024] and found.bounds is not None
    assert found.bounds["Z"][0] == 2.0**-11 * exact + 2.0**-25
    assert compare(made, found, {"Z": np.array([exact])}).agrees


def test_a_comparison_says_what_is_equal_and_where_the_largest_error_is() -> None:
    made = build("total", "Z[m] = A[m,k]", {"m": 2, "k": 2}, types={"default": "fp16"})
    mapping = Mapping("by hand", (Keep("Main", (Held("A"), Held("Z"))), Leaf("Z", "PE")))
    values = {"A": np.array([[2048.0, 1.0], [1.0, 2.0]])}
    found = run(made, line(), mapping, values)
    assert found.values["Z"].tolist() == [2048.0, 3.0]
    # inputs are exact; two terms of 2049 in all: ((1 + 2^-11)^2 - 1) 2049 = 2.002, and the store changes nothing
    says = compare(made, found, {"Z": np.array([2049.0, 3.0])})
    assert str(says) == "largest error 1 of bound 2, at Z[0]" and says.agrees and not says.equal
    says = compare(made, found, {"Z": np.array([2052.0, 3.0])})
    assert str(says) == "largest error 4 of bound 2 is beyond it, at Z[0]" and not says.agrees
    whole = run(made, line(), mapping, {"A": np.array([[1, 2], [3, 4]])}, EXACT)
    assert str(compare(made, whole, {"Z": np.array([3, 7])})) == "integers equal"
    assert str(compare(made, whole, {"Z": np.array([3, 8])})) == "integers differ: Z[1] is off by 1"
    assert not compare(made, whole, {"Z": np.array([3, 8])}).agrees
