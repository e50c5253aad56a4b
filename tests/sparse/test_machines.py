"""Shipped machines for sparse operands: each runs what it is for, with counts of NumPy and SciPy, and shows what it is known for."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse as matrices

from accelsim.cli import main
from accelsim.hardware.describe import describe
from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, about, resolve
from accelsim.io.elements import elements_of
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.stored import StoredEvaluation, evaluate_stored
from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Name
from accelsim.workload.interpreter import random_inputs, run
from accelsim.workload.operators import cover
from tests.catalogue import sparse
from tests.sparse.test_cases import case

Matrix = NDArray[np.bool_]
MAPPINGS = sparse(MAPPING)


def parts(mapping: str, shape: dict[str, int], **settings: str) -> tuple[Cascade, Evaluator, dict[str, str]]:
    """What a shipped mapping names, in a shape; settings of the machine have `__` for a dot, those of the mapping begin with `let__`."""
    named = re.match(r"(\S+) on (\S+): ", about(MAPPINGS[mapping]))
    assert named
    dotted = {name.replace("__", "."): value for name, value in settings.items()}
    lets = {name: value for name, value in dotted.items() if name.startswith("let.")}
    cascade = load_workload(resolve(named[1], WORKLOAD), {f"shape.{rank}": str(size) for rank, size in shape.items()})
    assert isinstance(cascade, Cascade)
    machine = load_architecture(resolve(named[2], MACHINE), {name: value for name, value in dotted.items() if name not in lets})
    return cascade, Evaluator(cascade, machine), lets


def evaluated(mapping: str, stored: dict[str, Matrix], shape: dict[str, int], **settings: str) -> StoredEvaluation:
    """A shipped mapping over elements that are where an array is true."""
    cascade, evaluator, lets = parts(mapping, shape, **settings)
    elements = {name: np.stack(np.nonzero(held)).astype(np.int64) for name, held in stored.items()}
    return evaluate_stored(evaluator, load_mapping(MAPPINGS[mapping], cascade.extents, lets), elements)


def chosen(mapping: str, shape: dict[str, int]) -> Evaluation:
    """A shipped mapping of a workload whose values choose."""
    cascade, evaluator, _ = parts(mapping, shape)
    return evaluator.evaluate(load_mapping(MAPPINGS[mapping], cascade.extents))


def pair(rows: int, width: int, columns: int, share: float, seed: int = 0) -> dict[str, Matrix]:
    """Two matrices of which each place is stored with a chance."""
    draw = np.random.default_rng(seed)
    return {"A": draw.random((rows, width)) < share, "B": draw.random((width, columns)) < share}


def products(stored: dict[str, Matrix]) -> int:
    """Multiplications of a product of sparse matrices, by SciPy."""
    return int((matrices.csr_array(stored["A"].astype(np.int64)) @ matrices.csr_array(stored["B"].astype(np.int64))).sum())


def merging(stored: dict[str, Matrix], radix: int) -> int:
    """Cycles of merging rows of B by rows of A, `radix` lists at a time, list by list."""
    cycles = 0
    for row in stored["A"]:
        lists = [int(stored["B"][k].sum()) for k in np.flatnonzero(row) if stored["B"][k].any()]
        while len(lists) > 1:
            groups = [lists[at : at + radix] for at in range(0, len(lists), radix)]
            cycles += sum(len(group) + sum(group) for group in groups)
            lists = [sum(group) for group in groups]
    return cycles


def lists_of(stored: dict[str, Matrix]) -> list[list[list[int]]]:
    """For every row of A the columns of the rows of B that it meets."""
    rows = [np.flatnonzero(row).tolist() for row in stored["B"]]
    return [[rows[k] for k in np.flatnonzero(row) if rows[k]] for row in stored["A"]]


def queued(lists: list[list[int]], queues: int) -> int:
    """Cycles in which sorting queues take lists: of all but one the shortest is merged with what comes once none is empty."""
    held, cycles = list[set[int]](), 0
    for mine in lists:
        cycles += len(mine)
        if len(held) < queues - 1:
            held.append(set(mine))
            continue
        shortest = min(held, key=len)
        cycles += len(shortest - set(mine))
        shortest |= set(mine)
    return cycles


def compares(lists: list[list[int]]) -> int:
    """Compares of insertion: lists in pairs, each change of the side in what the two make together, and one for each element."""
    if len(lists) < 2:
        return 0
    total = sum(len(each) for each in lists)
    for late, mine in enumerate(lists):
        for theirs in lists[:late]:
            sides = [side for _, side in sorted([(n, 0) for n in mine] + [(n, 1) for n in theirs])]  # of equal ones the later list's first
            total += sum(one != other for one, other in pairwise(sides)) - (sides[0] == 0)  # the first of an earlier list was there before
    return total


def read_bytes(found: StoredEvaluation, einsum: str, tensor: str, memory: str = "DRAM") -> float:
    return found.evaluation.bits[einsum, tensor, memory][0] / found.evaluation.evaluator.clock.pieces / 8


def in_lines(held: Matrix) -> int:
    """Bytes of a fiber: values of 8 bytes and coordinates of 4, each from a line of 8 bytes on."""
    many = int(held.sum())
    return 8 * many + -(-4 * many // 8) * 8


@pytest.mark.parametrize("name", sparse(MACHINE))
def test_a_machine_says_what_it_is_and_what_it_leaves_out_and_has_a_mapping(name: str) -> None:
    path = sparse(MACHINE)[name]
    machine = load_architecture(path)
    assert machine.name == path.stem
    assert machine.about.count("ot modelled: ") == 1 and machine.source
    assert len(describe(machine).splitlines()) == 1 + len(machine.paths)
    assert any(f" on {name}: " in about(mapping) for mapping in MAPPINGS.values())


def spread_out(values: NDArray[np.float64], places: NDArray[np.int64], of: int) -> NDArray[np.float64]:
    """Values [..., kept] put at their places in blocks [..., of]."""
    found = np.zeros((*values.shape[:-1], of))
    np.add.at(found, (*np.indices(values.shape)[:-1], places.astype(int)), values)
    return found


def test_workloads_in_which_values_choose_compute_products_of_the_spread_out_weights() -> None:
    draw = np.random.default_rng(3)
    work = load_workload(resolve("matmul-hierarchical", WORKLOAD), {"shape.m": "5", "shape.n": "6", "shape.g": "3"})
    assert isinstance(work, Cascade)
    given = random_inputs(work, draw)
    blocks = spread_out(given["V"], given["I"], 4)  # [m, g, i, 4]
    whole = np.zeros((5, 3, 8, 4))
    for m, g, i in np.ndindex(5, 3, 4):
        whole[m, g, int(given["O"][m, g, i])] += blocks[m, g, i]
    assert np.allclose(run(work, given).values["Z"], whole.reshape(5, -1) @ given["B"].reshape(-1, 6))
    shape = {"p": 7, "o": 16, "c": 24, "g": 3, "h": 2}
    step = load_workload(resolve("training-structured", WORKLOAD), {f"shape.{rank}": str(size) for rank, size in shape.items()})
    assert isinstance(step, Cascade)
    given = random_inputs(step, draw)
    found = run(step, given).values
    forwards, backwards = (spread_out(given[v], given[at], 8).reshape(len(given[v]), -1) for v, at in (("V", "I"), ("U", "L")))
    assert np.allclose(found["Y"], given["X"] @ forwards.T)
    assert np.allclose(found["DX"], given["DY"] @ backwards.T)
    assert np.allclose(found["DW"], given["DY"].T @ given["X"])


@pytest.mark.parametrize("name", MAPPINGS)
def test_a_mapping_counts_the_products_that_are_there(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Products over elements as they are drawn, by NumPy; where values choose, of all that are kept."""
    named = re.match(r"(\S+) on (\S+): ", about(MAPPINGS[name]))
    assert named
    assert main(["evaluate", named[1], "--arch", named[2], "--mapping", name, "--json", "-", "-q"]) == 0
    document = json.loads(capsys.readouterr().out)
    cascade = load_workload(resolve(named[1], WORKLOAD))
    assert isinstance(cascade, Cascade)
    if not any(tensor.storage for tensor in cascade.tensors.values()):
        counted = {each.name: int(np.prod([cascade.extents[rank] for rank in each.ranks])) for each in cascade.einsums}
        assert {einsum: row["operations"]["mac"] for einsum, row in document["einsums"].items()} == counted
        return
    held: dict[str, NDArray[np.float64]] = {}
    for tensor, elements in elements_of(cascade, [], 0).items():
        held[tensor] = np.zeros(cascade.tensors[tensor].shape)
        held[tensor][tuple(elements)] = 1
    counted = {work: row["effectual"] for work, row in document["stored"].items()}
    for einsum in cascade.einsums:
        letters = {rank: chr(ord("a") + at) for at, rank in enumerate(einsum.ranks)}
        accesses = (*einsum.reads, einsum.output)
        *reads, result = ("".join(letters[index.name] for index in each.indices if isinstance(index, Name)) for each in accesses)
        operands = [held.get(each.tensor, np.ones(cascade.tensors[each.tensor].shape)) for each in einsum.reads]
        made = np.einsum(f"{','.join(reads)}->{result}", *operands, optimize=True)
        assert counted[einsum.name] == round(float(made.sum())) > 0
        if cascade.tensors[einsum.output.tensor].storage:
            held[einsum.output.tensor] = (made > 0).astype(float)
    assert any(row["effectual"] < row["dense"] for row in document["stored"].values())


