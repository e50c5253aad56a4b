"""Every file shown in docs/mappings.md is legal where the page says, and prints as the page shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import dump_mapping, parse_mapping
from accelsim.io.workload import load_workload
from accelsim.mapping.legality import problems
from accelsim.mapping.text import nest, parse_nest
from accelsim.workload.cascade import Cascade

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = (REPOSITORY / "docs" / "mappings.md").read_text(encoding="utf-8")
FILES = re.findall(r"^```yaml\n# (\S+) on (\S+), shape (.*?)\n(.*?)^```", PAGE, re.M | re.S)


def _cascade(workload: str, shape: str) -> Cascade:
    overrides = {f"shape.{key}": value for key, value in (pair.split("=") for pair in shape.split())}
    found = load_workload(REPOSITORY / "workloads" / f"{workload}.yaml", overrides)
    assert isinstance(found, Cascade)
    return found


@pytest.mark.parametrize("workload, machine, shape, text", FILES)
def test_a_file_on_the_page_is_legal_and_converts_without_loss(workload: str, machine: str, shape: str, text: str) -> None:
    cascade = _cascade(workload, shape)
    architecture = load_architecture(REPOSITORY / "hw" / "arch" / f"{machine}.yaml", {})
    mapping = parse_mapping(text, dict(cascade.extents), "docs/mappings.md")
    assert [str(problem) for problem in problems(cascade, architecture, mapping)] == []
    assert parse_mapping(dump_mapping(mapping), {}) == mapping == parse_nest(nest(mapping, cascade))


def test_the_page_has_files_and_prints_the_first_as_it_is() -> None:
    assert len(FILES) == len(re.findall("^```yaml", PAGE, re.M)) == 2
    workload, _, shape, text = FILES[0]
    cascade = _cascade(workload, shape)
    shown = re.findall(r"^```nest\n(.*?)^```", PAGE, re.M | re.S)
    assert shown == [nest(parse_mapping(text, dict(cascade.extents)), cascade)]
