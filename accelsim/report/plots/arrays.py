"""Which copies of a unit a mapping uses, and how busy each is."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.ticker import MaxNLocator, PercentFormatter

from accelsim.model.copies import copies
from accelsim.model.evaluation import Evaluation
from accelsim.report.plots import style
from accelsim.sim.simulation import Simulation

_APART = 32  # copies along a side, at most, that are drawn apart


def array_use(run: Evaluation | Simulation, unit: str = "", *, ax: Axes | None = None) -> Axes:
    """Draw how busy each copy of a unit in an array is over the whole run, in percent of its peak; copies without work stay hatched.

    Of a simulation over the time that it takes. `unit`: the one with most copies, unless named. The innermost axis goes to the right and
    the one around it down; over further axes it is the mean.
    """
    import numpy as np

    evaluation = run.evaluation if isinstance(run, Simulation) else run
    found = copies(evaluation, unit, run.ticks if isinstance(run, Simulation) else 0)
    shape = found.busy.shape
    cells = found.busy.reshape(-1, *shape[-2:]).mean(axis=0) if len(shape) > 1 else found.busy.reshape(1, -1)
    names = [axis.name for axis in found.axes]
    down, across = cells.shape
    ax = style.axes(ax, min(7.2, max(4.4, 1.8 + 3.2 * across / down)), min(6.0, max(1.6, 1.2 + 3.2 * down / across)))
    drawn = ax.imshow(
        np.ma.masked_equal(cells, 0.0), cmap=style.SEQUENTIAL, norm=Normalize(0.0, 1.0), aspect="auto", interpolation="nearest"
    )
    most = ", ".join(f"{used} of {axis.size} along {axis.name}" for used, axis in zip(found.used, found.axes, strict=True))
    machine = evaluation.evaluator.architecture.name
    title = f"{evaluation.evaluator.cascade.name} on {machine}: {found.unit}, mean {found.busy.mean():.1%}\n{most}"
    style.dress(ax, title, names[-1], names[-2] if len(names) > 1 else "", grid="")
    ax.patch.set(hatch="////", edgecolor=style.GRID, linewidth=0)
    for side, many in ((ax.xaxis, across), (ax.yaxis, down)):
        side.set_major_locator(MaxNLocator(8, integer=True))
        if max(down, across) <= _APART:
            side.set_ticks([at - 0.5 for at in range(1, many)], minor=True)
    if down == 1:
        ax.set_yticks([])
    ax.tick_params(which="both", length=0)
    if max(down, across) <= _APART:
        ax.grid(True, which="minor", color=style.PAPER, linewidth=1.0)
    bar = style.whole(ax).colorbar(drawn, ax=ax)
    bar.set_label("of its peak", fontsize=style.LABEL, color=style.INK, family=style.FAMILY)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    bar.ax.tick_params(which="both", labelsize=style.TICK, colors=style.FAINT, labelcolor=style.INK)
    bar.outline.set_visible(False)
    return ax
