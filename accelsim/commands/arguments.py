"""What the arguments of the command line mean: numbers in range, settings, and the files that they name.

Everything heavy is imported inside the function that uses it.
"""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from accelsim.errors import InputError, did_you_mean
from accelsim.workload.cascade import Cascade, Layer, Model

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.io.catalogue import Kind
    from accelsim.io.overrides import Overrides
    from accelsim.jobs.executors import Executor
    from accelsim.mapper.best import Request
    from accelsim.mapping.tree import Mapping
    from accelsim.model.options import Counting

Arguments = argparse.Namespace


def required(arguments: Arguments, name: str, what: str) -> str:
    """The value of an option that a command cannot do without; InputError that names the option."""
    value = getattr(arguments, name)
    if not value:
        raise InputError(f"accelsim {arguments.command} needs {what}", f"add --{name} NAME; `accelsim list {name}s` shows them")
    return str(value)


def seed_of(arguments: Arguments) -> int:
    """The seed, a whole number from 0."""
    from accelsim.io.requests import seed

    return seed(arguments.seed)


def whole_of(arguments: Arguments, name: str) -> int:
    """The value of an option that is a whole number from 1."""
    from accelsim.io.requests import whole

    return whole(getattr(arguments, name), f"--{name.replace('_', '-')}")


def workers_of(arguments: Arguments) -> int:
    """How many processes may search; one while kernels have to be compiled, which each would do for itself."""
    from accelsim.jobs.workers import cores
    from accelsim.kernel_cache import is_cold

    text = getattr(arguments, "workers", None)
    if text is not None and not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) > 0):
        raise InputError(f"--workers '{text}' is not a whole number from 1", "write digits, as in --workers 2")
    if is_cold("mapper/kernels_levels.py"):
        return 1
    return cores() if text is None else int(text)


def executor_at(arguments: Arguments) -> Executor:
    """Where the work of `--executor` and `--workers` is done; on this machine by one process while kernels have to be compiled."""
    from accelsim.jobs.executors import executor_of

    usual = workers_of(arguments)
    asked = None if arguments.workers is None else int(arguments.workers)
    return executor_of(arguments.executor, min(asked, usual) if asked and arguments.executor in (None, "local") else asked, usual)


def request_of(arguments: Arguments) -> Request:
    """What a search is asked for; InputError for an option out of range."""
    from accelsim.io.requests import request

    names = ("objective", "seed", "schedule", "tiles", "time_limit", "gap")
    return replace(request({name: getattr(arguments, name) for name in names}), counting=counting_of(arguments))


def settings_of(arguments: Arguments) -> Overrides:
    """What `--set` changes, by the file that it concerns."""
    from accelsim.io.overrides import overrides

    return overrides(arguments.set)


def counting_of(arguments: Arguments) -> Counting:
    """The counting options of `--counting`."""
    from accelsim.io.requests import counting

    return counting(*arguments.counting)


def resolved(text: str, kind: Kind) -> Path:
    """The file that a name or a path means."""
    from accelsim.io.catalogue import resolve

    return resolve(text, kind)


def workload_of(text: str, settings: Overrides) -> Cascade | Model:
    """The workload of a name or a path, with its settings."""
    from accelsim.io.catalogue import WORKLOAD
    from accelsim.io.workload import load_workload

    return load_workload(resolved(text, WORKLOAD), settings.workload)


def machine_of(text: str, settings: Overrides) -> Architecture:
    """The machine of a name or a path, with its settings."""
    from accelsim.io.catalogue import MACHINE
    from accelsim.io.hardware import load_architecture

    return load_architecture(resolved(text, MACHINE), settings.arch)


def mapping_of(text: str, cascade: Cascade, settings: Overrides) -> tuple[Mapping, Cascade]:
    """A mapping, and the cascade with the sizes that it states."""
    from accelsim.io.catalogue import MAPPING
    from accelsim.io.mapping import load_fitting

    return load_fitting(resolved(text, MAPPING), cascade, settings.mapping)


def mapped(arguments: Arguments, cascade: Cascade, settings: Overrides) -> tuple[Mapping, Architecture, Cascade]:
    """The mapping and the machine that a command names for one cascade, and the cascade with the sizes that the mapping gives."""
    if len(arguments.mapping) > 1:
        raise InputError(f"--mapping is given {len(arguments.mapping)} times, and {cascade.name} is one cascade", "give one mapping")
    required(arguments, "mapping", "a mapping")
    machine = machine_of(required(arguments, "arch", "a machine"), settings)
    mapping, cascade = mapping_of(arguments.mapping[0], cascade, settings)
    return mapping, machine, cascade


def layer_of(arguments: Arguments, model: Model) -> Layer:
    """The layer that `--layer` names, the first of that name."""
    layers = {layer.cascade.name: layer for layer in reversed(model.layers)}
    if arguments.layer not in layers:
        names = dict.fromkeys(layer.cascade.name for layer in model.layers)
        raise InputError(f"--layer {arguments.layer}: {model.name} has no such layer", did_you_mean(arguments.layer, names))
    return layers[arguments.layer]


def refuse_layer(arguments: Arguments, cascade: Cascade) -> None:
    """Refuse `--layer` of a workload that is one cascade."""
    if arguments.layer is not None:
        raise InputError(f"--layer {arguments.layer}: {cascade.name} is one cascade and has no layers", "leave --layer out")


def refuse_folder(output: str | None) -> None:
    """Refuse a folder as the place of one file, before any work is done."""
    if output is not None and os.path.isdir(output):
        raise InputError(f"{output}: is a folder", "name a file")


def is_stored(arguments: Arguments, cascade: Cascade) -> bool:
    """Whether a cascade keeps only some elements of its tensors."""
    return bool(arguments.data) or any(tensor.storage is not None for tensor in cascade.tensors.values())


def refuse_stored(workload: Cascade | Model) -> None:
    """Refuse formats where all elements count."""
    for cascade in [layer.cascade for layer in workload.layers] if isinstance(workload, Model) else [workload]:
        for name, tensor in cascade.tensors.items():
            if tensor.storage is not None:
                who = "`accelsim evaluate`, `map` and `simulate` of one cascade"
                what = f"{cascade.name} says how {name} is stored, which only {who} take into account"
                place = cascade.declaration.place("format", name) if cascade.declaration is not None else None
                mend = "take one cascade of it with 'layer'" if isinstance(workload, Model) else "`evaluate` a mapping of it"
                raise InputError(what, f"{mend}, or leave 'format' out, and all elements count", place)
