"""Mapping files with holes: what is said is obeyed, what is open is searched to the end, what no rule can say is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.io.holes import marked
from accelsim.io.source import parse
from accelsim.io.template import template
from accelsim.mapper.constraints import Constraints
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.mapping.yaml_text import dump_mapping
from accelsim.model import Evaluator
from accelsim.workload.build import cascade
from tests.mapper import brute
from tests.mapper.small_problems import Problem, problem
from tests.mapper.test_constraints import searched, stacked
from tests.mapper.test_exact import QUICK, same_space, supported
from tests.share import share

ANY = 987_654_321  # a tile that is left open
NAME = "HOLE"  # a list or a unit that is
Node = TypeVar("Node", bound=TreeNode)


def text_of(mapping: Mapping) -> str:
    return dump_mapping(mapping).replace(str(ANY), "?").replace(f"[{NAME}]", "?").replace(NAME, "?")


def read(text: str, each: Problem) -> Constraints:
    return template(parse(marked(text), "t.yaml"), each.cascade, each.architecture, each.counting.refill != "delta")


def drawn(seed: int) -> tuple[Problem, np.random.Generator, list[Mapping]]:
    """A small problem with its mappings; those with several copies of a tensor left out, of which a file cannot speak."""
    rng = np.random.default_rng(seed)
    each = replace(problem(rng, 400), dividing=True)
    assume(len(each.architecture.memories) > 1 and same_space(each) and supported(each))
    refill = each.counting.refill
    found = brute.mappings(each.cascade, each.architecture, dividing=True, schedules=each.schedules, refill=refill)
    return each, rng, [mapping for mapping in found if "copies" not in dump_mapping(mapping)]


@settings(max_examples=10 if QUICK else 40)
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.slow
def test_a_file_without_holes_has_one_answer(seed: int) -> None:
    each, rng, mappings = drawn(seed)
    evaluator = Evaluator(each.cascade, each.architecture, each.counting)
    for number in rng.integers(0, len(mappings), 6).tolist():
        mapping = mappings[number]
        try:
            constraints = read(text_of(mapping), each)
        except InputError as error:
            assert "keep it above that loop" in str(error)
            continue
        found = searched(evaluator, each.objective, constraints, each.schedules)
        value = brute.value(evaluator.evaluate(mapping, checked=True), each.objective)
        assert found is not None
        copies = any(held.copies > 1 for node in found.mapping.nodes if isinstance(node, Keep) for held in node.held)
        if each.counting.refill == "delta" and not copies:
            assert found.value == pytest.approx(value, rel=1e-9), text_of(mapping)
        else:  # keeps are raised as far as they can be, and the search says how many copies there are
            assert found.value <= value * (1 + 1e-9), text_of(mapping)


# --- with holes, against all mappings ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Block:
    """Loops of a memory's block, what it keeps, and the sizes below; or the same of a keep above a fuse, with the loops above it."""

    memory: str
    loops: tuple[str, ...]
    tensors: frozenset[str]
    sizes: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Way:
    """How a mapping runs an Einsum."""

    unit: str
    part: tuple[frozenset[str], str, tuple[tuple[str, int], ...]]  # its Einsums, schedule, and loops above the fuse
    above: frozenset[tuple[str, str, tuple[tuple[str, int], ...]]]  # memory, tensor, sizes of its ranks
    blocks: tuple[Block, ...]
    spread: tuple[tuple[str, str, int, int], ...]  # axis, rank, size around, size inside


