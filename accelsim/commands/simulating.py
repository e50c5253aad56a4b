"""The verbs that run a mapping event by event: `simulate`, `cosim` and `export-program`, which run it on the RTL and for it, and `inject`.

Everything heavy is imported inside the verb that uses it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.commands.answers import draw_to, give_blocks, refuse_drawing
from accelsim.commands.arguments import (
    Arguments,
    counting_of,
    executor_at,
    is_stored,
    layer_of,
    machine_of,
    mapped,
    refuse_layer,
    refuse_stored,
    required,
    seed_of,
    settings_of,
    whole_of,
    workers_of,
    workload_of,
)
from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade, Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from accelsim.faults.campaign import Campaign
    from accelsim.faults.confirmation import Confirmation
    from accelsim.hardware.architecture import Architecture
    from accelsim.io.overrides import Overrides
    from accelsim.mapping.tree import Mapping
    from accelsim.model.options import Counting
    from accelsim.sim.agreement import Agreement
    from accelsim.sim.simulation import Simulation

_TRACED = 200_000  # events of a trace at most
_DRAWN = 1600  # events of which a timeline shows the first


def simulate_(arguments: Arguments) -> int:
    settings = settings_of(arguments)
    counting = counting_of(arguments)
    seed = seed_of(arguments)
    workload = workload_of(arguments.workload, settings)
    if isinstance(workload, Model) or not is_stored(arguments, workload):
        refuse_stored(workload)
    if isinstance(workload, Model) and arguments.data:
        raise InputError(f"--data {arguments.data[0]}: {workload.name} is a model of several layers", "name a workload of one cascade")
    if isinstance(workload, Model) and arguments.layer is None:
        return _simulate_model(arguments, workload, settings, counting, seed)
    if isinstance(workload, Model):
        mapping, machine, workload = _layer_mapped(arguments, workload, settings, counting)
    else:
        refuse_layer(arguments, workload)
        given = arguments.mapping or is_stored(arguments, workload)
        mapping, machine, workload = (
            mapped(arguments, workload, settings) if given else _found(arguments, workload, settings, counting)
        )
    from accelsim.mapping.text import nest
    from accelsim.report.progress import progress
    from accelsim.report.simulation import blocks, document, trace

    traced = arguments.trace is not None or arguments.html is not None
    wanted = _TRACED if traced else _DRAWN if arguments.draw is not None else 0
    with progress(not arguments.quiet) as tell:
        run = _run_stored if is_stored(arguments, workload) else _run_events
        found, mapping, values = run(arguments, workload, machine, mapping, counting, wanted, seed, tell)
    events = trace(found) if traced else None
    if arguments.trace is not None:
        from accelsim.io.evaluation import write_json

        write_json(events, arguments.trace)
    draw_to(arguments, lambda: _timeline(found))
    whole = document(found) | ({"values": values.to_json() | {"seed": seed}} if values else {})
    give_blocks(arguments, whole, lambda whole: blocks(whole, nest(mapping, workload)), events)
    return 0 if values is None or values.agrees else 1


def _timeline(found: Simulation) -> Axes:
    from accelsim.report.plots.timelines import run

    return run(found)


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

    refuse_drawing(arguments, model, "add --layer NAME")
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
    give_blocks(arguments, document(found, seed), model_simulation_blocks)
    return 0 if all(each.agrees for each in found.values) else 1


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

    chosen = layer_of(arguments, model)
    if not arguments.mapping:
        return _found(arguments, chosen.cascade, settings, counting)
    others = tuple(f"{layer.cascade.name}=" for layer in model.layers if layer.cascade.name != arguments.layer)
    texts = [text for text in arguments.mapping if not text.startswith(others)]
    (mapping,) = load_layers(Model(model.name, (chosen,)), texts, settings.mapping)
    return mapping, machine_of(required(arguments, "arch", "a machine"), settings), chosen.cascade


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
    give_blocks(arguments, document(found, machine.name, mapping.name, seed), blocks)
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
    refuse_stored(workload)
    if isinstance(workload, Model):
        raise InputError(f"{workload.name} is a model of several layers", "name a workload of one cascade")
    if arguments.mapping:
        mapping, machine, cascade = mapped(arguments, workload, settings)
        return mapping, machine, with_words(cascade)
    from accelsim.mapper import search
    from accelsim.mapper.splits import refuse_open

    refuse_open(workload, "the processor")
    machine, cascade = machine_of(required(arguments, "arch", "a machine"), settings), with_words(workload)
    Shape.of(machine)
    refuse_beyond(cascade)
    tell("mapping")
    return search(cascade, machine).mapping, machine, cascade


def inject_(arguments: Arguments) -> int:
    from accelsim.faults.campaign import run
    from accelsim.io.campaign import load_campaign
    from accelsim.io.catalogue import CAMPAIGN, resolve
    from accelsim.report.campaign import blocks, document
    from accelsim.report.progress import progress

    executor = executor_at(arguments)
    if arguments.output == "-":
        raise InputError("-o -: results go into a database, not to standard output", "name a file; --json - writes JSON there")
    if arguments.output and arguments.json and os.path.realpath(arguments.output) == os.path.realpath(arguments.json):
        raise InputError(f"{arguments.output}: results and JSON do not go into one file", "name two files")
    with progress(not arguments.quiet) as tell:
        tell("preparing")
        campaign = load_campaign(resolve(arguments.campaign, CAMPAIGN), arguments.set)
        confirmed = None if arguments.rtl is None else _confirmed(arguments, campaign, tell)  # first: what it refuses is refused at once
        found = run(campaign, None if arguments.output is None else Path(arguments.output), tell=tell, executor=executor)
    give_blocks(arguments, document(found, confirmed), blocks)
    return 0 if found.finished and (confirmed is None or confirmed.agrees) else 1


def _confirmed(arguments: Arguments, campaign: Campaign, tell: Callable[[str], None]) -> Confirmation:
    from accelsim.faults.target import Confirmable
    from accelsim.io.catalogue import root

    faults = whole_of(arguments, "rtl")
    if not isinstance(campaign.target, Confirmable):
        raise InputError("--rtl: only faults of an array that runs one cascade, or of a processor, run in RTL", "leave --rtl out")
    return campaign.target.confirmed(root() / "hw" / "rtl", faults, campaign.seed, tell)
