"""Models as they are served, on the command line: `--phase`, `--batch`, `--context`, `--tokens`, and parameter totals.

Everything heavy is imported inside the function that uses it.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from accelsim.commands.answers import give_blocks
from accelsim.commands.arguments import Arguments, resolved, settings_of, whole_of
from accelsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.io.overrides import Overrides
    from accelsim.workload.cascade import Cascade
    from accelsim.workload.serving import Asked, Served

OPTIONS = ("phase", "batch", "context", "tokens")
SECONDS = "5"  # of each search, unless stated


def asked_of(arguments: Arguments) -> Asked | None:
    """What is to be served, None if no option of OPTIONS is given."""
    given = {option: text for option in OPTIONS if (text := getattr(arguments, option)) is not None}
    if not given:
        return None
    from accelsim.io.serving import tokens_of
    from accelsim.workload.serving import PHASES, Asked

    phase = given.get("phase", "both")
    if phase not in PHASES:
        raise InputError(f"--phase {phase}: not a phase", did_you_mean(phase, PHASES))
    if "tokens" in given and phase == "prefill":
        raise InputError("--tokens are made by steps of decoding, and --phase is prefill", "leave one of the two out")
    sizes = {option: tokens_of(given[option], f"--{option}") for option in ("context", "tokens") if option in given}
    return Asked(phase, whole_of(arguments, "batch") if "batch" in given else 1, sizes.get("context"), sizes.get("tokens"))


def served_of(arguments: Arguments, settings: Overrides, machine: Architecture) -> Served | None:
    """The model in the phases that the options ask for, None if they ask for none; its searches then have a limit unless one is stated.

    Refuses, before anything is searched, a layer that the outermost memory cannot hold by itself.
    """
    from accelsim.io.catalogue import WORKLOAD
    from accelsim.io.serving import load_served

    asked = asked_of(arguments)
    if asked is None:
        return None
    if arguments.time_limit is None:
        arguments.time_limit = SECONDS
    served = load_served(resolved(arguments.workload, WORKLOAD), settings.workload, asked)
    for layer in served.model.layers:
        _refuse_large(layer.cascade, machine)
    return served


def _refuse_large(cascade: Cascade, machine: Architecture) -> None:
    from accelsim.report.figures import byte_size

    size = machine.root.size_bits
    read_or_made = (tensor for tensor in cascade.tensors.values() if tensor.is_input or tensor.is_output)
    bits = sum(tensor.final.bits * math.prod(tensor.shape) for tensor in read_or_made)
    if size is not None and bits > size:
        name = machine.root.name
        holds, needs = byte_size(size / 8), byte_size(float(bits) / 8)
        what = f"{name} of {machine.name} holds {holds}, and {cascade.name} alone reads and makes {needs}"
        raise InputError(what, f"take a smaller batch or context, or --set arch.{name}.size=unlimited to see what it would take")


def params_(arguments: Arguments) -> int:
    from accelsim.io.catalogue import WORKLOAD
    from accelsim.io.serving import load_kept
    from accelsim.report.serving import parameters_blocks, parameters_document

    settings = settings_of(arguments)
    settings.refuse("arch", "mapping")
    model, kept = load_kept(resolved(arguments.workload, WORKLOAD), settings.workload)
    return give_blocks(arguments, parameters_document(model.name, kept), parameters_blocks)