def ways(mapping: Mapping, each: Problem) -> dict[str, Way]:
    """How a mapping runs each Einsum; mappings with several parts have a fuse without loops above all of them."""
    found = {}
    last, tensors = mapping.nodes[-1], each.cascade.tensors
    inner = isinstance(last, Fuse) and (
        any(isinstance(node, For) for node in mapping.nodes)
        or last.schedule != "sequential"
        or any(
            tensors[tensor].is_input or tensors[tensor].is_output
            for node in mapping.nodes if isinstance(node, Keep) and node.memory != each.architecture.root.name
            for tensor in node.tensors if tensor != NAME
        )
    )  # fmt: skip
    for path, leaf in mapping.paths():
        einsum = each.cascade.by_name[leaf.einsum]
        fuses = [at for at, node in enumerate(path) if isinstance(node, Fuse)]
        fuse = path[fuses[-1]] if fuses and (len(fuses) > 1 or inner) else None
        cut = fuses[-1] if fuses else -1
        sizes, loops, blocks, spread, above = dict(each.cascade.extents), list[tuple[str, int]](), list[Block](), [], set()
        trunk: list[tuple[str, int]] = []
        for at, node in enumerate(path):
            if at == cut:
                trunk, loops = loops, []
            elif isinstance(node, For):
                sizes[node.rank] = node.tile
                loops.append((node.rank, node.tile))
            elif isinstance(node, Spatial):
                spread.append((node.axis, node.rank, sizes[node.rank], node.tile))
                sizes[node.rank] = node.tile
            elif isinstance(node, Keep) and (at < cut or node.memory == each.architecture.root.name):
                for tensor in node.tensors:
                    accesses = [access for access in (*einsum.reads, einsum.output) if access.tensor == tensor or tensor == NAME]
                    indexing = {r for access in accesses for index in each.cascade.index_maps(access) if index for r in index.ranks}
                    if accesses:
                        held = () if tensor == NAME else tuple((rank, sizes[rank]) for rank in sorted(indexing))
                        above.add((node.memory, tensor, held))
            elif isinstance(node, Keep):
                ranks = tuple((rank, sizes[rank]) for rank in einsum.ranks)
                blocks.append(Block(node.memory, tuple(rank for rank, _ in loops), frozenset(node.tensors), ranks))
                loops = []
        members = frozenset(branch[-1].einsum for branch in fuse.branches if isinstance(branch[-1], Leaf)) if isinstance(fuse, Fuse) else ()
        schedule = fuse.schedule if isinstance(fuse, Fuse) else ""
        part = frozenset(members or (leaf.einsum,)), schedule, tuple(trunk)
        found[leaf.einsum] = Way(leaf.unit, part, frozenset(above), tuple(blocks), tuple(spread))
    return found


def agrees(said: Way, way: Way, memories: list[str]) -> bool:
    """Whether a way to run an Einsum does what another one says, in which sizes may be ANY and tensors and units NAME."""
    if said.unit not in (NAME, way.unit) or said.part[:2] != way.part[:2]:
        return False
    sizes, wanted = dict(way.part[2]), dict(said.part[2])
    if [rank for rank in wanted if rank in sizes] != list(sizes):
        return False
    if any(size not in (ANY, sizes.get(rank)) for rank, size in wanted.items()):
        return False
    for memory in memories:
        kept = {(tensor, held) for where, tensor, held in way.above if where == memory}
        asked = {(tensor, held) for where, tensor, held in said.above if where == memory}
        free = any(tensor == NAME for tensor, _ in asked)
        names = {tensor for tensor, _ in asked if tensor != NAME}
        if not names <= {tensor for tensor, _ in kept} or (not free and names != {tensor for tensor, _ in kept}):
            return False
        for tensor, held in kept:
            for other, size in asked:
                if other == tensor and not all(b in (ANY, a) for (_, a), (_, b) in zip(held, size, strict=True)):
                    return False
        mine = next((block for block in way.blocks if block.memory == memory), None)
        theirs = next((block for block in said.blocks if block.memory == memory), None)
        if theirs is None or mine is None:
            if mine is not None or (theirs is not None and NAME not in theirs.tensors):
                return False
            continue
        if NAME not in theirs.tensors and mine.tensors != theirs.tensors:
            return False
        if not all(b in (ANY, a) for (_, a), (_, b) in zip(mine.sizes, theirs.sizes, strict=True)):
            return False
        if [rank for rank in theirs.loops if rank in mine.loops] != list(mine.loops):
            return False
    around = {(axis, rank): (outer, inner) for axis, rank, outer, inner in way.spread}
    told = {(axis, rank): (outer, inner) for axis, rank, outer, inner in said.spread}
    for key, (outer, inner) in around.items():
        if key not in told or (ANY not in told[key] and told[key][0] * inner != outer * told[key][1]):
            return False
    return all(key in around or ANY in sizes for key, sizes in told.items())


