"""JSON Schemas of the YAML files: shipped as generated, accept what the readers accept, refuse the keys that they refuse.

A schema is made from its reader's tables of keys, so what is checked here is the structure around them: which keys belong to which
form, which are needed, and what may stand where. The files that are shipped are right by both; a key renamed or left out in one
of them is judged by both, and the reader is the judge of the schema.
"""

from __future__ import annotations

import copy
import os
import random
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

import accelsim
from accelsim.errors import AccelsimError
from accelsim.io import campaign
from accelsim.io.catalogue import KINDS, shipped
from accelsim.io.mapping import read_mapping
from accelsim.io.schemas.every import made, text
from accelsim.io.schemas.parts import closed
from accelsim.io.source import load, plain
from accelsim.verbs import load as read
from tests.share import share

SCHEMAS = Path(accelsim.__file__).parent / "schemas"
FILES = [(kind.key, path) for kind in KINDS for path in shipped(kind).values()]
READ = ("workload", "machine", "mapping", "technology", "dram", "rates", "evidence", "campaign")  # constraints: below


@cache
def validator(kind: str) -> Any:
    """A full implementation of JSON Schema for a kind."""
    return jsonschema.Draft202012Validator(made()[kind])


@pytest.mark.parametrize("kind", sorted(made()))
def test_shipped_schema_is_the_one_that_readers_imply(kind: str) -> None:
    expected = text(made()[kind])
    if os.environ.get("ACCELSIM_REWRITE"):
        (SCHEMAS / f"{kind}.json").write_text(expected, encoding="utf-8")
    jsonschema.Draft202012Validator.check_schema(made()[kind])
    assert (SCHEMAS / f"{kind}.json").read_text(encoding="utf-8") == expected, "ACCELSIM_REWRITE=1 writes it; read the diff"


def test_every_kind_of_file_has_a_schema_and_no_schema_is_left_over() -> None:
    assert {path.stem for path in SCHEMAS.glob("*.json")} == {*(kind.key for kind in KINDS), "constraints"} == set(made())


@pytest.mark.parametrize(("kind", "path"), FILES, ids=lambda each: each.stem if isinstance(each, Path) else each)
def test_shipped_file_keeps_its_schema(kind: str, path: Path) -> None:
    faults = [
        f"{'/'.join(map(str, fault.absolute_path))}: {fault.message[:200]}" for fault in validator(kind).iter_errors(plain(load(path)))
    ]
    assert faults == []


