"""What an evaluation over stored elements adds to a page: what is skipped, met, merged, cached and does not fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from accelsim.report.html.markup import Section, join
from accelsim.report.html.page import note
from accelsim.report.html.shown import data, percent, times, whole
from accelsim.report.html.tables import Cell, Column, figure, table, words

Document = dict[str, Any]
_WORK = ("dense", "skipped", "idle", "effectual", "busiest")


def sections(document: Document, prefix: str) -> Iterator[Section]:
    """Nothing, if all elements count."""
    works = document.get("stored") or document.get("expected")
    if not works:
        return
    parts = [_elements(document.get("elements", {})), _operations(works, "expected" in document), _met(works), _memories(works)]
    parts += [_misled(document["uniform_misleads"])] if document.get("uniform_misleads") else []
    if "expected" in document:
        parts.append(note("Expected counts, of densities: no expected time is below that of expected counts."))
    yield Section(f"{prefix}stored", "Stored elements", join(parts))


def _elements(origins: Document) -> str | None:
    if not origins:
        return None
    rows = []
    for name, each in origins.items():
        source = str(each["file"]) if "file" in each else f"drawn at a density of {each.get('density', 1):g}, seed {each.get('seed', 0)}"
        rows.append(
            [
                words(name),
                words(source),
                figure(each["stored"], whole),
                figure(each["of"], whole),
                figure(each["stored"] / each["of"] if each["of"] else None, percent, 1.0),
            ]
        )
    return table("Elements", [Column("of", False), Column("from", False), Column("stored"), Column("of"), Column("share")], rows)


def _operations(works: Document, expected: bool) -> str:
    rows = []
    for name, work in works.items():
        ideal = work.get("ideal", work.get("mean"))
        rows.append([words(name), *(figure(work[key], whole) for key in _WORK), figure(work["busiest"] / ideal if ideal else None, times)])
    columns = [Column("Einsum", False), *(Column(key if key != "busiest" else "busiest copy") for key in _WORK), Column("over the mean")]
    return table("Operations expected" if expected else "Operations", columns, rows)


def _met(works: Document) -> str | None:
    rows = []
    for name, work in works.items():
        rows += [
            [
                words(f"{name} over {each['rank']} in {each['node']}"),
                words(each["by"].replace("_", " ")),
                figure(each["steps"], whole),
                figure(each["visits"], whole),
            ]
            for each in work["meetings"]
        ]
        rows += [
            [words(f"{name} {says}"), words("–"), figure(work[key], whole), figure(None, whole)]
            for key, says in (("merging_cycles", "merged"), ("draining_cycles", "out of queues"))
            if work.get(key)
        ]
    columns = [Column("coordinates", False), Column("by", False), Column("steps"), Column("visits")]
    return table("Coordinates that meet", columns, rows) if rows else None


def _memories(works: Document) -> str | None:
    rows = []
    for work in works.values():
        for cache in work.get("caches", []):
            keys = ("fetched_bits", "asked_bits") if cache["replacement"] == "optimal" else ("misses", "accesses")
            part, of = (cache[key] for key in keys)
            show = data if keys[0] == "fetched_bits" else whole
            scale = 8 if keys[0] == "fetched_bits" else 1
            rows.append(
                [
                    words(cache["memory"]),
                    words(f"cache of {cache['tensor']}"),
                    Cell(f"{show(part / scale)} fetched", part),
                    figure(part / of if of else None, percent),
                ]
            )
        for tile in work["tiles"]:
            bits = tile.get("bits", tile.get("mean_bits"))
            beyond = tile["beyond"] or 0
            rows.append(
                [
                    words(tile["memory"]),
                    words(tile["tensor"]),
                    figure(bits / 8 if bits is not None else None, data),
                    figure(beyond / tile["visits"] if tile.get("visits") else 0.0 if not beyond else None, percent),
                ]
            )
    columns = [
        Column("memory", False),
        Column("holds", False),
        Column("size", about="the largest tile, or what is fetched"),
        Column("misses or does not fit", about="share of what is asked for, or of visits"),
    ]
    return table("Tiles and caches", columns, rows) if rows else None


def _misled(counts: list[Document]) -> str:
    rows = [
        [
            words(each["einsum"]),
            words(each["what"]),
            figure(round(each["expected"]), whole),
            figure(round(each["counted"]), whole),
            figure(each["counted"] / each["expected"] if each["expected"] else None, times),
        ]
        for each in counts
    ]
    columns = [Column("Einsum", False), Column("what", False), Column("expects"), Column("counted"), Column("of it")]
    return table("Warning: a uniform density of as many elements misleads", columns, rows)
