"""Every rule of legality: a mapping that keeps it is legal, one that breaks it gets one sentence, tested whole."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from accelsim.errors import IllegalMapping
from accelsim.mapping.legality import check, is_legal, problems
from accelsim.workload.cascade import Cascade
from tests.mapping.machines import convolutions, machine, mapping, matmul, running, softmax

GOOD_GEMM = """
- keep DRAM: [A, B, Z]
- for m: 4
- keep Buffer: [A, B, Z]
- spatial x m: 1
- spatial y k: 2
- keep Reg: [Z]
- {einsum: Z, unit: PE, loops: [for n: 1]}
"""
GEMM: dict[str, tuple[str, str]] = {
    "unknown memory": (
        GOOD_GEMM.replace("keep Buffer", "keep Bufer"),
        "m.yaml:5:3: no memory 'Bufer' in toy; did you mean 'Buffer'?",
    ),
    "unknown tensor": (GOOD_GEMM.replace("[A, B, Z]", "[A, B, ZZ]", 1), "m.yaml:3:3: no tensor 'ZZ' in gemm; did you mean 'Z'?"),
    "tensor twice in a keep": (GOOD_GEMM.replace("[A, B, Z]", "[A, B, Z, A]", 1), "m.yaml:3:3: DRAM keeps A twice; remove one of the two"),
    "unknown axis": (GOOD_GEMM.replace("spatial x", "spatial z"), "m.yaml:6:3: no axis 'z' in toy; known: x, y"),
    "unknown unit": (GOOD_GEMM.replace("PE", "PEE"), "m.yaml:9:3: no unit 'PEE' in toy; did you mean 'PE'?"),
    "unknown rank": (GOOD_GEMM.replace("for n", "for q"), "m.yaml:9:33: no rank 'q' in the cascade; known: k, m, n"),
    "unknown Einsum": (GOOD_GEMM.replace("einsum: Z", "einsum: z"), "m.yaml:9:3: no Einsum 'z' in gemm; did you mean 'Z'?"),
    "unknown layout": (
        GOOD_GEMM.replace("[A, B, Z]", "[A, B, {Z: {layout: [m, k]}}]", 1),
        "m.yaml:3:3: layout of Z: no rank 'k' indexes it; known: m, n",
    ),
    "tile too large": (
        GOOD_GEMM.replace("spatial x m: 1", "spatial x m: 5"),
        "m.yaml:6:3: tile 5 of m is larger than the 4 that is left of it; write at most 4",
    ),
    "too many copies": (
        GOOD_GEMM.replace("for m: 4", "for m: 6"),
        "m.yaml:6:3: Z takes 6 copies along x, which has 4; make the tile of m at least 2",
    ),
    "an axis used up": (
        GOOD_GEMM.replace("- spatial y k: 2", "- spatial y k: 2\n- spatial y n: 3"),
        "m.yaml:8:3: Z takes 4 copies along y, which has 2; make the tile of n at least 6",
    ),
    "unit lacks a primitive": (
        GOOD_GEMM.replace("PE", "S").replace("- spatial x m: 1\n- spatial y k: 2\n- keep Reg: [Z]\n", ""),
        "m.yaml:5:3: Buffer keeps A but does not feed S, which runs Z; known: DRAM, Side",
    ),
    "tensor without a keeper": (
        GOOD_GEMM.replace("keep DRAM: [A, B, Z]", "keep DRAM: [A, Z]").replace("keep Buffer: [A, B, Z]", "keep Buffer: [A, Z]"),
        "m.yaml:9:3: nothing above Z keeps B; add B to keep DRAM",
    ),
    "input not in the outermost memory": (
        GOOD_GEMM.replace("keep DRAM: [A, B, Z]", "keep DRAM: [A, Z]"),
        "m.yaml:5:3: B is an input of the cascade, but its outermost keep above Z is Buffer; keep B in DRAM above it",
    ),
    "output not in the outermost memory": (
        GOOD_GEMM.replace("keep DRAM: [A, B, Z]", "keep DRAM: [A, B]"),
        "m.yaml:5:3: Z is an output of the cascade, but its outermost keep above Z is Buffer; keep Z in DRAM above it",
    ),
    "kept twice at one memory": (
        GOOD_GEMM.replace("- spatial x m: 1", "- keep Buffer: [B]\n- spatial x m: 1"),
        "m.yaml:6:3: Buffer keeps B twice on the way to one Einsum; remove one of the two keeps",
    ),
    "memories the wrong way round": (
        GOOD_GEMM.replace("keep DRAM: [A, B, Z]", "keep DRAM: [A, Z]").replace("- spatial x", "- keep DRAM: [B]\n- spatial x"),
        "m.yaml:6:3: keep DRAM of B stands below keep Buffer, which is further in in the machine; name the outer memory first",
    ),
    "keep below an array that is inside it": (
        GOOD_GEMM.replace("- keep Buffer: [A, B, Z]\n", "").replace("- keep Reg: [Z]", "- keep Buffer: [A, B]"),
        "m.yaml:7:3: keep Buffer stands below spatial y, but Buffer is above that axis in the machine; move the keep above spatial y",
    ),
    "keep above an array that it is inside of": (
        GOOD_GEMM.replace("- spatial x m: 1", "- keep Reg: [Z]\n- spatial x m: 1").replace("- keep Reg: [Z]\n- {", "- {"),
        "m.yaml:7:3: spatial x stands below keep Reg, but Reg is inside that axis in the machine; move the keep below spatial x",
    ),
    "axis of another unit": (
        "- keep DRAM: [A, B, Z]\n- spatial x m: 2\n- {einsum: Z, unit: S}",
        "m.yaml:4:3: axis x does not lead to S, which runs Z; no array stands above S",
    ),
    "own loop over a foreign rank": (
        GOOD_GEMM.replace("[for n: 1]", "[for n: 1, for n: 1]").replace("[A, B, Z]", "[A, B, {Z: {fraction: 0.5}}]", 1),
        "m.yaml:3:3: DRAM keeps 1/2 of Z, and no keep outside it holds the rest; keep Z in a memory further out, or keep all of it",
    ),
}


@pytest.mark.parametrize("rule", GEMM)
def test_breach_in_a_single_einsum_is_named(rule: str) -> None:
    tree, message = GEMM[rule]
    assert str(problems(matmul(), machine(), mapping(tree, matmul()))[0]) == message


def test_a_mapping_that_keeps_every_rule_is_legal() -> None:
    check(matmul(), machine(), mapping(GOOD_GEMM, matmul()))
    assert is_legal(matmul(), machine(), mapping(GOOD_GEMM, matmul()))


def test_check_raises_the_first_problem_with_its_place_and_exit_code_1() -> None:
    with pytest.raises(IllegalMapping) as caught:
        check(matmul(), machine(), mapping(GOOD_GEMM.replace("for m: 4", "for m: 9"), matmul()))
    assert str(caught.value) == "m.yaml:4:3: tile 9 of m is larger than the 8 that is left of it; write at most 8"
    assert caught.value.exit_code == 1


SOFTMAX_INPUTS = "- keep DRAM: [Q, K, A]\n- keep Buffer: [QK, GM, SN, SD]\n"
LEAVES = {name: f"{{einsum: {name}, unit: {'PE' if name == 'QK' else 'V'}}}" for name in ("QK", "GM", "SN", "SD", "A")}


def _softmax(loops: str = "- for p: 1\n", order: str = "QK GM SN SD A", schedule: str = "sequential", **changed: str) -> str:
    leaves = {**LEAVES, **changed}
    return f"{SOFTMAX_INPUTS}{loops}- fuse {schedule}:\n" + "".join(f"  - {leaves[name]}\n" for name in order.split())


CHAIN: dict[str, tuple[str, str]] = {
    "missing": (_softmax(order="QK GM SN SD"), "A is not mapped; write {einsum: A, unit: …} where it should run"),
    "twice": (_softmax(order="QK GM SN SD A GM"), "m.yaml:12:5: GM is mapped twice; remove one of the two"),
    "unit lacks max": (
        _softmax(GM="{einsum: GM, unit: PE}"),
        "m.yaml:8:5: unit PE cannot execute GM: it has no 'max'; use V",
    ),
    "order": (_softmax(order="QK SN GM SD A"), "m.yaml:8:5: SN reads GM before GM makes it; move GM up"),
    "reduced above both": (
        _softmax(loops="- for m: 2\n"),
        "m.yaml:5:3: for m stands above GM and SN, but GM reduces m; "
        "move the loop into the branch of GM: no consumer may see partial results",
    ),
    "reduced above the whole fuse": (
        _softmax(loops="- for p: 1\n").replace("- keep Buffer: [QK, GM, SN, SD]", "- keep Buffer: [QK, GM, SN, SD]\n- for e: 1"),
        "m.yaml:5:3: for e stands above QK and GM, but QK reduces e; "
        "move the loop into the branch of QK: no consumer may see partial results",
    ),
    "no home": (
        _softmax().replace("QK, GM", "GM").replace(LEAVES["QK"], "{einsum: QK, unit: PE, loops: [keep DRAM: [QK]]}"),
        "m.yaml:8:5: nothing above GM keeps QK; add QK to a memory above its producer and consumers",
    ),
    "idle keep": (
        _softmax(GM="{einsum: GM, unit: V, loops: [keep Buffer: [Q]]}"),
        "m.yaml:8:35: Buffer keeps Q, which no Einsum below touches; remove it",
    ),
    "idle loop": (
        _softmax(GM="[for e: 1, {einsum: GM, unit: V}]"),
        "m.yaml:8:6: no Einsum below loops over 'e'; ranks below: m, p",
    ),
    "foreign loop of a leaf": (
        _softmax(GM="{einsum: GM, unit: V, loops: [for e: 1]}"),
        "m.yaml:8:35: GM has no rank 'e' to loop over; its ranks: p, m",
    ),
    "recompute of an input": (
        _softmax().replace("- fuse sequential:\n", "- fuse sequential:\n  - {recompute: [Q]}\n"),
        "m.yaml:6:3: recompute: no Einsum computes 'Q'; did you mean 'QK'?",
    ),
    "overwritten too early": (
        _softmax().replace("[QK, GM, SN, SD]", "['SN = A', GM, QK, SD]"),
        "",
    ),
    "overwritten before its last reader": (
        _softmax(order="QK GM SN A SD").replace("[QK, GM, SN, SD]", "[QK = SN, GM, SD]"),
        "m.yaml:10:5: A reads SD before SD makes it; move SD up",
    ),
    "not element-wise": (
        _softmax().replace("[QK, GM, SN, SD]", "[QK = GM, SN, SD]"),
        "m.yaml:4:3: GM cannot overwrite QK: GM does not read it element by element; keep QK, GM side by side",
    ),
    "stage order": (
        _softmax(schedule="staged").replace("- fuse staged:\n", "- fuse staged:\n  - {stages: [[QK, SN], [GM, SD, A]]}\n"),
        "m.yaml:6:3: stages: SN reads GM in a stage before GM makes it; move SN to a later stage, or write 'SN@prev'",
    ),
    "stage missing": (
        _softmax(schedule="staged").replace("- fuse staged:\n", "- fuse staged:\n  - {stages: [[QK, SN], [GM, SD]]}\n"),
        "m.yaml:6:3: stages: A is in no stage; name every Einsum of the fuse once",
    ),
    "stage unknown": (
        _softmax(schedule="staged").replace("- fuse staged:\n", "- fuse staged:\n  - {stages: [[QK, SN, B], [GM, SD, A]]}\n"),
        "m.yaml:6:3: stages: no Einsum 'B' in this fuse; known: A, GM, QK, SD, SN",
    ),
}


@pytest.mark.parametrize("rule", CHAIN)
def test_breach_in_a_chain_is_named(rule: str) -> None:
    tree, message = CHAIN[rule]
    found = problems(softmax(), machine(), mapping(tree, softmax()))
    assert [str(problem) for problem in found[:1]] == ([message] if message else [])


BRANCH = """
- keep DRAM: [Q, K, A]
- keep Buffer: [GM, SN, SD]
- fuse sequential:
  - {einsum: QK, unit: V, loops: [LOOPS1keep Buffer: [QK]LOOPS2]}
  - {einsum: GM, unit: V, loops: [LOOPS3keep Buffer: [QK]]}
  - {einsum: SN, unit: V, loops: [keep Buffer: [QK]]}
  - {einsum: SD, unit: V}
  - {einsum: A, unit: V}
