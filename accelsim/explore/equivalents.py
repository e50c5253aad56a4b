"""Cascades that compute the same as a given one, reachable by steps, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from accelsim.workload.cascade import Cascade
from accelsim.workload.transform.steps import VERBS, Step, expand, reached
from accelsim.workload.transform.structure import structure

MOST = 24
DEEPEST = 4
MOVES = tuple(name for name, verb in VERBS.items() if verb.explored)


@dataclass(frozen=True, slots=True)
class Equivalent:
    """`cascade`: what `steps` make of the original. `elementary`: the same steps, with sequences written out."""

    cascade: Cascade
    steps: tuple[Step, ...] = ()
    elementary: tuple[Step, ...] = ()

    @property
    def name(self) -> str:
        """The steps in words."""
        return "; ".join(map(str, self.steps)) or "as given"


def equivalents(
    cascade: Cascade,
    most: int = MOST,
    deepest: int = DEEPEST,
    over: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[list[Equivalent], bool]:
    """The original first, then what one step makes of it, then two, …; of cascades with one structure the first that is reached.

    `most`: cascades in all; `deepest`: steps. Also whether these were all that there are within `deepest` steps.
    """
    found = [Equivalent(cascade)]
    seen = {structure(cascade)}
    wave = list(found)
    for _ in range(deepest):
        following = []
        for each in wave:
            tell(f"{len(found)} cascades; steps from: {each.name}")
            for step, made in reached(each.cascade, MOVES):
                if over() or len(found) >= most:
                    return found, False
                key = structure(made)
                if key not in seen:
                    seen.add(key)
                    following.append(Equivalent(made, (*each.steps, step), (*each.elementary, *expand(each.cascade, step))))
                    found.append(following[-1])
        wave = following
    return found, not wave
