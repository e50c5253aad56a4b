"""The verbs of accelsim from Python: each takes nouns, or names and paths of files as the command line does, and returns nouns.

`import accelsim` gives them lazily: `accelsim.map("attention", "spatial")`. What a verb needs is imported when it is called.
`settings` are those of `--set`, for what is given by name: `{"shape.m": 1024, "arch.L3.size": "8 MiB"}`. `data`: stored elements of
inputs by tensor, files of matrices. `progress`: hears what goes on, one line at a time. Wrong input is an InputError, a mapping
that is not legal an IllegalMapping.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from accelsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.evidence.nouns import Evidence
    from accelsim.explore.sweep import Sweep
    from accelsim.explore.sweeping import Exploration
    from accelsim.faults.campaign import Campaign, Outcome
    from accelsim.faults.rates import Rates
    from accelsim.hardware.architecture import Architecture
    from accelsim.hardware.dram import Dram
    from accelsim.hardware.technology import Technology
    from accelsim.io.check import Checked
    from accelsim.io.overrides import Overrides
    from accelsim.mapper.best import Found
    from accelsim.mapper.front import Front
    from accelsim.mapper.model import FoundModel
    from accelsim.mapper.stored import StoredFound
    from accelsim.mapping.tree import Mapping
    from accelsim.model.evaluation import Evaluation
    from accelsim.model.layers import ModelEvaluation
    from accelsim.model.options import Counting
    from accelsim.model.stored import StoredEvaluation
    from accelsim.sim.layers import ModelSimulation
    from accelsim.sim.simulation import Simulation
    from accelsim.workload.bounds import Bounds
    from accelsim.workload.cascade import Cascade, Model
    from accelsim.workload.passes import Passes

    Name = str | Path
    Settings = Dict[str, str | int | float]
    Tell = Callable[[str], None]
    Noun = Cascade | Model | Architecture | Mapping | Technology | Dram | Rates | Campaign | Sweep | Evidence | dict[str, Any]
    Options = Counting | Dict[str, str] | None

__all__ = [
    "bounds",
    "check",
    "derive",
    "evaluate",
    "explore",
    "front",
    "inject",
    "load",
    "map",
    "names",
    "nest",
    "passes",
    "run",
    "save",
    "simulate",
]


@overload
def load(source: Name, kind: Literal["workload"], *, settings: Settings | None = None) -> Cascade | Model: ...
@overload
def load(source: Name, kind: Literal["machine"], *, settings: Settings | None = None) -> Architecture: ...
@overload
def load(source: Name, kind: Literal["mapping"], *, workload: Name | Cascade, settings: Settings | None = None) -> Mapping: ...
@overload
def load(source: Name, kind: Literal["campaign"], *, settings: Settings | None = None) -> Campaign: ...
@overload
def load(source: Name, kind: Literal["sweep"], *, settings: Settings | None = None) -> Sweep: ...
@overload
def load(source: Name, kind: Literal["technology"]) -> Technology: ...
@overload
def load(source: Name, kind: Literal["dram"]) -> Dram: ...
@overload
def load(source: Name, kind: Literal["rates"]) -> Rates: ...
@overload
def load(source: Name, kind: Literal["evidence"]) -> Evidence: ...
@overload
def load(source: Name, kind: Literal["evaluation"]) -> dict[str, Any]: ...
@overload
def load(source: Name, kind: None = None, *, workload: Name | Cascade | None = None, settings: Settings | None = None) -> Noun: ...
def load(source: Name, kind: str | None = None, *, workload: Name | Cascade | None = None, settings: Settings | None = None) -> Noun:
    """What a file describes, or a name that is shipped.

    kind: `workload`, `machine`, `mapping`, `technology`, `dram`, `campaign`, `rates`, `sweep`, `evidence`, or `evaluation` (the JSON of
    one, as a dict that keeps its contract); left out, it is what the file says. A mapping needs the workload that it is for.
    """
    text = str(source)
    if kind == "evaluation" or (kind is None and text.endswith(".json")):
        from accelsim.io.evaluation import read_evaluation

        return read_evaluation(text)
    from accelsim.io.catalogue import (
        CAMPAIGN,
        DRAM,
        EVIDENCE,
        KINDS,
        MACHINE,
        MAPPING,
        RATES,
        SWEEP,
        TECHNOLOGY,
        WORKLOAD,
        identify,
        resolve,
    )

    known = {each.key: each for each in KINDS}
    if kind is not None and kind not in known:
        raise InputError(f"there is no kind '{kind}'", did_you_mean(kind, [*known, "evaluation"]))
    path, found = (resolve(text, known[kind]), known[kind]) if kind is not None else identify(text)
    if found is CAMPAIGN:
        from accelsim.io.campaign import load_campaign

        return load_campaign(path, _texts(settings))
    if found is SWEEP:
        from accelsim.io.sweep import load_sweep

        return load_sweep(path, _texts(settings))
    given = _overrides(settings)
    given.refuse(*({"workload", "arch", "mapping"} - {{WORKLOAD: "workload", MACHINE: "arch", MAPPING: "mapping"}.get(found, "")}))
    if found is WORKLOAD:
        from accelsim.io.workload import load_workload

        return load_workload(path, given.workload)
    if found is MACHINE:
        from accelsim.io.hardware import load_architecture

        return load_architecture(path, given.arch)
    if found is MAPPING:
        from accelsim.io.mapping import load_fitting

        if workload is None:
            raise InputError(f"{text}: a mapping is for a workload", "say which: load(…, workload=NAME)")
        return load_fitting(path, _one(_workload(workload, {}), text), given.mapping)[0]
    if found is TECHNOLOGY:
        from accelsim.io.technology import load_technology

        return load_technology(path)
    if found is DRAM:
        from accelsim.io.dram import load_dram

        return load_dram(path)
    if found is RATES:
        from accelsim.io.rates import load_rates

        return load_rates(path)
    if found is EVIDENCE:
        from accelsim.io.evidence import load_evidence

        return load_evidence(path)
    raise InputError(f"{text}: constraints are read for a workload on a machine", "give them to map: map(…, constraints=FILE)")


def save(noun: Mapping | Cascade | Evaluation | ModelEvaluation | StoredEvaluation | Simulation, target: Name) -> None:
    """Write a noun to a file: a mapping or a cascade as YAML, an evaluation or a simulation as JSON. `load` and the commands read these."""
    from accelsim.io.evaluation import write_json, write_text
    from accelsim.mapping.tree import Mapping
    from accelsim.sim.simulation import Simulation
    from accelsim.workload.cascade import Cascade

    if isinstance(noun, Mapping):
        from accelsim.io.mapping import dump_mapping

        write_text(dump_mapping(noun), str(target))
    elif isinstance(noun, Cascade):
        from accelsim.io.workload_text import dump_workload

        write_text(dump_workload(noun), str(target))
    elif isinstance(noun, Simulation):
        from accelsim.report.simulation import document

        write_json(document(noun), str(target))
    else:
        write_json(noun.to_json(), str(target))


def names(kind: str) -> dict[str, Path]:
    """Files that accelsim ships of a kind (`workload`, `machine`, `mapping`, …), by name."""
    from accelsim.io.catalogue import KINDS, shipped

    known = {each.key: each for each in KINDS}
    if kind not in known:
        raise InputError(f"there is no kind '{kind}'", did_you_mean(kind, known))
    return shipped(known[kind])


def check(
    source: Name, *, workload: Name | None = None, machine: Name | None = None, settings: Settings | None = None
) -> Checked:  # fmt: skip
    """Whether a file of any kind is right, and what it says; a mapping or constraints against a workload on a machine."""
    from accelsim.io.catalogue import MACHINE, WORKLOAD, identify, resolve
    from accelsim.io.check import check as checked

    path, kind = identify(str(source))
    beside = [None if each is None else resolve(str(each), of) for each, of in ((workload, WORKLOAD), (machine, MACHINE))]
    return checked(path, kind, _overrides(settings), *beside)


def run(
    workload: Name | Cascade | Model, inputs: Dict[str, Any] | None = None, *, seed: int = 0, settings: Settings | None = None
) -> dict[str, Any]:
    """Execute a workload with the reference interpreter: values of all tensors by name, of a model those of its layers by layer.

    inputs: an array for each input; random ones of the seed if left out.
    """
    import numpy as np

    from accelsim.workload.cascade import Model
    from accelsim.workload.interpreter import model_inputs, random_inputs, run_model
    from accelsim.workload.interpreter import run as execute

    given = _overrides(settings)
    given.refuse("arch", "mapping")
    found, rng = _workload(workload, given.workload), np.random.default_rng(seed)
    if isinstance(found, Model):
        if found.phases:
            raise InputError(f"{found.name} has phases of inference, which are not run", "run the workload of one of its phases")
        return {name: each.values for name, each in run_model(found, model_inputs(found, rng) if inputs is None else inputs).items()}
    return dict(execute(found, random_inputs(found, rng) if inputs is None else inputs).values)


def passes(workload: Name | Cascade, rank: str | None = None, *, settings: Settings | None = None) -> dict[str, Passes]:
    """How often a fiber of each rank (or of one) must be traversed on any machine, and what crosses from pass to pass."""
    from accelsim.workload.passes import all_passes
    from accelsim.workload.passes import passes as of_rank

    given = _overrides(settings)
    given.refuse("arch", "mapping")
    cascade = _one(_workload(workload, given.workload), "passes")
    return all_passes(cascade) if rank is None else {rank: of_rank(cascade, rank)}


def bounds(workload: Name | Cascade, *, settings: Settings | None = None) -> Bounds:
    """The least that any machine moves and computes for a workload."""
    from accelsim.workload.bounds import bounds as of_cascade

    given = _overrides(settings)
    given.refuse("arch", "mapping")
    return of_cascade(_one(_workload(workload, given.workload), "bounds"))


def derive(workload: Name | Cascade, steps: str, *, settings: Settings | None = None) -> Cascade:
    """A cascade that computes the same, by steps as in 'defer AV; stream m' (docs/transform.md)."""
    from accelsim.workload.transform.steps import derive as derived
    from accelsim.workload.transform.steps import parse

    given = _overrides(settings)
    given.refuse("arch", "mapping")
    return derived(_one(_workload(workload, given.workload), "derive"), parse(steps))


@overload
def map(
    workload: Model, machine: Name | Architecture, objective: str = ..., *,
    schedule: str | None = ..., tiles: str = ..., constraints: Name | None = ..., counting: Options = ..., time_limit: float | None = ...,
    gap: float = ..., seed: int = ..., workers: int = ..., data: Dict[str, Name] | None = ..., formats: bool = ...,
    settings: Settings | None = ..., progress: Tell | None = ...,
) -> FoundModel: ...  # fmt: skip
@overload
def map(
    workload: Cascade, machine: Name | Architecture, objective: str = ..., *,
    schedule: str | None = ..., tiles: str = ..., constraints: Name | None = ..., counting: Options = ..., time_limit: float | None = ...,
    gap: float = ..., seed: int = ..., workers: int = ..., data: Dict[str, Name] | None = ..., formats: bool = ...,
    settings: Settings | None = ..., progress: Tell | None = ...,
) -> Found | StoredFound: ...  # fmt: skip
@overload
def map(
    workload: Name, machine: Name | Architecture, objective: str = ..., *,
    schedule: str | None = ..., tiles: str = ..., constraints: Name | None = ..., counting: Options = ..., time_limit: float | None = ...,
    gap: float = ..., seed: int = ..., workers: int = ..., data: Dict[str, Name] | None = ..., formats: bool = ...,
    phase: str | None = ..., batch: int | None = ..., context: int | str | None = ..., tokens: int | str | None = ...,
    settings: Settings | None = ..., progress: Tell | None = ...,
) -> Found | FoundModel | StoredFound: ...  # fmt: skip
def map(
    workload: Name | Cascade | Model,
    machine: Name | Architecture,
    objective: str = "latency",
    *,
    schedule: str | None = None,
    tiles: str = "any",
    constraints: Name | None = None,
    counting: Options = None,
    time_limit: float | None = None,
    gap: float = 0.0,
    seed: int = 0,
    workers: int = 1,
    data: Dict[str, Name] | None = None,
    formats: bool = False,
    phase: str | None = None,
    batch: int | None = None,
    context: int | str | None = None,
    tokens: int | str | None = None,
    settings: Settings | None = None,
    progress: Tell | None = None,
) -> Found | FoundModel | StoredFound:
    """The best mapping of a workload on a machine and its evaluation, of a model one for each layer; options are those of `accelsim map`.

    Where only some elements of a tensor are stored, the search is over these. IllegalMapping where nothing is legal.
    phase, batch, context, tokens: how a model that is named is served, as `accelsim map` has them; each search then takes 5 CPU seconds
    unless `time_limit` says otherwise.
    """
    from accelsim.workload.cascade import Model

    given = _overrides(settings)
    given.refuse("mapping")
    made = _machine(machine, given.arch)
    served = _served(workload, made, given.workload, {"phase": phase, "batch": batch, "context": context, "tokens": tokens})
    found = _workload(workload, given.workload) if served is None else served
    if served is not None and time_limit is None:
        from accelsim.io.requests import SECONDS

        time_limit = float(SECONDS)
    asked = _request(objective, schedule, tiles, counting, time_limit, gap, seed)
    if isinstance(found, Model):
        from accelsim.mapper.model import search_model

        if constraints is not None or data or formats:
            raise InputError(f"{found.name} is a model, whose layers are mapped one by one", "map one cascade with constraints or data")
        return search_model(found, made, progress=progress, request=asked, workers=workers)
    asked = _constrained(asked, constraints, found, made)
    if data or _is_stored(found):
        from accelsim.io.elements import elements_of
        from accelsim.mapper.stored import search_stored

        return search_stored(found, made, elements_of(found, _files(data), seed), asked, formats, progress or (lambda _: None))
    if formats:
        raise InputError(f"{found.name} stores all elements", "state a 'format', or give data")
    from accelsim.mapper.best import search

    return search(found, made, progress=progress, request=asked)


def front(
    workload: Name | Cascade,
    machine: Name | Architecture,
    figures: Sequence[str] = ("latency", "energy"),
    *,
    schedule: str | None = None,
    constraints: Name | None = None,
    counting: Options = None,
    time_limit: float | None = None,
    settings: Settings | None = None,
    progress: Tell | None = None,
) -> Front:
    """Every mapping that no other beats in two or three of `latency`, `energy`, `traffic` and `capacity`, as `accelsim map --pareto`."""
    from accelsim.mapper.front import figures_named
    from accelsim.mapper.front import front as front_of

    given = _overrides(settings)
    given.refuse("mapping")
    made, cascade = _machine(machine, given.arch), _one(_workload(workload, given.workload), "front")
    asked = _constrained(_request("latency", schedule, "any", counting, time_limit, 0.0, 0), constraints, cascade, made)
    return front_of(cascade, made, figures_named(",".join(figures)), asked, progress or (lambda _: None))


def evaluate(
    workload: Name | Cascade | Model,
    machine: Name | Architecture,
    mapping: Name | Mapping | Sequence[Mapping] | Dict[str, Name],
    *,
    counting: Options = None,
    data: Dict[str, Name] | None = None,
    seed: int = 0,
    settings: Settings | None = None,
) -> Evaluation | ModelEvaluation | StoredEvaluation:
    """Price a given mapping; of a model, one for each layer in order, files by layer, or the folder that `accelsim map -o` wrote."""
    from accelsim.workload.cascade import Model

    given = _overrides(settings)
    made, found, options = _machine(machine, given.arch), _workload(workload, given.workload), _counting(counting)
    if isinstance(found, Model):
        from accelsim.model.layers import evaluate_model

        return evaluate_model(found, made, _mappings(found, mapping, given), options)
    way, cascade = _mapping(mapping, found, given)
    if data or _is_stored(cascade):
        from accelsim.io.elements import elements_of
        from accelsim.model.evaluation import Evaluator
        from accelsim.model.stored import evaluate_stored

        return evaluate_stored(Evaluator(cascade, made, options), way, elements_of(cascade, _files(data), seed))
    from accelsim.model.evaluation import evaluate as evaluated

    return evaluated(cascade, made, way, options)


def simulate(
    workload: Name | Cascade | Model,
    machine: Name | Architecture,
    mapping: Name | Mapping | Sequence[Mapping] | Dict[str, Name] | None = None,
    *,
    ahead: bool = False,
    events: int = 0,
    counting: Options = None,
    data: Dict[str, Name] | None = None,
    seed: int = 0,
    settings: Settings | None = None,
    progress: Tell | None = None,
) -> Simulation | ModelSimulation:
    """Run a mapping (left out: what `map` finds for latency) event by event.

    ahead: tiles have a second place wherever there is room. events: how many firings to keep.
    """
    from accelsim.workload.cascade import Model

    given = _overrides(settings)
    if mapping is None:
        given.refuse("mapping")
    made, found, options = _machine(machine, given.arch), _workload(workload, given.workload), _counting(counting)
    if isinstance(found, Model):
        from accelsim.sim.layers import simulate_model

        ways = map(found, made, counting=counting, progress=progress).mappings if mapping is None else _mappings(found, mapping, given)
        if ahead:
            ways = tuple(_ahead(layer.cascade, made, way) for layer, way in zip(found.layers, ways, strict=True))
        return simulate_model(found, made, ways, options, progress)
    if data or _is_stored(found):
        from accelsim.io.elements import elements_of
        from accelsim.model.evaluation import Evaluator
        from accelsim.sim.stored import ahead as with_room
        from accelsim.sim.stored import simulate_stored

        if mapping is None:
            raise InputError(f"{found.name} stores some elements only", "give a mapping; `map` finds one")
        way, cascade = _mapping(mapping, found, given)
        way = with_room(way, made.root.name) if ahead else way
        return simulate_stored(Evaluator(cascade, made, options), way, elements_of(cascade, _files(data), seed), events)
    from accelsim.sim.simulation import simulate as simulated

    way, cascade = (_found(found, made, counting, progress), found) if mapping is None else _mapping(mapping, found, given)
    if mapping is None:
        from accelsim.workload.build import sized

        cascade = sized(cascade, way.sizes)
    return simulated(cascade, made, _ahead(cascade, made, way) if ahead else way, options, events)


def inject(
    campaign: Name | Campaign,
    *,
    output: Name | None = None,
    workers: int = 1,
    executor: str | None = None,
    settings: Settings | None = None,
    progress: Tell | None = None,
) -> Outcome:
    """Inject the faults of a campaign; `output`: an SQLite file that keeps results, and that a later call goes on from.

    workers, executor: where faults are injected, as `accelsim inject` has them.
    """
    from accelsim.faults.campaign import Campaign
    from accelsim.faults.campaign import run as injected
    from accelsim.jobs.executors import executor_of

    if isinstance(campaign, Campaign):
        if settings:
            raise InputError("settings change what is given by name, and this campaign is given whole", "give them to load")
        known = campaign
    else:
        known = load(campaign, "campaign", settings=settings)
    return injected(known, None if output is None else Path(output), tell=progress, executor=executor_of(executor, workers))


def explore(
    sweep: Name | Sweep,
    *,
    output: Name | None = None,
    store: Name | None = None,
    most: int | None = None,
    workers: int = 1,
    executor: str | None = None,
    settings: Settings | None = None,
    progress: Tell | None = None,
) -> Exploration:
    """Every point of a sweep, its rows and its front; `close` the result when no row is read any more.

    output: a table, .parquet or .csv. store: an SQLite file that keeps rows as they are found, and that a later call goes on from.
    most: points that a sweep may ask for. workers, executor: where points are evaluated, as `accelsim explore` has them.
    """
    from functools import partial

    from accelsim.explore.sweep import MOST, Sweep
    from accelsim.explore.sweeping import explore as explored
    from accelsim.io.sweep import load_sweep
    from accelsim.io.sweep_table import refuse_ending, write_table
    from accelsim.jobs.executors import executor_of, map_unordered

    if output is not None:
        refuse_ending(str(output))
    if isinstance(sweep, Sweep):
        if settings:
            raise InputError("settings change what is given by name, and this sweep is given whole", "give them to load")
        made = sweep
    else:
        made = load_sweep(str(sweep), _texts(settings), most)
    kept, limit = "" if store is None else str(store), MOST if most is None else most
    with executor_of(executor, workers).standing() as standing:
        found = explored(made, kept, partial(map_unordered, standing), progress, limit)
    if output is not None and not found.interrupted:
        write_table(found, str(output))
    return found


def nest(mapping: Mapping, workload: Cascade) -> str:
    """A mapping as a loop nest to read."""
    from accelsim.mapping.text import nest as printed

    return printed(mapping, workload)


def _texts(settings: Settings | None) -> list[str]:
    return [f"{path}={value}" for path, value in (settings or {}).items()]


def _overrides(settings: Settings | None) -> Overrides:
    from accelsim.io.overrides import overrides

    return overrides(_texts(settings))


def _workload(given: Name | Cascade | Model, settings: Dict[str, str]) -> Cascade | Model:
    """The workload of a name or a path, or the one that is given."""
    from accelsim.io.catalogue import WORKLOAD, resolve
    from accelsim.io.workload import load_workload

    if isinstance(given, str | Path):
        return load_workload(resolve(str(given), WORKLOAD), settings)
    _refuse(settings, f"the workload {given.name}")
    return given


def _served(given: Name | Cascade | Model, machine: Architecture, settings: Dict[str, str], options: Dict[str, object]) -> Model | None:
    """The model of a name or a path in the phases that options ask for, None if they ask for none."""
    from accelsim.io.catalogue import WORKLOAD, resolve
    from accelsim.io.requests import asked
    from accelsim.io.serving import load_served, refuse_large

    stated = {name: str(value) for name, value in options.items() if value is not None}
    wanted = asked(stated)
    if wanted is None:
        return None
    if not isinstance(given, str | Path):
        raise InputError(f"{next(iter(stated))} is of a model that is given by name, and {given.name} is given whole", "give its name")
    model = load_served(resolve(str(given), WORKLOAD), settings, wanted).model
    refuse_large(model, machine)
    return model


def _machine(given: Name | Architecture, settings: Dict[str, str]) -> Architecture:
    """The machine of a name or a path, or the one that is given."""
    from accelsim.io.catalogue import MACHINE, resolve
    from accelsim.io.hardware import load_architecture

    if isinstance(given, str | Path):
        return load_architecture(resolve(str(given), MACHINE), settings)
    _refuse(settings, f"the machine {given.name}")
    return given


def _refuse(settings: Dict[str, str], what: str) -> None:
    for path in settings:
        raise InputError(f"'{path}' changes what is given by name, and {what} is given whole", "give the setting to load")


def _one(workload: Cascade | Model, what: str) -> Cascade:
    """The workload, if it is one cascade."""
    from accelsim.workload.cascade import Model

    if isinstance(workload, Model):
        raise InputError(f"{what}: {workload.name} is a model of several layers", "take the cascade of one: MODEL.layers[0].cascade")
    return workload


def _mapping(given: Name | Mapping | Sequence[Mapping] | Dict[str, Name], cascade: Cascade, settings: Overrides) -> tuple[Mapping, Cascade]:
    """A mapping, and the cascade with the sizes that it states."""
    from accelsim.io.catalogue import MAPPING, resolve
    from accelsim.io.mapping import load_fitting
    from accelsim.mapping.tree import Mapping
    from accelsim.workload.build import sized

    if isinstance(given, str | Path):
        return load_fitting(resolve(str(given), MAPPING), cascade, settings.mapping)
    if not isinstance(given, Mapping):
        raise InputError(f"{cascade.name} is one cascade", "give one mapping")
    _refuse(settings.mapping, f"the mapping '{given.name}'")
    return given, sized(cascade, given.sizes)


def _mappings(model: Model, given: Name | Mapping | Sequence[Mapping] | Dict[str, Name], settings: Overrides) -> Sequence[Mapping]:
    """A mapping for each layer of a model."""
    from accelsim.io.layers import load_layers
    from accelsim.mapping.tree import Mapping

    if isinstance(given, str | Path):
        return load_layers(model, [str(given)], settings.mapping)
    if isinstance(given, Dict):
        return load_layers(model, _files(given), settings.mapping)
    if isinstance(given, Mapping) or len(given) != len(model.layers):
        raise InputError(f"{model.name} has {len(model.layers)} layers", "give a mapping for each, in order")
    _refuse(settings.mapping, "the mapping of each layer")
    return given


def _found(cascade: Cascade, machine: Architecture, counting: Options, progress: Tell | None) -> Mapping:
    return map(cascade, machine, counting=counting, progress=progress).mapping


def _ahead(cascade: Cascade, machine: Architecture, mapping: Mapping) -> Mapping:
    from accelsim.sim.ahead import filled_ahead

    return filled_ahead(cascade, machine, mapping)


def _is_stored(cascade: Cascade) -> bool:
    return any(tensor.storage is not None for tensor in cascade.tensors.values())


def _files(data: Dict[str, Name] | None) -> list[str]:
    return [f"{name}={path}" for name, path in (data or {}).items()]


def _counting(given: Options) -> Counting:
    from accelsim.model.options import Counting

    return given if isinstance(given, Counting) else Counting.from_text(given or {})


def _request(objective: str, schedule: str | None, tiles: str, counting: Options, time_limit: float | None, gap: float, seed: int) -> Any:
    from accelsim.mapper.best import SCHEDULES, Request
    from accelsim.mapper.objectives import objective_named

    def one_of(what: str, text: str, known: Collection[str]) -> str:
        if text not in known:
            raise InputError(f"there is no {what} '{text}'", did_you_mean(text, known))
        return text

    for what, number in (("time_limit", time_limit), ("gap", gap)):
        if number is not None and not 0 <= number < 1e9:
            raise InputError(f"{what} {number}: not a number from 0", "write seconds, or a share as in 0.02")
    schedules = SCHEDULES if schedule is None else (one_of("schedule", schedule, SCHEDULES),)
    tiles = one_of("choice of tiles", tiles, ("any", "dividing"))
    return Request(objective_named(objective), seed, _counting(counting), schedules, tiles, time_limit, gap)


def _constrained(request: Any, constraints: Name | None, cascade: Cascade, machine: Architecture) -> Any:
    """The request with the constraints of a file."""
    if constraints is None:
        return request
    from dataclasses import replace

    from accelsim.io.constraints import load_constraints

    raised = request.counting.refill == "every_visit"
    return replace(request, constraints=load_constraints(str(constraints), cascade, machine, raised))
