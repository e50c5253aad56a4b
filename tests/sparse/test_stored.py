"""Evaluation over stored elements: against the dense model, against counts that were published, and what it refuses."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import AccelsimError, InputError
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


def evaluated(folder: Path, machine: str, mapping: str, pair: Products) -> StoredEvaluation:
    sizes = {"shape.m": pair.a.rows, "shape.k": pair.a.width, "shape.n": pair.b.width}
    cascade = load_workload(folder / "product.yaml", {name: str(size) for name, size in sizes.items()})
    assert isinstance(cascade, Cascade)
    evaluator = Evaluator(cascade, load_architecture(folder / f"{machine}.yaml"))
    stored = {"A": elements(pair.a), "B": elements(pair.b)}
    return evaluate_stored(evaluator, load_mapping(folder / f"{mapping}.yaml", cascade.extents), stored)


def elements(pattern: Pattern) -> Any:
    return np.stack([pattern.row_of, pattern.columns])


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


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str]:
    code = main([str(each) for each in arguments])
    out = capsys.readouterr()
    return code, out.out + out.err


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


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("A", "does not say which file"),
        ("C=a.mtx", "has no input 'C'; known: A, B"),
        ("A=none.mtx", "there is no file none.mtx"),
        ("A=small.mtx", "the matrix is 2 x 2, and A is 64 x 64; write --set shape.m=2 --set shape.k=2"),
        ("A=broken.mtx", "broken.mtx:3:"),
    ],
)
def test_data_that_does_not_fit_is_refused_in_a_line(
    data: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path)
    head = "%%MatrixMarket matrix coordinate pattern general\n2 2 1\n"
    Path("small.mtx").write_text(head + "1 1\n")
    Path("broken.mtx").write_text(head + "3 1\n")
    code, text = run(capsys, "evaluate", "product.yaml", "--arch", "by-rows.yaml", "--mapping", "rows.yaml", f"--data={data}")
    assert code == 2 and message in text and len(text.splitlines()) == 1


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("ranks: csr, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}", "ranks: crs}", "there is no format 'crs'"),
        ("ranks: csr, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}", "ranks: [compressed]}", "its format says how 1"),
        ("ranks: csr, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}", "ranks: [zipped, compressed]}", "no rank is stored 'zipped'"),
        ("ranks: csr, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}", "ranks: csr, pointer: 32}", "32"),
        ("32 bit, value: 64 bit}\neinsums", "32 bit, value: 16 bit}\neinsums", "a value of 'Z' is stored in 16 bits, and fp32 has 32"),
        ("  Z: {ranks", "  Y: {ranks", "no statement names tensor 'Y'"),
    ],
)
def test_formats_that_are_none_are_refused(written: str, instead: str, message: str, tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "product.yaml"
    path.write_text(path.read_text().replace(written, instead))
    with pytest.raises(AccelsimError) as error:
        load_workload(path)
    assert message in str(error.value) and "product.yaml:" in str(error.value)


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("by: leading", "by: guessing", "'by' is 'guessing'"),
        ("{by: leading, energy: unpriced}", "{by: leading}", "an intersection has no 'energy'"),
        ("radix: 64", "radix: 1", "radix"),
        ("replacement: least_recent", "replacement: newest", "'replacement' is 'newest'; write least_recent or optimal"),
        ("assign: static", "assign: free", "'assign' is 'free'"),
        ("replacement: least_recent", "fetch: later", "'fetch' is 'later'; write on_demand"),
    ],
)
def test_what_a_machine_says_about_stored_elements_is_checked(written: str, instead: str, message: str, tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "by-rows.yaml"
    path.write_text(path.read_text().replace(written, instead))
    with pytest.raises(AccelsimError) as error:
        load_architecture(path)
    assert message in str(error.value) and "by-rows.yaml:" in str(error.value)


def test_formats_are_refused_where_all_elements_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    code, text = run(capsys, "cosim", tmp_path / "product.yaml", "--arch", tmp_path / "by-rows.yaml")
    assert code == 2 and "product.yaml:5:3: product says how A is stored" in text and len(text.splitlines()) == 1


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


AGAIN = """
mapping: again
tree:
  - keep DRAM: [A, B, Z]
  - for k: 8
  - for m: 8
  - for n: 8
  - keep KEEPER: [Z]
  - for k: 1
  - {einsum: Z, unit: MAC}
