"""Expectations beside the dense evaluation of the same mapping, CPU milliseconds of each, of products of 256 x 256 x 256 in three formats.

    python tests/benchmarks/bench_statistics.py

Later evaluations are of mappings that were not seen before, with other tiles along every rank; ragged ones do not divide k. Both are
evaluated as a user evaluates one, mapping by mapping in turn, so that a busy machine is as busy for both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import product

from accelsim.hardware.architecture import Architecture, Memory, Operation, Quantity, Sparsity, Unit
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.statistics import evaluate_expected
from accelsim.sparse.boxes import Boxes, StructuredBoxes, UniformBoxes
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.storage import Storage

SIZE = 256
TILES = (4, 8, 16, 32, 64, 128)
RAGGED = (12, 24, 40, 48, 76, 100)  # do not divide the size
OUTER = (8, 16, 32, 64)
SPARSE = Storage(("compressed", "uncompressed"), 8, 16)
ROWS = Storage(("uncompressed", "compressed"), 8, 16)


def multiplied(storage: Storage) -> Cascade:
    """Z = A B, with both operands stored so."""
    made = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], dict.fromkeys("mkn", SIZE), types={"default": "int8"})
    return replace(made, tensors={name: replace(each, storage=storage if name in "AB" else None) for name, each in made.tensors.items()})


def machine(by: str) -> Architecture:
    """A memory, a buffer, and a unit that intersects."""
    price, rate = Quantity(1.0, 1.0, 1.0), Fraction(128 * 10**9)
    unit = Unit("MAC", {"mac": Operation("mac", energy_pj=price)}, sparse=Sparsity(intersect=by))
    buffer = Memory("Buffer", 1 << 20, None, None, "shared", None, price, price, price, feeds=(unit,))
    return Architecture("buffered", Memory("DRAM", None, rate, rate, "shared", None, price, price, price, feeds=(buffer,)), Fraction(10**9))


def mappings(tiles: tuple[int, ...]) -> list[Mapping]:
    """Tiles of the result, and of every size along k."""
    inside = (Keep("Buffer", (Held("A"), Held("B"))), Leaf("Z", "MAC"))
    made = []
    for rows, columns, tile in product(OUTER, OUTER, tiles):
        loops = For("m", rows), For("n", columns), Keep("Buffer", (Held("Z"),)), For("k", tile)
        outermost = Keep("DRAM", (Held("A"), Held("B"), Held("Z")))
        made.append(Mapping(f"{rows} x {columns} by {tile}", (outermost, *loops, *inside)))
    return made


def milliseconds(run: Callable[[], object]) -> float:
    """CPU time."""
    begun = time.process_time()
    run()
    return (time.process_time() - begun) * 1e3


def main() -> None:
    """Compile once, then time both on every case."""
    uniform: Boxes = UniformBoxes((SIZE, SIZE), SIZE * SIZE // 4)
    structured: Boxes = StructuredBoxes((SIZE, SIZE), 2, 16)
    cases = [
        ("uniform, leading", ROWS, "leading", uniform, TILES), ("uniform, two fingers", ROWS, "two_finger", uniform, TILES),
        ("uniform, every turn", ROWS, "", uniform, TILES), ("2:16, leading", SPARSE, "leading", structured, TILES),
        ("uniform, ragged tiles", ROWS, "leading", uniform, RAGGED),
    ]  # fmt: skip
    warm = Evaluator(multiplied(ROWS), machine("leading"))
    warm.evaluate(mappings(TILES)[0])
    evaluate_expected(warm, mappings(TILES)[0], {"A": uniform, "B": uniform})
    print("operands                  dense   expected, first      later    over dense")
    for name, storage, by, boxes, tiles in cases:
        evaluator, densities, spent = Evaluator(multiplied(storage), machine(by)), {"A": uniform, "B": boxes}, list[tuple[float, float]]()
        for mapping in mappings(tiles):
            dense = milliseconds(lambda e=evaluator, m=mapping: e.evaluate(m))  # type: ignore[misc]
            expected = milliseconds(lambda e=evaluator, m=mapping, d=densities: evaluate_expected(e, m, d))  # type: ignore[misc]
            spent.append((dense, expected))
        plain, later = (sum(column) / len(column) for column in zip(*spent[1:], strict=True))
        print(f"{name:22}{plain:6.2f} ms{spent[0][1]:15.1f} ms{later:8.2f} ms{later / plain:12.2f}x")


if __name__ == "__main__":
    main()
