"""An explanation as sections of a page: reasons in words, what would help, what time is paid for, and every joule down to its source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accelsim.report.figures import in_cycles
from accelsim.report.html.markup import Html, Section, el, join
from accelsim.report.html.page import note, tile
from accelsim.report.html.shown import NONE, joules, percent, seconds, times, whole
from accelsim.report.html.tables import Cell, Column, figure, table, words

Document = dict[str, Any]
_SAME = 5e-4  # relative: a change of less says "the same"


def tiles(document: Document) -> Iterator[Html]:
    """The headline figures."""
    latency, energy = document["latency"], document["energy"]
    yield tile("time", seconds(latency["seconds"]), [in_cycles(latency["cycles"])], f"{latency['seconds']!r} s")
    span = f"prices {joules(energy['low'])} to {joules(energy['high'])}" if energy["low"] < energy["high"] else ""
    yield tile("energy", joules(energy["pj"]), [span], f"{energy['pj']!r} pJ")
    if possible := _possible(document):
        best = max(possible, key=lambda each: each["speedup"])
        if best["speedup"] > 1 + _SAME:
            yield tile("would help most", f"{times(best['speedup'])} faster", [best["change"]])


def sections(document: Document, prefix: str = "") -> Iterator[Section]:
    """All of an explanation."""
    yield Section(f"{prefix}why", "Why", join([el("p", reason) for reason in document["reasons"]]))
    if document["what_if"]:
        yield Section(f"{prefix}what-if", "What would help", _what_if(document))
    yield Section(f"{prefix}paid", "What cycles pass for", _time(document["time"]))
    yield Section(f"{prefix}joules", "Every joule and its source", _joules(document["joules"]))


def matches(explanation: Document, evaluation: Document) -> bool:
    """Whether an explanation is of an evaluation: of the same run, which takes as long and as much."""
    same = all(explanation.get(key) == evaluation.get(key) for key in ("workload", "architecture", "mapping", "counting"))
    return (
        same
        and explanation["latency"]["cycles"] == evaluation["latency"]["cycles"]
        and explanation["energy"]["pj"] == evaluation["energy_pj"]
    )


def _possible(document: Document) -> list[Document]:
    """The changes with which the mapping can still be run."""
    return [each for each in document["what_if"] if "why" not in each]


def _what_if(document: Document) -> Html:
    rows, possible = [], _possible(document)
    most = max((each["speedup"] for each in possible), default=1.0) - 1
    for each in sorted(possible, key=lambda row: -row["speedup"]):
        faster = each["speedup"]
        says = "the same" if abs(faster - 1) < _SAME else f"{times(faster)} faster" if faster > 1 else f"{times(1 / faster)} slower"
        bound = each["binding"]
        ratio = each["energy_ratio"]
        rows.append([
            words(each["change"]), Cell(says, faster, max(faster - 1, 0) / most if most > 0 else 0.0), figure(each["cycles"], whole),
            Cell(NONE) if ratio is None else Cell(_change(ratio - 1), ratio - 1),
            words(f"{bound['resource']} {percent(bound['share'])}"),
        ])  # fmt: skip
    columns = [Column("what if", False), Column("time"), Column("cycles"), Column("energy"), Column("then bound by", False)]
    refused = [note(f"{each['change']}: {each['why']}.") for each in document["what_if"] if "why" in each]
    caption = "One change of the machine at a time, with the same mapping unless it was searched for again"
    return join([table(caption, columns, rows), *refused])


def _change(more: float) -> str:
    """A change of energy in percent."""
    return "the same" if abs(more) < _SAME else f"{'+' if more > 0 else '−'}{percent(abs(more))}"


def _time(time: Document) -> Html:
    rows = [
        [words(each["resource"]), words(each["einsum"]), words(each["tensor"] or NONE), figure(each["cycles"], whole),
         figure(each["share"], percent, 1.0)]
        for each in time["charges"]
    ]  # fmt: skip
    columns = [Column("resource", False), Column("Einsum", False), Column("tensor", False), Column("cycles"), Column("of the time")]
    parts = [table("What binds, and what for", columns, rows)]
    bound = time["bound"]
    beyond = [[words(f"the bound: {bound['by']}"), figure(bound["cycles"], whole)]]
    beyond += [[words(each["says"]), figure(each["cycles"], whole)] for each in time["beyond"] if each["cycles"]]
    parts.append(table("Beyond the bound that no mapping beats, in this order", [Column("paid for", False), Column("cycles")], beyond))
    return join(parts)


def _joules(found: Document) -> Html:
    most = max((row["energy_pj"] for row in found["lines"]), default=0.0)
    rows = [
        [words(f"{row['component']} {row['action']}"), figure(row.get("count"), whole), figure(row.get("price_pj"), _price),
         words(_span(row), "short"), figure(row["energy_pj"], joules, most, "energy"), figure(row["share"], percent),
         words(_sources(row), "source")]
        for row in found["lines"]
    ]  # fmt: skip
    columns = [Column("energy of", False), Column("times"), Column("each"), Column("low to high", False), Column("in all"), Column("of it"),
               Column("from", False)]  # fmt: skip
    missing = note(f"Not priced, and not in the energy: {', '.join(found['unpriced'])}.") if found["unpriced"] else None
    return join([table("Every joule down to the row of a table, or the line of a file, that says its price", columns, rows), missing])


def _price(value: float | None) -> str:
    return joules(value)


def _span(row: Document) -> str:
    low, high = row.get("price_pj_low"), row.get("price_pj_high")
    return NONE if low == high else f"{joules(low)} to {joules(high)}"


def _sources(row: Document) -> str:
    """Where the figures of a price stand, and who says so."""
    said = []
    for term in row["terms"]:
        for each in term["figures"]:
            place = f"{each['file']}:{each['line']}" if each["file"] else each["table"]
            said.append(f"{place}, {each['kind']}: {each['source']}" if each["source"] else f"{place}, {each['kind']}")
    return "; ".join(dict.fromkeys(said)) or NONE
