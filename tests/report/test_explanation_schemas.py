"""The contracts of what `accelsim explain` writes: real documents keep them, damaged ones do not."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest

from accelsim.cli import main
from accelsim.report.schema import contract, faults

SCHEMAS = ("accelsim/explanation/1", "accelsim/model-explanation/1", "accelsim/difference/1")
SIZES = [word for rank in "mnk" for word in ("--set", f"shape.{rank}=16")]
MODEL = """
workload: two-layers
shape: {m: 8}
layers:
  - {name: first, shape: {k: 4, n: 6}, einsums: ['Y[m,n] = X[m,k] * W[k,n]']}
  - {name: second, times: 2, shape: {n: 6, o: 5}, einsums: ['Z[m,o] = Y[m,n] * V[n,o]']}
"""


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each form of the command writes, by schema."""
    folder = tmp_path_factory.mktemp("explained")
    model, mapping = folder / "two-layers.yaml", folder / "mapping.yaml"
    model.write_text(MODEL)
    assert main(["map", "matmul", "--arch", "simple", *SIZES, "-q", "-o", str(mapping)]) == 0
    given = ["matmul", "--arch", "simple", "--mapping", str(mapping), *SIZES]
    found: dict[str, list[Any]] = {schema: [] for schema in SCHEMAS}
    for arguments in (
        given,
        [str(model), "--arch", "simple"],
        [*given, "--against-set", "arch.MainMemory.bandwidth=10 GB/s"],
    ):
        target = folder / "explained.json"
        assert main(["explain", *arguments, "-q", "--json", str(target)]) == 0
        document = json.loads(target.read_text(encoding="utf-8"))
        found[document["schema"]].append(document)
    return found


@pytest.mark.parametrize("schema", SCHEMAS)
def test_what_is_written_keeps_its_contract(documents: dict[str, list[Any]], schema: str) -> None:
    jsonschema.Draft202012Validator.check_schema(contract(schema))
    assert documents[schema]
    for document in documents[schema]:
        jsonschema.validate(document, contract(schema))
        assert list(faults(document, contract(schema))) == []


def required(schema: Any, document: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The places of all keys of a document that its contract needs, one of each list."""
    found: list[tuple[Any, ...]] = []
    if isinstance(document, list) and document and "items" in schema:
        found += required(schema["items"], document[0], (*where, 0))
    if isinstance(document, dict):
        found += [(*where, key) for key in schema.get("required", ())]
        for key, inner in schema.get("properties", {}).items():
            if key in document:
                found += required(inner, document[key], (*where, key))
    return found


@pytest.mark.parametrize("schema", SCHEMAS)
def test_damaged_documents_are_noticed(documents: dict[str, list[Any]], schema: str) -> None:
    """Every key that is needed left out, and then with a value of another kind; both checks agree."""
    whole, known = documents[schema][0], contract(schema)
    places = required(known, whole)
    assert len(places) > 20
    for place in places:
        for leave_out in (True, False):
            damaged = copy.deepcopy(whole)
            holder = damaged
            for step in place[:-1]:
                holder = holder[step]
            if leave_out:
                del holder[place[-1]]
            else:
                holder[place[-1]] = "words" if isinstance(holder[place[-1]], bool) else True
            assert not jsonschema.Draft202012Validator(known).is_valid(damaged), place
            assert list(faults(damaged, known)), place
