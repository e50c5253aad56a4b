"""The schemas of mapping files and of files of constraints."""

from __future__ import annotations

from accelsim.io import constraints, mapping
from accelsim.io.schemas.parts import FORMULA, NAME, TEXT, Schema, about, closed, either, has, is_mapping, many, named, one_of, when, whole
from accelsim.mapping import names
from accelsim.mapping.tree import SCHEDULES

_WORD = names.NAME.pattern
_TILE: Schema = {"type": ["integer", "string"], "minimum": 1}
_NODES: Schema = {"$ref": "#/$defs/nodes"}


def _loop_heads() -> dict[str, Schema]:
    """What a loop's one key looks like, and what it holds."""
    options = {"copies": _TILE, "fraction": TEXT, "layout": many(NAME), "in_place": many(NAME)}
    held = is_mapping(
        {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": closed(names.HELD_OPTIONS, options)}, NAME
    )
    holding = closed(("holding", "of"), {"holding": _TILE, "of": NAME}, ("holding", "of"))
    return {
        rf"^\s*keep\s+{_WORD}\s*$": about("tensors that a memory keeps, as in [A, {B: {copies: 2}}]", many(held)),
        rf"^\s*for\s+{_WORD}\s*$": about("a loop in time: its tile, a size and no trip count", is_mapping(holding, _TILE)),
        rf"^\s*spatial\s+{_WORD}\s+{_WORD}\s*$": about("a loop over the copies of an axis: the tile of each copy", _TILE),
    }


def mapping_schema() -> Schema:
    """The schema of a mapping file."""
    heads = _loop_heads()
    one: Schema = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False}
    loop = one | {"patternProperties": heads}
    leaf = {
        "einsum": about("the Einsum", NAME),
        "unit": about("the unit that computes it", NAME),
        "loops": about("its own loops", many(loop)),
    }
    stages = one | {"properties": {"stages": many(many(NAME)), "recompute": many(NAME)}}
    option = {"type": "object", "anyOf": [has("stages"), has("recompute")]}
    branch = when({"type": "array"}, _NODES, when(option, stages, {"$ref": "#/$defs/node"}))
    fuse = {rf"^\s*fuse\s+({'|'.join(SCHEDULES)})\s*$": about("branches that share the loops above", many(branch, 1))}
    node = when(
        has("einsum"), closed(("einsum", "unit", "loops"), leaf, ("einsum", "unit")), one | {"patternProperties": {**heads, **fuse}}
    )
    properties = {
        "mapping": about("its name", TEXT),
        "about": TEXT,
        "source": TEXT,
        "sizes": about("sizes of parts that the workload leaves open", named(whole(1))),
        "let": about("named numbers for tiles; sizes of ranks have their upper-case names", named(FORMULA)),
        "tree": about("keeps and loops, outermost first, and last an Einsum or a fuse", _NODES),
    }
    return closed(mapping._KEYS, properties, ("mapping", "tree")) | {"$defs": {"nodes": many({"$ref": "#/$defs/node"}, 1), "node": node}}


def constraints_schema() -> Schema:
    """The schema of a file of constraints (a mapping with holes has that of a mapping, but for its holes)."""
    names_of = either(NAME, many(NAME))
    kinds: dict[str, Schema] = {
        "memory": NAME, "axis": NAME, "rank": NAME, "tensor": NAME, "as": one_of(("sequential", "pipelined")), "tensors": names_of,
        "einsums": names_of, "ranks": names_of, "units": names_of, "is": whole(1), "at_most": whole(1), "at_least": whole(1),
    }  # fmt: skip
    rules: dict[str, Schema] = {}
    for rule, keys in constraints._KEYS.items():
        needed = [key for key in keys if key not in constraints._FREE and (key != "einsums" or rule in ("run", "schedule"))]
        rules[rule] = closed(keys, {key: kinds[key] for key in keys}, needed) if keys else many(NAME, 2)
    one = {"type": "object", "minProperties": 1, "maxProperties": 1, "properties": rules, "additionalProperties": False}
    return closed(("constraints",), {"constraints": about("rules that a mapping obeys", many(one))}, ["constraints"])
