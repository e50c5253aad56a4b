"""The verbs of the command line: each takes its parsed arguments, writes what was asked for and returns the exit code.

Everything heavy is imported inside the verb that uses it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.arguments import (
    Arguments,
    counting_of,
    machine_of,
    mapping_of,
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
from accelsim.workload.cascade import Cascade, Model

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.io.overrides import Overrides
    from accelsim.mapper.best import Request
    from accelsim.mapper.model import Find
    from accelsim.mapping.tree import Mapping
    from accelsim.model.evaluation import Evaluation
    from accelsim.model.layers import ModelEvaluation
    from accelsim.model.options import Counting
    from accelsim.model.stored import StoredEvaluation
    from accelsim.sim.agreement import Agreement
    from accelsim.sim.simulation import Simulation
    from accelsim.sparse.pattern import IntArray

_TRACED = 200_000  # events of a trace at most


def map_(arguments: Arguments) -> int:
    settings = settings_of(arguments)
    settings.refuse("mapping")
    machine = machine_of(required(arguments, "arch", "a machine"), settings)
    workload = workload_of(arguments.workload, settings)
    if isinstance(workload, Model):
        _refuse_stored(workload)
    elif arguments.data or any(tensor.storage is not None for tensor in workload.tensors.values()):
        return _map_stored(arguments, workload, machine)
    for option in ("data", "formats"):
        if getattr(arguments, option):
            what = f"--{option}: {workload.name} is a model, and the search over stored elements maps one Einsum"
            if not isinstance(workload, Model):
                what = f"--{option}: {workload.name} stores all elements"
            raise InputError(what, "name a workload of one cascade" if isinstance(workload, Model) else "state a 'format', or give --data")
    request = request_of(arguments)
    workers = workers_of(arguments)
    figures = _figures(arguments)
    if isinstance(workload, Model):
        return _map_model(arguments, workload, machine, request, workers)
    from accelsim.mapper.splits import refuse_open

    if arguments.constraints is not None:
        from dataclasses import replace

        from accelsim.io.constraints import load_constraints

        refuse_open(workload, "--constraints")
        if arguments.compare:
            raise InputError("--constraints and --compare do not go together", "leave one of the two out: baselines know no constraints")
        raised = request.counting.refill == "every_visit"
        request = replace(request, constraints=load_constraints(arguments.constraints, workload, machine, raised))
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
    return _show(arguments, found.evaluation)


def _map_stored(arguments: Arguments, cascade: Cascade, machine: Architecture) -> int:
    from accelsim.io.elements import elements_of
    from accelsim.mapper.splits import refuse_open
    from accelsim.mapper.stored import search_stored
    from accelsim.report.progress import progress

    for option in ("pareto", "compare", "constraints", "store", "schedule", "gap"):
        if getattr(arguments, option):
            what = f"--{option} is not known to the search over stored elements"
            raise InputError(what, f"leave --{option} out; --objective, --tiles, --time-limit, --seed and --formats are known")
    refuse_open(cascade, "the search over stored elements")
    if arguments.output is not None and os.path.isdir(arguments.output):
        raise InputError(f"{arguments.output}: is a folder", "name a file")
    request = request_of(arguments)
    with progress(not arguments.quiet) as tell:
        tell("reading elements")
        stored = elements_of(cascade, arguments.data, request.seed)
        found = search_stored(cascade, machine, stored, request, arguments.formats, tell)
    _save_mapping(arguments, found.mapping)
    return _show_stored(arguments, found.found, found.cascade, stored, request.seed)


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
    _draw(arguments, lambda path: picture(mapping, path))
    return _give_blocks(arguments, document, lambda whole: stored_report(whole, nest(mapping, cascade)))


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


def _map_model(arguments: Arguments, model: Model, machine: Architecture, request: Request, workers: int) -> int:
    from accelsim.io.layers import refuse_target, save_layers
    from accelsim.mapper.model import search_model
    from accelsim.report.progress import progress

    for option in ("pareto", "compare", "constraints"):
        if getattr(arguments, option):
            raise InputError(f"--{option}: {model.name} is a model, and its layers are mapped one by one", "name a workload of one cascade")
    _refuse_drawing(arguments, model)
    if arguments.output is not None:
        refuse_target(model, arguments.output)
    find = _finder(arguments)
    with progress(not arguments.quiet) as tell:
        whole = search_model(model, machine, progress=tell, request=request, find=find, workers=workers)
    if arguments.output is not None:
        save_layers(model, whole.mappings, arguments.output)
    return _show_model(arguments, whole.evaluation)


def _map_front(arguments: Arguments, cascade: Cascade, machine: Architecture, request: Request, figures: tuple[str, ...]) -> int:
    from accelsim.io.layers import refuse_folder, save_numbered
    from accelsim.mapper.front import front
    from accelsim.report.front import front_blocks, front_document, front_figure
    from accelsim.report.progress import progress

    if arguments.output is not None:
        refuse_folder(cascade, arguments.output)
    with progress(not arguments.quiet) as tell:
        found = front(cascade, machine, figures, request, tell)
    document = front_document(cascade, machine, found)
    if arguments.output is not None:
        save_numbered(cascade, [point.mapping for point in found.points], arguments.output)
    _draw(arguments, lambda path: front_figure(document, path))
    return _give_blocks(arguments, document, front_blocks)


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
    _draw(arguments, lambda path: comparison_figure(document, path))
    return _give_blocks(arguments, document, comparison_blocks)


def _save_mapping(arguments: Arguments, mapping: Mapping) -> None:
    if arguments.output is not None:
        from accelsim.io.evaluation import write_text
        from accelsim.io.mapping import dump_mapping

        write_text(dump_mapping(mapping), arguments.output)


def _draw(arguments: Arguments, draw: Callable[[str], None]) -> None:
    """Draw to where it was asked for, if it was."""
    if arguments.draw is None:
        return
    try:
        draw(arguments.draw)
    except OSError as error:
        raise InputError(f"{arguments.draw}: cannot write: {error.strerror or error}", "check the path") from None


def evaluate_(arguments: Arguments) -> int:
    settings = settings_of(arguments)
    counting = counting_of(arguments)
    workload = workload_of(arguments.workload, settings)
    if isinstance(workload, Model):
        from accelsim.io.layers import load_layers
        from accelsim.model.layers import evaluate_model

        _refuse_drawing(arguments, workload)
        _refuse_stored(workload)
        if arguments.data:
            raise InputError(f"--data {arguments.data[0]}: {workload.name} is a model of several layers", "name a workload of one cascade")
        if arguments.statistics:
            raise InputError(f"--statistics: {workload.name} is a model of several layers", "name a workload of one cascade")
        mappings = load_layers(workload, arguments.mapping, settings.mapping)
        machine = machine_of(required(arguments, "arch", "a machine"), settings)
        return _show_model(arguments, evaluate_model(workload, machine, mappings, counting))
    mapping, machine, workload = _mapped(arguments, workload, settings)
    if _is_stored(arguments, workload):
        evaluated = _evaluate_expected if arguments.statistics else _evaluate_stored
        return evaluated(arguments, workload, machine, mapping, counting)
    if arguments.statistics:
        raise InputError(f"--statistics: {workload.name} stores all elements", "state a 'format', or give --data")
    from accelsim.model.evaluation import evaluate
    from accelsim.report.progress import progress

    with progress(not arguments.quiet) as tell:
        tell("evaluating")
        evaluation = evaluate(workload, machine, mapping, counting)
    return _show(arguments, evaluation)


def _refuse_stored(workload: Cascade | Model) -> None:
    """Refuse formats where all elements count."""
    for cascade in [layer.cascade for layer in workload.layers] if isinstance(workload, Model) else [workload]:
        for name, tensor in cascade.tensors.items():
            if tensor.storage is not None:
                who = "`accelsim evaluate` and `accelsim map` of one cascade"
                what = f"{cascade.name} says how {name} is stored, which only {who} take into account"
                place = cascade.declaration.place("format", name) if cascade.declaration is not None else None
                mend = "take one cascade of it with 'layer'" if isinstance(workload, Model) else "`evaluate` a mapping of it"
                raise InputError(what, f"{mend}, or leave 'format' out, and all elements count", place)


def _evaluate_expected(arguments: Arguments, cascade: Cascade, machine: Architecture, mapping: Mapping, counting: Counting) -> int:
    from accelsim.io.elements import densities_of
    from accelsim.mapping.picture import picture
    from accelsim.mapping.text import nest
    from accelsim.model.evaluation import Evaluator
    from accelsim.model.statistics import evaluate_expected
    from accelsim.report.expected import expected_report
    from accelsim.report.progress import progress

    with progress(not arguments.quiet) as tell:
        tell("taking expectations")
        found = evaluate_expected(Evaluator(cascade, machine, counting), mapping, densities_of(cascade, arguments.data))
    _draw(arguments, lambda path: picture(mapping, path))
    return _give_blocks(arguments, found.to_json(), lambda whole: expected_report(whole, nest(mapping, cascade)))


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


def _mapped(arguments: Arguments, cascade: Cascade, settings: Overrides) -> tuple[Mapping, Architecture, Cascade]:
    """The mapping and the machine that a command names for one cascade, and the cascade with the sizes that the mapping gives."""
    if len(arguments.mapping) > 1:
        raise InputError(f"--mapping is given {len(arguments.mapping)} times, and {cascade.name} is one cascade", "give one mapping")
    required(arguments, "mapping", "a mapping")
    machine = machine_of(required(arguments, "arch", "a machine"), settings)
    mapping, cascade = mapping_of(arguments.mapping[0], cascade, settings)
    return mapping, machine, cascade


def _found(arguments: Arguments, cascade: Cascade, settings: Overrides, counting: Counting) -> tuple[Mapping, Architecture, Cascade]:
    """The same where no mapping is named: what the mapper finds for latency."""
    from accelsim.mapper import search
    from accelsim.report.progress import progress

    settings.refuse("mapping")
    machine = machine_of(required(arguments, "arch", "a machine"), settings)
    with progress(not arguments.quiet) as tell:
        found = search(cascade, machine, counting=counting, progress=tell)
    return found.mapping, machine, found.evaluation.evaluator.cascade


def _layer_mapped(arguments: Arguments, model: Model, settings: Overrides, counting: Counting) -> tuple[Mapping, Architecture, Cascade]:
    """The mapping and the machine of one layer of a model, and its cascade."""
    from accelsim.io.layers import load_layers

    layers = [layer for layer in model.layers if layer.cascade.name == arguments.layer]
    if not layers:
        names = list(dict.fromkeys(layer.cascade.name for layer in model.layers))
        raise InputError(f"--layer {arguments.layer}: {model.name} has no such layer", did_you_mean(arguments.layer, names))
    if not arguments.mapping:
        return _found(arguments, layers[0].cascade, settings, counting)
    others = tuple(f"{layer.cascade.name}=" for layer in model.layers if layer.cascade.name != arguments.layer)
    texts = [text for text in arguments.mapping if not text.startswith(others)]
    (mapping,) = load_layers(Model(model.name, (layers[0],)), texts, settings.mapping)
    return mapping, machine_of(required(arguments, "arch", "a machine"), settings), layers[0].cascade


def simulate_(arguments: Arguments) -> int:
    settings = settings_of(arguments)
    counting = counting_of(arguments)
    seed = seed_of(arguments)
    workload = workload_of(arguments.workload, settings)
    if isinstance(workload, Model) or not _is_stored(arguments, workload):
        _refuse_stored(workload)
    if isinstance(workload, Model) and arguments.data:
        raise InputError(f"--data {arguments.data[0]}: {workload.name} is a model of several layers", "name a workload of one cascade")
    if isinstance(workload, Model) and arguments.layer is None:
        return _simulate_model(arguments, workload, settings, counting, seed)
    if isinstance(workload, Model):
        mapping, machine, workload = _layer_mapped(arguments, workload, settings, counting)
    elif arguments.layer is not None:
        raise InputError(f"--layer {arguments.layer}: {workload.name} is one cascade and has no layers", "leave --layer out")
    elif arguments.mapping or _is_stored(arguments, workload):
        mapping, machine, workload = _mapped(arguments, workload, settings)
    else:
        mapping, machine, workload = _found(arguments, workload, settings, counting)
    from accelsim.mapping.text import nest
    from accelsim.report.progress import progress
    from accelsim.report.simulation import DRAWN, blocks, document, timeline, trace

    wanted = _TRACED if arguments.trace is not None else 4 * DRAWN if arguments.draw is not None else 0
    with progress(not arguments.quiet) as tell:
        run = _run_stored if _is_stored(arguments, workload) else _run_events
        found, mapping, values = run(arguments, workload, machine, mapping, counting, wanted, seed, tell)
    if arguments.trace is not None:
        from accelsim.io.evaluation import write_json

        write_json(trace(found), arguments.trace)
    _draw(arguments, lambda path: timeline(found, path))
    whole = document(found) | ({"values": values.to_json() | {"seed": seed}} if values else {})
    _give_blocks(arguments, whole, lambda whole: blocks(whole, nest(mapping, workload)))
    return 0 if values is None or values.agrees else 1


def _is_stored(arguments: Arguments, cascade: Cascade) -> bool:
    """Whether a cascade keeps only some elements of its tensors."""
    return bool(arguments.data) or any(tensor.storage is not None for tensor in cascade.tensors.values())


def _run_events(
    arguments: Arguments, cascade: Cascade, machine: Architecture, mapping: Mapping, counting: Counting, events: int, seed: int,
    tell: Callable[[str], None],
) -> tuple[Simulation, Mapping, Agreement | None]:  # fmt: skip
    """A simulation with all elements, of the mapping or of one that fills tiles ahead, and its values if they are asked for."""
    from accelsim.sim.simulation import simulate

    if arguments.ahead:
        from accelsim.sim.ahead import filled_ahead

        tell("making room for tiles that are filled ahead")
        mapping = filled_ahead(cascade, machine, mapping)
    tell("simulating")
    found = simulate(cascade, machine, mapping, counting, events)
    if not arguments.check:
        return found, mapping, None
    from accelsim.sim.agreement import check

    tell("computing the values")
    return found, mapping, check(found.evaluation.evaluator.cascade, machine, mapping, seed)


def _run_stored(
    arguments: Arguments, cascade: Cascade, machine: Architecture, mapping: Mapping, counting: Counting, events: int, seed: int,
    tell: Callable[[str], None],
) -> tuple[Simulation, Mapping, Agreement | None]:  # fmt: skip
    """The same over the elements that are stored."""
    from accelsim.io.elements import elements_of
    from accelsim.model.evaluation import Evaluator
    from accelsim.sim.stored import ahead, simulate_stored

    mapping = ahead(mapping, machine.root.name) if arguments.ahead else mapping
    tell("reading elements")
    stored = elements_of(cascade, arguments.data, seed)
    tell("simulating")
    evaluator = Evaluator(cascade, machine, counting)
    found = simulate_stored(evaluator, mapping, stored, events)
    if not arguments.check:
        return found, mapping, None
    from accelsim.sim.stored_values import check_stored

    tell("computing the values")
    return found, mapping, check_stored(evaluator, mapping, stored, seed)


def _simulate_model(arguments: Arguments, model: Model, settings: Overrides, counting: Counting, seed: int) -> int:
    from accelsim.io.layers import load_layers
    from accelsim.report.model_simulation import document, model_simulation_blocks
    from accelsim.report.progress import progress
    from accelsim.sim.layers import simulate_model

    _refuse_drawing(arguments, model, "add --layer NAME")
    if arguments.trace is not None:
        what = f"--trace {arguments.trace}: {model.name} is a model, and each of its layers has its own trace"
        raise InputError(what, "add --layer NAME")
    if arguments.mapping:
        mappings = load_layers(model, arguments.mapping, settings.mapping)
    else:
        settings.refuse("mapping")
    machine = machine_of(required(arguments, "arch", "a machine"), settings)
    with progress(not arguments.quiet) as tell:
        if not arguments.mapping:
            from accelsim.mapper.model import search_model

            mappings = search_model(model, machine, counting=counting, progress=tell, workers=workers_of(arguments)).mappings
        if arguments.ahead:
            from accelsim.sim.ahead import filled_ahead

            tell("making room for tiles that are filled ahead")
            mappings = tuple(filled_ahead(layer.cascade, machine, each) for layer, each in zip(model.layers, mappings, strict=True))
        found = simulate_model(model, machine, mappings, counting, tell, seed if arguments.check else None)
    _give_blocks(arguments, document(found, seed), model_simulation_blocks)
    return 0 if all(each.agrees for each in found.values) else 1


def cosim_(arguments: Arguments) -> int:
    from accelsim.io.catalogue import root
    from accelsim.report.cosimulation import blocks, document
    from accelsim.report.progress import progress
    from accelsim.rtl.cosim import cosimulate, random_words

    seed = seed_of(arguments)
    waves = None if arguments.waves is None else _waves(arguments.waves)
    with progress(not arguments.quiet) as tell:
        mapping, machine, cascade = _for_processor(arguments, tell)
        found = cosimulate(cascade, machine, mapping, random_words(cascade, seed), root() / "hw" / "rtl", tell=tell, waves=waves)
    _give_blocks(arguments, document(found, machine.name, mapping.name, seed), blocks)
    return 0 if found.agrees else 1


def _waves(target: str) -> Path:
    if not target.endswith(".fst"):
        raise InputError(f"--waves {target}: waves are written in the FST form only", "name a file that ends with .fst")
    if not Path(target).parent.is_dir():
        raise InputError(f"--waves {target}: there is no folder {Path(target).parent}", "make it, or name a file elsewhere")
    return Path(target)


def export_program_(arguments: Arguments) -> int:
    import json

    from accelsim.io.evaluation import write_json
    from accelsim.model.evaluation import Evaluator
    from accelsim.report.progress import progress
    from accelsim.rtl.program import export

    with progress(not arguments.quiet) as tell:
        mapping, machine, cascade = _for_processor(arguments, tell)
        program = export(Evaluator(cascade, machine), mapping).to_json()
    if arguments.output is not None:
        write_json(program, arguments.output)
    elif not arguments.quiet:
        print(json.dumps(program))
    return 0


def _for_processor(arguments: Arguments, tell: Callable[[str], None]) -> tuple[Mapping, Architecture, Cascade]:
    """The mapping that is named, or what the mapper finds, the machine, and the cascade with words of the processor."""
    from accelsim.rtl.processor import Shape, with_words
    from accelsim.rtl.program import refuse_beyond

    settings = settings_of(arguments)
    workload = workload_of(arguments.workload, settings)
    _refuse_stored(workload)
    if isinstance(workload, Model):
        raise InputError(f"{workload.name} is a model of several layers", "name a workload of one cascade")
    if arguments.mapping:
        mapping, machine, cascade = _mapped(arguments, workload, settings)
        return mapping, machine, with_words(cascade)
    from accelsim.mapper import search
    from accelsim.mapper.splits import refuse_open

    refuse_open(workload, "the processor")
    machine, cascade = machine_of(required(arguments, "arch", "a machine"), settings), with_words(workload)
    Shape.of(machine)
    refuse_beyond(cascade)
    tell("mapping")
    return search(cascade, machine).mapping, machine, cascade


def _refuse_drawing(arguments: Arguments, model: Model, mend: str = "leave --draw out") -> None:
    if arguments.draw is not None:
        what = f"--draw {arguments.draw}: {model.name} is a model, and each of its layers has its own mapping"
        raise InputError(what, mend)


def _show_model(arguments: Arguments, evaluation: ModelEvaluation) -> int:
    """Write what was asked for of a model's evaluation: JSON, report."""
    from accelsim.mapping.text import nest
    from accelsim.report.model import model_blocks

    nests = [nest(each.mapping, each.evaluator.cascade) for each in evaluation.evaluations]
    return _give_blocks(arguments, evaluation.to_json(), lambda whole: model_blocks(whole, nests))


