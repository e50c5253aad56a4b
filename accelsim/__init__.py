"""accelsim: mapping and simulation of tensor programs on hardware accelerators."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.errors import AccelsimError, IllegalMapping, InputError
    from accelsim.faults.campaign import Campaign
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapping.tree import Mapping
    from accelsim.model.evaluation import Evaluation
    from accelsim.verbs import bounds, check, derive, evaluate, explore, front, inject, load, map, names, nest, passes, run, save, simulate
    from accelsim.workload.build import cascade
    from accelsim.workload.cascade import Cascade, Model

__version__ = "0.1.0"
__all__ = [
    "AccelsimError",
    "Architecture",
    "Campaign",
    "Cascade",
    "Evaluation",
    "IllegalMapping",
    "InputError",
    "Mapping",
    "Model",
    "__version__",
    "bounds",
    "cascade",
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
_HOMES = {
    "accelsim.errors": ("AccelsimError", "IllegalMapping", "InputError"),
    "accelsim.faults.campaign": ("Campaign",),
    "accelsim.hardware.architecture": ("Architecture",),
    "accelsim.mapping.tree": ("Mapping",),
    "accelsim.model.evaluation": ("Evaluation",),
    "accelsim.workload.build": ("cascade",),
    "accelsim.workload.cascade": ("Cascade", "Model"),
}  # of names in __all__ that are not in accelsim.verbs


def __getattr__(name: str) -> Any:
    """Names of `__all__` and the module `plots`, imported when they are first asked for."""
    if name not in __all__ and name != "plots":
        raise AttributeError(f"module 'accelsim' has no attribute '{name}'")
    from importlib import import_module

    if name in ("plots", "explore"):  # packages; the second is a verb too
        return import_module(f"accelsim.{name}")
    home = next((home for home, inside in _HOMES.items() if name in inside), "accelsim.verbs")
    found = globals()[name] = getattr(import_module(home), name)
    return found


def verb(name: str) -> Any:
    """A verb of `accelsim.verbs` by its name."""
    from importlib import import_module

    return getattr(import_module("accelsim.verbs"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
