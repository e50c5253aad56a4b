"""What `count` found out about a sparse matrix or a product of two, as a JSON document and as blocks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from accelsim.report.figures import byte_size, times, whole
from accelsim.report.terminal import table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from accelsim.sparse.formats import Widths
    from accelsim.sparse.pattern import Pattern
    from accelsim.sparse.products import Products

Document = dict[str, Any]


def matrix_document(name: str, pattern: Pattern, widths: Widths) -> Document:
    """Sizes, non-zeros and bits by format of one matrix."""
    from accelsim.sparse.formats import FORMATS

    return {
        "name": name,
        "rows": pattern.rows,
        "columns": pattern.width,
        "nonzeros": pattern.nonzeros,
        "density": pattern.density,
        "longest_row": int(pattern.lengths.max(initial=0)),
        "empty_rows": int((pattern.lengths == 0).sum()),
        "format_bits": {each: made(pattern, widths) for each, made in FORMATS.items()},
    }


def products_document(products: Products, radix: int, units: int, cache: int) -> Document:
    """Work of a product, and what intersections, mergers, caches of so many elements and so many units make of it."""
    from accelsim.sparse.caches import fewest, least_recent_elements
    from accelsim.sparse.intersection import by_rows
    from accelsim.sparse.products import makespan, merge

    lengths = products.b.lengths
    reuse, shared = least_recent_elements(products.accesses, lengths, cache), makespan(products.by_row, units)
    least = int(fewest(products.accesses, lengths, cache).sum())
    return {
        "multiplications": products.multiplications,
        "dense_multiplications": products.dense_multiplications,
        "additions": products.additions,
        "intersection_by_rows": asdict(by_rows(products)),
        "merge": {"radix": radix, **asdict(merge(products, radix))},
        "cache": {"elements": cache, **asdict(reuse), "least_fetched": least, "without_reuse": int(lengths[products.accesses].sum())},
        "units": {"count": units, **asdict(shared)},
    }


def count_blocks(document: Document) -> Iterator[RenderableType]:
    """Matrices and their sizes; of a product, its work and what units make of it."""
    grid = table("matrix", "rows", "columns", "non-zeros", "density", "longest row", "empty rows")
    for each in document["matrices"]:
        counts = (whole(each[key]) for key in ("rows", "columns", "nonzeros"))
        grid.add_row(_short(each["name"]), *counts, f"{100 * each['density']:.3g} %", whole(each["longest_row"]), whole(each["empty_rows"]))
    yield grid
    widths = document["widths"]
    names = list(document["matrices"][0]["format_bits"])
    sizes = table("format", *(_short(each["name"]) for each in document["matrices"]))
    for name in names:
        sizes.add_row(name, *(byte_size(each["format_bits"][name] / 8) for each in document["matrices"]))
    yield f"With {widths['value']} bits for a value, {widths['coordinate']} for a coordinate and {widths['pointer']} for a pointer:"
    yield sizes
    if document["product"] is not None:
        yield _product(document["product"])


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]


def _product(found: Document) -> Any:
    made, merged, cache, units, meets = (found[key] for key in ("multiplications", "merge", "cache", "units", "intersection_by_rows"))
    rows = table("product", "", "", left=1)
    ratio = f"{times(found['dense_multiplications'] / made)} fewer than dense" if made else "none"
    rows.add_row("multiplications", whole(made), ratio)
    rows.add_row("additions", whole(found["additions"]), "")
    rows.add_row("intersection by rows of A, two fingers", whole(meets["two_finger"]), "steps")
    rows.add_row("the same, skipping ahead", whole(meets["skip_ahead"]), "steps")
    rows.add_row("the same, A leading", whole(meets["leading"]), "probes")
    rows.add_row(f"merging, radix {merged['radix']}", whole(merged["cycles"]), f"cycles, {merged['passes']} passes at most")
    fetched = f"of {whole(cache['without_reuse'])} elements of B fetched"
    rows.add_row(f"fiber cache of {whole(cache['elements'])} elements", whole(cache["fetched"]), fetched)
    rows.add_row("the least that any such cache fetches", whole(cache["least_fetched"]), "a bound, no machine")
    ideal = f"cycles at best on {units['count']} units"
    rows.add_row("one product a cycle and unit", whole(units["ideal"]), ideal)
    for kind, about in (("dynamic", "rows to the unit that is free first"), ("cyclic", "rows in turn"), ("block", "rows in blocks")):
        slower = f"{times(units[kind] / units['ideal'])} the best" if units["ideal"] else ""
        rows.add_row(f"the same, {about}", whole(units[kind]), slower)
    return rows
