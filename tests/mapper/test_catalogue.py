"""Every shipped workload on every shipped machine, at small sizes: mapped, with counts that a replay confirms and no bound undercut, or
refused with the primitive that is missing.

Workloads, machines and sizes (`tests.shrunk`) are found, not listed. Operations and words: the kernel against `model.reference`, which
shares no code with it. Refusals: against the primitives of the machine's units, read off its nodes here.
"""

from __future__ import annotations

import re
import zlib
from collections import Counter
from functools import cache
from itertools import product
from typing import Any

import pytest

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture, Memory, Node, Unit
from accelsim.io.catalogue import MACHINE, WORKLOAD, shipped
from accelsim.io.hardware import load_architecture
from accelsim.mapper import Request, search
from accelsim.mapper.objectives import objective_named
from accelsim.mapping.legality import is_legal
from accelsim.model import reference
from accelsim.model.evaluation import Evaluation
from accelsim.model.options import Counting
from accelsim.workload.build import sized
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.operators import OPERATORS
from accelsim.workload.transform.unrolling import odd_ranks, unroll
from tests.catalogue import workload
from tests.model import kernel_side
from tests.share import share
from tests.shrunk import cascades, shrunk

SECONDS = 1  # CPU, of a search
PAIRS = share(1 << 30, 40, 6)
REFUSED = re.compile(r"no unit of (?P<machine>\S+) can execute (?P<einsum>[^:]+): (?P<lacks>.*); give a unit the primitive")
LACKS = re.compile(r"(?P<unit>\S+) has no '(?P<primitive>[^']+)'")
SMALL = re.compile(r"(?P<memory>\w+) holds (?P<bits>[\d,]+) bits")


@cache
def catalogue() -> dict[str, Cascade]:
    """All cascades, those of models by `MODEL LAYER`; of those that differ in sizes alone the first. Stored elements have tests/sparse."""
    found: dict[object, tuple[str, Cascade]] = {}
    for name, path in shipped(WORKLOAD).items():
        for cascade in cascades(workload(path)):
            if all(tensor.storage is None for tensor in cascade.tensors.values()):
                title = name if name.rsplit("/", 1)[-1] == cascade.name else f"{name} {cascade.name}"
                found.setdefault(form(cascade), (title, cascade))
    return dict(found.values())


def form(cascade: Cascade) -> str:
    """All that is stated of a cascade but its name and its sizes."""
    said = cascade.declaration
    assert said is not None
    statements = [(statement.label, statement.text) for statement in said.statements]
    return repr((statements, said.split, said.default, said.types, said.tensors, said.constants, said.density))


@cache
def machines() -> dict[str, Architecture]:
    return {name: load_architecture(path, {}) for name, path in shipped(MACHINE).items()}


@cache
def small(name: str) -> Cascade:
    """A workload at small sizes; ranks in indices such as `t-2**s` are written out, since no mapping counts these."""
    made = shrunk(catalogue()[name])
    while odd := {rank for einsum in made.work for access in (einsum.output, *einsum.reads) for rank in odd_ranks(made, access)}:
        made = unroll(made, min(odd))
    return made


def chosen() -> list[tuple[str, str]]:
    """Pairs of a workload and a machine in an order that hangs on their names alone, so that new files move no other pair."""
    every = sorted(product(catalogue(), machines()), key=lambda pair: zlib.crc32(" on ".join(pair).encode()))
    return every[:PAIRS]


def test_the_rule_for_small_sizes_keeps_every_cascade_legal_and_its_replay_short() -> None:
    for name in list(catalogue())[:: share(1, 8, 24)]:
        made = small(name)
        for einsum in made.work:
            points = 1
            for rank in einsum.ranks:
                points *= made.extents[rank]
            assert points < 20_000, name
        assert {einsum.name for einsum in shrunk(catalogue()[name]).work} == {einsum.name for einsum in catalogue()[name].work}


@pytest.mark.parametrize(("name", "machine"), chosen())
@pytest.mark.slow
def test_every_workload_maps_on_every_machine_that_can_execute_it(name: str, machine: str) -> None:
    made, target = small(name), machines()[machine]
    try:
        found = search(made, target, request=Request(objective_named("latency"), time_limit=SECONDS))
    except InputError as reason:
        check_uncounted(made, str(reason))
        return
    except IllegalMapping as reason:
        check_refusal(made, target, str(reason))
        return
    made = sized(made, found.mapping.sizes)
    assert is_legal(made, target, found.mapping)
    for einsum in made.work:
        assert executable(einsum, made, target), f"{einsum.name} is mapped, and no unit executes it"
    check_counts(made, target, found.mapping, found.evaluation)


def check_uncounted(made: Cascade, reason: str) -> None:
    """One line that says why no machine's counts are known: values decide what is left."""
    assert "\n" not in reason.split("\n  ")[0]
    masked = re.search(r"(?P<einsum>\S+): its condition reads \w+, so what it leaves depends on data", reason)
    assert masked is not None and made.by_name[masked["einsum"]].condition_reads, reason


