"""Whether a ranking by energy holds for all prices that the tables allow, where a row that prices both sides moves both at once.

The energy of a run is a sum of counts times figures, and of counts times a figure per area times an area: linear in every figure. So the
difference of two is largest and smallest where every figure is at its low or at its high.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import product

from accelsim.explore.provenance import Line
from accelsim.hardware.origin import Figure
from accelsim.model.pricing import Range

Doubt = tuple[str, ...]
Ends = dict[Doubt, tuple[float, float]]
MOST = 10  # doubts that multiply others, beyond which products count as doubts of their own


@dataclass(frozen=True, slots=True)
class Swing:
    """What a doubt alone does to the difference, with all else at its value: the difference at its low, and at its high."""

    doubt: Doubt
    figures: tuple[Figure, ...]
    at_low: float
    at_high: float

    @property
    def size(self) -> float:
        """How far it moves the difference."""
        return abs(self.at_high - self.at_low)


@dataclass(frozen=True, slots=True)
class Ranking:
    """The second figure less the first: as priced, and the least and the most that the tables allow.

    `swings`: every doubt by what it moves, the largest first. `exact`: whether some choice of prices reaches both ends; otherwise they
    are further out than any.
    """

    difference: Range
    swings: tuple[Swing, ...]
    exact: bool = True

    @property
    def flips(self) -> bool:
        """Whether some choice of prices ranks the other way round."""
        value, low, high = self.difference.value, self.difference.low, self.difference.high
        slack = 1e-9 * max(abs(low), abs(high))
        return (value > slack and low < -slack) or (value < -slack and high > slack)


@dataclass(frozen=True, slots=True)
class _Term:
    """A number that prices do not change, times one figure or two."""

    factor: float
    figures: tuple[Figure, ...]


def ranking(first: Iterable[Line], second: Iterable[Line], weights: tuple[float, float] = (1.0, 1.0), apart: bool = False) -> Ranking:
    """Rank two runs by energy, each times its weight (1 for energy; its seconds for energy times delay).

    `apart`: sizes of one component move by themselves, rather than all at once.
    """
    terms = _gathered([*_terms(second, weights[1]), *_terms(first, -weights[0])])
    value = sum(_at(term, [figure.value for figure in term.figures]) for term in terms)
    low, high, exact = _ends(terms, apart)
    return Ranking(Range(value, min(low, value), max(high, value)), _swings(terms, value, apart), exact)


def _terms(lines: Iterable[Line], weight: float) -> Iterator[_Term]:
    for line in lines:
        for part in line.parts:
            yield _Term(weight * float(line.count) * part.factor, part.figures)


def _gathered(terms: list[_Term]) -> list[_Term]:
    """One term for all that the same figures price."""
    factors = defaultdict[tuple[Figure, ...], float](float)
    for term in terms:
        factors[term.figures] += term.factor
    return [_Term(factor, figures) for figures, factor in factors.items()]


def _at(term: _Term, values: Iterable[float]) -> float:
    found = term.factor
    for value in values:
        found *= value
    return found


def _ends(terms: list[_Term], apart: bool) -> tuple[float, float, bool]:
    """The least and the most that the terms add up to, each doubt at its low or its high."""
    scales = list(dict.fromkeys(term.figures[0].doubt(apart) for term in terms if len(term.figures) > 1 and _open(term.figures[0])))
    exact = len(scales) <= MOST
    if not exact:
        scales = []
    corners = product((0, 1), repeat=len(scales))
    found = [_ends_at(terms, dict(zip(scales, corner, strict=True)), apart) for corner in corners]
    return min(low for low, _ in found), max(high for _, high in found), exact


def _ends_at(terms: list[_Term], chosen: dict[Doubt, int], apart: bool) -> tuple[float, float]:
    """The least and the most of the terms where the chosen doubts are at their low (0) or their high (1)."""
    fixed, rest = 0.0, defaultdict[Doubt, list[float]](lambda: [0.0, 0.0])
    for number, term in enumerate(terms):
        factor, left = term.factor, []
        for figure in term.figures:
            doubt = figure.doubt(apart)
            if not _open(figure):
                factor *= figure.value
            elif doubt in chosen:
                factor *= (figure.low, figure.high)[chosen[doubt]]
            else:
                left.append(figure)
        if not left:
            fixed += factor
            continue
        same = {figure.doubt(apart) for figure in left}
        key = same.pop() if len(same) == 1 else ("product", str(number))
        ends = [factor, factor]
        for figure in left:
            ends = [ends[0] * figure.low, ends[1] * figure.high]
        rest[key][0] += ends[0]
        rest[key][1] += ends[1]
    return fixed + sum(map(min, rest.values())), fixed + sum(map(max, rest.values()))


def _open(figure: Figure) -> bool:
    """Whether a figure is in doubt."""
    return figure.low < figure.high


def _swings(terms: list[_Term], value: float, apart: bool) -> tuple[Swing, ...]:
    moved: dict[Doubt, list[float]] = {}
    named: dict[Doubt, dict[Figure, None]] = {}
    for term in terms:
        for doubt in dict.fromkeys(figure.doubt(apart) for figure in term.figures if _open(figure)):
            ends = moved.setdefault(doubt, [0.0, 0.0])
            usual = _at(term, [figure.value for figure in term.figures])
            for end in (0, 1):
                corner = [(f.low, f.high)[end] if f.doubt(apart) == doubt else f.value for f in term.figures]
                ends[end] += _at(term, corner) - usual
            named.setdefault(doubt, {}).update(dict.fromkeys(f for f in term.figures if f.doubt(apart) == doubt))
    found = [Swing(doubt, tuple(named[doubt]), value + low, value + high) for doubt, (low, high) in moved.items()]
    return tuple(sorted(found, key=lambda each: (-each.size, each.doubt)))
