"""A mapping is legal exactly when a literal walk of its loops finds every value made, and whole, before it is read.

The walk here knows nothing of `accelsim.mapping`: it executes points one by one in the order of the tree, with everything kept
outside all loops, and stops at a read of a value that is not there or still misses a contribution.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from fractions import Fraction
from itertools import product

import pytest

from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory
from accelsim.mapping.legality import problems
from accelsim.mapping.occupancy import occupancy
from accelsim.mapping.tree import For, Fuse, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.mapping.tree import Held as H
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.expression import Access, IndexMap
from tests.mapping.machines import machine, softmax, unit
from tests.mapping.machines import mapping as machine_mapping

UNIT = unit("U", "mac", "add", "sub", "mul", "exp", "max", "div")
MACHINE = Architecture("one", Memory("M", feeds=(Array("a", (Axis("x", 8),), feeds=(UNIT,)),)), Fraction(1))
TOY = machine(register_bits=1 << 20)
SHAPES = {"m": 4, "n": 3, "k": 3, "p": 4, "i": 3, "t": 4}
CASCADES = {
    "chain": "T[m,n] = A[m,k] * B[k,n]; S[m,n] = exp(T[m,n]); Z[m,p] = S[m,n] * C[n,p]",
    "softmax": "G[p] = max[m](X[m,p]); S[m,p] = exp(X[m,p] - G[p]); D[p] = S[m,p]; Y[m,p] = S[m,p] / D[p]",
    "transposed": "T[m,p] = A[m,p] + B[m,p]; Z[m,p] = T[m,p] * T[p,m]",
    "running": "R[i+1,p] = max(R[i,p], X[i,p]); R[0,p] = -inf; P[i,p] = exp(R[i,p] - R[i+1,p]); "
    "S[i,p] = D[i,p] * P[i,p]; D[0,p] = 0; D[i+1,p] = X[i,p] + S[i,p]; O[p] = D[I,p] / R[I,p]; E[i,p] = X[i,p] * P[i,p]",
    "two passes": "R[0,p] = -inf; R[i+1,p] = max(R[i,p], X[i,p]); N[i,p] = exp(X[i,p] - R[I,p]); Z[p] = N[i,p]",
    "neural": "H[0,n] = 0; H[t+1,n] = W[n,k] * H[t,k]; Y[t,n] = H[t,n] * C[n]",
    "rotated slices": "H[0,n] = 0; H[t+1,n] = H[t,(n+1)%3] + X[t,n]; Y[t,n] = H[t,n] * C[n]",
    "shifted slices": "H[0,n] = 0; H[1,n] = 0; H[t+2,n] = H[t,n+k-1] * X[t,k]; Y[t,n] = H[t,n] * C[n]",
    "rotated": "T[m,n] = A[m,n] + B[m,n]; Z[m,n] = T[(m+1)%4,n] * C[m]",
    "halved": "T[m,n] = A[m,n] + B[m,n]; Z[m,n] = T[(m+1)//2,n] * C[m]",
    "scan": "H[0] = 0; H[t+1] = A[t] * H[t] + X[t]; Y[t] = H[t+1] * C[t]; Z[t] = Y[t] + H[t]",
}


def _value(index: IndexMap, point: dict[str, int]) -> int:
    at = (sum(coefficient * point[rank] for rank, coefficient in index.terms) + index.offset) // index.divisor
    return at % index.modulus if index.modulus else at


class _Walk:
    """Executes the points of a tree in order; `broken` names the first read of a value that is not there."""

    def __init__(self, made: Cascade, mapping: Mapping) -> None:
        self.made, self.broken = made, ""
        self.whole: dict[tuple[str, tuple[int, ...]], int] = {}
        self.done: dict[tuple[str, tuple[int, ...]], int] = {}
        self.executed: set[tuple[str, tuple[int, ...]]] = set()
        for einsum in made.work:
            for point in product(*(range(made.extents[rank]) for rank in einsum.ranks)):
                word = self._word(einsum.output, dict(zip(einsum.ranks, point, strict=True)))
                self.whole[word] = self.whole.get(word, 0) + 1
        self._nodes(mapping.nodes, {rank: range(extent) for rank, extent in made.extents.items()}, {})

    def _word(self, access: Access, point: dict[str, int]) -> tuple[str, tuple[int, ...]]:
        maps = self.made.index_maps(access)
        return access.tensor, tuple(_value(index, point) for index in maps if index is not None)

    def _nodes(self, nodes: tuple[TreeNode, ...], tile: dict[str, range], last: dict[str, bool]) -> None:
        for place, node in enumerate(nodes):
            if isinstance(node, For):
                whole = tile[node.rank]
                for start in range(whole.start, whole.stop, node.tile):
                    part = range(start, min(start + node.tile, whole.stop))
                    final = last.get(node.rank, True) and part.stop == whole.stop
                    self._nodes(nodes[place + 1 :], {**tile, node.rank: part}, {**last, node.rank: final})
                return
            if isinstance(node, Fuse):
                for branch in node.branches:
                    self._nodes(branch, tile, last)
            elif isinstance(node, Leaf):
                self._einsum(self.made.by_name[node.einsum], tile, last)

    def _einsum(self, einsum: Einsum, tile: dict[str, range], last: dict[str, bool]) -> None:
        # an Einsum that a loop does not concern runs in one of its iterations: the first that has all it reads, at the latest the last
        may_wait = any(not final for rank, final in last.items() if rank not in einsum.ranks)
        for point in product(*(tile[rank] for rank in einsum.ranks)):
            if (einsum.name, point) in self.executed:
                continue
            at = dict(zip(einsum.ranks, point, strict=True))
            words = [self._word(read, at) for read in einsum.reads]
            missing = [word for word in words if self.done.get(word, 0) < self.whole.get(word, 0)]
            if missing and may_wait:
                continue
            if missing:
                self.broken = self.broken or f"{einsum.name}{point} reads {missing[0]}"
            self.executed.add((einsum.name, point))
            written = self._word(einsum.output, at)
            self.done[written] = self.done.get(written, 0) + 1


def _mapping(made: Cascade, rng: random.Random) -> Mapping:
    """Everything kept outside, a few loops above a fuse, perhaps more loops and an inner fuse, in any order of branches."""
    keep = Keep("M", tuple(H(tensor) for tensor in made.tensors))
    names = [einsum.name for einsum in made.work]
    if rng.random() < 0.2:
        at = rng.randrange(len(names) - 1)
        names[at], names[at + 1] = names[at + 1], names[at]
    left = dict(made.extents)

    def loops(ranks: list[str], most: int, left: dict[str, int]) -> Iterator[For]:
        for rank in rng.sample(ranks, min(len(ranks), rng.randint(0, most))):
            left[rank] = rng.randint(1, left[rank])
            yield For(rank, left[rank])

    outer = list(loops(sorted({rank for name in names for rank in made.by_name[name].ranks}), 2, left))
    branches: list[tuple[TreeNode, ...]] = []
    while names:
        group, names = names[: (size := rng.choice([1, 1, 2, 3]))], names[size:]
        own = dict(left)
        ranks = sorted({rank for name in group for rank in made.by_name[name].ranks})
        above = list(loops(ranks, 2, own))
        leaves = [(*loops(list(made.by_name[name].ranks), 1, dict(own)), Leaf(name, "U")) for name in group]
        branches.append((*above, *leaves[0]) if len(leaves) == 1 else (*above, Fuse("sequential", tuple(leaves))))
    return Mapping("t", (keep, *outer, Fuse("sequential", tuple(branches))))


@pytest.mark.parametrize("name", CASCADES)
def test_legal_mappings_read_only_what_is_there_and_illegal_ones_do_not(name: str) -> None:
    used = set(re.findall(r"[a-z]+", CASCADES[name]))
    shape = {rank: size for rank, size in SHAPES.items() if rank in used}
    made = cascade(name, CASCADES[name], shape, tensors={"H": TensorDeclaration(fill=0)} if name == "shifted slices" else None)
    rng, legal, illegal = random.Random(7), 0, 0
    for _ in range(400):
        mapping = _mapping(made, rng)
        found, broken = problems(made, MACHINE, mapping), _Walk(made, mapping).broken
        early = found and all("reduces" in str(problem) for problem in found)  # refused even where the consumer could wait
        assert bool(found) == bool(broken) or early, f"{mapping}\n{[str(problem) for problem in found]}\n{broken}"
        legal, illegal = legal + (not found), illegal + bool(found)
    assert legal > 20 and illegal > 20, (legal, illegal)


WORDS = ["Q", "QK", "GM", "SN", "SD", "A", "m", "p", "e", "DRAM", "Buffer", "Reg", "Side", "PE", "V", "S", "x", "y", "nonsense"]


def _any_nodes(rng: random.Random, depth: int) -> tuple[TreeNode, ...]:
    nodes: list[TreeNode] = []
    for _ in range(rng.randrange(4)):
        kind, held = rng.randrange(3), rng.sample(WORDS, 2)
        nodes.append(
            For(rng.choice(WORDS), rng.randrange(0, 9))
            if kind == 0
            else Spatial(rng.choice(WORDS), rng.choice(WORDS), rng.randrange(0, 9))
            if kind == 1
            else Keep(rng.choice(WORDS), tuple(H(name, in_place=tuple(rng.sample(WORDS, rng.randrange(2)))) for name in held))
        )
    if depth and rng.random() < 0.6:
        branches = tuple(_any_nodes(rng, depth - 1) for _ in range(rng.randrange(4)))
        nodes.append(Fuse(rng.choice(["sequential", "staged", "pipelined"]), branches, recompute=("QK",) if rng.random() < 0.2 else ()))
    elif rng.random() < 0.95:
        nodes.append(Leaf(rng.choice(WORDS), rng.choice(WORDS), tuple(node for node in nodes if isinstance(node, (For, Keep)))[:1]))
    return tuple(nodes)


def test_any_tree_of_any_words_is_answered_with_problems() -> None:
    rng = random.Random(11)
    made = softmax()
    for _ in range(2000):
        assert problems(made, TOY, Mapping("t", _any_nodes(rng, 3)))


@pytest.mark.slow
def test_damage_to_a_legal_tree_is_answered_with_problems_or_a_legal_tree() -> None:
    text = (
        "- keep DRAM: [Q, K, A]\n- for p: 2\n- keep Buffer: [QK, GM, SN, SD]\n- fuse sequential:\n"
        "  - {einsum: QK, unit: PE, loops: [for m: 4, spatial x m: 1, keep Reg: [Q], for e: 1]}\n"
        "  - {einsum: GM, unit: V, loops: [for m: 2]}\n"
        "  - {einsum: SN, unit: V, loops: [for m: 2]}\n  - {einsum: SD, unit: V, loops: [for m: 2]}\n  - {einsum: A, unit: V}\n"
    )
    made, rng, words = softmax(), random.Random(5), re.findall(r"\w+", text)
    assert problems(made, TOY, machine_mapping(text, made)) == []
    for _ in range(2000):
        damaged = text
        for _ in range(rng.randint(1, 2)):
            spots = list(re.finditer(r"\w+", damaged))
            spot = rng.choice(spots)
            damaged = damaged[: spot.start()] + rng.choice(words) + damaged[spot.end() :]
        try:
            mapping = machine_mapping(damaged, made)
        except InputError:
            continue
        assert problems(made, TOY, mapping) or occupancy(made, TOY, mapping)


def test_random_triples_that_are_legal_by_construction_break_no_rule_but_idle_keeps() -> None:
    from tests.model.strategies import seeded_triples

    for made, target, mapping, _ in seeded_triples(3, 200):
        found = [str(problem) for problem in problems(made, target, mapping)]
        assert all("which no Einsum below touches" in problem for problem in found), (mapping, found)
        assert found or occupancy(made, target, mapping)
