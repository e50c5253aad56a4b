"""Names that the grammar of cascades can hold, from names of other tools."""

from __future__ import annotations

import re

from accelsim.workload.operators import OPERATORS

RESERVED = {*OPERATORS, "where", "and", "or", "not", "inf", "default"}
LONGEST = 60


def identifier(text: str) -> str:
    """The nearest word of letters, digits and underscores that no operator is called."""
    word = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")
    if len(word) > LONGEST:
        word = word[-LONGEST:].lstrip("_")
    if not word or not word[0].isalpha():
        word = f"T{word}" if word else "T"
    return f"{word}_" if word in RESERVED else word


def layer_name(text: str) -> str:
    """A name for a layer that may name a file too."""
    word = re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.")
    return word[-LONGEST:].lstrip("-.") or "layer"
