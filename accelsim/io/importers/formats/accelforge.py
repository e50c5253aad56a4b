"""Workloads of chains of Einsums: sizes of ranks or ranges of rank variables, and Einsums as text or as lists of tensor accesses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from accelsim.errors import InputError, did_you_mean
from accelsim.formula import whole
from accelsim.io.importers.names import RESERVED, layer_name
from accelsim.io.importers.network import Imported, Request, written
from accelsim.io.importers.sheet import Sheet
from accelsim.io.importers.template import filled
from accelsim.io.source import Item
from accelsim.workload.expression import Name, accesses, index_map, names
from accelsim.workload.grammar import Statement, parse_expression, parse_statement

ABOUT = "workloads of Einsums (workload: with einsums: in .yaml)"
_FITS = re.compile(r"(?m)^workload:[ \t]*(#.*)?$")
_RANGE = re.compile(r"\s*0\s*<=\s*([A-Za-z_]\w*)\s*<\s*(.+?)\s*")
_DIMENSION = re.compile(r"\s*([A-Za-z_]\w*)\s*:\s*(.+?)\s*")
_TYPES = {8: "int8", 16: "bf16", 32: "fp32"}
_MAPPING_ONLY = {"persistent_tensors", "renames", "version"}  # what concerns mappings, and no values or sizes
_WORKLOAD = {"rank_sizes", "iteration_space_shape", "shape", "bits_per_value", "einsums", *_MAPPING_ONLY}
_EINSUM = {"name", "einsum", "tensor_accesses", "iteration_space_shape", "shape", "is_copy_operation", "renames"}
_ACCESS = {"name", "projection", "output", "bits_per_value", "persistent"}


@dataclass(frozen=True, slots=True)
class _Touch:
    """A tensor as an Einsum touches it: the rank of every dimension, and its index."""

    tensor: str
    dimensions: tuple[tuple[str, str], ...]

    def text(self) -> str:
        return f"{self.tensor}[{','.join(index for _, index in self.dimensions)}]"


@dataclass
class _Sizes:
    """Sizes of ranks, and of the variables that walk them, as they become known."""

    ranks: dict[str, int] = field(default_factory=dict)
    variables: dict[str, int] = field(default_factory=dict)

    def add(self, stated: Mapping[str, Item]) -> None:
        """Ranges of a workload or of an Einsum, and sizes of ranks."""
        for key in ("iteration_space_shape", "shape"):
            if key not in stated:
                continue
            value = stated[key].value
            for item in value.values() if isinstance(value, dict) else stated[key].items(key):
                found = _RANGE.fullmatch(item.text("a range"))
                if found is None:
                    raise item.error(f"'{item.value}' is no range", "write 0 <= m < 128")
                self.variables[found[1].lower()] = whole(found[2], f"the range of '{found[1]}'", {}, item.place, 1)
        for rank, item in stated["rank_sizes"].mapping("rank_sizes").items() if "rank_sizes" in stated else ():
            self.ranks[rank.upper()] = whole(item.text(f"the size of '{rank}'"), f"the size of '{rank}'", {}, item.place, 1)


def fits(path: Path, text: str | None) -> bool:
    """Whether a file is of this format."""
    return path.suffix in (".yaml", ".yml") and text is not None and _FITS.search(text) is not None


def read(path: Path, request: Request) -> Imported:
    """The workload of a file. Einsums that pass tensors to each other are one cascade; what only concerns mappings is left out."""
    item, sized, _ = filled(path, request)
    top = item.only({"workload", "renames", "version"}, "the file")
    if "workload" not in top:
        raise item.error("the file has no workload", "write workload:")
    workload = top["workload"].only(_WORKLOAD, "a workload")
    if "einsums" not in workload:
        raise top["workload"].error("the workload has no einsums", "write einsums:")
    sizes = _Sizes()
    sizes.add(workload)
    kind = request.type or _type(workload.get("bits_per_value"))
    rows = [_einsum(entry, sizes, kind) for entry in workload["einsums"].items("einsums")]
    if not rows:
        raise workload["einsums"].error("there are no einsums", "write one")
    groups = [rows] if request.layers == "one" else [[row] for row in rows] if request.layers == "each" else _connected(rows)
    sheets = [_sheet(group, kind) for group in groups]
    about = f"Imported from {path.name}. What it says of mappings is left out."
    return Imported(written(layer_name(path.stem), about, f"{path.name}, a workload of Einsums", sheets, request), sized=sized)


def _type(item: Item | None) -> str:
    """The type of all tensors, from bits."""
    if item is None:
        return "int8"
    bits = item.only({"All"}, "bits_per_value, of which only 'All' is known,").get("All", item)
    if bits.value not in _TYPES:
        raise bits.error(f"values of {bits.kind()} bits", f"known are {', '.join(map(str, _TYPES))}; --type names another")
    return _TYPES[bits.value]


@dataclass(frozen=True, slots=True)
class _Row:
    """One Einsum as text, with the sizes of its rank variables and the extents of what it reads."""

    name: str
    text: str
    shape: Mapping[str, int]
    extents: Mapping[str, tuple[int | None, ...]]
    output: str
    types: Mapping[str, str]


def _einsum(entry: Item, sizes: _Sizes, kind: str) -> _Row:
    own = _Sizes(dict(sizes.ranks), dict(sizes.variables))
    types: dict[str, str] = {}
    if isinstance(entry.value, dict):
        stated = entry.only(_EINSUM, "an Einsum")
        own.add(stated)
        if "einsum" in stated:
            touches, template = _from_text(stated["einsum"])
        elif "tensor_accesses" in stated:
            copies = "is_copy_operation" in stated and stated["is_copy_operation"].boolean("is_copy_operation")
            touches, template = _from_accesses(stated["tensor_accesses"], copies, types)
        else:
            raise entry.error("an Einsum has neither text nor tensor_accesses", "write one of them")
        name = stated["name"].name("the name of an Einsum") if "name" in stated else touches[0].tensor
    else:
        touches, template = _from_text(entry)
        name = touches[0].tensor
    shape = _shape(entry, touches, own)
    text = template.format(*(touch.text() for touch in touches)) if template else ""
    conditions, extents = list[str](), dict[str, tuple[int | None, ...]]()
    for touch in touches:
        limits = [own.ranks.get(rank) for rank, _ in touch.dimensions]
        extents[touch.tensor] = tuple(limits)
        for (_, index), limit in zip(touch.dimensions, limits, strict=True):
            last = _last(index, shape)
            if limit is not None and last is not None and last >= limit:
                conditions.append(f"{index} < {limit}")
    condition = f" where {' and '.join(dict.fromkeys(conditions))}" if conditions else ""
    return _Row(name, text + condition, shape, extents, touches[0].tensor, types)


def _from_text(item: Item) -> tuple[list[_Touch], str]:
    """The tensors of an Einsum written as text, the output first, and the text with places for them."""
    text = item.text("an Einsum")
    touches: list[_Touch] = []

    def touch(found: re.Match[str]) -> str:
        touches.append(_Touch(_tensor(found[1], item), tuple(_dimension(part, item) for part in found[2].split(",") if part.strip())))
        return f"{{{len(touches) - 1}}}"

    if "{" in text or "}" in text:
        raise item.error(f"'{text[:60]}' is no Einsum", "write it as in 'Z[m, n] = A[m, k] * B[k, n]'")
    template = re.sub(r"([A-Za-z_]\w*)\s*\[([^\[\]]*)\]", touch, text)
    if not touches or not re.match(r"\s*\{0\}\s*=", template) or len(touches) < 2:
        raise item.error(f"'{text[:60]}' is no Einsum", "write it as in 'Z[m, n] = A[m, k] * B[k, n]'")
    made = template.format(*(each.text() for each in touches))
    try:
        parse_statement(Statement(made, "", item.place.file))
    except InputError as error:
        raise item.error(f"'{text[:60]}': {error.what}", error.mend) from None
    return touches, template


def _from_accesses(item: Item, copies: bool, types: dict[str, str]) -> tuple[list[_Touch], str]:
    """The tensors of an Einsum given one by one, the output first, and the product of the others."""
    reads, output = list[_Touch](), list[_Touch]()
    for entry in item.items("tensor_accesses"):
        stated = entry.only(_ACCESS, "a tensor access")
        for key in ("name", "projection"):
            if key not in stated:
                raise entry.error(f"a tensor access has no '{key}'", "write it")
        name = _tensor(stated["name"].name("the name of a tensor"), stated["name"])
        projection = stated["projection"]
        if isinstance(projection.value, dict):
            dimensions = tuple((rank.upper(), _index(index.text("an index"), index)) for rank, index in projection.value.items())
        else:
            dimensions = tuple(_dimension(each.text("an index"), each) for each in projection.items("a projection"))
        is_output = "output" in stated and stated["output"].boolean("output")
        (output if is_output else reads).append(_Touch(name, dimensions))
        if "bits_per_value" in stated:
            types[name] = _TYPES.get(stated["bits_per_value"].value, "") or _type(Item({"All": stated["bits_per_value"]}, entry.place, {}))
    if len(output) != 1 or not reads:
        raise item.error(f"an Einsum with {len(output)} outputs and {len(reads)} inputs", "say output: true of one access")
    product = " * ".join(f"{{{at}}}" for at in range(1, len(reads) + 1))
    return [*output, *reads], f"{{0}} = {f'copy({product})' if copies and len(reads) == 1 else product}"


def _tensor(name: str, item: Item) -> str:
    if name in RESERVED or not re.fullmatch(r"[A-Za-z_]\w*", name):
        raise item.error(f"a tensor is called '{name[:60]}'", "give it a name of letters and digits that no operator has")
    return name


def _dimension(text: str, item: Item) -> tuple[str, str]:
    """The rank of a dimension and its index: `m` walks rank M, `H: p + r` says both."""
    found = _DIMENSION.fullmatch(text)
    if found:
        return found[1].upper(), _index(found[2], item)
    index = _index(text, item)
    return index.upper() if index.isidentifier() else "", index


def _index(text: str, item: Item) -> str:
    """A sum of variables, times numbers."""
    text = text.strip().lower()
    try:
        expression = parse_expression(Statement(text, "", item.place.file))
    except InputError as error:
        raise item.error(f"index '{text[:60]}': {error.what}", error.mend) from None
    if accesses(expression) or index_map(expression, {}) is None:
        raise item.error(f"index '{text[:60]}' is no sum of variables", "write it as in 2*p + r")
    return text.replace(" ", "")


def _shape(item: Item, touches: Sequence[_Touch], sizes: _Sizes) -> dict[str, int]:
    """The size of every variable: its range, else that of the rank of its name, else that of a rank that it walks alone."""
    found: dict[str, int] = {}
    walked: dict[str, list[int]] = {}
    for touch in touches:
        for rank, index in touch.dimensions:
            expression = parse_expression(index)
            for name in names(expression):
                found.setdefault(name, 0)
            if isinstance(expression, Name) and rank in sizes.ranks:
                walked.setdefault(expression.name, []).append(sizes.ranks[rank])
    for name in found:
        size = sizes.variables.get(name) or sizes.ranks.get(name.upper()) or min(walked.get(name, [0]))
        if not size:
            raise item.error(
                f"variable '{name}' has no size", did_you_mean(name, {*sizes.variables, *(each.lower() for each in sizes.ranks)})
            )
        found[name] = size
    return found


def _last(index: str, shape: Mapping[str, int]) -> int | None:
    """The greatest value of an index."""
    form = index_map(parse_expression(index), {})
    if form is None or form.divisor != 1 or form.modulus:
        return None
    return form.offset + sum(value * (shape[rank] - 1) for rank, value in form.terms if value > 0)


def _connected(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Einsums in groups between which no computed tensor passes, in order."""
    computed = {row.output for row in rows}
    groups: list[list[_Row]] = []
    for row in rows:
        touched = {name for name in row.extents if name in computed}
        joined = [group for group in groups if any(touched & {name for other in group for name in other.extents if name in computed})]
        merged = [other for group in joined for other in group] + [row]
        groups = [group for group in groups if group not in joined] + [merged]
    order = {id(row): at for at, row in enumerate(rows)}
    return sorted((sorted(group, key=lambda row: order[id(row)]) for group in groups), key=lambda group: order[id(group[0])])


