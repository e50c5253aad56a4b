"""Map expressions of whole numbers as programs of a stack machine, which `kernels_network` runs at single points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from accelsim.errors import InputError
from accelsim.faults import kernels_network as kernels
from accelsim.workload.cascade import Einsum
from accelsim.workload.evaluate import index_values
from accelsim.workload.expression import Access, Call, Expression, accesses, names

_UNARY = ("neg", "abs", "relu", "step", "not", "copy")
_BINARY = ("add", "sub", "mul", "floordiv", "mod", "max", "min", "lt", "le", "gt", "ge", "eq", "ne", "and", "or", "take")
CODES: dict[str, int] = {name: getattr(kernels, name.upper()) for name in (*_UNARY, *_BINARY)}
REDUCTIONS = ("add", "max", "min", "mul")


@dataclass
class Program:
    """`codes`: code and argument, operands before operators. A read's argument is its place among the Einsum's reads; those after them are
    `parts`: expressions of ranks alone, which have a number at each point.
    """

    codes: list[tuple[int, int]] = field(default_factory=list)
    parts: list[Expression] = field(default_factory=list)


def program(einsum: Einsum, sizes: Mapping[str, float]) -> Program:
    """The map expression of an Einsum. InputError for operators of other than whole numbers, and other reductions than REDUCTIONS."""
    if einsum.reduced and einsum.reduce not in REDUCTIONS:
        raise InputError(f"{einsum.name} reduces by {einsum.reduce}", f"a network knows {', '.join(REDUCTIONS)}", einsum.place)
    found = Program()
    if _compile(einsum.expression, einsum, sizes, found) > kernels.MOST_DEEP:
        what = f"{einsum.name} has an expression more than {kernels.MOST_DEEP} deep"
        raise InputError(what, "give parts of it Einsums of their own", einsum.place)
    return found


def _compile(part: Expression, einsum: Einsum, sizes: Mapping[str, float], found: Program) -> int:
    """Append the codes of a part; how many words the stack needs for it."""
    if isinstance(part, Access):
        found.codes.append((kernels.READ, einsum.reads.index(part)))
        return 1
    if not accesses(part):
        if set(names(part)) <= set(sizes):
            found.codes.append((kernels.NUMBER, _whole(part, einsum, sizes)))
        else:
            found.codes.append((kernels.READ, len(einsum.reads) + len(found.parts)))
            found.parts.append(part)
        return 1
    assert isinstance(part, Call)
    if part.function not in CODES:
        what = f"{einsum.name} has {part.function}, and a network is of whole numbers"
        raise InputError(what, f"write it with {', '.join(CODES)}", einsum.place)
    depths = [place + _compile(argument, einsum, sizes, found) for place, argument in enumerate(part.arguments)]
    found.codes.append((CODES[part.function], 0))
    return max(depths)


def _whole(part: Expression, einsum: Einsum, sizes: Mapping[str, float]) -> int:
    try:
        value = int(index_values(part, sizes))
    except InputError:
        value = 1 << 62
    if abs(value) >= 1 << 53:
        raise InputError(f"{einsum.name} has a number that is not whole", "write whole numbers, as in X[m] // 2", einsum.place)
    return value
