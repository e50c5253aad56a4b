"""Operators of which only the traffic is known: every input is read once and every output written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import reduce

from accelsim.io.importers.sketch import Apply, Formula, Sketch, View


def opaque(sketch: Sketch, views: Sequence[View], outputs: Sequence[tuple[str, Sequence[int], str]]) -> list[View]:
    """Views of what an unknown operator makes, by name, shape and type: its inputs are added up, and the sum is written everywhere."""
    first = len(sketch.statements)
    seen: list[Formula] = []
    for number, view in enumerate(views):
        ranks, (read,) = sketch.align([view], [range(len(view.dims))])
        reduced = [rank for many in ranks.values() for rank in many]
        name = f"{outputs[0][0]}_reads_{number}"
        seen.append(sketch.define(name, [], read, sketch.tensors[view.tensor].type, reduced=reduced).read())
    total: Formula = 0.0
    if seen:
        total = reduce(lambda one, other: Apply("add", (one, other)), seen) if len(seen) > 1 else Apply("copy", (seen[0],))
    found = []
    for name, shape, type in outputs:
        dims = [sketch.ranks([size] if size > 1 else []) for size in shape]
        found.append(sketch.define(name, dims, total, type))
    sketch.statements[first:] = [replace(statement, opaque=True) for statement in sketch.statements[first:]]
    return found
