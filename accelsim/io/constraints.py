"""Constraints from YAML: what a user rules out of the map space, every name checked against the workload and the machine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from accelsim.errors import did_you_mean
from accelsim.hardware.architecture import Architecture
from accelsim.io.source import Item, load
from accelsim.mapper.constraints import AxisRule, Constraints, KeepRule, PartRule, UnitRule
from accelsim.workload.cascade import Cascade

_KINDS = ("keep", "bypass", "spread", "run", "together", "apart")
_KEYS = {
    "keep": ("memory", "tensors", "einsums"), "bypass": ("memory", "tensors", "einsums"), "spread": ("axis", "ranks", "einsums"),
    "run": ("einsums", "units"),
}  # fmt: skip


def load_constraints(path: Path | str, cascade: Cascade, architecture: Architecture) -> Constraints:
    """The constraints in a YAML file; InputError with the place for what is unknown or missing. See docs/mapper.md for the format."""
    return constraints(load(Path(path)), cascade, architecture)


def constraints(document: Item, cascade: Cascade, architecture: Architecture) -> Constraints:
    """The constraints in a document."""
    keys = document.only(("constraints",), "a file of constraints")
    if "constraints" not in keys:
        raise document.error("no 'constraints'", "start the file with 'constraints:' and a list")
    known = {
        "memory": architecture.memories, "tensors": cascade.tensors, "einsums": cascade.by_name, "axis": architecture.axes,
        "ranks": cascade.extents, "units": architecture.units,
    }  # fmt: skip
    found: dict[str, list[Any]] = {"keeps": [], "axes": [], "units": [], "parts": []}
    for item in keys["constraints"].items("constraints"):
        rule = item.only(_KINDS, "a constraint")
        if len(rule) != 1:
            raise item.error("a constraint is one rule", f"write one of {', '.join(_KINDS)}")
        ((kind, body),) = rule.items()
        if kind in ("together", "apart"):
            names = _names(body, "einsums", known["einsums"])
            if len(names) < 2:
                raise body.error(f"{kind} needs two Einsums at least", "name more of them")
            found["parts"].append(PartRule(names, kind == "together", said=_said(kind, names, body)))
            continue
        given = body.only(_KEYS[kind], kind)
        for key in _KEYS[kind]:
            if key not in given and (key != "einsums" or kind == "run"):
                raise body.error(f"{kind} needs '{key}'", f"add '{key}:'")
        words = {key: _names(each, key, known[key]) for key, each in given.items()}
        said = _said(kind, (name for each in words.values() for name in each), body)
        einsums = words.get("einsums", ())
        if kind == "spread":
            found["axes"].append(AxisRule(einsums, words["axis"][0], words["ranks"], said=said))
        elif kind == "run":
            found["units"].append(UnitRule(einsums, words["units"], said=said))
        else:
            found["keeps"].append(KeepRule(einsums, words["memory"][0], words["tensors"], kind == "keep", said=said))
    return Constraints(**{kind: tuple(rules) for kind, rules in found.items()})


def _said(kind: str, names: Iterable[str], item: Item) -> str:
    return f"'{kind} {', '.join(names)}' ({item.place})"


def _names(item: Item, key: str, known: Iterable[str]) -> tuple[str, ...]:
    """One name or several, each of which is known."""
    one = key in ("memory", "axis")
    items = [item] if one or not isinstance(item.value, list) else item.items(key)
    what = key if one else key[:-1]
    found = []
    for each in items:
        name = each.name(what)
        if name not in set(known):
            raise each.error(f"there is no {what} '{name}'", did_you_mean(name, known))
        found.append(name)
    return tuple(found)
