"""Fixed mappings whose words other tools counted, as nouns; `check_counts` holds a counting function against all of them."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from pathlib import Path
from typing import Any

from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Node, Operation, Unit
from accelsim.hardware.types import TYPES
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, TreeNode
from accelsim.model.options import Counting
from accelsim.workload.cascade import Cascade, Einsum, Tensor
from accelsim.workload.expression import Access, Call, Expression, Name, Number, accesses, index_map, names

CASES = Path(__file__).parent / "cases"
CountFunction = Callable[[Cascade, Architecture, Mapping, Counting], dict[str, Any]]
TIMELOOP = Counting(drains="free", returned_partials="every_member", footprint="box")
ACCELFORGE = Counting(drains="charged", returned_partials="every_member", first_touch="child", refill="every_visit")


@dataclass(frozen=True)
class Case:
    """A mapping with the `words` that are known: {(einsum, tensor, memory): {kind: words}}; other keys must be zero."""

    name: str
    cascade: Cascade
    architecture: Architecture
    mapping: Mapping
    counting: Counting
    operations: dict[str, int]
    words: dict[tuple[str, str, str], dict[str, int]]


def expression(text: str) -> Expression:
    """An expression written as Python writes it: names, integers, `+ - * / // %`, comparisons, `and`, and accesses `T[i, j]`."""
    return _converted(ast.parse(text.strip(), mode="eval").body)


def _converted(node: ast.expr) -> Expression:
    operators = {ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.FloorDiv: "floordiv", ast.Mod: "mod"}
    comparisons = {ast.LtE: "le", ast.Lt: "lt", ast.GtE: "ge", ast.Gt: "gt", ast.Eq: "eq", ast.NotEq: "ne"}
    match node:
        case ast.Constant(value=value):
            return Number(value)  # type: ignore[arg-type]
        case ast.Name(id=name):
            return Name(name)
        case ast.BinOp(left=left, op=op, right=right):
            return Call(operators[type(op)], (_converted(left), _converted(right)))
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return Call("neg", (_converted(operand),))
        case ast.BoolOp(op=op, values=[left, right]):
            return Call("and" if isinstance(op, ast.And) else "or", (_converted(left), _converted(right)))
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return Call(comparisons[type(op)], (_converted(left), _converted(right)))
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return Call(name, tuple(map(_converted, arguments)))
        case ast.Subscript(value=ast.Name(id=name), slice=ast.Tuple(elts=indices)):
            return Access(name, tuple(map(_converted, indices)))
        case ast.Subscript(value=ast.Name(id=name), slice=index):
            return Access(name, (_converted(index),))
    raise ValueError(ast.dump(node))


def einsum(text: str, sizes: dict[str, int], reduce: str = "add") -> Einsum:
    """An Einsum written `Z[m, n] = A[m, k] * B[k, n] where m <= n`; ranks are the names that are keys of `sizes`."""
    statement, _, where = text.partition(" where ")
    left, _, right = statement.partition("=")
    output, body = expression(left), expression(right)
    assert isinstance(output, Access)
    condition = expression(where) if where else None
    ranks = tuple(dict.fromkeys(name for name in (*names(output), *names(body)) if name in sizes))
    reduced = tuple(rank for rank in ranks if rank not in names(output))
    return Einsum(output.tensor, output, body, ranks, reduced, reduce, condition, text=text)


def cascade(
    name: str, statements: list[str] | dict[str, str], sizes: dict[str, int], outputs: tuple[str, ...] = (), **options: Any
) -> Cascade:
    """A Cascade of statements, labelled or not. Extents of tensors are what their writers, else their readers, reach at most; fills are 0.

    `reduce`: {einsum: operator}; `shapes`: {tensor: shape}; `iterative`: {tensor: (dimension, constant slices)}.
    """
    reduces, shapes, iterative = options.get("reduce", {}), options.get("shapes", {}), options.get("iterative", {})
    texts = statements.values() if isinstance(statements, dict) else statements
    work = [einsum(text, sizes, reduces.get(text.split("[")[0].strip(), "add")) for text in texts]
    if isinstance(statements, dict):
        work = [replace(part, name=label) for part, label in zip(work, statements, strict=True)]
    named: dict[str, float] = {rank.upper(): size for rank, size in sizes.items()}
    written = {part.output.tensor for part in work}
    reads = [read for part in work for read in accesses(part.expression)]
    reach: dict[str, list[int]] = {}
    for access in [part.output for part in work] + [read for read in reads if read.tensor not in written]:
        maps = [index_map(index, named) for index in access.indices]
        tops = []
        for index in maps:
            assert index is not None
            top = (sum(factor * (sizes[rank] - 1) for rank, factor in index.terms if factor > 0) + index.offset) // index.divisor
            tops.append(min(top, index.modulus - 1) + 1 if index.modulus else top + 1)
        known = reach.setdefault(access.tensor, [0] * len(tops))
        reach[access.tensor] = [max(pair) for pair in zip(known, tops, strict=True)]
    tensors = {
        tensor: Tensor(
            tensor,
            shapes.get(tensor, tuple(shape)),
            TYPES["int8"],
            TYPES["int32"],
            fill=0.0,
            is_input=tensor not in written,
            is_output=tensor in outputs or (tensor in written and tensor not in {read.tensor for read in reads}),
            iterative=iterative[tensor][0] if tensor in iterative else None,
            constant_slices=iterative[tensor][1] if tensor in iterative else 0,
        )
        for tensor, shape in reach.items()
    }
    return Cascade(name, tuple(work), sizes, {}, tensors)


def unit(name: str, lanes: int = 1) -> Unit:
    """A unit that executes the primitives of these cases, one cycle each."""
    primitives = ("mac", "mul", "add", "sub", "max", "min", "div", "exp", "move", "select")
    return Unit(name, {primitive: Operation(primitive) for primitive in primitives}, lanes)


def timeloop_cases() -> Iterator[Case]:
    """The dense nests; every space loop is an axis of its own that multicasts and reduces."""
    for case in json.loads((CASES / "timeloop.json").read_text())["cases"]:
        node: Node = unit("MAC")
        nodes: list[TreeNode] = []
        for number, level in reversed(list(enumerate(case["nest"]))):
            loops: list[TreeNode] = [Keep(level["memory"], tuple(map(Held, level["keeps"])))] if level["keeps"] else []
            loops += [For(loop["rank"], loop["tile"]) for loop in level["time"]]
            loops += [Spatial(f"x{number}{place}", loop["rank"], loop["tile"]) for place, loop in enumerate(level["space"])]
            axes = tuple(Axis(f"x{number}{place}", loop["trips"], True, ("add",)) for place, loop in enumerate(level["space"]))
            nodes = loops + nodes
            node = Memory(level["memory"], feeds=(Array(f"array{number}", axes, feeds=(node,)) if axes else node,))
        assert isinstance(node, Memory)
        made = cascade(case["id"], [case["einsum"]], case["shape"])
        result = made.einsums[0].name
        mapping = Mapping(case["id"], (*nodes, Leaf(result, "MAC")))
        words = {(result, tensor, memory): kinds for memory, found in case["counts"].items() for tensor, kinds in found.items()}
        yield Case(case["id"], made, Architecture("nest", node, Fraction(1)), mapping, TIMELOOP, {result: case["mac_ops"]}, words)


def accelforge_cases(shrink: bool = False) -> Iterator[Case]:
    """The recorded mappings; `shrink` makes ranks and tiles at most 4 (no words are then known) so that a replay ends."""
    data = json.loads((CASES / "accelforge.json").read_text())
    for case in data["cases"]:
        large = case["workload"]["shape"]
        sizes = {rank: min(size, 4) if shrink else size for rank, size in large.items()}
        made = cascade(case["id"], case["workload"]["einsums"], sizes)
        mapping = Mapping(case["id"], tuple(_nodes(case["mapping"], large, sizes)))
        bits = case["workload"]["bits_per_value"]
        words = {
            (name, tensor, memory): {kind: moved // bits for kind, moved in kinds.items()}
            for name, memories in case["bits_moved"].items()
            for memory, tensors in memories.items()
            for tensor, kinds in tensors.items()
        }
        machine = Architecture(case["architecture"], _memory(data["architectures"][case["architecture"]]), Fraction(1))
        yield Case(case["id"], made, machine, mapping, ACCELFORGE, case["operations"], {} if shrink else words)


def _memory(data: dict[str, Any]) -> Memory:
    node: Node | None = None
    for row in reversed(data["memories"]):
        feeds: list[Node] = [unit(found["name"]) for found in data["units"] if found["under"] == row["name"]]
        arrays = [found for found in data["arrays"] if found["under"] == row["name"]]
        if arrays:
            axes = tuple(
                Axis(axis["name"], axis["fanout"], axis["reuses"] == "input", ("add",) if axis["reuses"] == "output" else ())
                for axis in arrays[0]["axes"]
            )
            feeds.append(Array(f"{arrays[0]['name']}s", axes, feeds=(node,) if node else ()))
        elif node:
            feeds.append(node)
        node = Memory(row["name"], feeds=tuple(feeds))
    assert isinstance(node, Memory)
    return node


def _nodes(rows: list[dict[str, Any]], large: dict[str, int], sizes: dict[str, int]) -> Iterator[TreeNode]:
    def tile(row: dict[str, Any]) -> int:
        return max(1, row["tile"] * sizes[row["rank"]] // large[row["rank"]])

    for outer in rows:
        ((kind, row),) = outer.items()
        if kind == "keep":
            yield Keep(row["memory"], tuple(map(Held, row["tensors"])))
        elif kind == "for":
            yield For(row["rank"], tile(row))
        elif kind == "spatial":
            yield Spatial(row["axis"], row["rank"], tile(row))
        elif kind == "compute":
            yield Leaf(row["einsum"], row["unit"])
        else:
            yield Fuse(row["run"], tuple(tuple(_nodes(branch, large, sizes)) for branch in row["branches"]))


def as_read_and_written(kinds: dict[str, int]) -> dict[str, int]:
    """Four directions as the two that some tools report."""
    return {"read": kinds["reads"] + kinds["drains"], "write": kinds["fills"] + kinds["updates"]}


def differences(case: Case, counts: dict[str, Any]) -> list[str]:
    """Every word count and operation count that is not the known one."""
    found: dict[tuple[str, str, str], dict[str, int]] = counts["words"]
    wrong = [
        f"{case.name}: {name} {counts['einsums'][name]['operations']} operations, not {known}"
        for name, known in case.operations.items()
        if counts["einsums"][name]["operations"] != known
    ]
    for key in sorted(found.keys() | case.words.keys()):
        kinds = found.get(key, dict.fromkeys(("reads", "fills", "updates", "drains"), 0))
        seen = kinds | as_read_and_written(kinds)
        known_kinds = case.words.get(key, dict.fromkeys(("read", "write"), 0))
        wrong += [f"{case.name}: {key} {kind} {seen[kind]}, not {known}" for kind, known in known_kinds.items() if seen[kind] != known]
    return wrong


def check_counts(count_function: CountFunction) -> None:
    """Hold a counting function against every known count; raises AssertionError with all differences."""
    wrong: list[str] = []
    for case in (*timeloop_cases(), *accelforge_cases()):
        wrong += differences(case, count_function(case.cascade, case.architecture, case.mapping, case.counting))
    assert not wrong, "\n".join(wrong)


def points(case: Case) -> int:
    """The number of points of a case's largest Einsum."""
    return max(prod(case.cascade.extents[rank] for rank in part.ranks) for part in case.cascade.work)
