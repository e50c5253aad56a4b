"""A structure of one Einsum (loops, keeps and unit, tile sizes left open) lowered to arrays for the batch kernel."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from accelsim.errors import IllegalMapping, InputError
from accelsim.mapper.leaf_plan import costly_networks
from accelsim.mapping.tree import Fuse, Keep, Leaf, Loop, Mapping, Spatial
from accelsim.model.evaluation import Evaluator

IntArray = NDArray[np.int64]
Int = int | np.int64  # an integer of a kernel
FloatArray = NDArray[np.float64]

LOOP_RANK, LOOP_TIME, LOOP_MULTICASTS, LOOP_REDUCES, LOOP_AXIS = range(5)
ROW_STREAM, ROW_PAIR, ROW_PARENT, ROW_CHILD = range(4)
KEEP_STREAM, KEEP_POSITION, KEEP_MEMORY, KEEP_INNER = range(4)
PORT_READ, PORT_WRITE, PORT_SHARED, PORT_SIZE = range(4)
OPTION_ONE, OPTION_CHARGED, OPTION_EVERY_VISIT, OPTION_CHILD = range(4)
STEADY, FITS, LEGAL = range(3)
MOST_LOOPS, MOST_RANKS = 16, 8


class BatchPlan(NamedTuple):
    """Columns of the tables are named in this module. `ends`: positions (loops above) of children; `pairs`: the position of a parent
    and the number of its child's. `widths`: partial and final bits per word of every stream (in pieces). `fixed`: ticks per issue and
    lanes."""

    extents: IntArray
    reduced: IntArray
    loops: IntArray
    axis_sizes: IntArray
    ends: IntArray
    pairs: IntArray
    indexed: IntArray
    rows: IntArray
    keeps: IntArray
    widths: IntArray
    ports: IntArray
    prices: FloatArray
    options: IntArray
    fixed: IntArray


def lower(evaluator: Evaluator, mapping: Mapping) -> BatchPlan:
    """The plan of a mapping of one Einsum whose root keep stands on top; its tiles are only an example.

    Refuses (InputError) what the batch kernel has no form for: windows, conditions, iterative tensors, fractions, copies, in-place
    chains, memories of several copies whose port takes time, and networks.
    """
    cascade, machine, program = evaluator.cascade, evaluator.architecture, evaluator.program
    nodes = mapping.nodes
    leaf = nodes[-1]
    if len(cascade.work) != 1 or not isinstance(leaf, Leaf) or any(isinstance(node, Fuse) for node in nodes):
        raise _refused("a batch evaluates one Einsum without a fuse")
    einsum = cascade.work[0]
    facts = program.facts[einsum.name]
    if einsum.condition is not None or any(stream.groups or stream.weight != 1 for stream in facts.streams):
        raise _refused(f"{einsum.name} has windows or a condition")
    if any(tensor.iterative is not None for tensor in cascade.tensors.values()):
        raise _refused(f"{einsum.name} is a recurrence")
    if any(role[0] not in _SIMPLE for stream in facts.streams for role in stream.roles):
        raise _refused(f"{einsum.name} reads outside a tensor")
    if evaluator.counting.footprint != "touched":
        raise _refused("the batch kernel counts what is touched")
    if costly := costly_networks(evaluator, leaf.unit):
        raise _refused(f"words cross the {costly[0]}")
    path: list[Loop] = [node for node in (*nodes[:-1], *leaf.loops) if not isinstance(node, (Leaf, Fuse))]
    position = {rank: at for at, rank in enumerate(facts.ranks)}
    memories = {name: at for at, name in enumerate(machine.memories)}
    axes = {name: at for at, name in enumerate(machine.axes)}
    loops: list[tuple[int, int, int, int, int]] = []
    keepers: dict[str, list[tuple[int, str]]] = {}
    for node in path:
        if isinstance(node, Keep):
            for held in node.held:
                if held.copies != 1 or held.fraction != 1 or held.in_place:
                    raise _refused("a keep has copies, fractions or shared space")
                keepers.setdefault(held.tensor, []).append((len(loops), node.memory))
        elif isinstance(node, Spatial):
            axis = machine.axes[node.axis][1]
            loops.append((position[node.rank], 0, int(axis.multicast), int(einsum.reduce in axis.reduces), axes[node.axis]))
        else:
            loops.append((position[node.rank], 1, 0, 0, -1))
    if len(loops) > MOST_LOOPS or len(facts.ranks) > MOST_RANKS:
        raise _refused(f"more than {MOST_LOOPS} loops or {MOST_RANKS} ranks")
    spread = [loop[0] for loop in loops if not loop[1]]
    if len(set(spread)) < len(spread):
        raise _refused("a rank is spread over two axes")
    ends: dict[int, int] = {}
    pairs: dict[tuple[int, int], int] = {}
    rows, keeps = [], []
    for number, stream in enumerate(facts.streams):
        chain = keepers.get(stream.tensor)
        if not chain or chain[0][0] != 0:
            raise IllegalMapping(f"{stream.tensor} is not kept above all loops", "keep it at the outermost memory")
        for at, (above, memory) in enumerate(chain):
            below, child = chain[at + 1] if at + 1 < len(chain) else (len(loops), None)
            pair = pairs.setdefault((above, ends.setdefault(below, len(ends))), len(pairs))
            rows.append((number, pair, memories[memory], -1 if child is None else memories[child]))
            keeps.append((number, above, memories[memory], below if child is not None else -1))
    return BatchPlan(
        np.array(facts.extents, np.int64),
        np.array([rank in einsum.reduced for rank in facts.ranks], np.int64),
        np.array(loops, np.int64).reshape(-1, 5),
        np.array([axis.size for _, axis in machine.axes.values()] or [1], np.int64),
        np.array(list(ends), np.int64),
        np.array(list(pairs), np.int64).reshape(-1, 2),
        np.array([[role[0] != _ABSENT for role in stream.roles] for stream in facts.streams], np.int64),
        np.array(rows, np.int64),
        np.array(keeps, np.int64),
        _widths(evaluator, einsum.name),
        _ports(evaluator),
        _prices(evaluator),
        np.array(
            [
                evaluator.counting.returned_partials == "one",
                evaluator.counting.drains == "charged",
                evaluator.counting.refill == "every_visit",
                evaluator.counting.first_touch == "child",
            ],
            np.int64,
        ),
        np.array([evaluator.issue_ticks(einsum.name, leaf.unit), machine.units[leaf.unit].lanes], np.int64),
    )


_ABSENT, _PLAIN = 0, 1
_SIMPLE = (_ABSENT, _PLAIN)


def _refused(reason: str) -> InputError:
    return InputError(f"no batch: {reason}", "evaluate its mappings one by one")


def _widths(evaluator: Evaluator, einsum: str) -> IntArray:
    widths, found = evaluator.widths, []
    for stream in evaluator.program.facts[einsum].streams:
        if stream.output:
            found.append((widths.partial[stream.tensor], widths.final[stream.tensor]))
        else:
            width = widths.read[einsum, stream.tensor]
            found.append((width, width))
    return np.array(found, np.int64)


def _ports(evaluator: Evaluator) -> IntArray:
    machine, found = evaluator.architecture, []
    for name, memory in machine.memories.items():
        port = evaluator.clock.ports.get(name)
        if port is not None and machine.copies(name) > 1:
            raise _refused(f"{name} has several copies and a limited bandwidth")
        size = -1 if memory.size_bits is None else memory.size_bits * evaluator.clock.pieces
        read, write = (0, 0) if port is None else (port.read or 0, port.write or 0)
        found.append((read, read if port is not None and port.shared else write, int(port is None or port.shared), size))
    return np.array(found, np.int64)


def _prices(evaluator: Evaluator) -> FloatArray:
    prices = evaluator.prices
    rows = [[0.0 if (price := table[name]) is None else price.value for table in (prices.read, prices.write, prices.update)]
            for name in evaluator.architecture.memories]  # fmt: skip
    return np.array(rows, np.float64)
