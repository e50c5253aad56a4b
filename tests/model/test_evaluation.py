"""Bits, ports, prices and refusals of evaluations, worked out by hand beside each."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Node, Operation, Quantity, Unit
from accelsim.hardware.types import TYPES
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model import masks
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.limits import limits
from accelsim.workload import build
from accelsim.workload.cascade import Cascade
from tests.model.published import cascade, einsum

CLOCK = Fraction(10**9)
LEAF = Leaf("Z", "PE")
PRODUCT = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 4, "n": 3, "k": 2})  # int8, partial results int32


def unit(name: str = "PE", lanes: int = 1) -> Unit:
    price = Quantity(2, 1, 3)
    return Unit(name, {kind: Operation(kind, energy_pj=price) for kind in ("mac", "mul", "add", "max", "move")}, lanes)


def machine(*axes: Axis, lanes: int = 1, below: int = 0, bits_per_cycle: int | None = None, **figures: Any) -> Architecture:
    """DRAM, Buffer, PE; the axes stand below DRAM (0) or the Buffer (1). `figures` and the bandwidth are the Buffer's."""
    rate = None if bits_per_cycle is None else bits_per_cycle * CLOCK
    inside: tuple[Node, ...] = (unit("PE", lanes),)
    if axes and below:
        inside = (Array("array", axes, feeds=inside),)
    inside = (Memory("Buffer", read_bits_per_s=rate, feeds=inside, **figures),)
    if axes and not below:
        inside = (Array("array", axes, feeds=inside),)
    return Architecture("machine", Memory("DRAM", feeds=inside), CLOCK)


def keep(memory: str, *tensors: str, fraction: Fraction = Fraction(1)) -> Keep:
    return Keep(memory, tuple(Held(tensor, fraction=fraction) for tensor in tensors))


def evaluated(made: Cascade, where: Architecture, *nodes: TreeNode) -> Evaluation:
    return Evaluator(made, where).evaluate(Mapping("by hand", nodes), checked=True)


ALL = keep("DRAM", "A", "B", "Z")


def test_partial_results_are_as_wide_as_they_are_until_complete() -> None:
    found = evaluated(PRODUCT, machine(), ALL, For("m", 1), For("n", 1), keep("Buffer", "Z"), LEAF)
    # 24 updates of Z in the Buffer, 12 of them complete; 12 reads of partial results; 12 complete words leave
    assert found.bits["Z", "Z", "Buffer"] == (12 * 32 + 12 * 8, 0, 12 * 32 + 12 * 8)
    assert found.bits["Z", "Z", "DRAM"] == (0, 0, 12 * 8)
    assert found.traffic_bits("DRAM") == ((24 + 24) * 8, 12 * 8)


def test_partial_results_that_leave_are_wide_and_the_last_time_narrow() -> None:
    found = evaluated(PRODUCT, machine(), ALL, For("k", 1), For("m", 2), keep("Buffer", "Z"), LEAF)
    # 12 words leave after the first step of k as parts, come back, and leave complete
    assert found.bits["Z", "Z", "DRAM"] == (12 * 32, 0, 12 * 32 + 12 * 8)
    assert found.bits["Z", "Z", "Buffer"] == ((24 - 12) * 32 + 12 * 32 + 12 * 8, 12 * 32, 12 * 32 + 12 * 8)


def test_words_that_two_copies_send_are_parts() -> None:
    where = machine(Axis("x", 2, reduces=("add",)))
    found = evaluated(PRODUCT, where, ALL, Spatial("x", "k", 1), keep("Buffer", "Z"), LEAF)
    # each copy sends 12 parts of 32 bits; the axis adds them to 12 complete words
    assert found.counts.words["Z", "Z", "Buffer"] == [0, 0, 24, 24]
    assert found.bits["Z", "Z", "Buffer"][0] == 24 * 32
    assert found.bits["Z", "Z", "DRAM"] == (0, 0, 12 * 8)


