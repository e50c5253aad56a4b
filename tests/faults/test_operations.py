"""Units with faults: without one they compute what the simulator does, with one what the slow twin does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.faults.gates import SLOW, STUCK
from accelsim.faults.operations import SCAN_STEP, Unit, coverage, signed
from accelsim.workload.fixed import Fixed, exp
from tests.faults.netlists import by_twin, circuit
from tests.rtl.runner import RTL
from tests.share import share

pytestmark = pytest.mark.usefixtures("rtl_tools")
MAC = ("pe_ws", {"AW": 4, "BW": 4, "CW": 12})


def drawn(names: str, width: int, count: int = 500) -> dict[str, Any]:
    """Signed words of operands."""
    rng = np.random.default_rng(4)
    return {name: rng.integers(-(1 << width - 1), 1 << width - 1, count) for name in names.split()}


def scanned(a: int, b: int, h: int) -> int:
    """Two steps of h' = a h + b in fields of eight bits, modulo 256."""
    found = 0
    for place in (0, 8):
        h = ((a >> place & 255) * h + (b >> place & 255)) & 255
        found |= h << place
    return found


@pytest.mark.parametrize("stays", ["pe_ws", "pe_os"])
def test_multiply_add_without_a_fault_multiplies_and_adds(stays: str) -> None:
    unit = Unit.of(RTL, stays, MAC[1])
    a, b, c = unit.operation.operands if stays == "pe_os" else ("a", "w", "p")
    given = drawn("x y", 4) | drawn("z", 12)
    right, _ = unit.results([], {a: given["x"], b: given["y"], c: given["z"]})
    assert (signed(right, 12) == ((given["x"] * given["y"] + given["z"] + 2048) % 4096 - 2048)).all()


def test_exp_maximum_and_scans_without_a_fault_are_those_of_the_simulator() -> None:
    x = -np.arange(128)
    parameters = {"XW": 8, "XF": 4, "OF": 7, "G": 3, "TW": 1}
    assert Unit.of(RTL, "exp_pe", parameters).results([], {"x": x})[0].tolist() == exp(x, Fixed(8, 4, 7, 3)).tolist()
    given = drawn("m x", 8)
    right, _ = Unit.of(RTL, "max_pe", {"W": 8, "TW": 1}).results([], given)
    assert (signed(right, 8) == np.maximum(given["m"], given["x"])).all()
    for form in (0, 1):
        words = drawn("a b", 16) | drawn("h", 8)
        right, _ = Unit.of(RTL, "scan_unit", {"WIDTH": 2, "W": 8, "FORM": form}).results([], words)
        expected = [scanned(int(a) & 65535, int(b) & 65535, int(h) & 255) for a, b, h in zip(*words.values(), strict=True)]
        assert right.tolist() == expected
    words = drawn("a b h", 8) | {"shift": np.random.default_rng(5).integers(0, 8, 500)}
    right, _ = Unit.of(RTL, "npu_scan", {"W": 8}, SCAN_STEP).results([], words)
    product = np.clip(words["a"] * words["h"], -128, 127) >> words["shift"]
    assert (signed(right, 8) == np.clip(product + words["b"], -128, 127)).all()


def test_slow_lines_show_what_the_operation_before_left() -> None:
    """The twin is given both operations; where both have the same operands nothing is slow."""
    made = circuit(*MAC)[1]
    unit = Unit.of(RTL, *MAC)
    faults = unit.circuit.faults(SLOW)
    now, before = drawn("a w", 4, 64) | drawn("p", 12, 64), drawn("x a", 4, 64) | drawn("y p", 12, 64)
    before = {"a": before["a"], "p": before["p"], "w": now["w"]}
    right, wrong = unit.results(faults, now, before)
    assert (unit.results(faults, now, now)[1] == right).all()
    rng, seen = np.random.default_rng(0), 0
    for _ in range(share(400, 40, 10)):
        fault, vector = int(rng.integers(len(faults))), int(rng.integers(64))
        steps = [{"a_i": each["a"] & 15, "p_i": each["p"] & 4095, "valid_i": np.ones(64, int)} for each in (before, now)]
        said = by_twin(made, faults[fault], [*steps, {}], vector, {"w_q": int(now["w"][vector]), "v_o": int(now["w"][vector])})
        assert said[2]["p_o"] == int(wrong[fault, vector]), faults[fault]
        seen += said[2]["p_o"] != right[vector]
    assert seen, "some fault shows"


def test_errors_count_every_vector_once_and_cover_what_shows() -> None:
    unit = Unit.of(RTL, *MAC)
    faults = unit.circuit.faults(STUCK)
    given = drawn("a w", 4) | drawn("p", 12)
    found = unit.errors(faults, given)
    assert (found.bits.sum(axis=1) == 500).all() and np.allclose(found.share, 1 - found.bits[:, 0] / 500)
    place = int(found.share.argmax())
    wrong = unit.faulty(faults[place])(**given)
    right, _ = unit.results([], given)
    far = [abs(one - other) for one, other in zip(signed(wrong, 12).tolist(), signed(right, 12).tolist(), strict=True) if one != other]
    assert found.most[place] == max(far) and found.mean[place] == pytest.approx(sum(far) / len(far))
    assert 0.5 < coverage(faults, found.detected) < 1.0  # faults of what passes operands on do not reach the sum


def test_what_no_operation_fits_is_refused() -> None:
    with pytest.raises(InputError) as error:
        Unit.of(RTL, "pe_wz", {})
    assert str(error.value) == "module pe_wz has no operation to look at; did you mean 'pe_ws'?"
    with pytest.raises(InputError) as error:
        Unit.of(RTL, *MAC).results([], {"a": 1, "p": 2})
    assert str(error.value) == "operands are a, p; give a, p, w"
