"""Figures of a machine file: formulas over its `let` names, sizes in words, bandwidths per second or per cycle, delays."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from math import ceil

from accelsim.formula import Value, evaluate, whole
from accelsim.io.source import Item
from accelsim.units import UNITS, is_unlimited, measure, whole_bits

_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*", re.ASCII)


class Names(dict[str, Value]):
    """Names with their values, and which of them were looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Value:
        self.used.add(name)
        return super().__getitem__(name)


def words(item: Item, what: str) -> str:
    """The text of an item on one line."""
    return " ".join(item.text(what).split())


def name_of(item: Item, what: str) -> str:
    """A name on one line of at most 80 characters, whatever it says."""
    name = " ".join(item.name(what).split())
    if len(name) > 80:
        raise item.error(f"{what} is called '{name[:40]}…'", "write a shorter name")
    return name


def checked_name(name: str, what: str, item: Item) -> str:
    """The name, if it can be written in a formula and in a setting."""
    if not _NAME.fullmatch(name) or len(name) > 60:
        raise item.error(f"{what} is called '{name[:60]}'", "use letters, digits and _, starting with a letter")
    return name


class Values:
    """Reads figures in base units by the `let`, `clock` and `word` of one machine file."""

    def __init__(self, keys: Mapping[str, Item]) -> None:
        self.names = Names()
        self.word: dict[str, tuple[str, Fraction]] = {}
        self.word_used = False
        for name, item in keys["let"].mapping("let").items() if "let" in keys else ():
            checked_name(name, "a name under 'let'", item)
            self.names[name] = evaluate(words(item, name), self.names, item.place)
        self.clock_hz = measure(words(keys["clock"], "clock"), "clock", "frequency", place=keys["clock"].place).value
        if self.clock_hz <= 0:
            raise keys["clock"].error("clock is nothing", "write it as in '940 MHz'")
        if "word" in keys:
            bits = Fraction(self.bits(keys["word"], "word"))
            self.word = {"word": ("size", bits), "words": ("size", bits)}

    def refuse_unused(self, keys: Mapping[str, Item]) -> None:
        """An InputError for a name or a word that no figure used."""
        for name in self.names:
            if name not in self.names.used:
                raise keys["let"].key_error(name, f"nothing uses '{name}'", "remove it, or use it in a size")
        if self.word and not self.word_used:
            raise keys["word"].error("no size is written in words", "remove 'word'")

    def _number(self, item: Item, text: str) -> Value:
        return evaluate(text, self.names, item.place)

    def bits(self, item: Item, what: str) -> int:
        """A size as whole bits; `words` count where the file says how large a word is."""
        text = words(item, what)
        amount = measure(text, what, "size", place=item.place, extra=self.word, number=lambda number: self._number(item, number))
        self.word_used |= text.endswith(("word", "words"))
        return whole_bits(amount.value, text, what, item.place)

    def whole(self, item: Item, what: str, least: int) -> int:
        """A whole number of at least `least` from a formula."""
        return whole(words(item, what), what, self.names, item.place, least)

    def cycles(self, item: Item, what: str) -> int:
        """Cycles from a formula, from `12 cycles`, or from a time at the machine's clock, rounded up."""
        text = words(item, what)
        unit = text.lstrip("0123456789. ")
        if unit in UNITS and unit not in self.names:
            amount = measure(text, what, "cycles", "time", place=item.place)
            return ceil(amount.value if amount.dimension == "cycles" else amount.value * self.clock_hz)
        return self.whole(item, what, 0)

    def share(self, item: Item, what: str) -> Fraction:
        """A number above 0, at most 1, from a formula."""
        found = Fraction(self._number(item, words(item, what)))
        if not 0 < found <= 1:
            raise item.error(f"{what} is {float(found):g}, not a share of a peak", "write a number above 0, at most 1, as in 0.9")
        return found

    def seconds(self, item: Item, what: str) -> Fraction:
        """A time, from a number or formula with a unit."""
        amount = measure(words(item, what), what, "time", place=item.place, number=lambda number: self._number(item, number))
        if amount.value < 0:
            raise item.error(f"{what} is negative", "write it as in '4 us'")
        return amount.value

    def bandwidth(self, item: Item, what: str) -> Fraction | None:
        """Bits per second, exact; None where unlimited."""
        text = words(item, what)
        if is_unlimited(text):
            return None
        amount = measure(text, what, "size/time", "size/cycles", place=item.place, number=lambda number: self._number(item, number))
        if amount.value <= 0:
            raise item.error(f"{what} is nothing", "write it as in '400 GiB/s', or 'unlimited'")
        return amount.value * self.clock_hz if amount.dimension == "size/cycles" else amount.value
