"""What schemas are made of: texts, figures, and objects whose keys are those that a reader knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": ["string", "number"]}
NAME: Schema = {"type": "string", "pattern": r"\S"}
BOOLEAN: Schema = {"type": "boolean"}
NUMBER: Schema = {"type": "number"}
FORMULA: Schema = {"type": ["string", "number"]}
SIZE: Schema = {"type": ["string", "integer"], "minimum": 1}  # a whole number, or a formula


def about(text: str, schema: Schema) -> Schema:
    """A schema with the sentence that an editor shows beside the key."""
    return {"description": text, **schema}


def whole(least: int | None = None) -> Schema:
    """A whole number of at least `least`."""
    return {"type": "integer"} if least is None else {"type": "integer", "minimum": least}


def one_of(words: Collection[str]) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(words)}


def many(schema: Schema, least: int = 0) -> Schema:
    """A list."""
    return {"type": "array", "items": schema} | ({"minItems": least} if least else {})


def named(schema: Schema, keys: Schema | None = None) -> Schema:
    """A mapping whose keys a person chooses; `keys`: what they look like."""
    return {"type": "object", "additionalProperties": schema} | ({"propertyNames": keys} if keys else {})


def either(*schemas: Schema) -> Schema:
    """Any of several forms."""
    return {"anyOf": list(schemas)}


def closed(known: Collection[str], properties: Mapping[str, Schema], required: Collection[str] = (), **more: Any) -> Schema:
    """A mapping with these keys and no others. `known`: the reader's own table, which `properties` has to be."""
    absent, unknown = set(known) - set(properties), set(properties) - set(known)
    assert not absent and not unknown, f"not in the schema: {sorted(absent)}; not in the reader: {sorted(unknown)}"
    made: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False}
    return made | ({"required": sorted(required)} if required else {}) | more


def only(keys: Collection[str], required: Collection[str] = ()) -> Schema:
    """Of the keys of a mapping these alone, as one branch of `when`."""
    return {"propertyNames": {"enum": sorted(keys)}} | ({"required": sorted(required)} if required else {})


def when(condition: Schema, then: Schema, otherwise: Schema | None = None) -> Schema:
    """A form that depends on what else is said."""
    return {"if": condition, "then": then} | ({"else": otherwise} if otherwise is not None else {})


def has(key: str) -> Schema:
    """The condition that a key is there."""
    return {"required": [key]}


def is_mapping(then: Schema, otherwise: Schema) -> Schema:
    """One form for mappings, another for all else: an editor then says what is wrong inside the one that was meant."""
    return when({"type": "object"}, then, otherwise)
