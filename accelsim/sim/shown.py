"""A simulation in one line, and as HTML for notebooks."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from accelsim import markup

if TYPE_CHECKING:
    from accelsim.sim.simulation import Simulation


def line(simulation: Simulation) -> str:
    """What was simulated, and how long it takes beside what the model says."""
    evaluation = simulation.evaluation
    names = f"{evaluation.evaluator.cascade.name} on {evaluation.evaluator.architecture.name}"
    return f"{names}: {simulation.cycles:,} cycles simulated, {evaluation.cycles:,} modelled; {len(simulation.events):,} events kept"


def html(simulation: Simulation) -> str:
    """Where the cycles of every unit go, and how long every port is busy."""
    from accelsim.sim.simulation import CAUSES

    def cell(cycles: Fraction) -> str:
        return f"{float(cycles):,.0f}" if cycles else ""

    rows = []
    for name, unit in simulation.units.items():
        waits = [sum((wait.cycles for wait in unit.waits if wait.cause == cause), Fraction(0)) for cause in CAUSES]
        rows.append((name, cell(sum(unit.busy.values(), Fraction(0))), *map(cell, waits), cell(unit.drain)))
    rows += [(name, cell(busy), *("" for _ in CAUSES), "") for name, busy in simulation.ports.items()]
    return markup.table(line(simulation), ("unit or port", "busy", *CAUSES, "drain"), rows, foot="All in cycles.")
