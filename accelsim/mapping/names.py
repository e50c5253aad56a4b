"""The words of a mapping: what a name may look like, and how a kept tensor and its options are written in text."""

from __future__ import annotations

import re
from fractions import Fraction

from accelsim.mapping.tree import Held

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]*")
NODE_WORDS = ("keep", "for", "spatial", "fuse", "einsum")
HELD_OPTIONS = ("copies", "fraction", "layout", "in_place")


def is_name(text: str) -> bool:
    """Whether `text` can name a tensor, rank, memory, axis, unit or Einsum: letters, digits, `_`, `.`, `-`, a letter or `_` first."""
    return NAME.fullmatch(text) is not None


def chain(held: Held) -> str:
    """The tensors that share the space: `QK = SN = A`, or just the tensor."""
    return " = ".join((held.tensor, *held.in_place))


def chain_names(text: str) -> tuple[str, ...]:
    """The names in `QK = SN = A`; empty if one of them is not a name."""
    names = tuple(part.strip() for part in text.split("="))
    return names if all(is_name(name) for name in names) else ()


def fraction(text: str) -> Fraction | None:
    """A share between 0 and 1, written `0.5`, `1/3` or `1`, exactly; None if it is not one."""
    if re.fullmatch(r"(\d{1,24}(\.\d{0,24})?|\.\d{1,24})([eE][+-]?\d{1,2})?|\d{1,24}\s*/\s*\d{1,24}", text.strip()) is None:
        return None
    try:
        share = Fraction(text.replace(" ", ""))
    except ZeroDivisionError:
        return None
    return share if 0 <= share <= 1 else None
