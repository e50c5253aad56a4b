"""A mapping as a printed loop nest, and back: one line per node, loops indent what stands inside them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

from accelsim.errors import InputError, Place, did_you_mean
from accelsim.mapping.names import chain, chain_names, fraction, is_name
from accelsim.mapping.tree import SCHEDULES, For, Fuse, Held, Keep, Leaf, Loop, Mapping, Spatial, Stage, TreeNode

if TYPE_CHECKING:
    from accelsim.workload.cascade import Cascade

_STEP = "  "
_COMMENT = 44


def nest(mapping: Mapping, cascade: Cascade | None = None) -> str:
    """The mapping as a loop nest that `parse_nest` reads back; with a cascade, comments state trips and copies."""
    lines = [f"mapping {_shown(mapping.name)}"]
    lines += [f"{key} {_shown(text)}" for key, text in (("about", mapping.about), ("source", mapping.source)) if text]
    if mapping.sizes:
        lines.append("sizes " + " ".join(f"{part}={size}" for part, size in mapping.sizes))
    lines += _nodes(mapping.nodes, 0, dict(cascade.extents) if cascade is not None else {})
    return "\n".join(lines) + "\n"


def _nodes(nodes: tuple[TreeNode, ...], depth: int, left: dict[str, int]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, Fuse):
            yield _line(depth, " ".join([f"fuse {node.schedule}", *_fuse_options(node)]))
            for branch in node.branches:
                yield from _nodes(branch, depth + 1, dict(left))
        elif isinstance(node, Leaf):
            yield _line(depth, f"{node.einsum} on {node.unit}")
            yield from _nodes(node.loops, depth + 1, left)
        elif isinstance(node, Keep):
            yield _line(depth, f"keep {node.memory}: {', '.join(map(_held, node.held))}".rstrip())
        else:
            head = f"for {node.rank}" if isinstance(node, For) else f"spatial {node.axis} {node.rank}"
            if isinstance(node, For) and node.of:
                yield _line(depth, f"{head} holding {node.tile} of {node.of}")
            else:
                yield _line(depth, f"{head} by {node.tile}", _trips(node, left))
            depth += 1


def _trips(node: For | Spatial, left: dict[str, int]) -> str:
    if node.rank not in left:
        return ""
    trips = -(-left[node.rank] // node.tile)
    partial = left[node.rank] % node.tile if trips > 1 else 0
    left[node.rank] = min(node.tile, left[node.rank])
    word = "copy" if isinstance(node, Spatial) else "trip"
    plural = "" if trips == 1 else "copies" if isinstance(node, Spatial) else "trips"
    return f"{trips} {plural or word}" + (f", the last of {partial}" if partial else "")


def _line(depth: int, text: str, comment: str = "") -> str:
    line = _STEP * depth + text
    return f"{line.ljust(_COMMENT)}  # {comment}" if comment else line


def _held(held: Held) -> str:
    options = [f"copies {held.copies}"] if held.copies != 1 else []
    if held.fraction != 1:
        options.append(f"fraction {held.fraction}")
    if held.layout:
        options.append(f"layout {' '.join(held.layout)}")
    return chain(held) + (f" ({', '.join(options)})" if options else "")


def _fuse_options(fuse: Fuse) -> Iterator[str]:
    if fuse.stages:
        yield "stages " + " | ".join(" ".join([*stage.einsums, *(f"{name}@prev" for name in stage.previous)]) for stage in fuse.stages)
    if fuse.recompute:
        yield ("; " if fuse.stages else "") + f"recompute {' '.join(fuse.recompute)}"


def _shown(text: str) -> str:
    plain = text.isprintable() and text == text.strip() and not text.startswith('"') and "#" not in text and text
    return text if plain else json.dumps(text)


class _Lines:
    """The nest's lines that say something, with their depth and their place."""

    def __init__(self, text: str, file: str) -> None:
        self.rows: list[tuple[int, str, Place]] = []
        self.at = 0
        for number, raw in enumerate(text.split("\n"), 1):
            said = raw if raw.startswith(("mapping ", "about ", "source ")) and '"' in raw else raw.split("#")[0]
            if said.strip():
                indent = len(said) - len(said.lstrip())
                self.rows.append((indent, said.strip(), Place(file, number, indent + 1)))
        self.end = Place(file, text.count("\n") + 1, 1)

    def next(self, deeper_than: int) -> tuple[int, str, Place] | None:
        """The next line if it stands deeper than `deeper_than`, else None; it is consumed."""
        if self.at < len(self.rows) and self.rows[self.at][0] > deeper_than:
            self.at += 1
            return self.rows[self.at - 1]
        return None


