"""Which copies of a unit have how much work: by hand, and by walking every point of small nests."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

import accelsim
from accelsim.errors import InputError
from accelsim.mapping.tree import For, Spatial
from accelsim.model.copies import copies, points
from accelsim.model.evaluation import Evaluation

MACHINE = """machine: grid
clock: 1 GHz
tree:
  memory: Main
  size: unlimited
  bandwidth: unlimited
  energy: unpriced
  feeds:
    array: grid
    axes:
      row: {size: 3, multicast: true}
      col: {size: 5, multicast: true}
    feeds:
      unit: MAC
      executes: {mac: unpriced}
"""


def walked(extents: dict[str, int], loops: list[tuple[str, str, int]], condition: str, sizes: dict[str, int]) -> Counter[tuple[int, ...]]:
    """Points by copy along each axis, one point after the other. loops: axis ('' in time), rank, tile."""
    found: Counter[tuple[int, ...]] = Counter()
    for point in itertools.product(*(range(size) for size in extents.values())):
        place = dict(zip(extents, point, strict=True))
        if condition and place["m"] > place["n"]:
            continue
        begin, at = dict.fromkeys(extents, 0), dict.fromkeys(sizes, 0)
        left = dict(extents)
        for axis, rank, tile in loops:
            many = -(-left[rank] // tile)
            number = next(each for each in range(many) if begin[rank] + each * tile <= place[rank] < begin[rank] + (each + 1) * tile)
            begin[rank] += number * tile
            left[rank] = tile
            if axis:
                at[axis] = at[axis] * many + number
        found[tuple(at.values())] += 1
    return found


NESTS = [
    [("row", "m", 3), ("col", "n", 2)],
    [("", "m", 4), ("row", "m", 2), ("", "n", 4), ("col", "n", 1)],
    [("col", "m", 4), ("row", "m", 2), ("", "m", 1)],
    [("row", "n", 5), ("col", "n", 3), ("col", "m", 4)],
    [("", "k", 2), ("row", "k", 1)],
    [],
]


@pytest.mark.parametrize("loops", NESTS, ids=str)
@pytest.mark.parametrize("condition", ["", "m <= n"])
def test_points_by_copy_are_those_of_a_walk(loops: list[tuple[str, str, int]], condition: str) -> None:
    text = "Z[m,n] = A[m,k] * B[k,n]" + (f" where {condition}" if condition else "")
    cascade = accelsim.cascade("product", text, {"m": 7, "n": 8, "k": 4})
    (einsum,) = cascade.work
    axes = accelsim.load("spatial", "machine").axes
    row, col = (axes[name][1] for name in ("row", "col"))
    nodes = [Spatial(axis, rank, tile) if axis else For(rank, tile) for axis, rank, tile in loops]
    found = points(cascade, einsum, nodes, (row, col))
    expected = np.zeros(found.shape, dtype=np.int64)
    for place, many in walked({rank: cascade.extents[rank] for rank in einsum.ranks}, loops, condition, {"row": 0, "col": 0}).items():
        expected[place] = many
    assert np.array_equal(found, expected)
    assert found.sum() == (7 * 8 * 4 if not condition else sum(8 - m for m in range(7)) * 4)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    """A product of 7 x 8 on 3 x 5 copies: tiles of 3 rows leave one to the last copy, and tiles of 2 columns use four of five."""
    folder = tmp_path_factory.mktemp("grid")
    (folder / "grid.yaml").write_text(MACHINE)
    (folder / "tiles.yaml").write_text(
        "mapping: tiles\ntree:\n  - keep Main: [A, B, Z]\n  - spatial row m: 3\n  - spatial col n: 2\n  - {einsum: Z, unit: MAC}\n"
    )
    settings = {"shape.m": 7, "shape.n": 8, "shape.k": 4}
    found = accelsim.evaluate("matmul", folder / "grid.yaml", folder / "tiles.yaml", settings=settings)
    assert isinstance(found, Evaluation)
    return found


def test_busy_copies_by_hand(product: Evaluation) -> None:
    """The fullest copy has 3 x 2 x 4 multiply-adds, one a cycle."""
    found = copies(product)
    lasts = float(product.timing.latency) / product.evaluator.clock.per_cycle
    expected = np.zeros((3, 5))
    expected[:2, :4], expected[2, :4] = 24 / lasts, 8 / lasts
    assert np.allclose(found.busy, expected) and found.used == (3, 4)
    twice = copies(product, "MAC", int(2 * product.timing.latency))
    assert np.allclose(twice.busy, expected / 2)


def test_mean_over_copies_is_the_utilization(product: Evaluation) -> None:
    for each in (product, accelsim.evaluate("attention", "spatial", "attention-interleaved")):
        assert isinstance(each, Evaluation)
        for unit in {load.unit for load in each.loads.values()}:
            known = each.to_json()["components"][unit]["utilization"]
            assert copies(each, unit).busy.mean() == pytest.approx(known)


def test_units_that_cannot_be_shown_are_refused(product: Evaluation) -> None:
    with pytest.raises(InputError) as caught:
        copies(product, "MAK")
    assert str(caught.value) == "tiles runs nothing on 'MAK'; did you mean 'MAC'?"
    alone = accelsim.evaluate("softmax", "simple", "softmax-stored")
    assert isinstance(alone, Evaluation)
    with pytest.raises(InputError) as caught:
        copies(alone)
    assert str(caught.value) == "MAC of simple is in no array; name a unit that is"
