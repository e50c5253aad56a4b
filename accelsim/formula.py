"""Small exact arithmetic for YAML: numbers, names, `+ - * / // % **`, `min`, `max`, `ceil`, `log2` and parentheses; nothing else.

The grammar serves formulas of other values too: those over results (`accelsim.evidence.formula`).
"""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, Generic, TypeVar

from accelsim.errors import InputError, Place, did_you_mean

Value = int | Fraction
LONGEST_TEXT = 400
DEEPEST = 40
MOST_BITS = 2048
FUNCTIONS = ("ceil", "log2", "max", "min")
Made = TypeVar("Made")


def tokens_with(*more: str, name: str = r"[A-Za-z_][A-Za-z_0-9]*") -> re.Pattern[str]:
    """What matches a number, a name or a sign; `more`: groups of further tokens, before the signs; `name`: what a name looks like."""
    number = r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)"
    kinds = (number, rf"(?P<name>{name})", *more, r"(?P<sign>\*\*|//|[-+*/%(),])")
    return re.compile(rf"\s*(?:{'|'.join(kinds)})", re.ASCII)


def evaluate(text: str | int, names: Mapping[str, Value], place: Place | None = None) -> Value:
    """The exact value of a formula over `names`: an int where it is whole, else a Fraction.

    `log2` of anything but a power of two is the nearest double. Precedence and rounding are Python's.
    Refuses unknown names, fractional powers, division by zero, text beyond 400 characters and numbers beyond 2048 bits.
    """
    if isinstance(text, int):
        return int(text)
    return _Exact(text, names, place).result()


def whole(text: str | int, what: str, names: Mapping[str, Value], place: Place | None = None, least: int | None = None) -> int:
    """The value of a formula that must be a whole number of at least `least`; `what` names it in errors."""
    value = evaluate(text, names, place)
    if isinstance(value, Fraction):
        raise InputError(f"{what} must be a whole number, and '{text}' is {float(value):.6g}", "use // or ceil()", place)
    if least is not None and value < least:
        raise InputError(f"{what} must be at least {least}, and '{text}' is {value}", "", place)
    if abs(value) > 2**62:
        raise InputError(f"{what} is beyond 64 bits", "write a smaller number", place)
    return value


def names(text: str) -> tuple[str, ...]:
    """Names that a formula reads, in order of appearance; functions are none."""
    return tuple(dict.fromkeys(word for word in re.findall(r"[A-Za-z_][A-Za-z_0-9]*", text) if word not in FUNCTIONS))


@dataclass(frozen=True, slots=True)
class Token:
    """A part of a formula; `kind`: the group of the pattern that matched it."""

    kind: str
    text: str
    column: int


class Grammar(ABC, Generic[Made]):
    """The grammar of arithmetic, by recursive descent over one formula; made, used once, dropped.

    What numbers, names and operators make is for a subclass to say: a value, or a tree.
    """

    functions: ClassVar[tuple[str, ...]]
    longest: ClassVar[int]
    pattern: ClassVar[re.Pattern[str]]
    known: ClassVar[str]  # what may be written, for errors

    def __init__(self, text: str, place: Place | None) -> None:
        self.text, self.place = " ".join(text.split()), place
        self.position = 0
        self.depth = 0
        if len(self.text) > self.longest:
            self.text = self.text[:40] + "…"
            raise self.error(f"is longer than {self.longest} characters", "name its parts under 'let'")
        self.tokens = self.tokenize()

    @abstractmethod
    def number(self, text: str) -> Made:
        """What digits make."""

    @abstractmethod
    def named(self, name: str) -> Made:
        """What a name makes, of which the token is taken."""

    @abstractmethod
    def negated(self, value: Made) -> Made:
        """-value."""

    @abstractmethod
    def joined(self, sign: str, left: Made, right: Made) -> Made:
        """What an operator makes of two values."""

    @abstractmethod
    def applied(self, function: str, arguments: list[Made]) -> Made:
        """What a function makes of its arguments, which are one unless it is `min` or `max`."""

    def error(self, what: str, mend: str = "") -> InputError:
        return InputError(f"formula '{self.text}' {what}", mend, self.place)

    def tokenize(self) -> list[Token]:
        tokens: list[Token] = []
        at, end = 0, len(self.text)
        while at < end:
            match = self.pattern.match(self.text, at)
            if match is None:
                strange = self.text[at:].lstrip()[0]
                raise self.error(f"has a '{strange}'", f"write {self.known} and parentheses")
            kind = match.lastgroup or ""
            tokens.append(Token(kind, match.group(kind), match.start(kind) + 1))
            at = match.end()
        return tokens

    def peek(self) -> str:
        return self.tokens[self.position].text if self.position < len(self.tokens) else ""

    def take(self) -> Token:
        if self.position == len(self.tokens):
            raise self.error("ends too early" if self.tokens else "is empty", "write a number, a name or a parenthesis")
        self.position += 1
        return self.tokens[self.position - 1]

    def expect(self, sign: str) -> None:
        if self.peek() != sign:
            found = f"has '{self.peek()}' where '{sign}' should stand" if self.peek() else f"lacks a '{sign}'"
            raise self.error(found, "check the parentheses" if sign in "()" else f"write '{sign}'")
        self.position += 1

    def result(self) -> Made:
        """What the whole formula makes."""
        made = self.sum()
        if self.position < len(self.tokens):
            token = self.tokens[self.position]
            raise self.error(f"has a stray '{token.text}' at column {token.column}", "join two numbers with an operator, as in '2 * pe'")
        return made

    def deeper(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"is nested deeper than {DEEPEST}", "name its parts under 'let'")

    def sum(self) -> Made:
        self.deeper()
        made = self.product()
        while self.peek() in ("+", "-"):
            made = self.joined(self.take().text, made, self.product())
        self.depth -= 1
        return made

    def product(self) -> Made:
        made = self.signed()
        while self.peek() in ("*", "/", "//", "%"):
            made = self.joined(self.take().text, made, self.signed())
        return made

    def signed(self) -> Made:
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self.take().text == "-"
        made = self.power()
        return self.negated(made) if negative else made

    def power(self) -> Made:
        base = self.atom()
        if self.peek() != "**":
            return base
        self.take()
        self.deeper()
        exponent = self.signed()
        self.depth -= 1
        return self.joined("**", base, exponent)

    def atom(self) -> Made:
        token = self.take()
        if token.kind == "number":
            return self.number(token.text)
        if token.text == "(":
            made = self.sum()
            self.expect(")")
            return made
        if token.kind == "name":
            return self.call(token.text) if self.peek() == "(" else self.named(token.text)
        raise self.error(f"has a '{token.text}' at column {token.column} where a number or a name should stand")

    def call(self, function: str) -> Made:
        if function not in self.functions:
            raise self.error(f"calls an unknown '{function}'", did_you_mean(function, self.functions))
        self.expect("(")
        arguments = [self.sum()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.sum())
        self.expect(")")
        if len(arguments) > 1 and function not in ("min", "max"):
            raise self.error(f"gives {function} {len(arguments)} numbers", f"{function} takes one")
        return self.applied(function, arguments)