def parse_nest(text: str, file: str = "nest") -> Mapping:
    """The mapping that a printed nest describes; comments are ignored. Refuses lines that `nest` could not have printed."""
    lines = _Lines(text, file)
    header: dict[str, str] = {}
    for key in ("mapping", "about", "source"):
        row = lines.rows[lines.at] if lines.at < len(lines.rows) else None
        if row is not None and row[1].startswith(f"{key} "):
            header[key] = _unshown(row[1][len(key) :].strip(), row[2])
            lines.at += 1
        elif key == "mapping":
            raise InputError("a nest begins with 'mapping NAME'", "write it in the first line", row[2] if row else lines.end)
    sizes: tuple[tuple[str, int], ...] = ()
    if lines.at < len(lines.rows) and lines.rows[lines.at][1].startswith("sizes ") and "=" in lines.rows[lines.at][1]:
        sizes = tuple(_size(word, lines.rows[lines.at][2]) for word in lines.rows[lines.at][1].split()[1:])
        lines.at += 1
    nodes = _parse_nodes(lines, -1)
    if lines.at < len(lines.rows):
        raise InputError("nothing may follow an Einsum or a fuse", "put both into a 'fuse sequential'", lines.rows[lines.at][2])
    return Mapping(header["mapping"], nodes, header.get("source", ""), header.get("about", ""), sizes)


def _size(word: str, place: Place) -> tuple[str, int]:
    part, _, size = word.partition("=")
    if not is_name(part) or not size.isascii() or not size.isdigit() or int(size) < 1:
        raise InputError(f"cannot read the size '{word}'", "write PART=SIZE, as in m0=256", place)
    return part, int(size)


def _unshown(text: str, place: Place) -> str:
    if not text.startswith('"'):
        return text
    try:
        return str(json.loads(text))
    except ValueError:
        raise InputError(f"cannot read {text}", "close the quotes", place) from None


def _parse_nodes(lines: _Lines, outside: int) -> tuple[TreeNode, ...]:
    nodes: list[TreeNode] = []
    while (row := lines.next(outside)) is not None:
        indent, said, place = row
        words = said.split()
        if words[0] == "fuse":
            nodes.append(_parse_fuse(said, lines, indent, place))
            return tuple(nodes)
        if len(words) == 3 and words[1] == "on" and is_name(words[0]) and is_name(words[2]):
            loops: list[Loop] = []
            while (inner := lines.next(indent)) is not None:
                loops.append(_parse_loop(inner[1], inner[2]))
            nodes.append(Leaf(words[0], words[2], tuple(loops), place))
            return tuple(nodes)
        nodes.append(_parse_loop(said, place))
    raise InputError("the nest ends without an Einsum", "write 'EINSUM on UNIT' last", lines.rows[-1][2] if lines.rows else lines.end)


