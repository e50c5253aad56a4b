"""`accelsim explore`: every point of a sweep, its table and its front.

Everything heavy is imported inside the verb that uses it.
"""

from __future__ import annotations

import os
from typing import Any

from accelsim.commands.answers import give_blocks
from accelsim.commands.arguments import Arguments, whole_of
from accelsim.errors import InputError

INTERRUPTED = 130


def explore_(arguments: Arguments) -> int:
    if arguments.show is not None:
        return _show(arguments)
    from accelsim.explore.sweeping import explore
    from accelsim.explore.table import document
    from accelsim.io.sweep import load_sweep
    from accelsim.io.sweep_table import refuse_ending, write_table
    from accelsim.report.exploring import exploration_blocks
    from accelsim.report.progress import progress

    if arguments.output is not None:
        refuse_ending(arguments.output)
    most = whole_of(arguments, "most")
    with progress(not arguments.quiet) as tell:
        tell("checking the sweep")
        sweep = load_sweep(arguments.sweep, arguments.set, most)
        found = explore(sweep, store_of(arguments), tell=tell, most=most)
        try:
            if arguments.output is not None and not found.interrupted:
                tell(f"writing {arguments.output}")
                write_table(found, arguments.output)
            shown = document(found)
        finally:
            found.close()
    code = give_blocks(arguments, shown, exploration_blocks)
    return INTERRUPTED if found.interrupted else code


def store_of(arguments: Arguments) -> str:
    """The file that rows are kept in as they are found: in the folder of --store, else beside the table; '' keeps none."""
    if arguments.store is not None:
        try:
            os.makedirs(arguments.store, exist_ok=True)
        except OSError as error:
            raise InputError(f"{arguments.store}: cannot keep results: {error.strerror or error}", "choose a folder") from None
        return os.path.join(arguments.store, "points.sqlite")
    return "" if arguments.output is None else f"{arguments.output}.points"


def _show(arguments: Arguments) -> int:
    """The command of a row of a table, and its figures."""
    from accelsim.io.sweep_table import read_row

    text = arguments.show
    if not (text.isascii() and text.isdigit() and len(text) < 13):
        raise InputError(f"--show '{text}' is not a row", "write its number, from 0")
    row = read_row(arguments.sweep, int(text))

    def blocks(whole: dict[str, Any]) -> Any:
        from accelsim.report.exploring import row_blocks

        yield from row_blocks(whole)

    return give_blocks(arguments, row, blocks)
