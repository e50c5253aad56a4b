"""`accelsim explore`: every point of a sweep, its table and its front.

Everything heavy is imported inside the verb that uses it.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from accelsim.commands.answers import draw_to, give_blocks
from accelsim.commands.arguments import Arguments, executor_at, whole_of
from accelsim.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from accelsim.explore.exploration import Exploration
    from accelsim.explore.sensitivity import Tornado

INTERRUPTED = 130


def explore_(arguments: Arguments) -> int:
    for option in ("show", "sensitivity"):
        if arguments.html is not None and getattr(arguments, option) is not None:
            raise InputError(f"--html shows a whole sweep, and --{option} is of one row", "leave --html out")
    if arguments.show is not None:
        return _show(arguments)
    if arguments.sensitivity is not None:
        return _sensitivity(arguments)
    if arguments.at is not None:
        raise InputError("--at names the row that --sensitivity looks at", "add '--sensitivity 2', or write --show for the row of a table")
    from accelsim.explore.sweeping import explore
    from accelsim.explore.table import all_rows, document
    from accelsim.io.sweep import load_sweep
    from accelsim.io.sweep_table import ENDINGS, refuse_ending, write_table
    from accelsim.jobs.executors import map_unordered
    from accelsim.report.exploring import exploration_blocks
    from accelsim.report.html.sweep import MOST_ROWS
    from accelsim.report.progress import progress

    if arguments.sweep.endswith(ENDINGS):
        raise InputError(f"{arguments.sweep} is a table, and a sweep is asked for", "give the sweep's file, or add '--show ROW'")
    if arguments.output is not None:
        refuse_ending(arguments.output)
    most, executor = whole_of(arguments, "most"), executor_at(arguments)
    with progress(not arguments.quiet) as tell:
        tell("checking the sweep")
        sweep = load_sweep(arguments.sweep, arguments.set, most)
        with executor.standing() as standing:
            found = explore(sweep, store_of(arguments), partial(map_unordered, standing), tell, most)
        try:
            if arguments.output is not None and not found.interrupted:
                tell(f"writing {arguments.output}")
                write_table(found, arguments.output)
            shown = document(found)
            page = shown | {"rows": all_rows(found)} if arguments.html is not None and shown["points"] <= MOST_ROWS else None
            draw_to(arguments, lambda: _front(found))
        finally:
            found.close()
    code = give_blocks(arguments, shown, exploration_blocks, page=page)
    return INTERRUPTED if found.interrupted else code


def _sensitivity(arguments: Arguments) -> int:
    """How much each parameter and price alone changes the figures of one row."""
    from itertools import islice

    from accelsim.explore.sensitivity import sensitivity
    from accelsim.io.machine_parameters import parameters_of
    from accelsim.io.sweep import load_sweep
    from accelsim.io.sweep_cases import FileCases
    from accelsim.jobs.executors import map_unordered
    from accelsim.report.progress import progress
    from accelsim.report.sensitivity import sensitivity_blocks, sensitivity_document

    number, executor = 0 if arguments.at is None else _row_of(arguments, "at"), executor_at(arguments)
    try:
        factor = float(arguments.sensitivity)
    except ValueError:
        raise InputError(f"--sensitivity {arguments.sensitivity}: not a number", "write a factor, as in 2") from None
    for option in ("output", "store"):
        if getattr(arguments, option) is not None:
            raise InputError(
                f"--sensitivity keeps no rows, and --{option} says where", f"leave --{option} out; --json writes what is found"
            )
    with progress(not arguments.quiet) as tell:
        tell("checking the sweep")
        sweep = load_sweep(arguments.sweep, arguments.set, whole_of(arguments, "most"))
        if sweep.search is not None:
            raise InputError(f"{sweep.name} chooses its points by a search, so that it has no rows beforehand", "remove 'search' from it")
        point = next(islice(sweep.points(), number, None), None)
        if point is None:
            raise InputError(f"--at {number}: {sweep.name} has rows 0 to {sum(1 for _ in sweep.points()) - 1}", "write one of them")
        assert isinstance(sweep.cases, FileCases)
        more = parameters_of(sweep.cases, point)
        found = sensitivity(sweep, point, more, factor, spread=partial(map_unordered, executor), tell=tell)
    draw_to(arguments, lambda: _tornado(found))
    return give_blocks(arguments, sensitivity_document(found), sensitivity_blocks)


def _front(found: Exploration) -> Axes:
    from accelsim.report.plots.fronts import sweep_front

    return sweep_front(found)


def _tornado(found: Tornado) -> Axes:
    from accelsim.report.plots.bars import tornado

    return tornado(found)


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
    from accelsim.report.exploring import row_blocks

    row = read_row(arguments.sweep, _row_of(arguments, "show"))
    return give_blocks(arguments, row, row_blocks)


def _row_of(arguments: Arguments, name: str) -> int:
    """The number of a row, from 0, that an option names."""
    text = getattr(arguments, name)
    if not (text.isascii() and text.isdigit() and len(text) < 13):
        raise InputError(f"--{name} '{text}' is not a row", "write its number, from 0")
    return int(text)
