"""Constraints from YAML: what a user rules out of the map space, every name checked against the workload and the machine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from accelsim.errors import did_you_mean
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import CONSTRAINTS, refuse_other
from accelsim.io.holes import marked
from accelsim.io.source import Item, parse, read_text
from accelsim.io.template import template
from accelsim.mapper.constraints import (
    AxisRule,
    Constraints,
    KeepRule,
    LoopRule,
    OrderRule,
    PartRule,
    Rule,
    ScheduleRule,
    SequenceRule,
    StationaryRule,
    TileRule,
    UnitRule,
)
from accelsim.mapper.tiles import divisors
from accelsim.workload.cascade import Cascade

_KEYS = {
    "keep": ("memory", "tensors", "einsums"), "bypass": ("memory", "tensors", "einsums"),
    "tile": ("memory", "rank", "is", "at_most", "at_least", "einsums"), "order": ("memory", "ranks", "einsums"),
    "loops": ("memory", "ranks", "einsums"), "stationary": ("memory", "tensor", "einsums"),
    "spread": ("axis", "ranks", "einsums"), "run": ("einsums", "units"),
    "together": (), "apart": (), "sequence": (), "schedule": ("einsums", "as"),
}  # fmt: skip
_FREE = ("is", "at_most", "at_least")  # keys that may be left out, as `einsums` may
_ONE = ("memory", "axis", "rank", "tensor", "as")


def load_constraints(path: Path | str, cascade: Cascade, architecture: Architecture, raised: bool = False) -> Constraints:
    """The constraints in a YAML file, a list of rules or a mapping with holes. See docs/mapper.md for the format.

    `raised`: see `template`. InputError with the place for what is unknown or missing.
    """
    text = read_text(Path(path))
    if re.search(r"^tree\s*:", text, re.MULTILINE) and not re.search(r"^machine\s*:", text, re.MULTILINE):
        return template(parse(marked(text), str(path)), cascade, architecture, raised)
    document = parse(text, str(path))
    refuse_other(document, CONSTRAINTS)
    return constraints(document, cascade, architecture)


def constraints(document: Item, cascade: Cascade, architecture: Architecture) -> Constraints:
    """The constraints in a document."""
    keys = document.only(("constraints",), "a file of constraints")
    if "constraints" not in keys:
        raise document.error("no 'constraints'", "start the file with 'constraints:' and a list")
    return _Reader(cascade, architecture).rules(keys["constraints"])


class _Reader:
    """Rules about one workload on one machine."""

    def __init__(self, cascade: Cascade, architecture: Architecture) -> None:
        self.cascade, self.root = cascade, architecture.root.name
        self.known: dict[str, Iterable[str]] = {
            "memory": architecture.memories, "tensors": cascade.tensors, "einsums": cascade.by_name, "axis": architecture.axes,
            "ranks": cascade.extents, "units": architecture.units, "rank": cascade.extents, "tensor": cascade.tensors,
            "as": ("sequential", "pipelined"),
        }  # fmt: skip
        self.found: dict[str, list[Any]] = {}

    def rules(self, listed: Item) -> Constraints:
        for item in listed.items("constraints"):
            rule = item.only(tuple(_KEYS), "a constraint")
            if len(rule) != 1:
                raise item.error("a constraint is one rule", f"write one of {', '.join(_KEYS)}")
            ((kind, body),) = rule.items()
            if kind in ("together", "apart", "sequence"):
                names = self._names(body, "einsums")
                if len(names) < 2:
                    raise body.error(f"{kind} needs two Einsums at least", "name more of them")
                if kind == "sequence" and len(set(names)) < len(names):
                    raise body.error("a sequence names each Einsum once", "leave out what stands there twice")
                said = _said(kind, names, body)
                if kind == "sequence":
                    self._add("sequences", SequenceRule(names, said=said))
                else:
                    self._add("parts", PartRule(names, kind == "together", said=said))
            else:
                self._rule(kind, body)
        return Constraints(**{kind: tuple(rules) for kind, rules in self.found.items()})

    def _add(self, kind: str, rule: Rule) -> None:
        self.found.setdefault(kind, []).append(rule)

    def _rule(self, kind: str, body: Item) -> None:
        given = body.only(_KEYS[kind], kind)
        for key in _KEYS[kind]:
            if key not in given and key not in _FREE and (key != "einsums" or kind in ("run", "schedule")):
                raise body.error(f"{kind} needs '{key}'", f"add '{key}:'")
        words = {key: self._names(each, key) for key, each in given.items() if key not in _FREE}
        said = _said(kind, [name for each in words.values() for name in each], body)
        einsums = words.get("einsums", ())
        if kind in ("tile", "order", "loops", "stationary") and words["memory"][0] == self.root:
            raise given["memory"].error(f"{self.root} is the root, which holds whole tensors above all loops", "name a memory below it")
        if kind == "spread":
            self._add("axes", AxisRule(einsums, words["axis"][0], words["ranks"], said=said))
        elif kind == "run":
            self._add("units", UnitRule(einsums, words["units"], said=said))
        elif kind == "tile":
            self._tile(given, words, body)
        elif kind == "order":
            if len(set(words["ranks"])) < max(2, len(words["ranks"])):
                raise given["ranks"].error("an order needs two ranks at least, each once", "name them from the outermost loop inwards")
            for rank, item in zip(words["ranks"], given["ranks"].items("ranks"), strict=True):
                self._has(einsums, item, rank, [einsum.ranks for einsum in self._about(einsums)])
            self._add("orders", OrderRule(einsums, words["memory"][0], words["ranks"], said=said))
        elif kind == "loops":
            self._add("loops", LoopRule(einsums, words["memory"][0], words["ranks"], said=said))
        elif kind == "schedule":
            self._add("schedules", ScheduleRule(einsums, words["as"][0], said=said))
        elif kind == "stationary":
            tensor = words["tensor"][0]
            touched = [[access.tensor for access in (*einsum.reads, einsum.output)] for einsum in self._about(einsums)]
            self._has(einsums, given["tensor"], tensor, touched)
            self._add("stationary", StationaryRule(einsums, words["memory"][0], tensor, said=said))
        else:
            self._add("keeps", KeepRule(einsums, words["memory"][0], words["tensors"], kind == "keep", said=said))

    def _about(self, einsums: tuple[str, ...]) -> list[Any]:
        return [self.cascade.by_name[name] for name in einsums or self.cascade.by_name]

    def _has(self, einsums: tuple[str, ...], item: Item, name: str, each: list[Any]) -> None:
        """Refuses a name that none of the Einsums that a rule is about knows."""
        if not any(name in names for names in each):
            others = sorted({other for names in each for other in names})
            raise item.error(f"{' and '.join(einsums)} has no '{name}'", did_you_mean(name, others))

    def _tile(self, given: dict[str, Item], words: dict[str, tuple[str, ...]], body: Item) -> None:
        (rank,), (memory,), einsums = words["rank"], words["memory"], words.get("einsums", ())
        self._has(einsums, given["rank"], rank, [einsum.ranks for einsum in self._about(einsums)])
        extent, sizes = self.cascade.extents[rank], [key for key in _FREE if key in given]
        if not sizes or (len(sizes) > 1 and "is" in sizes):
            raise body.error("a tile is one size, or has bounds", "write 'is: 64', or 'at_most: 64', 'at_least: 16' or both")
        value = {key: given[key].integer(f"'{key}'", 1) for key in sizes}
        least, most = value.get("is", value.get("at_least", 1)), value.get("is", value.get("at_most"))
        if most is not None and least > most:
            raise body.error(f"no tile is at least {least} and at most {most}", "swap the two, or leave one out")
        if least > extent:
            raise given[sizes[-1]].error(f"{rank} has only {extent}", f"write at most {extent}")
        if not any(least <= size and (most is None or size <= most) for size in divisors(extent)):
            below, above = max(size for size in divisors(extent) if size < least), min(size for size in divisors(extent) if size > least)
            what = f"no tile of {rank} is " + (f"{least}" if least == most else f"from {least} to {most}")
            raise given[sizes[-1]].error(f"{what}, since tiles divide {extent}", f"{below} and {above} do")
        text = " and ".join(f"{key.replace('_', ' ')} {value[key]}" for key in sizes)
        self._add("tiles", TileRule(einsums, memory, rank, least, most, said=_said("tile", [memory, f"{rank} {text}", *einsums], body)))

    def _names(self, item: Item, key: str) -> tuple[str, ...]:
        """One name or several, each of which is known."""
        items = [item] if key in _ONE or not isinstance(item.value, list) else item.items(key)
        what = "schedule" if key == "as" else key if key in _ONE else key[:-1]
        found = []
        for each in items:
            name = each.name(what)
            if name not in set(self.known[key]):
                raise each.error(f"there is no {what} '{name}'", did_you_mean(name, self.known[key]))
            found.append(name)
        return tuple(found)


def _said(kind: str, names: Iterable[str], item: Item) -> str:
    return f"'{kind} {', '.join(names)}' ({item.place})"
