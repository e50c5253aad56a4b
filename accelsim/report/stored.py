"""An evaluation over stored elements on a terminal: the usual report, and what is skipped, met, merged and cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import byte_size, percent, times, whole
from accelsim.report.terminal import report, table

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = dict[str, Any]


def stored_report(evaluation: Document, nest: str = "") -> Iterator[RenderableType]:
    """The report of an evaluation, with its tables of stored elements before the mapping."""
    blocks = list(report(evaluation, nest))
    after = len(blocks) - (2 if nest else 1)
    yield from blocks[:after]
    yield from _elements(evaluation.get("elements", {}))
    yield from _tables(evaluation["stored"])
    if evaluation.get("uniform_misleads"):
        yield _misled(evaluation["uniform_misleads"])
    yield from blocks[after:]


def _misled(counts: list[Document]) -> RenderableType:
    """Counts that a uniform density of as many elements would have got wrong."""
    rows = table("warning: a uniform density of as many elements misleads", "expects", "counted", "of it")
    for each in counts:
        over = times(each["counted"] / each["expected"]) if each["expected"] else ""
        rows.add_row(f"{each['einsum']}, {each['what']}", whole(round(each["expected"])), whole(round(each["counted"])), over)
    return rows


def _elements(origins: Document) -> Iterator[RenderableType]:
    rows = table("elements of", "from", "stored", "of all", left=2)
    for name, each in origins.items():
        rows.add_row(name, _source(each), f"{whole(each['stored'])} of {whole(each['of'])}", percent(each["stored"] / each["of"]))
    if rows.row_count:
        yield rows


def met(works: Document, figure: Callable[[Any], str]) -> Iterator[RenderableType]:
    """Steps and visits of loops that meet coordinates, and cycles of merging, where there are any."""
    rows = table("coordinates", "by", "steps", "visits", left=2)
    for name, work in works.items():
        for each in work["meetings"]:
            where = f"{name} over {each['rank']} in {each['node']}"
            rows.add_row(where, each["by"].replace("_", " "), figure(each["steps"]), figure(each["visits"]))
        if work.get("merging_cycles"):
            by = work.get("sorted_by", "")
            rows.add_row(f"{name} {'sorted' if by else 'merged'}", by, figure(work["merging_cycles"]), "")
        if work.get("draining_cycles"):
            rows.add_row(f"{name} out of queues", "", figure(work["draining_cycles"]), "")
    if rows.row_count:
        yield rows


def _source(origin: Document) -> str:
    if "file" in origin:
        return str(origin["file"])
    model = f" ({origin['model'].replace('_', ' ')})" if "model" in origin else ""
    return f"drawn at a density of {origin['density']:g}{model}, seed {origin['seed']}"


def _cached(cache: Document) -> tuple[str, str]:
    """What a cache fetches, and its share of what it is asked for: tiles, or bytes of a bound that fetches parts of tiles."""
    if cache["replacement"] == "optimal":
        share = percent(cache["fetched_bits"] / cache["asked_bits"]) if cache["asked_bits"] else ""
        amounts = (byte_size(cache[key] / 8) for key in ("fetched_bits", "asked_bits"))
        return " of ".join(amounts) + " fetched", f"{share}, a bound, no machine"
    share = percent(cache["misses"] / cache["accesses"]) if cache["accesses"] else ""
    return f"{whole(cache['misses'])} of {whole(cache['accesses'])} tiles fetched", share


def _tables(stored: Document) -> Iterator[RenderableType]:
    rows = table("operations", "dense", "skipped", "idle", "effectual", "busiest copy", "over the mean")
    for name, work in stored.items():
        over = times(work["busiest"] / work["ideal"]) if work["ideal"] else ""
        counts = (whole(work[key]) for key in ("dense", "skipped", "idle", "effectual", "busiest"))
        rows.add_row(name, *counts, over)
    yield rows
    yield from met(stored, whole)
    rows = table("memory", "", "", left=1)
    for work in stored.values():
        for cache in work["caches"]:
            rows.add_row(f"{cache['memory']}, cache of {cache['tensor']}", *_cached(cache))
        for tile in work["tiles"]:
            spills = f"{whole(tile['beyond'])} visits bring more than it holds" if tile["beyond"] else "fits alone"
            rows.add_row(f"{tile['memory']}, {tile['tensor']}", f"{byte_size(tile['bits'] / 8)} at most", spills)
        for each in work.get("together", []):
            alone = max((tile["bits"] for tile in work["tiles"] if tile["memory"] == each["memory"]), default=0)
            if len(each["tensors"]) == 1 and each["bits"] <= alone:
                continue
            spills = f"{whole(each['beyond'])} of {whole(each['visits'])} visits hold too much" if each["beyond"] else "they fit"
            rows.add_row(f"{each['memory']}, {', '.join(each['tensors'])} at once", f"{byte_size(each['bits'] / 8)} at most", spills)
    if rows.row_count:
        yield rows
