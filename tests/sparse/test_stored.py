"""Evaluation over stored elements: against the dense model, against counts that were published, and what reports say."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from accelsim.io.elements import elements_of
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.mapping.tree import Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import StoredEvaluation, evaluate_stored
from accelsim.sparse.pattern import Pattern
from accelsim.sparse.products import Products, makespan
from accelsim.sparse.reference import count
from accelsim.workload.build import cascade as built
from accelsim.workload.cascade import Cascade
from tests.share import share
from tests.sparse import nests
from tests.sparse.designs import write
from tests.sparse.evaluating import elements, evaluated, run
from tests.sparse.nests import problem
from tests.sparse.test_cases import products
from tests.sparse.test_nest import refused

CASES = share(2000, 80, 20)


def test_without_elements_left_out_everything_is_that_of_the_dense_model() -> None:
    for seed in range(CASES):
        cascade, machine, mapping, _ = problem(seed, limited=True)
        evaluator = Evaluator(cascade, machine)
        dense, found = evaluator.evaluate(mapping), evaluate_stored(evaluator, mapping, {}).evaluation
        assert {key: row for key, row in found.bits.items() if any(row)} == {key: row for key, row in dense.bits.items() if any(row)}, seed
        assert found.counts.operations == dense.counts.operations
        assert found.dynamic == dense.dynamic
        assert found.by_component == pytest.approx(dense.by_component)
        back = any(row[1] for (_, tensor, memory), row in found.bits.items() if tensor == "Z" and memory == "Registers")
        if not back:  # what comes back is shared out over copies as what leaves them: docs/sparse.md
            assert found.cycles == dense.cycles, seed


def test_denser_operands_never_take_fewer_operations_and_skipping_is_never_slower_than_visiting_all() -> None:
    from dataclasses import replace

    from accelsim.hardware.architecture import DENSE, Architecture, Array, Memory, Unit

    def visiting(node: Any) -> Any:
        if isinstance(node, Unit):
            return replace(node, sparse=DENSE)
        inside = tuple(visiting(each) for each in node.feeds)
        return replace(node, feeds=inside) if isinstance(node, Array) else replace(node, feeds=inside, sparse=DENSE)

    for seed in range(CASES):
        cascade, machine, mapping, stored = problem(seed)
        if refused(seed) or not stored:
            continue
        fewer = {name: elements[:, ::2] for name, elements in stored.items()}
        all_of, some = (evaluate_stored(Evaluator(cascade, machine), mapping, each).works["Z"] for each in (stored, fewer))
        assert some.effectual <= all_of.effectual
        root = visiting(machine.root)
        assert isinstance(root, Memory)
        slow = evaluate_stored(Evaluator(cascade, Architecture("all", root, machine.clock_hz)), mapping, stored).works["Z"]
        assert slow.issued == slow.dense and slow.skipped == 0
        assert slow.effectual == all_of.effectual and all_of.busiest <= slow.busiest
        assert all_of.dense == all_of.skipped + all_of.idle + all_of.effectual


# TeAAL's own simulators (N. Nayak et al., MICRO 2023) on the recorded cases: bits of A and of B from memory, products, probes, merge cycles
# of its Gamma; skip-ahead steps over tiles of 16, over tiles of 8 and inside them of its ExTensor.
TEAAL = {
    "c01_uniform64": ((42816, 45248, 2826, 415, 3227), (16, 512, 15146)),
    "c02_rect": ((80256, 15488, 1325, 811, 1964), (10, 273, 6254)),
    "c04_banded_AA": ((53760, 53760, 2450, 494, 2944), (24, 141, 3776)),
    "c06_empty_fibres": ((29504, 17280, 925, 281, 1139), (16, 483, 5264)),
    "c10_spmspv": ((47488, 1984, 92, 447, None), (4, 95, 408)),  # it merges the one column, which has no order
    "c15_karate_AA": ((16448, 16448, 1212, 156, 1351), (9, 105, 2304)),
}


def pointers_in_lines(pair: Products) -> int:
    """Bits of pointers to rows of B that TeAAL reads: two of 32 in a line, of rows that hold something; a row that does not is looked for
    where it would stand among them.
    """
    places = np.searchsorted(np.flatnonzero(pair.b.lengths), np.unique(pair.a.columns))
    return 64 * np.unique(places // 2).size


@pytest.mark.parametrize("name", TEAAL)
def test_counts_of_published_organisations_are_those_of_another_tool(name: str, tmp_path: Path) -> None:
    write(tmp_path)
    pair, _ = products(name)
    found, (wanted, steps) = evaluated(tmp_path, "by-rows", "rows", pair), TEAAL[name]
    pieces, work = found.evaluation.evaluator.clock.pieces, found.works["Z"]
    bits = [found.evaluation.bits["Z", tensor, "DRAM"][0] / pieces for tensor in "AB"]
    bits[1] += pointers_in_lines(pair) - 32 * np.unique(pair.a.columns).size
    mine = (*bits, work.effectual, work.meetings[0].steps, work.merging)
    assert [(one, other) for one, other in zip(mine, wanted, strict=True) if other is not None and one != other] == []
    tiled = evaluated(tmp_path, "tiled", "tiles", pair).works["Z"]
    assert tuple(each.steps for each in tiled.meetings) == steps
    assert tiled.effectual == work.effectual


def test_the_busiest_copy_is_that_of_rows_in_turn(tmp_path: Path) -> None:
    write(tmp_path)
    pair, _ = products("c01_uniform64")
    found = evaluated(tmp_path, "by-rows", "rows", pair)
    assert found.evaluation.counts.issues["Z"] == makespan(pair.by_row, 32).cyclic


def test_rows_go_to_the_copy_that_is_through_with_products_merging_and_probes(tmp_path: Path) -> None:
    """Of each row its products, cycles of merging and non-zeros of A are known without a walk; a copy is free when the slowest is done."""
    write(tmp_path, "dynamic")
    for name in ("c01_uniform64", "c04_banded_AA", "c15_karate_AA"):
        pair, _ = products(name)
        done = np.zeros((3, 32), np.int64)
        for row in range(pair.a.rows):
            lists = int(pair.fan_in[row])
            alone = lists + int(pair.by_row[row]) if lists > 1 else 0  # of 64 lists at most, which one pass merges
            if not pair.a.lengths[row]:
                continue
            copy = int(done.max(axis=0).argmin())
            done[:, copy] += int(pair.by_row[row]), alone, int(pair.a.lengths[row])
        found = evaluated(tmp_path, "by-rows", "rows", pair)
        ports, per_cycle = found.evaluation.loads["Z"].ports, found.evaluation.evaluator.clock.per_cycle
        merging, probes = (ports[name][0] // per_cycle for name in ("MAC merging", "Registers intersection"))
        assert [found.works["Z"].busiest, merging, probes] == done.max(axis=1).tolist()


def test_no_traffic_is_below_the_elements_that_are_needed(tmp_path: Path) -> None:
    write(tmp_path)
    for name in TEAAL:
        pair, _ = products(name)
        for machine, mapping in (("by-rows", "rows"), ("tiled", "tiles")):
            found = evaluated(tmp_path, machine, mapping, pair)
            read, written = found.evaluation.traffic_bits("DRAM")
            assert read + written >= found.compulsory_bits
            assert found.evaluation.cycles >= found.min_cycles


def test_a_report_says_what_is_skipped_met_merged_and_cached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from scipy import sparse

    write(tmp_path)
    pair, _ = products("c01_uniform64")
    for name, pattern in (("a", pair.a), ("b", pair.b)):
        matrix = sparse.csr_array((np.ones(pattern.nonzeros), pattern.columns, pattern.starts), (pattern.rows, pattern.width))
        sparse.save_npz(tmp_path / f"{name}.npz", matrix)
    files = [tmp_path / f"{name}.yaml" for name in ("product", "by-rows", "rows")]
    data = [f"--data=A={tmp_path}/a.npz", f"--data=B={tmp_path}/b.npz"]
    code, text = run(capsys, "evaluate", files[0], "--arch", files[1], "--mapping", files[2], *data)
    assert code == 0
    for line in ("Z over k in Registers   leading", "Z merged", "Cache, cache of B", "effectual"):
        assert line in text
    assert "2,826" in text and "3,227" in text


def test_inputs_with_a_format_are_drawn_if_no_elements_are_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    path = tmp_path / "product.yaml"
    path.write_text(path.read_text() + "density: {A: 0.1, B: 0.25}\n")
    files = [tmp_path / f"{name}.yaml" for name in ("product", "by-rows", "rows")]
    usual, again, other = (
        run(capsys, "evaluate", files[0], "--arch", files[1], "--mapping", files[2], "--seed", seed)[1] for seed in (1, 1, 2)
    )
    assert usual == again != other


def phases(folder: Path, pair: Products) -> tuple[StoredEvaluation, dict[str, Any]]:
    """An outer product whose products go out as stored elements and are added up by a second Einsum, and the twin's counts of both."""
    write(folder)
    sizes = {"shape.m": pair.a.rows, "shape.k": pair.a.width, "shape.n": pair.b.width}
    cascade = load_workload(folder / "outer-product.yaml", {name: str(size) for name, size in sizes.items()})
    assert isinstance(cascade, Cascade)
    evaluator = Evaluator(cascade, load_architecture(folder / "phases.yaml"))
    mapping, stored = load_mapping(folder / "outermost.yaml", cascade.extents), {"A": elements(pair.a), "B": elements(pair.b)}
    sets = {name: frozenset(map(tuple, each.T.tolist())) for name, each in stored.items()}
    return evaluate_stored(evaluator, mapping, stored), count(cascade, evaluator.architecture, mapping, sets)


