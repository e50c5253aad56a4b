"""What --json and --trace wrote, read back for a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from accelsim.errors import InputError
from accelsim.report.html.report import KINDS
from accelsim.report.schema import contract, faults

MAX_BYTES = 256 * 1024 * 1024


def read_json(path: str, mend: str) -> Any:
    """A JSON file; InputError with its place if it is none. `mend`: how to get a right one."""
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot read: {getattr(error, 'strerror', None) or error}", "check the path") from None
    if len(data) > MAX_BYTES:
        raise InputError(f"{path}: larger than 256 MiB", mend)
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refused)
    except json.JSONDecodeError as error:
        raise InputError(f"{path}:{error.lineno}:{error.colno}: not JSON: {error.msg}", mend) from None
    except (UnicodeDecodeError, ValueError, RecursionError):
        raise InputError(f"{path}: not JSON text", mend) from None


def _refused(text: str) -> None:
    raise ValueError(text)  # NaN and infinities are no JSON


def read_result(path: str) -> dict[str, Any]:
    """A saved result of a kind that pages show; anything that does not keep the contract of its kind is an InputError."""
    document = read_json(path, "save one with --json FILE")
    schema = document.get("schema") if isinstance(document, dict) else None
    if not isinstance(schema, str) or not schema.startswith("accelsim/"):
        raise InputError(f"{path}: not a result of accelsim: it names no schema", "save one with --json FILE")
    if schema not in KINDS:
        raise InputError(f"{path}: no page shows '{schema[:80]}'", f"pages show {', '.join(KINDS)}")
    assert isinstance(document, dict)
    fault = next(faults(document, contract(schema)), None)
    if fault is not None:
        raise InputError(f"{path}: not {schema}: {fault}", "save it again with --json FILE")
    return document


def read_trace(path: str) -> dict[str, Any]:
    """The events of a simulation, as --trace writes them."""
    document = read_json(path, "write one with `accelsim simulate --trace FILE`")
    fault = next(faults(document, contract("trace")), None)
    if fault is not None:
        raise InputError(f"{path}: not a trace of accelsim: {fault}", "write one with `accelsim simulate --trace FILE`")
    assert isinstance(document, dict)
    return document
