"""Small exact arithmetic for YAML: numbers, names, `+ - * / // % **`, `min`, `max`, `ceil`, `log2` and parentheses; nothing else."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from accelsim.errors import InputError, Place, did_you_mean

Value = int | Fraction
LONGEST_TEXT = 400
DEEPEST = 40
MOST_BITS = 2048
FUNCTIONS = ("ceil", "log2", "max", "min")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?)|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<sign>\*\*|//|[-+*/%(),]))", re.ASCII
)


def evaluate(text: str | int, names: Mapping[str, Value], place: Place | None = None) -> Value:
    """The exact value of a formula over `names`: an int where it is whole, else a Fraction.

    `log2` of anything but a power of two is the nearest double. Precedence and rounding are Python's.
    Refuses unknown names, fractional powers, division by zero, text beyond 400 characters and numbers beyond 2048 bits.
    """
    if isinstance(text, int):
        return int(text)
    return _Parser(text, names, place).result()


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
class _Token:
    kind: str
    text: str
    column: int


class _Parser:
    """Recursive descent over the tokens of one formula; made, used once, dropped."""

    def __init__(self, text: str, names: Mapping[str, Value], place: Place | None) -> None:
        self.text, self.names, self.place = " ".join(text.split()), names, place
        self.position = 0
        self.depth = 0
        if len(text) > LONGEST_TEXT:
            self.text = text[:40] + "…"
            raise self.error(f"is longer than {LONGEST_TEXT} characters", "name its parts under 'let'")
        self.tokens = self.tokenize()

    def error(self, what: str, mend: str = "") -> InputError:
        return InputError(f"formula '{self.text}' {what}", mend, self.place)

    def tokenize(self) -> list[_Token]:
        tokens: list[_Token] = []
        at, end = 0, len(self.text.rstrip())
        while at < end:
            match = _TOKEN.match(self.text, at)
            if match is None:
                strange = self.text[at:].lstrip()[0]
                raise self.error(f"has a '{strange}'", "write numbers, names, + - * / // % **, min, max, ceil, log2 and parentheses")
            kind = match.lastgroup or ""
            tokens.append(_Token(kind, match.group(kind), match.start(kind) + 1))
            at = match.end()
        return tokens

    def peek(self) -> str:
        return self.tokens[self.position].text if self.position < len(self.tokens) else ""

    def take(self) -> _Token:
        if self.position == len(self.tokens):
            raise self.error("ends too early" if self.tokens else "is empty", "write a number, a name or a parenthesis")
        self.position += 1
        return self.tokens[self.position - 1]

    def expect(self, sign: str) -> None:
        if self.peek() != sign:
            found = f"has '{self.peek()}' where '{sign}' should stand" if self.peek() else f"lacks a '{sign}'"
            raise self.error(found, "check the parentheses")
        self.position += 1

    def result(self) -> Value:
        value = self.sum()
        if self.position < len(self.tokens):
            token = self.tokens[self.position]
            raise self.error(f"has a stray '{token.text}' at column {token.column}", "join two numbers with an operator, as in '2 * pe'")
        return value

    def kept(self, value: Value) -> Value:
        """The value as an int where it is whole; refuses what has grown too large."""
        if value.numerator.bit_length() > MOST_BITS or value.denominator.bit_length() > MOST_BITS:
            raise self.error(f"is larger than {MOST_BITS} bits", "write smaller numbers")
        return int(value) if value.denominator == 1 else value

    def sum(self) -> Value:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"is nested deeper than {DEEPEST}", "name its parts under 'let'")
        value = self.product()
        while self.peek() in ("+", "-"):
            sign = self.take().text
            right = self.product()
            value = self.kept(value + right if sign == "+" else value - right)
        self.depth -= 1
        return value

    def product(self) -> Value:
        value = self.signed()
        while self.peek() in ("*", "/", "//", "%"):
            sign = self.take().text
            right = self.signed()
            if sign == "*":
                value = self.kept(value * right)
                continue
            if right == 0:
                raise self.error("divides by zero", "check the sizes that it names")
            value = self.kept(Fraction(value) / right if sign == "/" else value // right if sign == "//" else value % right)
        return value

    def signed(self) -> Value:
        negative = False
        while self.peek() in ("+", "-"):
            negative ^= self.take().text == "-"
        value = self.power()
        return -value if negative else value

    def power(self) -> Value:
        base = self.atom()
        if self.peek() != "**":
            return base
        self.take()
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.error(f"is nested deeper than {DEEPEST}", "name its parts under 'let'")
        exponent = self.signed()
        self.depth -= 1
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

    def atom(self) -> Value:
        token = self.take()
        if token.kind == "number":
            mantissa, _, exponent = token.text.lower().partition("e")
            if exponent and abs(int(exponent)) > 300:
                raise self.error(f"is larger than {MOST_BITS} bits", "write smaller numbers")
            return self.kept(Fraction(mantissa) * Fraction(10) ** int(exponent or 0))
        if token.text == "(":
            value = self.sum()
            self.expect(")")
            return value
        if token.kind == "name":
            return self.call(token.text) if self.peek() == "(" else self.named(token.text)
        raise self.error(f"has a '{token.text}' at column {token.column} where a number or a name should stand")

    def named(self, name: str) -> Value:
        if name not in self.names:
            raise self.error(f"names an unknown '{name}'", did_you_mean(name, self.names))
        return self.kept(self.names[name])

    def call(self, function: str) -> Value:
        if function not in FUNCTIONS:
            raise self.error(f"calls an unknown '{function}'", did_you_mean(function, FUNCTIONS))
        self.expect("(")
        values = [self.sum()]
        while self.peek() == ",":
            self.take()
            values.append(self.sum())
        self.expect(")")
        if function in ("min", "max"):
            return min(values) if function == "min" else max(values)
        if len(values) != 1:
            raise self.error(f"gives {function} {len(values)} numbers", f"{function} takes one")
        return math.ceil(values[0]) if function == "ceil" else self.log2(values[0])

    def log2(self, value: Value) -> Value:
        if value <= 0:
            raise self.error("takes log2 of a number that is not positive", "check the sizes that it names")
        above, below = value.numerator, value.denominator
        if above & (above - 1) == 0 and below & (below - 1) == 0:
            return above.bit_length() - below.bit_length()
        return self.kept(Fraction(math.log2(above) - math.log2(below)))
