"""Campaigns of networks from YAML. The format: docs/faults-network.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.campaign import Campaign
from accelsim.faults.plan import Plan
from accelsim.hardware.architecture import Architecture
from accelsim.io.arrays import load_arrays
from accelsim.io.campaign_keys import (
    at_home,
    decided_by,
    drawing_of,
    drawn,
    faults_of,
    file_of,
    mapping_of,
    merged,
    placed,
    sample_of,
    scale_of,
)
from accelsim.io.catalogue import MACHINE, WORKLOAD
from accelsim.io.fault_kinds import STUCK
from accelsim.io.hardware import load_architecture
from accelsim.io.overrides import Overrides, overrides
from accelsim.io.source import Item, Setting, read_text
from accelsim.io.workload import declaration, load_workload, with_setting
from accelsim.jobs.store import content_key, digest
from accelsim.mapping.tree import Mapping as LoopTree
from accelsim.workload.build import build
from accelsim.workload.cascade import Cascade, Einsum, Model, Tensor

if TYPE_CHECKING:
    from accelsim.faults.network import Network, NetworkLayer
    from accelsim.faults.network_target import ArrayLayer, Decisions, NetworkTarget

_KEYS = ("campaign", "about", "source", "network", "arch", "in", "set", "inputs", "values", "decision", "faults", "sample", "seed")
_OWN = ("shape", "split", "type", "tensors", "constants", "einsums")  # of a cascade that stands in the layer
_RUN = ("mapping", "stationary", "einsum")
_LAYER_KEYS = ("name", "workload", "set", *_OWN, *_RUN, "takes", "outputs")
_PLACES = ("array", "words")
LABELS = "labels"
_RUN_TO_CHECK = 1 << 20  # points


@dataclass(frozen=True)
class _Entry:
    """A layer as it is described: its keys, its cascade, and what each of its inputs is taken from. `einsum`: the one that runs on an
    array by a mapping of the cascade `on_array`, or (no mapping) the last one.
    """

    item: Item
    keys: dict[str, Item]
    name: str
    cascade: Cascade
    on_array: Cascade
    mapping: LoopTree | None
    einsum: Einsum
    takes: dict[str, tuple[str, str]]


@dataclass(frozen=True)
class _Described:
    """A document as far as it says anything before the network runs."""

    machine: Architecture | None
    entries: list[_Entry]
    values: dict[str, Any]


def load_network(document: Item, keys: dict[str, Item], settings: Sequence[str], folder: Path) -> Campaign:
    """The campaign of a document with `network`. InputError with the place for what is wrong."""
    try:
        said = _described(document, keys, settings, folder)
        network = _network(said.entries, said.values, _in_words(keys))
        target = _target(document, keys, network, said.entries, said.machine, said.values.get(LABELS))
        sample = sample_of(keys.get("sample"))
        placed(keys.get("sample", document), lambda _: Plan.first(target.strata, sample, target.chunk))
    except InputError as error:
        raise at_home(error, keys, document, settings) from None
    seed = keys["seed"].integer("'seed'", 0) if "seed" in keys else 0
    layers = tuple((each.name, each.cascade, each.mapping, each.einsum.name, each.takes) for each in said.entries)
    values = {name: digest(words) for name, words in said.values.items()}
    described = content_key(layers, said.machine, values, target.key_parts(), sample.injects, seed)
    return Campaign(keys["campaign"].name("a campaign"), target, sample, seed, described)


def check_network(document: Item, keys: dict[str, Item], folder: Path) -> tuple[str, str]:
    """The name of a campaign that is right, and what it injects; only a small network is run for that."""
    try:
        said = _described(document, keys, (), folder)
    except InputError as error:
        raise at_home(error, keys, document) from None
    points = _points(said.entries)
    name = keys["campaign"].name("a campaign")
    if points > _RUN_TO_CHECK:
        return name, f"upsets in a network of {len(said.entries)} layers and {points:,} points"
    target = load_network(document, keys, (), folder).target
    kinds = "tensors" if _in_words(keys) else "kinds of registers"
    return name, f"{len(target.strata)} {kinds} in {len(said.entries)} layers, {sum(each.population for each in target.strata):,} upsets"


def _described(document: Item, keys: dict[str, Item], settings: Sequence[str], folder: Path) -> _Described:
    document.only(_KEYS, "a campaign of a network")
    if "campaign" not in keys:
        raise document.error("a campaign has no 'campaign'", "write campaign: NAME")
    names = _names(keys["network"])
    texts = merged(keys, settings)
    own = {name: [each.removeprefix(f"{name}.") for each in texts if each.startswith(f"{name}.")] for name in names}
    given = overrides([each for each in texts if each.partition(".")[0] not in names])
    given.refuse("workload", "mapping")
    machine = load_architecture(file_of(keys["arch"], MACHINE, folder), given.arch) if "arch" in keys else None
    entries: list[_Entry] = []
    for item, name in zip(keys["network"].items("a network"), names, strict=True):
        entries.append(_entry(item, name, machine, own[name], folder, entries))
    _refuse_large(keys["network"], entries)
    return _Described(machine, entries, _values(keys, entries, folder))


def _points(entries: Sequence[_Entry]) -> int:
    return sum(prod(each.cascade.extents[rank] for rank in einsum.ranks) for each in entries for einsum in each.cascade.work)


def _refuse_large(item: Item, entries: Sequence[_Entry]) -> None:
    """An InputError before any tensor is made for a network with more words or points than are followed one by one."""
    from accelsim.faults.network import MOST_POINTS

    words = sum(prod(tensor.shape) for each in entries for tensor in each.cascade.tensors.values())
    for many, what in ((_points(entries), "points"), (words, "words")):
        if many > MOST_POINTS:
            told = f"the network has {many:,} {what}, more than the {MOST_POINTS:,} that are followed one by one"
            raise item.error(told, "make it smaller")


def _names(item: Item) -> list[str]:
    found: list[str] = []
    for entry in item.items("a network"):
        stated = entry.mapping("a layer")
        if "name" not in stated:
            raise entry.error("a layer of a network has no name", "write name: NAME")
        name = stated["name"].name("the layer's name")
        if not name.isidentifier():
            raise stated["name"].error(f"a layer is called '{name[:60]}'", "use letters, digits and _, starting with a letter")
        if name in found:
            raise stated["name"].error(f"two layers are called '{name}'", "give each its own name")
        found.append(name)
    if not found:
        raise item.error("the network has no layers", "write network: [{name: NAME, workload: NAME}]")
    return found


def _entry(
    item: Item, name: str, machine: Architecture | None, settings: Sequence[str], folder: Path, before: Sequence[_Entry]
) -> _Entry:  # fmt: skip
    keys = item.only(_LAYER_KEYS, "a layer of a network")
    if ("workload" in keys) == ("einsums" in keys):
        raise item.error("a layer either names a workload or has einsums", "write workload: NAME, or einsums: ['Z[m,n] = …']")
    try:
        given = overrides(merged(keys, settings))
        if given.arch:
            raise InputError(f"--set arch.{next(iter(given.arch))}: layers share one machine", "write it in the campaign's own 'set'")
        cascade = _cascade(item, keys, name, given, folder)
    except InputError as error:
        told = at_home(error, keys, item, settings)
        if isinstance(told.place, Setting):  # of the campaign or the command line, which call it by its layer
            told = InputError(told.what, told.mend, replace(told.place, file=f"{name}.{told.place.file}"))
        raise told from None
    takes = _takes(keys.get("takes"), item, cascade, before)
    if not {"mapping", "stationary"} & set(keys):
        if "einsum" in keys:
            raise keys["einsum"].error(f"layer '{name}' runs on no array", "leave 'einsum' out, or say what stays in the array")
        return _Entry(item, keys, name, cascade, cascade, None, cascade.last, takes)
    if machine is None:
        raise item.error(f"layer '{name}' runs on an array, and the campaign names no machine", "write arch: NAME in the campaign")
    from accelsim.faults.firings import einsum_on_array

    named = keys.get("einsum", item)
    chosen = None if named is item else named.name("'einsum'")
    alone = cascade if "mapping" in keys or len(cascade.work) == 1 else placed(named, lambda _: _alone(cascade, chosen))
    mapping, on_array = placed(item, lambda _: mapping_of(item, keys, given, folder, alone, machine))
    einsum = placed(named, lambda _: einsum_on_array(on_array, machine, mapping, chosen))
    return _Entry(item, keys, name, cascade if alone is not cascade else on_array, on_array, mapping, einsum, takes)


def _alone(cascade: Cascade, name: str | None) -> Cascade:
    """The Einsum of a cascade that has this name, as a cascade of its own: the others run elsewhere."""
    if name is None:
        mend = f"say which runs on the array, as in einsum: {cascade.work[0].name}"
        raise InputError(f"{cascade.name} has {len(cascade.work)} Einsums", mend)
    if name not in cascade.by_name:
        raise InputError(f"'{cascade.name}' has no Einsum '{name}'", did_you_mean(name, cascade.by_name))
    einsum = cascade.by_name[name]
    ends = {read.tensor: False for read in einsum.reads} | {einsum.output.tensor: True}
    tensors = {each: replace(cascade.tensors[each], is_input=not end, is_output=end) for each, end in ends.items()}
    return replace(cascade, einsums=(einsum,), tensors=tensors)


def _cascade(item: Item, keys: Mapping[str, Item], name: str, given: Overrides, folder: Path) -> Cascade:
    """The cascade that a layer names, or has, under the layer's name."""
    if "workload" in keys:
        for key in _OWN:
            if key in keys:
                raise item.key_error(key, f"a layer that names a workload has no '{key}'", f"write set: {{{key}. … : …}}")
        found = load_workload(file_of(keys["workload"], WORKLOAD, folder), given.workload)
        if isinstance(found, Model):
            raise keys["workload"].error(f"{found.name} is a model of several layers", "name a workload of one cascade")
        return replace(found, name=name)
    places = item.key_places or {}
    inner = Item({key: keys[key] for key in _OWN if key in keys}, item.place, {key: places[key] for key in _OWN if key in places})
    for path, text in given.workload.items():
        inner = with_setting(inner, path.split("."), text, path)
    return build(declaration(inner, read_text(Path(item.place.file)), name))