"""


def _branch(one: str = "", two: str = "", three: str = "") -> str:
    return BRANCH.replace("LOOPS1", one).replace("LOOPS2", two).replace("LOOPS3", three)


def test_a_tensor_may_pass_between_keeps_of_one_memory_at_the_top_of_branches() -> None:
    assert problems(softmax(), machine(), mapping(_branch(two=", for m: 2"), softmax())) == []


def test_a_tensor_may_not_pass_through_a_keep_below_a_loop_of_its_branch() -> None:
    found = problems(softmax(), machine(), mapping(_branch(three="for m: 2, "), softmax()))
    message = (
        "m.yaml:7:45: QK passes between branches, but its keep Buffer above GM stands below for m; "
        "keep it above that loop, or above the fuse"
    )
    assert [str(problem) for problem in found] == [message]


def test_a_tensor_may_not_pass_between_keeps_of_two_memories() -> None:
    tree = _branch().replace("[keep Buffer: [QK]]}\n  - {einsum: SD", "[keep DRAM: [QK]]}\n  - {einsum: SD")
    message = "m.yaml:8:35: QK has no common home: Buffer keeps it for QK, DRAM for SN; keep QK above the fuse that joins them"
    assert [str(problem) for problem in problems(softmax(), machine(), mapping(tree, softmax()))] == [message]


def test_copies_hand_over_what_they_made_themselves() -> None:
    tree = """
