"""What memories hold at their fullest moment, worked out by hand in the comments."""

from __future__ import annotations

from fractions import Fraction

import pytest

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture, Memory
from accelsim.mapping.legality import check, problems
from accelsim.mapping.occupancy import occupancy
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration
from tests.mapping.machines import convolutions, machine, mapping, matmul, running, softmax, unit


def _buffer(made: Cascade, tree: str, memory: str = "Buffer") -> int:
    tree_mapping = mapping(tree, made)
    check(made, machine(register_bits=1 << 20), tree_mapping)
    return occupancy(made, machine(), tree_mapping)[memory]


def _gemm(loops: str, inner: str = "") -> str:
    return f"- keep DRAM: [A, B, Z]\n{loops}- {{einsum: Z, unit: PE, loops: [{inner}]}}\n"


def test_a_keep_holds_the_tile_that_the_loops_above_leave() -> None:
    # A[3,4] and B[4,6] in 16 bits
    assert _buffer(matmul(), _gemm("- for m: 3\n- keep Buffer: [A, B]\n")) == (3 * 4 + 4 * 6) * 16


def test_copies_multiply_and_a_fraction_is_rounded_down_to_whole_words() -> None:
    # three tiles of A[3,4], and floor(24 * 0.3) = 7 words of B
    tree = _gemm("- for m: 3\n- keep Buffer: [{A: {copies: 3}}, {B: {fraction: 0.3}}]\n")
    assert _buffer(matmul(), tree) == 3 * 12 * 16 + 7 * 16


def test_a_memory_that_receives_partial_results_holds_them_in_the_wide_type() -> None:
    # Z[8,6]: k turns above the keep, inside the keep, or in the residual below it: partial results of 32 bits
    for loops in ("- for k: 2\n- keep Buffer: [Z]\n", "- keep Buffer: [Z]\n- for k: 2\n", "- keep Buffer: [Z]\n"):
        assert _buffer(matmul(), _gemm(loops)) == 48 * 32


def test_a_memory_that_receives_whole_results_holds_them_in_the_narrow_type() -> None:
    # the register Z[1,1] takes all of k, so the buffer above it sees only whole results
    tree = _gemm("- keep Buffer: [Z]\n- for m: 1\n- for n: 1\n- keep Reg: [Z]\n")
    assert _buffer(matmul(), tree) == 48 * 16
    assert _buffer(matmul(), tree, "Reg") == 32


def test_an_axis_that_adds_up_delivers_whole_results_and_one_that_does_not_delivers_partial_ones() -> None:
    # k is spread completely: y adds the copies up on the way, x does not
    tree = "- keep DRAM: [A, B, Z]\n- keep Buffer: [Z]\n- spatial AXIS k: TILE\n- {einsum: Z, unit: PE, loops: [keep Reg: [Z]]}\n"
    whole = tree.replace("AXIS k: TILE", "y k: 2")
    assert _buffer(matmul(), whole) == 48 * 16
    assert _buffer(matmul(), whole, "Reg") == 48 * 32
    assert _buffer(matmul(), tree.replace("AXIS k: TILE", "x k: 1")) == 48 * 32


def test_a_window_holds_its_whole_hull() -> None:
    # Y over v of 2 reads T at v+r: 4 words; T is made from X at u+s: 6 words
    tree = """
- keep DRAM: [X, W, U, Y, T]
- fuse sequential:
  - [for u: 4, {einsum: T, unit: PE, loops: [keep Buffer: [X]]}]
  - [for v: 2, {einsum: Y, unit: PE, loops: [keep Buffer: [T]]}]
"""
    assert _buffer(convolutions(), tree) == 6 * 16
    assert _buffer(convolutions(), tree.replace("keep Buffer: [X]", "keep Buffer: [W]")) == 4 * 16


