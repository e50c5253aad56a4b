"""Formulas over results: numbers, names, paths into JSON documents, arithmetic and a few functions; parsed once, valued for each case.

`binding.latency.seconds` is a value of the document of the run `binding`; `x.traffic.DRAM.*` all values of an object, `layers.*.times`
one of each; `binding[length=1K].latency.seconds` the same of another case. Names without a run are variables of the case. Nothing is
executed: a formula is a tree of the nouns below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from accelsim.errors import InputError, Place
from accelsim.formula import Grammar, tokens_with

LONGEST_TEXT = 2000
REDUCTIONS = ("count", "gmean", "max", "mean", "median", "min", "sum")
FUNCTIONS = ("abs", "ceil", "exp", "floor", "ln", "log2", "round", "sqrt")
ALL = "*"


@dataclass(frozen=True, slots=True)
class Number:
    """A number that stands in the formula."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Path:
    """A value by name: of the case (`keys` empty), of a table's row, or of a run's document. `other`: axes and labels that differ."""

    name: str
    keys: tuple[str, ...] = ()
    other: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        chosen = ", ".join(f"{axis}={label}" for axis, label in self.other)
        return ".".join([self.name + (f"[{chosen}]" if chosen else ""), *self.keys])


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or function of its arguments."""

    function: str
    arguments: tuple[Tree, ...]


Tree = Number | Path | Call


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula as it was written, its tree, and where it stands."""

    text: str
    tree: Tree
    place: Place | None = None

    def error(self, what: str, mend: str = "") -> InputError:
        """An InputError at this formula."""
        return InputError(f"'{self.text}' {what}", mend, self.place)


def parse(text: str, place: Place | None = None) -> Formula:
    """The formula of a text; precedence is Python's. InputError with the column of what is wrong."""
    return _Parser(text, place).formula()


def paths(tree: Tree) -> tuple[Path, ...]:
    """All paths of a tree, from left to right."""
    if isinstance(tree, Call):
        return tuple(path for argument in tree.arguments for path in paths(argument))
    return (tree,) if isinstance(tree, Path) else ()


def is_list(tree: Tree) -> bool:
    """Whether a tree has several values for one case: those of a `*` that no reduction has taken together."""
    if isinstance(tree, Call):
        return not (tree.function in REDUCTIONS and len(tree.arguments) == 1) and any(map(is_list, tree.arguments))
    return isinstance(tree, Path) and ALL in tree.keys


class _Parser(Grammar[Tree]):
    """A formula as a tree."""

    functions = (*REDUCTIONS, *FUNCTIONS)
    longest = LONGEST_TEXT
    pattern = tokens_with(r"""(?P<text>"[^"]*"|'[^']*')""", r"(?P<step>\.\*|[.\[\]=])")
    known = "numbers, names, paths, + - * / // % **, functions"

    def formula(self) -> Formula:
        return Formula(self.text, self.result(), self.place)

    def number(self, text: str) -> Tree:
        return Number(int(text) if text.isdigit() else float(text))

    def negated(self, value: Tree) -> Tree:
        return Call("-", (Number(0), value))

    def joined(self, sign: str, left: Tree, right: Tree) -> Tree:
        return Call(sign, (left, right))

    def applied(self, function: str, arguments: list[Tree]) -> Tree:
        return Call(function, tuple(arguments))

    def named(self, name: str) -> Tree:
        other: list[tuple[str, str]] = []
        if self.peek() == "[":
            self.take()
            while not other or self.peek() == ",":
                if other:
                    self.take()
                axis = self.take().text
                self.expect("=")
                other.append((axis, self.label()))
            self.expect("]")
        keys: list[str] = []
        while self.peek() in (".", ".*") or re.fullmatch(r"\.\d+", self.peek()):  # the last: an element of a list
            dot = self.take().text
            if dot != ".":
                keys.append(dot[1:])
                continue
            key = self.take()
            if key.kind not in ("name", "text", "number"):
                what = f"has a '{key.text}' at column {key.column} where a key should stand"
                raise self.error(what, 'write it in quotes, as in x."RM.1"')
            keys.append(key.text[1:-1] if key.kind == "text" else key.text)
        return Path(name, tuple(keys), tuple(other))

    def label(self) -> str:
        """What an axis is set to: a text in quotes, or all up to the next comma or bracket."""
        first = self.take()
        if first.kind == "text":
            return first.text[1:-1]
        text = first.text
        while self.peek() not in (",", "]", ""):
            text += self.take().text
        return text
