"""Mapping files: YAML to a loop tree with places; the way back is `dump_mapping`."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from fractions import Fraction
from pathlib import Path

from accelsim.errors import InputError, Place, did_you_mean
from accelsim.io.catalogue import MAPPING, refuse_other
from accelsim.io.source import Item, Setting, load, parse
from accelsim.mapping.names import HELD_OPTIONS, NODE_WORDS, chain_names, fraction, is_name
from accelsim.mapping.tree import SCHEDULES, For, Fuse, Held, Keep, Leaf, Loop, Mapping, Spatial, Stage, TreeNode
from accelsim.mapping.yaml_text import dump_mapping
from accelsim.workload.build import sized
from accelsim.workload.cascade import Cascade

__all__ = ["dump_mapping", "load_fitting", "load_mapping", "parse_mapping", "read_mapping"]

_KEYS = ("mapping", "about", "source", "sizes", "let", "tree")


def load_fitting(path: Path | str, cascade: Cascade, overrides: Dict[str, str] | None = None) -> tuple[Mapping, Cascade]:
    """The mapping that a file describes, and the cascade with the sizes of open parts that the mapping states; see `load_mapping`."""
    document = load(Path(path))
    refuse_other(document, MAPPING)
    keys = document.value if isinstance(document.value, dict) else {}
    stated = _sizes(keys.get("sizes"))
    try:
        fitting = sized(cascade, stated)
    except InputError as error:
        raise keys.get("sizes", document).error(error.what, error.mend) from None
    return read_mapping(document, fitting.extents, overrides or {}), fitting


def load_mapping(path: Path | str, sizes: Dict[str, int], overrides: Dict[str, str] | None = None) -> Mapping:
    """The mapping that a file describes.

    `sizes`: extents of the workload's ranks, usable in tile formulas by their upper-case names.
    `overrides`: texts by dotted path; `let.NAME` is the only kind. Refuses what `read_mapping` refuses.
    """
    return read_mapping(load(Path(path)), sizes, overrides or {})


def parse_mapping(text: str, sizes: Dict[str, int], file: str = "mapping") -> Mapping:
    """The mapping that YAML text describes; `file` is the name shown in errors."""
    return read_mapping(parse(text, file), sizes, {})


def read_mapping(item: Item, sizes: Dict[str, int], overrides: Dict[str, str]) -> Mapping:
    """The mapping that a parsed document describes; refuses unknown keys, malformed nodes and tiles that are not whole numbers above 0."""
    keys = item.only(_KEYS, "a mapping file")
    for key in ("mapping", "tree"):
        if key not in keys:
            raise item.error(f"a mapping file needs '{key}'", f"write '{key}: …' at the top")
    names = _names(keys.get("let"), sizes, overrides)
    texts = {key: keys[key].text(f"'{key}'").strip() for key in ("mapping", "about", "source") if key in keys}
    nodes = _nodes(keys["tree"], "the tree", names)
    return Mapping(texts["mapping"], nodes, texts.get("source", ""), texts.get("about", ""), _sizes(keys.get("sizes")))


def _sizes(item: Item | None) -> tuple[tuple[str, int], ...]:
    given = item.mapping("'sizes'") if item is not None else {}
    return tuple((part, size.integer(f"the size of '{part}'", 1)) for part, size in given.items())


def _names(let: Item | None, sizes: Dict[str, int], overrides: Dict[str, str]) -> dict[str, int | Fraction]:
    ranks = {rank.upper(): size for rank, size in sizes.items()}
    names: dict[str, int | Fraction] = dict(ranks)
    given = let.mapping("'let'") if let is not None else {}
    known = [f"let.{name}" for name in given]
    for path in overrides:
        if path not in known:
            raise InputError(f"--set mapping.{path}: the mapping has no '{path}' to set", did_you_mean(path, known))
    for name, value in given.items():
        assert let is not None
        if not is_name(name):
            raise let.key_error(name, f"'{name}' is not a name", "use letters, digits and '_'")
        if name in ranks:
            raise let.key_error(name, f"'{name}' is already the size of rank '{name.lower()}'", "choose another name")
        text = overrides.get(f"let.{name}")
        place = value.place if text is None else Setting(f"mapping.let.{name}", 1, 1)
        names[name] = _number(value if text is None else Item(text, place), f"'{name}'", names)
    return names


def _number(item: Item, what: str, names: Dict[str, int | Fraction]) -> int | Fraction:
    if isinstance(item.value, str):
        from accelsim.formula import evaluate

        try:
            return evaluate(item.value, names)
        except InputError as error:
            raise item.error(f"{what}: {error.what}", error.mend) from None
    return item.integer(what)


def _count(item: Item, what: str, names: Dict[str, int | Fraction]) -> int:
    number = _number(item, what, names)
    shown = f", not {item.value}" if isinstance(item.value, int) else f"; '{item.value}' is {number}"
    if number != int(number):
        raise item.error(f"{what} must be a whole number{shown}", "use // or ceil to make it whole")
    if number < 1:
        raise item.error(f"{what} must be at least 1{shown}")
    if number > 2**62:
        raise item.error(f"{what} is beyond 64 bits", "write a smaller number")
    return int(number)


def _nodes(item: Item, what: str, names: Dict[str, int | Fraction]) -> tuple[TreeNode, ...]:
    children = item.items(what)
    nodes = tuple(_node(child, names) for child in children)
    for child, node in zip(children, nodes, strict=True):
        last = child is children[-1]
        if isinstance(node, (Leaf, Fuse)) != last:
            if last:
                raise child.error(f"{what} must end in an Einsum or a fuse", "write '{einsum: NAME, unit: UNIT}' last")
            raise child.error("nothing may follow an Einsum or a fuse in the same list", "put both into '- fuse sequential: […]'")
    if not nodes:
        raise item.error(f"{what} is empty", "write '{einsum: NAME, unit: UNIT}' last")
    return nodes


def _node(item: Item, names: Dict[str, int | Fraction]) -> TreeNode:
    keys = item.mapping("a node")
    if "einsum" in keys:
        return _leaf(item, names)
    if len(keys) != 1:
        raise item.error(f"a node has one key, this one has {len(keys)}", "write '- for m: 16' or '- {einsum: NAME, unit: UNIT}'")
    head, value = next(iter(keys.items()))
    words = head.split()
    if words and words[0] == "fuse":
        return _fuse(item, head, words, value, names)
    return _loop(item, names)


def _loop(item: Item, names: Dict[str, int | Fraction]) -> Loop:
    keys = item.mapping("a node")
    head = next(iter(keys), "")
    words = head.split()
    place = (item.key_places or {}).get(head, item.place)
    if len(keys) != 1 or not words:
        raise item.error(f"a loop has one key, this one has {len(keys)}", "write 'for m: 16', 'spatial col m: 1' or 'keep MEMORY: [A]'")
    value = keys[head]
    forms = {"keep": 2, "for": 2, "spatial": 3}
    if words[0] not in forms:
        raise item.key_error(head, f"a node cannot be '{head}'", did_you_mean(words[0], NODE_WORDS))
    if len(words) != forms[words[0]] or not all(is_name(word) for word in words):
        mends = {"keep": "'keep MEMORY: [A, B]'", "for": "'for m: 16'", "spatial": "'spatial col m: 1'"}
        raise item.key_error(head, f"cannot read '{head}'", f"write {mends[words[0]]}")
    if words[0] == "keep":
        held = tuple(_held(child, names) for child in value.items(f"'{head}'"))
        return Keep(words[1], held, place)
    if isinstance(value.value, dict):
        return _holding(value, head, words, place, names)
    tile = _count(value, f"the tile of '{head}'", names)
    return For(words[1], tile, place) if words[0] == "for" else Spatial(words[1], words[2], tile, place)


def _holding(item: Item, head: str, words: list[str], place: Place, names: Dict[str, int | Fraction]) -> For:
    """A loop whose tiles hold at most so many stored elements of a tensor."""
    if words[0] != "for":
        raise item.error(f"tiles of '{head}' are of one size", f"write a size, as in '{head}: 1'")
    keys = item.only(("holding", "of"), f"what tiles of '{head}' hold")
    for key in ("holding", "of"):
        if key not in keys:
            raise item.error(f"'{head}' needs '{key}'", f"write '{head}: {{holding: 16, of: A}}'")
    tensor = keys["of"].name("'of'")
    if not is_name(tensor):
        raise keys["of"].error(f"'{tensor}' is not a tensor", "write the name of one, as in 'of: A'")
    return For(words[1], _count(keys["holding"], f"what tiles of '{head}' hold", names), place, tensor)


def _held(item: Item, names: Dict[str, int | Fraction]) -> Held:
    if not isinstance(item.value, dict):
        return _tensors(item, item.name("a kept tensor"))
    if len(item.value) != 1:
        raise item.error(f"a kept tensor has one key, this one has {len(item.value)}", "write '{A: {copies: 2}}'")
    head, options = next(iter(item.value.items()))
    held = _tensors(item, head)
    keys = options.only(HELD_OPTIONS, "a kept tensor")
    copies = _count(keys["copies"], "copies", names) if "copies" in keys else 1
    share = Fraction(1)
    if "fraction" in keys:
        found = fraction(keys["fraction"].text("fraction"))
        if found is None and isinstance(keys["fraction"].value, str):
            number = _number(keys["fraction"], "fraction", names)
            found = Fraction(number) if 0 <= number <= 1 else None
        if found is None:
            raise keys["fraction"].error(f"fraction must lie between 0 and 1, not {keys['fraction'].value}", "write 0.5 or 1/2")
        share = found
    layout = _name_list(keys["layout"], "layout") if "layout" in keys else ()
    in_place = (*held.in_place, *(_name_list(keys["in_place"], "in_place") if "in_place" in keys else ()))
    return Held(held.tensor, copies, share, layout, in_place)


def _tensors(item: Item, text: str) -> Held:
    found = chain_names(text)
    if not found:
        raise item.error(f"'{text}' is not a tensor", "write 'A', or 'A = B' where B overwrites A")
    return Held(found[0], in_place=found[1:])


def _name_list(item: Item, what: str) -> tuple[str, ...]:
    found = []
    for child in item.items(what):
        name = child.name(f"a name in {what}")
        if not is_name(name):
            raise child.error(f"'{name}' is not a name", "use letters, digits and '_'")
        found.append(name)
    return tuple(found)


def _leaf(item: Item, names: Dict[str, int | Fraction]) -> Leaf:
    keys = item.only(("einsum", "unit", "loops"), "an Einsum of a mapping")
    if "unit" not in keys:
        raise item.error("an Einsum of a mapping needs a 'unit'", "write '{einsum: NAME, unit: UNIT}'")
    found = []
    for key in ("einsum", "unit"):
        name = keys[key].name(f"'{key}'")
        if not is_name(name):
            raise keys[key].error(f"'{name}' is not a name", "use letters, digits and '_'")
        found.append(name)
    loops = tuple(_loop(child, names) for child in keys["loops"].items("'loops'")) if "loops" in keys else ()
    return Leaf(found[0], found[1], loops, item.place)


def _fuse(item: Item, head: str, words: list[str], value: Item, names: Dict[str, int | Fraction]) -> Fuse:
    place = (item.key_places or {}).get(head, item.place)
    if len(words) != 2 or words[1] not in SCHEDULES:
        mend = did_you_mean(words[1], SCHEDULES) if len(words) == 2 else "write 'fuse sequential', 'fuse staged' or 'fuse pipelined'"
        raise item.key_error(head, f"cannot read '{head}'", mend)
    stages: tuple[Stage, ...] = ()
    recompute: tuple[str, ...] = ()
    branches: list[tuple[TreeNode, ...]] = []
    seen: set[str] = set()
    for child in value.items(f"'{head}'"):
        option = next(iter(child.value), "") if isinstance(child.value, dict) and len(child.value) == 1 else ""
        if option not in ("stages", "recompute"):
            listed = child if isinstance(child.value, list) else Item([child], child.place)
            branches.append(_nodes(listed, "a branch", names))
            continue
        if option in seen:
            raise child.error(f"'{option}' is given twice", "remove one of the two")
        seen.add(option)
        if option == "recompute":
            recompute = _name_list(child.value[option], "recompute")
            continue
        if words[1] != "staged":
            raise child.error(f"a {words[1]} fuse has no stages", "write 'fuse staged' or remove the stages")
        stages = tuple(_stage(stage) for stage in child.value[option].items("stages"))
    if not branches:
        raise value.error(f"'{head}' has no branches", "write '{einsum: NAME, unit: UNIT}' for each")
    return Fuse(words[1], tuple(branches), stages, recompute, place)


def _stage(item: Item) -> Stage:
    now: list[str] = []
    before: list[str] = []
    for child in item.items("a stage"):
        name = child.name("an Einsum of a stage")
        einsum, at, when = name.partition("@")
        if not is_name(einsum) or (at and when != "prev"):
            raise child.error(f"cannot read '{name}' in a stage", "write 'RD', or 'RD@prev' for the iteration before")
        (before if at else now).append(einsum)
    return Stage(tuple(now), tuple(before))
