"""The mapper for a model: every different cascade is searched once, and its mapping serves all layers that are equal to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from accelsim.hardware.architecture import Architecture
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
) -> FoundModel:
    """The best mapping found for every layer by itself, since layers run one after the other; refuses what `search` refuses.

    The least latency or energy of every layer is that of the model; the least product of the two need not be.
    A layer that is equal to an earlier one but for its name records a search of no mappings.
    `request` says more than the arguments before it, and replaces them. `find`: what searches one layer, `search` if not given.
    """
    request = request or Request(objective_named(objective), seed, counting or Counting())
    searched: list[tuple[Cascade, Found]] = []
    layers: list[Found] = []
    for number, layer in enumerate(model.layers, 1):
        work = _nameless(layer.cascade)
        known = next((found for cascade, found in searched if cascade == work), None)
        if known is None:
            tell = None if progress is None else _prefixed(progress, f"{layer.cascade.name}, layer {number} of {len(model.layers)}: ")
            known = (find or search)(layer.cascade, architecture, progress=tell, request=request)
            searched.append((work, known))
            layers.append(known)
        else:
            layers.append(_again(known, layer.cascade, architecture, request.counting))
    evaluation = ModelEvaluation(model, tuple(found.evaluation for found in layers))
    return FoundModel(tuple(found.mapping for found in layers), evaluation)


def _nameless(cascade: Cascade) -> Cascade:
    return dataclasses.replace(cascade, name="", source="")


def _prefixed(progress: Callable[[str], None], prefix: str) -> Callable[[str], None]:
    return lambda message: progress(prefix + message)


def _again(found: Found, cascade: Cascade, architecture: Architecture, counting: Counting) -> Found:
    """What was found for an equal cascade, under the name of this one."""
    mapping = dataclasses.replace(found.mapping, name=f"{cascade.name} on {architecture.name}")
    record = dict(found.evaluation.search or {}) | {"evaluated": 0, "seconds": 0.0}
    return Found(mapping, evaluate(cascade, architecture, mapping, counting).with_search(record))
