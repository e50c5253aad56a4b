"""The schema of machine files: a tree of memories, arrays and units."""

from __future__ import annotations

from accelsim.hardware.architecture import ASSIGNMENTS, EXITS, FETCHES, FOLDS, INTERSECTIONS, REPLACEMENTS, SORTS
from accelsim.hardware.technology import KINDS
from accelsim.hardware.types import TYPES
from accelsim.io import dram, hardware, prices
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
from accelsim.workload.operators import PRIMITIVES, REDUCTIONS

_NODE: Schema = {"$ref": "#/$defs/node"}
_PRICE: Schema = {"$ref": "#/$defs/price"}


def _price() -> Schema:
    figure = {key: TEXT for key in ("value", "low", "high", "source")} | {"kind": one_of(KINDS)}
    given = closed(prices._FIGURE_KEYS, figure, ("value", "source"))
    return about(
        "a component of the technology, a figure with its unit as in '0.6 pJ', a figure with its doubt and source, or 'unpriced'",
        is_mapping(given, TEXT),
    )


def _shared() -> dict[str, Schema]:
    """Keys that nodes of all kinds have."""
    block = closed(
        ("module", "parameters", "count", "apart"),
        {"module": NAME, "parameters": named(FORMULA), "count": FORMULA, "apart": NAME},
        ["module"],
    )
    return {
        "static_power": about("power of one copy, used or not", _PRICE),
        "clock_power": about("power of one copy while the clock runs", _PRICE),
        "area": about("area of one copy; prices in a list are summed", either(_PRICE, many(_PRICE, 1))),
        "rtl": about("the modules that it is made of", either(block, many(block, 1))),
    }  # fmt: skip


def _sparse() -> dict[str, Schema]:
    met = closed(("by", "energy"), {"by": one_of(INTERSECTIONS), "energy": _PRICE}, ("by", "energy"))
    return {"intersect": about("how stored elements of operands are brought together", met)}


def _memory() -> Schema:
    energy = when(
        {"type": "object", "not": has("value")},
        closed(("read", "write", "update"), dict.fromkeys(("read", "write", "update"), _PRICE), ("read", "write")),
        _PRICE,
    )
    serves = {
        "table": about("a DRAM: a file or a name from `accelsim list drams`", NAME),
        "channels": whole(1), "map": TEXT, "page": NAME, "schedule": NAME,
        "window": whole(0), "overtakes": whole(0), "refresh": BOOLEAN,
    }  # fmt: skip
    properties = {
        "memory": about("its name", NAME),
        "size": about("as in '64 KiB', or 'unlimited'", TEXT),
        "bandwidth": about("of reads and writes together, as in '400 GiB/s', '16 B/cycle' or 'unlimited'", TEXT),
        "read_bandwidth": TEXT,
        "write_bandwidth": TEXT,
        "access": about("the width of an access, as in '64 bit'", TEXT),
        "energy": about("of a read, a write and an update, or one price for all", energy),
        "interface_energy": about("of a bit that crosses the port", _PRICE),
        "background_power": _PRICE,
        "banks": FORMULA,
        "latency": about("cycles, or a time", TEXT),
        "direct": about("false: no unit reads it", BOOLEAN),
        "dram": about("of what DRAM it is made", is_mapping(closed(dram._CONTROLLED_KEYS, serves, ["table"]), NAME)),
        "replacement": one_of(REPLACEMENTS),
        "fetch": one_of(FETCHES),
        "sustained": about("a share of the peak bandwidth", TEXT),
        "feeds": about("what it feeds: a node, or a list of them", either(_NODE, many(_NODE, 1))),
        **_sparse(),
        **_shared(),
    }
    one = {"required": ["bandwidth"], "not": {"anyOf": [has("read_bandwidth"), has("write_bandwidth")]}}
    two = {"required": ["read_bandwidth", "write_bandwidth"], "not": has("bandwidth")}
    return closed(hardware._MEMORY_KEYS, properties, ("memory", "size", "energy", "feeds"), oneOf=[one, two])


