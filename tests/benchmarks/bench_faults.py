"""Faults per CPU second: exact, to requantised bytes, and the same list of faults register by register and in RTL.

    python tests/benchmarks/bench_faults.py

A product of 256 x 256 x 256 on an array of 16 x 16, with B in its elements, then with the result; random bytes, random upsets. Flags and
stuck bits, which are replayed, and registers and RTL run a smaller product, since they run the array from the fault on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from accelsim.faults import kernels_cone as cone
from accelsim.faults.grid import GridRun, product_run
from accelsim.faults.kernels_replay import replay_all
from accelsim.faults.registers import CONTROL, ELEMENT
from accelsim.faults.requantise import Requantise
from accelsim.faults.rtl import GridRtl
from accelsim.rtl.fast import FAST
from accelsim.sim.systolic import Grid

SIZE, ARRAY, MANY, REPLAYED, STUCK, FEW = 256, 16, 1_000_000, 8_000, 256, 200
RTL = Path(__file__).resolve().parents[2] / "hw" / "rtl"


def upsets(run: GridRun, name: str, many: int, rng: np.random.Generator) -> np.ndarray:
    """Random upsets of one field of the elements, int64[many, 5]."""
    code = run.registers.field(name)
    mask = 1 << rng.integers(0, run.registers.fields[code].bits, many)
    row, column, when = (rng.integers(0, end, many) for end in (run.grid.rows, run.grid.columns, run.cycles))
    return np.stack([np.full(many, code), row, column, mask, when], axis=1)


def seconds(work: Callable[[], object]) -> float:
    """CPU seconds of some work, its kernels compiled."""
    begun = time.process_time()
    work()
    return time.process_time() - begun


def exact(run: GridRun, name: str, faults: np.ndarray) -> float:
    """Faults a second, to outputs."""
    quantise = Requantise.fitted(run.product)
    work, found = run.work(quantise.outputs(run.product)), np.zeros((len(faults), 3), np.int64)
    cone.outcomes(work, quantise.kernel(), faults[:2], found)
    return len(faults) / seconds(lambda: cone.outcomes(work, quantise.kernel(), faults, found))


def replayed(run: GridRun, stuck: bool, many: int, rng: np.random.Generator) -> float:
    """Faults a second that are replayed: bits of all registers that are stuck, or upsets of flags."""
    sites = [(place, site.field.bits) for place, site in run.registers.sites() if stuck or site.field.role == CONTROL]
    drawn = [sites[each] for each in rng.integers(len(sites), size=many)]
    when = -1 - rng.integers(2, size=many) if stuck else rng.integers(run.cycles, size=many)
    faults = np.array([(place, 1 << int(rng.integers(bits)), bits, at) for (place, bits), at in zip(drawn, when, strict=True)], np.int64)
    state = run.golden
    replay_all(run.wires, run.streams, *state, faults[:2], run.product.ravel())
    return many / seconds(lambda: replay_all(run.wires, run.streams, *state, faults, run.product.ravel()))


def main() -> None:
    """All rates, then the three ways beside each other."""
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-128, 128, (SIZE, SIZE)) for _ in range(2))
    print(f"{SIZE} x {SIZE} x {SIZE} on {ARRAY} x {ARRAY}, to requantised bytes   million faults per CPU second")
    for stationary in "BZ":
        run = product_run(a, b, Grid(ARRAY, ARRAY), stationary)
        for field in run.registers.fields:
            if field.where == ELEMENT and field.bits > 1:
                rate = exact(run, field.name, upsets(run, field.name, MANY, rng))
                print(f"  {stationary} stays   {field.name:4} ({field.role}){rate / 1e6:10.1f}")
    a, b = rng.integers(-128, 128, (64, 32)), rng.integers(-128, 128, (32, 32))
    print("\n64 x 32 x 32 on the same, replayed                faults per CPU second")
    for stationary in "BZ":
        run = product_run(a, b, Grid(ARRAY, ARRAY), stationary)
        flags, stuck = replayed(run, False, REPLAYED, rng), replayed(run, True, STUCK, rng)
        print(f"  {stationary} stays   upsets of flags{flags:14,.0f}   stuck bits{stuck:14,.0f}")
    run = product_run(a, b, Grid(ARRAY, ARRAY), "B")
    faults = upsets(run, "p_q", FEW, rng)
    places = run.registers.starts[run.registers.field("p_q")] + faults[:, 1] * run.grid.columns + faults[:, 2]
    listed = np.stack([places, faults[:, 3], np.full(FEW, run.widths.sum), faults[:, 4]], axis=1)
    collected, kept, states, gone = run.golden
    state = (collected, kept, states, gone)
    replay_all(run.wires, run.streams, *state, listed[:2], run.product.ravel())
    rtl = GridRtl(run, RTL, FAST)
    rows = [
        ("closed form", exact(run, "p_q", faults)),
        ("register by register", FEW / seconds(lambda: replay_all(run.wires, run.streams, *state, listed, run.product.ravel()))),
        ("RTL through Verilator", FEW / seconds(lambda: [rtl.raw(int(place), int(mask), int(when)) for place, mask, _, when in listed])),
    ]
    print(f"\nthe same {FEW} upsets of p_q, 64 x 32 x 32                faults per CPU second")
    for way, rate in rows:
        print(f"  {way:24}{rate:20,.0f}   {rate / rows[-1][1]:10,.0f}x")


if __name__ == "__main__":
    main()