def test_a_derived_loop_makes_the_producer_hold_what_its_consumer_demands() -> None:
    # v of 2 demands T of 4, which demands X of 6
    tree = """
- keep DRAM: [X, W, U, Y]
- keep Buffer: [T]
- for v: 2
- fuse sequential:
  - {einsum: T, unit: PE, loops: [keep Reg: [X]]}
  - {einsum: Y, unit: PE, loops: [keep Reg: [T]]}
"""
    assert _buffer(convolutions(), tree, "Reg") == 6 * 16
    assert _buffer(convolutions(), tree) == 10 * 16
    below = tree.replace("- keep Buffer: [T]\n- for v: 2\n", "- for v: 2\n- keep Buffer: [T]\n")
    below = below.replace("sequential:\n", "sequential:\n  - {recompute: [T]}\n")
    assert _buffer(convolutions(), below) == 4 * 16


SOFTMAX = """
- keep DRAM: [Q, K, A]
- for p: 2
KEEP- fuse SCHEDULE:
  - {einsum: QK, unit: PE, loops: [keep Buffer: [Q, K]]}
  - {einsum: GM, unit: V}
  - {einsum: SN, unit: V}
  - {einsum: SD, unit: V}
  - {einsum: A, unit: V, loops: [keep Buffer: [A]]}
"""
# words for p of 2, m of 8, e of 2: Q 4, K 16, QK 16, GM 2, SN 16, SD 2, A 16


def _softmax(schedule: str = "sequential", keep: str = "- keep Buffer: [QK, GM, SN, SD]\n") -> int:
    return _buffer(softmax(), SOFTMAX.replace("SCHEDULE", schedule).replace("KEEP", keep)) // 16


def test_a_sequential_fuse_holds_an_intermediate_from_its_writer_to_its_last_reader() -> None:
    # by branch: Q K QK = 36; QK GM = 18; QK GM SN = 34; SN SD = 18; SN SD A = 34
    assert _softmax() == 36


def test_staged_and_pipelined_fuses_hold_everything_at_once() -> None:
    assert _softmax("pipelined") == _softmax("staged") == 4 + 16 + 16 + 2 + 16 + 2 + 16


def test_a_tensor_kept_above_a_turning_loop_stays_for_all_iterations() -> None:
    # kept above for p: QK, GM, SN and SD of all p (4) stay: 32 + 4 + 32 + 4, beside Q and K of one iteration
    tree = SOFTMAX.replace("SCHEDULE", "sequential").replace("KEEP", "")
    tree = tree.replace("- for p: 2", "- keep Buffer: [QK, GM, SN, SD]\n- for p: 2")
    assert _buffer(softmax(), tree) // 16 == 72 + 20


def test_tensors_in_place_share_one_space() -> None:
    # QK, SN share 16 words: Q K QK = 36; QK=SN GM = 18; then with SD and A: 16 + 2 + 16
    assert _softmax(keep="- keep Buffer: ['QK = SN', GM, SD]\n") == 36
    assert _softmax("pipelined", keep="- keep Buffer: ['QK = SN', GM, SD]\n") == 4 + 16 + 16 + 2 + 2 + 16


def test_a_home_at_the_top_of_branches_is_one_space_from_first_writer_to_last_reader() -> None:
    tree = """
- keep DRAM: [Q, K, A]
- keep Buffer: [GM, SN, SD]
- fuse SCHEDULE:
  - {einsum: QK, unit: V, loops: [keep Buffer: [QK]]}
  - {einsum: GM, unit: V, loops: [keep Buffer: [QK]]}
  - {einsum: SN, unit: V, loops: [keep Buffer: [QK]]}
  - {einsum: SD, unit: V}
  - {einsum: A, unit: V}
"""
    # p of 4: QK 32, GM 4, SN 32, SD 4; fullest while SN is made: QK GM SN
    assert _buffer(softmax(), tree.replace("SCHEDULE", "sequential")) // 16 == 68
    assert _buffer(softmax(), tree.replace("SCHEDULE", "pipelined")) // 16 == 72


