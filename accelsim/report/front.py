"""A Pareto front as a document and as a table on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import in_unit, listed, times, whole

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.front import Front
    from accelsim.workload.cascade import Cascade

SCHEMA = "accelsim/front/1"
Document = dict[str, Any]


def front_document(cascade: Cascade, architecture: Architecture, front: Front) -> Document:
    """The front as JSON: for every point its figures by name, each in its unit, and its mapping as YAML text."""
    from accelsim.mapper.front import UNITS
    from accelsim.mapping.yaml_text import dump_mapping

    about = {"traffic": f"{architecture.root.name} traffic", "capacity": f"held in {front.home}"}
    return {
        "schema": SCHEMA,
        "workload": cascade.name,
        "architecture": architecture.name,
        "counting": front.points[0].evaluation.evaluator.counting.to_json(),
        "figures": [{"name": name, "unit": UNITS[name], "about": about.get(name, name)} for name in front.figures],
        "space": front.space,
        "complete": front.complete,
        "mappings_covered": front.covered,
        "evaluated": front.evaluated,
        "seconds": front.seconds,
        "points": [
            {"values": dict(zip(front.figures, point.values, strict=True)), "mapping": dump_mapping(point.mapping)}
            for point in front.points
        ],
    }


def front_blocks(document: Document) -> Iterator[RenderableType]:
    """What a person wants to know about a front: its points, how many times the least each figure is, and whether it is whole."""
    from rich.text import Text

    names = [figure["name"] for figure in document["figures"]]
    yield Text.assemble((document["workload"], "bold"), " on ", (document["architecture"], "bold"), f": {listed(names)}")
    yield _points(document)
    many = len(document["points"])
    which = f"{many} mapping{'s' * (many != 1)}"
    over_elements = document["space"].startswith("nests")
    space = f"{document['space']} (docs/sparse.md)" if over_elements else "tiles that divide (docs/mapspace.md)"
    if document["complete"]:
        last = f"{which}; over {space} nothing beats {'one of them' if many > 1 else 'it'}."
    elif over_elements:
        last = f"{which} of those that were counted; others may beat {'them' if many > 1 else 'it'}."
    else:
        last = f"{which}; the search stopped before its end, so others may beat {'them' if many > 1 else 'it'}."
    counts = f"{whole(document['evaluated'])} mappings evaluated, {whole(document['mappings_covered'])} covered"
    lines = [f"{last} {counts} in {document['seconds']:.1f} s."]
    lines.append(f"Counting: {', '.join(f'{key}={value}' for key, value in document['counting'].items())}.")
    yield Text("\n").join([Text(lines[0]), Text(lines[1], "dim")])


def _points(document: Document) -> Table:
    from accelsim.report.terminal import table

    figures, points = document["figures"], document["points"]
    least = {figure["name"]: min(point["values"][figure["name"]] for point in points) for figure in figures}
    columns = [column for figure in figures for column in (figure["about"], "to the least")]
    rows = table("#", *columns, left=0)
    for number, point in enumerate(points, 1):
        cells = []
        for figure in figures:
            value, best = point["values"][figure["name"]], least[figure["name"]]
            cells += [in_unit(value, figure["unit"]), times(value / best) if best else "-"]
        rows.add_row(str(number), *cells)
    return rows
