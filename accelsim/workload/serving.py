"""What of a model is the batch, what are new tokens and what is the context, and what it keeps between passes: weights, cache, state."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

from accelsim.hardware.types import TYPES, NumberType
from accelsim.workload.cascade import Layer, Model
from accelsim.workload.expression import own_names

PHASES = ("prefill", "decode", "both")


@dataclass(frozen=True, slots=True)
class Weight:
    """A tensor that is stored whole and of which a pass reads a part, or none: `shape` elements, `times` of it.

    `kind`: its type; None: the one that a layer reads it with, else bf16.
    """

    name: str
    shape: tuple[int, ...]
    times: int = 1
    kind: NumberType | None = None

    @property
    def words(self) -> int:
        """Elements of all of them."""
        return self.times * math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Serving:
    """The ranks of a model that serving sets, and weights that are more than what its layers read.

    `tokens`: ranks that walk new tokens; the first is how many there are. None: it is not served by tokens, as networks of images are.
    `context`: the rank of what is in the cache, "" if there is none.
    `decodes`: whether it makes tokens one after the other. `step`: the workload of one step of decoding, "" for the model itself.
    """

    batch: str
    tokens: tuple[str, ...]
    context: str = ""
    decodes: bool = True
    step: str = ""
    weights: tuple[Weight, ...] = ()


@dataclass(frozen=True, slots=True)
class Kept:
    """A tensor that lies in the outermost memory between passes: `words` of all its uses, each of `bits`."""

    layer: str
    name: str
    words: int
    bits: Fraction


@dataclass(frozen=True, slots=True)
class Residency:
    """What a model keeps. `weights`: of it all; `cache`: per token of one sequence; `state`: per sequence."""

    weights: tuple[Kept, ...]
    cache: tuple[Kept, ...]
    state: tuple[Kept, ...]

    @property
    def parameters(self) -> int:
        """Weights in words."""
        return sum(each.words for each in self.weights)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be served: `phase` is one of PHASES. `context`: tokens of the prompt, and in the cache. `tokens`: steps of decoding, the
    context longer by one in each; None: one, with `context` tokens in the cache.
    """

    phase: str = "both"
    batch: int = 1
    context: int | None = None
    tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """A model in the phases that are asked for, and what it keeps between passes."""

    model: Model
    kept: Residency
    asked: Asked
    context: int


def residency(model: Model, step: Model | None, serving: Serving) -> Residency:
    """What a model keeps between passes. `step`: one of decoding, of one sequence and one new token, if it decodes.

    An input that no layer before makes is a weight if none of its indices is the batch, a token or the context; it is part of a cache if
    one is the context and none a token, and a state if one is the batch alone. What `serving.weights` names counts as that says.
    """
    named = {weight.name for weight in serving.weights}
    weights = [Kept("", each.name, each.words, each.kind.bits if each.kind else _bits(model, each.name)) for each in serving.weights]
    served = {serving.batch, *serving.tokens} | ({serving.context} - {""})
    for layer, name, ranks in _inputs(model):
        if name not in named and not ranks & served:
            tensor = layer.cascade.tensors[name]
            weights.append(Kept(layer.cascade.name, name, layer.times * math.prod(tensor.shape), tensor.final.bits))
    cache, state = list[Kept](), list[Kept]()
    for layer, name, ranks in _inputs(step) if step is not None else ():
        if serving.batch not in ranks or ranks & set(serving.tokens):
            continue
        tensor, extents = layer.cascade.tensors[name], _extents(layer)
        words = layer.times * math.prod(tensor.shape) // extents[serving.batch]
        if serving.context in ranks:
            cache.append(Kept(layer.cascade.name, name, words // extents[serving.context], tensor.final.bits))
        else:
            state.append(Kept(layer.cascade.name, name, words, tensor.final.bits))
    return Residency(tuple(weights), tuple(cache), tuple(state))


def _bits(model: Model, name: str) -> Fraction:
    return next((layer.cascade.tensors[read].final.bits for layer, read, _ in _inputs(model) if read == name), TYPES["bf16"].bits)


def _extents(layer: Layer) -> Mapping[str, int]:
    return {**layer.cascade.extents, **{split.rank: split.extent for split in layer.cascade.splits}}


def _inputs(model: Model) -> Iterator[tuple[Layer, str, set[str]]]:
    """Inputs that no earlier layer makes, once per layer, with the ranks that any layer indexes a tensor of this name with."""
    ranks: dict[str, set[str]] = {}
    for layer in model.layers:
        whole = {part: split.rank for split in layer.cascade.splits for part in split.parts}
        for einsum in layer.cascade.work:
            for access in (*einsum.reads, *einsum.condition_reads):
                ranks.setdefault(layer.called(access.tensor), set()).update(whole.get(rank, rank) for rank in own_names(access))
    made = set[str]()
    for layer in model.layers:
        for name, tensor in layer.cascade.tensors.items():
            if tensor.is_input and layer.called(name) not in made:
                yield layer, name, ranks.get(layer.called(name), set()) & set(_extents(layer))
        made |= {layer.called(name) for name, tensor in layer.cascade.tensors.items() if tensor.is_output}
