"""An evaluation as sections of a page: what limits it, where energy and words go, and the mapping."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accelsim.report.figures import in_cycles
from accelsim.report.html import stored
from accelsim.report.html.loops import loop_tree
from accelsim.report.html.markup import Html, Section, el, join
from accelsim.report.html.page import note, tile
from accelsim.report.html.roofline import roofline
from accelsim.report.html.shown import data, joules, operations, percent, seconds, square, times, whole
from accelsim.report.html.tables import Cell, Column, figure, table, words
from accelsim.report.html.waterfall import needed, waterfall

Document = dict[str, Any]
_DIRECTIONS = ("reads", "fills", "updates", "drains")


def tiles(document: Document) -> Iterator[Html]:
    """The headline figures."""
    latency, bound = document["latency"], document["bounds"]["min_cycles"]
    beside = f"{times(latency['cycles'] / bound)} the algebraic bound" if bound else ""
    yield tile("time", seconds(latency["seconds"]), [in_cycles(latency["cycles"]), beside], f"{latency['seconds']!r} s")
    energy, static = document["energy_pj"], document["static_energy_pj"]
    low, high = document["energy_pj_low"], document["energy_pj_high"]
    span = f"prices {joules(low)} to {joules(high)}" if low < high else ""
    yield tile("energy", joules(energy), [f"of it static {joules(static)}", span], f"{energy!r} pJ")
    first = next(iter(document["traffic"]), None)
    if first is not None:
        total, compulsory = _total(document["traffic"][first]), document["bounds"]["compulsory_bytes"]
        beside = f"{times(total / compulsory)} the compulsory {data(compulsory)}" if compulsory else ""
        yield tile(f"{first} traffic", data(total), [beside], f"{total!r} bytes")
    if document["area_um2"]:
        missing = document.get("without_area", [])
        yield tile(
            "area", square(document["area_um2"]), [f"without {', '.join(missing)}"] if missing else [], f"{document['area_um2']!r} µm²"
        )


def limits(document: Document) -> Html | None:
    """What limits the run, and what would help."""
    found = document.get("limits")
    if not found:
        return None
    following = found["next"]
    more = f" Next is {following['resource']}, {percent(following['share'])}." if following else ""
    first = el("p", "Limited by ", el("strong", found["resource"]), f", {found['kind']}, {percent(found['share'])} of the time.{more}")
    relief = found["relief"].rstrip(".")
    return el("div", first, el("p", f"{relief}.") if relief else None, class_="limits", role="note")


def sections(document: Document, prefix: str = "") -> Iterator[Section]:
    """All of an evaluation; `prefix` sets the names of its sections apart where a page shows several."""
    yield Section(f"{prefix}components", "Components", _components(document))
    yield Section(f"{prefix}roofline", "Roofline", roofline(document))
    yield Section(f"{prefix}time", "Time", needed(document))
    yield Section(f"{prefix}energy", "Energy", waterfall(document))
    yield Section(f"{prefix}einsums", "Einsums", _einsums(document))
    yield Section(f"{prefix}traffic", "Traffic", _traffic(document))
    yield from stored.sections(document, prefix)
    yield Section(f"{prefix}tensors", "Tensors in memories", _tensors(document))
    if document.get("nest"):
        yield Section(f"{prefix}mapping", "Mapping", loop_tree(document["nest"]))
    yield Section(f"{prefix}notes", "How it was found", notes(document))


def _total(row: dict[str, float]) -> float:
    return sum(row[key] for key in ("read_bytes", "write_bytes", "down_bytes", "up_bytes") if key in row)


def _components(document: Document) -> Html:
    cycles = document["latency"]["cycles"]
    limiting = (document.get("limits") or {}).get("resource")
    most = max((row["energy_pj"] or 0.0 for row in document["components"].values()), default=0.0)
    rows = []
    for name, row in document["components"].items():
        busy, bits = row["busy_cycles"], row["peak_occupancy_bits"]
        kind = "limiting" if name == limiting else ""
        share = busy / cycles if busy is not None and cycles else None
        rows.append(
            [
                words(name, kind),
                figure(share, percent, 1.0, kind),
                figure(busy, whole),
                figure(row["utilization"], percent),
                figure(bits / 8 if bits is not None else None, data),
                figure(row["energy_pj"], joules, most, "energy"),
            ]
        )
    columns = [
        Column("component", False),
        Column("of the time", about="busy cycles over all cycles"),
        Column("busy cycles"),
        Column("utilization", about="useful work over all that it could do"),
        Column("peak held", about="per copy"),
        Column("energy", about="dynamic"),
    ]
    return table("What every component does", columns, rows)


def _einsums(document: Document) -> Html:
    cycles = document["latency"]["cycles"]
    most = max((row["energy_pj"] or 0.0 for row in document["einsums"].values()), default=0.0)
    rows = []
    for name, row in document["einsums"].items():
        busy = row["busy_cycles"]
        count = Cell(operations(row["operations"]), float(sum(row["operations"].values())), None, "wrap")
        rows.append(
            [
                words(name),
                words(row["unit"]),
                count,
                figure(busy / cycles if cycles else None, percent, 1.0),
                figure(busy, whole),
                figure(row["energy_pj"], joules, most, "energy"),
            ]
        )
    columns = [
        Column("Einsum", False),
        Column("unit", False),
        Column("operations"),
        Column("of the time"),
        Column("busy cycles"),
        Column("energy"),
    ]
    return table("What every Einsum takes", columns, rows)


def _traffic(document: Document) -> Html:
    every = document["traffic"] | document.get("networks", {})
    most = max((_total(row) for row in every.values()), default=0.0)
    time = document["latency"]["seconds"]
    rows = []
    for name, row in every.items():
        out, into = (row.get("read_bytes", row.get("down_bytes", 0)), row.get("write_bytes", row.get("up_bytes", 0)))
        rate = (out + into) / time if time else None
        rows.append(
            [
                words(name),
                figure(out + into, data, most, "traffic"),
                figure(out, data),
                figure(into, data),
                figure(rate, lambda value: f"{data(value)}/s" if value is not None else data(None)),
            ]
        )
    columns = [
        Column("memory or network", False),
        Column("bytes", about="over all copies"),
        Column("read or down"),
        Column("written or up"),
        Column("on average", about="bytes over the whole time"),
    ]
    return table("What crosses every memory, over all its copies", columns, rows)


def _tensors(document: Document) -> Html:
    rows = []
    for einsum, row in document["einsums"].items():
        for tensor, memories in row["tensors"].items():
            for memory, counts in memories.items():
                figures = [figure(counts.get(key), whole) for key in (*_DIRECTIONS, "tile_words")]
                rows.append([words(tensor), words(einsum), words(memory), *figures])
    columns = [
        Column("tensor", False),
        Column("Einsum", False),
        Column("memory", False),
        Column("reads", about="words that leave it downwards"),
        Column("fills", about="words that enter it from above"),
        Column("updates", about="words of results that enter it from below"),
        Column("drains", about="words of results that leave it upwards"),
        Column("tile", about="words of the tile that it keeps, per copy"),
    ]
    return table("Words that move, by tensor and memory", columns, rows)


def notes(document: Document) -> Html:
    """How the mapping was found, how it was counted, and what is missing."""
    lines: list[str] = []
    search = document.get("search")
    if search:
        proof = "proved optimal" if search["proved_optimal"] else "not proved optimal"
        count = f"{whole(search['evaluated'])} mapping{'s' * (search['evaluated'] != 1)}"
        lines.append(f"Searched for {search['objective']}: {count} evaluated in {search['seconds']:.1f} s; {proof}.")
        if search["mappings_covered"] and search["mappings_covered"] != search["evaluated"]:
            lines.append(f"{whole(search['mappings_covered'])} mappings are covered by what was evaluated and by bounds.")
        if "dividing_lower_bound" in search:
            lines.append(f"Over the map space with tiles that divide, nothing is below {search['dividing_lower_bound']:,.6g}.")
        if search["lower_bound"]:
            lines.append(f"Lower bound {search['lower_bound']:,.6g}, found {search['value']:,.6g}.")
        if search.get("no_exact_search"):
            lines.append(f"No exact search: {search['no_exact_search']}.")
    else:
        lines.append("The mapping was given, not searched for.")
    if document["unpriced"]:
        lines.append(f"Not priced, and not in the energy: {', '.join(document['unpriced'])}.")
    lines += [f"Has no effect here, where all elements count: {what}." for what in document.get("without_effect", [])]
    if document["counting"]:
        lines.append(f"Counting: {', '.join(f'{key}={value}' for key, value in document['counting'].items())}.")
    if document.get("technology"):
        lines.append(f"Technology: {document['technology']}.")
    passes = document["bounds"].get("passes", {})
    if passes:
        lines.append(f"Passes over a rank, at least: {', '.join(f'{rank} {count}' for rank, count in passes.items())}.")
    lines.append("Cycles as if transfers and work overlapped without loss; accelsim simulate shows the loss.")
    return join([el("ul", *(el("li", line) for line in lines)), note("Exact values are in the JSON that this page was made of.")])
