"""Products on small arrays, and all upsets of their registers."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from random import Random

import numpy as np

from accelsim.faults.grid import GridRun, Order
from accelsim.faults.kernels_replay import replay_all
from accelsim.faults.registers import CONTROL, Widths
from accelsim.sim.systolic import RESULT, Grid

Array = np.ndarray


def words(rng: Random, rows: int, columns: int, bits: int) -> Array:
    """Integers of so many bits, with extremes and zeros among them."""
    low, high = -(1 << bits - 1), (1 << bits - 1) - 1
    made = [[rng.choice((low, high, 0, rng.randint(low, high), rng.randint(low, high))) for _ in range(columns)] for _ in range(rows)]
    return np.array(made, np.int64).reshape(rows, columns)


def tiled_run(rng: Random, most: int) -> GridRun:
    """A product whose tiles, in all three directions, come in any order, on an array of any size."""
    grid = Grid(rng.randint(1, most), rng.randint(1, most))
    stays = rng.choice(("result", "operand"))
    widths = Widths(rng.randint(2, 9), rng.randint(2, 9), rng.choice((6, 13, 24, 32, 40)))
    sizes = {"rows": rng.randint(1, 2 * grid.rows), "columns": rng.randint(1, 2 * grid.columns), "steps": rng.randint(1, 7)}
    parts = {
        "rows": pieces(rng, sizes["rows"], grid.rows), "columns": pieces(rng, sizes["columns"], grid.columns),
        "steps": pieces(rng, sizes["steps"], 7),
    }  # fmt: skip
    every = [(row, column, step) for row in parts["rows"] for column in parts["columns"] for step in parts["steps"]]
    rng.shuffle(every)
    order = Order(*(np.array([each[at] for each in every], np.int64) for at in range(3)))
    m, k = (sizes["rows"], sizes["steps"]) if stays == RESULT else (sizes["steps"], sizes["rows"])
    return GridRun(words(rng, m, k, widths.a), words(rng, k, sizes["columns"], widths.b), grid, stays, widths, order)


def pieces(rng: Random, extent: int, most: int) -> list[tuple[int, int]]:
    """A size cut into pieces of any size up to the most."""
    found, at = [], 0
    while at < extent:
        size = rng.randint(1, min(most, extent - at))
        found.append((at, size))
        at += size
    return found


def upsets(run: GridRun, control: bool = False) -> tuple[Array, Array]:
    """Every upset of every bit of every register in every cycle: as cones are asked for, and as the replay is; `control`: of flags too."""
    asked, replayed = [], []
    for place, site in run.registers.sites():
        if site.field.role == CONTROL and not control:
            continue
        code = run.registers.fields.index(site.field)
        for bit in range(site.field.bits):
            for cycle in range(run.cycles):
                asked.append((code, site.row, site.column, 1 << bit, cycle))
                replayed.append((place, 1 << bit, site.field.bits, cycle))
    return np.array(asked, np.int64), np.array(replayed, np.int64)


def replay(run: GridRun, faults: Array) -> tuple[Array, Array, Array]:
    """What the registers say."""
    collected, kept, states, gone = run.golden
    return replay_all(run.wires, run.streams, collected, kept, states, gone, faults, run.product.ravel())


def changed(starts: Array, words: Array) -> Iterator[set[tuple[int, int]]]:
    """Words that each fault changes."""
    for first, end in pairwise(starts):
        yield {(int(place), int(by)) for place, by in words[first:end]}
