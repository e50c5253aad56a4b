"""The verbs about equivalent cascades: derive one by steps, and search over those that steps reach.

Everything heavy is imported inside the verb that uses it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from accelsim.commands.answers import draw_to, drawn, give_blocks
from accelsim.commands.arguments import Arguments, is_stored, refuse_folder, request_of, settings_of, workload_of
from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade, Model

if TYPE_CHECKING:
    from rich.console import RenderableType

    from accelsim.hardware.architecture import Architecture

REFUSED = ("html", "compare", "pareto", "store", "constraints", "formats", "data")


def derive_(arguments: Arguments) -> int:
    from accelsim.io.evaluation import write_text
    from accelsim.io.workload_text import dump_workload
    from accelsim.report.equivalents import derivation_blocks, derivation_document
    from accelsim.report.progress import progress
    from accelsim.workload.transform.steps import Step, applicable, apply, expand, parse

    settings = settings_of(arguments)
    settings.refuse("arch", "mapping")
    cascade = workload_of(arguments.workload, settings)
    if isinstance(cascade, Model):
        raise InputError(f"{cascade.name} is a model of several layers", "derive the workload of one of them")
    steps = parse(arguments.steps or "")
    made, elementary = cascade, list[Step]()
    with progress(not arguments.quiet) as tell:
        for step in steps:
            tell(f"{step}")
            elementary += expand(made, step)
            made = apply(made, step)
        text = dump_workload(made, name=arguments.name or cascade.name)
        if arguments.output is not None:
            write_text(text, arguments.output)
        tell("steps from here")
        allowed = applicable(made)
    document = derivation_document(cascade, made, steps, elementary, text, allowed)
    return give_blocks(arguments, document, derivation_blocks)


def explore_cascades(arguments: Arguments, cascade: Cascade | Model, machine: Architecture) -> int:
    """Search over equivalent cascades; saves the best one's mapping, and its cascade beside it."""
    from accelsim.explore.cascades import explore
    from accelsim.io.evaluation import write_text
    from accelsim.io.layers import save_mapping
    from accelsim.io.mapping import dump_mapping
    from accelsim.io.workload_text import dump_workload
    from accelsim.mapping.text import nest
    from accelsim.report.equivalents import exploration_blocks, exploration_document
    from accelsim.report.progress import progress
    from accelsim.report.terminal import report

    for option in REFUSED:
        if getattr(arguments, option):
            raise InputError(f"--explore-cascades and --{option} do not go together", "leave one of the two out")
    if isinstance(cascade, Model):
        what = f"--explore-cascades: {cascade.name} is a model, and the search is over cascades of one workload"
        raise InputError(what, "name a workload of one cascade")
    if is_stored(arguments, cascade):
        raise InputError(f"--explore-cascades: {cascade.name} stores some elements only", "leave 'format' out, and all elements count")
    beside = beside_of(arguments.output) if arguments.output is not None else None
    with progress(not arguments.quiet) as tell:
        found = explore(cascade, machine, request_of(arguments), tell)
    best = found.best
    assert best.found is not None, "the best was mapped"
    mapping = best.found.mapping
    printed = nest(mapping, best.found.evaluation.evaluator.cascade)
    texts = [dump_workload(each.equivalent.cascade) for each in found.candidates]
    if beside is not None:
        save_mapping(best.found.evaluation.evaluator.cascade, mapping, arguments.output)
        write_text(texts[found.candidates.index(best)], beside)
    draw_to(arguments, lambda: drawn(mapping))
    document = exploration_document(cascade, machine, found, texts, dump_mapping(mapping))

    def blocks(whole: dict[str, Any]) -> Iterator[RenderableType]:
        yield from report(whole["evaluation"], printed)
        yield from exploration_blocks(whole)

    return give_blocks(arguments, document, blocks)


def beside_of(output: str) -> str:
    """The file for the cascade beside one for the mapping: best.yaml and best.cascade.yaml."""
    refuse_folder(output)
    stem, ending = os.path.splitext(output)
    return f"{stem}.cascade{ending or '.yaml'}"
