"""How fast upsets are followed through a network: `python tests/benchmarks/bench_network.py [CAMPAIGN]`; per CPU second."""

from __future__ import annotations

import sys
import time

import numpy as np

from accelsim.faults.network_target import NetworkTarget
from accelsim.faults.outcomes import ABSORBED, CORRUPTED
from accelsim.io.campaign import load_campaign
from accelsim.io.catalogue import CAMPAIGN, resolve
from accelsim.workload.interpreter import run

FAULTS, FIRST, SECONDS = 50_000, 100, 1.0  # as many as a second takes, by the first ones


def main() -> None:
    started = time.process_time()
    target = load_campaign(resolve(sys.argv[1] if len(sys.argv) > 1 else "image-classifier", CAMPAIGN)).target
    assert isinstance(target, NetworkTarget)
    points = sum(step.to.size for step in target.network.steps)
    print(f"loaded in {time.process_time() - started:.1f} s: {target.network.golden.size:,} words, {points:,} points")
    started, runs = time.process_time(), 0
    while time.process_time() - started < SECONDS:
        for layer in target.network.layers:
            tensors = layer.cascade.tensors
            inputs = {name: target.network.values((layer.name, name)) for name, tensor in tensors.items() if tensor.is_input}
            run(layer.cascade, inputs, np.int64)
        runs += 1
    print(f"by the reference interpreter, whole: {runs / (time.process_time() - started):,.0f} runs a second")
    for stratum, kind in enumerate(target.strata):
        rng = np.random.default_rng(0)
        target.effects(stratum, rng.integers(0, kind.population, 10))
        started = time.process_time()
        target.effects(stratum, rng.integers(0, kind.population, FIRST))
        many = int(min(FAULTS, FIRST * SECONDS / (time.process_time() - started)))
        numbers = rng.integers(0, kind.population, many)
        started = time.process_time()
        effects = target.effects(stratum, numbers)
        seconds = time.process_time() - started
        left = np.isin(effects.outcome, (CORRUPTED, ABSORBED)).mean()
        print(f"{kind.block:8} {kind.name:8} {many / seconds:12,.0f} a second, {left:5.1%} of them leave their layer")


if __name__ == "__main__":
    main()
