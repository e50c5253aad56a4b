"""Searches over what a mapper takes as given: the cascade, the machine, the sizes.

The package is the verb of that name too, `accelsim.explore("sweep.yaml")`: a name of `accelsim` cannot be both without that.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _Verb(ModuleType):
    """A package that can be called."""

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        import accelsim

        return accelsim.verb("explore")(*arguments, **options)


sys.modules[__name__].__class__ = _Verb
