"""The contracts of the JSON of an evaluation and of a model's, and a check of a document against them.

The check knows the part of JSON Schema 2020-12 that the contract uses, so that a saved file can be read without a
further dependency; a test holds it against a full implementation.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Any

EVALUATION = "accelsim/evaluation/1"
MODEL_EVALUATION = "accelsim/model-evaluation/1"
SIMULATION = "accelsim/simulation/1"
MODEL_SIMULATION = "accelsim/model-simulation/1"
EXPLANATION = "accelsim/explanation/1"
MODEL_EXPLANATION = "accelsim/model-explanation/1"
_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


@cache
def evaluation_schema() -> dict[str, Any]:
    """The JSON Schema of `accelsim/evaluation/1`."""
    return _shipped("evaluation.schema.json")


@cache
def model_schema() -> dict[str, Any]:
    """The JSON Schema of `accelsim/model-evaluation/1`, that of an evaluation in place of the reference to it."""
    schema = _shipped("model-evaluation.schema.json")
    schema["properties"]["layers"]["items"]["properties"]["evaluation"] = evaluation_schema()
    return schema


def schema_of(document: Any) -> dict[str, Any]:
    """The contract that a document says it keeps; that of an evaluation if it names none."""
    named = document.get("schema") if isinstance(document, dict) else None
    return model_schema() if named == MODEL_EVALUATION else evaluation_schema()


@cache
def contract(schema: str) -> dict[str, Any]:
    """The JSON Schema of results of a kind by the name that they give it, or of a `trace`."""
    if schema == EVALUATION:
        return evaluation_schema()
    if schema == MODEL_EVALUATION:
        return model_schema()
    found = _shipped(f"{schema.removeprefix('accelsim/').partition('/')[0]}.schema.json")
    if schema == MODEL_SIMULATION:
        found["properties"]["layers"]["items"]["properties"]["simulation"] = contract(SIMULATION)
    if schema == MODEL_EXPLANATION:
        found["properties"]["layers"]["items"]["properties"]["explanation"] = contract(EXPLANATION)
    return found


def _shipped(name: str) -> dict[str, Any]:
    import json

    schema: dict[str, Any] = json.loads(files("accelsim.report").joinpath(name).read_text(encoding="utf-8"))
    return schema


def faults(document: Any, schema: dict[str, Any] | None = None, where: str = "") -> Iterator[str]:
    """What is wrong with a document, one sentence each, outermost first; nothing if it keeps the contract."""
    schema = evaluation_schema() if schema is None else schema
    here = where or "the document"
    if "const" in schema and document != schema["const"]:
        yield f"{here} must be {schema['const']!r}"
        return
    if "enum" in schema and document not in schema["enum"]:
        yield f"{here} must be one of {', '.join(schema['enum'])}"
        return
    wanted = schema.get("type", [])
    names = [wanted] if isinstance(wanted, str) else wanted
    if names and not any(_is(document, name) for name in names):
        yield f"{here} must be {' or '.join(names)}"
        return
    if "minimum" in schema and _is(document, "number") and not document >= schema["minimum"]:
        yield f"{here} must be at least {schema['minimum']}"
    if "if" in schema:
        kept = next(faults(document, schema["if"], where), None) is None
        yield from faults(document, schema.get("then" if kept else "else", {}), where)
    if isinstance(document, list) and "items" in schema:
        for position, value in enumerate(document):
            yield from faults(value, schema["items"], f"{where}[{position}]")
    if isinstance(document, dict):
        known = schema.get("properties", {})
        for key in schema.get("required", ()):
            if key not in document:
                yield f"{here} lacks '{key}'"
        for key, value in document.items():
            inner = known.get(key, schema.get("additionalProperties"))
            if inner is not None:
                yield from faults(value, inner, f"{where}.{key}" if where else str(key))


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])
