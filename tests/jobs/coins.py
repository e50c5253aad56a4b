"""A target of faults whose effects are a formula, for campaigns that need no array; workers of a cluster import it from here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from accelsim.faults.outcomes import CORRUPTED, Effects
from accelsim.faults.target import Stratum


@dataclass(frozen=True)
class SlowCoin:
    """Faults of which a share corrupts, known beforehand; each chunk takes some seconds."""

    shares: tuple[float, ...]
    seconds: float = 0.0

    @property
    def strata(self) -> tuple[Stratum, ...]:
        return tuple(Stratum("coin", f"c{place}", "operands", 1, 1 << 40, 1 << 40) for place in range(len(self.shares)))

    @property
    def chunk(self) -> int:
        return 1 << 10

    def of_classes(self, stratum: int, numbers: Any) -> Effects:
        return self.effects(stratum, numbers)

    def effects(self, stratum: int, numbers: Any) -> Effects:
        time.sleep(self.seconds)
        corrupted = (numbers * 2654435761 % (1 << 32)) < self.shares[stratum] * (1 << 32)
        return Effects(np.where(corrupted, CORRUPTED, 0), corrupted * 1, corrupted * 5, corrupted)

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        return {"number": number}
