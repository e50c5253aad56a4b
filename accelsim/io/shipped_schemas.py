"""The JSON Schemas that accelsim ships: of YAML files in `accelsim/schemas`, of saved evaluations beside the reports."""

from __future__ import annotations

from pathlib import Path

import accelsim
from accelsim.errors import InputError, did_you_mean

_DOCUMENTS = {kind: f"{kind}.schema.json" for kind in ("evaluation", "model-evaluation", "explanation", "model-explanation", "difference")}


def schema_files() -> dict[str, Path]:
    """The file of each schema by the kind of what it describes."""
    package = Path(accelsim.__file__).resolve().parent
    of_yaml = {path.stem: path for path in sorted((package / "schemas").glob("*.json"))}
    return of_yaml | {kind: package / "report" / name for kind, name in _DOCUMENTS.items()}


def schema_text(kind: str) -> str:
    """The schema of a kind as text."""
    known = schema_files()
    if kind not in known:
        raise InputError(f"there is no schema of '{kind}'", did_you_mean(kind, known))
    return known[kind].read_text(encoding="utf-8")
