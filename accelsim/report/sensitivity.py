"""A tornado on a terminal and as JSON: for each figure the parameters that change it most."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.report.exploring import shown_figure
from accelsim.report.terminal import folding_table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from accelsim.explore.sensitivity import Tornado, Turn

SCHEMA = "accelsim/sensitivity/1"
MOST_SHOWN = 12
_BAR = 8  # characters of the longest
Document = dict[str, Any]


def sensitivity_document(tornado: Tornado) -> Document:
    """The tornado as JSON: figures in the units of their names, null where there is no mapping, swings of each figure by their size."""

    def turn(found: Turn) -> Document:
        return {"value": found.text, "figures": dict(zip(tornado.figures, map(_known, found.figures), strict=True)), "why": found.why}

    return {
        "schema": SCHEMA,
        "sweep": tornado.sweep,
        "point": dict(tornado.point),
        "factor": tornado.factor,
        "base": dict(zip(tornado.figures, map(_known, tornado.base), strict=True)),
        "swings": [
            {"name": each.name, "kind": each.kind, "value": each.text, "down": turn(each.down), "up": turn(each.up)}
            for each in tornado.swings
        ],
        "changes": {
            figure: [{"name": swing.name, "down": _known(down), "up": _known(up)} for swing, down, up in tornado.changes(figure)]
            for figure in tornado.figures
        },
    }


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def sensitivity_blocks(document: Document) -> Iterator[RenderableType]:
    """What the point has, and a table for each figure."""
    from rich.text import Text

    point = ", ".join(f"{name} = {text}" for name, text in document["point"].items())
    yield Text.assemble((document["sweep"], "bold"), f": around {point}")
    factor = f"{document['factor']:g}"
    yield f"Parameters one at a time down and up by {factor}, prices to their low and high (by {factor} where they state none)."
    swings = {each["name"]: each for each in document["swings"]}
    for figure, changes in document["changes"].items():
        base = document["base"][figure]
        if base is None:
            yield f"{figure}: not stated by the machine"
            continue
        yield f"{figure}: {shown_figure(figure, base)}" + ("" if changes else ", which nothing changes")
        if not changes:
            continue
        rows = folding_table(["parameter", "is", "down", "change", "up", "change", ""], ["parameter"])
        widest = max((abs(each[side]) for each in changes for side in ("down", "up") if each[side] is not None), default=0.0)
        for each in changes[:MOST_SHOWN]:
            swing = swings[each["name"]]
            down, up = (_change(each[side], swing[side]) for side in ("down", "up"))
            rows.add_row(
                each["name"], swing["value"], swing["down"]["value"] or "-", down, swing["up"]["value"] or "-", up, _bar(each, widest)
            )
        yield rows
        if len(changes) > MOST_SHOWN:
            yield f"… and {len(changes) - MOST_SHOWN:,} more that change it less; --json has all."
    refused = [f"{each['name']} = {each[side]['value']}" for each in document["swings"] for side in ("down", "up") if each[side]["why"]]
    refused = [text for text in refused if not text.endswith("= ")]
    if refused:
        more = f" and {len(refused) - 6:,} more" if len(refused) > 6 else ""
        yield f"Without a mapping: {', '.join(refused[:6])}{more}; --json says why."


def _change(share: float | None, turn: Document) -> str:
    if share is None:
        return "no mapping" if turn["value"] else "-"
    return f"{share:+.1%}"


def _bar(change: Document, widest: float) -> str:
    """From the least to the most, with the point in the middle."""
    sides = [change[side] for side in ("down", "up") if change[side] is not None]
    less, more = (round(_BAR * max([0.0, *(sign * each for each in sides)]) / widest) if widest else 0 for sign in (-1, 1))
    return " " * (_BAR - less) + "█" * less + "│" + "█" * more + " " * (_BAR - more)
