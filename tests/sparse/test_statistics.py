"""Densities in workload files, `evaluate --statistics`, its prices against means of draws, and where a uniform density misleads."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from accelsim.cli import main
from accelsim.errors import AccelsimError
from accelsim.io import catalogue
from accelsim.io.elements import elements_of
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluator
from accelsim.model.statistics import evaluate_expected
from accelsim.model.stored import evaluate_stored
from accelsim.sparse.boxes import UniformBoxes
from accelsim.sparse.density import PowerLaw, Uniform
from accelsim.sparse.pattern import Pattern
from accelsim.sparse.stated import boxes_of, density_of
from accelsim.workload.cascade import Cascade
from accelsim.workload.storage import Storage
from tests.share import share
from tests.sparse import designs
from tests.sparse.densities import every
from tests.sparse.nests import problem

WORKLOAD = """\
workload: product
shape: {m: 16, k: 16, n: 16}
type: {default: int8, Z: int32}
density: {A: %s, B: 0.25}
format: {A: csr, B: csr, Z: csr}
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
"""
MACHINE = """\
machine: buffered
source: made up for this test
clock: 1 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 16 B/cycle
  energy: 8 pJ/bit
  feeds:
    memory: Buffer
    size: %s
    bandwidth: unlimited
    energy: 1 pJ/bit
    intersect: {by: two_finger, energy: 0.5 pJ}
    feeds:
      unit: MAC
      executes: {mac: 2 pJ}
      intersect: {by: skip_ahead, energy: 0.5 pJ}
"""
MAPPING = """\
mapping: tiles
tree:
  - keep DRAM: [A, B, Z]
  - for m: 4
  - for n: 4
  - keep Buffer: [Z]
  - for k: 8
  - keep Buffer: [A, B]
  - {einsum: Z, unit: MAC}
