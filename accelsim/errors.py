"""Messages with a place, a reason, a mend and the nearest known name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file something stands; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class AccelsimError(Exception):
    """An error that a user can mend: one line, `place: what is wrong; how to mend it`."""

    exit_code = 2

    def __init__(self, what: str, mend: str = "", place: Place | None = None, excerpt: str = "") -> None:
        self.what = what
        self.mend = mend
        self.place = place
        self.excerpt = excerpt
        super().__init__(str(self))

    def __str__(self) -> str:
        where = f"{self.place}: " if self.place else ""
        mend = f"; {self.mend}" if self.mend else ""
        excerpt = f"\n{self.excerpt}" if self.excerpt else ""
        return f"{where}{self.what}{mend}{excerpt}"


class InputError(AccelsimError):
    """A file, an option or a noun says something that accelsim cannot accept; exit code 2."""


class IllegalMapping(AccelsimError):
    """A well-formed mapping that this machine or this cascade does not allow; exit code 1."""

    exit_code = 1


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name closest to `name`, or None if nothing is close."""
    import difflib

    names = list(known)
    lowered = {candidate.lower(): candidate for candidate in names}
    if name.lower() in lowered:
        return lowered[name.lower()]
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.55)
    return close[0] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """How to mend a wrong name: the nearest known one, else the first few known ones."""
    names = sorted(known)
    found = nearest(name, names)
    if found is not None:
        return f"did you mean '{found}'?"
    if not names:
        return "none is known here"
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"known: {shown}"
