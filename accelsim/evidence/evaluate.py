"""The value of a formula for a case: documents of runs looked up, lists taken together, arithmetic done in doubles and whole numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accelsim.errors import AccelsimError, did_you_mean
from accelsim.evidence.formula import ALL, Formula, Number, Path, Tree, is_list
from accelsim.evidence.nouns import Case, Evidence, Value

Document = Any
Find = Callable[[str, Case, str], Document]  # the document of a run for a case; the first key of the path that asks
_Values = Value | list[Any]
_MOST_BITS = 1023  # of a whole number: what is larger is no finite double


def _power(base: Any, exponent: Any) -> Any:
    """A power; OverflowError where a whole one would be beyond any double, before it is worked out."""
    if isinstance(base, int) and isinstance(exponent, int) and (abs(base).bit_length() - 1) * exponent > _MOST_BITS:
        raise OverflowError("the power is too large")
    return base**exponent


_BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": _power,
}
_UNARY: dict[str, Callable[[Any], Any]] = {
    "abs": abs,
    "ceil": math.ceil,
    "exp": math.exp,
    "floor": math.floor,
    "ln": math.log,
    "log2": math.log2,
    "round": round,
    "sqrt": math.sqrt,
}
_TOGETHER: dict[str, Callable[[list[Any]], Any]] = {
    "count": len,
    "gmean": lambda values: math.exp(math.fsum(map(math.log, values)) / len(values)),
    "max": max,
    "mean": lambda values: math.fsum(values) / len(values),
    "median": statistics.median,
    "min": min,
    "sum": lambda values: sum(values) if all(isinstance(value, int) for value in values) else math.fsum(values),
}


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Formulas of one evidence file; `find` gives the document of a run."""

    evidence: Evidence
    find: Find
    held: dict[tuple[str, tuple[str, ...]], Any] = field(default_factory=dict)  # constants of cases that were asked for before

    def number(self, formula: Formula, group: Sequence[Case]) -> int | float:
        """The value of a formula for a group of cases, which must be one number."""
        value = self.value(formula, group)
        if isinstance(value, str):
            raise formula.error(f"is the text '{value}'", "name a number")
        return value

    def value(self, formula: Formula, group: Sequence[Case]) -> Value:
        """The value of a formula for a group of cases, the same for each of them; InputError otherwise."""
        if is_list(formula.tree):
            raise formula.error("has several values for one case", "take them together, as in sum(…)")
        found = [self._guarded(formula, case, group) for case in group]
        if any(value != found[0] for value in found):
            raise formula.error(
                f"differs between cases, as {found[0]} and {next(v for v in found if v != found[0])}", "write 'each' or mean(…)"
            )
        value: Value = found[0]
        return value

    def _guarded(self, formula: Formula, case: Case, group: Sequence[Case]) -> Any:
        try:
            found = self._tree(formula, formula.tree, case, group)
        except AccelsimError:
            raise
        except ZeroDivisionError:
            raise formula.error(f"divides by zero in case '{case}'") from None
        except (ValueError, OverflowError, TypeError) as error:
            raise formula.error(f"has no value in case '{case}': {error}") from None
        large = isinstance(found, int) and found.bit_length() > _MOST_BITS
        if large or isinstance(found, complex) or (isinstance(found, float) and not math.isfinite(found)):
            raise formula.error(f"is no finite number in case '{case}'")
        return found

    def _tree(self, formula: Formula, tree: Tree, case: Case, group: Sequence[Case]) -> Any:
        if isinstance(tree, Number):
            return tree.value
        if isinstance(tree, Path):
            return self._path(formula, tree, case)
        if tree.function in _TOGETHER and len(tree.arguments) == 1:
            inside = tree.arguments[0]
            cases = [case] if is_list(inside) else group
            parts = [self._tree(formula, inside, each, group) for each in cases]
            return _TOGETHER[tree.function](parts[0] if is_list(inside) else parts)
        arguments = [self._tree(formula, argument, case, group) for argument in tree.arguments]
        for text in (each for argument in arguments for each in (argument if isinstance(argument, list) else [argument])):
            if isinstance(text, str):
                raise formula.error(f"takes {tree.function} of the text '{text}'", "name a number")
        if tree.function in ("min", "max"):
            return _each(lambda *values: _TOGETHER[tree.function](list(values)), arguments)
        return _each(_BINARY.get(tree.function) or _UNARY[tree.function], arguments)

    def _path(self, formula: Formula, path: Path, case: Case) -> Any:
        if path.other:
            case = self._other(formula, path, case)
        name, keys = path.name, path.keys
        if name in self.evidence.runs:
            if not keys:
                raise formula.error(f"names the run '{name}' and no value of it", f"write what you want, as in {name}.latency.seconds")
            return _inside(formula, self.find(name, case, keys[0]), path)
        if name in self.evidence.tables:
            table = self.evidence.tables[name]
            row = table.row(case)
            if row is None:
                raise formula.error(f"asks for a row of {name} that is not there, of case '{case}'", f"write where: {name}")
            return _inside(formula, row, path)
        if keys:
            known = [*self.evidence.runs, *self.evidence.tables]
            raise formula.error(f"names an unknown '{name}'", did_you_mean(name, known))
        if name in case.variables:
            return case.variables[name]
        if name in self.evidence.constants:
            key = name, case.key
            if key not in self.held:
                self.held[key] = self._guarded(self.evidence.constants[name], case, [case])
            return self.held[key]
        known = [*case.variables, *self.evidence.constants, *self.evidence.runs, *self.evidence.tables]
        raise formula.error(f"names an unknown '{name}'", did_you_mean(name, known))

    def _other(self, formula: Formula, path: Path, case: Case) -> Case:
        wanted = {**case.labels, **dict(path.other)}
        for axis, _ in path.other:
            if axis not in case.labels:
                raise formula.error(f"names an unknown axis '{axis}'", did_you_mean(axis, case.labels))
        for other in self.evidence.cases:
            if other.labels == wanted:
                return other
        raise formula.error(f"names a case that is not there, '{', '.join(wanted.values())}'", "check the labels of its axes")


