"""What a cascade computes and how, whatever its tensors are called and in whatever order independent statements stand."""

from __future__ import annotations

import hashlib

from accelsim.workload.cascade import Cascade
from accelsim.workload.expression import Access, Call, Expression, Name, Number
from accelsim.workload.operators import OPERATORS


def structure(cascade: Cascade) -> str:
    """A digest that two cascades share if they differ only in names of tensors that they compute, and in the order of statements.

    Names of inputs, of outputs and of ranks count. Colours of tensors are refined from their statements until recurrences are told apart.
    """
    colours = {name: name if tensor.is_input or tensor.is_output else "" for name, tensor in cascade.tensors.items()}
    for rounds in range(len(cascade.einsums) + 1):
        made: dict[str, list[str]] = {}
        for einsum in cascade.einsums:
            written = (
                [_text(index, colours) for index in einsum.output.indices],
                _text(einsum.expression, colours),
                einsum.reduce if einsum.reduced else "",
                sorted(einsum.reduced),
                "" if einsum.condition is None else _text(einsum.condition, colours),
            )
            made.setdefault(einsum.output.tensor, []).append(repr(written))
        refined = {name: _digest([colours[name], *sorted(made[name])]) if name in made else name for name in colours}
        if rounds and all(colours.values()) and len(set(refined.values())) == len(set(colours.values())):
            break
        colours = refined
    splits = sorted((split.rank, split.parts, split.free) for split in cascade.splits)
    return _digest([*sorted(colours.values()), repr(splits), repr(sorted(cascade.extents.items()))])


def _digest(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _text(expression: Expression, colours: dict[str, str]) -> str:
    if isinstance(expression, Number):
        return repr(expression.value)
    if isinstance(expression, Name):
        return expression.name
    if isinstance(expression, Access):
        return f"{colours[expression.tensor]}[{', '.join(_text(index, colours) for index in expression.indices)}]"
    assert isinstance(expression, Call)
    parts = [_text(argument, colours) for argument in expression.arguments]
    if OPERATORS[expression.function].commutative:
        parts.sort()
    return f"{expression.function}({', '.join(parts)})"
