"""Settings such as `L3.size: 8 MiB` put into a machine file before it is read: nodes and axes are addressed by name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from accelsim.errors import InputError, Place, did_you_mean
from accelsim.io.source import Item, parse_setting

_Path = tuple[str | int, ...]
_TOP = ("clock", "launch", "technology", "synthesis", "word", "source", "about", "machine")
_SHORT = {"axes": "size", "executes": "energy"}
_KINDS = ("memory", "array", "unit")


def spelled_out(item: Item) -> Item:
    """The document in long form.

    One `feeds` is a list of one; `col: 256` is `col: {size: 256}`; `mac add: X` is two keys with `{energy: X}`.
    """
    if isinstance(item.value, list):
        return Item([spelled_out(child) for child in item.value], item.place)
    if not isinstance(item.value, dict):
        return item
    found: dict[str, Item] = {}
    places = dict(item.key_places or {})
    for key, child in item.value.items():
        if key == "feeds" and isinstance(child.value, dict):
            child = Item([child], child.place)
        if key in _SHORT and isinstance(child.value, dict):
            found[key] = _long_entries(child, _SHORT[key])
        else:
            found[key] = spelled_out(child)
    return Item(found, item.place, places)


def _long_entries(item: Item, default: str) -> Item:
    entries: dict[str, Item] = {}
    places: dict[str, Place] = {}
    for key, child in item.value.items():
        whole_figure = default == "energy" and isinstance(child.value, dict) and "value" in child.value
        if not isinstance(child.value, dict) or whole_figure:
            child = Item({default: child}, child.place, {default: child.place})
        for name in key.split() or [key]:
            if name in entries:
                raise item.key_error(key, f"'{name}' is given twice", "remove one of the two")
            entries[name] = child
            places[name] = (item.key_places or {}).get(key, child.place)
    return Item(entries, item.place, places)


def overridden(document: Item, overrides: Mapping[str, str]) -> Item:
    """The long-form document with every setting in place; a path that leads nowhere is an InputError with the nearest name."""
    for path, text in overrides.items():
        document = spelled_out(_set(document, path, parse_setting(f"arch.{path}", text)))
    return document


def _set(document: Item, path: str, value: Item) -> Item:
    first, *rest = path.split(".")
    if not all((first, *rest)):
        raise InputError(f"--set arch.{path}: not a path", "write it as in arch.L3.size")
    if first in _TOP and not rest:
        return _replaced(document, (first,), value)
    if first == "let":
        names = _child(document, "let")
        if len(rest) != 1 or rest[0] not in names:
            known = [f"arch.let.{name}" for name in names]
            raise InputError(f"--set arch.{path}: names nothing under 'let'", did_you_mean(f"arch.{path}", known))
        return _replaced(document, ("let", rest[0]), value)
    known = dict(targets(document.value.get("tree"), ("tree",))) if isinstance(document.value, dict) else {}
    if first not in known:
        addressed = (*known, "clock", *(f"let.{name}" for name in _child(document, "let")))
        raise InputError(f"--set arch.{path}: this machine has no node '{first}'", did_you_mean(first, addressed))
    if not rest:
        raise InputError(f"--set arch.{path}: the path stops at a node", f"say what to change of it, as in arch.{path}.size")
    if rest[0] in ("memory", "array", "unit", "feeds"):
        raise InputError(f"--set arch.{path}: would change the tree", "edit the machine file")
    if rest[0] == "bandwidth":
        document = _without(document, known[first], ("read_bandwidth", "write_bandwidth"))
    if rest == ["network", "bandwidth"]:
        document = _without(document, (*known[first], "network"), ("down", "up"))
        if not _has(document, (*known[first], "network")):
            rest, value = ["network"], Item({"bandwidth": value}, value.place, {"bandwidth": value.place})
    return _replaced(document, (*known[first], *rest), value, path)


def _child(item: Item, key: str) -> Mapping[str, Item]:
    child = item.value.get(key) if isinstance(item.value, dict) else None
    return child.value if child is not None and isinstance(child.value, dict) else {}


def targets(item: Item | None, at: _Path) -> Iterator[tuple[str, _Path]]:
    """Every node and axis by name, with where it stands."""
    if item is None or not isinstance(item.value, dict):
        return
    for kind in _KINDS:
        name = item.value.get(kind)
        if name is not None and isinstance(name.value, str):
            yield name.value.strip(), at
    for axis in _child(item, "axes"):
        yield axis, (*at, "axes", axis)
    feeds = item.value.get("feeds")
    if feeds is not None and isinstance(feeds.value, list):
        for index, child in enumerate(feeds.value):
            yield from targets(child, (*at, "feeds", index))


def _has(item: Item, at: _Path) -> bool:
    """Whether anything stands at a path."""
    for key in at:
        if isinstance(item.value, dict) and key not in item.value:
            return False
        item = item.value[key]
    return True


def _replaced(item: Item, at: _Path, value: Item, path: str = "") -> Item:
    key, rest = at[0], at[1:]
    if isinstance(key, int):
        children = list(item.value)
        children[key] = _replaced(children[key], rest, value, path) if rest else value
        return Item(children, item.place)
    mapping = dict(item.value)
    places = dict(item.key_places or {})
    if rest:
        child = mapping.get(key)
        if child is None:
            raise InputError(f"--set arch.{path}: finds no '{key}'", did_you_mean(key, mapping))
        if not isinstance(child.value, list if isinstance(rest[0], int) else dict):
            raise InputError(f"--set arch.{path}: finds nothing inside '{key}'", f"set '{key}' itself")
        mapping[key] = _replaced(child, rest, value, path)
    else:
        mapping[key] = value
        places[key] = value.place
    return Item(mapping, item.place, places)


def _without(item: Item, at: _Path, keys: tuple[str, ...]) -> Item:
    """The document less some keys of the mapping at a path."""
    if not at:
        return Item({key: child for key, child in item.value.items() if key not in keys}, item.place, item.key_places)
    first, rest = at[0], at[1:]
    if isinstance(first, int):
        children = list(item.value)
        children[first] = _without(children[first], rest, keys)
        return Item(children, item.place)
    if first not in item.value or not isinstance(item.value[first].value, dict | list):
        return item  # there is nothing to remove
    return Item({**item.value, first: _without(item.value[first], rest, keys)}, item.place, item.key_places)