RUNNING = """
- keep DRAM: [X, O]
- keep Buffer: [RM, RD]
- for p: TILE
- for i: 1
- keep Buffer: [LM, PR, SP]
- fuse pipelined:
  - {einsum: LM, unit: V}
  - {einsum: RM, unit: V}
  - {einsum: PR, unit: V}
  - {einsum: SP, unit: V}
  - {einsum: RD, unit: V}
  - {einsum: O, unit: V}
"""


def test_an_iterative_tensor_holds_one_slice_and_a_second_only_for_the_tile_in_flight() -> None:
    # PR reads the old maximum after the new one is made: RM 4 words and 1 (tile of p in flight); SP reads the old RD before: 4 words
    # LM, PR, SP: 1 word each
    assert _buffer(running(), RUNNING.replace("TILE", "1")) // 16 == 4 + 1 + 4 + 3
    assert _buffer(running(), RUNNING.replace("TILE", "2")) // 16 == 4 + 2 + 4 + 6


def test_a_recurrence_read_only_at_its_end_holds_one_slice_however_long_it_is() -> None:
    from accelsim.workload.build import cascade

    text = "RM[0,p] = -inf; RM[i+1,p] = max(RM[i,p], X[i,p]); O[p] = exp(RM[I,p])"
    made = cascade("last", text, {"i": 1000, "p": 4})
    tree = "- keep DRAM: [X, O]\n- keep Buffer: [RM]\n- fuse sequential:\n  - {einsum: RM, unit: V}\n  - {einsum: O, unit: V}\n"
    assert _buffer(made, tree) == 4 * 16


def test_a_recurrence_whose_slices_are_all_read_later_holds_them_all() -> None:
    from accelsim.workload.build import cascade

    made = cascade("scan", "H[0] = 0; H[t+1] = A[t] * H[t] + X[t]; Y[t] = H[t+1] * C[t]", {"t": 10})
    tree = "- keep DRAM: [A, X, C, Y]\n- keep Buffer: [H]\n- fuse sequential:\n  - {einsum: H, unit: PE}\n  - {einsum: Y, unit: PE}\n"
    assert _buffer(made, tree) == 10 * 16


FULL = "- keep DRAM: [A, B, Z]\n- for m: 4\n- keep Buffer: [A, B]\n- for n: 2\n- keep Buffer: [Z]\n- {einsum: Z, unit: PE}\n"


@pytest.mark.parametrize(
    "bits, message",
    [
        (16 * 16, "m.yaml:5:3: tile B[4,6] needs 48 B, Buffer holds 32 B; shrink k or n"),
        (40 * 16, "m.yaml:5:3: tiles B[4,6], A[4,4], Z[4,2] need 112 B together, Buffer holds 80 B; shrink k or n"),
        (56 * 16, ""),
    ],
)
def test_what_does_not_fit_is_named_with_the_ranks_to_shrink(bits: int, message: str) -> None:
    made = matmul()
    found = problems(made, machine(buffer_bits=bits), mapping(FULL, made))
    assert [str(problem) for problem in found] == ([message] if message else [])
    if message:
        assert isinstance(found[0], IllegalMapping)


def test_words_that_values_choose_are_fewer_if_values_do_not_go_as_far() -> None:
    made = cascade("table", "Z[m] = A[I[m]] * B[m]", {"m": 4}, tensors={"I": TensorDeclaration(below=16)})
    tree = mapping("- keep DRAM: [A, B, I, Z]\n- keep Buffer: [A]\n- {einsum: Z, unit: PE}\n", made)
    buffer = Memory("Buffer", 15 * 16, feeds=(unit("PE", "mul", "select"),))
    found = problems(made, Architecture("toy", Memory("DRAM", feeds=(buffer,)), Fraction(10**9)), tree)
    assert [str(problem) for problem in found] == ["m.yaml:4:3: tile A[16] needs 32 B, Buffer holds 30 B; shrink 'below' of I"]


def test_a_memory_of_unlimited_size_holds_anything() -> None:
    made = matmul()
    assert occupancy(made, machine(), mapping(FULL, made))["DRAM"] == (32 + 24) * 16 + 48 * 16
    assert isinstance(machine(), Architecture)
