"""Text with a unit to an exact number of base units, and back: bits, seconds, hertz, picojoules, watts, square micrometres, cycles, FIT."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from accelsim.errors import InputError, Place, nearest

UNLIMITED = "unlimited"
_LONGEST = 400
_LARGEST = Fraction(10) ** 40


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of base units of a dimension.

    Base units: `size` bit, `time` s, `frequency` Hz, `energy` pJ, `power` W, `area` um2, `gates` GE, `cycles` cycle, `failures` FIT
    (in 10**9 hours); `a/b` a ratio.
    """

    value: Fraction
    dimension: str


def _scaled(dimension: str, symbols: Mapping[str, Fraction]) -> dict[str, tuple[str, Fraction]]:
    return {symbol: (dimension, factor) for symbol, factor in symbols.items()}


_TEN = Fraction(10)
_BYTES = {"B": 8, "byte": 8, "bytes": 8, "kB": 8 * 10**3, "KB": 8 * 10**3, "MB": 8 * 10**6, "GB": 8 * 10**9, "TB": 8 * 10**12}
_BYTES |= {"KiB": 2**13, "MiB": 2**23, "GiB": 2**33, "TiB": 2**43}
_BITS = {"bit": 1, "bits": 1, "kbit": 10**3, "Mbit": 10**6, "Gbit": 10**9, "Tbit": 10**12, "Kibit": 2**10, "Mibit": 2**20, "Gibit": 2**30}
UNITS: dict[str, tuple[str, Fraction]] = {
    **_scaled("size", {symbol: Fraction(bits) for symbol, bits in {**_BITS, **_BYTES}.items()}),
    **_scaled("time", {"s": _TEN**0, "ms": _TEN**-3, "us": _TEN**-6, "µs": _TEN**-6, "ns": _TEN**-9, "ps": _TEN**-12}),
    **_scaled("frequency", {"Hz": _TEN**0, "kHz": _TEN**3, "MHz": _TEN**6, "GHz": _TEN**9}),
    **_scaled(
        "energy",
        {"fJ": _TEN**-3, "pJ": _TEN**0, "nJ": _TEN**3, "uJ": _TEN**6, "µJ": _TEN**6, "mJ": _TEN**9, "J": _TEN**12},
    ),
    **_scaled("power", {"nW": _TEN**-9, "uW": _TEN**-6, "µW": _TEN**-6, "mW": _TEN**-3, "W": _TEN**0, "kW": _TEN**3}),
    **_scaled("area", {"um2": _TEN**0, "µm2": _TEN**0, "um²": _TEN**0, "µm²": _TEN**0, "mm2": _TEN**6, "mm²": _TEN**6}),
    **_scaled("gates", {"GE": _TEN**0}),
    **_scaled("cycles", {"cycle": _TEN**0, "cycles": _TEN**0}),
    **_scaled("failures", {"FIT": _TEN**0}),
}
EXAMPLES = {
    "size": "64 KiB",
    "time": "20 ns",
    "frequency": "940 MHz",
    "energy": "17.2 pJ",
    "power": "3 mW",
    "area": "1545 um2",
    "cycles": "12 cycles",
    "size/time": "400 GiB/s",
    "size/cycles": "64 B/cycle",
    "energy/size": "3.9 pJ/bit",
    "power/area": "30 mW/mm2",
    "power/size": "15 mW/MiB",
    "area/size": "0.4 um2/bit",
    "area/gates": "0.8 um2/GE",
    "power/gates": "20 nW/GE",
    "failures/size": "600 FIT/MiB",
}
_NOUNS = {"size/time": "bandwidth", "size/cycles": "number of bits per cycle", "energy/size": "energy per bit"}
_NOUNS |= {"area/gates": "area per gate equivalent", "power/gates": "power per gate equivalent", "gates": "number of gate equivalents"}
_NOUNS |= {"power/area": "power per area", "power/size": "power per bit", "area/size": "area per bit", "cycles": "number of cycles"}
_NOUNS |= {"failures": "rate of failures", "failures/size": "rate of failures per bit"}
_WITH_UNIT = re.compile(r"(?P<number>.*?(?:(?<=[\s\d)])|^))(?P<unit>[A-Za-zµ][A-Za-z0-9µ²]*(?:/[A-Za-zµ][A-Za-z0-9µ²]*)?)$", re.DOTALL)
_NUMBER = re.compile(r"[+-]?(\d{1,60}(\.\d{0,60})?|\.\d{1,60})([eE][+-]?\d{1,2})?(/\d{1,40})?", re.ASCII)


def plain_number(text: str) -> Fraction | None:
    """An exact decimal number or ratio (`0.5`, `1e3`, `2/3`), or None if the text is something else."""
    match = _NUMBER.fullmatch(text.strip())
    if match is None:
        return None
    ratio = match.group(4)
    number = Fraction(text.strip()[: match.start(4) - match.start()] if ratio else text.strip())
    if ratio:
        below = int(ratio[1:])
        return number / below if below else None
    return number


