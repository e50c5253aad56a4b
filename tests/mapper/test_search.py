"""The search: legal, fused where that pays, the same every time, and errors in words."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from itertools import combinations, pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory
from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper import climbing, search
from accelsim.mapper.climbing import Climbing
from accelsim.mapper.objectives import OBJECTIVES
from accelsim.mapper.parts import part
from accelsim.mapper.scope import Scope
from accelsim.mapper.trunks import fusible, shared_ranks
from accelsim.mapping.legality import is_legal
from accelsim.mapping.text import nest
from accelsim.mapping.tree import For, Fuse, Leaf, Mapping
from accelsim.model import Evaluation, Evaluator
from accelsim.model.options import Counting
from accelsim.workload.build import TensorDeclaration
from accelsim.workload.build import cascade as build
from accelsim.workload.cascade import Cascade
from tests.mapper.small import grid, keep, matmul, memory, one_unit, price, running, softmax, two_units, unit

CASCADES = {"matmul": matmul(16, 12, 10), "softmax": softmax(), "running": running()}


def fused(mapping: Mapping) -> bool:
    """Whether all Einsums stand under one fuse that is not sequential."""
    last = mapping.nodes[-1]
    return isinstance(last, Fuse) and last.schedule != "sequential"


@pytest.mark.parametrize("cascade", CASCADES.values(), ids=CASCADES)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.slow
def test_what_is_found_is_legal_and_evaluates_to_the_same_numbers(cascade: Cascade, objective: str) -> None:
    machine = two_units()
    found = search(cascade, machine, objective)
    assert is_legal(cascade, machine, found.mapping)
    again = Evaluator(cascade, machine).evaluate(found.mapping)
    assert (again.cycles, again.energy_pj) == (found.evaluation.cycles, found.evaluation.energy_pj)
    record = found.evaluation.search
    assert record is not None and record["objective"] == objective
    assert record["value"] == OBJECTIVES[objective].value(found.evaluation)
    assert record["lower_bound"] is None or record["lower_bound"] <= record["value"]


@pytest.mark.parametrize("cascade", CASCADES.values(), ids=CASCADES)
@pytest.mark.slow
def test_each_objective_is_best_at_its_own_figure(cascade: Cascade) -> None:
    machine = two_units(600)
    found = {name: search(cascade, machine, name).evaluation for name in ("latency", "energy")}
    assert found["latency"].cycles <= found["energy"].cycles
    assert found["energy"].energy_pj <= found["latency"].energy_pj


@pytest.mark.slow
def test_a_softmax_is_fused_and_only_scores_in_and_out_touch_the_root() -> None:
    found = search(softmax(), two_units())
    assert fused(found.mapping)
    touched = {tensor for (_, tensor, memory), row in found.evaluation.bits.items() if memory == "Main" and sum(row)}
    assert touched == {"Q", "K", "A"}


def test_a_recurrence_of_several_einsums_is_fused_under_a_loop_over_single_slices() -> None:
    found = search(running(), two_units())
    assert fused(found.mapping)
    assert "for i by 1" in nest(found.mapping)


@pytest.mark.slow
def test_the_same_input_gives_the_same_mapping_whatever_the_hash_seed() -> None:
    program = (
        "from tests.mapper.small import running, two_units\nfrom accelsim.mapper import search\nfrom accelsim.mapping.text import nest\n"
        "print(nest(search(running(), two_units(300), 'latency', 3).mapping))"
    )
    texts = set()
    for seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.getcwd()}
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
        texts.add(done.stdout)
    assert len(texts) == 1 and "fuse pipelined" in texts.pop()


def test_cutting_a_cascade_is_legal_when_no_memory_but_the_root_holds_anything() -> None:
    machine = two_units(2)
    found = search(softmax(), machine)
    assert is_legal(softmax(), machine, found.mapping)


@pytest.mark.slow
def test_more_starts_cost_neither_cycles_nor_energy_at_the_same_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    # here they bring the fused mapping close to the bound, and mappings in parts, which take as long, need two thirds of its energy
    einsums = ["G[t,s] = X[t,d] * W[d,s]", "U[t,s] = X[t,d] * V[d,s]", "H[t,s] = exp(G[t,s]) * U[t,s]", "Y[t,d] = H[t,s] * D[s,d]"]
    layer = build("mlp", einsums, {"t": 48, "d": 48, "s": 48})
    array = Array("grid", (Axis("x", 8), Axis("y", 8, True, ("add",))), feeds=(memory("Reg", 32, None, 0.1, unit("PE", "mac")),))
    buffer = memory("Buffer", 4096, 64, 1.0, array, unit("V", "mul", "add", "exp", lanes=8))
    machine = Architecture("two", memory("Main", None, 4, 10.0, buffer), Fraction(10**9))

    def climbed() -> tuple[float, float]:
        found = Climbing(layer, machine, OBJECTIVES["latency"], 0, Counting(), lambda _: None).run()
        return float(found.cycles), found.dynamic.value

    more = climbed()
    monkeypatch.setattr(climbing, "_REFINED_FAR", climbing._REFINED)
    assert more <= climbed()


def chunks(c: int = 6, q: int = 8, n: int = 12) -> Cascade:
    """States of chunks, of which each step reads one: products of chunks are added up, and every state is read slice by slice."""
    text = "T[c,n] = B[c,q,n] * X[c,q]; S[0,n] = 0; S[c+1,n] = D[c] * S[c,n] + T[c,n]; Y[c,q] = C[c,q,n] * S[c,n]; Z[c,q] = exp(Y[c,q])"
    return build("chunks", text, {"c": c, "q": q, "n": n})


def test_a_part_whose_slices_others_read_keeps_them_all() -> None:
    whole = chunks()
    assert not whole.tensors["S"].passing
    assert part(whole, ["T", "S"]).tensors["S"].passing
    assert not part(whole, ["T", "S", "Y"]).tensors["S"].passing
    last = build("last", "S[0] = 0; S[c+1] = S[c] + X[c]; Y[p] = S[C] * W[p]", {"c": 5, "p": 3})
    assert not part(last, ["S"]).tensors["S"].passing  # its last slice alone
    machine = one_unit(2 * 12 + 6)  # two slices, not seven
    nodes = (keep("Main", "T", "D", "S"), keep("Buffer", "S"), For("c", 1), keep("Buffer", "T", "D"), Leaf("S", "U"))
    assert is_legal(replace(part(whole, ["S"]), tensors=whole.tensors), machine, Mapping("slices", nodes))
    assert not is_legal(part(whole, ["S"]), machine, Mapping("slices", nodes))


@pytest.mark.parametrize("objective", ["latency", "energy"])
def test_a_recurrence_that_holds_all_einsums_together_is_not_cut(objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climbing, "_NEAR", 0.0)
    text = "S[0,n] = 0; T[c,n] = S[c,n] * A[c,n]; S[c+1,n] = T[c,n] + B[c,n]"
    loop = build("loop", text, {"c": 6, "n": 8}, tensors={"S": TensorDeclaration(output=True)})
    assert Climbing(loop, two_units(60), OBJECTIVES[objective], 0, Counting(), lambda _: None).run().cycles > 0


@pytest.mark.parametrize("words", [40, 60, 300, 4096])
@pytest.mark.parametrize("objective", ["latency", "energy"])
def test_parts_that_are_legal_alone_are_legal_together(words: int, objective: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cuts: list[Evaluation | None] = []

    def kept(self: Climbing, pieces: list[climbing._Piece]) -> Evaluation | None:
        found = composed(self, pieces)
        if len(pieces) > 1:
            cuts.append(found)
        return found

    composed = Climbing._composed
    monkeypatch.setattr(Climbing, "_composed", kept)
    monkeypatch.setattr(climbing, "_NEAR", 0.0)
    Climbing(chunks(), two_units(words), OBJECTIVES[objective], 0, Counting(), lambda _: None).run()
    assert objective == "latency" or cuts
    assert None not in cuts


def test_however_little_may_be_spent_every_einsum_alone_is_a_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(climbing, "_MOST_SPENT", -1)
    cut = Climbing(chunks(), two_units(300), OBJECTIVES["energy"], 0, Counting(), lambda _: None)._cut(
        ("T", "S", "Y", "Z"), float("inf"), True
    )  # fmt: skip
    assert [piece.names for piece in cut] == [("T",), ("S",), ("Y",), ("Z",)]


SPANS = st.tuples(st.integers(0, 4), st.integers(1, 4), st.integers(0, 9))


@given(values=st.lists(SPANS, min_size=1, max_size=14), count=st.integers(1, 4))
def test_the_best_way_through_parts_is_the_least_of_all_ways(values: list[tuple[int, int, int]], count: int) -> None:
    known = {(start, start + width): float(value) for start, width, value in values if start + width <= count}
    ways = []
    for length in range(count):
        for inner in combinations(range(1, count), length):
            edges = (0, *inner, count)
            if all(span in known for span in pairwise(edges)):
                ways.append(sum(known[span] for span in pairwise(edges)))
    pieces: Any = {span: SimpleNamespace(point=SimpleNamespace(key=(value, 0.0, 0.0, "")), span=span) for span, value in known.items()}
    found = climbing._plan(pieces, 0, count)
    assert Climbing._value(found) == min(ways, default=float("inf"))
    for span, value in known.items():
        through = climbing._through(known, *span, count)
        assert through >= min(ways, default=float("inf"))
        if span == (0, count):
            assert through == value


def test_a_faster_root_never_slows_the_mapping_that_is_found() -> None:
    slow = grid()
    rate = slow.root.read_bits_per_s
    assert rate is not None
    fast = replace(slow, root=replace(slow.root, read_bits_per_s=rate * 4, write_bits_per_s=rate * 4))
    cascade = matmul(24, 20, 16)
    assert search(cascade, fast).evaluation.cycles <= search(cascade, slow).evaluation.cycles


def test_the_bound_of_a_product_that_fills_the_grid_is_reached_and_so_proved() -> None:
    # 16 x 12 x 10 points on 4 x 3 units: 160 cycles; a root of 4 words a cycle moves the 472 words in 118, and there is no array depth.
    found = search(matmul(16, 12, 10), grid(registers=16))
    assert found.evaluation.cycles == 160
    assert found.evaluation.search is not None and found.evaluation.search["proved_optimal"] is True


def test_an_einsum_that_no_unit_executes_is_named_with_what_every_unit_lacks() -> None:
    with pytest.raises(IllegalMapping) as caught:
        search(softmax(), one_unit())
    assert "no unit of one can execute" in str(caught.value)
    assert "U has no 'max'" in str(caught.value)
    assert str(caught.value).endswith("; give a unit the primitive")


def test_a_root_that_cannot_hold_the_inputs_is_named() -> None:
    root = Memory("Main", 16 * 20, read_pj=price(1.0), write_pj=price(1.0), feeds=(unit("U", "mac"),))
    machine = Architecture("tiny", root, one_unit().clock_hz)
    with pytest.raises(IllegalMapping) as caught:
        search(matmul(8, 8, 8), machine)
    # 64 words of 16 bits each; Z comes in sums of 32 bits, since nothing below the root holds them
    what = "no mapping of gemm on tiny: Main holds 320 bits, the tensors that it keeps whole need 3,072 at least; give it 4,096 bits"
    assert str(caught.value) == what


def test_an_unknown_objective_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        search(matmul(), one_unit(), "latenzy")
    assert str(caught.value) == "there is no objective 'latenzy'; did you mean 'latency'?"


def test_progress_is_told_in_words() -> None:
    told: list[str] = []
    search(running(), two_units(), progress=told.append)
    assert told and told[0] == "fusing 6 Einsums"


def test_what_may_be_shared_does_not_depend_on_how_much_a_buffer_holds_that_units_cannot_do_without() -> None:
    """Keys and values are 64 times the buffer of `mini`; the loop over their blocks still passes the running sums on."""
    machine = load_architecture(resolve("mini", MACHINE), {})
    work = load_workload(resolve("attention", WORKLOAD), {"shape.h": "1", "shape.m": "8192", "shape.p": "8192"})
    assert isinstance(work, Cascade)
    scope = Scope(work, machine)
    assert shared_ranks(scope).single == ("m1",)
    assert fusible(scope, shared_ranks(scope))


def test_an_einsum_without_ranks_is_mapped() -> None:
    work = build("scalars", ["Y[] = A[] * B[]"], {})
    for machine in ("simple", "npu"):
        found = search(work, load_architecture(resolve(machine, MACHINE), {}))
        assert found.evaluation.cycles == 1
