"""Ways to protect a block, what each finds and corrects, and what it costs: from its structure where that says it, else as published.

A block is made of parts: flops, memory, and logic without state. A technique protects some kinds of part; a choice is what is done about
one block: nothing, a technique, or one for each of its parts. Areas, energies and delays are in any units, the same for all blocks; rates
are in FIT, failures in 10^9 hours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.faults.outcomes import SILENT, UNRECOVERED
from accelsim.hardware.architecture import Quantity

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.outcomes import Tally

    Shares = NDArray[np.float64]

FLOPS, MEMORY, LOGIC = "flops", "memory", "logic"
PARTS = (FLOPS, MEMORY, LOGIC)
PARITY, SECDED, CHECKSUMS = "parity", "secded", "checksums"
STRUCTURES = (PARITY, SECDED, CHECKSUMS)
MARKS = ("read", "quoted", "executed", "derived", "recalled", "assumed")
"""How certain a figure is: read in its source; in another that quotes it; run; derived from those; from memory, to be looked up before it
is cited; or assumed.
"""
NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Observed:
    """Faults of a part under one workload: silent corruptions and failures that tell, of so many; `exhaustive`: of all there are."""

    silent: int
    detected: int
    injections: int
    exhaustive: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.silent <= self.injections or not 0 <= self.detected <= self.injections - self.silent or not self.injections:
            what = f"{self.silent} silent and {self.detected} detected of {self.injections} faults cannot be"
            raise InputError(what, "write whole numbers, together at most the injections, which are at least 1")

    @classmethod
    def of(cls, tally: Tally, exhaustive: bool) -> Observed:
        """What a campaign found in a stratum, which is a part: strata that were sampled in different shares are different parts."""
        return cls(tally.some(SILENT), tally.some(UNRECOVERED), tally.total, exhaustive)

    def upper(self, confidence: float) -> tuple[float, float]:
        """Shares, silent and detected, that are exceeded in at most 1 - confidence of campaigns each (Clopper-Pearson, one side)."""
        from accelsim.faults.intervals import upper_bound

        if self.exhaustive:
            return self.silent / self.injections, self.detected / self.injections
        return tuple(float(each) for each in upper_bound([self.silent, self.detected], self.injections, confidence))  # type: ignore[return-value]

    def draw(self, rng: np.random.Generator) -> tuple[float, float]:
        """Shares from the posterior after a Jeffreys prior (Dirichlet, 1/2 each)."""
        if self.exhaustive:
            return self.upper(0.5)
        masked = self.injections - self.silent - self.detected
        silent, detected, _ = rng.dirichlet((self.silent + 0.5, self.detected + 0.5, masked + 0.5))
        return float(silent), float(detected)


@dataclass(frozen=True, slots=True)
class Part:
    """What is alike in a block. `fit`: raw rate of all its bits; `word`: bits of a word; `observed`: by workload."""

    kind: str
    bits: int
    fit: float
    area: float
    energy: float
    observed: tuple[Observed, ...]
    word: int = 32

    def __post_init__(self) -> None:
        if self.kind not in PARTS:
            raise InputError(f"no part is called '{self.kind}'", f"known: {', '.join(PARTS)}")
        if self.word < 1 or min(self.bits, self.fit, self.area, self.energy) < 0:
            raise InputError(f"a part of {self.bits} bits, {self.fit:g} FIT, area {self.area:g}, energy {self.energy:g} cannot be",
                             "write numbers of at least 0, and words of at least 1 bit")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Block:
    """Parts that are protected one by one, or together. `product`: rows, columns and depth of the product it makes, if it makes one;
    `paths`: critical paths it is on.
    """

    name: str
    parts: tuple[Part, ...]
    product: tuple[int, int, int] | None = None
    paths: tuple[str, ...] = ()

    @property
    def fit(self) -> float:
        """Raw rate."""
        return sum(part.fit for part in self.parts)


@dataclass(frozen=True, slots=True)
class Technique:
    """A way to protect parts of some kinds.

    `detected`: share of corruptions that are found, or never come about; `corrected`: share of those that leave nothing behind, the rest
    being failures that tell. `area`, `energy`: in those of what is protected; `added`: rate of the hardware it adds, in the rate of what is
    protected; `checked`: share of that hardware's own failures that are found before they matter (latent coverage); `delay`: on each
    path through the block. With a `structure`, costs that follow from it are computed instead. `gate`: area of an exclusive-or, in flops;
    `of_products`: it is for blocks that make a product alone, as checksums are.
    """

    name: str
    protects: tuple[str, ...]
    detected: Quantity
    corrected: Quantity
    area: Quantity
    energy: Quantity
    added: Quantity
    checked: Quantity
    delay: Quantity
    source: str
    mark: str
    structure: str | None = None
    gate: float = 0.0
    of_products: bool = False

    def fits(self, block: Block) -> bool:
        """Whether a block has something that it protects, and makes a product if it takes one."""
        kinds = {part.kind for part in block.parts if part.fit > 0}
        return bool(kinds & set(self.protects)) and (block.product is not None or not (self.of_products or self.structure == CHECKSUMS))


@dataclass(frozen=True, slots=True)
class Cost:
    """What is added to a part: area, energy, and rate of failures."""

    area: float
    energy: float
    fit: float


def check_bits(word: int) -> int:
    """Bits beside a word that correct one and detect two: those of a Hamming code and a parity of all.

    Source: Hamming, Bell Syst. Tech. J. 29, 1950, doi:10.1002/j.1538-7305.1950.tb00463.x.
    """
    found = 1
    while (1 << found) < word + found + 1:
        found += 1
    return found + 1


def codec_gates(structure: str, word: int) -> int:
    """Gates of two inputs that write and check a word of a code, none shared: an upper bound on what synthesis makes."""
    if structure == PARITY:
        return (word - 1) + word
    places = [place for place in range(3, 2 * word + 4) if place & (place - 1)][:word]
    checks = check_bits(word) - 1
    covered = [sum(place >> check & 1 for place in places) for check in range(checks)]
    write = sum(max(0, each - 1) for each in covered) + word + checks - 1
    return 2 * write + checks + 1 + word * checks  # read: as written, compared, and each bit's place found and turned


def extra_products(rows: int, columns: int) -> float:
    """Multiplications that row and column checksums of a product add, in those of the product: a row and a column of it."""
    return 1 / rows + 1 / columns


def cost(technique: Technique, block: Block, part: Part, worst: bool = False) -> Cost:
    """What a technique adds to a part that it protects; `worst`: at the high ends of its figures."""
    area, energy, added = (each.high if worst else each.value for each in (technique.area, technique.energy, technique.added))
    if technique.structure in {PARITY, SECDED}:
        extra = (1 if technique.structure == PARITY else check_bits(part.word)) / part.word
        gates = 0.0  # beside a memory, those of its one codec are nothing; flops have a codec for each word
        if part.kind == FLOPS and part.bits:
            words, flop = -(-part.bits // part.word), part.area / part.bits
            gates = codec_gates(technique.structure, part.word) * words * technique.gate * flop
        return Cost(part.area * extra + gates, part.energy * extra, part.fit * extra)
    if technique.structure == CHECKSUMS:
        assert block.product is not None
        energy = extra_products(*block.product[:2])
    return Cost(part.area * area, part.energy * energy, part.fit * added)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is done about a block and what it comes to. `silent`, `detected`: rates that are left, float64[workloads]; `added`: rate of what
    is added, and `latent` what no check finds of it.
    """

    name: str
    area: float
    energy: float
    delay: float
    silent: Shares
    detected: Shares
    added: float
    latent: float