def test_complete_results_overflow_with_their_fraction() -> None:
    found = evaluated(PRODUCT, machine(), ALL, keep("Buffer", "Z", fraction=Fraction(1, 2)), LEAF)
    # of 24 updates, 12 of them complete, half are the Buffer's; 6 of 12 words drain from there, and half the 12 reads stay
    assert found.counts.words["Z", "Z", "Buffer"] == [6, 0, 12, 6]
    assert found.bits["Z", "Z", "Buffer"] == (6 * 32 + 6 * 8, 0, 6 * 32 + 6 * 8)
    assert found.bits["Z", "Z", "DRAM"] == (6 * 32, 0, 6 * 8 + 6 * 32 + 6 * 8)


def test_block_scales_make_fractions_of_a_bit() -> None:
    scaled = replace(PRODUCT, tensors={**PRODUCT.tensors, "A": replace(PRODUCT.tensors["A"], final=TYPES["mxfp4"])})  # 4.25 bits
    found = evaluated(scaled, machine(), keep("DRAM", "B", "Z", "A"), keep("Buffer", "A"), LEAF)
    assert found.traffic_bits("Buffer") == (24 * Fraction(17, 4), 8 * Fraction(17, 4))
    assert found.to_json()["traffic"]["Buffer"] == {"read_bytes": 12.75, "write_bytes": 4.25}


