"""What is proved of the RTL, and that each proof refutes a seeded bug."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rtl.formal import FAILED, PASSED, Bug, Proof, proofs
from tests.rtl.runner import RTL

pytestmark = pytest.mark.usefixtures("rtl_tools")
SEEDED = [pytest.param(proof, bug, id=f"{proof.name}-{number}") for proof in proofs() for number, bug in enumerate(proof.bugs)]


@pytest.mark.parametrize("proof", proofs(), ids=lambda proof: proof.name)
def test_proof_holds(proof: Proof, tmp_path: Path) -> None:
    assert proof.bugs, "a proof without a seeded bug may prove nothing"
    assert proof.outcome(RTL, tmp_path) == PASSED
    if proof.induction:
        assert proof.outcome(RTL, tmp_path, induction=True) == PASSED


@pytest.mark.parametrize(("proof", "bug"), SEEDED)
def test_proof_refutes_a_seeded_bug(proof: Proof, bug: Bug, tmp_path: Path) -> None:
    assert proof.outcome(bug.seeded(tmp_path / "rtl"), tmp_path) == FAILED
