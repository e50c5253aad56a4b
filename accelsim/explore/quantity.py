"""Numbers with units as sweeps reckon with them: `64 KiB` times 4, `arch.L3.size / 2`, `area_um2 <= 20 mm2`."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from fractions import Fraction

from accelsim.errors import InputError, Place, did_you_mean
from accelsim.formula import FUNCTIONS, Grammar, tokens_with
from accelsim.formula import evaluate as exact
from accelsim.units import UNITS, plain_number, show_size

Dimension = tuple[tuple[str, int], ...]  # of a base unit its power, sorted; () is a plain number
PLAIN: Dimension = ()
SIZE: Dimension = (("size", 1),)
BASE = {"size": "bit", "time": "s", "frequency": "Hz", "energy": "pJ", "power": "W", "area": "um2", "gates": "GE", "cycles": "cycle"}
BASE |= {"failures": "FIT", "words": "word"}
_SYMBOLS = {**UNITS, "word": ("words", Fraction(1)), "words": ("words", Fraction(1))}
_TEXT = re.compile(r"(?P<number>\S+?)\s*(?P<unit>[A-Za-zµ][A-Za-z0-9µ²]*(?:/[A-Za-zµ][A-Za-z0-9µ²]*)?)?", re.ASCII | re.DOTALL)
_NAME = r"[A-Za-z_][A-Za-z_0-9]*(?:\.[A-Za-z_0-9]+)*"
_WORD = re.compile(rf"\d+\.?\d*(?:[eE][+-]?\d+)?\s*(?P<follows>{_NAME})?|(?P<name>{_NAME})", re.ASCII)
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number of base units (bits, seconds, hertz, picojoules, watts, um2, cycles) of a dimension."""

    value: Fraction
    dimension: Dimension = PLAIN

    @property
    def noun(self) -> str:
        """What a person would call it."""
        return "a plain number" if not self.dimension else f"a number of {_symbol(self.dimension)}"


def column(dimension: Dimension) -> str:
    """The ending of a column's name that says its unit, as in `_bits` or `_bits_per_s`; '' for plain numbers."""
    words = {"size": "bits", "time": "s", "frequency": "hz", "energy": "pj", "power": "w", "area": "um2", "gates": "ge"}
    above = [words.get(name, name) for name, power in dimension if power > 0]
    below = [{"bits": "bit", "cycles": "cycle"}.get(words.get(name, name), words.get(name, name)) for name, power in dimension if power < 0]
    return "".join(f"_{word}" for word in (*above, *(["per", *below] if below else [])))


def _symbol(dimension: Dimension) -> str:
    above = "*".join(BASE[name] + (f"^{power}" if power > 1 else "") for name, power in dimension if power > 0) or "1"
    below = "/".join(BASE[name] for name, power in dimension if power < 0)
    return above + (f"/{below}" if below else "")


def unit(symbol: str) -> Quantity | None:
    """One of a unit, as in `KiB` or `GiB/s`; None for what is none."""
    over, slash, under = symbol.partition("/")
    if over not in _SYMBOLS or (slash and under not in _SYMBOLS):
        return None
    found = _one(over)
    return _divided(found, _one(under)) if slash else found


def _one(symbol: str) -> Quantity:
    dimension, factor = _SYMBOLS[symbol]
    return Quantity(factor, ((dimension, 1),))


def quantity(text: str) -> Quantity | None:
    """A number with or without a unit; None for any other text."""
    plain = plain_number(text)
    if plain is not None:
        return Quantity(plain)
    match = _TEXT.fullmatch(text.strip()) if len(text) <= 100 else None
    number = plain_number(match["number"]) if match is not None else None
    if match is None or number is None or not match["unit"]:
        return None
    one = unit(match["unit"])
    return None if one is None else Quantity(number * one.value, one.dimension)


def unit_of(text: str) -> str:
    """The unit that a text of `quantity` ends in; '' for a plain number."""
    match = _TEXT.fullmatch(text.strip())
    return (match["unit"] or "") if match is not None and plain_number(text) is None else ""


def written(found: Quantity, symbol: str = "") -> str:
    """The text of a quantity that `--set` reads back as the same, in a unit if one is given; sizes in the one that suits them."""
    if not found.dimension:
        return _decimal(found.value)
    if found.dimension == SIZE:
        return show_size(found.value)
    symbol = symbol or _symbol(found.dimension)
    one = unit(symbol)
    if one is None or one.dimension != found.dimension:
        raise InputError(f"{found.noun} has no unit that a file can state", "divide by a unit, as in arch.L3.size / KiB")
    return f"{_decimal(found.value / one.value)} {symbol}"


def _decimal(value: Fraction) -> str:
    """Exact where the number has a decimal form of at most 24 digits, else as a ratio."""
    if value.denominator == 1:
        return str(value.numerator)
    scaled, places = value, 0
    while scaled.denominator != 1 and places < 24:
        scaled, places = scaled * 10, places + 1
    if scaled.denominator != 1:
        return f"{value.numerator}/{value.denominator}"
    sign, digits = "-" if scaled < 0 else "", str(abs(scaled.numerator)).rjust(places + 1, "0")
    return f"{sign}{digits[:-places]}.{digits[-places:]}"


