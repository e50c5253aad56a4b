"""Metrics of safety from raw rates and from what comes of faults, each between bounds, and refused where an input is missing.

Rates are in FIT, failures in 10**9 hours. Of a part's faults a share is safe; of the others some are corrected, some only detected
(nothing wrong is used, but the run is lost: not safe), and the rest is silent, which is the residual rate of ISO 26262-5. Doubts of parts
are taken as independent of each other, so that bounds are too wide rather than too narrow where parts share a rate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.ranges import Range
from accelsim.faults.rates import PERMANENT, TRANSIENT, Rates

MET, MISSED, OPEN = "met", "missed", "open"
_MEND = "state it; it is not guessed"


@dataclass(frozen=True, slots=True)
class Part:
    """Hardware with one kind of fault. `fit`: its raw rate; `safe`: the share of its faults that changes nothing; `corrected`, `detected`:
    shares of the others; `latent`: of all that are not silent the share that nobody notices. None: not known.
    """

    name: str
    fault: str
    fit: Range | None
    safe: Range | None
    corrected: Range | None = None
    detected: Range | None = None
    latent: Range | None = None

    def __post_init__(self) -> None:
        if self.fault not in (TRANSIENT, PERMANENT):
            raise InputError(f"no fault is called '{self.fault}'", did_you_mean(self.fault, (TRANSIENT, PERMANENT)))
        shares = [self.safe, self.corrected, self.detected, self.latent]
        for each in shares:
            if each is not None and not 0 <= each.low <= each.value <= each.high <= 1:
                raise InputError(f"a share of faults of {self.name} is not between 0 and 1, or its bounds are out of order", "mend it")
        if self.fit is not None and not 0 <= self.fit.low <= self.fit.value <= self.fit.high:
            raise InputError(f"the rate of {self.name} is negative, or its bounds are out of order", "mend it")

    def known(self, what: str) -> Range:
        """A rate or a share of it, if it was given."""
        found: Range | None = getattr(self, what)
        if found is None:
            raise InputError(f"{what} of {self.name} is not known", _MEND)
        return found

    @property
    def residual(self) -> Range:
        """The share of faults that is silent: (1 - safe) (1 - corrected - detected)."""
        covered = Range.total((self.known("corrected"), self.known("detected")))
        left = Range(*(max(0.0, each) for each in (1 - covered.value, 1 - covered.high, 1 - covered.low)))
        return self.known("safe").rest().times(left)

    @property
    def rates(self) -> dict[str, Range]:
        """FIT that is silent, detected and corrected, each apart."""
        unsafe = self.known("fit").times(self.known("safe").rest())
        found = {each: unsafe.times(self.known(each)) for each in ("detected", "corrected")}
        return {"silent": self.known("fit").times(self.residual), **found}


def avf(strata: Iterable[tuple[str, int, Range]]) -> dict[str, Range]:
    """Of each block the share of upsets of its bits, averaged over cycles, that matters (AVF). strata: block, bits and AVF of each.

    Source: Mukherjee, Weaver, Emer, Reinhardt, Austin, "A systematic methodology to compute the architectural vulnerability factors for a
    high-performance microprocessor", MICRO 2003.
    """
    found: dict[str, list[tuple[int, Range]]] = {}
    for block, bits, share in strata:
        found.setdefault(block, []).append((bits, share))
    blocks = {block: (parts, sum(bits for bits, _ in parts)) for block, parts in found.items()}
    return {block: Range.total(share.times(bits / total) for bits, share in parts) for block, (parts, total) in blocks.items() if total}


def raw_fit(rates: Rates, cell: str, bits: float, fault: str = TRANSIENT) -> Range:
    """FIT of so many bits if every upset mattered."""
    return rates.of(cell, fault).fit.times(bits)


def spfm(parts: Sequence[Part], fault: str) -> Range:
    """The single-point fault metric of one kind of fault: 1 - sum of residual rates / sum of rates. Source: ISO 26262-5, annex C."""
    some = _of_kind(parts, fault)
    return _mean([(each.known("fit"), each.residual) for each in some]).rest()


def lfm(parts: Sequence[Part]) -> Range:
    """The latent fault metric, of permanent faults: 1 - sum of latent rates / sum of rates less residual ones.

    Source: ISO 26262-5, annex C.
    """
    some = _of_kind(parts, PERMANENT)
    return _mean([(each.known("fit").times(each.residual.rest()), each.known("latent")) for each in some]).rest()


def pmhf(parts: Sequence[Part], latent: Range | None, life_h: float | None) -> Range:
    """FIT of violations of a safety goal: residual ones, and covered faults that meet a latent fault of what covers them.

    latent: FIT of faults of the mechanisms that stay unnoticed, half of a life on average. Source: ISO 26262-10, in its usual first
    order: residual + covered * latent * life / 2.
    """
    if latent is None or life_h is None:
        what = "the rate of latent faults of mechanisms" if latent is None else "how many hours a life has"
        raise InputError(f"{what} is not known", _MEND)
    if not parts:
        raise InputError("no part is given", "name the parts and their rates")
    rates = [each.rates for each in parts]
    residual = Range.total(each["silent"] for each in rates)
    covered = Range.total(each[how] for each in rates for how in ("corrected", "detected"))
    return Range.total((residual, covered.times(latent).times(1e-9 * life_h / 2)))


def mttf_h(fit: Range, devices: int = 1) -> Range:
    """Mean hours to the first failure of so many devices that run all the time; infinite where nothing fails."""
    return fit.times(devices).under(1e9)


def executions_to_failure(fit: Range, seconds: float | None) -> Range:
    """Mean executions to a failure, each of so many seconds, of what fails with so many FIT while it runs."""
    if seconds is None or seconds <= 0:
        raise InputError("the seconds of an execution are not known", "state the clock, or the time")
    return fit.times(seconds / 3600).under(1e9)


@dataclass(frozen=True, slots=True)
class Level:
    """What a level of integrity asks for. `spfm`, `lfm`: at least these shares; `pmhf_fit`: fewer FIT; `source`: and how sure it is."""

    name: str
    spfm: float
    lfm: float
    pmhf_fit: float
    source: str

    def judge(
        self, spfm: Range | None = None, lfm: Range | None = None, pmhf_fit: Range | None = None, part: float = 1.0
    ) -> dict[str, str]:
        """Of those that are given: met, missed, or open where the bounds hold the target. `part`: of the budget of FIT, by area, say."""
        found = {}
        for name, metric, least in (("SPFM", spfm, self.spfm), ("LFM", lfm, self.lfm)):
            if metric is not None:
                found[name] = MET if metric.low >= least else MISSED if metric.high < least else OPEN
        if pmhf_fit is not None:
            most = self.pmhf_fit * part
            found["PMHF"] = MET if pmhf_fit.high < most else MISSED if pmhf_fit.low >= most else OPEN
        return found


_UNSEEN = "ISO 26262-5, from memory, not checked against the standard"
LEVELS = {
    level.name: level
    for level in (
        Level("B", 0.90, 0.60, 100.0, _UNSEEN),
        Level("C", 0.97, 0.80, 100.0, f"{_UNSEEN}; a secondary source prints another LFM"),
        Level("D", 0.99, 0.90, 10.0, "ISO 26262-5, as two secondary sources quote it"),
    )
}
"""ASIL B, C and D. Level A has no targets."""


def _of_kind(parts: Sequence[Part], fault: str) -> list[Part]:
    found = [each for each in parts if each.fault == fault]
    if not found or not any(each.known("fit").high for each in found):
        raise InputError(f"no part has a rate of {fault} faults", _MEND)
    return found


def _mean(parts: Sequence[tuple[Range, Range]]) -> Range:
    """The mean of shares by weights, sum w a / sum w over parts (w, a), with the exact bounds over all w and a in theirs."""
    value = sum(w.value * a.value for w, a in parts) / (sum(w.value for w, _ in parts) or 1.0)
    low = min(_ends([((w.high, w.low), a.low) for w, a in parts]), default=value)
    high = max(_ends([((w.low, w.high), a.high) for w, a in parts]), default=value)
    return Range(value, min(low, value), max(high, value))


def _ends(parts: list[tuple[tuple[float, float], float]]) -> list[float]:
    """Means in which the parts with the largest shares, however many, take their second weight, the others their first."""
    ordered, found = sorted(parts, key=lambda part: part[1], reverse=True), []
    for many in range(len(ordered) + 1):
        chosen = [(w[at < many], a) for at, (w, a) in enumerate(ordered)]
        total = sum(w for w, _ in chosen)
        if total:
            found.append(sum(w * a for w, a in chosen) / total)
    return found
