"""What happened when: events of a simulation by unit and port, and what memories hold meanwhile."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, PercentFormatter

from accelsim.errors import InputError
from accelsim.report.figures import byte_size
from accelsim.report.plots import style
from accelsim.sim.simulation import Event, Simulation

DRAWN = 400  # events of a timeline
_TRACKS = 24  # rows of a timeline
_EDGED = 0.004  # of the axis: events at least this long have an edge


def timeline(simulation: Simulation, *, ax: Axes | None = None) -> Axes:
    """Draw the first 400 events that were kept: a row for each of 24 units and ports, tasks in colours, cycles to the right."""
    events = sorted(_kept(simulation), key=lambda event: event.start)[:DRAWN]
    every = list(dict.fromkeys(event.resource for event in events))
    tracks = every[:_TRACKS]
    tasks = list(dict.fromkeys(event.task for event in events if event.resource in tracks))
    ax = style.axes(ax, 9.6, 1.0 + 0.42 * len(tracks))
    last = max(float(event.end) for event in events)
    for number, task in enumerate(tasks):
        label: str | None = task
        for place, track in enumerate(tracks):
            spans = [(float(e.start), float(e.end - e.start)) for e in events if e.task == task and e.resource == track]
            if spans:
                edge = 0.3 if min(length for _, length in spans) > _EDGED * last else 0.0  # white edges would hide thin events
                look: dict[str, Any] = {"facecolors": style.colour(number), "hatch": style.hatch(number) or None, "edgecolor": style.PAPER}
                ax.broken_barh(spans, (place - 0.4, 0.8), linewidth=edge, label=label, **look)
                label = None
    ax.set_yticks(range(len(tracks)), tracks)
    ax.set_ylim(len(tracks) - 0.4, -0.6)
    ax.set_xlim(0, last)
    left_out = f", {len(every) - len(tracks)} more units and ports not drawn" if len(every) > len(tracks) else ""
    names = simulation.evaluation.evaluator.cascade.name, simulation.evaluation.evaluator.architecture.name
    style.dress(ax, f"{names[0]} on {names[1]}{left_out}", "cycles", grid="x")
    ax.xaxis.set_major_formatter(EngFormatter())
    style.legend(ax)
    return ax


def occupancy(simulation: Simulation, *, until: float | None = None, ax: Axes | None = None) -> Axes:
    """Draw how full one copy of each memory below the outermost is over time, while the events that were kept happen.

    In percent of its size, or of the most that it holds if it has none. `until`: the last cycle drawn, None: the last event that was kept.
    """
    _kept(simulation)
    ax = style.axes(ax, 9.6, 3.2)
    memories = simulation.evaluation.evaluator.architecture.memories
    for number, (memory, steps) in enumerate(simulation.held.items()):
        most = max(bits for _, bits in steps)
        size = memories[memory].size_bits
        if most:
            of = f"of {byte_size(size / 8)}" if size is not None else "at most, without a size"
            times, shares = [float(time) for time, _ in steps], [bits / (size or most) for _, bits in steps]
            look: dict[str, Any] = {"color": style.colour(number), "linestyle": style.dash(number)}
            ax.step(times, shares, where="post", linewidth=1.4, label=f"{memory}: {byte_size(most / 8)} {of}", **look)
    last = max((float(steps[-1][0]) for steps in simulation.held.values()), default=1.0)
    ax.set_xlim(0, until if until is not None else last or 1.0)
    ax.set_ylim(0, None)
    ax.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    ax.xaxis.set_major_formatter(EngFormatter())
    names = simulation.evaluation.evaluator.cascade.name, simulation.evaluation.evaluator.architecture.name
    style.dress(ax, f"{names[0]} on {names[1]}", "cycles", "held, of the size")
    style.legend(ax)
    return ax


def run(simulation: Simulation) -> Axes:
    """Draw a timeline with what memories hold below it, on one figure; the axes are the timeline's."""
    events = sorted(_kept(simulation), key=lambda event: event.start)[:DRAWN]
    rows = min(_TRACKS, len({event.resource for event in events}))
    varying = [memory for memory, steps in simulation.held.items() if len(steps) > 1]
    heights = [0.8 + 0.42 * rows, *([2.2] if varying else [])]
    figure = Figure(figsize=(10.5, sum(heights)), facecolor=style.PAPER, layout="constrained")
    grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
    upper = timeline(simulation, ax=figure.add_subplot(grid[0], axes_class=style.Plot))
    if varying:
        lower = figure.add_subplot(grid[1], sharex=upper)
        occupancy(simulation, until=upper.get_xlim()[1], ax=lower)
        lower.set_title("", loc="left")
        upper.set_xlabel("")
        upper.tick_params(labelbottom=False)
    return upper


def _kept(simulation: Simulation) -> tuple[Event, ...]:
    if not simulation.events:
        raise InputError("the simulation kept no events to draw", "simulate with events=1600")
    return simulation.spans or simulation.events
