"""Tables whose cells take more lines where there is no room for them, broken where words, and parts of names, end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_GAP = 2  # columns of a terminal between columns of a table


class Heading:
    """The name of a column, which breaks after dots and underscores."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts = re.findall(r"[^._\s]+[._\s]*|[._\s]+", name)

    @property
    def least(self) -> int:
        """How wide it is where every part has a line of its own."""
        return max((len(part.rstrip()) for part in self.parts), default=0)

    def lines(self, width: int) -> list[str]:
        """The name in lines of at most so many characters; a longer part has one of its own."""
        found = [""]
        for part in self.parts:
            if found[-1] and len(found[-1] + part.rstrip()) > width:
                found.append("")
            found[-1] += part
        return [line.rstrip() for line in found]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        yield Text("\n".join(self.lines(options.max_width)), overflow="fold")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(self.least, len(self.name)).with_maximum(options.max_width)


class Folding(Table):
    """A table that gives its columns so much room that words, or at least parts of headings, stay whole where that is possible."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[object]:  # type: ignore[override]
        cells = [[str(cell) for cell in column.cells] for column in self.columns]
        headings = [column.header if isinstance(column.header, Heading) else Heading(str(column.header)) for column in self.columns]
        above = [(max(1, heading.least), max(1, len(heading.name))) if self.show_header else (1, 1) for heading in headings]
        most = [max([full, *map(len, texts)]) for (_, full), texts in zip(above, cells, strict=True)]
        least = [part for part, _ in above]
        words = [max([part, *(len(word) for text in texts for word in text.split())]) for part, texts in zip(least, cells, strict=True)]
        room = options.max_width - _GAP * (len(self.columns) - 1)
        widths = shared(most, words, room) or shared(most, least, room) or [None] * len(most)
        for column, width in zip(self.columns, widths, strict=True):
            column.width = width
        try:
            yield from super().__rich_console__(console, options)
        finally:
            for column in self.columns:
                column.width = None


def shared(most: Sequence[int], least: Sequence[int], room: int) -> list[int | None]:
    """Widths of columns in so much room, the widest made narrower first, none below its least; nothing if that is not possible."""
    if sum(least) > room:
        return []
    widths = list(most)
    for _ in range(sum(widths) - room):
        widest = max((at for at, width in enumerate(widths) if width > least[at]), key=lambda at: widths[at])
        widths[widest] -= 1
    return list(widths)


def folding_table(columns: Sequence[str], names: Sequence[str]) -> Table:
    """A table of names, on the left, and of numbers, whose cells and headings take more lines where there is no room for them."""
    table = Folding(box=None, pad_edge=False)
    for name in columns:
        table.add_column(Heading(name), overflow="fold", justify="left" if name in names else "right")
    return table