"""
STATED = {
    "0.25": 64, "{model: uniform, share: 0.25}": 64, "{model: structured, kept: 2, of: 4}": 128, "{model: banded, below: -1, above: 1}": 46,
    "{model: blocks, side: 4, share: 0.5}": 128, "{model: fibers, lengths: [0.5, 0, 0.5]}": None, "{model: power_law, edges: 60}": None,
}  # fmt: skip


def write(folder: Path, density: str = "0.25", size: str = "1 KiB") -> list[str]:
    texts = {"product": WORKLOAD % density, "buffered": MACHINE % size, "tiles": MAPPING}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text)
    return ["evaluate", f"{folder}/product.yaml", "--arch", f"{folder}/buffered.yaml", "--mapping", f"{folder}/tiles.yaml"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main([str(each) for each in arguments])
    out = capsys.readouterr()
    return code, out.out + out.err


@pytest.mark.parametrize("stated", STATED)
def test_a_stated_density_is_drawn_and_says_its_share(stated: str, tmp_path: Path) -> None:
    write(tmp_path, stated)
    cascade = load_workload(tmp_path / "product.yaml")
    assert isinstance(cascade, Cascade)
    tensor = cascade.tensors["A"]
    assert density_of(tensor).nonzeros == pytest.approx(tensor.density * 256)
    everywhere = boxes_of(tensor).mean([np.array(0), np.array(0)], [np.array(16), np.array(16)])
    assert float(everywhere.sum()) == pytest.approx(tensor.density * 256)
    drawn = [elements_of(cascade, [], seed)["A"].shape[1] for seed in range(100)]
    if STATED[stated] is not None:
        assert set(drawn) == {STATED[stated]}
    else:
        assert abs(np.mean(drawn) - tensor.density * 256) < 4 * np.std(drawn) / 10
    again = elements_of(cascade, [], 3)["A"]
    assert np.array_equal(again, elements_of(cascade, [], 3)["A"])


@pytest.mark.parametrize(
    ("stated", "message"),
    [
        ("2", "product.yaml:4:14: the density of 'A' is 2; a density is a share above 0, at most 1"),
        (
            "{share: 0.5}",
            "product.yaml:4:14: the density of 'A' names no model; write model: uniform, structured, banded, blocks, fibers, power_law",
        ),
        ("{model: unifrom}", "there is no density 'unifrom'; did you mean 'uniform'?"),
        ("{model: uniform}", "the density of 'A' is uniform and has no 'share'; write share: …"),
        ("{model: structured, kept: 5, of: 4}", "5 of 4 is no structure; keep at most all of a block"),
        ("{model: structured, kept: 2, of: 5}", "the density of 'A': rows of 16 do not consist of blocks of 5; make them a multiple of 5"),
        ("{model: structured, keep: 2, of: 4}", "a density that is structured has no 'keep'; did you mean 'kept'?"),
        ("{model: banded, below: 2, above: 1}", "a band from 2 to 1 is empty; give the lower diagonal first"),
        ("{model: blocks, side: 3, share: 0.5}", "the density of 'A': a matrix of 16 x 16 does not consist of blocks of 3 x 3"),
        ("{model: fibers, lengths: [0.5, 0.4]}", "the lengths sum to 0.9; write shares that sum to 1"),
        ("{model: power_law, edges: 0}", "'edges' is 0; write a number above 0"),
        ("{model: power_law, edges: 9, chances: [0.5, 0.5]}", "2 chances are none of quadrants; write four"),
    ],
)
def test_densities_that_are_none_are_refused_in_a_line(stated: str, message: str, tmp_path: Path) -> None:
    write(tmp_path, stated)
    with pytest.raises(AccelsimError) as error:
        load_workload(tmp_path / "product.yaml")
    assert message in str(error.value) and "product.yaml:" in str(error.value) and "\n" not in str(error.value)


def test_matrices_of_other_sizes_have_no_quadrants(tmp_path: Path) -> None:
    write(tmp_path, "{model: power_law, edges: 9}")
    with pytest.raises(AccelsimError, match="quadrants of quadrants make no matrix of 12 x 16; make both sizes the same power of two"):
        load_workload(tmp_path / "product.yaml", {"shape.m": "12"})


@pytest.mark.parametrize("stated", STATED)
def test_statistics_say_what_draws_come_to(stated: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Energy, operations and steps of the command, against 40 of its evaluations of drawn elements."""
    command = write(tmp_path, stated)
    code, text = run(capsys, *command, "--statistics", "--json", "-")
    assert code == 0, text
    found = json.loads(text)
    drawn = []
    for seed in range(40):
        code, text = run(capsys, *command, "--seed", str(seed), "--json", "-")
        assert code == 0, text
        drawn.append(json.loads(text))
    work = found["expected"]["Z"]
    pairs = [
        (found["energy_pj"], [each["energy_pj"] for each in drawn]),
        (work["effectual"], [each["stored"]["Z"]["effectual"] for each in drawn]),
        (work["meetings"][0]["steps"], [each["stored"]["Z"]["meetings"][0]["steps"] for each in drawn]),
    ]
    for expected, counted in pairs:
        assert abs(np.mean(counted) - expected) <= 3.5 * np.std(counted, ddof=1) / math.sqrt(40) + 1e-4 * expected
    cycles = [each["latency"]["cycles"] for each in drawn]
    assert found["latency"]["cycles"] <= np.mean(cycles) + 3.5 * np.std(cycles, ddof=1) / math.sqrt(40) + 1