class _Exact(Grammar[Value]):
    """A formula as its exact value."""

    functions = FUNCTIONS
    longest = LONGEST_TEXT
    pattern = tokens_with()
    known = "numbers, names, + - * / // % **, min, max, ceil, log2"

    def __init__(self, text: str, names: Mapping[str, Value], place: Place | None) -> None:
        super().__init__(text, place)
        self.names = names

    def kept(self, value: Value) -> Value:
        """The value as an int where it is whole; refuses what has grown too large."""
        if value.numerator.bit_length() > MOST_BITS or value.denominator.bit_length() > MOST_BITS:
            raise self.error(f"is larger than {MOST_BITS} bits", "write smaller numbers")
        return int(value) if value.denominator == 1 else value

    def number(self, text: str) -> Value:
        mantissa, _, exponent = text.lower().partition("e")
        if exponent and abs(int(exponent)) > 300:
            raise self.error(f"is larger than {MOST_BITS} bits", "write smaller numbers")
        return self.kept(Fraction(mantissa) * Fraction(10) ** int(exponent or 0))

    def named(self, name: str) -> Value:
        if name not in self.names:
            raise self.error(f"names an unknown '{name}'", did_you_mean(name, self.names))
        return self.kept(self.names[name])

    def negated(self, value: Value) -> Value:
        return -value

    def joined(self, sign: str, left: Value, right: Value) -> Value:
        if sign in "+-*":
            return self.kept(left + right if sign == "+" else left - right if sign == "-" else left * right)
        if sign == "**":
            return self.raised(left, right)
        if right == 0:
            raise self.error("divides by zero", "check the sizes that it names")
        return self.kept(Fraction(left) / right if sign == "/" else left // right if sign == "//" else left % right)

    def raised(self, base: Value, exponent: Value) -> Value:
        if isinstance(exponent, Fraction):
            raise self.error("has a fractional power", "powers are whole numbers")
        if base == 0 and exponent < 0:
            raise self.error("divides by zero", "check the sizes that it names")
        grows = max(abs(base.numerator), base.denominator).bit_length() - 1
        if abs(exponent) > 10**6 or grows * abs(exponent) > MOST_BITS:
            if base in (0, 1, -1):
                return base ** (2 + exponent % 2) if exponent else 1
            raise self.error(f"is larger than {MOST_BITS} bits", "write smaller numbers")
        return self.kept(Fraction(base) ** exponent)

    def applied(self, function: str, arguments: list[Value]) -> Value:
        if function in ("min", "max"):
            return min(arguments) if function == "min" else max(arguments)
        return math.ceil(arguments[0]) if function == "ceil" else self.log2(arguments[0])

    def log2(self, value: Value) -> Value:
        if value <= 0:
            raise self.error("takes log2 of a number that is not positive", "check the sizes that it names")
        above, below = value.numerator, value.denominator
        if above & (above - 1) == 0 and below & (below - 1) == 0:
            return above.bit_length() - below.bit_length()
        return self.kept(Fraction(math.log2(above) - math.log2(below)))
