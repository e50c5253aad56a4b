"""How a model is served, as its file says it (`serving`, `weights`), and the phases of inference for a batch, a context and new tokens."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from accelsim.errors import InputError, did_you_mean
from accelsim.formula import Value
from accelsim.hardware.architecture import Architecture
from accelsim.io.inherit import Document, document, load_document
from accelsim.io.model_sizes import constants_of, formula, stated_in
from accelsim.io.source import Item
from accelsim.io.workload import number_type_of, read_workload, shape_of, with_setting
from accelsim.workload.cascade import Model
from accelsim.workload.serving import Asked, Residency, Served, Serving, Weight, residency

_KEYS = ("batch", "tokens", "context", "decode")
_WEIGHT_KEYS = ("shape", "times", "type")
_MOST_TOKENS = 1 << 24
_SIZES = 4  # of a context that grows: a step counts as the longest of its group


def read_serving(top: Mapping[str, Item], names: Mapping[str, Value], known: Collection[str]) -> Serving | None:
    """The sections `serving` and `weights` of a model, None if it has no `serving`. `known`: ranks of its layers."""
    if "serving" not in top:
        if "weights" in top:
            raise top["weights"].error("there are 'weights' and no 'serving'", "write serving: {batch: b, tokens: p, context: m}")
        return None
    stated = top["serving"].only(set(_KEYS), "'serving'")
    for key in ("batch", "tokens") if len(stated) > 1 else ("batch",):
        if key not in stated:
            raise top["serving"].error(f"'serving' does not say '{key}'", "write serving: {batch: b, tokens: p, context: m}")
    tokens = _tokens(stated["tokens"]) if "tokens" in stated else []
    ranks = [stated["batch"], *tokens, *([stated["context"]] if "context" in stated else [])]
    for rank in ranks:
        if rank.name("a rank") not in known:
            raise rank.error(f"no layer has rank '{rank.value}'", did_you_mean(str(rank.value), known))
    for at, rank in enumerate(ranks):
        if rank.value in {other.value for other in ranks[:at]}:
            raise rank.error(f"rank '{rank.value}' stands for two things", "name one rank for the batch, others for tokens and the context")
    for rank in (stated["batch"], *tokens[:1], *ranks[len(tokens) + 1 :]):
        if rank.value not in names:
            raise rank.error(f"the shape does not say how long rank '{rank.value}' is", f"write shape: {{{rank.value}: 1}}")
    decode = stated["decode"].name("'decode'") if "decode" in stated else ""
    return Serving(
        str(stated["batch"].value),
        tuple(str(rank.value) for rank in tokens),
        str(stated["context"].value) if "context" in stated else "",
        bool(tokens) and decode != "none",
        decode if decode != "none" else "",
        _weights(top.get("weights"), names),
    )


def _tokens(item: Item) -> list[Item]:
    tokens = item.items("'tokens'") if isinstance(item.value, list) else [item]
    if not tokens:
        raise item.error("'tokens' names no rank", "write tokens: p")
    return tokens


def _weights(item: Item | None, names: Mapping[str, Value]) -> tuple[Weight, ...]:
    found = []
    for name, stated in (item.mapping("weights") if item is not None else {}).items():
        keys = stated.only(set(_WEIGHT_KEYS), "a weight") if isinstance(stated.value, dict) else {"shape": stated}
        if "shape" not in keys:
            raise stated.error(f"weight '{name}' has no shape", f"write {name}: [v, d]")
        shape = tuple(formula(size, f"a size of weight '{name}'", names) for size in keys["shape"].items(f"the shape of '{name}'"))
        times = formula(keys["times"], "'times'", names) if "times" in keys else 1
        found.append(Weight(name, shape, times, number_type_of(keys["type"]) if "type" in keys else None))
    return tuple(found)


def load_served(path: Path, overrides: Mapping[str, str], asked: Asked) -> Served:
    """The phases of a workload file that says how it is served; InputError where it does not, or does not decode."""
    from accelsim.io.models import Reader

    found, base, serving = _read(path, overrides)
    item = found.item
    if not serving.tokens:
        raise InputError(f"{base.name} is not served by tokens", f"state the batch by --set shape.{serving.batch}=2")
    if not serving.decodes and asked.phase == "decode":
        raise InputError(f"{base.name} makes no tokens one after the other", "ask for --phase prefill")
    top = item.mapping("a workload")
    shape = shape_of(top.get("shape"))
    context = asked.context if asked.context is not None else shape.get(serving.context, shape[serving.tokens[0]])
    given = {base.name: found}
    step = base.name
    if serving.step:
        step = serving.step
        given[step] = document(top["serving"].mapping("'serving'")["decode"], found.find, Path(item.place.file))
    shared = {rank: size for rank, size in shape.items() if rank not in (serving.batch, serving.tokens[0], serving.context)}
    reader = Reader(found.text, found.find, 0, shared, set(), constants_of(top.get("constants"), shape), stated_in(top), given)
    phases, one = [], None
    if asked.phase != "decode":
        phases.append(_phase(item, "prefill", base.name, serving, asked.batch, context, context))
    if serving.decodes:
        known = {*shape_of(given[step].item.mapping("a workload").get("shape"))}
        single = _phase(item, "decode", step, serving, 1, 1, context, known)
        one = Model(base.name, tuple(dataclasses.replace(reader, used=set()).phases(Item([single], item.place), None)[0]))
        if asked.phase != "prefill":
            phases.append(_phase(item, "decode", step, serving, asked.batch, 1, context, known, asked.tokens))
    layers, made = dataclasses.replace(reader, used=set()).phases(Item(phases, item.place), None)
    model = Model(base.name, tuple(layers), base.source, tuple(made), serving)
    return Served(model, residency(base, one, serving), asked, context)


def refuse_large(model: Model, machine: Architecture) -> None:
    """An InputError for a layer that the outermost memory cannot hold by itself, before anything is searched."""
    from accelsim.report.figures import byte_size

    name, size = machine.root.name, machine.root.size_bits
    for cascade in [layer.cascade for layer in model.layers] if size is not None else []:
        read_or_made = (tensor for tensor in cascade.tensors.values() if tensor.is_input or tensor.is_output)
        bits = sum(tensor.final.bits * math.prod(tensor.shape) for tensor in read_or_made)
        if size is not None and bits > size:
            holds, needs = byte_size(size / 8), byte_size(float(bits) / 8)
            what = f"{name} of {machine.name} holds {holds}, and {cascade.name} alone reads and makes {needs}"
            raise InputError(what, f"take a smaller batch or context, or --set arch.{name}.size=unlimited to see what it would take")


def load_kept(path: Path, overrides: Mapping[str, str]) -> tuple[Model, Residency]:
    """A model, and what it keeps: of one that is not served by tokens its weights, which are inputs that the batch does not index."""
    _, base, serving = _read(path, overrides)
    return base, residency(base, None, serving) if not serving.tokens else load_served(path, overrides, Asked()).kept


def _read(path: Path, overrides: Mapping[str, str]) -> tuple[Document, Model, Serving]:
    """A model's file with settings, the model, and how it is served; InputError where it does not say that."""
    found = load_document(path)
    item = found.item
    for dotted, value in overrides.items():
        item = with_setting(item, dotted.split("."), value, dotted)
    found = dataclasses.replace(found, item=item)
    base = read_workload(item, found.text, found.find)
    if not isinstance(base, Model) or base.serving is None:
        raise InputError(f"{base.name} does not say how it is served", "write serving: {batch: b, tokens: p, context: m} in it", item.place)
    return found, base, base.serving


