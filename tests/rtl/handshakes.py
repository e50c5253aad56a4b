"""Both sides of a valid/ready handshake: how often they are willing, and that what is offered stays."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

ODDS = (1.0, 1.0, 0.6, 0.15, 0.0)


class Pace:
    """Willing or not in a cycle: always, often, rarely or never, for stretches of random length."""

    def __init__(self, rng: Random, odds: Sequence[float] = ODDS, longest: int = 15) -> None:
        self._rng, self._odds, self._longest = rng, odds, longest
        self._left, self._now = 0, 1.0

    def __call__(self) -> bool:
        """In the next cycle."""
        if not self._left:
            self._left, self._now = self._rng.randint(1, self._longest), self._rng.choice(self._odds)
        self._left -= 1
        return self._rng.random() < self._now


class Offer:
    """Watches one stream: a word that is offered is offered, unchanged, until it is taken. Counts the cycles in which one waited."""

    def __init__(self) -> None:
        self._waits: tuple[int, ...] | None = None
        self.stalled = 0

    def look(self, valid: bool, ready: bool, *words: int) -> None:
        """In every cycle."""
        if self._waits is not None:
            assert valid and words == self._waits, f"{words} instead of {self._waits}"
        self._waits = words if valid and not ready else None
        self.stalled += self._waits is not None
