"""Problems of `peer_cases` as cascades, machines and searches of accelsim, counted by AccelForge's rules.

Every statement becomes one that a unit issues once per point: a product of two operands, a sum of one, or, where one operand is neither
multiplied nor summed, its magnitude. A unit executes the primitives of the Einsums that it runs and no others. The clock is the highest
rate of any unit; an operation of a slower one takes a whole or broken number of cycles, so that no rate is rounded.

An Einsum's roles say which tensors a memory keeps for it and over which ranks an axis may spread it. `problem(case, rules=True)` obeys
that; without rules every axis spreads every rank, and a memory may keep, or not, what it keeps for any Einsum. `wider` says what our
space still has that AccelForge's has not.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Node, Operation, Quantity, Unit
from accelsim.mapper import exact, options
from accelsim.mapper.constraints import AxisRule, Constraints, KeepRule
from accelsim.mapper.figures import Scale, aim
from accelsim.mapping.legality import problems
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.options import Counting
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.benchmarks.peer_cases import ARCHITECTURES

Record = dict[str, Any]

COUNTING = Counting(returned_partials="every_member", first_touch="child", refill="every_visit")
OBJECTIVES = {"energy": "energy", "latency": "latency", "energy x latency": "edp"}
ACCESS = re.compile(r"\w+\[([^\]]*)\]")
RUNS = {
    "every Einsum": ("mac", "mul", "add", "abs"),
    "Einsums with two tensors": ("add", "abs"),
    "Einsums with three tensors": ("mac", "mul"),
}
KEEPS = {  # roles that a memory keeps; other memories may keep every tensor
    "the input and the output of each Einsum; never its weight": ("input", "output"),
    "the weight": ("weight",),
}
SPREADS = re.compile(r"only ranks the (\w+) does not index")


def statement(text: str) -> str:
    """A statement of a case in accelsim's grammar, one primitive per point."""
    output, operands = (side.strip() for side in text.split("="))
    ranks = {side: set(ACCESS.findall(side)[0].split(",")) for side in (output, operands)}
    return text if "*" in operands or ranks[operands] - ranks[output] else f"{output} = abs({operands})"


def workload(case: Record) -> Cascade:
    """The cascade of a case: integers of its width, partial results too."""
    work = case["workload"]
    statements = [statement(text) for text in work["einsums"].values()]
    return cascade(case["id"], statements, work["shape"], types={"default": f"int{work['bits_per_value']}"})


def record(case: Record) -> Record:
    """The record of a case's machine."""
    found: Record = ARCHITECTURES[case["architecture"]]
    return found


def machine(case: Record) -> Architecture:
    """The machine of a case."""
    rows = record(case)
    assert rows["leakage_w"] == 0, "leakage is not translated"
    clock = max(Fraction(unit["operations_per_s"]) for unit in rows["units"])
    inner: tuple[Node, ...] = ()
    for row in reversed(rows["memories"]):
        arrays = [found for found in rows["arrays"] if found["under"] == row["name"]]
        for array in arrays:
            inner = (Array(f"{array['name']}s", tuple(map(_axis, array["axes"])), feeds=inner),)
        units = tuple(_unit(unit, clock) for unit in rows["units"] if unit["under"] == row["name"])
        inner = (_memory(row, case["workload"]["bits_per_value"], (*units, *inner)),)
    (root,) = inner
    assert isinstance(root, Memory)
    return Architecture(case["architecture"], root, clock)


def _price(picojoules: float) -> Quantity:
    return Quantity(picojoules, picojoules, picojoules)


def _memory(row: Record, bits: int, feeds: tuple[Node, ...]) -> Memory:
    size = bits if row["size_bits"] == "one weight value" else row["size_bits"]
    ports = "separate" if row.get("ports") == "separate read and write" else "shared"
    read, write = (None if rate is None else Fraction(rate) for rate in (row["read_bits_per_s"], row["write_bits_per_s"]))
    assert ports == "separate" or read == write, f"{row['name']} shares one port between two rates"
    prices = _price(row["read_pj_per_bit"]), _price(row["write_pj_per_bit"])
    return Memory(row["name"], size, read, write, ports, None, *prices, feeds=feeds)


def _axis(row: Record) -> Axis:
    return Axis(row["name"], row["fanout"], row["reuses"] == "input", ("add",) if row["reuses"] == "output" else ())


def _unit(row: Record, clock: Fraction) -> Unit:
    cycles, price = clock / Fraction(row["operations_per_s"]), _price(row["pj_per_operation"])
    return Unit(row["name"], {primitive: Operation(primitive, cycles, price) for primitive in RUNS[row["runs"]]})