- keep DRAM: [A, B, Z]
- fuse sequential:
  - {einsum: T, unit: PE, loops: [spatial x m: 2, keep Reg: [T]]}
  - {einsum: Z, unit: PE, loops: [spatial AXIS m: 2, keep Reg: [T]]}
"""
    from accelsim.workload.build import cascade

    made = cascade("two", "T[m] = A[m,k] * B[k]; Z[m] = T[m] * T[m]", {"m": 4, "k": 3})
    assert problems(made, machine(), mapping(tree.replace("AXIS", "x"), made)) == []
    message = (
        "m.yaml:6:51: T passes between branches, but Reg keeps it below other spatial loops for Z than T; "
        "use the same spatial loops above both keeps, or keep it above the fuse"
    )
    assert [str(problem) for problem in problems(made, machine(), mapping(tree.replace("AXIS", "y"), made))] == [message]


def test_partial_results_of_copies_meet_above_the_copies() -> None:
    from accelsim.workload.build import cascade

    tree = """
- keep DRAM: [A, B, Z]
ABOVE- spatial y k: 2
BELOW- fuse sequential:
  - {einsum: T, unit: PE}
  - {einsum: Z, unit: PE}
"""
    made = cascade("two", "T[m] = A[m,k] * B[k]; Z[m] = T[m] * T[m]", {"m": 4, "k": 4})
    above, below = "- keep Buffer: [T]\n", "- keep Reg: [T]\n"
    assert problems(made, machine(), mapping(tree.replace("ABOVE", above).replace("BELOW", ""), made)) == []
    message = (
        "m.yaml:4:3: copies along y hold partial results of T, but T is kept inside spatial y k; "
        "keep T above the loop, where the copies' results are combined"
    )
    found = problems(made, machine(), mapping(tree.replace("BELOW", below).replace("ABOVE", ""), made))
    assert [str(problem) for problem in found] == [message]


RUNNING = """
- keep DRAM: [X, O]
- keep Buffer: [RM, RD]
- for i: SLICES
- keep Buffer: [LM, PR, SP]
- fuse sequential:
  - {einsum: LM, unit: V}
  - {einsum: RM, unit: V}
  - {einsum: PR, unit: V}
  - {einsum: SP, unit: V}
  - {einsum: RD, unit: V}
  - {einsum: O, unit: V}
