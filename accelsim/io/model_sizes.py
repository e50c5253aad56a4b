"""Sizes of models that follow from others: constants, and formulas in `times` and `shape`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from accelsim.formula import Value, evaluate, whole
from accelsim.io.source import Item


def constants_of(item: Item | None, shape: Mapping[str, int]) -> dict[str, Value]:
    """The constants of a model by name: numbers, or formulas over its sizes and the constants before them; exact."""
    found: dict[str, Value] = {}
    if item is None:
        return found
    for name, stated in item.mapping("constants").items():
        if not name.isidentifier() or name.lower() == name or name.lower() in shape:
            raise item.key_error(name, f"'{name}' cannot name a constant of a model", "a name has capitals, and is no size of a rank")
        found[name] = evaluated(stated, f"constant '{name}'", sizes_of(shape, found))
    return found


def evaluated(item: Item, what: str, names: Mapping[str, Value]) -> Value:
    """A number, written out or as a formula; exact."""
    whole_number = isinstance(item.value, int) and not isinstance(item.value, bool)
    return evaluate(item.value if whole_number else item.text(what), names, item.place)


def stated_in(top: Mapping[str, Item]) -> frozenset[str]:
    """The constants of a model that are numbers and no formulas."""
    stated = top["constants"].mapping("constants") if "constants" in top else {}
    return frozenset(name for name, item in stated.items() if not isinstance(item.value, str))


def sizes_of(shape: Mapping[str, int], constants: Mapping[str, Value] = MappingProxyType({})) -> dict[str, Value]:
    """What a formula of a size may name: sizes in upper case, and constants."""
    return {**{rank.upper(): size for rank, size in shape.items()}, **constants}


def names_of(shape: Mapping[str, int], constants: Mapping[str, Value]) -> dict[str, Value]:
    """What a formula of a tensor's shape may name: ranks too, which stand for their sizes."""
    return {**shape, **sizes_of(shape, constants)}


def formula(item: Item, what: str, names: Mapping[str, Value], least: int = 0) -> int:
    """A whole number of at least `least`, written out or as a formula."""
    if isinstance(item.value, str):
        return whole(item.value, what, names, item.place, least)
    return item.integer(what, least)
