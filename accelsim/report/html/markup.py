"""HTML that is put together from parts: text is escaped, and what is HTML already says so by its type."""

from __future__ import annotations

import json
from collections.abc import Iterable
from html import escape
from typing import Any, NamedTuple

Attribute = str | int | float | bool | None
_VOID = frozenset({"br", "meta", "input", "line", "rect", "circle", "path", "polyline"})


class Html(str):
    """Text that is HTML, with everything foreign in it escaped."""

    __slots__ = ()


class Section(NamedTuple):
    """A part of a page with a heading; `name` is unique on the page and what links lead to."""

    name: str
    title: str
    body: Html


def el(tag: str, *children: str | None, **attributes: Attribute) -> Html:
    """An element. An attribute that is None or False is left out; `class_` is class, `data_v` is data-v."""
    shown = [f" {_name(key)}" + ("" if value is True else f'="{_text(value)}"') for key, value in attributes.items() if _given(value)]
    if tag in _VOID and not children:
        return Html(f"<{tag}{''.join(shown)}>" if tag in ("br", "meta", "input") else f"<{tag}{''.join(shown)}/>")
    return Html(f"<{tag}{''.join(shown)}>{join(children)}</{tag}>")


def join(parts: Iterable[str | None], between: str = "") -> Html:
    """Parts one after the other; those that are no HTML are escaped."""
    return Html(between.join(part if isinstance(part, Html) else escape(part) for part in parts if part is not None))


def embedded(name: str, data: Any) -> Html:
    """Data for scripts, in an element that browsers do not run; nothing in it can end the element."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    for character, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(character, code)
    return Html(f'<script type="application/json" id="{escape(name)}">{text}</script>')


def anchor(text: str) -> str:
    """A text as an id: what ids and links cannot hold is written by its code."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter == "-") else f"_{ord(letter):x}" for letter in text)


def _given(value: Attribute) -> bool:
    return value is not None and value is not False


def _name(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _text(value: Attribute) -> str:
    return escape(f"{value:.6g}" if isinstance(value, float) else str(value), quote=True)
