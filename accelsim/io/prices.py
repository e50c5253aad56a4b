"""Prices in a machine file: the name of a component, a figure with a unit, a figure with its doubt and source, or `unpriced`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from accelsim.errors import did_you_mean
from accelsim.formula import Value, evaluate
from accelsim.hardware.architecture import Quantity
from accelsim.hardware.technology import Technology, per_area, times, total
from accelsim.io.source import Item
from accelsim.io.technology import checked, kind, placed
from accelsim.io.values import name_of, words
from accelsim.units import measure

UNPRICED = "unpriced"
_POWER = ("power", "power/area", "power/size", "power/gates")
_FIGURE_KEYS = {"value", "low", "high", "kind", "source"}


@dataclass(frozen=True, slots=True)
class Context:
    """What a price may depend on: the technology, the names of the file, and the node's own size, access, area and gates."""

    technology: Technology | None
    names: Mapping[str, Value]
    source: str
    size_bits: int | None = None
    access_bits: int | None = None
    area_um2: Quantity | None = None
    gate_equivalents: float | None = None


def is_figure(item: Item) -> bool:
    """Whether the price is one figure rather than a mapping of actions to prices."""
    return not isinstance(item.value, dict) or "value" in item.value


def access_energy(item: Item, action: str, context: Context) -> Quantity | None:
    """Energy of an access of a memory in pJ, per bit if it states no access width; a component without `update` is updated by a write."""
    component = _component(item)
    if component is not None and action == "update" and context.technology is not None:
        known = context.technology.actions(component) if component in context.technology.components else ()
        if "update" not in known:
            action = "write"
    found = _figure(item, action, ("energy", "energy/size"), context)
    if found is None:
        return None
    quantity, dimension = found
    if context.access_bits is not None and dimension == "energy/size":
        return times(quantity, context.access_bits)
    if context.access_bits is None and dimension == "energy":
        raise item.error(f"{action} energy is per access, and the memory states no access", "add 'access: 64 bit', or write it in pJ/bit")
    return quantity


def interface_energy(item: Item, context: Context) -> Quantity | None:
    """Energy of a bit that crosses the port, in pJ."""
    found = _figure(item, "interface", ("energy/size",), context)
    return found[0] if found else None


def operation_energy(item: Item, context: Context) -> Quantity | None:
    """Energy of one operation in pJ."""
    found = _figure(item, "operation", ("energy",), context)
    return found[0] if found else None


def power(item: Item, action: str, context: Context) -> Quantity | None:
    """Power of one copy of a node in W; rows per area, per size or per gate equivalent are multiplied by the node's."""
    found = _figure(item, action, _POWER, context)
    if found is None:
        return None
    quantity, dimension = found
    if dimension == "power/area":
        if context.area_um2 is None:
            raise item.error(f"{action} power is per area, and the node states no area", "add 'area:', or write it in W")
        return per_area(quantity, context.area_um2)
    if dimension == "power/size":
        if context.size_bits is None:
            raise item.error(f"{action} power is per size, and the node is unlimited or not a memory", "state its size, or write it in W")
        return times(quantity, context.size_bits)
    return _of_gates(item, f"{action} power", quantity, dimension, context)


def area(item: Item, context: Context) -> Quantity | None:
    """Area of one copy of a node in um2; a list of prices is summed."""
    if isinstance(item.value, list):
        parts = [area(part, context) for part in item.value]
        if not parts:
            raise item.error("area is an empty list", "name what the node is made of")
        known = [part for part in parts if part is not None]
        return total(known) if len(known) == len(parts) else None
    found = _figure(item, "area", ("area", "area/size", "area/gates"), context)
    if found is None:
        return None
    quantity, dimension = found
    if dimension == "area/size":
        if context.size_bits is None:
            raise item.error("area is per bit, and the node is unlimited or not a memory", "state its size, or write it in um2")
        return times(quantity, context.size_bits)
    return _of_gates(item, "area", quantity, dimension, context)


def _of_gates(item: Item, what: str, quantity: Quantity, dimension: str, context: Context) -> Quantity:
    """The figure of the node: itself, or times the gate equivalents if it is per one."""
    if not dimension.endswith("/gates"):
        return quantity
    if context.gate_equivalents is None:
        raise item.error(f"{what} is per gate equivalent, and the node states no modules", "add 'rtl:', or write another figure")
    return times(quantity, context.gate_equivalents)


def _component(item: Item) -> str | None:
    """The component that a price names, or None if it is a figure or `unpriced`."""
    if not isinstance(item.value, str):
        return None
    text = item.value.strip()
    return name_of(item, "component") if text and (text[0].isalpha() or text[0] == "_") and text != UNPRICED else None


def _figure(item: Item, action: str, dimensions: tuple[str, ...], context: Context) -> tuple[Quantity, str] | None:
    """The price and its dimension; None if it is `unpriced`."""
    component = _component(item)
    if component is not None:
        if context.technology is None:
            raise item.error(f"'{component}' names a component, and the machine has no technology", "add 'technology:', or write a figure")
        row = context.technology.price(component, action, context.size_bits, item.place)
        if row.per not in dimensions:
            raise item.error(f"'{component}' is not priced as {dimensions[0]} for {action}", "name another component, or write a figure")
        return row.quantity, row.per
    if isinstance(item.value, dict):
        keys = item.only(_FIGURE_KEYS, f"{action} price")
        for key in ("value", "source"):
            if key not in keys:
                raise item.error(f"{action} price needs '{key}'", f"add '{key}:'; every figure has a source")
        value, dimension = _measured(keys["value"], action, dimensions, context)
        low = _measured(keys["low"], "low", (dimension,), context)[0] if "low" in keys else value
        high = _measured(keys["high"], "high", (dimension,), context)[0] if "high" in keys else value
        source = words(keys["source"], "source")
        if not source:
            raise keys["source"].error("a figure needs a source", "say where it comes from")
        quantity = checked(value, low, high, source, kind(keys["kind"]) if "kind" in keys else "assumed", item)
        return placed(quantity, item.place), dimension
    if isinstance(item.value, str) and item.value.strip() == UNPRICED:
        return None
    if isinstance(item.value, str) and not item.value.strip():
        known = context.technology.components if context.technology else (UNPRICED,)
        raise item.error(f"{action} price is empty", did_you_mean("", known))
    value, dimension = _measured(item, action, dimensions, context)
    return placed(checked(value, value, value, context.source, "assumed", item), item.place), dimension


def _measured(item: Item, what: str, dimensions: tuple[str, ...], context: Context) -> tuple[Fraction, str]:
    amount = measure(
        words(item, what),
        what,
        *dimensions,
        place=item.place,
        number=lambda text: evaluate(text, context.names, item.place),
    )
    return amount.value, amount.dimension
