"""From a sketch to sheets: which statements make a layer, what their ranks are called, and how they are written."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from accelsim.io.importers.names import RESERVED, layer_name
from accelsim.io.importers.sheet import Sheet
from accelsim.io.importers.simplify import used
from accelsim.io.importers.sketch import Formula, Index, Place, Read, Sketch, Statement, reads, walk

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_SIGNS = {
    "or": (0, " or "), "and": (1, " and "), "lt": (3, " < "), "le": (3, " <= "), "gt": (3, " > "), "ge": (3, " >= "),
    "eq": (3, " == "), "ne": (3, " != "), "add": (4, " + "), "sub": (4, " - "), "mul": (5, " * "), "div": (5, " / "),
    "floordiv": (5, " // "), "mod": (5, " % "),
}  # fmt: skip


@dataclass
class _Layer:
    statements: list[Statement] = field(default_factory=list)
    inner: bool = False  # a product of two results of the network is in it
    opaque: bool = False


def layers(sketch: Sketch) -> list[list[Statement]]:
    """Statements in layers, in an order in which each reads what earlier ones made.

    A product summed begins a layer, and what follows from it point by point or by reductions belongs to it. A product of two results, and
    the product that reads what follows from it, are in one layer: what lies between them need not leave the chip.
    """
    found = [_Layer()]  # what follows from inputs and constants alone
    made: dict[str, int] = {}
    for statement in sketch.statements:
        sources = [made[name] for name in used(statement) if name in made]
        latest = max(sources, default=0)
        product = _is_product(statement)
        inner = product and not any(sketch.tensors[read.tensor].kind == "constant" for read in reads(statement.formula))
        earlier = made.get(statement.output.tensor)
        if statement.opaque:
            if not found[-1].opaque or found[-1].statements[-1].origin != statement.origin:
                found.append(_Layer(opaque=True))
            latest = len(found) - 1
        elif earlier is not None and latest <= earlier and not product:
            latest = earlier
        elif (product and not (inner and found[latest].inner)) or found[latest].opaque:
            found.append(_Layer(inner=inner))
            latest = len(found) - 1
        found[latest].statements.append(statement)
        made[statement.output.tensor] = max(latest, earlier or 0)
    return [layer.statements for layer in found if layer.statements]


def _is_product(statement: Statement) -> bool:
    tensors = {part.tensor for part in walk(statement.formula) if isinstance(part, Read)}
    return statement.reduce == "add" and bool(statement.reduced) and len(tensors) > 1


def sheets(sketch: Sketch, groups: Sequence[Sequence[Statement]]) -> list[Sheet]:
    """A sheet for each group of statements."""
    last: dict[str, int] = {}
    for at, group in enumerate(groups):
        for statement in group:
            last |= dict.fromkeys(used(statement), at)
    return [
        _sheet(sketch, group, {name for name, use in last.items() if use > at} | set(sketch.outputs)) for at, group in enumerate(groups)
    ]


def _sheet(sketch: Sketch, group: Sequence[Statement], wanted: set[str]) -> Sheet:
    written = list(dict.fromkeys(statement.output.tensor for statement in group))
    read = {name for statement in group for name in used(statement)}
    names = _named(sketch, group)
    tensors = [*written, *(name for name in sorted(read) if name not in written)]
    kinds = {name: _type(sketch, name, name in written) for name in tensors}
    default = Counter(kinds.values()).most_common(1)[0][0]
    types = {"default": default} | {name: kind for name, kind in kinds.items() if kind != default}
    declared = {name: stated for name in tensors if (stated := _declared(sketch, group, name, written, read, wanted))}
    shape = {names[rank]: sketch.sizes[rank] for statement in group for rank in statement.ranks()}
    product = next((statement for statement in group if _is_product(statement)), group[0])
    outputs = tuple(name for name in written if name in wanted or name not in read)
    einsums = tuple(_text(statement, names) for statement in group)
    return Sheet(layer_name(product.origin or product.output.tensor), einsums, shape, types, declared, outputs)


def _type(sketch: Sketch, name: str, written: bool) -> str:
    tensor = sketch.tensors[name]
    return f"{{partial: {tensor.partial}, final: {tensor.type}}}" if tensor.partial and written else tensor.type


def _declared(sketch: Sketch, group: Sequence[Statement], name: str, written: Sequence[str], read: set[str], wanted: set[str]) -> str:
    """What has to be said about a tensor, as YAML."""
    tensor = sketch.tensors[name]
    found = []
    given = name not in written
    touching = [part for statement in group for part in (*reads(statement.formula), statement.output) if part.tensor == name]
    outside = tensor.fill is not None and any(_leaves(sketch, part) for part in touching)
    if given and tensor.shape and (outside or _reached(sketch, touching, len(tensor.shape)) != tensor.shape):
        found.append(f"shape: [{', '.join(map(str, tensor.shape))}]")
    if outside:
        found.append(f"fill: {_number(tensor.fill)}")
    if tensor.below and any(isinstance(index, Read) and index.tensor == name for part in _all(group) for index in part.indices):
        found.append(f"below: {tensor.below}")
    if not given and name in wanted and name in read:
        found.append("output: true")
    return f"{{{', '.join(found)}}}" if found else ""


def _all(group: Sequence[Statement]) -> list[Read]:
    return [part for statement in group for part in reads(statement.formula)]


def _ends(sketch: Sketch, index: Index) -> tuple[int, int]:
    low = high = index.offset
    for rank, value in index.terms:
        end = value * (sketch.sizes[rank] - 1)
        low, high = low + min(end, 0), high + max(end, 0)
    low, high = low // index.divisor, high // index.divisor
    return (0, min(high, index.modulus - 1)) if index.modulus else (low, high)


def _reached(sketch: Sketch, touching: Sequence[Read], width: int) -> tuple[int, ...]:
    """The extents that would be inferred from how a tensor is read."""
    most = [0] * width
    for part in touching:
        for axis, index in enumerate(part.indices):
            if isinstance(index, Index):
                most[axis] = max(most[axis], _ends(sketch, index)[1] + 1)
    return tuple(most)


def _leaves(sketch: Sketch, part: Read) -> bool:
    shape = sketch.tensors[part.tensor].shape
    ends = [(_ends(sketch, index), size) for index, size in zip(part.indices, shape, strict=True) if isinstance(index, Index)]
    return any(low < 0 or high >= size for (low, high), size in ends)


def _named(sketch: Sketch, group: Sequence[Statement]) -> dict[int, str]:
    """Names for the ranks of a group: one for ranks that walk the same axis, as long as no statement would have it twice."""
    owner: dict[int, int] = {}
    members: dict[int, set[int]] = {}  # by the first rank of a class, the statements that have it
    for at, statement in enumerate(group):
        for rank in statement.ranks():
            owner.setdefault(rank, rank)
            members.setdefault(rank, set()).add(at)

    def first(rank: int) -> int:
        while owner[rank] != rank:
            rank = owner[rank]
        return rank

    walked: dict[tuple[str, int], list[int]] = {}
    written = {statement.output.tensor for statement in group}
    for statement in group:
        for part in (statement.output, *reads(statement.formula)):
            for axis, index in enumerate(part.indices):
                if (
                    isinstance(index, Index)
                    and index.pure is not None
                    and sketch.sizes[index.pure] == sketch.tensors[part.tensor].shape[axis]
                ):
                    walked.setdefault((part.tensor, axis), []).append(index.pure)
    for key in sorted(walked, key=lambda key: key[0] not in written):
        for rank in walked[key][1:]:
            one, other = sorted((first(walked[key][0]), first(rank)))
            if one != other and not members[one] & members[other]:
                owner[other] = one
                members[one] |= members.pop(other)
    hints: dict[int, list[str]] = {}
    for rank in owner:
        hints.setdefault(first(rank), []).extend(sketch.hints[rank])
    taken = {name.lower() for statement in group for name in (*used(statement), statement.output.tensor)} | {*RESERVED}
    names: dict[int, str] = {}
    for rank in sorted(hints, key=lambda rank: (not hints[rank], list(owner).index(rank))):
        wanted = hints[rank]
        free = (*wanted, *(f"{hint}{number}" for hint in wanted[:1] for number in range(2, 100)), *_LETTERS)
        names[rank] = next((name for name in free if name not in taken), f"r{rank}")
        taken.add(names[rank])
    return {rank: names[first(rank)] for rank in owner}


def _text(statement: Statement, names: dict[int, str]) -> str:
    right = _formula(statement.formula, names)
    if statement.reduced and statement.reduce != "add":
        right = f"{statement.reduce}[{','.join(names[rank] for rank in statement.reduced)}]({right})"
    condition = "" if statement.condition is None else f" where {_formula(statement.condition, names)}"
    return f"{_access(statement.output, names)} = {right}{condition}"


def _formula(formula: Formula, names: dict[int, str], above: int = 0) -> str:
    if isinstance(formula, Read):
        return _access(formula, names)
    if isinstance(formula, Place):
        return f"({_index(formula.index, names)})" if above > 4 else _index(formula.index, names)
    if isinstance(formula, float):
        return _number(formula) if formula >= 0 or above < 6 else f"({_number(formula)})"
    if formula.function in _SIGNS:
        level, sign = _SIGNS[formula.function]
        left, right = formula.arguments
        text = f"{_formula(left, names, level)}{sign}{_formula(right, names, level + 1)}"
        return f"({text})" if level < above else text
    if formula.function == "neg":
        text = f"-{_formula(formula.arguments[0], names, 7)}"
        return f"({text})" if above > 5 else text
    if formula.function == "pow":
        return f"{_formula(formula.arguments[0], names, 8)} ** {_formula(formula.arguments[1], names, 8)}"
    if formula.function == "not":
        return f"(not {_formula(formula.arguments[0], names, 3)})"
    return f"{formula.function}({', '.join(_formula(argument, names) for argument in formula.arguments)})"


def _access(read: Read, names: dict[int, str]) -> str:
    indices = [_access(index, names) if isinstance(index, Read) else _index(index, names) for index in read.indices]
    return f"{read.tensor}[{','.join(indices)}]"


def _index(index: Index, names: dict[int, str]) -> str:
    parts = [names[rank] if value == 1 else f"-{names[rank]}" if value == -1 else f"{value}*{names[rank]}" for rank, value in index.terms]
    if index.offset or not parts:
        parts.append(str(index.offset))
    text = parts[0] + "".join(part if part.startswith("-") else f"+{part}" for part in parts[1:])
    if index.divisor != 1:
        text = f"({text})//{index.divisor}" if len(parts) > 1 or "*" in text else f"{text}//{index.divisor}"
    if index.modulus:
        text = f"({text})%{index.modulus}" if len(parts) > 1 and index.divisor == 1 else f"{text}%{index.modulus}"
    return text


def _number(value: float | None) -> str:
    assert value is not None
    if math.isinf(value):
        return "-inf" if value < 0 else "inf"
    return str(int(value)) if float(value).is_integer() and abs(value) < 2**53 else repr(float(value))