def kept_roles(case: Record) -> dict[str, tuple[str, ...]]:
    """Memories that keep tensors by role, and the roles."""
    return {row["name"]: KEEPS[row["keep"]] for row in record(case)["memories"] if row["keep"] in KEEPS}


def constraints(case: Record, rules: bool) -> Constraints:
    """What a memory keeps and an axis spreads, by the roles of each Einsum; without `rules` only what holds for every Einsum."""
    roles = case["workload"].get("roles", {})
    tensors = {tensor for each in roles.values() for tensor in each.values()}
    keeps, axes = [], []
    for memory, wanted in kept_roles(case).items():
        if not rules:
            never = tensors - {tensor for each in roles.values() for role, tensor in each.items() if role in wanted}
            keeps.append(KeepRule(memory=memory, tensors=tuple(sorted(never)), must=False))
            continue
        for einsum, each in roles.items():
            for role, tensor in each.items():
                keeps.append(KeepRule((einsum,), memory, (tensor,), role in wanted))
    shapes = {name: ACCESS.findall(text) for name, text in case["workload"]["einsums"].items()}
    for array in record(case)["arrays"] if rules else ():
        for axis in array["axes"]:
            use = SPREADS.search(axis["use"])
            for einsum, each in roles.items():
                if use is None or use[1] not in each:
                    continue
                text = case["workload"]["einsums"][einsum]
                ranks = {rank.strip() for indices in shapes[einsum] for rank in indices.split(",")}
                (lacking,) = re.findall(rf"\b{each[use[1]]}\[([^\]]*)\]", text)
                axes.append(AxisRule((einsum,), axis["name"], tuple(sorted(ranks - {rank.strip() for rank in lacking.split(",")}))))
    return Constraints(keeps=tuple(keeps), axes=tuple(axes))


Problem = tuple[Record, Cascade, Architecture, Constraints]
"""A case with its workload, machine and constraints."""


def problem(case: Record, rules: bool = True) -> Problem:
    """What a case asks, before any search."""
    return case, workload(case), machine(case), constraints(case, rules)


def search(problem: Problem, limits: options.Limits | None = None) -> exact.Exact:
    """The exact search of a problem."""
    case, work, architecture, given = problem
    evaluator = Evaluator(work, architecture, COUNTING)
    goal = aim(OBJECTIVES[case["objective"]], Scale.of(evaluator))
    nests = case["options"]["max_fused_loops"] is None  # a trunk inside another has loops of its own
    return exact.Exact(evaluator, goal, ("sequential",), given, limits, nests=nests)


def wider(case: Record, rules: bool = True) -> list[str]:
    """What our space has for a case that AccelForge's has not."""
    found = []
    if case["options"]["max_fused_loops"] is not None:
        found.append("any number of fused loops")
    axes = [axis for array in record(case)["arrays"] for axis in array["axes"]]
    if axes:
        found.append("axes need not be as full as factors allow")
    if not rules and any(SPREADS.search(axis["use"]) for axis in axes):
        found.append("every axis spreads every rank")
    if not rules and kept_roles(case):
        found.append("memories keep by tensor what AccelForge keeps by an Einsum's roles, or leave it out")
    return found


def value(case: Record, evaluation: Evaluation) -> float:
    """The objective of a case in J, s or J s."""
    energy, latency = evaluation.energy_pj * 1e-12, evaluation.seconds
    return {"energy": energy, "latency": latency, "energy x latency": energy * latency}[case["objective"]]


def recount(case: Record, evaluator: Evaluator, rows: list[Record]) -> Record:
    """What a recorded mapping costs by our count, and the first reason why it is not legal here."""
    mapping = Mapping(case["id"], _nodes(rows))
    broken = problems(evaluator.cascade, evaluator.architecture, mapping)
    return {
        "objective_value": value(case, evaluator.evaluate(mapping, checked=True)),
        "illegal": " ".join(str(broken[0]).split()) if broken else None,
    }


def _nodes(rows: list[Record]) -> tuple[TreeNode, ...]:
    found: list[TreeNode] = []
    for outer in rows:
        ((kind, row),) = outer.items()
        match kind:
            case "keep":
                found.append(Keep(row["memory"], tuple(map(Held, row["tensors"]))))
            case "for":
                found.append(For(row["rank"], row["tile"]))
            case "spatial":
                found.append(Spatial(row["axis"], row["rank"], row["tile"]))
            case "compute":
                found.append(Leaf(row["einsum"], row["unit"]))
            case _:
                found.append(Fuse(row["run"], tuple(map(_nodes, row["branches"]))))
    return tuple(found)
