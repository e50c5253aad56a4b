"""How far long work is, how fast it goes and when it will be done, in words."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

_WINDOW_S = 60.0  # the rate is that of the last minute: what was compiled at first, or is slower by now, does not count for ever


@dataclass(slots=True)
class Meter:
    """Says how far work is; what was there when it is first asked was done by others. `clock` in seconds; `noun`: of many pieces."""

    noun: str
    clock: Callable[[], float] = time.monotonic
    seen: deque[tuple[float, float]] = field(default_factory=deque)

    def __call__(self, done: float, total: float) -> str:
        """As in '300 of 1,000 points, 25 a second, 28 s to go'. The rate comes with the first piece that is done meanwhile."""
        now = self.clock()
        while len(self.seen) > 1 and now - self.seen[1][0] > _WINDOW_S:
            self.seen.popleft()
        if not self.seen or done != self.seen[-1][1]:
            self.seen.append((now, done))
        since, before = self.seen[0]
        far = f"{done:,.0f} of {total:,.0f} {self.noun}"
        if not (done > before and now > since):
            return far
        rate = (done - before) / (now - since)
        return f"{far}, {paced(rate)}, {lasting(max(0.0, total - done) / rate)} to go"


def paced(rate: float) -> str:
    """A rate given in pieces a second, as a reader says it."""
    for per, seconds in (("second", 1), ("minute", 60)):
        if rate * seconds >= 0.95:
            return f"{rate * seconds:,.{0 if rate * seconds >= 9.95 else 1}f} a {per}"
    return f"{rate * 3600:,.1f} an hour"


def lasting(seconds: float) -> str:
    """A time to come, in its two largest units."""
    whole = int(seconds + 0.5)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"
