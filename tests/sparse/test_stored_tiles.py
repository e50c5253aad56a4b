"""Tiles of stored elements that come and go whole, are fetched on demand, or do not fit together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored
from accelsim.workload.cascade import Cascade
from tests.sparse.designs import write
from tests.sparse.evaluating import AGAIN, evaluated, matrix, run
from tests.sparse.test_cases import products


def test_coordinates_inside_tiles_take_fewer_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Tiles of 8 of n have coordinates of 3 bits, and 8 of them in a tile of 64: in a mapping by tiles, not by rows."""
    write(tmp_path)
    path = tmp_path / "product.yaml"
    path.write_text(path.read_text().replace("B: {ranks: csr, coordinate: 32 bit", "B: {ranks: csr, coordinate: 3 bit"))
    by_rows = run(capsys, "evaluate", path, "--arch", tmp_path / "by-rows.yaml", "--mapping", tmp_path / "rows.yaml")
    tiled = run(capsys, "evaluate", path, "--arch", tmp_path / "tiled.yaml", "--mapping", tmp_path / "tiles.yaml")
    assert (by_rows[0], tiled[0]) == (2, 0)


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
    for places, pattern in ((a, pair.a), (b, pair.b)):
        places[pattern.row_of, pattern.columns] = 1
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
