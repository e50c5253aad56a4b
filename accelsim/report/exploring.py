"""A sweep on a terminal: what became of its points, and its front."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import byte_size, in_cycles, joules, listed, percent, si, square
from accelsim.report.terminal import Forms, folding_table

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = dict[str, Any]
MOST_SHOWN = 20


def exploration_blocks(document: Document) -> Iterator[RenderableType]:
    """What became of the points, and the front as a table."""
    from rich.text import Text

    status = document["status"]
    points = document["points"]
    counts = ", ".join(f"{many:,} {name}" for name, many in sorted(status.items(), key=lambda item: (-item[1], item[0])))
    known = f" {document['known_before']:,} were known before." if document["known_before"] else ""
    yield Text.assemble((document["sweep"], "bold"), f": {points:,} points: {counts}.{known}")
    if document["interrupted"]:
        yield "Interrupted; what is done is kept where -o or --store says. The same command goes on from there."
    front = document["front"]
    figures = document["figures"]
    if not front:
        yield "No point has a mapping that the sweep keeps, so there is no front."
        return
    least = f"no other has less {listed(figures)}" if len(figures) > 1 else f"least {figures[0]}"
    yield f"Front: {len(front):,} point{'s' * (len(front) != 1)} of which {least}{'' if len(figures) == 1 else ' in all'}."
    varied = [name for name in document["varied"] if len({str(row[name]) for row in front}) > 1 or len(front) == 1]
    rows = folding_table(["row", *varied, *figures, "limited by"], [*varied, "limited by"])
    for row in front[:MOST_SHOWN]:
        shown = [shown_figure(name, row[name]) for name in figures]
        rows.add_row(str(row["row"]), *(str(row[name]) for name in varied), *shown, str(row["bound"]))
    yield rows
    if len(front) > MOST_SHOWN:
        yield f"… and {len(front) - MOST_SHOWN:,} more: the table that -o writes has all, marked on_front."
    same = {name: front[0][name] for name in document["varied"] if name not in varied}
    if same:
        yield "Of all of them: " + ", ".join(f"{name} = {text}" for name, text in same.items()) + "."
    unproved = sum(row["proved_optimal"] is False for row in front)
    if unproved:
        yield f"{unproved:,} of them {'is' if unproved == 1 else 'are'} not proved optimal; column gap says how far off they may be."


def shown_figure(name: str, value: Any) -> str:
    """A figure as a person reads it."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if "energy_pj" in name:
        return joules(value)
    kinds = {"latency_s": lambda v: si(v, "s"), "power_w": lambda v: si(v, "W"), "area_um2": square, "cycles": in_cycles}
    kinds |= {"traffic_bytes": byte_size, "utilization": percent, "gap": percent, "edp_pj_s": lambda v: si(v * 1e-12, "J s")}
    return str(kinds[name](value)) if name in kinds else f"{value:.6g}" if isinstance(value, float) else str(value)


def row_blocks(row: Document) -> Iterator[RenderableType]:
    """The command that finds a row again, by itself on its line, and what was found."""
    from rich.text import Text

    yield Forms((Text(str(row["command"]), no_wrap=True),))
    grid = folding_table(["", "value"], ["", "value"])
    grid.show_header = False
    for name, value in row.items():
        if name != "command" and value is not None:
            grid.add_row(name, str(value))
    yield grid