def _takes(item: Item | None, entry: Item, cascade: Cascade, before: Sequence[_Entry]) -> dict[str, tuple[str, str]]:
    """For inputs, the layer and tensor that each is: as stated, else the output of that name of the last layer before that has one."""
    inputs = [name for name, tensor in cascade.tensors.items() if tensor.is_input]
    found = {}
    for own in inputs:
        for other in before:
            if own in other.cascade.tensors and other.cascade.tensors[own].is_output:
                found[own] = (other.name, own)
    known = {f"{other.name}.{name}": (other.name, name) for other in before for name in other.cascade.tensors}
    stated = item.mapping("'takes'") if item is not None else {}
    for own, source in stated.items():
        if own not in inputs:
            assert item is not None
            raise item.key_error(own, f"{cascade.name} has no input '{own}'", did_you_mean(own, inputs))
        text = source.name("what is taken")
        if text not in known:
            raise source.error(f"no layer before {cascade.name} has '{text}'", did_you_mean(text, known))
        found[own] = known[text]
    for own, (layer, name) in found.items():
        shape, mine = next(other for other in before if other.name == layer).cascade.tensors[name].shape, cascade.tensors[own].shape
        if shape != mine:
            what = f"{cascade.name} reads {own}{list(mine)}, and {layer}.{name} is {list(shape)}"
            raise stated.get(own, entry).error(what, "make the shapes agree")
    return found