def _show(arguments: Arguments, evaluation: Evaluation) -> int:
    """Write what was asked for of an evaluation and its mapping: drawing, JSON, report."""
    from accelsim.mapping.picture import picture

    _draw(arguments, lambda path: picture(evaluation.mapping, path))

    def write() -> None:
        from accelsim.mapping.text import nest
        from accelsim.report.terminal import report, show

        show(report(evaluation.to_json(), nest(evaluation.mapping, evaluation.evaluator.cascade)))

    return _give(arguments, evaluation.to_json(), write)


def _give(arguments: Arguments, document: Any, write: Callable[[], None]) -> int:
    """Write the JSON where it was asked for, and the report unless it was not wanted or its place is taken."""
    if arguments.json is not None:
        from accelsim.io.evaluation import write_json

        write_json(document, arguments.json)
    if not arguments.quiet and arguments.json != "-":
        write()
    return 0


def _give_blocks(arguments: Arguments, document: Any, blocks: Callable[[Any], Any]) -> int:
    """Write a document, and its blocks as the report."""

    def write() -> None:
        from accelsim.report.terminal import show

        show(blocks(document))

    return _give(arguments, document, write)


def _give_layers(arguments: Arguments, schema: str, model: Model, documents: list[Any], blocks: Callable[[Any], Any]) -> int:
    """Write what was found out about every cascade of a model."""
    layers = [{"times": layer.times, **document} for layer, document in zip(model.layers, documents, strict=True)]

    def all_blocks(whole: Any) -> Any:
        for layer in whole["layers"]:
            yield from blocks(layer)

    return _give_blocks(arguments, {"schema": schema, "workload": model.name, "layers": layers}, all_blocks)


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
        return _give_layers(arguments, "accelsim/run/1", found, documents, run_blocks)
    return _give_blocks(arguments, run_document(found, seed, run(found, random_inputs(found, rng))), run_blocks)


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

    return _give_blocks(arguments, document, blocks)


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
    return _give_blocks(arguments, document, count_blocks)


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
        return _give_layers(arguments, schema, part, [document(layer.cascade) for layer in layers], blocks)
    return _give_blocks(arguments, document(found), blocks)


def list_(arguments: Arguments) -> int:
    from accelsim.io.catalogue import KINDS, about, shipped

    settings_of(arguments).refuse("workload", "arch", "mapping")
    kinds = {kind.plural: kind for kind in KINDS}
    if arguments.kind not in kinds:
        raise InputError(f"cannot list '{arguments.kind}'", did_you_mean(arguments.kind, kinds))
    found = {name: about(path) for name, path in shipped(kinds[arguments.kind]).items()}

    def blocks(entries: dict[str, str]) -> Any:
        from accelsim.report.terminal import listing

        yield listing(entries)

    return _give_blocks(arguments, found, blocks)


def report_(arguments: Arguments) -> int:
    from accelsim.io.evaluation import read_evaluation
    from accelsim.report.model import model_blocks
    from accelsim.report.schema import MODEL_EVALUATION
    from accelsim.report.stored import stored_report
    from accelsim.report.terminal import report

    settings_of(arguments).refuse("workload", "arch", "mapping")
    document = read_evaluation(arguments.file)
    one = stored_report if "stored" in document else report
    return _give_blocks(arguments, document, model_blocks if document["schema"] == MODEL_EVALUATION else one)
