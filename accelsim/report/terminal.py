"""An evaluation on a terminal: first what limits the run, then time, energy and traffic, then tables by Einsum and by component.

Works from the JSON of the contract, so that a fresh evaluation and a saved one look the same. At most 100 columns.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import bar, byte_size, joules, percent, si, times, whole

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

WIDTH = 100
Document = dict[str, Any]


def console(stream: Any = None) -> Console:
    """A console of at most 100 columns that colours only a terminal; a pipe gets all 100 columns and no control characters."""
    import sys

    from rich.console import Console

    stream = stream or sys.stdout
    live = stream.isatty()
    found = Console(file=stream, highlight=False, emoji=False, markup=False, force_terminal=live, width=None if live else WIDTH)
    return found if found.width <= WIDTH else Console(file=stream, highlight=False, emoji=False, markup=False, force_terminal=live, width=WIDTH)


def report(evaluation: Document, nest: str = "") -> Iterator[RenderableType]:
    """What a person wants to know about an evaluation, most important first; `nest` is the mapping as a printed loop nest."""
    yield from _limits(evaluation)
    yield _summary(evaluation)
    yield _einsums(evaluation)
    yield _components(evaluation)
    if nest:
        yield from _nest(nest)
    yield from _last(evaluation)


def _limits(evaluation: Document) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text.assemble(
        (str(evaluation["workload"]), "bold"), " on ", (str(evaluation["architecture"]), "bold"), f", mapping {evaluation['mapping']}\n"
    )
    limits = evaluation.get("limits")
    if limits:
        line = Text.assemble(("Limited by ", "bold"), (limits["resource"], "bold red"), f" ({limits['kind']}): ")
        line.append(f"{percent(limits['share'])} of the time", "bold")
        if limits["next"]:
            line.append(f"; next is {limits['next']['resource']} with {percent(limits['next']['share'])}")
        line.append(".")
        if limits["relief"]:
            line.append(f"\n{limits['relief'].rstrip('.')}.", "italic")
        yield line


def _grid() -> Table:
    from rich.table import Table

    return Table.grid(padding=(0, 2))


def _table(title: str, *columns: str, left: int = 1) -> Table:
    """A table whose first `left` columns hold words; the others hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position < left else "right", no_wrap=position > 0, overflow="ellipsis")
    return table


def _summary(evaluation: Document) -> Table:
    from rich.padding import Padding

    latency, bounds = evaluation["latency"], evaluation["bounds"]
    grid = _grid()
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column()
    bound = bounds["min_cycles"]
    parts = [f"{name} {whole(latency[f'{name}_cycles'])}" for name in ("fill", "steady", "drain")]
    grid.add_row("time", f"{whole(latency['cycles'])} cycles", f"{si(latency['seconds'], 's')}: {', '.join(parts)}")
    if bound:
        grid.add_row("", "", f"{times(latency['cycles'] / bound)} the bound of {whole(bound)} cycles")
    energy, static = evaluation["energy_pj"], evaluation["static_energy_pj"]
    span = f"{joules(evaluation['energy_pj_low'])} to {joules(evaluation['energy_pj_high'])}"
    grid.add_row("energy", joules(energy), f"{span}; dynamic {joules(energy - static)}, static {joules(static)}")
    compulsory = bounds["compulsory_bytes"]
    for position, (memory, words) in enumerate(evaluation["traffic"].items()):
        total = words["read_bytes"] + words["write_bytes"]
        detail = f"read {byte_size(words['read_bytes'])}, written {byte_size(words['write_bytes'])}"
        if position == 0 and compulsory:
            detail += f"; {times(total / compulsory)} the compulsory {byte_size(compulsory)}"
        grid.add_row("traffic" if position == 0 else "", f"{memory} {byte_size(total)}", detail)
    if evaluation["area_um2"]:
        grid.add_row("area", f"{evaluation['area_um2'] / 1e6:,.2f} mm2", "")
    return Padding(grid, (1, 0))  # type: ignore[return-value]


def _einsums(evaluation: Document) -> Table:
    cycles = evaluation["latency"]["cycles"]
    table = _table("Einsums", "Einsum", "unit", "operations", "busy cycles", "of the time", "energy", left=3)
    for name, row in evaluation["einsums"].items():
        operations = ", ".join(f"{si(count, '')} {primitive}" for primitive, count in row["operations"].items())
        share = row["busy_cycles"] / cycles if cycles else None
        table.add_row(name, row["unit"], operations or "-", whole(row["busy_cycles"]), percent(share), joules(row["energy_pj"]))
    return table


def _components(evaluation: Document) -> Table:
    cycles = evaluation["latency"]["cycles"]
    table = _table("Components", "component", "busy", "of the time", "busy cycles", "utilization", "peak held", "energy", left=2)
    for name, row in evaluation["components"].items():
        busy, bits = row["busy_cycles"], row["peak_occupancy_bits"]
        share = busy / cycles if busy is not None and cycles else None
        held = byte_size(bits / 8) if bits is not None else "-"
        table.add_row(name, bar(share), percent(share), whole(busy), percent(row["utilization"]), held, joules(row["energy_pj"]))
    return table


def _nest(nest: str) -> Iterator[RenderableType]:
    from rich.text import Text

    yield Text("Mapping", "bold")
    yield Text(nest.rstrip(), no_wrap=True, overflow="ellipsis")
    yield Text("")


def _last(evaluation: Document) -> Iterator[RenderableType]:
    from rich.text import Text

    search = evaluation["search"]
    if search:
        proof = "proved optimal" if search["proved_optimal"] else "not proved optimal"
        line = f"Search for {search['objective']}: {whole(search['evaluated'])} mappings evaluated"
        if search["mappings_covered"]:
            line += f", {whole(search['mappings_covered'])} covered"
        bound = search["lower_bound"]
        gap = f", at most {times(search['value'] / bound)} the best possible" if bound and not search["proved_optimal"] else ""
        yield Text(f"{line}, {search['seconds']:.1f} s; {proof}{gap}.")
    if evaluation["unpriced"]:
        yield Text.assemble(("Not priced, and not in the energy: ", "yellow"), ", ".join(evaluation["unpriced"]) + ".")
    changed = ", ".join(f"{key} {value}" for key, value in evaluation["counting"].items())
    if changed:
        yield Text(f"Counting: {changed}.", "dim")
