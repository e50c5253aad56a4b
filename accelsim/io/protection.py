"""Ways to protect blocks, from YAML: what each finds and corrects, what it costs, where that comes from and how certain it is."""

from __future__ import annotations

import math
from pathlib import Path

from accelsim.errors import did_you_mean
from accelsim.faults.protection import CHECKSUMS, MARKS, PARTS, STRUCTURES, Technique
from accelsim.hardware.architecture import Quantity
from accelsim.io.source import Item, load
from accelsim.io.values import name_of, words

_SHARES, _COSTS = ("detected", "corrected", "checked"), ("area", "energy", "added", "delay")
_KINDS = dict(zip(MARKS, ("published", "published", "measured", "derived", "assumed", "assumed"), strict=True))
_KEYS = {"name", "protects", "structure", "of_products", "mark", "source", *_SHARES, *_COSTS}


def load_techniques(path: Path) -> tuple[Technique, ...]:
    """The techniques in a YAML file. InputError with the place for what is wrong."""
    return techniques(load(path))


def techniques(document: Item) -> tuple[Technique, ...]:
    """Those of a document: keys protection, about, sources (short names for citations), gate_in_flops (the area of an exclusive-or, where a
    code is in flops) and options.
    """
    keys = document.only({"protection", "about", "sources", "gate_in_flops", "options"}, "a file of protections")
    for key in ("protection", "options"):
        if key not in keys:
            raise document.error(f"a file of protections needs '{key}'", f"add '{key}:'")
    name_of(keys["protection"], "protection")
    citations = keys["sources"].mapping("sources") if "sources" in keys else {}
    cited = {name: words(item, f"source '{name}'") for name, item in citations.items()}
    gate = number(keys["gate_in_flops"], "gate_in_flops") if "gate_in_flops" in keys else 0.0
    found: list[Technique] = []
    used: set[str] = set()
    for item in keys["options"].items("options"):
        each = _technique(item, cited, used, gate)
        if any(each.name == other.name for other in found):
            raise item.error(f"two options are called '{each.name}'", "rename one")
        found.append(each)
    if not found:
        raise keys["options"].error("a file of protections has no options", "add '- {name: parity, protects: [memory], …}'")
    for name in cited:
        if name not in used:
            raise keys["sources"].key_error(name, f"no option cites source '{name}'", "remove it")
    return tuple(found)


def _technique(item: Item, cited: dict[str, str], used: set[str], gate: float) -> Technique:
    keys = item.only(_KEYS, "an option")
    structure = None
    if "structure" in keys:
        structure = _one_of(keys["structure"], "structure", STRUCTURES)
    computed = () if structure is None else ("energy",) if structure == CHECKSUMS else ("area", "energy", "added")
    for key in ("name", "protects", "detected", "corrected", "area", "energy", "mark", "source"):
        if key not in keys and key not in computed:
            raise item.error(f"an option needs '{key}'", f"add '{key}:'; every option has its coverage, its costs, its mark and its source")
    for key in computed:
        if key in keys:
            raise item.key_error(key, f"{key} follows from the structure '{structure}'", "remove it")
    protects = tuple(_one_of(each, "part", PARTS) for each in keys["protects"].items("protects"))
    if not protects or len(set(protects)) < len(protects):
        raise keys["protects"].error("an option protects nothing, or something twice", f"write some of {', '.join(PARTS)}")
    source = words(keys["source"], "source")
    if not source:
        raise keys["source"].error("an option needs a source", "say where its figures come from")
    if source in cited:
        used.add(source)
        source = cited[source]
    mark = _one_of(keys["mark"], "mark", MARKS)
    figures = {name: _figure(keys[name], name, source, _KINDS[mark]) for name in (*_SHARES, *_COSTS) if name in keys}
    none = Quantity(0.0, 0.0, 0.0, source, "derived")
    given = {name: figures.get(name, none) for name in (*_SHARES, *_COSTS)}
    products = "of_products" in keys and keys["of_products"].boolean("of_products")
    name = name_of(keys["name"], "an option")
    return Technique(name, protects, source=source, mark=mark, structure=structure, gate=gate, of_products=products, **given)


def _one_of(item: Item, what: str, known: tuple[str, ...]) -> str:
    name = name_of(item, what)
    if name not in known:
        raise item.error(f"no {what} is called '{name}'", did_you_mean(name, known))
    return name


def _figure(item: Item, what: str, source: str, kind: str) -> Quantity:
    """A number, or a value with its low and its high; a share is at most 1."""
    if not isinstance(item.value, dict):
        value = low = high = number(item, what)
    else:
        keys = item.only(("value", "low", "high"), what)
        for key in ("value", "low", "high"):
            if key not in keys:
                raise item.error(f"{what} needs '{key}'", "write a number, or {value: …, low: …, high: …}")
        value, low, high = (number(keys[key], f"{key} of {what}") for key in ("value", "low", "high"))
    if not low <= value <= high:
        raise item.error(f"low {low:.4g}, value {value:.4g}, high {high:.4g} are out of order", "low <= value <= high")
    if what in _SHARES and high > 1:
        raise item.error(f"{what} {high:g} is not a share", "write it from 0 to 1, as in 0.99")
    return Quantity(value, low, high, source, kind)


def number(item: Item, what: str) -> float:
    """A number of at least 0."""
    if isinstance(item.value, bool) or not isinstance(item.value, (int, float)):
        raise item.error(f"{what} must be a number, not {item.kind()}", "write it as in 0.99")
    if not item.value >= 0 or math.isinf(item.value):
        raise item.error(f"{what} {item.value:g} cannot be", "write a number of at least 0")
    return float(item.value)
