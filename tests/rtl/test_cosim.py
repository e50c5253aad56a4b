"""The processor beside the simulator: every word and every cycle of mappings that the mapper found."""

from __future__ import annotations

import json
import re
from pathlib import Path
from random import Random

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper import Request, search
from accelsim.mapper.constraints import Constraints, UnitRule
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.parts import part
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.rtl.cosim import Cosimulation, cosimulate, random_words
from accelsim.rtl.fast import QUICK, Library
from accelsim.rtl.nests import pieces
from accelsim.rtl.processor import COUNTS, Shape, with_words
from accelsim.rtl.program import export, refuse_beyond
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration
from tests.rtl.npu import STATEMENTS, machine, work
from tests.rtl.runner import RTL
from tests.share import share

CASES, SMALL = share(200, 24, 6), share(200, 5, 4)  # SMALL: of searches on a small buffer, which take longer


@pytest.fixture(scope="module")
def mini() -> Architecture:
    return load_architecture(resolve("mini", MACHINE), {})


def both(chosen: Cascade, target: Architecture, seed: int = 0) -> Cosimulation:
    """What both do with the mapping that the mapper finds."""
    return cosimulate(chosen, target, search(chosen, target).mapping, random_words(chosen, seed), RTL)


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize("size", range(1, 10))
def test_products_of_all_remainders_agree(mini: Architecture, size: int) -> None:
    rng = Random(size)
    for _ in range(max(1, CASES // 8)):
        shape = {"m": size, "n": rng.randint(1, 17), "k": rng.randint(1, 17)}
        found = both(cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], shape, types={"default": "int32"}), mini, size)
        assert found.agrees, (shape, found.rows, found.wrong)


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize(("kept", "of"), [(1, 2), (2, 4), (1, 4), (3, 4), (2, 8), (4, 8)])
def test_products_with_structured_weights_agree(mini: Architecture, kept: int, of: int) -> None:
    rng = Random(8 * of + kept)
    for number in range(max(2, CASES // 6)):
        shape = {"m": rng.randint(1, 9), "n": rng.randint(1, 9), "g": rng.randint(1, 5), "j": kept}
        chosen = cascade(
            "structured", [f"Z[m,n] = V[m,g,j] * B[{of}*g + I[m,g,j], n]"], shape, types={"default": "int32"},
            tensors={"I": TensorDeclaration(below=of)},
        )  # fmt: skip
        found = both(chosen, mini, number)
        assert found.agrees, (shape, found.rows, found.wrong)


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize("name", ["attention-fixed", "mlp-fixed", "scan-fixed"])
def test_shipped_cascades_agree(mini: Architecture, name: str) -> None:
    rng = Random(5)
    ranks = load_workload(resolve(name, WORKLOAD)).extents
    for number in range(max(1, CASES // 6)):
        shape = {} if not number else {f"shape.{rank}": str(rng.randint(1, 9)) for rank in ranks}
        found = both(load_workload(resolve(name, WORKLOAD), shape), mini, number)
        assert found.agrees, (shape, found.rows, found.wrong)


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize(("text", "elsewhere"), [("(A[t,i] * H[t,i]) // 32 + X[t,i]", "VEC"), ("X[t,i] + (H[t,i] * A[t,i]) // 1", "VEC")])
def test_scan_unit_and_lanes_make_the_same_words(mini: Architecture, tmp_path: Path, text: str, elsewhere: str) -> None:
    """A step of a recurrence on the scan unit, and what it consists of on a machine that has none."""
    file = tmp_path / "without.yaml"
    file.write_text(resolve("mini", MACHINE).read_text("utf-8").split("      - array: scan")[0].replace(", scans: 4", ""), "utf-8")
    chosen = cascade("it", ["H[0,i] = 3", f"H[t+1,i] = {text}", "Y[i] = H[T,i] + 1"], {"t": 7, "i": 5}, types={"default": "int32"})
    ran = [both(chosen, target) for target in (mini, load_architecture(file))]
    assert all(found.agrees for found in ran), [(found.rows, found.wrong) for found in ran]
    assert [next(row.kind for row in found.rows if row.task == "H") for found in ran] == ["SCAN", elsewhere]
    assert [len(found.program.engines) for found in ran] == [4, 3]


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize("kind", STATEMENTS)
def test_small_buffers_agree(kind: str) -> None:
    target, rng, ran = machine(Buffer__size="1 KiB"), Random(3), 0
    for number in range(SMALL):
        chosen = work(kind, rng, 20)
        try:
            found = both(chosen, target, number)
        except IllegalMapping as refusal:  # tiles that do not fit side by side, no mapping at all, edges
            assert any(words in str(refusal) for words in ("smaller tiles", "no legal mapping", "an edge of"))
            continue
        ran += 1
        assert found.agrees, (dict(chosen.extents), found.rows, found.wrong)
    assert ran > SMALL // 3


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize("copies", [1, 2, 3])
def test_slices_that_leave_the_buffer_come_back(mini: Architecture, copies: int) -> None:
    rng = Random(copies)
    for number in range(max(2, CASES // 6)):
        tiles = {rank: rng.randint(1, 3) for rank in ("t", "i", "n")}
        shape = {rank: tile * rng.randint(2, 3) for rank, tile in tiles.items()}
        chosen = load_workload(resolve("scan-fixed", WORKLOAD), {f"shape.{rank}": str(size) for rank, size in shape.items()})
        assert isinstance(chosen, Cascade)
        inner = rng.sample([For("i", tiles["i"]), For("n", tiles["n"])], 2)[: rng.randint(1, 2)]
        kept = {"AB": ("DL", "A", "AB"), "BX": ("DL", "B", "X", "BX"), "H": ("AB", "BX", "H"), "Y0": ("C", "H", "Y0")}
        kept["Y"] = ("Y0", "DP", "X", "Y")
        further = rng.choice([(), (For("t", 1),)])  # of slices that follow each other in place
        around = {"H": (For("t", tiles["t"]), *inner, *further)}
        branches = tuple(
            (Leaf(name, "VEC", (*around.get(name, ()), Keep("Buffer", tuple(Held(each, copies if each == "H" else 1) for each in held)))),)
            for name, held in kept.items()
        )
        tensors = tuple(Held(name) for name in dict.fromkeys(name for held in kept.values() for name in held))
        mapping = Mapping("leaves", (Keep("DRAM", tensors), Fuse("sequential", branches)))
        found = cosimulate(chosen, mini, mapping, random_words(chosen, number), RTL)
        assert found.agrees, (shape, tiles, found.rows, found.wrong)
        assert any(row.task == "H to Buffer" and row.firings for row in found.rows)


@pytest.mark.usefixtures("rtl_tools")
def test_wrong_words_and_cycles_are_seen(mini: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 5, "n": 3, "k": 4}, types={"default": "int32"})
    mapping = search(chosen, mini).mapping
    inputs = random_words(chosen, 0)
    assert cosimulate(chosen, mini, mapping, inputs, RTL).agrees
    from accelsim.rtl import cosim

    honest = cosim.export

    def late(evaluator: Evaluator, mapping: object) -> object:
        program = honest(evaluator, mapping)  # type: ignore[arg-type]
        program.engines[0][0][COUNTS + 3] += 1  # a trip more
        return program

    monkeypatch.setattr(cosim, "export", late)
    found = cosimulate(chosen, mini, mapping, inputs, RTL)
    assert not found.agrees and any(row.off for row in found.rows)


AGREEING = {
    "sums": ["Z[m] = A[m,k] * B[k,m] + 0 * B[k,m]", "Y[m] = max[k](A[m,k])"],
    "words": [
        "Y[m] = abs(A[m]) - B[m]",
        "Z[m] = (Y[m] + A[m]) * -3 - B[m]",
        "Q[m] = (A[m] // B[m]) // 8",
        "G[m] = (A[m] > B[m]) * 3 - (B[m] < 3) * 2",
    ],
    "scans": [
        "H[0,i] = 3",
        "H[t+1,i] = X[t,i] + H[t,i] * A[t,i]",
        "G[0] = -1",
        "G[t+1] = (C[t] * G[t]) // 64 + D[t]",
        "F[0] = 1",
        "F[1] = 2",
        "F[t+2] = C[t] * F[t] + D[t]",
    ],
    "exponentials": ["Z[m] = qexp(A[m]) // -7"],
    "earlier slices": [
        "H[0,i] = 3",
        "H[t+1,i] = A[t] * H[t,i] + B[t]",
        "Y[t,i] = H[t,i] + 1",
        "F[0] = 1",
        "F[1] = 2",
        "F[t+2] = A[t] * F[t] + B[t]",
        "Z[t] = F[t] * F[t+1]",
    ],
    "two steps back": ["F[0] = -7", "F[1] = 9", "F[t+2] = F[t+1] - F[t] + X[t]"],
    "a greatest": ["F[0] = -inf", "F[t+1] = max(F[t], X[t])"],
    "one place": ["Z[] = A[k] * B[k]", "Y[k] = A[k] - Z[]"],
    "two reads": ["Z[m] = A[m] + A[m+1] + A[9-m]", "Y[m,n] = B[m] * B[n]"],
    "sums and differences of ranks": [
        "Z[m] = B[m] * A[9-m] + C[m]",
        "Y[9-m] = A[m] * B[m]",
        "X[m] = A[m] + A[m+5] * B[m]",
        "V[k] = X[k] * 1",
    ],
    "choices": [
        "Z[m] = A[I[m]] + 0",
        "Y[m,n] = B[3 - I[m], n] + W[m,n]",
        "X[m] = max[k](V[I[k], m] * U[k])",
        "Q[k] = P[I[k], 3 - I[k]] - 1",
    ],
    "more loops than an engine": ["Z[a,b,c,d,e,f,g] = A[a,b,c,d,e,f,g] + B[g,f,e,d,c,b,a]"],
}


def apart(chosen: Cascade, machine: Architecture) -> Mapping:
    """The best mapping of each Einsum, one after the other."""
    alone = [search(part(chosen, [einsum.name]), machine).mapping.nodes for einsum in chosen.work]
    root = Keep(machine.root.name, tuple(Held(name) for name in chosen.tensors))
    return Mapping("apart", (root, Fuse("sequential", tuple(nodes[1:] for nodes in alone))))


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize("size", [1, 2, 9])
@pytest.mark.parametrize("kind", AGREEING)
def test_words_of_all_sizes_agree(mini: Architecture, kind: str, size: int) -> None:
    """Overflow, signs, zeros as divisors, constant slices of an output."""
    ranks = {rank: size for rank in re.findall(r"\b[a-z]\b", " ".join(AGREEING[kind]))}
    if len(ranks) > 4:
        ranks = {rank: min(extent, 2 + place % 2) for place, (rank, extent) in enumerate(sorted(ranks.items()))}
    declared = {"I": TensorDeclaration(below=4)} if kind == "choices" else {}
    chosen = cascade(kind, AGREEING[kind], ranks, types={"default": "int32"}, tensors=declared)
    for most in (2, 2**31 - 1):
        rng = np.random.default_rng(size)
        limits = {name: (0, tensor.below) if tensor.below else (-most - 1, most + 1) for name, tensor in chosen.tensors.items()}
        inputs = {name: rng.integers(*limits[name], tensor.shape) for name, tensor in chosen.tensors.items() if tensor.is_input}
        # the mapper fuses X and V by a window, which npu_top does not do
        mapping = apart(chosen, mini) if kind.startswith("sums") else search(chosen, mini).mapping
        found = cosimulate(chosen, mini, mapping, inputs, RTL)
        assert found.agrees, (found.rows, found.wrong)


REFUSED = {
    "Z[m] = A[m] + 5000000000": "Z has the constant 5000000000, which is no word of 32 bits; write a smaller number",
    "Z[m] = A[m] + 0.5": "Z has the constant 0.5, which is not whole; write whole numbers",
    "Z[m] = A[m] >= B[m]": "Z applies ge; hw/rtl/npu_lane.sv has + - * // < >, max, min, abs, relu and qexp",
    "Z[m] = A[m] * m": "Z computes with the coordinate m; read it from a tensor, which holds the numbers from 0 on",
    "Z[m] = A[m] * B[m] + C[m] * D[m]": "Z has 4 operands, more than the 3 of hw/rtl/npu_lane.sv; split it into several Einsums",
    "Z[m] = A[m]": "Z only copies or selects, which takes no cycle on MAC and one on hw/rtl/npu_lane.sv; add 0, which does",
    "Z[m] = A[m] * 3 + 5": (
        "Z takes 1 cycle on MAC and 2 cycles on hw/rtl/npu_lane.sv, where a step has room for one constant; run it on another unit, "
        "as with the constraint 'run: {einsums: [Z], units: [UNIT]}', or split it"
    ),
    "Z[m] = A[m//2] + 1": "Z indexes A by more than sums of ranks, which hw/rtl/npu_top.sv cannot do; index it by sums of ranks",
    "Z[m] = A[m+k] * B[k]": (
        "A to Buffer moves only some words of a box, as tiles overlap or have gaps, which hw/rtl/npu_top.sv cannot do; "
        "keep A outside of loops over k, m in a mapping of your own, --mapping FILE"
    ),
    "Z[m,k] = A[m] * A[k+2]": (
        "Z reads several tiles of A, fetched at different times, which hw/rtl/npu_top.sv cannot do; keep A outside of loops over k in a "
        "mapping of your own, --mapping FILE"
    ),
    "F[0] = 0; F[m+1] = (A[m] * F[m]) // 3 + B[m]": (
        "F divides by 3, and SCAN by powers of two only; divide by a power of two, or run it on another unit, as with the constraint "
        "'run: {einsums: [F], units: [UNIT]}'"
    ),
    "F[0] = 1.5; F[m+1] = F[m] + X[m]": "F.init has the constant 1.5, which is not whole; write whole numbers",
    "Z[m] = A[70000*m] + 1": (
        "tiles side by side take 560,010 words, Buffer has 16,384, which hw/rtl/npu_top.sv cannot do; map it with smaller tiles, as "
        "with the constraint 'tile: {memory: Buffer, rank: RANK, at_most: 8}'"
    ),
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_refused_says_how_to_mend_it(mini: Architecture, text: str) -> None:
    ranks = {rank: {"m": 9, "k": 5}[rank] for rank in re.findall(r"\b[a-z]\b", text)}
    chosen = cascade("it", text.split("; "), ranks, types={"default": "int32"})
    on_one_unit = Constraints(units=(UnitRule(units=("MAC",)),) if "on MAC" in REFUSED[text] else ())
    with pytest.raises(IllegalMapping) as refusal:
        export(Evaluator(chosen, mini), search(chosen, mini, request=Request(objective_named("latency"), constraints=on_one_unit)).mapping)
    assert re.sub(r"^it:\d:1: ", "", str(refusal.value)) == REFUSED[text]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"DRAM__bandwidth": "8 B/cycle"}, "DRAM has to have one port of 4 bytes a cycle, and no DRAM behind it"),
        ({"DRAM__latency": "257 cycles"}, "DRAM has a latency of 257 cycles, more than 256"),
        ({"let__rows": 33}, "an array has more than 32 copies"),
        ({"vector__network": "{bandwidth: 4 B/cycle}"}, "its arrays have to have no network of their own"),
    ],
)
def test_machines_that_are_no_processors_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(InputError) as refusal:
        Shape.of(machine(**settings))
    assert str(refusal.value) == f"mini is no machine of hw/rtl/npu_top.sv: {said}; take a machine like hw/arch/mini.yaml"


def test_loops_longer_than_counts_are_refused() -> None:
    target = machine(Buffer__size="1 MiB")
    chosen = cascade("it", ["Z[m] = A[m] + 1"], {"m": 100_000}, types={"default": "int32"})
    with pytest.raises(IllegalMapping, match=r"a loop of 100,000 turns, more than 65,535, which .* smaller tiles, as with the constraint"):
        export(Evaluator(chosen, target), search(chosen, target).mapping)


@pytest.mark.parametrize(
    ("text", "shape", "said"),
    [
        ("Z[m,n] = A[m] + B[n]", {"m": 1025, "n": 1024}, "1,049,600 points, more than the 1,048,576"),
        ("Z[m] = A[60000*m] + 1", {"m": 99}, "words"),
    ],
)
def test_large_cascades_are_refused(text: str, shape: dict[str, int], said: str) -> None:
    with pytest.raises(InputError, match=f"{said}.* that are run; make it smaller, as in --set shape.RANK=8"):
        refuse_beyond(cascade("it", [text], shape, types={"default": "int32"}))


def test_pieces_cover_what_is_asked_for() -> None:
    rng = Random(1)
    for _ in range(200):
        sizes = [rng.randint(1, 4) for _ in range(rng.randint(0, 3))]
        whole = np.arange(int(np.prod(sizes))).reshape(sizes)
        since = rng.randint(0, whole.size)
        until = rng.randint(since, whole.size)
        seen: list[int] = []
        for start, lengths in pieces(sizes, since, until):
            seen += whole[tuple(slice(at, at + length) for at, length in zip(start, lengths, strict=True))].reshape(-1).tolist()
        assert seen == list(range(since, until))


def test_program_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-program", "scan-fixed", "--arch", "mini"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert set(written["programs"]) == {"mover", "MAC", "VEC", "SCAN"} and all(written["programs"].values())
    assert written["parameters"]["ROWS"] == 4


@pytest.mark.parametrize(
    ("workload", "target", "said"),
    [
        (
            "matmul",
            "simple",
            "simple is no machine of hw/rtl/npu_top.sv: GlobalBuffer has to feed arrays, and each array one unit",
        ),
        ("bert-base-nothing", "mini", "there is no workload"),
        ("llama3-8b", "mini", "is a model of several layers"),
    ],
)
def test_what_the_processor_cannot_do_is_refused_in_a_line(
    workload: str, target: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cosim", workload, "--arch", target, "-q"]) != 0
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_words_of_the_processor(mini: Architecture) -> None:
    chosen = load_workload(resolve("matmul", WORKLOAD), {"shape.m": "3", "shape.n": "3", "shape.k": "3"})
    with pytest.raises(IllegalMapping, match="declare it int32"):
        export(Evaluator(chosen, mini), search(chosen, mini).mapping)
    assert export(Evaluator(with_words(chosen), mini), search(with_words(chosen), mini).mapping).cycles > 0


@pytest.mark.usefixtures("rtl_tools")
def test_a_machine_has_parameters_of_its_own() -> None:
    with pytest.raises(InputError, match="power of two"):
        export(
            Evaluator(work("product", Random(0), 3), machine(Buffer__size="12 KiB")),
            search(work("product", Random(0), 3), machine()).mapping,
        )
    assert Library(RTL, "npu_lane", {"W": 8}, effort=QUICK).inputs["a_i"].width == 8


ILLEGAL = "mapping: bad\ntree:\n  - keep DRAM: [A, B, Z]\n  - keep Buffer: [A, B, Z]\n  - {einsum: Z, unit: PE}\n"


def test_mapping_that_is_not_legal_is_refused_before_it_becomes_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text(ILLEGAL)
    small = [word for rank in "mnk" for word in ("--set", f"shape.{rank}=2")]
    assert main(["export-program", "matmul", "--arch", "mini", "--mapping", str(tmp_path / "bad.yaml"), "-q", *small]) == 1
    assert capsys.readouterr().err == f"{tmp_path / 'bad.yaml'}:5:5: no unit 'PE' in mini; known: MAC, SCAN, VEC\n"
