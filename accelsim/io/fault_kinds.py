"""What a campaign's YAML says of its faults: the kind, how many bits fail at once, and how time is counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from accelsim.errors import AccelsimError, did_you_mean
from accelsim.io.source import Item

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.cones import Mapped

    IntArray = NDArray[np.int64]

FLIPS, STUCK, LATE = "upset", "stuck", "late"
_TIMES = ("steps", "cycles")


def on_way(keys: Mapping[str, Item]) -> bool:
    """Whether faults are in words on their way."""
    return "in" in keys and keys["in"].name("'in'") == "networks"


def in_cycles(keys: Mapping[str, Item]) -> bool:
    """Whether time is counted in cycles of the simulator, instead of steps of the mapping."""
    if "time" not in keys:
        return False
    time = keys["time"].name("'time'")
    if time not in _TIMES:
        raise keys["time"].error(f"time is not counted in '{time}'", did_you_mean(time, _TIMES))
    if in_words(keys)[1]:
        raise keys["time"].error("bits are stuck all the time", "leave out 'time', or write 'kind: upset'")
    return time == "cycles"


def clock_of(item: Item, mapped: Mapped) -> IntArray:
    """When steps begin, by the simulator."""
    from accelsim.faults.clock import cycles

    try:
        return cycles(mapped)
    except AccelsimError as error:
        raise item.error(error.what, "count time in steps") from None


def in_words(keys: Mapping[str, Item]) -> tuple[int, bool]:
    """How many adjacent bits of a word of a memory, or of one on its way, fail at once, and whether they are stuck."""
    wanted, what = (("bits",), "a fault in networks") if on_way(keys) else (("bits", "kind"), "a fault in memories")
    mine = keys["faults"].only(wanted, what) if "faults" in keys else {}
    return adjacent(mine), kind_of(mine, (FLIPS, STUCK)) == STUCK


def kind_of(keys: Mapping[str, Item], known: Sequence[str]) -> str:
    """The kind of faults, one of those that are known."""
    kind = keys["kind"].name("'kind'") if "kind" in keys else FLIPS
    if kind not in known:
        raise keys["kind"].error(f"there is no kind of fault '{kind}'", did_you_mean(kind, known))
    return kind


def adjacent(keys: Mapping[str, Item]) -> int:
    """How many adjacent bits fail at once."""
    bits = keys["bits"].integer("'bits'", 1) if "bits" in keys else 1
    if bits > 64:
        raise keys["bits"].error(f"{bits} bits at once", "write at most 64")
    return bits