@pytest.mark.parametrize(("rows", "cycles"), [(4, 4), (5, 6), (6, 6)])
def test_port_of_a_memory_with_copies_takes_the_time_of_the_first(rows: int, cycles: int) -> None:
    made = cascade("rows", ["Z[m] = A[m]"], {"m": rows})
    where = machine(Axis("x", 2), bits_per_cycle=8)
    found = evaluated(made, where, keep("DRAM", "A", "Z"), Spatial("x", "m", -(-rows // 2)), keep("Buffer", "A"), LEAF)
    # the first Buffer is filled with half the words, rounded up, and reads each once, a word a cycle
    assert found.loads["Z"].ports["Buffer"] == (cycles * found.evaluator.clock.per_cycle, 0)
    assert found.cycles == cycles
    assert found.counts.first["Z", "A", "Buffer"] == [cycles // 2, cycles // 2, 0, 0]


def test_first_copy_of_a_result_is_charged_its_own_complete_words() -> None:
    where = machine(Axis("x", 2), bits_per_cycle=8)
    found = evaluated(PRODUCT, where, ALL, Spatial("x", "m", 2), For("n", 1), keep("Buffer", "Z"), LEAF)
    # the first copy has 2 x 3 words: 12 updates, 6 partial and 6 complete; 6 reads of parts, 6 complete words drained
    assert found.evaluator.clock.cycles(found.loads["Z"].ports["Buffer"][0]) == 6 * 4 + 6 + 6 * 4 + 6


def test_lanes_take_the_steps_of_a_recurrence_one_after_the_other_but_those_of_a_scan_unit() -> None:
    """6 steps of 5 channels on 4 lanes: 6 x ceil(5 / 4) issues; two tiles of 3 steps as well; ceil(30 / 4) where lanes scan."""
    made = build.cascade("steps", "H[0,i] = 0 ; H[t+1,i] = A[t,i] * H[t,i] + B[t,i]", {"t": 6, "i": 5})
    every, leaf = Keep("DRAM", (Held("A"), Held("B"), Held("H"))), Leaf("H", "PE")
    assert evaluated(made, machine(lanes=4), every, leaf).cycles == 12
    assert evaluated(made, machine(lanes=4), every, For("t", 3), leaf).cycles == 12
    assert evaluated(made, machine(lanes=4), every, For("t", 1), leaf).cycles == 12
    scanning = replace(unit("PE", 4), operations={"scan": Operation("scan")})
    assert evaluated(made, Architecture("machine", Memory("DRAM", feeds=(scanning,)), Fraction(10**9)), every, leaf).cycles == 8


def test_lanes_take_points_side_by_side() -> None:
    made = cascade("rows", ["Z[m] = A[m] * B[m]"], {"m": 8})
    assert evaluated(made, machine(lanes=3), ALL, LEAF).cycles == 3
    assert evaluated(made, machine(lanes=3), ALL, For("m", 4), LEAF).cycles == 2 + 2  # two tiles of 4


def test_energy_is_bits_and_operations_times_prices_and_power_times_time() -> None:
    prices = {"read_pj": Quantity(8, 4, 16), "write_pj": Quantity(16, 16, 16), "access_bits": 8, "interface_pj": Quantity(1, 1, 2)}
    where = machine(**prices, static_w=Quantity(0.5, 0.25, 1))
    found = evaluated(PRODUCT, where, ALL, keep("Buffer", "A"), LEAF)
    # the Buffer is filled with 8 words and reads 24: per bit 16/8 + 1 to write, 8/8 + 1 to read; 24 macs of 2 pJ
    dynamic = 8 * 8 * (2 + 1) + 24 * 8 * (1 + 1) + 24 * 2
    assert found.dynamic.value == dynamic
    assert found.dynamic.low == 8 * 8 * (2 + 1) + 24 * 8 * (Fraction(1, 2) + 1) + 24
    assert found.dynamic.high == 8 * 8 * (2 + 2) + 24 * 8 * (2 + 2) + 24 * 3
    assert found.cycles == 24  # 24 ns at half a watt
    assert found.energy_pj == pytest.approx(dynamic + 24e-9 * 0.5 * 1e12)
    assert found.edp_pj_s == pytest.approx((dynamic + 12_000) * 24e-9)
    assert {"DRAM read", "DRAM update"} <= set(found.unpriced)
    assert found.by_component == {"Buffer": 8 * 8 * 3 + 24 * 8 * 2, "DRAM": 0, "PE": 48}


def test_updates_have_their_own_price_where_one_is_stated() -> None:
    prices = {"read_pj": Quantity(0, 0, 0), "write_pj": Quantity(5, 5, 5)}
    nodes = (ALL, keep("Buffer", "Z"), LEAF)
    updated = (12 * 32 + 12 * 8) * 5
    assert evaluated(PRODUCT, machine(**prices), *nodes).by_component["Buffer"] == updated
    assert evaluated(PRODUCT, machine(**prices, update_pj=Quantity(7, 7, 7)), *nodes).by_component["Buffer"] == updated * 7 / 5


# Refusals, whole texts.

PAIR = cascade("pair", ["T[u] = A[u]", "Z[p] = T[p + s] * C[s]"], {"u": 8, "p": 6, "s": 3})


def fused(trunk: tuple[TreeNode, ...], again: str = "", names: tuple[str, ...] = ("T", "Z")) -> tuple[TreeNode, ...]:
    return (*trunk, Fuse("sequential", tuple((Leaf(name, "PE"),) for name in names), recompute=(again,) if again else ()))


def chained(second: str, **sizes: int) -> Cascade:
    return cascade("chained", ["T[u] = A[u]", second], {"u": 8, "p": 4} | sizes)


OUTER = keep("DRAM", "A", "C", "Z")
T = keep("Buffer", "T")
WINDOW = "Z[p] = T[p + s] * C[s]"


@pytest.mark.parametrize(
    ("made", "nodes", "message"),
    [
        (PRODUCT, (keep("DRAM", "A", "B"), LEAF), "Z: no memory above keeps Z; add Z to a keep"),
        (
            PRODUCT,
            (keep("DRAM", "B", "Z"), keep("DRAM", "A", fraction=Fraction(1, 2)), LEAF),
            "A: DRAM holds a fraction of it and no memory further out the rest; keep A further out as well",
        ),
        (cascade("quotient", ["Z[m] = A[m] / B[m]"], {"m": 2}), (ALL, LEAF), "PE cannot execute Z; map it to another unit"),
        (
            PAIR,
            fused((OUTER, For("p", 2), T)),
            "T is kept below 'for p: 2', a loop that its Einsum does not have; keep T above the loop, or say 'recompute: [T]' in the fuse",
        ),
        (
            PAIR,
            fused((OUTER, For("p", 4), T, For("p", 2)), "T"),
            "T is kept between two loops over p; keep it above or below both loops over p",
        ),
        (
            PAIR,
            fused((OUTER, T, For("p", 2), For("s", 1))),
            "T: loops over p and s both decide which part of u it makes; move one of them into the consumer's branch",
        ),
        (
            chained("Z[p] = T[p//2]"),
            fused((OUTER, T, For("p", 2))),
            "T: a loop over p above it reads it at an index that cannot be followed backwards; "
            "keep the result whole: end the fuse before its consumer",
        ),
        (
            chained("Z[p] = T[p] * T[2*p]"),
            fused((OUTER, T, For("p", 2))),
            "T: its consumers walk it at different strides under one loop; give them fuses of their own",
        ),
        (
            chained("Z[p] = T[p - 3]"),
            fused((OUTER, T, For("p", 1))),
            "T: the first iteration over p reads nothing of it; loop over it in the leaf instead",
        ),
        (
            cascade("masked", ["T[u,v] = A[u,v] where u <= v", "Z[p] = T[p + s, s]"], {"u": 6, "v": 3, "p": 4, "s": 3}),
            fused((OUTER, T, For("p", 2))),
            "T: a condition on a rank that a loop over 'p' derives is not supported; loop over it in the leaf",
        ),
        (
            cascade("masked", ["T[u] = A[u,v] where u <= v", "Z[u,p] = T[u] * C[p]"], {"u": 4, "v": 4, "p": 4}),
            fused((OUTER, For("p", 2), T), "T"),
            "T: recomputing an Einsum with a condition is not supported; keep its result above the loop",
        ),
    ],
)
def test_mapping_without_a_closed_form_is_refused_in_words(made: Cascade, nodes: tuple[TreeNode, ...], message: str) -> None:
    with pytest.raises(AccelsimError) as error:
        evaluated(made, machine(), *nodes)
    assert str(error.value) == message


def test_fraction_that_streams_from_one_of_several_copies_is_refused() -> None:
    registers = Memory("Registers", feeds=(unit(),))
    buffer = Memory("Buffer", read_bits_per_s=CLOCK, feeds=(registers,))
    where = Architecture("machine", Memory("DRAM", feeds=(Array("array", (Axis("x", 2),), feeds=(buffer,)),)), CLOCK)
    nodes = (ALL, Spatial("x", "m", 2), keep("Buffer", "A"), keep("Registers", "A", fraction=Fraction(1, 2)), LEAF)
    with pytest.raises(AccelsimError) as error:
        evaluated(PRODUCT, where, *nodes)
    assert str(error.value) == (
        "A: a fraction at Registers streams from Buffer, which has several copies; "
        "hold it whole, or let it stream from a memory with one copy"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Z[m] = A[m*m]", "Z: the model cannot count an index of A in 'Z[m] = A[m*m]'; write an affine index, // or %"),
        (
            "Z[m] = A[m] where A[m] > 0",
            "Z: its condition reads A, so what it leaves depends on data; "
            "`accelsim run` executes it; a mapping needs a condition on ranks only",
        ),
    ],
)
def test_statement_that_has_no_closed_form_is_named(text: str, message: str) -> None:
    made = cascade("refused", ["Z[m] = A[m]"], {"m": 3})
    with pytest.raises(AccelsimError) as error:
        Evaluator(replace(made, einsums=(einsum(text, {"m": 3}),)), machine())
    assert str(error.value) == message


def test_counts_beyond_64_bits_are_refused_before_counting() -> None:
    with pytest.raises(AccelsimError) as error:
        Evaluator(cascade("huge", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 2**21, "n": 2**21, "k": 2**20}), machine())
    assert str(error.value) == "Z has 4.61e+18 points, more than 64-bit counters hold; make the shape smaller"
    made = cascade("again", ["T[u] = A[u]", "Z[v,w] = T[w] * B[v]"], {"u": 2**31, "v": 2**31, "w": 2**30})
    with pytest.raises(AccelsimError) as error:  # recomputed for every v
        evaluated(made, machine(), *fused((keep("DRAM", "A", "B", "Z"), For("v", 1), T), "T"))
    assert str(error.value) == "an Einsum of 4.61e+18 points passes 64-bit counters; make the shape smaller"
    largest = cascade("large", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 2**20, "n": 2**20, "k": 2**20})
    assert evaluated(largest, machine(), ALL, LEAF).counts.operations["Z"] == 2**60


def test_conditions_too_large_to_list_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks, "MAX_LISTED", 100)
    listed = cascade("listed", ["Z[m,p] = A[m,p] where (m + p) % 2 == 0"], {"m": 40, "p": 40})
    with pytest.raises(AccelsimError) as error:
        Evaluator(listed, machine())
    assert str(error.value) == (
        "Z: its condition leaves 1600 points to list, more than 100; "
        "write it as linear comparisons of ranks joined by 'and', or make the shape smaller"
    )
    deep = cascade("deep", ["Z[m,p,q] = A[m,p,q] where m + p <= q"], {"m": 40, "p": 40, "q": 40})
    with pytest.raises(AccelsimError) as error:
        Evaluator(deep, machine())
    assert str(error.value) == "a condition over [40, 40, 40] points is too large to count; make the shape smaller"


