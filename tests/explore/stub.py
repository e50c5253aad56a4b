"""Cases whose rows are a formula of a point's values, for what does not need a mapper."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accelsim.explore.dimension import Axis, listed
from accelsim.explore.points import NO_MAPPING, OK, Case, Point, Row
from accelsim.explore.rules import Rule
from accelsim.explore.sweep import Sample, Sweep


@dataclass(frozen=True)
class StubCases:
    """Cases without nouns; `slow`: seconds that each row takes."""

    slow: float = 0.0

    def case(self, point: Point) -> Case:
        raise NotImplementedError

    def key(self, point: Point) -> bytes:
        return hashlib.blake2b("\n".join(point.values).encode(), digest_size=16).digest()

    def problem(self, point: Point) -> str | None:
        """Some points are one problem, the others alone."""
        return point.values[-1] if int(point.values[0]) % 3 else None

    def area_um2(self, point: Point) -> float | None:
        return 100.0 * float(point.values[0])

    def text(self, mapping: Any) -> str:
        return ""

    def command(self, point: Point) -> str:
        return f"stub {' '.join(point.values)}"


def stub_rows(cases: StubCases, points: Sequence[Point]) -> list[Row]:
    """A row for each point: made up, the same for the same values."""
    if cases.slow:
        time.sleep(cases.slow * len(points))
    return [stub_row(cases, point) for point in points]


def stub_row(cases: StubCases, point: Point) -> Row:
    first, second = (float(text) for text in point.values[:2])
    if (int(first) + int(second)) % 11 == 10:
        return Row(NO_MAPPING, "eleven")
    cycles = int(1e6 / first + second)
    energy = 3.7 * first * second + 1.0
    return Row(OK, "", cycles, cycles / 1e9, energy, energy / 2, energy * 2, area_um2=cases.area_um2(point), power_w=energy / cycles)


def stub_sweep(*sizes: int, rules: tuple[Rule, ...] = (), sample: Sample | None = None, slow: float = 0.0) -> Sweep:
    """A sweep of axes x0, x1, … with so many values each, from 1."""
    axes: tuple[Axis, ...] = tuple(listed(f"x{at}", tuple(map(str, range(1, size + 1))), None) for at, size in enumerate(sizes))
    return Sweep("stub", axes, (), StubCases(slow), rules, sample or Sample())
