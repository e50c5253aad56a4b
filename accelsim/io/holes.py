"""Holes of a mapping file: whatever is `?` becomes a name or a number that the reader of mappings takes."""

from __future__ import annotations

import re
from collections.abc import Callable

from accelsim.errors import InputError, Place
from accelsim.io.source import Item

_BARE = re.compile(r"(?<=[\s\[{,:])\?(?=[\s,\]}:]|$)")
MARK = "\ue000"  # one character that YAML takes for a word
HOLE, REST, OPEN = "_", "_.", 2**62  # a name, a tail of loops, and a tile that are left open


def marked(text: str) -> str:
    """The text with every bare `?`, which YAML would not read as a word, replaced by a word of one character."""
    return _BARE.sub(MARK, text)


def unmarked(text: str) -> str:
    """The text as it was written."""
    return text.replace(MARK, "?").replace(ascii(MARK)[1:-1], "?")


def is_hole(item: Item) -> bool:
    """Whether an entry is left open."""
    return isinstance(item.value, str) and item.value.strip() in (MARK, "?")


class Filled:
    """A document with names and numbers where holes are; `fuses`: places of those whose schedule is left open."""

    def __init__(self) -> None:
        self.fuses: set[Place] = set()

    def nodes(self, item: Item) -> Item:
        """A list of nodes."""
        if not isinstance(item.value, list):
            return item
        return Item([_anything(child) if is_hole(child) else self._node(child) for child in item.value], item.place)

    def _node(self, item: Item) -> Item:
        if not isinstance(item.value, dict):
            return item
        if "einsum" in item.value:
            return self._leaf(item, dict(item.value))
        keys, places = {}, {}
        for head, value in item.value.items():
            place = (item.key_places or {}).get(head, item.place)
            kind, *words = [HOLE if word in (MARK, "?") else word for word in head.split()] or [head]
            if kind == HOLE:
                raise InputError("a node of any kind has no size", "write '- ?', or 'for ?: ?'", place)
            if kind in ("keep", "spatial") and words[:1] == [HOLE]:
                what = "memory" if kind == "keep" else "axis"
                raise InputError(f"a {what} cannot be '?'", f"name the {what}", place)
            if kind == "fuse":
                if HOLE in words:
                    self.fuses.add(place)
                words = ["sequential" if word == HOLE else word for word in words]
                if isinstance(value.value, list):
                    value = Item([self._branch(child) for child in value.value], value.place)
            elif kind == "keep":
                value = _listed(value, lambda each: Item(HOLE, each.place), lambda each: each)
            elif is_hole(value):
                value = Item(OPEN, value.place)
            keys[" ".join((kind, *words))] = value
            places[" ".join((kind, *words))] = place
        return Item(keys, item.place, places)

    def _leaf(self, item: Item, keys: dict[str, Item]) -> Item:
        if is_hole(keys["einsum"]):
            raise keys["einsum"].error("an Einsum of a mapping needs its name", "name it, or write '?' for all of the branch")
        if "unit" in keys and is_hole(keys["unit"]):
            keys["unit"] = Item(HOLE, keys["unit"].place)
        if "loops" in keys:
            keys["loops"] = _listed(keys["loops"], _rest, self._node)
        return Item(keys, item.place, item.key_places)

    def _branch(self, item: Item) -> Item:
        return _anything(item) if is_hole(item) else self.nodes(item) if isinstance(item.value, list) else self._node(item)


def _listed(item: Item, hole: Callable[[Item], Item], other: Callable[[Item], Item]) -> Item:
    """A list, or a hole instead of one, with holes filled."""
    items = [item] if is_hole(item) else item.value
    return Item([hole(each) if is_hole(each) else other(each) for each in items], item.place) if isinstance(items, list) else item


def _anything(item: Item) -> Item:
    """An Einsum that stands for a subtree that is left open."""
    return Item({"einsum": Item(HOLE, item.place), "unit": Item(HOLE, item.place)}, item.place)


def _rest(item: Item) -> Item:
    """A loop that stands for all the rest."""
    return Item({f"for {REST}": Item(OPEN, item.place)}, item.place, {f"for {REST}": item.place})