def _each(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """A function of numbers, or of lists of one length element by element."""
    lengths = {len(argument) for argument in arguments if isinstance(argument, list)}
    if not lengths:
        return function(*arguments)
    if len(lengths) > 1:
        raise ValueError(f"lists of {' and '.join(map(str, sorted(lengths)))} values do not go together")
    many = lengths.pop()
    spread = [argument if isinstance(argument, list) else [argument] * many for argument in arguments]
    return [function(*values) for values in zip(*spread, strict=True)]


def _inside(formula: Formula, document: Document, path: Path) -> Any:
    """The value of a path in a document. After a `*`, what an element lacks counts 0, but some element has to have it."""
    found = [document]
    many = False
    for at, key in enumerate(path.keys):
        where = Path(path.name, path.keys[:at], path.other)
        if key == ALL:
            found = [inner for value in found for inner in _children(formula, value, where)]
            many = True
            continue
        held = [_child(value, key) for value in found]
        present = [value for value in held if value is not None]
        if not present:
            known = sorted({name for value in found if isinstance(value, Mapping) for name in value})
            raise formula.error(f"asks for '{key}', which {where} has not", did_you_mean(key, known))
        found = [0 if value is None else value for value in held] if many else present
    if any(isinstance(value, bool) or not isinstance(value, (int, float, str)) for value in found):
        raise formula.error(f"names {path}, which is no single value", "name a value inside it, or take all of them with .*")
    return found if many else found[0]


def _children(formula: Formula, value: Document, where: Path) -> list[Document]:
    if isinstance(value, Mapping):
        return list(value.values())
    if isinstance(value, list):
        return value
    if value == 0:
        return []
    raise formula.error(f"takes all values of {where}, which is one value", "leave the .* out")


def _child(value: Document, key: str) -> Document:
    """The value of a key: of an object, or the element of a list by its number, `name` or `workload`."""
    if isinstance(value, Mapping):
        return value.get(key)
    if isinstance(value, list):
        if key.isdigit():
            return value[int(key)] if int(key) < len(value) else None
        return next((each for each in value if isinstance(each, Mapping) and key in (each.get("name"), each.get("workload"))), None)
    return None
