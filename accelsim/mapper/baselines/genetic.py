"""A genetic algorithm: a population of points, of which the better half has children.

As in GAMMA (S.-C. Kao and T. Krishna, "GAMMA: Automating the HW Mapping of DNN Models on Accelerators via Genetic Algorithm", ICCAD
2020): a genome holds tiles, order and parallel ranks of every level; children mix the genes of two parents by level, and change some
of them. Genes here are the shared loops of a part, the branch of an Einsum, and the spread, order, tiles and keeps of a block.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import TYPE_CHECKING

from accelsim.mapper.baselines.draws import Draws
from accelsim.mapper.baselines.fitting import pick
from accelsim.mapper.baselines.points import Block, Branch, Part, Point

if TYPE_CHECKING:
    import numpy as np

_POPULATION = 48
_ELITE = 8
_MIXED = 0.6  # share of children that have two parents; the others are varied copies of one


def proposals(draws: Draws, rng: np.random.Generator) -> Generator[Point, float, None]:
    """Points without end; each is answered with its value, infinite if it is not legal."""
    population: list[tuple[float, Point]] = []
    for _ in range(2 * _POPULATION):
        point = draws.draw(rng)
        population.append(((yield point), point))
    while True:
        population = sorted(population, key=lambda pair: pair[0])[:_POPULATION]
        children: list[tuple[float, Point]] = []
        known = {point for _, point in population}
        while len(children) < _POPULATION - _ELITE:
            child = _child(draws, population, rng)
            if child in known:
                child = draws.vary(child, rng)
            known.add(child)
            children.append(((yield child), child))
        population = [*population[:_ELITE], *sorted([*population[_ELITE:], *children], key=lambda pair: pair[0])]


def _child(draws: Draws, population: list[tuple[float, Point]], rng: np.random.Generator) -> Point:
    mother = _parent(population, rng)
    if rng.random() >= _MIXED:
        return draws.vary(mother, rng)
    child = draws.fitting.fitted(_crossed(mother, _parent(population, rng), rng), rng)
    return draws.vary(child or mother, rng) if child is None or rng.random() < 0.5 else child


def _parent(population: list[tuple[float, Point]], rng: np.random.Generator) -> Point:
    """The better of two at random; the population is sorted."""
    return population[int(min(rng.integers(len(population), size=2)))][1]


def _crossed(mother: Point, father: Point, rng: np.random.Generator) -> Point:
    """The mother's parts with some genes of the father: shared loops of equal parts, branches, or blocks of equal units."""
    other_parts = {part.einsums: part for part in father.parts}
    other_branches = {name: branch for part in father.parts for name, branch in zip(part.einsums, part.branches, strict=True)}
    parts = []
    for part in mother.parts:
        twin = other_parts.get(part.einsums)
        if twin is not None and rng.random() < 0.3:
            part = replace(twin, branches=part.branches)
        branches = tuple(
            _mixed(own, other_branches[name], rng) if rng.random() < 0.5 else own
            for name, own in zip(part.einsums, part.branches, strict=True)
        )
        parts.append(Part(part.einsums, branches, part.trunk, part.keeps, part.schedule, part.copies))
    return Point(tuple(parts), pick(rng, (mother, father)).residents)


def _mixed(mother: Branch, father: Branch, rng: np.random.Generator) -> Branch:
    if mother.unit != father.unit or rng.random() < 0.3:
        return father
    return replace(mother, blocks=tuple(_mixed_block(*pair, rng) for pair in zip(mother.blocks, father.blocks, strict=True)))


def _mixed_block(mother: Block, father: Block, rng: np.random.Generator) -> Block:
    spread, order, tiles, keeps = (pick(rng, (mother, father)) for _ in range(4))
    return Block(spread.spread, order.order, tiles.tiles, keeps.keeps)
