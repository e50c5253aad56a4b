"""Raw rates of faults from YAML: every row has a figure with a unit, a low, a high, a kind, a source and a doubt."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from accelsim.errors import did_you_mean
from accelsim.faults.ranges import Range
from accelsim.faults.rates import PERMANENT, TRANSIENT, Rate, Rates
from accelsim.io.catalogue import RATES, refuse_other
from accelsim.io.source import Item, load
from accelsim.io.technology import checked, kind
from accelsim.io.values import name_of, words
from accelsim.units import measure

_ROW_KEYS = ("cell", "fault", "value", "low", "high", "kind", "source", "doubt")


def load_rates(path: Path) -> Rates:
    """The table in a YAML file: keys rates, about, sources (short names for citations) and rows. Of a cell and a fault there is one row."""
    document = load(path)
    refuse_other(document, RATES)
    keys = document.only(("rates", "about", "sources", "rows"), "a table of rates")
    for key in ("rates", "rows"):
        if key not in keys:
            raise document.error(f"a table of rates needs '{key}'", f"add '{key}:'")
    citations = keys["sources"].mapping("sources") if "sources" in keys else {}
    cited = {name: words(item, f"source '{name}'") for name, item in citations.items()}
    items = keys["rows"].items("rows")
    if not items:
        raise keys["rows"].error("a table of rates has no rows", "add '- {cell: flop, fault: transient, …}'")
    found: dict[tuple[str, str], Rate] = {}
    for item in items:
        rate = _row(item, cited)
        if (rate.cell, rate.fault) in found:
            raise item.error(f"'{rate.cell}' has two rows for {rate.fault} faults", "keep one")
        found[rate.cell, rate.fault] = rate
    used = {item.value["source"].value for item in items}
    for name in cited:
        if name not in used:
            raise keys["sources"].key_error(name, f"no row cites source '{name}'", "remove it")
    return Rates(name_of(keys["rates"], "rates"), tuple(found.values()), words(keys["about"], "about") if "about" in keys else "")


def _row(item: Item, cited: dict[str, str]) -> Rate:
    keys = item.only(_ROW_KEYS, "a rate")
    for key in _ROW_KEYS:
        if key not in keys:
            raise item.error(f"a rate needs '{key}'", f"add '{key}:'; every rate has its low, its high, its kind, its source and its doubt")
    fault = name_of(keys["fault"], "fault")
    if fault not in (TRANSIENT, PERMANENT):
        raise keys["fault"].error(f"no fault is called '{fault}'", did_you_mean(fault, (TRANSIENT, PERMANENT)))
    source, doubt = words(keys["source"], "source"), words(keys["doubt"], "doubt")
    for key, text in (("source", source), ("doubt", doubt)):
        if not text:
            raise keys[key].error(f"a rate needs a {key}", "say where the figure comes from, and what is not known of it")
    value, low, high = (_figure(keys[key], key) for key in ("value", "low", "high"))
    sure = checked(value, low, high, cited.get(source, source), kind(keys["kind"]), item)
    return Rate(name_of(keys["cell"], "cell"), fault, Range(sure.value, sure.low, sure.high), sure.kind, sure.source, doubt)


def _figure(item: Item, what: str) -> Fraction:
    """FIT of one bit."""
    return measure(words(item, what), what, "failures/size", place=item.place).value
