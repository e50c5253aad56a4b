"""Numbers as a person reads them, three or four digits and a unit, and names one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

_SI = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"))
_BINARY = ((2**40, "TiB"), (2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"))


def si(value: float | None, unit: str) -> str:
    """`value` in `unit` with an SI prefix and three significant digits; '-' for None."""
    if value is None:
        return "-"
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}".rstrip()
    size = abs(value)
    for scale, prefix in _SI:
        if size >= scale * 0.9995 or prefix == "p":
            scaled = value / scale
            return f"{_digits(scaled)} {prefix}{unit}".rstrip()
    raise AssertionError


def _digits(value: float) -> str:
    size = abs(value)
    if size >= 99.95:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 9.995 else f"{value:.2f}"


def joules(picojoules: float | None) -> str:
    """Picojoules as J, mJ, uJ, …"""
    return "-" if picojoules is None else si(picojoules * 1e-12, "J")


def tally(count: int) -> str:
    """A count as it is while it has three digits, then with an SI prefix."""
    return str(count) if abs(count) < 1000 else si(count, "")


def square(area_um2: float) -> str:
    """An area in square millimetres, or in square micrometres if it is small."""
    return f"{area_um2 / 1e6:,.2f} mm2" if area_um2 >= 99_950 else f"{area_um2:,.0f} um2"


def byte_size(count: float | None) -> str:
    """Bytes with a binary prefix and three significant digits."""
    if count is None:
        return "-"
    for scale, name in _BINARY:
        if abs(count) >= scale * 0.9995:
            return f"{_digits(count / scale)} {name}"
    return f"{count:g} B"


def whole(count: float | None) -> str:
    """A count with thousands separators; a fraction keeps two digits."""
    if count is None:
        return "-"
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.2f}"


def in_cycles(count: float) -> str:
    """A number of cycles, of which one stands alone."""
    return f"{whole(count)} cycle" if count == 1 else f"{whole(count)} cycles"


def in_unit(value: float, unit: str) -> str:
    """A value in its unit: picojoules and bytes with a prefix, cycles in full, others with four digits."""
    if unit == "cycles":
        return in_cycles(value)
    if unit == "B":
        return byte_size(value)
    return joules(value) if unit == "pJ" else f"{value:.4g} {unit}"


def percent(share: float | None) -> str:
    """A share of 1 as a percentage with one digit."""
    return "-" if share is None else f"{100 * share:.1f} %"


def times(ratio: float) -> str:
    """How many times as much."""
    return f"{ratio:.2f}x" if ratio < 100 else f"{ratio:,.0f}x"


def bar(share: float | None, width: int = 10) -> str:
    """A share of 1 as a bar of `width` cells, in eighths of a cell."""
    eighths = round(8 * width * min(max(share or 0.0, 0.0), 1.0))
    full, rest = divmod(eighths, 8)
    return ("█" * full + (" ▏▎▍▌▋▊▉"[rest] if rest else "")).ljust(width)


def listed(names: Sequence[str]) -> str:
    """Names as a sentence has them: 'a', 'a and b', 'a, b and c'."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))