def _array() -> Schema:
    flags = {
        "multicast": "whether one word reaches several copies at once (usually)",
        "broadcasts": "whether partial results come back to all copies",
        "forwards": "whether copies pass words to their neighbours",
        "partials": "whether copies can add to the same word (usually)",
    }
    axis = {
        "size": about("how many copies", FORMULA),
        **{key: about(text, BOOLEAN) for key, text in flags.items()},
        "reduces": about("operators by which copies are reduced", many(one_of(REDUCTIONS))),
        "reduction_latency": about("cycles or a time, by operator", named(TEXT)),
        "assign": one_of(ASSIGNMENTS),
    }
    network = {key: TEXT for key in ("bandwidth", "down", "up")} | {"energy": _PRICE}
    systolic = {"shadow": BOOLEAN, "exit": one_of(EXITS), "folds": one_of(FOLDS)}
    axes = named(is_mapping(closed(hardware._AXIS_KEYS, axis, ["size"]), FORMULA)) | {"minProperties": 1}
    properties = {
        "array": about("its name", NAME),
        "axes": about("copies along each axis, as in {col: 16, row: {size: 16, reduces: [add]}}", axes),
        "feeds": about("what each copy is: a node, or a list of them", either(_NODE, many(_NODE, 1))),
        "systolic": about("that words move from copy to copy", closed(hardware._SYSTOLIC_KEYS, systolic)),
        "network": about("the link between the memory above and the copies", closed(hardware._NETWORK_KEYS, network)),
        **_shared(),
    }
    return closed(hardware._ARRAY_KEYS, properties, ("array", "axes", "feeds"))


def _unit() -> Schema:
    word = "|".join(sorted(PRIMITIVES, key=lambda name: (-len(name), name)))
    operation = {"cycles": about("cycles of one, 1 if left out", FORMULA), "energy": _PRICE, "types": many(one_of(sorted(TYPES)))}
    told = closed(hardware._OPERATION_KEYS, operation, ["energy"])
    executes = named(when({"type": "object", "not": has("value")}, told, _PRICE), {"pattern": rf"^\s*({word})(\s+({word}))*\s*$"})
    executes["minProperties"] = 1
    merge = closed(("radix", "energy"), {"radix": FORMULA, "energy": _PRICE}, ("radix", "energy"))
    sort = closed(("by", "queues", "energy"), {"by": one_of(SORTS), "queues": FORMULA, "energy": _PRICE}, ("by", "energy"))
    properties = {
        "unit": about("its name", NAME),
        "executes": about("primitives with the energy of one, as in {mac: 0.8 pJ, exp: {cycles: 4, energy: unpriced}}", executes),
        "lanes": about("operations that begin at once", FORMULA),
        "pipeline": about("its depth in cycles", TEXT),
        "merge": about("a merger of lists", merge),
        "sort": about("a sorter of lists", sort),
        "gates": about("whether an operation with an operand 0 costs nothing", BOOLEAN),
        "sustained": about("a share of the peak rate", TEXT),
        **_sparse(),
        **_shared(),
    }  # fmt: skip
    return closed(hardware._UNIT_KEYS, properties, ("unit", "executes"))


def machine_schema() -> Schema:
    """The schema of a machine file."""
    properties = {
        "machine": about("its name", NAME),
        "about": about("what it is, in a sentence or two", TEXT),
        "source": about("where its figures come from", TEXT),
        "clock": about("as in '940 MHz'", TEXT),
        "technology": about("tables of prices: files, or names from `accelsim list technologies`", either(NAME, many(NAME, 1))),
        "synthesis": about("the table that 'rtl' is looked up in, if not that of hw/rtl", NAME),
        "word": about("what a size in words means, as in '16 bit'", TEXT),
        "let": about("named numbers for formulas", named(FORMULA)),
        "launch": about("the time before each part of a mapping, as in '4 us'", TEXT),
        "tree": about("the outermost memory, and what it feeds", _NODE),
    }
    node = when(has("memory"), _memory(), when(has("array"), _array(), _unit()))
    return closed(hardware._MACHINE_KEYS, properties, ("machine", "clock", "tree")) | {"$defs": {"node": node, "price": _price()}}
