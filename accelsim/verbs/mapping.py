"""The verbs about a workload on a machine: find its mappings, price them, run them."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

from accelsim.errors import InputError
from accelsim.verbs.given import (
    constrained,
    counting_of,
    files_of,
    is_stored,
    machine_of,
    mapping_of,
    mappings_of,
    one_cascade,
    overrides_of,
    request_of,
    served_of,
    workload_of,
)

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.best import Found
    from accelsim.mapper.front import Front
    from accelsim.mapper.model import FoundModel
    from accelsim.mapper.stored import StoredFound
    from accelsim.mapping.tree import Mapping
    from accelsim.model.evaluation import Evaluation
    from accelsim.model.layers import ModelEvaluation
    from accelsim.model.stored import StoredEvaluation
    from accelsim.sim.layers import ModelSimulation
    from accelsim.sim.simulation import Simulation
    from accelsim.verbs.given import Name, Options, Settings, Tell
    from accelsim.workload.cascade import Cascade, Model


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

    given = overrides_of(settings)
    given.refuse("mapping")
    made = machine_of(machine, given.arch)
    served = served_of(workload, made, given.workload, {"phase": phase, "batch": batch, "context": context, "tokens": tokens})
    found = workload_of(workload, given.workload) if served is None else served
    if served is not None and time_limit is None:
        from accelsim.io.requests import SECONDS

        time_limit = float(SECONDS)
    asked = request_of(objective, schedule, tiles, counting, time_limit, gap, seed)
    if isinstance(found, Model):
        from accelsim.mapper.model import search_model

        if constraints is not None or data or formats:
            raise InputError(f"{found.name} is a model, whose layers are mapped one by one", "map one cascade with constraints or data")
        return search_model(found, made, progress=progress, request=asked, workers=workers)
    asked = constrained(asked, constraints, found, made)
    if data or is_stored(found):
        from accelsim.io.elements import elements_of
        from accelsim.mapper.stored import search_stored

        return search_stored(found, made, elements_of(found, files_of(data), seed), asked, formats, progress or (lambda _: None))
    if formats:
        raise InputError(f"{found.name} stores all elements", "state a 'format', or give data")
    from accelsim.mapper.best import search

    return search(found, made, progress=progress, request=asked)


def front(
    workload: Name | Cascade,
    machine: Name | Architecture,
    figures: str | Sequence[str] = ("latency", "energy"),
    *,
    schedule: str | None = None,
    constraints: Name | None = None,
    counting: Options = None,
    time_limit: float | None = None,
    settings: Settings | None = None,
    progress: Tell | None = None,
) -> Front:
    """Every mapping that no other beats in two or three of `latency`, `energy`, `traffic` and `capacity`, as `accelsim map --pareto`.

    figures: a list, or one text as on the command line, `latency,energy`.
    """
    from accelsim.mapper.front import figures_named
    from accelsim.mapper.front import front as front_of

    given = overrides_of(settings)
    given.refuse("mapping")
    made, cascade = machine_of(machine, given.arch), one_cascade(workload_of(workload, given.workload), "front")
    asked = constrained(request_of("latency", schedule, "any", counting, time_limit, 0.0, 0), constraints, cascade, made)
    named = figures_named(figures if isinstance(figures, str) else ",".join(figures))
    return front_of(cascade, made, named, asked, progress or (lambda _: None))


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

    given = overrides_of(settings)
    made, found, options = machine_of(machine, given.arch), workload_of(workload, given.workload), counting_of(counting)
    if isinstance(found, Model):
        from accelsim.model.layers import evaluate_model

        return evaluate_model(found, made, mappings_of(found, mapping, given), options)
    way, cascade = mapping_of(mapping, found, given)
    if data or is_stored(cascade):
        from accelsim.io.elements import elements_of
        from accelsim.model.evaluation import Evaluator
        from accelsim.model.stored import evaluate_stored

        return evaluate_stored(Evaluator(cascade, made, options), way, elements_of(cascade, files_of(data), seed))
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

    given = overrides_of(settings)
    if mapping is None:
        given.refuse("mapping")
    made, found, options = machine_of(machine, given.arch), workload_of(workload, given.workload), counting_of(counting)
    if isinstance(found, Model):
        from accelsim.sim.layers import simulate_model

        ways = map(found, made, counting=counting, progress=progress).mappings if mapping is None else mappings_of(found, mapping, given)
        if ahead:
            ways = tuple(_ahead(layer.cascade, made, way) for layer, way in zip(found.layers, ways, strict=True))
        return simulate_model(found, made, ways, options, progress)
    if data or is_stored(found):
        from accelsim.io.elements import elements_of
        from accelsim.model.evaluation import Evaluator
        from accelsim.sim.stored import ahead as with_room
        from accelsim.sim.stored import simulate_stored

        if mapping is None:
            raise InputError(f"{found.name} stores some elements only", "give a mapping; `map` finds one")
        way, cascade = mapping_of(mapping, found, given)
        way = with_room(way, made.root.name) if ahead else way
        return simulate_stored(Evaluator(cascade, made, options), way, elements_of(cascade, files_of(data), seed), events)
    from accelsim.sim.simulation import simulate as simulated

    way, cascade = (_found(found, made, counting, progress), found) if mapping is None else mapping_of(mapping, found, given)
    if mapping is None:
        from accelsim.workload.build import sized

        cascade = sized(cascade, way.sizes)
    return simulated(cascade, made, _ahead(cascade, made, way) if ahead else way, options, events)


def _found(cascade: Cascade, machine: Architecture, counting: Options, progress: Tell | None) -> Mapping:
    return map(cascade, machine, counting=counting, progress=progress).mapping


def _ahead(cascade: Cascade, machine: Architecture, mapping: Mapping) -> Mapping:
    from accelsim.sim.ahead import filled_ahead

    return filled_ahead(cascade, machine, mapping)
