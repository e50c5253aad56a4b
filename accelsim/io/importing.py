"""Files of other tools as workloads: which format a file has, and what it says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from accelsim.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.io.importers.network import Imported, Request

_TEXTS = {".yaml", ".yml", ".csv"}
_OURS = re.compile(r"(?m)^workload:[ \t]*[^\s#{]")


def formats() -> list[str]:
    """The names of the formats that are known: the modules in `importers/formats`."""
    folder = Path(__file__).parent / "importers" / "formats"
    return sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_"))


def _module(name: str) -> ModuleType:
    return import_module(f"accelsim.io.importers.formats.{name}")


def import_file(path: Path, request: Request | None = None, format: str | None = None) -> Imported:
    """The workload of a file of another tool; `format`: one of `formats()`, by default that which the file has."""
    from accelsim.io.importers.network import Request

    if format is not None and format not in formats():
        raise InputError(f"there is no format '{format}'", did_you_mean(format, formats()))
    found = format or format_of(path)
    if found is None and not path.exists():
        raise InputError(f"{path}: cannot read: No such file or directory", "check the path")
    if found is None:
        ours = "a workload of accelsim already" if _is_ours(path) else "of no format that is known"
        raise InputError(f"{path}: is {ours}", f"name one with --format: {', '.join(formats())}")
    imported: Imported = _module(found).read(path, request or Request())
    return imported


def format_of(path: Path) -> str | None:
    """The format of a file, by its name and what is in it; None if it is of none of them, as a workload of accelsim is."""
    if _is_ours(path):
        return None
    text = _text(path)
    return next((name for name in formats() if _module(name).fits(path, text)), None)


def import_sized(path: Path, settings: Mapping[str, str]) -> tuple[str, dict[str, str]] | None:
    """The text of a workload that is a file of another tool, None if it is one of ours; and the settings that are left.

    `shape.NAME` is the size of dimension NAME, where the file leaves that open.
    """
    found = format_of(path)
    if found is None:
        return None
    from accelsim.io.importers.network import Request

    texts = {key.removeprefix("shape."): text for key, text in settings.items() if key.startswith("shape.")}
    sizes = {name: int(text) for name, text in texts.items() if text.isascii() and text.isdigit() and 0 < len(text) < 13}
    imported = import_file(path, Request(sizes=sizes, strict=False), found)
    return imported.text, {key: text for key, text in settings.items() if key.removeprefix("shape.") not in imported.sized}


def _is_ours(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml") and _OURS.search(_text(path) or "") is not None


def _text(path: Path) -> str | None:
    """The text of a file whose name says that it is one, None of any other."""
    from accelsim.io.source import read_text

    return read_text(path) if path.suffix in _TEXTS else None


def sizes_of(texts: list[str]) -> dict[str, int]:
    """Sizes of open dimensions from text such as `batch=8`."""
    found: dict[str, int] = {}
    for text in texts:
        name, equals, size = text.rpartition("=")
        if not equals or not name:
            raise InputError(f"--size {text}: not a size", "write NAME=SIZE, as in --size batch=1")
        if not (size.isascii() and size.isdigit() and len(size) < 13 and int(size) > 0):
            raise InputError(f"--size {text}: not a whole number from 1", f"write digits, as in --size {name}=1")
        if name in found:
            raise InputError(f"--size {text}: '{name}' is given twice", "remove one of the two")
        found[name] = int(size)
    return found
