"""Models in workload files: layers one after the other, and phases of inference, each with its own layers and number of steps."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from accelsim.errors import did_you_mean
from accelsim.formula import Value
from accelsim.io.inherit import Document, document
from accelsim.io.model_sizes import constants_of, evaluated, formula, names_of, sizes_of, stated_in
from accelsim.io.serving import read_serving
from accelsim.io.source import Item
from accelsim.io.workload import KEYS, Find, declaration, read_workload, shape_of, with_setting
from accelsim.workload.build import build
from accelsim.workload.cascade import Cascade, Layer, Model, Phase

_KEYS = ("workload", "about", "source", "shape", "constants", "serving", "weights")
_LAYER_KEYS = ("use", "layer", "name", "times", "bind", "shape", "split", "type", "tensors", "constants", "einsums", "density", "format")
_PHASE_KEYS = ("name", "use", "layers", "shape", "steps", "tokens", "grows")
_GROWS_KEYS = ("rank", "from", "to", "every")
_DEEPEST_USE = 6
_MOST_SIZES = 1024  # of a rank that grows

Shape = dict[str, int]


def read_model(item: Item, text: str, find: Find, depth: int, only: str = "") -> Model:
    """The Model of a parsed document with `layers` or `phases`; `text` is the document itself, for columns in messages.

    `only`: the one layer that is asked for; others may be left out.
    """
    what = "phases" if "phases" in item.mapping("a workload") else "layers"
    top = item.only({*_KEYS, what}, f"a workload with {what}")
    name = top["workload"].name("the workload's name")
    if depth > _DEEPEST_USE:
        raise top[what].error(f"layers use each other more than {_DEEPEST_USE} deep", "does a workload use itself?")
    if depth and what == "phases":
        raise top["phases"].error(f"'{name}' has phases, and no layer can use it", "use the workload of one of its phases")
    if "about" in top:
        top["about"].text("about")
    source = top["source"].text("source") if "source" in top else ""
    shape = shape_of(top.get("shape"))
    reader = Reader(text, find, depth, shape, set(), constants_of(top.get("constants"), shape), stated_in(top), only=only)
    if what == "layers":
        made = reader.layers(top["layers"], name)
        ranks = reader.used.union(*(layer.cascade.extents for layer in made))
        model = Model(name, tuple(made), source, serving=None if only else read_serving(top, names_of(shape, reader.constants), ranks))
    else:
        for key in ("serving", "weights"):
            if key in top:
                raise item.key_error(key, f"a workload with phases has no '{key}'", "write it in the workload of one step")
        layers, phases = reader.phases(top["phases"], top.get("shape"))
        model = Model(name, tuple(layers), source, tuple(phases))
    for rank in reader.shared:
        if rank not in reader.used:
            raise top["shape"].key_error(rank, f"no layer has rank '{rank}'", did_you_mean(rank, reader.used))
    return model


@dataclasses.dataclass
class Reader:
    """What all layers of a document share.

    `shared`: sizes for layers that have the rank; `used`: the ranks that some layer has, so far. `constants`: what formulas of sizes and
    `times` may name beside sizes. `stated`: those of them that workloads with such constants take over from here: numbers, as what follows
    from sizes follows from theirs there. `given`: documents at hand, by the name that `use` says. `only`: the layer that is asked for, if
    one is; others are known and not made.
    """

    text: str
    find: Find
    depth: int
    shared: Shape
    used: set[str]
    constants: Mapping[str, Value] = dataclasses.field(default_factory=dict)
    stated: frozenset[str] = frozenset()
    given: Mapping[str, Document] = dataclasses.field(default_factory=dict)
    only: str = ""

    def layers(self, item: Item, name: str, bound: bool = True) -> list[Layer]:
        """The layers of a list; `name`: before the number of one that has no name. `bound`: outputs have to fit what later ones read."""
        found: list[Layer] = []
        for number, entry in enumerate(item.items("layers")):
            found.extend(self._layer(entry, f"{name}.{number}"))
        if not found and not self.only:
            raise item.error("the workload has no layers", "write layers: [{use: matmul}]")
        if bound:
            _check_bindings(found, item)
        return found

    def _layer(self, entry: Item, default: str) -> list[Layer]:
        stated = entry.only(set(_LAYER_KEYS), "a layer")
        if ("use" in stated) == ("einsums" in stated):
            raise entry.error("a layer either uses a workload or has einsums", "write {use: attention} or {name: ..., einsums: [...]}")
        names = sizes_of(self.shared, self.constants)
        times = formula(stated["times"], "'times'", names) if "times" in stated else 1
        own = shape_of(stated.get("shape"), names)
        formulas = [str(item.value) for item in (*_section(stated, "shape").values(), *([stated["times"]] if "times" in stated else []))]
        self.used.update(known for known in self.shared if any(_mentions(text, known) for text in formulas))
        if not times or not all(own.values()):  # as often as that, a layer is not there
            return self._absent(entry, stated, own)
        if "einsums" in stated:
            name = stated["name"].name("the layer's name") if "name" in stated else default
            made = declaration(entry, self.text, name, own)
            ranks = {*made.shape, *made.split, *(part for parts in made.split.values() for part in parts)}
            sizes = [str(size) for tensor in made.tensors.values() for size in tensor.shape or ()]
            texts = [*(statement.text for statement in made.statements), *sizes]
            ranks |= {rank for rank in self.shared if any(_mentions(text, rank) for text in texts)}
            shape = {rank: size for rank, size in self.shared.items() if rank in ranks} | own
            self.used.update(shape)
            if self.only not in ("", name):
                return []
            named = {name: float(value) for name, value in self.constants.items() if any(_mentions(text, name) for text in texts)}
            layer = Layer(build(dataclasses.replace(made, shape=shape, constants=named | dict(made.constants))), times)
            return _bound([layer], stated.get("bind"), name)
        for key in set(stated) - {"use", "layer", "times", "shape", "name", "bind", "constants"}:
            raise entry.key_error(key, f"a layer that uses a workload has no '{key}'", "write it in that workload")
        given = {name: evaluated(value, f"constant '{name}'", names) for name, value in _section(stated, "constants").items()}
        found = self._inner(entry, stated, own, given)
        called = stated.get("name", stated.get("layer"))
        if self.only and called is not None and called.value != self.only:
            return []
        chosen = stated["layer"].name("'layer'") if "layer" in stated else ""
        loaded = read_workload(found.item, found.text, found.find, self.depth + 1, chosen)
        if chosen and isinstance(loaded, Model) and not loaded.layers:  # it has no such layer: say which it has
            loaded = read_workload(found.item, found.text, found.find, self.depth + 1)
        if isinstance(loaded, Model):
            layers = _chosen(loaded, stated) if "layer" in stated else loaded.layers
            repeated = [dataclasses.replace(layer, times=layer.times * times) for layer in layers]
            inside = loaded.name
            if "name" in stated and "layer" not in stated:
                inside = stated["name"].name("the name before those of its layers")
                within = [dataclasses.replace(layer.cascade, name=f"{inside}-{layer.cascade.name}") for layer in repeated]
                repeated = [dataclasses.replace(layer, cascade=each) for layer, each in zip(repeated, within, strict=True)]
            return _bound(repeated, stated.get("bind"), inside)
        if "layer" in stated:
            raise stated["layer"].error(f"{loaded.name} is one cascade and has no layers", "leave 'layer' out")
        name = stated["name"].name("the layer's name") if "name" in stated else loaded.name
        return _bound([Layer(dataclasses.replace(loaded, name=name), times)], stated.get("bind"), name)

    def _absent(self, entry: Item, stated: Mapping[str, Item], own: Shape) -> list[Layer]:
        """A layer that is there no time, or has a rank of no size: its ranks are known, and it is left out."""
        one = {rank: Item(max(1, size), entry.place) for rank, size in own.items()}
        kept = {key: value for key, value in stated.items() if key not in ("times", "shape")}
        self._layer(Item({**kept, "shape": Item(one, entry.place, {})}, entry.place, entry.key_places), "")
        return []

    def _inner(self, entry: Item, stated: Mapping[str, Item], own: Shape, given: Mapping[str, Value]) -> Document:
        """The workload that a layer uses, with the sizes and constants that it gets from here."""
        found = self.given.get(stated["use"].name("'use'")) or document(stated["use"], self.find, Path(entry.place.file))
        inner, path = found.item, found.path
        inside = inner.only(set(KEYS), "a workload")
        names = set(inside["shape"].mapping("shape")) if "shape" in inside else set()
        for parts in (inside["split"].mapping("split") if "split" in inside else {}).values():
            names |= set(parts.mapping("a split"))
        for rank in own:
            if rank not in names:
                raise stated["shape"].key_error(rank, f"'{path.stem}' has no rank '{rank}'", did_you_mean(rank, names))
        self.used.update(names & ({*self.shared} | {*own}))
        for rank, size in {**{rank: size for rank, size in self.shared.items() if rank in names}, **own}.items():
            inner = with_setting(inner, ["shape", rank], str(size), f"shape.{rank}")
        known = {*_section(inside, "constants")}
        for name in given:
            if name not in known:
                raise stated["constants"].key_error(name, f"'{path.stem}' has no constant '{name}'", did_you_mean(name, known))
        for name, value in {**{name: self.constants[name] for name in self.stated if name in known}, **given}.items():
            inner = with_setting(inner, ["constants", name], str(value), f"constants.{name}")
        return dataclasses.replace(found, item=inner)

    def phases(self, item: Item, shape: Item | None) -> tuple[list[Layer], list[Phase]]:
        """The layers of all phases, each with its phase before its name, and what the phases are. `shape`: what sizes are shared."""
        layers: list[Layer] = []
        phases: list[Phase] = []
        said = set[str]()  # ranks of which phases say themselves how long they are
        for entry in item.items("phases"):
            stated = entry.only(set(_PHASE_KEYS), "a phase")
            if "name" not in stated:
                raise entry.error("a phase has no name", "write name: prefill")
            name = stated["name"].name("the phase's name")
            if any(phase.name == name for phase in phases):
                raise stated["name"].error(f"there are two phases '{name}'", "give each its own name")
            if ("use" in stated) == ("layers" in stated):
                raise entry.error("a phase either uses a workload or has layers", "write {name: decode, use: decoder, steps: 64}")
            own = shape_of(stated.get("shape"))
            if "grows" in stated and stated["grows"].mapping("grows").get("rank", entry).value in own:
                raise stated["shape"].error("the shape says how long the rank is that grows", "leave it out there")
            inside = dataclasses.replace(self, shared=self.shared | own, used=set())
            steps, made = inside._grown(stated, name) if "grows" in stated else inside._alike(stated, name)
            for rank in own:
                if rank not in inside.used:
                    raise stated["shape"].key_error(rank, f"no layer of '{name}' has rank '{rank}'", did_you_mean(rank, inside.used))
            grown = {stated["grows"].mapping("grows")["rank"].value} if "grows" in stated else set()
            self.used.update(inside.used - set(own) - grown)
            said |= set(own) | grown
            phases.append(Phase(name, steps, _tokens(stated.get("tokens"), made), len(layers), len(layers) + len(made)))
            layers += made
        if not phases:
            raise item.error("the workload has no phases", "write phases: [{name: prefill, use: decoder}]")
        known: dict[str, Cascade] = {}
        for layer in layers:
            if known.setdefault(layer.cascade.name, layer.cascade) != layer.cascade:
                raise item.error(f"different layers are called '{layer.cascade.name}'", "give phases or layers other names")
        for rank in self.shared:
            if rank in said and rank not in self.used:
                what = f"every phase that has rank '{rank}' says itself how long it is"
                raise (shape or item).key_error(rank, what, f"set phases.0.shape.{rank}, and so on")
        return layers, phases

    def _alike(self, stated: Mapping[str, Item], name: str) -> tuple[int, list[Layer]]:
        """The steps of a phase whose steps are all alike, and its layers, each as often as all of them use it."""
        steps = stated["steps"].integer("'steps'", 1) if "steps" in stated else 1
        return steps, [_in_phase(layer, name, "", steps) for layer in self._step(stated, name)]

    def _grown(self, stated: Mapping[str, Item], name: str) -> tuple[int, list[Layer]]:
        """The same of a phase in which a rank is longer by one in every step. What the rank does not matter to is one layer in all."""
        if "steps" in stated:
            raise stated["steps"].error("a phase that grows has one step for each size", "leave 'steps' out")
        rank, sizes = _sizes(stated["grows"])
        found: list[Layer] = []
        for size, steps in sizes.items():
            for layer in dataclasses.replace(self, shared=self.shared | {rank: size})._step(stated, name):
                longer = rank in {*layer.cascade.extents, *(split.rank for split in layer.cascade.splits)}
                made = _in_phase(layer, name, f"-{rank}{size}" if longer else "", steps)
                same = next((at for at, other in enumerate(found) if not longer and other.cascade == made.cascade), None)
                if same is None:
                    found.append(made)
                else:
                    found[same] = dataclasses.replace(made, times=found[same].times + made.times)
        if rank not in self.used:
            raise stated["grows"].error(f"no layer of '{name}' has rank '{rank}'", did_you_mean(rank, self.used))
        return sum(sizes.values()), found

    def _step(self, stated: Mapping[str, Item], name: str) -> list[Layer]:
        """The layers of one step. Those that a phase lists may take other tokens together than the ones before them did."""
        if "layers" in stated:
            return self.layers(stated["layers"], name, bound=False)
        use = stated["use"]
        return self.layers(Item([Item({"use": use}, use.place, {})], use.place), name)


def _chosen(model: Model, stated: Mapping[str, Item]) -> list[Layer]:
    """The layers of a model that `layer` names, called `name` where that is stated too."""
    name = stated["layer"].name("'layer'")
    found = [layer for layer in model.layers if layer.cascade.name == name]
    if not found:
        mend = did_you_mean(name, [layer.cascade.name for layer in model.layers])
        raise stated["layer"].error(f"{model.name} has no layer '{name}'", mend)
    if "name" in stated:
        name = stated["name"].name("the layer's name")
    return [dataclasses.replace(layer, cascade=dataclasses.replace(layer.cascade, name=name)) for layer in found]


def _bound(layers: Sequence[Layer], item: Item | None, inside: str) -> list[Layer]:
    """Layers whose tensors a model calls otherwise: those that `bind` names, and all others by where they are, `inside/TENSOR`."""
    if item is None:
        return list(layers)
    outside = {
        layer.called(name): None
        for layer in layers
        for name, tensor in layer.cascade.tensors.items()
        if tensor.is_input or tensor.is_output
    }
    called: dict[str, str] = {}
    for tensor, other in item.mapping("bind").items():
        if tensor not in outside:
            raise item.key_error(tensor, f"'{inside}' has no input or output '{tensor}'", did_you_mean(tensor, outside))
        called[tensor] = other.name("a name in the model")
    if not called:
        raise item.error("nothing is bound", "write bind: {I: X1, Y: X2}, or leave it out")
    return [
        dataclasses.replace(
            layer, bound={name: called.get(layer.called(name), f"{inside}/{layer.called(name)}") for name in layer.cascade.tensors}
        )
        for layer in layers
    ]


def _in_phase(layer: Layer, phase: str, suffix: str, steps: int) -> Layer:
    named = dataclasses.replace(layer.cascade, name=f"{phase}-{layer.cascade.name}{suffix}")
    return dataclasses.replace(layer, cascade=named, times=layer.times * steps)


def _sizes(item: Item) -> tuple[str, dict[int, int]]:
    """A rank that grows by one each step, and in how many steps it counts as how long: up to the next multiple of `every`."""
    stated = item.only(set(_GROWS_KEYS), "'grows'")
    for key in ("rank", "from", "to"):
        if key not in stated:
            raise item.error(f"'grows' does not say '{key}'", "write grows: {rank: m, from: 513, to: 640, every: 16}")
    first, last = stated["from"].integer("'from'", 1), stated["to"].integer("'to'", 1)
    every = stated["every"].integer("'every'", 1) if "every" in stated else 1
    if last < first:
        raise stated["to"].error(f"'to' is {last}, before 'from', {first}", "swap the two")
    groups = range(-(-first // every), -(-last // every) + 1)
    if len(groups) > _MOST_SIZES:
        enough = -(-(last - first + 1) // _MOST_SIZES)
        raise item.error(f"{len(groups)} sizes are more than {_MOST_SIZES}", f"write every: {enough} or more")
    return stated["rank"].name("'rank'"), {
        group * every: min(last, group * every) - max(first, (group - 1) * every + 1) + 1 for group in groups
    }


def _tokens(item: Item | None, layers: Sequence[Layer]) -> int:
    """The tokens of a step: a number, or the size of a rank, which all layers that have it agree on."""
    if item is None:
        return 1
    if not isinstance(item.value, str):
        return item.integer("'tokens'", 0)
    rank = item.name("'tokens'")
    sizes = sorted({layer.cascade.extents[rank] for layer in layers if rank in layer.cascade.extents})
    if not sizes:
        raise item.error(f"no layer has rank '{rank}'", "write a number, or a rank of the layers, as in tokens: b")
    if len(sizes) > 1:
        raise item.error(f"rank '{rank}' is {' and '.join(map(str, sizes[:2]))} long in different layers", "write a number")
    return sizes[0]


def _section(stated: Mapping[str, Item], key: str) -> dict[str, Item]:
    return stated[key].mapping(key) if key in stated else {}


def _mentions(text: str, rank: str) -> bool:
    return re.search(rf"(?<![A-Za-z_0-9])({re.escape(rank)}|{re.escape(rank.upper())})(?![A-Za-z_0-9\[])", text) is not None


def _check_bindings(layers: Sequence[Layer], item: Item) -> None:
    """An output that a later layer reads by name has the shape that the layer reads."""
    made: dict[str, tuple[str, tuple[int, ...]]] = {}
    for layer in layers:
        for tensor in layer.cascade.tensors.values():
            name = layer.called(tensor.name)
            if tensor.is_input and name in made and made[name][1] != tensor.shape:
                writer, shape = made[name]
                read = f"layer '{layer.cascade.name}' reads {name}{list(tensor.shape)}"
                raise item.error(f"layer '{writer}' makes {name}{list(shape)}, {read}", "make the shapes agree")
        for tensor in layer.cascade.tensors.values():
            if tensor.is_output:
                made[layer.called(tensor.name)] = (layer.cascade.name, tensor.shape)