"""


def test_inputs_whose_names_have_the_same_letters_are_drawn_apart(tmp_path: Path) -> None:
    from accelsim.io.elements import elements_of, origins

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


ELEMENTWISE = """
workload: elementwise
shape: {m: 8, n: 8}
type: {default: int8}
format: {A: csr}
einsums:
  - Z[m,n] = A[m,n] * B[m,n]
"""
IN_PLACE = """
mapping: in place
tree:
  - keep DRAM: [A, B, Z]
  - for m: 1
  - keep Registers: [KEPT]
  - {einsum: Z, unit: MAC}
"""


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ("{A: {fraction: 1/2}}, B, Z", "Registers keeps 1/2 of A, and parts of tiles are not counted over stored elements; keep A whole"),
        ("A = Z, B", "Registers keeps A and Z in one place, which is not counted over stored elements; keep each in a place of its own"),
    ],
)
@pytest.mark.parametrize("statistics", [False, True])
def test_parts_of_tiles_and_places_that_tensors_share_are_refused(
    kept: str, message: str, statistics: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    (tmp_path / "elementwise.yaml").write_text(ELEMENTWISE)
    path = tmp_path / "in-place.yaml"
    path.write_text(IN_PLACE.lstrip().replace("KEPT", kept))
    files = [tmp_path / "elementwise.yaml", "--arch", tmp_path / "phases.yaml", "--mapping", path]
    code, text = run(capsys, "evaluate", *files, *(["--statistics"] if statistics else []))
    assert (code, text.strip()) == (2, f"{path}:5:5: {message}")
    path.write_text(IN_PLACE.lstrip().replace("KEPT", "A, B, Z"))
    assert run(capsys, "evaluate", *files)[0] == 0


NARROW = {
    "narrow": """\
workload: narrow
shape: {m: 16, k: 16, n: 16}
type: {default: int8, Z: int32}
density: {A: 0.25, B: 0.25}
format: {A: csr, B: csr, Z: csr}
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
""",
    "one": """\
machine: one
source: made up for this test
clock: 1 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 16 B/cycle
  energy: 8 pJ/bit
  feeds:
    unit: MAC
    executes: {mac: 2 pJ}
""",
    "flat": """\
mapping: flat
tree:
  - keep DRAM: [A, B, Z]
  - for m: 1
  - for n: 1
  - {einsum: Z, unit: MAC}
""",
}


@pytest.mark.parametrize(
    ("tensor", "bits", "message"),
    [
        ("A", 5, "product.yaml:5:3: a coordinate of A has 5 bits, and those along k take 6; write coordinate: 6 bit"),
        ("Z", 3, "product.yaml:7:3: a coordinate of Z has 3 bits, and those along n take 6; write coordinate: 6 bit"),
        ("A", 6, ""),
    ],
)
def test_coordinates_that_do_not_tell_elements_apart_are_refused(
    tensor: str, bits: int, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path)
    path = tmp_path / "product.yaml"
    written = f"  {tensor}: {{ranks: csr, coordinate: 32 bit"
    path.write_text(path.read_text().replace(written, written.replace("32", str(bits))))
    code, text = run(capsys, "evaluate", path, "--arch", tmp_path / "by-rows.yaml", "--mapping", tmp_path / "rows.yaml")
    assert (code == 2 and text.strip().endswith(message) and len(text.splitlines()) == 1) if message else code == 0


@pytest.mark.parametrize(
    ("tensor", "bits", "message"),
    [
        ("A", 3, "a coordinate of A has 3 bits, and those along k take 4; write coordinate: 4 bit"),
        ("Z", 3, "a coordinate of Z has 3 bits, and those along n take 4; write coordinate: 4 bit"),
        ("A", 4, ""),
    ],
)
@pytest.mark.parametrize("statistics", [False, True])
def test_narrow_coordinates_are_refused_with_elements_and_without(
    tensor: str, bits: int, message: str, statistics: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows of 16 places, of which whole ones come to the unit: a coordinate takes 4 bits."""
    for name, text in NARROW.items():
        (tmp_path / f"{name}.yaml").write_text(text.replace(f"{tensor}: csr", f"{tensor}: {{ranks: csr, coordinate: {bits} bit}}"))
    files = [tmp_path / "narrow.yaml", "--arch", tmp_path / "one.yaml", "--mapping", tmp_path / "flat.yaml"]
    code, text = run(capsys, "evaluate", *files, *(["--statistics"] if statistics else []))
    assert (code == 2 and text.strip().endswith(message) and len(text.splitlines()) == 1) if message else code == 0, text


