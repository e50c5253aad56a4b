"""What a run of a sweep keeps of its rows: which are known, who waits for which, and where those that come are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from accelsim.explore.finished import Finished
from accelsim.explore.points import Row

A = TypeVar("A")


class Ledger(Generic[A]):
    """`new`: rows that were worked out; `known`: how often a row was there. Whoever asks for a row is an A, and many may ask for one."""

    def __init__(self, finished: Finished) -> None:
        self.finished = finished
        self.new = self.known = 0
        self._waiting: dict[bytes, list[A]] = {}

    def place(self, key: bytes) -> int:
        """Where the row of a key is in `finished`; 0 where it is not there."""
        (place,) = self.finished.places([key])
        self.known += place > 0
        return place

    def waits(self, key: bytes) -> bool:
        """Whether somebody waits for the row of a key."""
        return key in self._waiting

    def wait(self, key: bytes, asker: A) -> None:
        """Note who waits for the row of a key."""
        self._waiting.setdefault(key, []).append(asker)

    def keep(self, keys: Sequence[bytes], rows: Sequence[Row]) -> list[tuple[A, int]]:
        """Keep rows under their keys; gives everybody who waited for one beside its place."""
        places = self.finished.put(dict(zip(keys, rows, strict=True)))
        self.new += len(rows)
        return [(asker, place) for key, place in zip(keys, places, strict=True) for asker in self._waiting.pop(key)]
