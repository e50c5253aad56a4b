"""The mapper: finds a mapping of a cascade on a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from accelsim.mapper.best import Found, Request, search

__all__ = ["Found", "Request", "search"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        import accelsim.mapper.best as module

        return getattr(module, name)
    raise AttributeError(name)
