"""Expectations beside the dense evaluation of the same mapping, CPU milliseconds of each, of products of 256 x 256 x 256 in three formats.

    python tests/benchmarks/bench_statistics.py

Later evaluations are of mappings that were not seen before, with other tiles along k; ragged ones do not divide it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from accelsim.hardware.architecture import Architecture, Memory, Operation, Quantity, Sparsity, Unit
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.statistics import evaluate_expected
from accelsim.sparse.boxes import Boxes, StructuredBoxes, UniformBoxes
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.storage import Storage

SIZE = 256
TILES = (4, 8, 16, 32, 64)
RAGGED = (12, 24, 40, 48, 100)  # do not divide the size
SPARSE = Storage(("compressed", "uncompressed"), 8, 16)
ROWS = Storage(("uncompressed", "compressed"), 8, 16)


def product(storage: Storage) -> Cascade:
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
    """Tiles of 16 x 16 of the result, and of every size along k."""
    outer = (Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), For("m", 16), For("n", 16), Keep("Buffer", (Held("Z"),)))
    inside = (Keep("Buffer", (Held("A"), Held("B"))), Leaf("Z", "MAC"))
    return [Mapping(f"k by {tile}", (*outer, For("k", tile), *inside)) for tile in tiles]


def milliseconds(run: Callable[[Mapping], object], tiles: tuple[int, ...]) -> tuple[float, float]:
    """Of the first mapping, and of one of the others on average."""
    spent = []
    for mapping in mappings(tiles):
        begun = time.process_time()
        run(mapping)
        spent.append((time.process_time() - begun) * 1e3)
    return spent[0], sum(spent[1:]) / len(spent[1:])


def main() -> None:
    """Compile once, then time both on every case."""
    dense = Evaluator(product(ROWS), machine(""))
    dense.evaluate(mappings(TILES)[0])
    uniform: Boxes = UniformBoxes((SIZE, SIZE), SIZE * SIZE // 4)
    structured: Boxes = StructuredBoxes((SIZE, SIZE), 2, 16)
    cases = [
        ("uniform, leading", ROWS, "leading", uniform, TILES), ("uniform, two fingers", ROWS, "two_finger", uniform, TILES),
        ("uniform, every turn", ROWS, "", uniform, TILES), ("2:16, leading", SPARSE, "leading", structured, TILES),
        ("uniform, ragged tiles", ROWS, "leading", uniform, RAGGED),
    ]  # fmt: skip
    evaluate_expected(Evaluator(product(ROWS), machine("leading")), mappings(TILES)[0], {"A": uniform, "B": uniform})
    print("operands                  dense   expected, first      later    over dense")
    for name, storage, by, boxes, tiles in cases:
        evaluator = Evaluator(product(storage), machine(by))
        densities = {"A": uniform, "B": boxes}
        _, plain = milliseconds(evaluator.evaluate, tiles)
        first, later = milliseconds(lambda mapping, e=evaluator, d=densities: evaluate_expected(e, mapping, d), tiles)  # type: ignore[misc]
        print(f"{name:22}{plain:6.2f} ms{first:15.1f} ms{later:8.1f} ms{later / plain:12.1f}x")


if __name__ == "__main__":
    main()
