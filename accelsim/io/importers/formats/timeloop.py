"""Problems of an analytical model of one loop nest: dimensions, and data spaces whose coordinates are sums of products."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from accelsim.errors import did_you_mean
from accelsim.io.importers.names import identifier, layer_name
from accelsim.io.importers.network import Imported, Request, written
from accelsim.io.importers.sheet import Sheet
from accelsim.io.importers.template import filled
from accelsim.io.source import Item

ABOUT = "problems (problem: in .yaml)"
_TOP = re.compile(r"(?m)^problem:")
_SHAPE = {"name", "dimensions", "data_spaces", "data-spaces", "coefficients", "version"}


def fits(path: Path, text: str | None) -> bool:
    """Whether a file is of this format."""
    return path.suffix in (".yaml", ".yml") and text is not None and _TOP.search(text) is not None


def read(path: Path, request: Request) -> Imported:
    """The problem of a file: one Einsum."""
    item, _, known = filled(path, request)
    for key in item.mapping("the file"):
        if key != "problem" and key not in known:
            raise item.key_error(key, f"the file has '{key}' beside the problem", "only problems are imported: put it in a file of its own")
    problem = item.mapping("the file")["problem"]
    top = problem.only({"version", "shape", "instance"}, "a problem")
    for key in ("shape", "instance"):
        if key not in top:
            raise problem.error(f"the problem has no '{key}'", f"write {key}:")
    if not isinstance(top["shape"].value, dict):
        raise top["shape"].error(f"the shape is {top['shape'].kind()}, which names one that the tool ships", "write the shape out")
    sheet = _sheet(top["shape"], top["instance"], path.stem, request)
    name = layer_name(sheet.name)
    return Imported(written(name, f"Imported from {path.name}.", f"{path.name}, a problem of one loop nest", [sheet], request))


def _sheet(item: Item, instance: Item, stem: str, request: Request) -> Sheet:
    shape = item.only(_SHAPE, "a shape")
    spaces = shape.get("data_spaces", shape.get("data-spaces"))
    if spaces is None or "dimensions" not in shape:
        raise item.error("the shape has no dimensions or no data_spaces", "write both")
    numbers = instance.mapping("an instance")
    density = numbers.get("densities")
    values = {key: child for key, child in numbers.items() if key != "densities"}
    ranks: dict[str, str] = {}
    sizes: dict[str, int] = {}
    for each in shape["dimensions"].items("dimensions"):
        name = each.name("a dimension")
        rank = identifier(name).lower()
        if rank in sizes:
            raise each.error(f"two dimensions are called '{rank}' in lower case", "give them other names")
        if name not in values:
            raise instance.error(f"the instance has no size for dimension '{name}'", did_you_mean(name, values))
        ranks[name], sizes[rank] = rank, values[name].integer(f"the size of '{name}'", 1)
    known = _coefficients(shape.get("coefficients"), values)
    for name, child in values.items():
        near = next((each for each in (*ranks, *known) if each.lower() == name.lower()), name)
        if near != name and child.value != 1:  # that it is 1 changes nothing
            raise instance.key_error(name, f"nothing has '{name}'", f"did you mean '{near}'?")
    reads, output, tensors = list[str](), "", set[str]()
    for space in spaces.items("data_spaces"):
        stated = space.only({"name", "projection", "read_write", "read-write"}, "a data space")
        if "name" not in stated or "projection" not in stated:
            raise space.error("a data space has no name or no projection", "write both")
        name = identifier(stated["name"].name("the name of a data space"))
        if name in tensors:
            raise stated["name"].error(f"two data spaces are called '{name}'", "give them other names")
        tensors.add(name)
        axes = [_sum(axis, ranks, known) for axis in stated["projection"].items("a projection")]
        text = f"{name}[{','.join(axes)}]"
        written_to = stated.get("read_write", stated.get("read-write"))
        if written_to is not None and written_to.boolean("read_write"):
            if output:
                raise space.error("two data spaces are written", "write one of them")
            output = text
        else:
            reads.append(text)
    if not output or not reads:
        raise spaces.error("no data space is written, or none is read", "say read_write: true of the one that is written")
    used = {rank for rank in sizes if any(re.search(rf"\b{rank}\b", text) for text in (output, *reads))}
    for name, rank in ranks.items():
        if rank not in used:
            raise item.error(f"no data space has dimension '{name}'", "leave it out")
    title = shape["name"].text("the name of the shape") if "name" in shape else stem
    kind = request.type or "bf16"
    densities = _densities(density, tensors) if density is not None else {}
    types = {"default": kind}
    text = f"{output} = {' * '.join(reads)}"
    return Sheet(layer_name(title), (text,), sizes, types, {}, (output.partition("[")[0],), densities=densities)


def _coefficients(item: Item | None, values: Mapping[str, Item]) -> dict[str, int]:
    """Numbers by which dimensions are multiplied: those of the instance, else their defaults."""
    found = {}
    for each in item.items("coefficients") if item is not None else ():
        stated = each.only({"name", "default"}, "a coefficient")
        if "name" not in stated:
            raise each.error("a coefficient has no name", "write name: stride")
        name = stated["name"].name("a coefficient")
        size = values.get(name, stated.get("default"))
        if size is None:
            raise each.error(f"coefficient '{name}' has no value", "state it in the instance")
        found[name] = size.integer(f"coefficient '{name}'", 1)
    return found


def _sum(item: Item, ranks: Mapping[str, str], known: Mapping[str, int]) -> str:
    """A coordinate: a sum of products of one dimension and coefficients."""
    if isinstance(item.value, str):
        return _product([item], item, ranks, known)
    terms = [term if isinstance(term.value, list) else Item([term], term.place) for term in item.items("a coordinate")]
    if not terms:
        raise item.error("a coordinate has no dimension", "name one")
    return "+".join(_product(term.items("a product"), term, ranks, known) for term in terms)


def _product(factors: list[Item], item: Item, ranks: Mapping[str, str], known: Mapping[str, int]) -> str:
    names = [factor.name("a factor") for factor in factors]
    scale, dimensions = 1, []
    for name, factor in zip(names, factors, strict=True):
        if name in ranks:
            dimensions.append(ranks[name])
        elif name in known:
            scale *= known[name]
        else:
            raise factor.error(f"there is no dimension or coefficient '{name}'", did_you_mean(name, (*ranks, *known)))
    if len(dimensions) != 1:
        raise item.error(f"a product of {len(dimensions)} dimensions", "a term is one dimension, times coefficients")
    return dimensions[0] if scale == 1 else f"{scale}*{dimensions[0]}"


_EVEN = {"hypergeometric", "fixed-structured", "fixed_structured"}


def _densities(item: Item, tensors: set[str]) -> dict[str, str]:
    """Shares of elements that are not zero."""
    found = {}
    for name, child in item.mapping("densities").items():
        if identifier(name) not in tensors:
            raise item.key_error(name, f"there is no data space '{name}'", did_you_mean(name, tensors))
        if isinstance(child.value, dict):
            stated = child.only({"distribution", "density"}, "a density")
            how = stated["distribution"].name("a distribution") if "distribution" in stated else "hypergeometric"
            if how not in _EVEN:
                raise child.error(f"elements lie as '{how}'", f"known are {', '.join(sorted(_EVEN))}")
            if "density" not in stated:
                raise child.error("the density has no number", "write density: 0.5")
            child = stated["density"]
        if isinstance(child.value, bool) or not isinstance(child.value, (int, float)) or not 0 < child.value <= 1:
            raise child.error(f"a density is a number up to 1, not {child.kind()}", "write density: 0.5")
        if child.value < 1:
            found[identifier(name)] = repr(float(child.value))
    return found
