"""What sweeps have found in one line, and as HTML for notebooks."""

from __future__ import annotations

from itertools import islice
from math import isnan
from typing import TYPE_CHECKING

from accelsim import markup

if TYPE_CHECKING:
    from accelsim.explore.exploration import Exploration
    from accelsim.explore.sensitivity import Tornado


def exploration_line(found: Exploration) -> str:
    """How its points are, and how many nothing beats."""
    summary = found.summary
    counts = ", ".join(f"{many:,} {name}" for name, many in sorted(summary.counts.items(), key=lambda item: (-item[1], item[0])))
    state = ", interrupted" if found.interrupted else ""
    return f"{found.sweep.name}: {len(found.places):,} points{state}: {counts}; {int(summary.on_front.sum()):,} on the front"


def exploration_html(found: Exploration) -> str:
    """The points of the front with their figures."""
    from accelsim.explore.exploration import value_of

    sweep = found.sweep
    rows = (
        (point.number, *point.values, *(f"{value_of(sweep, point, row, name):,.6g}" for name in sweep.front), row.bound or "-")
        for point, row in islice(found.front(), markup.MOST + 1)
    )
    columns = ("row", *sweep.names, *sweep.front, "limited by")
    return markup.table(exploration_line(found), columns, rows, words=1 + len(sweep.names), foot=f"The front in {', '.join(sweep.front)}.")


def tornado_line(found: Tornado) -> str:
    """What was moved around which point."""
    point = ", ".join(f"{name} = {text}" for name, text in found.point)
    return f"{found.sweep}: {len(found.swings):,} parameters and prices moved around {point or 'its point'}"


def tornado_html(found: Tornado) -> str:
    """For each figure the parameters that change it, the largest change first."""
    rows = []
    for figure in found.figures:
        for swing, down, up in found.changes(figure):
            rows.append((figure, swing.name, swing.text, *("no mapping" if isnan(each) else f"{each:+.1%}" for each in (down, up))))
    return markup.table(tornado_line(found), ("figure", "parameter", "is", "down", "up"), rows, words=3)
