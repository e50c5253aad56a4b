"""A simulation as sections of a page: where the cycles of every unit and port go, what waits for what, and the events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accelsim.report.figures import in_cycles
from accelsim.report.html.loops import loop_tree
from accelsim.report.html.markup import Html, Section, el, join
from accelsim.report.html.page import note, tile
from accelsim.report.html.shown import data, joules, percent, seconds, whole
from accelsim.report.html.tables import Column, figure, table, words

Document = dict[str, Any]
_CAUSES = {
    "busy": "work",
    "fill": "before its first work",
    "memory": "for a load",
    "dependence": "for what another makes",
    "room": "for a place for its result",
    "port": "at a busy port",
    "conflict": "for words on few banks",
    "array": "while the array loads or empties",
    "drain": "after its last work",
}


def tiles(document: Document) -> Iterator[Html]:
    """The headline figures."""
    latency = document["latency"]
    yield tile("time", seconds(latency["seconds"]), [in_cycles(latency["cycles"])], f"{latency['seconds']!r} s")
    cycles, model = latency["cycles"], document["model"]["cycles"]
    share = percent(abs(cycles / model - 1)) if model else "–"
    says = "as the model" if cycles == model else f"{share} {'more' if cycles > model else 'less'}"
    yield tile("beside the model", says, [f"the model says {in_cycles(model)}"])
    yield tile("energy", joules(document["energy_pj"]), [], f"{document['energy_pj']!r} pJ")
    yield tile("firings", whole(sum(document["firings"].values())), [f"{len(document['firings'])} tasks"])


def sections(document: Document, prefix: str = "", timeline: Html | None = None) -> Iterator[Section]:
    """All of a simulation."""
    yield Section(f"{prefix}cycles", "Where the cycles go", _cycles(document))
    if timeline is not None:
        yield Section(f"{prefix}timeline", "Timeline", timeline)
    yield Section(f"{prefix}waits", "Waits", _waits(document))
    if "occupancy" in document:
        yield Section(f"{prefix}occupancy", "What memories hold", _occupancy(document))
    if "dram" in document:
        yield Section(f"{prefix}dram", "DRAM", _dram(document["dram"]))
    if document.get("nest"):
        yield Section(f"{prefix}mapping", "Mapping", loop_tree(document["nest"]))
    lines = [f"Not simulated, as all elements count here: {what}." for what in document.get("without_effect", [])]
    lines += [f"Values: {document['values']['says']}."] if "values" in document else []
    lines.append(f"Counting: {', '.join(f'{key}={value}' for key, value in document['counting'].items())}.")
    yield Section(f"{prefix}notes", "Notes", el("ul", *(el("li", line) for line in lines)))


def _parts(document: Document) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Every unit and port with its cycles by what it does."""
    for name, unit in document["units"].items():
        found = {"busy": float(sum(unit["busy_cycles"].values()))}
        for wait in unit["waits"]:
            found[wait["cause"]] = found.get(wait["cause"], 0.0) + wait["cycles"]
        yield "unit", name, found | {"drain": unit["drain_cycles"]}
    for name, port in document["ports"].items():
        uneven = port.get("conflict_cycles", 0.0)
        yield "port", name, {"busy": port["busy_cycles"] - uneven, "conflict": uneven}


def _cycles(document: Document) -> Html:
    cycles = document["latency"]["cycles"] or 1
    every = list(_parts(document))
    shown = [cause for cause in _CAUSES if any(parts.get(cause) for _, _, parts in every)]
    bars = []
    for _, name, parts in every:
        at, spans = 0.0, []
        for cause in shown:
            share = 100 * parts.get(cause, 0.0) / cycles
            if share > 0:
                says = f"{_CAUSES[cause]}: {percent(share / 100)}"
                spans.append(el("span", class_=f"k-{cause}", style=f"left:{at:.3f}%;width:{share:.3f}%", title=says))
                at += share
        bars.append(
            el(
                "li",
                el("span", name, class_="name"),
                el("span", *spans, class_="track"),
                el("span", f"{percent(parts['busy'] / cycles)} busy", class_="says"),
            )
        )
    key = el("ul", *(el("li", el("i", class_=f"k-{cause}"), _CAUSES[cause]) for cause in shown), class_="key")
    rows = [[words(name), words(kind), *(figure(parts.get(cause), whole) for cause in shown)] for kind, name, parts in every]
    columns = [Column("resource", False), Column("kind", False), *(Column(cause, about=_CAUSES[cause]) for cause in shown)]
    return join([el("ul", *bars, class_="stacks"), key, el("h3", "In cycles"), table("Cycles of every unit and port", columns, rows)])


def _waits(document: Document) -> Html:
    cycles = document["latency"]["cycles"]
    every = [(wait, name) for name, unit in document["units"].items() for wait in unit["waits"]]
    rows = [
        [
            words(name),
            words(wait["einsum"]),
            words(_CAUSES.get(wait["cause"], wait["cause"])),
            words(wait["for"] or "–"),
            figure(wait["cycles"], whole),
            figure(wait["cycles"] / cycles if cycles else None, percent, 1.0),
        ]
        for wait, name in sorted(every, key=lambda each: -each[0]["cycles"])
    ]
    columns = [
        Column("unit", False),
        Column("Einsum", False),
        Column("waits", False),
        Column("for", False),
        Column("cycles"),
        Column("of the time"),
    ]
    return table("What units wait for, the longest first", columns, rows)


def _occupancy(document: Document) -> Html:
    rows = [
        [
            words(name),
            figure(row["size_bytes"], data),
            figure(row["peak_bytes"], data),
            figure(row["mean_bytes"], data),
            figure(row["peak_bytes"] / row["size_bytes"] if row["size_bytes"] else None, percent, 1.0),
            figure(row["until_cycle"], whole),
        ]
        for name, row in document["occupancy"].items()
    ]
    columns = [Column("memory", False), Column("size"), Column("most"), Column("average"), Column("full at most"), Column("until cycle")]
    return table("What one copy of each memory holds, over the events that were kept", columns, rows)


def _dram(found: Document) -> Html:
    counters = found["counters"]
    rows = [[words(name.replace("_", " ")), figure(value, whole)] for name, value in counters.items() if isinstance(value, int | float)]
    settled = (
        "" if found["settled"] else f" Run and DRAM agree within {seconds(found['unsettled_seconds'])} after {found['rounds']} rounds."
    )
    says = note(f"{found['table']}: {data(found['wanted_bytes'])} wanted, {data(found['fetched_bytes'])} fetched.{settled}")
    return join([table("What the DRAM did", [Column("counter", False), Column("value")], rows), says])
