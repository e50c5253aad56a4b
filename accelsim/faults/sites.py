"""Places of faults in a mapped cascade, beside upsets of words that lie in a memory (`cones.Fault`): cells, and words on their way."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.mapping.tree import Address

FILL, READ, RESULT = "fill", "read", "result"


@dataclass(frozen=True, slots=True)
class Stuck:
    """Bits of a cell that are 0 all the time, or 1: `bits` of them from `bit` up, of the words of a tensor in one copy of a keep.

    `keep`, `copy`: as of an upset. `partial`: the cell is one of those in which incomplete sums lie, in their partial type.
    """

    memory: str
    tensor: str
    keep: Address
    copy: tuple[int, ...]
    cell: int
    bit: int
    one: bool
    partial: bool = False
    bits: int = 1


@dataclass(frozen=True, slots=True)
class Transit:
    """`bits` adjacent bits, from `bit` up, that flip in a word on its way, before the way branches off to the copies that share it.

    `kind`: FILL, into copies of a keep; READ, from a keep to units; RESULT, a complete word into a keep, and on to those further out.
    `keep`, `copy`: of a fill and a result where it goes to (of several copies one), of a read where it comes from. `step`: when it arrives;
    of a result, that of its last point. `einsum`: of a read and a result; `read`: which of its reads; `point`: coordinates of its ranks
    at one of the units.
    """

    kind: str
    tensor: str
    keep: Address
    copy: tuple[int, ...]
    word: int
    step: int
    bit: int
    bits: int = 1
    einsum: str = ""
    read: int = 0
    point: tuple[int, ...] = ()
