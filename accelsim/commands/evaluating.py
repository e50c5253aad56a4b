"""`accelsim evaluate`: price a given mapping, with every word, with stored elements or with what densities lead to expect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from accelsim.commands.answers import draw_to, drawn, give_blocks, refuse_drawing, show_evaluation, show_model, show_stored
from accelsim.commands.arguments import (
    Arguments,
    counting_of,
    is_stored,
    machine_of,
    mapped,
    refuse_stored,
    required,
    seed_of,
    settings_of,
    workload_of,
)
from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade, Model

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapping.tree import Mapping
    from accelsim.model.options import Counting


def evaluate_(arguments: Arguments) -> int:
    settings = settings_of(arguments)
    counting = counting_of(arguments)
    workload = workload_of(arguments.workload, settings)
    if isinstance(workload, Model):
        from accelsim.io.layers import load_layers
        from accelsim.model.layers import evaluate_model

        refuse_drawing(arguments, workload)
        refuse_stored(workload)
        if arguments.data:
            raise InputError(f"--data {arguments.data[0]}: {workload.name} is a model of several layers", "name a workload of one cascade")
        if arguments.statistics:
            raise InputError(f"--statistics: {workload.name} is a model of several layers", "name a workload of one cascade")
        mappings = load_layers(workload, arguments.mapping, settings.mapping)
        machine = machine_of(required(arguments, "arch", "a machine"), settings)
        return show_model(arguments, evaluate_model(workload, machine, mappings, counting))
    mapping, machine, workload = mapped(arguments, workload, settings)
    if is_stored(arguments, workload):
        evaluated = _evaluate_expected if arguments.statistics else _evaluate_stored
        return evaluated(arguments, workload, machine, mapping, counting)
    if arguments.statistics:
        raise InputError(f"--statistics: {workload.name} stores all elements", "state a 'format', or give --data")
    from accelsim.model.evaluation import evaluate
    from accelsim.report.progress import progress

    with progress(not arguments.quiet) as tell:
        tell("evaluating")
        evaluation = evaluate(workload, machine, mapping, counting)
    return show_evaluation(arguments, evaluation)


def _evaluate_expected(arguments: Arguments, cascade: Cascade, machine: Architecture, mapping: Mapping, counting: Counting) -> int:
    from accelsim.io.elements import densities_of
    from accelsim.mapping.text import nest
    from accelsim.model.evaluation import Evaluator
    from accelsim.model.statistics import evaluate_expected
    from accelsim.report.expected import expected_report
    from accelsim.report.progress import progress

    if "seed" in getattr(arguments, "given", ()):
        raise InputError(f"--seed {arguments.seed}: with --statistics no element is drawn", "leave one of the two out")
    with progress(not arguments.quiet) as tell:
        tell("taking expectations")
        found = evaluate_expected(Evaluator(cascade, machine, counting), mapping, densities_of(cascade, arguments.data))
    draw_to(arguments, lambda: drawn(mapping))
    return give_blocks(arguments, found.to_json(), lambda whole: expected_report(whole, nest(mapping, cascade)))


def _evaluate_stored(arguments: Arguments, cascade: Cascade, machine: Architecture, mapping: Mapping, counting: Counting) -> int:
    from accelsim.io.elements import elements_of
    from accelsim.model.evaluation import Evaluator
    from accelsim.model.stored import evaluate_stored
    from accelsim.report.progress import progress

    seed = seed_of(arguments)
    with progress(not arguments.quiet) as tell:
        tell("reading elements")
        stored = elements_of(cascade, arguments.data, seed)
        tell("walking the nests")
        found = evaluate_stored(Evaluator(cascade, machine, counting), mapping, stored)
    return show_stored(arguments, found, cascade, stored, seed)
