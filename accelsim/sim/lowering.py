"""A mapping as tasks that the event kernel runs."""

from __future__ import annotations

from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.sim.paths import Paths
from accelsim.sim.tasks import Task
from accelsim.sim.uses import Uses
from accelsim.sim.waits import Waits

_MOST_PLANS = 10


def lower(evaluator: Evaluator, mapping: Mapping, latencies: dict[str, int]) -> list[Task]:
    """The tasks of a legal mapping; refuses what is not simulated yet, in words.

    `latencies`: cycles of reductions, by Einsum. A plan that is too hasty is made again with longer periods.
    """
    paths, least = Paths(evaluator, mapping), dict[str, float]()
    for _ in range(_MOST_PLANS):
        made = Uses(paths, latencies)
        longer = Waits(made, least).hasty()
        if all(least.get(key, 0.0) >= period for key, period in longer.items()):
            break
        least |= {key: max(period, least.get(key, 0.0)) for key, period in longer.items()}
    return made.all
