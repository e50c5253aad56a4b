"""Published tables of sparse accelerators beside what is counted here: ExTensor, OuterSPACE, SIGMA, SAT.

    python tests/benchmarks/sparse_published.py DIRECTORY

The directory holds SNAP's wiki-Vote (`wiki-Vote.txt`, its edge list with the numbers that it gives to nodes, or `wiki-Vote.npz`) and
p2p-Gnutella31 (`.npz` of a CSR matrix). Takes 7 minutes and 1 GB. Published: TeAAL (N. Nayak et al., MICRO 2023) and its artifact, which
holds its own results and those that the papers of the accelerators report.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.matrix import load_matrix
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import StoredEvaluation, evaluate_stored
from accelsim.sim.systolic import OPERAND, RESULT, Grid, folds_of, times
from accelsim.sparse.density import Uniform
from accelsim.sparse.pattern import Pattern
from accelsim.workload.cascade import Cascade

if TYPE_CHECKING:
    from accelsim.sparse.pattern import IntArray

GIB = 2**30
NAN = float("nan")


class Row(NamedTuple):
    """A figure as counted here, by TeAAL and by the paper of the accelerator (NaN: not published)."""

    what: str
    here: float
    teaal: float
    reported: float = NAN


# ExTensor: microjoules.
ENERGY = {"wiki-Vote": (5698.7723, 5122.9241), "p2p-Gnutella31": (6876.3166, 6401.4404)}
# ExTensor: bytes of A, B, partial results (read and written again), Z; k0 steps; nanoseconds; and the tile of m.
TILED = {
    "wiki-Vote": (1536, (1783800, 1719856, 12400000, 29297792, 55682881, 616753.53), (1650800, 1650800, 12400000, 29297792, NAN, 681000)),
    "p2p-Gnutella31": (
        4096, (14362784, 4540128, 53963488, 12486096, 29738344, 1164516.27), (12312364, 3391516, 53963488, 8601616, NAN, 1089105),
    ),
}  # fmt: skip
# OuterSPACE: bytes of A, B, T (written and read), Z; all of them over the least that has to move; and that least.
OUTER = {
    "wiki-Vote": ((1282464, 731320, 109706448, 22004768, 5.5689), 5.5988, 24012396),
    "p2p-Gnutella31": ((2200360, 2007664, 13634544, 6535048, 2.2741), 2.2915, 10719876),
}
# OuterSPACE: compares of sorting; and of products of uniform matrices rows, density, and nanoseconds as TeAAL and as the paper has them.
COMPARES = {"wiki-Vote": 91922233, "p2p-Gnutella31": 983578}
TIMED = [
    (4986, 8e-3, 2035663.58, 7607640.819), (9987, 2e-3, 730801.7812, 3651741.273), (19937, 5e-4, 569777.2722, 2530026.092),
    (39888, 1.3e-4, 335187.0691, 1791121.306), (79730, 3.1e-5, 184078.2352, 1715437.896),
]  # fmt: skip
# SIGMA: M, N, K, bytes of A and B, cycles, cycles reported; A has 20 % of its elements.
FOLDED = [
    (128, 2048, 4096, 429568, 33554432, 66375, 66454), (320, 3072, 4096, 1057280, 50331648, 100369, 100576),
    (1632, 36548, 1024, 1337344, 449101824, 879764, 880058), (2048, 4096, 32, 52736, 2097152, 4199, 4213),
    (35, 8457, 2560, 76800, 86599680, 169290, 169308), (31999, 1024, 84, 2148352, 17301504, 37988, 38454),
    (84, 1024, 4096, 282112, 16777216, 33319, 33376), (2048, 1, 128, 211456, 2048, 417, 470),
    (256, 256, 2048, 424448, 2097152, 4925, 5014),
]  # fmt: skip


def main(arguments: list[str]) -> None:
    """Print every table."""
    directory = Path(arguments[0])
    for name in TILED:
        pattern = matrix(directory, name)
        show(f"ExTensor, {name}", tiled(name, pattern))
        show(f"OuterSPACE, {name}", outer(name, pattern))
    show("OuterSPACE, nanoseconds of uniform matrices", timed())
    show("SIGMA", folded())
    training()


def show(title: str, rows: Iterator[Row]) -> None:
    """Print rows with their relative differences."""
    print(f"\n{title}\n{'':28}{'here':>16}{'TeAAL':>16}{'':>9}{'reported':>16}")
    for row in rows:
        cells = f"{row.what:28}{row.here:16,.{2 if row.here < 10 else 0}f}"
        for other in (row.teaal, row.reported):
            if other == other:
                cells += f"{other:16,.{2 if other < 10 else 0}f}{100 * (row.here / other - 1):+8.2f}%"
            else:
                cells += f"{'':25}"
        print(cells.rstrip())


def matrix(directory: Path, name: str) -> Pattern:
    """A matrix of a directory; nodes of an edge list keep their numbers, counted from one."""
    edges = directory / f"{name}.txt"
    if edges.exists():
        pairs = np.loadtxt(edges, dtype=np.int64)
        return Pattern.at(pairs[:, 0] - 1, pairs[:, 1] - 1, (int(pairs.max()), int(pairs.max())))
    return Pattern.of(load_matrix(directory / f"{name}.npz"))


def evaluated(pattern: Pattern, workload: str, machine: str, mapping: str, **values: object) -> StoredEvaluation:
    """C = A A on a shipped machine; `values`: of the mapping."""
    cascade = load_workload(resolve(workload, WORKLOAD), {f"shape.{rank}": str(pattern.rows) for rank in "mkn"})
    assert isinstance(cascade, Cascade)
    overrides = {f"let.{name}": str(value) for name, value in values.items()}
    tree = load_mapping(resolve(mapping, MAPPING), cascade.extents, overrides)
    elements = np.stack([pattern.row_of, pattern.columns])
    return evaluate_stored(Evaluator(cascade, load_architecture(resolve(machine, MACHINE))), tree, {"A": elements, "B": elements})


def moved(found: StoredEvaluation, einsum: str, tensor: str) -> tuple[int, int]:
    """Bytes of a tensor that an Einsum reads from the outermost memory and writes there."""
    read, filled, updated = found.evaluation.bits[einsum, tensor, "DRAM"]
    pieces = 8 * found.evaluation.evaluator.clock.pieces
    return read // pieces, (filled + updated) // pieces


def tiled(name: str, pattern: Pattern) -> Iterator[Row]:
    """ExTensor: three levels of tiles, results as lists of coordinates that are rewritten tile by tile."""
    height, teaal, reported = TILED[name]
    found = evaluated(pattern, "spmspm-tiled", "extensor", "spmspm-extensor", height=height)
    (a, _), (b, _), (again, written) = (moved(found, "Z", tensor) for tensor in "ABZ")
    steps = {each.node: each.steps for each in found.works["Z"].meetings}
    figures = (a, b, 2 * again, written - again, steps["Local"], (a + b + again + written) / (68.256 * GIB) * 1e9)
    names = ("A, bytes", "B, bytes", "partial results, bytes", "Z, bytes", "steps along k0", "ns of traffic")
    for row in zip(names, figures, teaal, reported, strict=True):
        yield Row(*row)
    yield Row("steps along k1", steps["Shared"], NAN)
    yield Row("ns, busiest element", float(found.evaluation.cycles), NAN)
    yield Row("microjoules", found.evaluation.dynamic.value / 1e6, *ENERGY[name])
    for node, energy in found.evaluation.by_component.items():
        yield Row(f"  {node}", energy / 1e6, NAN)
    yield Row("  low", found.evaluation.dynamic.low / 1e6, NAN)
    yield Row("  high", found.evaluation.dynamic.high / 1e6, NAN)


def outer(name: str, pattern: Pattern) -> Iterator[Row]:
    """OuterSPACE: products go out as lists and come back to be added up."""
    teaal, reported, least = OUTER[name]
    found = evaluated(pattern, "spmspm-outer", "outerspace", "spmspm-outerspace")
    a, b, z = (sum(moved(found, einsum, tensor)) for einsum, tensor in (("T", "A"), ("T", "B"), ("Z", "Z")))
    t = sum(moved(found, "T", "T")) + sum(moved(found, "Z", "T"))
    names = ("A, bytes", "B, bytes", "T, bytes", "Z, bytes", "all over the least")
    for what, here, there in zip(names, (a, b, t, z, (a + b + t + z) / least), teaal, strict=True):
        yield Row(what, here, there, reported if what == names[-1] else NAN)
    yield Row("compares", found.works["Z"].merging, COMPARES[name])
    yield from phases(found, "ns")


def phases(found: StoredEvaluation, what: str, teaal: float = NAN, reported: float = NAN) -> Iterator[Row]:
    """Nanoseconds of both phases together, and what takes them: cycles of the two, of the port of memory and of sorting in the second."""
    evaluation, per_cycle = found.evaluation, found.evaluation.evaluator.clock.per_cycle
    yield Row(what, evaluation.seconds * 1e9, teaal, reported)
    for name, load in evaluation.loads.items():
        for resource, (ticks, more) in load.ports.items():
            yield Row(f"  {name}: {resource}, cycles", (ticks + more) / per_cycle, NAN)


def timed() -> Iterator[Row]:
    """OuterSPACE on uniform matrices, which are drawn: those of the paper are not recorded."""
    for rows, density, teaal, reported in TIMED:
        pattern = Uniform(rows, rows, round(density * rows * rows)).draw(1)
        found = evaluated(pattern, "spmspm-outer", "outerspace", "spmspm-outerspace")
        yield from phases(found, f"{rows:,}, density {density:.2g}", teaal, reported)


COLUMNS = 16  # of SIGMA's products that are evaluated; more take as much each


def folded() -> Iterator[Row]:
    """SIGMA: tiles of 128 along k, in which rows of A with up to 16,384 non-zeros together stay while columns of B go by."""
    for m, n, k, a_bytes, b_bytes, cycles, reported in FOLDED:
        drawn = Uniform(k, m, round(0.2 * m * k)).draw(1)
        elements = np.stack([drawn.columns, drawn.row_of])
        some = [stays(elements, m, columns, k) for columns in dict.fromkeys((min(n, COLUMNS), min(n, COLUMNS // 2)))]
        each = (some[0] - some[-1]) // max(1, COLUMNS - COLUMNS // 2)  # a column more
        a, masks, b, time = (some[0] + max(0, n - COLUMNS) * each).tolist()
        yield Row(f"{m}, {n}, {k}: A, bytes", a, a_bytes)
        yield Row("  masks, bytes", masks, NAN)
        yield Row("  B, bytes", b, b_bytes)
        yield Row("  cycles", time, cycles, reported)
        yield Row("  cycles without masks", time - masks / 512, cycles, reported)


def stays(elements: IntArray, m: int, n: int, k: int) -> IntArray:
    """Of some elements of A bytes of their values, of masks, of B that SRAM sends, and cycles; B has 128 rows for every tile along k."""
    cascade = load_workload(resolve("spmm", WORKLOAD), {"shape.m": str(m), "shape.n": str(n), "shape.k": str(-(-k // 128) * 128)})
    assert isinstance(cascade, Cascade)
    tree = load_mapping(resolve("spmm-sigma", MAPPING), cascade.extents, {})
    evaluation = evaluate_stored(Evaluator(cascade, load_architecture(resolve("sigma", MACHINE))), tree, {"A": elements}).evaluation
    bits, pieces = evaluation.bits, 8 * evaluation.evaluator.clock.pieces
    a, b = (bits["Z", tensor, "SRAM"][0] // pieces for tensor in "AB")
    values = 4 * elements.shape[1]
    return np.array([values, a - values, b, evaluation.cycles])


LAYERS = ((64, 56), (128, 28), (256, 14), (512, 7))  # channels and side of the 3 x 3 convolutions of ResNet-18's four stages


def training() -> None:
    """SAT: training steps of some layers, dense over sparse."""
    print("\nSAT, 2:8: dense over sparse cycles, published 1.75\nlayer                   ideal   results stay   operands stay")
    steps = {f"{channels} of {side} x {side}": step(channels, side) for channels, side in LAYERS}
    for name, cycles in (steps | {"all four": sum(steps.values(), np.zeros((3, 2), np.int64))}).items():
        ideal, ends, stays = cycles[:, 0] / cycles[:, 1]
        print(f"{name:20}{ideal:9.2f}{ends:15.2f}{stays:16.2f}")


def step(channels: int, side: int) -> IntArray:
    """Cycles of a training step on the shipped machine, dense and with weights of 2:8 along what is summed in two of its three products.

    int64[3, 2]: operations, and cycles of arrays whose results or whose operands stay, fill and drain of every fold apart.
    """
    axes = load_architecture(resolve("sat", MACHINE)).axes
    rows_of, columns_of = axes["row"][1].size, axes["column"][1].size
    ends, stays = (Grid(rows_of, columns_of, shadow=False, exit=way, folds="full") for way in ("element", "edge"))
    taps, pixels, cycles = 9 * channels, side * side, np.zeros((3, 2), np.int64)
    for summed, rows, columns, structured in ((taps, channels, pixels, 1), (channels, taps, pixels, 1), (pixels, taps, channels, 0)):
        for which, long in enumerate((summed, -(-summed // 8) * 2 if structured else summed)):
            cycles[0, which] += long * rows * columns
            cycles[1, which] += times(ends, RESULT, folds_of(rows, columns, long, ends)).cycles
            cycles[2, which] += times(stays, OPERAND, folds_of(long, rows, columns, stays)).cycles
    return cycles


if __name__ == "__main__":
    main(sys.argv[1:])
