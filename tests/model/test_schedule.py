"""Time of small mappings against schedules drawn by hand; the arithmetic stands beside each."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Operation, Unit
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, Stage, TreeNode
from accelsim.model.evaluation import Evaluation, evaluate
from accelsim.model.schedule import iterations
from accelsim.workload import build
from accelsim.workload.cascade import Cascade
from tests.model.published import cascade

CLOCK = Fraction(10**9)


def unit(name: str, cycles: int, depth: int = 0) -> Unit:
    return Unit(name, {kind: Operation(kind, Fraction(cycles)) for kind in ("mul", "max", "mac")}, 1, depth)


def machine(u: Unit, v: Unit, bits_per_cycle: Fraction | None = None) -> Architecture:
    """DRAM, perhaps with a bandwidth, then a Buffer without one, then two units side by side."""
    rate = None if bits_per_cycle is None else bits_per_cycle * CLOCK
    return Architecture("machine", Memory("DRAM", read_bits_per_s=rate, feeds=(Memory("Buffer", feeds=(u, v)),)), CLOCK)


def keep(memory: str, *tensors: str, copies: int = 1) -> Keep:
    return Keep(memory, tuple(Held(tensor, copies) for tensor in tensors))


def parts(evaluation: Evaluation) -> tuple[Fraction, Fraction, Fraction, int]:
    """Steady, fill, drain and total cycles."""
    clock, timing = evaluation.evaluator.clock, evaluation.timing
    return evaluation.steady_cycles, clock.cycles(timing.fill), clock.cycles(timing.drain), evaluation.cycles


PAIR = cascade("pair", ["T[i] = A[i] * B[i]", "Z[i] = T[i] * C[i]"], {"i": 8})


def paired(schedule: str, first: str, second: str, copies: int = 2) -> Mapping:
    """Both Einsums under a loop of eight iterations, T passing through the Buffer."""
    branches = ((keep("Buffer", "T", copies=copies), Leaf("T", first)), (keep("Buffer", "T", copies=copies), Leaf("Z", second)))
    return Mapping("by hand", (keep("DRAM", "A", "B", "C", "Z"), For("i", 1), Fuse(schedule, branches)))


def test_sequential_einsums_take_the_sum_of_what_each_waits_for() -> None:
    # T: 8 x 3 cycles on U; Z: 8 x 2 on V. DRAM moves one 8-bit word per cycle: A and B 16 for T, C and Z 16 for Z.
    mapping = paired("sequential", "U", "V")
    assert parts(evaluate(PAIR, machine(unit("U", 3), unit("V", 2)), mapping)) == (24 + 16, 0, 0, 40)
    assert parts(evaluate(PAIR, machine(unit("U", 3), unit("V", 2), Fraction(8)), mapping)) == (24 + 16, 0, 0, 40)
    assert parts(evaluate(PAIR, machine(unit("U", 3), unit("V", 2), Fraction(4)), mapping)) == (32 + 32, 0, 0, 64)
    assert parts(evaluate(PAIR, machine(unit("U", 3), unit("V", 2), Fraction(6)), mapping)) == (24 + Fraction(64, 3), 0, 0, 46)  # 45.33


def test_pipelined_einsums_on_two_units_overlap() -> None:
    # U starts iteration k at 3k, V follows at 3k + 3 and ends at 3k + 5; the last, k = 7, ends at 26.
    late = evaluate(PAIR, machine(unit("U", 3), unit("V", 2)), paired("pipelined", "U", "V"))
    assert parts(late) == (24, 0, 2, 26)
    assert {name: late.evaluator.clock.cycles(ticks) for name, ticks in late.timing.offsets.items()} == {"T": 0, "Z": 3}
    # the slower unit second: it waits 2 cycles for its first word, then never again
    assert parts(evaluate(PAIR, machine(unit("U", 3), unit("V", 2)), paired("pipelined", "V", "U"))) == (24, 2, 0, 26)


def test_one_tile_above_the_fuse_makes_its_producer_wait() -> None:
    # T's only place, kept above the body and below its loop, is written for 3 cycles and read for 2 before it is free: 8 x 5.
    # With two places U never waits: 8 x 3. Above the loop every iteration has a place of its own.
    where = machine(unit("U", 3), unit("V", 2))
    fuse = Fuse("pipelined", ((Leaf("T", "U"),), (Leaf("Z", "V"),)))
    outer = keep("DRAM", "A", "B", "C", "Z")
    for copies, steady in ((1, 40), (2, 24)):
        mapping = Mapping("by hand", (outer, For("i", 1), keep("Buffer", "T", copies=copies), fuse))
        assert parts(evaluate(PAIR, where, mapping))[0] == steady
    mapping = Mapping("by hand", (outer, keep("Buffer", "T"), For("i", 1), fuse))
    assert parts(evaluate(PAIR, where, mapping))[0] == 24


def test_pipelined_einsums_on_one_unit_take_turns() -> None:
    assert parts(evaluate(PAIR, machine(unit("U", 3), unit("V", 2)), paired("pipelined", "U", "U"))) == (48, 0, 0, 48)


def test_share_that_one_iteration_has_of_the_time_is_exact() -> None:
    # tiles of 3, 3 and 2: an iteration is a third of 24 cycles on U and of 16 on V; what V does after U's last third is 5 1/3
    held = keep("Buffer", "T", copies=2)
    fuse = Fuse("pipelined", ((held, Leaf("T", "U")), (held, Leaf("Z", "V"))))
    mapping = Mapping("by hand", (keep("DRAM", "A", "B", "C", "Z"), For("i", 3), fuse))
    assert parts(evaluate(PAIR, machine(unit("U", 3), unit("V", 2)), mapping)) == (24, 0, Fraction(16, 3), 30)


def test_ports_serve_all_einsums_of_a_pipeline() -> None:
    # 32 words of 8 bits at 8 bits per cycle: 32 cycles, more than the 24 of U; at 64 bits per cycle, 4 cycles
    assert parts(evaluate(PAIR, machine(unit("U", 3), unit("V", 2), Fraction(8)), paired("pipelined", "U", "V")))[0] == 32
    assert parts(evaluate(PAIR, machine(unit("U", 3), unit("V", 2), Fraction(64)), paired("pipelined", "U", "V")))[0] == 24


@pytest.mark.parametrize(("copies", "steady", "total"), [(1, 40, 40), (2, 24, 26), (3, 24, 26)])
def test_tile_with_one_copy_makes_the_producer_wait_for_the_reader(copies: int, steady: int, total: int) -> None:
    # with one copy, U starts its next word when V has read the last one: every 3 + 2 cycles; two copies allow every 5/2, U needs 3
    found = evaluate(PAIR, machine(unit("U", 3), unit("V", 2)), paired("pipelined", "U", "V", copies))
    assert (found.steady_cycles, found.cycles) == (steady, total)


def test_private_copy_of_what_waits_further_out_makes_nobody_wait() -> None:
    inner = Memory("Registers", feeds=(unit("U", 3),))
    where = Architecture("machine", Memory("DRAM", feeds=(Memory("Buffer", feeds=(inner, unit("V", 2))),)), CLOCK)
    fuse = Fuse("pipelined", ((Leaf("T", "U", (keep("Registers", "T"),)),), (Leaf("Z", "V"),)))
    mapping = Mapping("by hand", (keep("DRAM", "A", "B", "C", "Z"), keep("Buffer", "T"), For("i", 1), fuse))
    assert parts(evaluate(PAIR, where, mapping)) == (24, 0, 2, 26)  # all eight words of T wait in the Buffer


def test_memory_with_separate_ports_reads_for_one_einsum_while_it_writes_for_another() -> None:
    # at 2 cycles per 8-bit word: T reads 16 words and writes none, Z reads 8 and writes 8; the read port is busy 48 cycles, the other 16
    where = machine(unit("U", 3), unit("V", 2), Fraction(4))
    separate = replace(where, root=replace(where.root, ports="separate", write_bits_per_s=4 * CLOCK))
    assert parts(evaluate(PAIR, separate, paired("pipelined", "U", "V")))[0] == 48
    assert parts(evaluate(PAIR, where, paired("pipelined", "U", "V")))[0] == 64
    # writing at a sixth of the speed, the 8 words of Z take 96 cycles: more than all reads; in a sequence they add to the 32 for T
    slow = replace(where, root=replace(where.root, ports="separate", write_bits_per_s=CLOCK * 4 / 6))
    assert parts(evaluate(PAIR, slow, paired("pipelined", "U", "V")))[0] == 96
    assert parts(evaluate(PAIR, slow, paired("sequential", "U", "V")))[0] == 32 + 96


def test_depth_of_a_unit_delays_its_reader_and_not_its_next_iteration() -> None:
    # U takes a word every 3 cycles and gives it 10 later: V runs from 3k + 13 to 3k + 15, the last from 34 to 36
    mapping = paired("pipelined", "U", "V", copies=9)
    assert parts(evaluate(PAIR, machine(unit("U", 3, depth=10), unit("V", 2)), mapping)) == (24, 0, 12, 36)


COLUMN = cascade("column", ["L[i] = X[i,j]", "Z[i] = L[i] * C[i]"], {"i": 8, "j": 4}, reduce={"L": "max"})


def columns(latency: int) -> Architecture:
    """A vector unit of 2 cycles beside a row of 4 elements that finds a maximum `latency` cycles after its issue."""
    row = Axis("row", 4, reduces=("max",), reduction_latency={"max": latency})
    array = Array("rows", (row,), feeds=(unit("PE", 1),))
    return Architecture("machine", Memory("DRAM", feeds=(Memory("Buffer", feeds=(unit("V", 2), array)),)), CLOCK)


def columned(fuse: str, stages: tuple[Stage, ...] = (), copies: int = 9) -> Mapping:
    held = keep("Buffer", "L", copies=copies)
    branches: tuple[tuple[TreeNode, ...], ...] = ((held, Leaf("L", "PE", (Spatial("row", "j", 1),))), (held, Leaf("Z", "V")))
    return Mapping("by hand", (keep("DRAM", "X", "C", "Z"), For("i", 1), Fuse(fuse, branches, stages)))


@pytest.mark.parametrize("stages", [(), (Stage(("L",)), Stage(("Z",)))])
def test_stage_ends_when_the_latency_that_nothing_hides_has_passed(stages: tuple[Stage, ...]) -> None:
    # every iteration: 1 issue, 4 cycles down the column, then 2 cycles on V
    assert parts(evaluate(COLUMN, columns(4), columned("staged", stages))) == (8 * (1 + 4 + 2), 0, 0, 56)
    assert parts(evaluate(COLUMN, columns(0), columned("staged", stages))) == (8 * (1 + 2), 0, 0, 24)


def test_stage_may_run_an_einsum_of_the_iteration_before() -> None:
    # Z of the iteration before runs beside L: 8 x max(1 + 4, 2)
    found = evaluate(COLUMN, columns(4), columned("staged", (Stage(("L",), previous=("Z",)),)))
    assert found.steady_cycles == 8 * 5


def test_pipeline_hides_the_latency_of_a_reduction_but_for_the_first() -> None:
    # V decides: it starts at 5 and runs 8 x 2 cycles
    assert parts(evaluate(COLUMN, columns(4), columned("pipelined"))) == (16, 5, 0, 21)


def test_two_stages_on_two_units_charge_their_busier_unit() -> None:
    made = cascade("fork", ["S[i] = A[i] * B[i]", "T[i] = A[i] * C[i]", "Z[i] = S[i] * T[i]"], {"i": 8})
    held = keep("Buffer", "S", "T")
    branches = ((keep("Buffer", "S"), Leaf("S", "U")), (keep("Buffer", "T"), Leaf("T", "V")), (held, Leaf("Z", "V")))
    mapping = Mapping("by hand", (keep("DRAM", "A", "B", "C", "Z"), For("i", 1), Fuse("staged", branches)))
    # levels of the graph: S (3 cycles) beside T (2), then Z (2)
    assert parts(evaluate(made, machine(unit("U", 3), unit("V", 2)), mapping)) == (8 * (3 + 2), 0, 0, 40)


def running(p: int) -> Cascade:
    texts = ["LM[i,p] = X[i,p] * Y[i,p]", "RM[i+1,p] = max(RM[i,p], LM[i,p])"]
    return cascade("running", texts, {"i": 4, "p": p}, ("RM",), iterative={"RM": (0, 1)})


def stepped(*ranks: str) -> Mapping:
    held = keep("Buffer", "LM", copies=20)
    loops = tuple(For(rank, 1) for rank in ranks)
    fuse = Fuse("pipelined", ((held, Leaf("LM", "U")), (held, Leaf("RM", "V"))))
    return Mapping("by hand", (keep("DRAM", "X", "Y", "RM"), *loops, fuse))


def test_recurrence_waits_for_its_last_step_unless_others_turn_in_between() -> None:
    # V takes 2 cycles and its result is there 7 later: a step of one running maximum every 9 cycles
    where = machine(unit("U", 1), unit("V", 2, depth=7))
    alone = evaluate(running(3), where, stepped("p", "i"))
    assert alone.steady_cycles == 12 * 9
    # three maxima in turn: a step of one every 3 x 3 cycles; the last of 12 starts at 1 + 11 x 3 and ends 9 later
    assert parts(evaluate(running(3), where, stepped("i", "p"))) == (12 * 3, 0, 7, 43)
    # six in turn would allow one every 9/6 cycles, and V needs 2: it starts at 1, and the last result comes 7 after 1 + 24 x 2
    assert parts(evaluate(running(6), where, stepped("i", "p"))) == (24 * 2, 1, 7, 56)


def test_iterations_are_the_points_of_uneven_loops_of_the_first_copy() -> None:
    made = cascade("uneven", ["Z[i,j] = A[i,j]"], {"i": 10, "j": 5})
    assert iterations(made, ()) == 1
    assert iterations(made, (For("i", 4),)) == 3  # 4, 4, 2
    assert iterations(made, (For("i", 4), For("j", 2), For("i", 3))) == (2 + 2 + 1) * 3
    assert iterations(made, (Spatial("x", "i", 6), For("i", 4))) == 2  # the first copy has 6


def test_branch_that_pipelines_inside_a_sequence_adds_its_own_time() -> None:
    made = cascade("three", ["S[i] = A[i] * B[i]", "T[i] = S[i] * C[i]", "Z[i] = T[i] * C[i]"], {"i": 8})
    held = keep("Buffer", "S", copies=2)
    inner = Fuse("pipelined", ((held, Leaf("S", "U")), (held, Leaf("T", "V"))))
    outer = Fuse("sequential", ((For("i", 1), inner), (Leaf("Z", "U"),)))
    mapping = Mapping("by hand", (keep("DRAM", "A", "B", "C", "Z"), keep("Buffer", "T"), outer))
    # S and T as in the pipeline above: 24 and 2 to drain; then Z, 8 x 3
    assert parts(evaluate(made, machine(unit("U", 3), unit("V", 2)), mapping)) == (24 + 24, 0, 2, 50)


def test_loop_that_a_recurrence_of_two_einsums_lacks_is_followed_once_round_it() -> None:
    texts = ["S[i,p] = R[i,p] * X[i,p]", "R[i+1,p] = max(S[i,p], Y[i,p])", "Z[f,p] = R[I,p] * W[f]"]
    made = cascade("ring", texts, {"i": 3, "p": 2, "f": 4}, iterative={"R": (0, 1)})
    ring = Fuse("pipelined", ((Leaf("S", "U"),), (Leaf("R", "U"),)))
    fuse = Fuse("sequential", ((For("i", 1), ring), (Leaf("Z", "U"),)))
    mapping = Mapping("by hand", (keep("DRAM", "X", "Y", "W", "Z"), keep("Buffer", "R", "S"), For("f", 1), fuse))
    # S and R run once, 3 x 2 points each, and Z 4 x 2 points, at 3 cycles a point
    assert evaluate(made, machine(unit("U", 3), unit("V", 2)), mapping).cycles == 3 * (6 + 6 + 8)


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ((Stage(("L",)),), "the stages do not list every Einsum of the fuse once; name each of L, Z"),
        ((Stage(("L",)), Stage(("Z",), previous=("L",))), "the stages do not list every Einsum of the fuse once; name each of L, Z"),
    ],
)
def test_stages_that_do_not_list_every_einsum_once_are_refused(stages: tuple[Stage, ...], message: str) -> None:
    from accelsim.model.evaluation import Evaluator

    with pytest.raises(AccelsimError) as error:
        Evaluator(COLUMN, columns(4)).evaluate(columned("staged", stages), checked=True)
    assert str(error.value) == message


@pytest.mark.parametrize(("around", "total"), [((), 40), ((For("t", 4),), 32), ((For("t", 1),), 24)])
def test_reader_of_earlier_slices_waits_for_those_of_its_own_iteration(around: tuple[For, ...], total: int) -> None:
    # H: 8 x 3 cycles on U. Y: 2 on V for each of the 8 slices, or of the last 4, after H of its iteration; with one slice each, beside it.
    work = build.cascade("steps", ["H[0] = 1", "H[t+1] = A[t] * H[t]", "Y[t] = H[t] * B[t]"], {"t": 8})
    branches = ((Leaf("H", "U"),), (Leaf("Y", "V"),))
    mapping = Mapping("by hand", (keep("DRAM", "A", "B", "Y"), keep("Buffer", "H"), *around, Fuse("pipelined", branches)))
    assert evaluate(work, machine(unit("U", 3), unit("V", 2)), mapping).cycles == total
