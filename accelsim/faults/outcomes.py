"""What comes of a fault, and how what came of many is added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

DEAD, LOGICAL, ROUNDED, CLAMPED, CORRUPTED, HANG, PROTOCOL, ABSORBED, UNKNOWN, DETECTED = range(10)
NAMES = ("dead", "logical", "rounded", "clamped", "corrupted", "hang", "protocol", "absorbed", "unknown", "detected")
"""Masked: never read again (dead), without an effect on any sum (logical), rounded or clamped away when sums become outputs, or in a
network without a difference after some layer (absorbed). Silent: outputs are corrupted, or may be (unknown: what comes of it is not
worked out). Not silent: words never come (a watchdog sees the hang), too many do (protocol), or a check sees wrong words (detected).
"""
MASKED, SILENT, UNRECOVERED = (DEAD, LOGICAL, ROUNDED, CLAMPED, ABSORBED), (CORRUPTED, UNKNOWN), (HANG, PROTOCOL, DETECTED)
_GRAVITY = (DEAD, LOGICAL, ABSORBED, ROUNDED, CLAMPED, CORRUPTED, DETECTED, PROTOCOL, HANG, UNKNOWN)  # of several products, the last counts
MAGNITUDES = 65  # by the bits that the largest difference of an output takes: 0, 1, 2 to 3, 4 to 7, …


@dataclass(frozen=True, slots=True)
class Effects:
    """Of some faults, each of the same length: outcomes; outputs that change; the largest difference of one; whether a decision changes;
    and, where each stands for a class, which fault it is and how many there are in the class (None: each stands for itself).

    Of a network too: `where`, the layer after which nothing differs (-1: not absorbed), and `decisions`: int64[faults, 3], how many change,
    right ones that become wrong, and wrong ones that become right.
    """

    outcome: IntArray
    wrong: IntArray
    worst: IntArray
    decided: NDArray[np.bool_]
    fault: IntArray | None = None
    weight: IntArray | None = None
    where: IntArray | None = None
    decisions: IntArray | None = None

    @classmethod
    def of(cls, found: IntArray) -> Effects:
        """From int64[faults, 4]: outcome, outputs that change, largest difference, decisions that change."""
        return cls(found[:, 0], found[:, 1], found[:, 2], found[:, 3] > 0)


def gravest(found: IntArray) -> Effects:
    """Faults in several products: int64[products, faults, 4] of outcome, outputs that change, largest difference, decisions changed."""
    import numpy as np

    gravity = np.argsort(_GRAVITY)[found[:, :, 0]].max(axis=0)
    wrong, worst, decided = found[:, :, 1].sum(axis=0), found[:, :, 2].max(axis=0), found[:, :, 3].max(axis=0) > 0
    return Effects(np.array(_GRAVITY)[gravity], wrong, worst, decided)


@dataclass(frozen=True)
class Tally:
    """Many faults added up. `counts`: by outcome; `magnitudes`: corrupted ones by the bits of the largest difference; `decided`: those that
    change a decision; `worst`: number and largest difference of the worst, (-1, 0) if none corrupts. `where`: absorbed ones by the layer
    after which nothing differs (those behind the last are 0); `decisions`: how many change in all, are lost and are made right. `parts`:
    the same by group, where groups are drawn more or less often than they occur.
    """

    counts: tuple[int, ...] = (0,) * len(NAMES)
    magnitudes: tuple[int, ...] = (0,) * MAGNITUDES
    decided: int = 0
    worst: tuple[int, int] = (-1, 0)
    where: tuple[int, ...] = ()
    decisions: tuple[int, int, int] = (0, 0, 0)
    parts: tuple[Tally, ...] = ()
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
        where: tuple[int, ...] = ()
        decisions = 0, 0, 0
        if effects.where is not None:
            absorbed = effects.where >= 0
            there = np.zeros(int(effects.where.max(initial=-1)) + 1, np.int64)
            np.add.at(there, effects.where[absorbed], weight[absorbed])
            where = tuple(map(int, there))
        if effects.decisions is not None:
            changed, lost, gained = (effects.decisions * weight[:, None]).sum(axis=0).tolist()
            decisions = changed, lost, gained
        return cls(tuple(counts), tuple(map(int, magnitudes)), int(weight[effects.decided].sum()), worst, where, decisions)

    def __add__(self, other: Tally) -> Tally:
        counts, magnitudes = (
            tuple(map(sum, zip(*each, strict=True)))
            for each in ((self.counts, other.counts), (self.magnitudes, other.magnitudes))
        )  # fmt: skip
        worst = other.worst if other.worst[1] > self.worst[1] else self.worst
        where = tuple(map(sum, zip_longest(self.where, other.where, fillvalue=0)))
        changed, lost, gained = map(sum, zip(self.decisions, other.decisions, strict=True))
        parts = tuple(one + two for one, two in zip_longest(self.parts, other.parts, fillvalue=Tally()))
        return Tally(counts, magnitudes, self.decided + other.decided, worst, where, (changed, lost, gained), parts)

    @classmethod
    def grouped(cls, effects: Effects, numbers: IntArray, group: IntArray, groups: int) -> Tally:
        """Of faults with these numbers, each of which stands for itself, and of those of each group."""
        parts = []
        for each in range(groups):
            mine = group == each
            some = Effects(effects.outcome[mine], effects.wrong[mine], effects.worst[mine], effects.decided[mine])
            parts.append(cls.of(some, numbers[mine]))
        return replace(cls.of(effects, numbers), parts=tuple(parts))

    def some(self, outcomes: tuple[int, ...]) -> int:
        """How many have one of these outcomes."""
        return sum(self.counts[each] for each in outcomes)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        last = max((place for place, count in enumerate(self.magnitudes) if count), default=-1)
        network = {"absorbed_after": list(self.where), "decisions": list(self.decisions)} if self.where or any(self.decisions) else {}
        return {
            "outcomes": dict(zip(NAMES, self.counts, strict=True)), "magnitude_bits": list(self.magnitudes[: last + 1]),
            "decisions_changed": self.decided, "worst": {"fault": self.worst[0], "difference": self.worst[1]},
            **network, **({"groups": [each.to_json() for each in self.parts]} if self.parts else {}),
        }  # fmt: skip

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Tally:
        """And back; ValueError for what `to_json` never gives."""
        try:
            counts = tuple(data["outcomes"][name] for name in NAMES)
            parts = tuple(map(cls.from_json, data.get("groups", ())))
            magnitudes, decided = [*data["magnitude_bits"]], data["decisions_changed"]
            worst = data["worst"]["fault"], data["worst"]["difference"]
            where, decisions = [*data.get("absorbed_after", ())], [*data.get("decisions", (0, 0, 0))]
        except (KeyError, TypeError):
            raise ValueError("counts are missing") from None
        every = (*counts, *magnitudes, decided, *worst, *where, *decisions)
        if not all(type(each) is int and -1 <= each < 1 << 63 for each in every) or len(decisions) != 3:
            raise ValueError("counts are not whole numbers")
        corrupted = counts[CORRUPTED]
        if min(*counts, decided, worst[1], 0, *magnitudes, *where, *decisions) < 0 or len(magnitudes) > MAGNITUDES:
            raise ValueError("counts are negative, or do not add up")
        if sum(magnitudes) != corrupted or (where and sum(where) != counts[ABSORBED]):
            raise ValueError("counts are negative, or do not add up")
        if decided > sum(counts) or (worst[0] < 0) != (corrupted == 0):
            raise ValueError("counts do not add up")
        if parts and tuple(map(sum, zip(*(each.counts for each in parts), strict=True))) != counts:
            raise ValueError("counts of groups do not add up")
        changed, lost, gained = decisions
        filled = tuple([*magnitudes, *[0] * MAGNITUDES][:MAGNITUDES])
        return cls(counts, filled, decided, worst, tuple(where), (changed, lost, gained), parts)
