"""What it costs to move a tensor between the root and memory 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from accelsim.mapper.leaf_plan import FloatArray
from accelsim.mapper.pieces import Stretch

if TYPE_CHECKING:
    from accelsim.mapper.exact import Exact


class Moves:
    """Energy and times of moves, float64[1 + times], worked out once each."""

    def __init__(self, exact: Exact) -> None:
        self.exact, self.evaluator = exact, exact.evaluator
        self.root, self.home = exact.machine.root.name, exact.home
        tables = (self.evaluator.prices.read, self.evaluator.prices.write, self.evaluator.prices.update)
        self._prices = {
            name: [0.0 if (price := table[name]) is None else price.value for table in tables]
            for name in (self.root, self.home) if name is not None
        }  # fmt: skip
        self._known: dict[tuple[str, int, int], FloatArray] = {}

    def cost(self, tensor: str, words: int, stretch: Stretch) -> FloatArray:
        """Of bringing words of a tensor to memory 1 for the Einsums of a part, or of sending them out (distinct words once each)."""
        widths = self.evaluator.widths
        made = tensor in stretch.exported
        width = widths.partial[tensor] if made else max(
            widths.read[name, tensor] for name in stretch.names if (name, tensor) in widths.read
        )  # fmt: skip
        key = tensor, words, -width if made else width
        if key not in self._known:
            self._known[key] = self._sent(tensor, words, width) if made else self._brought(words * width)
        return self._known[key]

    def _brought(self, pieces: int) -> FloatArray:
        assert self.home is not None
        return self._sum([(self.root, "read", pieces, 0), (self.home, "write", pieces, 1)])

    def _sent(self, tensor: str, words: int, wide: int) -> FloatArray:
        """Of a result, which is as wide as its partial type until it is complete."""
        assert self.home is not None
        distinct = self.exact.tensors.words(tensor)
        sent, again = words * wide - distinct * (wide - self.evaluator.widths.final[tensor]), (words - distinct) * wide
        moves = [(self.root, "write", sent, 2), (self.root, "read", again, 0), (self.home, "write", again, 1)]
        if self.evaluator.counting.drains == "charged":
            moves.append((self.home, "read", sent, 0))
        return self._sum(moves)

    def _sum(self, moves: list[tuple[str, str, int, int]]) -> FloatArray:
        """Of moves: the memory, the side of its port, pieces, and which of its prices."""
        exact, found = self.exact, np.zeros(1 + self.exact.times)
        for memory, side, pieces, price in moves:
            found[0] += pieces * self._prices[memory][price]
            port = self.evaluator.clock.ports.get(memory)
            if port is not None:
                rate = port.read if side == "read" or port.shared else port.write
                if rate is not None:
                    found[1 + exact.numbers[memory, "read" if side == "read" or port.shared else "write"]] += pieces * rate
            if memory == self.root:
                found[1 + exact.traffic] += pieces
        return found
