"""What the arguments of verbs mean: names and paths or nouns, settings, options of a search."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from collections.abc import Mapping as Dict
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.io.overrides import Overrides
    from accelsim.mapper.best import Request
    from accelsim.mapping.tree import Mapping
    from accelsim.model.options import Counting
    from accelsim.workload.cascade import Cascade, Model

    Name = str | Path
    Settings = Dict[str, str | int | float]
    Tell = Callable[[str], None]
    Options = Counting | Dict[str, str] | None


def texts_of(settings: Settings | None) -> list[str]:
    """Settings as they are written after `--set`."""
    if settings is not None and not isinstance(settings, Dict):
        raise InputError(f"settings are given as {settings!r}", "write {'arch.clock': '1 GHz'}: paths with their values")
    return [f"{path}={value}" for path, value in (settings or {}).items()]


def overrides_of(settings: Settings | None) -> Overrides:
    """What settings change, by the file that it concerns."""
    from accelsim.io.overrides import overrides

    return overrides(texts_of(settings))


def workload_of(given: Name | Cascade | Model, settings: Dict[str, str]) -> Cascade | Model:
    """The workload of a name or a path, or the one that is given."""
    from accelsim.io.catalogue import WORKLOAD, resolve
    from accelsim.io.workload import load_workload
    from accelsim.workload.cascade import Cascade, Model

    if isinstance(given, str | Path):
        return load_workload(resolve(str(given), WORKLOAD), settings)
    if not isinstance(given, Cascade | Model):
        raise InputError(f"a workload is given as {given!r}", "give a name, a path, a Cascade or a Model")
    refuse_settings(settings, f"the workload {given.name}")
    return given


def served_of(given: Name | Cascade | Model, machine: Architecture, settings: Dict[str, str], options: Dict[str, object]) -> Model | None:
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


def machine_of(given: Name | Architecture, settings: Dict[str, str]) -> Architecture:
    """The machine of a name or a path, or the one that is given."""
    from accelsim.hardware.architecture import Architecture
    from accelsim.io.catalogue import MACHINE, resolve
    from accelsim.io.hardware import load_architecture

    if isinstance(given, str | Path):
        return load_architecture(resolve(str(given), MACHINE), settings)
    if not isinstance(given, Architecture):
        raise InputError(f"a machine is given as {given!r}", "give a name, a path or an Architecture")
    refuse_settings(settings, f"the machine {given.name}")
    return given


def refuse_settings(settings: Dict[str, str], what: str) -> None:
    """An InputError for settings of what is given whole."""
    for path in settings:
        raise InputError(f"'{path}' changes what is given by name, and {what} is given whole", "give the setting to load")


def one_cascade(workload: Cascade | Model, what: str) -> Cascade:
    """The workload, if it is one cascade."""
    from accelsim.workload.cascade import Model

    if isinstance(workload, Model):
        raise InputError(f"{what}: {workload.name} is a model of several layers", "take the cascade of one: MODEL.layers[0].cascade")
    return workload


def mapping_of(
    given: Name | Mapping | Sequence[Mapping] | Dict[str, Name], cascade: Cascade, settings: Overrides
) -> tuple[Mapping, Cascade]:
    """A mapping, and the cascade with the sizes that it states."""
    from accelsim.io.catalogue import MAPPING, resolve
    from accelsim.io.mapping import load_fitting
    from accelsim.mapping.tree import Mapping
    from accelsim.workload.build import sized

    if isinstance(given, str | Path):
        return load_fitting(resolve(str(given), MAPPING), cascade, settings.mapping)
    if not isinstance(given, Mapping):
        raise InputError(f"{cascade.name} is one cascade", "give one mapping")
    refuse_settings(settings.mapping, f"the mapping '{given.name}'")
    return given, sized(cascade, given.sizes)


def mappings_of(model: Model, given: Name | Mapping | Sequence[Mapping] | Dict[str, Name], settings: Overrides) -> Sequence[Mapping]:
    """A mapping for each layer of a model."""
    from accelsim.io.layers import load_layers
    from accelsim.mapping.tree import Mapping

    if isinstance(given, str | Path):
        return load_layers(model, [str(given)], settings.mapping)
    if isinstance(given, Dict):
        return load_layers(model, files_of(given), settings.mapping)
    if isinstance(given, Mapping) or len(given) != len(model.layers):
        raise InputError(f"{model.name} has {len(model.layers)} layers", "give a mapping for each, in order")
    refuse_settings(settings.mapping, "the mapping of each layer")
    return given


def is_stored(cascade: Cascade) -> bool:
    """Whether it says how only some elements of a tensor are stored."""
    return any(tensor.storage is not None for tensor in cascade.tensors.values())


def files_of(data: Dict[str, Name] | None) -> list[str]:
    """Files by name as they are written on the command line, as in A=matrix.mtx."""
    return [f"{name}={path}" for name, path in (data or {}).items()]


def counting_of(given: Options) -> Counting:
    """Counting options, or those that their names mean."""
    from accelsim.model.options import Counting

    return given if isinstance(given, Counting) else Counting.from_text(given or {})


def request_of(
    objective: str, schedule: str | None, tiles: str, counting: Options, time_limit: float | None, gap: float, seed: int
) -> Request:
    """What a search is asked for; `time_limit` in CPU seconds, `gap` a share of 1. InputError for an option out of range."""
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
    return Request(objective_named(objective), seed, counting_of(counting), schedules, tiles, time_limit, gap)


def constrained(request: Request, constraints: Name | None, cascade: Cascade, machine: Architecture) -> Request:
    """The request with the constraints of a file."""
    if constraints is None:
        return request
    from dataclasses import replace

    from accelsim.io.constraints import load_constraints

    raised = request.counting.refill == "every_visit"
    return replace(request, constraints=load_constraints(str(constraints), cascade, machine, raised))
