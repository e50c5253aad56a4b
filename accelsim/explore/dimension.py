"""What a sweep varies: names with the texts that they take, one after the other or anywhere between two ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from accelsim.errors import InputError, Place
from accelsim.explore.quantity import PLAIN, SIZE, Dimension, Quantity, quantity, rounded, unit_of, written

ONE = Quantity(Fraction(1))
BYTE = Quantity(Fraction(8), SIZE)


@dataclass(frozen=True, slots=True)
class Between:
    """Two ends, both included, and how values lie between them; `to`: they are multiples of it, None for six significant digits."""

    low: Quantity
    high: Quantity
    logarithmic: bool
    to: Quantity | None
    unit: str

    def at(self, share: float) -> str:
        """The text of the value at a share of the way from the low end (0) to the high end (1)."""
        if share <= 0.0 or share >= 1.0:
            return written(self.low if share <= 0.0 else self.high, self.unit)
        low, high = self.low.value, self.high.value
        straight = low + (high - low) * Fraction(share)
        value = Fraction(float(low) * (float(high) / float(low)) ** share) if self.logarithmic else straight
        return written(self._within(Quantity(value, self.low.dimension)), self.unit)

    def _within(self, found: Quantity) -> Quantity:
        """The nearest multiple of `to` that lies between the ends, the nearer end where none does; without it, six digits."""
        if self.to is None:
            return rounded(found)
        least, most = math.ceil(self.low.value / self.to.value), math.floor(self.high.value / self.to.value)
        if least > most:
            return min((self.low, self.high), key=lambda end: abs(end.value - found.value))
        times = min(most, max(least, math.floor(found.value / self.to.value + Fraction(1, 2))))
        return Quantity(times * self.to.value, found.dimension)


@dataclass(frozen=True)
class Spaced(Sequence[str]):
    """So many values between two ends, made when they are asked for."""

    between: Between
    many: int

    def __len__(self) -> int:
        return self.many

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return tuple(self[each] for each in range(*at.indices(self.many)))
        return _at(self.between, range(self.many)[at], self.many)

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers of base units."""
        low, high, to = self.between.low.value, self.between.high.value, self.between.to
        if to is not None:
            return all(each.denominator == 1 for each in (low, high, to.value))
        return not self.between.logarithmic and low.denominator == 1 and ((high - low) / max(1, self.many - 1)).denominator == 1


