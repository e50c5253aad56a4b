"""Densities as a workload states them: a share, or a model with its parameters."""

from __future__ import annotations

import math

from accelsim.errors import did_you_mean
from accelsim.io.source import Item
from accelsim.workload.density import OPTIONAL, PARAMETERS, RMAT, Stated


def densities(item: Item | None) -> dict[str, float | Stated]:
    """The densities of a section, by tensor."""
    found: dict[str, float | Stated] = {}
    for name, child in (item.mapping("density") if item is not None else {}).items():
        found[name] = _model(child, name) if isinstance(child.value, dict) else _share(child, f"the density of '{name}'")
    return found


def _model(item: Item, name: str) -> float | Stated:
    """A model by name; one that is uniform is its share."""
    stated = item.mapping("a density")
    if "model" not in stated:
        raise item.error(f"the density of '{name}' names no model", f"write model: {', '.join(PARAMETERS)}")
    model = stated["model"].name("a model of a density")
    if model not in PARAMETERS:
        raise stated["model"].error(f"there is no density '{model}'", did_you_mean(model, PARAMETERS))
    item.only({"model", *PARAMETERS[model]}, f"a density that is {model}")
    for key in PARAMETERS[model]:
        if key not in stated and key not in OPTIONAL:
            raise item.error(f"the density of '{name}' is {model} and has no '{key}'", f"write {key}: …")
    if model == "uniform":
        return _share(stated["share"], f"the density of '{name}'")
    if model == "structured":
        kept, of = stated["kept"].integer("'kept'", 1), stated["of"].integer("'of'", 1)
        if kept > of:
            raise item.error(f"{kept} of {of} is no structure", "keep at most all of a block")
        return Stated(model, kept=kept, of=of)
    if model == "banded":
        below, above = stated["below"].integer("'below'"), stated["above"].integer("'above'")
        if below > above:
            raise item.error(f"a band from {below} to {above} is empty", "give the lower diagonal first")
        return Stated(model, below=below, above=above)
    if model == "blocks":
        return Stated(model, side=stated["side"].integer("'side'", 1), share=_share(stated["share"], f"the share of blocks of '{name}'"))
    if model == "fibers":
        return Stated(model, lengths=tuple(enumerate(_shares(stated["lengths"], "the lengths"))))
    chances = _shares(stated["chances"], "the chances") if "chances" in stated else RMAT
    if len(chances) != len(RMAT):
        raise stated["chances"].error(f"{len(chances)} chances are none of quadrants", "write four")
    return Stated(model, edges=_positive(stated["edges"], "'edges'"), chances=(chances[0], chances[1], chances[2], chances[3]))


def _shares(item: Item, what: str) -> tuple[float, ...]:
    found = tuple(_number(each, f"one of {what}") for each in item.items(what))
    if not found or min(found) < 0 or not math.isclose(sum(found), 1, rel_tol=1e-9):
        raise item.error(f"{what} sum to {sum(found):g}", "write shares that sum to 1")
    return found


def _share(item: Item, what: str) -> float:
    share = _number(item, what)
    if not 0 < share <= 1:
        raise item.error(f"{what} is {share:g}", "a density is a share above 0, at most 1")
    return share


def _positive(item: Item, what: str) -> float:
    number = _number(item, what)
    if number <= 0:
        raise item.error(f"{what} is {number:g}", "write a number above 0")
    return number


def _number(item: Item, what: str) -> float:
    value = item.value
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e300:
        raise item.error(f"{what} must be a number, not {item.kind()}", "write a number")
    return float(value)