def with_holes(nodes: tuple[Node, ...], rng: np.random.Generator, chance: float, root: str) -> tuple[Node, ...]:
    """Nodes some of whose tiles, lists of tensors and units are left open; once a tile is, axes inside it are too."""
    found: list[TreeNode] = []
    for node in nodes:
        hole = bool(rng.random() < chance)
        if isinstance(node, Fuse):
            node = replace(node, branches=tuple(with_holes(branch, rng, chance, root) for branch in node.branches))
        elif isinstance(node, Leaf):
            node = replace(node, unit=NAME) if hole else node
        elif isinstance(node, Keep):
            node = replace(node, held=(Held(NAME),)) if hole and node.memory != root else node
        elif hole or (isinstance(node, Spatial) and chance):
            node = replace(node, tile=ANY)
        found.append(node)
    return tuple(found)  # type: ignore[arg-type]


@settings(max_examples=share(60, 30, 15))
@given(seed=st.integers(0, 2**32 - 1))
@pytest.mark.slow
def test_what_is_open_is_searched_to_the_end(seed: int) -> None:
    each, rng, mappings = drawn(seed)
    assume(each.counting.refill == "delta")
    evaluator = Evaluator(each.cascade, each.architecture, each.counting)
    memories = [name for name in each.architecture.memories if name != each.architecture.root.name]
    refill = each.counting.refill
    listed = [
        (brute.value(evaluator.evaluate(mapping, checked=True), each.objective), ways(mapping, each))
        for mapping in brute.mappings(each.cascade, each.architecture, dividing=True, schedules=each.schedules, refill=refill)
    ]
    for number in rng.integers(0, len(mappings), 6).tolist():
        mapping = mappings[number]
        root = each.architecture.root.name
        said = replace(mapping, nodes=with_holes(mapping.nodes, rng, float(rng.choice([0.3, 0.7])), root))
        try:
            constraints = read(text_of(said), each)
        except InputError as error:
            assert "keep it above that loop" in str(error) or "the size around them is '?'" in str(error), text_of(said)
            continue
        wanted = ways(said, each)
        top = {(memory, tensor) for way in ways(mapping, each).values() for memory, tensor, _ in way.above if memory == root}
        left = [
            value for value, done in listed
            if all(agrees(wanted[name], done[name], memories) for name in wanted)
            and {(memory, tensor) for way in done.values() for memory, tensor, _ in way.above if memory == root} == top
        ]  # fmt: skip
        found = searched(evaluator, each.objective, constraints, each.schedules)
        assert found is not None and left
        assert found.value == pytest.approx(min(left), rel=1e-9), text_of(said)


@settings(max_examples=6 if QUICK else 20)
@given(seed=st.integers(0, 2**32 - 1))
def test_an_open_end_leaves_what_lies_further_in_to_the_search(seed: int) -> None:
    each, rng, mappings = drawn(seed)
    evaluator = Evaluator(each.cascade, each.architecture, each.counting)
    free = searched(evaluator, each.objective, Constraints(), each.schedules)
    assert free is not None
    tree = f"mapping: open\ntree:\n  - keep {each.architecture.root.name}: ?\n  - ?\n"
    found = searched(evaluator, each.objective, read(tree, each), each.schedules)
    assert found is not None and found.value == pytest.approx(free.value, rel=1e-12)
    for number in rng.integers(0, len(mappings), 4).tolist():  # the file lets in what it was made of
        mapping = mappings[number]
        nodes = tuple(replace(node, unit=NAME, loops=(For("m", 1),)) if isinstance(node, Leaf) else node for node in mapping.nodes)
        if all(isinstance(node, (Leaf, Keep)) and getattr(node, "memory", root(each)) == root(each) for node in nodes):
            text = text_of(replace(mapping, nodes=nodes)).replace("loops: [for m: 1]", "loops: ?")
            found = searched(evaluator, each.objective, read(text, each), each.schedules)
            assert found is not None and found.value <= brute.value(evaluator.evaluate(mapping), each.objective) * (1 + 1e-9)


def root(each: Problem) -> str:
    return each.architecture.root.name