def test_rows_of_b_come_once_with_a_cache_and_for_every_non_zero_without() -> None:
    """Gamma and MatRaptor on the same matrices: bytes of B, merging with radix 64, and cycles of ten queues."""
    stored = pair(60, 50, 70, 0.2)
    shape = {"m": 60, "k": 50, "n": 70}
    asked = Counter(int(k) for row in stored["A"] for k in np.flatnonzero(row))
    cached, plain = evaluated("spmspm-gamma", stored, shape), evaluated("spmspm-matraptor", stored, shape)
    assert read_bytes(cached, "Z", "B") == sum(4 + in_lines(stored["B"][k]) for k in asked)
    assert read_bytes(plain, "Z", "B") == sum(many * (4 + in_lines(stored["B"][k])) for k, many in asked.items())
    assert cached.works["Z"].effectual == plain.works["Z"].effectual == products(stored)
    assert cached.works["Z"].merging == merging(stored, 64)
    queues = [queued(lists, 10) for lists in lists_of(stored)]
    made = [len({n for each in lists for n in each}) for lists in lists_of(stored)]
    assert (plain.works["Z"].merging, plain.works["Z"].draining) == (sum(queues), sum(made))
    assert sum(queues) > products(stored)  # some rows meet more than nine
    ports, per_cycle = plain.evaluation.loads["Z"].ports, plain.evaluation.evaluator.clock.per_cycle
    busiest = [max(sum(each[copy::8]) for copy in range(8)) for each in (queues, made)]
    assert [ports[name][0] // per_cycle for name in ("MAC merging", "MAC draining")] == busiest


def test_products_go_out_and_come_back() -> None:
    """OuterSPACE: T takes 12 bytes a product each way, and coordinates and pointers of its lists."""
    stored = pair(40, 30, 50, 0.2)
    found = evaluated("spmspm-outerspace", stored, {"m": 40, "k": 30, "n": 50})
    lists = int(sum((stored["A"][:, k].sum() if stored["B"][k].any() else 0) for k in range(30)))
    pieces = found.evaluation.evaluator.clock.pieces
    _, filled, updated = found.evaluation.bits["T", "T", "DRAM"]
    written, back = (filled + updated) / pieces / 8, read_bytes(found, "Z", "T")
    for moved in (written, back):
        assert 12 * products(stored) + 8 * lists <= moved <= 12 * products(stored) + 8 * (lists + 40 + 30)


def test_rows_are_sorted_by_insertion_on_half_of_the_elements() -> None:
    """OuterSPACE: compares of every row, and of the element that has most of them; rows go to 128 in turn."""
    stored = pair(200, 30, 50, 0.2)
    found = evaluated("spmspm-outerspace", stored, {"m": 200, "k": 30, "n": 50})
    by_row = [compares(lists) for lists in lists_of(stored)]
    assert (found.works["Z"].merging, found.works["T"].merging, found.works["Z"].sort) == (sum(by_row), 0, "insertion")
    ports, per_cycle = found.evaluation.loads["Z"].ports, found.evaluation.evaluator.clock.per_cycle
    assert ports["MAC merging"][0] // per_cycle == max(sum(by_row[copy::128]) for copy in range(128))


def test_tiles_meet_where_both_operands_hold_something() -> None:
    """ExTensor: pairs of tiles of 128 that are visited, and elements that match in them."""
    stored = pair(300, 260, 280, 0.002)
    found = evaluated("spmspm-extensor", stored, {"m": 300, "k": 260, "n": 280}).works["Z"]

    def tiles(held: Matrix) -> NDArray[np.int64]:
        padded = np.zeros((384, 384), bool)
        padded[: held.shape[0], : held.shape[1]] = held
        return np.asarray(padded.reshape(3, 128, 3, 128).any(axis=(1, 3)), np.int64)

    visits = [each.visits for each in found.meetings if each.node in ("Shared", "Local")]
    assert visits == [int((tiles(stored["A"]) @ tiles(stored["B"])).sum()), products(stored)]


def test_what_is_skipped_takes_no_energy() -> None:
    """ExTensor: a price for every product, step and bit of memory that there is, and less of all with fewer elements."""
    stored, shape = pair(300, 260, 280, 0.02), {"m": 300, "k": 260, "n": 280}
    fewer = {name: held & (np.random.default_rng(1).random(held.shape) < 0.5) for name, held in stored.items()}
    more, less = (evaluated("spmspm-extensor", each, shape) for each in (stored, fewer))
    for found, held in ((more, stored), (less, fewer)):
        energies, work, bits = found.evaluation.by_component, found.works["Z"], found.evaluation.bits
        steps = {each.node: each.steps for each in work.meetings}
        assert energies["MAC"] == pytest.approx(4.6 * products(held))
        moved = sum(sum(row) for (_, _, memory), row in bits.items() if memory == "DRAM") / found.evaluation.evaluator.clock.pieces
        assert energies["DRAM"] == pytest.approx((8 + 4.6) * moved + 0.03 * steps["DRAM"])
        assert sum(energies.values()) == pytest.approx(found.evaluation.dynamic.value)
        assert not found.evaluation.unpriced
    assert all(less.evaluation.by_component[name] < energy for name, energy in more.evaluation.by_component.items())


def test_half_of_the_weights_take_half_of_the_energy_of_multiplying() -> None:
    """A tensor core's products at 0.6 pJ, and 0.004 pJ for each operand that a structured one picks."""
    dense, half = chosen("matmul-tensor_core", {}), chosen("matmul-structured-tensor_core", {})
    assert dense.by_component["FMA"] == pytest.approx(0.6 * 1024**3)
    assert half.by_component["FMA"] == pytest.approx((0.6 + 0.004) * 1024**3 / 2)
    assert half.by_component["HBM"] < dense.by_component["HBM"] and not half.unpriced


# Cycles of SIGMA for two products as TeAAL, MICRO 2023, computes them; 512 bytes of B for every column and fold.
@pytest.mark.parametrize(
    ("m", "n", "k", "folds", "published"), [(256, 256, 2048, 16, 4925), (128, 2048, 4096, 32, 66375), (1632, 36548, 1024, 24, 879764)]
)
def test_a_fold_takes_its_loading_and_a_cycle_for_every_column(m: int, n: int, k: int, folds: int, published: int) -> None:
    columns = min(n, 16)
    held = np.random.default_rng(0).random((m, k)) < 0.2
    found = evaluated("spmm-sigma", {"A": held}, {"m": m, "n": columns, "k": k})
    assert read_bytes(found, "Z", "B", "SRAM") == folds * columns * 512
    assert read_bytes(found, "Z", "A", "SRAM") == 4 * held.sum() + m * k / 8
    assert found.evaluation.counts.issues["Z"] == folds * columns
    loading = 4 * int(held.sum()) / 512
    assert found.evaluation.cycles == pytest.approx(loading + m * k / 8 / 512 + folds * columns, abs=1)
    assert loading + folds * n == pytest.approx(published, rel=0.01)  # the table has no mask, and every column


@pytest.mark.parametrize(("columns", "times"), [(1, 1), (2, 4)])
def test_a_single_column_stays_while_folds_change(columns: int, times: int) -> None:
    """Four folds of 128 words a column: of two columns each comes again for every fold, and one is there already."""
    found = evaluated("spmm-sigma", {"A": np.ones((64, 128), bool)}, {"m": 64, "n": columns, "k": 128}, let__fold="2048")
    assert read_bytes(found, "Z", "B", "SRAM") == times * columns * 512


@pytest.mark.parametrize("seed", range(6))
def test_a_tile_that_stays_has_a_mask_of_every_row(seed: int) -> None:
    """SIGMA: 4 bytes of each non-zero and a bit of each place, of tiles along k that hold anything; most rows hold nothing."""
    held = np.random.default_rng(seed).random((30, 300)) < 0.01
    held[:, 128:256] &= seed > 2
    found = evaluated("spmm-sigma", {"A": held}, {"m": 30, "n": 4, "k": 300}, let__fold="12")
    masks = sum(30 * min(128, 300 - at) for at in range(0, 300, 128) if held[:, at : at + 128].any())
    assert read_bytes(found, "Z", "A", "SRAM") == 4 * held.sum() + masks / 8


def test_a_row_for_which_there_are_no_multipliers_left_is_in_the_next_fold() -> None:
    held = np.ones((256, 128), bool)
    one, two = (evaluated("spmm-sigma", {"A": held[:rows]}, {"m": rows, "n": 8, "k": 128}) for rows in (128, 129))
    assert (one.evaluation.counts.issues["Z"], two.evaluation.counts.issues["Z"]) == (8, 16)
    assert [read_bytes(each, "Z", "B", "SRAM") for each in (one, two)] == [8 * 512, 16 * 512]


def test_two_of_four_weights_take_half_of_the_time_and_all_operands() -> None:
    """312 and 624 TFLOPS of dense and of 2:4 tensor cores: twice the rate, with the operand as it is."""
    dense = chosen("matmul-tensor_core", {})
    half = chosen("matmul-structured-tensor_core", {})
    assert dense.cycles == 2 * half.cycles == 1024**3 // (64 * 4 * 256)  # on 64 of 108 SMs
    machine = half.evaluator.architecture
    assert machine.copies("FMA") * 2 * machine.clock_hz == pytest.approx(312e12, rel=0.001)
    assert half.bits["Z", "B", "SMEM"][0] == dense.bits["Z", "B", "SMEM"][0]
    weights = np.argsort(np.random.default_rng(0).random((1024, 256, 4)), axis=2)[:, :, :2]
    assert half.counts.operations["Z"] == weights.size * 1024


def test_cycles_of_weights_of_four_follow_how_many_are_kept() -> None:
    """VEGETA reports 1.09, 2.20 and 3.74 times a dense engine for 4:4, 2:4 and 1:4, fill and drain included, which are not counted here."""
    cycles = [chosen("matmul-structured-vegeta", {"j": kept}).cycles for kept in (4, 2, 1)]
    assert cycles[0] == 1024**3 // 512
    assert [cycles[0] / each for each in cycles] == [1, 2, 4]


@pytest.mark.parametrize("kept", [1, 3, 8])
def test_a_block_takes_a_cycle_for_every_activation(kept: int) -> None:
    """S2TA, time-unrolled: n cycles for a block of n:8, and operations only where there is a weight."""
    draw = np.random.default_rng(kept)
    activations, weights = (np.argsort(np.argsort(draw.random((32, 4, 8)), axis=2), axis=2) < many for many in (kept, 4))
    found = evaluated("matmul-blocks-s2ta", {"A": activations, "W": weights}, {"m": 32, "n": 32, "g": 4})
    assert found.evaluation.cycles == 4 * kept
    assert found.works["Z"].effectual == int(np.einsum("mgp,ngp->", activations.astype(int), weights.astype(int)))
    assert read_bytes(found, "Z", "W") == 32 * 4 * (4 + 1)  # four weights and a mask of 8 bits


def test_two_structured_products_of_three_make_a_training_step_twice_as_fast() -> None:
    """SAT at 2:8: 1 / (1/3 + 2/3 * 1/4); 1.75 is reported, with fill and drain."""
    found = chosen("training-structured-sat", {})
    dense = 3 * 1024 * 64 * 576
    assert sum(found.counts.issues.values()) * 32 * 32 * 2 == dense
    assert found.counts.operations == {"Y": dense // 12, "DX": dense // 12, "DW": dense // 3}


def test_half_of_the_blocks_and_half_of_a_block_are_a_quarter() -> None:
    """HighLight with 4:8 over 2:4."""
    found = chosen("matmul-hierarchical-highlight", {})
    assert found.counts.issues["Z"] == 256**3 // 1024 // 4
    blocks = np.argsort(np.random.default_rng(0).random((256, 8, 8)), axis=2) < 4
    inside = np.argsort(np.random.default_rng(1).random((256, 8, 8, 4)), axis=3) < 2
    assert found.counts.operations["Z"] == int((blocks[..., None] & inside).sum()) * 256


def test_rows_of_the_second_weight_are_read_that_some_row_of_the_batch_needs() -> None:
    """15 % of activations of four tokens, with counts and unions, of one token and of all, that were recorded with them."""
    arrays, said = case("f0_ffn_act85")
    for name, active in (("batch4", arrays["act"]), ("token0", arrays["act"][:1])):
        known, kept = said[name], active.astype(bool)
        batch, wide, hidden = kept.shape[0], known["d"], known["h"]
        found = evaluated("ffn-activations-skipper", {"S": kept}, {"b": batch, "d": wide, "f": hidden, "o": wide})
        operations = {einsum: work.effectual for einsum, work in found.works.items()}
        assert operations == {"H": batch * wide * hidden, "A": known["active"], "Y": known["active"] * wide}
        assert found.evaluation.counts.operations["A"] == known["active"]
        assert read_bytes(found, "H", "W1") == 2 * wide * hidden
        assert read_bytes(found, "Y", "W2") == 2 * wide * known["union_active"] == known["weight_bytes_union"] / 2 - wide * hidden
        whole_columns = 2 * batch * known["union_active"] + hidden / 8  # a bit for each
        assert read_bytes(found, "Y", "A") == whole_columns


def test_what_the_rectifier_leaves_is_all_that_the_second_product_needs() -> None:
    work = load_workload(resolve("ffn-activations", WORKLOAD), {"shape.d": "7", "shape.f": "30", "shape.o": "5"})
    assert isinstance(work, Cascade)
    given = random_inputs(work, np.random.default_rng(5))
    given["S"] = given["X"] @ given["W1"] > 0
    assert 0 < given["S"].sum() < given["S"].size
    assert np.allclose(run(work, given).values["Y"], np.maximum(given["X"] @ given["W1"], 0) @ given["W2"])


def test_a_spike_adds_a_row_of_weights_and_nothing_is_multiplied() -> None:
    shape = {"t": 9, "i": 20, "j": 24}
    spikes = np.random.default_rng(4).random((9, 20)) < 0.2
    found = evaluated("spiking-sums-skipper", {"S": spikes}, shape)
    many = int(spikes.sum()) * 24
    assert found.works["CU"].effectual == found.evaluation.counts.operations["CU"] == many
    einsum = found.evaluation.evaluator.cascade.work[0]
    assert cover(einsum, found.evaluation.evaluator.architecture.units["ALU"].operations) == {"take": 1, "add": 1}
    assert found.evaluation.cycles == int(spikes.sum()) * -(-24 // 16) * 2
    assert read_bytes(found, "CU", "S") == spikes.sum() + 9 * 20 / 8
    assert read_bytes(found, "CU", "W") == 2 * 20 * 24
    work = load_workload(resolve("spiking-sums", WORKLOAD), {f"shape.{rank}": str(size) for rank, size in shape.items()})
    assert isinstance(work, Cascade)
    given = random_inputs(work, np.random.default_rng(4)) | {"S": spikes}
    assert np.allclose(run(work, given).values["CU"], matrices.csr_array(spikes.astype(float)) @ given["W"])


def test_the_best_dataflow_depends_on_the_layer() -> None:
    """Flexagon: the same products by each of three mappings, and each is the fastest for one of three layers.

    Rows for few elements, inner products where hardly a probe is in vain and merging would take its time, outer products where
    most columns of A meet an empty row of B and need not be fetched.
    """
    best = list[str]()
    for rows, width, columns, share in ((64, 64, 64, 0.1), (64, 64, 4, 0.9), (256, 64, 1, 0.3)):
        stored, cycles = pair(rows, width, columns, share), dict[str, int]()
        for way in ("inner", "outer", "rows"):
            found = evaluated(f"spmspm-flexagon-{way}", stored, {"m": rows, "k": width, "n": columns})
            assert {work.effectual for work in found.works.values()} == {products(stored)}
            cycles[way] = int(found.evaluation.cycles)
        best.append(min(cycles, key=lambda way: cycles[way]))
    assert best == ["rows", "inner", "outer"]


def test_what_all_elements_do_not_fit_into_is_no_breach_where_some_are_stored(capsys: pytest.CaptureFixture[str]) -> None:
    """64 x 64 x 64 products of 4 bytes are 1 MiB; a tenth of each operand makes a hundredth of them."""
    files = ["--workload", "spmspm-outer", "--arch", "flexagon"]
    assert main(["check", str(MAPPINGS["spmspm-flexagon-outer"]), *files]) == 0
    said = capsys.readouterr().out
    assert "at its fullest, if every element is stored" in said and "Partial holds 1.00 MiB of 256 KiB" in said


def test_a_name_without_its_folder_is_enough() -> None:
    assert resolve("gamma", MACHINE) == resolve("sparse/gamma", MACHINE) == sparse(MACHINE)["gamma"]


def test_elements_of_files_are_those_that_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stored = pair(30, 20, 25, 0.2)
    for name, held in stored.items():
        matrices.save_npz(tmp_path / f"{name}.npz", matrices.csr_array(held.astype(float)))
    sizes = [word for size in ("m=30", "k=20", "n=25") for word in ("--set", f"shape.{size}")]
    files = [f"--data={name}={tmp_path / name}.npz" for name in stored]
    assert main(["evaluate", "spmspm", "--arch", "gamma", "--mapping", "spmspm-gamma", *files, *sizes, "--json", "-", "-q"]) == 0
    assert json.loads(capsys.readouterr().out)["stored"]["Z"]["effectual"] == products(stored)
