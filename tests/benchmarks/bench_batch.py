"""Speed of the batch kernel: `python tests/benchmarks/bench_batch.py` prints evaluations per CPU second, uneven tiles included."""

from __future__ import annotations

import sys
import time
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Operation, Quantity, Unit
from accelsim.mapper.batch import Batch
from accelsim.mapping.tree import For, Held, Keep, Leaf, Loop, Mapping, Spatial
from accelsim.model import Evaluator
from accelsim.workload.build import cascade

CANDIDATES = 200_000
TENSORS = ("A", "B", "Z")
RATE = Fraction(64 * 8 * 10**9)


def memory(name: str, bits: int | None, rate: Fraction | None, energy: float, *feeds: Memory | Array | Unit) -> Memory:
    """A memory with one price for reads and writes (pJ per bit)."""
    price = Quantity(energy, energy, energy)
    return Memory(name, bits, rate, rate, "shared", None, price, price, None, feeds=feeds)


def machine(spread: bool) -> Architecture:
    """DRAM over a buffer of 1 MiB over registers of 64 words and a mac; with a 16 x 16 array above the registers if `spread`."""
    registers = memory("Registers", 64 * 16, None, 0.1, Unit("MAC", {"mac": Operation("mac")}))
    inside = Array("array", (Axis("col", 16), Axis("row", 16, True, ("add",))), feeds=(registers,)) if spread else registers
    return Architecture("bench", memory("DRAM", None, RATE / 4, 10.0, memory("Buffer", 8 << 20, RATE, 1.0, inside)), Fraction(10**9))


def structure(spread: bool) -> Mapping:
    """Three loops in time above the buffer and three above the registers, which keep all tensors."""

    def keep(name: str) -> Keep:
        return Keep(name, tuple(Held(tensor) for tensor in TENSORS))

    spatial: tuple[Loop, ...] = (Spatial("col", "n", 1), Spatial("row", "k", 1)) if spread else ()
    loops: tuple[Loop, ...] = (For("m", 1), For("n", 1), For("k", 1), keep("Buffer"), For("k", 1), For("n", 1), For("m", 1))
    return Mapping("structure", (keep("DRAM"), Leaf("Z", "MAC", (*loops, *spatial, keep("Registers")))))


def tilings(mapping: Mapping, count: int, rng: np.random.Generator, even: bool) -> np.ndarray:
    """Random nested tiles of every loop, outermost first: dividing ones only, or any."""
    (path,) = mapping.paths()
    loops = [node for node in path[0] if isinstance(node, (For, Spatial))]
    left = {rank: np.full(count, 1024) for rank in "mnk"}
    found = np.empty((count, len(loops)), np.int64)
    for number, loop in enumerate(loops):
        size = left[loop.rank]
        if even:
            tile = size >> rng.integers(0, 5, count)
            tile = np.maximum(tile, -(-size // 16)) if isinstance(loop, Spatial) else tile
        else:
            least = -(-size // 16) if isinstance(loop, Spatial) else np.ones(count, np.int64)
            tile = rng.integers(least, size + 1)
        found[:, number] = left[loop.rank] = np.maximum(tile, 1)
    return found


def main() -> None:
    """Print one line per case."""
    rng = np.random.default_rng(0)
    product = cascade("matmul", "Z[m,n] = A[m,k] * B[k,n]", {"m": 1024, "n": 1024, "k": 1024})
    for spread in (False, True):
        mapping = structure(spread)
        batch = Batch(Evaluator(product, machine(spread)), mapping)
        for even in (True, False):
            candidates = tilings(mapping, CANDIDATES, rng, even)
            batch.evaluate(candidates[:1000])
            best = float("inf")
            for _ in range(5):
                started = time.process_time()
                result = batch.evaluate(candidates)
                best = min(best, time.process_time() - started)
            where = "with a 16 x 16 array" if spread else "one unit"
            tiles = "dividing tiles" if even else "any tiles"
            print(
                f"matmul, three levels, {where}, {tiles}: {CANDIDATES / best:,.0f} evaluations/s "
                f"({result.legal.mean():.0%} legal, {result.fits.mean():.0%} fit)"
            )


if __name__ == "__main__":
    main()