REFUSED = {
    "- keep Main: [A, B, Z]\n  - {einsum: Z, unit: U, loops: [for m: 3, keep L1: [A]]}": (
        "4:34: tile 3 of m does not divide the 4 around it, and constraints need that; write a size that divides 4, or '?'"
    ),
    "- {einsum: Z, unit: V, loops: ?}": "3:5: there is no unit 'V'; known: U",
    "- {einsum: Z, unit: U, loops: [for q: ?]}": "3:34: there is no rank 'q'; known: k, m, n",
    "- {einsum: Z, unit: U, loops: [keep L1: [Q]]}": "3:34: there is no tensor 'Q'; known: A, B, Z",
    "- {einsum: Z, unit: U, loops: [keep L3: ?]}": "3:34: there is no memory 'L3'; known: L1, L2, Main",
    "- {einsum: ?, unit: U, loops: ?}": "3:14: an Einsum of a mapping needs its name; name it, or write '?' for all of the branch",
    "- keep ?: [A]\n  - {einsum: Z, unit: U}": "3:5: a memory cannot be '?'; name the memory",
    "- ?: 4": "3:5: a node of any kind has no size; write '- ?', or 'for ?: ?'",
    "- {einsum: Z, unit: U, loops: [for m: 4, ?]}": (
        "3:34: 'for m' belongs to no memory; write the keep below it, as in 'keep MEMORY: ?'"
    ),
    "- {einsum: Z, unit: U, loops: [?, for m: 4]}": (
        "3:37: nothing may follow '?' among loops, which stands for all the rest; move it to the end"
    ),
    "- {einsum: Z, unit: U, loops: [for ?: 4, keep L1: ?]}": (
        "3:34: a loop of any rank cannot leave a given size; write '?' for its size too, or name the rank"
    ),
    "- {einsum: Z, unit: U, loops: [for m: 1]}": "3:34: 'for m' stands above no keep; leave it out, or write the keep below it",
    "- {einsum: Z, unit: U, loops: [for m: 2, for m: 1, keep L1: ?]}": "3:44: m has two loops in one block; leave one of them out",
    "- {einsum: Z, unit: U, loops: [keep L1: [A], for m: 1, keep L1: [B]]}": (
        "3:58: L1 has two blocks in Z; write one keep for all that it holds"
    ),
    "- {einsum: Z, unit: U, loops: [keep L1: [{A: {copies: 2}}]]}": (
        "3:34: no rule says how L1 keeps A, only that it does; write 'A' alone; copies are found by the search"
    ),
    "- for m: 4\n  - ?": "3:5: no Einsum is named below this; name it, as in '{einsum: NAME, unit: ?, loops: ?}'",
    "- fuse staged: [{einsum: Z, unit: U}]": (
        "3:5: the search knows no staged fuses and recomputes nothing; write 'fuse sequential' or 'fuse pipelined'"
    ),
    "- for ?: 2\n  - fuse pipelined: [{einsum: Z, unit: U}]": "3:5: a loop above a fuse needs its rank; name it; its size may be '?'",
    "- for m: ? ?\n  - ?": "3:12: the tile of 'for m': formula '? ?' has a '?'; write numbers, names, + - * / // % **, min, max, ceil",
}  # fmt: skip


@pytest.mark.parametrize("tree", REFUSED)
def test_what_no_rule_can_say_is_refused_at_its_place(tree: str) -> None:
    made, machine = cascade("product", "Z[m,n] = A[m,k] * B[k,n]", {"m": 4, "n": 2, "k": 2}), stacked(4, 2)
    with pytest.raises(InputError) as caught:
        template(parse(marked(f"mapping: x\ntree:\n  {tree}\n"), "t.yaml"), made, machine, False)
    assert str(caught.value).startswith(f"t.yaml:{REFUSED[tree]}")


def test_a_tree_that_is_open_as_a_whole_is_refused() -> None:
    made, machine = cascade("product", "Z[m,n] = A[m,k] * B[k,n]", {"m": 4, "n": 2, "k": 2}), stacked(4, 2)
    with pytest.raises(InputError, match=r"t.yaml:2:7: the tree must be a list, not '\?'; write"):
        template(parse(marked("mapping: x\ntree: ?\n"), "t.yaml"), made, machine, False)
