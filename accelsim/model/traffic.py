"""Words as bits: a partial result may be wider than a complete one."""

from __future__ import annotations

from accelsim.model.counts import DRAINS, FILLS, READS, UPDATES
from accelsim.workload.cascade import Cascade

Key = tuple[str, str, str]


class Widths:
    """Width of every word of a cascade in pieces of a bit (`Clock.pieces` per bit)."""

    def __init__(self, cascade: Cascade, pieces: int) -> None:
        self.partial = {name: int(tensor.partial.bits * pieces) for name, tensor in cascade.tensors.items()}
        self.final = {name: int(tensor.final.bits * pieces) for name, tensor in cascade.tensors.items()}
        self.read: dict[tuple[str, str], int] = {}
        for einsum in cascade.work:
            for access in einsum.reads:
                tensor = cascade.tensors[access.tensor]
                index = cascade.index_maps(access)[tensor.iterative] if tensor.iterative is not None else None
                # a slice that a recurrence still carries is partial; its last slice, read at a constant, is complete
                carried = tensor.iterative is not None and (index is None or bool(index.terms))
                width = self.partial[access.tensor] if carried else self.final[access.tensor]
                key = (einsum.name, access.tensor)
                self.read[key] = max(width, self.read.get(key, 0))
        self.iterative = {name for name, tensor in cascade.tensors.items() if tensor.iterative is not None}
        self.written = {einsum.name: einsum.output.tensor for einsum in cascade.work}

    def bits(self, key: Key, words: list[int], complete: list[int] | None) -> tuple[int, int, int]:
        """Pieces of bits read (drains included), filled and updated at a memory for one (einsum, tensor, memory).

        words: reads, fills, updates, drains; complete: how many of the updates and drains are complete results.
        """
        einsum, tensor, _ = key
        if self.written[einsum] != tensor:
            width = self.read[einsum, tensor]
            return words[READS] * width, words[FILLS] * width, 0
        partial, final = self.partial[tensor], self.final[tensor]
        if partial == final:
            return (words[READS] + words[DRAINS]) * partial, words[FILLS] * partial, words[UPDATES] * partial
        if tensor in self.iterative or complete is None:
            complete = [0, 0, 0, 0]
        if (einsum, tensor) in self.read:  # it reads its own earlier slice: all that is left of the reads are partial
            partial = max(partial, self.read[einsum, tensor])
        read = (words[READS] + words[DRAINS]) * partial - complete[DRAINS] * (partial - final)
        return read, words[FILLS] * partial, words[UPDATES] * partial - complete[UPDATES] * (partial - final)

