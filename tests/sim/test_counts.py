"""Words that cross a port where tiles, copies and tensors do not fit each other: by hand, and as the model counts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.sim.simulation import Simulation, simulate
from accelsim.workload.cascade import Cascade
from tests.sim.test_events import off

MACHINE = """\
machine: m
clock: 1 GHz
tree:
  memory: Out
  size: 1 GiB
  bandwidth: {out}
  energy: unpriced
  feeds:
    memory: In
    size: 64 KiB
    bandwidth: {inside}
    energy: unpriced
    feeds: {unit}
"""
UNIT = "{unit: Mac, executes: {mac mul add max move: {energy: unpriced}}}"
COPIES = "{array: Pes, axes: {X: {size: 8, %s}}, feeds: {unit: Mac, executes: {mac mul add: {energy: unpriced}}}}"
PARTS = """\
machine: parts
clock: 1 GHz
tree:
  memory: Out
  size: 1 GiB
  bandwidth: unlimited
  energy: unpriced
  feeds:
    array: Pes
    axes: {X: {size: 2, multicast: true, reduces: [add]}}
    feeds:
      memory: In
      size: 64 KiB
      bandwidth: 4 GB/s
      energy: unpriced
      feeds: {unit: Mac, executes: {mac: {energy: unpriced}}}
"""
WORD = "4 GB/s"  # one word of 32 bits in a cycle


def run(folder: Path, work: str, tree: str, out: str = "unlimited", inside: str = "unlimited", unit: str = UNIT) -> Simulation:
    (folder / "w.yaml").write_text(f"workload: w\n{work}\n")
    (folder / "m.yaml").write_text(MACHINE.format(out=out, inside=inside, unit=unit))
    (folder / "t.yaml").write_text(f"mapping: t\ntree:\n{tree}\n")
    cascade = load_workload(folder / "w.yaml")
    assert isinstance(cascade, Cascade)
    done = simulate(cascade, load_architecture(folder / "m.yaml"), load_fitting(folder / "t.yaml", cascade)[0], events=1000)
    assert off(done) == {}
    return done


def test_points_outside_a_tensor_read_nothing(tmp_path: Path) -> None:
    """Of a tile of 64 three elements are there: 64 additions read and write the sum, less the first read, and three words come."""
    work = "shape: {m: 3, p: 1}\nsplit: {m: {m1: ~, m0: 64}}\ntype: int32\neinsums: ['S[p] = X[m1*M0+m0,p]']"
    done = run(tmp_path, work, "  - keep Out: [X, S]\n  - keep In: [X, S]\n  - {einsum: S, unit: Mac}", inside=WORD)
    assert done.ports["In"] == 3 + 3 + 64 + 63 + 1  # X comes and is read, S is written and read again, and leaves


def test_a_padded_convolution_reads_no_padding(tmp_path: Path) -> None:
    """Four results over three taps: of twelve reads of the image two are padding."""
    work = "shape: {p: 4, r: 3}\ntensors: {I: {shape: [p], fill: 0}}\ntype: int32\neinsums: ['O[p] = I[p+r-1] * F[r]']"
    done = run(tmp_path, work, "  - keep Out: [I, F, O]\n  - keep In: [I, F, O]\n  - {einsum: O, unit: Mac}", inside=WORD)
    assert done.ports["In"] == (4 + 3) + 10 + 12 + 12 + (12 - 4) + 4


def test_a_rank_that_a_tensor_cuts_twice_is_cut_by_itself(tmp_path: Path) -> None:
    """X has three rows and four columns: of eight points the six with p below 3 read it."""
    work = "shape: {p: 4, r: 2}\ntensors: {X: {shape: [3, 4], fill: 0}}\ntype: int32\neinsums: ['O[p] = X[p,p+r] * F[r]']"
    done = run(tmp_path, work, "  - keep Out: [X, F, O]\n  - keep In: [X, F, O]\n  - {einsum: O, unit: Mac}", inside=WORD)
    assert done.ports["In"] == (12 + 2) + 6 + 8 + 8 + (8 - 4) + 4


@pytest.mark.parametrize("part", [6, 5, 4, 3])
def test_copies_with_less_to_do_want_fewer_words(tmp_path: Path, part: int) -> None:
    """Every one of 36 points reads its own word of B, whichever copy it is on."""
    work = "shape: {m: 6, n: 1, k: 6}\ntype: int32\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']"
    tree = f"  - keep Out: [A, B, Z]\n  - keep In: [A, B, Z]\n  - {{einsum: Z, unit: Mac, loops: [spatial X m: {part}]}}"
    done = run(tmp_path, work, tree, inside=WORD, unit=COPIES % "multicast: false")
    assert done.ports["In"] == (36 + 6) + 36 + 36 + 36 + (36 - 6) + 6


def test_turns_that_there_are_not_move_nothing(tmp_path: Path) -> None:
    """Five rows in tiles of three, one by one: five turns, not six; B comes in each of them for every column, A in each, and Z leaves."""
    work = "shape: {m: 5, n: 3, k: 2}\ntype: int32\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']"
    tree = "  - keep Out: [A, B, Z]\n  - for m: 3\n  - for m: 1\n  - for n: 1\n  - keep In: [A, B, Z]\n  - {einsum: Z, unit: Mac}"
    assert run(tmp_path, work, tree, out=WORD).ports["Out"] == 5 * 3 * 2 + 5 * 2 + 5 * 3


def test_parts_of_sums_in_copies_are_not_final(tmp_path: Path) -> None:
    """Two copies each hold a part of one sum, of 32 bits: both are read out of the buffer whole."""
    work = "shape: {m: 1, n: 1, k: 4}\ntype: {default: int8, Z: {partial: int32, final: int8}}\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']"
    (tmp_path / "w.yaml").write_text(f"workload: w\n{work}\n")
    (tmp_path / "m.yaml").write_text(PARTS)
    tree = "  - keep Out: [A, B, Z]\n  - spatial X k: 2\n  - keep In: [Z]\n  - {einsum: Z, unit: Mac}\n"
    (tmp_path / "t.yaml").write_text(f"mapping: t\ntree:\n{tree}")
    cascade = load_workload(tmp_path / "w.yaml")
    assert isinstance(cascade, Cascade)
    done = simulate(cascade, load_architecture(tmp_path / "m.yaml"), load_fitting(tmp_path / "t.yaml", cascade)[0])
    assert off(done) == {}


def test_a_load_waits_for_everyone_who_uses_the_tile_that_it_replaces(tmp_path: Path) -> None:
    """Two Einsums read one tile of A along different ranks: the next tile comes when both are done, and the buffer never holds two."""
    work = "shape: {m: 4, k: 8, j: 8}\ntype: int32\neinsums: ['T[m] = A[m,k] * B[k]', 'Z[m,j] = T[m] * A[m,j]']"
    tree = (
        "  - keep Out: [A, B, Z]\n  - keep In: [B]\n  - for m: 1\n  - keep In: [A, T]\n  - fuse sequential:\n"
        "      - - {einsum: T, unit: Mac}\n      - - keep In: [Z]\n        - {einsum: Z, unit: Mac}"
    )
    done = run(tmp_path, work, tree, out=WORD)
    assert max(bits for _, bits in done.held["In"]) <= done.evaluation.occupancy()["In"]
