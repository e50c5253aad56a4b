"""`accelsim map`: one mapping, a front of them, a comparison of searches, or a whole model."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from accelsim.commands.answers import draw_to, give_blocks, refuse_drawing, show_evaluation, show_model, show_stored
from accelsim.commands.arguments import (
    Arguments,
    is_stored,
    machine_of,
    refuse_folder,
    refuse_stored,
    request_of,
    required,
    settings_of,
    workers_of,
    workload_of,
)
from accelsim.commands.serving import served_of
from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade, Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.best import Request
    from accelsim.mapper.comparison import Comparison
    from accelsim.mapper.front import Front
    from accelsim.mapper.model import Find
    from accelsim.mapping.tree import Mapping
    from accelsim.workload.serving import Served


def map_(arguments: Arguments) -> int:
    settings = settings_of(arguments)
    settings.refuse("mapping")
    machine = machine_of(required(arguments, "arch", "a machine"), settings)
    served = served_of(arguments, settings, machine)
    workload = workload_of(arguments.workload, settings) if served is None else served.model
    if arguments.explore_cascades:
        from accelsim.commands.deriving import explore_cascades

        return explore_cascades(arguments, workload, machine)
    if isinstance(workload, Model):
        refuse_stored(workload)
        for option in ("data", "formats"):
            if getattr(arguments, option):
                what = f"--{option}: {workload.name} is a model, and the search over stored elements maps one cascade"
                raise InputError(what, "name a workload of one cascade")
    elif is_stored(arguments, workload):
        return _map_stored(arguments, workload, machine)
    elif arguments.formats:
        raise InputError(f"--formats: {workload.name} stores all elements", "state a 'format', or give --data")
    request = request_of(arguments)
    workers = workers_of(arguments)
    figures = _figures(arguments)
    if isinstance(workload, Model):
        return _map_model(arguments, workload, machine, request, workers, served)
    from accelsim.mapper.splits import refuse_open

    if arguments.constraints is not None:
        refuse_open(workload, "--constraints")
        if arguments.compare:
            raise InputError("--constraints and --compare do not go together", "leave one of the two out: baselines know no constraints")
        request = _constrained(arguments, request, workload, machine)
    if figures is not None:
        refuse_open(workload, "--pareto")
        return _map_front(arguments, workload, machine, request, figures)
    refuse_folder(arguments.output)
    if arguments.compare:
        refuse_open(workload, "--compare")
        return _map_comparison(arguments, workload, machine, request, workers)
    from accelsim.report.progress import progress

    find = _finder(arguments)
    with progress(not arguments.quiet) as tell:
        found = find(workload, machine, progress=tell, request=request)
    _save_mapping(arguments, found.evaluation.evaluator.cascade, found.mapping)
    return show_evaluation(arguments, found.evaluation)


def _constrained(arguments: Arguments, request: Request, cascade: Cascade, machine: Architecture) -> Request:
    """The request with the constraints of a file."""
    from accelsim.io.constraints import load_constraints

    raised = request.counting.refill == "every_visit"
    return replace(request, constraints=load_constraints(arguments.constraints, cascade, machine, raised))


def _map_stored(arguments: Arguments, cascade: Cascade, machine: Architecture) -> int:
    from accelsim.io.elements import elements_of
    from accelsim.mapper.splits import refuse_open
    from accelsim.mapper.stored import search_stored
    from accelsim.report.progress import progress

    for option in ("compare", "store", "schedule", "gap"):
        if getattr(arguments, option):
            what = f"--{option} is not known to the search over stored elements"
            known = "--objective, --tiles, --time-limit, --seed, --formats, --constraints and --pareto are known"
            raise InputError(what, f"leave --{option} out; {known}")
    refuse_open(cascade, "the search over stored elements")
    request = request_of(arguments)
    if arguments.constraints is not None:
        request = _constrained(arguments, request, cascade, machine)
    if arguments.pareto is not None:
        return _map_stored_front(arguments, cascade, machine, request)
    refuse_folder(arguments.output)
    with progress(not arguments.quiet) as tell:
        tell("reading elements")
        stored = elements_of(cascade, arguments.data, request.seed)
        found = search_stored(cascade, machine, stored, request, arguments.formats, tell)
    _save_mapping(arguments, found.cascade, found.mapping)
    return show_stored(arguments, found.found, found.cascade, stored, request.seed)


def _map_stored_front(arguments: Arguments, cascade: Cascade, machine: Architecture, request: Request) -> int:
    from accelsim.io.elements import elements_of
    from accelsim.io.layers import refuse_numbered
    from accelsim.mapper.front import figures_named
    from accelsim.mapper.stored_front import stored_front
    from accelsim.report.progress import progress

    figures = figures_named(arguments.pareto)
    if "objective" in arguments.given:
        raise InputError("--objective says nothing about a front", "leave --objective out")
    if arguments.formats:
        raise InputError("--pareto and --formats do not go together", "leave one of the two out: a front is of formats as stated")
    if arguments.output is not None:
        refuse_numbered(cascade, arguments.output)
    with progress(not arguments.quiet) as tell:
        tell("reading elements")
        stored = elements_of(cascade, arguments.data, request.seed)
        found = stored_front(cascade, machine, stored, figures, request, tell)
    return _show_front(arguments, cascade, machine, found)


def _finder(arguments: Arguments) -> Find:
    """What searches: the mapper, or the store that is asked first."""
    from accelsim.mapper.best import search

    if arguments.store is None:
        return search
    from functools import partial

    from accelsim.io.stored import stored_search
    from accelsim.jobs.store import Store

    return partial(stored_search, Store(arguments.store))


def _figures(arguments: Arguments) -> tuple[str, ...] | None:
    """The figures of the front that is asked for, if one is; refuses options that do not go together."""
    given = [option for option in ("pareto", "compare", "store") if getattr(arguments, option)]
    if len(given) > 1:
        raise InputError(f"--{given[0]} and --{given[1]} do not go together", "leave one of the two out")
    if arguments.pareto is None:
        return None
    from accelsim.mapper.front import figures_named

    figures = figures_named(arguments.pareto)
    for option in ("objective", "gap"):
        if option in arguments.given:
            raise InputError(f"--{option} says nothing about a front, which is exact in every figure of --pareto", f"leave --{option} out")
    if "tiles" in arguments.given and arguments.tiles != "dividing":
        raise InputError("--pareto searches tiles that divide the tile around them", "leave --tiles out")
    return figures


def _map_model(arguments: Arguments, model: Model, machine: Architecture, request: Request, workers: int, served: Served | None) -> int:
    from accelsim.io.layers import refuse_target, save_layers
    from accelsim.mapper.model import search_model
    from accelsim.report.progress import progress
    from accelsim.report.serving import serving_document

    for option in ("pareto", "compare", "constraints"):
        if getattr(arguments, option):
            raise InputError(f"--{option}: {model.name} is a model, and its layers are mapped one by one", "name a workload of one cascade")
    refuse_drawing(arguments, model)
    if arguments.output is not None:
        refuse_target(model, arguments.output)
    find = _finder(arguments)
    with progress(not arguments.quiet) as tell:
        whole = search_model(model, machine, progress=tell, request=request, find=find, workers=workers)
    if arguments.output is not None:
        save_layers(model, whole.mappings, arguments.output)
    return show_model(arguments, whole.evaluation, {} if served is None else {"serving": serving_document(served, machine)})


def _map_front(arguments: Arguments, cascade: Cascade, machine: Architecture, request: Request, figures: tuple[str, ...]) -> int:
    from accelsim.io.layers import refuse_numbered
    from accelsim.mapper.front import front
    from accelsim.report.progress import progress

    if arguments.output is not None:
        refuse_numbered(cascade, arguments.output)
    with progress(not arguments.quiet) as tell:
        found = front(cascade, machine, figures, request, tell)
    return _show_front(arguments, cascade, machine, found)


def _show_front(arguments: Arguments, cascade: Cascade, machine: Architecture, found: Front) -> int:
    """Write what was asked for of a front: its mappings, drawing, JSON, report."""
    from accelsim.io.layers import save_numbered
    from accelsim.report.front import front_blocks, front_document

    document = front_document(cascade, machine, found)
    if arguments.output is not None:
        save_numbered(cascade, [point.mapping for point in found.points], arguments.output)
    draw_to(arguments, lambda: _front(found))
    return give_blocks(arguments, document, front_blocks)


def _front(found: Front) -> Axes:
    from accelsim.report.plots.fronts import front

    return front(found)


def _map_comparison(arguments: Arguments, cascade: Cascade, machine: Architecture, request: Request, workers: int) -> int:
    from accelsim.mapper.comparison import compare
    from accelsim.report.comparison import comparison_blocks, comparison_document
    from accelsim.report.progress import progress

    seconds = 10.0 if request.time_limit is None else request.time_limit
    with progress(not arguments.quiet) as tell:
        found = compare(cascade, machine, request, seconds, tell, workers)
    document = comparison_document(cascade, machine, request, seconds, found)
    if found.best.mapping is not None:
        _save_mapping(arguments, cascade, found.best.mapping)
    draw_to(arguments, lambda: _searches(found, request.objective.unit))
    return give_blocks(arguments, document, comparison_blocks)


def _searches(found: Comparison, unit: str) -> Axes:
    from accelsim.report.plots.convergence import searches

    return searches(found, unit)


def _save_mapping(arguments: Arguments, cascade: Cascade, mapping: Mapping) -> None:
    if arguments.output is not None:
        from accelsim.io.layers import save_mapping

        save_mapping(cascade, mapping, arguments.output)
