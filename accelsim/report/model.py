"""The evaluation of a model on a terminal: the whole first, then its layers, then every different layer by itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import byte_size, in_cycles, joules, percent, si, square, times, whole
from accelsim.report.serving import serving_blocks
from accelsim.report.terminal import area_detail, report, table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

Document = dict[str, Any]
_LONG = 3  # different layers whose reports fill more than a screen: the whole is then said again below them


def model_blocks(document: Document, nests: Sequence[str] = ()) -> Iterator[RenderableType]:
    """What a person wants to know about a model, most important first; `nests`: the mapping of every layer as a printed loop nest."""
    from rich.rule import Rule

    yield _limits(document)
    yield _summary(document)
    yield from serving_blocks(document)
    yield from phase_blocks(document)
    yield _layers(document)
    shown: list[tuple[str, Document]] = []
    for position, layer in enumerate(document["layers"]):
        figures = _figures(layer["evaluation"])
        known = next((name for name, other in shown if other == figures), None)
        yield Rule(style="dim")
        if known is not None:
            yield f"{layer['name']}: the same as {known}."
            continue
        shown.append((layer["name"], figures))
        yield from report(layer["evaluation"], nests[position] if nests else "")
    if len(shown) >= _LONG:
        spent, energy = document["latency"], joules(document["energy_pj"])
        yield Rule(style="dim")
        took = f"{in_cycles(spent['cycles'])}, {si(spent['seconds'], 's')}, {energy}"
        yield f"{document['model']} on {document['architecture']}, all layers: {took}; the report of it all stands above them."


def phase_blocks(document: Document) -> Iterator[RenderableType]:
    """What the phases of inference take, if there are any: the whole in a line, unless one phase is served, and a row for each."""
    from rich.text import Text

    if "phases" not in document:
        return
    found = document["inference"]
    line = Text.assemble(("inference  ", "bold"), f"{whole(found['tokens'])} tokens")
    if found["seconds_to_first_token"] is not None:
        line.append(f", the first after {si(found['seconds_to_first_token'], 's')}")
    if found["energy_pj_per_token"] is not None:
        line.append(f"; {whole(found['tokens_per_s'])} tokens/s and {joules(found['energy_pj_per_token'])} a token in all")
    if len(document["phases"]) > 1 or "serving" not in document:
        yield line
    limited = all("limited_by" in phase for phase in document["phases"])
    columns = ["phase", *["limited by"] * limited, "steps", "tokens", "time a step", "time in all", "tokens/s", "energy a token"]
    rows = table(*columns, left=1 + limited)
    for phase in document["phases"]:
        rates = whole(phase["tokens_per_s"]), joules(phase["energy_pj_per_token"]) if phase["tokens"] else "-"
        spent = si(phase["seconds_per_step"], "s"), si(phase["seconds"], "s")
        limits = ["\n".join(f"{name} {percent(share)}" for name, share in phase["limited_by"].items()) or "-"] if limited else []
        rows.add_row(phase["name"], *limits, whole(phase["steps"]), whole(phase["tokens"]), *spent, *rates)
    yield rows


def _figures(evaluation: Document) -> Document:
    """An evaluation less its names and how it was found."""
    return {key: value for key, value in evaluation.items() if key not in ("workload", "mapping", "search")}


def _cycles(layer: Document) -> float:
    return float(layer["times"] * layer["evaluation"]["latency"]["cycles"])


def _share(cycles: float, document: Document) -> float | None:
    return cycles / document["latency"]["cycles"] if document["latency"]["cycles"] else None


def _limits(document: Document) -> Text:
    from rich.text import Text

    text = Text.assemble((document["model"], "bold"), " on ", (document["architecture"], "bold"))
    spent: dict[str, float] = {}
    for layer in document["layers"]:
        resource = (layer["evaluation"].get("limits") or {}).get("resource")
        if resource is not None:
            spent[resource] = spent.get(resource, 0.0) + _cycles(layer)
    if spent:
        first, *others = sorted(spent, key=lambda name: -spent[name])
        text.append("\n\nLimited by ", "bold").append(first, "bold red")
        text.append(f" for {percent(_share(spent[first], document))} of the time", "bold")
        text.append("".join(f", by {name} for {percent(_share(spent[name], document))}" for name in others) + ".")
        longest = max(document["layers"], key=_cycles)
        relief = (longest["evaluation"].get("limits") or {}).get("relief", "").rstrip(".")
        text.append(f"\n{longest['name']} takes {percent(_share(_cycles(longest), document))}", "italic")
        text.append(f": {relief}." if relief else ".", "italic")
    return text


def _summary(document: Document) -> Table:
    from rich.table import Table

    latency, bounds = document["latency"], document["bounds"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column()
    count = sum(layer["times"] for layer in document["layers"])
    order = f"{count} layers one after the other" if count > 1 else "one layer"
    grid.add_row("time", in_cycles(latency["cycles"]), f"{si(latency['seconds'], 's')}: {order}")
    bound = bounds["min_cycles"]
    if bound:
        grid.add_row("", "", f"{times(latency['cycles'] / bound)} the algebraic bound of {in_cycles(bound)}")
    energy, static = document["energy_pj"], document["static_energy_pj"]
    low, high = document["energy_pj_low"], document["energy_pj_high"]
    span = f"prices {joules(low)} to {joules(high)}: " if low < high else ""
    grid.add_row("energy", joules(energy), f"{span}dynamic {joules(energy - static)}, static {joules(static)}")
    for position, (memory, moved) in enumerate(document["traffic"].items()):
        total = moved["read_bytes"] + moved["write_bytes"]
        detail = f"read {byte_size(moved['read_bytes'])}, written {byte_size(moved['write_bytes'])}"
        if position == 0 and bounds["compulsory_bytes"]:
            least = bounds["compulsory_bytes"]
            detail += f"; {times(total / least)} the compulsory {byte_size(least)}"
        grid.add_row("traffic" if position == 0 else "", f"{memory} {byte_size(total)}", detail)
    if document["area_um2"]:
        grid.add_row("area", square(document["area_um2"]), area_detail(document))
    return grid


def _layers(document: Document) -> Table:
    outermost = next(iter(document["traffic"]), None)
    moved = [f"{outermost} each"] if outermost is not None else []
    rows = table("layer", "limited by", "times", "cycles each", "of the time", "energy each", *moved, left=2)
    rows.columns[0].no_wrap = True
    for layer in document["layers"]:
        found = layer["evaluation"]
        limit = (found.get("limits") or {}).get("resource", "-")
        traffic = found["traffic"].get(outermost, {})
        cells = [whole(found["latency"]["cycles"]), percent(_share(_cycles(layer), document)), joules(found["energy_pj"])]
        cells += [byte_size(sum(traffic.values()))] if moved else []
        rows.add_row(layer["name"], limit, str(layer["times"]), *cells)
    return rows
