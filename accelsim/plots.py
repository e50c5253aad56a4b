"""Drawings by their short name: `from accelsim import plots`, then `plots.roofline(evaluation)`. docs/plots.md shows all of them."""

from __future__ import annotations

from typing import Any

import accelsim.report.plots as _all

__all__ = _all.__all__


def __getattr__(name: str) -> Any:
    return getattr(_all, name)


def __dir__() -> list[str]:
    return __all__
