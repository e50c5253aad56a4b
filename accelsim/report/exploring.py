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
    if len(document["broken"]) > 1:
        ordered = sorted(document["broken"].items(), key=lambda item: (-item[1], item[0]))
        yield "Outside: " + ", ".join(f"{many:,} by {rule}" for rule, many in ordered) + "."
    if document["interrupted"]:
        yield "Interrupted; what is done is kept where -o or --store says. The same command goes on from there."
    front = document["front"]
    figures = document["figures"]
    if not front:
        yield "No point has a mapping that the sweep keeps, so there is no front."
        return
    varied = [name for name in document["varied"] if len({str(row[name]) for row in front}) > 1 or len(front) == 1]
    groups: dict[tuple[Any, ...], list[Document]] = {}
    for row in front:
        groups.setdefault(tuple(row[name] for name in document["each"]), []).append(row)
    for values, rows in groups.items():
        shared = dict(zip(document["each"], values, strict=True))
        yield from _front_blocks(rows, figures, [name for name in varied if name not in shared], shared, MOST_SHOWN // min(len(groups), 4))
    same = {name: front[0][name] for name in document["varied"] if name not in varied}
    if same:
        yield "Of all of them: " + ", ".join(f"{name} = {text}" for name, text in same.items()) + "."
    unproved = sum(row["proved_optimal"] is False for row in front)
    if unproved:
        yield f"{unproved:,} of them {'is' if unproved == 1 else 'are'} not proved optimal; column gap says how far off they may be."


def _front_blocks(front: list[Document], figures: list[str], varied: list[str], shared: Document, most: int) -> Iterator[RenderableType]:
    """One front as a table, a row for those that are alike in every figure."""
    least = f"no other has less {listed(figures)}" if len(figures) > 1 else f"least {figures[0]}"
    of = "".join(f"{name} = {text}, " for name, text in shared.items())
    yield f"Front: {of}{len(front):,} point{'s' * (len(front) != 1)} of which {least}{'' if len(figures) == 1 else ' in all'}."
    alike: dict[tuple[Any, ...], list[Document]] = {}
    for row in front:
        alike.setdefault(tuple(row[name] for name in figures), []).append(row)
    beside = [name for name in figures if name not in varied]
    rows = folding_table(["row", *varied, *beside, "limited by"], [*varied, "limited by"])
    for first, *others in list(alike.values())[:most]:
        shown = [shown_figure(name, first[name]) for name in beside]
        number = f"{first['row']}{f' +{len(others)}' * bool(others)}"
        rows.add_row(number, *(str(first[name]) for name in varied), *shown, str(first["bound"]))
    yield rows
    if len(alike) > most:
        yield f"… and {len(alike) - most:,} more: the table that -o writes has all, marked on_front."
    if len(alike) < len(front):
        yield "+n: so many more points have the same figures."


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