def test_a_stored_intermediate_is_read_as_it_was_written(tmp_path: Path) -> None:
    """T: a coordinate and a pointer for every k and every list (m, k), or for every m and list; 12 bytes for a product.

    Every word is moved as the twin does.
    """
    rng = np.random.default_rng(7)
    for _ in range(share(40, 12, 6)):
        a, b = (Pattern.of((rng.random(shape) < rng.choice([0.1, 0.3, 0.7])).astype(int)) for shape in ((7, 5), (5, 6)))
        pair = Products(a, b)
        found, twin = phases(tmp_path, pair)
        evaluation, pieces = found.evaluation, found.evaluation.evaluator.clock.pieces
        lists = int(pair.fan_in.sum())
        written, read = evaluation.bits["T", "T", "DRAM"][2] // pieces, evaluation.bits["Z", "T", "DRAM"][0] // pieces
        assert written == 96 * pair.multiplications + 64 * (lists + pair.active.size)
        assert read == 96 * pair.multiplications + 64 * (lists + int((pair.fan_in > 0).sum()))
        assert {name: work.effectual for name, work in found.works.items()} == dict.fromkeys("TZ", pair.multiplications)
        moved = Counter[tuple[str, str, str]]()
        for name, counts in twin.items():
            for (tensor, parent, child), row in counts["grouped"].items():
                sent = sum(row.values())
                back = sent - sum(counts["known"][tensor, parent, child].values()) if tensor == name else 0
                moved[name, tensor, parent] += sent + back
                moved[name, tensor, child] += (sum(counts["entering"][tensor, parent, child].values()) + back) * (child != "")
        words = {key: sum(row) for key, row in evaluation.counts.words.items() if any(row)}
        assert words == {key: total for key, total in moved.items() if total}
        assert found.compulsory_bits <= sum(evaluation.traffic_bits("DRAM"))


