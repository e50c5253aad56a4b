"""Searches whose results are kept in a store: what was found once is read, evaluated and shown again."""

from __future__ import annotations

import time
from collections.abc import Callable

from accelsim.hardware.architecture import Architecture
from accelsim.io.mapping import dump_mapping, parse_mapping
from accelsim.jobs.store import Store, content_key
from accelsim.mapper.best import Found, Request, search
from accelsim.model.evaluation import evaluate
from accelsim.workload.cascade import Cascade


def search_key(cascade: Cascade, architecture: Architecture, request: Request) -> str:
    """The key under which the result of a search is kept.

    How long a search may last does not matter where it is proved optimal, and only such results are kept where it is limited; that it is
    limited does, since it leaves tiles that do not divide out.
    """
    asked = (request.objective.name, request.seed, request.counting, request.schedules, request.tiles, request.gap, request.constraints)
    return content_key("search", cascade, architecture, asked, request.time_limit is not None)


def stored_search(
    store: Store, cascade: Cascade, architecture: Architecture, request: Request, progress: Callable[[str], None] | None = None
) -> Found:
    """What `search` finds, taken from the store if it is there and kept there if not; only `seconds` tells the two apart.

    Not kept is what an interrupt cut short, or a time limit before the proof. Refuses what `search` refuses.
    """
    started = time.monotonic()
    key = search_key(cascade, architecture, request)
    known = store.get(key)
    if known is not None:
        mapping = parse_mapping(known["mapping"], dict(cascade.extents), "a kept mapping")
        record = {**known["search"], "seconds": time.monotonic() - started}
        return Found(mapping, evaluate(cascade, architecture, mapping, request.counting).with_search(record))
    found = search(cascade, architecture, progress=progress, request=request)
    record = found.evaluation.search or {}
    if not found.interrupted and (request.time_limit is None or record["proved_optimal"]):
        store.put(key, {"mapping": dump_mapping(found.mapping), "search": record})
    return found
