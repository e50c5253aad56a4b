"""Results as plain dictionaries of columns, which `pandas.DataFrame`, `polars.DataFrame` and `pyarrow.table` take as they are.

A column has one type: words, whole numbers or floats, with None where something has no figure. Energies are in picojoules, times in cycles,
sizes in bytes or bits as their names say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.faults.campaign import Outcome
    from accelsim.mapper.front import Front
    from accelsim.model.evaluation import Evaluation
    from accelsim.model.layers import ModelEvaluation
    from accelsim.sim.simulation import Simulation

Columns = dict[str, list[Any]]


def columns(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Columns:
    """Rows as columns; names without any row have empty ones."""
    found: Columns = {name: [] for name in names}
    for row in rows:
        for column, value in zip(found.values(), row, strict=True):
            column.append(value)
    return found


def components(evaluation: Evaluation) -> Columns:
    """Every memory, network and unit: energy, busy cycles, utilization and what one copy holds at most."""
    rows = evaluation.to_json()["components"].items()
    names = ("component", "energy_pj", "busy_cycles", "utilization", "peak_occupancy_bits")
    return columns(
        names,
        ((name, float(row["energy_pj"]), _float(row["busy_cycles"]), row["utilization"], row["peak_occupancy_bits"]) for name, row in rows),
    )


def einsums(evaluation: Evaluation) -> Columns:
    """Every Einsum: its unit, operations, points, issues of the first copy, busy cycles and dynamic energy."""
    rows = evaluation.to_json()["einsums"].items()
    names = ("einsum", "unit", "operations", "points", "masked", "issues", "busy_cycles", "energy_pj")
    figures = names[3:6]
    return columns(
        names,
        (
            (
                name,
                row["unit"],
                sum(row["operations"].values()),
                *(int(row[each]) for each in figures),
                float(row["busy_cycles"]),
                row["energy_pj"],
            )
            for name, row in rows
        ),
    )


def traffic(evaluation: Evaluation) -> Columns:
    """Every Einsum, tensor and memory: words read, filled, updated and drained, and those of the largest tile."""
    names = ("einsum", "tensor", "memory", "reads", "fills", "updates", "drains", "tile_words")
    return columns(
        names,
        (
            (einsum, tensor, memory, *(int(row[each]) for each in names[3:]))
            for einsum, about in evaluation.to_json()["einsums"].items()
            for tensor, memories in about["tensors"].items()
            for memory, row in memories.items()
        ),
    )


def evaluations(found: Mapping[str, Evaluation | ModelEvaluation]) -> Columns:
    """Evaluations by name, a row each: cycles, seconds, energy with its low and high, and energy times delay."""
    names = ("name", "cycles", "seconds", "energy_pj", "energy_pj_low", "energy_pj_high", "edp_pj_s")
    rows = ((name, each.cycles, each.seconds, each.energy.value, each.energy.low, each.energy.high) for name, each in found.items())
    return columns(names, ((*row, row[3] * row[2]) for row in rows))


def events(simulation: Simulation) -> Columns:
    """The events that a simulation kept, in order: task, kind, unit or port, number of the firing, first and last cycle."""
    names = ("task", "kind", "resource", "number", "start_cycle", "end_cycle")
    return columns(
        names, ((each.task, each.kind, each.resource, each.number, float(each.start), float(each.end)) for each in simulation.events)
    )


def waits(simulation: Simulation) -> Columns:
    """Where units stood still: unit, Einsum, cause, what for, and cycles."""
    names = ("unit", "einsum", "cause", "what", "cycles")
    units = simulation.units.items()
    return columns(names, ((name, wait.einsum, wait.cause, wait.what, float(wait.cycles)) for name, unit in units for wait in unit.waits))


def points(front: Front) -> Columns:
    """The points of a front: the name of each mapping and its figures, in their units."""
    rows = ((point.mapping.name, *map(float, point.values)) for point in front.points)
    return columns(("mapping", *front.figures), rows)


def strata(outcome: Outcome) -> Columns:
    """Kinds of cells of a campaign: upsets, those injected, and shares that are masked, silent, unrecovered, and that matter, with ends."""
    names = ["block", "cells", "role", "bits", "population", "injected", "exhaustive"]
    shares = ("masked", "silent", "unrecovered", "avf")
    names += [f"{share}{end}" for share in shares for end in ("", "_low", "_high")]
    rows = []
    for each in outcome.found:
        ranges = (each.masked, each.silent, each.unrecovered, each.avf)
        ends = [float(value) for found in ranges for value in (found.value, found.low, found.high)]
        stratum = each.stratum
        about = (stratum.block, stratum.name, stratum.role, stratum.bits, stratum.population, each.tally.total, each.exhaustive)
        rows.append((*about, *ends))
    return columns(names, rows)


def _float(value: int | float | None) -> float | None:
    return None if value is None else float(value)
