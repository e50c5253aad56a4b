"""Exact upsets a CPU second of small cascades as the mapper maps them: side by side, one by one, and of one replay beside them.

    python tests/benchmarks/bench_mapped_faults.py

`all` are upsets of what lies in any memory at any time, `read` those of them that something reads.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from accelsim.faults.cones import UNREAD, Fault, Mapped, Upsets
from accelsim.faults.reference_mapped import Replay
from accelsim.faults.residency import intervals
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.mapper import Request, search
from accelsim.mapper.objectives import OBJECTIVES
from accelsim.workload.build import resized, sized
from accelsim.workload.interpreter import random_inputs
from tests.faults.mapped import whole
from tests.sim.test_values import small

CASES = {"matmul": "tpu_like", "conv2d": "tpu_like", "softmax": "tpu_like", "attention": "spatial"}
FAULTS, TOGETHER, ALONE = 1 << 14, 1 << 12, 300


def upsets(mapped: Mapped, faults: list[Fault]) -> Upsets:
    """Faults as columns."""
    where = {(store.tensor, store.address, copy): (store.number, row) for store in mapped.stores for row, copy in enumerate(store.copies)}
    rows = [(*where[each.tensor, each.keep, each.copy], each.word, each.bit, each.step, each.partial) for each in faults]
    return Upsets(*np.array(rows, dtype=np.int64).T)


def rate(mapped: Mapped, faults: Upsets) -> float:
    """Upsets a CPU second, many at once."""
    begun = time.process_time()
    for at in range(0, len(faults.store), TOGETHER):
        mapped.changes(Upsets(*(each[at : at + TOGETHER] for each in faults)))
    return len(faults.store) / (time.process_time() - begun)


def main() -> None:
    """Prints a row for each cascade."""
    print(f"{'cascade':<12}{'points':>8}{'set up s':>10}{'all /s':>10}{'read /s':>10}{'alone /s':>10}{'replays /s':>12}")
    for name, where in CASES.items():
        made, machine = small(name), load_architecture(resolve(where, MACHINE), {})
        if name == "matmul":
            made = resized(made, {"m": 16, "n": 16, "k": 16})
        mapping = search(made, machine, request=Request(OBJECTIVES["latency"], time_limit=2.0)).mapping
        made, mapping = sized(made, mapping.sizes), replace(mapping, nodes=whole(mapping.nodes))
        inputs, rng = random_inputs(made, np.random.default_rng(0)), np.random.default_rng(1)
        begun = time.process_time()
        mapped = Mapped(made, machine, mapping, inputs)
        every = intervals(mapped)
        faults = [every.sample(rng) for _ in range(FAULTS)]
        listed = upsets(mapped, faults)
        unread = mapped.changes(listed)
        spent = time.process_time() - begun
        read = np.array([unread.reasons[why] != UNREAD for why in unread.masked])
        begun = time.process_time()
        for fault in faults[:ALONE]:
            mapped.inject(fault)
        alone = ALONE / (time.process_time() - begun)
        replay = Replay(made, machine, mapping, inputs)
        begun = time.process_time()
        for fault in faults[:3]:
            replay.run(fault)
        replays = 3 / (time.process_time() - begun)
        points = sum(len(each.step) for each in mapped.points)
        rates = rate(mapped, listed), rate(mapped, Upsets(*(each[read] for each in listed)))
        print(f"{name:<12}{points:>8}{spent:>10.2f}{rates[0]:>10,.0f}{rates[1]:>10,.0f}{alone:>10,.0f}{replays:>12.1f}")


if __name__ == "__main__":
    main()
