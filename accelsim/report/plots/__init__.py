"""Drawings: functions that take nouns and return matplotlib axes. docs/plots.md shows each of them.

A name is imported when it is first asked for, since matplotlib is slow to load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.report.plots.rooflines import roofline
    from accelsim.report.plots.style import as_svg, save

_PLACES = {
    "roofline": "rooflines",
    "as_svg": "style",
    "save": "style",
}
__all__ = ["as_svg", "roofline", "save"]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