"""
GOOD_RUNNING = RUNNING.replace("SLICES", "1")
RECURRENCES: dict[str, tuple[str, str]] = {
    "one slice at a time": (GOOD_RUNNING, ""),
    "several slices at a time": (
        RUNNING.replace("SLICES", "2"),
        "m.yaml:11:5: SP reads earlier slices of RD before RD makes them, 2 at a time; loop 'for i: 1' above both, or move RD up",
    ),
    "state lost": (
        GOOD_RUNNING.replace("[RM, RD]", "[RD]").replace("[LM, PR, SP]", "[LM, PR, SP, RM]"),
        "m.yaml:5:3: RM reads RM of earlier iterations of for i, but RM is kept inside that loop; keep RM above the loop",
    ),
    "last slice read inside the loop": (
        GOOD_RUNNING.replace("- for i: 1", "- for p: 1\n- for i: 1"),
        "",
    ),
}


@pytest.mark.parametrize("rule", RECURRENCES)
def test_breach_in_a_recurrence_is_named(rule: str) -> None:
    tree, message = RECURRENCES[rule]
    found = problems(running(), machine(), mapping(tree, running()))
    assert [str(problem) for problem in found[:1]] == ([message] if message else [])


def test_a_recurrence_is_not_spread_over_copies() -> None:
    from accelsim.workload.build import cascade

    made = cascade("scan", "H[0] = 0; H[t+1] = A[t] * H[t] + X[t]; Y[t] = H[t+1] * C[t]", {"t": 4})
    tree = """
