"""Workload files: YAML to a Cascade, or with `layers:` or `phases:` to a Model."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from accelsim.errors import InputError, Place, did_you_mean
from accelsim.formula import Value
from accelsim.hardware.types import TYPES, NumberType
from accelsim.io.density import densities
from accelsim.io.source import Item, Setting, parse_setting
from accelsim.workload.build import build
from accelsim.workload.cascade import Cascade, Model
from accelsim.workload.declaration import BF16, Declaration, TensorDeclaration, TypePair
from accelsim.workload.grammar import Statement, split_statements
from accelsim.workload.storage import NAMED, Storage

MODEL_KEYS = ("layers", "phases", "serving", "weights")
CASCADE_KEYS = ("workload", "about", "source", "shape", "split", "type", "tensors", "constants", "einsums", "density", "format")
KEYS = (*CASCADE_KEYS, *MODEL_KEYS)
SETTABLE = ("shape", "split", "type", "tensors", "constants", "density", "format", "layers", "phases")
Find = Callable[[str], Path]
_MOST_BITS = 1 << 16


def load_workload(path: Path, overrides: Mapping[str, str] | None = None, find: Find | None = None) -> Cascade | Model:
    """The Cascade or Model that a YAML file describes, with settings such as {'shape.m': '16384'} applied.

    `find` turns the name in `use:` into a path; by default a file beside this one, else a shipped workload.
    An InputError says where and how to mend it.
    """
    from accelsim.io.inherit import load_document

    imported = _imported(path, overrides or {})
    found = load_document(path, find, text=None if imported is None else imported[0])
    overrides = overrides if imported is None else imported[1]
    item = found.item
    for dotted, value in (overrides or {}).items():
        item = with_setting(item, dotted.split("."), value, dotted)
    return read_workload(item, found.text, found.find, 0)


def _imported(path: Path, overrides: Mapping[str, str]) -> tuple[str, Mapping[str, str]] | None:
    """The text of a workload that is a file of another tool, and the settings that are left; None if it is one of ours.

    `shape.NAME` is the size of a dimension that the file leaves open, where there is one.
    """
    from accelsim.io.importing import import_sized

    return import_sized(path, overrides)


def read_workload(item: Item, text: str, find: Find, depth: int = 0, only: str = "") -> Cascade | Model:
    """The Cascade or Model of a parsed document; `text` is the document itself, for columns in messages; `only`: see `read_model`."""
    top = item.only(set(KEYS), "a workload")
    if "workload" not in top:
        raise item.error("the workload has no name", "write workload: NAME on the first line")
    if "phases" in top or "layers" in top:
        from accelsim.io.models import read_model

        return read_model(item, text, find, depth, only)
    for key in MODEL_KEYS:
        if key in top:
            raise item.key_error(key, f"a workload of one cascade has no '{key}'", "write it in a workload with layers")
    if "einsums" not in top:
        raise item.error("the workload has neither einsums nor layers", "write einsums: ['Z[m,n] = A[m,k] * B[k,n]']")
    return build(declaration(item, text, top["workload"].name("the workload's name")))


def declaration(item: Item, text: str, name: str, shape: dict[str, int] | None = None) -> Declaration:
    """What a document (or a layer with its own einsums) states about a cascade, with the place of everything; `shape`: not its own."""
    top = item.mapping("a workload")
    places: dict[str, Place] = {}
    lines = tuple(text.splitlines())
    for section, child in top.items():
        places[section] = (item.key_places or {}).get(section, child.place)
        if isinstance(child.value, dict):
            for key, place in (child.key_places or {}).items():
                places[f"{section}.{key}"] = place
    if "about" in top:
        top["about"].text("about")
    default, types = _types(top.get("type"))
    sizes, derived = _sizes(top.get("shape")) if shape is None else (shape, {})
    return Declaration(
        name,
        _statements(top["einsums"], lines),
        sizes,
        _split(top.get("split")),
        default,
        types,
        _tensors(top.get("tensors")),
        _constants(top.get("constants")),
        densities(top.get("density")),
        _storage(top.get("format")),
        top["source"].text("source") if "source" in top else "",
        places,
        derived,
    )


def _statements(item: Item, lines: tuple[str, ...]) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for entry in item.items("einsums"):
        label, text = "", entry
        if isinstance(entry.value, dict):
            if len(entry.value) != 1:
                raise entry.error("a labelled einsum is one 'label: statement' pair", "write - {QK: 'QK[m,p] = ...'}")
            ((label, text),) = entry.value.items()
            if not label or any(sign in label for sign in " \t[]{}(),;=@"):
                raise entry.error(f"'{label}' cannot label a statement", "a label is a word")
        if not isinstance(text.value, str):
            raise text.error(f"an einsum must be text, not {text.kind()}", "write it as in 'Z[m,n] = A[m,k] * B[k,n]'")
        found.extend(split_statements(_located(text.value, label, text.place, lines)))
    return tuple(found)


def _located(value: str, label: str, place: Place, lines: tuple[str, ...]) -> Statement:
    """A statement whose characters are found again in the lines of the file (YAML quotes, folds and escapes)."""
    starts, places = [0], [(place.line, place.column)]
    line, column = place.line - 1, place.column - 1
    for at, character in enumerate(value):
        if character.isspace():
            continue
        row, start = line, column
        while row < len(lines):
            hit = lines[row].find(character, start)
            if hit >= 0:
                break
            row, start = row + 1, 0
        else:
            break
        first, (known_line, known_column) = starts[-1], places[-1]
        if (row + 1, hit + 1) != (known_line, known_column + at - first):
            starts.append(at)
            places.append((row + 1, hit + 1))
        line, column = row, hit + 1
    return Statement(value, label, place.file, tuple(starts), tuple(places), lines)


def shape_of(item: Item | None, names: Mapping[str, Value] | None = None) -> dict[str, int]:
    """The sizes of a section `shape`, if there is one.

    With `names`, they may be formulas over these and over sizes stated before, and 0 where nothing is left of a rank.
    """
    if item is None:
        return {}
    if names is not None:
        from accelsim.io.model_sizes import formula, sizes_of

        found: dict[str, int] = {}
        for rank, size in item.mapping("shape").items():
            found[rank] = formula(size, f"the size of rank '{rank}'", {**names, **sizes_of(found)})
        return found
    return {rank: size.integer(f"the size of rank '{rank}'", 1) for rank, size in item.mapping("shape").items()}


def _sizes(item: Item | None) -> tuple[dict[str, int], dict[str, str]]:
    """Sizes of a cascade's section `shape`: numbers, and formulas over other sizes (which upper-case names tell from other text)."""
    numbers: dict[str, int] = {}
    formulas: dict[str, str] = {}
    for rank, size in item.mapping("shape").items() if item is not None else ():
        if isinstance(size.value, str) and size.value != size.value.lower():
            formulas[rank] = size.value
        else:
            numbers[rank] = size.integer(f"the size of rank '{rank}'", 1)
    return numbers, formulas


