"""Every shipped mapping names the workload and the machine that it is for, and is legal there as it is shipped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, about, resolve, shipped
from accelsim.io.check import check
from accelsim.io.overrides import Overrides


@pytest.mark.parametrize("path", shipped(MAPPING).values(), ids=shipped(MAPPING))
def test_shipped_mapping_is_legal_for_the_workload_and_machine_that_it_names(path: Path) -> None:
    named = re.match(r"(\S+) on (\S+): ", about(path))
    assert named, "begin its about with 'WORKLOAD on MACHINE: '"
    found = check(path, MAPPING, Overrides(), resolve(named[1], WORKLOAD), resolve(named[2], MACHINE))
    name = named[1].rpartition("/")[2]
    assert found.says.startswith(f"legal for {name} on {named[2]}")


def test_no_two_shipped_mappings_say_the_same_of_themselves() -> None:
    texts = [about(path) for path in shipped(MAPPING).values()]
    assert len(set(texts)) == len(texts)
