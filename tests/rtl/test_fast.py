"""The compiled library beside Icarus, on the same inputs."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.rtl.fast import QUICK, Library
from accelsim.rtl.harness import Port
from tests.rtl.runner import RTL, modules, simulate
from tests.share import share

pytestmark = pytest.mark.usefixtures("rtl_tools")
CYCLES = 300
PROGRAMMED = {"npu_top"}  # what its memories hold decides what it does, and no reset reaches them: unknown words make conditions false
SOME = Random(7).sample(modules(), min(len(modules()), share(1000, 2, 1)))


def words(port: Port, numbers: list[int]) -> Any:
    """Inputs in the form that `Instance.run` takes."""
    if port.width <= 64:
        return np.array(numbers, np.uint64)
    return np.array([[number >> (32 * part) & 0xFFFFFFFF for part in range(port.words)] for number in numbers], np.uint32)


def numbers(port: Port, found: Any) -> list[int]:
    """And back."""
    if port.width <= 64:
        return [int(word) for word in found]
    return [sum(int(word) << (32 * part) for part, word in enumerate(row)) for row in found]


@pytest.mark.parametrize("module", sorted(SOME))
def test_library_equals_icarus(module: str, builds: Path, tmp_path: Path) -> None:
    parameters = importlib.import_module(f"tests.rtl.bench_{module}").PARAMETERS[0]
    library = Library(RTL, module, parameters, effort=QUICK)
    rng = Random(3)
    asked = {name: [rng.getrandbits(port.width) for _ in range(CYCLES)] for name, port in library.inputs.items()}
    if "rst_i" in asked:
        asked["rst_i"] = [int(cycle < 2 or rng.random() < 0.01) for cycle in range(CYCLES)]
    rows = [{name: column[cycle] for name, column in asked.items()} for cycle in range(CYCLES)]
    (tmp_path / "inputs").write_text(json.dumps(rows), encoding="utf-8")
    files = {"ACCELSIM_INPUTS": str(tmp_path / "inputs"), "ACCELSIM_OUTPUTS": str(tmp_path / "outputs")}
    files |= {"ACCELSIM_CLEAR": "1"} if module in PROGRAMMED else {}
    ran, failed, said = simulate(module, parameters, 0, 0, builds, bench="replay", **files)
    assert ran and not failed, said[-2000:]
    expected = json.loads((tmp_path / "outputs").read_text(encoding="utf-8"))
    found = library.start().run({name: words(library.inputs[name], column) for name, column in asked.items()})
    seen = 0
    for name, port in library.outputs.items():
        for cycle, number in list(enumerate(numbers(port, found[name])))[2:]:
            word = expected[cycle][name]
            seen += word is not None
            assert word is None or word == number, f"{name} in cycle {cycle}"
    assert seen > CYCLES // 2


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"there is no module pe_sideways in .*; it has .*delay_line, "):
        Library(RTL, "pe_sideways", {})


def test_number_that_is_held_may_be_wider_than_64_bits() -> None:
    """As the instructions of four engines are where one has more than 2^15."""
    number = 0x1_0000_0002_0000_0003
    library = Library(RTL, "delay_line", {"W": 68, "DEPTH": 1}, effort=QUICK)
    found = library.start().run({"rst_i": np.zeros(4, np.uint64), "word_i": number})
    assert numbers(library.outputs["word_o"], found["word_o"])[1:] == [number] * 3


def test_registers_of_an_instance_are_its_own_whatever_becomes_of_others() -> None:
    library = Library(RTL, "delay_line", {"W": 8, "DEPTH": 1}, ["delay_line.chain_q"], effort=QUICK)
    first, second = library.start(), library.start()
    first.register("g_chain", "chain_q", 8)[0] = 5
    second.register("g_chain", "chain_q", 8)[0] = 7
    assert int(second.run({"word_i": 0})["word_o"][0]) == 7
    del second
    assert int(first.run({"word_i": 9})["word_o"][0]) == 5
    assert int(first.register("g_chain", "chain_q", 8)[0]) == 9
    with pytest.raises(InputError, match=r"^TOP\.delay_line has no register late_q; name it when the library is made$"):
        first.register("", "late_q", 8)