def test_windows_with_too_many_tiles_are_refused() -> None:
    made = cascade("many", ["Z[p,q] = A[p + q]"], {"p": 2**16, "q": 2**16})
    with pytest.raises(AccelsimError) as error:
        evaluated(made, machine(), keep("DRAM", "A", "Z"), For("p", 1), For("q", 1), keep("Buffer", "A"), LEAF)
    assert str(error.value) == "by hand: too many tiles under a window or a condition to list; make tiles larger or the shape smaller"


@pytest.mark.parametrize("inner", ["sequential", "staged"])
def test_staged_fuse_pipelines_what_is_inside_it(inner: str) -> None:
    made = cascade("three", ["S[i] = A[i]", "T[i] = S[i]", "Z[i] = T[i] * C[i]"], {"i": 8})
    inside = Fuse(inner, ((Leaf("S", "PE"),), (Leaf("T", "PE"),)))
    nodes = (OUTER, keep("Buffer", "S", "T"), For("i", 1), Fuse("staged", ((inside,), (LEAF,))))
    with pytest.raises(AccelsimError) as error:
        evaluated(made, machine(), *nodes)
    assert str(error.value) == f"a staged fuse has a {inner} one inside; pipeline the inner fuse"


@pytest.mark.parametrize(
    ("inside", "relief"), [("part", "A is 57% of what crosses DRAM: more bandwidth, or larger tiles"), ("all", "No mapping moves less")]
)
def test_traffic_that_no_mapping_avoids_is_not_blamed_on_tiles(inside: str, relief: str) -> None:
    where = machine()
    slow = replace(where, root=replace(where.root, read_bits_per_s=CLOCK))
    held = keep("Buffer", "A", "B", "Z") if inside == "all" else keep("Buffer", "B", "Z")
    assert relief in limits(evaluated(PRODUCT, slow, ALL, held, For("m", 1), For("n", 1), LEAF))["relief"]