def _phase(
    item: Item,
    name: str,
    use: str,
    serving: Serving,
    batch: int,
    new: int,
    context: int,
    known: set[str] | None = None,
    steps: int | None = None,
) -> Item:
    """A phase as a file would state it. `known`: the ranks that its workload has, None is all; `steps`: each with one token more."""
    sizes: dict[str, object] = {serving.batch: batch, serving.tokens[0]: new}
    phase: dict[str, object] = {"name": name, "use": use, "tokens": serving.batch, "shape": sizes}
    grows = bool(serving.context) and (known is None or serving.context in known)
    if grows and steps is None:
        sizes[serving.context] = context
    elif grows and steps is not None:
        every = -(-steps // _SIZES)
        phase["grows"] = {"rank": serving.context, "from": context + 1, "to": context + steps, "every": every}
    elif steps is not None:
        phase["steps"] = steps
    if known is not None:
        phase["shape"] = {rank: size for rank, size in sizes.items() if rank in known}
    return _item(phase, item)


def _item(value: object, at: Item) -> Item:
    """Plain data as if it stood where another item does."""
    inside = {key: _item(each, at) for key, each in value.items()} if isinstance(value, dict) else value
    return Item(inside, at.place, {} if isinstance(value, dict) else None)


def tokens_of(text: str, option: str) -> int:
    """A number of tokens, as in 512 or 8k (1024 each)."""
    found = re.fullmatch(r"([0-9]{1,9})([kKmM]?)", text)
    number = int(found[1]) << {"": 0, "k": 10, "m": 20}[found[2].lower()] if found is not None else 0
    if not 0 < number <= _MOST_TOKENS:
        what = f"{option} '{text}' is not a number of tokens from 1 to {_MOST_TOKENS}"
        raise InputError(what, f"write {option} 512, or {option} 8k for 8192")
    return number
