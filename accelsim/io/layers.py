"""Mappings of a model: one file per layer, named one by one (`LAYER=FILE`) or all in one folder (`LAYER.yaml`)."""

from __future__ import annotations

import os
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from pathlib import Path

from accelsim.errors import InputError, did_you_mean
from accelsim.io.catalogue import MAPPING, resolve
from accelsim.io.evaluation import write_text
from accelsim.io.mapping import dump_mapping, load_fitting
from accelsim.io.source import load
from accelsim.mapping.tree import Mapping
from accelsim.workload.cascade import Cascade, Model


def load_layers(model: Model, texts: Sequence[str], overrides: Dict[str, str] | None = None) -> tuple[Mapping, ...]:
    """The mapping of every layer, in order.

    `texts`: `LAYER=FILE` for every layer, or one folder that `save_layers` wrote. `overrides`: texts by `LAYER.let.NAME`.
    Refuses a layer that has no mapping or two, and a name that no layer has.
    """
    names = tuple(dict.fromkeys(layer.cascade.name for layer in model.layers))
    if len(texts) == 1 and os.path.isdir(texts[0]):
        files = {name: str(path) for name in names if (path := Path(texts[0]) / _file(name)).exists()}
    else:
        files = _named(model, names, texts)
    settings = _settings(model, names, overrides or {})
    for name in names:
        if name not in files:
            mend = f"write --mapping {name}=FILE, or --mapping FOLDER where '{name}.yaml' is"
            raise InputError(f"layer '{name}' of {model.name} has no mapping", mend)
    found = []
    for layer in model.layers:
        name = layer.cascade.name
        found.append(load_fitting(resolve(files[name], MAPPING), layer.cascade, settings[name])[0])
    return tuple(found)


def _named(model: Model, names: Sequence[str], texts: Sequence[str]) -> dict[str, str]:
    files: dict[str, str] = {}
    for text in texts:
        fitting = [name for name in names if text.startswith(f"{name}=")]
        if not fitting:
            wanted, equals, _ = text.partition("=")
            if not equals:
                what = f"--mapping {text}: {model.name} is a model, and each of its layers has its own mapping"
                raise InputError(what, f"write --mapping LAYER={text} for {', '.join(names)}")
            raise InputError(f"--mapping {text}: {model.name} has no layer '{wanted}'", did_you_mean(wanted, names))
        name = max(fitting, key=len)
        if name in files:
            raise InputError(f"--mapping {text}: layer '{name}' has a mapping already", "remove one of the two")
        files[name] = text.removeprefix(f"{name}=")
    return files


def _settings(model: Model, names: Sequence[str], overrides: Dict[str, str]) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for path, value in overrides.items():
        fitting = [name for name in names if path.startswith(f"{name}.")]
        if not fitting:
            what = f"--set mapping.{path}: {model.name} has no layer '{path.split('.')[0]}'"
            raise InputError(what, f"write mapping.LAYER.let.NAME for one of {', '.join(names)}")
        name = max(fitting, key=len)
        found[name][path.removeprefix(f"{name}.")] = value
    return found


def refuse_target(model: Model, target: str) -> None:
    """An InputError before any work is done unless `target` is a folder and the layers can name files in it."""
    if not os.path.isdir(target):
        layers = f"{len(model.layers)} layer{'s' * (len(model.layers) != 1)}"
        raise InputError(f"{target}: {model.name} is a model of {layers}, each with its own mapping", "name a folder that exists")
    known: dict[str, object] = {}
    for layer in model.layers:
        _file(layer.cascade.name)
        if known.setdefault(layer.cascade.name, layer.cascade) != layer.cascade:
            raise InputError(f"{model.name} has different layers called '{layer.cascade.name}'", "give each its own 'name:'")


def save_layers(model: Model, mappings: Sequence[Mapping], target: str) -> None:
    """Write every layer's mapping to LAYER.yaml in a folder that exists."""
    for layer, mapping in zip(model.layers, mappings, strict=True):
        save_mapping(layer.cascade, mapping, str(Path(target) / _file(layer.cascade.name)))


def refuse_numbered(cascade: Cascade, target: str) -> None:
    """An InputError before any work is done unless `target` is a folder and the cascade can name files in it."""
    if not os.path.isdir(target):
        raise InputError(f"{target}: a front has several mappings", "name a folder that exists")
    _file(cascade.name, "workload")


def save_numbered(cascade: Cascade, mappings: Sequence[Mapping], target: str) -> None:
    """Write mappings of one cascade to NAME-1.yaml, NAME-2.yaml, … in a folder that exists."""
    for number, mapping in enumerate(mappings, 1):
        save_mapping(cascade, mapping, str(Path(target) / _file(f"{cascade.name}-{number}", "workload")))


def save_mapping(cascade: Cascade, mapping: Mapping, target: str) -> None:
    """Write a mapping to a file that says, in a comment, for which sizes it was found."""
    sizes = ", ".join(f"{rank} = {size}" for rank, size in cascade.extents.items())
    write_text(f"# found for {sizes}\n{dump_mapping(mapping)}", target)


def layer_of(model: Model, path: Path) -> Cascade:
    """The cascade of the layer that a mapping file is for: the one whose name the file or the mapping in it has."""
    cascades = {layer.cascade.name: layer.cascade for layer in model.layers}
    stated = load(path).mapping("a mapping file").get("mapping")
    title = stated.value if stated is not None and isinstance(stated.value, str) else ""
    for name in (path.stem, title.partition(" on ")[0]):
        if name in cascades:
            return cascades[name]
    raise InputError(f"{path}: does not say which layer of {model.name} it is for", f"name the file after one of {', '.join(cascades)}")


def _file(name: str, what: str = "layer") -> str:
    if name.startswith(".") or any(sign in name for sign in "/\\:\0\n"):
        raise InputError(f"{what} '{name}' cannot name a file", f"give it a plain name with '{'name' if what == 'layer' else what}:'")
    return f"{name}.yaml"