def rounded(found: Quantity, to: Quantity | None = None) -> Quantity:
    """The nearest multiple of `to`, at least one of it; without it, six significant digits."""
    if to is not None:
        times = max(1, math.floor(found.value / to.value + Fraction(1, 2)))
        return Quantity(times * to.value, found.dimension)
    return Quantity(Fraction(f"{float(found.value):.{_DIGITS}g}"), found.dimension)


def _times(left: Dimension, right: Dimension, sign: int) -> Dimension:
    powers = dict(left)
    for name, power in right:
        powers[name] = powers.get(name, 0) + sign * power
    return tuple(sorted((name, power) for name, power in powers.items() if power))


def _divided(left: Quantity, right: Quantity) -> Quantity:
    return Quantity(left.value / right.value, _times(left.dimension, right.dimension, -1))


class Undefined(InputError):
    """A formula has no value, as one that divides by zero."""


class Reckoning(Grammar[Quantity]):
    """A formula over quantities: names have dots, a unit stands for one of it and may follow a number."""

    functions = FUNCTIONS
    longest = 400
    pattern = tokens_with(name=_NAME)
    known = "numbers, names, units, + - * / // % **, min, max, ceil, log2"

    def __init__(self, text: str, names: Mapping[str, Quantity], place: Place | None) -> None:
        super().__init__(text, place)
        self.names = names

    def number(self, text: str) -> Quantity:
        found = Quantity(Fraction(exact(text, {}, self.place)))
        follows = self.tokens[self.position] if self.position < len(self.tokens) else None
        if follows is not None and follows.kind == "name" and (one := unit(follows.text)) is not None:
            self.take()
            return Quantity(found.value * one.value, one.dimension)
        return found

    def named(self, name: str) -> Quantity:
        if name in self.names:
            return self.names[name]
        one = unit(name)
        if one is None:
            raise self.error(f"names an unknown '{name}'", did_you_mean(name, self.names))
        return one

    def negated(self, value: Quantity) -> Quantity:
        return Quantity(-value.value, value.dimension)

    def joined(self, sign: str, left: Quantity, right: Quantity) -> Quantity:
        if sign == "*":
            return self._kept(left.value * right.value, _times(left.dimension, right.dimension, 1))
        if sign == "**":
            if left.dimension or right.dimension:
                raise self.error("raises a number with a unit", "multiply it instead")
            return Quantity(Fraction(exact(f"({left.value}) ** ({right.value})", {}, self.place)))
        if sign in ("/", "//") and not right.value:
            raise self.undefined("divides by zero")
        if sign == "/":
            return _divided(left, right)
        self._same(left, right, {"+": "adds", "-": "subtracts", "//": "divides", "%": "divides"}[sign])
        if sign == "//":
            return Quantity(Fraction(left.value // right.value))
        if sign == "%":
            if not right.value:
                raise self.undefined("divides by zero")
            return Quantity(left.value % right.value, left.dimension)
        return self._kept(left.value + right.value if sign == "+" else left.value - right.value, left.dimension)

    def applied(self, function: str, arguments: list[Quantity]) -> Quantity:
        first = arguments[0]
        for other in arguments[1:]:
            self._same(first, other, f"takes the {function} of")
        if function in ("min", "max"):
            values = [each.value for each in arguments]
            return Quantity(min(values) if function == "min" else max(values), first.dimension)
        if first.dimension:
            raise self.error(f"takes {function} of {first.noun}", "divide by a unit first, as in arch.L3.size / KiB")
        return Quantity(Fraction(exact(f"{function}({first.value})", {}, self.place)))

    def undefined(self, what: str) -> Undefined:
        """The error of a formula that these values leave without one."""
        return Undefined(f"formula '{self.text}' {what}", "check the values that it names", self.place)

    def _same(self, left: Quantity, right: Quantity, verb: str) -> None:
        if left.dimension != right.dimension:
            raise self.error(f"{verb} {left.noun} and {right.noun}", "give both the same unit")

    def _kept(self, value: Fraction, dimension: Dimension) -> Quantity:
        if max(value.numerator.bit_length(), value.denominator.bit_length()) > 2048:
            raise self.error("is larger than 2048 bits", "write smaller numbers")
        return Quantity(value, dimension)


def reckon(text: str, names: Mapping[str, Quantity], place: Place | None = None) -> Quantity:
    """The exact value of a formula over names such as `arch.L3.size`."""
    return Reckoning(text, names, place).result()


def read(text: str, figures: Container[str] = ()) -> tuple[str, ...]:
    """The names that a formula reads, in order, units and functions among them left out.

    A word that is one of the `figures` and a unit, as `cycles`, is a unit only after a number.
    """
    found: dict[str, None] = {}
    for match in _WORD.finditer(text):
        word = match["name"] or match["follows"]
        if word is None or word in FUNCTIONS:
            continue
        if "." in word or unit(word) is None or (match["name"] and word in figures):
            found[word] = None
    return tuple(found)
