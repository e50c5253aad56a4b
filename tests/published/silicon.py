"""Times of operators on measured GPUs beside those of the machine files: rows, the library's mappings of each, constants that are fitted.

Of a row, the best of the mappings that a library has kernels for is evaluated on the machine. Constants enter as they do in the machine file:
busy times of units are divided by the share of the peak that is sustained, those of ports by that of the bandwidth, and a launch is added.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from itertools import product
from pathlib import Path

from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.mapping.legality import is_legal
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.schedule import Load, schedule
from accelsim.workload.cascade import Cascade

MEASURED = Path(__file__).parent / "measured"
TILES = ((64, 64), (64, 128), (128, 64), (128, 128), (64, 256), (256, 64), (128, 256), (256, 128))  # that CUTLASS has kernels for
ROWS = (1, 2, 4, 8, 16, 32)  # of a softmax that a multiprocessor has at a time


@dataclass(frozen=True, slots=True)
class Row:
    """One measured time. `shape` as in the file."""

    operator: str
    type: str
    shape: dict[str, int]
    seconds: float

    def __hash__(self) -> int:
        return hash((self.operator, self.type, *self.shape.items()))

    def __str__(self) -> str:
        return f"{self.operator} {self.type} " + " ".join(f"{name}={size}" for name, size in self.shape.items())


@dataclass(frozen=True, slots=True)
class Constants:
    """What a machine file states: seconds before each part, and the shares of peak operations and of bandwidths that are sustained."""

    launch: float
    compute: float
    streaming: float


def rows(card: str) -> list[Row]:
    """Measured rows of a card, by operator and in the order of the file."""
    if card.startswith("a100"):
        found = []
        with (MEASURED / "a100_matmul.csv").open(encoding="utf-8") as file:
            for row in _after_comments(file):
                found.append(Row("matmul", "fp16", {rank: int(row[rank]) for rank in "mkn"}, float(row["seconds"])))
        with (MEASURED / "a100_softmax.csv").open(encoding="utf-8") as file:
            for row in _after_comments(file):
                shape = {"rows": int(row["rows"]), "columns": int(row["columns"])}
                found.append(Row("softmax", "fp16", shape, math.prod(shape.values()) / float(row["gelements_per_s"]) / 1e9))
        return found
    with (MEASURED / f"{card}.csv").open(encoding="utf-8") as file:
        shapes = [(row, {name: int(size) for name, size in re.findall(r"(\w+)=(\d+)", row["shape"])}) for row in _after_comments(file)]
    found = [Row(row["operator"], row["type"], shape, float(row["seconds"])) for row, shape in shapes]
    return [row for row in found if row.operator in ("matmul", "softmax") and row.type in ("bf16", "fp16")]


def _after_comments(file: Iterator[str]) -> csv.DictReader[str]:
    return csv.DictReader(line for line in file if not line.startswith("#"))


def halves(found: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Every second row, from the first on, to fit on, and the others to score on; by operator."""
    by_operator: dict[str, list[Row]] = {}
    for row in found:
        by_operator.setdefault(row.operator, []).append(row)
    return [row for each in by_operator.values() for row in each[::2]], [row for each in by_operator.values() for row in each[1::2]]


def _cascade(row: Row) -> Cascade:
    shape = row.shape
    given = shape if row.operator == "matmul" else {"b": shape["rows"], "k": shape["columns"]}
    workload = load_workload(resolve(row.operator, WORKLOAD), {f"shape.{rank}": str(size) for rank, size in given.items()})
    assert isinstance(workload, Cascade)
    return workload


