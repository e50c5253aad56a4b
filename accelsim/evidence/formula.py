"""Formulas over results: numbers, names, paths into JSON documents, arithmetic and a few functions; parsed once, valued for each case.

`binding.latency.seconds` is a value of the document of the run `binding`; `x.traffic.DRAM.*` all values of an object, `layers.*.times`
one of each; `binding[length=1K].latency.seconds` the same of another case. Names without a run are variables of the case. Nothing is
executed: a formula is a tree of the nouns below.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from accelsim.errors import InputError, Place, did_you_mean

LONGEST_TEXT = 2000
DEEPEST = 40
REDUCTIONS = ("count", "gmean", "max", "mean", "median", "min", "sum")
FUNCTIONS = ("abs", "ceil", "exp", "floor", "ln", "log2", "round", "sqrt")
ALL = "*"
_TOKEN = re.compile(
    r"""\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<text>"[^"]*"|'[^']*')
    |(?P<sign>\.\*|\*\*|//|[-+*/%(),.\[\]=]))""",
    re.ASCII | re.VERBOSE,
)


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


class _Parser:
    """Recursive descent over the tokens of one formula; made, used once, dropped."""

    def __init__(self, text: str, place: Place | None) -> None:
        self.text, self.place = " ".join(text.split()), place
        if len(self.text) > LONGEST_TEXT:
            self.text = self.text[:40] + "…"
            raise self.error(f"is longer than {LONGEST_TEXT} characters", "name its parts under 'let'")
        self.at = self.depth = 0
        self.tokens: list[tuple[str, str, int]] = []
        start = 0
        while start < len(self.text):
            match = _TOKEN.match(self.text, start)
            if match is None:
                strange = self.text[start:].lstrip()[0]
                raise self.error(f"has a '{strange}'", "write numbers, names, paths, + - * / // % **, functions and parentheses")
            kind = match.lastgroup or ""
            self.tokens.append((kind, match.group(kind), match.start(kind) + 1))
            start = match.end()

    def error(self, what: str, mend: str = "") -> InputError:
        return InputError(f"formula '{self.text}' {what}", mend, self.place)

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, wanted: str = "") -> tuple[str, str, int]:
        if self.at == len(self.tokens):
            raise self.error("ends too early" if self.tokens else "is empty", f"write '{wanted}'" if wanted else "write a number or a name")
        token = self.tokens[self.at]
        if wanted and token[1] != wanted:
            raise self.error(f"has '{token[1]}' at column {token[2]} where '{wanted}' should stand", "check parentheses and brackets")
        self.at += 1
        return token

    def formula(self) -> Formula:
        tree = self.sum()
        if self.at < len(self.tokens):
            _, text, column = self.tokens[self.at]
            raise self.error(f"has a stray '{text}' at column {column}", "join two values with an operator")
        return Formula(self.text, tree, self.place)

    def sum(self) -> Tree:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"is nested deeper than {DEEPEST}", "name its parts under 'let'")
        tree = self.product()
        while self.peek() in ("+", "-"):
            tree = Call(self.take()[1], (tree, self.product()))
        self.depth -= 1
        return tree

    def product(self) -> Tree:
        tree = self.signed()
        while self.peek() in ("*", "/", "//", "%"):
            tree = Call(self.take()[1], (tree, self.signed()))
        return tree

    def signed(self) -> Tree:
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self.take()[1] == "-"
        tree = self.power()
        return Call("-", (Number(0), tree)) if negative else tree

    def power(self) -> Tree:
        base = self.atom()
        if self.peek() != "**":
            return base
        self.take()
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"is nested deeper than {DEEPEST}", "name its parts under 'let'")
        exponent = self.signed()
        self.depth -= 1
        return Call("**", (base, exponent))

    def atom(self) -> Tree:
        kind, text, column = self.take()
        if kind == "number":
            return Number(int(text) if text.isdigit() else float(text))
        if text == "(":
            tree = self.sum()
            self.take(")")
            return tree
        if kind == "name":
            return self.call(text) if self.peek() == "(" else self.path(text)
        raise self.error(f"has a '{text}' at column {column} where a number or a name should stand")

    def call(self, function: str) -> Tree:
        if function not in (*REDUCTIONS, *FUNCTIONS):
            raise self.error(f"calls an unknown '{function}'", did_you_mean(function, (*REDUCTIONS, *FUNCTIONS)))
        self.take("(")
        arguments = [self.sum()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.sum())
        self.take(")")
        if len(arguments) > 1 and function not in ("min", "max"):
            raise self.error(f"gives {function} {len(arguments)} values", f"{function} takes one")
        return Call(function, tuple(arguments))

    def path(self, name: str) -> Tree:
        other: list[tuple[str, str]] = []
        if self.peek() == "[":
            self.take()
            while not other or self.peek() == ",":
                if other:
                    self.take()
                axis = self.take()[1]
                self.take("=")
                other.append((axis, self.label()))
            self.take("]")
        keys: list[str] = []
        while self.peek() in (".", ".*") or re.fullmatch(r"\.\d+", self.peek()):  # the last: an element of a list
            dot = self.take()[1]
            if dot != ".":
                keys.append(dot[1:])
                continue
            kind, text, column = self.take()
            if kind not in ("name", "text", "number"):
                raise self.error(f"has a '{text}' at column {column} where a key should stand", 'write it in quotes, as in x."RM.1"')
            keys.append(text[1:-1] if kind == "text" else text)
        return Path(name, tuple(keys), tuple(other))

    def label(self) -> str:
        """What an axis is set to: a text in quotes, or all up to the next comma or bracket."""
        kind, text, _ = self.take()
        if kind == "text":
            return text[1:-1]
        while self.peek() not in (",", "]", ""):
            text += self.take()[1]
        return text
