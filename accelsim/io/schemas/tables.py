"""The schemas of tables: technologies, DRAMs, rates of faults, and evidence."""

from __future__ import annotations

from accelsim.evidence.nouns import EXPECTATIONS
from accelsim.evidence.nouns import KINDS as OF_EVIDENCE
from accelsim.faults.rates import PERMANENT, TRANSIENT
from accelsim.hardware.dram import Timings
from accelsim.hardware.technology import ACTIONS, KINDS
from accelsim.io import dram, evidence, rates, technology
from accelsim.io.schemas.parts import (
    BOOLEAN,
    FORMULA,
    NAME,
    TEXT,
    Schema,
    about,
    closed,
    either,
    has,
    is_mapping,
    many,
    named,
    one_of,
    when,
    whole,
)

_SOURCES = about("short names for citations", named(TEXT))
_FIGURES: dict[str, Schema] = {"value": TEXT, "low": TEXT, "high": TEXT, "kind": one_of(KINDS), "source": TEXT}


def technology_schema() -> Schema:
    """The schema of a technology table."""
    row = {
        "component": about("what it is a price of", NAME),
        "action": one_of(ACTIONS),
        "size": about("the capacity that the row is for", TEXT),
        "width": about("the width of the access that the energy is of", TEXT),
        **_FIGURES,
    }
    rows = many(closed(technology._ROW_KEYS, row, technology._ROW_KEYS - {"size", "width"}), 1)
    properties = {"technology": NAME, "about": TEXT, "node": TEXT, "sources": _SOURCES, "rows": rows}
    return closed({"technology", "about", "node", "sources", "rows"}, properties, ("technology", "rows"))


def dram_schema() -> Schema:
    """The schema of a DRAM."""
    timing = closed(("value", "source"), {"value": TEXT, "source": TEXT}, ("value", "source"))
    counts: dict[str, Schema] = {name: whole(1) for name in dram._COUNTS}
    organisation = closed({*dram._COUNTS, "bus", "source"}, {**counts, "bus": TEXT, "source": TEXT}, {*dram._COUNTS, "bus", "source"})
    known = {*Timings.__dataclass_fields__, *dram._GROUPED}
    free = {*dram._DERIVED, "tRTRS", "tRTW", *(name for name in known if name[:4] in dram._GROUPED)}
    grouped = {"anyOf": [{"required": [short]} for short in dram._GROUPED]}
    timings = closed(known, dict.fromkeys(sorted(known), timing), known - free)
    timings["if"], timings["then"] = grouped, {"required": sorted(dram._GROUPED)}
    timings["else"] = {"required": sorted(f"{short}{end}" for short in dram._GROUPED for end in ("_S", "_L"))}
    properties = {
        "dram": NAME,
        "about": TEXT,
        "clock": TEXT,
        "beats_per_cycle": whole(1),
        "sources": _SOURCES,
        "organisation": organisation,
        "timings": about("cycles of the command clock, or times, each with its source", timings),
    }
    return closed(dram._KEYS, properties, ("dram", "clock", "beats_per_cycle", "organisation", "timings"))


def rates_schema() -> Schema:
    """The schema of a table of rates."""
    row = closed(rates._ROW_KEYS, {"cell": NAME, "fault": one_of((TRANSIENT, PERMANENT)), "doubt": TEXT, **_FIGURES}, rates._ROW_KEYS)
    properties = {"rates": NAME, "about": TEXT, "sources": _SOURCES, "rows": many(row, 1)}
    return closed(("rates", "about", "sources", "rows"), properties, ("rates", "rows"))


def evidence_schema() -> Schema:
    """The schema of a file of evidence."""
    axis = {"type": "object"}  # a table, or labels with settings and variables, whose names a person chooses
    table = is_mapping(closed(("file", "axes"), {"file": TEXT, "axes": named(TEXT)}, ["file"]), TEXT)
    setting = about("a text, or with '=' before it a formula over the case", TEXT)
    run: dict[str, Schema] = {key: setting for key in (*evidence._FILES, *evidence._CHOICES)}
    run |= {key: BOOLEAN for key in evidence._FLAGS} | {"counting": named(TEXT), "set": named(setting)}
    row: dict[str, Schema] = {key: TEXT for key in evidence._TEXTS}
    row |= {
        "name": TEXT,
        "value": about("a formula over runs, tables and constants", FORMULA),
        "published": either(FORMULA, {"type": "array", "items": FORMULA, "minItems": 2, "maxItems": 2}),
        "tolerance": about("1e-6, '0.5 %', '0.05 absolute' or exact", TEXT),
        "expect": one_of(EXPECTATIONS),
        "kind": one_of(OF_EVIDENCE),
        "each": about("axes of which every label is a figure", many(NAME)),
        "where": about("labels by axis, or a table whose cases count", is_mapping(named(either(TEXT, many(TEXT))), TEXT)),
        "table": BOOLEAN,
    }
    properties = {
        "evidence": NAME,
        "title": TEXT,
        "source": TEXT,
        "kind": one_of(OF_EVIDENCE),
        "about": TEXT,
        "let": named(FORMULA),
        "axes": named(axis),
        "data": named(table),
        "runs": named(closed(evidence.RUN_KEYS, run, ["workload"])),
        "rows": many(closed(evidence.ROW_KEYS, row, ["name"], allOf=_judged())),
    }
    return closed(evidence.KEYS, properties, ("evidence", "title", "source", "kind", "rows"))


def _judged() -> list[Schema]:
    """What a row needs that is held against something: a value, then what is published, then how far off it may be."""
    unjudged: Schema = {
        "anyOf": [has("not_reproduced"), has("shown_by"), {"properties": {"expect": {"const": "nothing"}}, "required": ["expect"]}]
    }
    one: Schema = {
        "properties": {"expect": {"const": "equal"}, "published": {"not": {"type": "array"}}},
        "required": ["value", "published"],
    }
    return [
        {"anyOf": [has(key) for key in ("value", "not_reproduced", "shown_by")]},
        when({"required": ["value"], "not": unjudged}, {"anyOf": [has("published"), has("explanation")]}),
        when(one | {"not": unjudged}, {"required": ["tolerance"]}),
    ]