def test_coordinates_inside_tiles_take_fewer_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tiles of 8 of n have coordinates of 3 bits, and 8 of them in a tile of 64: in a mapping by tiles, not by rows."""
    write(tmp_path)
    path = tmp_path / "product.yaml"
    path.write_text(path.read_text().replace("B: {ranks: csr, coordinate: 32 bit", "B: {ranks: csr, coordinate: 3 bit"))
    by_rows = run(capsys, "evaluate", path, "--arch", tmp_path / "by-rows.yaml", "--mapping", tmp_path / "rows.yaml")
    tiled = run(capsys, "evaluate", path, "--arch", tmp_path / "tiled.yaml", "--mapping", tmp_path / "tiles.yaml")
    assert (by_rows[0], tiled[0]) == (2, 0)


DENSE_PRODUCT = """
workload: dense-product
shape: {m: 64, k: 64, n: 64}
type: {default: fp32}
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
"""


@pytest.mark.parametrize("command", ["evaluate", "simulate", "map"])
def test_what_has_no_effect_where_all_elements_count_is_said(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "Without effect, as all elements count here: replacement of Cache, assign of pe."
    write(tmp_path, "dynamic")
    (tmp_path / "dense.yaml").write_text(DENSE_PRODUCT)
    for arch, said in (("by-rows", True), ("tiled", False)):
        mapping = ["--mapping", tmp_path / f"{'rows' if said else 'tiles'}.yaml"] if command != "map" else ["--time-limit", 5]
        code, text = run(capsys, command, tmp_path / "dense.yaml", "--arch", tmp_path / f"{arch}.yaml", *mapping)
        assert code == 0 and (line in text.splitlines()) == said, text
    _, text = run(capsys, "evaluate", *(f"{tmp_path}/product.yaml --arch {tmp_path}/by-rows.yaml --mapping {tmp_path}/rows.yaml".split()))
    assert "Without effect" not in text


def moved(folder: Path, machine: str, mapping: str, a: Any, b: Any) -> Any:
    """Bits that an evaluation reads, fills and updates, by tensor and memory; of elements as pairs of coordinates."""
    cascade = load_workload(folder / "product.yaml")
    assert isinstance(cascade, Cascade)
    evaluator = Evaluator(cascade, load_architecture(folder / f"{machine}.yaml"))
    stored = {"A": np.array(a, np.int64).T, "B": np.array(b, np.int64).T}
    found = evaluate_stored(evaluator, load_mapping(folder / f"{mapping}.yaml", cascade.extents), stored).evaluation
    return {key[1:]: tuple(each // evaluator.clock.pieces for each in row) for key, row in found.bits.items()}


def test_pointers_that_are_looked_up_in_vain_are_read(tmp_path: Path) -> None:
    """Two rows of A ask for rows 0, 1 and 2 of B, of which row 0 holds one element: a line of 64 bits for its coordinate and one for it."""
    write(tmp_path)
    a, b = [(row, k) for row in (0, 1) for k in (0, 1, 2)], [(0, 5)]
    assert moved(tmp_path, "by-rows", "rows", a, b)["B", "DRAM"][0] == 3 * 32 + 128  # a cache fetches each once
    assert moved(tmp_path, "by-rows", "rows", a, b)["B", "Cache"][0] == 2 * (3 * 32 + 128)
    path = tmp_path / "rows.yaml"
    path.write_text(path.read_text().replace("  - keep Cache: [B]\n", ""))
    assert moved(tmp_path, "by-rows", "rows", a, b)["B", "DRAM"][0] == 2 * (3 * 32 + 128)
    machine = tmp_path / "by-rows.yaml"
    machine.write_text(machine.read_text().replace("by: leading", "by: two_finger"))  # goes through all 64 places
    assert moved(tmp_path, "by-rows", "rows", a, b)["B", "DRAM"][0] == 2 * (64 * 32 + 128)


@pytest.mark.parametrize("keeps", ["", "  - keep Shared: [Z]\n", "  - keep Shared: [Z]\n  - for m: 8\n  - keep Local: [Z]\n"])
def test_pointers_of_a_result_are_written_once_at_its_home(keeps: str, tmp_path: Path) -> None:
    """64 pointers of 32 bits at DRAM, however Z is kept below; with every word 96 bits. Two products make two elements of Z."""
    write(tmp_path)
    (tmp_path / "kept.yaml").write_text(
        f"mapping: kept\ntree:\n  - keep DRAM: [A, B, Z]\n{keeps}  - keep Local: [A, B]\n  - {{einsum: Z, unit: MAC}}\n"
    )
    found = moved(tmp_path, "tiled", "kept", [(0, 0), (9, 1)], [(0, 5), (1, 7)])
    assert found["Z", "DRAM"][2] == 64 * 32 + 2 * 96
    assert all(row[1] <= 2 * 96 for (tensor, memory), row in found.items() if tensor == "Z" and memory != "DRAM")


def test_formats_of_nests_have_a_pointer_less_than_those_of_matrices() -> None:
    """A fiber ends where the next begins, and the end of all needs no pointer; an empty row has no mask."""
    from accelsim.sparse import formats
    from accelsim.sparse.fibers import Fibers, Level
    from accelsim.sparse.storage import sizes
    from accelsim.workload.storage import NAMED, Storage
    from tests.sparse.test_random import pair

    widths = formats.Widths(8, 16, 32)
    for seed in range(share(1000, 60, 20)):
        for pattern in (Pattern.of(each) for each in pair(seed)):
            levels = [Level(0, 1, pattern.rows), Level(1, 1, pattern.width)]
            tree = Fibers.of(elements(pattern), levels, (pattern.rows, pattern.width))
            for name, other in (("csr", formats.csr), ("dcsr", formats.dcsr), ("bitmask", formats.bitmask_by_rows)):
                storage = Storage(NAMED[name], coordinate_bits=16, pointer_bits=32)
                whole = sizes(storage, tree, levels, (pattern.rows, pattern.width), 8).whole
                no_mask = pattern.width * int((pattern.lengths == 0).sum()) if name == "bitmask" else 0
                assert whole == other(pattern, widths) - 32 - no_mask, (seed, name)


def test_without_pointers_every_row_has_a_mask() -> None:
    """One mask of all, as in a file: nothing else says which rows are empty. Also where a row is gone through by several loops."""
    from accelsim.sparse import formats
    from accelsim.sparse.fibers import Fibers, Level
    from accelsim.sparse.storage import sizes
    from accelsim.workload.storage import NAMED, Storage
    from tests.sparse.test_random import pair

    for seed in range(share(1000, 60, 20)):
        for pattern in (Pattern.of(each) for each in pair(seed)):
            shape, inside = (pattern.rows, pattern.width), Level(1, 1, pattern.width)
            for tile in (1, 3, pattern.rows):
                levels = [Level(0, tile, -(-pattern.rows // tile)), Level(0, 1, tile), inside]
                tree = Fibers.of(elements(pattern), levels, shape)
                whole = sizes(Storage(NAMED["bitmask"], pointer_bits=0), tree, levels, shape, 8).whole
                assert whole == formats.bitmask(pattern, formats.Widths(8, 16, 32)), (seed, tile)


@pytest.mark.parametrize("format_", ["ranks: csr, coordinate: 8 bit, pointer: 16 bit", "ranks: bitmask, pointer: none"])
@pytest.mark.parametrize("tile", [1, 3, 4, 16])
def test_rows_that_a_keep_takes_together_come_with_what_says_where_they_end(format_: str, tile: int, tmp_path: Path) -> None:
    """A of 16 x 16, where no memory looks for coordinates: 16 pointers or masks of 16 bits come, whatever the tile."""
    held = np.random.default_rng(0).random((16, 16)) < 0.2
    held[[3, 7, 8]] = False
    head = "workload: few\nshape: {m: 16, k: 16, n: 2}\ntype: {default: int8}\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']\n"
    (tmp_path / "few.yaml").write_text(f"{head}format: {{A: {{{format_}}}}}\n")
    tree = ["keep DRAM: [A, B, Z]", f"for m: {tile}", "keep Registers: [A, Z]", "for m: 1", "for k: 1", "{einsum: Z, unit: MAC}"]
    (tmp_path / "tiles.yaml").write_text("mapping: tiles\ntree:\n" + "".join(f"  - {each}\n" for each in tree))
    (tmp_path / "plain.yaml").write_text(PLAIN)
    cascade = load_workload(tmp_path / "few.yaml")
    assert isinstance(cascade, Cascade)
    evaluator = Evaluator(cascade, load_architecture(tmp_path / "plain.yaml"))
    mapping, stored = load_mapping(tmp_path / "tiles.yaml", cascade.extents), np.stack(np.nonzero(held)).astype(np.int64)
    found = evaluate_stored(evaluator, mapping, {"A": stored})
    each = 16 if "csr" in format_ else 8
    assert found.evaluation.bits["Z", "A", "DRAM"][0] / evaluator.clock.pieces == 16 * 16 + each * held.sum()


PLAIN = """
machine: plain
clock: 1 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 1 B/cycle
  energy: unpriced
  feeds:
    memory: Registers
    size: unlimited
    bandwidth: unlimited
    energy: unpriced
    feeds: {unit: MAC, executes: {mac: unpriced}}
