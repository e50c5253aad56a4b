"""How much of random testing runs: all of what the evidence asks for, a share of it in `make test`, little in `make check`."""

from __future__ import annotations

import os


def share(evidence: int, usual: int, quick: int) -> int:
    """How many cases to run."""
    if os.environ.get("ACCELSIM_EVIDENCE"):
        return evidence
    return quick if os.environ.get("HYPOTHESIS_PROFILE") == "quick" else usual