def test_a_tile_that_may_not_fit_has_a_chance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A is 4 x 8 in a tile, hypergeometric: 4 pointers of 32 bits, and 8 + 3 bits of each element; 29 bytes hold 9 of them."""
    from accelsim.sparse.chances import hypergeometric

    command = write(tmp_path, size="29 B")
    code, text = run(capsys, *command, "--statistics", "--json", "-")
    assert code == 0, text
    (tile,) = (each for each in json.loads(text)["expected"]["Z"]["tiles"] if each["tensor"] == "A")
    chances = hypergeometric(256, 64, 32)
    assert tile["visits"] == pytest.approx(32 * (1 - chances[0]))
    assert tile["chance"] == pytest.approx(chances[10:].sum() / (1 - chances[0]), rel=1e-6)
    assert tile["mean_bits"] == pytest.approx((4 * 32 * (1 - chances[0]) + 8 * 11) / (1 - chances[0]))
    _, shown = run(capsys, *command, "--statistics")
    assert f"chance {tile['chance']:.3g}" in shown


def priced(seed: int) -> tuple[Evaluator, Any, dict[str, UniformBoxes]]:
    """A random nest with prices, formats and few elements."""
    cascade, machine, mapping, stored = problem(seed, limited=True)
    chances = np.random.default_rng(seed)
    tensors = dict(cascade.tensors)
    for name, tensor in tensors.items():
        kinds = [str(each) for each in chances.choice(["uncompressed", "compressed", "bitmask"], len(tensor.shape))]
        if "uncompressed" in kinds and len(set(kinds)) == 1:
            kinds[-1] = "compressed"
        tensors[name] = dataclasses.replace(
            tensor, storage=Storage(tuple(kinds), int(chances.choice([0, 5])), int(chances.choice([7, 32])))
        )
    densities = {}
    for name in sorted(stored):
        size = math.prod(tensors[name].shape)
        count = int(chances.choice([each for each in range(size + 1) if math.comb(size, each) <= 25]))
        densities[name] = UniformBoxes(tensors[name].shape, count)
    return Evaluator(dataclasses.replace(cascade, tensors=tensors), machine), mapping, densities


def test_energy_and_bits_are_means_over_all_that_may_be_drawn() -> None:
    """Every set of so many elements, evaluated: bits are the mean, rounded, and no mean time is below that of expected counts."""
    from itertools import product

    done = 0
    for seed in range(share(1000, 60, 15)):
        evaluator, mapping, densities = priced(seed)
        ways = {name: every(each.shape, each.count) for name, each in densities.items()}
        if not ways or math.prod(len(each) for each in ways.values()) > 150:
            continue
        try:
            found = evaluate_expected(evaluator, mapping, densities)
        except AccelsimError as error:
            assert any(part in str(error) for part in ("closed form", "stand together"))
            continue
        exact = [evaluate_stored(evaluator, mapping, dict(zip(ways, chosen, strict=True))) for chosen in product(*ways.values())]
        keys = {key for each in exact for key in each.evaluation.bits}
        for key in keys:
            mean = np.mean([each.evaluation.bits.get(key, (0, 0, 0)) for each in exact], axis=0)
            assert found.evaluation.bits.get(key, (0, 0, 0)) == pytest.approx(mean, abs=0.5001), (seed, key)
        for name in densities:
            assert found.whole[name][0] == pytest.approx(np.mean([each.whole[name][0] for each in exact])), (seed, name)
        assert found.evaluation.cycles <= np.mean([each.evaluation.cycles for each in exact]) + 1 + 1e-6 * found.evaluation.cycles, seed
        done += 1
    assert done >= share(500, 15, 4)


@pytest.mark.parametrize(
    ("written", "instead", "message"),
    [
        ("    intersect: {by: two", "    replacement: least_recent\n    intersect: {by: two", "a cache"),
        ("      executes", "      merge: {radix: 2, energy: 1 pJ}\n      executes", "merges parts of Z"),
    ],
)
def test_what_takes_more_than_chances_of_tiles_is_refused(
    written: str, instead: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = write(tmp_path)
    for name in ("buffered", "tiles"):
        path = tmp_path / f"{name}.yaml"
        text = path.read_text().replace(written, instead)
        path.write_text(text.replace("[Z]", "[A]").replace("keep Buffer: [A, B]", "keep Buffer: [B]") if "radix" in text else text)
    if "merge" in instead:
        order = MAPPING.replace("  - for n: 4\n  - keep Buffer: [Z]\n  - for k: 8\n", "  - keep Buffer: [Z]\n  - for k: 1\n")
        (tmp_path / "tiles.yaml").write_text(order)
    if "cache" in message:
        (tmp_path / "tiles.yaml").write_text(MAPPING.replace("  - keep Buffer: [Z]\n", "").replace("[A, B]\n  - {", "[B]\n  - {"))
    code, text = run(capsys, *command, "--statistics")
    assert code == 2 and message in text and len(text.splitlines()) == 1


def test_statistics_of_tiles_that_come_whole_or_on_demand_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = write(tmp_path)
    workload = tmp_path / "product.yaml"
    workload.write_text(workload.read_text().replace("Z: csr}", "Z: {ranks: dcsr, tiles: whole}}"))
    code, text = run(capsys, *command, "--statistics")
    what = "tiles of Z come and go whole, and what they hold by then has no closed form; leave --statistics out, or 'tiles'"
    assert (code, text.strip()) == (2, f"{workload}:7:5: {what}")
    designs.write(tmp_path)
    files = [str(tmp_path / each) for each in ("product.yaml", "tiled.yaml", "tiles.yaml")]
    code, text = run(capsys, "evaluate", files[0], "--arch", files[1], "--mapping", files[2], "--statistics")
    what = "Shared fetches A on demand, and which of its tiles has no closed form; leave --statistics out, or 'fetch'"
    assert (code, text.strip()) == (2, f"{workload}:9:5: {what}")


def test_statistics_of_what_stores_all_elements_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = write(tmp_path)
    path = tmp_path / "product.yaml"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if "format" not in line))
    code, text = run(capsys, *command, "--statistics")
    assert code == 2 and "--statistics: product stores all elements; state a 'format', or give --data" in text


def save(pattern: Pattern, path: Path) -> str:
    shape = (pattern.rows, pattern.width)
    sparse.save_npz(path, sparse.csr_array((np.ones(pattern.nonzeros), pattern.columns, pattern.starts), shape))
    return str(path)


def test_a_uniform_matrix_is_not_flagged_by_words_that_are_not_expected(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Products that are stored between two Einsums, tiles that come whole or on demand, and rows that are dealt out."""
    designs.write(tmp_path, "dynamic")
    data = [f"--data={name}={save(Uniform(64, 64, 400).draw(seed), tmp_path / f'{name}.npz')}" for seed, name in enumerate("AB")]
    for workload, machine, mapping in (
        ("outer-product", "phases", "outermost"), ("product-in-tiles", "tiled", "tiles"), ("product", "by-rows", "rows")
    ):  # fmt: skip
        files = [tmp_path / f"{workload}.yaml", "--arch", tmp_path / f"{machine}.yaml", "--mapping", tmp_path / f"{mapping}.yaml"]
        code, text = run(capsys, "evaluate", *map(str, files), *data, "--json", "-")
        assert code == 0, text
        assert json.loads(text)["uniform_misleads"] == [], workload


