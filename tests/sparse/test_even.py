"""Sums that are worked out together where turns are alike: against the same sums over all turns that differ, one by one; and nests that
are made of others of their form, against those made of their mappings.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import AccelsimError
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial
from accelsim.sparse import even
from accelsim.sparse.axes import Axes, RankLoops
from accelsim.sparse.boxes import StructuredBoxes, UniformBoxes
from accelsim.sparse.even import Table, cut_into_several
from accelsim.sparse.forms import Form, form_of
from accelsim.sparse.nest import Nest, nest_of
from accelsim.sparse.sums import Signed
from accelsim.sparse.terms import Terms
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.share import share
from tests.sparse.densities import KINDS, boxes_for
from tests.sparse.nests import STATEMENTS, machine, mapping

SIZES = (4, 6, 8, 12, 16)
DIVISORS = {size: [each for each in range(1, size + 1) if size % each == 0] for size in range(1, 17)}


def resized(rng: random.Random, made: Mapping, extents: dict[str, int], ragged: bool) -> Mapping:
    """The same loops with other sizes; unless `ragged`, every tile divides what is left."""
    left, nodes = dict(extents), list[Any]()
    for node in made.nodes:
        if isinstance(node, (For, Spatial)):
            tile = rng.choice(DIVISORS[left[node.rank]])
            if ragged and rng.random() < 0.3:
                tile = rng.randint(1, left[node.rank])
            node, left[node.rank] = replace(node, tile=tile), tile
        nodes.append(node)
    return replace(made, nodes=tuple(nodes))


def asked(terms: Terms) -> list[Signed]:
    """All that has a closed form."""
    nest, found = terms.nest, []
    read = {each.tensor for each in nest.operands}
    questions: list[Any] = [lambda: terms.points, lambda: terms.effectual, lambda: terms.issues]
    questions += [lambda n=n: terms.visits(n) for n in range(len(nest.turns))] + [lambda n=n: terms.steps(n) for n in nest.meeting]
    for number, crossing in enumerate(nest.crossings):
        ask: Any = terms.words if crossing.tensor in read else terms.made
        questions += [lambda n=number, a=ask, s=shared: a(n, s) for shared in (False, True)]
        questions += [] if crossing.tensor in read else [lambda n=number: terms.different(n)]
    for question in questions:
        try:
            found.append(question())
        except AccelsimError as error:
            assert "closed form" in str(error) or "stand together" in str(error) or "at the edge" in str(error)
    return found


@dataclass(frozen=True)
class Case:
    """An Einsum on a machine, densities of what it stores, and mappings with the same loops."""

    cascade: Cascade
    machine: Architecture
    densities: dict[str, Any]
    mappings: list[Mapping]

    def nest(self, mapping: Mapping) -> Nest:
        """Of one of the mappings, without elements."""
        ((path, leaf),) = mapping.paths()
        none = {name: np.zeros((len(each.shape), 0), np.int64) for name, each in self.densities.items()}
        return nest_of(self.cascade, self.machine, path, leaf, none)

    def form(self, mapping: Mapping) -> Form:
        """Of one of the mappings."""
        ((path, leaf),) = mapping.paths()
        return form_of(path, leaf, self.cascade.by_name["Z"].ranks, self.cascade.extents)


def case(seed: int, ragged: bool, kind: str, many: int) -> Case:
    """A random one whose mappings have one form; `ragged`: tiles that do not divide, too."""
    rng, chances = random.Random(seed), np.random.default_rng(seed)
    statement = rng.choice(list(STATEMENTS))
    operands = STATEMENTS[statement]
    extents = {rank: rng.choice(SIZES) for rank in "mkn" if any(rank in ranks for ranks in operands.values())}
    made = cascade("random", [statement], extents)
    target, loops = machine(rng), mapping(rng, extents, "".join(operands) + "Z")
    densities = {name: boxes_for(kind, made.tensors[name].shape, chances)[0] for name in operands if rng.random() < 0.85}
    found = Case(made, target, densities, [resized(rng, loops, extents, ragged)])
    for _ in range(many * 20):
        other = resized(rng, loops, extents, ragged)
        if len(found.mappings) < many and found.form(other).key == found.form(found.mappings[0]).key:
            found.mappings.append(other)
    return found


@given(seed=st.integers(0, 10**6), ragged=st.booleans(), kind=st.sampled_from(KINDS))
def test_sums_worked_out_together_are_those_of_all_turns(seed: int, ragged: bool, kind: str) -> None:
    """Of the nest that a table was made for, and of others with tiles of other sizes."""
    made = case(seed, ragged, kind, 3)
    first, *others = (made.nest(each) for each in made.mappings)
    terms = Terms(first, made.densities, Axes(first))
    signed = asked(terms)
    sums = list(terms.sums)
    table = Table(sums, first)
    for nest in (first, *others):
        found, axes = table.of(nest), Axes(nest)
        for each in (*signed, *(Signed(((1, place),)) for place in range(len(sums)))):
            try:
                row = np.sum([sign * axes.total(sums[place]) for sign, place in each.parts], axis=0)
            except AccelsimError:
                with pytest.raises(AccelsimError):
                    found.of(each)
                continue
            # what comes to nothing leaves, of chances near one that are taken from each other, what these are rounded by
            amount, most = found.of(each), 1 + max(float(axes.total(sums[place]).sum()) for _, place in each.parts)
            assert amount.by_copy == pytest.approx(row, rel=1e-12, abs=1e-12 * most), (nest, each)
            assert (amount.copies, amount.total) == (row.size, pytest.approx(row.sum(), rel=1e-12, abs=1e-12 * most))
            assert amount.most == pytest.approx(row.max(), rel=1e-12, abs=1e-12 * most)
            assert found.total(each) == pytest.approx(amount.total, rel=1e-12, abs=1e-12 * most)


@given(seed=st.integers(0, 10**6), ragged=st.booleans(), kind=st.sampled_from(KINDS[:4]), by=st.sampled_from(("two_finger", "skip_ahead")))
def test_steps_worked_out_together_are_those_of_all_turns(seed: int, ragged: bool, kind: str, by: str) -> None:
    """Of all loops over a rank of two stored operands, by either way of going through both."""
    made = case(seed, ragged, kind, 2)
    nests = [made.nest(each) for each in made.mappings]
    first, *others = (replace(nest, turns=tuple(replace(turn, meets=by if turn.meets else "") for turn in nest.turns)) for nest in nests)
    terms = Terms(first, made.densities, Axes(first))
    steps = [terms.steps(level) for level in first.meeting]
    sums = list(terms.sums)
    table = Table(sums, first)
    for nest in (first, *others):
        found, axes = table.of(nest), Axes(nest)
        for each in steps:
            try:
                total = sum(sign * axes.total(sums[place]).sum() for sign, place in each.parts)
            except AccelsimError:
                continue
            most = max(float(axes.total(sums[place]).sum()) for _, place in each.parts)
            assert found.total(each) == pytest.approx(total, rel=1e-12, abs=1e-12 * most), (nest, each)


def test_tiles_that_do_not_divide_stand_across_the_borders_of_blocks() -> None:
    """One of every four places of four rows of twelve: tiles of five hold a block, three places of one and two of the next, and two."""
    made = cascade("blocks", ["Z[m] = A[m,k] * B[k]"], {"m": 4, "k": 12})
    nodes = Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), For("m", 1), For("k", 5), Leaf("Z", "U")
    nest = Case(made, machine(random.Random(0)), {"A": StructuredBoxes((4, 12), 1, 4)}, []).nest(Mapping("five", nodes))
    terms = Terms(nest, {"A": StructuredBoxes((4, 12), 1, 4)}, Axes(nest))
    tiles = terms.total(frozenset({0, 1}), [terms.something(nest.operands[0], frozenset({0, 1}))])
    assert Table(terms.sums, nest).of(nest).total(tiles) == pytest.approx(4 * (1 + (1 - 1 / 4 * 2 / 4) + 2 / 4))


def test_turns_that_stand_across_the_borders_of_blocks_meet_as_often() -> None:
    """Turns of three places of rows of blocks of four: the second holds one place of a block and two of the next."""
    made = cascade("blocks", ["Z[m] = A[m,k] * B[k]"], {"m": 4, "k": 12})
    nodes = Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), For("m", 1), For("k", 3), Leaf("Z", "U")
    densities = {"A": StructuredBoxes((4, 12), 1, 4), "B": UniformBoxes((12,), 3)}
    nest = Case(made, machine(random.Random(0)), densities, []).nest(Mapping("three", nodes))
    for by in ("two_finger", "skip_ahead"):
        met = replace(nest, turns=tuple(replace(turn, meets=by if turn.rank == "k" else "") for turn in nest.turns))
        terms = Terms(met, densities, axes := Axes(met))
        steps = terms.steps(1)
        sums, found = list(terms.sums), Table(terms.sums, met).of(met)
        assert all(found.is_even(place) for _, place in steps.parts)
        assert found.total(steps) == pytest.approx(sum(sign * axes.total(sums[place]).sum() for sign, place in steps.parts), rel=1e-12)


@pytest.mark.parametrize(("ragged", "least"), [(False, 1.0), (True, 0.8)])
def test_sums_over_places_that_are_alike_are_products(ragged: bool, least: float) -> None:
    """All where tiles divide; where they do not, most: not those by copy, and of pieces that do not stand together."""
    products = 0
    all_of = 0
    for seed in range(share(500, 60, 20)):
        made = case(seed, ragged, "uniform", 1)
        nest = made.nest(made.mappings[0])
        terms = Terms(nest, made.densities, Axes(nest))
        asked(terms)
        known = Table(terms.sums, nest).of(nest)
        products, all_of = products + sum(known.is_even(place) for place in range(len(terms.sums))), all_of + len(terms.sums)
    assert products >= least * all_of > 0


def test_sums_over_more_ways_than_are_gone_one_by_one_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    done = 0
    for seed in range(20):
        made = case(seed, True, "uniform", 1)
        nest = made.nest(made.mappings[0])
        terms = Terms(nest, made.densities, Axes(nest))
        signed = asked(terms)
        table = Table(terms.sums, nest)
        few = [table.of(nest).total(each) for each in signed]
        with monkeypatch.context() as patched:
            patched.setattr(even, "MOST_WAYS", 1)
            many = table.of(nest)
            assert [many.total(each) for each in signed] == pytest.approx(few, rel=1e-11, abs=1e-9)
            done += bool(many.uneven) and not any(many.is_even(place) for place in range(len(terms.sums)))
    assert done


@given(
    extent=st.integers(1, 40), outer=st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=3),
    inner=st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=3),
)  # fmt: skip
def test_sets_that_loops_cut_into_several_are_those_of_all_places(extent: int, outer: list[Any], inner: list[Any]) -> None:
    """Against labels of every place; loops that leave sets stand outside those that cut them, and others anywhere."""
    tiles = tuple(tile for tile, _ in outer + inner)
    leaves = [place for place, (_, mine) in enumerate(outer) if mine]
    cuts = [len(outer) + place for place, (_, mine) in enumerate(inner) if mine]
    least, most = RankLoops(extent, tiles).ways(frozenset(leaves), frozenset(cuts))
    found = cut_into_several(extent, [(tile, place in leaves, place in cuts) for place, tile in enumerate(tiles)])
    assert found == (least > 1, most == 1)


@given(seed=st.integers(0, 10**6), many=st.integers(1, 3))
def test_nest_made_of_another_of_its_form_is_that_of_its_mapping(seed: int, many: int) -> None:
    """Field by field, with memories that hold several tiles at once."""
    made = case(seed, True, "uniform", 2)
    made = replace(made, mappings=[several(each, many) for each in made.mappings])
    first, last = made.mappings[0], made.mappings[-1]
    found, expected = made.form(last).of(made.nest(first)), made.nest(last)
    assert found is not None
    for field in fields(Nest):
        if field.name != "operands":  # the same arrays
            assert getattr(found, field.name) == getattr(expected, field.name), field.name


def several(made: Mapping, many: int) -> Mapping:
    """With so many tiles of every tensor in every memory but the outermost."""
    nodes = list(made.nodes)
    for place, node in enumerate(nodes):
        if isinstance(node, Keep) and node.memory != "DRAM":
            nodes[place] = replace(node, held=tuple(replace(held, copies=many) for held in node.held))
    return replace(made, nodes=tuple(nodes))


def test_form_that_holds_more_tiles_than_are_followed_makes_no_nest() -> None:
    made = cascade("large", ["Z[m] = A[m,k] * B[k]"], {"m": 16384, "k": 2})

    def tiles(size: int) -> Mapping:
        keeps = Keep("DRAM", (Held("A"), Held("B"), Held("Z"))), For("m", size), Keep("Buffer", (Held("A", copies=5000),))
        return Mapping("tiles", (*keeps, Leaf("Z", "U")))

    sized = Case(made, machine(random.Random(0)), {}, [])
    known = sized.nest(tiles(8))
    assert sized.form(tiles(8)).key == sized.form(tiles(2)).key
    assert sized.form(tiles(2)).of(known) is None
    with pytest.raises(AccelsimError, match="Buffer keeps 5,000 tiles of A at once, more than are followed over stored elements"):
        sized.nest(tiles(2))
