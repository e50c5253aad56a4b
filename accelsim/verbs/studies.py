"""The verbs that run something many times over: faults of a campaign, points of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.errors import InputError
from accelsim.verbs.files import load
from accelsim.verbs.given import texts_of

if TYPE_CHECKING:
    from accelsim.explore.exploration import Exploration
    from accelsim.explore.sweep import Sweep
    from accelsim.faults.campaign import Campaign, Outcome
    from accelsim.verbs.given import Name, Settings, Tell


def inject(
    campaign: Name | Campaign,
    *,
    output: Name | None = None,
    workers: int = 1,
    executor: str | None = None,
    settings: Settings | None = None,
    progress: Tell | None = None,
) -> Outcome:
    """Inject the faults of a campaign; `output`: an SQLite file that keeps results, and that a later call goes on from.

    workers, executor: where faults are injected, as `accelsim inject` has them.
    """
    from accelsim.faults.campaign import Campaign
    from accelsim.faults.campaign import run as injected
    from accelsim.jobs.executors import executor_of

    if isinstance(campaign, Campaign):
        if settings:
            raise InputError("settings change what is given by name, and this campaign is given whole", "give them to load")
        known = campaign
    else:
        known = load(campaign, "campaign", settings=settings)
    return injected(known, None if output is None else Path(output), tell=progress, executor=executor_of(executor, workers))


def explore(
    sweep: Name | Sweep,
    *,
    output: Name | None = None,
    store: Name | None = None,
    most: int | None = None,
    workers: int = 1,
    executor: str | None = None,
    settings: Settings | None = None,
    progress: Tell | None = None,
) -> Exploration:
    """Every point of a sweep, its rows and its front; `close` the result when no row is read any more.

    output: a table, .parquet or .csv. store: an SQLite file that keeps rows as they are found, and that a later call goes on from.
    most: points that a sweep may ask for. workers, executor: where points are evaluated, as `accelsim explore` has them.
    """
    from functools import partial

    from accelsim.explore.sweep import MOST, Sweep
    from accelsim.explore.sweeping import explore as explored
    from accelsim.io.sweep import load_sweep
    from accelsim.io.sweep_table import refuse_ending, write_table
    from accelsim.jobs.executors import executor_of, map_unordered

    if output is not None:
        refuse_ending(str(output))
    if isinstance(sweep, Sweep):
        if settings:
            raise InputError("settings change what is given by name, and this sweep is given whole", "give them to load")
        made = sweep
    else:
        made = load_sweep(str(sweep), texts_of(settings), most)
    kept, limit = "" if store is None else str(store), MOST if most is None else most
    with executor_of(executor, workers).standing() as standing:
        found = explored(made, kept, partial(map_unordered, standing), progress, limit)
    if output is not None and not found.interrupted:
        write_table(found, str(output))
    return found
