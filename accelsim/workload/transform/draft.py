"""A cascade as statements that may be replaced, and what is declared around them; from a Cascade and back to one."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from accelsim.errors import InputError, did_you_mean
from accelsim.workload.build import build
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.declaration import Declaration
from accelsim.workload.expression import Access, Call, Expression, Name, accesses, names
from accelsim.workload.grammar import Parsed, Statement, parse_statement
from accelsim.workload.transform.text import statement_text

Lines = tuple[Parsed, ...]


@dataclass(frozen=True, slots=True)
class Draft:
    """`lines`: the statements of a cascade, one for each of its Einsums in order; `declaration`: what else it was built from."""

    cascade: Cascade
    declaration: Declaration
    lines: Lines

    @staticmethod
    def of(cascade: Cascade) -> Draft:
        """The draft of a cascade that `build` made."""
        declaration = cascade.declaration
        assert declaration is not None, "a cascade made by hand has no declaration to build from"
        return Draft(cascade, declaration, tuple(parse_statement(statement) for statement in declaration.statements))

    def at(self, name: str) -> int:
        """The place of the statement of an Einsum, by its name; an InputError with the nearest name if there is none."""
        for place, einsum in enumerate(self.cascade.einsums):
            if einsum.name == name:
                return place
        raise self.refusal(f"no statement '{name}'", did_you_mean(name, [einsum.name for einsum in self.cascade.einsums]))

    def einsum(self, name: str) -> Einsum:
        """An Einsum by its name."""
        return self.cascade.einsums[self.at(name)]

    def only(self, tensor: str) -> int:
        """The place of the one statement that writes a tensor."""
        found = [place for place, line in enumerate(self.lines) if line.output.tensor == tensor]
        if len(found) == 1:
            return found[0]
        if found:
            raise self.refusal(f"{len(found)} statements write '{tensor}'", "name a tensor that one statement writes")
        return self.at(tensor)

    def refusal(self, what: str, mend: str = "", at: int | None = None) -> InputError:
        """An InputError about the cascade, where its statement stands if it has a place in a file."""
        place = self.cascade.einsums[at].place if at is not None else None
        return InputError(f"{self.cascade.name}: {what}", mend, place)

    def fresh(self, stem: str) -> str:
        """A name that no tensor, rank, size or constant has: the stem, else with the least number behind it."""
        taken = {*self.cascade.tensors, *self.cascade.sizes, *(rank for rank in self.cascade.extents)}
        taken |= {access.tensor for line in self.lines for access in _all(line)}
        return next(name for name in (stem, *(f"{stem}{number}" for number in range(1, 1000))) if name not in taken)

    def with_lines(self, lines: Iterable[Parsed]) -> Draft:
        """The same with other statements. Places of Einsums are those of the cascade no more."""
        return replace(self, lines=tuple(lines))

    def replaced(self, at: int, *lines: Parsed) -> Draft:
        """The same with other statements in the place of one."""
        return self.with_lines((*self.lines[:at], *lines, *self.lines[at + 1 :]))

    def typed_as(self, like: Mapping[str, str]) -> Draft:
        """The same with types of new tensors taken from old ones, where those have one of their own."""
        types = dict(self.declaration.types)
        types |= {new: types[old] for new, old in like.items() if old in types and new not in types}
        return replace(self, declaration=replace(self.declaration, types=types))

    def built(self) -> Cascade:
        """The cascade of the statements; what is declared and no statement names any more is dropped."""
        texts = [statement_text(line) for line in self.lines]
        kept = tuple(Statement(text, "", self.cascade.name, (0,), ((number, 1),), tuple(texts)) for number, text in enumerate(texts, 1))
        parts = [part for line in self.lines for part in (line.output, line.expression, line.condition) if part is not None]
        tensors = {access.tensor for part in parts for access in accesses(part)}
        stated = self.declaration
        declared = {name: each for name, each in stated.tensors.items() if name in tensors}
        words = {word for part in parts for word in names(part)}
        words |= {word for each in declared.values() for item in (*(each.shape or ()), each.below) for word in _words(item)}
        constants = dict(stated.constants)
        while unused := [name for name in constants if name not in words and name not in _named(constants)]:
            constants = {name: value for name, value in constants.items() if name not in unused}
        words |= _named(constants)
        split = {rank: cut for rank, cut in stated.split.items() if any(part in words for part in cut)}
        needed = words | set(split) | {word.lower() for word in words}
        for _ in stated.derived:  # sizes that sizes follow from
            needed |= {word.lower() for rank, formula in stated.derived.items() if rank in needed for word in _words(formula)}
        made = replace(
            stated,
            statements=kept,
            shape={rank: size for rank, size in stated.shape.items() if rank in needed or any(rank in cut for cut in split.values())},
            split=split,
            types={name: pair for name, pair in stated.types.items() if name in tensors},
            tensors=declared,
            constants=constants,
            density={name: each for name, each in stated.density.items() if name in tensors},
            storage={name: each for name, each in stated.storage.items() if name in tensors},
            places={},
            derived={rank: formula for rank, formula in stated.derived.items() if rank in needed},
        )
        return build(made)


def _all(line: Parsed) -> tuple[Access, ...]:
    parts = (line.output, line.expression, *((line.condition,) if line.condition is not None else ()))
    return tuple(access for part in parts for access in accesses(part))


def _words(item: object) -> list[str]:
    return re.findall(r"[A-Za-z_][A-Za-z_0-9]*", item) if isinstance(item, str) else []


def _named(constants: Mapping[str, float | str]) -> set[str]:
    return {word for value in constants.values() for word in _words(value)}


def rewritten(expression: Expression, change: Callable[[Expression], Expression | None]) -> Expression:
    """An expression in which `change` has replaced every part for which it gives another, outermost first."""
    found = change(expression)
    if found is not None:
        return found
    if isinstance(expression, Call):
        return Call(expression.function, tuple(rewritten(argument, change) for argument in expression.arguments))
    if isinstance(expression, Access):
        return Access(expression.tensor, tuple(rewritten(index, change) for index in expression.indices))
    return expression


def in_line(line: Parsed, change: Callable[[Expression], Expression | None], output: bool = False) -> Parsed:
    """A statement with parts of its expression and its condition replaced, and of its output where that is wanted."""
    condition = None if line.condition is None else rewritten(line.condition, change)
    made = line.output
    if output:
        changed = rewritten(line.output, change)
        assert isinstance(changed, Access)
        made = changed
    return replace(line, output=made, expression=rewritten(line.expression, change), condition=condition)


def substituted(expression: Expression, values: Mapping[str, Expression]) -> Expression:
    """An expression with names replaced."""
    return rewritten(expression, lambda part: values.get(part.name) if isinstance(part, Name) else None)


def ranks_of(parts: Sequence[Expression], extents: Mapping[str, int]) -> tuple[str, ...]:
    """The rank variables in some expressions, in order of appearance."""
    return tuple(dict.fromkeys(word for part in parts for word in names(part) if word in extents))


def index_names(access: Access) -> tuple[str, ...] | None:
    """The ranks of an access that is indexed by different bare ranks, None if it is not."""
    found = tuple(index.name for index in access.indices if isinstance(index, Name))
    return found if len(found) == len(access.indices) and len(set(found)) == len(found) else None
