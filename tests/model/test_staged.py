"""A staged fuse is never faster than a pipelined one with the same tree: why the mapper need not search it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from accelsim.errors import AccelsimError
from accelsim.mapping.tree import Fuse, Mapping, TreeNode
from accelsim.model import Evaluator
from tests.model.strategies import seeded_triples


def fuses(nodes: tuple[TreeNode, ...]) -> Iterator[Fuse]:
    """Every fuse of a tree."""
    for node in nodes:
        if isinstance(node, Fuse):
            yield node
            for branch in node.branches:
                yield from fuses(branch)


def pipelined(nodes: tuple[TreeNode, ...]) -> tuple[TreeNode, ...]:
    """The tree with every staged fuse pipelined."""
    return tuple(
        replace(node, schedule="pipelined" if node.schedule == "staged" else node.schedule, stages=(),
                branches=tuple(pipelined(branch) for branch in node.branches))
        if isinstance(node, Fuse) else node
        for node in nodes
    )  # fmt: skip


@pytest.mark.slow
def test_pipelined_is_never_slower_than_staged() -> None:
    compared = faster = 0
    for made, machine, mapping, counting in seeded_triples(11, 800):
        if not any(fuse.schedule == "staged" for fuse in fuses(mapping.nodes)):
            continue
        evaluator = Evaluator(made, machine, counting)
        try:
            staged = evaluator.evaluate(mapping)
        except AccelsimError:
            continue
        other = evaluator.evaluate(Mapping(mapping.name, pipelined(mapping.nodes)))
        assert other.seconds <= staged.seconds * (1 + 1e-12), mapping
        assert other.counts.words == staged.counts.words
        compared, faster = compared + 1, faster + (other.seconds < staged.seconds)
    assert compared > 30 and faster > 5