def _values(keys: Mapping[str, Item], entries: Sequence[_Entry], folder: Path) -> dict[str, Any]:
    """Values of all inputs that no layer makes, by LAYER.TENSOR, and labels if a file has them."""
    import numpy as np

    inputs: dict[str, Tensor] = {
        f"{each.name}.{name}": tensor
        for each in entries for name, tensor in each.cascade.tensors.items() if tensor.is_input and name not in each.takes
    }  # fmt: skip
    draw, seed, ranges = drawing_of(keys.get("inputs"), inputs, "the network")
    found: dict[str, Any] = {}
    for number, each in enumerate(entries):
        mine = {name.partition(".")[2]: pair for name, pair in ranges.items() if name.startswith(f"{each.name}.")}
        made = drawn(each.cascade, draw, mine, np.random.default_rng([seed, number]))
        found |= {f"{each.name}.{name}": words for name, words in made.items() if name not in each.takes}
    if "values" not in keys:
        return found
    item = keys["values"]
    path = folder / item.name("a file of values")
    stored = placed(item, lambda _: load_arrays(path))
    for name, array in stored.items():
        if name == LABELS:
            if "decision" not in keys:
                raise item.error(f"{path} has labels, and the campaign decides nothing", "write decision: RANK")
            continue
        if name not in inputs:
            raise item.error(f"{path}: the network has no input '{name}'", did_you_mean(name, [*inputs, LABELS]))
        tensor = inputs[name]
        half = 1 << int(tensor.final.bits) - 1
        if array.shape != tensor.shape:
            raise item.error(f"{path}: {name} is {list(array.shape)}, and the network reads {list(tensor.shape)}", "make the shapes agree")
        if array.size and not -half <= array.min() <= array.max() < half:
            raise item.error(f"{path}: {name} has values that {tensor.final.name} does not hold", "store others, or give it a wider type")
    return found | stored


