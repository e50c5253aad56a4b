"""Technology tables from YAML: every row has a figure with a unit, a low, a high, a kind and a source."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

from accelsim.errors import Place, did_you_mean
from accelsim.hardware.architecture import Quantity
from accelsim.hardware.origin import Figure, Part
from accelsim.hardware.technology import ACTIONS, KINDS, Row, Technology
from accelsim.io.source import Item, parse, read_text
from accelsim.io.values import name_of, words
from accelsim.units import Amount, measure, size_bits

_DIMENSIONS = {
    "operation": ("energy",),
    "read": ("energy", "energy/size"),
    "write": ("energy", "energy/size"),
    "update": ("energy", "energy/size"),
    "interface": ("energy/size", "energy"),
    "area": ("area", "area/size", "area/gates"),
    "static": ("power", "power/area", "power/size", "power/gates"),
    "clock": ("power", "power/area", "power/size", "power/gates"),
    "background": ("power", "power/area", "power/size"),
}
_ROW_KEYS = {"component", "action", "size", "width", "value", "low", "high", "kind", "source"}


def load_technology(path: Path) -> Technology:
    """The technology table in a YAML file."""
    return _parsed(read_text(path), str(path))


@lru_cache(maxsize=16)
def _parsed(text: str, file: str) -> Technology:
    return technology(parse(text, file))


def technology(document: Item) -> Technology:
    """A technology table from a document: keys technology, about, node, sources (short names for citations) and rows."""
    keys = document.only({"technology", "about", "node", "sources", "rows"}, "a technology table")
    for key in ("technology", "rows"):
        if key not in keys:
            raise document.error(f"a technology table needs '{key}'", f"add '{key}:'")
    citations = keys["sources"].mapping("sources") if "sources" in keys else {}
    cited = {name: words(item, f"source '{name}'") for name, item in citations.items()}
    table = name_of(keys["technology"], "technology")
    rows: list[Row] = []
    used: set[str] = set()
    for item in keys["rows"].items("rows"):
        rows.append(_row(item, cited, used, table))
    if not rows:
        raise keys["rows"].error("a technology table has no rows", "add '- {component: mac, action: operation, …}'")
    for name in cited:
        if name not in used:
            raise keys["sources"].key_error(name, f"no row cites source '{name}'", "remove it")
    _refuse_mixtures(rows, keys["rows"])
    node = words(keys["node"], "node") if "node" in keys else ""
    about = words(keys["about"], "about") if "about" in keys else ""
    return Technology(table, tuple(rows), node, about)


def _row(item: Item, cited: dict[str, str], used: set[str], table: str) -> Row:
    keys = item.only(_ROW_KEYS, "a row")
    for key in ("component", "action", "value", "low", "high", "kind", "source"):
        if key not in keys:
            raise item.error(f"a row needs '{key}'", f"add '{key}:'; every figure has its low, its high, its kind and its source")
    action = name_of(keys["action"], "action")
    if action not in ACTIONS:
        raise keys["action"].error(f"no action is called '{action}'", did_you_mean(action, ACTIONS))
    amount = figure(keys["value"], action, _DIMENSIONS[action])
    width = 1
    if "width" in keys:
        if amount.dimension != "energy" or action == "operation":
            raise keys["width"].error("a width belongs to the energy of a read or a write", "remove it")
        width = size_bits(words(keys["width"], "width"), "width", keys["width"].place)
    source = words(keys["source"], "source")
    if not source:
        raise keys["source"].error("a row needs a source", "say where the figure comes from")
    if source in cited:
        used.add(source)
        source = cited[source]
    low, high = (_bound(keys[key], key, action, amount) for key in ("low", "high"))
    quantity = checked(amount.value / width, low / width, high / width, source, kind(keys["kind"]), item)
    capacity = None
    if "size" in keys:
        capacity = Fraction(size_bits(words(keys["size"], "size"), "size", keys["size"].place))
    per = "energy/size" if "width" in keys else amount.dimension
    component = name_of(keys["component"], "component")
    return Row(component, action, placed(quantity, item.place, (table, component, action), capacity), per, capacity)


def placed(quantity: Quantity, place: Place, row: tuple[str, str, str] = ("", "", ""), size_bits: Fraction | None = None) -> Quantity:
    """A figure that knows where it stands. row: table, component and action."""
    figure = Figure(quantity.value, quantity.low, quantity.high, quantity.source, quantity.kind, *row, size_bits, place)
    return replace(quantity, parts=(Part(1.0, (figure,)),))


def figure(item: Item, what: str, dimensions: tuple[str, ...]) -> Amount:
    """A figure with its unit, of one of the dimensions."""
    return measure(words(item, what), what, *dimensions, place=item.place)


def _bound(item: Item, key: str, action: str, amount: Amount) -> Fraction:
    found = figure(item, key, (amount.dimension, *_DIMENSIONS[action]))
    if found.dimension != amount.dimension:
        raise item.error(f"{key} is not in the unit of its value", "write both in the same unit")
    return found.value


def kind(item: Item) -> str:
    """What kind of figure it is: one of KINDS."""
    name = name_of(item, "kind")
    if name not in KINDS:
        raise item.error(f"no kind of figure is called '{name}'", f"known: {', '.join(KINDS)}")
    return name


def checked(value: Fraction, low: Fraction, high: Fraction, source: str, kind: str, item: Item) -> Quantity:
    """A Quantity whose low and high enclose its value, or an error at `item`."""
    if not low <= value <= high:
        raise item.error(f"low {float(low):.4g}, value {float(value):.4g}, high {float(high):.4g} are out of order", "low <= value <= high")
    return Quantity(float(value), float(low), float(high), source, kind)


def _refuse_mixtures(rows: list[Row], item: Item) -> None:
    seen: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        seen.setdefault((row.component, row.action), []).append(row)
    for (component, action), group in seen.items():
        if len({row.size_bits for row in group}) < len(group):
            raise item.error(f"'{component}' has two rows for {action} of one size", "keep one")
        if len({(row.size_bits is None, row.per) for row in group}) > 1:
            raise item.error(f"rows for {action} of '{component}' differ in unit, or only some state a size", "write all alike")