def test_a_power_law_is_flagged_where_a_uniform_density_misleads_and_a_uniform_matrix_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [*write(tmp_path, size="64 KiB"), "--set", "shape.m=128", "--set", "shape.k=128", "--set", "shape.n=128"]
    skewed = PowerLaw(7, 1200.0, (0.57, 0.19, 0.19, 0.05)).draw(1)
    for pattern, flagged in ((skewed, True), (Uniform(128, 128, skewed.nonzeros).draw(1), False)):
        file = save(pattern, tmp_path / f"{flagged}.npz")
        data = [f"--data=A={file}", f"--data=B={file}"]
        code, text = run(capsys, *command, *data, "--json", "-")
        assert code == 0, text
        rows = json.loads(text)["uniform_misleads"]
        assert bool(rows) is flagged
        _, shown = run(capsys, *command, *data)
        assert ("warning: a uniform density of as many elements misleads" in shown) is flagged
        if flagged:
            (row,) = (each for each in rows if each["what"] == "operations on stored elements")
            dense = np.zeros((128, 128))
            dense[pattern.row_of, pattern.columns] = 1
            assert row["counted"] == int((dense @ dense).sum())
            assert row["expected"] == pytest.approx(pattern.nonzeros**2 / 128)
            assert row["counted"] > 2 * row["expected"]


