"""The verbs about a workload by itself, without a machine, and a mapping of it as text."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError
from accelsim.verbs.given import one_cascade, overrides_of, workload_of

if TYPE_CHECKING:
    from accelsim.mapping.tree import Mapping
    from accelsim.verbs.given import Name, Settings
    from accelsim.workload.bounds import Bounds
    from accelsim.workload.cascade import Cascade, Model
    from accelsim.workload.passes import Passes


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

    given = overrides_of(settings)
    given.refuse("arch", "mapping")
    found, rng = workload_of(workload, given.workload), np.random.default_rng(seed)
    if isinstance(found, Model):
        if found.phases:
            raise InputError(f"{found.name} has phases of inference, which are not run", "run the workload of one of its phases")
        return {name: each.values for name, each in run_model(found, model_inputs(found, rng) if inputs is None else inputs).items()}
    return dict(execute(found, random_inputs(found, rng) if inputs is None else inputs).values)


def passes(workload: Name | Cascade, rank: str | None = None, *, settings: Settings | None = None) -> dict[str, Passes]:
    """How often a fiber of each rank (or of one) must be traversed on any machine, and what crosses from pass to pass."""
    from accelsim.workload.passes import all_passes
    from accelsim.workload.passes import passes as of_rank

    given = overrides_of(settings)
    given.refuse("arch", "mapping")
    cascade = one_cascade(workload_of(workload, given.workload), "passes")
    return all_passes(cascade) if rank is None else {rank: of_rank(cascade, rank)}


def bounds(workload: Name | Cascade, *, settings: Settings | None = None) -> Bounds:
    """The least that any machine moves and computes for a workload."""
    from accelsim.workload.bounds import bounds as of_cascade

    given = overrides_of(settings)
    given.refuse("arch", "mapping")
    return of_cascade(one_cascade(workload_of(workload, given.workload), "bounds"))


def derive(workload: Name | Cascade, steps: str, *, settings: Settings | None = None) -> Cascade:
    """A cascade that computes the same, by steps as in 'defer AV; stream m' (docs/transform.md)."""
    from accelsim.workload.transform.steps import derive as derived
    from accelsim.workload.transform.steps import parse

    given = overrides_of(settings)
    given.refuse("arch", "mapping")
    return derived(one_cascade(workload_of(workload, given.workload), "derive"), parse(steps))


def nest(mapping: Mapping, workload: Cascade) -> str:
    """A mapping as a loop nest to read."""
    from accelsim.mapping.text import nest as printed

    return printed(mapping, workload)
