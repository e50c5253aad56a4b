"""What the rows of a sweep are held to, as in `area_um2 <= 20 mm2`: figures against numbers, parameters and each other."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from accelsim.errors import InputError, Place
from accelsim.explore.points import FIGURES
from accelsim.explore.quantity import PLAIN, Dimension, Quantity, Undefined, read, reckon

WORDS = ("bound", "mapping", "proved_optimal")  # figures that are no numbers
NUMBERS = tuple(name for name in FIGURES if name not in WORDS)
SEARCHED = ("objective", "lower_bound", "gap")  # figures of a search, which a given mapping has not
BEFORE = ("area_um2",)  # figures that need no mapping
_TURNED = {"<=": ">=", ">=": "<=", "<": ">", ">": "<", "==": "=="}
_SIGN = re.compile(r"<=|>=|==|<|>")
_UNITS: dict[str, Dimension] = {
    "latency_s": (("time", 1),),
    "area_um2": (("area", 1),),
    "power_w": (("power", 1),),
    **dict.fromkeys(("energy_pj", "energy_pj_low", "energy_pj_high", "static_energy_pj"), (("energy", 1),)),
}


class Limit(NamedTuple):
    """The least and the most that a figure may be, both included, but for the end that is `open`."""

    figure: str
    least: Fraction | float
    most: Fraction | float
    open: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """A comparison of two formulas; `text` as it was written."""

    text: str
    left: str
    sign: str
    right: str
    place: Place | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names that it reads: parameters and figures."""
        return tuple(dict.fromkeys((*read(self.left, NUMBERS), *read(self.right, NUMBERS))))

    @property
    def needs_mapping(self) -> bool:
        """Whether it reads a figure that only a mapping has."""
        return any(name in NUMBERS and name not in BEFORE for name in self.names)

    @property
    def limit(self) -> Limit | None:
        """What a rule that holds one figure against a number leaves it; None for others."""
        for name, other, sign in ((self.left, self.right, self.sign), (self.right, self.left, _TURNED[self.sign])):
            if name in NUMBERS and not read(other, NUMBERS):
                value = reckon(other, {}, self.place).value
                least = value if sign in (">=", ">", "==") else -math.inf
                return Limit(name, least, value if sign in ("<=", "<", "==") else math.inf, value if sign in ("<", ">") else None)
        return None

    def holds(self, names: Mapping[str, Quantity]) -> bool:
        """Whether it is so; not where a side has no value. InputError where units differ."""
        sides = self.sides(names)
        if sides is None:
            return False
        left, right = sides
        signs = {"<=": left.value <= right.value, ">=": left.value >= right.value, "==": left.value == right.value}
        return signs.get(self.sign, left.value < right.value if self.sign == "<" else left.value > right.value)

    def sides(self, names: Mapping[str, Quantity]) -> tuple[Quantity, Quantity] | None:
        """Both sides in the same unit; None where a name has no value, or a side for what its figures are, as where one is divided by.

        InputError where units differ, or where no figure of a mapping is to blame.
        """
        if any(name not in names for name in self.names):
            return None
        try:
            return self._alike(reckon(self.left, names, self.place), reckon(self.right, names, self.place))
        except Undefined:
            if self.needs_mapping:
                return None
            raise

    def _alike(self, left: Quantity, right: Quantity) -> tuple[Quantity, Quantity]:
        """Both sides in the same unit; a plain number beside a figure that has its unit in its name is one of that unit."""
        if left.dimension == right.dimension:
            return left, right
        if PLAIN in (left.dimension, right.dimension) and (self.left in NUMBERS or self.right in NUMBERS):
            return Quantity(left.value), Quantity(right.value)
        raise InputError(f"'{self.text}' compares {left.noun} with {right.noun}", "give both sides the same unit", self.place)


def rule(text: str, place: Place | None = None) -> Rule:
    """A rule as it is written; InputError for what is no comparison of two formulas."""
    parts = _SIGN.split(text)
    if len(parts) != 2 or not all(part.strip() for part in parts):
        raise InputError(f"'{text}' is not a comparison", "write it as in 'area_um2 <= 20 mm2'", place)
    found = _SIGN.search(text)
    assert found is not None
    return Rule(" ".join(text.split()), parts[0].strip(), found[0], parts[1].strip(), place)


def figure(name: str, value: float) -> Quantity:
    """A figure as a quantity, in the unit that its name says."""
    return Quantity(Fraction(value), _UNITS.get(name, PLAIN))