def _split(item: Item | None) -> dict[str, dict[str, int | None]]:
    found: dict[str, dict[str, int | None]] = {}
    for rank, parts in (item.mapping("split") if item is not None else {}).items():
        sizes: dict[str, int | None] = {}
        for part, size in parts.mapping(f"the split of '{rank}'").items():
            open_size = size.value is None or size.value == "~"
            sizes[part] = None if open_size else size.integer(f"the size of part '{part}'", 1)
        found[rank] = sizes
    return found


def _types(item: Item | None) -> tuple[TypePair, dict[str, TypePair]]:
    if item is None:
        return BF16, {}
    if isinstance(item.value, str):
        both = number_type_of(item)
        return TypePair(both, both), {}
    stated = item.mapping("type")
    default = _pair(stated["default"], BF16) if "default" in stated else BF16
    return default, {name: _pair(value, default) for name, value in stated.items() if name != "default"}


def _pair(item: Item, default: TypePair) -> TypePair:
    if not isinstance(item.value, dict):
        both = number_type_of(item)
        return TypePair(both, both)
    stated = item.only({"partial", "final"}, "a type")
    final = number_type_of(stated["final"]) if "final" in stated else default.final
    return TypePair(final, number_type_of(stated["partial"]) if "partial" in stated else final)


def number_type_of(item: Item) -> NumberType:
    name = item.name("a number type")
    if name not in TYPES:
        raise item.error(f"there is no number type '{name}'", did_you_mean(name, TYPES))
    return TYPES[name]


def _tensors(item: Item | None) -> dict[str, TensorDeclaration]:
    found = {}
    for name, child in (item.mapping("tensors") if item is not None else {}).items():
        stated = child.only({"shape", "fill", "output", "below"}, f"tensor '{name}'")
        shape: tuple[int | str, ...] | None = None
        if "shape" in stated:
            sizes = stated["shape"].items(f"the shape of '{name}'")
            shape = tuple(_size(size, "a size") for size in sizes)
        fill = _number(stated["fill"], f"the fill of '{name}'") if "fill" in stated else None
        output = stated["output"].boolean(f"'output' of '{name}'") if "output" in stated else False
        below = _size(stated["below"], f"'below' of '{name}'") if "below" in stated else None
        found[name] = TensorDeclaration(shape, fill, output, below)
    return found


def _size(item: Item, what: str) -> int | str:
    """A number of coordinates, or a formula."""
    return item.integer(what, 1) if isinstance(item.value, int) else item.text(what)


def _number(item: Item, what: str) -> float:
    value = item.value
    if isinstance(value, str):
        word = value.strip().lower().lstrip("+")
        if word in {"inf", "-inf"}:
            return float(word)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value) or 1e300 < abs(value) < math.inf:
        raise item.error(f"{what} must be a number, not {item.kind()}", "write a number, or -inf")
    return float(value)


