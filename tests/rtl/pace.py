"""When a side of a stream is willing: always, seldom, at random, or for stretches."""

from __future__ import annotations

from random import Random


class Pace:
    """Willing or not in each cycle; the manner changes every few dozen cycles."""

    def __init__(self, rng: Random) -> None:
        self.rng, self.left, self.chance, self.stays, self.is_willing = rng, 0, 0.0, 0.0, False

    def now(self) -> bool:
        """Whether it is willing in this cycle."""
        if not self.left:
            self.left = self.rng.randint(5, 30)
            self.chance, self.stays = self.rng.choice(((1.0, 0.0), (1.0, 0.0), (0.1, 0.0), (0.5, 0.0), (0.5, 0.8)))
        self.left -= 1
        if self.rng.random() >= self.stays:
            self.is_willing = self.rng.random() < self.chance
        return self.is_willing