- keep DRAM: [A, X, C, H, Y]
- fuse sequential:
  - {einsum: H, unit: PE, loops: [spatial x t: 1]}
  - {einsum: Y, unit: PE}
"""
    found = [str(problem) for problem in problems(made, machine(), mapping(tree, made))]
    assert "m.yaml:5:35: H advances slice by slice along t, which spatial x spreads over copies; loop over t in time" in found


PAIR = """
- keep DRAM: [X, W, U, Y]
HOME_ABOVE- for v: TILE
HOME_BELOW- fuse sequential:
RECOMPUTE  - {einsum: T, unit: PE}
  - {einsum: Y, unit: PE}
"""


def _pair(above: str = "", below: str = "", recompute: str = "", tile: int = 2) -> str:
    text = PAIR.replace("HOME_ABOVE", above).replace("HOME_BELOW", below).replace("RECOMPUTE", recompute)
    return text.replace("TILE", str(tile))


@pytest.mark.parametrize(
    "tree, message",
    [
        (_pair(above="- keep Buffer: [T]\n"), ""),
        (_pair(below="- keep Buffer: [T]\n", recompute="  - {recompute: [T]}\n"), ""),
        (_pair(below="- keep Buffer: [T]\n", tile=8), ""),
        (
            _pair(below="- keep Buffer: [T]\n"),
            "m.yaml:4:3: every iteration over v needs T again, but it is kept inside that loop; "
            "keep T above the loop, or write 'recompute: [T]' in the fuse",
        ),
    ],
)
def test_overlap_is_retained_or_recomputed(tree: str, message: str) -> None:
    found = problems(convolutions(), machine(), mapping(tree, convolutions()))
    assert [str(problem) for problem in found] == ([message] if message else [])


def test_a_loop_over_a_rank_of_the_producer_only_is_refused() -> None:
    tree = _pair(above="- keep Buffer: [T]\n").replace("for v", "for u")
    found = problems(convolutions(), machine(), mapping(tree, convolutions()))
    message = (
        "m.yaml:5:3: for u stands above T and Y, which reads T beyond the tile just made; "
        "move the loop into the branches, or loop over a rank of Y"
    )
    assert [str(problem) for problem in found] == [message]


@pytest.mark.parametrize("make", [matmul, softmax, convolutions])
def test_the_whole_kept_in_the_outermost_memory_without_loops_is_legal(make: Callable[[], Cascade]) -> None:
    made = make()
    leaves = "".join(f"  - {{einsum: {einsum.name}, unit: U}}\n" for einsum in made.work)
    tree = f"- keep DRAM: [{', '.join(made.tensors)}]\n- fuse sequential:\n{leaves}"
    from fractions import Fraction

    from accelsim.hardware.architecture import Architecture, Memory
    from tests.mapping.machines import unit

    simple = Architecture("simple", Memory("DRAM", feeds=(unit("U", "mac", "add", "sub", "mul", "exp", "max", "div"),)), Fraction(1))
    check(made, simple, mapping(tree, made))
