"""Checksums along attention: false alarms without a fault, and what is left silent of all upsets, by threshold.

Run as `python tests/benchmarks/bench_checks.py`.
"""

from __future__ import annotations

import numpy as np

from accelsim.errors import InputError
from accelsim.faults.cascade_checks import CascadeChecks
from accelsim.faults.memory_target import MemoryTarget
from accelsim.faults.outcomes import CORRUPTED, DETECTED
from accelsim.io.campaign import load_campaign
from accelsim.io.catalogue import CAMPAIGN, MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper import search
from accelsim.sim.formats import round_to
from accelsim.sim.values import execute

THRESHOLDS = (1, 2, 4, 8, 16)
SHAPES = {"2 queries, 4 keys": (2, 4, 2), "8 queries, 32 keys": (8, 32, 8)}
RUNS = 1000


def levels(queries: int, keys: int, width: int) -> np.ndarray:
    """How far sums are off in runs without a fault with other inputs, in units of roundoff."""
    shape = {"b": 1, "h": 1, "p": queries, "m": keys, "e": width, "f": width}
    cascade = load_workload(resolve("attention-naive", WORKLOAD), {f"shape.{name}": str(size) for name, size in shape.items()})
    machine = load_architecture(resolve("simple", MACHINE), {})
    mapping, checks, rng, found = search(cascade, machine).mapping, CascadeChecks(cascade, 1.0), np.random.default_rng(1), []
    also = [name for name, tensor in cascade.tensors.items() if not tensor.is_input]
    for _ in range(RUNS):
        given = {name: rng.normal(0, 0.25, each.shape) for name, each in cascade.tensors.items() if each.is_input}
        made = execute(cascade, machine, mapping, given, also=also)
        values = {**{name: round_to(each, cascade.tensors[name].final) for name, each in given.items()}, **made}
        found.append(checks.worst(values, values))
    return np.array(found)


def main() -> None:
    """Print both."""
    for name, shape in SHAPES.items():
        off = levels(*shape)
        shares = [f"{at}: {(off > at).mean():.1%}" for at in THRESHOLDS]
        print(f"{name}: false alarms in {RUNS} runs", *shares, f"largest {off.max():.1f}", sep="  ")
    whole = load_campaign(resolve("attention-memories", CAMPAIGN)).target
    assert isinstance(whole, MemoryTarget)
    for threshold in (None, *THRESHOLDS):
        checks = None if threshold is None else CascadeChecks(whole.mapped.cascade, float(threshold))
        try:
            target = MemoryTarget(whole.mapped, None, checks)
        except InputError as refused:
            print(threshold, refused)
            continue
        silent, seen, total, largest = 0, 0, 0, 0
        for number, stratum in enumerate(target.strata):
            found = target.of_classes(number, np.arange(stratum.classes))
            assert found.weight is not None
            silent += int(found.weight[found.outcome == CORRUPTED].sum())
            seen += int(found.weight[found.outcome == DETECTED].sum())
            total, largest = total + stratum.population, max(largest, int(found.worst.max(initial=0)))
        shares = [f"threshold {threshold}: silent {silent / total:.2%}", f"detected {seen / total:.2%}"]
        print(*shares, f"largest error {largest / 1e6:.2g} of the largest output", sep=", ")


if __name__ == "__main__":
    main()