def _sheet(rows: Sequence[_Row], kind: str) -> Sheet:
    shape: dict[str, int] = {}
    types = {"default": kind}
    for row in rows:
        shape |= row.shape
        types |= {name: own for name, own in row.types.items() if own != kind}
    computed = [row.output for row in rows]
    read = {name for row in rows for name in row.extents if name != row.output}
    outputs = tuple(name for name in dict.fromkeys(computed) if name not in read)
    extents = {name: tuple(limits) for row in rows for name, limits in row.extents.items() if name not in computed}
    tensors = {}
    for name, limits in extents.items():
        indices = [access.indices for row in rows for access in accesses(parse_statement(row.text).expression) if access.tensor == name]
        reached = _reached(indices, shape)
        if all(limit is not None for limit in limits) and any(reach != limit for reach, limit in zip(reached, limits, strict=True)):
            tensors[name] = f"{{shape: [{', '.join(map(str, limits))}]}}"
    return Sheet(layer_name(rows[0].name), tuple(row.text for row in rows), shape, types, tensors, outputs)


def _reached(indices: Sequence[Sequence[object]], shape: Mapping[str, int]) -> list[int]:
    found = [0] * len(indices[0]) if indices else []
    for each in indices:
        for at, index in enumerate(each):
            form = index_map(index, {})  # type: ignore[arg-type]
            if form is not None:
                found[at] = max(found[at], 1 + form.offset + sum(value * (shape[rank] - 1) for rank, value in form.terms if value > 0))
    return found