def test_words_of_a_stored_intermediate_have_their_coordinates_while_a_memory_holds_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The longest list of T is row 1 of B, three elements: 64 bits of a value and 32 of each of three coordinates."""
    import json

    write(tmp_path)
    path = tmp_path / "outermost.yaml"
    path.write_text(path.read_text().replace("keep Registers: [A]", "keep Registers: [T]"))
    for name, body in {"A": ("1 1", "5 1", "1 2"), "B": ("1 1", "1 2", "2 1", "2 9", "2 11")}.items():
        lines = ("%%MatrixMarket matrix coordinate pattern general", f"64 64 {len(body)}", *body)
        (tmp_path / f"{name}.mtx").write_text("\n".join(lines) + "\n")
    files = [tmp_path / "outer-product.yaml", "--arch", tmp_path / "phases.yaml", "--mapping", path, "--set", "arch.Registers.size=1 KiB"]
    code, text = run(capsys, "evaluate", *files, *(f"--data={name}={tmp_path}/{name}.mtx" for name in "AB"), "--json", "-")
    assert code == 0, text
    work = json.loads(text)["stored"]["T"]
    held = [(each["memory"], each["bits"]) for each in work["tiles"] if each["tensor"] == "T"]
    assert held == [("Registers", 3 * 160)]
    assert [(each["tensors"], each["bits"]) for each in work["together"] if each["memory"] == "Registers"] == [(["T"], 3 * 160)]


def test_inputs_whose_names_have_the_same_letters_are_drawn_apart(tmp_path: Path) -> None:
    from accelsim.io.elements import origins

    (tmp_path / "anagrams.yaml").write_text(ANAGRAMS)
    made = load_workload(tmp_path / "anagrams.yaml")
    assert isinstance(made, Cascade)
    found = elements_of(made, [], 3)
    assert found["AB"].shape == found["BA"].shape == (2, 32)
    assert (found["AB"] != found["BA"]).any()
    assert origins(made, [], 3, found)["AB"] == {"density": 0.5, "seed": 3, "stored": 32, "of": 64}


ANAGRAMS = """
workload: anagrams
shape: {m: 8, k: 8, n: 8}
format: {AB: csr, BA: csr}
density: {AB: 0.5, BA: 0.5}
einsums:
  - Z[m,n] = AB[m,k] * BA[k,n]
