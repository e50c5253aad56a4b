"""What `--set path=value` changes: settings sorted by the file that they belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from accelsim.errors import InputError, did_you_mean, nearest

WORKLOAD_KEYS = ("shape", "split", "type", "tensors", "constants", "density", "format", "layers", "phases")
PREFIXES = ("workload", "arch", "mapping")


@dataclass(frozen=True, slots=True)
class Overrides:
    """Settings by dotted path inside the workload, the machine and the mapping."""

    workload: dict[str, str] = field(default_factory=dict)
    arch: dict[str, str] = field(default_factory=dict)
    mapping: dict[str, str] = field(default_factory=dict)

    def refuse(self, *unread: str) -> None:
        """An InputError if a setting is for a file that the command does not read."""
        for prefix in unread:
            for path in getattr(self, prefix):
                raise InputError(f"--set {prefix}.{path}: this command reads no {_NOUNS[prefix]}", "leave the setting out")


_NOUNS = {"workload": "workload", "arch": "machine", "mapping": "mapping"}


def overrides(settings: Sequence[str]) -> Overrides:
    """Settings such as `shape.m=16384`, `arch.L3.size=8 MiB` and `mapping.let.P1=4`, sorted; a path given twice is an InputError."""
    found = Overrides()
    for setting in settings:
        path, equals, value = setting.partition("=")
        path, value = path.strip(), value.strip()
        if not equals or not path or not value:
            raise InputError(f"--set {setting}: not a setting", "write path=value, as in shape.m=16384")
        first, _, rest = path.partition(".")
        if first in WORKLOAD_KEYS:
            first, rest = "workload", path
        elif first not in PREFIXES:
            raise InputError(f"--set {setting}: no part is called '{first}'", _mend(first, path))
        if not rest:
            raise InputError(f"--set {setting}: the path stops at '{first}'", f"say what to change inside, as in {_EXAMPLES[first]}")
        target = getattr(found, first)
        if rest in target:
            raise InputError(f"--set {setting}: '{path}' is set twice", "remove one of the two")
        target[rest] = value
    return found


def plain(path: str) -> str:
    """One spelling of a path: what is inside the workload may be written with `workload.` before it."""
    path = path.strip()
    rest = path.removeprefix("workload.")
    return rest if rest.partition(".")[0] in WORKLOAD_KEYS else path


def replaced(settings: Sequence[str], by: Sequence[str]) -> list[str]:
    """Settings, and others in place of those that set the same."""
    paths = {plain(setting.partition("=")[0]) for setting in by}
    return [*(setting for setting in settings if plain(setting.partition("=")[0]) not in paths), *by]


def _mend(first: str, path: str) -> str:
    """The nearest part; what is near to none is a name of the machine, or one that the machine or the mapping lets stand for a number."""
    known = (*WORKLOAD_KEYS, *PREFIXES)
    if first == "let":
        return f"did you mean 'mapping.{path}' or 'arch.{path}'?"
    if nearest(first, known):
        return did_you_mean(first, known)
    if first == path and first not in _MACHINES:
        return f"did you mean 'shape.{path}', the size of a rank?"
    return f"did you mean 'arch.{path}'?"


_MACHINES = ("clock", "technology", "word")  # keys of a machine
_EXAMPLES = {"workload": "shape.m=16384", "arch": "arch.L3.size='8 MiB'", "mapping": "mapping.let.P1=4"}