def test_masks_of_places_that_may_be_empty_are_not_expected_without_pointers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shipped = catalogue.resolve("matmul-blocks", catalogue.WORKLOAD).read_text()
    (tmp_path / "share.yaml").write_text(shipped.replace("A: {model: structured, kept: 3, of: 8}", "A: 0.3"))
    given = ["evaluate", str(tmp_path / "share.yaml"), "--arch", "s2ta", "--mapping", "matmul-blocks-s2ta", "--statistics"]
    assert main(given) == 2
    said = "Z: A has masks and no pointers, and places that may be empty, which has no closed form; state a pointer\n"
    assert capsys.readouterr().err == f"{tmp_path / 'share.yaml'}:13:5: {said}"


@pytest.mark.parametrize(
    ("sizes", "what"),
    [
        ({"m": 100_000_000},
         "m has 100,000,000 places, more than the 16,777,216 that loops are followed to without elements; make m smaller"),
        (
            {"k": 4096, "l": 8192},
            "fibers along k, l have 33,554,432 places, and how many they have in common, which has no closed form; make them shorter",
        ),
    ],
)
def test_ranks_of_very_many_places_are_refused_before_they_are_listed(
    sizes: dict[str, int], what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every place of a rank of 100 million, or the chances of as many numbers of places, take gigabytes."""
    command = write(tmp_path)
    path = tmp_path / "product.yaml"
    if "l" in sizes:
        text = path.read_text().replace("{m: 16, k: 16,", "{m: 16, k: 16, l: 4,").replace("A[m,k] * B[k,n]", "A[m,k,l] * B[k,l,n]")
        path.write_text(text.replace("A: csr, B: csr", "A: {ranks: [compressed, compressed, compressed]}, "
            "B: {ranks: [compressed, compressed, compressed]}"))
    code, text = run(capsys, *command, "--statistics", *(f"--set=shape.{rank}={size}" for rank, size in sizes.items()))
    assert (code, text.strip()) == (2, f"{path}:7:5: Z: {what}")


_WORKLOAD = """\
workload: w
shape: {k: 4, m: 12, n: 6}
type: {default: int8, Z: {partial: int32, final: int16}}
density: {A: 0.1, B: 1}
format: {A: {ranks: [compressed, compressed]}, B: {ranks: [uncompressed, uncompressed]}}
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
"""
_MACHINE = """\
machine: copies
source: made up
clock: 1 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 16 B/cycle
  energy: 1 pJ/bit
  intersect: {by: leading, energy: unpriced}
  feeds:
    memory: Buffer
    size: 4 KiB
    bandwidth: 4 B/cycle
    energy: 1 pJ/bit
    feeds:
      array: copies
      axes: {x: {size: 4, multicast: true}}
      feeds:
        memory: Regs
        size: 1 KiB
        bandwidth: unlimited
        energy: 1 pJ/bit
        feeds:
          unit: MAC
          executes: {mac mul add: 1 pJ}
"""
_TILES = """\
mapping: t
tree:
  - keep DRAM: [A, B, Z]
  - for n: 2
  - for k: 2
  - keep Buffer: [A, B, Z]
  - spatial x m: 3
  - keep Regs: [A, Z]
  - {einsum: Z, unit: MAC}
"""


def test_copy_whose_tile_holds_nothing_does_not_keep_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of A comes again in every turn of n, in each draw: the turn of k in between is visited though a copy may have nothing of it."""
    for name, text in (("w", _WORKLOAD), ("m", _MACHINE), ("t", _TILES)):
        (tmp_path / f"{name}.yaml").write_text(text)
    command = ["evaluate", str(tmp_path / "w.yaml"), "--arch", str(tmp_path / "m.yaml"), "--mapping", str(tmp_path / "t.yaml")]
    assert main([*command, "--statistics"]) == 2
    assert "a tile of A may stay from one turn of n to the next by chance, which has no closed form" in capsys.readouterr().err
    assert main([*command, "--statistics", "--seed", "0"]) == 2
    assert capsys.readouterr().err == "--seed 0: with --statistics no element is drawn; leave one of the two out\n"
