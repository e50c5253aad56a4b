"""The verbs of the command line: each takes its parsed arguments, writes what was asked for and returns the exit code.

Everything heavy is imported inside the verb that uses it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.answers import draw_to, give, give_blocks, give_layers, refuse_drawing, show_evaluation, show_model
from accelsim.arguments import (
    Arguments,
    counting_of,
    is_stored,
    machine_of,
    mapped,
    refuse_stored,
    request_of,
    required,
    resolved,
    seed_of,
    settings_of,
    whole_of,
    workers_of,
    workload_of,
)
from accelsim.errors import InputError, did_you_mean
from accelsim.served import served_of
from accelsim.workload.cascade import Cascade, Model

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.best import Request
    from accelsim.mapper.front import Front
    from accelsim.mapper.model import Find
    from accelsim.mapping.tree import Mapping
    from accelsim.model.options import Counting
    from accelsim.model.stored import StoredEvaluation
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.serving import Served


def map_(arguments: Arguments) -> int:
    settings = settings_of(arguments)
    settings.refuse("mapping")
    machine = machine_of(required(arguments, "arch", "a machine"), settings)
    served = served_of(arguments, settings, machine)
    workload = workload_of(arguments.workload, settings) if served is None else served.model
    if arguments.explore_cascades:
        from accelsim.derivations import explore_cascades

        return explore_cascades(arguments, workload, machine)
    if isinstance(workload, Model):
        refuse_stored(workload)
        for option in ("data", "formats"):
            if getattr(arguments, option):
                what = f"--{option}: {workload.name} is a model, and the search over stored elements maps one cascade"
                raise InputError(what, "name a workload of one cascade")
    elif arguments.data or any(tensor.storage is not None for tensor in workload.tensors.values()):
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
    if arguments.output is not None and os.path.isdir(arguments.output):
        raise InputError(f"{arguments.output}: is a folder", "name a file")
    if arguments.compare:
        refuse_open(workload, "--compare")
        return _map_comparison(arguments, workload, machine, request, workers)
    from accelsim.report.progress import progress

    find = _finder(arguments)
    with progress(not arguments.quiet) as tell:
        found = find(workload, machine, progress=tell, request=request)
    _save_mapping(arguments, found.mapping)
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
    if arguments.output is not None and os.path.isdir(arguments.output):
        raise InputError(f"{arguments.output}: is a folder", "name a file")
    with progress(not arguments.quiet) as tell:
        tell("reading elements")
        stored = elements_of(cascade, arguments.data, request.seed)
        found = search_stored(cascade, machine, stored, request, arguments.formats, tell)
    _save_mapping(arguments, found.mapping)
    return _show_stored(arguments, found.found, found.cascade, stored, request.seed)


def _map_stored_front(arguments: Arguments, cascade: Cascade, machine: Architecture, request: Request) -> int:
    from accelsim.io.elements import elements_of
    from accelsim.io.layers import refuse_folder
    from accelsim.mapper.front import figures_named
    from accelsim.mapper.stored_front import stored_front
    from accelsim.report.progress import progress

    figures = figures_named(arguments.pareto)
    if "objective" in arguments.given:
        raise InputError("--objective says nothing about a front", "leave --objective out")
    if arguments.formats:
        raise InputError("--pareto and --formats do not go together", "leave one of the two out: a front is of formats as stated")
    if arguments.output is not None:
        refuse_folder(cascade, arguments.output)
    with progress(not arguments.quiet) as tell:
        tell("reading elements")
        stored = elements_of(cascade, arguments.data, request.seed)
        found = stored_front(cascade, machine, stored, figures, request, tell)
    return _show_front(arguments, cascade, machine, found)


def _show_stored(arguments: Arguments, found: StoredEvaluation, cascade: Cascade, stored: dict[str, IntArray], seed: int) -> int:
    """Write what was asked for of an evaluation over stored elements."""
    from accelsim.io.elements import origins
    from accelsim.mapping.picture import picture
    from accelsim.mapping.text import nest
    from accelsim.model.misleading import misled
    from accelsim.report.progress import progress
    from accelsim.report.stored import stored_report

    mapping = found.evaluation.mapping
    document = found.to_json() | {"elements": origins(cascade, arguments.data, seed, stored)}
    if arguments.data:
        with progress(not arguments.quiet) as tell:
            tell("comparing with a uniform density")
            given = {text.partition("=")[0] for text in arguments.data}
            document["uniform_misleads"] = [each.to_json() for each in misled(found, stored, given)]
    draw_to(arguments, lambda path: picture(mapping, path))
    return give_blocks(arguments, document, lambda whole: stored_report(whole, nest(mapping, cascade)))


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
    from accelsim.io.layers import refuse_folder
    from accelsim.mapper.front import front
    from accelsim.report.progress import progress

    if arguments.output is not None:
        refuse_folder(cascade, arguments.output)
    with progress(not arguments.quiet) as tell:
        found = front(cascade, machine, figures, request, tell)
    return _show_front(arguments, cascade, machine, found)


def _show_front(arguments: Arguments, cascade: Cascade, machine: Architecture, found: Front) -> int:
    """Write what was asked for of a front: its mappings, drawing, JSON, report."""
    from accelsim.io.layers import save_numbered
    from accelsim.report.front import front_blocks, front_document, front_figure

    document = front_document(cascade, machine, found)
    if arguments.output is not None:
        save_numbered(cascade, [point.mapping for point in found.points], arguments.output)
    draw_to(arguments, lambda path: front_figure(document, path))
    return give_blocks(arguments, document, front_blocks)


def _map_comparison(arguments: Arguments, cascade: Cascade, machine: Architecture, request: Request, workers: int) -> int:
    from accelsim.mapper.comparison import compare
    from accelsim.report.comparison import comparison_blocks, comparison_document, comparison_figure
    from accelsim.report.progress import progress

    seconds = 10.0 if request.time_limit is None else request.time_limit
    with progress(not arguments.quiet) as tell:
        found = compare(cascade, machine, request, seconds, tell, workers)
    document = comparison_document(cascade, machine, request, seconds, found)
    if found.best.mapping is not None:
        _save_mapping(arguments, found.best.mapping)
    draw_to(arguments, lambda path: comparison_figure(document, path))
    return give_blocks(arguments, document, comparison_blocks)


def _save_mapping(arguments: Arguments, mapping: Mapping) -> None:
    if arguments.output is not None:
        from accelsim.io.evaluation import write_text
        from accelsim.io.mapping import dump_mapping

        write_text(dump_mapping(mapping), arguments.output)


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
    from accelsim.mapping.picture import picture
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
    draw_to(arguments, lambda path: picture(mapping, path))
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
    return _show_stored(arguments, found, cascade, stored, seed)


def run_(arguments: Arguments) -> int:
    import numpy as np

    from accelsim.report.analysis import run_blocks, run_document
    from accelsim.workload.interpreter import model_inputs, random_inputs, run, run_model

    settings = settings_of(arguments)
    settings.refuse("arch", "mapping")
    found = workload_of(arguments.workload, settings)
    seed = seed_of(arguments)
    rng = np.random.default_rng(seed)
    if isinstance(found, Model):
        if found.phases:
            raise InputError(f"{found.name} has phases of inference, which are not run", "run the workload of one of its phases")
        runs = run_model(found, model_inputs(found, rng))
        documents = [run_document(layer.cascade, seed, runs[layer.cascade.name]) for layer in found.layers]
        return give_layers(arguments, "accelsim/run/1", found, documents, run_blocks)
    return give_blocks(arguments, run_document(found, seed, run(found, random_inputs(found, rng))), run_blocks)


def check_(arguments: Arguments) -> int:
    from accelsim.io.catalogue import MACHINE, WORKLOAD, identify
    from accelsim.io.check import check

    path, kind = identify(arguments.file)
    workload = resolved(arguments.workload, WORKLOAD) if arguments.workload else None
    machine = resolved(arguments.arch, MACHINE) if arguments.arch else None
    found = check(path, kind, settings_of(arguments), workload, machine)
    document = {"schema": "accelsim/check/1", "file": arguments.file, "kind": found.kind, "name": found.name, "says": found.says}

    def blocks(document: dict[str, str]) -> Any:
        yield f"{document['file']}: the {document['kind']} {document['name']} is right\n{document['says']}"

    return give_blocks(arguments, document, blocks)


def import_(arguments: Arguments) -> int:
    from accelsim.io.evaluation import write_text
    from accelsim.io.importers.network import Request
    from accelsim.io.importing import import_file, sizes_of
    from accelsim.io.source import parse
    from accelsim.io.workload import finder, read_workload
    from accelsim.report.importing import import_blocks, import_document
    from accelsim.report.progress import progress

    settings_of(arguments).refuse("workload", "arch", "mapping")
    path = Path(arguments.file)
    request = Request(arguments.unsupported, arguments.layers, sizes_of(arguments.size), type=arguments.type)
    with progress(not arguments.quiet) as tell:
        tell(f"reading {path}")
        imported = import_file(path, request, arguments.format)
        tell("checking the workload")
        found = read_workload(parse(imported.text, arguments.output or f"{path} imported"), imported.text, finder(path))
    if arguments.output is not None:
        write_text(imported.text, arguments.output)
    document = import_document(arguments.file, found, imported.counted, imported.text, arguments.output)
    if arguments.output is None:
        return give(arguments, document, lambda: print(imported.text, end=""))
    return give_blocks(arguments, document, import_blocks)


def passes_(arguments: Arguments) -> int:
    from accelsim.report.analysis import passes_blocks, passes_document
    from accelsim.workload.passes import all_passes, passes

    def document(cascade: Cascade) -> dict[str, Any]:
        return passes_document(cascade, [passes(cascade, arguments.rank)] if arguments.rank else all_passes(cascade).values())

    def has_rank(cascade: Cascade) -> bool:
        ranks = {*filter(str.isidentifier, cascade.extents), *(split.rank for split in cascade.splits)}
        return not arguments.rank or arguments.rank in ranks

    return _analyse(arguments, "accelsim/passes/1", document, passes_blocks, has_rank)


def bounds_(arguments: Arguments) -> int:
    from accelsim.report.analysis import bounds_blocks, bounds_document

    return _analyse(arguments, "accelsim/bounds/1", bounds_document, bounds_blocks)


def count_(arguments: Arguments) -> int:
    from accelsim.io.matrix import load_matrix
    from accelsim.report.products import count_blocks, matrix_document, products_document
    from accelsim.report.progress import progress
    from accelsim.sparse.formats import Widths
    from accelsim.sparse.pattern import Pattern
    from accelsim.sparse.products import Products

    settings_of(arguments).refuse("workload", "arch", "mapping")
    if len(arguments.file) > 2:
        raise InputError(f"accelsim count takes one matrix or two, not {len(arguments.file)}", "name the two of a product")
    widths = Widths(*(whole_of(arguments, f"{name}_bits") for name in ("value", "coordinate", "pointer")))
    radix, units, cache = (whole_of(arguments, name) for name in ("radix", "units", "cache"))
    with progress(not arguments.quiet) as tell:
        patterns = dict[str, Pattern]()
        for path in dict.fromkeys(arguments.file):
            tell(f"reading {path}")
            patterns[path] = Pattern.of(load_matrix(Path(path)))
        found, matrices = None, dict(patterns)
        if len(arguments.file) == 2:
            tell("counting products")
            made = Products(*(patterns[path] for path in arguments.file))
            found, matrices = products_document(made, radix, units, cache), {**patterns, "their product": made.c}
        document = {
            "schema": "accelsim/count/1",
            "widths": {"value": widths.value, "coordinate": widths.coordinate, "pointer": widths.pointer},
            "matrices": [matrix_document(name, pattern, widths) for name, pattern in matrices.items()],
            "product": found,
        }
    return give_blocks(arguments, document, count_blocks)


def _analyse(
    arguments: Arguments,
    schema: str,
    document: Callable[[Cascade], Any],
    blocks: Callable[[Any], Any],
    wanted: Callable[[Cascade], bool] = lambda _: True,
) -> int:
    """Say something about a cascade, or about those cascades of a model that are wanted (all, where none is)."""
    settings = settings_of(arguments)
    settings.refuse("arch", "mapping")
    found = workload_of(arguments.workload, settings)
    if isinstance(found, Model):
        layers = tuple(layer for layer in found.layers if wanted(layer.cascade)) or found.layers
        part = replace(found, layers=layers)
        return give_layers(arguments, schema, part, [document(layer.cascade) for layer in layers], blocks)
    return give_blocks(arguments, document(found), blocks)


def list_(arguments: Arguments) -> int:
    from accelsim.io.catalogue import KINDS, about, shipped

    settings_of(arguments).refuse("workload", "arch", "mapping")
    kinds = {kind.plural: kind for kind in KINDS}
    if arguments.kind not in kinds:
        raise InputError(f"cannot list '{arguments.kind}'", did_you_mean(arguments.kind, kinds))
    found = {name: about(path) for name, path in shipped(kinds[arguments.kind]).items()}
    word = (arguments.word or "").lower()
    wanted = {name: says for name, says in found.items() if word in f"{name} {says}".lower()}
    if not wanted:
        raise InputError(f"none of the {arguments.kind} that are shipped has '{word}' in its name or description", "leave the word out")

    def blocks(entries: dict[str, str]) -> Any:
        from accelsim.report.terminal import listing

        yield from listing(entries)

    return give_blocks(arguments, wanted, blocks)


def report_(arguments: Arguments) -> int:
    from accelsim.io.evaluation import read_evaluation
    from accelsim.report.model import model_blocks
    from accelsim.report.schema import MODEL_EVALUATION
    from accelsim.report.stored import stored_report
    from accelsim.report.terminal import report

    settings_of(arguments).refuse("workload", "arch", "mapping")
    document = read_evaluation(arguments.file)
    one = stored_report if "stored" in document else report
    return give_blocks(arguments, document, model_blocks if document["schema"] == MODEL_EVALUATION else one)
