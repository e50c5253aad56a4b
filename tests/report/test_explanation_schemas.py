"""The contracts of what `accelsim explain` writes: real documents keep them, damaged ones do not."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import pytest

from accelsim.cli import main
from accelsim.explore.whatif import Change, WhatIf, run_of, same_mapping
from accelsim.report.explain import Helps, explanation
from accelsim.report.html.report import report
from accelsim.report.schema import contract, faults
from tests.model.test_evaluation import ALL, LEAF, PRODUCT, evaluated, machine
from tests.report.html.runs import MODEL

SCHEMAS = ("accelsim/explanation/1", "accelsim/model-explanation/1", "accelsim/difference/1")
SIZES = [word for rank in "mnk" for word in ("--set", f"shape.{rank}=16")]


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What each form of the command writes, by schema."""
    folder = tmp_path_factory.mktemp("explained")
    model, mapping = folder / "two-layers.yaml", folder / "mapping.yaml"
    model.write_text(MODEL)
    assert main(["map", "matmul", "--arch", "simple", *SIZES, "-q", "-o", str(mapping)]) == 0
    given = ["matmul", "--arch", "simple", "--mapping", str(mapping), *SIZES]
    slower = ["--set", "arch.MainMemory.bandwidth=10 GB/s"]
    saved = {name: str(folder / f"{name}.json") for name in ("one", "other", "whole")}
    assert main(["evaluate", *given, "-q", "--json", saved["one"]]) == 0
    assert main(["evaluate", *given, *slower, "-q", "--json", saved["other"]]) == 0
    assert main(["map", str(model), "--arch", "simple", "--workers", "1", "-q", "--json", saved["whole"]]) == 0
    found: dict[str, list[Any]] = {schema: [] for schema in SCHEMAS}
    for arguments in (
        given,
        [*given, "--remap"],
        [str(model), "--arch", "simple"],
        [*given, "--against-set", "arch.MainMemory.bandwidth=10 GB/s"],
        [saved["one"]],
        [saved["whole"]],
        [saved["one"], "--against", saved["other"]],
        [saved["whole"], "--against", saved["whole"]],
    ):
        target = folder / "explained.json"
        assert main(["explain", *arguments, "-q", "--json", str(target)]) == 0
        document = json.loads(target.read_text(encoding="utf-8"))
        found[document["schema"]].append(document)
    found[SCHEMAS[0]].append(json.loads(json.dumps(refused())))
    return found


def refused() -> Any:
    """The explanation of a product, on whose machine with one change the mapping cannot be run."""
    run = evaluated(PRODUCT, machine(), ALL, LEAF)
    change = Change("half the buffer", "Buffer", "size", machine())
    again = same_mapping(0, run, machine())
    found = WhatIf(change, run_of([(1, again)])), WhatIf(change, None, "the tile does not fit")
    return explanation(run, helps=Helps(found, run_of([(1, run)])))


@pytest.mark.parametrize("schema", SCHEMAS)
def test_what_is_written_keeps_its_contract(documents: dict[str, list[Any]], schema: str) -> None:
    jsonschema.Draft202012Validator.check_schema(contract(schema))
    assert {"partial" in document for document in documents[schema]} == {True, False}
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
        if "if" in schema:
            key = "then" if set(schema["if"]["required"]) <= set(document) else "else"
            found += required(schema.get(key, {}), document, where)
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


@pytest.mark.parametrize("schema", SCHEMAS)
def test_only_documents_of_saved_evaluations_may_lack_prices_and_rankings(documents: dict[str, list[Any]], schema: str) -> None:
    """Each partial document without its mark is refused, by both checks."""
    known = contract(schema)
    for document in documents[schema]:
        if "partial" in document:
            unmarked = {key: value for key, value in document.items() if key != "partial"}
            assert not jsonschema.Draft202012Validator(known).is_valid(unmarked)
            assert list(faults(unmarked, known))
            assert list(faults(document | {"partial": "yes"}, known)) == ["partial must be True"]


def test_a_change_that_is_not_possible_says_why_and_one_that_is_has_figures(documents: dict[str, list[Any]]) -> None:
    known = contract(SCHEMAS[0])
    document = documents[SCHEMAS[0]][-1]
    possible, impossible = document["what_if"]
    assert impossible == {"change": "half the buffer", "component": "Buffer", "field": "size", "why": "the tile does not fit"}
    assert "speedup" in possible
    del impossible["why"]
    assert list(faults(document, known)) == [f"what_if[1] lacks '{key}'" for key in ("speedup", "energy_ratio", "cycles", "binding")]
    impossible["why"] = "the tile does not fit"


def test_pages_show_what_is_not_possible_and_what_saved_evaluations_lack(documents: dict[str, list[Any]]) -> None:
    """A page from each explanation: the change with its reason, a component without a price with its energy."""
    for document in documents[SCHEMAS[0]]:
        page = report(document)
        assert page.startswith("<!doctype html>")
        assert all(f"{each['change']}: {each['why']}." in page for each in document["what_if"] if "why" in each)
        assert all(f">{line['component']} {line['action']}" in page for line in document["joules"]["lines"])
