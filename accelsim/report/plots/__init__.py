"""Drawings: functions that take nouns and return matplotlib axes. docs/plots.md shows each of them.

A name is imported when it is first asked for, since matplotlib is slow to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.report.plots.arrays import array_use
    from accelsim.report.plots.bars import compare, tornado
    from accelsim.report.plots.convergence import searches
    from accelsim.report.plots.faults import voltage, vulnerability
    from accelsim.report.plots.fronts import front, pareto, sweep_front
    from accelsim.report.plots.graphs import cascade_graph
    from accelsim.report.plots.heat import heat_map
    from accelsim.report.plots.rooflines import roofline
    from accelsim.report.plots.style import as_svg, save
    from accelsim.report.plots.timelines import occupancy, run, timeline
    from accelsim.report.plots.trees import loop_tree
    from accelsim.report.plots.waterfalls import energy_waterfall, latency_waterfall

_PLACES = {
    "array_use": "arrays",
    "as_svg": "style",
    "cascade_graph": "graphs",
    "compare": "bars",
    "energy_waterfall": "waterfalls",
    "front": "fronts",
    "heat_map": "heat",
    "latency_waterfall": "waterfalls",
    "loop_tree": "trees",
    "occupancy": "timelines",
    "pareto": "fronts",
    "roofline": "rooflines",
    "run": "timelines",
    "save": "style",
    "searches": "convergence",
    "sweep_front": "fronts",
    "timeline": "timelines",
    "tornado": "bars",
    "voltage": "faults",
    "vulnerability": "faults",
}
__all__ = [
    "array_use",
    "as_svg",
    "cascade_graph",
    "compare",
    "energy_waterfall",
    "front",
    "heat_map",
    "latency_waterfall",
    "loop_tree",
    "occupancy",
    "pareto",
    "roofline",
    "run",
    "save",
    "searches",
    "sweep_front",
    "timeline",
    "tornado",
    "voltage",
    "vulnerability",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
