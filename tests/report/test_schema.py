"""The JSON contract: its own check agrees with a full implementation of JSON Schema."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim import __version__
from accelsim.errors import InputError
from accelsim.io.evaluation import read_evaluation, write_json
from accelsim.report.schema import evaluation_schema, faults

SAMPLE: dict[str, Any] = json.loads((Path(__file__).parent / "evaluation.json").read_text(encoding="utf-8"))


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every value of a document stands."""
    found = [here] if here else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += paths(inner, (*here, key))
    elif isinstance(value, list):
        for position, inner in enumerate(value):
            found += paths(inner, (*here, position))
    return found


def changed(path: tuple[Any, ...], value: Any) -> Any:
    """The sample with one value replaced, or removed if it is `...`."""
    document = copy.deepcopy(SAMPLE)
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return document


def test_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(evaluation_schema())


def test_sample_keeps_the_contract() -> None:
    jsonschema.validate(SAMPLE, evaluation_schema())
    assert list(faults(SAMPLE)) == []


@given(st.sampled_from(paths(SAMPLE)), st.sampled_from([..., None, -1, 0, 2.5, 3.0, True, "words", [], {}, {"x": 1}, [1]]))
def test_own_check_agrees_with_a_full_implementation(path: tuple[Any, ...], value: Any) -> None:
    document = changed(path, value)
    assert (not list(faults(document))) == jsonschema.Draft202012Validator(evaluation_schema()).is_valid(document)


def test_saved_evaluation_reads_back_the_same(tmp_path: Path) -> None:
    write_json(SAMPLE, str(tmp_path / "saved.json"))
    assert read_evaluation(str(tmp_path / "saved.json")) == SAMPLE


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "FILE:1:2: not JSON: Expecting property name enclosed in double quotes; save one with --json FILE"),
        ("[]", "FILE: not an evaluation: the document must be object; save one with --json FILE"),
        ('{"schema": "accelsim/evaluation/1"}', "FILE: not an evaluation: the document lacks 'workload'; save one with --json FILE"),
        (
            '{"schema": "accelsim/evaluation/2"}',
            f"FILE: this is version 2 of accelsim/evaluation, and accelsim {__version__} reads up to 1; "
            "read it with a newer accelsim: pip install --upgrade accelsim",
        ),
        (
            '{"schema": "accelsim/model-evaluation/10"}',
            f"FILE: this is version 10 of accelsim/model-evaluation, and accelsim {__version__} reads up to 1; "
            "read it with a newer accelsim: pip install --upgrade accelsim",
        ),
        ("\x00", "FILE:1:1: not JSON: Expecting value; save one with --json FILE"),
        ("[" * 100000, "FILE: not JSON text; save one with --json FILE"),
    ],
)
def test_file_that_is_no_evaluation_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "saved.json"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_evaluation(str(path))
    assert str(error.value) == message.replace("FILE", str(path), 1)


def test_other_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_text(json.dumps(SAMPLE | {"schema": "accelsim/evaluation/0"}))
    with pytest.raises(InputError) as error:
        read_evaluation(str(path))
    assert str(error.value) == f"{path}: not an evaluation: schema must be 'accelsim/evaluation/1'; save one with --json FILE"


def test_infinite_figure_is_not_written_as_json(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json({"cycles": float("inf")}, str(tmp_path / "x.json"))
