"""Copies that hold windows of their own, of uneven parts and of padded images, some of which have nothing to do at times."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory
from accelsim.io.workload import load_workload
from accelsim.mapping.tree import For, Leaf, Mapping, Spatial, TreeNode
from accelsim.workload.cascade import Cascade
from tests.model.test_evaluation import CLOCK, keep, unit
from tests.share import share
from tests.sim.test_events import agrees

CASES = share(5000, 250, 60)
RATES = [None, 16 * CLOCK, 32 * CLOCK, 64 * CLOCK]


def convolution(folder: Path, rng: random.Random) -> Cascade:
    """In one or two dimensions, of an image with or without padding that may end before the last window does."""
    shape, image, windows = dict[str, int](), list[int](), list[str]()
    for place, tap, stride in (("p", "r", rng.choice([1, 1, 1, 2])), ("q", "s", 1))[: rng.randint(1, 2)]:
        shape[place], shape[tap] = rng.randint(2, 40 if place == "p" else 9), rng.randint(1, 4)
        image.append(max(1, shape[place] * stride + rng.choice([0, shape[tap], -rng.randint(0, 12)])))
        windows.append(f"{stride}*{place}+{tap}-{rng.randint(0, shape[tap] - 1)}")
    places, taps = (",".join(rank for rank in shape if rank in among) for among in ("pq", "rs"))
    sizes = ", ".join(f"{rank}: {size}" for rank, size in shape.items())
    (folder / "w.yaml").write_text(
        f"workload: w\nshape: {{{sizes}}}\ntensors: {{I: {{shape: {image}, fill: 0}}}}\ntype: int32\n"
        f"einsums: ['O[{places}] = I[{','.join(windows)}] * F[{taps}]']\n"
    )
    noun = load_workload(folder / "w.yaml")
    assert isinstance(noun, Cascade)
    return noun


def machine(rng: random.Random) -> Architecture:
    axes = tuple(Axis(name, rng.randint(2, 5), rng.random() < 0.7, ("add",)) for name in ("x", "y"))
    inside = Memory("Buffer", read_bits_per_s=rng.choice(RATES), feeds=(unit(),))
    return Architecture("machine", Memory("DRAM", read_bits_per_s=rng.choice(RATES), feeds=(Array("array", axes, feeds=(inside,)),)), CLOCK)


def mapping(noun: Cascade, where: Architecture, rng: random.Random) -> Mapping:
    left, nodes = dict(noun.extents), list[TreeNode]()

    def cut(rank: str, least: int = 1) -> int:
        left[rank] = rng.randint(least, left[rank] - 1)
        return left[rank]

    def loops(number: int) -> None:
        for rank in rng.choices(list(left), k=number):
            if left[rank] > 1:
                nodes.append(For(rank, cut(rank)))

    loops(rng.randint(0, 3))
    (array,) = where.root.feeds
    assert isinstance(array, Array)
    for axis in rng.sample(array.axes, rng.randint(1, 2)):
        rank = rng.choice(list(left))
        least = -(-left[rank] // axis.size)
        if least < left[rank]:
            nodes.append(Spatial(axis.name, rank, cut(rank, least)))
    loops(rng.randint(0, 2))
    held = keep("Buffer", *rng.choice([("I",), ("I", "F"), ("I", "O"), ("I", "F", "O")]))
    points = (For(rank, 1) for rank, size in left.items() if size > 1)
    return Mapping("random", (keep("DRAM", "I", "F", "O"), *nodes, held, *points, Leaf("O", "PE")))


@pytest.mark.slow
def test_what_copies_hold_is_as_in_the_twin(tmp_path: Path) -> None:
    rng = random.Random(41)
    done = 0
    for _ in range(CASES):
        noun, where = convolution(tmp_path, rng), machine(rng)
        done += agrees(noun, where, mapping(noun, where, rng))
    assert done > CASES // 2


def test_a_copy_whose_tiles_lie_in_the_padding_through_many_turns_holds_nothing_then(tmp_path: Path) -> None:
    """For q = 0 the copy with s = 0 lies in the padding; its rows of the block before would overlap those of the next one, for q = 1."""
    (tmp_path / "w.yaml").write_text(
        "workload: w\nshape: {p: 40, r: 3, q: 2, s: 2}\ntensors: {I: {shape: [42, 2], fill: 0}}\n"
        "einsums: ['O[p,q] = I[p+r,q+s-1] * F[r,s]']"
    )
    noun = load_workload(tmp_path / "w.yaml")
    assert isinstance(noun, Cascade)
    array = Array("array", (Axis("x", 2),), feeds=(Memory("Buffer", feeds=(unit(),)),))
    where = Architecture("machine", Memory("DRAM", read_bits_per_s=32 * CLOCK, feeds=(array,)), CLOCK)
    loops = For("p", 20), For("q", 1), For("p", 1), Spatial("x", "s", 1), keep("Buffer", "I"), For("r", 1), Leaf("O", "PE")
    assert agrees(noun, where, Mapping("by hand", (keep("DRAM", "I", "F", "O"), *loops)))
