"""Margins of patches made anew: found where the memory is too small to retain them and worth it, legal, and counted."""

from __future__ import annotations

from fractions import Fraction

import pytest

from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper import search
from accelsim.mapper.keeps import needed_again
from accelsim.mapper.scope import Scope
from accelsim.mapping.legality import is_legal
from accelsim.mapping.tree import For, Fuse, Mapping, TreeNode
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.mapper.small import GIGA, memory, unit

PAIR = cascade(
    "pair",
    "T[p,q] = A[p+r,q+s] * F[r,s]\nZ[x,y] = T[x+u,y+v] * G[u,v]",
    {"p": 18, "q": 18, "r": 3, "s": 3, "x": 16, "y": 16, "u": 3, "v": 3},
)


def machine(words: int, dear: float = 100.0) -> Architecture:
    """A dear root over a home of so many words."""
    buffer = memory("Buffer", words, 64, 1.0, unit("U", "mac", "mul", "add"))
    return Architecture("small", memory("Main", None, 16, dear, buffer), Fraction(GIGA))


def remade(mapping: Mapping) -> set[str]:
    """Tensors that some fuse recomputes."""

    def fuses(nodes: tuple[TreeNode, ...]) -> list[Fuse]:
        here = [node for node in nodes if isinstance(node, Fuse)]
        return [*here, *(inner for fuse in here for branch in fuse.branches for inner in fuses(branch))]

    return {tensor for fuse in fuses(mapping.nodes) for tensor in fuse.recompute}


def test_where_the_memory_is_small_margins_are_made_anew_and_that_is_counted() -> None:
    """T has 324 words, and only what two loops would have to retain can be left out of it."""
    found = search(PAIR, machine(250), "energy")
    assert remade(found.mapping) == {"T"} and is_legal(PAIR, machine(250), found.mapping)
    assert found.evaluation.traffic_bits("Main")[1] == 16 * 256  # only Z goes out: T stays
    assert found.evaluation.counts.operations["T"] > 18 * 18 * 9
    assert found.evaluation.counts.operations["Z"] == 16 * 16 * 9


def test_traffic_that_is_compulsory_is_proved_the_least() -> None:
    """A, both filters and Z cross the root once: (20 * 20 + 9 + 9 + 16 * 16) words of 16 bits."""
    found = search(PAIR, machine(250), "traffic")
    record = found.evaluation.search or {}
    assert record["value"] == record["lower_bound"] == 2 * (400 + 9 + 9 + 256)
    assert record["proved_optimal"] and record["space"] == "all mappings"


def test_where_there_is_room_or_little_to_gain_nothing_is_made_twice() -> None:
    roomy, cheap = search(PAIR, machine(4000), "energy"), search(PAIR, machine(250, dear=0.01), "energy")
    assert not remade(roomy.mapping) and not remade(cheap.mapping)
    assert roomy.evaluation.counts.operations["T"] == cheap.evaluation.counts.operations["T"] == 18 * 18 * 9


@pytest.mark.parametrize(
    ("trunk", "again"),
    [
        ((), []),
        ((For("x", 8),), ["T"]),
        ((For("x", 8), For("y", 4)), ["T"]),
        ((For("u", 1),), ["T"]),
    ],
)
def test_what_is_needed_again_below_a_trunk(trunk: tuple[For, ...], again: list[str]) -> None:
    assert needed_again(Scope(PAIR, machine(250)), ("T", "Z"), trunk) == again


def test_a_loop_leaves_producers_the_tile_with_its_margin() -> None:
    scope = Scope(PAIR, machine(250))
    whole, half, quarter = scope.lefts(("T", "Z"), (For("x", 8), For("y", 4)))
    assert whole["T"] == whole["Z"] == dict(PAIR.extents)
    assert (half["T"]["p"], half["T"]["q"], half["Z"]["x"]) == (10, 18, 8)
    assert (quarter["T"]["p"], quarter["T"]["q"], quarter["Z"]["y"]) == (10, 6, 4)


@pytest.mark.slow
def test_a_small_buffer_over_an_array_passes_patches_with_the_least_traffic() -> None:
    """Spreads are over whole ranks, as copies are counted, though an iteration makes only a patch and its margin."""
    made, machine_ = load_workload(resolve("conv2d-pair", WORKLOAD)), load_architecture(resolve("npu", MACHINE), {"SRAM.size": "8 KiB"})
    assert isinstance(made, Cascade)
    found = search(made, machine_, "traffic")
    assert remade(found.mapping) and found.evaluation.search is not None
    assert found.evaluation.search["value"] == 33536  # each word of I, F, G and O once
