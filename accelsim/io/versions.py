"""Versions of file formats: what a file says of its own (`schema: accelsim/workload/1` at its top), and how old files become new ones.

A file need not say it; it is then read as the newest. A newer one than is known is refused in one line, an older one with how to mend it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from accelsim import __version__
from accelsim.errors import did_you_mean

if TYPE_CHECKING:
    from accelsim.io.source import Item

KEY = "schema"
NEWEST = {
    "workload": 1, "machine": 1, "mapping": 1, "constraints": 1, "technology": 1, "dram": 1, "campaign": 1, "rates": 1, "evidence": 1,
}  # fmt: skip
_SAID = re.compile(r"accelsim/([a-z-]+)/([0-9]{1,6})\Z")


@dataclass(frozen=True, slots=True)
class Said:
    """The kind and the version that a file says it has."""

    kind: str
    version: int

    def __str__(self) -> str:
        return f"accelsim/{self.kind}/{self.version}"


def said(document: Item) -> Said | None:
    """What a document says of its kind and version, None if it says nothing; InputError for what is no such thing."""
    keys: Mapping[str, Item] = document.value if isinstance(document.value, dict) else {}
    item = keys.get(KEY)
    if item is None or not (isinstance(item.value, str) and item.value.startswith("accelsim/")):
        return None
    found = _SAID.match(item.value)
    if found is None or found[1] not in NEWEST:
        known = [f"accelsim/{kind}/{version}" for kind, version in NEWEST.items()]
        raise item.error(f"there is no format '{item.value[:60]}'", did_you_mean(item.value, known))
    if found[1] not in keys:
        what = f"the file says that it is a {found[1]}, and has no '{found[1]}'"
        raise item.error(what, f"write '{found[1]}: …' beside it, or mend '{KEY}'")
    return Said(found[1], int(found[2]))


def current(document: Item) -> Item:
    """The document without what it says of its version, which has to be the newest."""
    found = said(document)
    if found is None:
        return document
    refuse_newer(document, found)
    if found.version < NEWEST[found.kind]:
        what = f"this is version {found.version} of a {found.kind}, and {NEWEST[found.kind]} is read"
        raise document.value[KEY].error(what, f"`accelsim migrate {document.place.file} -o NEW.yaml` rewrites it")
    from accelsim.io.source import Item

    keys = {key: child for key, child in document.value.items() if key != KEY}
    return Item(keys, document.place, document.key_places)


def refuse_newer(document: Item, found: Said, known: Mapping[str, int] = NEWEST) -> None:
    """InputError for a version of which this accelsim knows nothing."""
    newest = known[found.kind]
    if found.version > newest:
        what = f"this is version {found.version} of a {found.kind}, and accelsim {__version__} reads up to {newest}"
        raise document.value[KEY].error(what, "read it with a newer accelsim: pip install --upgrade accelsim")
    if found.version < 1:
        raise document.value[KEY].error(f"there is no version {found.version} of a {found.kind}", f"the first is accelsim/{found.kind}/1")
