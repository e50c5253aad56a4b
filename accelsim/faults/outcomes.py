"""What comes of a fault, and how what came of many is added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

DEAD, LOGICAL, ROUNDED, CLAMPED, CORRUPTED, HANG, PROTOCOL = range(7)
NAMES = ("dead", "logical", "rounded", "clamped", "corrupted", "hang", "protocol")
"""Masked: never read again (dead), without an effect on any sum (logical), rounded or clamped away when sums become outputs. Silent:
outputs are corrupted. Not silent: words never come (a watchdog sees the hang), or too many do (protocol).
"""
MASKED, SILENT, UNRECOVERED = (DEAD, LOGICAL, ROUNDED, CLAMPED), (CORRUPTED,), (HANG, PROTOCOL)
MAGNITUDES = 65  # by the bits that the largest difference of an output takes: 0, 1, 2 to 3, 4 to 7, …


@dataclass(frozen=True, slots=True)
class Effects:
    """Of some faults, each of the same length: outcomes; outputs that change; the largest difference of one; whether a decision changes;
    and, where each stands for a class, which fault it is and how many there are in the class (None: each stands for itself).
    """

    outcome: IntArray
    wrong: IntArray
    worst: IntArray
    decided: NDArray[np.bool_]
    fault: IntArray | None = None
    weight: IntArray | None = None


@dataclass(frozen=True)
class Tally:
    """Many faults added up. `counts`: by outcome; `magnitudes`: corrupted ones by the bits of the largest difference; `decided`: those that
    change a decision; `worst`: number and largest difference of the worst, (-1, 0) if none corrupts.
    """

    counts: tuple[int, ...] = (0,) * len(NAMES)
    magnitudes: tuple[int, ...] = (0,) * MAGNITUDES
    decided: int = 0
    worst: tuple[int, int] = (-1, 0)
    total: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", sum(self.counts))

    @classmethod
    def of(cls, effects: Effects, numbers: IntArray) -> Tally:
        """Of faults with these numbers."""
        import numpy as np

        weight = np.ones(len(numbers), np.int64) if effects.weight is None else effects.weight
        counts = [int(weight[effects.outcome == each].sum()) for each in range(len(NAMES))]
        corrupted = effects.outcome == CORRUPTED
        sizes = np.frexp(effects.worst[corrupted].astype(float))[1]
        worst = (-1, 0)
        if corrupted.any():
            at = int(np.argmax(np.where(corrupted, effects.worst, -1)))
            worst = int((numbers if effects.fault is None else effects.fault)[at]), int(effects.worst[at])
        magnitudes = np.zeros(MAGNITUDES, np.int64)
        np.add.at(magnitudes, sizes, weight[corrupted])
        return cls(tuple(counts), tuple(map(int, magnitudes)), int(weight[effects.decided].sum()), worst)

    def __add__(self, other: Tally) -> Tally:
        counts, magnitudes = (
            tuple(map(sum, zip(*each, strict=True)))
            for each in ((self.counts, other.counts), (self.magnitudes, other.magnitudes))
        )  # fmt: skip
        worst = other.worst if other.worst[1] > self.worst[1] else self.worst
        return Tally(counts, magnitudes, self.decided + other.decided, worst)

    def some(self, outcomes: tuple[int, ...]) -> int:
        """How many have one of these outcomes."""
        return sum(self.counts[each] for each in outcomes)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        last = max((place for place, count in enumerate(self.magnitudes) if count), default=-1)
        return {
            "outcomes": dict(zip(NAMES, self.counts, strict=True)), "magnitude_bits": list(self.magnitudes[: last + 1]),
            "decisions_changed": self.decided, "worst": {"fault": self.worst[0], "difference": self.worst[1]},
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tally:
        """And back; ValueError for what `to_json` never gives."""
        try:
            counts = tuple(data["outcomes"][name] for name in NAMES)
            magnitudes, decided = [*data["magnitude_bits"]], data["decisions_changed"]
            worst = data["worst"]["fault"], data["worst"]["difference"]
        except (KeyError, TypeError):
            raise ValueError("counts are missing") from None
        if not all(type(each) is int and -1 <= each < 1 << 63 for each in (*counts, *magnitudes, decided, *worst)):
            raise ValueError("counts are not whole numbers")
        corrupted = sum(counts[each] for each in SILENT)
        if min(*counts, decided, worst[1], 0, *magnitudes) < 0 or len(magnitudes) > MAGNITUDES or sum(magnitudes) != corrupted:
            raise ValueError("counts are negative, or do not add up")
        if decided > sum(counts) or (worst[0] < 0) != (corrupted == 0):
            raise ValueError("counts do not add up")
        return cls(counts, tuple([*magnitudes, *[0] * MAGNITUDES][:MAGNITUDES]), decided, worst)