def _constants(item: Item | None) -> dict[str, float | str]:
    found: dict[str, float | str] = {}
    for name, child in (item.mapping("constants") if item is not None else {}).items():
        if isinstance(child.value, str) and not _is_number(child.value):
            found[name] = child.value
        else:
            text = isinstance(child.value, str)
            found[name] = float(child.value) if text else _number(child, f"constant '{name}'")
            if math.isinf(float(found[name])) or math.isnan(float(found[name])):
                raise child.error(f"constant '{name}' is not a finite number", "write a number or a formula over sizes")
    return found


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_STORAGE_KEYS = ("ranks", "coordinate", "pointer", "line", "value")


def _storage(item: Item | None) -> dict[str, Storage]:
    """How tensors are stored: a format by name, the kind of every rank, or these with widths."""
    found = {}
    for name, child in (item.mapping("format") if item is not None else {}).items():
        keys = child.mapping("a format") if isinstance(child.value, dict) else {"ranks": child}
        if isinstance(child.value, dict):
            child.only({*_STORAGE_KEYS, "tiles"}, "a format")
        if "ranks" not in keys:
            raise child.error(f"the format of '{name}' does not say how its ranks are stored", "write ranks: [uncompressed, compressed]")
        ranks = keys["ranks"]
        if isinstance(ranks.value, list):
            kinds = tuple(each.name("the kind of a rank") for each in ranks.items("ranks"))
        else:
            named = ranks.name("a format")
            if named not in NAMED:
                raise ranks.error(f"there is no format '{named}'", f"write one of {', '.join(NAMED)}, or the kind of each rank in brackets")
            kinds = NAMED[named]
        widths = {key: _bits(keys[key], f"the {key} of '{name}'", key) for key in _STORAGE_KEYS[1:] if key in keys}
        try:
            defaults = {"coordinate": 0, "pointer": 32, "line": 1, "value": 0} | widths
            coordinate, pointer, line, value = (defaults[key] for key in _STORAGE_KEYS[1:])
            found[name] = Storage(kinds, coordinate, pointer, line, value, _whole_tiles(keys.get("tiles"), name))
        except InputError as error:
            raise ranks.error(error.what, error.mend) from None
    return found


def _whole_tiles(item: Item | None, tensor: str) -> bool:
    if item is not None and item.text(f"the tiles of '{tensor}'") != "whole":
        raise item.error(f"the tiles of '{tensor}' are '{item.value}'", "write tiles: whole, or leave it out")
    return item is not None


def _bits(item: Item, what: str, key: str) -> int:
    """Bits of a width; of a pointer `none` is 0, where fibers of one size need none."""
    from accelsim.units import size_bits

    if key == "pointer" and item.value == "none":
        return 0
    bits = size_bits(" ".join(item.text(what).split()), what, item.place)
    if not 0 < bits <= _MOST_BITS:
        raise item.error(f"{what} is {bits} bits wide", f"write 1 bit to {_MOST_BITS} bit")
    return bits


def finder(path: Path) -> Find:
    """What finds the workloads that a file uses: beside it, else shipped ones."""

    def find(name: str) -> Path:
        from accelsim.io.catalogue import WORKLOAD, resolve

        for beside in (path.parent / f"{name}.yaml", path.parent / name):
            try:
                if beside.is_file():
                    return beside
            except (OSError, ValueError):
                continue
        return resolve(name, WORKLOAD)

    return find


def with_setting(item: Item, path: list[str], text: str, dotted: str, above: tuple[str, ...] = ()) -> Item:
    """The item with one value inside replaced (or, in a section that may grow, added)."""
    key, rest = path[0], path[1:]
    place = Setting(dotted, 1, 1)
    if not above and key not in SETTABLE:
        raise InputError(f"--set {dotted}: a workload has no setting '{key}'", did_you_mean(key, SETTABLE))
    if isinstance(item.value, list):
        if not key.isdigit() or int(key) >= len(item.value):
            raise InputError(f"--set {dotted}: there is no entry '{key}'", f"entries count from 0 to {len(item.value) - 1}")
        children = list(item.value)
        children[int(key)] = with_setting(children[int(key)], rest, text, dotted, (*above, key)) if rest else parse_setting(dotted, text)
        return dataclasses.replace(item, value=children)
    if item.value is not None and not isinstance(item.value, dict):
        raise InputError(f"--set {dotted}: '{'.'.join(above)}' holds nothing named '{key}'", "shorten the path")
    mapping = dict(item.value or {})
    known = {**(item.key_places or {}), key: place}
    if rest:
        child = mapping.get(key, Item({}, place, {}))
        mapping[key] = with_setting(child, rest, text, dotted, (*above, key))
    elif not above:
        if key not in mapping:
            raise InputError(f"--set {dotted}: the path stops at '{key}'", f"say what to change inside, as in {key}.NAME")
        mapping[key] = parse_setting(dotted, text)
    else:
        mapping[key] = parse_setting(dotted, text)
    return Item(mapping, item.place, known)