def uses(block: Block, techniques: Sequence[Technique]) -> Iterator[tuple[Technique, ...]]:
    """Sets of techniques for a block: none, and all that protect different parts of it."""
    fitting = [each for each in techniques if each.fits(block)]
    kinds = {part.kind for part in block.parts}
    for size in range(len(kinds) + 1):
        for used in combinations(fitting, size):
            covered = [kind for each in used for kind in each.protects if kind in kinds]
            if len(covered) == len(set(covered)):
                yield used


def choice(block: Block, used: Sequence[Technique], shares: Sequence[Sequence[tuple[float, float]]], worst: bool = False) -> Choice:
    """What techniques make of a block. shares: silent and detected, by part and workload. Failures of what is added raise a flag, as
    often as those of what it protects show, unless they are corrected.
    """
    import numpy as np

    area = energy = added = latent = 0.0
    found = np.zeros((2, len(shares[0])))
    for part, each in zip(block.parts, shares, strict=True):
        silent, telling = np.array(each, float).reshape(-1, 2).T
        technique = next((one for one in used if part.kind in one.protects), None)
        if technique is None:
            found += part.fit * np.array([silent, telling])
            continue
        spent = cost(technique, block, part, worst)
        covered, mended = (figure.low if worst else figure.value for figure in (technique.detected, technique.corrected))
        area, energy, added = area + spent.area, energy + spent.energy, added + spent.fit
        latent += spent.fit * (1 - (technique.checked.low if worst else technique.checked.value))
        flagged = part.fit * silent * covered * (1 - mended) + part.fit * telling * (1 - covered * mended)
        found += np.array([part.fit * silent * (1 - covered), flagged + spent.fit * (silent + telling) * (1 - mended)])
    delay = sum(each.delay.high if worst else each.delay.value for each in used)
    name = " + ".join(each.name for each in used) or NOTHING
    return Choice(name, area, energy, delay, found[0], found[1], added, latent)


def choices(
    block: Block, techniques: Sequence[Technique], shares: Sequence[Sequence[tuple[float, float]]], worst: bool = False
) -> list[Choice]:
    """All choices about a block, first to do nothing."""
    return [choice(block, used, shares, worst) for used in uses(block, techniques)]
