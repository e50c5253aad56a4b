"""What faults are injected into: sites in strata, each fault of which has a number, and what comes of some of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from accelsim.jobs.store import digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.confirmation import Confirmation
    from accelsim.faults.outcomes import Effects

    IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Stratum:
    """Faults that are alike: in registers or words of one name. `block`: what holds them; `bits` of storage; `population`: faults, one for
    each bit (or run of bits that flip together) and unit of time. `classes`: how many injections stand for all of them; `cell`: the kind of
    storage, by which rates are looked up ('': not known).
    """

    block: str
    name: str
    role: str
    bits: int
    population: int
    classes: int
    cell: str = ""


def element_name(tensor: str, shape: tuple[int, ...], word: int) -> str:
    """An element of a tensor as one writes it, `Z[1,2]`, by its place in the order of elements."""
    import numpy as np

    return f"{tensor}[{','.join(str(int(each)) for each in np.unravel_index(word, shape))}]" if shape else f"{tensor}[]"


def decision_key(decides: tuple[str, IntArray] | None) -> tuple[str, str] | None:
    """A tensor and the groups of its elements, as a part of a `content_key`."""
    return None if decides is None else (decides[0], digest(decides[1]))


class Target(Protocol):
    """Faults by stratum and number, from 0 up to its population, or by class. Where nothing else is said, every fault is a class."""

    @property
    def strata(self) -> tuple[Stratum, ...]:
        """All of them."""
        ...

    @property
    def terms(self) -> tuple[str, str, str]:
        """What a report calls strata, what they have many of, and the share of their faults that matters."""
        ...

    @property
    def noun(self) -> str:
        """What its faults are called, many of them."""
        ...

    @property
    def chunk(self) -> int:
        """How many faults are worth handing out at once: those of a second or so."""
        ...

    def effects(self, stratum: int, numbers: IntArray) -> Effects:
        """What comes of some faults of a stratum."""
        ...

    def of_classes(self, stratum: int, numbers: IntArray) -> Effects:
        """What comes of one fault of some classes, with the number of faults that each class has."""
        return self.effects(stratum, numbers)

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """Where and when a fault is, as plain data."""
        ...

    def key_parts(self) -> tuple[object, ...]:
        """What of it does not follow from the cascade, the machine, the mapping and the inputs, for a `jobs.store.content_key`."""
        ...

    def unrated(self) -> tuple[str, str] | None:
        """Why no table can have raw rates of its faults, and how to mend it; None if one may."""
        return None


@runtime_checkable
class Confirmable(Target, Protocol):
    """A target whose faults can run in RTL too."""

    def confirmed(self, rtl: Path, faults: int, seed: int, tell: Callable[[str], None]) -> Confirmation:
        """So many faults there. rtl: the folder of the sources. InputError where Verilator is missing, or nothing is at stake."""
        ...


@runtime_checkable
class Grouped(Target, Protocol):
    """A target whose faults are in groups, for samples by importance."""

    def groups(self, stratum: int) -> IntArray:
        """How many faults are in each group of those that are likely to have one outcome: a stratum's population in all."""
        ...

    def members(self, stratum: int, group: IntArray, places: IntArray) -> IntArray:
        """Numbers of faults, each by its group and its place there."""
        ...
