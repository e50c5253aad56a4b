"""Bursts served per CPU second: a stream, random reads, and a random mix of reads and writes.

Run: python tests/benchmarks/bench_dram.py
"""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction

import numpy as np

from accelsim.hardware.dram import AddressMap, Dram, Policy, Timings
from accelsim.sim.serving import serve

BURSTS = 2_000_000
# Figures of the order of a DDR4-3200 channel.
TIMES = Timings(22, 16, 22, 22, 22, 52, 74, 12, 24, 4, 8, 8, 4, 8, 34, 4, 12, 12, 0, 12480, 560)
DRAM = Dram("bench", Fraction(1_600_000_000), 2, 1, 1, 4, 4, 65536, 1024, 64, 8, TIMES)


def main() -> None:
    """Print bursts per CPU second of each kind of traffic."""
    rng = np.random.default_rng(0)
    scattered = rng.integers(0, DRAM.bursts, BURSTS)
    streamed = np.arange(BURSTS)
    mixed = rng.random(BURSTS) < 0.3
    many = replace(DRAM, channels=32, rows=DRAM.rows // 32)
    cases = (
        ("stream, first_ready", DRAM, Policy(), streamed, False),
        ("stream, one bank at a time", DRAM, Policy(), streamed, "row bank group column channel rank"),
        ("stream, in_order", DRAM, Policy(schedule="in_order"), streamed, False),
        ("stream over 32 channels", many, Policy(), streamed, False),
        ("random reads, in_order", DRAM, Policy(schedule="in_order"), scattered, False),
        ("random reads, window 8", DRAM, Policy(window=8), scattered, False),
        ("random reads, window 32", DRAM, Policy(), scattered, False),
        ("random reads and writes, window 32", DRAM, Policy(), scattered, mixed),
        ("random reads, closed pages", DRAM, Policy(page="closed"), scattered, False),
    )
    for name, dram, policy, addresses, more in cases:
        text = more if isinstance(more, str) else "row bank column group channel rank"
        writes = False if isinstance(more, str) else more
        order = AddressMap.of(text, dram)
        serve(dram, order, policy, addresses[:100], writes if isinstance(writes, bool) else writes[:100])
        start = time.process_time()
        served = serve(dram, order, policy, addresses, writes)
        seconds = time.process_time() - start
        print(f"{BURSTS / seconds / 1e6:6.2f} million bursts per CPU second: {name} ({served.cycles} cycles)")


if __name__ == "__main__":
    main()