def _parse_loop(said: str, place: Place) -> Loop:
    words = said.split()
    if words[0] == "keep" and ":" in said:
        memory, _, held = said[len("keep") :].partition(":")
        if is_name(memory.strip()):
            return Keep(memory.strip(), tuple(_parse_held(part, place) for part in _split(held)), place)
    forms = {"for": 4, "spatial": 5}
    if len(words) == forms.get(words[0]) and words[-2] == "by" and all(map(is_name, words[1:-2])):
        tile = words[-1]
        if not tile.isascii() or not tile.isdigit() or len(tile) > 18 or int(tile) < 1:
            raise InputError(f"a tile must be a whole number above 0, not '{tile}'", "write 'for m by 16'", place)
        return For(words[1], int(tile), place) if words[0] == "for" else Spatial(words[1], words[2], int(tile), place)
    if words[0] == "for" and len(words) == 6 and words[2] == "holding" and words[4] == "of" and is_name(words[1]) and is_name(words[5]):
        if not words[3].isascii() or not words[3].isdigit() or len(words[3]) > 18 or int(words[3]) < 1:
            raise InputError(f"a tile holds a whole number above 0, not '{words[3]}'", "write 'for m holding 16 of A'", place)
        return For(words[1], int(words[3]), place, words[5])
    known = ("keep", "for", "spatial", "fuse")
    mend = "write 'for m by 16', 'spatial col m by 1' or 'keep MEMORY: A, B'" if words[0] in known else did_you_mean(words[0], known)
    raise InputError(f"cannot read '{said}'", mend, place)


def _split(text: str) -> Iterator[str]:
    depth, start = 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    if text[start:].strip() or start:
        yield text[start:]


def _parse_held(text: str, place: Place) -> Held:
    head, _, rest = text.strip().partition("(")
    names = chain_names(head)
    if not names or ("(" in text) != text.strip().endswith(")"):
        raise InputError(f"'{text.strip()}' is not a kept tensor", "write 'A', 'A = B' or 'A (copies 2)'", place)
    held = Held(names[0], in_place=names[1:])
    for option in filter(None, (part.strip() for part in rest.rstrip(")").split(","))):
        word, _, value = option.partition(" ")
        share = fraction(value) if word == "fraction" else None
        if word == "copies" and value.isascii() and value.isdigit() and int(value[:18]) > 0 and len(value) < 19:
            held = Held(held.tensor, int(value), held.fraction, held.layout, held.in_place)
        elif share is not None:
            held = Held(held.tensor, held.copies, share, held.layout, held.in_place)
        elif word == "layout" and all(map(is_name, value.split())):
            held = Held(held.tensor, held.copies, held.fraction, tuple(value.split()), held.in_place)
        else:
            raise InputError(f"cannot read '{option}'", "write 'copies 2', 'fraction 1/2' or 'layout m p'", place)
    return held


def _parse_fuse(said: str, lines: _Lines, indent: int, place: Place) -> Fuse:
    words = said.replace(";", " ; ").replace("|", " | ").split()
    if len(words) < 2 or words[1] not in SCHEDULES:
        raise InputError(f"cannot read '{said}'", did_you_mean(" ".join(words[1:2]), SCHEDULES), place)
    options = " ".join(words[2:])
    stages: tuple[Stage, ...] = ()
    recompute: tuple[str, ...] = ()
    for option in filter(None, (part.strip() for part in options.split(";"))):
        word, _, value = option.partition(" ")
        if word == "stages":
            stages = tuple(_parse_stage(part.split()) for part in value.split("|"))
        elif word == "recompute":
            recompute = tuple(value.split())
        else:
            raise InputError(f"cannot read '{option}'", "write 'stages A B | C' or 'recompute T'", place)
    branches = []
    while lines.at < len(lines.rows) and lines.rows[lines.at][0] > indent:
        branches.append(_parse_nodes(lines, indent))
    if not branches:
        raise InputError("a fuse has no branches", "write its Einsums indented below it", place)
    return Fuse(words[1], tuple(branches), stages, recompute, place)


def _parse_stage(words: list[str]) -> Stage:
    return Stage(
        tuple(word for word in words if not word.endswith("@prev")),
        tuple(word.removesuffix("@prev") for word in words if word.endswith("@prev")),
    )
