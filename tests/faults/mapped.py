"""Random mapped cascades in random types, as faults are put into them, and what a replay of a fault changes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from accelsim.errors import AccelsimError
from accelsim.faults.cones import Effect, Fault, Mapped
from accelsim.faults.reference_mapped import Replay, Values
from accelsim.hardware.architecture import Architecture
from accelsim.hardware.types import TYPES
from accelsim.mapping.tree import Fuse, Keep, Leaf, Mapping, TreeNode
from accelsim.sim.formats import SATURATE, WRAP
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs
from tests.model.strategies import Triple
from tests.sim.test_values import is_defined

KINDS = [
    ("int8", "int32"), ("int8", "int8"), ("int16", "int32"), ("fp32", "fp32"), ("fp16", "fp32"),
    ("bf16", "fp32"), ("bf16", "bf16"), ("e4m3", "fp16"), ("e5m2", "fp32"), ("fp16", "fp16"),
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """A cascade on a machine by a mapping, with inputs; both ways to put a fault into it, and the replay without one."""

    cascade: Cascade
    mapped: Mapped
    replay: Replay
    golden: Values

    def replayed(self, fault: Fault) -> dict[str, dict[int, Any]]:
        """What the replay says that a fault changes: by tensor and flat word."""
        return difference(self.cascade, self.golden, self.replay.run(fault))


def whole(nodes: tuple[TreeNode, ...]) -> tuple[TreeNode, ...]:
    """A loop tree whose keeps hold whole tiles."""
    out: list[TreeNode] = []
    for node in nodes:
        if isinstance(node, Keep):
            node = replace(node, held=tuple(replace(held, fraction=Fraction(1)) for held in node.held))
        elif isinstance(node, Leaf):
            node = replace(node, loops=whole(node.loops))
        elif isinstance(node, Fuse):
            node = replace(node, branches=tuple(whole(branch) for branch in node.branches))
        out.append(node)
    return tuple(out)


def case(drawn: Triple, seed: int) -> Case | str:
    """A random triple in types that the seed picks; or why it has no faults."""
    made, machine, mapping, _ = drawn
    if not is_defined(made):
        return "writes a word twice, or has an empty tensor"
    final, partial = KINDS[seed % len(KINDS)]
    overflow = [WRAP, SATURATE][seed // len(KINDS) % 2]
    made = replace(made, tensors={name: replace(each, final=TYPES[final], partial=TYPES[partial]) for name, each in made.tensors.items()})
    inputs = random_inputs(made, np.random.default_rng(seed))
    if TYPES[final].kind == "integer":
        inputs = {name: np.rint(value * 6).astype(np.int64) for name, value in inputs.items()}
    return built(made, machine, replace(mapping, nodes=whole(mapping.nodes)), inputs, overflow)


def built(made: Cascade, machine: Architecture, mapping: Mapping, inputs: dict[str, Any], overflow: str = SATURATE) -> Case | str:
    """A case; or why there is none."""
    try:
        mapped = Mapped(made, machine, mapping, inputs, overflow, checked=True)
        replay = Replay(made, machine, mapping, inputs, overflow)
    except AccelsimError as refused:
        return str(refused)
    return Case(made, mapped, replay, replay.run())


def flat(made: Cascade, name: str, word: tuple[int, ...]) -> int:
    """The flat number of a word."""
    shape = made.tensors[name].shape
    return int(np.ravel_multi_index(word, shape)) if shape else 0


def same(left: Any, right: Any) -> bool:
    """Whether two words have the same bits, any NaN being as good as another."""
    one, other = float(left), float(right)
    if one != one or other != other:
        return one != one and other != other
    return one == other and np.signbit(one) == np.signbit(other)


def difference(made: Cascade, golden: Values, found: Values) -> dict[str, dict[int, Any]]:
    """Words of a replay that are not those of another."""
    changed = {
        name: {flat(made, name, word): value for word, value in words.items() if not same(value, golden[name][word])}
        for name, words in found.items()
    }
    return {name: words for name, words in changed.items() if words}


def agrees(effect: Effect, wanted: dict[str, dict[int, Any]]) -> bool:
    """Whether a closed form says what a replay does, bit for bit."""
    found = {name: dict(zip(words.tolist(), values, strict=True)) for name, (words, values) in effect.changed.items()}
    if found.keys() != wanted.keys() or any(found[name].keys() != wanted[name].keys() for name in wanted):
        return False
    return all(same(found[name][word], value) for name, words in wanted.items() for word, value in words.items())


def seeded_cases(drawn: Iterator[Triple]) -> Iterator[Case]:
    """Cases of triples, those that have no faults left out."""
    for seed, each in enumerate(drawn):
        found = case(each, seed)
        if isinstance(found, Case) and len(found.mapped.stays.store):
            yield found
