"""Times of operators on measured GPUs beside those of the machine files: rows, the library's mappings of each, and the fit.

Of a row, the best of the mappings that a library has kernels for is evaluated on the machine. Constants enter as they do in the machine
file: busy times of units are divided by the share of the peak that is sustained, those of ports by that of the bandwidth, and a launch is
added.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path

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
    """Measured products and softmaxes of 16-bit floats on a card, by operator and in the order of the file."""
    found = []
    if (MEASURED / f"{card}.csv").exists():
        for row in _read(f"{card}.csv"):
            if row["operator"] in ("matmul", "softmax") and row["type"] in ("bf16", "fp16"):
                shape = {name: int(size) for name, size in re.findall(r"(\w+)=(\d+)", row["shape"])}
                found.append(Row(row["operator"], row["type"], shape, float(row["seconds"])))
        return found
    for row in _read(f"{card}/matmul.csv"):
        found.append(Row("matmul", "fp16", {rank: int(row[rank]) for rank in "mkn"}, float(row["seconds"])))
    for row in _read(f"{card}/softmax.csv"):
        shape = {"rows": int(row["rows"]), "columns": int(row["columns"])}
        found.append(Row("softmax", "fp16", shape, math.prod(shape.values()) / float(row["gelements_per_s"]) / 1e9))
    return found


def _read(name: str) -> list[dict[str, str]]:
    with (MEASURED / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def stated(card: str) -> Constants:
    """The constants of the machine file."""
    machine = load_architecture(resolve(card, MACHINE))
    (compute,), (streaming,) = (
        {node.sustained for node in nodes if node.sustained != 1} for nodes in (machine.units.values(), machine.memories.values())
    )
    return Constants(float(machine.launch_s), float(compute), float(streaming))


def halves(found: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """The rows of each operator in two halves: the first, fourth, fifth, eighth, ... and the others. Not every second: the files have two
    widths of products in turn.
    """
    by_operator: dict[str, list[Row]] = {}
    for row in found:
        by_operator.setdefault(row.operator, []).append(row)
    parts: tuple[list[Row], list[Row]] = [], []
    for each in by_operator.values():
        for at, row in enumerate(each):
            parts[at % 4 in (1, 2)].append(row)
    return parts


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
        if (m > TILES[0][0] and m >= 2 * row.shape["m"]) or (n > TILES[0][1] and n >= 2 * row.shape["n"]):
            continue  # half empty, and a smaller one does as well
        across, down = math.ceil(row.shape["m"] / m), math.ceil(row.shape["n"] / n)
        grids = {(each, copies // each) for each in range(1, copies + 1) if copies % each == 0}
        turns = {grid: math.ceil(across / grid[0]) * math.ceil(down / grid[1]) for grid in grids}
        for grid in sorted(grids, key=lambda grid: (turns[grid], abs(grid[0] * m - grid[1] * n)))[:1]:
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
    alike = {tuple(_occupied(one)): one for one in found}
    return tuple(one for key, one in alike.items() if not any(_is_slower(key, other) for other in alike if other != key))


def _occupied(one: Evaluation) -> list[int]:
    """Ticks of the unit and the ports of each Einsum."""
    found = []
    for load in one.loads.values():
        found += [load.busy, *(ticks for _, both in sorted(load.ports.items()) for ticks in both)]
    return found


def _is_slower(one: Sequence[int], other: Sequence[int]) -> bool:
    """Whether no constants make one as fast as the other: all that it occupies is busy at least as long."""
    return all(mine >= its for mine, its in zip(one, other, strict=True))


def seconds(card: str, row: Row, constants: Constants) -> float:
    """The time of the best mapping with these constants."""
    return min(_seconds(evaluation, constants) for evaluation in candidates(card, row))


def _seconds(evaluation: Evaluation, constants: Constants) -> float:
    evaluator = evaluation.evaluator
    hertz = float(evaluator.architecture.clock_hz) * evaluator.clock.per_cycle
    loads: dict[str, Load] = {}
    for name, load in evaluation.loads.items():
        ports = {
            port: (round(read / constants.streaming), round(written / constants.streaming)) for port, (read, written) in load.ports.items()
        }
        loads[name] = replace(load, busy=round(load.busy / constants.compute), ports=ports)
    return float(schedule(evaluator.program, evaluation.mapping, loads).latency) / hertz + constants.launch


def error(card: str, found: Sequence[Row], constants: Constants) -> float:
    """The mean absolute error of rows, relative to what was measured."""
    return sum(abs(seconds(card, row, constants) / row.seconds - 1) for row in found) / len(found)


def worst(card: str, found: Sequence[Row], constants: Constants) -> tuple[Row, float]:
    """The row with the largest error, and that error with its sign."""
    errors = {row: seconds(card, row, constants) / row.seconds - 1 for row in found}
    row = max(errors, key=lambda each: abs(errors[each]))
    return row, errors[row]


def table(cards: Sequence[str]) -> list[str]:
    """Errors by card and operator: mean of the half that the constants were fitted to, of the other half, and the worst row of that."""
    found = ["| machine | operator | rows | fitted half | other half | worst of it |", "|---|---|---|---|---|---|"]
    for card in cards:
        constants, (fitted, scored) = stated(card), halves(rows(card))
        for operator in ("matmul", "softmax", "both"):
            mine, others = ([row for row in half if operator in (row.operator, "both")] for half in (fitted, scored))
            row, far = worst(card, others, constants)
            shape = " x ".join(str(size) for size in row.shape.values())
            means = f"{error(card, mine, constants):.1%} | {error(card, others, constants):.1%}"
            found.append(f"| {card} | {operator} | {len(mine)} + {len(others)} | {means} | {far:+.0%}: {row.operator} {shape} |")
    return found


def fit(card: str, found: Sequence[Row]) -> Constants:
    """The constants with the least mean absolute error: each in turn over all its steps until none gets better, from several starts.

    Shares have steps of 0.01; the launch is the best one.
    """
    shares = [number / 100 for number in range(40, 101)]
    ends: dict[Constants, float] = {}
    for compute, streaming in product((0.7, 0.9), (0.6, 0.8, 0.95)):
        at, value = Constants(5e-6, compute, streaming), math.inf
        while (now := error(card, found, at)) < value - 1e-9:
            value = now
            for name in ("streaming", "compute"):
                near = [at if share == getattr(at, name) else replace(at, **{name: share}) for share in shares]
                at = min(near, key=lambda one: error(card, found, one))
            at = replace(at, launch=launch(card, found, at))
        ends[at] = error(card, found, at)
    return min(ends, key=lambda one: ends[one])


def launch(card: str, found: Sequence[Row], constants: Constants) -> float:
    """The best launch: the error is piecewise linear in it, so one of those at which a row is exact; to a tenth of a microsecond."""
    without = replace(constants, launch=0.0)
    pairs = [(row.seconds, seconds(card, row, without)) for row in found]
    choices = sorted({max(0.0, round(measured - ours, 7)) for measured, ours in pairs})
    return min(choices, key=lambda each: sum(abs((ours + each) / measured - 1) for measured, ours in pairs))
