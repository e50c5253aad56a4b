"""A loop tree as the YAML that a person would write."""

from __future__ import annotations

import re

from accelsim.mapping.names import chain
from accelsim.mapping.tree import For, Fuse, Held, Leaf, Loop, Mapping, Spatial, TreeNode

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_ ,.()/+;-]*")
_RESERVED = ("null", "true", "false")

def dump_mapping(mapping: Mapping) -> str:
    """The mapping as YAML text; `parse_mapping` of it gives the mapping back."""
    lines = [f"mapping: {_scalar(mapping.name)}"]
    for key, text in (("about", mapping.about), ("source", mapping.source)):
        if text:
            lines.append(f"{key}: {_scalar(text)}")
    if mapping.sizes:
        lines.append(f"sizes: {{{', '.join(f'{_word(part)}: {size}' for part, size in mapping.sizes)}}}")
    lines.append("tree:")
    _dump(mapping.nodes, "  ", lines)
    return "\n".join(lines) + "\n"


def _dump(nodes: tuple[TreeNode, ...], indent: str, lines: list[str]) -> None:
    for node in nodes:
        if isinstance(node, Leaf):
            lines.append(f"{indent}- {_leaf_text(node)}")
        elif isinstance(node, Fuse):
            _dump_fuse(node, indent, lines)
        else:
            lines.append(f"{indent}- {_loop_text(node)}")


def _dump_fuse(fuse: Fuse, indent: str, lines: list[str]) -> None:
    lines.append(f"{indent}- fuse {fuse.schedule}:")
    inner = indent + "    "
    if fuse.stages:
        stages = (", ".join([*map(_word, stage.einsums), *(f"{name}@prev" for name in stage.previous)]) for stage in fuse.stages)
        lines.append(f"{inner}- {{stages: [{', '.join(f'[{stage}]' for stage in stages)}]}}")
    if fuse.recompute:
        lines.append(f"{inner}- {{recompute: [{', '.join(map(_word, fuse.recompute))}]}}")
    for branch in fuse.branches:
        if len(branch) == 1 and isinstance(branch[0], Leaf):
            lines.append(f"{inner}- {_leaf_text(branch[0])}")
            continue
        start = len(lines)
        _dump(branch, inner + "  ", lines)
        lines[start] = f"{inner}- {lines[start][len(inner) + 2 :]}"


def _leaf_text(leaf: Leaf) -> str:
    loops = f", loops: [{', '.join(map(_loop_text, leaf.loops))}]" if leaf.loops else ""
    return f"{{einsum: {_word(leaf.einsum)}, unit: {_word(leaf.unit)}{loops}}}"


def _loop_text(loop: Loop) -> str:
    if isinstance(loop, For):
        return f"for {loop.rank}: {{holding: {loop.tile}, of: {_word(loop.of)}}}" if loop.of else f"for {loop.rank}: {loop.tile}"
    if isinstance(loop, Spatial):
        return f"spatial {loop.axis} {loop.rank}: {loop.tile}"
    return f"keep {loop.memory}: [{', '.join(map(_held_text, loop.held))}]"


def _held_text(held: Held) -> str:
    options = []
    if held.copies != 1:
        options.append(f"copies: {held.copies}")
    if held.fraction != 1:
        options.append(f"fraction: {held.fraction}")
    if held.layout:
        options.append(f"layout: [{', '.join(map(_word, held.layout))}]")
    name = _word(chain(held))
    return f"{{{name}: {{{', '.join(options)}}}}}" if options else name


def _word(name: str) -> str:
    return f"'{name}'" if name.lower() in _RESERVED or "=" in name else name


def _scalar(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _RESERVED and text == text.strip():
        return text
    return '"' + "".join(map(_escaped, text)) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
