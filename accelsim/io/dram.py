"""DRAMs from YAML: an organisation, and timings in cycles of the command clock or in time, each with its source."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache
from math import ceil
from pathlib import Path
from typing import Any

from accelsim.errors import InputError
from accelsim.hardware.dram import AddressMap, ControlledDram, Dram, Policy, Timings
from accelsim.io.catalogue import DRAM, refuse_other, resolve
from accelsim.io.source import Item, parse, read_text
from accelsim.io.values import name_of, words
from accelsim.units import measure, size_bits

_KEYS = {"dram", "about", "clock", "beats_per_cycle", "sources", "organisation", "timings"}
_COUNTS = ("channels", "ranks", "groups", "banks", "rows", "columns", "burst")
_GROUPED = ("tCCD", "tRRD", "tWTR")  # with bank groups each is two timings, _S and _L
_DERIVED = {"tRCD_WR": "tRCD", "tCCD_L_WR": "tCCD_L"}  # where left out, as long as the other
_RESTING = 2  # cycles between the last beat read and the first beat written, where tRTW is left out
_MOST = 2**31
_MOST_CHANNELS = 4096
_CONTROLLED_KEYS = {"table", "channels", "map", "page", "schedule", "window", "overtakes", "refresh"}
_INTERLEAVED = ("row", "rank", "bank", "column", "group", "channel")  # addresses unless a machine says: the innermost last


def load_dram(path: Path) -> Dram:
    """The DRAM in a YAML file."""
    return _parsed(read_text(path), str(path))


@lru_cache(maxsize=16)
def _parsed(text: str, file: str) -> Dram:
    return dram(parse(text, file))


def dram(document: Item) -> Dram:
    """A DRAM from a document: keys dram, about, clock, beats_per_cycle, sources (short names for citations), organisation and timings.

    With one bank group tCCD, tRRD and tWTR stand in place of their _S and _L. tRTRS belongs to several ranks. Left out, tRCD_WR is tRCD,
    tCCD_L_WR is tCCD_L, and tRTW lets the bus rest two cycles. Times are rounded up to whole cycles.
    """
    refuse_other(document, DRAM)
    keys = document.only(_KEYS, "a DRAM")
    for key in ("dram", "clock", "beats_per_cycle", "organisation", "timings"):
        if key not in keys:
            raise document.error(f"a DRAM needs '{key}'", f"add '{key}:'")
    citations = keys["sources"].mapping("sources") if "sources" in keys else {}
    cited, used = {name: words(item, f"source '{name}'") for name, item in citations.items()}, set[str]()
    name = name_of(keys["dram"], "dram")
    if "about" in keys:
        words(keys["about"], "about")
    clock_hz = measure(words(keys["clock"], "clock"), "clock", "frequency", place=keys["clock"].place).value
    if clock_hz <= 0:
        raise keys["clock"].error("clock is nothing", "write it as in '1600 MHz'")
    beats = _count(keys["beats_per_cycle"], "beats_per_cycle")
    counts, bus_bits = _organisation(keys["organisation"], cited, used)
    cycles = _timings(keys["timings"], counts, clock_hz, cited, used)
    for short in cited:
        if short not in used:
            raise keys["sources"].key_error(short, f"no figure cites source '{short}'", "remove it")
    cycles.setdefault("tRTW", max(1, cycles["tCL"] + -(-counts["burst"] // beats) + _RESTING - cycles["tCWL"]))
    try:
        burst = counts.pop("burst")
        return Dram(name, clock_hz, beats, **counts, bus_bits=bus_bits, burst_length=burst, timings=Timings(**cycles))
    except InputError as error:
        timings = keys["timings"].mapping("timings")
        raise timings.get(error.what.split()[0], keys["organisation"]).error(error.what, error.mend) from None


def controlled(item: Item) -> ControlledDram:
    """What `dram:` of a memory says: a table by name, or a mapping with table, channels (in place of its own), map, and how to serve.

    Without a map neighbouring bursts lie in different channels, then in different bank groups, then in one row.
    """
    keys = item.only(_CONTROLLED_KEYS, "a DRAM") if isinstance(item.value, dict) else {"table": item}
    if "table" not in keys:
        raise item.error("a DRAM of a machine needs 'table'", "write {table: ddr4_3200}; `accelsim list drams` shows them")
    name = words(keys["table"], "table")
    beside = Path(item.place.file).parent / name
    try:
        found = load_dram(beside if name.endswith(".yaml") and beside.is_file() else resolve(name, DRAM))
        if "channels" in keys:
            found = replace(found, channels=_channels(keys["channels"]))
        order = AddressMap.of(words(keys["map"], "map"), found) if "map" in keys else AddressMap(_INTERLEAVED)
        how: dict[str, Any] = {key: words(keys[key], key) for key in ("page", "schedule") if key in keys}
        how |= {key: keys[key].integer(key, 0) for key in ("window", "overtakes") if key in keys}
        how |= {key: keys[key].boolean(key) for key in ("refresh",) if key in keys}
        return ControlledDram(found, order, Policy(**how))
    except InputError as error:
        raise InputError(error.what, error.mend, error.place or item.place) from None


def _channels(item: Item) -> int:
    count = _count(item, "channels")
    if count > _MOST_CHANNELS:
        raise item.error(f"{count} channels are beyond any machine", f"write at most {_MOST_CHANNELS}")
    return count


def _organisation(item: Item, cited: dict[str, str], used: set[str]) -> tuple[dict[str, int], int]:
    keys = item.only({*_COUNTS, "bus", "source"}, "an organisation")
    for key in (*_COUNTS, "bus", "source"):
        if key not in keys:
            raise item.error(f"an organisation needs '{key}'", f"add '{key}:'")
    _source(keys["source"], cited, used)
    bus_bits = size_bits(words(keys["bus"], "bus"), "bus", keys["bus"].place)
    if bus_bits > _MOST:
        raise keys["bus"].error(f"bus '{words(keys['bus'], 'bus')}' is beyond any machine", "write it as in '64 bit'")
    return {name: _count(keys[name], name) for name in _COUNTS}, bus_bits


def _count(item: Item, what: str) -> int:
    count = item.integer(what, 1)
    if count > _MOST:
        raise item.error(f"{what} is beyond any machine", "write a smaller number")
    return count


def _timings(item: Item, counts: dict[str, int], clock_hz: Fraction, cited: dict[str, str], used: set[str]) -> dict[str, int]:
    """Cycles by the names of Timings, but for a tRTW that is left out."""
    grouped = counts["groups"] > 1
    known = set(Timings.__dataclass_fields__) | set(_GROUPED)
    keys = item.only(known, "timings")
    for key in keys:
        if grouped and key in _GROUPED:
            raise item.key_error(key, f"with bank groups there is no '{key}'", f"write '{key}_S' and '{key}_L'")
        if not grouped and key[:4] in _GROUPED and key not in _GROUPED:
            raise item.key_error(key, f"with one bank group there is no '{key}'", f"write '{key[:4]}'")
    if counts["ranks"] == 1 and "tRTRS" in keys:
        raise item.key_error("tRTRS", "nothing uses 'tRTRS' where there is one rank", "remove it")
    cycles: dict[str, int] = {}
    for name in Timings.__dataclass_fields__:
        key = name if grouped or name[:4] not in _GROUPED else name[:4]
        if key in keys:
            cycles[name] = _cycles(keys[key], key, clock_hz, cited, used)
        elif name in _DERIVED:
            cycles[name] = cycles[_DERIVED[name]]
        elif name == "tRTRS" and counts["ranks"] == 1:
            cycles[name] = 0
        elif name != "tRTW":
            raise item.error(f"timings need '{key}'", f"add '{key}: {{value: …, source: …}}'")
    return cycles


def _cycles(item: Item, name: str, clock_hz: Fraction, cited: dict[str, str], used: set[str]) -> int:
    keys = item.only({"value", "source"}, f"timing {name}")
    for key in ("value", "source"):
        if key not in keys:
            raise item.error(f"timing {name} needs '{key}'", f"add '{key}:'; every figure has its source")
    _source(keys["source"], cited, used)
    value = keys["value"]
    text = words(value, name)
    amount = measure(text, name, "cycles", "time", place=value.place)
    cycles = ceil(amount.value if amount.dimension == "cycles" else amount.value * clock_hz)
    if amount.dimension == "cycles" and amount.value != cycles:
        raise value.error(f"{name} '{text}' is no whole number of cycles", "round it up")
    if cycles < 1 and name != "tRTRS":
        raise value.error(f"{name} '{text}' is nothing", "write it as in '12 cycles'")
    if cycles > _MOST:
        raise value.error(f"{name} '{text}' is beyond any machine", "write it as in '12 cycles'")
    return cycles


def _source(item: Item, cited: dict[str, str], used: set[str]) -> None:
    """Check that a figure has a source, and note which short name it uses."""
    text = words(item, "source")
    if not text:
        raise item.error("a figure needs a source", "say where it comes from")
    used.add(text)
