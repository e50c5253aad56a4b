"""YAML as data with a place for every value: the one way in which accelsim reads YAML."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from accelsim.errors import InputError, Place, did_you_mean
from accelsim.io.versions import current

MAX_BYTES = 256 * 1024
MAX_DEPTH = 64
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Setting(Place):
    """A setting of the command line, which stands in no file; it shows the path as it was typed, without line and column."""

    def __str__(self) -> str:
        return f"--set {self.file}"


@dataclass(frozen=True, slots=True)
class Item:
    """A YAML value that remembers where it stands.

    `value` is str, int, float, bool, None, list[Item] or dict[str, Item]; `key_places` of a dict say where its keys stand.
    """

    value: Any
    place: Place
    key_places: dict[str, Place] | None = None

    def error(self, what: str, mend: str = "") -> InputError:
        """An InputError at this value."""
        return InputError(what, mend, self.place)

    def kind(self) -> str:
        """What a person would call this value."""
        value = self.value
        if isinstance(value, dict):
            return "a mapping"
        if isinstance(value, list):
            return "a list"
        shown = repr(value)
        return "nothing" if value is None else shown if len(shown) <= 42 else shown[:39] + "…" + shown[-1]

    def mapping(self, what: str) -> dict[str, Item]:
        """The value as a dict, or an error that says what was expected."""
        if not isinstance(self.value, dict):
            raise self.error(f"{what} must be a mapping of keys to values, not {self.kind()}", "write 'key: value' lines")
        return self.value

    def items(self, what: str) -> list[Item]:
        """The value as a list, or an error that says what was expected."""
        if not isinstance(self.value, list):
            raise self.error(f"{what} must be a list, not {self.kind()}", "write '[a, b]' or '- a' lines")
        return self.value

    def text(self, what: str) -> str:
        """The value as a string; numbers are given as their text."""
        if isinstance(self.value, bool) or not isinstance(self.value, (str, int, float)):
            raise self.error(f"{what} must be text, not {self.kind()}")
        return str(self.value)

    def name(self, what: str) -> str:
        """The value as an identifier-like string."""
        if not isinstance(self.value, str) or not self.value.strip():
            raise self.error(f"{what} must be a name, not {self.kind()}")
        return self.value.strip()

    def integer(self, what: str, least: int | None = None) -> int:
        """The value as an int of at least `least`."""
        if isinstance(self.value, bool) or not isinstance(self.value, int):
            raise self.error(f"{what} must be a whole number, not {self.kind()}")
        if least is not None and self.value < least:
            raise self.error(f"{what} must be at least {least}, not {self.value}")
        if abs(self.value) > 2**62:
            raise self.error(f"{what} is beyond 64 bits", "write a smaller number")
        return self.value

    def boolean(self, what: str) -> bool:
        """The value as true or false."""
        if not isinstance(self.value, bool):
            raise self.error(f"{what} must be true or false, not {self.kind()}")
        return self.value

    def key_error(self, key: str, what: str, mend: str = "") -> InputError:
        """An InputError at a key of this mapping."""
        return InputError(what, mend, (self.key_places or {}).get(key, self.place))

    def only(self, known: Iterator[str] | tuple[str, ...] | set[str], what: str) -> dict[str, Item]:
        """The value as a dict whose keys are all known: what is accepted is modelled."""
        names = set(known)
        mapping = self.mapping(what)
        for key in mapping:
            if key not in names:
                raise self.key_error(key, f"{what} has no '{key}'", did_you_mean(key, names))
        return mapping


def plain(item: Item) -> Any:
    """The value without places: nested dicts, lists and scalars."""
    if isinstance(item.value, dict):
        return {key: plain(child) for key, child in item.value.items()}
    if isinstance(item.value, list):
        return [plain(child) for child in item.value]
    return item.value


def read_text(path: Path) -> str:
    """The text of a file of at most 256 KiB in UTF-8; anything else is an InputError."""
    shown = str(path)
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{shown}: cannot read: {error.strerror or error}", "check the path") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{shown}: larger than 256 KiB", "a description this long is a data file; split it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        lines = data[: error.start].decode("utf-8").split("\n")
        place = Place(shown, len(lines), len(lines[-1]) + 1)
        raise InputError("not UTF-8 text", "accelsim reads YAML text files", place) from None


def parse(text: str, file: str) -> Item:
    """One YAML document as an Item, less what it says of its version (`schema: accelsim/…`), which has to be the newest.

    Refuses aliases, tags, duplicate keys, deep nesting and keys that are not scalars.
    """
    return current(parse_raw(text, file))


def parse_raw(text: str, file: str) -> Item:
    """The same with what it says of its version."""
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise InputError(f"{file}: larger than 256 KiB", "a description this long is a data file; split it")
    try:
        _refuse_aliases(text, file)
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                raise InputError("the file is empty", "see `accelsim list` for shipped examples", Place(file, 1, 1))
            return _item(node, loader, file, 0)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        raise InputError(f"not YAML: {error.problem or error.context}", "check indentation, quotes and brackets", place) from None
    except yaml.YAMLError as error:
        reason = str(error).splitlines()[0] if str(error) else "unreadable"
        raise InputError(f"not YAML: {reason}", "write plain text", Place(file, 1, 1)) from None
    except (UnicodeError, RecursionError):
        raise InputError("not YAML: unreadable characters or nesting", "write plain text", Place(file, 1, 1)) from None


def parse_setting(path: str, text: str) -> Item:
    """The value of `--set path=text`; whatever is wrong with it is said of the setting."""
    place = Setting(path, 1, 1)
    try:
        return _placed(parse(text, path), place)
    except InputError as error:
        raise InputError(f"cannot read '{text[:60]}' as a value", error.mend, place) from None


def _placed(item: Item, place: Place) -> Item:
    """The item with one place for all that is in it."""
    if isinstance(item.value, dict):
        return Item({key: _placed(child, place) for key, child in item.value.items()}, place, dict.fromkeys(item.value, place))
    return Item([_placed(child, place) for child in item.value] if isinstance(item.value, list) else item.value, place)


def load(path: Path) -> Item:
    """Read and parse one YAML file; a text that was parsed before is not parsed again."""
    return _parsed(read_text(path), str(path))


_parsed = lru_cache(maxsize=64)(parse)


def top_text(text: str, key: str) -> str | None:
    """The scalar under a key at the top of a document as it is written, None if there is none; what stands after it is not read."""
    depth, name = 0, None
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
            name = None if depth == 1 else name
        elif depth == 1 and isinstance(event, yaml.ScalarEvent):
            if name == key:
                return str(event.value)
            name = event.value if name is None else None
    return None


def _refuse_aliases(text: str, file: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        mark = event.start_mark
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            place = Place(file, mark.line + 1, mark.column + 1)
            raise InputError("YAML anchors and aliases are not accepted", "write the value out", place)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise InputError(f"nested deeper than {MAX_DEPTH}", "flatten the file", Place(file, mark.line + 1, mark.column + 1))
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def item_of(node: yaml.Node, loader: Any, file: str) -> Item:
    """A node that was composed elsewhere as an Item; a key `<<` is a key like any other."""
    return _item(node, loader, file, 0, merges=True)


def _item(node: yaml.Node, loader: Any, file: str, depth: int, merges: bool = False) -> Item:
    mark = node.start_mark
    place = Place(file, mark.line + 1, mark.column + 1)
    if isinstance(node, yaml.ScalarNode):
        return Item(_scalar(node, loader, place), place)
    if isinstance(node, yaml.SequenceNode):
        if node.tag != "tag:yaml.org,2002:seq":
            raise InputError(f"YAML tag '{node.tag}' is not accepted", "write a plain value", place)
        return Item([_item(child, loader, file, depth + 1, merges) for child in node.value], place)
    assert isinstance(node, yaml.MappingNode)
    if node.tag != "tag:yaml.org,2002:map":
        raise InputError(f"YAML tag '{node.tag}' is not accepted", "write a plain value", place)
    mapping: dict[str, Item] = {}
    places: dict[str, Place] = {}
    for key_node, value_node in node.value:
        key_mark = key_node.start_mark
        key_place = Place(file, key_mark.line + 1, key_mark.column + 1)
        if not isinstance(key_node, yaml.ScalarNode) or (key_node.value == "<<" and not merges):
            raise InputError("a key must be a plain word", "quote it or write it out", key_place)
        key = key_node.value
        if key in mapping:
            raise InputError(f"'{key}' is given twice", "remove one of the two", key_place)
        mapping[sys.intern(key)] = _item(value_node, loader, file, depth + 1, merges)
        places[key] = key_place
    return Item(mapping, place, places)


def _scalar(node: yaml.ScalarNode, loader: Any, place: Place) -> Any:
    kinds = {"str", "int", "float", "bool", "null"}
    kind = node.tag.removeprefix("tag:yaml.org,2002:")
    if kind not in kinds:
        if kind in {"timestamp", "value"}:
            return node.value
        raise InputError(f"YAML tag '{node.tag}' is not accepted", "write a plain value", place)
    if kind == "bool" and node.value.lower() not in {"true", "false"}:
        return node.value  # YAML 1.1 reads y, n, on and off as booleans; here they are words
    if kind == "int" and (":" in node.value or len(node.value) > 40):
        return node.value
    if kind == "float" and ":" in node.value:
        return node.value
    try:
        return loader.construct_object(node)
    except (ValueError, OverflowError, yaml.YAMLError):
        raise InputError(f"cannot read '{node.value[:40]}' as a value", "quote it", place) from None
