"""Every mapping of one Einsum on a small machine: the whole map space of docs/mapper.md for one unit, one by one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations, product

from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture, Axis
from accelsim.mapper.scope import Scope
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import For, Held, Keep, Leaf, Loop, Mapping, Spatial
from accelsim.workload.cascade import Cascade

Sizes = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is enumerated.

    `dividing`: only tiles that divide the tile around them. `most`: mappings after which an InputError says that the space is too large.
    `keep_all`: every memory keeps every tensor (else every subset).
    """

    dividing: bool = True
    most: int = 1_000_000
    keep_all: bool = False


def enumerate_space(cascade: Cascade, architecture: Architecture, limits: Limits | None = None) -> Iterator[Mapping]:
    """Legal mappings of a cascade of one Einsum: all tiles, orders, spreads over axes, keeps and units, each once.

    Between two memories on the way to a unit stand loops in time over any ranks in any order, then one spatial loop per axis.
    """
    limits = limits or Limits()
    if len(cascade.work) != 1:
        raise InputError("only a cascade of one Einsum can be enumerated", "cut it into parts")
    scope = Scope(cascade, architecture)
    for seen, mapping in enumerate(_candidates(scope, limits)):
        if seen >= limits.most:
            raise InputError(f"the map space has more than {limits.most} mappings", "make the shape smaller or the limits narrower")
        if is_legal(cascade, architecture, mapping):
            yield mapping


def _candidates(scope: Scope, limits: Limits) -> Iterator[Mapping]:
    (name,) = scope.groups()
    ranks = tuple(scope.facts.einsums[name].ranks)
    whole = tuple(scope.cascade.extents[rank] for rank in ranks)
    tensors = tuple(dict.fromkeys((*scope.reads[name], scope.writes[name])))
    root = Keep(scope.root, tuple(Held(tensor) for tensor in tensors))
    number = 0
    for unit in sorted(scope.able[name]):
        levels = _levels(scope, unit)
        for tail in _tails(ranks, whole, tensors, levels, limits):
            number += 1
            yield Mapping(f"{name} {number}", (root, Leaf(name, unit, tail)))


@dataclass(frozen=True, slots=True)
class _Level:
    """Axes in order, and the memory that they lead to (None: the unit)."""

    axes: tuple[Axis, ...]
    memory: str | None


def _levels(scope: Scope, unit: str) -> tuple[_Level, ...]:
    found: list[_Level] = []
    axes: list[Axis] = []
    for step in scope.steps[unit]:
        if step.axis is not None:
            axes.append(step.axis)
        elif step.memory is not None:
            found.append(_Level(tuple(axes), step.memory.name))
            axes = []
    if axes:
        found.append(_Level(tuple(axes), None))
    return tuple(found)


def _tails(
    ranks: Sequence[str], left: Sizes, tensors: Sequence[str], levels: tuple[_Level, ...], limits: Limits
) -> Iterator[tuple[Loop, ...]]:
    """Everything below a memory, from its loops in time inwards."""
    if not levels:
        yield ()
        return
    level = levels[0]
    for tiles in product(*(_tiles(size, limits) for size in left)):
        turning = [at for at, (tile, size) in enumerate(zip(tiles, left, strict=True)) if tile < size]
        for order in permutations(turning):
            time = tuple(For(ranks[at], tiles[at]) for at in order)
            for spatial, inside in _spreads(ranks, tiles, level.axes, limits):
                if level.memory is None:
                    yield (*time, *spatial)
                    continue
                for held in _subsets(tensors, limits):
                    keep = (Keep(level.memory, tuple(Held(tensor) for tensor in held)),) if held else ()
                    for tail in _tails(ranks, inside, tensors, levels[1:], limits):
                        yield (*time, *spatial, *keep, *tail)


def _tiles(size: int, limits: Limits) -> list[int]:
    return [tile for tile in range(1, size + 1) if not limits.dividing or size % tile == 0]


def _spreads(ranks: Sequence[str], left: Sizes, axes: tuple[Axis, ...], limits: Limits) -> Iterator[tuple[tuple[Spatial, ...], Sizes]]:
    """One spatial loop or none per axis, and what is left inside."""
    if not axes:
        yield (), left
        return
    for loops, inside in _spreads(ranks, left, axes[1:], limits):
        yield loops, inside
    for at, size in enumerate(left):
        for tile in _tiles(size, limits):
            if tile < size and -(-size // tile) <= axes[0].size:
                changed = (*left[:at], tile, *left[at + 1 :])
                for loops, inside in _spreads(ranks, changed, axes[1:], limits):
                    yield (Spatial(axes[0].name, ranks[at], tile), *loops), inside


def _subsets(tensors: Sequence[str], limits: Limits) -> Iterator[tuple[str, ...]]:
    if limits.keep_all:
        yield tuple(tensors)
        return
    for size in range(len(tensors), -1, -1):
        yield from combinations(tensors, size)
