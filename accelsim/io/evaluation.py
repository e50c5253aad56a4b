"""Evaluations and other results as JSON: written where asked, read back with their contract checked."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from accelsim import __version__
from accelsim.errors import InputError
from accelsim.report.schema import EVALUATION, MODEL_EVALUATION, faults, schema_of

MAX_BYTES = 64 * 1024 * 1024


def write_json(document: Any, target: str) -> None:
    """Write a document to a file, or to standard output if `target` is '-'."""
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if target == "-":
        sys.stdout.write(text)
    else:
        write_text(text, target)


def write_text(text: str, target: str) -> None:
    """Write a text to a file; what the system refuses is an InputError."""
    try:
        Path(target).write_text(text, encoding="utf-8")
    except (OSError, ValueError) as error:
        raise InputError(f"{target}: cannot write: {getattr(error, 'strerror', None) or error}", "check the path") from None


def write_bytes(data: bytes, target: str) -> None:
    """Write bytes to a file; what the system refuses is an InputError."""
    try:
        Path(target).write_bytes(data)
    except (OSError, ValueError) as error:
        raise InputError(f"{target}: cannot write: {getattr(error, 'strerror', None) or error}", "check the path") from None


def read_result(path: Path) -> Any:
    """What a command has just written with --json."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_evaluation(path: str) -> dict[str, Any]:
    """A saved evaluation, of a cascade or of a model; anything that does not keep its contract is an InputError."""
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot read: {getattr(error, 'strerror', None) or error}", "check the path") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: larger than 64 MiB", "this is no evaluation")
    try:
        document = json.loads(data.decode("utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}", "save one with --json FILE") from None
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise InputError(f"{path}: not JSON text", "save one with --json FILE") from None
    schema = document.get("schema") if isinstance(document, dict) else None
    if isinstance(schema, str) and "simulation" in schema:
        raise InputError(f"{path}: is a simulation, and reports are of evaluations", "run the simulation again, or evaluate the mapping")
    _refuse_newer(path, schema)
    fault = next(faults(document, schema_of(document)), None)
    if fault is not None:
        raise InputError(f"{path}: not an evaluation: {fault}", "save one with --json FILE")
    assert isinstance(document, dict)
    return document


def _refuse_newer(path: str, schema: object) -> None:
    """InputError for an evaluation in a version of its contract that this accelsim does not know."""
    for known in (EVALUATION, MODEL_EVALUATION):
        name, _, version = known.rpartition("/")
        given = schema.removeprefix(f"{name}/") if isinstance(schema, str) and schema.startswith(f"{name}/") else ""
        if given.isascii() and given.isdigit() and len(given) < 7 and int(given) > int(version):
            what = f"{path}: this is version {int(given)} of {name}, and accelsim {__version__} reads up to {version}"
            raise InputError(what, "read it with a newer accelsim: pip install --upgrade accelsim")
