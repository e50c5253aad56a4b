"""The prices of a machine, by name, and machines with other prices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

from accelsim.hardware.architecture import Architecture, Operation, Quantity

T = TypeVar("T")
_NODES = ("feeds", "root")  # each under its own name


def prices(machine: Architecture) -> dict[str, Quantity]:
    """Energies, powers and areas by name, as in `L3.read_pj`, in the order of the tree; what is unpriced is left out."""
    found: dict[str, Quantity] = {}

    def note(name: str, price: Quantity) -> Quantity:
        found[name] = price
        return price

    _walked("", machine, note)
    return found


def repriced(machine: Architecture, name: str, price: Quantity) -> Architecture:
    """The machine with one price in place of its own."""
    return _walked("", machine, lambda each, old: price if each == name else old)


def _walked(at: str, value: T, change: Callable[[str, Quantity], Quantity]) -> T:
    """A value with every price in it as `change` has it by its name and what it is."""
    made: Any = value
    if isinstance(value, Quantity):
        made = change(at, value)
    elif isinstance(value, tuple):
        made = tuple(_walked(at, each, change) for each in value)
    elif isinstance(value, Mapping):
        made = {key: _walked(f"{at}.{key}" if isinstance(each, Operation) else at, each, change) for key, each in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        parts = {}
        for field in fields(value):
            old = getattr(value, field.name)
            if isinstance(old, Quantity | tuple | Mapping) or (is_dataclass(old) and not isinstance(old, type)):
                parts[field.name] = _walked(_within(at, value, field.name), old, change)
        made = replace(value, **parts) if any(parts[name] is not getattr(value, name) for name in parts) else value
    return made


def _within(at: str, parent: Any, name: str) -> str:
    """Where a field is: nodes have names of their own, and their fields are beside them."""
    own = getattr(parent, "name", at) if not isinstance(parent, Architecture) else at
    own = own or at
    return own if name in (*_NODES, "operations", "axes") else f"{own}.{name}" if own else name
