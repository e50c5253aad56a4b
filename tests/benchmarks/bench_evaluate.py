"""Evaluations of a given mapping per CPU second, one at a time through Python: a chain of eight matrix products on a two-level machine.

Run: python tests/benchmarks/bench_evaluate.py
"""

from __future__ import annotations

import time
from pathlib import Path

from accelsim.io.hardware import load_architecture
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping
from accelsim.model import Evaluator
from accelsim.workload.build import cascade

ROOT = Path(__file__).parents[2]
LENGTH = 8


def chain_cascade():  # type: ignore[no-untyped-def]
    """T1 = T0 W0, …, T8 = T7 W7, each 1024 x 1024."""
    statements = [f"T{k + 1}[m,n{k + 1}] = T{k}[m,n{k}] * W{k}[n{k},n{k + 1}]" for k in range(LENGTH)]
    return cascade("chain", statements, {"m": 1024} | {f"n{k}": 1024 for k in range(LENGTH + 1)})


def chain_mapping(tile: int, main: str, buffer: str, unit: str) -> Mapping:
    """All products fused under a loop over rows; intermediates stay in the buffer."""
    held = tuple(Held(name) for name in ("T0", f"T{LENGTH}", *(f"W{k}" for k in range(LENGTH))))
    branches = []
    for k in range(LENGTH):
        loops = (
            For(f"n{k}", 64),
            Keep(buffer, (Held(f"W{k}"),) + ((Held("T0"),) if k == 0 else ()) + ((Held(f"T{LENGTH}"),) if k == LENGTH - 1 else ())),
            For(f"n{k + 1}", 1),
            For("m", 1),
        )
        branches.append((Leaf(f"T{k + 1}", unit, loops),))
    inner = tuple(Held(f"T{k}") for k in range(1, LENGTH))
    return Mapping("chain", (Keep(main, held), For("m", tile), Keep(buffer, inner), Fuse("sequential", tuple(branches))))


def main() -> None:
    """Print evaluations per CPU second, with the legality check and without."""
    machine = load_architecture(ROOT / "hw" / "arch" / "simple.yaml", {})
    memories, unit = list(machine.memories), next(iter(machine.units))
    evaluator = Evaluator(chain_cascade(), machine)
    mappings = [chain_mapping(tile, memories[0], memories[1], unit) for tile in range(1, 21)]
    evaluator.evaluate(mappings[0])
    for checked, what in ((False, "with the legality check"), (True, "known to be legal")):
        start, count = time.process_time(), 0
        while time.process_time() - start < 2.0:
            for mapping in mappings:
                evaluator.evaluate(mapping, checked=checked)
            count += len(mappings)
        print(f"{count / (time.process_time() - start):,.0f} evaluations per CPU second, {what}")


if __name__ == "__main__":
    main()