def _in_words(keys: Mapping[str, Item]) -> bool:
    """Whether upsets are in words of tensors; else they are in registers of arrays."""
    if "in" not in keys:
        return False
    where = keys["in"].name("'in'")
    if where not in _PLACES:
        raise keys["in"].error(f"a network has no faults in '{where}'", did_you_mean(where, _PLACES))
    return where == "words"


def _network(entries: Sequence[_Entry], values: Mapping[str, Any], words: bool) -> Network:
    from accelsim.faults.network import Network, NetworkLayer

    layers: list[NetworkLayer] = []
    for each in entries:
        tensor = each.cascade.tensors[each.einsum.output.tensor]
        scale = scale_of(each.keys["outputs"], int(tensor.partial.bits), int(tensor.final.bits)) if "outputs" in each.keys else None
        given = {name: values[f"{each.name}.{name}"] for name, tensor in each.cascade.tensors.items() if f"{each.name}.{name}" in values}
        scales = {} if scale is None else {tensor.name: scale}
        place = each.keys["outputs"].place if "outputs" in each.keys else each.item.place
        layers.append(NetworkLayer(each.name, each.cascade, each.takes, given, scales, place))
    return Network(layers, words)


def _target(
    document: Item, keys: Mapping[str, Item], network: Network, entries: Sequence[_Entry], machine: Architecture | None, labels: Any
) -> NetworkTarget:  # fmt: skip
    from accelsim.faults.network_target import NetworkTarget

    decisions = _decisions(keys, network, entries[-1], labels)
    item = keys.get("faults")
    if _in_words(keys):
        stated = item.only(("bits",), "faults in words") if item is not None else {}
        return NetworkTarget(network, (), decisions, stated["bits"].integer("'bits'", 1) if "bits" in stated else 1)
    if machine is None or all(each.mapping is None for each in entries):
        raise document.error("no layer runs on an array", "say what stays in it, as in stationary: F, or write in: words")
    arrays, together = _arrays(item, network, entries, machine)
    return NetworkTarget(network, arrays, decisions, together)


def _arrays(item: Item | None, network: Network, entries: Sequence[_Entry], machine: Architecture) -> tuple[list[ArrayLayer], int]:
    """The layers on arrays, with the upsets that are asked for in each."""
    from accelsim.faults.array_target import ArrayTarget
    from accelsim.faults.firings import products
    from accelsim.faults.network_target import ArrayLayer
    from accelsim.model.evaluation import Evaluator

    made = {}
    for each in entries:
        if each.mapping is not None:
            mapping, values = each.mapping, {read.tensor: network.values((each.name, read.tensor)) for read in each.einsum.reads}
            evaluator = Evaluator(each.on_array, machine)
            made[each.name] = placed(each.item, lambda _, v=evaluator, m=mapping, e=each.einsum, x=values: products(v, m, e, x))  # type: ignore[misc]
    fields, together, kind = faults_of(item, [some[0].run.registers for some in made.values()], ("layers",))
    if kind == STUCK:
        assert item is not None
        what = "bits that are stuck last through all layers, which is not followed"
        raise item.mapping("faults")["kind"].error(what, "write kind: upset")
    wanted = list(made)
    if item is not None and "layers" in item.mapping("faults"):
        wanted = []
        for named in item.mapping("faults")["layers"].items("'layers'"):
            name = named.name("a layer")
            if name not in made:
                raise named.error(f"no layer '{name}' runs on an array", did_you_mean(name, made))
            wanted.append(name)
    found = []
    for each in entries:
        if each.name in wanted:
            number = network.number[each.name, each.einsum.output.tensor]
            target = ArrayTarget(each.name, made[each.name], network.scales[number], fields, together)
            found.append(ArrayLayer(number, target))
    if not any(each.target.strata for each in found):
        assert item is not None
        raise item.error("these layers have none of these registers", "name others")
    return found, together


def _decisions(keys: Mapping[str, Item], network: Network, last: _Entry, labels: Any) -> Decisions | None:
    """Along a rank of the last output."""
    from accelsim.faults.network_target import Decisions, labelled

    if "decision" not in keys:
        return None
    einsum = last.cascade.last
    found = Decisions(network.number[last.name, einsum.output.tensor], decided_by(keys["decision"], last.cascade, einsum))
    return found if labels is None else placed(keys["values"], lambda _: labelled(found, labels))
