"""The mapper beside the baselines: as a document and as a table on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.compare import Row, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.best import Request
    from accelsim.mapper.comparison import Comparison
    from accelsim.workload.cascade import Cascade

SCHEMA = "accelsim/compare/1"
Document = dict[str, Any]


def comparison_document(cascade: Cascade, architecture: Architecture, request: Request, seconds: float, comparison: Comparison) -> Document:
    """A comparison as JSON; `curve` lists CPU seconds and the best value from then on, `search` is the record of the mapper's search."""
    return {
        "schema": SCHEMA,
        "workload": cascade.name,
        "architecture": architecture.name,
        "counting": request.counting.to_json(),
        "objective": request.objective.name,
        "unit": request.objective.unit,
        "time_limit_s": seconds,
        "seed": request.seed,
        "search": comparison.record,
        "searches": [
            {
                "name": each.name,
                "value": each.value,
                "evaluated": each.evaluated,
                "seconds": each.seconds,
                "curve": [list(step) for step in each.curve],
            }
            for each in comparison.contenders
        ],
    }


def comparison_blocks(document: Document) -> Iterator[RenderableType]:
    """What a person wants to know about a comparison: who found what, and what the mapper proved."""
    from rich.text import Text

    limit = f"{document['time_limit_s']:g} CPU seconds each"
    title = f": {document['objective']}, {limit}"
    yield Text.assemble((document["workload"], "bold"), " on ", (document["architecture"], "bold"), title)
    rows = [Row(each["name"], each["value"], each["evaluated"], each["seconds"]) for each in document["searches"]]
    yield table(rows, document["unit"])
    record = document["search"]
    over = " over tiles that divide (docs/mapspace.md)" if record["space"] == "dividing tiles" else ""
    if record["proved_optimal"]:
        yield f"The mapper proved its result optimal{over}."
    elif record["lower_bound"]:
        yield f"The mapper's result is at most {record['value'] / record['lower_bound']:.3f}x the best possible{over}."
    else:
        yield "The mapper proved nothing about its result."