def measure(
    text: str,
    what: str,
    *accepted: str,
    place: Place | None = None,
    extra: Mapping[str, tuple[str, Fraction]] | None = None,
    number: Callable[[str], Fraction | int | None] = plain_number,
) -> Amount:
    """The amount that `text` says, of one of the `accepted` dimensions; `what` names it in errors.

    `extra`: further units beside UNITS. `number`: how the part before the unit is read (a formula, for instance).
    Refuses a missing, unknown or wrong unit, and a negative amount.
    """
    known = {**UNITS, **(extra or {})}
    example = EXAMPLES[accepted[0]]
    shown = text if len(text) <= 60 else text[:57] + "…"
    match = _WITH_UNIT.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None:
        raise InputError(f"{what} '{shown}' has no unit", f"write a number and a unit, as in '{example}'", place)
    unit = match.group("unit")
    over, _, under = unit.partition("/")
    for symbol in (over, under) if under else (over,):
        if symbol not in known:
            bits = f"{symbol}it" if symbol.endswith("b") else ""  # of `Gb`, which is no GB
            fitting = [candidate for candidate in known if _dimension_fits(candidate, known, accepted)]
            close = bits if bits in fitting else nearest(symbol, fitting)
            mend = f"did you mean '{close}'?" if close else f"write a number and a unit, as in '{example}'"
            raise InputError(f"{what} '{shown}' has an unknown unit '{symbol}'", mend, place)
    dimension, factor = known[over]
    if under:
        dimension, factor = f"{dimension}/{known[under][0]}", factor / known[under][1]
    if dimension not in accepted:
        raise InputError(f"{what} '{shown}' is {_noun(dimension)}, not {_noun(accepted[0])}", f"write it as in '{example}'", place)
    before = match.group("number").strip()
    value = number(before) if before else None
    if value is None:
        raise InputError(f"{what} '{shown}' has no number", f"write a number and a unit, as in '{example}'", place)
    if value < 0:
        raise InputError(f"{what} '{shown}' is negative", f"write it as in '{example}'", place)
    if value > _LARGEST:
        raise InputError(f"{what} '{shown}' is beyond any machine", f"write it as in '{example}'", place)
    return Amount(Fraction(value) * factor, dimension)


def _dimension_fits(symbol: str, known: Mapping[str, tuple[str, Fraction]], accepted: tuple[str, ...]) -> bool:
    return any(known[symbol][0] in dimension.split("/") for dimension in accepted)


def _noun(dimension: str) -> str:
    noun = _NOUNS.get(dimension, dimension)
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def is_unlimited(text: str) -> bool:
    """Whether the text says that nothing limits this."""
    return text.strip().lower() == UNLIMITED


def size_bits(text: str, what: str = "size", place: Place | None = None) -> int:
    """A size as a whole number of bits; refuses a fraction of a bit."""
    return whole_bits(measure(text, what, "size", place=place).value, text, what, place)


def whole_bits(bits: Fraction, text: str, what: str, place: Place | None = None) -> int:
    """The bits as an int of at least 1 and at most 2**62; `text` is what the user wrote."""
    if bits.denominator != 1:
        raise InputError(f"{what} '{text}' is not a whole number of bits", "round it", place)
    if not 1 <= bits <= 2**62:
        raise InputError(f"{what} '{text}' is {'nothing' if bits < 1 else 'beyond 64 bits'}", f"write it as in '{EXAMPLES['size']}'", place)
    return int(bits)


def show_size(bits: Fraction | int) -> str:
    """A size for people, exact: the largest binary unit that leaves a short number, as in `64 KiB`, else a decimal one, as in `80 GB`."""
    for symbol in ("TiB", "GiB", "MiB", "KiB", "B", "TB", "GB", "MB"):
        factor = UNITS[symbol][1]
        number = Fraction(bits) / factor
        if number >= 1 and (decimal := _decimal(number)) is not None and len(decimal) <= 6:
            return f"{decimal} {symbol}"
    whole = Fraction(bits)
    return f"{whole} bit" if whole == 1 else f"{whole} bits"


def show_rate(bits_per_s: Fraction | None) -> str:
    """A bandwidth for people: exact where a unit leaves a short number, else four digits."""
    if bits_per_s is None:
        return UNLIMITED
    for symbol in ("TiB", "TB", "GiB", "GB", "MiB", "MB", "KiB", "kB", "B"):
        number = bits_per_s / UNITS[symbol][1]
        if 1 <= number < 2048 and (decimal := _decimal(number)) is not None and len(decimal) <= 6:
            return f"{decimal} {symbol}/s"
    return f"{show_scaled(float(bits_per_s) / 8)}B/s"


def show_frequency(hertz: Fraction) -> str:
    """A frequency for people, exact where a unit leaves a short number."""
    for symbol in ("GHz", "MHz", "kHz", "Hz"):
        number = hertz / UNITS[symbol][1]
        if number >= 1 and (decimal := _decimal(number)) is not None and len(decimal) <= 7:
            return f"{decimal} {symbol}"
    return f"{show_scaled(float(hertz))}Hz"


def show_scaled(number: float) -> str:
    """A number with four digits and a decimal prefix, ready for a unit: `12.5 M`."""
    for prefix, factor in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0), ("m", 1e-3), ("u", 1e-6), ("n", 1e-9), ("p", 1e-12)):
        if abs(number) >= factor:
            return f"{number / factor:.4g} {prefix}"
    return f"{number:.4g} "


def _decimal(number: Fraction) -> str | None:
    scaled = number * 1000
    if scaled.denominator != 1:
        return None
    whole, rest = divmod(int(scaled), 1000)
    return f"{whole}.{rest:03d}".rstrip("0") if rest else str(whole)
