"""All schemas by kind, each as one document of JSON Schema 2020-12, and the files in which they are shipped."""

from __future__ import annotations

import json
from typing import Any

from accelsim.io.schemas.campaigns import campaign_schema
from accelsim.io.schemas.machines import machine_schema
from accelsim.io.schemas.mappings import constraints_schema, mapping_schema
from accelsim.io.schemas.parts import Schema, about
from accelsim.io.schemas.tables import dram_schema, evidence_schema, rates_schema, technology_schema
from accelsim.io.schemas.workloads import workload_schema
from accelsim.io.versions import KEY, NEWEST

_MAKERS = {
    "workload": workload_schema,
    "machine": machine_schema,
    "mapping": mapping_schema,
    "constraints": constraints_schema,
    "technology": technology_schema,
    "dram": dram_schema,
    "campaign": campaign_schema,
    "rates": rates_schema,
    "evidence": evidence_schema,
}


def made() -> dict[str, Schema]:
    """The schema of every kind of YAML file, from the tables of its reader."""
    assert set(_MAKERS) == set(NEWEST), "a kind of file has a version and no schema, or a schema and no version"
    return {kind: _document(kind, maker()) for kind, maker in _MAKERS.items()}


def text(schema: Schema) -> str:
    """A schema as it is shipped."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _document(kind: str, schema: Schema) -> Schema:
    name = f"accelsim/{kind}/{NEWEST[kind]}"
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:{name.replace('/', ':')}", "title": name}
    return head | _versioned(schema, about("the kind and version of this file; may be left out", {"const": name}))


def _versioned(schema: Schema, said: Schema) -> Schema:
    """The schema with the key that says the version, in every form that its top may have."""
    found: dict[str, Any] = dict(schema)
    if "properties" in found and found.get("additionalProperties") is False:
        found["properties"] = {KEY: said, **found["properties"]}
    if "enum" in found.get("propertyNames", {}):
        found["propertyNames"] = {"enum": sorted([*found["propertyNames"]["enum"], KEY])}
    for branch in ("then", "else"):
        if branch in found:
            found[branch] = _versioned(found[branch], said)
    return found
