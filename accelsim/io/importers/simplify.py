"""Sketches as a person would write them: nothing unused, chains of elementwise steps in one statement, axes cut as they are read."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

from accelsim.io.importers.arithmetic import call
from accelsim.io.importers.sketch import Apply, Formula, Index, Read, Sketch, Statement, reads, walk, whole

LONGEST = 16  # operators of one statement


def simplified(sketch: Sketch) -> None:
    """Change the statements of a sketch, not what they compute."""
    _drop_unused(sketch)
    _join_elementwise(sketch)
    sketch.statements = [replace(each, formula=rewritten(each.formula)) for each in sketch.statements]
    _cut_axes(sketch)


def used(statement: Statement) -> set[str]:
    """The tensors that a statement reads."""
    parts = [statement.formula, *([] if statement.condition is None else [statement.condition])]
    return {read.tensor for part in parts for read in reads(part)}


def _drop_unused(sketch: Sketch) -> None:
    wanted, kept = set(sketch.outputs), list[Statement]()
    for statement in reversed(sketch.statements):
        if statement.output.tensor in wanted:
            kept.append(statement)
            wanted |= used(statement)
    sketch.statements = kept[::-1]
    sketch.tensors = {name: tensor for name, tensor in sketch.tensors.items() if name in wanted}


def _join_elementwise(sketch: Sketch) -> None:
    """Statements without a reduction whose result one other such statement reads, point by point, become part of it."""
    counts = Counter(
        part.tensor for statement in sketch.statements for part in _all_reads(statement.formula)
    )  # fmt: skip
    writes = Counter(statement.output.tensor for statement in sketch.statements)
    known: dict[str, Statement] = {}
    done: list[Statement] = []
    for statement in sketch.statements:
        if _is_elementwise(statement):
            for read in reads(statement.formula):
                inner = known.get(read.tensor)
                if inner is not None and _same_points(read, inner, statement):
                    places = zip(inner.output.indices, read.indices, strict=True)
                    moved = {index.pure: to for index, to in places if isinstance(index, Index) and isinstance(to, Index)}
                    formula = inner.within({rank: to for rank, to in moved.items() if rank is not None}).formula
                    joined = _replaced(statement.formula, read, formula)
                    if _length(joined) <= LONGEST:
                        statement = replace(statement, formula=joined)
                        done.remove(inner)
                        del known[read.tensor]
                        del sketch.tensors[read.tensor]
            name = statement.output.tensor
            pure = all(isinstance(index, Index) and index.pure is not None for index in statement.output.indices)
            if counts[name] == 1 and writes[name] == 1 and name not in sketch.outputs and pure and sketch.tensors[name].fill is None:
                known[name] = statement
        done.append(statement)
    sketch.statements = done


def _all_reads(formula: Formula) -> list[Read]:
    """Every read, also the same one twice; those in indices twice over, so that nothing is put there."""
    found = [part for part in walk(formula) if isinstance(part, Read)]
    return [*found, *(inner for read in found for index in read.indices if isinstance(index, Read) for inner in (index, index))]


def _is_elementwise(statement: Statement) -> bool:
    return not statement.reduced and statement.condition is None and not statement.opaque


def _same_points(read: Read, inner: Statement, outer: Statement) -> bool:
    """Whether a read goes through what another statement writes once, in any order."""
    ranks = [index.pure for index in read.indices if isinstance(index, Index)]
    return len(ranks) == len(read.indices) and None not in ranks and sorted(map(str, ranks)) == sorted(map(str, outer.output.ranks()))


def _replaced(formula: Formula, old: Read, new: Formula) -> Formula:
    if formula == old:
        return new
    if isinstance(formula, Apply):
        arguments = tuple(_replaced(argument, old, new) for argument in formula.arguments)
        if formula.function == "copy" and isinstance(arguments[0], Apply):
            return arguments[0]
        return Apply(formula.function, arguments)
    return formula


def _length(formula: Formula) -> int:
    return sum(isinstance(part, Apply) for part in walk(formula))


def rewritten(formula: Formula) -> Formula:
    """A formula in which x sigmoid(x) is silu(x), and 0.5 x (1 + erf(x / sqrt 2)) is gelu(x)."""
    if not isinstance(formula, Apply):
        return formula
    formula = Apply(formula.function, tuple(rewritten(argument) for argument in formula.arguments))
    if formula.function not in ("mul", "div"):
        return formula
    scale, factors = _factors(formula)
    for at, factor in enumerate(factors):
        rest = factors[:at] + factors[at + 1 :]
        made: Formula | None = None
        if isinstance(factor, Apply) and factor.function == "sigmoid" and factor.arguments[0] in rest:
            made, x, share = Apply("silu", factor.arguments), factor.arguments[0], 1.0
        else:
            inner = _of_erf(factor)
            if inner is not None and inner in rest:
                made, x, share = Apply("gelu", (inner,)), inner, 2.0
        if made is not None:
            rest.remove(x)
            scale *= share
            for other in rest:
                made = call("mul", made, other)
            return made if math.isclose(scale, 1.0, rel_tol=1e-5) else call("mul", made, scale)
    return formula


def _factors(formula: Formula) -> tuple[float, list[Formula]]:
    """A product as a number and its other factors; a division by a number is a factor."""
    if isinstance(formula, float):
        return formula, []
    if isinstance(formula, Apply) and formula.function == "mul":
        (one, left), (other, right) = (_factors(argument) for argument in formula.arguments)
        return one * other, left + right
    if isinstance(formula, Apply) and formula.function == "div" and isinstance(formula.arguments[1], float) and formula.arguments[1]:
        scale, left = _factors(formula.arguments[0])
        return scale / formula.arguments[1], left
    return 1.0, [formula]


def _of_erf(formula: Formula) -> Formula | None:
    """x of 1 + erf(x / sqrt 2)."""
    if not (isinstance(formula, Apply) and formula.function == "add" and 1.0 in formula.arguments):
        return None
    other = formula.arguments[1 - formula.arguments.index(1.0)]
    if not (isinstance(other, Apply) and other.function == "erf"):
        return None
    scale, factors = _factors(other.arguments[0])
    return factors[0] if len(factors) == 1 and math.isclose(scale, 0.5**0.5, rel_tol=1e-4) else None


def _cut_axes(sketch: Sketch) -> None:
    """Axes that some statement reads or writes as `h*64 + e` become two, wherever all that touch them allow it."""
    waiting = list(sketch.tensors)
    while waiting:
        name = waiting.pop(0)
        axis = 0
        while axis < len(sketch.tensors[name].shape):
            size = _cut_of(sketch, name, axis)
            if size is None:
                axis += 1
                continue
            touched = _cut(sketch, name, axis, size)
            waiting += [each for each in touched if each not in waiting]


def _touching(sketch: Sketch, name: str) -> list[tuple[int, Read]]:
    """Every statement that touches a tensor, by its place, with how."""
    found = []
    for at, statement in enumerate(sketch.statements):
        parts = [statement.output, *reads(statement.formula), *(reads(statement.condition) if statement.condition is not None else ())]
        found += [(at, read) for read in parts if read.tensor == name]
    return found


def _cut_of(sketch: Sketch, name: str, axis: int) -> int | None:
    """The largest size of an inner part into which an axis can be cut, because some statement touches it so."""
    tensor = sketch.tensors[name]
    if tensor.fill is not None or (name, axis) in sketch.rigid or tensor.below:
        return None
    indices = [read.indices[axis] for _, read in _touching(sketch, name)]
    if any(isinstance(index, Read) or index.divisor != 1 or index.modulus for index in indices):
        return None
    known = [index for index in indices if isinstance(index, Index)]
    strides = {value for index in known if len(index.terms) > 1 for _, value in index.terms[:-1]}
    for stride in sorted(strides, reverse=True):
        if tensor.shape[axis] % stride == 0 and all(_fits(sketch, index, stride) for index in known):
            return stride
    return None


def _fits(sketch: Sketch, index: Index, stride: int) -> bool:
    """Whether an index is a multiple of a stride plus what stays below it, perhaps after ranks are cut in two."""
    low = index.offset % stride
    for rank, value in index.terms:
        if value < 0:
            return False
        if value % stride == 0:
            continue
        size = sketch.sizes[rank]
        if stride % value == 0 and value * size > stride:
            if size % (stride // value):
                return False
            size = stride // value
        low += value * (size - 1)
    return low < stride


def _cut(sketch: Sketch, name: str, axis: int, stride: int) -> set[str]:
    """Cut an axis in two, and ranks where that takes it; the tensors of which indices changed."""
    tensor, changed = sketch.tensors[name], {name}
    shape = tensor.shape
    for at in dict.fromkeys(at for at, _ in _touching(sketch, name)):
        statement = sketch.statements[at]
        known: dict[int, Index] = {}
        everything = (statement.output, *reads(statement.formula))
        for read in everything:
            if read.tensor != name:
                continue
            index = read.indices[axis]
            assert isinstance(index, Index)
            for rank, value in index.within(known).terms:
                if value % stride and value * sketch.sizes[rank] > stride:
                    inner = stride // value
                    parts = (sketch.rank(sketch.sizes[rank] // inner), sketch.rank(inner))
                    known = {old: new.within({rank: whole(parts, sketch.sizes)}) for old, new in known.items()}
                    known[rank] = whole(parts, sketch.sizes)
        if known:
            statement = statement.within(known)
            changed |= {read.tensor for read in everything}
        sketch.statements[at] = _with_axis(statement, name, axis, stride)
    sketch.tensors[name] = replace(tensor, shape=(*shape[:axis], shape[axis] // stride, stride, *shape[axis + 1 :]))
    sketch.rigid = {(each, number + 1 if each == name and number > axis else number) for each, number in sketch.rigid}
    return changed


def _with_axis(statement: Statement, name: str, axis: int, stride: int) -> Statement:
    def split(read: Read) -> Read:
        indices = [split(index) if isinstance(index, Read) else index for index in read.indices]
        if read.tensor == name:
            index = indices[axis]
            assert isinstance(index, Index)
            high = Index(tuple((rank, value // stride) for rank, value in index.terms if value % stride == 0), index.offset // stride)
            low = Index(tuple((rank, value) for rank, value in index.terms if value % stride), index.offset % stride)
            indices[axis : axis + 1] = [high, low]
        return Read(read.tensor, tuple(indices))

    def into(formula: Formula) -> Formula:
        if isinstance(formula, Apply):
            return Apply(formula.function, tuple(into(argument) for argument in formula.arguments))
        return split(formula) if isinstance(formula, Read) else formula

    condition = None if statement.condition is None else into(statement.condition)
    return replace(statement, output=split(statement.output), formula=into(statement.formula), condition=condition)
