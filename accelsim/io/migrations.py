"""Old files made new: each step rewrites the text of one version into that of the next, and leaves comments and layout as they are.

A step edits the text at the places of the parsed document, so what it does not concern stays as it was written, to the letter.
No kind has a second version yet, so MIGRATIONS is empty: since the first release keys were added and none was renamed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from accelsim.errors import InputError, Place
from accelsim.io.catalogue import CONSTRAINTS, KINDS
from accelsim.io.holes import marked
from accelsim.io.source import Item, parse_raw, read_text
from accelsim.io.versions import KEY, NEWEST, Said, refuse_newer, said


@dataclass(frozen=True, slots=True)
class Edit:
    """So many characters at a place of a text that are replaced."""

    place: Place
    old: str
    new: str


Step = Callable[[Item], list[Edit]]  # a document of one version to what has to change for the next
MIGRATIONS: dict[tuple[str, int], Step] = {}  # by kind and the version that a step starts from


@dataclass(frozen=True, slots=True)
class Migrated:
    """A file in its newest version. `before`: what it said of its version, None if it said nothing."""

    kind: str
    before: int | None
    after: int
    text: str


def migrate(path: Path, steps: Mapping[tuple[str, int], Step] | None = None, newest: Mapping[str, int] | None = None) -> Migrated:
    """The text of a file in the newest version of its kind, which its first line then says."""
    steps, newest = MIGRATIONS if steps is None else steps, NEWEST if newest is None else newest
    text, file = read_text(path), str(path)
    document = parse_raw(marked(text), file)
    keys = document.mapping("the file")
    stated = said(document)
    kind = stated.kind if stated is not None else next((each.key for each in (*KINDS, CONSTRAINTS) if each.key in keys), None)
    if kind is None:
        raise document.error("no kind of file that accelsim reads", "name it at the top, as in 'workload: NAME'")
    if stated is not None:
        refuse_newer(document, stated, newest)
    version = stated.version if stated is not None else newest[kind]
    for number in range(version, newest[kind]):
        text = edited(text, steps[kind, number](parse_raw(marked(text), file)))
    named = str(Said(kind, newest[kind]))
    if stated is None:
        return Migrated(kind, None, newest[kind], _with_first(text, f"{KEY}: {named}", document))
    return Migrated(kind, stated.version, newest[kind], edited(text, [Edit(keys[KEY].place, str(stated), named)]))


def renamed(item: Item, old: str, new: str) -> list[Edit]:
    """The edit that calls a key of a mapping otherwise; none if it is not there."""
    if not isinstance(item.value, dict) or old not in item.value:
        return []
    return [Edit((item.key_places or {})[old], old, new)]


def edited(text: str, edits: list[Edit]) -> str:
    """The text with all edits made; quotes around what is replaced stay."""
    lines = text.splitlines(keepends=True)
    for edit in sorted(edits, key=lambda edit: (edit.place.line, edit.place.column), reverse=True):
        line, start = lines[edit.place.line - 1], edit.place.column - 1
        start += line[start : start + 1] in ("'", '"')
        if line[start : start + len(edit.old)] != edit.old:
            raise InputError(f"'{edit.old}' is written in a way that cannot be rewritten", f"write it plainly: {edit.old}", edit.place)
        lines[edit.place.line - 1] = line[:start] + edit.new + line[start + len(edit.old) :]
    return "".join(lines)


def _with_first(text: str, line: str, document: Item) -> str:
    """The text with a line before its first key, and after the comments above that."""
    if text[document_start(text, document) :].startswith("{"):
        at = document_start(text, document) + 1
        return f"{text[:at]}{line}, {text[at:]}"
    lines = text.splitlines(keepends=True)
    at = document.place.line - 1
    return "".join([*lines[:at], f"{line}\n", *lines[at:]])


def document_start(text: str, document: Item) -> int:
    """Where in the text the document begins."""
    lines = text.splitlines(keepends=True)
    return sum(map(len, lines[: document.place.line - 1])) + document.place.column - 1
