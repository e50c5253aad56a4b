"""Workload documents, and those that are another one with sizes of their own: `use: FAMILY` at the top."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from accelsim.errors import InputError, did_you_mean
from accelsim.io.catalogue import WORKLOAD, refuse_other
from accelsim.io.source import Item, parse, read_text
from accelsim.io.workload import Find, finder

_OWN = ("workload", "about", "source")
_SIZES = ("shape", "constants")
_GROWING = ("weights",)
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed workload that stands for itself. `text`: what its statements are written in; `find`: what finds workloads that it uses."""

    item: Item
    text: str
    path: Path
    find: Find


def load_document(path: Path, find: Find | None = None, depth: int = 0, text: str | None = None) -> Document:
    """The document of a file. One that uses another at its top is that one, with its own name, sizes, constants and weights.

    `text`: what to read in place of the file.
    """
    text = read_text(path) if text is None else text
    item = parse(text, str(path))
    refuse_other(item, WORKLOAD)
    find = find or finder(path)
    if "use" not in item.mapping("a workload"):
        return Document(item, text, path, find)
    top = item.only({*_OWN, *_SIZES, *_GROWING, "serving", "use"}, "a workload that is another one with sizes of its own")
    if depth > _DEEPEST:
        raise top["use"].error(f"workloads use each other more than {_DEEPEST} deep", "does a workload use itself?")
    base = document(top["use"], find, path, depth + 1)
    merged, places = dict(base.item.mapping("a workload")), dict(base.item.key_places or {})
    for key in ("about", "source"):
        merged.pop(key, None)
    for key, value in top.items():
        if key == "use":
            continue
        if key in (*_SIZES, *_GROWING):
            value = _merged(merged.get(key), value, key, base.path.stem)
        merged[key], places[key] = value, (item.key_places or {}).get(key, value.place)
    return dataclasses.replace(base, item=Item(merged, item.place, places))


def document(use: Item, find: Find, beside: Path, depth: int = 0) -> Document:
    """The document that `use` names. `find`: also finds what that uses, if it lies beside the file that uses it."""
    try:
        path = find(use.name("'use'"))
    except InputError as error:
        raise InputError(error.what, error.mend, use.place) from None
    return load_document(path, find if path.parent == beside.parent else None, depth)


def _merged(base: Item | None, own: Item, key: str, name: str) -> Item:
    """A section of the document that is used, with values of the one that uses it; only `weights` may gain names."""
    old = base.mapping(key) if base is not None else {}
    new = own.mapping(key)
    for each in new:
        if key in _SIZES and each not in old:
            noun = "rank" if key == "shape" else "constant"
            raise own.key_error(each, f"'{name}' has no {noun} '{each}'", did_you_mean(each, old))
    places = {**((base.key_places or {}) if base is not None else {}), **(own.key_places or {})}
    return Item({**old, **new}, own.place, places)