@dataclass(frozen=True)
class Stepped(Sequence[str]):
    """So many values from a low one on, each a step above the one before, made when they are asked for."""

    low: Quantity
    step: Fraction
    many: int
    unit: str

    def __len__(self) -> int:
        return self.many

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return tuple(self[each] for each in range(*at.indices(self.many)))
        return written(Quantity(self.low.value + range(self.many)[at] * self.step, self.low.dimension), self.unit)

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers of base units."""
        return self.low.value.denominator == self.step.denominator == 1


@dataclass(frozen=True, slots=True)
class Axis:
    """A name (a path of `--set`, or an option of `accelsim map`) with its values; `values` is empty where they lie anywhere `between`."""

    name: str
    values: Sequence[str]
    between: Between | None = None
    place: Place | None = None
    places: tuple[Place, ...] = ()

    def place_of(self, at: int) -> Place | None:
        """Where a value stands."""
        return self.places[at] if self.places else self.place

    def at(self, share: float) -> str:
        """The text at a share of the way, from 0 up to but less than 1."""
        if self.between is not None:
            return self.between.at(share)
        return self.values[min(int(share * len(self.values)), len(self.values) - 1)]

    @property
    def ends(self) -> Sequence[str]:
        """The values, or the ends and the middle of what lies between."""
        return self.values if self.between is None else tuple(self.between.at(share) for share in (0.0, 0.5, 1.0))

    @property
    def dimension(self) -> Dimension | None:
        """The unit of its values, None if not all are numbers of one."""
        texts = self.ends if isinstance(self.ends, tuple) else (self.ends[0],)
        found = {each.dimension if (each := quantity(text)) is not None else None for text in texts}
        return found.pop() if len(found) == 1 else None

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        if isinstance(self.values, Spaced | Stepped):
            return self.values.whole
        if self.between is not None:
            return Spaced(self.between, 2).whole and self.between.to is not None
        return all((number := quantity(text)) is not None and number.value.denominator == 1 for text in self.values)

    def refuse_repeats(self) -> None:
        """An InputError for values that rounding has made equal."""
        if isinstance(self.values, Spaced) and (many := len(set(self.values))) < len(self.values):
            low, high = self.values[0], self.values[-1]
            what = f"{self.name}: {len(self.values)} points from {low} to {high} are only {many} different values"
            raise InputError(what, f"write points: {many}", self.place)


@dataclass(frozen=True, slots=True)
class Dependent:
    """A name whose text follows from those of other names; `formula` is without its `=`."""

    name: str
    formula: str
    place: Place | None = None


def listed(name: str, values: tuple[str, ...], place: Place | None, places: tuple[Place, ...] = ()) -> Axis:
    """An axis of values; InputError for none and for one that is given twice, in whatever unit."""
    if not values:
        raise InputError(f"{name}: an empty list", "write at least one value", place)
    seen: dict[object, int] = {}
    for at, text in enumerate(values):
        same = quantity(text) or text
        if same in seen:
            twice = f"'{text}'" if values[seen[same]] == text else f"'{text}', which is '{values[seen[same]]}',"
            raise InputError(f"{name}: {twice} is given twice", "remove one of the two", places[at] if places else place)
        seen[same] = at
    return Axis(name, values, None, place, places)


def spaced(
    name: str,
    low: str,
    high: str,
    logarithmic: bool,
    points: int | None,
    step: str | None,
    to: str | None,
    place: Place | None,
) -> Axis:
    """An axis from a low to a high end: so many points, or steps of a size, or (with neither) anywhere between, for samples."""
    first, last = _number(name, low, place), _number(name, high, place)
    _same_unit(name, first, last, high, place)
    if first.value > last.value:
        raise InputError(f"{name}: from {low} to {high} is an empty range", f"write [{high}, {low}]", place)
    if logarithmic and first.value <= 0:
        raise InputError(f"{name}: a log range cannot start at {low}", "start above 0, or write 'range'", place)
    unit = unit_of(low) or unit_of(high)
    grain = _number(name, to, place) if to is not None else None
    if grain is not None:
        _same_unit(name, first, grain, str(to), place)
        if grain.value <= 0:
            raise InputError(f"{name}: values cannot be multiples of {to}", "write a number above 0", place)
    if step is not None:
        return _stepped(name, low, high, (first, last), _number(name, step, place), step, unit, place)
    between = Between(first, last, logarithmic, grain or _grain(first, last, logarithmic or points is None), unit)
    if points is None:
        if first.value == last.value:
            raise InputError(f"{name}: from {low} to {high} is one value", f"write [{low}]", place)
        return Axis(name, (), between, place)
    if points < 1 or (points == 1 and first.value != last.value):
        raise InputError(f"{name}: {points} points from {low} to {high}", "write at least 2 points, one for each end", place)
    if points > 1 and first.value == last.value:
        raise InputError(f"{name}: {points} points from {low} to {high} are all the same", f"write [{low}]", place)
    return Axis(name, Spaced(between, points), None, place)


def _at(between: Between, at: int, points: int) -> str:
    if between.logarithmic or at in (0, points - 1) or between.to is not None:
        return between.at(at / (points - 1) if points > 1 else 0.0)
    low, high = between.low, between.high
    return written(Quantity(low.value + (high.value - low.value) * Fraction(at, points - 1), low.dimension), between.unit)


def _grain(low: Quantity, high: Quantity, rounds: bool) -> Quantity | None:
    """What values are multiples of if the sweep does not say: whole numbers between whole ones, whole bytes between bytes."""
    if not rounds:
        return None
    grain = BYTE if low.dimension == SIZE else ONE if low.dimension == PLAIN else None
    if grain is None:
        return None
    return grain if all((end.value / grain.value).denominator == 1 for end in (low, high)) else None


def _stepped(
    name: str, low: str, high: str, ends: tuple[Quantity, Quantity], by: Quantity, step: str, unit: str, place: Place | None
) -> Axis:
    first, last = ends
    _same_unit(name, first, by, step, place)
    if by.value <= 0:
        raise InputError(f"{name}: a step of {step} leads nowhere", "write a step above 0", place)
    many = int((last.value - first.value) / by.value) + 1
    if many >= 1 << 62:
        raise InputError(f"{name}: steps of {step} from {low} to {high} are too many to count", "write a larger step", place)
    return Axis(name, Stepped(first, by.value, many, unit), None, place)


def _number(name: str, text: str, place: Place | None) -> Quantity:
    found = quantity(text)
    if found is None:
        raise InputError(f"{name}: '{text}' is not a number", "write it as in 64 or 64 KiB; names go in a list", place)
    return found


def _same_unit(name: str, first: Quantity, other: Quantity, text: str, place: Place | None) -> None:
    if first.dimension != other.dimension:
        raise InputError(f"{name}: '{text}' is {other.noun}, and the low end is {first.noun}", "give both the same unit", place)
