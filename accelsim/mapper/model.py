"""The mapper for a model: every different cascade is searched once, and its mapping serves all layers that are equal to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from accelsim.hardware.architecture import Architecture
from accelsim.jobs.workers import Tell, side_by_side
from accelsim.mapper.best import Found, Request, search
from accelsim.mapper.objectives import objective_named
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import evaluate
from accelsim.model.layers import ModelEvaluation
from accelsim.model.options import Counting
from accelsim.workload.cascade import Cascade, Model


class Find(Protocol):
    """Something that searches as `search` does."""

    def __call__(
        self, cascade: Cascade, architecture: Architecture, *, progress: Callable[[str], None] | None, request: Request
    ) -> Found: ...


@dataclass(frozen=True, slots=True)
class FoundModel:
    """The best mapping of every layer, in order, and what they cost together."""

    mappings: tuple[Mapping, ...]
    evaluation: ModelEvaluation


def search_model(
    model: Model,
    architecture: Architecture,
    objective: str = "latency",
    seed: int = 0,
    counting: Counting | None = None,
    progress: Callable[[str], None] | None = None,
    request: Request | None = None,
    find: Find | None = None,
    workers: int = 1,
) -> FoundModel:
    """The best mapping found for every layer by itself, since layers run one after the other; refuses what `search` refuses.

    The least latency or energy of every layer is that of the model; the least product of the two need not be.
    A layer that is equal to an earlier one but for its name records a search of no mappings.
    `request` says more than the arguments before it, and replaces them. `find`: what searches one layer, `search` if not given.
    `workers`: processes that search layers side by side; one searches here. Once the user has interrupted, further layers get no time.
    """
    request = request or Request(objective_named(objective), seed, counting or Counting())
    works = [_nameless(layer.cascade) for layer in model.layers]
    first = [works.index(work) for work in works]  # the earliest layer that each is equal to
    distinct = sorted(set(first))
    prefixes = [f"{model.layers[at].cascade.name}, layer {at + 1} of {len(model.layers)}: " for at in distinct]
    jobs = [
        partial(_searched, find or search, model.layers[at].cascade, architecture, request, prefix)
        for at, prefix in zip(distinct, prefixes, strict=True)
    ]
    found = dict(zip(distinct, side_by_side(jobs, workers, progress or _silent, "searches"), strict=True))
    layers = [
        found[known] if known == at else _again(found[known], layer.cascade, architecture, request.counting)
        for at, (known, layer) in enumerate(zip(first, model.layers, strict=True))
    ]
    evaluation = ModelEvaluation(model, tuple(each.evaluation for each in layers))
    return FoundModel(tuple(each.mapping for each in layers), evaluation)


def _silent(_: str) -> None:
    return


def _searched(find: Find, cascade: Cascade, architecture: Architecture, request: Request, prefix: str, tell: Tell, hurry: bool) -> Found:
    """What is found for one layer."""
    asked = dataclasses.replace(request, time_limit=0.0) if hurry else request
    return find(cascade, architecture, progress=lambda message: tell(prefix + message), request=asked)


def _nameless(cascade: Cascade) -> Cascade:
    return dataclasses.replace(cascade, name="", source="")


def _again(found: Found, cascade: Cascade, architecture: Architecture, counting: Counting) -> Found:
    """What was found for an equal cascade, under the name of this one."""
    mapping = dataclasses.replace(found.mapping, name=f"{cascade.name} on {architecture.name}")
    record = dict(found.evaluation.search or {}) | {"evaluated": 0, "seconds": 0.0}
    return Found(mapping, evaluate(cascade, architecture, mapping, counting).with_search(record))