def test_a_memory_with_none_inside_is_not_relieved_by_tiles_inside_it() -> None:
    where = machine()
    slow = replace(where, root=replace(where.root, feeds=tuple(
        replace(node, read_bits_per_s=CLOCK) if isinstance(node, Memory) else node for node in where.root.feeds
    )))  # fmt: skip
    found = limits(evaluated(PRODUCT, slow, ALL, keep("Buffer", "A", "B", "Z"), LEAF))
    assert found["resource"] == "Buffer"
    assert "more bandwidth, or a memory between it and its units, would relieve it" in found["relief"]


@pytest.mark.parametrize(
    ("order", "slow"), [("sequential", "PE"), ("sequential", "VU"), ("pipelined", "VU"), ("pipelined", "DRAM"), ("staged", "DRAM")]
)
def test_what_relief_would_gain_is_the_time_on_a_machine_that_has_it(order: Any, slow: str) -> None:
    made = cascade("two", ["S[i] = A[i] * B[i]", "Z[i] = max(S[i], C[i])"], {"i": 8})
    nodes = (keep("DRAM", "A", "B", "C", "S", "Z"), For("i", 1), Fuse(order, ((Leaf("S", "PE"),), (Leaf("Z", "VU"),))))

    def among(fast: str = "") -> Evaluation:
        cycles = {name: Fraction(1, 10**6) if name == fast else Fraction(9 if name == slow else 2) for name in ("PE", "VU", "DRAM")}
        units = (Unit("PE", {"mul": Operation("mul", cycles["PE"])}, 1), Unit("VU", {"max": Operation("max", cycles["VU"])}, 1))
        memory = Memory("DRAM", read_bits_per_s=32 * CLOCK / cycles["DRAM"], feeds=units)
        return evaluated(made, Architecture("machine", memory, CLOCK), *nodes)

    found = limits(among())
    assert found["resource"] == slow
    assert f"; {among().seconds / among(slow).seconds:.2f}x faster at most" in found["relief"]
