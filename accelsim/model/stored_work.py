"""What an Einsum does over stored elements: operations, coordinates that meet, tiles and caches. Source: docs/sparse.md, "Nests"."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Meeting:
    """How a loop finds the coordinates that it visits: the node that does, how, its steps in all, and how many coordinates matched."""

    rank: str
    node: str
    by: str
    steps: int
    visits: int


@dataclass(frozen=True, slots=True)
class Tile:
    """The fullest tile of a tensor that a memory holds, in bits, and how many visits bring one that is larger than the memory."""

    tensor: str
    memory: str
    bits: int
    beyond: int


@dataclass(frozen=True, slots=True)
class Cached:
    """What a cache does for a tensor: its policy, requests, those that fetch something, and bits of all requests and of what is fetched."""

    replacement: str
    accesses: int
    misses: int
    asked_bits: int
    fetched_bits: int


@dataclass(frozen=True, slots=True)
class Together:
    """What a copy of a memory holds at the same time: of which tensors, the most bits, visits below its keeps, and those in which it holds
    more than it has room for.
    """

    memory: str
    tensors: tuple[str, ...]
    bits: int
    visits: int
    beyond: int


@dataclass(slots=True)
class Work:
    """What an Einsum does: `dense` operations, those `issued`, those on stored elements alone (`effectual`).

    `busiest`, `ideal`: issues of the copy that has most, and if all had as many. `merging`: cycles of all mergers, or of sorting where
    `sort` says how: of queues those in which they fill, and `draining` those in which they empty. `cached`: by memory and tensor.
    """

    dense: int
    issued: int
    effectual: int
    busiest: int
    ideal: int
    merging: int
    meetings: list[Meeting]
    tiles: list[Tile] = field(default_factory=list)
    cached: dict[tuple[str, str], Cached] = field(default_factory=dict)
    together: list[Together] = field(default_factory=list)
    sort: str = ""
    draining: int = 0

    @property
    def skipped(self) -> int:
        """Operations that are never issued."""
        return self.dense - self.issued

    @property
    def idle(self) -> int:
        """Operations that are issued on elements that are not stored."""
        return self.issued - self.effectual

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "dense": self.dense, "issued": self.issued, "effectual": self.effectual, "skipped": self.skipped, "idle": self.idle,
            "busiest": self.busiest, "ideal": self.ideal, "merging_cycles": self.merging,
            "sorted_by": self.sort, "draining_cycles": self.draining,
            "meetings": [{"rank": m.rank, "node": m.node, "by": m.by, "steps": m.steps, "visits": m.visits} for m in self.meetings],
            "tiles": [{"tensor": t.tensor, "memory": t.memory, "bits": t.bits, "beyond": t.beyond} for t in self.tiles],
            "together": [
                {"memory": each.memory, "tensors": list(each.tensors), "bits": each.bits, "visits": each.visits, "beyond": each.beyond}
                for each in self.together
            ],
            "caches": [
                {
                    "memory": memory, "tensor": tensor, "replacement": each.replacement, "accesses": each.accesses, "misses": each.misses,
                    "asked_bits": each.asked_bits, "fetched_bits": each.fetched_bits,
                }
                for (memory, tensor), each in self.cached.items()
            ],
        }  # fmt: skip
