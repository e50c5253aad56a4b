"""Text of YAML files of other tools: names that are filled in, texts that are included, anchors and merges. Nothing in it is executed.

Known are `{{NAME}}`, `{% set NAME = 3 %}` and `{% set NAME = NAME | default(3) %}` with numbers and formulas,
`{{include_text('FILE')}}`, and `<<`, `<<<` of mappings. Names get values from the file, or from outside.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from accelsim.errors import InputError, Place
from accelsim.formula import whole
from accelsim.io.importers.network import Request
from accelsim.io.source import MAX_BYTES, MAX_DEPTH, Item, item_of, read_text

_MARK = re.compile(r"\{\{(.*?)\}\}|\{%(.*?)%\}|\{#(.*?)#\}", re.DOTALL)
_SET = re.compile(r"set\s+([A-Za-z_]\w*)\s*=\s*(?:([A-Za-z_]\w*)\s*\|\s*default\((.*)\)|(.*))", re.DOTALL)
_INCLUDE = re.compile(r"include_text\(\s*(['\"])([^'\"]+)\1\s*\)")
_NAME = re.compile(r"[A-Za-z_]\w*")
_MOST_ITEMS = 100_000
_DEEPEST = 4
_MERGE = ("<<", "<<<")


def filled(path: Path, request: Request) -> tuple[Item, frozenset[str], frozenset[str]]:
    """A file as data, which of the request's sizes it took, and keys that hold anchors alone.

    Sizes that it does not take are refused if the request is strict.
    """
    template = Template(request.sizes)
    item = template.parse(path)
    for name in request.sizes if request.strict else ():
        if name not in template.used:
            raise InputError(f"--size {name}: {path} leaves no size '{name}' open", "leave it out")
    return item, frozenset(template.used), frozenset(key for key in item.value if isinstance(item.value, dict) and key in template.anchors)


@dataclass
class Template:
    """One file while it is filled in. `sizes`: values from outside; `used`: those that some name took."""

    sizes: Mapping[str, int]
    values: dict[str, int] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    anchors: set[str] = field(default_factory=set)  # keys of the file whose values have a name, and are there to be repeated
    lines: list[tuple[str, int]] = field(default_factory=list)  # where each line of the filled text stands

    def parse(self, path: Path) -> Item:
        """The file as data."""
        text = self._filled(read_text(path), path, 0)
        if len(text) > MAX_BYTES:
            raise InputError(f"{path}: larger than 256 KiB with what it includes", "write a smaller file")
        self.anchors |= set(re.findall(r"(?m)^([A-Za-z_]\w*):[ \t]*&", text))
        return self._moved(_parsed(text, str(path)))

    def _filled(self, text: str, path: Path, depth: int) -> str:
        """The text with everything filled in; `lines` gets the place of each of its lines."""
        made: list[str] = []
        for number, line in enumerate(self._joined(text, path).splitlines(), 1):
            included = _INCLUDE.search(line)
            if included and line.strip().startswith("{{") and _MARK.fullmatch(line.strip()):
                other = path.parent / included[2]
                if depth == _DEEPEST:
                    raise InputError(f"texts include each other more than {_DEEPEST} deep", "write one out", Place(str(path), number, 1))
                made.append(self._filled(read_text(other), other, depth + 1).rstrip("\n"))
                continue
            self.lines.append((str(path), number))
            made.append(_MARK.sub(lambda mark: self._value(mark, Place(str(path), number, mark.start() + 1)), line))  # noqa: B023
        return "\n".join(made) + "\n"

    def _joined(self, text: str, path: Path) -> str:
        """The text with marks that go over lines closed, which are not known, refused."""
        for mark in _MARK.finditer(text):
            if "\n" in mark[0] and not mark[0].startswith("{#"):
                place = Place(str(path), text.count("\n", 0, mark.start()) + 1, 1)
                raise InputError("a mark of a template that goes over lines", "write the file out without it", place)
        return _MARK.sub(lambda mark: "\n" * mark[0].count("\n") if mark[0].startswith("{#") else mark[0], text)

    def _value(self, mark: re.Match[str], place: Place) -> str:
        if mark[1] is not None and _NAME.fullmatch(mark[1].strip()):
            name = mark[1].strip()
            if name not in self.values and name not in self.sizes:
                raise InputError(f"the file leaves '{name}' open", f"say it: --size {name}=1", place)
            if name not in self.values:
                self.used.add(name)
            return str(self.values.get(name, self.sizes.get(name)))
        stated = _SET.fullmatch((mark[2] or "").strip())
        if stated is None:
            raise InputError(f"'{mark[0][:60]}' of a template is not known", "write the file out without it", place)
        name, other, default, value = stated.groups()
        if other is not None and other != name:
            raise InputError(f"'{mark[0][:60]}' of a template is not known", "write the file out without it", place)
        if name in self.sizes and (other is not None):
            self.used.add(name)
            self.values[name] = self.sizes[name]
        elif name not in self.values or other is None:
            self.values[name] = whole(default if other is not None else value, name, {**self.sizes, **self.values}, place)
        return ""

    def _moved(self, item: Item) -> Item:
        """The item with its places in the files that its lines come from, and merges carried out."""
        place = self._place(item.place)
        if isinstance(item.value, list):
            return Item([self._moved(child) for child in item.value], place)
        if not isinstance(item.value, dict):
            return Item(item.value, place)
        values: dict[str, Item] = {}
        places: dict[str, Place] = {}
        for key, child in item.value.items():
            moved = self._moved(child)
            if key in _MERGE:
                for part in moved.value if isinstance(moved.value, list) else [moved]:
                    part.mapping(f"what '{key}' merges")
                    base = Item(values, place, places)
                    merged = _under(base, part, deep=key == "<<<")
                    values, places = merged.value, merged.key_places or {}
        own = {key: self._moved(child) for key, child in item.value.items() if key not in _MERGE}
        at = {key: self._place(where) for key, where in (item.key_places or {}).items() if key not in _MERGE}
        return _under(Item(own, place, at), Item(values, place, places), deep="<<<" in item.value)

    def _place(self, place: Place) -> Place:
        if not 0 < place.line <= len(self.lines):
            return place
        file, line = self.lines[place.line - 1]
        return Place(file, line, place.column)


def _under(item: Item, base: Item, deep: bool) -> Item:
    """A mapping with what a base has besides; `deep`: mappings in both are merged too, as `<<<` does."""
    values, places = dict(base.value), dict(base.key_places or {})
    for key, child in item.value.items():
        other = values.get(key)
        both = deep and other is not None and isinstance(other.value, dict) and isinstance(child.value, dict)
        values[key] = _under(child, other, deep) if both and other is not None else child
        places[key] = (item.key_places or {}).get(key, child.place)
    return Item(values, item.place, places)


def _parsed(text: str, file: str) -> Item:
    """A YAML document with anchors; what is repeated counts as often as it stands."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise InputError("the file is empty", "write a workload", Place(file, 1, 1))
        _bounded(node, file, {}, 0)
        return item_of(node, loader, file)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file, 1, 1)
        raise InputError(f"not YAML: {error.problem or error.context}", "check indentation, quotes and brackets", place) from None
    except yaml.YAMLError as error:
        raise InputError(f"not YAML: {(str(error).splitlines() or ['unreadable'])[0]}", "write plain text", Place(file, 1, 1)) from None
    except (UnicodeError, RecursionError):
        raise InputError("not YAML: unreadable characters or nesting", "write plain text", Place(file, 1, 1)) from None
    finally:
        loader.dispose()


def _bounded(node: yaml.Node, file: str, known: dict[int, int], depth: int) -> int:
    """How many values a node holds, aliases written out; refuses too many, too deep and those that hold themselves."""
    place = Place(file, node.start_mark.line + 1, node.start_mark.column + 1)
    if known.get(id(node)) == 0 or depth > MAX_DEPTH:
        raise InputError(f"nested deeper than {MAX_DEPTH}, or in itself", "flatten the file", place)
    if id(node) not in known:
        known[id(node)] = 0
        children: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            children = list(node.value)
        elif isinstance(node, yaml.MappingNode):
            children = [part for pair in node.value for part in pair]
        known[id(node)] = 1 + sum(_bounded(child, file, known, depth + 1) for child in children)
    if known[id(node)] > _MOST_ITEMS:
        raise InputError(f"more than {_MOST_ITEMS} values with all aliases written out", "write a smaller file", place)
    return known[id(node)]
