"""A front in one line, and as HTML for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accelsim import markup

if TYPE_CHECKING:
    from accelsim.mapper.front import Front


def line(front: Front) -> str:
    """What the front is of, and whether anything may beat it."""
    evaluator = front.points[0].evaluation.evaluator
    many = len(front.points)
    state = f"nothing over {front.space} beats one" if front.complete else "others may beat them, since the search was stopped"
    names = f"{evaluator.cascade.name} on {evaluator.architecture.name}"
    return f"{names}: {many} mapping{'s' * (many != 1)} by {' and '.join(front.figures)}; {state}"


def html(front: Front) -> str:
    """Every point with its figures."""
    from accelsim.mapper.front import UNITS

    columns = [f"{name} ({UNITS[name]})" for name in front.figures]
    rows = [(point.mapping.name, *(f"{value:,.6g}" for value in point.values)) for point in front.points]
    return markup.table(line(front), ("mapping", *columns), rows)