def spots(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all keys of a document."""
    if isinstance(document, dict):
        for key, value in document.items():
            yield (*path, key)
            yield from spots(value, (*path, key))
    elif isinstance(document, list):
        for at, value in enumerate(document):
            yield from spots(value, (*path, at))


def mutated(document: Any, spot: tuple[Any, ...], rename: bool) -> Any:
    """A copy with one key renamed (so that no reader knows it) or left out."""
    made = copy.deepcopy(document)
    inner = made
    for step in spot[:-1]:
        inner = inner[step]
    items = [(f"{key}_q" if key == spot[-1] else key, value) for key, value in inner.items() if rename or key != spot[-1]]
    inner.clear()
    inner.update(items)
    return made


def refusal(kind: str, document: Any, original: Path, folder: Path) -> str | None:
    """What the reader says against a document, which is read in the place of a file; None if it takes it."""
    file = folder / original.name
    file.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
    try:
        if kind == "campaign":
            campaign._read(file)  # its top alone, without what it runs
        elif kind == "mapping":  # of any workload: every name that may stand in a formula is a size
            found = load(file)
            inside = found.value.get("let") if isinstance(found.value, dict) else None
            own = set(inside.value) if inside is not None and isinstance(inside.value, dict) else set()
            ranks = {word.lower() for word in re.findall(r"[A-Za-z_]\w*", original.read_text(encoding="utf-8")) if word not in own}
            read_mapping(found, dict.fromkeys(sorted(rank for rank in ranks if rank.upper() not in own), 64), {})
        else:
            read(file, kind)  # type: ignore[call-overload]
    except AccelsimError as error:
        return str(error)
    return None


def _cases() -> list[tuple[str, Path, tuple[Any, ...], bool]]:
    rng = random.Random(9)
    found = []
    for kind in READ:
        files = [path for each, path in FILES if each == kind]
        for path in rng.sample(files, min(len(files), share(40, 5, 2))):
            where = [spot for spot in spots(plain(load(path))) if kind != "campaign" or len(spot) == 1]
            found += [
                (kind, path, spot, rename) for spot in rng.sample(where, min(len(where), share(40, 6, 4))) for rename in (True, False)
            ]
    return found


def test_schema_and_reader_agree_on_keys(tmp_path: Path) -> None:
    judged = 0
    for number, (kind, path, spot, rename) in enumerate(_cases()):
        document = mutated(plain(load(path)), spot, rename)
        folder = tmp_path / str(number)
        folder.mkdir()
        for beside in path.parent.iterdir() if kind == "evidence" else ():
            if beside.is_dir():
                (folder / beside.name).symlink_to(beside)  # its tables; no file, lest one be written through a link
        said, right = refusal(kind, document, path, folder), validator(kind).is_valid(document)
        where = f"{path.name} {'/'.join(map(str, spot))} {'renamed' if rename else 'left out'}"
        if said is None:
            assert right, f"{where}: the reader takes it, not the schema: {next(validator(kind).iter_errors(document)).message[:300]}"
        elif _about_keys(said, spot, rename):
            assert not right, f"{where}: the reader says {said}, and the schema takes it"
            judged += 1
    assert judged > 20, "too few refusals are about keys"


def _about_keys(said: str, spot: tuple[Any, ...], rename: bool) -> bool:
    """Whether a refusal is about a key that is unknown, or one that is needed: a schema knows neither names nor sizes that others give."""
    key = str(spot[-1])
    unknown = rename and f"has no '{key}_q'" in said and not any(word in said for word in ("rank", "layer '", "tensor", "einsum"))
    needed = (
        not rename
        and "names a component" not in said
        and (f"needs '{key}'" in said or f"has no {key};" in said or f"has no {key} " in said or f"does not say '{key}'" in said)
    )
    return unknown or needed


RULES = [
    ({"keep": {"memory": "L3", "tensors": "K"}}, True),
    ({"keep": {"memory": "L3"}}, False),
    ({"keep": {"memory": "L3", "tensors": "K", "tensor": "K"}}, False),
    ({"tile": {"memory": "L3", "rank": "p", "is": 64}}, True),
    ({"run": {"units": "PE2D"}}, False),
    ({"together": ["QK", "LM"]}, True),
    ({"together": ["QK"]}, False),
    ({"togetherness": ["QK", "LM"]}, False),
    ({"schedule": {"einsums": "QK", "as": "sequential"}, "apart": ["QK", "LM"]}, False),
]


@pytest.mark.parametrize(("rule", "right"), RULES)
def test_schema_and_reader_agree_on_constraints(rule: Any, right: bool, tmp_path: Path) -> None:
    from accelsim.io.constraints import load_constraints

    document = {"constraints": [rule]}
    assert validator("constraints").is_valid(document) == right
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    cascade, machine = read("attention", "workload"), read("spatial", "machine")
    assert isinstance(cascade, accelsim.Cascade)
    try:
        load_constraints(file, cascade, machine)
    except AccelsimError as error:
        assert not right, error
    else:
        assert right


def test_schema_that_lacks_a_key_of_its_reader_is_noticed() -> None:
    with pytest.raises(AssertionError, match=r"not in the schema: \['b'\]; not in the reader: \['c'\]"):
        closed({"a", "b"}, {"a": {}, "c": {}})
