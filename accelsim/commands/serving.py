"""Models as they are served, on the command line: `--phase`, `--batch`, `--context`, `--tokens`, and parameter totals.

Everything heavy is imported inside the function that uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from accelsim.commands.answers import give_blocks
from accelsim.commands.arguments import Arguments, resolved, settings_of

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.io.overrides import Overrides
    from accelsim.workload.serving import Served


def served_of(arguments: Arguments, settings: Overrides, machine: Architecture) -> Served | None:
    """The model in the phases that the options ask for, None if they ask for none; its searches then have a limit unless one is stated.

    Refuses, before anything is searched, a layer that the outermost memory cannot hold by itself.
    """
    from accelsim.io.catalogue import WORKLOAD
    from accelsim.io.requests import SECONDS, SERVED, asked
    from accelsim.io.serving import load_served, refuse_large

    wanted = asked({option: getattr(arguments, option) for option in SERVED})
    if wanted is None:
        return None
    if arguments.time_limit is None:
        arguments.time_limit = SECONDS
    served = load_served(resolved(arguments.workload, WORKLOAD), settings.workload, wanted)
    refuse_large(served.model, machine)
    return served


def params_(arguments: Arguments) -> int:
    from accelsim.io.catalogue import WORKLOAD
    from accelsim.io.serving import load_kept
    from accelsim.report.serving import parameters_blocks, parameters_document

    settings = settings_of(arguments)
    settings.refuse("arch", "mapping")
    model, kept = load_kept(resolved(arguments.workload, WORKLOAD), settings.workload)
    return give_blocks(arguments, parameters_document(model.name, kept), parameters_blocks)
