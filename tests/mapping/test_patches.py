"""Patch-based execution of two convolutions: what it computes again, and what it need not hold.

Closed form: patches of t x t results of a second filter of r x r see (t + r - 1)^2 points of the first one, of which the whole has
(P + r - 1)^2 for P x P results. For 5 x 5 in patches of 3 x 3, r = 3: (5 + 4)^2 / 7^2 = 81/49, and 8748 multiply-adds in place of 5292.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest

from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.mapping.tree import Fuse, Keep, Mapping
from accelsim.model import reference
from accelsim.model.evaluation import Evaluator
from accelsim.sim.values import EXACT, run
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs
from accelsim.workload.interpreter import run as interpret


def pair(results: int, channels: tuple[int, int, int] = (3, 4, 2), filter_size: int = 3) -> Cascade:
    c, k, o = channels
    before = results + filter_size - 1
    sizes = {"c": c, "k": k, "o": o, "p": before, "q": before, "x": results, "y": results, "r": filter_size, "s": filter_size}
    found = load_workload(resolve("conv2d-pair", WORKLOAD), {f"shape.{rank}": str(size) for rank, size in sizes.items()})
    assert isinstance(found, Cascade)
    return found


def machine() -> Architecture:
    return load_architecture(resolve("simple", MACHINE), {})


def patches(made: Cascade, side: int) -> Mapping:
    return load_mapping(resolve("conv2d-pair-patches", MAPPING), dict(made.extents), {"let.SIDE": str(side)})


def whole(made: Cascade) -> Mapping:
    """Layer by layer: the same with no loops, what passes between the two kept as a whole, and nothing computed again."""
    nodes = patches(made, made.extents["x"]).nodes
    fuse = nodes[-1]
    assert isinstance(fuse, Fuse)
    keeps = [node for node in nodes if isinstance(node, Keep)]
    return Mapping("layer by layer", (*keeps, Fuse(fuse.schedule, fuse.branches)))


@pytest.mark.parametrize(("results", "side", "filter_size"), [(5, 3, 3), (8, 4, 3), (7, 2, 2), (6, 1, 3), (6, 6, 3)])
def test_patches_compute_the_margins_of_their_neighbours_again(results: int, side: int, filter_size: int) -> None:
    made, margin = pair(results, filter_size=filter_size), filter_size - 1
    tiles = [min(side, results - at) for at in range(0, results, side)]
    again = sum((high + margin) * (wide + margin) for high, wide in product(tiles, tiles))
    counted = Evaluator(made, machine()).evaluate(patches(made, side)).to_json()["einsums"]
    replayed = reference.count(made, machine(), patches(made, side))["einsums"]
    once = Evaluator(made, machine()).evaluate(whole(made)).to_json()["einsums"]
    ratio = Fraction(again, (results + margin) ** 2)
    for einsum, operation in (("T", "mac"), ("L", "relu")):
        found = counted[einsum]["operations"][operation]
        assert found == replayed[einsum]["operations"]
        assert Fraction(found, once[einsum]["operations"][operation]) == ratio
    assert counted["O"]["operations"] == once["O"]["operations"]


def test_the_smallest_published_case_by_hand() -> None:
    made = pair(5)
    counted = Evaluator(made, machine()).evaluate(patches(made, 3)).to_json()["einsums"]
    assert counted["T"]["operations"]["mac"] == 8748
    assert made.bounds.operations["T"]["mac"] == 5292


def test_patches_give_the_same_values() -> None:
    made = pair(5)
    inputs = random_inputs(made, np.random.default_rng(2), np.int64)
    found = run(made, machine(), patches(made, 3), inputs, EXACT).values["O"]
    assert np.array_equal(found, interpret(made, inputs, np.int64).values["O"])


def test_the_peak_of_memory_falls_with_the_side_of_a_patch() -> None:
    """By hand: a patch of t x t holds its part of the image, of what passes between (sums of 32 bits, then 8), of the result, and filters.

    MCUNetV2 reports 4 to 8 times less for the first layers of networks, whose filters are small.
    """
    c, k, o, results, r = 3, 4, 2, 32, 3
    made = pair(results, (c, k, o))
    held = {}
    for side in (4, 8, 16, 32):
        found = Evaluator(made, machine()).evaluate(patches(made, side)).occupancy()["GlobalBuffer"]
        first, second = (side + 2 * (r - 1)) ** 2, (side + r - 1) ** 2
        filters = 8 * (k * c + o * k) * r * r
        assert found == filters + 8 * c * first + (32 + 8) * k * second + 32 * o * side**2
        held[side] = found
    assert list(held.values()) == sorted(held.values())
    layered = Evaluator(made, machine()).evaluate(whole(made)).occupancy()["GlobalBuffer"]
    assert held[32] == layered and layered > 4 * held[8]
