"""Sizes of a declaration: extents of every rank, splits, and constants worked out from formulas."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from accelsim.errors import InputError, did_you_mean
from accelsim.workload.cascade import Split
from accelsim.workload.declaration import Declaration

MOST_ELEMENTS = 2**62
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")


@dataclass(frozen=True, slots=True)
class Sizes:
    """Extents by rank, constants by name, splits; `names` is what index expressions may use beside ranks."""

    extents: Mapping[str, int]
    constants: Mapping[str, float]
    splits: tuple[Split, ...]

    @property
    def names(self) -> dict[str, float]:
        """Rank sizes by upper-case name, and constants."""
        return {rank.upper(): extent for rank, extent in self.extents.items() if rank.isidentifier()} | dict(self.constants)


def sizes(declaration: Declaration) -> Sizes:
    """Extents, splits and constants; refuses bad names, sizes below 1 and splits that do not cover their rank."""
    extents: dict[str, int] = {}
    part_of = {part: rank for rank, parts in declaration.split.items() for part in parts}
    for rank, extent in declaration.shape.items():
        _check_rank(declaration, "shape", rank)
        if extent < 1:
            raise InputError(f"the size of rank '{rank}' is {extent}", "a size is at least 1", declaration.place("shape", rank))
        if rank not in part_of:
            extents[rank] = extent
    _derive(declaration, extents, part_of, whole=False)
    splits = []
    for rank in declaration.split:
        made = _split(declaration, rank, extents)
        splits.append(made)
    _derive(declaration, extents, part_of, whole=True)
    constants = _constants(declaration, extents)
    return Sizes(extents, constants, tuple(splits))


def _derive(declaration: Declaration, extents: dict[str, int], part_of: Mapping[str, str], whole: bool) -> None:
    """Sizes that follow from others, in order: those whose names are known, and with `whole` all that are left."""
    from accelsim import formula

    for rank, text in declaration.derived.items():
        names = {name.upper(): extent for name, extent in extents.items()}
        if rank in extents or rank in declaration.shape or not (whole or {*formula.names(text)} <= {*names}):
            continue
        _check_rank(declaration, "shape", rank)
        place = declaration.place("shape", rank)
        if rank in part_of:
            raise InputError(f"the size of part '{rank}' is a formula", "write a number, or ~", place)
        extents[rank] = formula.whole(text, f"the size of rank '{rank}'", names, place, least=1)


def _check_rank(declaration: Declaration, section: str, rank: str) -> None:
    if not _NAME.match(rank) or rank != rank.lower():
        raise InputError(
            f"'{rank}' cannot name a rank",
            "a rank is a lower-case word such as m or m0; its size is the same word in upper case",
            declaration.place(section, rank),
        )


def _split(declaration: Declaration, rank: str, extents: dict[str, int]) -> Split:
    parts = declaration.split[rank]
    place = declaration.place("split", rank)
    if len(parts) < 2:
        raise InputError(f"the split of '{rank}' has fewer than two parts", f"write {rank}: {{{rank}1: ~, {rank}0: 256}}", place)
    given: dict[str, int | None] = {}
    for part, size in parts.items():
        _check_rank(declaration, "split", part)
        if part in extents or part == rank:
            raise InputError(f"'{part}' is a rank and a part of '{rank}'", "give the part a name of its own", place)
        given[part] = declaration.shape.get(part, size)
        if given[part] is not None and int(given[part] or 0) < 1:
            raise InputError(f"the size of '{part}' is {given[part]}", "a size is at least 1", place)
    outer, *inner = given
    free = tuple(part for part in inner if given[part] is None)
    whole = extents.get(rank)
    if whole is None:
        if any(size is None for size in given.values()):
            raise InputError(f"rank '{rank}' has no size", f"write shape: {{{rank}: 4096}}", place)
        whole = math.prod(int(size or 1) for size in given.values())
        extents[rank] = whole
    open_inner = [part for part in inner if given[part] is None]
    outer_size = given[outer]
    if outer_size is not None and open_inner:
        # a known outer size and one open inner part: that part takes what is left
        last = open_inner[0]
        others = math.prod(int(given[part] or 1) for part in inner if part != last)
        given[last] = max(1, -(-whole // (outer_size * others)))
    inner_sizes = [int(given[part] or 1) for part in inner]
    tile = math.prod(inner_sizes)
    derived = -(-whole // tile)
    if outer_size is not None and outer_size != derived:
        shown = " * ".join(f"{part} {size}" for part, size in zip((outer, *inner), (outer_size, *inner_sizes), strict=True))
        mend = f"write {outer}: ~ ({derived} tiles of {tile})"
        raise InputError(f"the parts of '{rank}' ({shown}) do not cut its {whole} elements", mend, place)
    for part, size in zip((outer, *inner), (derived, *inner_sizes), strict=True):
        if part in extents:
            raise InputError(f"'{part}' is a part of two splits", "give the parts different names", place)
        extents[part] = size
    return Split(rank, (outer, *inner), whole, free)


def _constants(declaration: Declaration, extents: Mapping[str, int]) -> dict[str, float]:
    from accelsim.formula import evaluate

    names: dict[str, float] = {rank.upper(): extent for rank, extent in extents.items()}
    found: dict[str, float] = {}
    for name, value in declaration.constants.items():
        place = declaration.place("constants", name)
        if not _NAME.match(name):
            raise InputError(f"'{name}' cannot name a constant", "a name is letters, digits and _", place)
        if name in names or name in extents:
            raise InputError(f"constant '{name}' is already a rank or the size of one", "choose another name", place)
        if isinstance(value, str):
            exact = {key: int(size) for key, size in names.items() if float(size).is_integer()}
            made = evaluate(value, exact, place)
            value = int(made) if made == int(made) else float(made)
        found[name] = names[name] = value
    return found


def tensor_shape(declaration: Declaration, name: str, known: Sizes) -> tuple[int, ...] | None:
    """The declared shape of a tensor in numbers, None if none is declared."""
    from accelsim.formula import whole

    declared = declaration.tensors.get(name)
    if declared is None or declared.shape is None:
        return None
    place = declaration.place("tensors", name)
    names = _whole_names(known)
    shape = tuple(whole(item, f"a size of tensor '{name}'", names, place, least=1) for item in declared.shape)
    if math.prod(shape) > MOST_ELEMENTS:
        raise InputError(f"tensor '{name}' has more than 2**62 elements", "shrink the shape", place)
    return shape


def below(declaration: Declaration, name: str, known: Sizes) -> int:
    """What the values of a tensor are declared to be less than, 0 if nothing is."""
    from accelsim.formula import whole

    stated = declaration.tensors.get(name)
    if stated is None or stated.below is None:
        return 0
    return whole(stated.below, f"'below' of tensor '{name}'", _whole_names(known), declaration.place("tensors", name), least=1)


def _whole_names(known: Sizes) -> dict[str, int]:
    """What formulas of shapes may name."""
    ranks = {rank: extent for rank, extent in known.extents.items() if rank.isidentifier()}
    return {key: int(value) for key, value in known.names.items() if float(value).is_integer()} | ranks


def unknown(name: str, known: Sizes) -> str:
    """How to mend a name that is neither a rank, a size nor a constant."""
    return did_you_mean(name, [*filter(str.isidentifier, known.extents), *known.names])