"""


def test_a_report_says_where_elements_came_from_and_a_saved_one_says_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    Path("b.mtx").write_text("%%MatrixMarket matrix coordinate pattern general\n64 64 2\n1 1\n2 5\n")
    files = [tmp_path / f"{name}.yaml" for name in ("product", "by-rows", "rows")]
    arguments = ["--arch", files[1], "--mapping", files[2], "--data", "B=b.mtx", "--set", "density.A=0.125", "--seed", 7]
    _, text = run(capsys, "evaluate", files[0], *arguments)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "A drawn at a density of 0.125, seed 7 512 of 4,096 12.5 %" in lines
    assert "B b.mtx 2 of 4,096 0.0 %" in lines
    run(capsys, "evaluate", files[0], *arguments, "--json", tmp_path / "saved.json")
    _, again = run(capsys, "report", tmp_path / "saved.json")
    assert "effectual" in again and all(line in text for line in again.splitlines())


def test_reports_name_the_model_that_elements_are_drawn_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    path = tmp_path / "product.yaml"
    path.write_text(path.read_text() + "density: {A: {model: structured, kept: 2, of: 16}}\n")
    files = [tmp_path / f"{name}.yaml" for name in ("product", "by-rows", "rows")]
    _, text = run(capsys, "evaluate", files[0], "--arch", files[1], "--mapping", files[2], "--seed", 7)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "A drawn at a density of 0.125 (structured), seed 7 512 of 4,096 12.5 %" in lines


def test_words_that_meet_nothing_are_not_compulsory() -> None:
    """Two diagonals of which each row and each column meet, but no element."""
    chosen = built("w", "Z[m,k] = A[m,k] * B[m,k]", {"m": 4, "k": 4}, types={"default": "int8"})
    tree = Mapping("m", (Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), Leaf("Z", "U", ())))
    diagonal = np.stack([np.arange(4), np.arange(4)])
    evaluator = Evaluator(chosen, nests.machine(Random(0)))
    apart = evaluate_stored(evaluator, tree, {"A": diagonal, "B": np.stack([np.arange(4), (np.arange(4) + 1) % 4])})
    alike = evaluate_stored(evaluator, tree, {"A": diagonal, "B": diagonal})
    assert [apart.whole[name][1] for name in "AB"] == [0, 0] and [alike.whole[name][1] for name in "AB"] == [32, 32]
