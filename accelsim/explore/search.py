"""What a search of a sweep is asked for: so many points, chosen one generation after the other by what was found before."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.errors import InputError, Place

EVOLUTIONARY, BAYESIAN = HOWS = "evolutionary", "bayesian"
POPULATION = {EVOLUTIONARY: 64, BAYESIAN: 8}
MOST_SEARCHED = {EVOLUTIONARY: 100_000, BAYESIAN: 2_000}  # beyond these, choosing a point takes longer than most evaluations


@dataclass(frozen=True, slots=True)
class Search:
    """`points`: different ones that are evaluated; `population`: of a generation, whose points are chosen before any of them is evaluated,
    so that nothing depends on how many work on them.
    """

    how: str
    points: int
    population: int
    seed: int = 0
    place: Place | None = None

    def __post_init__(self) -> None:
        most = MOST_SEARCHED[self.how]
        if self.points > most:
            raise InputError(f"a search of {self.points:,} points by {self.how}", f"take at most {most:,}", self.place)
        if not 2 <= self.population <= max(2, self.points):
            what = f"a generation of {self.population:,} of {self.points:,} points"
            raise InputError(what, "write a population from 2 up to the number of points", self.place)
        if not 0 <= self.seed < 1 << 32:
            raise InputError(f"a seed of {self.seed:,} is beyond 32 bits", "write a smaller number", self.place)
