"""Seeded damage to a text file: bytes, tokens, lines, numbers, keys and types."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

TOKEN = re.compile(r"[A-Za-z_]\w*|\d+(?:\.\d+)?|[^\sA-Za-z_0-9]")
NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?")
KEY = re.compile(r"(?m)^([ \t]*(?:- )?[\"']?)([A-Za-z_][\w .\-]*?)([\"']?:(?: |$))")
VALUE = re.compile(r"(?m)(: )([^\n{\[|>]+)$")


def _words(text: str) -> tuple[str, ...]:
    """Words that stand two blanks apart."""
    return tuple(re.split(r"  +|\n", text.strip()))


EXTREMES = _words("""
0  -1  1  0.5  1e308  -1e308  1e-320  .inf  -.inf  .nan  9223372036854775807  9223372036854775808
18446744073709551616  123456789012345678901234567890  1e400  2147483648  0x7f  1_000  007  4096  97  ~  1/0
3:30
""")
TYPES = _words("""
[]  {}  ~  true  'text'  [1, 2]  {a: 1}  3.5  -7  [[[]]]  ''  '{}'  &a 1  *a  2024-01-01  "\\u0000"  "\\ud83d"
é  [~]  {~: ~}  {x: {x: {x: {}}}}  unlimited  16 MiB  P*P  2**2**2**64  ((((1))))  !!python/name:os.system ''
""")
WORDS = _words("""
m  k  DRAM  Z  for  keep  fuse  einsum  max  exp  where  sum  0  ]  [  :  -  =  //  %  **  ~
""")


def flip_bytes(text: bytes, draw: random.Random) -> bytes:
    """Change one to eight bytes to anything."""
    data = bytearray(text)
    for _ in range(draw.choice((1, 1, 1, 2, 8))):
        data[draw.randrange(len(data))] = draw.randrange(256)
    return bytes(data)


def flip_printable(text: bytes, draw: random.Random) -> bytes:
    """Change one byte to a printable one."""
    data = bytearray(text)
    data[draw.randrange(len(data))] = draw.choice(b" \n:-[]{}(),.*/+%=~#&!|>'\"0123456789abmkpKQVZ")
    return bytes(data)


def insert_bytes(text: bytes, draw: random.Random) -> bytes:
    """Insert a run of one character."""
    at = draw.randrange(len(text))
    return text[:at] + bytes([draw.choice(b"\x00\n\t -[({1aA\xff")]) * draw.choice((1, 1, 2, 100)) + text[at:]


def cut(text: bytes, draw: random.Random) -> bytes:
    """Keep only a beginning."""
    return text[: draw.randrange(len(text))]


def _on_text(change: Callable[[str, random.Random], str]) -> Callable[[bytes, random.Random], bytes]:
    def changed(text: bytes, draw: random.Random) -> bytes:
        return change(text.decode("utf-8", "surrogateescape"), draw).encode("utf-8", "surrogateescape")

    changed.__name__ = change.__name__
    return changed


def _splice(text: str, place: re.Match[str], new: str) -> str:
    return text[: place.start()] + new + text[place.end() :]


def swap_tokens(text: str, draw: random.Random) -> str:
    """Exchange two tokens."""
    tokens = list(TOKEN.finditer(text))
    if len(tokens) < 2:
        return text
    first, second = sorted(draw.sample(range(len(tokens)), 2))
    late = _splice(text, tokens[second], tokens[first].group())
    return _splice(late, tokens[first], tokens[second].group())


def replace_token(text: str, draw: random.Random) -> str:
    """Replace a token by another of the file, or by a word of the languages."""
    tokens = list(TOKEN.finditer(text))
    new = draw.choice(WORDS) if draw.random() < 0.5 else draw.choice(tokens).group() if tokens else "x"
    return _splice(text, draw.choice(tokens), new) if tokens else new


def delete_line(text: str, draw: random.Random) -> str:
    """Remove one to three lines."""
    lines = text.splitlines(keepends=True)
    at = draw.randrange(len(lines)) if lines else 0
    return "".join(lines[:at] + lines[at + draw.choice((1, 1, 2, 3)) :])


def duplicate_line(text: str, draw: random.Random) -> str:
    """Repeat a line, there or elsewhere."""
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    line = draw.choice(lines)
    at = draw.randrange(len(lines) + 1)
    return "".join([*lines[:at], line, *lines[at:]])


def indent_line(text: str, draw: random.Random) -> str:
    """Move a line by one or two columns."""
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    at = draw.randrange(len(lines))
    lines[at] = draw.choice((" ", "  ")) + lines[at] if draw.random() < 0.5 else lines[at][draw.choice((1, 2)) :]
    return "".join(lines)


def extreme_number(text: str, draw: random.Random) -> str:
    """Replace a number by an extreme one."""
    numbers = list(NUMBER.finditer(text))
    return _splice(text, draw.choice(numbers), draw.choice(EXTREMES)) if numbers else text


def nearby_number(text: str, draw: random.Random) -> str:
    """Replace a number by one nearby, which often stays legal."""
    numbers = [place for place in NUMBER.finditer(text) if "." not in place.group() and len(place.group()) < 15]
    if not numbers:
        return text
    place = draw.choice(numbers)
    value = int(place.group())
    return _splice(text, place, str(draw.choice((value + 1, value - 1, 2 * value, value // 2, 3 * value + 1, 10 * value))))


def rename_key(text: str, draw: random.Random) -> str:
    """Change the name of a key."""
    keys = list(KEY.finditer(text))
    if not keys:
        return text
    place = draw.choice(keys)
    name = place.group(2)
    new = draw.choice((name + "x", name[1:] or "y", name.upper(), name[::-1], draw.choice(keys).group(2), draw.choice(WORDS)))
    return _splice(text, place, place.group(1) + new + place.group(3))


def change_type(text: str, draw: random.Random) -> str:
    """Replace the value of a key by one of another type."""
    values = list(VALUE.finditer(text))
    if not values:
        return text
    return _splice(text, place := draw.choice(values), place.group(1) + draw.choice(TYPES))


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    flip_bytes,
    flip_printable,
    insert_bytes,
    cut,
    *map(
        _on_text,
        (
            swap_tokens, replace_token, delete_line, duplicate_line, indent_line,
            extreme_number, extreme_number, nearby_number, nearby_number, rename_key, change_type,
        ),
    ),
)  # fmt: skip


def mutate(text: bytes, draw: random.Random) -> tuple[bytes, str]:
    """The text after one to three mutations, and their names."""
    names = []
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        mutation = draw.choice(MUTATIONS)
        text = mutation(text, draw) or b"\n"
        names.append(mutation.__name__)
    return text, "+".join(names)
