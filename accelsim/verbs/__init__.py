"""The verbs of accelsim from Python: each takes nouns, or names and paths of files as the command line does, and returns nouns.

`import accelsim` gives them lazily: `accelsim.map("attention", "spatial")`. What a verb needs is imported when it is called.
`settings` are those of `--set`, for what is given by name: `{"shape.m": 1024, "arch.L3.size": "8 MiB"}`. `data`: stored elements of
inputs by tensor, files of matrices. `progress`: hears what goes on, one line at a time. Wrong input is an InputError, a mapping
that is not legal an IllegalMapping.
"""

from __future__ import annotations

from accelsim.verbs.files import check, load, names, save
from accelsim.verbs.mapping import evaluate, front, map, simulate
from accelsim.verbs.studies import explore, inject
from accelsim.verbs.workloads import bounds, derive, nest, passes, run

__all__ = [
    "bounds",
    "check",
    "derive",
    "evaluate",
    "explore",
    "front",
    "inject",
    "load",
    "map",
    "names",
    "nest",
    "passes",
    "run",
    "save",
    "simulate",
]