def check_counts(made: Cascade, target: Architecture, mapping: Any, evaluation: Evaluation) -> None:
    """Kernel and replay agree, and nothing lies below what the cascade needs at least."""
    counted = kernel_side.kernel_count(made, target, mapping, Counting())
    replayed = reference.count(made, target, mapping)
    assert counted["einsums"] == replayed["einsums"]
    for kind in ("words", "first_copy", "networks"):
        assert without_zeros(counted[kind]) == without_zeros(replayed[kind])
    bounds = made.bounds
    for einsum, points in bounds.points.items():
        assert replayed["einsums"][einsum]["operations"] >= points
    root = target.root.name
    moved = sum(
        (row["reads"] + row["drains"] + row["updates"] + row["fills"]) * made.tensors[tensor].final.bits
        for (_, tensor, memory), row in replayed["words"].items()
        if memory == root
    )
    assert moved >= 8 * bounds.compulsory_bytes
    document = evaluation.to_json()
    assert document["bounds"]["compulsory_bytes"] == pytest.approx(float(bounds.compulsory_bytes))
    record = evaluation.search
    assert record is not None and (record["lower_bound"] is None or record["lower_bound"] <= record["value"] * (1 + 1e-9))
    assert evaluation.cycles >= document["bounds"]["min_cycles"]


def without_zeros(rows: dict[Any, dict[str, int]]) -> dict[Any, dict[str, int]]:
    return {key: row for key, row in rows.items() if any(row.values())}


def check_refusal(made: Cascade, target: Architecture, reason: str) -> None:
    """One line that names what is missing, which the machine indeed lacks."""
    assert "\n" not in reason
    refused = REFUSED.search(reason)
    if refused is None:
        short = SMALL.search(reason)
        assert short is not None, reason
        assert memories(target.root)[short["memory"]].size_bits == int(short["bits"].replace(",", ""))
        return
    assert refused["machine"] == target.name
    assert not executable(made.by_name[refused["einsum"]], made, target)


def executable(einsum: Einsum, made: Cascade, target: Architecture) -> bool:
    """Whether some unit executes all operators of an Einsum, by a search of its expression that is a rough twin of the mapper's.

    It takes any covering of each operator by itself, and a fused one (`mac`, `subexp`, `scan`) for granted where the unit has it.
    """
    return any(covers(einsum, made, unit) for unit in units(target.root))


def covers(einsum: Einsum, made: Cascade, unit: Unit) -> bool:
    types = {made.tensors[access.tensor].final.name for access in einsum.reads}
    have = {name for name, each in unit.operations.items() if not each.types or types <= set(each.types)}
    if "scan" in have and made.tensors[einsum.output.tensor].iterative is not None:
        return True
    if einsum.chosen and "select" not in have:
        return False
    wanted = Counter([*functions(einsum.expression), *([einsum.reduce] if einsum.reduced else [])])
    fused = {"mul": {"mac"}, "sub": {"subexp"}, "exp": {"subexp"}}
    if wanted["add"] <= wanted["mul"] + wanted["take"]:  # a multiply-add adds to a product
        fused["add"] = {"mac"}
    return all(
        fused.get(name, set()) & have or any(all(primitive in have for primitive, _ in option) for option in OPERATORS[name].coverings)
        for name in wanted
    )


def functions(expression: Any) -> list[str]:
    """Operators of an expression whose arguments read a tensor; constant whole powers are products, and indices cost nothing."""
    from accelsim.workload.expression import Access, Call, accesses

    if isinstance(expression, Access) or not isinstance(expression, Call) or not accesses(expression):
        return []
    name = "mul" if expression.function == "pow" else expression.function
    return [name, *(inner for argument in expression.arguments for inner in functions(argument))]


def units(node: Node) -> list[Unit]:
    return [node] if isinstance(node, Unit) else [unit for child in node.feeds for unit in units(child)]


def memories(node: Node) -> dict[str, Memory]:
    inner = {} if isinstance(node, Unit) else {name: each for child in node.feeds for name, each in memories(child).items()}
    return inner | ({node.name: node} if isinstance(node, Memory) else {})


def test_a_small_problem_whose_values_choose_a_whole_coordinate_is_listed() -> None:
    """Such a coordinate is no rank that has a tile; it once stopped the listing of small problems."""
    made, target = small("sparse/matmul-hierarchical"), machines()["simple"]
    found = search(made, target, request=Request(objective_named("latency"), time_limit=SECONDS))
    check_counts(made, target, found.mapping, found.evaluation)


def test_a_count_that_is_off_by_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check itself, broken on purpose."""
    made, target = small("matmul"), machines()["simple"]
    found = search(made, target, request=Request(objective_named("latency"), time_limit=1.0))
    made = sized(made, found.mapping.sizes)
    whole = reference.count(made, target, found.mapping)
    key = next(key for key, row in whole["words"].items() if row["reads"])
    whole["words"][key]["reads"] += 1
    monkeypatch.setattr(reference, "count", lambda *_: whole)
    with pytest.raises(AssertionError):
        check_counts(made, target, found.mapping, found.evaluation)