"""


TOGETHER = """
workload: together
shape: {m: 4, k: 4, n: 4}
type: {default: int8}
format: {A: {ranks: csr, coordinate: 8 bit, pointer: 16 bit}, B: {ranks: csr, coordinate: 8 bit, pointer: 16 bit}}
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
"""
TOGETHER_MAPPING = """
mapping: rows of A two at a time
tree:
  - keep DRAM: [A, B, Z]
  - for m: 1
  - keep Shared: [{A: {copies: 2}}, B]
  - for k: 1
  - for n: 1
  - keep Local: [A, B]
  - {einsum: Z, unit: MAC}
"""


def rewriting(folder: Path, keeper: str = "Shared", spatial: str = "") -> list[object]:
    """Files of a product of which tiles of Z come back and leave whole."""
    write(folder)
    text = (folder / "product.yaml").read_text().replace("Z: {ranks: csr, coordinate", "Z: {ranks: dcsr, tiles: whole, coordinate")
    (folder / "product.yaml").write_text(text)
    mapping = AGAIN.lstrip().replace("KEEPER", keeper).replace("  - for m: 8\n", f"  - for m: 8\n{spatial}")
    (folder / "tiles.yaml").write_text(mapping)
    files: list[object] = ["evaluate", folder / "product.yaml", "--arch", folder / "tiled.yaml", "--mapping", folder / "tiles.yaml"]
    return [*files, "--set", "density.A=0.05", "--set", "density.B=0.05"]


def test_results_whose_tiles_go_whole_are_read_and_written_as_the_matrices_say(tmp_path: Path) -> None:
    """Of every 8 k, what is so far in tiles of 8 x 8 that some k of both operands' tiles reaches comes back, and goes again."""
    rewriting(tmp_path)
    pair, _ = products("c01_uniform64")
    found = evaluated(tmp_path, "tiled", "tiles", pair).evaluation
    a, b = (np.zeros((64, 64), np.int64) for _ in range(2))
    for matrix, pattern in ((a, pair.a), (b, pair.b)):
        matrix[pattern.row_of, pattern.columns] = 1
    made, back = np.zeros((64, 64), np.int64), 0
    for first in range(0, 64, 8):
        inside = slice(first, first + 8)
        met = (a[:, inside].reshape(8, 8, 8).any(1)[:, None, :] & b[inside].reshape(8, 8, 8).any(2).T[None, :, :]).any(2)
        back += int(made.reshape(8, 8, 8, 8).sum((1, 3))[met].sum())
        made |= a[:, inside] @ b[inside] > 0
    pieces = found.evaluator.clock.pieces
    read, _, updated = (bits // pieces for bits in found.bits["Z", "Z", "DRAM"])
    assert back > 0
    assert (read, updated) == (128 * back, 128 * (back + int(made.sum())))


@pytest.mark.parametrize(
    ("keeper", "spatial", "message"),
    [
        ("DRAM", "", "tiles of Z come and go whole, and no memory inside its home keeps one"),
        ("Local", "  - spatial pe k: 1\n", "tiles of Z come and go whole, and copies that add up parts of one keep it"),
    ],
)
def test_tiles_that_go_whole_are_refused_where_it_is_not_said_which_copy_has_them(
    keeper: str, spatial: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = rewriting(tmp_path, keeper, spatial)
    if keeper == "DRAM":
        (tmp_path / "tiles.yaml").write_text((tmp_path / "tiles.yaml").read_text().replace("  - keep DRAM: [Z]\n", ""))
    code, text = run(capsys, *files)
    assert code == 2 and message in text and len(text.splitlines()) == 1


def test_tiles_are_whole_or_nothing_is_said_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = rewriting(tmp_path)
    path = tmp_path / "product.yaml"
    path.write_text(path.read_text().replace("tiles: whole", "tiles: half"))
    code, text = run(capsys, *files)
    assert code == 2 and "the tiles of 'Z' are 'half'; write tiles: whole, or leave it out" in text


def test_tiles_that_are_fetched_on_demand_are_those_that_meet_another(tmp_path: Path) -> None:
    """Of tiles of 16 x 16 of A those of 8 x 8 stay away of which no tile of B within 16 columns has the rows."""
    write(tmp_path)
    for name in ("c01_uniform64", "c04_banded_AA", "c15_karate_AA"):
        pair, _ = products(name)
        (tmp_path / "product.yaml").write_text((tmp_path / "product-in-tiles.yaml").read_text().replace("tiles: whole, ", ""))
        bits = []
        for fetch in ("    fetch: on_demand\n", ""):
            write_machine = (tmp_path / "tiled.yaml").read_text().replace("    fetch: on_demand\n", fetch)
            (tmp_path / "tiled.yaml").write_text(write_machine)
            found = evaluated(tmp_path, "tiled", "tiles", pair).evaluation
            bits.append(found.bits["Z", "A", "DRAM"][0] // found.evaluator.clock.pieces)
        write(tmp_path)
        assert bits[1] - bits[0] == unasked(*(matrix(pattern) for pattern in (pair.a, pair.b))), name


def matrix(pattern: Pattern) -> Any:
    found = np.zeros((-(-pattern.rows // 16) * 16, -(-pattern.width // 16) * 16), np.int64)
    found[pattern.row_of, pattern.columns] = 1
    return found


def unasked(a: Any, b: Any) -> int:
    """Bits of tiles of 8 x 8 of A that come with tiles of 16 x 16 for nothing."""

    def lines(bits: int) -> int:
        return -(-bits // 64) * 64

    bits, last = 0, None
    for n in range(0, b.shape[1], 16):
        for k in range(0, a.shape[1], 16):
            for m in range(0, a.shape[0], 16):
                if not (a[m : m + 16, k : k + 16].any() and b[k : k + 16, n : n + 16].any()) or last == (m, k):
                    continue
                last = (m, k)
                for row in (m, m + 8):
                    for column in (k, k + 8):
                        lengths = [int(each) for each in a[row : row + 8, column : column + 8].sum(1) if each]
                        if lengths and not b[column : column + 8, n : n + 16].any():
                            bits += 2 * lines(32 * len(lengths)) + sum(lines(32 * each) + 64 * each for each in lengths)
    return bits


def test_a_memory_that_fetches_on_demand_serves_another(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    path = tmp_path / "tiles.yaml"
    path.write_text(path.read_text().replace("  - keep Local: [A, B]\n", ""))
    files = [tmp_path / "product.yaml", "--arch", tmp_path / "tiled.yaml", "--mapping", path, "--set", "density.A=0.1"]
    code, text = run(capsys, "evaluate", *files)
    assert code == 2 and "Shared fetches A on demand, and is no cache, serves a memory" in text and len(text.splitlines()) == 1


def test_tiles_that_fit_alone_are_said_not_to_fit_together(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows of A take 32, 16, 32 and 16 bits (two are held), B takes 4 pointers of 16 bits and 6 elements of 16: 192, 208, 208, 208 bits."""
    import json

    write(tmp_path)
    (tmp_path / "together.yaml").write_text(TOGETHER)
    (tmp_path / "two.yaml").write_text(TOGETHER_MAPPING)
    body = "\n".join(("1 1", "1 4", "2 2", "3 1", "3 2", "4 3"))
    (tmp_path / "s.mtx").write_text(f"%%MatrixMarket matrix coordinate pattern general\n4 4 6\n{body}\n")
    data = [f"--data={name}={tmp_path}/s.mtx" for name in "AB"]
    files = [tmp_path / "together.yaml", "--arch", tmp_path / "tiled.yaml", "--mapping", tmp_path / "two.yaml", *data]
    _, text = run(capsys, "evaluate", *files, "--set", "arch.Shared.size=24 B")
    assert "3 of 4 visits hold too much" in text and "Shared, A" in text and "fits alone" in text
    _, text = run(capsys, "evaluate", *files, "--set", "arch.Shared.size=26 B", "--json", "-")
    found = json.loads(text)
    shared = {"memory": "Shared", "tensors": ["A", "B"], "bits": 208, "visits": 4, "beyond": 0}
    assert found["stored"]["Z"]["together"][0] == shared
    assert found["components"]["Shared"]["peak_occupancy_bits"] == 208


TWO_CACHES = """
mapping: two caches
tree:
  - keep DRAM: [A, B, Z]
  - keep Cache: [A, B]
  - for m: 1
  - keep Registers: [A, B, Z]
  - {einsum: Z, unit: MAC}
"""


def test_caches_of_more_than_stored_operands_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    product = tmp_path / "product.yaml"
    for kept, without in (("[Z]", ""), ("[A, B]", "  A: {")):
        (tmp_path / "rows.yaml").write_text(TWO_CACHES.lstrip().replace("Cache: [A, B]", f"Cache: {kept}"))
        product.write_text(product.read_text().replace(without, "  # {") if without else product.read_text())
        files = [product, "--arch", tmp_path / "by-rows.yaml", "--mapping", tmp_path / "rows.yaml"]
        code, text = run(capsys, "evaluate", *files)
        said = f"Cache is a cache that keeps {'A' if without else 'Z'}, and only stored operands of Z are counted in caches"
        assert code == 2 and said in text and len(text.splitlines()) == 1


def test_counting_conventions_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    files = [tmp_path / "product.yaml", "--arch", tmp_path / "by-rows.yaml", "--mapping", tmp_path / "rows.yaml"]
    code, text = run(capsys, "evaluate", *files, "--counting", "drains=free")
    assert code == 2 and "counting conventions" in text


@pytest.mark.parametrize(
    ("file", "written", "instead", "message"),
    [
        ("by-rows", "multicast: false, ", "", "not at one turn at once cannot be sent B together; write multicast: false"),
        ("rows", "  - spatial", "  - for k: 32\n  - spatial", "spread one rank of the result along it and no other"),
        ("rows", "[A, Z]", "[A]", "parts of Z that turns along pe make are merged outside its copies; keep Z inside"),
    ],
)
def test_what_cannot_follow_the_copy_that_is_free_first_is_refused(
    file: str, written: str, instead: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "dynamic")
    path = tmp_path / f"{file}.yaml"
    path.write_text(path.read_text().replace(written, instead))
    files = [tmp_path / "product.yaml", "--arch", tmp_path / "by-rows.yaml", "--mapping", tmp_path / "rows.yaml"]
    code, text = run(capsys, "evaluate", *files, "--set", "density.A=0.1")
    assert code == 2 and message in text and len(text.splitlines()) == 1


def test_a_dense_tile_that_is_too_large_is_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    (tmp_path / "product.yaml").write_text((tmp_path / "product.yaml").read_text().replace("  B: {", "  # {"))
    files = [tmp_path / "product.yaml", "--arch", tmp_path / "tiled.yaml", "--mapping", tmp_path / "tiles.yaml"]
    code, text = run(capsys, "evaluate", *files, "--set", "density.A=0.1", "--set", "arch.Shared.size=1 KiB")
    assert code == 0 and "Shared, B" in text and "bring more than it holds" in text


def test_energies_of_nodes_sum_to_the_whole_with_merging_and_intersection(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import json

    write(tmp_path)
    machine = tmp_path / "by-rows.yaml"
    priced = machine.read_text().replace("radix: 64, energy: unpriced", "radix: 64, energy: 2 pJ")
    machine.write_text(priced.replace("by: leading, energy: unpriced", "by: leading, energy: 3 pJ"))
    files = [tmp_path / "product.yaml", "--arch", machine, "--mapping", tmp_path / "rows.yaml", "--set", "density.A=0.1"]
    _, text = run(capsys, "evaluate", *files, "--json", "-")
    found = json.loads(text)
    work, components = found["stored"]["Z"], found["components"]
    assert components["MAC"]["energy_pj"] == 2 * work["merging_cycles"]
    assert components["Registers"]["energy_pj"] == 3 * work["meetings"][0]["steps"]
    assert found["energy_pj"] == sum(each["energy_pj"] for each in components.values())


def test_words_that_meet_nothing_are_not_compulsory() -> None:
    """Two diagonals of which each row and each column meet, but no element."""
    chosen = built("w", "Z[m,k] = A[m,k] * B[m,k]", {"m": 4, "k": 4}, types={"default": "int8"})
    tree = Mapping("m", (Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), Leaf("Z", "U", ())))
    diagonal = np.stack([np.arange(4), np.arange(4)])
    evaluator = Evaluator(chosen, nests.machine(Random(0)))
    apart = evaluate_stored(evaluator, tree, {"A": diagonal, "B": np.stack([np.arange(4), (np.arange(4) + 1) % 4])})
    alike = evaluate_stored(evaluator, tree, {"A": diagonal, "B": diagonal})
    assert [apart.whole[name][1] for name in "AB"] == [0, 0] and [alike.whole[name][1] for name in "AB"] == [32, 32]


def with_lines(folder: Path) -> None:
    """The files of `write`, with fibers of Z on lines."""
    write(folder)
    path = folder / "product.yaml"
    line = next(each for each in path.read_text().splitlines() if each.startswith("  Z: {"))
    path.write_text(path.read_text().replace(line, line.replace("}", ", line: 64 bit}")))


def test_fibers_of_a_result_that_leaves_once_begin_on_lines(tmp_path: Path) -> None:
    """Rows of C as SciPy has them: values of 64 bits, coordinates of 32 in lines of 64, and a pointer of 32 for every row, in lines too."""
    with_lines(tmp_path)
    for name in ("c01_uniform64", "c06_empty_fibres"):
        pair, _ = products(name)
        found = evaluated(tmp_path, "by-rows", "rows", pair)
        rows = pair.c.lengths.tolist()
        wanted = sum(64 * many + -(-32 * many // 64) * 64 for many in rows) + -(-32 * len(rows) // 64) * 64
        _, filled, updated = found.evaluation.bits["Z", "Z", "DRAM"]
        assert (filled + updated) // found.evaluation.evaluator.clock.pieces == wanted
        assert found.whole["Z"] == (wanted, 32 * sum(rows))
        assert any(many % 2 for many in rows)  # or lines would change nothing


def test_lines_of_a_result_that_comes_back_are_refused(tmp_path: Path) -> None:
    with_lines(tmp_path)
    (tmp_path / "rows.yaml").write_text(AGAIN.lstrip().replace("KEEPER", "Registers"))
    pair, _ = products("c01_uniform64")
    with pytest.raises(AccelsimError) as error:
        evaluated(tmp_path, "by-rows", "rows", pair)
    said = "fibers of Z begin on lines, and words of it leave more than once, so that where fibers end is not counted; keep Z so that"
    assert said in str(error.value) and len(str(error.value).splitlines()) == 1


def test_matrix_of_two_sizes_for_one_rank_is_asked_to_be_square(tmp_path: Path) -> None:
    (tmp_path / "trace.yaml").write_text("workload: trace\nshape: {k: 4}\neinsums:\n  - Z[k] = A[k,k]\n")
    (tmp_path / "a.mtx").write_text("%%MatrixMarket matrix coordinate pattern general\n2 3 1\n1 1\n")
    cascade = load_workload(tmp_path / "trace.yaml", {})
    with pytest.raises(InputError, match=r"is 2 x 3, and A is 4 x 4; give a square matrix, as both indices of A are one rank$"):
        elements_of(cascade, [f"A={tmp_path / 'a.mtx'}"], 0)