def _settings(row: Row, copies: int) -> Iterator[dict[str, int]]:
    """Tiles, and grids of them that fill the multiprocessors."""
    if row.operator == "softmax":
        yield from ({"SMS": copies, "ROWS": each} for each in ROWS if each == 1 or each * copies <= row.shape["rows"])
        return
    for m, n in TILES:
        across, down = math.ceil(row.shape["m"] / m), math.ceil(row.shape["n"] / n)
        grids = {(each, copies // each) for each in range(1, copies + 1) if copies % each == 0}
        turns = {grid: math.ceil(across / grid[0]) * math.ceil(down / grid[1]) for grid in grids}
        for grid in sorted(grids, key=lambda grid: (turns[grid], abs(grid[0] * m - grid[1] * n)))[:2]:
            yield {"TM": m, "TN": n, "GM": grid[0], "GN": grid[1]}


@cache
def candidates(card: str, row: Row) -> tuple[Evaluation, ...]:
    """Legal mappings of a row, evaluated on the machine as if it sustained its peaks."""
    machine = load_architecture(resolve(card, MACHINE), {"let.compute": "1", "let.streaming": "1", "launch": "0 us"})
    cascade = _cascade(row)
    evaluator, file = Evaluator(cascade, machine), resolve(f"gpu/{row.operator}", MAPPING)
    (_, axis) = next(iter(machine.axes.values()))
    found = []
    for chosen in _settings(row, axis.size):
        mapping = load_fitting(file, cascade, {f"let.{name}": str(size) for name, size in chosen.items()})[0]
        if is_legal(cascade, machine, mapping):
            found.append(evaluator.evaluate(mapping, checked=True))
    assert found, row
    return tuple(one for one in found if not any(_is_slower(one, other) for other in found))


def _is_slower(one: Evaluation, other: Evaluation) -> bool:
    """Whether no constants make one as fast as the other: all that it occupies is busy as long, and something longer."""
    mine, theirs = ([(load.busy, *sorted(load.ports.items())) for load in each.loads.values()] for each in (one, other))
    longer = [ours[0] >= its[0] and all(a[1] >= b[1] for a, b in zip(ours[1:], its[1:], strict=True)) for ours, its in zip(mine, theirs)]
    return mine != theirs and all(longer)


def seconds(card: str, row: Row, constants: Constants) -> float:
    """The time of the best mapping with these constants."""
    return min(_seconds(evaluation, constants) for evaluation in candidates(card, row))


def _seconds(evaluation: Evaluation, constants: Constants) -> float:
    evaluator = evaluation.evaluator
    hertz = float(evaluator.architecture.clock_hz) * evaluator.clock.per_cycle
    loads: dict[str, Load] = {}
    for name, load in evaluation.loads.items():
        ports = {port: (round(read / constants.streaming), round(written / constants.streaming)) for port, (read, written) in load.ports.items()}
        loads[name] = replace(load, busy=round(load.busy / constants.compute), ports=ports)
    return float(schedule(evaluator.program, evaluation.mapping, loads).latency) / hertz + constants.launch


def error(card: str, found: Sequence[Row], constants: Constants) -> float:
    """The mean absolute error of rows, relative to what was measured."""
    return sum(abs(seconds(card, row, constants) / row.seconds - 1) for row in found) / len(found)


def fit(card: str, found: Sequence[Row]) -> Constants:
    """The constants with the least mean absolute error: each in turn over all its steps, until none gets better; from several starts."""
    steps = {
        "launch": [number * 1e-7 for number in range(0, 400)],
        "compute": [number / 100 for number in range(40, 101)],
        "streaming": [number / 100 for number in range(40, 101)],
    }
    best: tuple[float, Constants] | None = None
    for compute, streaming in product((0.7, 0.9), (0.6, 0.8, 0.95)):
        at = Constants(5e-6, compute, streaming)
        value = math.inf
        while True:
            for name in ("streaming", "compute", "launch"):
                near = steps[name]
                if name == "launch":
                    at = replace(at, launch=_launch(card, found, at))
                    continue
                at = min((replace(at, **{name: each}) for each in near), key=lambda one: error(card, found, one))
            now = error(card, found, at)
            if now >= value - 1e-9:
                break
            value = now
        if best is None or value < best[0]:
            best = value, at
    assert best is not None
    return best[1]


def _launch(card: str, found: Sequence[Row], constants: Constants) -> float:
    """The best launch: the error is piecewise linear in it, so one of those at which a row is exact; to a tenth of a microsecond."""
    without = replace(constants, launch=0.0)
    rests = [(row.seconds, seconds(card, row, without)) for row in found]
    choices = sorted({max(0.0, round(measured - ours, 7)) for measured, ours in rests})
    return min(choices, key=lambda launch: sum(abs((ours + launch) / measured - 1) for measured, ours in rests))
